//! Rules for texts that people write.

use std::borrow::Cow;

#[cfg(feature = "text")]
use unicode_normalization::UnicodeNormalization;
#[cfg(feature = "text")]
use url::Url;

/// The longest name, in characters.
pub const MAX_NAME_CHARS: usize = 255;
/// The longest address of a page, in bytes, as it is stored.
pub const MAX_URL_BYTES: usize = 2_048;

/// How much of what a caller sent is told back to it, in characters.
const MAX_ECHO_CHARS: usize = 64;

/// What is said of a field that is missing, which people call `label`.
pub fn required(label: &str) -> String {
    format!("The {label} field is required.")
}

/// What a caller sent, as it is told back: whole, or how it begins.
pub fn brief(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_ECHO_CHARS) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}

/// A text in its one spelling of Unicode (NFC): file names and some keyboards write `é` as an `e` and an
/// accent.
#[cfg(feature = "text")]
pub fn composed(text: &str) -> String {
    text.nfc().collect()
}

/// The words of a text: runs of letters and digits, in lower case.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase)
}

/// A name as it is stored: in NFC, without spaces at its ends, 1–255 characters, no control characters,
/// nothing invisible that would let one name pass for another.
///
/// # Errors
/// The error as a sentence about the field `field`.
#[cfg(feature = "text")]
pub fn name(field: &str, text: &str) -> Result<String, String> {
    let name = composed(text.trim_matches(' '));
    if name.chars().all(char::is_whitespace) {
        return Err(required(field));
    }
    if name.chars().count() > MAX_NAME_CHARS {
        return Err(format!("The {field} may not be greater than {MAX_NAME_CHARS} characters."));
    }
    if name.chars().any(|c| c.is_control() || is_invisible(c)) {
        return Err(format!("The {field} may not contain control characters."));
    }
    Ok(name)
}

/// The address of a page of the web, in its one spelling: lower-case host, no default port, nothing
/// unescaped, escapes in capitals. At most [`MAX_URL_BYTES`], and without a user name or password, which are
/// not for storing.
///
/// # Errors
/// The error as a sentence about the field `field`.
#[cfg(feature = "text")]
pub fn web_url(field: &str, text: &str) -> Result<Url, String> {
    let url = long_web_url(field, text)?;
    if url.as_str().len() > MAX_URL_BYTES {
        return Err(format!("The {field} may not be greater than {MAX_URL_BYTES} characters."));
    }
    Ok(url)
}

/// The same, of any length.
///
/// # Errors
/// The error as a sentence about the field `field`.
#[cfg(feature = "text")]
pub fn long_web_url(field: &str, text: &str) -> Result<Url, String> {
    let clean = !text.chars().any(|c| c.is_control() || c.is_whitespace());
    let url = Url::parse(text).ok().filter(|url| clean && matches!(url.scheme(), "http" | "https"));
    let url = url.and_then(with_capital_escapes);
    let Some(url) = url else { return Err(format!("The {field} must be an absolute http or https URL.")) };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("The {field} may not contain a user name or password."));
    }
    Ok(url)
}

/// `%e8` is `%E8` (RFC 3986, 6.2.2.1).
#[cfg(feature = "text")]
fn with_capital_escapes(url: Url) -> Option<Url> {
    let mut text = url.as_str().as_bytes().to_vec();
    let mut changed = false;
    for index in 0..text.len().saturating_sub(2) {
        let is_escape = text[index] == b'%' && text[index + 1..index + 3].iter().all(u8::is_ascii_hexdigit);
        if is_escape && text[index + 1..index + 3].iter().any(u8::is_ascii_lowercase) {
            text[index + 1..index + 3].make_ascii_uppercase();
            changed = true;
        }
    }
    if !changed {
        return Some(url);
    }
    Url::parse(std::str::from_utf8(&text).ok()?).ok()
}

/// Characters that print nothing, or turn the direction of what follows. Joiners are not among them: scripts
/// need them.
#[cfg(feature = "text")]
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(all(test, feature = "text"))]
mod tests {
    use super::*;

    #[test]
    fn words_are_letters_and_digits() {
        let words = |text| words(text).collect::<Vec<_>>();
        assert_eq!(words("Checkout-service (EU), v2"), ["checkout", "service", "eu", "v2"]);
        assert_eq!(words("ÖLWERK Süd 東京"), ["ölwerk", "süd", "東京"]);
        assert!(words("!!").is_empty());
    }

    #[test]
    fn addresses_have_one_spelling() {
        let stored = |text| web_url("url", text).map(String::from);
        assert_eq!(stored("HTTP://Example.com:80/a b").ok(), None);
        assert_eq!(stored("HTTP://Example.com:80/ä").as_deref(), Ok("http://example.com/%C3%A4"));
        assert_eq!(
            stored("http://x.test/%e8%aE%ba?q=%c3%a4&p=100%").as_deref(),
            Ok("http://x.test/%E8%AE%BA?q=%C3%A4&p=100%")
        );
        assert_eq!(stored("http://x.test/论"), stored("http://x.test/%e8%ae%ba"));
        let long = format!("https://example.com/{}", "x".repeat(2_040));
        assert!(long_web_url("url", &long).is_ok());
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
        assert_eq!(name("name", "Cafe\u{301}"), Ok("Café".into()));
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

    #[test]
    fn long_texts_are_told_back_by_their_beginning() {
        let text = "é".repeat(64);
        assert_eq!(brief(&text), text);
        assert_eq!(brief(&(text.clone() + "x")), text + "…");
    }
}
