//! Addresses of people.

use std::fmt;

use email_address::{EmailAddress, Options};
use serde::Serialize;

/// An e-mail address as it was written. Two that differ in case alone are one ([`Email::folded`]).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// The most bytes, as SMTP has it.
    pub const MAX_LEN: usize = 254;

    /// Takes a text that is an address with a domain: no quoted local part, no address literal, no name
    /// before it.
    pub fn parse(text: &str) -> Option<Self> {
        let options = Options::default().with_required_tld().without_domain_literal().without_display_text();
        let text = text.trim_matches(' ');
        let fits = text.len() <= Self::MAX_LEN && !text.contains('"');
        (fits && EmailAddress::parse_with_options(text, options).is_ok()).then(|| Self(text.to_owned()))
    }

    /// One that was parsed before it was stored.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The address as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is found by: in lower case.
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }

    /// What stands before the `@`.
    pub fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or(&self.0, |(local, _)| local)
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_as_it_was_written() {
        let email = Email::parse(" Ada.Lovelace+keys@Example.com ").expect("an address");
        assert_eq!(email.as_str(), "Ada.Lovelace+keys@Example.com");
        assert_eq!(email.folded(), "ada.lovelace+keys@example.com");
        assert_eq!(email.local_part(), "Ada.Lovelace+keys");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(250));
        for bad in [
            "",
            "ada",
            "ada@",
            "@example.com",
            "ada@localhost",
            "ada@[127.0.0.1]",
            "\"ada b\"@example.com",
            "Ada <ada@example.com>",
            "ada@example.com\r\nBcc: x@example.com",
            "ada@exa mple.com",
            &long,
        ] {
            assert_eq!(Email::parse(bad), None, "{bad:?}");
        }
    }
}
