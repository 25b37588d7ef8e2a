//! `/workspaces`

use gatepost_app::{
    UnitOfWork,
    tenants::workspaces::{self, ListWorkspaces},
};
use gatepost_contract::{Deleted, Message};
use gatepost_kernel::WorkspaceId;
use gatepost_macros::operation;

use crate::{
    answer::{Answer, Item, PageOf},
    call::Call,
    lists::{ItemQuery, ListQuery},
    operation::Tag,
    query::NoQuery,
    scopes::{WorkspacesDelete, WorkspacesRead, WorkspacesWrite},
    shown::Shown,
    tenants::{
        views::WorkspaceView,
        workspaces_wire::{CreateWorkspaceBody, UpdateWorkspaceBody},
    },
};

const TAG: Tag = Tag {
    name: "Workspaces",
    about: "Workspaces are the tenants: each has its own keys, endpoints and usage.",
};

/// List workspaces
///
/// A key of the root workspace sees all of them, any other key its own.
#[operation(get "/workspaces", tag = TAG, ok = "One page of workspaces")]
async fn list_workspaces(
    call: Call<WorkspacesRead, ListQuery<WorkspaceView>>,
) -> Answer<PageOf<WorkspaceView>> {
    let (request, shown) = (call.list_request().await?, Shown::now(call.app()));
    let query = ListWorkspaces {
        tier: call.query().filters.tier.clone(),
        external_id: call.query().filters.external_id.clone(),
        with_api_keys: call.query().includes(WorkspaceView::API_KEYS),
    };
    let page = workspaces::list(call.app(), call.caller(), query, request).await?;
    call.page(page, move |workspace| Ok(WorkspaceView::with_api_keys(workspace, shown))).await
}

/// Create a workspace
///
/// Only a live key of the root workspace can.
#[operation(post "/workspaces", tag = TAG, created = "The new workspace with its settings")]
async fn create_workspace(
    call: Call<WorkspacesWrite, NoQuery, CreateWorkspaceBody>,
) -> Answer<Message<WorkspaceView>> {
    let (body, call) = call.into_body();
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        let workspace = workspaces::create(unit, body?.into()).await?;
        Ok(Message::created("Workspace created successfully.", WorkspaceView::from(workspace)))
    })
    .await
}

/// Get a workspace
#[operation(get "/workspaces/{id}", tag = TAG, ok = "The workspace with its settings")]
async fn get_workspace(
    call: Call<WorkspacesRead, ItemQuery<WorkspaceView>>,
    id: WorkspaceId,
) -> Answer<Item<WorkspaceView>> {
    let with_api_keys = call.query().includes(WorkspaceView::API_KEYS);
    let workspace = workspaces::get(call.app(), call.caller(), id, with_api_keys).await?;
    let updated_at = workspace.0.updated_at;
    call.resource(&WorkspaceView::with_api_keys(workspace, Shown::now(call.app())), Some(updated_at))
}

/// Update a workspace
///
/// `settings` are merged one level deep, and `null` removes a setting. Only a key of the root workspace can
/// set the slug, the tier and the external id. Test keys cannot update workspaces.
#[operation(patch "/workspaces/{id}", tag = TAG, ok = "The workspace after the change", if_match)]
async fn update_workspace(
    call: Call<WorkspacesWrite, NoQuery, UpdateWorkspaceBody>,
    id: WorkspaceId,
) -> Answer<Message<WorkspaceView>> {
    let (body, call) = call.into_body();
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        let workspace = workspaces::update(unit, id, body?.into()).await?;
        Ok(Message::done("Workspace updated successfully.", WorkspaceView::from(workspace)))
    })
    .await
}

/// Delete a workspace
///
/// All keys of the workspace stop working at once. The root workspace and the caller's own cannot be deleted.
#[operation(delete "/workspaces/{id}", tag = TAG, no_content = "The workspace is deleted", if_match)]
async fn delete_workspace(call: Call<WorkspacesDelete>, id: WorkspaceId) -> Answer<Deleted<WorkspaceId>> {
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        workspaces::delete(unit, id).await?;
        Ok(Deleted(id))
    })
    .await
}
