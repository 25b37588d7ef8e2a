//! Pixel tracking: whose page a visit is of, whether it is counted, and what is kept of it.
//!
//! Nobody shows a key here, so the page says whose it is: by its domain, which belongs to one workspace
//! ([`domain_of`], [`names_of`]). Of a visitor nothing is kept that tells one from another: no address
//! ([`network_of`]), and nothing at all of one who asks not to be tracked.

mod domain;
mod settings;
mod visit;

pub use domain::{domain, domain_of, names_of};
pub use settings::{Features, MAX_DOMAINS, PixelSettings};
pub use visit::{
    MAX_EVENT_CHARS, MAX_PROPERTIES_BYTES, PAGEVIEW, Visit, event_name, network_of, page_of, referrer_of,
    visited_url,
};

/// The script that pages include: it asks for the configuration, and sends page views and the page's own
/// events.
pub const SCRIPT: &str = include_str!("pixel.js");

#[cfg(test)]
mod tests {
    #[test]
    fn the_script_is_small() {
        assert!(super::SCRIPT.len() < 2_300, "{}", super::SCRIPT.len());
    }
}
