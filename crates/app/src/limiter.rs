//! Counting requests, in this process: the meters of keys, and those of addresses that show no valid key.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use gatepost_kernel::{ApiKeyId, Error, Result, Timestamp};
use gatepost_limits::{Allowance, DayLease, Meter, Refusal, Verdict, day_of};
use gatepost_storage::Tx;

use crate::{App, Principal};

/// How many meters are kept before those that hold nothing are dropped.
const SWEEP_ABOVE: usize = 100_000;

/// The meters.
#[derive(Default)]
pub(crate) struct Limiter {
    keys: Meters<ApiKeyId>,
    addresses: Meters<IpAddr>,
    /// Leases are taken under its read side; `true` once they have been given back.
    closed: tokio::sync::RwLock<bool>,
}

/// Meters by what they measure. One that holds nothing can be dropped; whoever finds it while it goes takes another.
struct Meters<K>(papaya::HashMap<K, Arc<Slot>>);

struct Slot {
    /// None once it is dropped.
    meter: Mutex<Option<Meter>>,
    /// Whether more of the day is being leased ahead of use.
    leasing: AtomicBool,
}

impl<K: Hash + Eq> Default for Meters<K> {
    fn default() -> Self {
        Self(papaya::HashMap::new())
    }
}

impl Default for Slot {
    fn default() -> Self {
        Self { meter: Mutex::new(Some(Meter::new())), leasing: AtomicBool::new(false) }
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Option<Meter>> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq + Copy> Meters<K> {
    /// Lets `body` use the meter of `key`, alone.
    fn with<R>(&self, key: K, body: impl FnOnce(&Arc<Slot>, &mut Meter) -> R) -> R {
        loop {
            let slot = self.0.pin().get_or_insert_with(key, Arc::default).clone();
            let mut meter = slot.lock();
            if let Some(meter) = meter.as_mut() {
                return body(&slot, meter);
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
        reset_at: retry_at,
    })
}

impl App {
    /// Counts a request of `principal`, or refuses it and counts nothing. Only when this process holds too little of
    /// the key's day is the database asked.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it had to be asked and does not answer.
    pub async fn admit(&self, principal: &Principal, cost: u64) -> Result<Verdict> {
        let (id, allowance) = (principal.key_id(), principal.allowance());
        loop {
            let now = self.now();
            let (verdict, ahead) = self.limiter().keys.with(id, |slot, meter| {
                let verdict = meter.take(now, allowance, cost);
                let ahead = verdict.refusal.is_none() && verdict.lease_soon;
                (verdict, (ahead && !slot.leasing.swap(true, Ordering::AcqRel)).then(|| slot.clone()))
            });
            match (verdict.refusal, ahead, allowance.per_day) {
                (Some(Refusal::NeedsLease), _, Some(limit)) => self.lease(id, limit, cost).await?,
                (_, Some(slot), Some(limit)) => {
                    let app = self.clone();
                    self.runtime().spawn(async move {
                        // What fails now is tried again when the block is spent, and is told to the caller then.
                        let _ = app.lease(id, limit, 1).await;
                        slot.leasing.store(false, Ordering::Release);
                    });
                    return Ok(verdict);
                }
                _ => return Ok(verdict),
            }
        }
    }

    /// How `principal` stands, without counting anything.
    pub fn standing(&self, principal: &Principal) -> Verdict {
        let now = self.now();
        self.limiter().keys.with(principal.key_id(), |_, meter| meter.check(now, principal.allowance(), 0))
    }

    /// Counts a request without a valid key from `address`, or refuses it.
    pub fn admit_anonymous(&self, address: Option<IpAddr>) -> Verdict {
        let per_minute = Some(self.settings().anonymous_per_minute);
        let allowance = Allowance { per_minute, minute_cap: per_minute, per_day: None };
        let now = self.now();
        self.limiter().addresses.with(network_of(address), |_, meter| meter.take(now, &allowance, 1))
    }

    /// Drops what memory need not hold, from time to time: idle meters, and keys that nobody uses.
    pub async fn sweep(self) {
        const EVERY: Duration = Duration::from_secs(10);
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            let now = self.now();
            self.limiter().keys.sweep(now, SWEEP_ABOVE);
            self.limiter().addresses.sweep(now, SWEEP_ABOVE);
            self.auth_cache().sweep();
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
        let mut held: Vec<(ApiKeyId, u64)> = {
            let keys = self.limiter().keys.0.pin();
            let release = keys.iter().map(|(id, slot)| {
                (*id, slot.lock().as_mut().map_or(0, |meter| meter.day_mut().release(day)))
            });
            release.filter(|(_, unspent)| *unspent > 0).collect()
        };
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

    async fn lease(&self, id: ApiKeyId, limit: u64, cost: u64) -> Result<()> {
        let closed = self.limiter().closed.read().await;
        if *closed {
            return Err(Error::Unavailable("this process is stopping and leases no more".to_owned()));
        }
        let day = day_of(self.now());
        let block = DayLease::block(limit).max(cost);
        let lease = async move |mut tx: Tx<'_>| Ok::<_, Error>(tx.day_lease(id, day, block, limit).await?);
        let (granted, leased) = self.storage().transaction(lease).await?;
        self.limiter().keys.with(id, |_, meter| meter.day_mut().grant(day, granted, leased));
        Ok(())
    }
}

/// Whom an address stands for: an IPv6 subscriber has a whole /64. Those without an address count together.
fn network_of(address: Option<IpAddr>) -> IpAddr {
    match address.map(gatepost_keys::normalize_address) {
        Some(IpAddr::V6(v6)) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        Some(v4) => v4,
        None => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However often idle meters are dropped: whoever counts, counts in the one that stays.
    #[test]
    fn sweeping_forgets_no_request() {
        let (meters, cap) = (Meters::<ApiKeyId>::default(), 20);
        let allowance = Allowance { per_minute: Some(cap), minute_cap: Some(cap), per_day: None };
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        for key in 0..300 {
            let admitted = std::thread::scope(|scope| {
                let takers = [(); 3].map(|()| {
                    scope.spawn(|| {
                        let take = |_: &Arc<Slot>, meter: &mut Meter| meter.take(now, &allowance, 1);
                        (0..20).filter(|_| meters.with(ApiKeyId(key), take).refusal.is_none()).count()
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
