//! The secret that a caller presents: `sk_{live|test}_` + 30 base62 characters + 6 of checksum.
//!
//! The 30 characters carry 178 random bits, so a plain SHA-256 is enough to store. The checksum is the CRC-32
//! (IEEE) of everything before it, in base62, padded to six; it keeps no one out, but a typo, or a live token
//! with its environment swapped, is refused without any look-up.

use gatepost_kernel::{Environment, Secret, random};
use rand::CryptoRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const BODY_LEN: usize = 30;
const CHECKSUM_LEN: usize = 6;
const HEAD_LEN: usize = "sk_live_".len();
const TOKEN_LEN: usize = HEAD_LEN + BODY_LEN + CHECKSUM_LEN;
/// How much of a token may be shown: the head and three characters.
const SHOWN_LEN: usize = HEAD_LEN + 3;

/// A well-formed token, whether or not a key belongs to it.
#[derive(Debug, Clone)]
pub struct Token {
    environment: Environment,
    text: Secret,
}

impl Token {
    /// A fresh token.
    pub fn generate(environment: Environment, rng: &mut impl CryptoRng) -> Self {
        let mut text = format!("sk_{environment}_{}", random::base62(rng, BODY_LEN));
        text.extend(checksum(text.as_bytes()).map(char::from));
        Self { environment, text: Secret::new(text) }
    }

    /// Reads a token; `None` if its form or its checksum is wrong.
    pub fn parse(text: &str) -> Option<Self> {
        let environment = well_formed(text)?;
        Some(Self { environment, text: Secret::new(text.to_owned()) })
    }

    /// The environment that the token names.
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// The part that lists and logs may show, e.g. `sk_live_abc`.
    pub fn prefix(&self) -> &str {
        &self.text.expose()[..SHOWN_LEN]
    }

    /// What is stored and looked up.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(self.text.expose()).into())
    }

    /// The whole token, for the one answer that shows it.
    pub fn into_secret(self) -> Secret {
        self.text
    }

    /// The whole token, for what is derived from it.
    pub fn secret(&self) -> &Secret {
        &self.text
    }
}

/// The environment that a token names, if its form and its checksum are right.
fn well_formed(text: &str) -> Option<Environment> {
    if text.len() != TOKEN_LEN || !text.is_ascii() {
        return None;
    }
    let environment = match &text[..HEAD_LEN] {
        "sk_live_" => Environment::Live,
        "sk_test_" => Environment::Test,
        _ => return None,
    };
    let (before, sum) = text.split_at(TOKEN_LEN - CHECKSUM_LEN);
    let sound = before[HEAD_LEN..].bytes().all(|b| b.is_ascii_alphanumeric())
        && checksum(before.as_bytes()) == sum.as_bytes();
    sound.then_some(environment)
}

/// How many tokens are in `text`: with the right form and the right checksum. For whoever looks where none should be.
pub fn count_tokens(text: &[u8]) -> usize {
    let candidates = text.windows(TOKEN_LEN).filter(|window| window.starts_with(b"sk_"));
    candidates
        .filter_map(|window| std::str::from_utf8(window).ok())
        .filter(|text| Token::parse(text).is_some())
        .count()
}

/// The SHA-256 of a token: what the database holds. Compared in constant time; `Debug` does not show it.
#[derive(Clone, Copy)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of a token where it stands, without a copy of it; `None` if its form or its checksum is wrong.
    pub fn of(token: &str) -> Option<Self> {
        well_formed(token).map(|_| Self(Sha256::digest(token).into()))
    }

    /// A digest read back from where it was stored.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for TokenDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenDigest {}

impl std::hash::Hash for TokenDigest {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl std::fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenDigest(…)")
    }
}

/// The CRC-32 (IEEE) of `bytes` in base62, left-padded with `0` to six characters.
fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut rest = crc32fast::hash(bytes);
    let mut digits = [b'0'; CHECKSUM_LEN];
    for digit in digits.iter_mut().rev() {
        *digit = random::BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn token(seed: u64, environment: Environment) -> String {
        Token::generate(environment, &mut StdRng::seed_from_u64(seed)).into_secret().expose().to_owned()
    }

    /// The widely published sample `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`: same CRC, same alphabet, same
    /// padding; GitHub takes the sum over the body alone.
    #[test]
    fn agrees_with_githubs_known_sample() {
        assert_eq!(&checksum(b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ"), b"0mLq17");
    }

    #[test]
    fn debug_shows_nothing_of_the_secret() {
        let token = Token::generate(Environment::Live, &mut StdRng::seed_from_u64(1));
        assert_eq!(format!("{token:?}"), "Token { environment: Live, text: Secret(…) }");
        assert_eq!(format!("{:?}", token.digest()), "TokenDigest(…)");
    }

    #[test]
    fn tokens_are_found_in_a_text_and_what_only_looks_like_one_is_not() {
        let key = token(3, Environment::Test);
        assert_eq!(count_tokens(format!("log: {key} and {key}.").as_bytes()), 2);
        assert_eq!(count_tokens(key.replacen("test", "live", 1).as_bytes()), 0);
        assert_eq!(count_tokens(b"sk_live_abc123def456ghi789..."), 0);
    }

    proptest! {
        #[test]
        fn what_is_generated_is_read(seed: u64, live: bool) {
            let environment = if live { Environment::Live } else { Environment::Test };
            let text = token(seed, environment);
            let read = Token::parse(&text).expect("a generated token");
            prop_assert_eq!(read.environment(), environment);
            prop_assert_eq!(read.prefix(), &text[..11]);
        }

        #[test]
        fn one_wrong_character_is_refused(seed: u64, place in 0..TOKEN_LEN, with in 0..62usize) {
            let mut bytes = token(seed, Environment::Live).into_bytes();
            prop_assume!(bytes[place] != random::BASE62[with]);
            bytes[place] = random::BASE62[with];
            prop_assert!(Token::parse(std::str::from_utf8(&bytes).expect("ascii")).is_none());
        }

        #[test]
        fn a_swapped_environment_is_refused(seed: u64) {
            let swapped = token(seed, Environment::Live).replacen("live", "test", 1);
            prop_assert!(Token::parse(&swapped).is_none());
        }

        #[test]
        fn any_text_is_read_without_panic(text: String) {
            prop_assert!(Token::parse(&text).is_none());
        }
    }
}
