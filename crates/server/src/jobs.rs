//! What has to be done from time to time.

use std::time::Duration;

use gatepost_app::App;

/// How far the counts of requests may lag behind …
const WRITE_USAGE_EVERY: Duration = Duration::from_secs(5);
/// … and how far when so many keys are in use that writing them all would be most of the work.
const WRITE_MANY_EVERY: Duration = Duration::from_secs(30);
const MANY: usize = 10_000;
const EVERY: Duration = Duration::from_secs(600);

/// Runs the jobs until the task is dropped.
pub async fn run(app: App) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        match app.clean_up().await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows.deleted = rows, "cleaned up"),
            Err(error) => {
                let context = error.internal_context().unwrap_or_default();
                tracing::warn!(error = context, "cleaning up failed");
            }
        }
    }
}

/// Writes the counts of requests down until the task is dropped; every process that answers requests does.
pub async fn write_usage(app: App) {
    loop {
        let wait = match app.write_usage().await {
            Ok(written) if written > MANY => WRITE_MANY_EVERY,
            Ok(_) => WRITE_USAGE_EVERY,
            Err(error) => {
                let context = error.internal_context().unwrap_or_default();
                tracing::warn!(error = context, "usage was not written; trying later");
                WRITE_USAGE_EVERY
            }
        };
        tokio::time::sleep(wait).await;
    }
}
