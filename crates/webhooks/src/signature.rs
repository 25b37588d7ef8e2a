//! Signing: Standard Webhooks 1.0 (`v1`, HMAC-SHA256 in base64) and the contract's own `sha256=` in
//! hexadecimal.

use base64::{Engine, prelude::BASE64_STANDARD};
use gatepost_kernel::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::EndpointSecret;

/// The values of the signature headers of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signatures {
    /// `webhook-signature`: `v1,…` for each secret in force, the newest first, separated by spaces.
    pub standard: String,
    /// `X-Webhook-Signature`: `sha256=…` over the body alone, by the newest secret.
    pub contract: String,
}

/// Signs a payload: `id.timestamp.body` for the standard, the body alone for the contract. `secrets` has the
/// newest first.
pub fn sign(secrets: &[EndpointSecret], id: &str, timestamp: Timestamp, body: &[u8]) -> Signatures {
    let seconds = timestamp.as_seconds().to_string();
    let standard = secrets.iter().map(|secret| {
        let sum = hmac(&secret.standard_key(), &[id.as_bytes(), b".", seconds.as_bytes(), b".", body]);
        format!("v1,{}", BASE64_STANDARD.encode(sum))
    });
    let standard = standard.collect::<Vec<_>>().join(" ");
    let newest = secrets.first().map_or(&[][..], |secret| secret.expose().as_bytes());
    let sum = hmac(newest, &[body]);
    let contract = sum.iter().fold(String::from("sha256="), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
        }
        text
    });
    Signatures { standard, contract }
}

pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // A key of any length is taken; the error type exists for other algorithms.
    let mut sum = match Hmac::<Sha256>::new_from_slice(key) {
        Ok(sum) => sum,
        Err(_) => return [0; 32],
    };
    parts.iter().for_each(|part| sum.update(part));
    sum.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published vector of Standard Webhooks.
    #[test]
    fn agrees_with_the_published_vector() {
        let secret = EndpointSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let at = Timestamp::from_micros(1_614_265_330_000_000);
        let signed = sign(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b"{\"test\": 2432232314}");
        assert_eq!(signed.standard, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    /// RFC 4231, test case 2, whose key is shorter than a secret may be; and GitHub's published example,
    /// which has the form of the contract's header.
    #[test]
    fn agrees_with_published_hmacs() {
        let hex = |sum: [u8; 32]| sum.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(
            hex(hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"])),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let secret = EndpointSecret::parse("It's-a-Secret-to-Everybody").expect("a secret");
        let signed = sign(std::slice::from_ref(&secret), "x", Timestamp::from_micros(0), b"Hello, World!");
        assert_eq!(
            signed.contract,
            format!("sha256={}", hex(hmac(secret.expose().as_bytes(), &[b"Hello, World!"])))
        );
        assert_eq!(
            hex(hmac(b"It's a Secret to Everybody", &[b"Hello, World!"])),
            "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        );
    }

    #[test]
    fn every_secret_in_force_signs_and_the_newest_is_first() {
        let secrets = ["first-secret-of-all", "second-secret-of-all"]
            .map(|s| EndpointSecret::parse(s).expect("a secret"));
        let at = Timestamp::from_micros(0);
        let both = sign(&secrets, "evt_1", at, b"{}").standard;
        let alone = secrets.clone().map(|secret| sign(&[secret], "evt_1", at, b"{}").standard);
        assert_eq!(both, alone.join(" "));
    }
}
