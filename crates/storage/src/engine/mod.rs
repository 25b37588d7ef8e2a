//! One handle over two engines.
//!
//! Both run a unit of work away from the request that asked for it, so that a client that goes away cannot
//! leave a transaction open: on SQLite on a thread of the engine's own, on PostgreSQL in a task of the main
//! runtime. Both answer within [`DEADLINE`], if only to say that the database does not.

mod connect;
mod op;
mod postgres;
mod sql_state;
mod sqlite;
mod sqlite_faults;
mod url;
mod write_ahead_log;

use std::{path::Path, sync::Arc, time::Duration};

use gatepost_kernel::{Cause, Fate};
pub use op::Op;
pub(crate) use postgres::PostgresConn;
pub(crate) use sql_state::{fate, postgres_state};
pub use sqlite::ServeLock;
pub(crate) use sqlite::SqliteConn;
pub(crate) use sqlite_faults::Fault;
use tokio::sync::mpsc;
pub use url::{DatabaseSettings, DatabaseUrl};

use self::{postgres::PostgresEngine, sqlite::SqliteEngine};
use crate::{
    Migrated, Result, SchemaState, StorageError,
    metrics::{ConnectionState, Kind, Queue, StorageMetrics},
};

/// How long a caller waits for the database before it is told that there is none.
pub(crate) const DEADLINE: Duration = Duration::from_millis(3_500);

/// A connection of either engine, inside a transaction unless it is for single reads.
///
/// A body that gets one may only await this type's own methods: on SQLite it runs on the writer's thread,
/// where nothing else can make progress.
pub struct Tx<'c>(pub(crate) Conn<'c>);

/// The connection of either engine.
pub(crate) enum Conn<'c> {
    /// On the writer's or a reader's thread.
    Sqlite(&'c mut SqliteConn),
    /// A pooled connection.
    Postgres(&'c mut PostgresConn),
}

/// Runs one query body on the connection that a [`Tx`] holds, compiled once for each engine. With a second
/// name, `|conn, Db|`, that name is the engine's diesel backend inside.
macro_rules! on_conn {
    ($tx:expr, |$conn:ident $(, $backend:ident)?| $body:expr) => {
        match &mut $tx.0 {
            $crate::engine::Conn::Sqlite(conn) => {
                $(type $backend = diesel::sqlite::Sqlite;)?
                let $conn: &mut $crate::engine::SqliteConn = conn;
                $body
            }
            $crate::engine::Conn::Postgres(conn) => {
                $(type $backend = diesel::pg::Pg;)?
                let $conn: &mut $crate::engine::PostgresConn = conn;
                $body
            }
        }
    };
}

/// Which engine is behind a [`Storage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// An embedded file.
    Sqlite,
    /// A server.
    Postgres,
}

/// What another process says that it has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Deliveries are due.
    Due,
    /// The change feed has grown.
    Changes,
}

impl Engine {
    /// The name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// The database. Cloning is cheap and shares the connections.
#[derive(Clone)]
pub struct Storage(Inner, Arc<StorageMetrics>);

#[derive(Clone)]
enum Inner {
    Sqlite(SqliteEngine),
    Postgres(PostgresEngine),
}

impl Storage {
    /// Opens the database without touching its tables, and makes the file if there is none; call
    /// [`Storage::migrate`] next. Must be called on a multi-threaded tokio runtime, which PostgreSQL's
    /// connections then live on.
    ///
    /// # Errors
    /// [`StorageError::Configuration`] if the URL cannot be used, or only a newer version may use the
    /// database; [`StorageError::Unavailable`] if nothing answers there.
    pub async fn open(url: &DatabaseUrl) -> Result<Self> {
        let metrics = Arc::<StorageMetrics>::default();
        let engine = match url {
            DatabaseUrl::Sqlite(path) => Inner::Sqlite(SqliteEngine::open(path, &metrics)?),
            DatabaseUrl::Postgres(url) => Inner::Postgres(PostgresEngine::open(url, &metrics)?),
        };
        let storage = Self(engine, metrics);
        storage.ping().await?;
        storage.schema().await?.check()?;
        Ok(storage)
    }

    /// The same, but makes no file.
    ///
    /// # Errors
    /// Those of [`Storage::open`], and [`StorageError::Configuration`] if there is no file.
    pub async fn open_existing(url: &DatabaseUrl) -> Result<Self> {
        match url {
            DatabaseUrl::Sqlite(path) if !path.exists() => Err(StorageError::Configuration(Cause::new(
                "there is no such file yet; `gatepost serve` or `gatepost migrate` makes it",
            ))),
            _ => Self::open(url).await,
        }
    }

    pub(crate) fn metrics(&self) -> &Arc<StorageMetrics> {
        &self.1
    }

    /// How many units of work wait there.
    pub(crate) fn waiting(&self, queue: Queue) -> usize {
        match (&self.0, queue) {
            (Inner::Sqlite(engine), Queue::Read) => engine.reads_waiting(),
            (Inner::Sqlite(engine), Queue::Write) => engine.writes_waiting(),
            (Inner::Postgres(engine), Queue::Pool) => engine.status().waiting,
            _ => 0,
        }
    }

    /// How many connections of the pool are in this state.
    pub(crate) fn connections(&self, state: ConnectionState) -> usize {
        let Inner::Postgres(engine) = &self.0 else { return 0 };
        let status = engine.status();
        match state {
            ConnectionState::Idle => status.available,
            ConnectionState::Busy => status.size.saturating_sub(status.available),
        }
    }

    /// Which engine this is.
    pub fn engine(&self) -> Engine {
        match &self.0 {
            Inner::Sqlite(_) => Engine::Sqlite,
            Inner::Postgres(_) => Engine::Postgres,
        }
    }

    /// Brings the tables to this program's version; several processes may call it at once. A SQLite file that
    /// has tables is copied before.
    ///
    /// # Errors
    /// If the database refuses one of the migrations, and those before it stay; if only a newer version may
    /// use it.
    pub async fn migrate(&self) -> Result<Migrated> {
        match &self.0 {
            Inner::Sqlite(engine) => engine.migrate().await,
            Inner::Postgres(engine) => engine.migrate().await,
        }
    }

    /// Lets SQLite look again at how common values are, by which it plans, where tables have grown or shrunk
    /// much; only if its file is not larger than this. Nobody can write meanwhile, so it is for when nobody
    /// is served. PostgreSQL does it by itself.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    pub async fn refresh_statistics(&self, max_bytes: u64) -> Result<()> {
        match &self.0 {
            Inner::Sqlite(engine) => engine.refresh_statistics(max_bytes).await,
            Inner::Postgres(_) => Ok(()),
        }
    }

    /// How far its tables are; nothing is written.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn schema(&self) -> Result<SchemaState> {
        let look = async {
            match &self.0 {
                Inner::Sqlite(engine) => engine.schema().await,
                Inner::Postgres(engine) => engine.schema().await,
            }
        };
        tokio::time::timeout(DEADLINE, look).await.unwrap_or_else(|_| Err(deadline_passed(Fate::Undone)))
    }

    /// Runs `body`, which only reads. On PostgreSQL each of its queries sees what was committed when it
    /// began; [`Storage::read_snapshot`] is for those that must agree with each other.
    ///
    /// # Errors
    /// Those of `body`, and [`StorageError::Unavailable`].
    pub async fn read<R, E, F>(&self, body: F) -> Result<R, E>
    where
        for<'c> F: AsyncFnOnce(Tx<'c>) -> Result<R, E> + Op<Tx<'c>, Result<R, E>, Fut: Send> + Send + 'static,
        R: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let work = async {
            match &self.0 {
                Inner::Sqlite(engine) => engine.read(body).await,
                Inner::Postgres(engine) => engine.read(body).await,
            }
        };
        self.1.timed(Kind::Read, work).await
    }

    /// Runs `body`, which only reads, on one consistent look at the data, however many queries it makes.
    ///
    /// # Errors
    /// Those of `body`, and [`StorageError::Unavailable`].
    pub async fn read_snapshot<R, E, F>(&self, body: F) -> Result<R, E>
    where
        for<'c> F: AsyncFnOnce(Tx<'c>) -> Result<R, E> + Op<Tx<'c>, Result<R, E>, Fut: Send> + Send + 'static,
        R: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let work = async {
            match &self.0 {
                Inner::Sqlite(engine) => engine.read(body).await,
                Inner::Postgres(engine) => engine.read_snapshot(body).await,
            }
        };
        self.1.timed(Kind::Snapshot, work).await
    }

    /// Runs `body` in one transaction: what it writes is there as a whole when this answers `Ok`, and not at
    /// all when it answers the body's own error. Goes on to its end even if this future is dropped.
    ///
    /// # Errors
    /// Those of `body`; [`StorageError::Unavailable`] if the commit is refused, or not known within the
    /// deadline.
    pub async fn transaction<R, E, F>(&self, body: F) -> Result<R, E>
    where
        for<'c> F: AsyncFnOnce(Tx<'c>) -> Result<R, E> + Op<Tx<'c>, Result<R, E>, Fut: Send> + Send + 'static,
        R: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let work = async {
            match &self.0 {
                Inner::Sqlite(engine) => engine.transaction(body).await,
                Inner::Postgres(engine) => engine.transaction(body).await,
            }
        };
        self.1.timed(Kind::Transaction, work).await
    }

    /// Runs `body`, all of whose writing is one statement on PostgreSQL: there that is a transaction by
    /// itself, and needs no word to begin or end it.
    ///
    /// # Errors
    /// Those of [`Storage::transaction`].
    pub async fn statement<R, E, F>(&self, body: F) -> Result<R, E>
    where
        for<'c> F: AsyncFnOnce(Tx<'c>) -> Result<R, E> + Op<Tx<'c>, Result<R, E>, Fut: Send> + Send + 'static,
        R: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let work = async {
            match &self.0 {
                Inner::Sqlite(engine) => engine.transaction(body).await,
                Inner::Postgres(engine) => engine.statement(body).await,
            }
        };
        self.1.timed(Kind::Statement, work).await
    }

    /// What other processes announce: hints to look now, not promises; whoever uses them looks from time to
    /// time as well. None on SQLite, whose file one process serves.
    pub fn notices(&self) -> Option<mpsc::UnboundedReceiver<Notice>> {
        match &self.0 {
            Inner::Sqlite(_) => None,
            Inner::Postgres(engine) => Some(engine.notices()),
        }
    }

    /// Claims the database for one serving process, where the engine allows only one; hold on to the answer
    /// while serving. Other programs (the command line) may still use the file.
    ///
    /// # Errors
    /// [`StorageError::Configuration`] if another process serves the same SQLite file.
    pub fn lock_for_serving(&self) -> Result<Option<ServeLock>> {
        match &self.0 {
            Inner::Sqlite(engine) => engine.lock_for_serving().map(Some),
            Inner::Postgres(_) => Ok(None),
        }
    }

    /// Waits until no other process brings records in line with declarations; hold on to the answer while
    /// doing so. SQLite has no need of it: one process alone serves a file.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    pub async fn lock_for_reconciling(&self) -> Result<ReconcileLock> {
        let held = match &self.0 {
            Inner::Sqlite(_) => None,
            Inner::Postgres(engine) => Some(engine.lock_for_reconciling().await?),
        };
        Ok(ReconcileLock { _held: held })
    }

    /// The file, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Inner::Sqlite(engine) => Some(engine.path()),
            Inner::Postgres(_) => None,
        }
    }
}

/// Held by the process that brings records in line with declarations.
pub struct ReconcileLock {
    // The server lets go of the lock when the connection is closed.
    _held: Option<PostgresConn>,
}

/// What a caller is told when the answer did not come in time.
fn deadline_passed(fate: Fate) -> StorageError {
    let cause = Cause::new(format!("no answer within {} ms", DEADLINE.as_millis()));
    StorageError::Unavailable { fate, cause }
}
