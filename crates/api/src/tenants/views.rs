//! Workspaces and API keys as they are shown. They stand in one room since each shows the other where that is
//! asked for.

use gatepost_app::{Workspace, tenants::workspaces::WorkspaceWithKeys};
use gatepost_kernel::{ApiKeyId, CalendarTime, Environment, ExternalId, JsonObject, Timestamp, WorkspaceId};
use gatepost_keys::{ApiKey, KeyStatus, Metadata};
use gatepost_macros::view;

use crate::{
    scopes::{ApiKeysRead, WorkspacesRead},
    shown::Shown,
};

/// An API key, without its secret.
#[view(from = (ApiKey, Shown), of = 0, example = {
    "id": 1, "name": "Production API Key", "prefix": "{live_key}abc", "scopes": ["{scope posts:read}", "{scope posts:write}"],
    "rate_limit_tier": "pro", "allowed_ips": ["192.0.2.0/24"], "last_used_at": "2026-01-15T10:30:00Z",
    "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
})]
pub struct ApiKeyView {
    /// Numeric id of the API key.
    id: ApiKeyId,
    /// Human-readable label of the API key.
    name: String,
    /// First characters of the secret, to recognise the key by.
    prefix: String,
    /// Scopes granted to the key.
    #[member(from = source.0.scopes.texts(source.1.scopes))]
    scopes: Vec<String>,
    /// Environment the key belongs to.
    environment: Environment,
    /// Whether the key can be used at the moment.
    #[member(from = source.0.status(source.1.now))]
    status: KeyStatus,
    /// Plan whose limits apply to the key; null to follow the workspace's tier.
    rate_limit_tier: Option<String>,
    /// Addresses and CIDR ranges the key may be used from; empty means everywhere.
    #[member(from = source.0.allowed_ips.to_texts())]
    allowed_ips: Vec<String>,
    /// Time of the last request made with the key; null if it was never used.
    last_used_at: Option<Timestamp>,
    /// Time at which the key expires; null if it never does.
    #[member(from = source.0.expires_at.map(CalendarTime))]
    expires_at: Option<CalendarTime>,
    /// Id of the key's holder in your own system; null if none was given.
    external_id: Option<ExternalId>,
    /// Metadata kept with the key.
    metadata: Metadata,
    /// Whether the key is enabled; one that is can still be expired or revoked, as `status` says.
    #[member(from = source.0.disabled_at.is_none())]
    enabled: bool,
    /// Id of the API key this one replaced; null if it replaced none.
    rotated_from_id: Option<ApiKeyId>,
    /// Id of the API key that replaced this one; null if none has.
    rotated_to_id: Option<ApiKeyId>,
    /// End of the grace period in which the key still works after its rotation.
    grace_period_ends_at: Option<Timestamp>,
    /// Time at which the key was revoked.
    revoked_at: Option<Timestamp>,
    /// Time at which the key was created.
    created_at: Timestamp,
    /// Time of the last change to the key.
    updated_at: Timestamp,
    /// Workspace of the key; only if included.
    #[member(included = WorkspacesRead, shown = "the workspace, which takes `{scope workspaces:read}`", from = None)]
    workspace: Option<WorkspaceView>,
}

impl ApiKeyView {
    /// The key with its workspace.
    pub fn with_workspace(self, workspace: Option<Workspace>) -> Self {
        Self { workspace: workspace.map(WorkspaceView::from), ..self }
    }
}

/// A workspace, which is one tenant.
#[view(from = Workspace, example = {
    "id": 1, "name": "Acme Corporation", "slug": "acme-corp", "tier": "business",
    "settings": {"timezone": "UTC", "locale": "en_GB"}, "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-15T10:30:00Z",
})]
pub struct WorkspaceView {
    /// Numeric id of the workspace; 1 is the root workspace.
    id: WorkspaceId,
    /// Human-readable name of the workspace.
    name: String,
    /// Name of the workspace in URLs.
    slug: String,
    /// Name of the workspace's plan.
    tier: String,
    /// Settings of the workspace, as the tenant chose them.
    settings: JsonObject,
    /// Id of the workspace in the platform's own system; null if none was given.
    external_id: Option<ExternalId>,
    /// Time at which the workspace was created.
    created_at: Timestamp,
    /// Time of the last change to the workspace.
    updated_at: Timestamp,
    /// The workspace's first API keys that are not revoked, at most 10; only if included.
    #[member(included = ApiKeysRead, shown = "their first API keys, which takes `{scope api-keys:read}`", from = None)]
    api_keys: Option<Vec<ApiKeyView>>,
}

impl WorkspaceView {
    /// A workspace with its first keys.
    pub fn with_api_keys((workspace, api_keys): WorkspaceWithKeys, shown: Shown) -> Self {
        let view = |keys: Vec<ApiKey>| keys.into_iter().map(|key| ApiKeyView::from((key, shown))).collect();
        Self { api_keys: api_keys.map(view), ..Self::from(workspace) }
    }
}
