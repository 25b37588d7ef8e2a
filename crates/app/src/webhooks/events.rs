//! Events: what tenants and Gatepost itself say has happened.

use std::sync::Arc;

use gatepost_kernel::{Error, EventId, Json, Owner, Page, Result, Timestamp, random};
use gatepost_metrics::Histogram;
use gatepost_storage::{NewEvent, StoredEvent, Tx};
use gatepost_webhooks::{EventType, event_data};

use crate::{
    App, Caller, UnitOfWork,
    combined::{Attempt, Combinable, GroupWork},
    combiner::{Combiner, Limits, MAX_WAITING},
    lists::ListRequest,
};

/// The largest `data` in bytes.
pub const MAX_DATA_BYTES: usize = 1 << 20;
/// How much of events may wait for their transaction, in bytes: what the database stores in a second or so.
const MAX_WAITING_BYTES: usize = 32 << 20;
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
    pub data: Json,
}

impl Combinable for PublishEvent {
    /// The id of the event.
    type Output = EventId;

    /// Stores it with its deliveries. One that is there already, with the same id, type and bytes of data, is
    /// not stored again.
    ///
    /// # Errors
    /// [`Error::Conflict`] if there is another event with its id; [`Error::Validation`] for a type that is
    /// sent for records; [`Error::Unavailable`].
    async fn together(self, app: &App, caller: &Caller) -> Result<EventId> {
        check_type(app, "type", &self.event_type)?;
        let event = self.prepare(caller, app.now());
        let id = event.id.clone();
        app.combine(app.publications(), event, Publish(app.clone())).await.map(|()| id)
    }

    async fn alone(self, unit: &mut UnitOfWork<'_>) -> Result<EventId> {
        Ok(publish_all(unit, vec![self]).await?.remove(0))
    }
}

/// Stores several events in one transaction, all or none; their ids. Each is treated as one that is published
/// alone.
///
/// # Errors
/// As for one.
pub async fn publish_all(unit: &mut UnitOfWork<'_>, inputs: Vec<PublishEvent>) -> Result<Vec<EventId>> {
    for (index, input) in inputs.iter().enumerate() {
        check_type(unit.app(), &format!("events.{index}.type"), &input.event_type)?;
    }
    let events: Vec<NewEvent> =
        inputs.into_iter().map(|input| input.prepare(unit.caller(), unit.now)).collect();
    let is_new = unit.store_events(&events).await?;
    for (event, _) in events.iter().zip(is_new).filter(|(_, is_new)| !is_new) {
        check_same(&mut unit.tx, event).await?;
    }
    Ok(events.into_iter().map(|event| event.id).collect())
}

/// Refuses a type that is sent for the records of a declared resource: who hears of it takes it to have
/// happened to one.
fn check_type(app: &App, field: &str, event_type: &EventType) -> Result<()> {
    let event_type = event_type.as_str();
    if app.resources().declarations().sends(event_type) {
        let error = format!("Events of the type {event_type} are sent for records, and for nothing else.");
        return Err(Error::invalid(field, error));
    }
    Ok(())
}

impl PublishEvent {
    fn prepare(self, caller: &Caller, now: Timestamp) -> NewEvent {
        gatepost_delivery::event(
            self.id.unwrap_or_else(|| EventId::generate(&mut random::rng())),
            self.event_type.as_str(),
            now,
            caller.owner(),
            &self.data,
        )
        .of_request(caller.request_id())
    }
}

/// Refuses an event whose id another has.
async fn check_same(tx: &mut Tx<'_>, event: &NewEvent) -> Result<()> {
    let stored = tx.event_get(Owner::new(event.workspace_id, event.environment), &event.id).await?;
    let same = stored.is_some_and(|stored| {
        stored.event_type == event.event_type && event_data(&stored.payload) == event_data(&event.payload)
    });
    if same { Ok(()) } else { Err(Error::Conflict("Another event has this id.".to_owned())) }
}

pub(crate) type Publications = Combiner<NewEvent, ()>;

/// What goes into one transaction.
pub(crate) fn publications(sizes: Histogram) -> Arc<Publications> {
    let weigh = |event: &NewEvent| event.payload.len();
    let (waiting, waiting_weight) = (MAX_WAITING, MAX_WAITING_BYTES);
    let limits = Limits { waiting, waiting_weight, lanes: 2, requests: 128, weight: 4 << 20, weigh };
    Combiner::new(limits, sizes)
}

/// Stores the events of many callers.
#[derive(Clone)]
struct Publish(App);

impl GroupWork for Publish {
    type Request = NewEvent;
    type Answer = ();
    type Learned = ();

    async fn attempt(&self, mut tx: Tx<'_>, events: &[NewEvent]) -> Result<Attempt<(), ()>> {
        let (is_new, handovers) = self.0.store_events(&mut tx, events).await?;
        let mut answers = Vec::with_capacity(events.len());
        for (event, is_new) in events.iter().zip(is_new) {
            answers.push(match is_new {
                true => Ok(()),
                false => match check_same(&mut tx, event).await {
                    Err(error @ (Error::Unavailable { .. } | Error::Internal(_))) => return Err(error),
                    said => said,
                },
            });
        }
        Ok(Attempt { answers, handovers, learned: () })
    }

    fn learn(&self, (): ()) {}
}

/// One page of the caller's events; all, or those of one type.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn list(
    app: &App,
    caller: &Caller,
    event_type: Option<EventType>,
    request: ListRequest,
) -> Result<Page<StoredEvent>> {
    let owner = caller.owner();
    app.read_snapshot(async move |mut tx| {
        let event_type = event_type.as_ref().map(EventType::as_str);
        Ok(tx.event_list(owner, event_type, &request).await?)
    })
    .await
}

/// One event.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Unavailable`].
pub async fn get(app: &App, caller: &Caller, id: EventId) -> Result<StoredEvent> {
    let owner = caller.owner();
    app.read(async move |mut tx| tx.event_get(owner, &id).await?.ok_or(Error::NotFound)).await
}

impl UnitOfWork<'_> {
    /// Stores events with their deliveries; which are new.
    pub(crate) async fn store_events(&mut self, events: &[NewEvent]) -> Result<Vec<bool>> {
        let app = self.app().clone();
        let (is_new, handovers) = app.store_events(&mut self.tx, events).await?;
        self.handovers.extend(handovers);
        Ok(is_new)
    }
}
