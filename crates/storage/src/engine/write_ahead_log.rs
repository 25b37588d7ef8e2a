//! SQLite's write-ahead log, and how it stays small.
//!
//! It is moved into the file once a second beside the writer, but begins anew only when nobody reads from it:
//! with readers that come and go it would grow for ever. So above [`TRUNCATE_ABOVE_BYTES`] the writer,
//! between two groups, keeps new readers waiting, lets those that are there finish, and moves what is left.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use diesel::{
    QueryableByName, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_types::Integer,
};
use gatepost_kernel::LockAnyway;

const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// From here on, the log is emptied as soon as that takes little.
const TRUNCATE_ABOVE_BYTES: u64 = 64 << 20;
/// From here on, it is emptied whatever it takes.
const TRUNCATE_AT_ALL_COSTS_BYTES: u64 = 96 << 20;
/// How much the log grows between two tries.
const TRY_EVERY_BYTES: u64 = 4 << 20;
/// How long readers may take to finish where it need not be now.
const PATIENCE: Duration = Duration::from_millis(50);

/// The log of a database, shared by all who use it. Cloning is cheap.
#[derive(Clone)]
pub(super) struct WriteAheadLog {
    path: Arc<Path>,
    readers: Arc<Readers>,
    /// Held by who moves the log into the file.
    moving: Arc<Mutex<()>>,
}

/// Who reads now, and whether new ones have to wait.
#[derive(Default)]
struct Readers {
    state: Mutex<ReadersState>,
    changed: Condvar,
}

#[derive(Default)]
struct ReadersState {
    active: usize,
    is_closed: bool,
}

/// One who reads, until it is dropped.
pub(super) struct Reading<'a>(&'a Readers);

/// Keeps readers out until it is dropped.
struct Closed<'a>(&'a Readers);

impl Readers {
    fn lock(&self) -> MutexGuard<'_, ReadersState> {
        self.state.lock_anyway()
    }

    fn enter(&self) -> Reading<'_> {
        let state = self.changed.wait_while(self.lock(), |state| state.is_closed);
        state.unwrap_or_else(PoisonError::into_inner).active += 1;
        Reading(self)
    }

    /// Lets those who read finish, for so long if that is limited; new ones wait.
    fn close(&self, patience: Option<Duration>) -> Option<Closed<'_>> {
        let mut state = self.lock();
        state.is_closed = true;
        let closed = Closed(self);
        let until = patience.map(|patience| Instant::now() + patience);
        while state.active > 0 {
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => {
                    // The guard opens again, and needs the lock for it.
                    drop(state);
                    return None;
                }
                Some(left) => {
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        drop(state);
        Some(closed)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.lock().active -= 1;
        self.0.changed.notify_all();
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.0.lock().is_closed = false;
        self.0.changed.notify_all();
    }
}

#[derive(QueryableByName)]
struct Checkpoint {
    #[diesel(sql_type = Integer)]
    busy: i32,
}

impl WriteAheadLog {
    /// That of a database file.
    pub(super) fn of(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        let path = PathBuf::from(path).into();
        Self { path, readers: Arc::default(), moving: Arc::default() }
    }

    /// Waits until reading may begin.
    pub(super) fn read(&self) -> Reading<'_> {
        self.readers.enter()
    }

    /// Moves the log into the file, once a second, until `ended`. Nobody waits for it.
    pub(super) fn keep_moving(&self, mut conn: SqliteConnection, ended: &Receiver<()>) {
        while ended.recv_timeout(CHECKPOINT_EVERY) == Err(RecvTimeoutError::Timeout) {
            let _moving = self.moving.lock_anyway();
            if let Err(error) = conn.batch_execute("PRAGMA wal_checkpoint(PASSIVE)") {
                tracing::warn!(error = %error, "the write-ahead log could not be moved into the database file");
            }
        }
    }

    fn bytes(&self) -> u64 {
        fs::metadata(&*self.path).map_or(0, |metadata| metadata.len())
    }

    /// Empties the log on the writer's connection, between two transactions, if it is too large.
    fn bound(&self, conn: &mut SqliteConnection, bytes: u64) {
        let at_all_costs = bytes >= TRUNCATE_AT_ALL_COSTS_BYTES;
        let moving = match self.moving.try_lock() {
            Ok(moving) => Some(moving),
            Err(TryLockError::Poisoned(moving)) => Some(moving.into_inner()),
            Err(TryLockError::WouldBlock) if at_all_costs => Some(self.moving.lock_anyway()),
            Err(TryLockError::WouldBlock) => None,
        };
        let Some(_moving) = moving else { return };
        let Some(_closed) = self.readers.close((!at_all_costs).then_some(PATIENCE)) else { return };
        match truncate(conn) {
            Ok(true) => tracing::debug!(log.bytes = bytes, "the write-ahead log was emptied"),
            // Another process reads.
            Ok(false) => {}
            Err(error) => tracing::warn!(error = %error, "the write-ahead log could not be emptied"),
        }
    }
}

/// When the writer looks after the log again.
#[derive(Clone)]
pub(super) struct Bound {
    log: WriteAheadLog,
    next_bytes: u64,
}

impl Bound {
    pub(super) fn new(log: WriteAheadLog) -> Self {
        Self { log, next_bytes: TRUNCATE_ABOVE_BYTES }
    }

    /// To be called between two transactions.
    pub(super) fn keep(&mut self, conn: &mut SqliteConnection) {
        let bytes = self.log.bytes();
        if bytes < self.next_bytes {
            return;
        }
        self.log.bound(conn, bytes);
        self.next_bytes = TRUNCATE_ABOVE_BYTES.max(self.log.bytes() + TRY_EVERY_BYTES);
    }
}

/// Moves all of the log into the file and cuts it to nothing; false if somebody uses it. Other processes are
/// not waited for.
fn truncate(conn: &mut SqliteConnection) -> diesel::QueryResult<bool> {
    conn.batch_execute("PRAGMA busy_timeout=0")?;
    let done = diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)").get_result::<Checkpoint>(conn);
    conn.batch_execute(super::sqlite::BUSY_TIMEOUT)?;
    Ok(done?.busy == 0)
}
