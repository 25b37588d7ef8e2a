//! The usage of API keys on the wire.

use gatepost_app::keys::usage::{KeyUsage, day_start};
use gatepost_kernel::{ApiKeyId, Timestamp};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    query::{Parameters, ReadQuery},
    wire::envelopes,
};

const DEFAULT_DAYS: u32 = 30;
const MAX_DAYS: u32 = 90;

/// What an API key was used for.
#[derive(Serialize, ToSchema)]
pub struct ApiKeyUsageView {
    /// The key.
    #[schema(value_type = i64, example = 3)]
    api_key_id: ApiKeyId,
    /// When it was last used; null if never.
    #[schema(value_type = Option<String>, format = DateTime, required, example = "2026-01-15T10:30:00Z")]
    last_used_at: Option<Timestamp>,
    /// Its days, the newest first.
    days: Vec<DayUsageView>,
    /// The key that it replaced; null if it replaced none.
    #[schema(required)]
    replaced: Option<ReplacedKeyView>,
}

/// The requests of one UTC day.
#[derive(Serialize, ToSchema)]
pub struct DayUsageView {
    /// The day.
    #[schema(format = Date, example = "2026-01-15")]
    date: String,
    /// All requests.
    #[schema(example = 45)]
    total: u64,
    /// Answered with 1xx or 2xx.
    #[schema(example = 42)]
    successes: u64,
    /// Answered with 3xx.
    #[schema(example = 0)]
    redirects: u64,
    /// Answered with 4xx.
    #[schema(example = 3)]
    refusals: u64,
    /// Answered with 5xx.
    #[schema(example = 0)]
    failures: u64,
}

/// The key that a rotation replaced.
#[derive(Serialize, ToSchema)]
pub struct ReplacedKeyView {
    /// Numeric id of the API key.
    #[schema(value_type = i64, example = 2)]
    id: ApiKeyId,
    /// When it was last used; null if never.
    #[schema(value_type = Option<String>, format = DateTime, required, example = "2026-01-15T09:00:00Z")]
    last_used_at: Option<Timestamp>,
    /// Whether it was used since it was replaced: somebody still has to change over.
    #[schema(example = false)]
    used_since_rotation: bool,
    /// Until when it works.
    #[schema(value_type = Option<String>, format = DateTime, required, example = "2026-01-16T10:30:00Z")]
    grace_period_ends_at: Option<Timestamp>,
}

impl From<KeyUsage> for ApiKeyUsageView {
    fn from(usage: KeyUsage) -> Self {
        let KeyUsage { key, days, replaced } = usage;
        let date = |day| day_start(day).to_string().chars().take("2026-01-15".len()).collect();
        let days = days.into_iter().map(|day| DayUsageView {
            date: date(day.day),
            total: day.counts.successes + day.counts.redirects + day.counts.refusals + day.counts.failures,
            successes: day.counts.successes,
            redirects: day.counts.redirects,
            refusals: day.counts.refusals,
            failures: day.counts.failures,
        });
        let rotated_at = key.created_at;
        let replaced = replaced.map(|old| ReplacedKeyView {
            id: old.id,
            last_used_at: old.last_used_at,
            used_since_rotation: old.last_used_at.is_some_and(|used| used > rotated_at),
            grace_period_ends_at: old.grace_period_ends_at,
        });
        Self { api_key_id: key.id, last_used_at: key.last_used_at, days: days.collect(), replaced }
    }
}

envelopes! {
    item ApiKeyUsageItem(ApiKeyUsageView);
}

/// How far back.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ApiKeyUsageQuery {
    /// How many days, today included
    #[param(minimum = 1, maximum = 90, default = 30)]
    days: Option<u32>,
}

impl ApiKeyUsageQuery {
    /// How many days, today included.
    pub fn days(&self) -> u32 {
        self.days.unwrap_or(DEFAULT_DAYS)
    }
}

impl ReadQuery for ApiKeyUsageQuery {
    fn read(parameters: &mut Parameters) -> Option<Self> {
        Some(Self { days: parameters.integer("days", 1, MAX_DAYS) })
    }
}
