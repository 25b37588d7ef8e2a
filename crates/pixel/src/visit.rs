//! What is kept of a visit.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Map, Value};
use url::Url;

/// The event of a page that is shown.
pub const PAGEVIEW: &str = "pageview";
/// The most characters of an event's name.
pub const MAX_EVENT_CHARS: usize = 64;
/// How much an event can say beside, as JSON.
pub const MAX_PROPERTIES_BYTES: usize = 8_192;

/// Something that happened on a page.
#[derive(Debug, Clone, PartialEq)]
pub struct Visit {
    /// What, as [`event_name`] accepts it.
    pub event: String,
    /// On which page.
    pub url: String,
    /// From which page the visitor came.
    pub referrer: Option<String>,
    /// With what.
    pub user_agent: Option<String>,
    /// From which network, as [`network_of`] gives it.
    pub network: Option<IpNet>,
    /// Whatever else was said about it.
    pub properties: Map<String, Value>,
}

/// Whether a text can be the name of an event: 1 to 64 letters, digits and `_.:/-`, with single blanks between.
pub fn event_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'/' | b'-');
    let word = |word: &str| !word.is_empty() && word.bytes().all(fits);
    text.len() <= MAX_EVENT_CHARS && text.split(' ').all(word)
}

/// The network of an address: what is kept of it. A /24, or of IPv6 a /48, has many subscribers.
pub fn network_of(address: IpAddr) -> Option<IpNet> {
    let address = address.to_canonical();
    let prefix = if address.is_ipv4() { 24 } else { 48 };
    IpNet::new(address, prefix).ok().map(|net| net.trunc())
}

/// The page that is counted: an address without query and fragment, which differ from visit to visit.
pub fn page_of(url: &Url) -> String {
    let mut page = url.clone();
    page.set_query(None);
    page.set_fragment(None);
    page.into()
}

/// The site that is counted as referrer: its host. None where the visitor came from the page's own site, or from nowhere.
pub fn referrer_of(page: &Url, referrer: Option<&Url>) -> Option<String> {
    let host = referrer?.host_str()?;
    (page.host_str() != Some(host)).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_cut() {
        let cut = |text: &str| network_of(text.parse().expect("an address")).map(|net| net.to_string());
        assert_eq!(cut("203.0.113.77").as_deref(), Some("203.0.113.0/24"));
        assert_eq!(cut("::ffff:203.0.113.77").as_deref(), Some("203.0.113.0/24"));
        assert_eq!(cut("2001:db8:aaaa:bbbb:cccc::1").as_deref(), Some("2001:db8:aaaa::/48"));
    }

    #[test]
    fn pages_and_referrers_are_few() {
        let url = |text: &str| Url::parse(text).expect("an address");
        let page = url("https://example.com/a?id=7#part");
        assert_eq!(page_of(&page), "https://example.com/a");
        let from = url("https://google.com/search?q=x");
        assert_eq!(referrer_of(&page, Some(&from)).as_deref(), Some("google.com"));
        assert_eq!(referrer_of(&page, Some(&url("https://example.com/b"))), None, "its own site");
        assert_eq!(referrer_of(&page, None), None);
    }

    #[test]
    fn names_are_bounded() {
        assert!(event_name("pageview") && event_name("Sign up: step 2"));
        for bad in ["", " x", "a\tb", "a  b", "é", &"x".repeat(65)] {
            assert!(!event_name(bad), "{bad:?}");
        }
    }
}
