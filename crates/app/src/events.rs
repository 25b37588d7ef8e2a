//! Events: what tenants and Gatepost itself say has happened.

use gatepost_delivery::Handover;
use gatepost_kernel::{Error, EventId, Page, PageRequest, Result, random};
use gatepost_storage::{NewEvent, StoredEvent};
use gatepost_webhooks::{EventType, event_data, event_payload};
use serde_json::Value;

use crate::{App, Caller, UnitOfWork};

/// The largest `data` in bytes.
pub const MAX_DATA_BYTES: usize = 1 << 20;
/// How many events one request may bring.
pub const MAX_BATCH: usize = 1_000;

/// Something that has happened.
#[derive(Debug)]
pub struct PublishEvent {
    /// Its id; a fresh one without it. The same id means the same event.
    pub id: Option<EventId>,
    /// What happened.
    pub event_type: EventType,
    /// To what.
    pub data: Value,
}

/// Stores an event with its deliveries; its id. One that is there already, with the same id, type and data, is not stored
/// again.
///
/// # Errors
/// [`Error::Conflict`] if there is another event with its id.
pub async fn publish(unit: &mut UnitOfWork<'_>, input: PublishEvent) -> Result<EventId> {
    let (workspace_id, environment) = (unit.caller().workspace_id(), unit.caller().environment());
    let id = input.id.unwrap_or_else(|| EventId::generate(&mut random::rng()));
    let event_type = input.event_type.as_str();
    let event = NewEvent {
        payload: event_payload(&id, event_type, unit.now, workspace_id, environment, &input.data),
        id: id.clone(),
        workspace_id,
        environment,
        event_type: event_type.to_owned(),
        created_at: unit.now,
    };
    if unit.store_event(&event).await? {
        return Ok(id);
    }
    let stored = unit.tx.event_get(workspace_id, environment, &id).await?;
    let same = stored.is_some_and(|stored| {
        stored.event_type == event.event_type && event_data(&stored.payload).as_ref() == Some(&input.data)
    });
    if same { Ok(id) } else { Err(Error::Conflict("Another event has this id.".to_owned())) }
}

/// Stores several events, all or none.
///
/// # Errors
/// As [`publish`].
pub async fn publish_batch(unit: &mut UnitOfWork<'_>, inputs: Vec<PublishEvent>) -> Result<Vec<EventId>> {
    let mut ids = Vec::with_capacity(inputs.len());
    for input in inputs {
        ids.push(publish(unit, input).await?);
    }
    Ok(ids)
}

/// One page of the caller's events, the newest first.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn list(
    app: &App,
    caller: &Caller,
    event_type: Option<EventType>,
    page: PageRequest,
) -> Result<Page<StoredEvent>> {
    let (workspace, environment) = (caller.workspace_id(), caller.environment());
    app.read_snapshot(async move |mut tx| {
        let event_type = event_type.as_ref().map(EventType::as_str);
        Ok(tx.event_list(workspace, environment, event_type, page).await?)
    })
    .await
}

/// One event.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Unavailable`].
pub async fn get(app: &App, caller: &Caller, id: EventId) -> Result<StoredEvent> {
    let (workspace, environment) = (caller.workspace_id(), caller.environment());
    app.read(async move |mut tx| tx.event_get(workspace, environment, &id).await?.ok_or(Error::NotFound))
        .await
}

impl UnitOfWork<'_> {
    /// Stores an event with its deliveries; whether it is new.
    pub(crate) async fn store_event(&mut self, event: &NewEvent) -> Result<bool> {
        let dispatcher = self.app().dispatcher().ok().cloned();
        let stored = gatepost_delivery::store(&mut self.tx, event, dispatcher.as_ref()).await?;
        let is_new = stored.is_some();
        self.handovers.extend(stored.unwrap_or_default());
        Ok(is_new)
    }
}

/// What a transaction leaves to be sent once it is committed.
pub(crate) type Handovers = Vec<Handover>;
