//! Events and their deliveries, in one transaction.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use gatepost_kernel::{
    ClaimId, Environment, EventId, Json, Owner, Timestamp, WebhookEndpointId, WorkspaceId,
};
use gatepost_storage::{ClaimedDelivery, NewEvent, NewWebhookDelivery, Result, Tx};
use gatepost_webhooks::{Subscription, WebhookEndpoint, event_payload};

use crate::own_events::OwnEvent;
use crate::{Dispatcher, slots::Slot};

/// A delivery that this process has leased and may send once its transaction is committed.
#[derive(Debug)]
pub(crate) struct Handover {
    pub delivery: ClaimedDelivery,
    pub claim: ClaimId,
    pub endpoint: Arc<WebhookEndpoint>,
    pub leased_at: Instant,
    pub slot: Slot,
}

/// The type of [`OwnEvent::ThresholdReached`].
const THRESHOLD_REACHED: &str = "entitlement.threshold_reached";

/// What a transaction leaves to be sent; for [`Dispatcher::hand_over`] once it is committed.
#[derive(Debug, Default)]
#[must_use = "what is leased and not handed over waits until the lease ends"]
pub struct Handovers {
    pub(crate) leased: Vec<Handover>,
    pub(crate) waiting: HashSet<(WorkspaceId, WebhookEndpointId)>,
    /// Thresholds that were reached, for the log.
    pub(crate) thresholds: Vec<NewEvent>,
}

impl Handovers {
    /// Something is due for an endpoint of a workspace.
    pub fn due(&mut self, workspace: WorkspaceId, endpoint: WebhookEndpointId) {
        self.waiting.insert((workspace, endpoint));
    }

    /// Takes the others in.
    pub fn extend(&mut self, others: Self) {
        self.leased.extend(others.leased);
        self.waiting.extend(others.waiting);
        self.thresholds.extend(others.thresholds);
    }

    /// Writes down, once it is committed, who has come near a limit: an operator looks at no tenant's events.
    pub fn log(&self) {
        for event in &self.thresholds {
            tracing::info!(
                workspace.id = event.workspace_id.0,
                event.id = event.id.as_str(),
                event = &*event.payload,
                "a threshold was reached"
            );
        }
    }
}

/// An event as it is stored, signed and sent.
pub fn event(id: EventId, event_type: &str, created_at: Timestamp, owner: Owner, data: &Json) -> NewEvent {
    let Owner { workspace_id, environment } = owner;
    let payload = event_payload(&id, event_type, created_at, owner, data).into();
    let (event_type, request_id) = (event_type.to_owned(), None);
    NewEvent { id, workspace_id, environment, event_type, payload, created_at, request_id }
}

/// An event of Gatepost's own, as it is stored, signed and sent.
pub fn own_event(id: EventId, created_at: Timestamp, owner: Owner, own: &OwnEvent) -> NewEvent {
    event(id, own.event_type(), created_at, owner, &own.data())
}

/// Stores events with a delivery to each active endpoint that wants them, and answers which are new. One
/// whose id its workspace has already is not stored again. What `dispatcher` has slots for is leased by it;
/// hand that over after the commit.
///
/// # Errors
/// Those of the database.
pub async fn store(
    tx: &mut Tx<'_>,
    events: &[NewEvent],
    dispatcher: Option<&Dispatcher>,
) -> Result<(Vec<bool>, Handovers)> {
    if events.is_empty() {
        return Ok(Default::default());
    }
    let places = tx.event_insert(events).await?;
    let is_new = places.iter().map(Option::is_some).collect();
    let stored: Vec<(&NewEvent, i64)> =
        events.iter().zip(&places).filter_map(|(event, place)| Some((event, (*place)?))).collect();
    let mut workspaces: Vec<WorkspaceId> = stored.iter().map(|(event, _)| event.workspace_id).collect();
    workspaces.sort_unstable();
    workspaces.dedup();
    let reached = stored.iter().filter(|(event, _)| event.event_type == THRESHOLD_REACHED);
    let thresholds = reached.map(|(event, _)| (*event).clone()).collect();
    let mut handovers = Handovers { thresholds, ..Handovers::default() };
    if workspaces.is_empty() {
        return Ok((is_new, handovers));
    }
    if let Some(dispatcher) = dispatcher {
        dispatcher.learn_plans(tx, workspaces.iter().copied()).await?;
    }
    let listeners = Listeners::new(tx.webhook_endpoint_active(&workspaces).await?);
    let leased_at = Instant::now();
    let (mut new, mut slots) = (Vec::new(), Vec::new());
    for (event, event_sequence) in stored {
        for endpoint in listeners.of(event) {
            let slot = dispatcher.and_then(|dispatcher| dispatcher.take_slot(endpoint, &event.payload));
            let claim = dispatcher.zip(slot.as_ref()).map(|(dispatcher, _)| dispatcher.new_claim());
            let lease_end = dispatcher.map(|dispatcher| dispatcher.lease_end());
            let due_at = lease_end.filter(|_| claim.is_some()).unwrap_or(event.created_at);
            new.push(NewWebhookDelivery {
                event,
                event_sequence,
                endpoint_id: endpoint.id,
                claim_id: claim,
                due_at,
            });
            slots.push((endpoint.clone(), claim.zip(slot)));
        }
    }
    if new.is_empty() {
        return Ok((is_new, handovers));
    }
    let ids = tx.webhook_delivery_insert(&new).await?;
    for ((id, new), (endpoint, leased)) in ids.into_iter().zip(new).zip(slots) {
        let Some((claim, slot)) = leased else {
            handovers.due(endpoint.workspace_id, endpoint.id);
            continue;
        };
        let delivery = ClaimedDelivery {
            id,
            endpoint_id: endpoint.id,
            event_id: new.event.id.clone(),
            attempts: 0,
            payload: new.event.payload.clone(),
        };
        handovers.leased.push(Handover { delivery, claim, endpoint, leased_at, slot });
    }
    if !handovers.waiting.is_empty() && !dispatcher.is_some_and(Dispatcher::delivers) {
        tx.announce_due().await?;
    }
    Ok((is_new, handovers))
}

/// An endpoint, and what it wants to hear.
type Listener = (Arc<WebhookEndpoint>, Vec<Subscription>);

/// Endpoints by where they listen.
struct Listeners(HashMap<(WorkspaceId, Environment), Vec<Listener>>);

impl Listeners {
    fn new(endpoints: Vec<WebhookEndpoint>) -> Self {
        let mut by_place = HashMap::<_, Vec<_>>::new();
        for endpoint in endpoints {
            let wanted = endpoint.events.iter().filter_map(|text| Subscription::parse(text)).collect();
            let place = (endpoint.workspace_id, endpoint.environment);
            by_place.entry(place).or_default().push((Arc::new(endpoint), wanted));
        }
        Self(by_place)
    }

    /// Those that want to hear of an event.
    fn of<'a>(&'a self, event: &'a NewEvent) -> impl Iterator<Item = &'a Arc<WebhookEndpoint>> {
        self.0
            .get(&(event.workspace_id, event.environment))
            .into_iter()
            .flatten()
            .filter(|(_, wanted)| wanted.iter().any(|wanted| wanted.covers(&event.event_type)))
            .map(|(endpoint, _)| endpoint)
    }
}
