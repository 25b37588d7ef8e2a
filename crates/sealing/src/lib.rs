//! Texts that only this server can read, and only where they belong: secrets at rest, kept answers, cursors
//! in strangers' hands.
//!
//! [`Cipher`] seals with one key. [`Vault`] has the operator's keys, of which one seals and all open, and
//! knows how stored texts were kept before there was a key, or another.

mod cipher;
mod vault;

pub use chacha20poly1305::{ChaCha20Poly1305, XChaCha20Poly1305};
pub use cipher::{Cipher, SealingError};
pub use vault::{Kept, SealedColumn, Vault, VaultError};
