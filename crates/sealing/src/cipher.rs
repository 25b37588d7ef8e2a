//! Sealing with one key: a fresh nonce, and behind it the ciphertext, which opens only beside what it is
//! bound to.

use chacha20poly1305::{
    XChaCha20Poly1305,
    aead::{Aead, AeadCore, Key, KeyInit, Nonce, Payload},
};
use rand::CryptoRng;

/// Seals and opens with one key. `A` is the algorithm (RFC 8439), with a nonce of 24 bytes unless something
/// else is said; both have room for as many nonces as are drawn here.
#[derive(Clone)]
pub struct Cipher<A = XChaCha20Poly1305>(A);

/// Only a text of many gigabytes cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a text is too long to be sealed")]
pub struct SealingError;

impl<A: Aead + AeadCore + KeyInit> Cipher<A> {
    /// A cipher with this key, of 32 bytes.
    pub fn new(key: &[u8; 32]) -> Self {
        let mut own = Key::<A>::default();
        own.copy_from_slice(key);
        Self(A::new(&own))
    }

    /// Seals a text. It opens only where `bound_to` is the same.
    ///
    /// # Errors
    /// [`SealingError`].
    pub fn seal(
        &self,
        rng: &mut impl CryptoRng,
        text: &[u8],
        bound_to: &[u8],
    ) -> Result<Vec<u8>, SealingError> {
        let mut nonce = Nonce::<A>::default();
        rng.fill_bytes(&mut nonce);
        let sealed =
            self.0.encrypt(&nonce, Payload { msg: text, aad: bound_to }).map_err(|_| SealingError)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// The text; none if it was sealed with another key or for another place, or was changed.
    pub fn open(&self, sealed: &[u8], bound_to: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = Nonce::<A>::default();
        let (given, text) = sealed.split_at_checked(nonce.len())?;
        nonce.copy_from_slice(given);
        self.0.decrypt(&nonce, Payload { msg: text, aad: bound_to }).ok()
    }
}

#[cfg(test)]
mod tests {
    use chacha20poly1305::ChaCha20Poly1305;
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn holds<A: Aead + AeadCore + KeyInit>(nonce_len: usize) {
        let (cipher, other) = (Cipher::<A>::new(&[7; 32]), Cipher::<A>::new(&[8; 32]));
        let mut rng = StdRng::seed_from_u64(1);
        let sealed = cipher.seal(&mut rng, b"a text", b"here").expect("sealed");
        assert_eq!(sealed.len(), nonce_len + b"a text".len() + 16);
        assert_ne!(cipher.seal(&mut rng, b"a text", b"here").expect("sealed"), sealed, "a nonce of its own");
        assert_eq!(cipher.open(&sealed, b"here").as_deref(), Some(&b"a text"[..]));
        assert_eq!(cipher.open(&sealed, b"there"), None);
        assert_eq!(other.open(&sealed, b"here"), None);
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(cipher.open(&changed, b"here"), None, "changed at {index}");
            assert_eq!(cipher.open(&sealed[..index], b"here"), None, "cut at {index}");
        }
    }

    #[test]
    fn a_text_opens_with_its_key_in_its_place_and_unchanged() {
        holds::<XChaCha20Poly1305>(24);
        holds::<ChaCha20Poly1305>(12);
    }
}
