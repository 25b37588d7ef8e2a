//! The usage of API keys on the wire.

use gatepost_app::{
    DayUsage,
    keys::usage::{KeyUsage, day_start},
};
use gatepost_kernel::{ApiKeyId, Timestamp};
use gatepost_keys::ApiKey;
use gatepost_macros::{query, view};

use crate::values::Whole;

/// Usage of an API key by day.
#[view(from = KeyUsage, of = key, example = {"api_key_id": 3, "last_used_at": "2026-01-15T10:30:00Z"})]
pub struct ApiKeyUsageView {
    /// Numeric id of the API key.
    #[member(from = source.key.id)]
    api_key_id: ApiKeyId,
    /// Time of the last request made with the key; null if it was never used.
    last_used_at: Option<Timestamp>,
    /// Days with their request counts, newest first.
    #[member(from = source.days.into_iter().map(Into::into).collect())]
    days: Vec<DayUsageView>,
    /// API key that this one replaced; null if it replaced none.
    #[member(from = source.replaced.map(|old| replaced(old, source.key.created_at)))]
    replaced: Option<ReplacedKeyView>,
}

/// Request counts of one UTC day.
#[view(from = DayUsage, of = counts, example = {
    "date": "2026-01-15", "total": 45, "successes": 42, "redirects": 0, "refusals": 3, "failures": 0,
})]
pub struct DayUsageView {
    /// UTC day of the counts.
    #[member(format = "date", from = day_start(source.day).to_string().chars().take("2026-01-15".len()).collect())]
    date: String,
    /// Number of all requests.
    #[member(from = source.counts.successes + source.counts.redirects + source.counts.refusals + source.counts.failures)]
    total: u64,
    /// Number of requests answered with 1xx or 2xx.
    successes: u64,
    /// Number of requests answered with 3xx.
    redirects: u64,
    /// Number of requests answered with 4xx.
    refusals: u64,
    /// Number of requests answered with 5xx.
    failures: u64,
}

/// An API key that was replaced by a rotation.
#[view(example = {
    "id": 2, "last_used_at": "2026-01-15T09:00:00Z", "used_since_rotation": false,
    "grace_period_ends_at": "2026-01-16T10:30:00Z",
})]
pub struct ReplacedKeyView {
    /// Numeric id of the API key.
    id: ApiKeyId,
    /// Time of the last request made with the key; null if it was never used.
    last_used_at: Option<Timestamp>,
    /// Whether the key was used after its rotation, so that somebody still has to switch.
    used_since_rotation: bool,
    /// End of the grace period in which the key still works.
    grace_period_ends_at: Option<Timestamp>,
}

/// The key that was replaced by one that was made at `rotated_at`.
fn replaced(old: ApiKey, rotated_at: Timestamp) -> ReplacedKeyView {
    ReplacedKeyView {
        id: old.id,
        last_used_at: old.last_used_at,
        used_since_rotation: old.last_used_at.is_some_and(|used| used > rotated_at),
        grace_period_ends_at: old.grace_period_ends_at,
    }
}

/// How far back.
#[query]
pub struct ApiKeyUsageQuery {
    /// Number of days to return, today included
    #[member(like = Whole<u32, 1, 90>, default = 30)]
    pub days: u32,
}
