//! API keys on the wire.

use std::time::Duration;

use gatepost_app::{
    keys::api_keys::{CreateApiKey, NewKey, RotatedKey, UpdateApiKey},
    lists::API_KEY_SORTS,
};
use gatepost_kernel::{ApiKeyId, CalendarTime, Environment, ExternalId, JsonObject, Timestamp};
use gatepost_keys::{IpAllowlist, KeyStatus, Metadata, ScopeSet};
use gatepost_macros::{body, query, view};

use crate::{
    lists::{Description, Listed},
    shown::Shown,
    tenants::views::ApiKeyView,
    values::{AnyObject, AnyText, Name, Whole},
};

const DEFAULT_GRACE_PERIOD_HOURS: u16 = 24;
const MAX_GRACE_PERIOD_HOURS: i64 = 168;

/// A new API key, with its secret.
#[view(from = (NewKey, Shown), of = 0.key, example = {
    "id": 2, "name": "Mobile App Key", "key": "{live_key}abc123def456ghi789...", "prefix": "{live_key}abc",
    "scopes": ["{scope posts:read}", "{scope users:read}"], "rate_limit_tier": "pro", "allowed_ips": [],
    "expires_at": "2027-01-01T00:00:00Z", "created_at": "2026-01-15T10:30:00Z",
})]
pub struct CreatedApiKeyView {
    /// Numeric id of the API key.
    id: ApiKeyId,
    /// Human-readable label of the API key.
    name: String,
    /// Secret of the key; shown in this response only.
    #[member(from = source.0.secret.expose().to_owned())]
    key: String,
    /// First characters of the secret, to recognise the key by.
    prefix: String,
    /// Scopes granted to the key.
    #[member(from = source.0.key.scopes.texts(source.1.scopes))]
    scopes: Vec<String>,
    /// Environment the key belongs to.
    environment: Environment,
    /// Plan whose limits apply to the key; null to follow the workspace's tier.
    rate_limit_tier: Option<String>,
    /// Addresses and CIDR ranges the key may be used from; empty means everywhere.
    #[member(from = source.0.key.allowed_ips.to_texts())]
    allowed_ips: Vec<String>,
    /// Time at which the key expires; null if it never does.
    #[member(from = source.0.key.expires_at.map(CalendarTime))]
    expires_at: Option<CalendarTime>,
    /// Id of the key's holder in your own system; null if none was given.
    external_id: Option<ExternalId>,
    /// Metadata kept with the key.
    metadata: Metadata,
    /// Whether the key is enabled.
    #[member(from = source.0.key.disabled_at.is_none())]
    enabled: bool,
    /// Time at which the key was created.
    created_at: Timestamp,
}

/// The API key that a rotation created, with its secret.
#[view(from = (RotatedKey, Shown), of = 0.new.key, example = {
    "id": 3, "name": "Mobile App Key", "key": "{live_key}new123key456...", "prefix": "{live_key}new",
    "scopes": ["{scope posts:read}", "{scope users:read}"], "rate_limit_tier": "pro", "allowed_ips": [], "rotated_from_id": 2,
    "grace_period_ends_at": "2026-01-16T10:30:00Z", "created_at": "2026-01-15T10:30:00Z",
})]
pub struct RotatedApiKeyView {
    /// Numeric id of the new API key.
    id: ApiKeyId,
    /// Human-readable label of the API key.
    name: String,
    /// Secret of the new key; shown in this response only.
    #[member(from = source.0.new.secret.expose().to_owned())]
    key: String,
    /// First characters of the secret, to recognise the key by.
    prefix: String,
    /// Scopes granted to the key.
    #[member(from = source.0.new.key.scopes.texts(source.1.scopes))]
    scopes: Vec<String>,
    /// Environment the key belongs to.
    environment: Environment,
    /// Plan whose limits apply to the key; null to follow the workspace's tier.
    rate_limit_tier: Option<String>,
    /// Addresses and CIDR ranges the key may be used from; empty means everywhere.
    #[member(from = source.0.new.key.allowed_ips.to_texts())]
    allowed_ips: Vec<String>,
    /// Time at which the new key expires; null if it never does.
    #[member(from = source.0.new.key.expires_at.map(CalendarTime))]
    expires_at: Option<CalendarTime>,
    /// Id of the key's holder in your own system; null if none was given.
    external_id: Option<ExternalId>,
    /// Metadata kept with the key.
    metadata: Metadata,
    /// Id of the API key that was replaced.
    rotated_from_id: Option<ApiKeyId>,
    /// End of the grace period in which the old key still works.
    #[member(from = source.0.grace_period_ends_at)]
    grace_period_ends_at: Timestamp,
    /// Time at which the new key was created.
    created_at: Timestamp,
}

/// What the list of API keys can be filtered by.
#[query]
pub struct ApiKeyFilters {
    /// Return only keys with this status; all that are not revoked if not given
    pub status: Option<KeyStatus>,
    /// Return only keys of this environment; of both if not given
    pub environment: Option<Environment>,
    /// Return only keys with this external id
    pub external_id: Option<ExternalId>,
}

impl Listed for ApiKeyView {
    type Filters = ApiKeyFilters;

    const LIST: Description = Description {
        searched: Some("the name"),
        row_bytes: Metadata::MAX_BYTES as u64,
        ..Description::of_changing(API_KEY_SORTS)
    };
}

/// An API key to create.
#[body(into = CreateApiKey, example = {
    "name": "Mobile App Key", "scopes": ["{scope posts:read}", "{scope users:read}"], "rate_limit_tier": "pro",
    "allowed_ips": ["192.0.2.0/24", "2001:db8::1"], "expires_at": "2027-01-01T00:00:00Z", "external_id": "user_42",
    "metadata": {"team": "mobile"},
})]
pub struct CreateApiKeyBody {
    /// Human-readable label of the API key
    #[member(like = Name)]
    name: String,
    /// Scopes to grant; `read` and `write` if not given
    scopes: Option<ScopeSet>,
    /// Environment the key belongs to; that of the calling key if not given
    environment: Option<Environment>,
    /// Rate limit tier, not above the workspace's nor the caller's own; the caller's own if not given, or the
    /// workspace's
    #[member(like = AnyText)]
    rate_limit_tier: Option<String>,
    /// IP addresses and CIDR ranges that the key may be used from, within those of the calling key; those of
    /// the calling key if not given. An empty list allows every address
    allowed_ips: Option<IpAllowlist>,
    /// Expiration date, not later than the caller's; the caller's if not given, which may be never
    expires_at: Option<Timestamp>,
    /// Id of the key's holder in your own system; shown by verification and forward auth. Several keys may
    /// have the same
    external_id: Option<ExternalId>,
    /// Metadata to keep with the key, at most 4,096 bytes; shown by verification. Members that are null are
    /// left out
    #[member(like = AnyObject, default)]
    metadata: JsonObject,
    /// Whether the key is enabled; true if not given
    #[member(to = disabled, into = enabled == Some(false))]
    enabled: Option<bool>,
}

/// Changes to an API key; members that are left out stay as they are.
#[body(changes, into = UpdateApiKey, example = {
    "name": "Mobile App Key", "scopes": ["{scope posts:read}"], "allowed_ips": ["192.0.2.0/24"],
    "expires_at": "2027-01-01T00:00:00Z", "external_id": "user_42", "metadata": {"team": "mobile"}, "enabled": true,
})]
pub struct UpdateApiKeyBody {
    /// Human-readable label of the API key
    #[member(like = Name)]
    name: Option<String>,
    /// Scopes to grant, replacing those of before
    scopes: Option<ScopeSet>,
    /// Addresses and CIDR ranges that the key may be used from; null or empty for everywhere
    #[member(into = allowed_ips.map(Option::unwrap_or_default))]
    allowed_ips: Option<Option<IpAllowlist>>,
    /// Expiration date; null for never
    expires_at: Option<Option<Timestamp>>,
    /// Id of the key's holder in your own system; null for none
    external_id: Option<Option<ExternalId>>,
    /// Metadata to merge; `null` removes a member
    #[member(like = AnyObject)]
    metadata: Option<JsonObject>,
    /// Whether the key is enabled. While it is not, requests with it are refused (`key_disabled`, and
    /// `DISABLED` in verification)
    enabled: Option<bool>,
}

/// Options for rotating an API key.
#[body(example = { "grace_period_hours": 24 })]
pub struct RotateApiKeyBody {
    /// Hours in which both keys work; 24 if not given, 0 ends the old one at once
    #[member(like = Whole<u16, 0, MAX_GRACE_PERIOD_HOURS>)]
    grace_period_hours: Option<u16>,
}

impl RotateApiKeyBody {
    /// How long the old key works beside the new one.
    pub fn grace_period(&self) -> Duration {
        Duration::from_secs(u64::from(self.grace_period_hours.unwrap_or(DEFAULT_GRACE_PERIOD_HOURS)) * 3_600)
    }
}
