//! What an endpoint's payloads are signed with.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use gatepost_kernel::Secret;
#[cfg(feature = "send")]
use rand::CryptoRng;

const PREFIX: &str = "whsec_";
/// What begins like this is another kind of key, or a misspelt prefix.
const FOREIGN_PREFIXES: [&str; 2] = ["whsk_", "hwsec_"];
#[cfg(feature = "send")]
const GENERATED_BYTES: usize = 32;
/// How many decoded bytes make a Standard Webhooks secret.
const STANDARD_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=256;
/// Decodes what the published libraries decode: padding or none, and whatever bits the last character has too
/// many.
const FORGIVING: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The secret of an endpoint: generated, `whsec_` and base64 of 32 bytes, or given, 16 to 256 printable
/// characters.
#[derive(Debug, Clone)]
pub struct EndpointSecret(Secret);

/// Why a text cannot be a secret. `Display` does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It is too short, too long, or holds something that is not printable ASCII.
    #[error("must be 16 to 256 printable ASCII characters without spaces")]
    Characters,
    /// It has the form of a Standard Webhooks secret of another length.
    #[error("must be base64 of 24 to 64 bytes behind whsec_")]
    Length,
    /// It is in the other alphabet of base64, which receivers would decode to something else, or not at all.
    #[error("must be in the standard alphabet of base64 behind whsec_, with + and / instead of - and _")]
    UrlSafe,
    /// It begins like another kind of key.
    #[error("may not begin with whsk_ or hwsec_; a secret is whsec_ with base64, or a text of your own")]
    Prefix,
}

impl EndpointSecret {
    /// A fresh secret.
    #[cfg(feature = "send")]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0u8; GENERATED_BYTES];
        rng.fill_bytes(&mut bytes);
        Self(Secret::new(format!("{PREFIX}{}", base64::prelude::BASE64_STANDARD.encode(bytes))))
    }

    /// Takes a secret that was chosen by somebody else. What sender and receiver could read differently is
    /// refused.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        if !LENGTHS.contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(SecretError::Characters);
        }
        decoded(text)?;
        Ok(Self(Secret::new(text.to_owned())))
    }

    /// Takes a secret back from where it was stored, whatever the rules were when it was given.
    pub fn from_stored(text: Secret) -> Self {
        Self(text)
    }

    /// The whole text, for the one answer that shows it and for where it is stored.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The key of `v1`: the decoded bytes of what is base64 of 24 to 64 bytes, behind `whsec_` or without it,
    /// as Standard Webhooks has it; else the text as it is.
    pub(crate) fn standard_key(&self) -> Vec<u8> {
        let text = self.expose();
        decoded(text).ok().flatten().unwrap_or_else(|| text.as_bytes().to_vec())
    }
}

/// The bytes of a Standard Webhooks secret; none if it is a text.
fn decoded(text: &str) -> Result<Option<Vec<u8>>, SecretError> {
    if FOREIGN_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
        return Err(SecretError::Prefix);
    }
    let (encoded, is_prefixed) = match text.strip_prefix(PREFIX) {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let within = |others: &[u8]| {
        encoded.trim_end_matches('=').bytes().all(|b| b.is_ascii_alphanumeric() || others.contains(&b))
    };
    match (within(b"+/"), is_prefixed) {
        (true, _) => {
            let bytes = FORGIVING.decode(encoded).ok().filter(|bytes| STANDARD_BYTES.contains(&bytes.len()));
            if bytes.is_none() && is_prefixed { Err(SecretError::Length) } else { Ok(bytes) }
        }
        (false, true) if within(b"-_") => Err(SecretError::UrlSafe),
        (false, _) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    /// 24, 23, 64 and 65 bytes.
    const B24: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const B23: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaQ=";

    #[test]
    fn secrets_are_taken_within_their_bounds_and_never_printed() {
        for (text, sound) in [
            ("0123456789.bcdef", true),
            ("0123456789.bcde", false),
            ("with a space in it", false),
            ("with\na\nnewline\nin it", false),
            ("é is not ascii, is it", false),
            (&".".repeat(256), true),
            (&".".repeat(257), false),
        ] {
            assert_eq!(EndpointSecret::parse(text).is_ok(), sound, "{text}");
        }
        let secret = EndpointSecret::generate(&mut StdRng::seed_from_u64(1));
        assert_eq!(format!("{secret:?}"), "EndpointSecret(Secret(…))");
        assert_eq!((secret.expose().len(), secret.standard_key().len()), (6 + 44, 32));
    }

    #[test]
    fn a_given_secret_is_decoded_taken_as_text_or_refused() {
        /// What becomes of a text: so many decoded bytes, itself, or an error.
        #[derive(Debug, PartialEq, Eq)]
        enum Read {
            Bytes(usize),
            Text,
            Fault(SecretError),
        }
        let read = |text: &str| match EndpointSecret::parse(text) {
            Err(error) => Read::Fault(error),
            Ok(secret) if secret.standard_key() == text.as_bytes() => Read::Text,
            Ok(secret) => Read::Bytes(secret.standard_key().len()),
        };
        let (b64, b65) = (BASE64_STANDARD.encode([7; 64]), BASE64_STANDARD.encode([7; 65]));
        let b25 = BASE64_STANDARD.encode([0xfb; 25]);
        for (text, expected) in [
            (format!("whsec_{B24}"), Read::Bytes(24)),
            (format!("whsec_{b64}"), Read::Bytes(64)),
            (format!("whsec_{}", b64.trim_end_matches('=')), Read::Bytes(64)),
            (format!("whsec_{}", b25.trim_end_matches('=')), Read::Bytes(25)),
            (format!("whsec_{}x", &b25[..33]), Read::Bytes(25)),
            (B24.to_owned(), Read::Bytes(24)),
            (b64.trim_end_matches('=').to_owned(), Read::Bytes(64)),
            (format!("whsec_{B23}"), Read::Fault(SecretError::Length)),
            (format!("whsec_{b65}"), Read::Fault(SecretError::Length)),
            (format!("whsec_{B24}="), Read::Fault(SecretError::Length)),
            ("whsec_c2hvcnQgc2VjcmV0".to_owned(), Read::Fault(SecretError::Length)),
            (format!("whsec_{}", b25.replace('+', "-").replace('/', "_")), Read::Fault(SecretError::UrlSafe)),
            ("whsec_my-own_secret-words".to_owned(), Read::Fault(SecretError::UrlSafe)),
            (format!("whsk_{B24}"), Read::Fault(SecretError::Prefix)),
            (format!("hwsec_{B24}"), Read::Fault(SecretError::Prefix)),
            // The core contract's example.
            ("whsec_abc123def456...".to_owned(), Read::Text),
            (format!("whsec_{}=Sw", &B24[..28]), Read::Text),
            (format!("whsec_{}+-", &B24[..30]), Read::Text),
            (B23.to_owned(), Read::Text),
            ("0123456789abcdef".to_owned(), Read::Text),
            (b65, Read::Text),
            (b25.replace('+', "-").replace('/', "_"), Read::Text),
        ] {
            assert_eq!(read(&text), expected, "{text}");
        }
    }

    #[test]
    fn what_was_stored_before_a_rule_still_signs() {
        let text = "whsec_c2hvcnQgc2VjcmV0";
        assert_eq!(EndpointSecret::from_stored(Secret::new(text.to_owned())).standard_key(), text.as_bytes());
    }
}
