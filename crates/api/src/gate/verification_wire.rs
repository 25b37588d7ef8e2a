//! The verification of keys on the wire.

use std::net::IpAddr;

use gatepost_app::{
    entitlements::UseFeature,
    keys::verification::{Verification, Verified},
};
use gatepost_entitlements::Operation;
use gatepost_gate::Code;
use gatepost_kernel::{
    ApiKeyId, CalendarTime, Environment, EnvironmentFilter, ExternalId, Secret, WorkspaceId,
    describe::{Described, Schemas},
};
use gatepost_keys::{Metadata, ScopeSet};
use gatepost_limits::Standing;
use gatepost_macros::{body, view};
use serde_json::{Value, json, value::RawValue};

use crate::{
    body::{Fields, Member},
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

/// The most groups of scopes.
const MAX_GROUPS: usize = 20;

/// Groups of scopes, one of which is enough.
pub struct ScopeGroups;

impl Described for ScopeGroups {
    fn schema(schemas: &mut Schemas) -> Value {
        let mut group = ScopeSet::schema(schemas);
        group["minItems"] = json!(1);
        json!({ "type": "array", "minItems": 1, "maxItems": MAX_GROUPS, "items": group })
    }
}

impl Member for ScopeGroups {
    type Value = Vec<ScopeSet>;

    fn read<'b>(fields: &mut Fields<'b>, name: &'static str, value: &'b RawValue) -> Option<Vec<ScopeSet>> {
        let groups = fields.items(name, value, 1..=MAX_GROUPS)?;
        let order = fields.scope_order();
        let group = |(index, group): (usize, &'b RawValue)| {
            let name = format!("{name}.{index}");
            let scopes = fields.texts(&name, group, |texts| ScopeSet::parse_in(order, texts))?;
            if scopes.iter().next().is_none() {
                // Whoever needs nothing of it could use any key.
                fields.error(&name, "A group of scopes may not be empty.");
            }
            Some(scopes)
        };
        groups.into_iter().enumerate().map(group).collect()
    }
}

/// An API key to verify.
#[body(example = {
    "key": "{live_key}abc123def456ghi789...", "scopes": ["{scope posts:write}"],
    "scopes_any": [["{scope users:read}"], ["{scope users:write}"]], "client_ip": "192.0.2.7", "cost": 1,
    "feature": "api_calls", "quantity": 1, "idempotency_key": "order-1234",
})]
pub struct VerifyApiKeyBody {
    /// Secret of the key that was presented
    #[member(like = PresentedKey)]
    key: Secret,
    /// Scopes the key must have, all of them
    #[member(default)]
    scopes: ScopeSet,
    /// Groups of scopes; the key must also have all scopes of one of them, whichever
    #[member(like = ScopeGroups, default)]
    scopes_any: Vec<ScopeSet>,
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
            scopes_any,
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
            scopes_any,
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
    "name": "Mobile App Key", "external_id": "user_42", "metadata": {"team": "mobile"}, "tier": "pro",
    "expires_at": "2027-01-01T00:00:00Z",
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
    /// Human-readable label of the key.
    name: Option<String>,
    /// Id of the key's holder in your own system; null if none was given.
    external_id: Option<ExternalId>,
    /// Metadata kept with the key.
    metadata: Option<Metadata>,
    /// Name of the plan whose limits apply to the key.
    tier: Option<String>,
    /// Time at which the key stops working by itself; null if it never does.
    expires_at: Option<CalendarTime>,
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
            name: principal.map(|p| p.profile().name().to_owned()),
            external_id: principal.and_then(|p| ExternalId::parse(p.profile().external_id()?)),
            metadata: principal.map(|_| verified.metadata.clone()),
            tier: principal.map(|p| p.limits().name.clone()),
            expires_at: principal.and_then(|p| p.ends_at()).map(CalendarTime),
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
