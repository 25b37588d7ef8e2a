//! From a presented token to who is asking.

use std::{net::IpAddr, sync::Arc};

use gatepost_entitlements::{Access, Catalog};
use gatepost_kernel::{ApiKeyId, Environment, Error, Result, Timestamp, WorkspaceId};
use gatepost_keys::{ApiKey, KeyStatus, Scope, ScopeSet, Token, TokenDigest};
use gatepost_limits::Allowance;
use gatepost_storage::{ApiKeyOwner, Tx};

use crate::App;

/// A key as it was when it was looked up; whether it can be used is judged each time.
#[derive(Debug, Clone)]
pub struct Principal {
    key: ApiKey,
    allowance: Allowance,
    access: Access,
    digest: TokenDigest,
    workspace_deleted: bool,
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

    /// What the key is found by.
    pub(crate) fn digest(&self) -> TokenDigest {
        self.digest
    }

    /// Whether the key may be used from `address`.
    pub(crate) fn allows_address(&self, address: Option<IpAddr>) -> bool {
        self.key.allowed_ips.allows(address)
    }

    /// Whether the key can be used at `now`.
    pub(crate) fn status(&self, now: Timestamp) -> KeyStatus {
        if self.workspace_deleted { KeyStatus::Revoked } else { self.key.status(now) }
    }

    /// What a request from `address` is told.
    ///
    /// # Errors
    /// [`Error::KeyRevoked`], [`Error::KeyExpired`] or [`Error::IpNotAllowed`].
    pub(crate) fn usable(&self, now: Timestamp, address: Option<IpAddr>) -> Result<()> {
        self.status(now).usable()?;
        if self.allows_address(address) { Ok(()) } else { Err(Error::IpNotAllowed) }
    }

    pub(crate) fn new(owner: ApiKeyOwner, catalog: &Catalog, digest: TokenDigest) -> Self {
        let tier = owner.key.rate_limit_tier.as_ref().unwrap_or(&owner.workspace_tier);
        let allowance = catalog.plan_or_default(tier).map(|plan| Allowance {
            per_minute: plan.requests_per_minute,
            minute_cap: plan.minute_cap(),
            per_day: plan.requests_per_day,
        });
        let access = catalog.plan_or_default(&owner.workspace_tier).map_or(Access::Write, |plan| plan.access);
        let (allowance, workspace_deleted) = (allowance.unwrap_or_default(), owner.workspace_deleted);
        Self { key: owner.key, allowance, access, digest, workspace_deleted }
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
        let fresh = Self::new(owner, catalog, self.digest);
        fresh.usable(now, address)?;
        Ok(fresh)
    }
}

impl App {
    /// Finds the key that `token` belongs to and checks that it can be used now, from `address`.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if no key belongs to it, [`Error::KeyRevoked`], [`Error::KeyExpired`],
    /// [`Error::IpNotAllowed`], [`Error::Unavailable`].
    pub async fn authenticate(&self, token: &Token, address: Option<IpAddr>) -> Result<Arc<Principal>> {
        let principal = self.principal(token.digest()).await?.ok_or(Error::Unauthorized)?;
        principal.usable(self.now(), address)?;
        Ok(principal)
    }
}
