//! What keys were used for.

use std::collections::HashMap;

use gatepost_kernel::{ApiKeyId, Page, Result, Timestamp, Window};
use gatepost_keys::ApiKey;
use gatepost_limits::day_end;
use gatepost_storage::{DayUsage, RequestCounts};

use crate::{
    App, Caller,
    keys::api_keys::{self, ListApiKeys},
    lists::ListRequest,
};

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

pub use gatepost_limits::day_of;

/// The beginning of a UTC day.
pub fn day_start(day: i64) -> Timestamp {
    day_end(day - 1)
}

/// A key's use on the last `days` days.
///
/// # Errors
/// [`NotFound`](gatepost_kernel::Error::NotFound) as for [`api_keys::get`];
/// [`Unavailable`](gatepost_kernel::Error::Unavailable).
pub async fn of_key(app: &App, caller: &Caller, id: ApiKeyId, days: u32) -> Result<KeyUsage> {
    // What this process knows and has not written is part of the answer.
    app.gate().write_usage().await?;
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

/// One page of the keys that the caller manages and that are not revoked, the newest first, with what they were
/// used for in the last `days`, today included; keys that were not used have no counts.
///
/// # Errors
/// [`gatepost_kernel::Error::Unavailable`].
pub async fn list(
    app: &App,
    caller: &Caller,
    days: u32,
    window: Window,
) -> Result<(Page<ApiKey>, HashMap<ApiKeyId, RequestCounts>)> {
    app.gate().write_usage().await?;
    let request = ListRequest { order: api_keys::newest_first(), ..ListRequest::of(window) };
    let (page, _) = api_keys::list(app, caller, ListApiKeys::default(), request).await?;
    let ids: Vec<ApiKeyId> = page.items.iter().map(|key| key.id).collect();
    let first_day = day_of(app.now()) - i64::from(days) + 1;
    let used = app.read(async move |mut tx| Ok(tx.usage_list_of(&ids, first_day).await?)).await?;
    let mut totals = HashMap::<ApiKeyId, RequestCounts>::new();
    for (key, day) in used {
        let total = totals.entry(key).or_default();
        total.successes += day.counts.successes;
        total.redirects += day.counts.redirects;
        total.refusals += day.counts.refusals;
        total.failures += day.counts.failures;
    }
    Ok((page, totals))
}
