//! API keys on the wire.

use std::time::Duration;

use gatepost_api_macros::view;
use gatepost_app::{
    keys::api_keys::{CreateApiKey, ListApiKeys, NewKey, RotatedKey, UpdateApiKey, check_expiry},
    lists::API_KEY_SORTS,
};
use gatepost_kernel::{ApiKeyId, CalendarTime, Environment, Timestamp, text};
use gatepost_keys::{IpAllowlist, KeyStatus, ScopeSet};
use utoipa::ToSchema;

use crate::{
    body::{Context, Fields, Null, ReadBody},
    closed_sets::EnvironmentWord,
    describe::View,
    lists::{Description, Filter, Include, ListQuery, Listed, Values},
    scopes::{RequiredScope, WorkspacesRead},
    tenants::views::{ApiKeyView, scope_texts},
    wire::envelopes,
};

const DEFAULT_GRACE_PERIOD_HOURS: u16 = 24;
const MAX_GRACE_PERIOD_HOURS: u16 = 168;

/// A new API key, with its secret.
#[view(example = {
    "id": 2, "name": "Mobile App Key", "key": "sk_live_abc123def456ghi789...", "prefix": "sk_live_abc",
    "scopes": ["posts:read", "users:read"], "rate_limit_tier": "pro", "allowed_ips": [],
    "expires_at": "2027-01-01T00:00:00Z", "created_at": "2026-01-15T10:30:00Z",
})]
pub struct CreatedApiKeyView {
    /// Numeric id of the API key.
    id: ApiKeyId,
    /// Human-readable label of the API key.
    name: String,
    /// Secret of the key; shown in this response only.
    key: String,
    /// First characters of the secret, to recognise the key by.
    prefix: String,
    /// Scopes granted to the key.
    scopes: Vec<String>,
    /// Environment the key belongs to.
    environment: Environment,
    /// Plan whose limits apply to the key; null to follow the workspace's tier.
    rate_limit_tier: Option<String>,
    /// Addresses and CIDR ranges the key may be used from; empty means everywhere.
    allowed_ips: Vec<String>,
    /// Time at which the key expires; null if it never does.
    expires_at: Option<CalendarTime>,
    /// Time at which the key was created.
    created_at: Timestamp,
}

impl From<NewKey> for CreatedApiKeyView {
    fn from(new: NewKey) -> Self {
        let NewKey { key, secret } = new;
        Self {
            key: secret.expose().to_owned(),
            scopes: scope_texts(&key.scopes),
            allowed_ips: key.allowed_ips.to_texts(),
            id: key.id,
            name: key.name,
            prefix: key.prefix,
            environment: key.environment,
            rate_limit_tier: key.rate_limit_tier,
            expires_at: key.expires_at.map(CalendarTime),
            created_at: key.created_at,
        }
    }
}

/// The API key that a rotation created, with its secret.
#[view(example = {
    "id": 3, "name": "Mobile App Key", "key": "sk_live_new123key456...", "prefix": "sk_live_new",
    "scopes": ["posts:read", "users:read"], "rate_limit_tier": "pro", "allowed_ips": [], "rotated_from_id": 2,
    "grace_period_ends_at": "2026-01-16T10:30:00Z", "created_at": "2026-01-15T10:30:00Z",
})]
pub struct RotatedApiKeyView {
    /// Numeric id of the new API key.
    id: ApiKeyId,
    /// Human-readable label of the API key.
    name: String,
    /// Secret of the new key; shown in this response only.
    key: String,
    /// First characters of the secret, to recognise the key by.
    prefix: String,
    /// Scopes granted to the key.
    scopes: Vec<String>,
    /// Environment the key belongs to.
    environment: Environment,
    /// Plan whose limits apply to the key; null to follow the workspace's tier.
    rate_limit_tier: Option<String>,
    /// Addresses and CIDR ranges the key may be used from; empty means everywhere.
    allowed_ips: Vec<String>,
    /// Time at which the new key expires; null if it never does.
    expires_at: Option<CalendarTime>,
    /// Id of the API key that was replaced.
    rotated_from_id: Option<ApiKeyId>,
    /// End of the grace period in which the old key still works.
    grace_period_ends_at: Timestamp,
    /// Time at which the new key was created.
    created_at: Timestamp,
}

impl From<RotatedKey> for RotatedApiKeyView {
    fn from(rotated: RotatedKey) -> Self {
        let RotatedKey { new: NewKey { key, secret }, grace_period_ends_at } = rotated;
        Self {
            key: secret.expose().to_owned(),
            scopes: scope_texts(&key.scopes),
            allowed_ips: key.allowed_ips.to_texts(),
            id: key.id,
            name: key.name,
            prefix: key.prefix,
            environment: key.environment,
            rate_limit_tier: key.rate_limit_tier,
            expires_at: key.expires_at.map(CalendarTime),
            rotated_from_id: key.rotated_from_id,
            grace_period_ends_at,
            created_at: key.created_at,
        }
    }
}

envelopes! {
    item ApiKeyItem(ApiKeyView);
    message ApiKeyMessage(ApiKeyView);
    page ApiKeyPage(ApiKeyView);
    message CreatedApiKeyMessage(CreatedApiKeyView);
    message RotatedApiKeyMessage(RotatedApiKeyView);
}

/// What can be asked of the list of API keys.
pub struct ApiKeyList;

impl Listed for ApiKeyList {
    const LIST: Description = Description {
        sorts: API_KEY_SORTS,
        default_sort: "created_at",
        filters: &[
            Filter {
                name: "status",
                values: Values::OneOf(&KeyStatus::NAMES),
                about: "Return only keys with this status; all that are not revoked if not given",
            },
            Filter {
                name: "environment",
                values: Values::OneOf(&Environment::NAMES),
                about: "Return only keys of this environment; of both if not given",
            },
        ],
        has_updated_at: true,
        searched: Some("the name"),
        fields: ApiKeyView::MEMBERS,
        content: None,
        includes: &[Include {
            name: "workspace",
            scope: WorkspacesRead::scope,
            about: "the workspace, which takes `workspaces:read`",
        }],
        is_log: false,
    };
}

impl From<&ListQuery<ApiKeyList>> for ListApiKeys {
    fn from(query: &ListQuery<ApiKeyList>) -> Self {
        Self {
            status: query.filter("status").and_then(KeyStatus::parse),
            environment: query.filter("environment").and_then(|text| text.parse().ok()),
            with_workspace: query.includes("workspace"),
        }
    }
}

/// An API key to create.
#[derive(ToSchema)]
pub struct CreateApiKeyBody {
    /// Human-readable label of the API key
    #[schema(min_length = 1, max_length = 255, example = "Mobile App Key")]
    name: String,
    /// Scopes to grant; `read` and `write` if not given
    #[schema(value_type = Option<Vec<String>>, max_items = 100, example = json!(["posts:read", "users:read"]))]
    scopes: Option<ScopeSet>,
    /// Environment the key belongs to; that of the calling key if not given
    #[schema(value_type = Option<EnvironmentWord>)]
    environment: Option<Environment>,
    /// Rate limit tier, not above the workspace's nor the caller's own; the caller's own if not given, or the workspace's
    #[schema(example = "pro")]
    rate_limit_tier: Option<String>,
    /// Addresses and CIDR ranges that the key may be used from, none that the caller may not; those of the caller if not given
    #[schema(value_type = Option<Vec<String>>, max_items = 50, example = json!(["192.0.2.0/24", "2001:db8::1"]))]
    allowed_ips: Option<IpAllowlist>,
    /// Expiration date, not later than the caller's; the caller's if not given, which may be never
    #[schema(value_type = Option<String>, format = DateTime, example = "2027-01-01T00:00:00Z")]
    expires_at: Option<Timestamp>,
}

impl ReadBody for CreateApiKeyBody {
    fn read(fields: &mut Fields, context: &Context<'_>) -> Option<Self> {
        let name = fields.required_text("name", |name| text::name("name", name));
        let scopes = fields.texts("scopes", Null::IsAbsent, ScopeSet::parse);
        let environment = fields.text("environment", Null::IsAbsent, str::parse);
        let rate_limit_tier = fields.text("rate_limit_tier", Null::IsAbsent, |tier| {
            context.catalog.check_tier("rate limit tier", tier).map(|()| tier.to_owned())
        });
        let allowed_ips = fields.texts("allowed_ips", Null::IsAbsent, IpAllowlist::parse);
        let expires_at = fields.text("expires_at", Null::IsAbsent, |text| expiry(text, context));
        Some(Self { name: name?, scopes, environment, rate_limit_tier, allowed_ips, expires_at })
    }
}

impl From<CreateApiKeyBody> for CreateApiKey {
    fn from(body: CreateApiKeyBody) -> Self {
        let CreateApiKeyBody { name, scopes, environment, rate_limit_tier, allowed_ips, expires_at } = body;
        Self { name, scopes, environment, rate_limit_tier, allowed_ips, expires_at }
    }
}

/// Changes to an API key; members that are left out stay as they are.
#[derive(ToSchema)]
pub struct UpdateApiKeyBody {
    /// Human-readable label of the API key
    #[schema(min_length = 1, max_length = 255, nullable = false, example = "Mobile App Key")]
    name: Option<String>,
    /// Scopes to grant, replacing those of before
    #[schema(value_type = Vec<String>, nullable = false, required = false, max_items = 100, example = json!(["posts:read"]))]
    scopes: Option<ScopeSet>,
    /// Addresses and CIDR ranges that the key may be used from; null or empty for everywhere
    #[schema(value_type = Option<Vec<String>>, max_items = 50, example = json!(["192.0.2.0/24"]))]
    allowed_ips: Option<IpAllowlist>,
    /// Expiration date; null for never
    #[schema(value_type = Option<String>, format = DateTime, example = "2027-01-01T00:00:00Z")]
    expires_at: Option<Option<Timestamp>>,
}

impl ReadBody for UpdateApiKeyBody {
    fn read(fields: &mut Fields, context: &Context<'_>) -> Option<Self> {
        let name = fields.text("name", Null::IsWrong, |name| text::name("name", name));
        let scopes = fields.texts("scopes", Null::IsWrong, ScopeSet::parse);
        let allowed_ips =
            fields.nullable_texts("allowed_ips", IpAllowlist::parse).map(Option::unwrap_or_default);
        let expires_at = fields.nullable_text("expires_at", |text| expiry(text, context));
        Some(Self { name, scopes, allowed_ips, expires_at })
    }
}

impl From<UpdateApiKeyBody> for UpdateApiKey {
    fn from(body: UpdateApiKeyBody) -> Self {
        let UpdateApiKeyBody { name, scopes, allowed_ips, expires_at } = body;
        Self { name, scopes, allowed_ips, expires_at }
    }
}

/// Options for rotating an API key.
#[derive(ToSchema)]
pub struct RotateApiKeyBody {
    /// Hours in which both keys work; 24 if not given, 0 ends the old one at once
    #[schema(minimum = 0, maximum = 168, example = 24)]
    grace_period_hours: Option<u16>,
}

impl RotateApiKeyBody {
    /// How long the old key works beside the new one.
    pub fn grace_period(&self) -> Duration {
        Duration::from_secs(u64::from(self.grace_period_hours.unwrap_or(DEFAULT_GRACE_PERIOD_HOURS)) * 3_600)
    }
}

impl ReadBody for RotateApiKeyBody {
    const OPTIONAL: bool = true;

    fn read(fields: &mut Fields, _: &Context<'_>) -> Option<Self> {
        let hours =
            fields.integer("grace_period_hours", Null::IsAbsent, 0..=i64::from(MAX_GRACE_PERIOD_HOURS));
        Some(Self { grace_period_hours: hours.and_then(|hours| u16::try_from(hours).ok()) })
    }
}

fn expiry(text: &str, context: &Context<'_>) -> Result<Timestamp, String> {
    let expires_at = Fields::instant(text, "expires at")?;
    check_expiry(expires_at, context.now).map(|()| expires_at)
}
