//! The URIs of resources: whether one is among those that a server offers.

use regex::Regex;

/// The longest URI that is looked at.
const MAX_LEN: usize = 4_096;

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
            pattern.push_str(&regex::escape(literal));
            pattern.push_str(match expression.chars().next()? {
                // These reach over slashes.
                '+' | '#' | '/' => ".+",
                '?' | '&' => "([?&][^/]*)?",
                _ => "[^/?#]+",
            });
            rest = behind;
        }
        pattern.push_str(&regex::escape(rest));
        pattern.push('$');
        Regex::new(&pattern).ok().map(Self)
    }

    /// Whether a URI fits.
    pub fn fits(&self, uri: &str) -> bool {
        self.0.is_match(uri)
    }
}

/// Whether a URI can be handed to a server: of bearable length, without control characters, and without a step upwards in any
/// spelling, which would lead out of what a template is about.
pub(crate) fn is_harmless(uri: &str) -> bool {
    let decoded = uri.replace("%2e", ".").replace("%2E", ".").replace("%2f", "/").replace("%2F", "/");
    let decoded = decoded.replace("%5c", "\\").replace("%5C", "\\");
    (1..=MAX_LEN).contains(&uri.len())
        && !uri.chars().any(char::is_control)
        && !decoded.split(['/', '\\']).any(|part| part == "..")
        // Encoded twice, it may be decoded twice.
        && !uri.to_ascii_lowercase().contains("%25")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn templates_say_what_fits() {
        let fits = |template: &str, uri: &str| Template::parse(template).expect(template).fits(uri);
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
                template.fits(&uri);
            }
            is_harmless(&uri);
        }
    }
}
