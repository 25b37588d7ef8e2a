//! `/webhooks`

use gatepost_app::{
    App, UnitOfWork, WebhookDelivery, WebhookEndpoint,
    webhooks::endpoints::{self, ListDeliveries, ListWebhooks},
};
use gatepost_contract::{Deleted, IntoAnswer, Message, Plain};
use gatepost_kernel::{WebhookDeliveryId, WebhookEndpointId};
use gatepost_macros::operation;

use crate::{
    answer::{Answer, Item, PageOf},
    call::{Call, respond},
    lists::{ItemQuery, ListQuery},
    operation::Tag,
    query::NoQuery,
    scopes::{WebhooksDelete, WebhooksRead, WebhooksWrite},
    webhooks::endpoints_wire::{
        Activity, CreateWebhookBody, CreatedWebhookView, RotateWebhookSecretBody, RotatedWebhookSecretView,
        UpdateWebhookBody, WebhookDeliveryHistoryView, WebhookDeliveryView, WebhookTestView, WebhookView,
    },
};

const TAG: Tag = Tag { name: "Webhooks", about: "Webhook endpoints, and the deliveries of events to them." };

/// List webhook endpoints
#[operation(get "/webhooks", tag = TAG, ok = "One page of webhook endpoints")]
async fn list_webhooks(call: Call<WebhooksRead, ListQuery<WebhookView>>) -> Answer<PageOf<WebhookView>> {
    let request = call.list_request().await?;
    let query = ListWebhooks {
        is_active: call.query().filters.status.map(|status| status == Activity::Active),
        with_deliveries: call.query().includes(WebhookView::DELIVERIES),
    };
    let page = endpoints::list(call.app(), call.caller(), query, request).await?;
    let app = call.app().clone();
    call.page(page, move |(endpoint, deliveries)| view(&app, endpoint, deliveries)).await
}

fn view(
    app: &App,
    endpoint: WebhookEndpoint,
    deliveries: Option<Vec<WebhookDelivery>>,
) -> gatepost_kernel::Result<WebhookView> {
    let header_names = endpoints::header_names(app, &endpoint)?;
    Ok(WebhookView::from((endpoint, header_names, app.now())).with_deliveries(deliveries))
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
/// `secret` is shown in this answer only. Every delivery is signed by Standard Webhooks
/// (`webhook-signature`), and by `{signature}`: `sha256=` and the HMAC of the body in hexadecimal. Where the
/// host of `url` could not be resolved, `message` says so.
#[operation(post "/webhooks", tag = TAG, created = "The new endpoint, with its secret")]
async fn create_webhook(
    call: Call<WebhooksWrite, NoQuery, CreateWebhookBody>,
) -> Answer<Message<CreatedWebhookView>> {
    let (body, call) = call.into_body();
    let url = body.as_ref().ok().map(|body| body.url.as_str());
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
#[operation(get "/webhooks/{id}", tag = TAG, ok = "The endpoint, without its secret")]
async fn get_webhook(
    call: Call<WebhooksRead, ItemQuery<WebhookView>>,
    id: WebhookEndpointId,
) -> Answer<Item<WebhookView>> {
    let with_deliveries = call.query().includes(WebhookView::DELIVERIES);
    let (endpoint, deliveries) = endpoints::get(call.app(), call.caller(), id, with_deliveries).await?;
    let updated_at = endpoint.updated_at;
    call.resource(&view(call.app(), endpoint, deliveries)?, Some(updated_at))
}

/// Update a webhook endpoint
///
/// Deliveries to an endpoint that is not active wait, and go on when it is active again. The values of
/// `headers` are never shown, and do not go to another scheme, host or port unless they are given again.
#[operation(patch "/webhooks/{id}", tag = TAG, ok = "The endpoint after the change", if_match)]
async fn update_webhook(
    call: Call<WebhooksWrite, NoQuery, UpdateWebhookBody>,
    id: WebhookEndpointId,
) -> Answer<Message<WebhookView>> {
    let (body, call) = call.into_body();
    let url = body.as_ref().ok().and_then(|body| body.url.as_deref());
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
#[operation(delete "/webhooks/{id}", tag = TAG, no_content = "The endpoint is deleted", if_match)]
async fn delete_webhook(
    call: Call<WebhooksDelete>,
    id: WebhookEndpointId,
) -> Answer<Deleted<WebhookEndpointId>> {
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        endpoints::delete(unit, id).await?;
        Ok(Deleted(id))
    })
    .await
}

/// Rotate a webhook endpoint's secret
///
/// The old secret signs beside the new one until the grace is over; the new one's signature is the first.
/// `signing_secrets` says which sign and until when. After a leak, `expire_previous` ends all older ones at
/// once.
#[operation(post "/webhooks/{id}/rotate-secret", tag = TAG, ok = "The new secret of the endpoint", if_match)]
async fn rotate_webhook_secret(
    call: Call<WebhooksWrite, NoQuery, RotateWebhookSecretBody>,
    id: WebhookEndpointId,
) -> Answer<Message<RotatedWebhookSecretView>> {
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
/// Sends an event of type `webhook.test`, signed like any other. It is not counted and not tried again, and
/// the answer is 200 either way: look at `success`.
#[operation(post "/webhooks/{id}/test", tag = TAG, ok = "Result of the test delivery")]
async fn test_webhook(call: Call<WebhooksWrite>, id: WebhookEndpointId) -> Answer<Plain<WebhookTestView>> {
    let contract = call.contract();
    let render = move |tested| Plain(WebhookTestView::from(tested)).into_answer(&contract);
    Ok(respond(endpoints::test(call.app(), call.caller(), id, render).await?).into())
}

/// List a webhook endpoint's deliveries
#[operation(get "/webhooks/{id}/deliveries", tag = TAG, ok = "One page of deliveries, the newest first")]
async fn list_webhook_deliveries(
    call: Call<WebhooksRead, ListQuery<WebhookDeliveryView>>,
    id: WebhookEndpointId,
) -> Answer<PageOf<WebhookDeliveryView>> {
    let (request, filters) = (call.list_request().await?, &call.query().filters);
    let query = ListDeliveries {
        status: filters.status,
        event_type: filters.event_type.as_ref().map(|event_type| event_type.as_str().to_owned()),
        event_id: filters.event_id.clone(),
    };
    let page = endpoints::list_deliveries(call.app(), call.caller(), id, query, request).await?;
    call.page(page, |delivery| Ok(WebhookDeliveryView::from(delivery))).await
}

/// Get a delivery
///
/// With all its attempts.
#[operation(get "/webhooks/{id}/deliveries/{delivery_id}", tag = TAG, ok = "The delivery with its attempts")]
async fn get_webhook_delivery(
    call: Call<WebhooksRead>,
    id: WebhookEndpointId,
    delivery_id: WebhookDeliveryId,
) -> Answer<Item<WebhookDeliveryHistoryView>> {
    let history = endpoints::get_delivery(call.app(), call.caller(), id, delivery_id).await?;
    call.item(&WebhookDeliveryHistoryView::from(history))
}

/// Retry a delivery
///
/// At most ten times by hand; 400 `cannot_retry` for a delivery that was received or is being sent.
#[operation(post "/webhooks/{id}/deliveries/{delivery_id}/retry", tag = TAG, ok = "The delivery, queued again")]
async fn retry_webhook_delivery(
    call: Call<WebhooksWrite>,
    id: WebhookEndpointId,
    delivery_id: WebhookDeliveryId,
) -> Answer<Message<WebhookDeliveryView>> {
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        let delivery = endpoints::retry_delivery(unit, id, delivery_id).await?;
        Ok(Message::done("Delivery queued for retry.", WebhookDeliveryView::from(delivery)))
    })
    .await
}
