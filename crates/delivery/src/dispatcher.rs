//! Who sends what when.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use gatepost_egress::Egress;
use gatepost_kernel::{ClaimId, Clock, Timestamp, WebhookDeliveryId, WebhookEndpointId, random};
use gatepost_storage::{
    ClaimedDelivery, DeliveryResult, Storage, StorageError, Tx, WebhookAttempt, WebhookEndpoint,
};
use gatepost_webhooks::{RetrySchedule, Vault, judge};
use rand::Rng;
use tokio::sync::{Notify, mpsc};

use crate::{
    Handover,
    record::Ended,
    send::{Sent, send},
    slots::{Slot, Slots},
};

/// How often the table is looked at when nobody says that something is due.
const POLL: Duration = Duration::from_millis(500);
/// How many deliveries one look takes at most.
const BATCH: usize = 100;
/// What a lease is longer than an attempt.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// What the operator decides about deliveries.
#[derive(Debug, Clone)]
pub struct Settings {
    /// When a failed delivery is tried again.
    pub schedule: RetrySchedule,
    /// How long a whole attempt may take, body included.
    pub attempt_timeout: Duration,
    /// How many requests may be in flight over all …
    pub in_flight: usize,
    /// … and to one endpoint.
    pub in_flight_per_endpoint: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            schedule: RetrySchedule::default(),
            attempt_timeout: Duration::from_secs(15),
            in_flight: 512,
            in_flight_per_endpoint: 16,
        }
    }
}

/// Sends deliveries. Cloning is cheap.
#[derive(Clone)]
pub struct Dispatcher(Arc<Parts>);

struct Parts {
    storage: Storage,
    egress: Egress,
    vault: Vault,
    settings: Settings,
    clock: Arc<dyn Clock>,
    slots: Arc<Slots>,
    wake: Arc<Notify>,
    results: mpsc::UnboundedSender<Ended>,
    stopping: AtomicBool,
    runtime: tokio::runtime::Handle,
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dispatcher(…)")
    }
}

impl Dispatcher {
    /// A dispatcher that takes what is handed over; [`Dispatcher::run`] makes it look for more. Must be called on the runtime
    /// that outlives the requests.
    pub fn new(
        storage: Storage,
        egress: Egress,
        vault: Vault,
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let wake = Arc::new(Notify::new());
        let slots = Slots::new(settings.in_flight, settings.in_flight_per_endpoint, wake.clone());
        let (results, recorded) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Handle::current();
        let parts = Parts {
            storage,
            egress,
            vault,
            settings,
            clock,
            slots,
            wake,
            results,
            stopping: AtomicBool::new(false),
            runtime,
        };
        let dispatcher = Self(Arc::new(parts));
        dispatcher.0.runtime.spawn(dispatcher.clone().record(recorded));
        dispatcher
    }

    /// Claims what is due, again and again, until the task is dropped.
    pub async fn run(self) {
        let mut failing = false;
        loop {
            match self.claim().await {
                // There may be more.
                Ok(claimed) if claimed == BATCH => continue,
                Ok(_) => failing = false,
                Err(error) => {
                    if !failing {
                        tracing::warn!(error = %error, "deliveries cannot be claimed; trying again");
                    }
                    failing = true;
                }
            }
            // Either is a reason to look; that neither comes is one too.
            let _ = tokio::time::timeout(POLL, self.0.wake.notified()).await;
        }
    }

    /// Says that something may be due now.
    pub fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// Sends what was leased for this process; after the commit.
    pub fn hand_over(&self, handovers: Vec<Handover>) {
        for handover in handovers {
            let dispatcher = self.clone();
            self.0.runtime.spawn(async move { dispatcher.attempt(handover).await });
        }
    }

    /// Sends a payload that is no event and no delivery: nothing is counted and nothing is tried again.
    pub async fn send_test(&self, endpoint: &WebhookEndpoint, id: &str, payload: &str) -> Sent {
        self.send(endpoint, id, payload).await
    }

    /// Takes nothing more, and waits for what is in flight, but not beyond `deadline`; what is in flight still is sent by
    /// somebody else once its lease ends.
    pub async fn drain(&self, deadline: Duration) {
        self.0.stopping.store(true, Ordering::SeqCst);
        let began = Instant::now();
        while self.0.slots.taken() > 0 && began.elapsed() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Makes everything due that a process that is gone had leased: for the one that serves a SQLite file, when it starts.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn release_all(&self) -> Result<usize, StorageError> {
        let now = self.now();
        let release = async move |mut tx: Tx<'_>| tx.webhook_delivery_release_all(now).await;
        self.0.storage.transaction(release).await
    }

    /// The guard of outgoing requests.
    pub fn egress(&self) -> &Egress {
        &self.0.egress
    }

    /// What opens stored secrets.
    pub fn vault(&self) -> &Vault {
        &self.0.vault
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.0.storage
    }

    pub(crate) fn take_slot(&self, endpoint: WebhookEndpointId) -> Option<Slot> {
        if self.is_stopping() { None } else { self.0.slots.take(endpoint) }
    }

    pub(crate) fn new_claim(&self) -> ClaimId {
        ClaimId(i64::from_be_bytes(random::rng().next_u64().to_be_bytes()) & i64::MAX)
    }

    /// When a lease that begins at `now` ends.
    pub(crate) fn lease_end(&self, now: Timestamp) -> Timestamp {
        now.plus(self.0.settings.attempt_timeout + LEASE_MARGIN)
    }

    fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::SeqCst)
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Claims what there are slots for; how many.
    async fn claim(&self) -> Result<usize, StorageError> {
        let room = self.0.slots.free().min(BATCH);
        if room == 0 || self.is_stopping() {
            return Ok(0);
        }
        let (claim, now, leased_at) = (self.new_claim(), self.now(), Instant::now());
        let (until, full) = (self.lease_end(now), self.0.slots.full());
        let limit = u32::try_from(room).unwrap_or(u32::MAX);
        let take = async move |mut tx: Tx<'_>| {
            let claimed = tx.webhook_delivery_claim(claim, now, until, &full, limit).await?;
            let mut endpoints = HashMap::new();
            for delivery in &claimed {
                if !endpoints.contains_key(&delivery.endpoint_id)
                    && let Some(endpoint) = tx.webhook_endpoint_target(delivery.endpoint_id).await?
                {
                    endpoints.insert(delivery.endpoint_id, Arc::new(endpoint));
                }
            }
            // Its endpoint was made inactive while somebody had it who then died.
            let is_active = |delivery: &ClaimedDelivery| {
                endpoints
                    .get(&delivery.endpoint_id)
                    .is_some_and(|endpoint: &Arc<WebhookEndpoint>| endpoint.is_active)
            };
            let (claimed, waiting): (Vec<_>, Vec<_>) = claimed.into_iter().partition(is_active);
            if !waiting.is_empty() {
                let ids: Vec<WebhookDeliveryId> = waiting.iter().map(|delivery| delivery.id).collect();
                tx.webhook_delivery_park(claim, &ids).await?;
            }
            Ok::<_, StorageError>((claimed, endpoints))
        };
        let (claimed, endpoints) = self.0.storage.transaction(take).await?;
        let count = claimed.len();
        let mut beyond: Vec<ClaimedDelivery> = Vec::new();
        let mut handovers = Vec::new();
        for delivery in claimed {
            let endpoint = endpoints.get(&delivery.endpoint_id);
            match (endpoint, self.take_slot(delivery.endpoint_id)) {
                (Some(endpoint), Some(slot)) => {
                    handovers.push(Handover { delivery, claim, endpoint: endpoint.clone(), leased_at, slot });
                }
                _ => beyond.push(delivery),
            }
        }
        self.hand_over(handovers);
        if !beyond.is_empty() {
            // More than its endpoint may have in flight: back, in the same order.
            let ids: Vec<WebhookDeliveryId> = beyond.iter().map(|delivery| delivery.id).collect();
            let release = async move |mut tx: Tx<'_>| tx.webhook_delivery_release(claim, &ids, now).await;
            self.0.storage.transaction(release).await?;
        }
        Ok(count)
    }

    async fn send(&self, endpoint: &WebhookEndpoint, id: &str, payload: &str) -> Sent {
        let Parts { egress, vault, settings, .. } = &*self.0;
        send(egress, vault, endpoint, id, payload, self.now(), settings.attempt_timeout).await
    }

    async fn attempt(&self, handover: Handover) {
        let Handover { delivery, claim, endpoint, leased_at, slot } = handover;
        // Too late to be sure that nobody else has it by the end of the attempt: whoever takes it next sends it.
        if leased_at.elapsed() > LEASE_MARGIN {
            return;
        }
        let started_at = self.now();
        let sent = self.send(&endpoint, delivery.event_id.as_str(), &delivery.payload).await;
        let (number, ended_at) = (delivery.attempts + 1, started_at.plus(sent.took));
        let chance = f64::from(random::rng().next_u32()) / f64::from(u32::MAX);
        let verdict = judge(sent.outcome, number, &self.0.settings.schedule, ended_at, chance);
        tracing::debug!(
            delivery.id = delivery.id.0,
            endpoint.id = endpoint.id.0,
            attempt = number,
            http.status = sent.status,
            duration_ms = sent.took.as_millis() as u64,
            status = verdict.status.as_str(),
            "attempt"
        );
        let attempt = WebhookAttempt {
            number,
            started_at,
            duration_ms: u64::try_from(sent.took.as_millis()).unwrap_or(u64::MAX),
            response_code: sent.status,
            response_body: sent.body,
            error: sent.error,
        };
        let result = DeliveryResult {
            id: delivery.id,
            endpoint_id: endpoint.id,
            claim_id: claim,
            attempt,
            status: verdict.status.as_str(),
            next_attempt_at: verdict.next_attempt_at,
            ended_at,
        };
        // The recorder lives as long as the dispatcher does.
        let _ = self.0.results.send(Ended { result, disables: verdict.disables, _slot: slot });
    }
}
