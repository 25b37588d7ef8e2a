//! What keys are used for: counted in memory, written behind in batches.
//!
//! A crash loses the last seconds of these counts. They decide nothing; quotas are counted elsewhere.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use gatepost_analytics::Slot;
use gatepost_kernel::{ApiKeyId, Error, LockAnyway, Result, Timestamp};
use gatepost_keys::ApiKey;
use gatepost_limits::{day_end, day_of};
use gatepost_storage::{DayUsage, RequestCounts, Tx, UsageDelta};

use crate::{
    App, Caller, Principal,
    gate::{KeyState, UnwrittenUse},
    keys::api_keys,
};

/// How many keys one transaction writes.
const BATCH: usize = 500;

/// Which keys have counts that are not written yet.
#[derive(Default)]
pub(crate) struct UsageRecorder {
    /// Keys whose state holds some.
    counted: Mutex<Vec<Arc<KeyState>>>,
    /// Those of a quarter hour that is over, and those that could not be written.
    rest: Mutex<HashMap<(ApiKeyId, Slot), UsageDelta>>,
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
        } else if unwritten.slot() != Slot::of(now)
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

/// A key's use by day, and, if it replaced another, whether that one is still in use.
#[derive(Debug, Clone)]
pub struct KeyUsage {
    /// The key.
    pub key: ApiKey,
    /// Its days, the newest first; days without requests are left out.
    pub days: Vec<DayUsage>,
    /// The key that it replaced.
    pub replaced: Option<ApiKey>,
}

/// The beginning of a UTC day.
pub fn day_start(day: i64) -> Timestamp {
    day_end(day - 1)
}

/// A key's use on the last `days` days.
///
/// # Errors
/// [`Error::NotFound`] as for [`api_keys::get`]; [`Error::Unavailable`].
pub async fn of_key(app: &App, caller: &Caller, id: ApiKeyId, days: u32) -> Result<KeyUsage> {
    // What this process knows and has not written is part of the answer.
    app.write_usage().await?;
    let (key, _) = api_keys::get(app, caller, id, false).await?;
    let first_day = day_of(app.now()) - i64::from(days) + 1;
    let (workspace, replaced) = (key.workspace_id, key.rotated_from_id);
    app.read_snapshot(async move |mut tx| {
        let replaced = match replaced {
            Some(replaced) => tx.api_key_get(workspace, replaced).await?,
            None => None,
        };
        Ok(KeyUsage { key, days: tx.usage_list(id, first_day).await?, replaced })
    })
    .await
}

impl App {
    /// Counts a request that `principal` made and that was answered with `status`.
    pub fn record_use(&self, principal: &Principal, status: u16) {
        let now = self.now();
        self.auth_cache().with_state(principal, |state, memory| {
            self.usage().count(state, &mut memory.unwritten, now, status)
        });
    }

    /// Writes down what was counted; for how many keys and quarter hours. What cannot be written is tried again later.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn write_usage(&self) -> Result<usize> {
        let mut pending = self.usage().take();
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
            if let Err(error) = self.storage().transaction(write).await {
                batch.iter().for_each(|delta| self.usage().keep(*delta));
                outcome = Err(error);
            }
        }
        outcome
    }
}
