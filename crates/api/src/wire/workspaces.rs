//! Workspaces on the wire.

use gatepost_app::{
    Workspace,
    workspaces::{CreateWorkspace, UpdateWorkspace, check_settings, slug},
};
use gatepost_kernel::{Timestamp, WorkspaceId, text};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::envelopes;
use crate::body::{Context, Fields, Null, ReadBody};

/// A tenant.
#[derive(Serialize, ToSchema)]
pub struct WorkspaceView {
    /// Its number; 1 is the root workspace.
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
    settings: Map<String, Value>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime, example = "2026-01-01T00:00:00Z")]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime, example = "2026-01-15T10:30:00Z")]
    updated_at: Timestamp,
}

impl From<Workspace> for WorkspaceView {
    fn from(workspace: Workspace) -> Self {
        let Workspace { id, name, slug, tier, settings, created_at, updated_at } = workspace;
        Self { id, name, slug, tier, settings, created_at, updated_at }
    }
}

envelopes! {
    item WorkspaceItem(WorkspaceView);
    message WorkspaceMessage(WorkspaceView);
    page WorkspacePage(WorkspaceView);
}

/// A workspace to be made.
#[derive(ToSchema)]
pub struct CreateWorkspaceBody {
    /// Workspace name
    #[schema(min_length = 1, max_length = 255, example = "New Workspace")]
    name: String,
    /// URL-friendly identifier; made from the name if not given
    #[schema(pattern = "^[a-z0-9]+(-[a-z0-9]+)*$", max_length = 255, example = "new-workspace")]
    slug: Option<String>,
    /// Subscription tier; `free` if not given
    #[schema(example = "pro")]
    tier: Option<String>,
    /// The tenant's own settings; `timezone` must be an IANA time zone
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>, example = json!({"timezone": "Europe/London"}))]
    settings: Option<Map<String, Value>>,
}

impl ReadBody for CreateWorkspaceBody {
    fn read(fields: &mut Fields, context: &Context<'_>) -> Option<Self> {
        let name = fields.required_text("name", |name| text::name("name", name));
        let slug = fields.text("slug", Null::IsAbsent, slug);
        let tier = tier(fields, Null::IsAbsent, context);
        let settings = settings(fields, Null::IsAbsent);
        Some(Self { name: name?, slug, tier, settings })
    }
}

impl From<CreateWorkspaceBody> for CreateWorkspace {
    fn from(body: CreateWorkspaceBody) -> Self {
        let CreateWorkspaceBody { name, slug, tier, settings } = body;
        Self { name, slug, tier, settings: settings.unwrap_or_default() }
    }
}

/// What to change of a workspace; what is left out stays as it is.
#[derive(ToSchema)]
pub struct UpdateWorkspaceBody {
    /// Workspace name
    #[schema(min_length = 1, max_length = 255, nullable = false, example = "Updated Name")]
    name: Option<String>,
    /// URL-friendly identifier; only a key of the root workspace can set it
    #[schema(
        pattern = "^[a-z0-9]+(-[a-z0-9]+)*$",
        max_length = 255,
        nullable = false,
        example = "updated-name"
    )]
    slug: Option<String>,
    /// Subscription tier; only a key of the root workspace can set it
    #[schema(nullable = false, example = "business")]
    tier: Option<String>,
    /// Settings to merge; `null` removes one
    #[schema(value_type = std::collections::BTreeMap<String, Value>, nullable = false, required = false, example = json!({"timezone": "Europe/London"}))]
    settings: Option<Map<String, Value>>,
}

impl ReadBody for UpdateWorkspaceBody {
    fn read(fields: &mut Fields, context: &Context<'_>) -> Option<Self> {
        let name = fields.text("name", Null::IsWrong, |name| text::name("name", name));
        let slug = fields.text("slug", Null::IsWrong, slug);
        let tier = tier(fields, Null::IsWrong, context);
        let settings = settings(fields, Null::IsWrong);
        Some(Self { name, slug, tier, settings })
    }
}

impl From<UpdateWorkspaceBody> for UpdateWorkspace {
    fn from(body: UpdateWorkspaceBody) -> Self {
        let UpdateWorkspaceBody { name, slug, tier, settings } = body;
        Self { name, slug, tier, settings }
    }
}

fn tier(fields: &mut Fields, null: Null, context: &Context<'_>) -> Option<String> {
    fields.text("tier", null, |tier| context.catalog.check_tier("tier", tier).map(|()| tier.to_owned()))
}

fn settings(fields: &mut Fields, null: Null) -> Option<Map<String, Value>> {
    let settings = fields.object("settings", null)?;
    for (field, fault) in check_settings(&settings).err().unwrap_or_default() {
        fields.fault(&field, fault);
    }
    Some(settings)
}
