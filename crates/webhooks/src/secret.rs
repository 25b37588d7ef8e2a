//! What an endpoint's payloads are signed with.

use base64::{Engine, prelude::BASE64_STANDARD};
use gatepost_kernel::Secret;
use rand::CryptoRng;

const PREFIX: &str = "whsec_";
const GENERATED_BYTES: usize = 32;
/// How many decoded bytes make a Standard Webhooks secret.
const STANDARD_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=256;

/// The secret of an endpoint: generated, `whsec_` and base64 of 32 bytes, or given, 16 to 256 printable characters.
#[derive(Debug, Clone)]
pub struct EndpointSecret(Secret);

/// Why a text cannot be a secret. `Display` does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 16 to 256 printable ASCII characters without spaces")]
pub struct SecretFault;

impl EndpointSecret {
    /// A fresh secret.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0u8; GENERATED_BYTES];
        rng.fill_bytes(&mut bytes);
        Self(Secret::new(format!("{PREFIX}{}", BASE64_STANDARD.encode(bytes))))
    }

    /// Takes a secret that was chosen by somebody else.
    ///
    /// # Errors
    /// [`SecretFault`].
    pub fn parse(text: &str) -> Result<Self, SecretFault> {
        let sound = LENGTHS.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if sound { Ok(Self(Secret::new(text.to_owned()))) } else { Err(SecretFault) }
    }

    /// The whole text, for the one answer that shows it and for where it is stored.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The key of `v1`: the decoded bytes where what follows `whsec_` is base64 of 24 to 64 bytes, as Standard Webhooks has
    /// it; else the text as it is.
    pub(crate) fn standard_key(&self) -> Vec<u8> {
        let text = self.expose();
        let decoded = text.strip_prefix(PREFIX).and_then(|rest| BASE64_STANDARD.decode(rest).ok());
        decoded
            .filter(|bytes| STANDARD_BYTES.contains(&bytes.len()))
            .unwrap_or_else(|| text.as_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn secrets_are_taken_within_their_bounds_and_never_printed() {
        for (text, sound) in [
            ("0123456789abcdef", true),
            ("0123456789abcde", false),
            ("with a space in it", false),
            ("with\na\nnewline\nin it", false),
            ("é is not ascii, is it", false),
            (&"x".repeat(256), true),
            (&"x".repeat(257), false),
        ] {
            assert_eq!(EndpointSecret::parse(text).is_ok(), sound, "{text}");
        }
        let secret = EndpointSecret::generate(&mut StdRng::seed_from_u64(1));
        assert_eq!(format!("{secret:?}"), "EndpointSecret(Secret(…))");
        assert_eq!((secret.expose().len(), secret.standard_key().len()), (6 + 44, 32));
    }

    #[test]
    fn only_a_standard_secret_is_decoded() {
        let key = |text: &str| EndpointSecret::parse(text).expect("a secret").standard_key();
        assert_eq!(key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").len(), 24);
        // The core contract's example is not base64, a short one is too short, and without the prefix it is a text.
        for text in ["whsec_abc123def456...", "whsec_c2hvcnQgc2VjcmV0", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            assert_eq!(key(text), text.as_bytes(), "{text}");
        }
    }
}
