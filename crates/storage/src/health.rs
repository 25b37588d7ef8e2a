//! Whether the database answers, and what it says of itself.

use diesel::{QueryableByName, sql_types::Text};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{Clock, Timestamp};
use gatepost_metrics::{Measured, Registry, Unit};

use crate::{Engine, Result, Storage, StorageError, Tx, engine::Conn, metrics::SqliteFile, types::Instant};

/// What the database says of itself.
#[derive(Debug, Clone)]
pub struct Health {
    /// The version of the engine.
    pub version: String,
    /// What its clock shows.
    pub now: Timestamp,
}

#[derive(QueryableByName)]
struct HealthRow {
    #[diesel(sql_type = Text)]
    version: String,
    #[diesel(sql_type = Instant)]
    now: Timestamp,
}

/// A reading that took longer says too little.
const MAX_ROUND_TRIP_MICROS: i64 = 100_000;

impl Storage {
    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] if it gives none in time.
    pub async fn ping(&self) -> Result<()> {
        self.health().await.map(|_| ())
    }

    /// Asks the database for its version and its clock.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] if it does not answer in time.
    pub async fn health(&self) -> Result<Health> {
        let row = self
            .read::<_, StorageError, _>(async |tx: Tx<'_>| {
                Ok(match tx.0 {
                    Conn::Sqlite(c) => {
                        diesel::sql_query(
                            "SELECT sqlite_version() AS version, \
                             CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER) AS now",
                        )
                        .get_result::<HealthRow>(c)
                        .await?
                    }
                    Conn::Postgres(c) => {
                        diesel::sql_query(
                            "SELECT current_setting('server_version') AS version, clock_timestamp() AS now",
                        )
                        .get_result::<HealthRow>(c)
                        .await?
                    }
                })
            })
            .await?;
        Ok(Health { version: row.version, now: row.now })
    }

    /// By how many microseconds the database's clock is ahead of `clock`; 0 on SQLite, which has none of its
    /// own. None if the answer took too long to say.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] if it does not answer in time.
    pub async fn clock_ahead_by(&self, clock: &dyn Clock) -> Result<Option<i64>> {
        if self.engine() == Engine::Sqlite {
            return Ok(Some(0));
        }
        let before = clock.now().as_micros();
        let there = self.health().await?.now.as_micros();
        let round_trip = clock.now().as_micros() - before;
        // Half of the round trip has passed since the database looked; of a long one, nobody knows.
        Ok((0..=MAX_ROUND_TRIP_MICROS).contains(&round_trip).then_some(there - (before + round_trip / 2)))
    }
}

impl Storage {
    /// How often the database was asked so far: reads and transactions, not single queries.
    pub fn times_asked(&self) -> u64 {
        self.metrics().asked.get()
    }

    /// How many statements were run so far.
    pub fn statements(&self) -> u64 {
        self.metrics().statements.get()
    }

    /// Registers what is counted here, and what is looked up when somebody asks.
    pub fn register_metrics(&self, registry: &mut Registry) {
        let metrics = self.metrics();
        registry.register_with_unit(
            "database_duration",
            "Time that reads and transactions took, with their waiting",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        registry.register(
            "database_group_size",
            "Units of work in one commit, on SQLite",
            metrics.group_sizes.clone(),
        );
        registry.register("database_statements", "Statements that were run", metrics.statements.clone());
        registry.register(
            "database_slow_statements",
            "Statements that took half a second or longer; the log has their texts",
            metrics.slow_statements.clone(),
        );
        let storage = self.clone();
        registry.register(
            "database_waiting",
            "Units of work that wait: for the threads of SQLite that read, for the one that writes, or for a connection to PostgreSQL",
            Measured::new(move |queue| Some(storage.waiting(queue) as f64)),
        );
        let storage = self.clone();
        registry.register(
            "database_connections",
            "Connections of the pool; none on SQLite",
            Measured::new(move |state| Some(storage.connections(state) as f64)),
        );
        let storage = self.clone();
        registry.register_with_unit(
            "database_file",
            "Size of the files of SQLite",
            Unit::Bytes,
            Measured::new(move |file| storage.file_bytes(file).map(|bytes| bytes as f64)),
        );
    }

    fn file_bytes(&self, file: SqliteFile) -> Option<u64> {
        let mut path = self.path()?.as_os_str().to_owned();
        if file == SqliteFile::Wal {
            path.push("-wal");
        }
        Some(std::fs::metadata(path).map_or(0, |metadata| metadata.len()))
    }
}
