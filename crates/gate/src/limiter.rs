//! Counting requests, in this process: the meters of keys, those of whole workspaces, and those of addresses
//! that show no valid key.
//!
//! Limits cannot be had twice. Keys that replaced each other share one meter, under the number of the first;
//! a new key begins with the minute and the day of those of its workspace that ended just before it; and a
//! plan may bound all keys of a workspace together.

use std::{
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, atomic::Ordering},
    time::Duration,
};

use gatepost_kernel::{ApiKeyId, Error, LockAnyway, Result, Timestamp, WorkspaceId};
use gatepost_keys::presented::network_of;
use gatepost_limits::{Allowance, DayLease, Meter, Refusal, Verdict, Whole, day_of};
use gatepost_storage::{CountedKey, LeaseHolder, Tx};

use crate::{
    Gate, Principal,
    key_state::{Facts, KeyMeter, KeyState, Memory},
};

/// How many meters are kept before those that hold nothing are dropped.
const SWEEP_ABOVE: usize = 100_000;
/// How often an address may ask for the fixed documents. A page of `/docs` takes ten of them.
const READS_PER_MINUTE: u64 = 300;
/// For how long a key that has ended counts on in one that is made after it.
pub const AFTERMATH: Duration = Duration::from_secs(60);

/// The meters of whatever is not one key, and whether days are still being leased. That of a key is part of
/// its state.
#[derive(Default)]
pub(crate) struct Limiter {
    /// Those of keys that replaced each other, by the first of them.
    chains: Meters<ApiKeyId>,
    /// Those of all keys of a workspace, where its plan bounds them together.
    workspaces: Meters<WorkspaceId>,
    /// The workspaces of whose days more is being leased ahead of use.
    leasing: papaya::HashSet<WorkspaceId>,
    addresses: Meters<IpAddr>,
    /// Those of addresses whose visits are tracked.
    visitors: Meters<IpAddr>,
    /// Those of addresses that read the fixed documents.
    readers: Meters<IpAddr>,
    /// Whose turn it is to lease, by workspace.
    lease_turns: LeaseTurns,
    /// Leases are taken under its read side; `true` once they have been given back.
    closed: tokio::sync::RwLock<bool>,
}

/// Several workspaces share one, which costs them a moment.
struct LeaseTurns([tokio::sync::Mutex<()>; 64]);

impl Default for LeaseTurns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| tokio::sync::Mutex::default()))
    }
}

impl Limiter {
    /// Waits until nobody leases for this workspace, but not for long: a database that is away answers
    /// nobody, and each who asks must hear of it in time.
    async fn lease_turn(&self, id: WorkspaceId) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        const PATIENCE: Duration = Duration::from_millis(500);
        let turns = &self.lease_turns.0;
        let index = id.0.unsigned_abs() % turns.len() as u64;
        let turn = turns[usize::try_from(index).unwrap_or(0)].lock();
        tokio::time::timeout(PATIENCE, turn).await.ok()
    }
}

/// Meters by what they measure. One that holds nothing can be dropped; whoever finds it while it goes takes
/// another.
struct Meters<K>(papaya::HashMap<K, Arc<SharedMeter>>);

/// None once it is dropped.
struct SharedMeter(Mutex<Option<Meter>>);

impl<K: Hash + Eq> Default for Meters<K> {
    fn default() -> Self {
        Self(papaya::HashMap::new())
    }
}

impl Default for SharedMeter {
    fn default() -> Self {
        Self(Mutex::new(Some(Meter::new())))
    }
}

impl SharedMeter {
    fn lock(&self) -> MutexGuard<'_, Option<Meter>> {
        self.0.lock_anyway()
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

    /// Lets `body` use every meter, one after the other.
    fn with_each<R>(&self, body: impl Fn(&mut Meter) -> R) -> Vec<(K, R)> {
        let meters = self.0.pin();
        let with =
            |(key, slot): (&K, &Arc<SharedMeter>)| slot.lock().as_mut().map(|meter| (*key, body(meter)));
        meters.iter().filter_map(with).collect()
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

impl Limiter {
    /// Counts a request on a key, and on its workspace where that is bounded too; or refuses it and counts
    /// nothing.
    #[inline]
    pub(crate) fn take(
        &self,
        meter: &mut KeyMeter,
        workspace: WorkspaceId,
        facts: &Facts,
        now: Timestamp,
        cost: u64,
    ) -> Verdict {
        let allowance = &facts.limits.allowance;
        if meter.chain().is_none() && facts.together.is_none() {
            return meter.own.take(now, allowance, cost);
        }
        self.with_all(meter, workspace, facts, |meter, whole| match whole {
            None => meter.take(now, allowance, cost),
            Some(whole) => meter.take_within(now, allowance, whole, cost),
        })
    }

    /// What a request would meet; counts nothing.
    fn check(&self, meter: &mut KeyMeter, workspace: WorkspaceId, facts: &Facts, now: Timestamp) -> Verdict {
        let allowance = &facts.limits.allowance;
        self.with_all(meter, workspace, facts, |meter, whole| match whole {
            None => meter.check(now, allowance, 0),
            Some(whole) => meter.check_within(now, allowance, whole, 0),
        })
    }

    /// Lets `body` use the meters that a request counts on. Whoever holds that of a key may wait for that of
    /// its chain, and then for that of its workspace, and never the other way round.
    #[inline(never)]
    fn with_all<R>(
        &self,
        meter: &mut KeyMeter,
        workspace: WorkspaceId,
        facts: &Facts,
        body: impl FnOnce(&mut Meter, Option<Whole<'_>>) -> R,
    ) -> R {
        self.with_own(meter, |own| match &facts.together {
            None => body(own, None),
            Some(allowance) => {
                self.workspaces.with(workspace, |meter| body(own, Some(Whole { meter, allowance })))
            }
        })
    }

    /// Lets `body` use the meter of a key, or that of its chain.
    pub(crate) fn with_own<R>(&self, meter: &mut KeyMeter, body: impl FnOnce(&mut Meter) -> R) -> R {
        match meter.chain() {
            None => body(&mut meter.own),
            Some(chain) => self.chains.with(chain, body),
        }
    }

    /// Makes a key one of a chain; what it has used is what the chain has used.
    pub(crate) fn join(&self, meter: &mut KeyMeter, chain: ApiKeyId, now: Timestamp) {
        if meter.join(chain) {
            let own = std::mem::take(&mut meter.own);
            self.chains.with(chain, |shared| shared.take_over(own, now));
        }
    }
}

impl Gate {
    /// Counts a request of `principal`, or refuses it and counts nothing. Only when this process holds too
    /// little of the key's day is the database asked.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it had to be asked and does not answer.
    pub async fn take(&self, principal: &Principal, cost: u64) -> Result<Verdict> {
        self.take_at(principal, cost).await.map(|(verdict, _)| verdict)
    }

    /// The same, with the instant that it was counted at.
    pub async fn take_at(&self, principal: &Principal, cost: u64) -> Result<(Verdict, Timestamp)> {
        let facts = principal.facts();
        let mut turn = None;
        loop {
            let now = self.now();
            let verdict = self.0.keys.with_state(principal, |state, memory| {
                let verdict = self.0.limiter.take(&mut memory.meter, state.workspace_id, facts, now, cost);
                self.lease_ahead(state, memory.meter.chain(), &verdict, facts);
                verdict
            });
            let together = facts.together.as_ref().and_then(|together| together.per_day);
            match (verdict.refusal, facts.limits.allowance.per_day, together) {
                // Who comes at the same time finds what the first has leased, and leases nothing more.
                (Some(Refusal::NeedsLease | Refusal::WorkspaceNeedsLease), ..) if turn.is_none() => {
                    turn = Some(self.0.limiter.lease_turn(principal.workspace_id()).await);
                }
                (Some(Refusal::NeedsLease), Some(limit), _) => self.lease(principal, limit, cost).await?,
                (Some(Refusal::WorkspaceNeedsLease), _, Some(limit)) => {
                    self.lease_workspace(principal.workspace_id(), limit, cost).await?;
                }
                _ => {
                    self.metrics().limited(&verdict);
                    return Ok((verdict, now));
                }
            }
        }
    }

    /// Takes back what a request of `principal` that was let in at `then` has spent: what it was for did not
    /// happen.
    pub fn give_back(&self, principal: &Principal, cost: u64, then: Timestamp) {
        let (now, facts) = (self.now(), principal.facts());
        self.0.keys.with_state(principal, |state, memory| {
            self.0.limiter.with_all(&mut memory.meter, state.workspace_id, facts, |meter, whole| {
                meter.give_back(then, now, &facts.limits.allowance, cost);
                if let Some(Whole { meter, allowance }) = whole {
                    meter.give_back(then, now, allowance, cost);
                }
            });
        });
    }

    /// Leases more of a day before it is needed, where the verdict says so and nobody does it already.
    #[inline]
    pub(crate) fn lease_ahead(
        &self,
        state: &Arc<KeyState>,
        chain: Option<ApiKeyId>,
        verdict: &Verdict,
        facts: &Facts,
    ) {
        if verdict.refusal.is_none() && (verdict.lease_soon || verdict.lease_workspace_soon) {
            self.lease_soon(state, chain, verdict, facts);
        }
    }

    /// What fails now is tried again when the block is spent, and is told to the caller then.
    fn lease_soon(&self, state: &Arc<KeyState>, chain: Option<ApiKeyId>, verdict: &Verdict, facts: &Facts) {
        let own = facts.limits.allowance.per_day.filter(|_| verdict.lease_soon);
        if let Some(limit) = own
            && !state.leasing.swap(true, Ordering::AcqRel)
        {
            let (gate, state) = (self.clone(), state.clone());
            let holder = LeaseHolder::Key(chain.unwrap_or(state.key_id));
            self.0.runtime.spawn(async move {
                let keep = |day, granted, leased| {
                    let grant = |meter: &mut Meter| meter.day_mut().grant(day, granted, leased);
                    gate.0.limiter.with_own(&mut state.lock().meter, grant);
                };
                let _ = gate.day_block(holder, limit, 1, keep).await;
                state.leasing.store(false, Ordering::Release);
            });
        }
        let together = facts.together.as_ref().and_then(|together| together.per_day);
        let workspace = state.workspace_id;
        if let Some(limit) = together.filter(|_| verdict.lease_workspace_soon)
            && self.0.limiter.leasing.pin().insert(workspace)
        {
            let gate = self.clone();
            self.0.runtime.spawn(async move {
                let _ = gate.lease_workspace(workspace, limit, 1).await;
                gate.0.limiter.leasing.pin().remove(&workspace);
            });
        }
    }

    /// Begins to count on a key that was just looked up: with its chain, if it is one of those that replaced
    /// each other, or where the busiest of those stands that ended before it was made.
    pub(crate) fn begin_counting(
        &self,
        principal: &Principal,
        chain: Option<ApiKeyId>,
        ended: &[CountedKey],
    ) {
        let now = self.now();
        // One after the other: whoever holds the meter of a key waits for no other key's.
        let of_ended = ended.iter().filter_map(|key| {
            self.0.keys.with_meter(&key.digest, |meter| self.0.limiter.with_own(meter, |own| own.clone()))
        });
        let of_ended: Vec<Meter> = of_ended.collect();
        self.0.keys.with_state(principal, |_, memory| {
            if let Some(chain) = chain {
                self.0.limiter.join(&mut memory.meter, chain, now);
            }
            self.0.limiter.with_own(&mut memory.meter, |own| {
                of_ended.into_iter().for_each(|mut ended| own.begin_with(&mut ended, now));
            });
        });
    }

    /// What this process holds of a key's day and has not spent.
    pub fn unspent(&self, key: &CountedKey, day: i64) -> u64 {
        let held = self
            .0
            .keys
            .with_meter(&key.digest, |meter| self.0.limiter.with_own(meter, |own| own.day_mut().held(day)));
        held.unwrap_or_default()
    }

    /// How `principal` stands, without counting anything.
    pub fn standing(&self, principal: &Principal) -> Verdict {
        let now = self.now();
        self.0.keys.with_state(principal, |state, memory| {
            self.0.limiter.check(&mut memory.meter, state.workspace_id, principal.facts(), now)
        })
    }

    /// Counts a request without a valid key from `address`, or refuses it.
    pub fn admit_anonymous(&self, address: Option<IpAddr>) -> Verdict {
        self.admit_address(&self.0.limiter.addresses, address, self.0.settings.limits.anonymous_per_minute)
    }

    /// Counts a request of a page's visitor from `address`, or refuses what goes beyond `per_minute`.
    pub fn admit_visitor(&self, address: Option<IpAddr>, per_minute: u64) -> Verdict {
        self.admit_address(&self.0.limiter.visitors, address, per_minute)
    }

    /// Counts a request for a fixed document from `address`, or refuses it.
    pub fn admit_reader(&self, address: Option<IpAddr>) -> Verdict {
        self.admit_address(&self.0.limiter.readers, address, READS_PER_MINUTE)
    }

    fn admit_address(&self, meters: &Meters<IpAddr>, address: Option<IpAddr>, per_minute: u64) -> Verdict {
        let per_minute = Some(per_minute);
        let allowance = Allowance { per_minute, minute_cap: per_minute, per_day: None };
        let now = self.now();
        let verdict = meters.with(network_of(address), |meter| meter.take(now, &allowance, 1));
        self.metrics().limited_by_address(&verdict);
        verdict
    }

    /// Drops what memory need not hold, from time to time: idle meters, and keys that nobody uses.
    pub async fn sweep(self) {
        const EVERY: Duration = Duration::from_secs(10);
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            let now = self.now();
            self.0.limiter.addresses.sweep(now, SWEEP_ABOVE);
            self.0.limiter.visitors.sweep(now, SWEEP_ABOVE);
            self.0.limiter.readers.sweep(now, SWEEP_ABOVE);
            self.0.limiter.chains.sweep(now, SWEEP_ABOVE);
            self.0.limiter.workspaces.sweep(now, SWEEP_ABOVE);
            self.0.keys.sweep(now);
        }
    }

    /// Gives back what was leased of keys' days and not spent, as a process does that stops.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; what was not given back is lost to its key for this day.
    pub async fn release_leases(&self) -> Result<()> {
        let day = day_of(self.now());
        // One that is on its way here must arrive before it can be given back.
        *self.0.limiter.closed.write().await = true;
        let mut held: Vec<(LeaseHolder, u64)> = Vec::new();
        for state in self.0.keys.states() {
            let unspent = state.lock().meter.own.day_mut().release(day);
            held.push((LeaseHolder::Key(state.key_id), unspent));
        }
        let release = |meter: &mut Meter| meter.day_mut().release(day);
        let of_chains = self.0.limiter.chains.with_each(release).into_iter();
        held.extend(of_chains.map(|(first, unspent)| (LeaseHolder::Key(first), unspent)));
        let of_workspaces = self.0.limiter.workspaces.with_each(release).into_iter();
        held.extend(of_workspaces.map(|(id, unspent)| (LeaseHolder::Workspace(id), unspent)));
        held.retain(|(_, unspent)| *unspent > 0);
        // In one order everywhere, so that two processes that stop at once cannot wait for each other.
        held.sort_unstable();
        for batch in held.chunks(500) {
            let batch = batch.to_vec();
            let give_back = async move |mut tx: Tx<'_>| {
                for (holder, unspent) in &batch {
                    tx.day_lease_release(*holder, day, *unspent).await?;
                }
                Ok::<_, Error>(())
            };
            self.0.storage.transaction(give_back).await?;
        }
        Ok(())
    }

    async fn lease(&self, principal: &Principal, limit: u64, cost: u64) -> Result<()> {
        let counts_as =
            |state: &Arc<KeyState>, memory: &mut Memory| memory.meter.chain().unwrap_or(state.key_id);
        let holder = LeaseHolder::Key(self.0.keys.with_state(principal, counts_as));
        let keep = |day, granted, leased| {
            self.0.keys.with_state(principal, |_, memory| {
                let grant = |meter: &mut Meter| meter.day_mut().grant(day, granted, leased);
                self.0.limiter.with_own(&mut memory.meter, grant);
            });
        };
        self.day_block(holder, limit, cost, keep).await
    }

    async fn lease_workspace(&self, id: WorkspaceId, limit: u64, cost: u64) -> Result<()> {
        let keep = |day, granted, leased| {
            self.0.limiter.workspaces.with(id, |meter| meter.day_mut().grant(day, granted, leased));
        };
        self.day_block(LeaseHolder::Workspace(id), limit, cost, keep).await
    }

    /// Fetches a block of a day, and hands over the day, what was granted, and what everyone has leased of it
    /// together. Who gives everything back waits until it is kept: what is on its way then would be lost.
    async fn day_block(
        &self,
        holder: LeaseHolder,
        limit: u64,
        cost: u64,
        keep: impl FnOnce(i64, u64, u64),
    ) -> Result<()> {
        let closed = self.0.limiter.closed.read().await;
        if *closed {
            return Err(Error::unavailable("this process is stopping and leases no more"));
        }
        let day = day_of(self.now());
        let block = DayLease::block(limit).max(cost);
        let lease =
            async move |mut tx: Tx<'_>| Ok::<_, Error>(tx.day_lease(holder, day, block, limit).await?);
        let (granted, leased) = self.0.storage.transaction(lease).await?;
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
