//! What keys were used for.

use gatepost_kernel::{ApiKeyId, Result, Timestamp};
use gatepost_keys::ApiKey;
use gatepost_limits::{day_end, day_of};
use gatepost_storage::DayUsage;

use crate::{App, Caller, keys::api_keys};

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
