//! What the database says of itself to Prometheus, and to those who look for what is slow.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use diesel::connection::{Instrumentation, InstrumentationEvent};
use gatepost_metrics::{By, Counter, Histogram, durations, label, sizes};

/// A statement that takes longer is worth a line in the log.
const SLOW: Duration = Duration::from_millis(500);

/// How much of a statement's text is logged.
const MAX_TEXT: usize = 4_000;

label! {
    /// What was asked of the database.
    pub(crate) enum Kind("kind") {
        /// A read whose statements need not agree.
        Read = "read",
        /// A read of one state.
        Snapshot = "snapshot",
        /// One that writes.
        Transaction = "transaction",
        /// One that writes in one statement.
        Statement = "statement",
    }
}

label! {
    /// What a unit of work waits for.
    pub(crate) enum Queue("queue") {
        /// A thread that reads, on SQLite.
        Read = "read",
        /// The thread that writes, on SQLite.
        Write = "write",
        /// A connection of the pool, on PostgreSQL.
        Pool = "pool",
    }
}

label! {
    /// What a connection of the pool does.
    pub(crate) enum ConnectionState("state") {
        Busy = "busy",
        Idle = "idle",
    }
}

label! {
    /// A file of SQLite.
    pub(crate) enum SqliteFile("file") {
        Main = "main",
        Wal = "wal",
    }
}

/// What was asked of the database, and how long it took.
pub(crate) struct StorageMetrics {
    /// Reads and transactions.
    pub(crate) asked: Counter,
    pub(crate) statements: Counter,
    pub(crate) slow_statements: Counter,
    pub(crate) durations: By<Kind, Histogram>,
    /// Units of work in one commit, on SQLite.
    pub(crate) group_sizes: Histogram,
}

impl Default for StorageMetrics {
    fn default() -> Self {
        Self {
            asked: Counter::default(),
            statements: Counter::default(),
            slow_statements: Counter::default(),
            durations: By::new(durations),
            group_sizes: sizes(),
        }
    }
}

impl StorageMetrics {
    /// Counts a unit of work, and how long its caller waits for it.
    pub(crate) async fn timed<R>(&self, kind: Kind, work: impl Future<Output = R>) -> R {
        self.asked.inc();
        let began = Instant::now();
        let answer = work.await;
        self.durations[kind].observe(began.elapsed().as_secs_f64());
        answer
    }

    /// Counts the statements of a connection, logs their texts at the level of `trace`, and those that are slow
    /// as a warning. Before each goes out, `begin` is called.
    pub(crate) fn instrumentation(
        self: &Arc<Self>,
        begin: impl Fn() + Send + 'static,
    ) -> impl Instrumentation {
        let metrics = self.clone();
        let mut began = None;
        move |event: InstrumentationEvent<'_>| match event {
            InstrumentationEvent::StartQuery { query, .. } => {
                begin();
                metrics.statements.inc();
                tracing::trace!(target: "gatepost::sql", statement = %text(query));
                began = Some(Instant::now());
            }
            InstrumentationEvent::FinishQuery { query, .. } => {
                let Some(took) = began.take().map(|began: Instant| began.elapsed()) else { return };
                if took >= SLOW {
                    metrics.slow_statements.inc();
                    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                    tracing::warn!(target: "gatepost::sql", duration_ms, statement = %text(query), "a slow statement");
                }
            }
            _ => {}
        }
    }
}

/// The text of a statement, of one that writes many rows its beginning. Diesel writes the values behind it; among
/// them are digests and sealed secrets.
fn text(query: &dyn diesel::connection::DebugQuery) -> String {
    let text = query.to_string();
    text.split(" -- binds").next().unwrap_or_default().chars().take(MAX_TEXT).collect()
}
