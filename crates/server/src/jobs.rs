//! What has to be done from time to time.

use std::time::Duration;

use gatepost_app::App;

/// How far the counts of requests may lag behind.
const WRITE_USAGE_EVERY: Duration = Duration::from_secs(5);
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
    let mut ticks = tokio::time::interval(WRITE_USAGE_EVERY);
    loop {
        ticks.tick().await;
        if let Err(error) = app.write_usage().await {
            tracing::warn!(
                error = error.internal_context().unwrap_or_default(),
                "usage was not written; trying later"
            );
        }
    }
}
