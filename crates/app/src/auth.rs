//! From a presented token to who is asking.

use std::net::IpAddr;

use gatepost_kernel::{ApiKeyId, Environment, Error, Result, Secret, Timestamp, WorkspaceId};
use gatepost_keys::{ApiKey, ScopeSet, Token, TokenDigest};
use gatepost_storage::{ApiKeyOwner, Tx};

use crate::App;

/// Who is asking: a key that could be used when it was looked up.
#[derive(Debug, Clone)]
pub struct Principal {
    key: ApiKey,
    digest: TokenDigest,
    token: Secret,
}

impl Principal {
    /// The key.
    pub fn key_id(&self) -> ApiKeyId {
        self.key.id
    }

    /// The workspace that the key belongs to.
    pub fn workspace_id(&self) -> WorkspaceId {
        self.key.workspace_id
    }

    /// The world that the key belongs to.
    pub fn environment(&self) -> Environment {
        self.key.environment
    }

    /// What the key may do.
    pub fn scopes(&self) -> &ScopeSet {
        &self.key.scopes
    }

    /// The token that was presented, for what is derived from it.
    pub(crate) fn token(&self) -> &Secret {
        &self.token
    }

    /// The key as it is now, inside a transaction: what was true when the request began may not be any more.
    pub(crate) async fn refreshed(
        &self,
        tx: &mut Tx<'_>,
        now: Timestamp,
        address: Option<IpAddr>,
    ) -> Result<Self> {
        let owner = tx.api_key_by_digest(&self.digest).await?.ok_or(Error::Unauthorized)?;
        usable(&owner, now, address)?;
        Ok(Self { key: owner.key, digest: self.digest, token: self.token.clone() })
    }
}

impl App {
    /// Finds the key that `token` belongs to and checks that it can be used now, from `address`.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if no key belongs to it, [`Error::KeyRevoked`], [`Error::KeyExpired`],
    /// [`Error::IpNotAllowed`], [`Error::Unavailable`].
    pub async fn authenticate(&self, token: &str, address: Option<IpAddr>) -> Result<Principal> {
        let token = Token::parse(token).ok_or(Error::Unauthorized)?;
        let digest = token.digest();
        let found = self.read(async move |mut tx| Ok(tx.api_key_by_digest(&digest).await?)).await?;
        let owner = found.ok_or(Error::Unauthorized)?;
        usable(&owner, self.now(), address)?;
        Ok(Principal { key: owner.key, digest, token: token.into_secret() })
    }
}

fn usable(owner: &ApiKeyOwner, now: Timestamp, address: Option<IpAddr>) -> Result<()> {
    if owner.workspace_deleted {
        return Err(Error::KeyRevoked);
    }
    owner.key.status(now).usable()?;
    if owner.key.allowed_ips.allows(address) { Ok(()) } else { Err(Error::IpNotAllowed) }
}
