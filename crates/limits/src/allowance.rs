//! What a plan allows a key, and how it stands.

use gatepost_kernel::Timestamp;

/// The limits of a key. Where there is no figure there is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Allowance {
    /// Requests per minute as the plan says, without the burst: what the headers show.
    pub per_minute: Option<u64>,
    /// The most in any 60 seconds, with the burst.
    pub minute_cap: Option<u64>,
    /// Requests per UTC day.
    pub per_day: Option<u64>,
}

/// How a key stands against one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The figure of the plan.
    pub limit: u64,
    /// What is left of it; 0 while the burst is being used.
    pub remaining: u64,
    /// The minute: when the oldest counted request stops counting. The day: the next UTC midnight.
    pub reset_at: Timestamp,
}

impl Standing {
    /// Whole seconds from `now` until the reset, rounded up.
    pub fn reset_in_seconds(&self, now: Timestamp) -> u64 {
        let micros = self.reset_at.since(now).as_micros();
        u64::try_from(micros.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}
