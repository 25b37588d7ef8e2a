//! What the dispatcher says of itself to Prometheus.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use gatepost_kernel::{Clock, LockAnyway, Timestamp, chain};
use gatepost_metrics::{By, Computed, Counter, Histogram, Measured, Registry, Unit, durations, label};
use gatepost_storage::{QueueDepth, Storage, Tx};
use gatepost_webhooks::{AttemptOutcome, DeliveryStatus};

use crate::slots::Slots;

/// How often the queue is measured …
const MEASURE_EVERY: Duration = Duration::from_secs(15);
/// … and at most this part of the time: a long queue takes long to count.
const MEASURE_PART: u32 = 50;

label! {
    /// How an attempt ended.
    enum Attempted("outcome") {
        Success = "success",
        Refused = "refused",
        NoAnswer = "no_answer",
        Undeliverable = "undeliverable",
        NotSent = "not_sent",
    }
}

label! {
    /// How a delivery ended.
    enum Delivered("outcome") {
        Success = "success",
        Failed = "failed",
    }
}

label! {
    /// What a delivery waits for.
    enum Waiting("state") {
        Due = "due",
        Later = "later",
    }
}

label! {
    /// Whether deliveries go to an endpoint.
    enum EndpointState("state") {
        Active = "active",
        Inactive = "inactive",
    }
}

/// What the dispatcher counts.
#[derive(Debug)]
pub(crate) struct DeliveryMetrics {
    attempts: By<Attempted, Counter>,
    attempt_durations: Histogram,
    deliveries: By<Delivered, Counter>,
    disabled: Counter,
    /// The last measure of the queue.
    depth: Mutex<Option<QueueDepth>>,
}

impl Default for DeliveryMetrics {
    fn default() -> Self {
        Self {
            attempts: By::default(),
            attempt_durations: durations(),
            deliveries: By::default(),
            disabled: Counter::default(),
            depth: Mutex::default(),
        }
    }
}

impl DeliveryMetrics {
    pub(crate) fn attempted(&self, outcome: &AttemptOutcome, took: Duration) {
        let ended = match outcome {
            AttemptOutcome::Answered { status: 200..=299, .. } => Attempted::Success,
            AttemptOutcome::Answered { .. } => Attempted::Refused,
            AttemptOutcome::NoAnswer => Attempted::NoAnswer,
            AttemptOutcome::Undeliverable => Attempted::Undeliverable,
            AttemptOutcome::NotSent => Attempted::NotSent,
        };
        self.attempts[ended].inc();
        self.attempt_durations.observe(took.as_secs_f64());
    }

    /// A result was written down.
    pub(crate) fn recorded(&self, status: DeliveryStatus) {
        let ended = match status {
            DeliveryStatus::Success => Delivered::Success,
            DeliveryStatus::Failed => Delivered::Failed,
            DeliveryStatus::Pending | DeliveryStatus::Retrying => return,
        };
        self.deliveries[ended].inc();
    }

    /// An endpoint said that it is gone.
    pub(crate) fn disabled(&self) {
        self.disabled.inc();
    }

    fn depth(&self) -> Option<QueueDepth> {
        *self.depth.lock_anyway()
    }
}

impl DeliveryMetrics {
    /// Measures the queue at `now`; how long until it should be measured again.
    pub(crate) async fn measure_queue(&self, storage: &Storage, now: Timestamp) -> Duration {
        let began = Instant::now();
        let measured = storage.read(async move |mut tx: Tx<'_>| tx.webhook_queue_depth(now).await).await;
        if let Err(error) = &measured {
            tracing::debug!(error = %chain(error), "the queue of deliveries is not measured");
        }
        *self.depth.lock_anyway() = measured.ok();
        MEASURE_EVERY.max(began.elapsed() * MEASURE_PART)
    }

    /// Registers what is counted here, and what is looked up when somebody asks.
    pub(crate) fn register(
        self: &Arc<Self>,
        registry: &mut Registry,
        slots: Arc<Slots>,
        clock: Arc<dyn Clock>,
    ) {
        registry.register(
            "webhook_attempts",
            "Attempts to deliver an event to an endpoint: success is a 2xx, refused any other status",
            self.attempts.clone(),
        );
        registry.register_with_unit(
            "webhook_attempt_duration",
            "Time that attempts took",
            Unit::Seconds,
            self.attempt_durations.clone(),
        );
        registry.register("webhook_deliveries", "Deliveries that ended", self.deliveries.clone());
        registry.register(
            "webhook_endpoints_disabled",
            "Endpoints that were made inactive since they answered 410 Gone",
            self.disabled.clone(),
        );
        registry.register(
            "webhook_attempts_in_flight",
            "Attempts under way",
            Computed::new(move || Some(slots.taken() as f64)),
        );
        let metrics = self.clone();
        registry.register(
            "webhook_queue",
            "Deliveries that wait, of all processes: due, or on their way or due later",
            Measured::new(move |state| {
                let depth = metrics.depth()?;
                Some(match state {
                    Waiting::Due => depth.due as f64,
                    Waiting::Later => depth.later as f64,
                })
            }),
        );
        let metrics = self.clone();
        registry.register_with_unit(
            "webhook_oldest_due",
            "For how long the oldest delivery that nobody has yet is due, of all processes",
            Unit::Seconds,
            Computed::new(move || {
                let depth = metrics.depth()?;
                let late = |at: Timestamp| clock.now().since(at).as_secs_f64();
                Some(depth.oldest_due_at.map_or(0.0, late))
            }),
        );
        let metrics = self.clone();
        registry.register(
            "webhook_endpoints",
            "Endpoints of all workspaces, by whether deliveries go there",
            Measured::new(move |state| {
                let depth = metrics.depth()?;
                Some(match state {
                    EndpointState::Active => depth.active_endpoints as f64,
                    EndpointState::Inactive => depth.inactive_endpoints as f64,
                })
            }),
        );
    }
}
