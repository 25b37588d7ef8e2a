//! An event and its deliveries, in one transaction.

use std::{sync::Arc, time::Instant};

use gatepost_kernel::ClaimId;
use gatepost_storage::{ClaimedDelivery, NewEvent, NewWebhookDelivery, Result, Tx, WebhookEndpoint};
use gatepost_webhooks::Subscription;

use crate::{Dispatcher, slots::Slot};

/// A delivery that this process has leased and may send once its transaction is committed.
#[derive(Debug)]
pub struct Handover {
    pub(crate) delivery: ClaimedDelivery,
    pub(crate) claim: ClaimId,
    pub(crate) endpoint: Arc<WebhookEndpoint>,
    pub(crate) leased_at: Instant,
    pub(crate) slot: Slot,
}

/// Stores an event with a delivery to each active endpoint that wants it. None if the workspace has an event with this id
/// already; then nothing was stored. What `dispatcher` has slots for is leased by it and answered; hand it over after the
/// commit.
///
/// # Errors
/// Those of the database.
pub async fn store(
    tx: &mut Tx<'_>,
    event: &NewEvent,
    dispatcher: Option<&Dispatcher>,
) -> Result<Option<Vec<Handover>>> {
    let Some(event_sequence) = tx.event_insert(event).await? else { return Ok(None) };
    let mut handovers = Vec::new();
    let leased_at = Instant::now();
    for endpoint in tx.webhook_endpoint_active(event.workspace_id, event.environment).await? {
        let wants = |text: &String| Subscription::parse(text).is_some_and(|s| s.covers(&event.event_type));
        if !endpoint.events.iter().any(wants) {
            continue;
        }
        let endpoint_id = endpoint.id;
        let slot = dispatcher.and_then(|dispatcher| dispatcher.take_slot(endpoint_id));
        let leased =
            dispatcher.zip(slot).map(|(dispatcher, slot)| (dispatcher.new_claim(), dispatcher, slot));
        let (claim_id, due_at) = match &leased {
            Some((claim, dispatcher, _)) => (Some(*claim), dispatcher.lease_end(event.created_at)),
            None => (None, event.created_at),
        };
        let new = NewWebhookDelivery { endpoint_id, event_sequence, claim_id, due_at };
        let id = tx.webhook_delivery_insert(&new, event).await?;
        if let Some((claim, _, slot)) = leased {
            let delivery = ClaimedDelivery {
                id,
                endpoint_id,
                event_id: event.id.clone(),
                attempts: 0,
                payload: event.payload.clone(),
            };
            handovers.push(Handover { delivery, claim, endpoint: Arc::new(endpoint), leased_at, slot });
        }
    }
    Ok(Some(handovers))
}
