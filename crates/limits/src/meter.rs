//! One key's meter: the sliding minute and the day together, decided in one step, with those of all keys of
//! its workspace where they have limits together.

use gatepost_kernel::{Error, Timestamp};

use crate::{Allowance, DayLease, MinuteWindow, Standing, day_end, day_of};

/// What a key has used. Limits are not part of it, so a changed limit keeps the count.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    minute: MinuteWindow,
    day: DayLease,
}

/// Why a request may not pass now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The last 60 seconds are full.
    Minute,
    /// The day is spent.
    Day,
    /// The day is not spent as far as this process knows, but it holds too little: lease more and ask again.
    NeedsLease,
    /// The last 60 seconds of all keys of the workspace together are full.
    WorkspaceMinute,
    /// Their day is spent.
    WorkspaceDay,
    /// Of their day this process holds too little.
    WorkspaceNeedsLease,
}

impl Refusal {
    /// The same of all keys of the workspace.
    fn of_workspace(self) -> Self {
        match self {
            Self::Minute | Self::WorkspaceMinute => Self::WorkspaceMinute,
            Self::Day | Self::WorkspaceDay => Self::WorkspaceDay,
            Self::NeedsLease | Self::WorkspaceNeedsLease => Self::WorkspaceNeedsLease,
        }
    }

    /// Whether there is something to be leased before the answer is known.
    fn is_open(self) -> bool {
        matches!(self, Self::NeedsLease | Self::WorkspaceNeedsLease)
    }
}

/// How something stands against the limits of both lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standings {
    /// Against the minute; after the request, if it was let in.
    pub minute: Option<Standing>,
    /// Against the day.
    pub day: Option<Standing>,
}

/// All keys of a workspace together: what they have used, and what they may.
#[derive(Debug)]
pub struct Whole<'m> {
    /// What they have used.
    pub meter: &'m mut Meter,
    /// What they may.
    pub allowance: &'m Allowance,
}

/// What a request meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// `None`: it may pass.
    pub refusal: Option<Refusal>,
    /// How the key stands against the minute; after the request, if it was let in.
    pub minute: Option<Standing>,
    /// How the key stands against the day.
    pub day: Option<Standing>,
    /// How all keys of its workspace stand together.
    pub workspace: Standings,
    /// When a refused request can be tried again with hope.
    pub retry_at: Option<Timestamp>,
    /// Whether more of the day should be leased now, ahead of use.
    pub lease_soon: bool,
    /// The same of the day of the workspace.
    pub lease_workspace_soon: bool,
}

impl Verdict {
    /// The limit that is shown where there is room for one: the one that refuses; else, of the key's minute
    /// and the workspace's, the one of which less remains; else the same of the days.
    pub fn shown(&self) -> Option<Standing> {
        let tighter = |key: Option<Standing>, workspace: Option<Standing>| match (key, workspace) {
            (Some(key), Some(workspace)) if workspace.remaining < key.remaining => Some(workspace),
            (key, workspace) => key.or(workspace),
        };
        match self.refusal {
            Some(Refusal::Minute) => self.minute,
            Some(Refusal::Day | Refusal::NeedsLease) => self.day,
            Some(Refusal::WorkspaceMinute) => self.workspace.minute,
            Some(Refusal::WorkspaceDay | Refusal::WorkspaceNeedsLease) => self.workspace.day,
            None => {
                let minute = tighter(self.minute, self.workspace.minute);
                minute.or_else(|| tighter(self.day, self.workspace.day))
            }
        }
    }

    /// The refusal as the caller is told of it at `now`; none if the request may pass.
    pub fn error(&self, now: Timestamp) -> Option<Error> {
        self.refusal?;
        let standing = self.shown()?;
        let retry_at = self.retry_at.unwrap_or(standing.reset_at);
        let wait = retry_at.since(now).as_micros().div_ceil(1_000_000);
        Some(Error::RateLimited {
            retry_after_seconds: u64::try_from(wait).unwrap_or(u64::MAX).max(1),
            limit: standing.limit,
            reset_at: retry_at.rounded_up(),
        })
    }
}

impl Meter {
    /// A key that has used nothing.
    pub const fn new() -> Self {
        Self { minute: MinuteWindow::new(), day: DayLease::new() }
    }

    /// What a request of this cost would meet; spends nothing.
    pub fn check(&mut self, now: Timestamp, allowance: &Allowance, cost: u64) -> Verdict {
        let refusal = self.refusal(now, allowance, cost);
        self.verdict(now, allowance, cost, refusal)
    }

    fn refusal(&mut self, now: Timestamp, allowance: &Allowance, cost: u64) -> Option<Refusal> {
        let day = day_of(now);
        let used = allowance.minute_cap.map(|_| self.minute.used(now)).unwrap_or(0);
        if allowance.minute_cap.is_some_and(|cap| used.saturating_add(cost) > cap) {
            Some(Refusal::Minute)
        } else if let Some(limit) = allowance.per_day.filter(|_| cost > self.day.held(day)) {
            let known = self.day.remaining(day, limit);
            Some(if cost > known { Refusal::Day } else { Refusal::NeedsLease })
        } else {
            None
        }
    }

    /// Lets a request of this cost in, or refuses it and spends nothing.
    pub fn take(&mut self, now: Timestamp, allowance: &Allowance, cost: u64) -> Verdict {
        if let Some(refusal) = self.refusal(now, allowance, cost) {
            return self.verdict(now, allowance, cost, Some(refusal));
        }
        self.spend(now, allowance, cost);
        self.verdict(now, allowance, cost, None)
    }

    fn spend(&mut self, now: Timestamp, allowance: &Allowance, cost: u64) {
        if allowance.minute_cap.is_some() {
            self.minute.add(now, cost);
        }
        if allowance.per_day.is_some() {
            self.day.spend(day_of(now), cost);
        }
    }

    /// The same as [`Meter::check`], within what all keys of the workspace may together.
    pub fn check_within(
        &mut self,
        now: Timestamp,
        allowance: &Allowance,
        whole: Whole<'_>,
        cost: u64,
    ) -> Verdict {
        let refusal = self.refusal_within(now, allowance, &mut *whole.meter, whole.allowance, cost);
        self.verdict_within(now, allowance, whole, cost, refusal)
    }

    /// The same as [`Meter::take`], within what all keys of the workspace may together: of both is taken, or
    /// of neither.
    pub fn take_within(
        &mut self,
        now: Timestamp,
        allowance: &Allowance,
        whole: Whole<'_>,
        cost: u64,
    ) -> Verdict {
        let refusal = self.refusal_within(now, allowance, &mut *whole.meter, whole.allowance, cost);
        if refusal.is_none() {
            self.spend(now, allowance, cost);
            whole.meter.spend(now, whole.allowance, cost);
        }
        self.verdict_within(now, allowance, whole, cost, refusal)
    }

    fn refusal_within(
        &mut self,
        now: Timestamp,
        allowance: &Allowance,
        whole: &mut Self,
        of_whole: &Allowance,
        cost: u64,
    ) -> Option<Refusal> {
        let own = self.refusal(now, allowance, cost);
        if own.is_some_and(|refusal| !refusal.is_open()) {
            return own;
        }
        let together = whole.refusal(now, of_whole, cost).map(Refusal::of_workspace);
        // Nothing is leased for a request that is refused anyway.
        together.filter(|refusal| !refusal.is_open()).or(own).or(together)
    }

    fn verdict_within(
        &mut self,
        now: Timestamp,
        allowance: &Allowance,
        whole: Whole<'_>,
        cost: u64,
        refusal: Option<Refusal>,
    ) -> Verdict {
        let own = self.verdict(now, allowance, cost, refusal);
        let of_whole = refusal.and_then(|refusal| match refusal {
            Refusal::WorkspaceMinute => Some(Refusal::Minute),
            Refusal::WorkspaceDay => Some(Refusal::Day),
            _ => None,
        });
        let together = whole.meter.verdict(now, whole.allowance, cost, of_whole);
        Verdict {
            workspace: Standings { minute: together.minute, day: together.day },
            retry_at: own.retry_at.or(together.retry_at),
            lease_workspace_soon: together.lease_soon,
            ..own
        }
    }

    /// Takes over what another meter of the same limits has counted.
    pub fn take_over(&mut self, mut other: Self, now: Timestamp) {
        self.minute.add_all(&mut other.minute, now);
        self.day.take_over(other.day);
    }

    /// Begins with the minute of another key that this one takes the place of, if more of that is spent.
    pub fn begin_with(&mut self, other: &mut Self, now: Timestamp) {
        if other.minute.used(now) > self.minute.used(now) {
            self.minute = other.minute.clone();
        }
    }

    /// Takes back what a request that was let in at `then` has spent, because what it was for did not happen.
    pub fn give_back(&mut self, then: Timestamp, now: Timestamp, allowance: &Allowance, cost: u64) {
        if allowance.minute_cap.is_some() {
            self.minute.give_back(then, now, cost);
        }
        if allowance.per_day.is_some() {
            self.day.give_back(day_of(then), cost);
        }
    }

    /// The lease on the day.
    pub fn day_mut(&mut self) -> &mut DayLease {
        &mut self.day
    }

    /// Whether dropping this meter at `now` would forget nothing.
    pub fn is_idle(&mut self, now: Timestamp) -> bool {
        self.minute.is_idle(now) && self.day.held(day_of(now)) == 0
    }

    fn verdict(
        &mut self,
        now: Timestamp,
        allowance: &Allowance,
        cost: u64,
        refusal: Option<Refusal>,
    ) -> Verdict {
        let day = day_of(now);
        let minute = allowance.per_minute.map(|limit| Standing {
            limit,
            remaining: limit.saturating_sub(self.minute.used(now)),
            reset_at: self.minute.reset_at(now),
        });
        let standing = allowance.per_day.map(|limit| Standing {
            limit,
            remaining: self.day.remaining(day, limit),
            reset_at: day_end(day),
        });
        let retry_at = match (refusal, allowance.minute_cap) {
            (Some(Refusal::Minute), Some(cap)) => {
                let excess = self.minute.used(now).saturating_add(cost).saturating_sub(cap);
                // More than the cap at once never fits; the reset is as good a time as any.
                Some(self.minute.frees_at(now, excess))
            }
            (Some(Refusal::Day), _) => Some(day_end(day)),
            _ => None,
        };
        let lease_soon = allowance.per_day.is_some_and(|limit| self.day.runs_low(day, limit));
        let (workspace, lease_workspace_soon) = (Standings::default(), false);
        Verdict { refusal, minute, day: standing, workspace, retry_at, lease_soon, lease_workspace_soon }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000 + millis * 1_000)
    }

    fn per_minute(limit: u64, cap: u64) -> Allowance {
        Allowance { per_minute: Some(limit), minute_cap: Some(cap), per_day: None }
    }

    proptest! {
        /// Rule 2, whatever the arrival pattern; and a key is not kept waiting for more than a second too
        /// long.
        #[test]
        fn no_sliding_minute_passes_the_cap(
            cap in 1..40u64,
            gaps in proptest::collection::vec(prop_oneof![0..30i64, 0..3_000i64, 50_000..70_000i64], 1..400),
        ) {
            let (mut meter, allowance) = (Meter::new(), per_minute(cap, cap));
            let (mut now, mut admitted) = (0, VecDeque::<i64>::new());
            for gap in gaps {
                now += gap;
                let let_in = meter.take(at(now), &allowance, 1).refusal.is_none();
                let in_last = |millis: i64| admitted.iter().filter(|t| **t > now - millis).count() as u64;
                if let_in {
                    prop_assert!(in_last(60_000) < cap, "passed the cap");
                    admitted.push_back(now);
                } else {
                    prop_assert!(in_last(61_000) >= cap, "refused although there was room");
                }
            }
        }

        #[test]
        fn headers_match_what_happens_next(
            limit in 1..20u64,
            burst in 0..10u64,
            gaps in proptest::collection::vec(prop_oneof![0..500i64, 0..40_000i64], 1..200),
        ) {
            let (mut meter, allowance) = (Meter::new(), per_minute(limit, limit + burst));
            let mut now = 0;
            for gap in gaps {
                now += gap;
                let verdict = meter.take(at(now), &allowance, 1);
                let standing = verdict.minute.expect("a limited key");
                // What remains can be had at once.
                let mut copy = meter.clone();
                for _ in 0..standing.remaining {
                    prop_assert_eq!(copy.take(at(now), &allowance, 1).refusal, None);
                }
                prop_assert!(standing.reset_at > at(now) && standing.reset_at <= at(now + 60_000));
                if verdict.refusal.is_some() {
                    prop_assert_eq!(standing.remaining, 0);
                    // Not a moment before the time that is told, and then it works.
                    let retry_at = verdict.retry_at.expect("a time");
                    prop_assert!(retry_at <= at(now + 60_000), "longer than the window");
                    let before = Timestamp::from_micros(retry_at.as_micros() - 1);
                    prop_assert!(meter.clone().take(before, &allowance, 1).refusal.is_some());
                    prop_assert_eq!(meter.clone().take(retry_at, &allowance, 1).refusal, None);
                } else {
                    // The oldest leaves at the reset.
                    let (mut then, mut early) = (meter.clone(), meter.clone());
                    let used = early.minute.used(at(now));
                    let before = Timestamp::from_micros(standing.reset_at.as_micros() - 1);
                    prop_assert_eq!(early.minute.used(before), used);
                    prop_assert!(then.minute.used(standing.reset_at) < used);
                }
            }
        }

        #[test]
        fn refused_requests_spend_nothing(cost in 1..10u64, asked in 1..50usize) {
            let (mut meter, allowance) = (Meter::new(), per_minute(20, 20));
            let admitted = (0..asked).filter(|_| meter.take(at(0), &allowance, cost).refusal.is_none()).count() as u64;
            prop_assert_eq!(meter.minute.used(at(0)), admitted * cost);
            prop_assert!(admitted * cost <= 20);
            prop_assert_eq!(meter.check(at(0), &allowance, cost), meter.clone().check(at(0), &allowance, cost));
        }

        /// Many requests in one second outgrow the small counters without a miscount.
        #[test]
        fn large_counts_are_exact(costs in proptest::collection::vec(1..60_000u64, 1..20)) {
            let mut window = MinuteWindow::new();
            for cost in &costs {
                window.add(at(0), *cost);
            }
            prop_assert_eq!(window.used(at(59_999)), costs.iter().sum::<u64>());
            prop_assert_eq!(window.used(at(60_000)), 0);
        }

        /// A database that counts leases, processes that crash with blocks in hand: the day never gets more
        /// than its quota.
        #[test]
        fn a_day_is_never_over_admitted(limit in 1..500u64, steps in proptest::collection::vec(0..20u8, 1..800)) {
            let allowance = Allowance { per_day: Some(limit), ..Allowance::default() };
            let (mut meters, mut leased, mut admitted) = ([Meter::new(), Meter::new()], 0u64, 0u64);
            for step in steps {
                let meter = &mut meters[usize::from(step % 2)];
                if step == 0 {
                    *meter = Meter::new();
                    continue;
                }
                let mut verdict = meter.take(at(0), &allowance, 1);
                if verdict.refusal == Some(Refusal::NeedsLease) {
                    let granted = DayLease::block(limit).min(limit - leased);
                    leased += granted;
                    meter.day_mut().grant(day_of(at(0)), granted, leased);
                    verdict = meter.take(at(0), &allowance, 1);
                }
                admitted += u64::from(verdict.refusal.is_none());
                prop_assert!(admitted <= leased && leased <= limit);
                prop_assert!(verdict.refusal != Some(Refusal::NeedsLease) , "a grant, or the word that the day is spent");
            }
        }
    }

    proptest! {
        /// However many keys there are, and whatever each may: together they get no more than their
        /// workspace.
        #[test]
        fn a_workspace_bounds_its_keys(
            (key_cap, whole_cap) in (1..20u64, 1..40u64),
            steps in proptest::collection::vec((0..4usize, prop_oneof![0..300i64, 20_000..70_000i64]), 1..300),
        ) {
            let (own, together) = (per_minute(key_cap, key_cap), per_minute(whole_cap, whole_cap));
            let (mut keys, mut whole) = ([(); 4].map(|()| Meter::new()), Meter::new());
            let (mut now, mut admitted) = (0, Vec::<(usize, i64)>::new());
            for (key, gap) in steps {
                now += gap;
                let used = |only: Option<usize>, millis: i64| {
                    let counts = |(by, then): &&(usize, i64)| only.is_none_or(|only| only == *by) && *then > now - millis;
                    admitted.iter().filter(counts).count() as u64
                };
                let whole = Whole { meter: &mut whole, allowance: &together };
                let verdict = keys[key].take_within(at(now), &own, whole, 1);
                match verdict.refusal {
                    None => {
                        prop_assert!(used(Some(key), 60_000) < key_cap && used(None, 60_000) < whole_cap);
                        admitted.push((key, now));
                    }
                    Some(Refusal::Minute) => prop_assert!(used(Some(key), 61_000) >= key_cap),
                    Some(Refusal::WorkspaceMinute) => {
                        prop_assert!(used(None, 61_000) >= whole_cap);
                        prop_assert!(verdict.retry_at.is_some_and(|retry| retry > at(now) && retry <= at(now + 60_000)));
                        prop_assert_eq!(verdict.shown(), verdict.workspace.minute);
                    }
                    refusal => prop_assert!(false, "{:?}", refusal),
                }
            }
        }

        /// A key is rotated, and revoked and made anew, as often as one likes: the minute stays one minute.
        #[test]
        fn a_key_in_the_place_of_another_wins_nothing(
            cap in 1..30u64,
            steps in proptest::collection::vec((0..4u8, prop_oneof![0..500i64, 10_000..40_000i64]), 1..300),
        ) {
            let (mut meter, allowance) = (Meter::new(), per_minute(cap, cap));
            let (mut now, mut admitted) = (0, VecDeque::<i64>::new());
            for (step, gap) in steps {
                now += gap;
                match step {
                    // A successor takes over, …
                    0 => {
                        let mut shared = Meter::new();
                        shared.take_over(meter, at(now));
                        meter = shared;
                    }
                    // … and a new one begins where the last ended.
                    1 => {
                        let mut new = Meter::new();
                        new.begin_with(&mut meter, at(now));
                        meter = new;
                    }
                    _ if meter.take(at(now), &allowance, 1).refusal.is_none() => {
                        let used = admitted.iter().filter(|then| **then > now - 60_000).count() as u64;
                        prop_assert!(used < cap, "passed the cap");
                        admitted.push_back(now);
                    }
                    _ => {
                        let used = admitted.iter().filter(|then| **then > now - 61_000).count() as u64;
                        prop_assert!(used >= cap, "refused although there was room");
                    }
                }
            }
        }

        /// Two windows in one count what each has counted: all of the last minute, and no more than one
        /// window would have that had counted both. It would keep a whole second for the sake of the last
        /// request in it, of which one of the two has forgotten its part.
        #[test]
        fn windows_add_up(
            counts in proptest::collection::vec((any::<bool>(), 0..90_000i64, 1..400u64), 0..60),
            (meet, later) in (0..90_000i64, 0..130_000i64),
        ) {
            let (mut one, mut two, mut both) = (MinuteWindow::new(), MinuteWindow::new(), MinuteWindow::new());
            let mut counts = counts;
            counts.retain(|(_, then, _)| *then <= meet);
            counts.sort_by_key(|(_, then, _)| *then);
            for (first, then, cost) in &counts {
                if *first { one.add(at(*then), *cost) } else { two.add(at(*then), *cost) }
                both.add(at(*then), *cost);
            }
            one.add_all(&mut two, at(meet));
            for now in [meet, meet + later] {
                let in_last_minute = counts.iter().filter(|(_, then, _)| *then > now - 60_000);
                let exact: u64 = in_last_minute.map(|(.., cost)| *cost).sum();
                let used = one.used(at(now));
                prop_assert!(exact <= used && used <= both.used(at(now)), "{} {} {}", exact, used, both.used(at(now)));
                let reset_at = one.reset_at(at(now));
                prop_assert!(used == 0 || one.clone().used(reset_at) < used);
            }
        }
    }

    #[test]
    fn the_burst_lies_above_what_remains() {
        let (mut meter, allowance) = (Meter::new(), per_minute(2, 3));
        let remaining: Vec<_> = (0..4)
            .map(|_| meter.take(at(0), &allowance, 1))
            .map(|v| (v.refusal, v.minute.map(|m| m.remaining)))
            .collect();
        let expected = [(None, Some(1)), (None, Some(0)), (None, Some(0)), (Some(Refusal::Minute), Some(0))];
        assert_eq!(remaining, expected);
    }

    #[test]
    fn a_changed_limit_keeps_the_count() {
        let mut meter = Meter::new();
        for _ in 0..5 {
            assert_eq!(meter.take(at(0), &per_minute(10, 10), 1).refusal, None);
        }
        assert_eq!(meter.take(at(0), &per_minute(5, 5), 1).refusal, Some(Refusal::Minute));
        assert_eq!(meter.take(at(0), &per_minute(6, 6), 1).refusal, None);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_back() {
        let (mut meter, allowance) = (Meter::new(), per_minute(1, 1));
        assert_eq!(meter.take(at(100_000), &allowance, 1).refusal, None);
        assert_eq!(meter.take(at(0), &allowance, 1).refusal, Some(Refusal::Minute));
        assert_eq!(meter.take(at(161_000), &allowance, 1).refusal, None);
    }

    #[test]
    fn a_new_day_begins_with_nothing_held() {
        let allowance = Allowance { per_day: Some(10), ..Allowance::default() };
        let mut meter = Meter::new();
        meter.day_mut().grant(day_of(at(0)), 10, 10);
        assert_eq!(meter.take(at(0), &allowance, 10).refusal, None);
        let refused = meter.take(at(0), &allowance, 1);
        assert_eq!((refused.refusal, refused.retry_at), (Some(Refusal::Day), Some(day_end(day_of(at(0))))));
        let tomorrow = day_end(day_of(at(0)));
        assert_eq!(meter.take(tomorrow, &allowance, 1).refusal, Some(Refusal::NeedsLease));
        meter.day_mut().grant(day_of(at(0)), 5, 10);
        assert_eq!(
            meter.take(tomorrow, &allowance, 1).refusal,
            Some(Refusal::NeedsLease),
            "yesterday's block is lost"
        );
        meter.day_mut().grant(day_of(tomorrow), 1, 1);
        assert_eq!(meter.take(tomorrow, &allowance, 1).refusal, None);
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let allowance = Allowance { per_day: Some(10), ..per_minute(3, 3) };
        let mut meter = Meter::new();
        meter.day_mut().grant(day_of(at(0)), 10, 10);
        assert_eq!(meter.take(at(0), &allowance, 1).refusal, None);
        assert_eq!(meter.take(at(2_000), &allowance, 2).refusal, None);
        assert_eq!(meter.take(at(2_500), &allowance, 1).refusal, Some(Refusal::Minute));
        meter.give_back(at(2_000), at(3_000), &allowance, 2);
        assert_eq!(meter.day_mut().held(day_of(at(0))), 9);
        assert_eq!(meter.take(at(3_000), &allowance, 2).refusal, None);
        assert_eq!(meter.take(at(3_000), &allowance, 1).refusal, Some(Refusal::Minute));
        // What is forgotten already is not given back twice.
        meter.give_back(at(0), at(62_000), &allowance, 1);
        assert_eq!(
            meter.take(at(62_000), &allowance, 3).refusal,
            Some(Refusal::Minute),
            "two of them still count"
        );
    }

    #[test]
    fn a_meter_is_small() {
        assert!(size_of::<Meter>() <= 112, "{}", size_of::<Meter>());
    }
}
