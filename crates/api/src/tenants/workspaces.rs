//! `/workspaces`

use actix_web::{HttpResponse, delete, get, patch, post};
use gatepost_app::{UnitOfWork, tenants::workspaces};
use gatepost_contract::{ApiError, Message, NoContent};
use gatepost_kernel::WorkspaceId;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::{
    call::Call,
    lists::{ItemQuery, ListQuery},
    query::NoQuery,
    scopes::{WorkspacesDelete, WorkspacesRead, WorkspacesWrite},
    tenants::{
        views::WorkspaceView,
        workspaces_wire::{
            CreateWorkspaceBody, UpdateWorkspaceBody, WorkspaceItem, WorkspaceList, WorkspaceMessage,
            WorkspacePage,
        },
    },
};

pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(list_workspaces)
        .service(create_workspace)
        .service(get_workspace)
        .service(update_workspace)
        .service(delete_workspace);
}

/// List workspaces
///
/// A key of the root workspace sees all of them, any other key its own.
#[utoipa::path(
    tag = "Workspaces", operation_id = "list_workspaces", params(ListQuery<WorkspaceList>),
    extensions(("x-required-scope" = json!("workspaces:read"))),
    responses((status = 200, description = "One page of workspaces", body = WorkspacePage))
)]
#[get("/workspaces")]
async fn list_workspaces(
    call: Call<WorkspacesRead, ListQuery<WorkspaceList>>,
) -> Result<HttpResponse, ApiError> {
    let (request, now) = (call.list_request().await?, call.app().now());
    let page = workspaces::list(call.app(), call.caller(), call.query().into(), request).await?;
    call.page(page, move |workspace| Ok(WorkspaceView::with_api_keys(workspace, now))).await
}

/// Create a workspace
///
/// Only a live key of the root workspace can.
#[utoipa::path(
    tag = "Workspaces", operation_id = "create_workspace", request_body = CreateWorkspaceBody,
    extensions(("x-required-scope" = json!("workspaces:write"))),
    responses((status = 201, description = "The new workspace with its settings", body = WorkspaceMessage))
)]
#[post("/workspaces")]
async fn create_workspace(
    call: Call<WorkspacesWrite, NoQuery, CreateWorkspaceBody>,
) -> Result<HttpResponse, ApiError> {
    let (body, call) = call.into_body();
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        let workspace = workspaces::create(unit, body?.into()).await?;
        Ok(Message::created("Workspace created successfully.", WorkspaceView::from(workspace)))
    })
    .await
}

/// Get a workspace
#[utoipa::path(
    tag = "Workspaces", operation_id = "get_workspace",
    params(("id" = i64, Path, description = "Numeric id of the workspace"), ItemQuery<WorkspaceList>),
    extensions(("x-required-scope" = json!("workspaces:read"))),
    responses((status = 200, description = "The workspace with its settings", body = WorkspaceItem))
)]
#[get("/workspaces/{id}")]
async fn get_workspace(
    call: Call<WorkspacesRead, ItemQuery<WorkspaceList>>,
) -> Result<HttpResponse, ApiError> {
    let id = WorkspaceId(call.path_id()?);
    let with_api_keys = call.query().includes("api_keys");
    let workspace = workspaces::get(call.app(), call.caller(), id, with_api_keys).await?;
    let updated_at = workspace.0.updated_at;
    call.resource(&WorkspaceView::with_api_keys(workspace, call.app().now()), Some(updated_at))
}

/// Update a workspace
///
/// `settings` are merged one level deep, and `null` removes a setting. Only a key of the root workspace can set
/// the slug and the tier. Test keys cannot update workspaces.
#[utoipa::path(
    tag = "Workspaces", operation_id = "update_workspace", request_body = UpdateWorkspaceBody,
    params(("id" = i64, Path, description = "Numeric id of the workspace")),
    extensions(("x-required-scope" = json!("workspaces:write"))),
    responses((status = 200, description = "The workspace after the change", body = WorkspaceMessage))
)]
#[patch("/workspaces/{id}")]
async fn update_workspace(
    call: Call<WorkspacesWrite, NoQuery, UpdateWorkspaceBody>,
) -> Result<HttpResponse, ApiError> {
    let id = WorkspaceId(call.path_id()?);
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
#[utoipa::path(
    tag = "Workspaces", operation_id = "delete_workspace", params(("id" = i64, Path, description = "Numeric id of the workspace")),
    extensions(("x-required-scope" = json!("workspaces:delete"))),
    responses(
        (status = 204, description = "The workspace is deleted"),
    )
)]
#[delete("/workspaces/{id}")]
async fn delete_workspace(call: Call<WorkspacesDelete>) -> Result<HttpResponse, ApiError> {
    let id = WorkspaceId(call.path_id()?);
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        workspaces::delete(unit, id).await?;
        Ok(NoContent)
    })
    .await
}
