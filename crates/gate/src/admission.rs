//! Letting requests in: by the shortest way, from memory alone ([`Gate::pass`]), or by the long one
//! ([`Gate::admit`]), which can ask the database and says why it refuses.
//!
//! Whatever the short way does not let in at once, for whichever reason, is left untouched and counts
//! nothing.

use std::net::IpAddr;

use bytes::Bytes;
use gatepost_kernel::{ApiKeyId, Environment, EnvironmentFilter, Error, Result, Timestamp, WorkspaceId};
use gatepost_keys::{KeyStatus, ScopeRef, Token, TokenDigest};
use gatepost_limits::Verdict;

use crate::{Code, Gate, KeyProfile, Principal, Via};

/// A request that was let in, and counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// The key.
    pub key_id: ApiKeyId,
    /// Its workspace.
    pub workspace_id: WorkspaceId,
    /// The environment that it belongs to.
    pub environment: Environment,
    /// Its scopes with blanks between; empty if they are too long for a header.
    pub scope_list: Bytes,
    /// What is said of the key.
    pub profile: KeyProfile,
    /// The place of the plan that its limits come from, in the order of declaration.
    pub plan: usize,
    /// How the key stands now.
    pub verdict: Verdict,
}

/// A request that may pass, and was counted against the key's limits. The answer is still to be counted, by
/// [`Gate::record_use`].
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Whose it is.
    pub principal: Principal,
    /// The token that was presented.
    pub token: Token,
    /// How the key stands now.
    pub verdict: Verdict,
}

/// A request that may not pass.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Why.
    pub error: Error,
    /// Whose it is, if its key is valid.
    pub principal: Option<Principal>,
    /// The key that was presented, valid or not, if there is such a one.
    pub presented: Option<Principal>,
    /// How the key stands, or, without a valid one, the address.
    pub verdict: Option<Verdict>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, principal: None, presented: None, verdict: None }
    }
}

impl Gate {
    /// Finds out whose request it is, whether they may, and counts it against their limits; a refused one
    /// counts nothing. Who shows no valid key is counted by address, which bounds floods of bad ones.
    ///
    /// # Errors
    /// The refusal, with what the answer's headers say about it.
    pub async fn admit(
        &self,
        via: Via,
        token: Option<Token>,
        address: Option<IpAddr>,
        may: impl FnOnce(&Principal) -> Result<()>,
    ) -> Result<Admitted, Box<Refused>> {
        let is_there = token.is_some();
        let admitted = self.look_and_admit(token, address, may).await;
        match &admitted {
            Ok(_) => self.metrics().decided(via, Ok(Code::Valid)),
            Err(refused) if !is_there && matches!(refused.error, Error::Unauthorized) => {
                self.metrics().no_key(via)
            }
            Err(refused) => self.metrics().decided(via, Err(&refused.error)),
        }
        admitted
    }

    async fn look_and_admit(
        &self,
        token: Option<Token>,
        address: Option<IpAddr>,
        may: impl FnOnce(&Principal) -> Result<()>,
    ) -> Result<Admitted, Box<Refused>> {
        let Some(token) = token else { return Err(self.anonymous(address, Error::Unauthorized)) };
        let principal = match self.principal(token.digest()).await {
            Ok(Some(principal)) => principal,
            Ok(None) => return Err(self.anonymous(address, Error::Unauthorized)),
            // A failure of ours is nothing to hold against the address.
            Err(error) => return Err(Box::new(error.into())),
        };
        if let Err(error) = principal.usable(self.now(), address) {
            let refused = self.anonymous(address, error);
            return Err(Box::new(Refused { presented: Some(principal), ..*refused }));
        }
        let refused = |error, principal: Principal, verdict| {
            let presented = Some(principal.clone());
            Err(Box::new(Refused { error, principal: Some(principal), presented, verdict }))
        };
        if let Err(error) = may(&principal) {
            let standing = self.standing(&principal);
            return refused(error, principal, Some(standing));
        }
        match self.take(&principal, 1).await {
            Ok(verdict) => match verdict.error(self.now()) {
                Some(error) => refused(error, principal, Some(verdict)),
                None => Ok(Admitted { principal, token, verdict }),
            },
            Err(error) => refused(error, principal, None),
        }
    }

    /// Counts a request without a valid key: `error`, or that there are too many of them.
    pub fn anonymous(&self, address: Option<IpAddr>, error: Error) -> Box<Refused> {
        let verdict = self.admit_anonymous(address);
        let error = verdict.error(self.now()).unwrap_or(error);
        Box::new(Refused { error, principal: None, presented: None, verdict: Some(verdict) })
    }

    /// Lets a request with `token` from `address` in, if all that is needed for it is in memory, the key is
    /// of an environment that is asked for and may do all of `scopes`, where none stands for one that cannot
    /// be read; it then counts as answered with `status`. Takes less than a microsecond and allocates
    /// nothing.
    pub fn pass<'s>(
        &self,
        token: &str,
        scopes: impl IntoIterator<Item = Option<ScopeRef<'s>>>,
        environment: EnvironmentFilter,
        address: Option<IpAddr>,
        now: Timestamp,
        status: u16,
    ) -> Option<Passed> {
        let digest = TokenDigest::of(&self.0.settings.token_format, token)?;
        let decision = self.0.keys.with(&digest, now, |state, known, meter, unwritten| {
            let facts = &known.facts;
            let may = environment.admits(state.environment)
                && facts.status(now) == KeyStatus::Active
                && facts.allows_address(address)
                && scopes.into_iter().all(|scope| scope.is_some_and(|scope| facts.may(scope).is_ok()));
            if !may {
                return None;
            }
            let verdict = self.0.limiter.take(meter, state.workspace_id, facts, now, 1);
            if verdict.refusal.is_some() {
                return None;
            }
            self.lease_ahead(state, meter.chain(), &verdict, facts);
            self.0.usage.count(state, unwritten, now, status);
            Some(Passed {
                key_id: state.key_id,
                workspace_id: state.workspace_id,
                environment: state.environment,
                scope_list: facts.scope_list.clone(),
                profile: known.profile.clone(),
                plan: facts.limits.index,
                verdict,
            })
        });
        let passed = decision.flatten()?;
        self.metrics().hit();
        self.metrics().decided(Via::Auth, Ok(Code::Valid));
        Some(passed)
    }
}
