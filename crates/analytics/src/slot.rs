//! The unit in which is counted.

use gatepost_kernel::Timestamp;

const SLOT_MICROS: i64 = 900_000_000;
const SLOTS_PER_DAY: i64 = 96;

/// A quarter of an hour, counted from 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuarterHour(pub i64);

impl QuarterHour {
    /// The one that an instant lies in.
    pub fn of(at: Timestamp) -> Self {
        Self(at.as_micros().div_euclid(SLOT_MICROS))
    }

    /// Its first instant.
    pub fn start(self) -> Timestamp {
        Timestamp::from_micros(self.0.saturating_mul(SLOT_MICROS))
    }

    /// The UTC day that it lies in, counted from 1970.
    pub fn day(self) -> i64 {
        self.0.div_euclid(SLOTS_PER_DAY)
    }
}
