//! `/events`

use actix_web::{HttpResponse, get, post};
use gatepost_app::{UnitOfWork, webhooks::events};
use gatepost_contract::{Accepted, ApiError};
use gatepost_kernel::{Error, EventId};
use gatepost_webhooks::EventType;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::{
    call::Call,
    lists::{ItemQuery, ListQuery},
    query::NoQuery,
    scopes::{EventsRead, EventsWrite},
    webhooks::events_wire::{
        AcceptedEventItem, AcceptedEventList, AcceptedEventView, CreateEventBatchBody, CreateEventBody,
        EventItem, EventList, EventPage, EventView,
    },
};

pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_events).service(create_event).service(create_event_batch).service(get_event);
}

/// List events
#[utoipa::path(
    tag = "Events", operation_id = "list_events", params(ListQuery<EventList>),
    extensions(("x-required-scope" = json!("events:read"))),
    responses((status = 200, description = "One page of events, the newest first", body = EventPage))
)]
#[get("/events")]
async fn list_events(call: Call<EventsRead, ListQuery<EventList>>) -> Result<HttpResponse, ApiError> {
    let request = call.list_request().await?;
    let event_type = call.query().filter("type").and_then(EventType::parse);
    let page = events::list(call.app(), call.caller(), event_type, request).await?;
    call.page(page, EventView::try_from).await
}

/// Create an event
///
/// Answered once the event and a delivery to each endpoint that wants it are stored. The same `id` with the same content is
/// the same event; with another content it is a 409.
#[utoipa::path(
    tag = "Events", operation_id = "create_event", request_body = CreateEventBody,
    extensions(("x-required-scope" = json!("events:write"))),
    responses((status = 202, description = "The event is accepted and will be delivered", body = AcceptedEventItem))
)]
#[post("/events")]
async fn create_event(call: Call<EventsWrite, NoQuery, CreateEventBody>) -> Result<HttpResponse, ApiError> {
    let (body, call) = call.into_body();
    if call.caller().can_repeat() {
        let publish = async move |unit: &mut UnitOfWork<'_>| {
            let mut ids = events::publish_all(unit, vec![body?.into()]).await?;
            Ok(Accepted(AcceptedEventView::from(ids.remove(0))))
        };
        return call.mutate(publish).await;
    }
    let id = events::publish(call.app(), call.caller(), body?.into()).await?;
    call.done(Accepted(AcceptedEventView::from(id)))
}

/// Create several events
///
/// All or none.
#[utoipa::path(
    tag = "Events", operation_id = "create_event_batch", request_body = CreateEventBatchBody,
    extensions(("x-required-scope" = json!("events:write"))),
    responses((status = 202, description = "The events are accepted and will be delivered", body = AcceptedEventList))
)]
#[post("/events/batch")]
async fn create_event_batch(
    call: Call<EventsWrite, NoQuery, CreateEventBatchBody>,
) -> Result<HttpResponse, ApiError> {
    let (body, call) = call.into_body();
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        let ids = events::publish_all(unit, body?.into_events()).await?;
        Ok(Accepted(ids.into_iter().map(AcceptedEventView::from).collect::<Vec<_>>()))
    })
    .await
}

/// Get an event
#[utoipa::path(
    tag = "Events", operation_id = "get_event",
    params(("id" = String, Path, description = "Id of the event"), ItemQuery<EventList>),
    extensions(("x-required-scope" = json!("events:read"))),
    responses((status = 200, description = "The event with its data", body = EventItem))
)]
#[get("/events/{id}")]
async fn get_event(call: Call<EventsRead, ItemQuery<EventList>>) -> Result<HttpResponse, ApiError> {
    let id = EventId::parse(call.path_text("id")).ok_or(Error::NotFound)?;
    call.resource(&EventView::try_from(events::get(call.app(), call.caller(), id).await?)?, None)
}
