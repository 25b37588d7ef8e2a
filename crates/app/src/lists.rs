//! What lists have in common: cursors, and how much of what belongs to a row is shown beside it.
//!
//! A cursor is the position of a row, sealed for the list that it was made for: it tells nothing, and opens in no other list.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use gatepost_kernel::{Error, Position, Result, Timestamp, random};
use gatepost_storage::Tx;
use rand::Rng;

pub use gatepost_storage::{
    API_KEY_SORTS, AUDIT_SORTS, Direction, EVENT_SORTS, ListRequest, MAX_PAGE_BYTES, SEO_ISSUE_SORTS,
    SEO_REPORT_SORTS, Size, SortKey, WEBHOOK_DELIVERY_SORTS, WEBHOOK_SORTS, WORKSPACE_SORTS,
};

use crate::App;

/// How many of a row's own things are shown beside it at most.
pub const INCLUDED: u32 = 10;

const NONCE_LEN: usize = 12;
/// Under which name all processes of a database share the key of cursors.
const KEY_NAME: &str = "list cursors";

/// Seals and opens cursors.
pub struct Cursors(ChaCha20Poly1305);

impl App {
    /// What seals the cursors of this database.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn cursors(&self) -> Result<&Cursors> {
        let make = async || {
            let mut fresh = [0u8; 32];
            random::rng().fill_bytes(&mut fresh);
            let now = self.now();
            let get = async move |mut tx: Tx<'_>| tx.server_secret_get_or_insert(KEY_NAME, &fresh, now).await;
            let key = self.storage().transaction::<_, gatepost_storage::StorageError, _>(get).await?;
            let cipher = ChaCha20Poly1305::new_from_slice(&key);
            cipher.map(Cursors).map_err(|e| Error::Internal(format!("the key of cursors: {e}")))
        };
        self.cursor_cell().get_or_try_init(make).await
    }
}

impl Cursors {
    /// Seals a position in the list that `list` describes.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn seal(&self, position: Position, list: &str) -> Result<String> {
        let mut nonce = [0u8; NONCE_LEN];
        random::rng().fill_bytes(&mut nonce);
        let text = [position.at.as_micros().to_be_bytes(), position.id.to_be_bytes()].concat();
        let payload = Payload { msg: &text, aad: list.as_bytes() };
        let sealed = self.0.encrypt(&Nonce::from(nonce), payload);
        let sealed = sealed.map_err(|e| Error::Internal(format!("sealing a cursor: {e}")))?;
        Ok(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// The position in the list that `list` describes; none if the cursor is of another, or of nobody's making.
    pub fn open(&self, cursor: &str, list: &str) -> Option<Position> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let text =
            self.0.decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad: list.as_bytes() }).ok()?;
        let (at, id) = text.split_first_chunk::<8>()?;
        let at = Timestamp::from_micros(i64::from_be_bytes(*at));
        Some(Position { at, id: i64::from_be_bytes(id.try_into().ok()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_opens_in_its_own_list_only() {
        let cursors = Cursors(ChaCha20Poly1305::new_from_slice(&[7; 32]).expect("a key"));
        let position = Position { at: Timestamp::from_micros(1_800_000_000_000_001), id: 42 };
        let cursor = cursors.seal(position, "events of 1").expect("sealed");
        assert_eq!(cursors.open(&cursor, "events of 1"), Some(position));
        assert_eq!(cursors.open(&cursor, "events of 2"), None);
        assert_ne!(cursors.seal(position, "events of 1").ok(), Some(cursor.clone()), "it tells nothing");
        for (place, _) in cursor.char_indices() {
            let mut changed = cursor.clone();
            changed.replace_range(place..=place, if &cursor[place..=place] == "A" { "B" } else { "A" });
            assert_eq!(cursors.open(&changed, "events of 1"), None, "changed at {place}");
        }
        for nonsense in ["", "!", "AAAA", &cursor[1..]] {
            assert_eq!(cursors.open(nonsense, "events of 1"), None);
        }
    }
}
