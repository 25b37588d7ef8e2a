//! `/me`

use gatepost_app::keys::api_keys::{self, OwnKey};
use gatepost_entitlements::Access;
use gatepost_kernel::{ApiKeyId, CalendarTime, Environment, ExternalId, Timestamp, Workspace, WorkspaceId};
use gatepost_macros::{operation, view};

use crate::{
    answer::{Answer, Item},
    call::Call,
    keys::API_KEYS,
    scopes::AnyKey,
    shown::Shown,
};

/// Get the API key of the request
///
/// Says what the presented key is, whose it is and what it may do. Takes no scope.
#[operation(get "/me", tag = API_KEYS, ok = "The API key that was presented")]
async fn get_me(call: Call<AnyKey>) -> Answer<Item<MeView>> {
    let own = api_keys::own(call.app(), call.caller()).await?;
    call.item(&MeView::from((own, Shown::now(call.app()))))
}

/// The API key that a request was made with.
#[view(from = (OwnKey, Shown), of = 0.key, example = {
    "id": 2, "name": "Mobile App Key", "prefix": "{live_key}abc", "scopes": ["{scope posts:read}", "{scope posts:write}"],
    "access": "write", "tier": "pro", "external_id": "user_42", "expires_at": "2027-01-01T00:00:00Z",
    "created_at": "2026-01-15T10:30:00Z",
})]
pub struct MeView {
    /// Numeric id of the API key.
    id: ApiKeyId,
    /// Human-readable label of the API key.
    name: String,
    /// First characters of the secret, to recognise the key by.
    prefix: String,
    /// Environment the key belongs to.
    environment: Environment,
    /// Scopes granted to the key.
    #[member(from = source.0.key.scopes.texts(source.1.scopes))]
    scopes: Vec<String>,
    /// Widest access that the workspace's plan gives its keys, whatever their scopes.
    #[member(from = source.0.access)]
    access: Access,
    /// Name of the plan whose limits apply to the key.
    #[member(from = source.0.tier)]
    tier: String,
    /// Addresses and CIDR ranges the key may be used from; empty means everywhere.
    #[member(from = source.0.key.allowed_ips.to_texts())]
    allowed_ips: Vec<String>,
    /// Id of the key's holder in the system of those who created it; null if none was given.
    external_id: Option<ExternalId>,
    /// Time at which the key stops working by itself; null if it never does.
    #[member(from = source.0.key.ends_at().map(CalendarTime))]
    expires_at: Option<CalendarTime>,
    /// Time at which the key was created.
    created_at: Timestamp,
    /// Workspace the key belongs to.
    #[member(from = source.0.workspace.into())]
    workspace: MyWorkspaceView,
}

/// The workspace of the API key that a request was made with.
#[view(from = Workspace, example = {"id": 1, "name": "Acme Corporation", "slug": "acme-corp", "tier": "business"})]
pub struct MyWorkspaceView {
    /// Numeric id of the workspace; 1 is the root workspace.
    id: WorkspaceId,
    /// Human-readable name of the workspace.
    name: String,
    /// Name of the workspace in URLs.
    slug: String,
    /// Name of the workspace's plan.
    tier: String,
}
