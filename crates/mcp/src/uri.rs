//! The URIs of resources: whether one is among those that a server offers.
//!
//! Two spellings of one URI are compared in a third: what a URI cannot hold is escaped, what need not be is
//! not.

use regex::Regex;

/// The longest URI that is looked at.
const MAX_LEN: usize = 4_096;
/// What a simple expression stands for: no slash, backslash or NUL, escaped or not, which a server may take
/// for a step elsewhere.
const SIMPLE: &str = "(?:[^/?#%]|%(?:0[1-9A-F]|2[0-9A-E]|5[0-9ABD-F]|[1346789A-F][0-9A-F]))+";

/// A URI template (RFC 6570), as far as it says which URIs fit it.
#[derive(Debug, Clone)]
pub(crate) struct Template(Regex);

impl Template {
    /// Reads a template; none if it cannot be read.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_LEN {
            return None;
        }
        let (mut pattern, mut rest) = (String::from("^"), text);
        while let Some((literal, behind)) = rest.split_once('{') {
            let (expression, behind) = behind.split_once('}')?;
            pattern.push_str(&regex::escape(&normal(literal)));
            pattern.push_str(match expression.chars().next()? {
                // These reach over slashes.
                '+' | '#' | '/' => ".+",
                '?' | '&' => "([?&][^/]*)?",
                _ => SIMPLE,
            });
            rest = behind;
        }
        pattern.push_str(&regex::escape(&normal(rest)));
        pattern.push('$');
        Regex::new(&pattern).ok().map(Self)
    }

    /// Whether a URI fits, in its [`normal`] spelling.
    pub fn fits(&self, normal: &str) -> bool {
        self.0.is_match(normal)
    }
}

/// The one spelling in which URIs are compared (RFC 3986 6.2.2, RFC 6570 3.1).
pub(crate) fn normal(uri: &str) -> String {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_reserved = |byte: u8| b":/?#[]@!$&'()*+,;=".contains(&byte);
    let digit = |at: usize| uri.as_bytes().get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut normal, mut at) = (String::with_capacity(uri.len()), 0);
    while let Some(&byte) = uri.as_bytes().get(at) {
        let escaped = match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        at += if escaped.is_some() { 3 } else { 1 };
        match escaped {
            Some(byte) if is_unreserved(byte) => normal.push(byte.into()),
            None if is_unreserved(byte) || is_reserved(byte) => normal.push(byte.into()),
            escaped => normal.push_str(&format!("%{:02X}", escaped.unwrap_or(byte))),
        }
    }
    normal
}

/// Whether a URI can be handed to a server: of bearable length, without control characters, and without a
/// step upwards in any spelling, which would lead out of what a template is about.
pub(crate) fn is_harmless(uri: &str) -> bool {
    let decoded = uri.replace("%2e", ".").replace("%2E", ".").replace("%2f", "/").replace("%2F", "/");
    let decoded = decoded.replace("%5c", "\\").replace("%5C", "\\");
    (1..=MAX_LEN).contains(&uri.len())
        && !uri.chars().any(char::is_control)
        && !decoded.split(['/', '\\']).any(|part| part == "..")
        // Encoded twice, it may be decoded twice.
        && !uri.to_ascii_lowercase().contains("%25")
        && !uri.contains("%00")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn templates_say_what_fits() {
        let fits = |template: &str, uri: &str| Template::parse(template).expect(template).fits(&normal(uri));
        assert!(fits("demo://text/{id}", "demo://text/7"));
        assert!(!fits("demo://text/{id}", "demo://text/7/8") && !fits("demo://text/{id}", "demo://text/"));
        assert!(!fits("demo://text/{id}", "demo://other/7") && !fits("demo://text/{id}", "x demo://text/7"));
        assert!(fits("file:///{+path}", "file:///a/b.txt"));
        assert!(fits("db://{table}/rows{?limit}", "db://users/rows?limit=3"));
        assert!(fits("db://{table}/rows{?limit}", "db://users/rows"));
        assert!(fits("a.b", "a.b") && !fits("a.b", "axb"));
        assert!(Template::parse("broken://{id").is_none());
    }

    #[test]
    fn every_spelling_of_a_literal_fits() {
        let fits = |template: &str, uri: &str| Template::parse(template).expect(template).fits(&normal(uri));
        for template in
            ["file:///my docs/ü/{name}", "file:///my%20docs/%c3%bc/{name}", "file:///%6dy docs/%C3%BC/{name}"]
        {
            for uri in ["file:///my docs/ü/x", "file:///my%20docs/%C3%BC/x", "file:///my%20docs/%c3%bc/%78"]
            {
                assert!(fits(template, uri), "{template} {uri}");
            }
            assert!(!fits(template, "file:///my+docs/ü/x"), "{template}");
        }
        for uri in ["a://x/%20y", "a://x/%C3%BC", "a://x/50%", "a://x/%01%5B%2E"] {
            assert!(fits("a://x/{name}", uri), "{uri}");
        }
        // What a server may take for a slash is none within a name.
        for uri in ["a://x/b%2Fc", "a://x/b%2fc", "a://x/b%5Cc", "a://x/b%5c", "a://x/%00", "a://x/b/c"] {
            assert!(!fits("a://x/{name}", uri), "{uri}");
        }
    }

    #[test]
    fn steps_upwards_are_refused() {
        for harmless in ["file:///a/b", "demo://x?y=1", "file:///a/..b/c..", "demo://caf%C3%A9"] {
            assert!(is_harmless(harmless), "{harmless}");
        }
        for harmful in [
            "",
            "file:///a/../b",
            "file:///..",
            "..",
            "file:///a/%2e%2e/b",
            "file:///a%2F..%2Fb",
            "file:///a/%2E./b",
            "file:///a\\..\\b",
            "file:///a%5c..%5cb",
            "file:///%252e%252e/b",
            "file:///a%00",
            "a\nb",
            &"x".repeat(4_097),
        ] {
            assert!(!is_harmless(harmful), "{harmful}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(template in ".{0,200}", uri in ".{0,200}") {
            if let Some(template) = Template::parse(&template) {
                template.fits(&normal(&uri));
            }
            is_harmless(&uri);
            let once = normal(&uri);
            prop_assert_eq!(normal(&once), once);
        }
    }
}
