//! What has to be done from time to time.

use std::{sync::Arc, time::Duration};

use gatepost_app::{App, Job};
use gatepost_kernel::{AdjustedClock, SystemClock};
use gatepost_storage::{Notice, Storage, StorageError};
use tokio::sync::mpsc::UnboundedReceiver;

/// How far the counts of requests may lag behind …
const WRITE_USAGE_EVERY: Duration = Duration::from_secs(5);
/// … and how far when so many keys are in use that writing them all would be most of the work.
const WRITE_MANY_EVERY: Duration = Duration::from_secs(30);
const MANY: usize = 10_000;
const EVERY: Duration = Duration::from_secs(600);
const READ_CLOCK_EVERY: Duration = Duration::from_secs(60);
/// A machine's clock that is further off is worth a line in the log.
const CLOCK_OFF_MICROS: i64 = 1_000_000;

/// Runs the jobs until the task is dropped.
pub async fn run(app: App) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        match app.clean_up().await {
            Ok(rows) => {
                app.metrics().job_done(Job::CleanUp, app.now());
                if rows > 0 {
                    tracing::info!(rows.deleted = rows, "cleaned up");
                }
            }
            Err(error) => {
                tracing::warn!(error = %error.for_log(), "cleaning up failed");
            }
        }
    }
}

/// Writes the counts of requests down until the task is dropped; every process that answers requests does.
pub async fn write_usage(app: App) {
    loop {
        let wait = match app.gate().write_usage().await {
            Ok(written) => {
                app.metrics().job_done(Job::WriteUsage, app.now());
                if written > MANY { WRITE_MANY_EVERY } else { WRITE_USAGE_EVERY }
            }
            Err(error) => {
                tracing::warn!(error = %error.for_log(), "usage was not written; trying later");
                WRITE_USAGE_EVERY
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// Looks at once when another process announces something, until the task is dropped.
pub async fn hear_notices(app: App, mut notices: UnboundedReceiver<Notice>) {
    while let Some(notice) = notices.recv().await {
        match notice {
            Notice::Due => app.wake_deliveries(),
            Notice::Changes => app.gate().wake_follower(),
        }
    }
}

/// Sets the clock to the database's.
pub async fn read_database_clock(storage: &Storage, clock: &AdjustedClock) -> Result<(), StorageError> {
    // Without a good reading the last one stays.
    let Some(ahead) = storage.clock_ahead_by(&SystemClock).await? else { return Ok(()) };
    if ahead.abs() > CLOCK_OFF_MICROS {
        tracing::warn!(
            database.clock.ahead_ms = ahead / 1_000,
            "this machine's clock differs from the database's, which is used"
        );
    }
    clock.adjust(ahead);
    Ok(())
}

/// Keeps the clock at the database's until the task is dropped.
pub async fn follow_database_clock(app: App, clock: Arc<AdjustedClock>) {
    loop {
        tokio::time::sleep(READ_CLOCK_EVERY).await;
        // While the database does not answer, the last reading is as good as any.
        if read_database_clock(app.storage(), &clock).await.is_ok() {
            app.metrics().job_done(Job::ReadClock, app.now());
        }
    }
}
