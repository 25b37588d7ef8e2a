//! Looking for API keys in what the tests printed.

use gatepost_keys::Token;

/// The length of a token.
const LEN: usize = 44;

/// How many real tokens are in `text`: with the right form and the right checksum.
pub fn count_keys(text: &[u8]) -> usize {
    text.windows(LEN)
        .filter(|window| window.starts_with(b"sk_"))
        .filter_map(|window| std::str::from_utf8(window).ok())
        .filter(|window| Token::parse(window).is_some())
        .count()
}

#[cfg(test)]
mod tests {
    use super::count_keys;

    #[test]
    fn a_key_is_found_and_what_only_looks_like_one_is_not() {
        // Not a key of any database, but with the right checksum; in pieces, so that this file holds none.
        let key = ["sk_live_", &"0".repeat(30), "1yMVfD"].concat();
        assert_eq!(count_keys(format!("log: {key} and {key}.").as_bytes()), 2);
        let wrong = ["sk_live_", &"0".repeat(30), "000000"].concat();
        assert_eq!(count_keys(wrong.as_bytes()), 0);
        assert_eq!(count_keys(b"sk_live_abc123def456ghi789..."), 0);
    }
}
