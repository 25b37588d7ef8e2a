//! Rules for texts that people write.

/// The longest name, in characters.
pub const MAX_NAME_CHARS: usize = 255;

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

/// Characters that print nothing, or turn the direction of what follows. Joiners are not among them: scripts need them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

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
