//! The day's quota, leased in blocks ahead of use.
//!
//! The database counts what was leased, not what was used; a key spends from the block that its node holds. A
//! crash loses what was leased and not yet spent, so a day can end early, but never gets more than its quota.

use gatepost_kernel::Timestamp;

const DAY: i64 = 86_400;
/// A block is this part of the quota …
const BLOCKS_PER_DAY: u64 = 100;
/// … within these bounds, so that the database is not asked for each request, and a crash loses little …
const BLOCK_SIZES: (u64, u64) = (10, 1_000);
/// … but of a large quota at least this part, so that the busiest keys do not ask all the time.
const LEAST_PART: u64 = 10_000;

/// The number of the UTC day, counted from 1970-01-01.
pub fn day_of(now: Timestamp) -> i64 {
    now.as_seconds().div_euclid(DAY)
}

/// The end of that day.
pub fn day_end(day: i64) -> Timestamp {
    Timestamp::from_micros((day + 1).saturating_mul(DAY * 1_000_000))
}

/// What this process may still spend of a key's day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayLease {
    day: i64,
    /// Leased by all processes together, as far as this one knows.
    leased: u64,
    /// Of that, what this process holds and has not spent.
    held: u64,
}

impl DayLease {
    /// A key of which nothing is known yet.
    pub const fn new() -> Self {
        Self { day: i64::MIN, leased: 0, held: 0 }
    }

    /// What this process can spend on `day` without asking.
    pub fn held(&self, day: i64) -> u64 {
        if self.day == day { self.held } else { 0 }
    }

    /// What is left of `limit` on `day`, as far as this process knows: what it holds and what nobody has
    /// leased.
    pub fn remaining(&self, day: i64, limit: u64) -> u64 {
        if self.day == day {
            limit.saturating_sub(self.leased).saturating_add(self.held).min(limit)
        } else {
            limit
        }
    }

    /// Spends; the caller has checked that it holds enough.
    pub fn spend(&mut self, day: i64, cost: u64) {
        if self.day == day {
            self.held = self.held.saturating_sub(cost);
        }
    }

    /// Takes back what was spent on a day that is not over.
    pub fn give_back(&mut self, day: i64, cost: u64) {
        if self.day == day {
            self.held = self.held.saturating_add(cost);
        }
    }

    /// Takes in what the database gave: `granted` more, and the day's total for everyone. What came for a day
    /// that is over is lost with it.
    pub fn grant(&mut self, day: i64, granted: u64, leased: u64) {
        if day > self.day {
            *self = Self { day, leased, held: granted };
        } else if day == self.day {
            self.leased = self.leased.max(leased);
            self.held += granted;
        }
    }

    /// Takes over what `other` holds of the same quota.
    pub fn take_over(&mut self, other: Self) {
        self.grant(other.day, other.held, other.leased);
    }

    /// How much to lease at a time for a quota of `limit`.
    pub fn block(limit: u64) -> u64 {
        (limit / BLOCKS_PER_DAY).clamp(BLOCK_SIZES.0, BLOCK_SIZES.1).max(limit / LEAST_PART)
    }

    /// Whether the next block should be fetched now, before this one is spent.
    pub fn runs_low(&self, day: i64, limit: u64) -> bool {
        let unleased = if self.day == day { limit.saturating_sub(self.leased) } else { limit };
        unleased > 0 && self.held(day) <= Self::block(limit) / 2
    }

    /// Gives back what is held, as a process does that stops.
    pub fn release(&mut self, day: i64) -> u64 {
        let held = self.held(day);
        if self.day == day {
            self.held = 0;
            self.leased = self.leased.saturating_sub(held);
        }
        held
    }
}

impl Default for DayLease {
    fn default() -> Self {
        Self::new()
    }
}
