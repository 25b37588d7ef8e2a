//! The verification of keys on the wire.

use std::net::IpAddr;

use gatepost_app::{
    entitlements::UseFeature,
    keys::verification::{Verification, Verified},
};
use gatepost_entitlements::Operation;
use gatepost_gate::Code;
use gatepost_kernel::{ApiKeyId, CalendarTime, Environment, EnvironmentFilter, Secret, WorkspaceId};
use gatepost_keys::ScopeSet;
use gatepost_limits::Standing;
use gatepost_macros::{body, view};

use crate::{
    entitlements::wire::{EntitlementCheckView, FeatureKey, Quantity, UseKey},
    shown::Shown,
    values::{Whole, texts},
};

texts! {
    /// A key that was presented.
    PresentedKey(Secret) = { "type": "string" }, |key| Ok(Secret::new(key.to_owned()));
    /// Where from.
    ClientIp(IpAddr) = { "type": "string" }, |ip| {
        ip.parse().map_err(|_| "The client ip must be an IPv4 or IPv6 address.".to_owned())
    };
}

/// An API key to verify.
#[body(example = {
    "key": "{live_key}abc123def456ghi789...", "scopes": ["{scope posts:write}"], "client_ip": "192.0.2.7", "cost": 1,
    "feature": "api_calls", "quantity": 1, "idempotency_key": "order-1234",
})]
pub struct VerifyApiKeyBody {
    /// Secret of the key that was presented
    #[member(like = PresentedKey)]
    key: Secret,
    /// Scopes the key must have, all of them
    #[member(default)]
    scopes: ScopeSet,
    /// Address the key was presented from; needed for keys that are restricted to addresses
    #[member(like = ClientIp)]
    client_ip: Option<IpAddr>,
    /// Number of requests to count against the key's limits; 1 if not given
    #[member(like = Whole<u64, 0, 1_000_000>)]
    cost: Option<u64>,
    /// Key of a feature the key's workspace is about to use
    #[member(like = FeatureKey)]
    feature: Option<String>,
    /// Quantity of the feature; 1 if not given, 0 only checks
    #[member(like = Quantity, requires = feature)]
    quantity: Option<u64>,
    /// Key that makes a repetition of the feature's usage safe: it is counted once within 32 days and gets
    /// the same decision again. The limits of the API key are spent each time
    #[member(like = UseKey, requires = feature)]
    idempotency_key: Option<String>,
    /// Environment the key must be of; that of the calling key if not given
    environment: Option<EnvironmentFilter>,
}

impl From<VerifyApiKeyBody> for Verification {
    fn from(body: VerifyApiKeyBody) -> Self {
        let VerifyApiKeyBody {
            key,
            scopes,
            client_ip,
            cost,
            feature,
            quantity,
            idempotency_key,
            environment,
        } = body;
        let used = |feature| UseFeature {
            feature,
            operation: Operation::Add,
            quantity: quantity.unwrap_or(1),
            idempotency_key,
            metadata: None,
        };
        Self {
            token: key,
            scopes,
            client_ip,
            cost: cost.unwrap_or(1),
            environment,
            feature: feature.map(used),
        }
    }
}

/// Decision on an API key. For a key that is not found, or that the caller may not see, all other members are
/// null.
#[view(example = {
    "valid": true, "key_id": 2, "workspace_id": 1, "scopes": ["{scope posts:read}", "{scope posts:write}"],
})]
pub struct VerificationView {
    /// Whether the key may pass.
    valid: bool,
    /// Code of the decision.
    code: Code,
    /// Numeric id of the key.
    key_id: Option<ApiKeyId>,
    /// Numeric id of the key's workspace.
    workspace_id: Option<WorkspaceId>,
    /// Environment the key belongs to.
    environment: Option<Environment>,
    /// Scopes granted to the key.
    scopes: Option<Vec<String>>,
    /// Standing of the key for its rate limits; null if the decision was made before.
    rate_limit: Option<RateLimitView>,
    /// Standing of the workspace for the feature; null if the decision was made before, or no feature was
    /// given.
    entitlement: Option<EntitlementCheckView>,
}

/// Standing of a key for its rate limits.
#[view]
pub struct RateLimitView {
    /// Standing for the sliding minute; null if there is no such limit.
    minute: Option<StandingView>,
    /// Standing for the UTC day; null if there is no such limit.
    day: Option<StandingView>,
    /// Standing of all keys of the workspace together for the sliding minute, if the plan limits it.
    #[member(optional)]
    workspace_minute: Option<StandingView>,
    /// Standing of all keys of the workspace together for the UTC day, if the plan limits it.
    #[member(optional)]
    workspace_day: Option<StandingView>,
    /// Seconds to wait after `RATE_LIMITED`; null otherwise.
    retry_after: Option<u64>,
}

/// Standing for one rate limit.
#[view(from = Standing, example = {"limit": 5000, "remaining": 4999, "reset_at": "2026-01-15T10:31:01Z"})]
pub struct StandingView {
    /// Number of requests allowed.
    limit: u64,
    /// Number of requests left.
    remaining: u64,
    /// Time at which the limit has room again.
    #[member(from = source.reset_at.rounded_up().into())]
    reset_at: CalendarTime,
}

impl VerificationView {
    /// The decision.
    pub fn new(verified: Verified, Shown { now, scopes }: Shown) -> Self {
        let principal = verified.principal.as_ref();
        Self {
            valid: verified.code == Code::Valid,
            code: verified.code,
            key_id: principal.map(|p| p.key_id()),
            workspace_id: principal.map(|p| p.workspace_id()),
            environment: principal.map(|p| p.environment()),
            scopes: principal.map(|p| p.scopes().texts(scopes)),
            rate_limit: verified.limits.map(|verdict| RateLimitView {
                minute: verdict.minute.map(Into::into),
                day: verdict.day.map(Into::into),
                workspace_minute: verdict.workspace.minute.map(Into::into),
                workspace_day: verdict.workspace.day.map(Into::into),
                retry_after: verdict
                    .retry_at
                    .map(|at| at.since(now).as_micros().div_ceil(1_000_000).max(1) as u64),
            }),
            entitlement: verified.entitlement.map(Into::into),
        }
    }
}
