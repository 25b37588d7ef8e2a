//! `/api-keys`

use actix_web::{HttpResponse, delete, get, patch, post};
use gatepost_app::{
    UnitOfWork,
    keys::{api_keys, usage},
};
use gatepost_contract::{ApiError, Message, NoContent};
use gatepost_kernel::ApiKeyId;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::{
    call::Call,
    keys::{
        api_keys_wire::{
            ApiKeyItem, ApiKeyList, ApiKeyMessage, ApiKeyPage, CreateApiKeyBody, CreatedApiKeyMessage,
            CreatedApiKeyView, RotateApiKeyBody, RotatedApiKeyMessage, RotatedApiKeyView, UpdateApiKeyBody,
        },
        usage_wire::{ApiKeyUsageItem, ApiKeyUsageQuery, ApiKeyUsageView},
    },
    lists::{ItemQuery, ListQuery},
    query::NoQuery,
    scopes::{ApiKeysDelete, ApiKeysRead, ApiKeysWrite},
    tenants::views::ApiKeyView,
};

pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(list_api_keys)
        .service(create_api_key)
        .service(get_api_key)
        .service(update_api_key)
        .service(revoke_api_key)
        .service(rotate_api_key)
        .service(get_api_key_usage);
}

/// List API keys
///
/// Without `status`, all keys that are not revoked. A test key sees test keys, a live key both.
#[utoipa::path(
    tag = "API keys", operation_id = "list_api_keys", params(ListQuery<ApiKeyList>),
    extensions(("x-required-scope" = json!("api-keys:read"))),
    responses((status = 200, description = "One page of API keys", body = ApiKeyPage))
)]
#[get("/api-keys")]
async fn list_api_keys(call: Call<ApiKeysRead, ListQuery<ApiKeyList>>) -> Result<HttpResponse, ApiError> {
    let request = call.list_request().await?;
    let (page, workspace) = api_keys::list(call.app(), call.caller(), call.query().into(), request).await?;
    let now = call.app().now();
    call.page(page, move |key| Ok(ApiKeyView::new(key, now).with_workspace(workspace.clone()))).await
}

/// Create an API key
///
/// `key` is shown in this answer only. The caller must hold every scope that it gives, and gives no later end, no wider addresses
/// and no higher tier than its own; a key of the root that acts on another workspace is not bound by its own.
#[utoipa::path(
    tag = "API keys", operation_id = "create_api_key", request_body = CreateApiKeyBody,
    extensions(("x-required-scope" = json!("api-keys:write"))),
    responses((status = 201, description = "The new API key, with its secret", body = CreatedApiKeyMessage))
)]
#[post("/api-keys")]
async fn create_api_key(
    call: Call<ApiKeysWrite, NoQuery, CreateApiKeyBody>,
) -> Result<HttpResponse, ApiError> {
    let (body, call) = call.into_body();
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        let created = api_keys::create(unit, body?.into()).await?;
        Ok(Message::created("API key created successfully.", CreatedApiKeyView::from(created)).with_secret())
    })
    .await
}

/// Get an API key
#[utoipa::path(
    tag = "API keys", operation_id = "get_api_key",
    params(("id" = i64, Path, description = "Numeric id of the API key"), ItemQuery<ApiKeyList>),
    extensions(("x-required-scope" = json!("api-keys:read"))),
    responses((status = 200, description = "The API key, without its secret", body = ApiKeyItem))
)]
#[get("/api-keys/{id}")]
async fn get_api_key(call: Call<ApiKeysRead, ItemQuery<ApiKeyList>>) -> Result<HttpResponse, ApiError> {
    let id = ApiKeyId(call.path_id()?);
    let with_workspace = call.query().includes("workspace");
    let (key, workspace) = api_keys::get(call.app(), call.caller(), id, with_workspace).await?;
    let updated_at = key.updated_at;
    let view = ApiKeyView::new(key, call.app().now()).with_workspace(workspace);
    call.resource(&view, Some(updated_at))
}

/// Update an API key
///
/// The caller must hold every scope that the key has, and every scope that it would get, and gives no later end and no wider
/// addresses than its own. The last key that can manage the root workspace keeps `api-keys:write` (409).
#[utoipa::path(
    tag = "API keys", operation_id = "update_api_key", request_body = UpdateApiKeyBody,
    params(("id" = i64, Path, description = "Numeric id of the API key")),
    extensions(("x-required-scope" = json!("api-keys:write"))),
    responses((status = 200, description = "The API key after the change", body = ApiKeyMessage))
)]
#[patch("/api-keys/{id}")]
async fn update_api_key(
    call: Call<ApiKeysWrite, NoQuery, UpdateApiKeyBody>,
) -> Result<HttpResponse, ApiError> {
    let id = ApiKeyId(call.path_id()?);
    let now = call.app().now();
    let (body, call) = call.into_body();
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        let key = api_keys::update(unit, id, body?.into()).await?;
        Ok(Message::done("API key updated successfully.", ApiKeyView::new(key, now)))
    })
    .await
}

/// Revoke an API key
///
/// The next request with it is refused. The last key that can manage the root workspace is not revoked (409).
#[utoipa::path(
    tag = "API keys", operation_id = "revoke_api_key", params(("id" = i64, Path, description = "Numeric id of the API key")),
    extensions(("x-required-scope" = json!("api-keys:delete"))),
    responses((status = 204, description = "The API key is revoked"))
)]
#[delete("/api-keys/{id}")]
async fn revoke_api_key(call: Call<ApiKeysDelete>) -> Result<HttpResponse, ApiError> {
    let id = ApiKeyId(call.path_id()?);
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        api_keys::revoke(unit, id).await?;
        Ok(NoContent)
    })
    .await
}

/// Rotate an API key
///
/// Makes a key with the same name, scopes, tier, addresses, environment and expiry; `key` is shown in this answer
/// only. The old key works until `grace_period_ends_at`, which is never later than its own expiry. The caller must
/// hold every scope of the key; and, unless it rotates itself, end no earlier, be allowed no fewer addresses and have no lower tier.
#[utoipa::path(
    tag = "API keys", operation_id = "rotate_api_key", request_body = RotateApiKeyBody,
    params(("id" = i64, Path, description = "Numeric id of the API key")),
    extensions(("x-required-scope" = json!("api-keys:write"))),
    responses(
        (status = 200, description = "The new API key, with its secret", body = RotatedApiKeyMessage),
    )
)]
#[post("/api-keys/{id}/rotate")]
async fn rotate_api_key(
    call: Call<ApiKeysWrite, NoQuery, RotateApiKeyBody>,
) -> Result<HttpResponse, ApiError> {
    let id = ApiKeyId(call.path_id()?);
    let (body, call) = call.into_body();
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        let rotated = api_keys::rotate(unit, id, body?.grace_period()).await?;
        Ok(Message::done("API key rotated successfully.", RotatedApiKeyView::from(rotated)).with_secret())
    })
    .await
}

/// Get the usage of an API key
///
/// Requests by UTC day and class of status, the newest day first; days without requests are left out. The counts are
/// a few seconds behind on other nodes. For a key that a rotation made, `replaced` says whether the old one is still
/// in use.
#[utoipa::path(
    tag = "API keys", operation_id = "get_api_key_usage",
    params(("id" = i64, Path, description = "Numeric id of the API key"), ApiKeyUsageQuery),
    extensions(("x-required-scope" = json!("api-keys:read"))),
    responses((status = 200, description = "Usage of the API key by day", body = ApiKeyUsageItem))
)]
#[get("/api-keys/{id}/usage")]
async fn get_api_key_usage(call: Call<ApiKeysRead, ApiKeyUsageQuery>) -> Result<HttpResponse, ApiError> {
    let id = ApiKeyId(call.path_id()?);
    let usage = usage::of_key(call.app(), call.caller(), id, call.query().days()).await?;
    call.item(&ApiKeyUsageView::from(usage))
}
