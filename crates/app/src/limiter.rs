//! Counting requests, in this process: the meters of keys, and those of addresses that show no valid key.

use std::{
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
    keys: papaya::HashMap<ApiKeyId, Arc<KeyMeter>>,
    addresses: papaya::HashMap<IpAddr, Arc<Mutex<Meter>>>,
    /// Leases are taken under its read side; `true` once they have been given back.
    closed: tokio::sync::RwLock<bool>,
}

#[derive(Default)]
struct KeyMeter {
    meter: Mutex<Meter>,
    /// Whether more of the day is being leased ahead of use.
    leasing: AtomicBool,
}

impl KeyMeter {
    fn lock(&self) -> MutexGuard<'_, Meter> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Limiter {
    fn key(&self, id: ApiKeyId) -> Arc<KeyMeter> {
        self.keys.pin().get_or_insert_with(id, Arc::default).clone()
    }

    /// Drops what holds nothing, when there is much of it.
    fn sweep(&self, now: Timestamp) {
        if self.keys.len() > SWEEP_ABOVE {
            // One that somebody is using right now is not dropped under his hands.
            self.keys.pin().retain(|_, key| Arc::strong_count(key) > 1 || !key.lock().is_idle(now));
        }
        if self.addresses.len() > SWEEP_ABOVE {
            let idle =
                |meter: &Mutex<Meter>| meter.lock().unwrap_or_else(PoisonError::into_inner).is_idle(now);
            self.addresses.pin().retain(|_, meter| Arc::strong_count(meter) > 1 || !idle(meter));
        }
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
        let key = self.limiter().key(id);
        loop {
            let verdict = key.lock().take(self.now(), allowance, cost);
            match (verdict.refusal, allowance.per_day) {
                (Some(Refusal::NeedsLease), Some(limit)) => self.lease(id, &key, limit, cost).await?,
                (_, Some(limit)) if verdict.lease_soon && !key.leasing.swap(true, Ordering::AcqRel) => {
                    let (app, key) = (self.clone(), key.clone());
                    self.runtime().spawn(async move {
                        // What fails now is tried again when the block is spent, and is told to the caller then.
                        let _ = app.lease(id, &key, limit, 1).await;
                        key.leasing.store(false, Ordering::Release);
                    });
                    return Ok(verdict);
                }
                _ => return Ok(verdict),
            }
        }
    }

    /// How `principal` stands, without counting anything.
    pub fn standing(&self, principal: &Principal) -> Verdict {
        self.limiter().key(principal.key_id()).lock().check(self.now(), principal.allowance(), 0)
    }

    /// Counts a request without a valid key from `address`, or refuses it.
    pub fn admit_anonymous(&self, address: Option<IpAddr>) -> Verdict {
        let per_minute = Some(self.settings().anonymous_per_minute);
        let allowance = Allowance { per_minute, minute_cap: per_minute, per_day: None };
        let meter =
            self.limiter().addresses.pin().get_or_insert_with(network_of(address), Arc::default).clone();
        meter.lock().unwrap_or_else(PoisonError::into_inner).take(self.now(), &allowance, 1)
    }

    /// Drops what memory need not hold, from time to time: idle meters, and keys that nobody uses.
    pub async fn sweep(self) {
        const EVERY: Duration = Duration::from_secs(10);
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            self.limiter().sweep(self.now());
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
        let held: Vec<(ApiKeyId, u64)> = {
            let keys = self.limiter().keys.pin();
            let release = keys.iter().map(|(id, key)| (*id, key.lock().day_mut().release(day)));
            release.filter(|(_, unspent)| *unspent > 0).collect()
        };
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

    async fn lease(&self, id: ApiKeyId, key: &KeyMeter, limit: u64, cost: u64) -> Result<()> {
        let closed = self.limiter().closed.read().await;
        if *closed {
            return Err(Error::Unavailable("this process is stopping and leases no more".to_owned()));
        }
        let day = day_of(self.now());
        let block = DayLease::block(limit).max(cost);
        let lease = async move |mut tx: Tx<'_>| Ok::<_, Error>(tx.day_lease(id, day, block, limit).await?);
        let (granted, leased) = self.storage().transaction(lease).await?;
        key.lock().day_mut().grant(day, granted, leased);
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
