//! From a presented token to who is asking.

use std::net::IpAddr;

use gatepost_entitlements::{Access, Catalog};
use gatepost_kernel::{ApiKeyId, Environment, Error, Result, Secret, Timestamp, WorkspaceId};
use gatepost_keys::{ApiKey, KeyStatus, Scope, ScopeSet, Token, TokenDigest};
use gatepost_limits::Allowance;
use gatepost_storage::{ApiKeyOwner, Tx};

use crate::App;

/// Who is asking: a key that could be used when it was looked up.
#[derive(Debug, Clone)]
pub struct Principal {
    key: ApiKey,
    allowance: Allowance,
    access: Access,
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

    /// The limits of the key, by its own tier or its workspace's.
    pub fn allowance(&self) -> &Allowance {
        &self.allowance
    }

    /// The widest access that the workspace's plan gives its keys.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Refuses a key whose scopes, or whose workspace's plan, do not allow `scope`.
    ///
    /// # Errors
    /// [`Error::AccessDenied`].
    pub fn may(&self, scope: &Scope) -> Result<()> {
        if !self.scopes().allows(scope) {
            return Err(Error::missing_scope(scope));
        }
        let needed = Access::needed_for(scope.action());
        if needed > self.access {
            let (plan, needed) = (self.access.as_str(), needed.as_str());
            let text =
                format!("The plan of this workspace gives its keys {plan} access. Required access: {needed}");
            return Err(Error::AccessDenied(text));
        }
        Ok(())
    }

    /// Whether the key may be used from `address`.
    pub(crate) fn allows_address(&self, address: Option<IpAddr>) -> bool {
        self.key.allowed_ips.allows(address)
    }

    fn usable(&self, status: KeyStatus, address: Option<IpAddr>) -> Result<()> {
        status.usable()?;
        if self.allows_address(address) { Ok(()) } else { Err(Error::IpNotAllowed) }
    }

    fn new(owner: ApiKeyOwner, catalog: &Catalog, digest: TokenDigest, token: Secret) -> Self {
        let tier = owner.key.rate_limit_tier.as_ref().unwrap_or(&owner.workspace_tier);
        let allowance = catalog.plan_or_default(tier).map(|plan| Allowance {
            per_minute: plan.requests_per_minute,
            minute_cap: plan.minute_cap(),
            per_day: plan.requests_per_day,
        });
        let access = catalog.plan_or_default(&owner.workspace_tier).map_or(Access::Write, |plan| plan.access);
        Self { key: owner.key, allowance: allowance.unwrap_or_default(), access, digest, token }
    }

    /// The token that was presented, for what is derived from it.
    pub(crate) fn token(&self) -> &Secret {
        &self.token
    }

    /// The key as it is now, inside a transaction: what was true when the request began may not be any more.
    pub(crate) async fn refreshed(
        &self,
        tx: &mut Tx<'_>,
        catalog: &Catalog,
        now: Timestamp,
        address: Option<IpAddr>,
    ) -> Result<Self> {
        let owner = tx.api_key_by_digest(&self.digest).await?.ok_or(Error::Unauthorized)?;
        let status = status(&owner, now);
        let fresh = Self::new(owner, catalog, self.digest, self.token.clone());
        fresh.usable(status, address)?;
        Ok(fresh)
    }
}

/// A key that a token belongs to, whether or not it can be used.
pub(crate) struct Found {
    pub(crate) principal: Principal,
    pub(crate) status: KeyStatus,
}

impl App {
    /// Finds the key that a well-formed token belongs to, whatever its state.
    pub(crate) async fn look_up(&self, token: Token) -> Result<Option<Found>> {
        let digest = token.digest();
        let found = self.read(async move |mut tx| Ok(tx.api_key_by_digest(&digest).await?)).await?;
        let now = self.now();
        Ok(found.map(|owner| Found {
            status: status(&owner, now),
            principal: Principal::new(owner, self.catalog(), digest, token.into_secret()),
        }))
    }

    /// Finds the key that `token` belongs to and checks that it can be used now, from `address`.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if no key belongs to it, [`Error::KeyRevoked`], [`Error::KeyExpired`],
    /// [`Error::IpNotAllowed`], [`Error::Unavailable`].
    pub async fn authenticate(&self, token: &str, address: Option<IpAddr>) -> Result<Principal> {
        let token = Token::parse(token).ok_or(Error::Unauthorized)?;
        let Found { principal, status } = self.look_up(token).await?.ok_or(Error::Unauthorized)?;
        principal.usable(status, address)?;
        Ok(principal)
    }
}

fn status(owner: &ApiKeyOwner, now: Timestamp) -> KeyStatus {
    if owner.workspace_deleted { KeyStatus::Revoked } else { owner.key.status(now) }
}
