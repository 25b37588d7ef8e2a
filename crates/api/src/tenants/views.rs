//! Workspaces and API keys as they are shown. They stand in one room since each shows the other where that is asked for.

use gatepost_app::{Workspace, tenants::workspaces::WorkspaceWithKeys};
use gatepost_kernel::{ApiKeyId, CalendarTime, Environment, JsonObject, Timestamp, WorkspaceId};
use gatepost_keys::{ApiKey, Scope, ScopeSet};
use serde::Serialize;
use utoipa::ToSchema;

use crate::closed_sets::{ApiKeyStatus, EnvironmentWord};

/// An API key without its secret.
#[derive(Serialize, ToSchema)]
pub struct ApiKeyView {
    /// Numeric id of the API key.
    #[schema(value_type = i64, example = 1)]
    id: ApiKeyId,
    /// A label for people.
    #[schema(example = "Production API Key")]
    name: String,
    /// How the key begins.
    #[schema(example = "sk_live_abc")]
    prefix: String,
    /// What it may do.
    #[schema(example = json!(["posts:read", "posts:write"]))]
    scopes: Vec<String>,
    /// The environment that it belongs to.
    #[schema(value_type = EnvironmentWord)]
    environment: Environment,
    /// Whether it can be used.
    #[schema(value_type = ApiKeyStatus)]
    status: &'static str,
    /// The plan that governs its limits; null follows the workspace's tier.
    #[schema(required, example = "pro")]
    rate_limit_tier: Option<String>,
    /// From where it may be used; empty is from everywhere.
    #[schema(example = json!(["192.0.2.0/24"]))]
    allowed_ips: Vec<String>,
    /// When it was last used; null if never.
    #[schema(value_type = Option<String>, format = DateTime, required, example = "2026-01-15T10:30:00Z")]
    last_used_at: Option<Timestamp>,
    /// When it ends; null is never.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    expires_at: Option<CalendarTime>,
    /// The key that it replaced.
    #[schema(value_type = Option<i64>, required)]
    rotated_from_id: Option<ApiKeyId>,
    /// The key that replaced it.
    #[schema(value_type = Option<i64>, required)]
    rotated_to_id: Option<ApiKeyId>,
    /// Until when it works beside the key that replaced it.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    grace_period_ends_at: Option<Timestamp>,
    /// When it was revoked.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    revoked_at: Option<Timestamp>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime, example = "2026-01-01T00:00:00Z")]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime, example = "2026-01-01T00:00:00Z")]
    updated_at: Timestamp,
    /// Its workspace; only if included.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, no_recursion)]
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
#[derive(Serialize, ToSchema)]
pub struct WorkspaceView {
    /// Numeric id of the workspace; 1 is the root workspace.
    #[schema(value_type = i64, example = 1)]
    id: WorkspaceId,
    /// A name for people.
    #[schema(example = "Acme Corporation")]
    name: String,
    /// A name for URLs.
    #[schema(example = "acme-corp")]
    slug: String,
    /// The plan.
    #[schema(example = "business")]
    tier: String,
    /// The tenant's own settings.
    #[schema(value_type = std::collections::BTreeMap<String, Value>, example = json!({"timezone": "UTC", "locale": "en_GB"}))]
    settings: JsonObject,
    /// When it was made.
    #[schema(value_type = String, format = DateTime, example = "2026-01-01T00:00:00Z")]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime, example = "2026-01-15T10:30:00Z")]
    updated_at: Timestamp,
    /// Its first API keys that are not revoked, at most 10; only if included.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, no_recursion)]
    api_keys: Option<Vec<ApiKeyView>>,
}

impl From<Workspace> for WorkspaceView {
    fn from(workspace: Workspace) -> Self {
        let Workspace { id, name, slug, tier, settings, created_at, updated_at } = workspace;
        Self { id, name, slug, tier, settings, created_at, updated_at, api_keys: None }
    }
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
