//! `/webhooks`

use actix_web::{HttpResponse, delete, get, patch, post};
use gatepost_app::{App, UnitOfWork, WebhookDelivery, WebhookEndpoint, webhooks::endpoints};
use gatepost_contract::{ApiError, IntoAnswer, Message, NoContent, Plain};
use gatepost_kernel::{WebhookDeliveryId, WebhookEndpointId};
use utoipa_actix_web::service_config::ServiceConfig;

use crate::{
    call::{Call, respond},
    lists::{ItemQuery, ListQuery},
    query::NoQuery,
    scopes::{WebhooksDelete, WebhooksRead, WebhooksWrite},
    webhooks::endpoints_wire::{
        CreateWebhookBody, CreatedWebhookMessage, CreatedWebhookView, RotateWebhookSecretBody,
        RotatedWebhookSecretMessage, RotatedWebhookSecretView, UpdateWebhookBody, WebhookDeliveryHistoryView,
        WebhookDeliveryItem, WebhookDeliveryList, WebhookDeliveryMessage, WebhookDeliveryPage,
        WebhookDeliveryView, WebhookItem, WebhookList, WebhookMessage, WebhookPage, WebhookTestView,
        WebhookView,
    },
};

pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(list_webhooks)
        .service(create_webhook)
        .service(get_webhook)
        .service(update_webhook)
        .service(delete_webhook)
        .service(rotate_webhook_secret)
        .service(test_webhook)
        .service(list_webhook_deliveries)
        .service(get_webhook_delivery)
        .service(retry_webhook_delivery);
}

/// List webhook endpoints
#[utoipa::path(
    tag = "Webhooks", operation_id = "list_webhooks", params(ListQuery<WebhookList>),
    extensions(("x-required-scope" = json!("webhooks:read"))),
    responses((status = 200, description = "One page of webhook endpoints", body = WebhookPage))
)]
#[get("/webhooks")]
async fn list_webhooks(call: Call<WebhooksRead, ListQuery<WebhookList>>) -> Result<HttpResponse, ApiError> {
    let request = call.list_request().await?;
    let page = endpoints::list(call.app(), call.caller(), call.query().into(), request).await?;
    let app = call.app().clone();
    call.page(page, move |(endpoint, deliveries)| view(&app, endpoint, deliveries)).await
}

fn view(
    app: &App,
    endpoint: WebhookEndpoint,
    deliveries: Option<Vec<WebhookDelivery>>,
) -> gatepost_kernel::Result<WebhookView> {
    let header_names = endpoints::header_names(app, &endpoint)?;
    Ok(WebhookView::new(endpoint, header_names, app.now()).with_deliveries(deliveries))
}

/// What was done, and that the host of the url could not be resolved where that is so.
fn done_with(is_resolved: bool, done: &str) -> String {
    let unresolved = if is_resolved { "" } else { UNRESOLVED };
    format!("{done}{unresolved}")
}

const UNRESOLVED: &str =
    " The host of its url could not be resolved; until it can be, deliveries fail and are tried again.";

/// Create a webhook endpoint
///
/// `secret` is shown in this answer only. Every delivery is signed by Standard Webhooks (`webhook-signature`), and by
/// `X-Webhook-Signature`: `sha256=` and the HMAC of the body in hexadecimal. Where the host of `url` could not be resolved,
/// `message` says so.
#[utoipa::path(
    tag = "Webhooks", operation_id = "create_webhook", request_body = CreateWebhookBody,
    extensions(("x-required-scope" = json!("webhooks:write"))),
    responses((status = 201, description = "The new endpoint, with its secret", body = CreatedWebhookMessage))
)]
#[post("/webhooks")]
async fn create_webhook(
    call: Call<WebhooksWrite, NoQuery, CreateWebhookBody>,
) -> Result<HttpResponse, ApiError> {
    let (body, call) = call.into_body();
    let url = body.as_ref().ok().map(|body| body.url());
    let resolved = endpoints::check_url(call.app(), call.caller(), url).await;
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        let body = body?;
        let text = done_with(resolved?, "Webhook endpoint created successfully.");
        let created = endpoints::create(unit, body.into()).await?;
        let header_names = endpoints::header_names(unit.app(), &created.0)?.unwrap_or_default();
        Ok(Message::created(text, CreatedWebhookView::new(created, header_names)).with_secret())
    })
    .await
}

/// Get a webhook endpoint
#[utoipa::path(
    tag = "Webhooks", operation_id = "get_webhook",
    params(("id" = i64, Path, description = "Numeric id of the endpoint"), ItemQuery<WebhookList>),
    extensions(("x-required-scope" = json!("webhooks:read"))),
    responses((status = 200, description = "The endpoint, without its secret", body = WebhookItem))
)]
#[get("/webhooks/{id}")]
async fn get_webhook(call: Call<WebhooksRead, ItemQuery<WebhookList>>) -> Result<HttpResponse, ApiError> {
    let (id, with_deliveries) = (WebhookEndpointId(call.path_id()?), call.query().includes("deliveries"));
    let (endpoint, deliveries) = endpoints::get(call.app(), call.caller(), id, with_deliveries).await?;
    let updated_at = endpoint.updated_at;
    call.resource(&view(call.app(), endpoint, deliveries)?, Some(updated_at))
}

/// Update a webhook endpoint
///
/// Deliveries to an endpoint that is not active wait, and go on when it is active again. The values of `headers` are
/// never shown, and do not go to another scheme, host or port unless they are given again.
#[utoipa::path(
    tag = "Webhooks", operation_id = "update_webhook", request_body = UpdateWebhookBody,
    params(("id" = i64, Path, description = "Numeric id of the endpoint")),
    extensions(("x-required-scope" = json!("webhooks:write"))),
    responses((status = 200, description = "The endpoint after the change", body = WebhookMessage))
)]
#[patch("/webhooks/{id}")]
async fn update_webhook(
    call: Call<WebhooksWrite, NoQuery, UpdateWebhookBody>,
) -> Result<HttpResponse, ApiError> {
    let id = WebhookEndpointId(call.path_id()?);
    let (body, call) = call.into_body();
    let url = body.as_ref().ok().and_then(|body| body.url());
    let resolved = endpoints::check_url(call.app(), call.caller(), url).await;
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        let body = body?;
        let text = done_with(resolved?, "Webhook endpoint updated successfully.");
        let endpoint = endpoints::update(unit, id, body.into()).await?;
        let endpoint = view(unit.app(), endpoint, None)?;
        Ok(Message::done(text, endpoint))
    })
    .await
}

/// Delete a webhook endpoint
///
/// Deliveries that are on their way to it fail.
#[utoipa::path(
    tag = "Webhooks", operation_id = "delete_webhook",
    params(("id" = i64, Path, description = "Numeric id of the endpoint")),
    extensions(("x-required-scope" = json!("webhooks:delete"))),
    responses((status = 204, description = "The endpoint is deleted"))
)]
#[delete("/webhooks/{id}")]
async fn delete_webhook(call: Call<WebhooksDelete>) -> Result<HttpResponse, ApiError> {
    let id = WebhookEndpointId(call.path_id()?);
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        endpoints::delete(unit, id).await?;
        Ok(NoContent)
    })
    .await
}

/// Rotate a webhook endpoint's secret
///
/// The old secret signs beside the new one until the grace is over; the new one's signature is the first. `signing_secrets` says
/// which sign and until when. After a leak, `expire_previous` ends all older ones at once.
#[utoipa::path(
    tag = "Webhooks", operation_id = "rotate_webhook_secret", request_body = RotateWebhookSecretBody,
    params(("id" = i64, Path, description = "Numeric id of the endpoint")),
    extensions(("x-required-scope" = json!("webhooks:write"))),
    responses((status = 200, description = "The new secret of the endpoint", body = RotatedWebhookSecretMessage))
)]
#[post("/webhooks/{id}/rotate-secret")]
async fn rotate_webhook_secret(
    call: Call<WebhooksWrite, NoQuery, RotateWebhookSecretBody>,
) -> Result<HttpResponse, ApiError> {
    let id = WebhookEndpointId(call.path_id()?);
    let (body, call) = call.into_body();
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        let rotated = endpoints::rotate_secret(unit, id, body?.older()).await?;
        let text = "Webhook secret rotated successfully.";
        Ok(Message::done(text, RotatedWebhookSecretView::from(rotated)).with_secret())
    })
    .await
}

/// Test a webhook endpoint
///
/// Sends an event of type `webhook.test`, signed like any other. It is not counted and not tried again, and the answer is 200
/// either way: look at `success`.
#[utoipa::path(
    tag = "Webhooks", operation_id = "test_webhook",
    params(("id" = i64, Path, description = "Numeric id of the endpoint")),
    extensions(("x-required-scope" = json!("webhooks:write"))),
    responses((status = 200, description = "Result of the test delivery", body = WebhookTestView))
)]
#[post("/webhooks/{id}/test")]
async fn test_webhook(call: Call<WebhooksWrite>) -> Result<HttpResponse, ApiError> {
    let id = WebhookEndpointId(call.path_id()?);
    let contract = call.contract();
    let render = move |tested| Plain(WebhookTestView::from(tested)).into_answer(contract);
    Ok(respond(endpoints::test(call.app(), call.caller(), id, render).await?))
}

/// List a webhook endpoint's deliveries
#[utoipa::path(
    tag = "Webhooks", operation_id = "list_webhook_deliveries",
    params(("id" = i64, Path, description = "Numeric id of the endpoint"), ListQuery<WebhookDeliveryList>),
    extensions(("x-required-scope" = json!("webhooks:read"))),
    responses((status = 200, description = "One page of deliveries, the newest first", body = WebhookDeliveryPage))
)]
#[get("/webhooks/{id}/deliveries")]
async fn list_webhook_deliveries(
    call: Call<WebhooksRead, ListQuery<WebhookDeliveryList>>,
) -> Result<HttpResponse, ApiError> {
    let (id, request) = (WebhookEndpointId(call.path_id()?), call.list_request().await?);
    let query = call.query().into();
    let page = endpoints::list_deliveries(call.app(), call.caller(), id, query, request).await?;
    call.page(page, |delivery| Ok(WebhookDeliveryView::from(delivery))).await
}

/// Get a delivery
///
/// With all its attempts.
#[utoipa::path(
    tag = "Webhooks", operation_id = "get_webhook_delivery",
    params(
        ("id" = i64, Path, description = "Numeric id of the endpoint"),
        ("delivery_id" = i64, Path, description = "Numeric id of the delivery"),
    ),
    extensions(("x-required-scope" = json!("webhooks:read"))),
    responses((status = 200, description = "The delivery with its attempts", body = WebhookDeliveryItem))
)]
#[get("/webhooks/{id}/deliveries/{delivery_id}")]
async fn get_webhook_delivery(call: Call<WebhooksRead>) -> Result<HttpResponse, ApiError> {
    let (endpoint, id) =
        (WebhookEndpointId(call.path_id()?), WebhookDeliveryId(call.path_number("delivery_id")?));
    let history = endpoints::get_delivery(call.app(), call.caller(), endpoint, id).await?;
    call.item(&WebhookDeliveryHistoryView::from(history))
}

/// Retry a delivery
///
/// At most ten times by hand; 400 `cannot_retry` for a delivery that was received or is being sent.
#[utoipa::path(
    tag = "Webhooks", operation_id = "retry_webhook_delivery",
    params(
        ("id" = i64, Path, description = "Numeric id of the endpoint"),
        ("delivery_id" = i64, Path, description = "Numeric id of the delivery"),
    ),
    extensions(("x-required-scope" = json!("webhooks:write"))),
    responses((status = 200, description = "The delivery, queued again", body = WebhookDeliveryMessage))
)]
#[post("/webhooks/{id}/deliveries/{delivery_id}/retry")]
async fn retry_webhook_delivery(call: Call<WebhooksWrite>) -> Result<HttpResponse, ApiError> {
    let (endpoint, id) =
        (WebhookEndpointId(call.path_id()?), WebhookDeliveryId(call.path_number("delivery_id")?));
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        let delivery = endpoints::retry_delivery(unit, endpoint, id).await?;
        Ok(Message::done("Delivery queued for retry.", WebhookDeliveryView::from(delivery)))
    })
    .await
}
