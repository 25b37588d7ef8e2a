//! What is kept of a visit.

use std::net::IpAddr;

use gatepost_kernel::{
    Json,
    text::{self, MAX_URL_BYTES},
};
use ipnet::IpNet;
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
    /// An object of whatever else was said about it.
    pub properties: Json,
}

/// The name of an event in its one spelling: 1 to 64 characters of any script that can be seen, with single
/// blanks between; none if the text is not one.
pub fn event_name(text: &str) -> Option<String> {
    let name = text::name("event", text).ok()?;
    let fits = name.chars().count() <= MAX_EVENT_CHARS && name.split(' ').all(|word| !word.is_empty());
    fits.then_some(name)
}

/// The address of a page that was visited, as [`text::web_url`] gives it. Of what is too long, first the
/// fragment, then the end of the query, then the end of the path is left out: the visitor cannot help the
/// address.
///
/// # Errors
/// The error as a sentence about the field `field`.
pub fn visited_url(field: &str, text: &str) -> Result<Url, String> {
    let mut url = text::long_web_url(field, text)?;
    let excess = |url: &Url| url.as_str().len().saturating_sub(MAX_URL_BYTES);
    if excess(&url) > 0 {
        url.set_fragment(None);
    }
    if excess(&url) > 0 {
        let query = url.query().unwrap_or_default();
        let rest = shortened(query, excess(&url)).filter(|rest| !rest.is_empty()).map(str::to_owned);
        url.set_query(rest.as_deref());
    }
    if excess(&url) > 0 {
        let rest = shortened(url.path(), excess(&url)).unwrap_or_default().to_owned();
        url.set_path(&rest);
    }
    Ok(url)
}

/// A text of ASCII without its last `excess` bytes, and without half of an escape at its end; none if nothing
/// is left.
fn shortened(text: &str, excess: usize) -> Option<&str> {
    let rest = &text[..text.len().checked_sub(excess)?];
    let half = rest.len() - rest.rfind('%').unwrap_or(rest.len());
    Some(if matches!(half, 1 | 2) { &rest[..rest.len() - half] } else { rest })
}

/// The network of an address: what is kept of it. A /24, or of IPv6 a /48, has many subscribers.
pub fn network_of(address: IpAddr) -> Option<IpNet> {
    let address = address.to_canonical();
    let prefix = if address.is_ipv4() { 24 } else { 48 };
    IpNet::new(address, prefix).ok().map(|net| net.trunc())
}

/// The page that is counted: an address without query and fragment, which differ from visit to visit. A
/// fragment such as `#/cart` is the route of an application that has one document, and stays.
pub fn page_of(url: &Url) -> String {
    let mut page = url.clone();
    page.set_query(None);
    if !url.fragment().is_some_and(|fragment| fragment.starts_with(['/', '!'])) {
        page.set_fragment(None);
    }
    page.into()
}

/// The site that is counted as referrer: its host. None where the visitor came from the page's own site, or
/// from nowhere.
pub fn referrer_of(page: &Url, referrer: Option<&Url>) -> Option<String> {
    let host = referrer?.host_str()?;
    (page.host_str() != Some(host)).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        assert_eq!(page_of(&url("https://example.com/a?id=7#/cart")), "https://example.com/a#/cart");
        let from = url("https://google.com/search?q=x");
        assert_eq!(referrer_of(&page, Some(&from)).as_deref(), Some("google.com"));
        assert_eq!(referrer_of(&page, Some(&url("https://example.com/b"))), None, "its own site");
        assert_eq!(referrer_of(&page, None), None);
    }

    #[test]
    fn names_are_bounded() {
        let longest = "é".repeat(64);
        for good in [
            "pageview",
            "Sign up: step 2",
            "購入",
            "регистрация",
            "Übermittlung",
            "Add to cart!",
            "100%",
            &longest,
        ] {
            assert_eq!(event_name(good).as_deref(), Some(good));
        }
        for bad in ["", " ", "a\tb", "a  b", "a\u{200b}b", "a\0", &"x".repeat(65)] {
            assert_eq!(event_name(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_is_too_long_of_an_address_is_cut() {
        let visited = |text: &str| visited_url("url", text).map(String::from);
        let of = |start: &str, part: &str| format!("{start}{}", part.repeat(3_000));
        let (query, path) = (of("https://x.test/landing?gclid=", "a"), of("https://x.test/", "%C3%A4"));
        assert_eq!(visited(&query).map(|url| url.len()), Ok(MAX_URL_BYTES));
        assert_eq!(page_of(&visited_url("url", &query).expect("a page")), "https://x.test/landing");
        let cut = visited(&path).expect("a page");
        assert!((MAX_URL_BYTES - 2..=MAX_URL_BYTES).contains(&cut.len()) && path.starts_with(&cut), "{cut}");
        assert_eq!(visited(&of("https://x.test/a#", "b")).as_deref(), Ok("https://x.test/a"));
        assert!(visited(&of("https://x.test/a?b#", "c")).is_ok_and(|url| url == "https://x.test/a?b"));
        assert!(visited("ftp://x.test/").is_err());
    }

    proptest! {
        #[test]
        fn no_visit_is_lost_for_its_length(path in "[a-zé%/]{0,1500}", query in "[a-zé%&=]{0,1500}", fragment in "[a-z]{0,1500}") {
            let url = visited_url("url", &format!("https://x.test/{path}?{query}#{fragment}")).expect("a page");
            prop_assert!(url.as_str().len() <= MAX_URL_BYTES);
            prop_assert_eq!(text::web_url("url", url.as_str()), Ok(url));
        }
    }
}
