//! `/api-keys`

use gatepost_app::{
    UnitOfWork,
    keys::{
        api_keys::{self, ListApiKeys},
        usage,
    },
};
use gatepost_contract::{Deleted, Message};
use gatepost_kernel::ApiKeyId;
use gatepost_macros::operation;

use crate::{
    answer::{Answer, Item, PageOf},
    call::Call,
    keys::{
        api_keys_wire::{
            CreateApiKeyBody, CreatedApiKeyView, RotateApiKeyBody, RotatedApiKeyView, UpdateApiKeyBody,
        },
        usage_wire::{ApiKeyUsageQuery, ApiKeyUsageView},
    },
    lists::{ItemQuery, ListQuery},
    operation::Tag,
    query::NoQuery,
    scopes::{ApiKeysDelete, ApiKeysRead, ApiKeysWrite},
    shown::Shown,
    tenants::views::ApiKeyView,
};

/// The group of these operations, and of those that decide about keys.
pub const API_KEYS: Tag =
    Tag { name: "API keys", about: "API keys with scopes, rotation, expiry and revocation." };

/// List API keys
///
/// Without `status`, all keys that are not revoked. A test key sees test keys, a live key both.
#[operation(get "/api-keys", tag = API_KEYS, ok = "One page of API keys")]
async fn list_api_keys(call: Call<ApiKeysRead, ListQuery<ApiKeyView>>) -> Answer<PageOf<ApiKeyView>> {
    let request = call.list_request().await?;
    let filters = &call.query().filters;
    let query = ListApiKeys {
        status: filters.status,
        external_id: filters.external_id.clone(),
        environment: filters.environment,
        with_workspace: call.query().includes(ApiKeyView::WORKSPACE),
    };
    let (page, workspace) = api_keys::list(call.app(), call.caller(), query, request).await?;
    let shown = Shown::now(call.app());
    call.page(page, move |key| Ok(ApiKeyView::from((key, shown)).with_workspace(workspace.clone()))).await
}

/// Create an API key
///
/// `key` is shown in this answer only. The caller must hold every scope that it gives, and gives no later
/// end, no wider addresses and no higher tier than its own; a key of the root that acts on another workspace
/// is not bound by its own.
#[operation(post "/api-keys", tag = API_KEYS, created = "The new API key, with its secret")]
async fn create_api_key(
    call: Call<ApiKeysWrite, NoQuery, CreateApiKeyBody>,
) -> Answer<Message<CreatedApiKeyView>> {
    let shown = Shown::now(call.app());
    let (body, call) = call.into_body();
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        let created = api_keys::create(unit, body?.into()).await?;
        let view = CreatedApiKeyView::from((created, shown));
        Ok(Message::created("API key created successfully.", view).with_secret())
    })
    .await
}

/// Get an API key
#[operation(get "/api-keys/{id}", tag = API_KEYS, ok = "The API key, without its secret")]
async fn get_api_key(
    call: Call<ApiKeysRead, ItemQuery<ApiKeyView>>,
    id: ApiKeyId,
) -> Answer<Item<ApiKeyView>> {
    let with_workspace = call.query().includes(ApiKeyView::WORKSPACE);
    let (key, workspace) = api_keys::get(call.app(), call.caller(), id, with_workspace).await?;
    let updated_at = key.updated_at;
    let view = ApiKeyView::from((key, Shown::now(call.app()))).with_workspace(workspace);
    call.resource(&view, Some(updated_at))
}

/// Update an API key
///
/// The caller must hold every scope that the key has, and every scope that it would get, and gives no later
/// end and no wider addresses than its own. The last key that can manage the root workspace keeps `{scope
/// api-keys:write}` ({status 409}).
#[operation(patch "/api-keys/{id}", tag = API_KEYS, ok = "The API key after the change", if_match)]
async fn update_api_key(
    call: Call<ApiKeysWrite, NoQuery, UpdateApiKeyBody>,
    id: ApiKeyId,
) -> Answer<Message<ApiKeyView>> {
    let shown = Shown::now(call.app());
    let (body, call) = call.into_body();
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        let key = api_keys::update(unit, id, body?.into()).await?;
        Ok(Message::done("API key updated successfully.", ApiKeyView::from((key, shown))))
    })
    .await
}

/// Revoke an API key
///
/// The next request with it is refused. The last key that can manage the root workspace is not revoked
/// ({status 409}).
#[operation(delete "/api-keys/{id}", tag = API_KEYS, no_content = "The API key is revoked", if_match)]
async fn revoke_api_key(call: Call<ApiKeysDelete>, id: ApiKeyId) -> Answer<Deleted<ApiKeyId>> {
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        api_keys::revoke(unit, id).await?;
        Ok(Deleted(id))
    })
    .await
}

/// Rotate an API key
///
/// Makes a key with the same name, scopes, tier, addresses, environment, expiry, external id and metadata;
/// `key` is shown in this answer only. The old key works until `grace_period_ends_at`, which is never later
/// than its own expiry. The caller must hold every scope of the key; and, unless it rotates itself, end no
/// earlier, be allowed no fewer addresses and have no lower tier.
#[operation(post "/api-keys/{id}/rotate", tag = API_KEYS, ok = "The new API key, with its secret", if_match)]
async fn rotate_api_key(
    call: Call<ApiKeysWrite, NoQuery, RotateApiKeyBody>,
    id: ApiKeyId,
) -> Answer<Message<RotatedApiKeyView>> {
    let shown = Shown::now(call.app());
    let (body, call) = call.into_body();
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        let rotated = api_keys::rotate(unit, id, body?.grace_period()).await?;
        let view = RotatedApiKeyView::from((rotated, shown));
        Ok(Message::done("API key rotated successfully.", view).with_secret())
    })
    .await
}

/// Get the usage of an API key
///
/// Requests by UTC day and class of status, the newest day first; days without requests are left out. The
/// counts are a few seconds behind on other nodes. For a key that a rotation made, `replaced` says whether
/// the old one is still in use.
#[operation(get "/api-keys/{id}/usage", tag = API_KEYS, ok = "Usage of the API key by day")]
async fn get_api_key_usage(
    call: Call<ApiKeysRead, ApiKeyUsageQuery>,
    id: ApiKeyId,
) -> Answer<Item<ApiKeyUsageView>> {
    let usage = usage::of_key(call.app(), call.caller(), id, call.query().days).await?;
    call.item(&ApiKeyUsageView::from(usage))
}
