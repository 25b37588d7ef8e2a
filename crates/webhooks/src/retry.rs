//! When a failed delivery is tried again.

use std::time::Duration;

use gatepost_kernel::Timestamp;

/// A receiver that asks for more patience than this gets this much.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(10 * 3_600);
/// Waits are stretched by up to this part, so that what failed together is not tried together.
const JITTER: f64 = 0.1;

/// How long to wait before each further attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule(Vec<Duration>);

impl Default for RetrySchedule {
    /// 5 s, 1 min, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h: nine attempts within a day and a half.
    fn default() -> Self {
        Self([5, 60, 300, 1_800, 7_200, 18_000, 36_000, 50_400].map(Duration::from_secs).into())
    }
}

impl RetrySchedule {
    /// A schedule with these waits; an empty one never tries again.
    pub fn new(waits: Vec<Duration>) -> Self {
        Self(waits)
    }

    /// The waits, in their order.
    pub fn waits(&self) -> &[Duration] {
        &self.0
    }

    /// When to try again after `attempts` attempts that failed, the last of them at `now`; `None` if never.
    /// `random` is between 0 and 1. A receiver's `Retry-After` can only make the wait longer, up to ten
    /// hours.
    pub fn next(
        &self,
        attempts: u32,
        now: Timestamp,
        random: f64,
        retry_after: Option<Duration>,
    ) -> Option<Timestamp> {
        let index = usize::try_from(attempts.checked_sub(1)?).ok()?;
        let wait = *self.0.get(index)?;
        let stretched = wait.mul_f64(1.0 + JITTER * random.clamp(0.0, 1.0));
        let asked = retry_after.map_or(Duration::ZERO, |asked| asked.min(MAX_RETRY_AFTER));
        Some(now.plus(stretched.max(asked)))
    }

    /// How many attempts there are in all.
    pub fn attempts(&self) -> usize {
        self.0.len() + 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_schedule_ends() {
        let (schedule, now) = (RetrySchedule::default(), Timestamp::from_micros(0));
        assert_eq!(schedule.attempts(), 9);
        assert_eq!(schedule.next(1, now, 0.0, None), Some(now.plus(Duration::from_secs(5))));
        assert_eq!(schedule.next(8, now, 0.0, None), Some(now.plus(Duration::from_secs(50_400))));
        assert_eq!(schedule.next(9, now, 0.0, None), None);
        assert_eq!(schedule.next(0, now, 0.0, None), None, "nothing was tried");
        assert_eq!(RetrySchedule::new(Vec::new()).next(1, now, 0.0, None), None);
    }

    proptest! {
        #[test]
        fn never_before_its_time_and_not_much_later(attempts in 1..=8u32, random in 0.0..1.0f64, asked in proptest::option::of(0..100_000u64)) {
            let (schedule, now) = (RetrySchedule::default(), Timestamp::from_micros(1_800_000_000_000_000));
            let base = schedule.next(attempts, now, 0.0, None).expect("a time");
            let at = schedule.next(attempts, now, random, asked.map(Duration::from_secs)).expect("a time");
            prop_assert!(at >= base);
            let latest = base.since(now).mul_f64(1.1).max(Duration::from_secs(asked.unwrap_or(0).min(36_000)));
            prop_assert!(at.since(now) <= latest + Duration::from_micros(1));
        }
    }
}
