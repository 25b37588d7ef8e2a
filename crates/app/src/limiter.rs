//! Counting requests, in this process: the meters of keys, and those of addresses that show no valid key.

use std::{
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use gatepost_kernel::{ApiKeyId, Error, Result, Timestamp};
use gatepost_limits::{Allowance, DayLease, Meter, Refusal, Verdict, day_of};
use gatepost_storage::Tx;

use crate::{
    App, Principal,
    key_state::{KeyState, Memory},
    presented::network_of,
};

/// How many meters are kept before those that hold nothing are dropped.
const SWEEP_ABOVE: usize = 100_000;
/// How often an address may ask for the fixed documents. A page of `/docs` takes ten of them.
const READS_PER_MINUTE: u64 = 300;

/// The meters of addresses and visitors, and whether days are still being leased. Those of keys are part of their state.
#[derive(Default)]
pub(crate) struct Limiter {
    addresses: Meters<IpAddr>,
    /// Those of addresses whose visits are tracked.
    visitors: Meters<IpAddr>,
    /// Those of addresses that read the fixed documents.
    readers: Meters<IpAddr>,
    /// Leases are taken under its read side; `true` once they have been given back.
    closed: tokio::sync::RwLock<bool>,
}

/// Meters by what they measure. One that holds nothing can be dropped; whoever finds it while it goes takes another.
struct Meters<K>(papaya::HashMap<K, Arc<Slot>>);

/// None once it is dropped.
struct Slot(Mutex<Option<Meter>>);

impl<K: Hash + Eq> Default for Meters<K> {
    fn default() -> Self {
        Self(papaya::HashMap::new())
    }
}

impl Default for Slot {
    fn default() -> Self {
        Self(Mutex::new(Some(Meter::new())))
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Option<Meter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq + Copy> Meters<K> {
    /// Lets `body` use the meter of `key`, alone.
    fn with<R>(&self, key: K, body: impl FnOnce(&mut Meter) -> R) -> R {
        loop {
            let slot = self.0.pin().get_or_insert_with(key, Arc::default).clone();
            let mut meter = slot.lock();
            if let Some(meter) = meter.as_mut() {
                return body(meter);
            }
            drop(meter);
            // It was dropped a moment ago and is still on its way out.
            std::thread::yield_now();
        }
    }

    /// Drops what holds nothing, if there are more than `above`.
    fn sweep(&self, now: Timestamp, above: usize) {
        if self.0.len() <= above {
            return;
        }
        self.0.pin().retain(|_, slot| {
            let mut meter = slot.lock();
            let idle = meter.as_mut().is_none_or(|meter| meter.is_idle(now));
            if idle {
                *meter = None;
            }
            !idle
        });
    }
}

/// The refusal of a verdict as the caller hears it; `None` if it was let in.
pub fn refusal(verdict: &Verdict, now: Timestamp) -> Option<Error> {
    let standing = match verdict.refusal? {
        Refusal::Minute => verdict.minute,
        Refusal::Day | Refusal::NeedsLease => verdict.day,
    }?;
    let retry_at = verdict.retry_at.unwrap_or(standing.reset_at);
    let wait = retry_at.since(now).as_micros().div_ceil(1_000_000);
    Some(Error::RateLimited {
        retry_after_seconds: u64::try_from(wait).unwrap_or(u64::MAX).max(1),
        limit: standing.limit,
        reset_at: retry_at.rounded_up(),
    })
}

impl App {
    /// Counts a request of `principal`, or refuses it and counts nothing. Only when this process holds too little of
    /// the key's day is the database asked.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it had to be asked and does not answer.
    pub async fn admit(&self, principal: &Principal, cost: u64) -> Result<Verdict> {
        self.admit_at(principal, cost).await.map(|(verdict, _)| verdict)
    }

    /// The same, with the instant that it was counted at.
    pub(crate) async fn admit_at(&self, principal: &Principal, cost: u64) -> Result<(Verdict, Timestamp)> {
        let allowance = principal.allowance();
        loop {
            let now = self.now();
            let verdict = self.auth_cache().with_state(principal, |state, memory| {
                let verdict = memory.meter.take(now, allowance, cost);
                self.lease_ahead(state, &verdict, allowance);
                verdict
            });
            match (verdict.refusal, allowance.per_day) {
                (Some(Refusal::NeedsLease), Some(limit)) => self.lease(principal, limit, cost).await?,
                _ => return Ok((verdict, now)),
            }
        }
    }

    /// Takes back what a request of `principal` that was let in at `then` has spent: what it was for did not happen.
    pub(crate) fn give_back(&self, principal: &Principal, cost: u64, then: Timestamp) {
        let (now, allowance) = (self.now(), principal.allowance());
        self.auth_cache()
            .with_state(principal, |_, memory| memory.meter.give_back(then, now, allowance, cost));
    }

    /// How `principal` stands against its limits; counts nothing.
    pub(crate) fn peek(&self, principal: &Principal) -> Verdict {
        let (now, allowance) = (self.now(), principal.allowance());
        self.auth_cache().with_state(principal, |_, memory| memory.meter.check(now, allowance, 0))
    }

    /// Leases more of a key's day before it is needed, where the verdict says so and nobody does it already.
    pub(crate) fn lease_ahead(&self, state: &Arc<KeyState>, verdict: &Verdict, allowance: &Allowance) {
        let Some(limit) = allowance.per_day else { return };
        let wanted = verdict.refusal.is_none() && verdict.lease_soon;
        if !wanted || state.leasing.swap(true, Ordering::AcqRel) {
            return;
        }
        let (app, state) = (self.clone(), state.clone());
        self.runtime().spawn(async move {
            // What fails now is tried again when the block is spent, and is told to the caller then.
            let keep = |day, granted, leased| state.lock().meter.day_mut().grant(day, granted, leased);
            let _ = app.day_block(state.key_id, limit, 1, keep).await;
            state.leasing.store(false, Ordering::Release);
        });
    }

    /// How `principal` stands, without counting anything.
    pub fn standing(&self, principal: &Principal) -> Verdict {
        let now = self.now();
        self.auth_cache().with_state(principal, |_, memory| memory.meter.check(now, principal.allowance(), 0))
    }

    /// Counts a request without a valid key from `address`, or refuses it.
    pub fn admit_anonymous(&self, address: Option<IpAddr>) -> Verdict {
        self.admit_address(&self.limiter().addresses, address, self.settings().anonymous_per_minute)
    }

    /// Counts a request of a page's visitor from `address`, or refuses it.
    pub fn admit_visitor(&self, address: Option<IpAddr>) -> Verdict {
        self.admit_address(&self.limiter().visitors, address, self.settings().pixel_per_minute)
    }

    /// Counts a request for a fixed document from `address`, or refuses it.
    pub fn admit_reader(&self, address: Option<IpAddr>) -> Verdict {
        self.admit_address(&self.limiter().readers, address, READS_PER_MINUTE)
    }

    fn admit_address(&self, meters: &Meters<IpAddr>, address: Option<IpAddr>, per_minute: u64) -> Verdict {
        let per_minute = Some(per_minute);
        let allowance = Allowance { per_minute, minute_cap: per_minute, per_day: None };
        let now = self.now();
        meters.with(network_of(address), |meter| meter.take(now, &allowance, 1))
    }

    /// Drops what memory need not hold, from time to time: idle meters, and keys that nobody uses.
    pub async fn sweep(self) {
        const EVERY: Duration = Duration::from_secs(10);
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            let now = self.now();
            self.limiter().addresses.sweep(now, SWEEP_ABOVE);
            self.limiter().visitors.sweep(now, SWEEP_ABOVE);
            self.limiter().readers.sweep(now, SWEEP_ABOVE);
            self.auth_cache().sweep(now);
        }
    }

    /// Gives back what was leased of keys' days and not spent, as a process does that stops.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; what was not given back is lost to its key for this day.
    pub async fn release_leases(&self) -> Result<()> {
        let day = day_of(self.now());
        // One that is on its way here must arrive before it can be given back.
        *self.limiter().closed.write().await = true;
        let states = self.auth_cache().states();
        let release = states.iter().map(|state| (state.key_id, state.lock().meter.day_mut().release(day)));
        let mut held: Vec<(ApiKeyId, u64)> = release.filter(|(_, unspent)| *unspent > 0).collect();
        // In one order everywhere, so that two processes that stop at once cannot wait for each other.
        held.sort_unstable();
        for batch in held.chunks(500) {
            let batch = batch.to_vec();
            let give_back = async move |mut tx: Tx<'_>| {
                for (id, unspent) in &batch {
                    tx.day_lease_release(*id, day, *unspent).await?;
                }
                Ok::<_, Error>(())
            };
            self.storage().transaction(give_back).await?;
        }
        Ok(())
    }

    async fn lease(&self, principal: &Principal, limit: u64, cost: u64) -> Result<()> {
        let keep = |day, granted, leased| {
            let grant =
                |_: &Arc<KeyState>, memory: &mut Memory| memory.meter.day_mut().grant(day, granted, leased);
            self.auth_cache().with_state(principal, grant);
        };
        self.day_block(principal.key_id(), limit, cost, keep).await
    }

    /// Fetches a block of a key's day, and hands over the day, what was granted, and what everyone has leased of it together. Who
    /// gives everything back waits until it is kept: what is on its way then would be lost.
    async fn day_block(
        &self,
        id: ApiKeyId,
        limit: u64,
        cost: u64,
        keep: impl FnOnce(i64, u64, u64),
    ) -> Result<()> {
        let closed = self.limiter().closed.read().await;
        if *closed {
            return Err(Error::Unavailable("this process is stopping and leases no more".to_owned()));
        }
        let day = day_of(self.now());
        let block = DayLease::block(limit).max(cost);
        let lease = async move |mut tx: Tx<'_>| Ok::<_, Error>(tx.day_lease(id, day, block, limit).await?);
        let (granted, leased) = self.storage().transaction(lease).await?;
        keep(day, granted, leased);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However often idle meters are dropped: whoever counts, counts in the one that stays.
    #[test]
    fn sweeping_forgets_no_request() {
        let (meters, cap) = (Meters::<u32>::default(), 20);
        let allowance = Allowance { per_minute: Some(cap), minute_cap: Some(cap), per_day: None };
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        for key in 0..300 {
            let admitted = std::thread::scope(|scope| {
                let takers = [(); 3].map(|()| {
                    scope.spawn(|| {
                        let take = |meter: &mut Meter| meter.take(now, &allowance, 1);
                        (0..20).filter(|_| meters.with(key, take).refusal.is_none()).count()
                    })
                });
                let sweeper = scope.spawn(|| (0..20).for_each(|_| meters.sweep(now, 0)));
                sweeper.join().expect("a sweeper");
                takers.map(|taker| taker.join().expect("a taker")).iter().sum::<usize>()
            });
            assert_eq!(admitted as u64, cap);
        }
        meters.sweep(now.plus(Duration::from_secs(61)), 0);
        assert_eq!(meters.0.len(), 0, "what is idle is gone");
    }
}
