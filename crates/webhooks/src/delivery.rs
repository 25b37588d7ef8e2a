//! The life of a delivery: pending, perhaps retrying, and then success or failed. What an attempt came to
//! decides.

use std::time::Duration;

use gatepost_kernel::{
    ClaimId, Environment, EventId, Timestamp, WebhookDeliveryId, WebhookEndpointId, WorkspaceId,
};
use gatepost_macros::Fields;

use crate::RetrySchedule;

gatepost_kernel::words! {
    /// Where a delivery stands.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum DeliveryStatus {
        /// Not tried yet, or to be tried again by hand.
        Pending = "pending",
        /// Received.
        Success = "success",
        /// Given up.
        Failed = "failed",
        /// Tried, and to be tried again.
        Retrying = "retrying",
    }
    described as "WebhookDeliveryStatus": "State of a delivery."
}

/// One event on its way to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Fields)]
pub struct WebhookDelivery {
    /// Numeric id of the delivery.
    pub id: WebhookDeliveryId,
    /// Workspace that the delivery belongs to.
    pub workspace_id: WorkspaceId,
    /// Environment: `live` or `test`.
    pub environment: Environment,
    /// Endpoint that it goes to.
    pub endpoint_id: WebhookEndpointId,
    /// Event that it tells of.
    pub event_id: EventId,
    /// Type of the event.
    pub event_type: String,
    /// State of the delivery.
    pub status: DeliveryStatus,
    /// Attempts so far.
    pub attempts: u32,
    /// Retries by hand so far.
    pub manual_retries: u32,
    /// When it is tried next, or the lease of whoever has it ends.
    pub due_at: Option<Timestamp>,
    /// Claim of whoever has it now.
    pub claim_id: Option<ClaimId>,
    /// HTTP status of the last answer.
    pub response_code: Option<u16>,
    /// What went wrong at last, in words.
    pub error: Option<String>,
    /// When it was received.
    pub delivered_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What one attempt came to, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Fields)]
pub struct WebhookAttempt {
    /// Number of the attempt, counted from 1.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration_ms: u64,
    /// HTTP status of the answer.
    pub response_code: Option<u16>,
    /// How the answer begins.
    pub response_body: Option<String>,
    /// What went wrong, in words.
    pub error: Option<String>,
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The receiver answered with this status, and may have asked for patience.
    Answered {
        /// The HTTP status.
        status: u16,
        /// Its `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// No answer came: no address, no connection, a break, too long.
    NoAnswer,
    /// It cannot be sent at all, now or later: its address may not be reached.
    Undeliverable,
    /// Nothing was sent, for an error of our own: a secret that cannot be decrypted, a system without free
    /// sockets. The receiver has no part in it, so it is no attempt.
    NotSent,
}

/// How long a delivery waits that could not be sent for an error of our own.
pub const NOT_SENT_WAIT: Duration = Duration::from_secs(300);

/// What becomes of the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptVerdict {
    /// Where it stands now; none if it stands where it stood, and the attempt is not counted.
    pub status: Option<DeliveryStatus>,
    /// When it is tried again.
    pub next_attempt_at: Option<Timestamp>,
    /// Whether the receiver said that its endpoint is gone for good.
    pub disables: bool,
}

/// Judges the attempt number `attempts`, counted from 1, which ended at `now`. Only 2xx is success. 410 ends
/// the delivery and its endpoint; 429 and 503 may ask for patience. An error of our own never ends a
/// delivery.
pub fn judge(
    outcome: AttemptOutcome,
    attempts: u32,
    schedule: &RetrySchedule,
    now: Timestamp,
    random: f64,
) -> AttemptVerdict {
    let ended = |status, disables| AttemptVerdict { status: Some(status), next_attempt_at: None, disables };
    let retry_after = match outcome {
        AttemptOutcome::Answered { status: 200..=299, .. } => return ended(DeliveryStatus::Success, false),
        AttemptOutcome::Answered { status: 410, .. } => return ended(DeliveryStatus::Failed, true),
        AttemptOutcome::Undeliverable => return ended(DeliveryStatus::Failed, false),
        AttemptOutcome::NotSent => {
            return AttemptVerdict {
                status: None,
                next_attempt_at: Some(now.plus(NOT_SENT_WAIT)),
                disables: false,
            };
        }
        AttemptOutcome::Answered { status: 429 | 503, retry_after } => retry_after,
        AttemptOutcome::Answered { .. } | AttemptOutcome::NoAnswer => None,
    };
    match schedule.next(attempts, now, random, retry_after) {
        Some(at) => AttemptVerdict {
            status: Some(DeliveryStatus::Retrying),
            next_attempt_at: Some(at),
            disables: false,
        },
        None => ended(DeliveryStatus::Failed, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_2xx_is_success() {
        let (schedule, now) = (RetrySchedule::default(), Timestamp::from_micros(0));
        for status in 100..=599 {
            let verdict =
                judge(AttemptOutcome::Answered { status, retry_after: None }, 1, &schedule, now, 0.0);
            let expected = match status {
                200..=299 => DeliveryStatus::Success,
                410 => DeliveryStatus::Failed,
                _ => DeliveryStatus::Retrying,
            };
            assert_eq!((verdict.status, verdict.disables), (Some(expected), status == 410), "{status}");
            assert_eq!(verdict.next_attempt_at.is_some(), expected == DeliveryStatus::Retrying);
        }
    }

    #[test]
    fn patience_is_given_to_those_who_may_ask() {
        let (schedule, now) = (RetrySchedule::default(), Timestamp::from_micros(0));
        let asked = Some(Duration::from_secs(600));
        for (status, wait) in [(429, 600), (503, 600), (500, 5), (404, 5)] {
            let outcome = AttemptOutcome::Answered { status, retry_after: asked };
            let verdict = judge(outcome, 1, &schedule, now, 0.0);
            assert_eq!(verdict.next_attempt_at, Some(now.plus(Duration::from_secs(wait))), "{status}");
        }
    }

    #[test]
    fn the_last_attempt_ends_it() {
        let (schedule, now) = (RetrySchedule::default(), Timestamp::from_micros(0));
        let failed = Some(DeliveryStatus::Failed);
        assert_eq!(judge(AttemptOutcome::NoAnswer, 9, &schedule, now, 0.5).status, failed);
        assert_eq!(judge(AttemptOutcome::Undeliverable, 1, &schedule, now, 0.5).status, failed);
        for attempts in [1, 9, 100] {
            let verdict = judge(AttemptOutcome::NotSent, attempts, &schedule, now, 0.5);
            assert_eq!((verdict.status, verdict.next_attempt_at), (None, Some(now.plus(NOT_SENT_WAIT))));
        }
        for status in DeliveryStatus::NAMES {
            assert_eq!(DeliveryStatus::parse(status).map(DeliveryStatus::as_str), Some(status));
        }
    }
}
