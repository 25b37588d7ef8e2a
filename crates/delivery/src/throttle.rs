//! How many bytes per minute the deliveries of each workspace may send, by its plan. What is above waits;
//! nothing fails.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use gatepost_entitlements::Catalog;
use gatepost_kernel::{LockAnyway, WorkspaceId};

/// For how long it is believed what plan a workspace has.
const BELIEVED: Duration = Duration::from_secs(10);
/// Of how many workspaces at least it is remembered what they sent.
const REMEMBERED: usize = 10_000;
/// What a delivery is taken to send before anything is known: the largest one.
const LARGEST: u64 = 1 << 20;
const MINUTE: Duration = Duration::from_secs(60);

/// What the workspaces may send, in this process. Each has a bucket that holds a minute's worth and fills
/// evenly.
#[derive(Debug)]
pub struct Throttle {
    catalog: Arc<Catalog>,
    buckets: Mutex<HashMap<WorkspaceId, Bucket>>,
    /// When so many are remembered, those that say nothing are forgotten.
    forget_at: AtomicUsize,
}

#[derive(Debug)]
struct Bucket {
    /// Bytes per minute; none if there is no limit.
    rate: Option<u64>,
    /// When the plan was looked up.
    known: Instant,
    /// Bytes that may be sent now; below zero after more was sent than was expected.
    available: i64,
    /// When that was.
    at: Instant,
    /// What one delivery is taken to send.
    expected: u64,
}

impl Throttle {
    pub fn new(catalog: Arc<Catalog>) -> Self {
        Self { catalog, buckets: Mutex::default(), forget_at: AtomicUsize::new(REMEMBERED) }
    }

    /// Those of `workspaces` whose plan has to be looked up.
    pub fn unknown(
        &self,
        workspaces: impl IntoIterator<Item = WorkspaceId>,
        now: Instant,
    ) -> Vec<WorkspaceId> {
        let buckets = self.lock();
        let is_unknown = |id: &WorkspaceId| {
            buckets.get(id).is_none_or(|bucket| now.duration_since(bucket.known) >= BELIEVED)
        };
        let mut unknown: Vec<_> = workspaces.into_iter().filter(is_unknown).collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown
    }

    /// Notes what tier a workspace has.
    pub fn learn(&self, workspace: WorkspaceId, tier: &str, now: Instant) {
        let plan = self.catalog.plan_or_default(tier);
        let rate = plan.and_then(|plan| plan.egress_mib_per_minute).map(|mib| mib.saturating_mul(1 << 20));
        let mut buckets = self.lock();
        if buckets.len() >= self.forget_at.load(Ordering::Relaxed) {
            // A full bucket is what a workspace begins with.
            buckets.retain(|_, bucket| now.duration_since(bucket.known) < BELIEVED || !bucket.is_full(now));
            // However many are at work, each pays for few of the others.
            self.forget_at.store(REMEMBERED.max(2 * buckets.len()), Ordering::Relaxed);
        }
        let full = rate.map_or(0, |rate| i64::try_from(rate).unwrap_or(i64::MAX));
        let bucket = buckets.entry(workspace).or_insert(Bucket {
            rate,
            known: now,
            available: full,
            at: now,
            expected: LARGEST,
        });
        bucket.fill(now);
        if bucket.rate != rate {
            (bucket.rate, bucket.available) = (rate, bucket.available.clamp(full.saturating_neg(), full));
        }
        bucket.known = now;
    }

    /// How many deliveries of a workspace may begin now.
    pub fn room(&self, workspace: WorkspaceId, now: Instant) -> usize {
        let mut buckets = self.lock();
        let Some(bucket) = buckets.get_mut(&workspace) else { return usize::MAX };
        if bucket.rate.is_none() {
            return usize::MAX;
        }
        bucket.fill(now);
        match u64::try_from(bucket.available) {
            Ok(available) if available > 0 => {
                usize::try_from(available / bucket.expected).unwrap_or(usize::MAX).max(1)
            }
            _ => 0,
        }
    }

    /// Counts what a delivery sends, in bytes.
    pub fn spend(&self, workspace: WorkspaceId, bytes: usize) {
        let mut buckets = self.lock();
        let Some(bucket) = buckets.get_mut(&workspace).filter(|bucket| bucket.rate.is_some()) else { return };
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        bucket.available = bucket.available.saturating_sub_unsigned(bytes);
        // Falls slowly and rises at once, so that seldom more is begun than there is room for.
        bucket.expected = bytes.max(bucket.expected - bucket.expected / 8).max(1);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<WorkspaceId, Bucket>> {
        self.buckets.lock_anyway()
    }
}

impl Bucket {
    fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.rate.is_none_or(|rate| u64::try_from(self.available).is_ok_and(|available| available >= rate))
    }

    /// Adds what came since the last time.
    fn fill(&mut self, now: Instant) {
        let Some(rate) = self.rate else { return };
        let passed = now.saturating_duration_since(self.at).min(MINUTE * 60);
        let came = u128::from(rate) * passed.as_micros() / MINUTE.as_micros();
        if came == 0 {
            return;
        }
        let full = i64::try_from(rate).unwrap_or(i64::MAX);
        self.available = self.available.saturating_add(i64::try_from(came).unwrap_or(i64::MAX)).min(full);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use gatepost_entitlements::Plan;
    use proptest::prelude::*;

    use super::*;

    const OWN: WorkspaceId = WorkspaceId(1);

    fn throttle(mib: Option<u64>) -> Throttle {
        let plan = Plan { egress_mib_per_minute: mib, ..Plan::unlimited("small") };
        Throttle::new(Arc::new(Catalog::new([plan], []).expect("valid")))
    }

    proptest! {
        /// In no minute more goes out than the bucket holds and what comes in, and one delivery; and whoever
        /// waits gets on.
        #[test]
        fn a_workspace_sends_what_its_plan_gives(
            mib in 1..20u64,
            steps in prop::collection::vec((0..5_000u64, 1..1_048_576usize), 1..200),
        ) {
            let (throttle, began) = (throttle(Some(mib)), Instant::now());
            throttle.learn(OWN, "small", began);
            let (mut now, mut sent) = (began, 0_u64);
            for (gap, bytes) in steps {
                now += Duration::from_millis(gap);
                if throttle.room(OWN, now) > 0 {
                    throttle.spend(OWN, bytes);
                    sent += bytes as u64;
                }
                let passed = now.duration_since(began).as_micros();
                let most = u128::from(mib << 20) * (MINUTE.as_micros() + passed) / MINUTE.as_micros();
                prop_assert!(u128::from(sent) <= most + u128::from(LARGEST));
            }
            now += MINUTE;
            prop_assert!(throttle.room(OWN, now) > 0);
        }
    }

    #[test]
    fn debts_are_remembered_and_the_idle_are_forgotten() {
        let (throttle, now) = (throttle(Some(1)), Instant::now());
        throttle.learn(OWN, "small", now);
        throttle.spend(OWN, 10 << 20);
        let idle = i64::try_from(REMEMBERED).expect("small");
        for id in 2..=idle {
            throttle.learn(WorkspaceId(id), "small", now);
        }
        let later = now + 2 * MINUTE;
        throttle.learn(WorkspaceId(idle + 1), "small", later);
        assert_eq!(throttle.lock().len(), 2, "who owes, and who has just come");
        assert_eq!(throttle.room(OWN, later), 0);
    }

    #[test]
    fn small_deliveries_go_in_large_numbers() {
        let (throttle, now) = (throttle(Some(2)), Instant::now());
        assert_eq!(throttle.unknown([OWN, OWN], now), [OWN]);
        throttle.learn(OWN, "small", now);
        assert_eq!(throttle.unknown([OWN], now), []);
        assert_eq!(throttle.room(OWN, now), 2, "of the largest");
        for _ in 0..100 {
            throttle.spend(OWN, 1_000);
        }
        assert_eq!(throttle.room(OWN, now), (2 * 1_048_576 - 100_000) / 1_000);
        throttle.spend(OWN, 3 << 20);
        assert_eq!(throttle.room(OWN, now), 0);
        assert_eq!(throttle.room(OWN, now + Duration::from_secs(20)), 0, "it owes more than a minute's half");
        assert_eq!(throttle.room(OWN, now + Duration::from_secs(40)), 1);
        // Another plan holds within seconds.
        assert_eq!(throttle.unknown([OWN], now + BELIEVED), [OWN]);
        throttle.learn(OWN, "enterprise", now + BELIEVED);
        assert_eq!(throttle.room(OWN, now + BELIEVED), usize::MAX);
    }
}
