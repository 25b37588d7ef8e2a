//! What keys are used for: counted in memory, written behind in batches.
//!
//! A crash loses the last seconds of these counts. They decide nothing; quotas are counted elsewhere.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use gatepost_analytics::QuarterHour;
use gatepost_kernel::{ApiKeyId, Error, LockAnyway, Result, Timestamp};
use gatepost_storage::{RequestCounts, Tx, UsageDelta};

use crate::{
    Gate, Principal,
    key_state::{KeyState, UnwrittenUse},
};

/// How many keys one transaction writes.
const BATCH: usize = 500;

/// Which keys have counts that are not written yet.
#[derive(Default)]
pub(crate) struct UsageRecorder {
    /// Keys whose state holds some.
    counted: Mutex<Vec<Arc<KeyState>>>,
    /// Those of a quarter hour that is over, and those that could not be written.
    rest: Mutex<HashMap<(ApiKeyId, QuarterHour), UsageDelta>>,
}

impl UsageRecorder {
    /// Counts a request on a key whose memory is held.
    pub(crate) fn count(
        &self,
        state: &Arc<KeyState>,
        unwritten: &mut UnwrittenUse,
        now: Timestamp,
        status: u16,
    ) {
        if unwritten.is_empty() {
            lock(&self.counted).push(state.clone());
        } else if unwritten.slot() != QuarterHour::of(now)
            && let Some(delta) = state.take_unwritten(unwritten)
        {
            // It stays on the list.
            self.keep(delta);
        }
        unwritten.add(now, status);
    }

    fn keep(&self, delta: UsageDelta) {
        lock(&self.rest)
            .entry((delta.api_key_id, delta.slot))
            .and_modify(|sum| {
                sum.counts = plus(sum.counts, delta.counts);
                sum.last_used_at = sum.last_used_at.max(delta.last_used_at);
            })
            .or_insert(delta);
    }

    fn take(&self) -> Vec<UsageDelta> {
        for state in std::mem::take(&mut *lock(&self.counted)) {
            if let Some(delta) = state.take_unwritten(&mut state.lock().unwritten) {
                self.keep(delta);
            }
        }
        std::mem::take(&mut *lock(&self.rest)).into_values().collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock_anyway()
}

fn plus(a: RequestCounts, b: RequestCounts) -> RequestCounts {
    RequestCounts {
        successes: a.successes + b.successes,
        redirects: a.redirects + b.redirects,
        refusals: a.refusals + b.refusals,
        failures: a.failures + b.failures,
    }
}

impl Gate {
    /// Counts a request that `principal` made and that was answered with `status`.
    pub fn record_use(&self, principal: &Principal, status: u16) {
        let now = self.now();
        self.0.keys.with_state(principal, |state, memory| {
            self.0.usage.count(state, &mut memory.unwritten, now, status)
        });
    }

    /// Writes down what was counted; for how many keys and quarter hours. What cannot be written is tried
    /// again later.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn write_usage(&self) -> Result<usize> {
        let mut pending = self.0.usage.take();
        // In one order everywhere, so that two nodes cannot wait for each other.
        pending.sort_by_key(|delta| (delta.api_key_id, delta.slot));
        let mut outcome = Ok(pending.len());
        for batch in pending.chunks(BATCH) {
            let deltas = batch.to_vec();
            let write = async move |mut tx: Tx<'_>| {
                for delta in &deltas {
                    tx.usage_add(delta).await?;
                }
                Ok::<_, Error>(())
            };
            if let Err(error) = self.0.storage.transaction(write).await {
                batch.iter().for_each(|delta| self.0.usage.keep(*delta));
                outcome = Err(error);
            }
        }
        outcome
    }
}
