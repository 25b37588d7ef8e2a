//! Workspaces on the wire.

use gatepost_app::{
    lists::WORKSPACE_SORTS,
    tenants::{
        MAX_SETTINGS_BYTES, WorkspaceSettings,
        workspaces::{CreateWorkspace, UpdateWorkspace, slug},
    },
};
use gatepost_entitlements::Plan;
use gatepost_kernel::{ExternalId, JsonObject};
use gatepost_macros::{body, query};

use crate::{
    lists::{Content, Description, Listed},
    tenants::views::WorkspaceView,
    values::{AnyText, Name, any_object, members, text_parameters, texts},
};

texts! {
    /// The name of a workspace in URLs.
    Slug(String) = { "type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "maxLength": 255 }, slug;
}

text_parameters! {
    /// The name of a plan.
    PlanName(String) = { "type": "string", "pattern": "^[a-z0-9_-]{1,64}$", "maxLength": 64 }, "the name of a plan", |text| {
        Plan::is_name(text).then(|| text.to_owned())
    };
}

members! {
    /// The settings of a workspace.
    ApiSettings(JsonObject) = (any_object()), |fields, name, value| {
        let settings = fields.json_members(name, value)?;
        if let Err(errors) = WorkspaceSettings::read(settings.clone()) {
            fields.errors("", &errors);
        }
        Some(settings)
    };
}

/// What the list of workspaces can be filtered by.
#[query]
pub struct WorkspaceFilters {
    /// Return only workspaces on this plan
    #[member(like = PlanName)]
    pub tier: Option<String>,
    /// Return only the workspace with this external id
    pub external_id: Option<ExternalId>,
}

impl Listed for WorkspaceView {
    type Filters = WorkspaceFilters;

    const LIST: Description = Description {
        searched: Some("the name and the slug"),
        content: Some(Content { name: "settings", most_bytes: MAX_SETTINGS_BYTES as u64 }),
        ..Description::of_changing(WORKSPACE_SORTS)
    };
}

/// A workspace to create.
#[body(into = CreateWorkspace, example = {
    "name": "New Workspace", "slug": "new-workspace", "tier": "pro", "settings": {"timezone": "Europe/London"},
    "external_id": "cust_42",
})]
pub struct CreateWorkspaceBody {
    /// Human-readable name of the workspace
    #[member(like = Name)]
    name: String,
    /// Name of the workspace in URLs; derived from the name if not given
    #[member(like = Slug)]
    slug: Option<String>,
    /// Name of the plan; `free` if not given
    #[member(like = AnyText)]
    tier: Option<String>,
    /// Settings of the workspace; `timezone` must be an IANA time zone, `billing_url` a page where the plan
    /// can be changed
    #[member(like = ApiSettings, default)]
    settings: JsonObject,
    /// Id of the workspace in your own system, which no other workspace has
    external_id: Option<ExternalId>,
}

/// Changes to a workspace; members that are left out stay as they are.
#[body(changes, into = UpdateWorkspace, example = {
    "name": "Updated Name", "slug": "updated-name", "tier": "business", "settings": {"timezone": "Europe/London"},
    "external_id": "cust_42",
})]
pub struct UpdateWorkspaceBody {
    /// Human-readable name of the workspace
    #[member(like = Name)]
    name: Option<String>,
    /// Name of the workspace in URLs; only a key of the root workspace can set it
    #[member(like = Slug)]
    slug: Option<String>,
    /// Name of the plan; only a key of the root workspace can set it
    #[member(like = AnyText)]
    tier: Option<String>,
    /// Settings to merge; `null` removes one. Only a key of the root workspace can set `timezone`,
    /// `billing_url` and the domains of `pixel`
    #[member(like = ApiSettings)]
    settings: Option<JsonObject>,
    /// Id of the workspace in the platform's own system, null for none; only a key of the root workspace can
    /// set it
    external_id: Option<Option<ExternalId>>,
}
