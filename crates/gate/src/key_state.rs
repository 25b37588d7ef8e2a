//! What this process remembers of one key: what the database said, its meter, and its use that is not written
//! down.
//!
//! All of it lies behind one lock of the key's own, so a request takes one lock and no other key waits for
//! it. What holds nothing can be dropped; whoever still has it then takes another.

use std::{
    borrow::Borrow,
    hash::{Hash, Hasher},
    net::IpAddr,
    num::NonZeroI64,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use gatepost_analytics::QuarterHour;
use gatepost_entitlements::Access;
use gatepost_kernel::{ApiKeyId, Environment, Error, LockAnyway, Result, Timestamp, WorkspaceId};
use gatepost_keys::{IpAllowlist, KeyStatus, Scope, ScopeOrder, ScopeRef, ScopeSet, TokenDigest};
use gatepost_limits::{Allowance, Meter};
use gatepost_storage::{RequestCounts, UsageDelta};

use crate::{KeyProfile, plans::PlanLimits};

/// One key. What never changes about it stands outside of the lock.
pub(crate) struct KeyState {
    pub digest: TokenDigest,
    pub key_id: ApiKeyId,
    pub workspace_id: WorkspaceId,
    pub environment: Environment,
    /// Whether it was used since the last sweep.
    pub used: AtomicBool,
    /// Whether more of its day is being leased ahead of use.
    pub leasing: AtomicBool,
    /// Whether it has left the map, so that what is counted here is lost. Read and written under the lock;
    /// it stands out here where it takes no room.
    dropped: AtomicBool,
    memory: Mutex<Memory>,
}

/// What changes.
pub(crate) struct Memory {
    /// What the database said; none if that is stale.
    pub known: Option<Known>,
    pub meter: KeyMeter,
    pub unwritten: UnwrittenUse,
}

/// What a key has used: here, or, if it was rotated, together with those that replaced each other.
#[derive(Default)]
pub(crate) struct KeyMeter {
    /// Its own; empty once there is a shared one.
    pub own: Meter,
    /// The number of the first of those; in eight bytes, since there are many keys and few are rotated.
    first: Option<NonZeroI64>,
}

impl KeyMeter {
    /// The first of those, by which [`Limiter`](crate::limiter::Limiter) keeps their meter.
    pub fn chain(&self) -> Option<ApiKeyId> {
        self.first.map(|first| ApiKeyId(first.get()))
    }

    /// Makes the key one of those from now on; whether it was none before.
    pub fn join(&mut self, first: ApiKeyId) -> bool {
        let before = std::mem::replace(&mut self.first, NonZeroI64::new(first.0));
        before.is_none() && self.first.is_some()
    }
}

/// What the database said, and when it is stale: once its workspace is of another generation.
pub(crate) struct Known {
    pub facts: Arc<Facts>,
    pub profile: KeyProfile,
    pub workspace: Arc<AtomicU64>,
    pub generation: u64,
}

/// What the database says about a key. Whether that lets a request in is judged each time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Facts {
    pub scopes: ScopeSet,
    /// The same as [`scope_list`] writes them, made once for all keys that have them.
    pub scope_list: Bytes,
    pub allowed_ips: IpAllowlist,
    pub limits: Arc<PlanLimits>,
    /// What all keys of its workspace may together; mostly nothing is said of that.
    pub together: Option<Arc<Allowance>>,
    /// When it ends by itself; [`NEVER`] if it does not.
    pub ends_at: Timestamp,
    pub access: Access,
    /// Whether it, or its whole workspace, was taken back.
    pub revoked: bool,
    /// Whether it is switched off.
    pub disabled: bool,
}

/// The end of what has none.
pub(crate) const NEVER: Timestamp = Timestamp::from_micros(i64::MAX);

/// Requests that were counted and are not written down.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct UnwrittenUse {
    successes: u32,
    redirects: u32,
    refusals: u32,
    failures: u32,
    last_used_at: i64,
}

/// The longest list of scopes for a header: proxies take no more than a few kilobytes of headers.
const MAX_SCOPE_LIST: usize = 4_096;

/// Scopes with blanks between; empty if they are too long for a header.
pub(crate) fn scope_list(scopes: &ScopeSet, order: ScopeOrder) -> Bytes {
    let list = scopes.texts(order).join(" ");
    if list.len() > MAX_SCOPE_LIST { Bytes::new() } else { list.into() }
}

impl Facts {
    /// Whether the key can be used at `now`.
    pub fn status(&self, now: Timestamp) -> KeyStatus {
        if self.revoked {
            KeyStatus::Revoked
        } else if self.ends_at <= now {
            KeyStatus::Expired
        } else if self.disabled {
            KeyStatus::Disabled
        } else {
            KeyStatus::Active
        }
    }

    pub fn allows_address(&self, address: Option<IpAddr>) -> bool {
        self.allowed_ips.allows(address)
    }

    /// Refuses what the key's scopes, or its workspace's plan, do not allow.
    pub fn may(&self, scope: ScopeRef<'_>) -> Result<()> {
        if !self.scopes.allows(scope) {
            return Err(Error::MissingScope(Scope::from(scope).to_string()));
        }
        let needed = Access::needed_for(scope.action());
        if needed > self.access {
            let (plan, needed) = (self.access.as_str(), needed.as_str());
            let text =
                format!("The plan of this workspace gives its keys {plan} access. Required access: {needed}");
            return Err(Error::AccessDenied(text));
        }
        Ok(())
    }
}

impl KeyState {
    pub fn new(
        digest: TokenDigest,
        key_id: ApiKeyId,
        workspace_id: WorkspaceId,
        environment: Environment,
    ) -> Self {
        let (meter, unwritten) = (KeyMeter::default(), UnwrittenUse::default());
        let memory = Memory { known: None, meter, unwritten };
        let (used, leasing, dropped) =
            (AtomicBool::new(true), AtomicBool::new(false), AtomicBool::new(false));
        Self { digest, key_id, workspace_id, environment, used, leasing, dropped, memory: Mutex::new(memory) }
    }

    pub fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock_anyway()
    }

    /// Whether it has left the map; for whoever holds its lock.
    pub fn is_dropped(&self, _memory: &Memory) -> bool {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Marks it as dropped, unless it still holds something or was used since the last time.
    pub fn drop_if_idle(&self, now: Timestamp) -> bool {
        let mut memory = self.lock();
        let idle = !self.used.swap(false, Ordering::Relaxed)
            && memory.unwritten.is_empty()
            && memory.meter.own.is_idle(now);
        if idle {
            self.dropped.store(true, Ordering::Relaxed);
            memory.known = None;
        }
        idle
    }

    /// What was counted and not written, which counts as written from now on.
    pub fn take_unwritten(&self, unwritten: &mut UnwrittenUse) -> Option<UsageDelta> {
        let use_ = std::mem::take(unwritten);
        (!use_.is_empty()).then(|| UsageDelta {
            api_key_id: self.key_id,
            workspace_id: self.workspace_id,
            environment: self.environment,
            slot: use_.slot(),
            counts: RequestCounts {
                successes: use_.successes.into(),
                redirects: use_.redirects.into(),
                refusals: use_.refusals.into(),
                failures: use_.failures.into(),
            },
            last_used_at: Timestamp::from_micros(use_.last_used_at),
        })
    }
}

impl Known {
    /// What the database said, if that is still so.
    pub fn fresh(&self) -> Option<&Self> {
        (self.workspace.load(Ordering::SeqCst) == self.generation).then_some(self)
    }
}

impl UnwrittenUse {
    pub fn is_empty(&self) -> bool {
        self.last_used_at == 0
    }

    /// The quarter hour of what is counted here.
    pub fn slot(&self) -> QuarterHour {
        QuarterHour::of(Timestamp::from_micros(self.last_used_at))
    }

    pub fn add(&mut self, now: Timestamp, status: u16) {
        let count = match status {
            ..300 => &mut self.successes,
            300..400 => &mut self.redirects,
            400..500 => &mut self.refusals,
            500.. => &mut self.failures,
        };
        *count = count.saturating_add(1);
        self.last_used_at = self.last_used_at.max(now.as_micros()).max(1);
    }
}

/// A key's state in a map, found by the digest inside it.
pub(crate) struct ByDigest(pub Arc<KeyState>);

impl Borrow<[u8; 32]> for ByDigest {
    fn borrow(&self) -> &[u8; 32] {
        self.0.digest.as_bytes()
    }
}

impl Hash for ByDigest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.digest.as_bytes().hash(state);
    }
}

impl PartialEq for ByDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest.as_bytes() == other.0.digest.as_bytes()
    }
}

impl Eq for ByDigest {}

/// Takes the digest's first bytes as they are: it is a hash already, and of a text that no caller chose.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The map adds a pointer to each, and its share of the table. Most keys share their facts with others.
    #[test]
    fn a_key_takes_few_bytes() {
        let state = size_of::<KeyState>() + 16;
        assert!(state <= 256, "{state}");
    }
}
