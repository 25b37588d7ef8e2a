//! From a presented token to who is asking.

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use gatepost_entitlements::Access;
use gatepost_kernel::{
    ApiKeyId, Environment, EnvironmentFilter, Error, Owner, Result, Timestamp, WorkspaceId,
};
use gatepost_keys::{KeyStatus, ScopeRef, ScopeSet, Token, TokenDigest};
use gatepost_limits::Allowance;
use gatepost_storage::Tx;

use crate::{
    Gate, KeyProfile,
    key_state::{Facts, KeyState, NEVER},
    plans::PlanLimits,
};

/// A key as it was when it was looked up; whether it can be used is judged each time. Cloning is cheap.
#[derive(Clone)]
pub struct Principal {
    facts: Arc<Facts>,
    profile: KeyProfile,
    state: Arc<KeyState>,
}

impl std::fmt::Debug for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Principal").field("key_id", &self.key_id()).finish_non_exhaustive()
    }
}

impl Principal {
    /// The key.
    pub fn key_id(&self) -> ApiKeyId {
        self.state.key_id
    }

    /// The workspace that the key belongs to.
    pub fn workspace_id(&self) -> WorkspaceId {
        self.state.workspace_id
    }

    /// The environment that the key belongs to.
    pub fn environment(&self) -> Environment {
        self.state.environment
    }

    /// Whose rows the key's uses are.
    pub fn owner(&self) -> Owner {
        Owner::new(self.workspace_id(), self.environment())
    }

    /// Refuses a key of an environment that is not asked for.
    ///
    /// # Errors
    /// [`Error::WrongEnvironment`].
    pub fn is_of(&self, wanted: EnvironmentFilter) -> Result<()> {
        let own = self.environment();
        if wanted.admits(own) { Ok(()) } else { Err(Error::WrongEnvironment(own)) }
    }

    /// The scopes with blanks between, for a header; empty if they are too long for one.
    pub fn scope_list(&self) -> &Bytes {
        &self.facts.scope_list
    }

    /// What the key may do.
    pub fn scopes(&self) -> &ScopeSet {
        &self.facts.scopes
    }

    /// The limits of the key, by its own tier or its workspace's.
    pub fn allowance(&self) -> &Allowance {
        &self.facts.limits.allowance
    }

    /// The plan that its limits come from.
    pub fn limits(&self) -> &Arc<PlanLimits> {
        &self.facts.limits
    }

    /// When the key stops working by itself; none if it does not.
    pub fn ends_at(&self) -> Option<Timestamp> {
        Some(self.facts.ends_at).filter(|end| *end != NEVER)
    }

    /// What is said of the key to those who ask whose it is.
    pub fn profile(&self) -> &KeyProfile {
        &self.profile
    }

    /// The widest access that the workspace's plan gives its keys.
    pub fn access(&self) -> Access {
        self.facts.access
    }

    /// Refuses a key whose scopes, or whose workspace's plan, do not allow `scope`.
    ///
    /// # Errors
    /// [`Error::AccessDenied`].
    pub fn may<'a>(&self, scope: impl Into<ScopeRef<'a>>) -> Result<()> {
        self.facts.may(scope.into())
    }

    pub(crate) fn new(facts: Arc<Facts>, profile: KeyProfile, state: Arc<KeyState>) -> Self {
        Self { facts, profile, state }
    }

    /// What the database said.
    pub(crate) fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    /// What this process remembers of the key.
    pub(crate) fn state(&self) -> &Arc<KeyState> {
        &self.state
    }

    /// What the key is found by.
    pub(crate) fn digest(&self) -> TokenDigest {
        self.state.digest
    }

    /// Whether the key may be used from `address`.
    pub fn allows_address(&self, address: Option<IpAddr>) -> bool {
        self.facts.allows_address(address)
    }

    /// Whether the key can be used at `now`.
    pub fn status(&self, now: Timestamp) -> KeyStatus {
        self.facts.status(now)
    }

    /// What a request from `address` is told.
    ///
    /// # Errors
    /// [`Error::KeyRevoked`], [`Error::KeyExpired`], [`Error::KeyDisabled`] or [`Error::IpNotAllowed`].
    pub(crate) fn usable(&self, now: Timestamp, address: Option<IpAddr>) -> Result<()> {
        self.status(now).usable()?;
        if self.allows_address(address) { Ok(()) } else { Err(Error::IpNotAllowed) }
    }

    /// The key as it is now, inside a transaction: what was true when the request began may not be any more.
    ///
    /// # Errors
    /// What the key would be told if the request began now.
    pub async fn refreshed(
        &self,
        gate: &Gate,
        tx: &mut Tx<'_>,
        now: Timestamp,
        address: Option<IpAddr>,
    ) -> Result<Self> {
        let owner = tx.api_key_by_digest(&self.digest()).await?.ok_or(Error::Unauthorized)?;
        let (facts, profile) = (Arc::new(gate.facts(&owner)), KeyProfile::of(&owner.key));
        let fresh = Self { facts, profile, state: self.state.clone() };
        fresh.usable(now, address)?;
        Ok(fresh)
    }
}

impl Gate {
    /// Finds the key that `token` belongs to and checks that it can be used now, from `address`.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if no key belongs to it, [`Error::KeyRevoked`], [`Error::KeyExpired`],
    /// [`Error::KeyDisabled`], [`Error::IpNotAllowed`], [`Error::Unavailable`].
    pub async fn authenticate(&self, token: &Token, address: Option<IpAddr>) -> Result<Principal> {
        self.usable(token.digest(), address).await
    }

    /// The same key with the rights that it has now, as far as this process knows.
    ///
    /// # Errors
    /// What the key would be told if the request began now.
    pub async fn confirm(&self, principal: &Principal, address: Option<IpAddr>) -> Result<Principal> {
        self.usable(principal.digest(), address).await
    }

    async fn usable(&self, digest: TokenDigest, address: Option<IpAddr>) -> Result<Principal> {
        let principal = self.principal(digest).await?.ok_or(Error::Unauthorized)?;
        principal.usable(self.now(), address)?;
        Ok(principal)
    }
}
