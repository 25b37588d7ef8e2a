//! What lists have in common: cursors, and how much of what belongs to a row is shown beside it.
//!
//! A cursor is the position of a row, sealed for the list that it was made for: it tells nothing, and opens
//! in no other list.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gatepost_kernel::{Error, Position, Result, Timestamp, random};
use gatepost_sealing::{ChaCha20Poly1305, Cipher};
use gatepost_storage::Tx;
use rand::Rng;

pub use gatepost_storage::{
    API_KEY_SORTS, AUDIT_SORTS, Direction, EVENT_SORTS, INVITATION_SORTS, ListRequest, MAX_PAGE_BYTES,
    MEMBERSHIP_SORTS, SEO_ISSUE_SORTS, SEO_REPORT_SORTS, SESSION_SORTS, Size, SortKey,
    WEBHOOK_DELIVERY_SORTS, WEBHOOK_SORTS, WORKSPACE_SORTS,
};

use crate::App;

/// How many of a row's own things are shown beside it at most.
pub const INCLUDED: u32 = 10;

/// Under which name all processes of a database share the key of cursors.
const KEY_NAME: &str = "list cursors";

/// Seals and opens cursors.
pub struct Cursors(Cipher<ChaCha20Poly1305>);

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
            let key: [u8; 32] =
                key.try_into().map_err(|_| Error::internal("the key of cursors is no key"))?;
            Ok(Cursors(Cipher::new(&key)))
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
        let text = [position.at.as_micros().to_be_bytes(), position.id.to_be_bytes()].concat();
        let sealed = self.0.seal(&mut random::rng(), &text, list.as_bytes());
        Ok(URL_SAFE_NO_PAD.encode(sealed.map_err(Error::failed("sealing a cursor"))?))
    }

    /// The position in the list that `list` describes; none if the cursor is of another, or of nobody's
    /// making.
    pub fn open(&self, cursor: &str, list: &str) -> Option<Position> {
        let text = self.0.open(&URL_SAFE_NO_PAD.decode(cursor).ok()?, list.as_bytes())?;
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
        let cursors = Cursors(Cipher::new(&[7; 32]));
        let position = Position { at: Timestamp::from_micros(1_800_000_000_000_001), id: 42 };
        let cursor = cursors.seal(position, "events of 1").expect("sealed");
        assert_eq!(cursors.open(&cursor, "events of 1"), Some(position));
        assert_eq!(cursors.open(&cursor, "events of 2"), None);
        assert_ne!(cursors.seal(position, "events of 1").ok(), Some(cursor.clone()), "it tells nothing");
        for (index, _) in cursor.char_indices() {
            let mut changed = cursor.clone();
            changed.replace_range(index..=index, if &cursor[index..=index] == "A" { "B" } else { "A" });
            assert_eq!(cursors.open(&changed, "events of 1"), None, "changed at {index}");
        }
        for nonsense in ["", "!", "AAAA", &cursor[1..]] {
            assert_eq!(cursors.open(nonsense, "events of 1"), None);
        }
    }
}
