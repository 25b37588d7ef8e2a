//! Values of a configuration file: how they are read, with what is accepted where one is refused, and how
//! they are shown.
//!
//! The functions are for serde's `deserialize_with`, `serialize_with` and `with`, so that a struct of
//! settings has plain fields.

use std::{
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    time::Duration,
};

use ipnet::IpNet;
use jiff::{Span, SpanRelativeTo};
use serde::{Deserialize, Deserializer, Serializer, de::Error};

use crate::text::brief;

/// 2^53 − 1, the largest whole number that every JSON reader keeps.
pub const MAX_WHOLE: u64 = (1 << 53) - 1;

/// Reads a whole number from `MIN` to `MAX`.
///
/// # Errors
/// Says the range.
pub fn whole<'de, D, T, const MIN: u64, const MAX: u64>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    let given = i64::deserialize(deserializer)?;
    let given = u64::try_from(given).ok().filter(|given| (MIN..=MAX).contains(given));
    given.and_then(|given| T::try_from(given).ok()).ok_or_else(|| {
        D::Error::custom(match MAX {
            MAX_WHOLE => format!("expected a whole number of {MIN} or more"),
            _ => format!("expected a whole number from {MIN} to {MAX}"),
        })
    })
}

/// Reads a whole number of 1 or more.
///
/// # Errors
/// Says so.
pub fn positive<'de, D: Deserializer<'de>, T: TryFrom<u64>>(deserializer: D) -> Result<T, D::Error> {
    whole::<D, T, 1, MAX_WHOLE>(deserializer)
}

/// Reads a whole number of 1 or more that may be left out.
///
/// # Errors
/// Says so.
pub fn positive_or_none<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    positive(deserializer).map(Some)
}

/// The duration that a text such as `5s`, `30m`, `1h 30m` or `90d` means; a day is 24 hours. `None` if it
/// means none, or nothing above zero.
pub fn read_duration(text: &str) -> Option<Duration> {
    let span: Span = text.trim().parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(duration).ok().filter(|duration| !duration.is_zero())
}

/// A duration as [`read_duration`] reads it, in the largest unit that it is a whole number of.
pub fn duration_text(duration: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let seconds = duration.as_secs();
    match UNITS.into_iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit)) {
        Some((unit, name)) if duration.subsec_nanos() == 0 => format!("{}{name}", seconds / unit),
        _ => format!("{}ms", duration.as_millis()),
    }
}

/// A duration above zero, as [`read_duration`] reads it.
pub mod duration {
    use super::*;

    /// Reads it.
    ///
    /// # Errors
    /// Says what one looks like.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        read_duration(&text)
            .ok_or_else(|| D::Error::custom("expected a duration such as \"5s\", \"30m\", \"2h\" or \"30d\""))
    }

    /// Writes it.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&duration_text(*duration))
    }
}

/// Reads a duration of `MIN` to `MAX` seconds that may be left out.
///
/// # Errors
/// Says the range.
pub fn duration_within_or_none<'de, D, const MIN: u64, const MAX: u64>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error>
where
    D: Deserializer<'de>,
{
    duration_within::<D, MIN, MAX>(deserializer).map(Some)
}

/// Writes a duration that may be left out.
///
/// # Errors
/// Those of the serializer.
pub fn show_duration_or_none<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => duration::serialize(duration, serializer),
        None => serializer.serialize_none(),
    }
}

/// Reads a duration of `MIN` to `MAX` seconds.
///
/// # Errors
/// Says the range.
pub fn duration_within<'de, D, const MIN: u64, const MAX: u64>(deserializer: D) -> Result<Duration, D::Error>
where
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    let (least, most) = (Duration::from_secs(MIN), Duration::from_secs(MAX));
    read_duration(&text).filter(|given| (least..=most).contains(given)).ok_or_else(|| {
        let (least, most) = (duration_text(least), duration_text(most));
        D::Error::custom(format!("expected a duration from \"{least}\" to \"{most}\""))
    })
}

/// Whether a text is an address that begins with `https://` or `http://`.
pub fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic()))
}

/// What is said of a text that is no such address.
pub const NO_URL: &str = "expected a URL that begins with https:// or http://";

/// Reads an address that begins with `https://` or `http://`, and may be left out.
///
/// # Errors
/// Says so.
pub fn url_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if is_url(&text) { Ok(Some(text)) } else { Err(D::Error::custom(NO_URL)) }
}

/// Reads an address that begins with `https://` or `http://` and that paths are put behind; it may be left
/// out.
///
/// # Errors
/// Says so.
pub fn base_url_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if is_url(&text) && !text.contains(['?', '#']) {
        return Ok(Some(text));
    }
    Err(D::Error::custom(format!("{NO_URL}, without a query: paths are put behind it")))
}

/// Reads networks: CIDRs, or addresses, each of which is a network of one.
///
/// # Errors
/// Says what one looks like.
pub fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    #[derive(Deserialize)]
    struct Network(#[serde(deserialize_with = "network")] IpNet);
    Ok(Vec::<Network>::deserialize(deserializer)?.into_iter().map(|Network(network)| network).collect())
}

fn network<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IpNet, D::Error> {
    let text = String::deserialize(deserializer)?;
    let read = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    read.map_err(|_| {
        D::Error::custom(format!(
            "expected an address or a CIDR such as \"10.0.0.0/8\", not {:?}",
            brief(&text)
        ))
    })
}

/// Reads an address with a port to listen on; of a name, the address that the system knows it by.
///
/// # Errors
/// Says what one looks like.
pub fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    listen_address(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// Reads one that may be left out.
///
/// # Errors
/// As [`listen`].
pub fn listen_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    listen(deserializer).map(Some)
}

/// The address with a port that a text means; of a name, the address that the system knows it by, an IPv4
/// address where there are several.
///
/// # Errors
/// Says what one looks like.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let is_named =
        text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if !is_named {
        return Err(
            "expected an address with a port, such as \"127.0.0.1:8080\" or \"localhost:8080\"".to_owned()
        );
    }
    let known = text.to_socket_addrs().map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    let first = known.iter().find(|address| address.is_ipv4()).or(known.first());
    first.copied().ok_or_else(|| format!("no address is known for {}", brief(text)))
}

/// Texts by name that must not be shown, such as an environment with passwords.
pub mod secrets {
    use indexmap::IndexMap;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::Secret;

    /// Reads them.
    ///
    /// # Errors
    /// If one is no text.
    pub fn deserialize<'de, D>(deserializer: D) -> Result<IndexMap<String, Secret>, D::Error>
    where
        D: Deserializer<'de>,
    {
        let texts = IndexMap::<String, String>::deserialize(deserializer)?;
        Ok(texts.into_iter().map(|(name, text)| (name, Secret::new(text))).collect())
    }

    /// Writes their names.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S>(secrets: &IndexMap<String, Secret>, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        serializer.collect_map(secrets.keys().map(|name| (name, "…")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("5s", Some(5)),
            ("30m", Some(1_800)),
            ("1h 30m", Some(5_400)),
            ("1h30m", Some(5_400)),
            ("90d", Some(90 * 86_400)),
            ("2w", Some(14 * 86_400)),
            ("90 days", Some(90 * 86_400)),
            ("0s", None),
            ("-5s", None),
            ("5", None),
            ("1 month", None),
            ("1y", None),
            ("", None),
            ("soon", None),
        ] {
            assert_eq!(read_duration(text), seconds.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(read_duration("250ms"), Some(Duration::from_millis(250)));
    }

    #[test]
    fn a_duration_is_shown_in_its_largest_unit() {
        for text in ["5s", "90s", "5m", "30h", "30d", "1500ms"] {
            let duration = read_duration(text).expect(text);
            assert_eq!(duration_text(duration), text);
        }
    }

    #[test]
    fn a_number_is_refused_with_its_range() {
        #[derive(Debug, Deserialize)]
        struct Section {
            #[serde(deserialize_with = "whole::<_, _, 0, 1000>")]
            percent: u32,
        }
        let read = |json: &str| serde_json::from_str::<Section>(json).map_err(|error| error.to_string());
        assert_eq!(read("{\"percent\": 1000}").expect("the most").percent, 1_000);
        for json in ["{\"percent\": 1001}", "{\"percent\": -1}"] {
            let error = read(json).expect_err(json);
            assert!(error.contains("from 0 to 1000"), "{error}");
        }
    }
}
