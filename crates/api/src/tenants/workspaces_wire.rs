//! Workspaces on the wire.

use gatepost_app::{
    lists::WORKSPACE_SORTS,
    tenants::{
        MAX_SETTINGS_BYTES, check_settings,
        workspaces::{CreateWorkspace, ListWorkspaces, UpdateWorkspace, slug},
    },
};
use gatepost_kernel::{JsonObject, text};
use utoipa::ToSchema;

use crate::{
    body::{Context, Fields, Null, ReadBody},
    describe::View,
    lists::{Content, Description, Filter, Include, ListQuery, Listed, Values},
    scopes::{ApiKeysRead, RequiredScope},
    tenants::views::WorkspaceView,
    wire::envelopes,
};

impl From<&ListQuery<WorkspaceList>> for ListWorkspaces {
    fn from(query: &ListQuery<WorkspaceList>) -> Self {
        Self { tier: query.filter("tier").map(str::to_owned), with_api_keys: query.includes("api_keys") }
    }
}

/// What can be asked of the list of workspaces.
pub struct WorkspaceList;

impl Listed for WorkspaceList {
    const LIST: Description = Description {
        sorts: WORKSPACE_SORTS,
        default_sort: "created_at",
        filters: &[Filter {
            name: "tier",
            values: Values::Text {
                form: "the name of a plan",
                pattern: "^[a-z0-9_-]{1,64}$",
                max_length: 64,
                is_valid: |text| {
                    (1..=64).contains(&text.len())
                        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
                },
            },
            about: "Return only workspaces on this plan",
        }],
        has_updated_at: true,
        searched: Some("the name and the slug"),
        fields: WorkspaceView::MEMBERS,
        content: Some(Content { name: "settings", most_bytes: MAX_SETTINGS_BYTES as u64 }),
        includes: &[Include {
            name: "api_keys",
            scope: ApiKeysRead::scope,
            about: "their first API keys, which takes `api-keys:read`",
        }],
        is_log: false,
    };
}

envelopes! {
    item WorkspaceItem(WorkspaceView);
    message WorkspaceMessage(WorkspaceView);
    page WorkspacePage(WorkspaceView);
}

/// A workspace to create.
#[derive(ToSchema)]
pub struct CreateWorkspaceBody {
    /// Human-readable name of the workspace
    #[schema(min_length = 1, max_length = 255, example = "New Workspace")]
    name: String,
    /// Name of the workspace in URLs; derived from the name if not given
    #[schema(pattern = "^[a-z0-9]+(-[a-z0-9]+)*$", max_length = 255, example = "new-workspace")]
    slug: Option<String>,
    /// Name of the plan; `free` if not given
    #[schema(example = "pro")]
    tier: Option<String>,
    /// Settings of the workspace; `timezone` must be an IANA time zone
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>, example = json!({"timezone": "Europe/London"}))]
    settings: Option<JsonObject>,
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

/// Changes to a workspace; members that are left out stay as they are.
#[derive(ToSchema)]
pub struct UpdateWorkspaceBody {
    /// Human-readable name of the workspace
    #[schema(min_length = 1, max_length = 255, nullable = false, example = "Updated Name")]
    name: Option<String>,
    /// Name of the workspace in URLs; only a key of the root workspace can set it
    #[schema(
        pattern = "^[a-z0-9]+(-[a-z0-9]+)*$",
        max_length = 255,
        nullable = false,
        example = "updated-name"
    )]
    slug: Option<String>,
    /// Name of the plan; only a key of the root workspace can set it
    #[schema(nullable = false, example = "business")]
    tier: Option<String>,
    /// Settings to merge; `null` removes one
    #[schema(value_type = std::collections::BTreeMap<String, Value>, nullable = false, required = false, example = json!({"timezone": "Europe/London"}))]
    settings: Option<JsonObject>,
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

fn settings(fields: &mut Fields, null: Null) -> Option<JsonObject> {
    let settings = fields.json_members("settings", null)?;
    for (field, fault) in check_settings(&settings).err().unwrap_or_default() {
        fields.fault(&field, fault);
    }
    Some(settings)
}
