//! Rules for texts that people write.

use url::Url;

/// The longest name, in characters.
pub const MAX_NAME_CHARS: usize = 255;
/// The longest address of a page, in bytes, as it is stored.
pub const MAX_URL_BYTES: usize = 2_048;

/// A name as it is stored: without spaces at its ends, 1–255 characters, no control characters, nothing invisible
/// that would let one name pass for another.
///
/// # Errors
/// The fault as a sentence about the field `field`.
pub fn name(field: &str, text: &str) -> Result<String, String> {
    let name = text.trim_matches(' ');
    if name.chars().all(char::is_whitespace) {
        return Err(format!("The {field} field is required."));
    }
    if name.chars().count() > MAX_NAME_CHARS {
        return Err(format!("The {field} may not be greater than {MAX_NAME_CHARS} characters."));
    }
    if name.chars().any(|c| c.is_control() || is_invisible(c)) {
        return Err(format!("The {field} may not contain control characters."));
    }
    Ok(name.to_owned())
}

/// The address of a page of the web, in its one spelling: lower-case host, no default port, nothing unescaped. At most
/// [`MAX_URL_BYTES`], and without a user name or password, which are not for storing.
///
/// # Errors
/// The fault as a sentence about the field `field`.
pub fn web_url(field: &str, text: &str) -> Result<Url, String> {
    let clean = !text.chars().any(|c| c.is_control() || c.is_whitespace());
    let url = Url::parse(text).ok().filter(|url| clean && matches!(url.scheme(), "http" | "https"));
    let Some(url) = url else { return Err(format!("The {field} must be an absolute http or https URL.")) };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("The {field} may not contain a user name or password."));
    }
    if url.as_str().len() > MAX_URL_BYTES {
        return Err(format!("The {field} may not be greater than {MAX_URL_BYTES} characters."));
    }
    Ok(url)
}

/// Characters that print nothing, or turn the direction of what follows. Joiners are not among them: scripts need them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_spelling() {
        let stored = |text| web_url("url", text).map(String::from);
        assert_eq!(stored("HTTP://Example.com:80/a b").ok(), None);
        assert_eq!(stored("HTTP://Example.com:80/ä").as_deref(), Ok("http://example.com/%C3%A4"));
        let long = format!("https://example.com/{}", "x".repeat(2_040));
        for bad in [
            "",
            "example.com",
            "ftp://example.com/",
            "https://",
            "javascript:alert(1)",
            "https://u@x.test/",
            "https://u:p@x.test/",
            "https://x.test/\n",
            &long,
        ] {
            assert!(web_url("url", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(name("name", "  Å b  "), Ok("Å b".into()));
        assert_eq!(name("name", &"é".repeat(255)).map(|n| n.chars().count()), Ok(255));
        // Joiners are part of Persian and Indic names, and of emoji.
        assert!(name("name", "می\u{200c}خواهم").is_ok() && name("name", "👩\u{200d}🚀").is_ok());
        for bad in [
            "Prod\n",
            "\tProd",
            "",
            "   ",
            "\t\n",
            &"x".repeat(256),
            "a\0b",
            "a\u{7f}b",
            "a\u{202e}b",
            "\u{200b}",
        ] {
            assert!(name("name", bad).is_err(), "{bad:?}");
        }
    }
}
