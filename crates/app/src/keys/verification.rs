//! One decision over a key that somebody else presents: status, address, scopes, limit.
//!
//! Nothing is spent when any part refuses, and a key that the caller may not see looks like one that is not
//! there.

use std::net::IpAddr;

use gatepost_gate::{Code, Principal, Via};
use gatepost_kernel::{EnvironmentFilter, Result, Secret};
use gatepost_keys::{KeyStatus, Metadata, ScopeSet, Token};
use gatepost_limits::Verdict;

use crate::{
    App, Caller,
    entitlements::{FeatureStanding, UseFeature, check_usable, consume},
};

/// What to decide on.
#[derive(Debug)]
pub struct Verification {
    /// The token that was presented.
    pub token: Secret,
    /// What it must allow, all of it.
    pub scopes: ScopeSet,
    /// Of these it must allow one or more, each as a whole; no matter if there are none.
    pub scopes_any: Vec<ScopeSet>,
    /// Where it was presented from.
    pub client_ip: Option<IpAddr>,
    /// What to count against its limits.
    pub cost: u64,
    /// Which environment it must be of; that of the caller's own key if nothing is said.
    pub environment: Option<EnvironmentFilter>,
    /// What its workspace is to use, how much of it, and by which key a repetition of that use is known.
    pub feature: Option<UseFeature>,
}

/// The decision with what the caller may know about the key.
#[derive(Debug)]
pub struct Verified {
    /// The decision.
    pub code: Code,
    /// The key; none if it is not found.
    pub principal: Option<Principal>,
    /// What is kept with it.
    pub metadata: Metadata,
    /// How the key stands against its limits; none if the decision fell before.
    pub limits: Option<Verdict>,
    /// How its workspace stands with the feature; none if the decision fell before, or none was asked for.
    pub entitlement: Option<FeatureStanding>,
}

/// Decides.
///
/// # Errors
/// [`gatepost_kernel::Error::Unavailable`]; never a refusal, which is an answer here.
pub async fn verify(app: &App, caller: &Caller, input: Verification) -> Result<Verified> {
    let verified = look_and_decide(app, caller, input).await;
    app.gate().metrics().decided(Via::Verify, verified.as_ref().map(|verified| verified.code));
    verified
}

async fn look_and_decide(app: &App, caller: &Caller, mut input: Verification) -> Result<Verified> {
    if let Some(used) = &input.feature {
        check_usable(app, &used.feature)?;
    }
    let none = Verified {
        code: Code::NotFound,
        principal: None,
        metadata: Metadata::default(),
        limits: None,
        entitlement: None,
    };
    let Some(token) = Token::parse(app.token_format(), input.token.expose()) else { return Ok(none) };
    let Some(principal) = app.gate().principal(token.digest()).await? else { return Ok(none) };
    // The platform sees every tenant's keys, unless it acts on one of them.
    let acts_on_all = caller.is_root() && caller.workspace_id().is_root();
    let sees = (acts_on_all || principal.workspace_id() == caller.workspace_id())
        && caller.environment().manages(principal.environment());
    if !sees {
        return Ok(none);
    }
    let environment = input.environment.unwrap_or(EnvironmentFilter::Only(caller.environment()));
    // First: what fails after a request was counted would be counted again.
    let metadata = metadata_of(app, &principal).await?;
    let (code, limits, entitlement) = decide(app, &principal, environment, &mut input).await?;
    if code != Code::Valid {
        let scopes = input.scopes.iter().chain(input.scopes_any.iter().flat_map(ScopeSet::iter));
        let request_id = caller.request_id().cloned();
        app.gate().refused(&principal, (Via::Verify, code), scopes, input.client_ip, request_id);
    }
    let status = if code == Code::Valid { 200 } else { 403 };
    app.gate().record_use(&principal, status);
    Ok(Verified { code, principal: Some(principal), metadata, limits, entitlement })
}

/// What is kept with a key, wherever it is.
async fn metadata_of(app: &App, principal: &Principal) -> Result<Metadata> {
    match principal.profile().metadata() {
        Some(metadata) => Ok(metadata),
        None => {
            let id = principal.key_id();
            app.read(async move |mut tx| Ok(tx.api_key_metadata(id).await?)).await
        }
    }
}

/// Whether the scopes of a key, and the plan of its workspace, allow all of these.
fn allows(principal: &Principal, scopes: &ScopeSet) -> bool {
    scopes.iter().all(|scope| principal.may(scope).is_ok())
}

type Decision = (Code, Option<Verdict>, Option<FeatureStanding>);

async fn decide(
    app: &App,
    principal: &Principal,
    environment: EnvironmentFilter,
    input: &mut Verification,
) -> Result<Decision> {
    match principal.status(app.now()) {
        KeyStatus::Active => {}
        KeyStatus::Disabled => return Ok((Code::Disabled, None, None)),
        KeyStatus::Expired => return Ok((Code::Expired, None, None)),
        KeyStatus::Revoked => return Ok((Code::Revoked, None, None)),
    }
    if !principal.allows_address(input.client_ip) {
        return Ok((Code::IpNotAllowed, None, None));
    }
    if !environment.admits(principal.environment()) {
        return Ok((Code::WrongEnvironment, None, None));
    }
    let any = &input.scopes_any;
    if !allows(principal, &input.scopes)
        || !(any.is_empty() || any.iter().any(|scopes| allows(principal, scopes)))
    {
        return Ok((Code::InsufficientScope, None, None));
    }
    let cost = input.cost;
    let (verdict, admitted_at) = app.gate().take_at(principal, cost).await?;
    if verdict.refusal.is_some() {
        return Ok((Code::RateLimited, Some(verdict), None));
    }
    let Some(used) = input.feature.take() else { return Ok((Code::Valid, Some(verdict), None)) };
    let counted = consume(app, principal.owner(), used).await;
    if !counted.as_ref().is_ok_and(|standing| standing.refused.is_none()) {
        // Nothing is spent when any part refuses, or fails.
        app.gate().give_back(principal, cost, admitted_at);
    }
    let standing = counted?;
    match standing.refused {
        None => Ok((Code::Valid, Some(verdict), Some(standing))),
        Some(_) => {
            let limits = app.gate().standing(principal);
            Ok((Code::FeatureLimitReached, Some(limits), Some(standing)))
        }
    }
}
