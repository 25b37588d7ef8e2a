//! Workspaces and API keys as they are shown. They stand in one room since each shows the other where that is asked for.

use gatepost_api_macros::view;
use gatepost_app::{Workspace, tenants::workspaces::WorkspaceWithKeys};
use gatepost_kernel::{ApiKeyId, CalendarTime, Environment, JsonObject, Timestamp, WorkspaceId};
use gatepost_keys::{ApiKey, Scope, ScopeSet};

use crate::closed_sets::ApiKeyStatus;

/// An API key without its secret.
#[view(example = {
    "id": 1, "name": "Production API Key", "prefix": "sk_live_abc", "scopes": ["posts:read", "posts:write"],
    "rate_limit_tier": "pro", "allowed_ips": ["192.0.2.0/24"], "last_used_at": "2026-01-15T10:30:00Z",
    "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
})]
pub struct ApiKeyView {
    /// Numeric id of the API key.
    id: ApiKeyId,
    /// A label for people.
    name: String,
    /// How the key begins.
    prefix: String,
    /// What it may do.
    scopes: Vec<String>,
    /// The environment that it belongs to.
    environment: Environment,
    /// Whether it can be used.
    #[member(like = ApiKeyStatus)]
    status: &'static str,
    /// The plan that governs its limits; null follows the workspace's tier.
    rate_limit_tier: Option<String>,
    /// From where it may be used; empty is from everywhere.
    allowed_ips: Vec<String>,
    /// When it was last used; null if never.
    last_used_at: Option<Timestamp>,
    /// When it ends; null is never.
    expires_at: Option<CalendarTime>,
    /// The key that it replaced.
    rotated_from_id: Option<ApiKeyId>,
    /// The key that replaced it.
    rotated_to_id: Option<ApiKeyId>,
    /// Until when it works beside the key that replaced it.
    grace_period_ends_at: Option<Timestamp>,
    /// When it was revoked.
    revoked_at: Option<Timestamp>,
    /// When it was made.
    created_at: Timestamp,
    /// When it was last changed.
    updated_at: Timestamp,
    /// Its workspace; only if included.
    #[member(included)]
    workspace: Option<WorkspaceView>,
}

impl ApiKeyView {
    /// The key with its workspace.
    pub fn with_workspace(self, workspace: Option<Workspace>) -> Self {
        Self { workspace: workspace.map(WorkspaceView::from), ..self }
    }

    /// The key as it stands at `now`.
    pub fn new(key: ApiKey, now: Timestamp) -> Self {
        Self {
            status: key.status(now).as_str(),
            scopes: scope_texts(&key.scopes),
            allowed_ips: key.allowed_ips.to_texts(),
            id: key.id,
            name: key.name,
            prefix: key.prefix,
            environment: key.environment,
            rate_limit_tier: key.rate_limit_tier,
            last_used_at: key.last_used_at,
            expires_at: key.expires_at.map(CalendarTime),
            rotated_from_id: key.rotated_from_id,
            rotated_to_id: key.rotated_to_id,
            grace_period_ends_at: key.grace_period_ends_at,
            revoked_at: key.revoked_at,
            created_at: key.created_at,
            updated_at: key.updated_at,
            workspace: None,
        }
    }
}

/// A tenant.
#[view(from = Workspace, example = {
    "id": 1, "name": "Acme Corporation", "slug": "acme-corp", "tier": "business",
    "settings": {"timezone": "UTC", "locale": "en_GB"}, "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-15T10:30:00Z",
})]
pub struct WorkspaceView {
    /// Numeric id of the workspace; 1 is the root workspace.
    id: WorkspaceId,
    /// A name for people.
    name: String,
    /// A name for URLs.
    slug: String,
    /// The plan.
    tier: String,
    /// The tenant's own settings.
    settings: JsonObject,
    /// When it was made.
    created_at: Timestamp,
    /// When it was last changed.
    updated_at: Timestamp,
    /// Its first API keys that are not revoked, at most 10; only if included.
    #[member(included, from = None)]
    api_keys: Option<Vec<ApiKeyView>>,
}

impl WorkspaceView {
    /// A workspace with its first keys, as they stand at `now`.
    pub fn with_api_keys((workspace, api_keys): WorkspaceWithKeys, now: Timestamp) -> Self {
        let view = |keys: Vec<ApiKey>| keys.into_iter().map(|key| ApiKeyView::new(key, now)).collect();
        Self { api_keys: api_keys.map(view), ..Self::from(workspace) }
    }
}

/// The scopes of a key as words.
pub fn scope_texts(scopes: &ScopeSet) -> Vec<String> {
    scopes.iter().map(Scope::to_string).collect()
}
