//! What is known about tokens, so that a request needs no database.
//!
//! An entry is a key as it was read; whether it has expired, and from where it may be used, is judged at
//! every request. What others change is learnt from the change feed ([`Gate::follow_changes`]); what this
//! process changes, from the same feed, right after the commit and before the change is answered. A process
//! that has not read the feed for [`TRUST`] believes nothing that it remembers, and asks the database each
//! time.
//!
//! **Filling races with forgetting.** A reader may find a key just before it is revoked, and put it down just
//! after it was forgotten. So every forgetting first raises the version; a reader notes the version before it
//! asks, and puts its answer down only if the version is still the same, under the lock that forgetting takes
//! too.
//!
//! **Unknown tokens** leave nothing behind, so they cannot push known ones out. They are asked for in
//! batches, one query at a time, so a flood of them costs few queries, and a known key that is not remembered
//! yet waits for two at most.

use std::{
    collections::{HashMap, HashSet},
    hash::BuildHasherDefault,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use gatepost_kernel::{ApiKeyId, ChangeId, Error, LockAnyway, Result, Timestamp, WorkspaceId};
use gatepost_keys::TokenDigest;
use gatepost_storage::{ApiKeyOwner, ChangeSubject, CountedKey, Tx};
use tokio::sync::{Notify, oneshot};

use crate::{
    Gate, KeyProfile, Principal,
    key_state::{
        ByDigest, DigestHasher, Facts, KeyMeter, KeyState, Known, Memory, NEVER as NO_END, UnwrittenUse,
        scope_list,
    },
    limiter::AFTERMATH,
};

/// For how long after the beginning of the last good look at the feed an entry is believed.
const TRUST: Duration = Duration::from_secs(4);
/// How often the feed is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// After a longer silence, entries of the feed may have been deleted unread.
const FORGET_AFTER: Duration = Duration::from_secs(3_600);
const FEED_BATCH: u32 = 500;
const LOAD_BATCH: usize = 256;
const MAX_WAITING: usize = 50_000;
/// Above this, keys that were not used lately are forgotten.
const MAX_ENTRIES: usize = 1 << 20;
/// How many different facts are shared; beyond, each key has its own.
const MAX_SHARED: usize = 10_000;

type Lookup = Result<Option<Principal>>;

pub(crate) struct KeyStates {
    entries: papaya::HashMap<ByDigest, (), BuildHasherDefault<DigestHasher>>,
    /// Most keys of a tenant differ in nothing that is remembered here.
    shared: Mutex<HashSet<Arc<Facts>>>,
    /// Grows when a workspace changes: entries that were read at a smaller one are stale.
    workspaces: papaya::HashMap<WorkspaceId, Arc<AtomicU64>>,
    version: AtomicU64,
    trust: Trust,
    /// The last entry of the feed that was seen; none before the first look.
    seen: tokio::sync::Mutex<Option<ChangeId>>,
    looks: AtomicU64,
    /// Grows when any workspace may have changed.
    workspace_changes: AtomicU64,
    /// Told when another process says that the feed has grown.
    announced: Notify,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    callers: HashMap<TokenDigest, Vec<oneshot::Sender<Lookup>>>,
    loading: bool,
}

/// When the last good look began, by a clock that never goes back and by the wall's: the first stands still
/// while the machine sleeps.
struct Trust {
    anchor: Instant,
    micros: AtomicI64,
    wall: AtomicI64,
}

const NEVER: i64 = i64::MIN;

impl Trust {
    fn since_last_look(&self, now: Timestamp) -> Option<Duration> {
        let (micros, wall) = (self.micros.load(Ordering::Acquire), self.wall.load(Ordering::Acquire));
        if micros == NEVER {
            return None;
        }
        let elapsed = self.elapsed().saturating_sub(micros);
        let elapsed = Duration::from_micros(u64::try_from(elapsed).unwrap_or(0));
        Some(elapsed.max(now.since(Timestamp::from_micros(wall))))
    }

    fn elapsed(&self) -> i64 {
        i64::try_from(self.anchor.elapsed().as_micros()).unwrap_or(i64::MAX)
    }
}

impl KeyStates {
    pub(crate) fn new() -> Self {
        Self {
            entries: papaya::HashMap::default(),
            shared: Mutex::default(),
            workspaces: papaya::HashMap::new(),
            version: AtomicU64::new(0),
            trust: Trust {
                anchor: Instant::now(),
                micros: AtomicI64::new(NEVER),
                wall: AtomicI64::new(NEVER),
            },
            seen: tokio::sync::Mutex::new(None),
            looks: AtomicU64::new(0),
            workspace_changes: AtomicU64::new(0),
            announced: Notify::new(),
            waiting: Mutex::default(),
        }
    }

    /// Lets `body` use what is remembered of a key, alone; none if that may be stale.
    pub(crate) fn with<R>(
        &self,
        digest: &TokenDigest,
        now: Timestamp,
        body: impl FnOnce(&Arc<KeyState>, &Known, &mut KeyMeter, &mut UnwrittenUse) -> R,
    ) -> Option<R> {
        if self.trust.since_last_look(now).is_none_or(|since| since >= TRUST) {
            return None;
        }
        let entries = self.entries.pin();
        let (ByDigest(state), ()) = entries.get_key_value(digest.as_bytes())?;
        if !state.used.load(Ordering::Relaxed) {
            state.used.store(true, Ordering::Relaxed);
        }
        let mut memory = state.lock();
        let Memory { known, meter, unwritten } = &mut *memory;
        Some(body(state, known.as_ref()?.fresh()?, meter, unwritten))
    }

    /// Lets `body` count on a key, alone: on the state that its principal has, or, if that was dropped, on
    /// the one that took its place.
    pub(crate) fn with_state<R>(
        &self,
        principal: &Principal,
        body: impl FnOnce(&Arc<KeyState>, &mut Memory) -> R,
    ) -> R {
        let mut state = principal.state().clone();
        loop {
            let mut memory = state.lock();
            if !state.is_dropped(&memory) {
                return body(&state, &mut memory);
            }
            let chain = memory.meter.chain();
            drop(memory);
            // It may still be on its way out.
            std::thread::yield_now();
            let fresh = KeyState::new(state.digest, state.key_id, state.workspace_id, state.environment);
            if let Some(chain) = chain {
                fresh.lock().meter.join(chain);
            }
            state = self.state(fresh);
        }
    }

    /// The state of a key, or `fresh` if it has none.
    fn state(&self, fresh: KeyState) -> Arc<KeyState> {
        let entries = self.entries.pin();
        let fresh = Arc::new(fresh);
        loop {
            if let Some((ByDigest(state), ())) = entries.get_key_value(fresh.digest.as_bytes()) {
                return state.clone();
            }
            if entries.try_insert(ByDigest(fresh.clone()), ()).is_ok() {
                return fresh;
            }
        }
    }

    /// Lets `body` look at what a key has used, if anything of it is remembered.
    pub(crate) fn with_meter<R>(
        &self,
        digest: &TokenDigest,
        body: impl FnOnce(&mut KeyMeter) -> R,
    ) -> Option<R> {
        let entries = self.entries.pin();
        let (ByDigest(state), ()) = entries.get_key_value(digest.as_bytes())?;
        Some(body(&mut state.lock().meter))
    }

    /// Every key of which something is remembered.
    pub(crate) fn states(&self) -> Vec<Arc<KeyState>> {
        self.entries.pin().keys().map(|ByDigest(state)| state.clone()).collect()
    }

    /// Puts a key down that was read after the version was `version`; nothing is counted on it from memory
    /// before `begin` is done.
    fn fill(
        &self,
        fresh: KeyState,
        (facts, profile): (Facts, KeyProfile),
        version: u64,
        begin: impl FnOnce(&Principal),
    ) -> Principal {
        let workspace = self.workspace(fresh.workspace_id);
        let generation = workspace.load(Ordering::SeqCst);
        let principal = Principal::new(self.shared(facts), profile, self.state(fresh));
        begin(&principal);
        let mut memory = principal.state().lock();
        if self.version.load(Ordering::SeqCst) == version && !principal.state().is_dropped(&memory) {
            let (facts, profile) = (principal.facts().clone(), principal.profile().clone());
            memory.known = Some(Known { facts, profile, workspace, generation });
        }
        drop(memory);
        principal
    }

    /// The one copy of facts that many keys may have.
    fn shared(&self, facts: Facts) -> Arc<Facts> {
        let mut shared = lock(&self.shared);
        if let Some(known) = shared.get(&facts) {
            return known.clone();
        }
        if shared.len() >= MAX_SHARED {
            shared.retain(|facts| Arc::strong_count(facts) > 1);
        }
        let facts = Arc::new(facts);
        // An end of its own makes a key one of a kind.
        if facts.ends_at == NO_END && shared.len() < MAX_SHARED {
            shared.insert(facts.clone());
        }
        facts
    }

    fn workspace(&self, id: WorkspaceId) -> Arc<AtomicU64> {
        self.workspaces.pin().get_or_insert_with(id, Arc::default).clone()
    }

    fn forget(
        &self,
        keys: &[CountedKey],
        workspaces: &[WorkspaceId],
        joins: impl Fn(&mut KeyMeter, ApiKeyId),
    ) {
        self.version.fetch_add(1, Ordering::SeqCst);
        if !workspaces.is_empty() {
            self.workspace_changes.fetch_add(1, Ordering::SeqCst);
        }
        for id in workspaces {
            self.workspace(*id).fetch_add(1, Ordering::SeqCst);
        }
        let entries = self.entries.pin();
        for key in keys {
            let Some((ByDigest(state), ())) = entries.get_key_value(key.digest.as_bytes()) else { continue };
            let mut memory = state.lock();
            memory.known = None;
            if let Some(chain) = key.chain {
                joins(&mut memory.meter, chain);
            }
        }
    }

    fn forget_all(&self) {
        self.version.fetch_add(1, Ordering::SeqCst);
        self.workspace_changes.fetch_add(1, Ordering::SeqCst);
        for ByDigest(state) in self.entries.pin().keys() {
            state.lock().known = None;
        }
    }

    /// Believes nothing until the feed was read again.
    fn distrust(&self) {
        self.trust.micros.store(NEVER, Ordering::Release);
    }

    /// Drops keys that were not used since the last time, when there are many.
    pub(crate) fn sweep(&self, now: Timestamp) {
        self.sweep_above(now, MAX_ENTRIES);
    }

    fn sweep_above(&self, now: Timestamp, above: usize) {
        if self.entries.len() > above {
            self.entries.pin().retain(|ByDigest(state), ()| !state.drop_if_idle(now));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock_anyway()
}

impl Gate {
    /// The key that a token belongs to, whatever its state.
    pub async fn principal(&self, digest: TokenDigest) -> Lookup {
        let remembered = |state: &Arc<KeyState>, known: &Known, _: &mut KeyMeter, _: &mut UnwrittenUse| {
            Principal::new(known.facts.clone(), known.profile.clone(), state.clone())
        };
        match self.0.keys.with(&digest, self.now(), remembered) {
            Some(principal) => {
                self.metrics().hit();
                Ok(Some(principal))
            }
            None => {
                self.metrics().missed();
                self.load(digest).await
            }
        }
    }

    /// What a key's row and its workspace's say together.
    pub(crate) fn facts(&self, owner: &ApiKeyOwner) -> Facts {
        let key = &owner.key;
        let tier = key.rate_limit_tier.as_ref().unwrap_or(&owner.workspace_tier);
        let plan = self.0.plans.of(&owner.workspace_tier);
        Facts {
            scopes: key.scopes.clone(),
            scope_list: scope_list(&key.scopes, self.0.settings.scope_order),
            allowed_ips: key.allowed_ips.clone(),
            limits: self.0.plans.of(tier).limits.clone(),
            together: plan.together.clone(),
            ends_at: key.ends_at().unwrap_or(NO_END),
            access: plan.access,
            revoked: owner.workspace_deleted || key.revoked_at.is_some(),
            disabled: key.disabled_at.is_some(),
        }
    }

    /// Reads the feed again and again, until the task is dropped.
    pub async fn follow_changes(self) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.0.keys.announced.notified() => {}
            }
            match self.catch_up().await {
                Ok(()) if failing => tracing::info!("the change feed is read again"),
                Err(error) if !failing => {
                    tracing::warn!(
                        error = %error.for_log(),
                        "the change feed cannot be read; soon every key is looked up anew"
                    );
                }
                _ => {}
            }
            failing =
                self.0.keys.trust.since_last_look(self.now()).is_none_or(|since| since > LOOK_EVERY * 2);
        }
    }

    /// Says that another process has changed something: the feed is read at once.
    pub fn wake_follower(&self) {
        self.0.keys.announced.notify_one();
    }

    /// Reads the feed to its end and forgets what has changed.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; what was remembered is then believed for a few seconds more, and no longer.
    pub async fn catch_up(&self) -> Result<()> {
        let keys = &self.0.keys;
        let mut seen = keys.seen.lock().await;
        let (began, wall) = (keys.trust.elapsed(), self.now());
        if keys.trust.since_last_look(wall).is_some_and(|since| since > FORGET_AFTER) {
            *seen = None;
        }
        loop {
            keys.looks.fetch_add(1, Ordering::Relaxed);
            let Some(last) = *seen else {
                let end = self.0.read(async |mut tx| Ok(tx.change_last_id().await?)).await?;
                keys.forget_all();
                *seen = Some(end);
                break;
            };
            let look = async move |mut tx: Tx<'_>| {
                let changes = tx.change_list_after(last, FEED_BATCH).await?;
                let ids: Vec<ApiKeyId> = changes
                    .iter()
                    .filter_map(
                        |change| if let ChangeSubject::ApiKey(id) = change.subject { Some(id) } else { None },
                    )
                    .collect();
                let counted = if ids.is_empty() { Vec::new() } else { tx.api_keys_counted(&ids).await? };
                Ok((changes, counted))
            };
            let (changes, counted) = self.0.read(look).await?;
            let Some(end) = changes.last().map(|change| change.id) else { break };
            let workspaces: Vec<WorkspaceId> = changes
                .iter()
                .filter_map(
                    |change| if let ChangeSubject::Workspace(id) = change.subject { Some(id) } else { None },
                )
                .collect();
            // The successor of a key counts with it from its very first use.
            let joins = |meter: &mut KeyMeter, chain| self.0.limiter.join(meter, chain, wall);
            keys.forget(&counted, &workspaces, joins);
            *seen = Some(end);
            if changes.len() < FEED_BATCH as usize {
                break;
            }
        }
        keys.trust.wall.store(wall.as_micros(), Ordering::Release);
        keys.trust.micros.store(began, Ordering::Release);
        Ok(())
    }

    /// After a change of this process's own was committed: nobody is told of it before this process knows
    /// itself.
    pub async fn learn_own_change(&self) {
        // Should the feed be out of reach just now, whatever is remembered counts for nothing.
        if self.catch_up().await.is_err() {
            self.0.keys.distrust();
        }
    }

    /// A number that grows before a change of any workspace is answered: what was read of workspaces at a
    /// smaller one is stale.
    pub fn workspace_changes(&self) -> u64 {
        self.0.keys.workspace_changes.load(Ordering::SeqCst)
    }

    /// How often the feed was looked at.
    pub fn feed_looks(&self) -> u64 {
        self.0.keys.looks.load(Ordering::Relaxed)
    }

    /// How long ago the last good look at the feed began; none before the first.
    pub fn feed_age(&self) -> Option<Duration> {
        self.0.keys.trust.since_last_look(self.now())
    }

    /// Of how many keys something is remembered.
    pub fn keys_remembered(&self) -> usize {
        self.0.keys.entries.len()
    }

    async fn load(&self, digest: TokenDigest) -> Lookup {
        let (caller, answer) = oneshot::channel();
        let start = {
            let mut waiting = lock(&self.0.keys.waiting);
            if waiting.callers.len() >= MAX_WAITING {
                return Err(Error::unavailable("too many keys are waiting to be looked up"));
            }
            waiting.callers.entry(digest).or_default().push(caller);
            !std::mem::replace(&mut waiting.loading, true)
        };
        if start {
            // On the main runtime: the request that began it may go away, and others wait for the same
            // answer.
            let gate = self.clone();
            self.0.runtime.spawn(async move { gate.load_waiting().await });
        }
        answer.await.map_err(|_| Error::unavailable("the look-up of a key was given up"))?
    }

    async fn load_waiting(&self) {
        let keys = &self.0.keys;
        loop {
            let batch: Vec<(TokenDigest, Vec<oneshot::Sender<Lookup>>)> = {
                let mut waiting = lock(&keys.waiting);
                let some: Vec<TokenDigest> = waiting.callers.keys().take(LOAD_BATCH).copied().collect();
                if some.is_empty() {
                    waiting.loading = false;
                    return;
                }
                some.into_iter().filter_map(|digest| waiting.callers.remove_entry(&digest)).collect()
            };
            let digests: Vec<TokenDigest> = batch.iter().map(|(digest, _)| *digest).collect();
            let version = keys.version.load(Ordering::SeqCst);
            let now = self.now();
            let query = async move |mut tx: Tx<'_>| {
                let mut found = Vec::new();
                for (digest, owner) in tx.api_keys_by_digests(&digests).await? {
                    let ended = ended_before(&mut tx, &owner, now).await?;
                    found.push((digest, owner, ended));
                }
                Ok(found)
            };
            let found = self.0.read(query).await.map(|owners| {
                let principals = owners.into_iter().map(|(digest, owner, ended)| {
                    let key = &owner.key;
                    let fresh = KeyState::new(digest, key.id, key.workspace_id, key.environment);
                    let begin = |principal: &Principal| self.begin_counting(principal, owner.chain, &ended);
                    let said = (self.facts(&owner), KeyProfile::of(key));
                    (digest, keys.fill(fresh, said, version, begin))
                });
                principals.collect::<HashMap<TokenDigest, Principal>>()
            });
            for (digest, callers) in batch {
                let answer = found.as_ref().map(|found| found.get(&digest).cloned());
                for caller in callers {
                    // Who has gone away needs no answer.
                    let _ = caller.send(answer.clone().map_err(Clone::clone));
                }
            }
        }
    }
}

/// The keys that a new one has most likely come in the place of.
async fn ended_before(tx: &mut Tx<'_>, owner: &ApiKeyOwner, now: Timestamp) -> Result<Vec<CountedKey>> {
    let key = &owner.key;
    if key.rotated_from_id.is_some() || key.created_at < now.minus(AFTERMATH) {
        return Ok(Vec::new());
    }
    Ok(tx.api_keys_ended_between(key.workspace_id, key.created_at.minus(AFTERMATH), key.created_at).await?)
}

#[cfg(test)]
mod tests {
    use gatepost_kernel::{Environment, Timestamp};
    use gatepost_limits::Allowance;

    use super::*;
    use crate::plans::PlanLimits;

    /// However often idle keys are dropped: whoever counts, counts on the state that stays.
    #[test]
    fn sweeping_forgets_no_request() {
        let (states, cap) = (KeyStates::new(), 20);
        let allowance = Allowance { per_minute: Some(cap), minute_cap: Some(cap), per_day: None };
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        for id in 0..300u16 {
            let mut digest = [0; 32];
            digest[..2].copy_from_slice(&id.to_le_bytes());
            let digest = TokenDigest::from_bytes(digest);
            let fresh = || KeyState::new(digest, ApiKeyId(id.into()), WorkspaceId::ROOT, Environment::Live);
            let facts = Facts {
                scopes: gatepost_keys::ScopeSet::default(),
                scope_list: bytes::Bytes::new(),
                allowed_ips: gatepost_keys::IpAllowlist::default(),
                limits: Arc::new(PlanLimits { index: 0, name: "free".to_owned(), allowance }),
                together: None,
                ends_at: NO_END,
                access: gatepost_entitlements::Access::Write,
                revoked: false,
                disabled: false,
            };
            let profile = KeyProfile::new("Key", None, &gatepost_keys::Metadata::default());
            let principal = states.fill(fresh(), (facts, profile), 0, |_| {});
            let admitted = std::thread::scope(|scope| {
                let takers = [(); 3].map(|()| {
                    let (states, principal) = (&states, &principal);
                    scope.spawn(move || {
                        let take = |_: &Arc<KeyState>, memory: &mut Memory| {
                            memory.meter.own.take(now, &allowance, 1)
                        };
                        (0..20).filter(|_| states.with_state(principal, take).refusal.is_none()).count()
                    })
                });
                let sweeper = scope.spawn(|| (0..20).for_each(|_| states.sweep_above(now, 0)));
                sweeper.join().expect("a sweeper");
                takers.map(|taker| taker.join().expect("a taker")).iter().sum::<usize>()
            });
            assert_eq!(admitted as u64, cap);
        }
        // The first look only takes the mark of use away.
        let later = now.plus(Duration::from_secs(61));
        states.sweep_above(later, 0);
        states.sweep_above(later, 0);
        assert_eq!(states.entries.len(), 0, "what is idle is gone");
    }
}
