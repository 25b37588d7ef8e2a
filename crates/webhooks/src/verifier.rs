//! Verifying what was received: for receivers, which can use this crate alone.

use std::{collections::HashMap, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
#[cfg(feature = "ed25519")]
use ed25519_dalek::{Signature, VerifyingKey};
use gatepost_kernel::Timestamp;
use subtle::ConstantTimeEq;

use crate::{EndpointSecret, signature::hmac};

const TOLERANCE: Duration = Duration::from_secs(300);
#[cfg(feature = "ed25519")]
const PUBLIC_PREFIX: &str = "whpk_";

/// The headers of a received request. Names are asked for in lower case and must be found in any.
pub trait Headers {
    /// The value of the header.
    fn header(&self, name: &str) -> Option<&str>;
}

impl<K: AsRef<str>, V: AsRef<str>> Headers for [(K, V)] {
    fn header(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| key.as_ref().eq_ignore_ascii_case(name)).map(|(_, value)| value.as_ref())
    }
}

impl<K: AsRef<str>, V: AsRef<str>, const N: usize> Headers for [(K, V); N] {
    fn header(&self, name: &str) -> Option<&str> {
        self.as_slice().header(name)
    }
}

impl Headers for HashMap<String, String> {
    fn header(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

#[cfg(feature = "http")]
impl Headers for http::HeaderMap {
    fn header(&self, name: &str) -> Option<&str> {
        self.get(name)?.to_str().ok()
    }
}

/// Why a request must not be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A header is missing.
    #[error("the header {0} is missing")]
    Missing(&'static str),
    /// The timestamp is not a whole number of seconds.
    #[error("webhook-timestamp is not a number of seconds")]
    Timestamp,
    /// It was signed too long ago, or in the future; perhaps somebody sends it again.
    #[error("webhook-timestamp is {0} s away from now, more than 300")]
    Tolerance(u64),
    /// No signature is by one of the keys.
    #[error(
        "no signature in webhook-signature fits; was the body changed on its way, or the secret another one?"
    )]
    Signature,
    /// It is not `whpk_` and base64 of an ed25519 key.
    #[error("not a public key: expected whpk_ and base64 of 32 bytes")]
    PublicKey,
}

/// Believes what was signed by one of its keys, within 300 seconds of now.
#[derive(Debug, Clone, Default)]
pub struct Verifier {
    secrets: Vec<EndpointSecret>,
    #[cfg(feature = "ed25519")]
    public_keys: Vec<VerifyingKey>,
}

impl Verifier {
    /// Believes signatures by this secret (`v1`).
    pub fn new(secret: EndpointSecret) -> Self {
        Self::default().or(secret)
    }

    /// Believes signatures by this secret too, as during a rotation.
    #[must_use]
    pub fn or(mut self, secret: EndpointSecret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Believes ed25519 signatures (`v1a`) by this key too: `whpk_` and base64.
    ///
    /// # Errors
    /// [`VerifyError::PublicKey`].
    #[cfg(feature = "ed25519")]
    pub fn or_public_key(mut self, key: &str) -> Result<Self, VerifyError> {
        let bytes = key.strip_prefix(PUBLIC_PREFIX).and_then(|text| BASE64_STANDARD.decode(text).ok());
        let bytes: [u8; 32] = bytes.and_then(|b| b.try_into().ok()).ok_or(VerifyError::PublicKey)?;
        self.public_keys.push(VerifyingKey::from_bytes(&bytes).map_err(|_| VerifyError::PublicKey)?);
        Ok(self)
    }

    /// Checks a request: its headers `webhook-id`, `webhook-timestamp` and `webhook-signature`, and its body
    /// as it was received, byte for byte. `now` is [`SystemTime::now`](std::time::SystemTime::now) but in
    /// tests.
    ///
    /// # Errors
    /// [`VerifyError`]; then nothing of the request may be believed.
    pub fn verify<H: Headers + ?Sized>(
        &self,
        headers: &H,
        body: &[u8],
        now: impl Into<Timestamp>,
    ) -> Result<(), VerifyError> {
        let header = |name| headers.header(name).ok_or(VerifyError::Missing(name));
        let (id, timestamp) = (header("webhook-id")?, header("webhook-timestamp")?);
        let signatures = header("webhook-signature")?;
        let digits = !timestamp.is_empty() && timestamp.bytes().all(|b| b.is_ascii_digit());
        let seconds: i64 = timestamp.parse().ok().filter(|_| digits).ok_or(VerifyError::Timestamp)?;
        let away = seconds.abs_diff(now.into().as_seconds());
        if away > TOLERANCE.as_secs() {
            return Err(VerifyError::Tolerance(away));
        }
        let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
        let fits = |signature: &str| match signature.split_once(',') {
            Some(("v1", sum)) => self.fits_secret(sum, &signed),
            #[cfg(feature = "ed25519")]
            Some(("v1a", signature)) => self.fits_public_key(signature, &signed),
            _ => false,
        };
        if signatures.split(' ').any(fits) { Ok(()) } else { Err(VerifyError::Signature) }
    }

    fn fits_secret(&self, sum: &str, signed: &[&[u8]]) -> bool {
        let Ok(sum) = BASE64_STANDARD.decode(sum) else { return false };
        // The comparison of unequal lengths is false, so an empty sum fits nothing.
        self.secrets.iter().any(|secret| hmac(&secret.standard_key(), signed)[..].ct_eq(&sum).into())
    }

    #[cfg(feature = "ed25519")]
    fn fits_public_key(&self, signature: &str, signed: &[&[u8]]) -> bool {
        let bytes = BASE64_STANDARD.decode(signature).ok();
        let Some(signature) = bytes.and_then(|bytes| Signature::from_slice(&bytes).ok()) else {
            return false;
        };
        let message = signed.concat();
        self.public_keys.iter().any(|key| key.verify_strict(&message, &signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};
    use proptest::prelude::*;

    use super::*;
    use crate::sign;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = b"{\"test\": 2432232314}";
    const SUM: &str = "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn verifier() -> Verifier {
        Verifier::new(EndpointSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret"))
    }

    fn verify(signatures: &str, timestamp: &str, now: i64) -> Result<(), VerifyError> {
        let headers =
            [("Webhook-Id", ID), ("Webhook-Timestamp", timestamp), ("Webhook-Signature", signatures)];
        verifier().verify(&headers, BODY, at(now))
    }

    #[test]
    fn a_signature_counts_wherever_it_stands() {
        let (good, bad) = (format!("v1,{SUM}"), "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        for list in [good.clone(), format!("{bad} {good}"), format!("{good} {bad}"), format!("v2,x {good}  ")]
        {
            assert_eq!(verify(&list, "1614265330", 1_614_265_330), Ok(()), "{list}");
        }
        let cut = &good[..good.len() - 4];
        for list in ["", "v1,", "v1", ",", bad, cut, SUM, &format!("v1a,{SUM}"), &format!("v1={SUM}")] {
            assert_eq!(verify(list, "1614265330", 1_614_265_330), Err(VerifyError::Signature), "{list}");
        }
    }

    #[test]
    fn old_and_future_requests_are_not_believed() {
        let good = format!("v1,{SUM}");
        for (now, expected) in [
            (1_614_265_330 + 300, Ok(())),
            (1_614_265_330 - 300, Ok(())),
            (1_614_265_330 + 301, Err(VerifyError::Tolerance(301))),
            (1_614_265_330 - 301, Err(VerifyError::Tolerance(301))),
        ] {
            assert_eq!(verify(&good, "1614265330", now), expected);
        }
        for timestamp in
            ["", "soon", "1614265330.5", " 1614265330", "+1614265330", "-1", "99999999999999999999"]
        {
            assert_eq!(verify(&good, timestamp, 1_614_265_330), Err(VerifyError::Timestamp), "{timestamp}");
        }
        let missing = verifier().verify(&[("webhook-id", ID)], BODY, at(0));
        assert_eq!(missing, Err(VerifyError::Missing("webhook-timestamp")));
    }

    #[test]
    fn ed25519_is_believed_by_its_public_key() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = format!("whpk_{}", BASE64_STANDARD.encode(key.verifying_key().as_bytes()));
        let signed = [ID.as_bytes(), b".1614265330.", BODY].concat();
        let signature = BASE64_STANDARD.encode(key.sign(&signed).to_bytes());
        let headers = [
            ("webhook-id", ID.to_owned()),
            ("webhook-timestamp", "1614265330".to_owned()),
            ("webhook-signature", format!("v1a,{signature}")),
        ];
        let both = verifier().or_public_key(&public).expect("a key");
        assert_eq!(both.verify(&headers, BODY, at(1_614_265_330)), Ok(()));
        assert_eq!(verifier().verify(&headers, BODY, at(1_614_265_330)), Err(VerifyError::Signature));
        assert_eq!(both.verify(&headers, b"{}", at(1_614_265_330)), Err(VerifyError::Signature));
        for bad in ["", "whpk_", "whpk_AAAA", public.trim_start_matches("whpk_")] {
            assert!(verifier().or_public_key(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_signed_is_verified_and_any_change_is_seen(
            secret in "[!-~]{16,64}", other in "[!-~]{16,64}", body: Vec<u8>, place: prop::sample::Index, flip in 1..=255u8,
        ) {
            prop_assume!(secret != other);
            let secret = EndpointSecret::parse(&secret).expect("a secret");
            let other = EndpointSecret::parse(&other).expect("a secret");
            let signature = sign(std::slice::from_ref(&secret), "evt_1", at(1_000), &body).standard;
            let headers = [("webhook-id", "evt_1"), ("webhook-timestamp", "1000"), ("webhook-signature", signature.as_str())];
            let verifier = Verifier::new(secret);
            prop_assert_eq!(verifier.verify(&headers, &body, at(1_100)), Ok(()));
            let stranger = Verifier::new(other.clone());
            prop_assert_eq!(stranger.verify(&headers, &body, at(1_100)), Err(VerifyError::Signature));
            prop_assert_eq!(verifier.clone().or(other).verify(&headers, &body, at(1_100)), Ok(()));
            if !body.is_empty() {
                let mut changed = body.clone();
                changed[place.index(body.len())] ^= flip;
                prop_assert_eq!(verifier.verify(&headers, &changed, at(1_100)), Err(VerifyError::Signature));
            }
        }
    }
}
