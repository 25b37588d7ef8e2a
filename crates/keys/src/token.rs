//! The secret that a caller presents: a head that names the environment, 30 base62 characters, and 6 of
//! checksum.
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
/// How many characters behind the head may be shown.
const SHOWN_LEN: usize = 3;

/// How tokens begin: the heads of those that are made, and of others that are accepted too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFormat {
    /// Those that are made come first.
    heads: Vec<Heads>,
}

/// What a token begins with in each environment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Heads {
    live: String,
    test: String,
}

/// A prefix that no token can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrefixError {
    /// It does not say where the environment stands.
    NoEnvironment,
    /// It has no character, more than 24, or one that is not a lower-case letter, a digit or an underscore.
    Malformed,
    /// One is the beginning of another.
    Ambiguous,
}

impl TokenFormat {
    /// The prefix of the core contract.
    pub const CORE: &str = "sk_{environment}_";
    /// What stands in a prefix for the environment.
    pub const ENVIRONMENT: &str = "{environment}";
    const MAX_HEAD_LEN: usize = 24;

    /// Tokens begin with `prefix`, in which `{environment}` stands for `live` or `test`; those with one of
    /// `accepted` are still good.
    ///
    /// # Errors
    /// The first error.
    pub fn new<'p>(
        prefix: &'p str,
        accepted: impl IntoIterator<Item = &'p str>,
    ) -> Result<Self, PrefixError> {
        let heads = |prefix: &str| {
            let head = |environment: Environment| {
                let head = prefix.replacen(Self::ENVIRONMENT, environment.as_str(), 1);
                let is_sound = (1..=Self::MAX_HEAD_LEN).contains(&head.len())
                    && head.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
                is_sound.then_some(head).ok_or(PrefixError::Malformed)
            };
            if !prefix.contains(Self::ENVIRONMENT) {
                return Err(PrefixError::NoEnvironment);
            }
            Ok(Heads { live: head(Environment::Live)?, test: head(Environment::Test)? })
        };
        let prefixes = std::iter::once(prefix).chain(accepted);
        let heads = prefixes.map(heads).collect::<Result<Vec<_>, _>>()?;
        let all: Vec<&String> = heads.iter().flat_map(|heads| [&heads.live, &heads.test]).collect();
        let clash = |(place, head): (usize, &&String)| {
            all.iter().enumerate().any(|(other, begun)| other != place && begun.starts_with(head.as_str()))
        };
        if all.iter().enumerate().any(clash) {
            return Err(PrefixError::Ambiguous);
        }
        Ok(Self { heads })
    }

    /// What tokens of an environment begin with that are made now.
    pub fn head(&self, environment: Environment) -> &str {
        let Heads { live, test } = &self.heads[0];
        match environment {
            Environment::Live => live,
            Environment::Test => test,
        }
    }

    /// All heads of tokens that are accepted, those that are made now first.
    pub fn heads(&self) -> impl Iterator<Item = &str> {
        self.heads.iter().flat_map(|heads| [heads.live.as_str(), heads.test.as_str()])
    }

    /// Whether `text` begins as a token does. For whoever must not repeat one, whole or in part.
    pub fn begins(&self, text: &str) -> bool {
        self.environment_of(text).is_some()
    }

    /// The environment that the head of `text` names, and how long the head is.
    fn environment_of(&self, text: &str) -> Option<(Environment, usize)> {
        self.heads.iter().find_map(|heads| {
            let begins = |head: &str| text.starts_with(head).then_some(head.len());
            let live = begins(&heads.live).map(|len| (Environment::Live, len));
            live.or_else(|| begins(&heads.test).map(|len| (Environment::Test, len)))
        })
    }

    /// The environment that a token names, and how long its head is, if its form and its checksum are right.
    fn check(&self, text: &str) -> Option<(Environment, usize)> {
        let (environment, head_len) = self.environment_of(text)?;
        if text.len() != head_len + BODY_LEN + CHECKSUM_LEN || !text.is_ascii() {
            return None;
        }
        let (before, sum) = text.split_at(head_len + BODY_LEN);
        let sound = before[head_len..].bytes().all(|b| b.is_ascii_alphanumeric())
            && checksum(before.as_bytes()) == sum.as_bytes();
        sound.then_some((environment, head_len))
    }

    /// How many tokens are in `text`: with the right form and the right checksum. For whoever looks where
    /// none should be.
    pub fn count(&self, text: &[u8]) -> usize {
        let all = self.heads.iter().flat_map(|heads| [&heads.live, &heads.test]);
        let of_head = |head: &String| {
            let candidates = text.windows(head.len() + BODY_LEN + CHECKSUM_LEN);
            let candidates = candidates.filter(|window| window.starts_with(head.as_bytes()));
            candidates
                .filter_map(|window| std::str::from_utf8(window).ok())
                .filter(|text| self.check(text).is_some())
                .count()
        };
        all.map(of_head).sum()
    }
}

/// The format of the core contract: `sk_live_` and `sk_test_`.
impl Default for TokenFormat {
    fn default() -> Self {
        let heads =
            |environment: Environment| Self::CORE.replacen(Self::ENVIRONMENT, environment.as_str(), 1);
        Self { heads: vec![Heads { live: heads(Environment::Live), test: heads(Environment::Test) }] }
    }
}

/// A well-formed token, whether or not a key belongs to it.
#[derive(Debug, Clone)]
pub struct Token {
    environment: Environment,
    head_len: usize,
    text: Secret,
}

impl Token {
    /// A fresh token.
    pub fn generate(format: &TokenFormat, environment: Environment, rng: &mut impl CryptoRng) -> Self {
        let head = format.head(environment);
        let mut text = format!("{head}{}", random::base62(rng, BODY_LEN));
        text.extend(checksum(text.as_bytes()).map(char::from));
        Self { environment, head_len: head.len(), text: Secret::new(text) }
    }

    /// Reads a token; `None` if its form or its checksum is wrong.
    pub fn parse(format: &TokenFormat, text: &str) -> Option<Self> {
        let (environment, head_len) = format.check(text)?;
        Some(Self { environment, head_len, text: Secret::new(text.to_owned()) })
    }

    /// The environment that the token names.
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// The part that lists and logs may show: the head and three characters.
    pub fn prefix(&self) -> &str {
        &self.text.expose()[..self.head_len + SHOWN_LEN]
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

/// A text that is no token: another form, another head, or a letter mistyped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenError;

impl std::fmt::Display for TokenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not an API key: its form or its checksum is wrong")
    }
}

impl std::error::Error for TokenError {}

impl std::str::FromStr for Token {
    type Err = TokenError;

    /// Reads a token of the usual format, `sk_live_…` or `sk_test_…`.
    fn from_str(text: &str) -> Result<Self, TokenError> {
        Self::parse(&TokenFormat::default(), text).ok_or(TokenError)
    }
}

/// The SHA-256 of a token: what the database holds. Compared in constant time; `Debug` does not show it.
#[derive(Clone, Copy)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of a token where it stands, without a copy of it; `None` if its form or its checksum is
    /// wrong.
    pub fn of(format: &TokenFormat, token: &str) -> Option<Self> {
        format.check(token).map(|_| Self(Sha256::digest(token).into()))
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
        Token::generate(&TokenFormat::default(), environment, &mut StdRng::seed_from_u64(seed))
            .into_secret()
            .expose()
            .to_owned()
    }

    /// The widely published sample `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`: same CRC, same alphabet, same
    /// padding; GitHub takes the sum over the body alone.
    #[test]
    fn agrees_with_githubs_known_sample() {
        assert_eq!(&checksum(b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ"), b"0mLq17");
    }

    #[test]
    fn debug_shows_nothing_of_the_secret() {
        let token =
            Token::generate(&TokenFormat::default(), Environment::Live, &mut StdRng::seed_from_u64(1));
        assert_eq!(format!("{token:?}"), "Token { environment: Live, head_len: 8, text: Secret(…) }");
        assert_eq!(format!("{:?}", token.digest()), "TokenDigest(…)");
    }

    #[test]
    fn a_text_begins_as_a_token_of_this_format_does() {
        let format = TokenFormat::default();
        assert!(
            format.begins("sk_live_")
                && format.begins("sk_test_1")
                && format.begins(&token(3, Environment::Test))
        );
        assert!(!format.begins("load_test_1") && !format.begins("sk_liv") && !format.begins(""));
    }

    #[test]
    fn tokens_are_found_in_a_text_and_what_only_looks_like_one_is_not() {
        let key = token(3, Environment::Test);
        assert_eq!(TokenFormat::default().count(format!("log: {key} and {key}.").as_bytes()), 2);
        assert_eq!(TokenFormat::default().count(key.replacen("test", "live", 1).as_bytes()), 0);
        assert_eq!(TokenFormat::default().count(b"sk_live_abc123def456ghi789..."), 0);
    }

    proptest! {
        #[test]
        fn what_is_generated_is_read(seed: u64, live: bool) {
            let environment = if live { Environment::Live } else { Environment::Test };
            let text = token(seed, environment);
            let read = Token::parse(&TokenFormat::default(), &text).expect("a generated token");
            prop_assert_eq!(read.environment(), environment);
            prop_assert_eq!(read.prefix(), &text[..11]);
        }

        #[test]
        fn one_wrong_character_is_refused(seed: u64, place in 0..44usize, with in 0..62usize) {
            let mut bytes = token(seed, Environment::Live).into_bytes();
            prop_assume!(bytes[place] != random::BASE62[with]);
            bytes[place] = random::BASE62[with];
            prop_assert!(Token::parse(&TokenFormat::default(), std::str::from_utf8(&bytes).expect("ascii")).is_none());
        }

        #[test]
        fn a_swapped_environment_is_refused(seed: u64) {
            let swapped = token(seed, Environment::Live).replacen("live", "test", 1);
            prop_assert!(Token::parse(&TokenFormat::default(), &swapped).is_none());
        }

        #[test]
        fn any_text_is_read_without_panic(text: String) {
            prop_assert!(Token::parse(&TokenFormat::default(), &text).is_none());
        }
    }
}
