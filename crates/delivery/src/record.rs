//! Writing down what attempts came to: many in one transaction.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use gatepost_kernel::{EventId, Owner, WebhookDeliveryId, WebhookEndpointId, WorkspaceId, chain, random};
use gatepost_storage::{
    DeliveryResult, EndpointTally, PostponedDelivery, StorageError, Tx, WebhookEndpointChanges,
};
use gatepost_webhooks::{DeliveryStatus, WebhookEndpoint};
use tokio::sync::mpsc;

use crate::{
    Dispatcher, Handovers, OwnEvent, WebhookDisabledEventData, fan_out::own_event, slots::Slot, store,
};

const BATCH: usize = 256;
/// For how long results are held while the database is away; after that the leases have ended, and somebody
/// sends again.
const TRIES: u32 = 20;
const WAIT: Duration = Duration::from_secs(1);
/// Why an endpoint is made inactive.
const GONE: &str = "The endpoint answered 410 Gone.";

/// What an attempt came to, and whether the receiver said that its endpoint is gone. The slot is held until
/// that is written down: were it free before, attempts could outrun their results, whose leases would end
/// meanwhile.
#[derive(Debug)]
pub struct Ended {
    pub result: Outcome,
    pub _slot: Slot,
}

/// What is written down.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// An attempt, and whether it ends its endpoint.
    Attempted { result: DeliveryResult, subject: Subject, disables: bool },
    /// None, for an error of our own.
    Postponed(PostponedDelivery),
}

/// What an attempt was about, for the log.
#[derive(Debug, Clone)]
pub struct Subject {
    pub workspace: WorkspaceId,
    pub event: EventId,
}

/// What a transaction of results leaves to do and to say.
struct Written {
    handovers: Handovers,
    /// Those that were written; the others have somebody else by now.
    recorded: Vec<(DeliveryResult, Subject)>,
    disabled: Vec<WebhookEndpoint>,
}

impl Outcome {
    fn place(&self) -> (WebhookEndpointId, WebhookDeliveryId) {
        match self {
            Self::Attempted { result, .. } => (result.endpoint_id, result.id),
            Self::Postponed(delivery) => (delivery.endpoint_id, delivery.id),
        }
    }
}

impl Dispatcher {
    /// Records results until every sender is gone.
    pub(crate) async fn record(self, mut results: mpsc::UnboundedReceiver<Ended>) {
        let mut batch = Vec::new();
        while results.recv_many(&mut batch, BATCH).await > 0 {
            for tries in 1.. {
                let results = batch.iter().map(|ended: &Ended| ended.result.clone()).collect();
                match self.write(results).await {
                    Ok(Written { handovers, recorded, disabled }) => {
                        self.hand_over(handovers);
                        self.tell_of_results(&recorded, &disabled);
                        break;
                    }
                    Err(error) if tries < TRIES => {
                        tracing::warn!(error = %chain(&error), "results of deliveries are not written; trying again");
                        tokio::time::sleep(WAIT).await;
                    }
                    Err(error) => {
                        tracing::error!(
                            error = %chain(&error), deliveries = batch.len(),
                            "results of deliveries are lost; they will be delivered again"
                        );
                        break;
                    }
                }
            }
            batch.clear();
        }
    }

    /// Counts what is written down, and says what somebody should look at.
    fn tell_of_results(&self, recorded: &[(DeliveryResult, Subject)], disabled: &[WebhookEndpoint]) {
        for (result, subject) in recorded {
            self.metrics().recorded(result.status);
            if result.status == DeliveryStatus::Failed {
                tracing::warn!(
                    delivery.id = result.id.0,
                    endpoint.id = result.endpoint_id.0,
                    workspace.id = subject.workspace.0,
                    event.id = subject.event.as_str(),
                    attempts = result.attempt.number,
                    http.status = result.attempt.response_code,
                    error = result.attempt.error.as_deref(),
                    "a delivery has failed and is not tried again"
                );
            }
        }
        for endpoint in disabled {
            self.metrics().disabled();
            tracing::warn!(
                endpoint.id = endpoint.id.0,
                workspace.id = endpoint.workspace_id.0,
                reason = GONE,
                "an endpoint was made inactive"
            );
        }
    }

    async fn write(&self, mut batch: Vec<Outcome>) -> Result<Written, StorageError> {
        // In one order everywhere, so that two processes cannot wait for each other.
        batch.sort_by_key(Outcome::place);
        let dispatcher = self.clone();
        let write = async move |mut tx: Tx<'_>| {
            let mut tallies = BTreeMap::<WebhookEndpointId, EndpointTally>::new();
            let mut gone = BTreeSet::new();
            let mut endpoints: Vec<_> = batch.iter().map(|outcome| outcome.place().0).collect();
            endpoints.dedup();
            // Held, so that nobody makes one active between this look and what is written.
            let held = tx.webhook_endpoint_hold(&endpoints).await?;
            let inactive = held.iter().filter(|(_, active)| !**active).map(|(id, _)| *id).collect();
            let (mut results, mut about, mut postponed) = (Vec::new(), Vec::new(), Vec::new());
            for outcome in batch {
                match outcome {
                    Outcome::Attempted { result, subject, disables } => {
                        results.push(result);
                        about.push((subject, disables));
                    }
                    Outcome::Postponed(delivery) => postponed.push(delivery),
                }
            }
            tx.webhook_delivery_postpone(&postponed, &inactive).await?;
            let written = tx.webhook_delivery_record(&results, &inactive).await?;
            let mut recorded = Vec::new();
            for (result, (subject, disables)) in results.into_iter().zip(about) {
                // Otherwise somebody else has it by now; what we know of it is old.
                if !written.contains(&result.id) {
                    continue;
                }
                let tally = tallies.entry(result.endpoint_id).or_default();
                if result.status == DeliveryStatus::Success {
                    tally.successes += 1;
                    tally.failures_at_end = 0;
                    tally.last_success_at = tally.last_success_at.max(Some(result.ended_at));
                } else {
                    tally.failures += 1;
                    tally.failures_at_end += 1;
                }
                if disables && held.get(&result.endpoint_id) == Some(&true) {
                    gone.insert(result.endpoint_id);
                }
                recorded.push((result, subject));
            }
            for (endpoint, tally) in &tallies {
                tx.webhook_endpoint_tally(*endpoint, tally).await?;
            }
            let gone: Vec<WebhookEndpointId> = gone.into_iter().collect();
            let (mut events, now) = (Vec::new(), dispatcher.now());
            let disabled =
                if gone.is_empty() { Vec::new() } else { tx.webhook_endpoint_targets(&gone).await? };
            for endpoint in &disabled {
                let changes = WebhookEndpointChanges {
                    is_active: Some((false, Some(GONE.to_owned()))),
                    ..Default::default()
                };
                tx.webhook_endpoint_update(endpoint.id, changes, now).await?;
                let owner = Owner::new(endpoint.workspace_id, endpoint.environment);
                let data =
                    WebhookDisabledEventData { id: endpoint.id, url: endpoint.url.clone(), reason: GONE };
                let id = EventId::generate(&mut random::rng());
                events.push(own_event(id, now, owner, &OwnEvent::WebhookDisabled(data)));
            }
            let (_, handovers) = store(&mut tx, &events, Some(&dispatcher)).await?;
            Ok::<_, StorageError>(Written { handovers, recorded, disabled })
        };
        self.storage().transaction(write).await
    }
}
