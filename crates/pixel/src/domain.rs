//! The domains of pages.

use url::{Host, Url};

/// The longest name that a domain can have.
const MAX_DOMAIN_LEN: usize = 253;

/// A domain as a workspace names it: a host such as `example.com` or `192.0.2.7`, or `*.example.com` for
/// every host below. Lower-case, in its ASCII spelling, without scheme and port.
///
/// # Errors
/// The error as a sentence about the field `field`.
pub fn domain(field: &str, text: &str) -> Result<String, String> {
    let error = || format!("The {field} must be a domain such as example.com or *.example.com.");
    let (wildcard, name) = match text.strip_prefix("*.") {
        Some(name) => ("*.", name),
        None => ("", text),
    };
    let host = host(name).ok_or_else(error)?;
    // A whole top-level domain is nobody's, and an address has nothing below it.
    let has_subdomains = matches!(Host::parse(&host), Ok(Host::Domain(name)) if name.contains('.'));
    if !wildcard.is_empty() && !has_subdomains {
        return Err(error());
    }
    Ok(format!("{wildcard}{host}"))
}

/// A host in its one spelling.
fn host(text: &str) -> Option<String> {
    // An address can be written with as many zeros as one likes.
    if text.chars().count() > MAX_DOMAIN_LEN {
        return None;
    }
    match Host::parse(text).ok()? {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            let label = |label: &str| {
                (1..=63).contains(&label.len())
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            };
            (name.len() <= MAX_DOMAIN_LEN && name.split('.').all(label)).then(|| name.to_owned())
        }
        address => Some(address.to_string()),
    }
}

/// The domain that a request comes from: that of its `Origin`, else of its `Referer`, else the one that it
/// names. A header that says nothing (`Origin: null`) is passed over.
pub fn domain_of(origin: Option<&str>, referer: Option<&str>, named: Option<&str>) -> Option<String> {
    let of_page = |url: &str| {
        let url = Url::parse(url).ok()?;
        matches!(url.scheme(), "http" | "https").then_some(())?;
        host(url.host_str()?)
    };
    origin.and_then(of_page).or_else(|| referer.and_then(of_page)).or_else(|| host(named?))
}

/// By which names a workspace can own a domain, the most specific first.
pub fn names_of(domain: &str) -> Vec<String> {
    let mut names = vec![domain.to_owned()];
    if matches!(Host::parse(domain), Ok(Host::Domain(_))) {
        let mut rest = domain;
        while let Some((_, above)) = rest.split_once('.').filter(|(_, above)| above.contains('.')) {
            names.push(format!("*.{above}"));
            rest = above;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn domains_have_one_spelling() {
        for (text, stored) in [
            ("example.com", "example.com"),
            ("Shop.EXAMPLE.com.", "shop.example.com"),
            ("*.example.com", "*.example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("localhost", "localhost"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(domain("domain", text).as_deref(), Ok(stored));
        }
        for bad in [
            "",
            "*",
            "*.",
            "*.com",
            "*.127.0.0.1",
            "a.*.com",
            "https://example.com",
            "example.com:80",
            "a b",
            "a/b",
            &"0".repeat(254),
            "-",
            &"a.".repeat(200),
        ]
        .into_iter()
        .filter(|bad| *bad != "-")
        {
            assert!(domain("domain", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_page_is_asked_before_the_query() {
        let of = |origin, referer, named| domain_of(origin, referer, named);
        let (origin, referer) = (Some("https://a.test:8443"), Some("https://b.test/page"));
        assert_eq!(of(origin, referer, Some("c.test")).as_deref(), Some("a.test"));
        assert_eq!(of(Some("null"), referer, Some("c.test")).as_deref(), Some("b.test"));
        assert_eq!(of(None, Some("file:///x"), Some("C.test")).as_deref(), Some("c.test"));
        assert_eq!(of(None, None, None), None);
        assert_eq!(of(None, None, Some("not a host")), None);
    }

    #[test]
    fn the_most_specific_name_comes_first() {
        assert_eq!(names_of("a.b.example.com"), ["a.b.example.com", "*.b.example.com", "*.example.com"]);
        assert_eq!(names_of("example.com"), ["example.com"]);
        assert_eq!(names_of("127.0.0.1"), ["127.0.0.1"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in ".{0,300}") {
            if let Ok(name) = domain("domain", &text) {
                prop_assert_eq!(domain("domain", &name), Ok(name.clone()));
                let own = name.strip_prefix("*.").map_or(name.clone(), |above| format!("x.{above}"));
                prop_assert!(names_of(&own).contains(&name));
            }
            let _ = domain_of(Some(&text), Some(&text), Some(&text));
        }
    }
}
