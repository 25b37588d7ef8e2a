//! How long somebody has to wait who could not say who they are. Nobody is locked out: failures count for an
//! account and the network that they come from, and for the network alone.

use std::time::Duration;

use gatepost_kernel::Timestamp;

/// The longest wait.
pub const MAX_WAIT: Duration = Duration::from_mins(15);

/// Failures in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// How many.
    pub count: u32,
    /// When the last one was.
    pub last_at: Timestamp,
}

impl Failures {
    /// For how long a failure counts.
    pub const REMEMBERED: Duration = Duration::from_hours(24);
    /// From how many failures on one account has to wait, in one network.
    pub const MANY_OF_ACCOUNT: u32 = 5;
    /// From how many failures on a network has to wait: many people may share an address.
    pub const MANY_OF_NETWORK: u32 = 20;

    /// These and one more at `now`.
    pub fn and_one(before: Option<Self>, now: Timestamp) -> Self {
        let count = before.map_or(0, |before| before.counted(now)).saturating_add(1);
        Self { count, last_at: now }
    }

    /// How many still count.
    fn counted(self, now: Timestamp) -> u32 {
        if now.since(self.last_at) < Self::REMEMBERED { self.count } else { 0 }
    }

    /// How much longer to wait at `now`; zero if not at all. After `many` failures a second, twice as long
    /// after each further one.
    pub fn wait(self, many: u32, now: Timestamp) -> Duration {
        let Some(beyond) = self.counted(now).checked_sub(many) else { return Duration::ZERO };
        let wait = 1_u32.checked_shl(beyond).map_or(MAX_WAIT, |seconds| Duration::from_secs(seconds.into()));
        let until = self.last_at.plus(wait.min(MAX_WAIT));
        until.since(now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn after(count: u32) -> Duration {
        Failures { count, last_at: START }.wait(Failures::MANY_OF_ACCOUNT, START)
    }

    #[test]
    fn each_further_failure_doubles_the_wait() {
        let waits: Vec<u64> = (3..9).map(|count| after(count).as_secs()).collect();
        assert_eq!(waits, [0, 0, 1, 2, 4, 8]);
        for many in [15, 16, 36, 37, 38, u32::MAX] {
            assert_eq!(after(many), MAX_WAIT, "{many}");
        }
    }

    #[test]
    fn what_is_a_day_ago_is_forgotten() {
        let failures = Failures { count: 30, last_at: START };
        assert_eq!(Failures::and_one(Some(failures), START.plus(MAX_WAIT)).count, 31);
        assert_eq!(Failures::and_one(Some(failures), START.plus(Failures::REMEMBERED)).count, 1);
        assert_eq!(failures.wait(5, START.plus(Duration::from_mins(14))), Duration::from_mins(1));
    }

    proptest! {
        #[test]
        fn a_wait_ends(count: u32, many: u32) {
            let failures = Failures { count, last_at: START };
            let wait = failures.wait(many, START);
            prop_assert!(wait <= MAX_WAIT);
            prop_assert_eq!(failures.wait(many, START.plus(wait)), Duration::ZERO);
        }
    }
}
