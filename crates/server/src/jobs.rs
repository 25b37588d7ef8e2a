//! What has to be done from time to time.

use std::time::Duration;

use gatepost_app::App;

const EVERY: Duration = Duration::from_secs(600);

/// Runs the jobs until the task is dropped.
pub async fn run(app: App) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        match app.forget_old_answers().await {
            Ok(0) => {}
            Ok(forgotten) => tracing::info!(answers.forgotten = forgotten, "old idempotency records deleted"),
            Err(error) => {
                let context = error.internal_context().unwrap_or_default();
                tracing::warn!(error = context, "old idempotency records could not be deleted");
            }
        }
    }
}
