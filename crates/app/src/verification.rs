//! One decision over a key that somebody else presents: status, address, scopes, limit.
//!
//! Nothing is spent when any part refuses, and a key that the caller may not see looks like one that is not there.

use std::net::IpAddr;

use gatepost_kernel::{Error, Result, Secret};
use gatepost_keys::{KeyStatus, ScopeSet, Token};
use gatepost_limits::Verdict;

use crate::{App, Caller, Principal};

/// What to decide on.
#[derive(Debug)]
pub struct Verification {
    /// The token that was presented.
    pub token: Secret,
    /// What it must allow, all of it.
    pub scopes: ScopeSet,
    /// Where it was presented from.
    pub client_ip: Option<IpAddr>,
    /// What to count against its limits.
    pub cost: u64,
}

/// The decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// It may pass, and was counted.
    Valid,
    /// There is no such key, or the caller may not see it.
    NotFound,
    /// The key or its workspace was taken back.
    Revoked,
    /// Its end has come.
    Expired,
    /// It may not be used from there, or it is not said from where it is used.
    IpNotAllowed,
    /// It does not allow one of the scopes, or the plan does not.
    InsufficientScope,
    /// One of its limits is reached.
    RateLimited,
}

impl Code {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "VALID",
            Self::NotFound => "NOT_FOUND",
            Self::Revoked => "REVOKED",
            Self::Expired => "EXPIRED",
            Self::IpNotAllowed => "IP_NOT_ALLOWED",
            Self::InsufficientScope => "INSUFFICIENT_SCOPE",
            Self::RateLimited => "RATE_LIMITED",
        }
    }
}

/// The decision with what the caller may know about the key.
#[derive(Debug)]
pub struct Verified {
    /// The decision.
    pub code: Code,
    /// The key; none if it is not found.
    pub principal: Option<Principal>,
    /// How the key stands against its limits; none if the decision fell before.
    pub limits: Option<Verdict>,
}

/// Decides.
///
/// # Errors
/// [`Error::Unavailable`]; never a refusal, which is an answer here.
pub async fn verify(app: &App, caller: &Caller, input: Verification) -> Result<Verified> {
    let none = Verified { code: Code::NotFound, principal: None, limits: None };
    let Some(token) = Token::parse(input.token.expose()) else { return Ok(none) };
    let Some(principal) = app.principal(token.digest()).await? else { return Ok(none) };
    // The platform sees every tenant's keys, unless it acts on one of them.
    let acts_on_all = caller.is_root() && caller.workspace_id().is_root();
    let sees = (acts_on_all || principal.workspace_id() == caller.workspace_id())
        && caller.environment().manages(principal.environment());
    if !sees {
        return Ok(none);
    }
    let (code, limits) = decide(app, &principal, &input).await?;
    let status = if code == Code::Valid { 200 } else { 403 };
    app.record_use(&principal, status);
    Ok(Verified { code, principal: Some(principal), limits })
}

async fn decide(app: &App, principal: &Principal, input: &Verification) -> Result<(Code, Option<Verdict>)> {
    match principal.status(app.now()) {
        KeyStatus::Active => {}
        KeyStatus::Expired => return Ok((Code::Expired, None)),
        KeyStatus::Revoked => return Ok((Code::Revoked, None)),
    }
    if !principal.allows_address(input.client_ip) {
        return Ok((Code::IpNotAllowed, None));
    }
    if input.scopes.iter().any(|scope| matches!(principal.may(scope), Err(Error::AccessDenied(_)))) {
        return Ok((Code::InsufficientScope, None));
    }
    let verdict = app.admit(principal, input.cost).await?;
    let code = if verdict.refusal.is_some() { Code::RateLimited } else { Code::Valid };
    Ok((code, Some(verdict)))
}
