//! `/events`

use gatepost_app::{
    UnitOfWork,
    webhooks::events::{self, PublishEvent},
};
use gatepost_contract::Accepted;
use gatepost_kernel::EventId;
use gatepost_macros::operation;

use crate::{
    answer::{Answer, Item, PageOf},
    call::Call,
    lists::{ItemQuery, ListQuery},
    operation::{PathEventId, Tag},
    query::NoQuery,
    scopes::{EventsRead, EventsWrite},
    webhooks::events_wire::{AcceptedEventView, CreateEventBatchBody, CreateEventBody, EventView},
};

const TAG: Tag =
    Tag { name: "Events", about: "Events of your application, which are delivered to webhook endpoints." };

/// List events
#[operation(get "/events", tag = TAG, ok = "One page of events, the newest first")]
async fn list_events(call: Call<EventsRead, ListQuery<EventView>>) -> Answer<PageOf<EventView>> {
    let request = call.list_request().await?;
    let event_type = call.query().filters.r#type.clone();
    let page = events::list(call.app(), call.caller(), event_type, request).await?;
    call.page(page, EventView::try_from).await
}

/// Create an event
///
/// Answered once the event and a delivery to each endpoint that wants it are stored. The same `id` with the
/// same content is the same event; with another content it is a {status 409}.
#[operation(post "/events", tag = TAG, accepted = "The event is accepted and will be delivered")]
async fn create_event(
    call: Call<EventsWrite, NoQuery, CreateEventBody>,
) -> Answer<Accepted<AcceptedEventView>> {
    let (body, call) = call.into_body();
    let event = body.map(PublishEvent::from);
    let accepted = call.note_event();
    let show = move |id: EventId| {
        // For the log; a request has one event.
        let _ = accepted.0.set(id.clone());
        Ok(Accepted(AcceptedEventView::from(id)))
    };
    call.combine(event, show).await
}

/// Create several events
///
/// All or none.
#[operation(post "/events/batch", tag = TAG, accepted = "The events are accepted and will be delivered")]
async fn create_event_batch(
    call: Call<EventsWrite, NoQuery, CreateEventBatchBody>,
) -> Answer<Accepted<Vec<AcceptedEventView>>> {
    let (body, call) = call.into_body();
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        let ids = events::publish_all(unit, body?.into_events()).await?;
        Ok(Accepted(ids.into_iter().map(AcceptedEventView::from).collect::<Vec<_>>()))
    })
    .await
}

/// Get an event
#[operation(get "/events/{id}", tag = TAG, ok = "The event with its data")]
async fn get_event(call: Call<EventsRead, ItemQuery<EventView>>, id: PathEventId) -> Answer<Item<EventView>> {
    call.resource(&EventView::try_from(events::get(call.app(), call.caller(), id.0).await?)?, None)
}
