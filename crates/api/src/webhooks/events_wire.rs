//! Events on the wire.

use gatepost_api_macros::view;
use gatepost_app::{
    StoredEvent,
    lists::EVENT_SORTS,
    webhooks::events::{MAX_BATCH, MAX_DATA_BYTES, PublishEvent},
};
use gatepost_kernel::{Error, EventId, FieldErrors, Json, Timestamp};
use gatepost_webhooks::{EventType, RESERVED_EVENT_TYPES, event_data};
use utoipa::ToSchema;

use crate::{
    body::{Context, Fields, Members, ReadBody},
    describe::View,
    lists::{Content, Description, Filter, Listed, Values},
    wire::envelopes,
};

/// The size of a request around its data.
const ENVELOPE_BYTES: usize = 64 << 10;

/// The id of an event that was accepted.
#[view(example = {"id": "evt_abc123def456"})]
pub struct AcceptedEventView {
    /// Id of the accepted event.
    id: EventId,
}

impl From<EventId> for AcceptedEventView {
    fn from(id: EventId) -> Self {
        Self { id }
    }
}

/// An event with its data.
#[view(example = {
    "id": "evt_abc123def456", "type": "post.created", "data": {"id": 7}, "created_at": "2026-01-15T10:30:00Z",
})]
pub struct EventView {
    /// Id of the event.
    id: EventId,
    /// Type of the event.
    r#type: String,
    /// The data of the event, byte for byte as it was sent.
    data: Json,
    /// Time at which the event was accepted.
    created_at: Timestamp,
}

impl TryFrom<StoredEvent> for EventView {
    type Error = Error;

    fn try_from(event: StoredEvent) -> Result<Self, Error> {
        // A list is read without it where nobody asks for it.
        let data = if event.payload.is_empty() { Some("null") } else { event_data(&event.payload) };
        let data = data.and_then(|data| Json::from_text(data.to_owned()).ok());
        let data = data.ok_or_else(|| Error::internal(format!("event {} holds no data", event.sequence)))?;
        Ok(Self { id: event.id, r#type: event.event_type, data, created_at: event.created_at })
    }
}

/// An event to publish.
#[derive(ToSchema)]
pub struct CreateEventBody {
    /// Id of the event: `evt_` and 1 to 60 of `A-Za-z0-9_-`; an id that was used already means the same event. Generated if not
    /// given
    #[schema(value_type = Option<String>, pattern = "^evt_[A-Za-z0-9_-]{1,60}$", example = "evt_order-1234-paid")]
    id: Option<EventId>,
    /// Type of the event: lower-case words separated by dots. Types that begin with `api_key.`, `workspace.`, `webhook.`,
    /// `entitlement.`, `seo.`, `mcp.`, `oauth.` or `member.` are reserved for Gatepost
    #[schema(value_type = String, pattern = "^(?!(api_key|workspace|webhook|entitlement|seo|mcp|oauth|member)\\.)[a-z0-9_]+(\\.[a-z0-9_]+)*$", max_length = 128, example = "post.created")]
    r#type: EventType,
    /// Data of the event, up to 1 MiB; kept, shown and delivered byte for byte, including numbers of any size
    #[schema(value_type = Value, required, example = json!({"id": 7, "title": "Hello"}))]
    data: Json,
}

impl ReadBody for CreateEventBody {
    const LIMIT_BYTES: usize = MAX_DATA_BYTES + ENVELOPE_BYTES;

    fn read(fields: &mut Fields, _: &Context<'_>) -> Option<Self> {
        let id = fields.text("id", crate::body::Null::IsAbsent, |id| {
            EventId::parse(id).ok_or_else(|| {
                "The id must be evt_ and 1 to 60 letters, digits, underscores or hyphens.".to_owned()
            })
        });
        let event_type = fields.required_text("type", |text| match EventType::parse(text) {
            Some(event_type) if event_type.is_reserved() => {
                let reserved = RESERVED_EVENT_TYPES.join(", ");
                Err(format!(
                    "The type may not begin with one of these words, which are Gatepost's own: {reserved}."
                ))
            }
            Some(event_type) => Ok(event_type),
            None => {
                Err("The type must be lower-case words with dots between, such as post.created.".to_owned())
            }
        });
        let data = fields.json("data");
        if data.as_ref().is_some_and(|data| data.as_str().len() > MAX_DATA_BYTES) {
            fields.fault("data", "The data may not be greater than 1 megabyte.");
        }
        Some(Self { id, r#type: event_type?, data: data? })
    }
}

impl From<CreateEventBody> for PublishEvent {
    fn from(body: CreateEventBody) -> Self {
        Self { id: body.id, event_type: body.r#type, data: body.data }
    }
}

/// Events to publish, all or none.
#[derive(ToSchema)]
pub struct CreateEventBatchBody {
    /// Events to publish, at most 1,000
    #[schema(min_items = 1, max_items = 1000)]
    events: Vec<CreateEventBody>,
}

impl CreateEventBatchBody {
    /// The events.
    pub fn into_events(self) -> Vec<PublishEvent> {
        self.events.into_iter().map(Into::into).collect()
    }
}

impl ReadBody for CreateEventBatchBody {
    const LIMIT_BYTES: usize = 16 << 20;

    fn read(fields: &mut Fields, context: &Context<'_>) -> Option<Self> {
        let items = fields.objects("events", 1..=MAX_BATCH)?;
        let mut events = Vec::with_capacity(items.len());
        for (place, item) in items.into_iter().enumerate() {
            match read_item(item, context) {
                Ok(event) => events.push(event),
                Err(faults) => fields.faults(&format!("events.{place}."), &faults),
            }
        }
        Some(Self { events })
    }
}

fn read_item(item: Members<'_>, context: &Context<'_>) -> Result<CreateEventBody, FieldErrors> {
    let mut fields = Fields::new(item);
    let event = CreateEventBody::read(&mut fields, context);
    let faults = fields.into_errors();
    event.filter(|_| faults.is_empty()).ok_or(faults)
}

/// What can be asked of the list of events.
pub struct EventList;

impl Listed for EventList {
    const LIST: Description = Description {
        sorts: EVENT_SORTS,
        default_sort: "-created_at",
        filters: &[Filter { name: "type", values: EVENT_TYPE, about: "Return only those of this type" }],
        has_updated_at: false,
        searched: None,
        fields: EventView::MEMBERS,
        content: Some(Content { name: "data", most_bytes: MAX_DATA_BYTES as u64 }),
        includes: &[],
        is_log: true,
    };
}

/// A type of events.
pub const EVENT_TYPE: Values = Values::Text {
    form: "lower-case words with dots between",
    pattern: "^[a-z0-9_]+(\\.[a-z0-9_]+)*$",
    max_length: 128,
    is_valid: |text| EventType::parse(text).is_some(),
};

/// Ids of the accepted events.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the contract renders")]
pub struct AcceptedEventList {
    data: Vec<AcceptedEventView>,
}

envelopes! {
    item AcceptedEventItem(AcceptedEventView);
    item EventItem(EventView);
    log EventPage(EventView);
}
