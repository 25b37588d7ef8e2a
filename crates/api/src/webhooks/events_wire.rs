//! Events on the wire.

use gatepost_app::{
    StoredEvent,
    lists::EVENT_SORTS,
    webhooks::events::{MAX_BATCH, MAX_DATA_BYTES, PublishEvent},
};
use gatepost_kernel::{
    Error, EventId, Json, Timestamp,
    describe::{Described, Schemas},
};
use gatepost_macros::{body, query, view};
use gatepost_webhooks::{EventType, RESERVED_EVENT_TYPES, event_data};
use serde_json::{Value, value::RawValue};

use crate::{
    body::{Fields, Member},
    lists::{Content, Description, Listed},
    values::{ListOf, text_parameters, texts},
};

/// The size of a request around its data.
const ENVELOPE_BYTES: usize = 64 << 10;

/// The id of an event that was accepted.
#[view(from = EventId, example = {"id": "evt_abc123def456"})]
pub struct AcceptedEventView {
    /// Id of the accepted event.
    #[member(from = source)]
    id: EventId,
}

/// An event with its data.
#[view(example = {
    "id": "evt_abc123def456", "type": "post.created", "data": {"id": 7}, "created_at": "2026-01-15T10:30:00Z",
    "request_id": "req_abc123def456",
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
    /// Id of the request that caused the event; null if no request has.
    request_id: Option<String>,
}

impl TryFrom<StoredEvent> for EventView {
    type Error = Error;

    fn try_from(event: StoredEvent) -> Result<Self, Error> {
        // A list is read without it where nobody asks for it.
        let data = if event.payload.is_empty() { Some("null") } else { event_data(&event.payload) };
        let data = data.and_then(|data| Json::from_text(data.to_owned()).ok());
        let data = data.ok_or_else(|| Error::internal(format!("event {} holds no data", event.sequence)))?;
        let StoredEvent { id, event_type, created_at, request_id, .. } = event;
        Ok(Self { id, r#type: event_type, data, created_at, request_id })
    }
}

texts! {
    /// An id that the caller has chosen.
    ChosenEventId(EventId) = { "type": "string", "pattern": "^evt_[A-Za-z0-9_-]{1,60}$" }, |text| {
        let error = "The id must be evt_ and 1 to 60 letters, digits, underscores or hyphens.";
        EventId::parse(text).ok_or_else(|| error.to_owned())
    };
    /// A type that is not one of Gatepost's own.
    OwnEventType(EventType) = {
        "type": "string",
        "maxLength": 128,
        "pattern": format!("^(?!({})\\.)[a-z0-9_]+(\\.[a-z0-9_]+)*$", RESERVED_EVENT_TYPES.map(|word| word.trim_end_matches('.')).join("|")),
    }, |text| match EventType::parse(text) {
        Some(event_type) if event_type.is_reserved() => {
            let reserved = RESERVED_EVENT_TYPES.join(", ");
            Err(format!("The type may not begin with one of these words, which are the platform's own: {reserved}."))
        }
        Some(event_type) => Ok(event_type),
        None => Err("The type must be lower-case words with dots between, such as post.created.".to_owned()),
    };
}

/// What an event says.
pub struct EventData;

impl Described for EventData {
    fn schema(schemas: &mut Schemas) -> Value {
        Json::schema(schemas)
    }
}

impl Member for EventData {
    type Value = Json;

    const TAKES_NULL: bool = true;

    fn read<'b>(fields: &mut Fields<'b>, name: &'static str, value: &'b RawValue) -> Option<Json> {
        let data = fields.json(name, value)?;
        if data.as_str().len() > MAX_DATA_BYTES {
            fields.error(name, "The data may not be greater than 1 megabyte.");
        }
        Some(data)
    }
}

/// An event to publish.
#[body(into = PublishEvent, limit_bytes = MAX_DATA_BYTES + ENVELOPE_BYTES, example = {
    "id": "evt_order-1234-paid", "type": "order.paid", "data": {"id": 1234, "total": "49.00"},
})]
pub struct CreateEventBody {
    /// Id of the event: `evt_` and 1 to 60 of `A-Za-z0-9_-`; an id that was used already means the same
    /// event. Generated if not given
    #[member(like = ChosenEventId)]
    id: Option<EventId>,
    /// Type of the event: lower-case words separated by dots. Types that begin with a word of the platform's
    /// own, such as `api_key.` or `workspace.`, are reserved; the pattern lists them
    #[member(like = OwnEventType, to = event_type)]
    r#type: EventType,
    /// Data of the event, up to 1 MiB; kept, shown and delivered byte for byte, including numbers of any size
    #[member(like = EventData)]
    data: Json,
}

/// Events to publish, all or none.
#[body(limit_bytes = 16 << 20)]
pub struct CreateEventBatchBody {
    /// Events to publish, at most 1,000
    #[member(like = ListOf<CreateEventBody, 1, MAX_BATCH>)]
    events: Vec<CreateEventBody>,
}

impl CreateEventBatchBody {
    /// The events.
    pub fn into_events(self) -> Vec<PublishEvent> {
        self.events.into_iter().map(Into::into).collect()
    }
}

text_parameters! {
    /// A type of events.
    EventTypeName(EventType) = { "type": "string", "pattern": "^[a-z0-9_]+(\\.[a-z0-9_]+)*$", "maxLength": 128 },
        "lower-case words with dots between", EventType::parse;
}

/// What the list of events can be filtered by.
#[query]
pub struct EventFilters {
    /// Return only those of this type
    #[member(like = EventTypeName)]
    pub r#type: Option<EventType>,
}

impl Listed for EventView {
    type Filters = EventFilters;

    const LIST: Description = Description {
        content: Some(Content { name: "data", most_bytes: MAX_DATA_BYTES as u64 }),
        ..Description::of_log(EVENT_SORTS)
    };
}
