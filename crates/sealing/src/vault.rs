//! Secrets at rest: sealed with the operator's key, where there is one.
//!
//! A stored text says by its beginning what it is: `plain:` and the text, or `bound:`, eight hexadecimal
//! characters that name the key, and base64 of nonce and XChaCha20-Poly1305 ciphertext, which opens only in
//! the [`SealedColumn`] that it was sealed for; `sealed:` is the same from before texts were bound to their
//! places. With several keys the first seals and all open, so a key is replaced by putting the new one before
//! it.

use base64::{Engine, prelude::BASE64_STANDARD};
use gatepost_kernel::{MemberId, Secret, WebhookEndpointId, WorkspaceId};
use rand::CryptoRng;
use sha2::{Digest, Sha256};

use crate::Cipher;

const PLAIN: &str = "plain:";
const BOUND: &str = "bound:";
const UNBOUND: &str = "sealed:";
const NAME_LEN: usize = 8;

/// Where a stored text belongs. One that somebody moves to another row or column of the database does not
/// open there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedColumn {
    column: &'static str,
    /// None for rows that belong to no workspace.
    workspace_id: Option<WorkspaceId>,
    row: i64,
}

impl SealedColumn {
    /// That of the secrets which sign an endpoint's deliveries, the newest and those before it.
    pub fn secret(workspace_id: WorkspaceId, endpoint_id: WebhookEndpointId) -> Self {
        Self { column: "webhook_endpoints.secret", workspace_id: Some(workspace_id), row: endpoint_id.0 }
    }

    /// That of an endpoint's own headers.
    pub fn headers(workspace_id: WorkspaceId, endpoint_id: WebhookEndpointId) -> Self {
        Self { column: "webhook_endpoints.headers", workspace_id: Some(workspace_id), row: endpoint_id.0 }
    }

    /// That of what a member's authenticator app shares with the server.
    pub fn authenticator(member_id: MemberId) -> Self {
        Self { column: "members.authenticator", workspace_id: None, row: member_id.0 }
    }

    fn text(self) -> String {
        match self.workspace_id {
            Some(workspace) => format!("{}/{}/{}", self.column, workspace, self.row),
            None => format!("{}/{}", self.column, self.row),
        }
    }
}

/// The operator's keys.
#[derive(Clone, Default)]
pub struct Vault {
    keys: Vec<VaultKey>,
}

#[derive(Clone)]
struct VaultKey {
    name: String,
    cipher: Cipher,
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
    /// Sealed by the key of this name, for the place where it is.
    Bound(&'a str),
    /// Sealed by the key of this name, and opens wherever it is.
    Unbound(&'a str),
    /// In no form that is known here.
    Unknown,
}

impl<'a> Kept<'a> {
    /// How this text is kept.
    pub fn of(stored: &'a Secret) -> Self {
        let stored = stored.expose();
        if stored.starts_with(PLAIN) {
            return Self::Plain;
        }
        let name_after = |beginning| {
            let name: &str = stored.strip_prefix(beginning)?.get(..NAME_LEN)?;
            name.bytes().all(|b| b.is_ascii_hexdigit()).then_some(name)
        };
        let bound = name_after(BOUND).map(Self::Bound);
        bound.or_else(|| name_after(UNBOUND).map(Self::Unbound)).unwrap_or(Self::Unknown)
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
            VaultKey { name, cipher: Cipher::new(bytes) }
        };
        Self { keys: keys.iter().map(key).collect() }
    }

    /// The names of the keys, that of the one that seals first. A name is the beginning of a digest and gives
    /// nothing away.
    pub fn key_names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.name.as_str())
    }

    /// Whether a stored text is as [`Vault::seal`] would store it now.
    pub fn is_current(&self, stored: &Secret) -> bool {
        match (Kept::of(stored), self.keys.first()) {
            (Kept::Bound(name), Some(key)) => name == key.name,
            (Kept::Plain, None) => true,
            _ => false,
        }
    }

    /// The text as it is to be stored in `place`.
    pub fn seal(&self, rng: &mut impl CryptoRng, text: &str, column: SealedColumn) -> Secret {
        let Some(key) = self.keys.first() else { return Secret::new(format!("{PLAIN}{text}")) };
        match key.cipher.seal(rng, text.as_bytes(), column.text().as_bytes()) {
            Ok(sealed) => Secret::new(format!("{BOUND}{}{}", key.name, BASE64_STANDARD.encode(sealed))),
            // Storing nothing then fails where it is read.
            Err(_) => Secret::new(BOUND.to_owned()),
        }
    }

    /// The text of what was stored in `place`.
    ///
    /// # Errors
    /// [`VaultError`], also if it was stored for another place.
    pub fn open(&self, stored: &Secret, column: SealedColumn) -> Result<Secret, VaultError> {
        let column = column.text();
        let (name, aad) = match Kept::of(stored) {
            Kept::Plain => return Ok(Secret::new(stored.expose()[PLAIN.len()..].to_owned())),
            Kept::Bound(name) => (name, column.as_bytes()),
            Kept::Unbound(name) => (name, &b""[..]),
            Kept::Unknown => return Err(VaultError),
        };
        // The name is a part of the stored text, and the ciphertext what is behind it.
        let (_, sealed) = stored.expose().split_once(name).ok_or(VaultError)?;
        let sealed = BASE64_STANDARD.decode(sealed).map_err(|_| VaultError)?;
        let opened = |key: &VaultKey| key.cipher.open(&sealed, aad);
        let text = self.keys.iter().filter(|key| key.name == name).find_map(opened);
        text.and_then(|bytes| String::from_utf8(bytes).ok()).map(Secret::new).ok_or(VaultError)
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    /// Seals with a nonce of its own.
    fn seal(vault: &Vault, text: &str) -> Secret {
        static DRAWN: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let seed = DRAWN.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        vault.seal(&mut StdRng::seed_from_u64(seed), text, here())
    }

    fn here() -> SealedColumn {
        SealedColumn::secret(WorkspaceId(7), WebhookEndpointId(11))
    }

    #[test]
    fn a_key_is_replaced_by_putting_the_new_one_first() {
        let (old, both, new) =
            (Vault::new(&[[1; 32]]), Vault::new(&[[2; 32], [1; 32]]), Vault::new(&[[2; 32]]));
        let stored = seal(&old, "whsec_secret");
        assert!(stored.expose().starts_with("bound:") && !stored.expose().contains("secret"));
        assert_ne!(stored.expose(), seal(&old, "whsec_secret").expose(), "each time with a nonce of its own");
        assert_eq!(both.open(&stored, here()).expect("the text").expose(), "whsec_secret");
        assert_eq!(new.open(&stored, here()).map(|_| ()), Err(VaultError));
        let resealed = seal(&both, "whsec_secret");
        assert_eq!(new.open(&resealed, here()).expect("the text").expose(), "whsec_secret");
    }

    #[test]
    fn how_a_text_is_kept_is_seen_without_opening_it() {
        let (none, one, both) = (Vault::default(), Vault::new(&[[1; 32]]), Vault::new(&[[2; 32], [1; 32]]));
        let (plain, sealed) = (seal(&none, "x"), seal(&one, "x"));
        let name = one.key_names().next().expect("a name");
        assert_eq!((Kept::of(&plain), Kept::of(&sealed)), (Kept::Plain, Kept::Bound(name)));
        for unknown in ["", "bound:", "sealed:", "sealed:abc", "bound:zzzzzzzzAAAA", "nonsense"] {
            assert_eq!(Kept::of(&Secret::new(unknown.to_owned())), Kept::Unknown, "{unknown}");
        }
        assert!(none.is_current(&plain) && one.is_current(&sealed));
        assert!(!one.is_current(&plain) && !none.is_current(&sealed) && !both.is_current(&sealed));
        assert_eq!(both.key_names().count(), 2);
    }

    #[test]
    fn without_a_key_texts_stay_readable_and_what_was_changed_is_not_believed() {
        let none = Vault::default();
        assert_eq!(none.open(&seal(&none, "x"), here()).expect("the text").expose(), "x");
        let vault = Vault::new(&[[1; 32]]);
        assert_eq!(
            vault.open(&seal(&none, "x"), here()).expect("written before there was a key").expose(),
            "x"
        );
        let mut stored = seal(&vault, "whsec_secret").expose().to_owned().into_bytes();
        let last = stored.len() - 5;
        stored[last] = if stored[last] == b'A' { b'B' } else { b'A' };
        let stored = String::from_utf8(stored).expect("text");
        for bad in [
            stored.as_str(),
            "",
            "bound:",
            "bound:abc",
            "bound:00000000AAAA",
            "sealed:00000000AAAA",
            "nonsense",
        ] {
            assert_eq!(
                vault.open(&Secret::new(bad.to_owned()), here()).map(|_| ()),
                Err(VaultError),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_text_that_was_moved_does_not_open() {
        let vault = Vault::new(&[[1; 32]]);
        let stored = seal(&vault, "whsec_secret");
        for other in [
            SealedColumn::headers(WorkspaceId(7), WebhookEndpointId(11)),
            SealedColumn::secret(WorkspaceId(8), WebhookEndpointId(11)),
            SealedColumn::secret(WorkspaceId(7), WebhookEndpointId(12)),
            SealedColumn::secret(WorkspaceId(71), WebhookEndpointId(1)),
        ] {
            assert_eq!(vault.open(&stored, other).map(|_| ()), Err(VaultError), "{other:?}");
        }
        // One is not read as the other by another beginning.
        let renamed = Secret::new(stored.expose().replace(BOUND, UNBOUND));
        assert_eq!(vault.open(&renamed, here()).map(|_| ()), Err(VaultError));
    }

    #[test]
    fn what_was_sealed_before_places_opens_and_is_not_current() {
        // By the key of thirty-two times 1.
        let vault = Vault::new(&[[1; 32]]);
        let cipher: Cipher = Cipher::new(&[1; 32]);
        let sealed = cipher.seal(&mut StdRng::seed_from_u64(1), b"whsec_secret", b"").expect("sealed");
        let name = vault.key_names().next().expect("a name");
        let stored = Secret::new(format!("{UNBOUND}{name}{}", BASE64_STANDARD.encode(sealed)));
        assert_eq!(Kept::of(&stored), Kept::Unbound(name));
        assert_eq!(vault.open(&stored, here()).expect("the text").expose(), "whsec_secret");
        assert!(!vault.is_current(&stored));
    }
}
