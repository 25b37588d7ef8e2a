//! The `Idempotency-Key` of a request, and what tells the request from another with the same key.

use gatepost_kernel::{Error, Result, Secret};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const MAX_KEY_LEN: usize = 255;

/// The key of a request, and what it was used for.
#[derive(Debug)]
pub struct IdempotencyRequest {
    pub(crate) key: String,
    pub(crate) fingerprint: [u8; 32],
}

impl IdempotencyRequest {
    /// Reads the header's value, bare or quoted (both spellings are the same key), for a request with this
    /// token and these parts: method, path, workspace and body.
    ///
    /// # Errors
    /// [`Error::Validation`] if it is not 1–255 visible ASCII characters; [`Error::Internal`] if there is no
    /// fingerprint.
    pub(crate) fn new(value: &[u8], token: &Secret, parts: [&[u8]; 4]) -> Result<Self> {
        let text = std::str::from_utf8(value).unwrap_or_default().trim();
        let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        if !(1..=MAX_KEY_LEN).contains(&bare.len())
            || !bare.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
        {
            let message = "The Idempotency-Key must be 1 to 255 visible ASCII characters.";
            return Err(Error::invalid("Idempotency-Key", message));
        }
        let mut fingerprint = Hmac::<Sha256>::new_from_slice(token.expose().as_bytes())
            .map_err(Error::failed("a fingerprint"))?;
        for part in parts {
            fingerprint.update(&(part.len() as u64).to_be_bytes());
            fingerprint.update(part);
        }
        Ok(Self { key: bare.to_owned(), fingerprint: fingerprint.finalize().into_bytes().into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn quoted_and_bare_are_the_same_key_and_bad_ones_are_refused() {
        let new = |value: &[u8]| IdempotencyRequest::new(value, &secret("token"), [b"POST", b"/", b"1", b""]);
        assert_eq!(new(b"abc").map(|r| r.key).ok(), new(b"\"abc\"").map(|r| r.key).ok());
        for bad in [&b""[..], b"\"\"", b"a\tb", b"\xff", &[b'x'; 256]] {
            assert!(new(bad).is_err());
        }
    }

    #[test]
    fn the_fingerprint_covers_every_part_and_the_token() {
        let print = |token: &str, parts: [&[u8]; 4]| {
            IdempotencyRequest::new(b"k", &secret(token), parts).expect("a request").fingerprint
        };
        let base = print("token", [b"POST", b"/a", b"1", b"x"]);
        let others = [
            print("other", [b"POST", b"/a", b"1", b"x"]),
            print("token", [b"PUT", b"/a", b"1", b"x"]),
            print("token", [b"POST", b"/b", b"1", b"x"]),
            print("token", [b"POST", b"/a", b"2", b"x"]),
            print("token", [b"POST", b"/a", b"1", b"y"]),
            print("token", [b"POST", b"/", b"a1", b"x"]),
        ];
        assert!(others.iter().all(|other| *other != base));
    }
}
