//! Time zones by their IANA name; the data is built in, so the answer does not depend on the machine.

/// Whether `name` is a time zone such as `Europe/London` or `UTC`.
pub fn is_time_zone(name: &str) -> bool {
    jiff::tz::TimeZone::get(name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::is_time_zone;

    #[test]
    fn iana_names() {
        assert!(is_time_zone("UTC") && is_time_zone("Europe/London") && is_time_zone("Australia/Lord_Howe"));
        assert!(!is_time_zone("Europe/Atlantis") && !is_time_zone("") && !is_time_zone("+02:00"));
    }
}
