//! Secrets that stand in a link or a cookie: 256 random bits, of which only the digest is kept.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use gatepost_kernel::Secret;
use rand::CryptoRng;
use sha2::{Digest, Sha256};

/// SHA-256 of a token or a recovery code: of so many random bits that nothing slower is needed. Another type
/// than the digest of an API key, so that no key is ever taken for a session. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretDigest(pub [u8; 32]);

impl std::fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretDigest(…)")
    }
}

/// A token that was just made, or that somebody presents.
#[derive(Debug, Clone)]
pub struct OpaqueToken(Secret);

impl OpaqueToken {
    const BYTES: usize = 32;

    /// A fresh one.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; Self::BYTES];
        rng.fill_bytes(&mut bytes);
        Self(Secret::new(BASE64_URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Takes a text that has the form of one: 43 characters of base64url.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == Self::BYTES).then(|| Self(Secret::new(text.to_owned())))
    }

    /// The text, for the one link or cookie that it stands in.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What is kept of it.
    pub fn digest(&self) -> SecretDigest {
        SecretDigest(Sha256::digest(self.expose()).into())
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn a_token_is_read_back_and_found_by_its_digest() {
        let token = OpaqueToken::generate(&mut StdRng::seed_from_u64(1));
        assert_eq!(token.expose().len(), 43);
        let read = OpaqueToken::parse(token.expose()).expect("a token");
        assert_eq!(read.digest(), token.digest());
        assert_eq!(format!("{token:?}"), "OpaqueToken(Secret(…))");
    }

    #[test]
    fn what_has_another_form_is_no_token() {
        let token = OpaqueToken::generate(&mut StdRng::seed_from_u64(1)).expose().to_owned();
        for bad in ["", &token[1..], &format!("{token}A"), &token.replace(&token[..1], "="), "sk_live_x"] {
            assert!(OpaqueToken::parse(bad).is_none(), "{bad:?}");
        }
    }
}
