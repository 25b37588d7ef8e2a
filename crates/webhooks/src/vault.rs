//! Secrets at rest: sealed with the operator's key, where there is one.
//!
//! A stored text says by its beginning what it is: `plain:` and the text, or `sealed:`, eight hexadecimal characters that name
//! the key, and base64 of nonce and XChaCha20-Poly1305 ciphertext. With several keys the first seals and all open, so a key
//! is replaced by putting the new one before it.

use base64::{Engine, prelude::BASE64_STANDARD};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce, aead::Aead};
use gatepost_kernel::{Secret, random};
use rand::Rng;
use sha2::{Digest, Sha256};

const PLAIN: &str = "plain:";
const SEALED: &str = "sealed:";
const NONCE_LEN: usize = 24;
const NAME_LEN: usize = 8;

/// The operator's keys.
#[derive(Clone, Default)]
pub struct Vault {
    keys: Vec<VaultKey>,
}

#[derive(Clone)]
struct VaultKey {
    name: String,
    cipher: XChaCha20Poly1305,
}

/// A stored text that no present key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored secret cannot be opened with the present keys")]
pub struct VaultError;

/// How a stored text is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept<'a> {
    /// As it is.
    Plain,
    /// Sealed by the key of this name.
    Sealed(&'a str),
    /// In no form that is known here.
    Unknown,
}

impl<'a> Kept<'a> {
    /// How this text is kept.
    pub fn of(stored: &'a Secret) -> Self {
        let stored = stored.expose();
        let name = stored.strip_prefix(SEALED).and_then(|rest| rest.get(..NAME_LEN));
        match name {
            Some(name) if name.bytes().all(|b| b.is_ascii_hexdigit()) => Self::Sealed(name),
            None if stored.starts_with(PLAIN) => Self::Plain,
            _ => Self::Unknown,
        }
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault({} keys)", self.keys.len())
    }
}

impl Vault {
    /// A vault with these keys, the one that seals first; without any, texts are stored as they are.
    pub fn new(keys: &[[u8; 32]]) -> Self {
        let key = |bytes: &[u8; 32]| {
            let digest = Sha256::digest(bytes);
            let name: String = digest.iter().take(NAME_LEN / 2).map(|byte| format!("{byte:02x}")).collect();
            VaultKey { name, cipher: XChaCha20Poly1305::new(&Key::from(*bytes)) }
        };
        Self { keys: keys.iter().map(key).collect() }
    }

    /// The names of the keys, that of the one that seals first. A name is the beginning of a digest and gives nothing away.
    pub fn key_names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.name.as_str())
    }

    /// Whether a stored text is as [`Vault::seal`] would store it now.
    pub fn is_current(&self, stored: &Secret) -> bool {
        match (Kept::of(stored), self.keys.first()) {
            (Kept::Sealed(name), Some(key)) => name == key.name,
            (Kept::Plain, None) => true,
            _ => false,
        }
    }

    /// The text as it is to be stored.
    pub fn seal(&self, text: &str) -> Secret {
        let Some(key) = self.keys.first() else { return Secret::new(format!("{PLAIN}{text}")) };
        let mut nonce = [0u8; NONCE_LEN];
        random::rng().fill_bytes(&mut nonce);
        match key.cipher.encrypt(&XNonce::from(nonce), text.as_bytes()) {
            Ok(sealed) => {
                let bytes = [&nonce[..], &sealed].concat();
                Secret::new(format!("{SEALED}{}{}", key.name, BASE64_STANDARD.encode(bytes)))
            }
            // Only a text of many gigabytes cannot be sealed; storing nothing then fails where it is read.
            Err(_) => Secret::new(SEALED.to_owned()),
        }
    }

    /// The text of what was stored.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn open(&self, stored: &Secret) -> Result<Secret, VaultError> {
        let stored = stored.expose();
        if let Some(text) = stored.strip_prefix(PLAIN) {
            return Ok(Secret::new(text.to_owned()));
        }
        let (name, sealed) =
            stored.strip_prefix(SEALED).and_then(|rest| rest.split_at_checked(NAME_LEN)).ok_or(VaultError)?;
        let bytes = BASE64_STANDARD.decode(sealed).map_err(|_| VaultError)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(VaultError)?;
        let mut opened = self
            .keys
            .iter()
            .filter(|key| key.name == name)
            .filter_map(|key| key.cipher.decrypt(&XNonce::from(*nonce), sealed).ok());
        let text = opened.next().and_then(|bytes| String::from_utf8(bytes).ok());
        text.map(Secret::new).ok_or(VaultError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_replaced_by_putting_the_new_one_first() {
        let (old, both, new) =
            (Vault::new(&[[1; 32]]), Vault::new(&[[2; 32], [1; 32]]), Vault::new(&[[2; 32]]));
        let stored = old.seal("whsec_secret");
        assert!(stored.expose().starts_with("sealed:") && !stored.expose().contains("secret"));
        assert_ne!(stored.expose(), old.seal("whsec_secret").expose(), "each time with a nonce of its own");
        assert_eq!(both.open(&stored).expect("the text").expose(), "whsec_secret");
        assert_eq!(new.open(&stored).map(|_| ()), Err(VaultError));
        let resealed = both.seal("whsec_secret");
        assert_eq!(new.open(&resealed).expect("the text").expose(), "whsec_secret");
    }

    #[test]
    fn how_a_text_is_kept_is_seen_without_opening_it() {
        let (none, one, both) = (Vault::default(), Vault::new(&[[1; 32]]), Vault::new(&[[2; 32], [1; 32]]));
        let (plain, sealed) = (none.seal("x"), one.seal("x"));
        let name = one.key_names().next().expect("a name");
        assert_eq!((Kept::of(&plain), Kept::of(&sealed)), (Kept::Plain, Kept::Sealed(name)));
        for unknown in ["", "sealed:", "sealed:abc", "sealed:zzzzzzzzAAAA", "nonsense"] {
            assert_eq!(Kept::of(&Secret::new(unknown.to_owned())), Kept::Unknown, "{unknown}");
        }
        assert!(none.is_current(&plain) && one.is_current(&sealed));
        assert!(!one.is_current(&plain) && !none.is_current(&sealed) && !both.is_current(&sealed));
        assert_eq!(both.key_names().count(), 2);
    }

    #[test]
    fn without_a_key_texts_stay_readable_and_what_was_changed_is_not_believed() {
        let none = Vault::default();
        assert_eq!(none.open(&none.seal("x")).expect("the text").expose(), "x");
        let vault = Vault::new(&[[1; 32]]);
        assert_eq!(vault.open(&none.seal("x")).expect("written before there was a key").expose(), "x");
        let mut stored = vault.seal("whsec_secret").expose().to_owned().into_bytes();
        let last = stored.len() - 5;
        stored[last] = if stored[last] == b'A' { b'B' } else { b'A' };
        let stored = String::from_utf8(stored).expect("text");
        for bad in [stored.as_str(), "", "sealed:", "sealed:abc", "sealed:00000000AAAA", "nonsense"] {
            assert_eq!(vault.open(&Secret::new(bad.to_owned())).map(|_| ()), Err(VaultError), "{bad}");
        }
    }
}
