//! What is said of a key to those who ask whose it is.

use std::fmt;

use gatepost_kernel::ExternalId;
use gatepost_keys::{ApiKey, Metadata};
use triomphe::ThinArc;

/// Above this, the metadata of a key is not remembered: many keys could have as much.
const MAX_METADATA: usize = 1_024;

/// What is said of a key to those who ask whose it is. There is one for each key that is remembered, so all of it
/// is in one piece: how many bytes the name has (two bytes), and the external id (one); whether the metadata is
/// all there; and the three texts. Cloning is cheap.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyProfile(ThinArc<(), u8>);

impl KeyProfile {
    pub(crate) fn of(key: &ApiKey) -> Self {
        Self::new(&key.name, key.external_id.as_ref(), &key.metadata)
    }

    pub(crate) fn new(name: &str, external_id: Option<&ExternalId>, metadata: &Metadata) -> Self {
        let external_id = external_id.map_or("", ExternalId::as_str);
        let metadata = if *metadata == Metadata::default() { "" } else { metadata.as_str() };
        let has_all_metadata = metadata.len() <= MAX_METADATA;
        let metadata = if has_all_metadata { metadata } else { "" };
        // Both are checked when they are made: 255 characters at most, of the id 255 bytes.
        let (name, name_bytes) = u16::try_from(name.len()).map_or(("", 0), |bytes| (name, bytes));
        let (id, id_bytes) = u8::try_from(external_id.len()).map_or(("", 0), |bytes| (external_id, bytes));
        let [low, high] = name_bytes.to_le_bytes();
        let lengths = [low, high, id_bytes, has_all_metadata.into()];
        let bytes = [&lengths[..], name.as_bytes(), id.as_bytes(), metadata.as_bytes()].concat();
        Self(ThinArc::from_header_and_slice((), &bytes))
    }

    fn lengths(&self) -> ([u8; 4], &[u8]) {
        self.0.slice.split_first_chunk().map_or(([0; 4], &[]), |(lengths, text)| (*lengths, text))
    }

    /// The name, the external id and the metadata, each empty if there is none.
    fn texts(&self) -> (&str, &str, &str) {
        let ([low, high, external_id, _], text) = self.lengths();
        let text = str::from_utf8(text).unwrap_or_default();
        let (name, rest) = text.split_at_checked(u16::from_le_bytes([low, high]).into()).unwrap_or_default();
        let (external_id, metadata) = rest.split_at_checked(external_id.into()).unwrap_or_default();
        (name, external_id, metadata)
    }

    /// A label for people.
    pub fn name(&self) -> &str {
        self.texts().0
    }

    /// Whose it is in the system of those who made it.
    pub fn external_id(&self) -> Option<&str> {
        Some(self.texts().1).filter(|id| !id.is_empty())
    }

    /// What they keep with it; none if that is too large to be remembered, so that the database has to be asked
    /// for it.
    pub fn metadata(&self) -> Option<Metadata> {
        let text = match self.texts().2 {
            "" => "{}",
            text => text,
        };
        let ([.., has_all_metadata], _) = self.lengths();
        (has_all_metadata != 0).then(|| Metadata::from_stored(text.to_owned()))
    }
}

impl fmt::Debug for KeyProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyProfile").field(&self.name()).field(&self.external_id()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_found_again() {
        let id = ExternalId::parse("user_42").expect("an id");
        let metadata = Metadata::from_stored(r#"{"team":"mobile","städte":["Köln"]}"#.to_owned());
        for name in ["Jo's key", "", "Schlüssel 🔑", &"ü".repeat(255)] {
            for external_id in [None, Some(&id)] {
                for metadata in [&Metadata::default(), &metadata] {
                    let profile = KeyProfile::new(name, external_id, metadata);
                    assert_eq!(profile.name(), name);
                    assert_eq!(profile.external_id(), external_id.map(ExternalId::as_str));
                    assert_eq!(profile.metadata().as_ref(), Some(metadata));
                }
            }
        }
        let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_METADATA));
        let profile = KeyProfile::new("Key", Some(&id), &Metadata::from_stored(large));
        assert_eq!(
            (profile.name(), profile.external_id(), profile.metadata()),
            ("Key", Some("user_42"), None)
        );
    }
}
