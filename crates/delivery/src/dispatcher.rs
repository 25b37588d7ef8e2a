//! Who sends what when.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytestring::ByteString;
use gatepost_egress::{Egress, header};
use gatepost_entitlements::Catalog;
use gatepost_kernel::{ClaimId, Clock, LockAnyway, Timestamp, WebhookEndpointId, WorkspaceId, chain, random};
use gatepost_metrics::Registry;
use gatepost_sealing::Vault;
use gatepost_storage::{DeliveryResult, PostponedDelivery, Storage, StorageError, Tx};
use gatepost_webhooks::{AttemptVerdict, NOT_SENT_WAIT, WebhookAttempt, WebhookEndpoint, judge};
use rand::Rng;
use tokio::sync::{Notify, mpsc};

use crate::{
    fan_out::{Handover, Handovers},
    metrics::DeliveryMetrics,
    record::{Ended, Outcome, Subject},
    send::{Sent, send},
    settings::WebhookSettings,
    slots::{Slot, Slots},
    throttle::Throttle,
};

/// How often the table is looked at when nobody says that something is due.
const POLL: Duration = Duration::from_millis(500);
/// How many deliveries one claim takes at most.
const BATCH: usize = 256;
/// How many test sends may be in flight over all, and to one endpoint; workspaces share them like all slots.
/// They have slots of their own, so that nobody's deliveries wait for somebody's tests.
const TESTS: (usize, usize) = (64, 2);
/// For how long new deliveries may overtake those that wait.
const YIELD_AFTER: Duration = Duration::from_millis(250);
/// What a lease is longer than an attempt.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// What the operator decides about deliveries.
#[derive(Debug, Clone)]
pub struct DeliverySettings {
    /// The section of the configuration file.
    pub webhooks: WebhookSettings,
    /// How many requests may be in flight over all, half of them for one workspace while another waits …
    pub in_flight: usize,
    /// … and to one endpoint.
    pub in_flight_per_endpoint: usize,
    /// The header that signs the body: `sha256=` and the HMAC in hexadecimal.
    pub signature_header: header::HeaderName,
    /// Whose plans say how many bytes per minute a workspace may be sent.
    pub catalog: Arc<Catalog>,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            webhooks: WebhookSettings::default(),
            in_flight: 1024,
            in_flight_per_endpoint: 64,
            signature_header: header::HeaderName::from_static("x-webhook-signature"),
            catalog: Arc::new(Catalog::built_in()),
        }
    }
}

/// Sends deliveries. Cloning is cheap.
#[derive(Clone)]
pub struct Dispatcher(Arc<Inner>);

struct Inner {
    storage: Storage,
    egress: Egress,
    vault: Vault,
    settings: DeliverySettings,
    clock: Arc<dyn Clock>,
    slots: Arc<Slots>,
    throttle: Throttle,
    tests: Arc<Slots>,
    agenda: Mutex<Agenda>,
    /// Endpoints that nothing can be sent to, for errors of our own; the log knows.
    unsendable: Mutex<BTreeSet<WebhookEndpointId>>,
    wake: Arc<Notify>,
    results: mpsc::UnboundedSender<Ended>,
    metrics: Arc<DeliveryMetrics>,
    stopping: AtomicBool,
    runtime: tokio::runtime::Handle,
}

/// What is due for an endpoint.
#[derive(Debug, Clone, Copy)]
struct Due {
    /// Whose endpoint it is.
    workspace: WorkspaceId,
    /// Since when there has always been something.
    since: Instant,
    /// Before this instant this process has taken everything. PostgreSQL would step over what was taken,
    /// again and again, until it is cleared away.
    taken_until: Option<Timestamp>,
}

impl Due {
    /// From the beginning: what came last may be due earlier than what was taken last.
    fn now(workspace: WorkspaceId) -> Self {
        Self { workspace, since: Instant::now(), taken_until: None }
    }
}

/// What this process knows to be due.
#[derive(Debug, Default)]
struct Agenda {
    /// Whether the table has to be looked at.
    look: bool,
    /// Endpoints that something is due for.
    due: BTreeMap<WebhookEndpointId, Due>,
    /// Whose turn it was last.
    last: Option<WebhookEndpointId>,
}

impl Agenda {
    /// Notes that something is due for an endpoint of a workspace.
    fn note(&mut self, workspace: WorkspaceId, endpoint: WebhookEndpointId) {
        self.due.entry(endpoint).or_insert_with(|| Due::now(workspace)).taken_until = None;
    }

    /// The endpoints, those first whose turn comes next.
    fn in_turn(&self) -> impl Iterator<Item = WebhookEndpointId> {
        let after = |id: &&WebhookEndpointId| self.last.is_none_or(|last| **id > last);
        let (next, later): (Vec<_>, Vec<_>) = self.due.keys().partition(after);
        next.into_iter().chain(later).copied().collect::<Vec<_>>().into_iter()
    }
}

/// What one claim brought.
struct Claimed {
    handovers: Vec<Handover>,
    /// What is left for each endpoint; nothing if those were all.
    taken: Vec<(WebhookEndpointId, Option<Due>)>,
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dispatcher(…)")
    }
}

impl Dispatcher {
    /// A dispatcher that takes what is handed over; [`Dispatcher::run`] makes it look for more. Must be
    /// called on the runtime that outlives the requests.
    pub fn new(
        storage: Storage,
        egress: Egress,
        vault: Vault,
        settings: DeliverySettings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let wake = Arc::new(Notify::new());
        let slots = Slots::new(settings.in_flight, settings.in_flight_per_endpoint, wake.clone());
        let (results, recorded) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Handle::current();
        let parts = Inner {
            storage,
            egress,
            vault,
            throttle: Throttle::new(settings.catalog.clone()),
            settings,
            clock,
            slots,
            tests: Slots::new(TESTS.0, TESTS.1, Arc::default()),
            agenda: Mutex::default(),
            unsendable: Mutex::default(),
            wake,
            results,
            metrics: Arc::default(),
            stopping: AtomicBool::new(false),
            runtime,
        };
        let dispatcher = Self(Arc::new(parts));
        dispatcher.0.runtime.spawn(dispatcher.clone().record(recorded));
        dispatcher
    }

    /// Claims what is due, again and again, until the task is dropped.
    pub async fn run(self) {
        let (mut failing, mut looked_at) = (false, None::<Instant>);
        loop {
            let poll = looked_at.is_none_or(|at| at.elapsed() >= POLL);
            if poll || std::mem::take(&mut self.agenda().look) {
                looked_at = Some(Instant::now());
                match self.look().await {
                    Ok(()) => failing = false,
                    Err(error) => {
                        if !failing {
                            tracing::warn!(error = %chain(&error), "deliveries cannot be claimed; trying again");
                        }
                        failing = true;
                    }
                }
            }
            match self.claim(poll).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    // What is due is found again by the next look.
                    if !failing {
                        tracing::warn!(error = %chain(&error), "deliveries cannot be claimed; trying again");
                    }
                    failing = true;
                }
            }
            // Either is a reason to go on; that neither comes is one too.
            let _ = tokio::time::timeout(POLL, self.0.wake.notified()).await;
        }
    }

    /// Says that something may be due now; the table will be looked at.
    pub fn wake(&self) {
        self.agenda().look = true;
        self.0.wake.notify_one();
    }

    /// Sends what was leased for this process, and remembers what waits; after the commit.
    pub fn hand_over(&self, handovers: Handovers) {
        for handover in handovers.leased {
            let dispatcher = self.clone();
            self.0.runtime.spawn(async move { dispatcher.attempt(handover).await });
        }
        if !handovers.waiting.is_empty() && self.delivers() {
            let mut agenda = self.agenda();
            for (workspace, endpoint) in handovers.waiting {
                agenda.note(workspace, endpoint);
            }
            drop(agenda);
            self.0.wake.notify_one();
        }
    }

    /// Whether this process sends anything at all.
    pub(crate) fn delivers(&self) -> bool {
        self.0.settings.in_flight > 0
    }

    /// Sends a payload that is no event and no delivery: nothing is counted and nothing is tried again. None
    /// if too many of these are in flight.
    pub async fn send_test(&self, endpoint: &WebhookEndpoint, id: &str, payload: ByteString) -> Option<Sent> {
        let _slot = self.0.tests.take(endpoint.workspace_id, endpoint.id)?;
        Some(self.send(endpoint, id, payload).await)
    }

    /// Takes nothing more, and waits for what is in flight, but not beyond `deadline`; what is in flight
    /// still is sent by somebody else once its lease ends.
    pub async fn drain(&self, deadline: Duration) {
        self.0.stopping.store(true, Ordering::SeqCst);
        let began = Instant::now();
        while self.0.slots.taken() > 0 && began.elapsed() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Makes everything due that a process that is gone had leased: for the one that serves a SQLite file,
    /// when it starts.
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

    pub(crate) fn metrics(&self) -> &DeliveryMetrics {
        &self.0.metrics
    }

    /// Measures the queue again and again, until the task is dropped.
    pub async fn measure_queue(self) {
        loop {
            let wait = self.0.metrics.measure_queue(self.storage(), self.now()).await;
            tokio::time::sleep(wait).await;
        }
    }

    /// Registers what is counted here, and what is looked up when somebody asks.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.0.metrics.register(registry, self.0.slots.clone(), self.0.clock.clone());
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.0.storage
    }

    /// A slot for a delivery that is being made. None while older ones have been waiting for long: it queues
    /// behind them.
    pub(crate) fn take_slot(&self, endpoint: &WebhookEndpoint, payload: &str) -> Option<Slot> {
        let behind = self.agenda().due.get(&endpoint.id).is_some_and(|due| due.since.elapsed() > YIELD_AFTER);
        let workspace = endpoint.workspace_id;
        if behind || self.is_stopping() || self.0.throttle.room(workspace, Instant::now()) == 0 {
            return None;
        }
        let slot = self.0.slots.take(workspace, endpoint.id)?;
        self.0.throttle.spend(workspace, payload.len());
        Some(slot)
    }

    /// Looks up what plans workspaces have, where that is not known.
    pub(crate) async fn learn_plans(
        &self,
        tx: &mut Tx<'_>,
        workspaces: impl IntoIterator<Item = WorkspaceId>,
    ) -> Result<(), StorageError> {
        let unknown = self.0.throttle.unknown(workspaces, Instant::now());
        if unknown.is_empty() {
            return Ok(());
        }
        for (workspace, tier) in tx.workspace_tiers(&unknown).await? {
            self.0.throttle.learn(workspace, &tier, Instant::now());
        }
        Ok(())
    }

    pub(crate) fn new_claim(&self) -> ClaimId {
        ClaimId(i64::from_be_bytes(random::rng().next_u64().to_be_bytes()) & i64::MAX)
    }

    /// When a lease that begins now ends.
    pub(crate) fn lease_end(&self) -> Timestamp {
        self.now().plus(self.0.settings.webhooks.timeout + LEASE_MARGIN)
    }

    fn agenda(&self) -> MutexGuard<'_, Agenda> {
        self.0.agenda.lock_anyway()
    }

    fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::SeqCst)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Looks for endpoints that something is due for.
    async fn look(&self) -> Result<(), StorageError> {
        let (now, dispatcher) = (self.now(), self.clone());
        let read = async move |mut tx: Tx<'_>| {
            let due = tx.webhook_endpoint_list_due(now).await?;
            dispatcher.learn_plans(&mut tx, due.iter().map(|(workspace, _)| *workspace)).await?;
            Ok::<_, StorageError>(due)
        };
        let due = self.0.storage.read(read).await?;
        let mut agenda = self.agenda();
        for (workspace, endpoint) in due {
            agenda.note(workspace, endpoint);
        }
        Ok(())
    }

    /// Claims what is on the agenda and what there are slots for; whether there may be more. `all` asks for
    /// endpoints with few free slots as well.
    async fn claim(&self, all: bool) -> Result<bool, StorageError> {
        if self.is_stopping() {
            return Ok(false);
        }
        let mut slots = HashMap::<WebhookEndpointId, Vec<Slot>>::new();
        let mut wanted = Vec::new();
        {
            let mut agenda = self.agenda();
            let endpoints = agenda.in_turn();
            let roomy = if all { endpoints.collect() } else { self.0.slots.roomy(endpoints) };
            let (mut room, instant) = (BATCH, Instant::now());
            let mut room_of = HashMap::new();
            for endpoint in roomy {
                let Some(due) = agenda.due.get(&endpoint).copied() else { continue };
                let own = room_of
                    .entry(due.workspace)
                    .or_insert_with(|| self.0.throttle.room(due.workspace, instant));
                let slot = || self.0.slots.take(due.workspace, endpoint);
                let taken: Vec<Slot> = std::iter::from_fn(slot).take(room.min(*own)).collect();
                if taken.is_empty() {
                    continue;
                }
                *own -= taken.len();
                room -= taken.len();
                agenda.last = Some(endpoint);
                agenda.due.remove(&endpoint);
                wanted.push((endpoint, due, taken.len()));
                slots.insert(endpoint, taken);
                if room == 0 {
                    break;
                }
            }
        }
        if wanted.is_empty() {
            return Ok(false);
        }
        let Claimed { handovers, taken } = self.claim_for(wanted, slots).await?;
        let mut more = false;
        for (endpoint, rest) in taken {
            if let Some(rest) = rest {
                // If something was noted meanwhile, that stays: it may be due earlier.
                self.agenda().due.entry(endpoint).or_insert(rest).since = rest.since;
                more = true;
            }
        }
        self.hand_over(Handovers { leased: handovers, ..Handovers::default() });
        Ok(more)
    }

    async fn claim_for(
        &self,
        wanted: Vec<(WebhookEndpointId, Due, usize)>,
        mut slots: HashMap<WebhookEndpointId, Vec<Slot>>,
    ) -> Result<Claimed, StorageError> {
        let (claim, now, until, leased_at) = (self.new_claim(), self.now(), self.lease_end(), Instant::now());
        let take = async move |mut tx: Tx<'_>| {
            let ids: Vec<WebhookEndpointId> = wanted.iter().map(|(endpoint, ..)| *endpoint).collect();
            let endpoints: HashMap<_, _> = tx
                .webhook_endpoint_targets(&ids)
                .await?
                .into_iter()
                .filter(|endpoint| endpoint.is_active)
                .map(|endpoint| (endpoint.id, Arc::new(endpoint)))
                .collect();
            let (mut due, mut taken) = (Vec::new(), Vec::new());
            let (wanted, others): (Vec<_>, Vec<_>) =
                wanted.into_iter().partition(|(endpoint, ..)| endpoints.contains_key(endpoint));
            // First, while no delivery is locked: whoever records holds endpoints and then waits for
            // deliveries.
            for (endpoint, ..) in others {
                // Made inactive, or deleted, while somebody had a delivery who then died; or made active
                // again just now.
                match tx.webhook_endpoint_hold(&[endpoint]).await?.get(&endpoint) {
                    None => tx.webhook_delivery_fail_due(endpoint, now).await?,
                    Some(false) => tx.webhook_delivery_park(endpoint, now).await?,
                    Some(true) => 0,
                };
                taken.push((endpoint, None));
            }
            for (endpoint, earlier, count) in wanted {
                let limit = u32::try_from(count).unwrap_or(u32::MAX);
                let locked = tx.webhook_delivery_lock_due(endpoint, now, earlier.taken_until, limit).await?;
                let taken_until = locked.last().map(|(_, due_at)| *due_at).filter(|_| locked.len() == count);
                taken.push((endpoint, taken_until.map(|_| Due { taken_until, ..earlier })));
                due.extend(locked.into_iter().map(|(id, _)| id));
            }
            let claimed = match due.is_empty() {
                true => Vec::new(),
                false => tx.webhook_delivery_claim(claim, &due, until).await?,
            };
            Ok::<_, StorageError>((claimed, endpoints, taken))
        };
        let (claimed, endpoints, taken) = self.0.storage.transaction(take).await?;
        let handover = |delivery: gatepost_storage::ClaimedDelivery| {
            let slot = slots.get_mut(&delivery.endpoint_id)?.pop()?;
            let endpoint = endpoints.get(&delivery.endpoint_id)?.clone();
            self.0.throttle.spend(endpoint.workspace_id, delivery.payload.len());
            Some(Handover { delivery, claim, endpoint, leased_at, slot })
        };
        Ok(Claimed { handovers: claimed.into_iter().filter_map(handover).collect(), taken })
    }

    async fn send(&self, endpoint: &WebhookEndpoint, id: &str, payload: ByteString) -> Sent {
        let Inner { egress, vault, settings, .. } = &*self.0;
        send(
            egress,
            vault,
            endpoint,
            (id, payload),
            self.now(),
            settings.webhooks.timeout,
            &settings.signature_header,
        )
        .await
    }

    async fn attempt(&self, handover: Handover) {
        let Handover { delivery, claim, endpoint, leased_at, slot } = handover;
        let subject = Subject { workspace: endpoint.workspace_id, event: delivery.event_id.clone() };
        // Too late to be sure that nobody else has it by the end of the attempt: whoever takes it next sends
        // it.
        if leased_at.elapsed() > LEASE_MARGIN {
            return;
        }
        let started_at = self.now();
        let sent = self.send(&endpoint, delivery.event_id.as_str(), delivery.payload).await;
        let (number, ended_at) = (delivery.attempts + 1, started_at.plus(sent.took));
        let chance = f64::from(random::rng().next_u32()) / f64::from(u32::MAX);
        self.0.metrics.attempted(&sent.outcome, sent.took);
        let verdict = judge(sent.outcome, number, &self.0.settings.webhooks.retry_schedule, ended_at, chance);
        self.tell_the_log(&endpoint, verdict, &sent);
        let Some(status) = verdict.status else {
            let result = Outcome::Postponed(PostponedDelivery {
                id: delivery.id,
                endpoint_id: endpoint.id,
                claim_id: claim,
                error: sent.error,
                next_attempt_at: verdict.next_attempt_at.unwrap_or_else(|| ended_at.plus(NOT_SENT_WAIT)),
                tried_at: ended_at,
            });
            let _ = self.0.results.send(Ended { result, _slot: slot });
            return;
        };
        slot.learn(sent.status.is_some());
        tracing::debug!(
            delivery.id = delivery.id.0,
            endpoint.id = endpoint.id.0,
            attempt = number,
            http.status = sent.status,
            duration_ms = sent.took.as_millis() as u64,
            status = status.as_str(),
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
            status,
            next_attempt_at: verdict.next_attempt_at,
            ended_at,
        };
        // The recorder lives as long as the dispatcher does.
        let result = Outcome::Attempted { result, subject, disables: verdict.disables };
        let _ = self.0.results.send(Ended { result, _slot: slot });
    }

    /// Says once that nothing can be sent to an endpoint, and once that something can again.
    fn tell_the_log(&self, endpoint: &WebhookEndpoint, verdict: AttemptVerdict, sent: &Sent) {
        let mut unsendable = self.0.unsendable.lock_anyway();
        if verdict.status.is_none() {
            if unsendable.insert(endpoint.id) {
                tracing::error!(
                    endpoint.id = endpoint.id.0,
                    error = sent.error.as_deref(),
                    "deliveries cannot be sent because of an error of this server's own; they are tried every five minutes"
                );
            }
        } else if unsendable.remove(&endpoint.id) {
            tracing::info!(endpoint.id = endpoint.id.0, "deliveries can be sent again");
        }
    }
}
