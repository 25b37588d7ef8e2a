//! SQLite on threads of its own: one that writes, some that read, one that moves the log into the file.
//!
//! The writer commits in groups: it begins, runs every unit of work that is waiting (each inside a savepoint,
//! so that one's failure does not touch the others), commits once, and only then answers all of them. That
//! makes `synchronous=FULL` as fast as it would be without waiting for the disk each time. Checkpoints run on
//! another thread, because in the writer they would stall whoever commits then.
//!
//! Everything runs in place on these threads ([`Inline`]): diesel-async's own wrapper blocks in `Drop`, which
//! panics on an actix worker when a client goes away.

use std::{
    fs::{self, File, OpenOptions},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Once},
    thread,
};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use diesel::{
    Connection, RunQueryDsl, SqliteConnection, connection::SimpleConnection, result::Error as DieselError,
    sql_types::Text,
};
use diesel_async::sync_connection_wrapper::{SpawnBlocking, SyncConnectionWrapper};
use futures_util::{
    FutureExt,
    future::{BoxFuture, ready},
};
use gatepost_kernel::{Cause, Fate, chain};
use tokio::sync::oneshot;

use super::{
    Conn, DEADLINE, Op, Tx, deadline_passed,
    sqlite_faults::Fault,
    write_ahead_log::{Bound, WriteAheadLog},
};
use crate::{Migrated, Result, SchemaState, StorageError, metrics::StorageMetrics, migrations, statistics};

pub(crate) type SqliteConn = SyncConnectionWrapper<SqliteConnection, Inline>;

/// How many units of work one commit may hold.
const MAX_GROUP: usize = 256;
const WRITE_QUEUE: usize = 4_096;
const READ_QUEUE: usize = 4_096;
const READERS: usize = 2;
/// How long is waited for another process.
pub(super) const BUSY_TIMEOUT: &str = "PRAGMA busy_timeout=3000";

/// Runs diesel's calls on the thread that makes them, which is one of ours.
pub(crate) struct Inline;

impl SpawnBlocking for Inline {
    fn spawn_blocking<'a, R: Send + 'static>(
        &mut self,
        task: impl FnOnce() -> R + Send + 'static,
    ) -> BoxFuture<'a, Result<R, Box<dyn std::error::Error + Send + Sync + 'static>>> {
        ready(Ok(task())).boxed()
    }

    fn get_runtime() -> Self {
        Self
    }
}

#[derive(Clone)]
pub(super) struct SqliteEngine {
    file: DatabaseFile,
    writes: Sender<Box<dyn Job>>,
    reads: Sender<Box<dyn Job>>,
    // The checkpoint thread ends when the last sender is gone.
    _alive: Sender<()>,
}

/// The file, and what its statements are counted in.
#[derive(Clone)]
struct DatabaseFile {
    path: Arc<Path>,
    metrics: Arc<StorageMetrics>,
}

/// Held by the process that serves a SQLite file; the operating system lets go of it when the process ends.
#[derive(Debug)]
pub struct ServeLock {
    _file: File,
}

impl SqliteEngine {
    pub(super) fn open(path: &Path, metrics: &Arc<StorageMetrics>) -> Result<Self> {
        let file = DatabaseFile { path: path.into(), metrics: metrics.clone() };
        disable_memory_statistics();
        create_private(path)?;
        let writer = connect(&file, Role::Writer)?;
        let (writes, write_queue) = crossbeam_channel::bounded(WRITE_QUEUE);
        let (reads, read_queue) = crossbeam_channel::bounded(READ_QUEUE);
        let (alive, ended) = crossbeam_channel::bounded::<()>(0);
        let log = WriteAheadLog::of(path);

        spawn("gatepost-write", {
            let (file, bound) = (file.clone(), Bound::new(log.clone()));
            move || write_loop(&file, writer, &write_queue, bound)
        })?;
        for _ in 0..READERS {
            let (queue, conn, file) = (read_queue.clone(), connect(&file, Role::Reader)?, file.clone());
            let log = log.clone();
            spawn("gatepost-read", move || read_loop(&file, conn, &queue, &log))?;
        }
        let conn = connect(&file, Role::Checkpointer)?;
        spawn("gatepost-checkpoint", move || log.keep_moving(conn, &ended))?;
        Ok(Self { file, writes, reads, _alive: alive })
    }

    pub(super) fn reads_waiting(&self) -> usize {
        self.reads.len()
    }

    pub(super) fn writes_waiting(&self) -> usize {
        self.writes.len()
    }

    pub(super) fn path(&self) -> &Path {
        &self.file.path
    }

    pub(super) async fn read<R, E, F>(&self, body: F) -> Result<R, E>
    where
        for<'c> F: AsyncFnOnce(Tx<'c>) -> Result<R, E> + Op<Tx<'c>, Result<R, E>, Fut: Send> + Send + 'static,
        R: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        submit(&self.reads, Fate::Undone, body).await
    }

    pub(super) async fn transaction<R, E, F>(&self, body: F) -> Result<R, E>
    where
        for<'c> F: AsyncFnOnce(Tx<'c>) -> Result<R, E> + Op<Tx<'c>, Result<R, E>, Fut: Send> + Send + 'static,
        R: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        submit(&self.writes, Fate::Unknown, body).await
    }

    pub(super) async fn migrate(&self) -> Result<Migrated> {
        self.on_own_connection(Role::Writer, |path, conn| {
            // SQLite would let two processes run the same migration one after the other.
            let lock = open_lock(path, "migrate-lock")?;
            lock.lock().map_err(|e| StorageError::unavailable(Cause::by("the lock of migrations", e)))?;
            // Whoever had the lock before may have been a newer version.
            let state = migrations::state_sqlite(conn)?;
            state.check()?;
            let copy = match state.pending.first() {
                Some(first) if !state.is_empty => Some(copy_before(path, conn, first)?),
                _ => None,
            };
            migrations::run_sqlite(conn)?;
            Ok(Migrated { run: state.pending, copy })
        })
        .await
    }

    /// Looks again at how common values are, if the file is not larger.
    pub(super) async fn refresh_statistics(&self, max_bytes: u64) -> Result<()> {
        self.on_own_connection(Role::Writer, move |path, conn| match fs::metadata(path) {
            Ok(file) if file.len() > max_bytes => {
                tracing::info!(
                    database.bytes = file.len(),
                    "statistics of so large a database are looked at by `gatepost migrate` alone"
                );
                Ok(())
            }
            _ => statistics::refresh(conn),
        })
        .await
    }

    pub(super) async fn schema(&self) -> Result<SchemaState> {
        self.on_own_connection(Role::Reader, |_, conn| migrations::state_sqlite(conn)).await
    }

    pub(super) fn lock_for_serving(&self) -> Result<ServeLock> {
        let file = open_lock(&self.file.path, "lock")?;
        match file.try_lock() {
            Ok(()) => Ok(ServeLock { _file: file }),
            Err(fs::TryLockError::WouldBlock) => Err(StorageError::Configuration(Cause::new(format!(
                "another process already serves {}; use PostgreSQL to run several",
                self.file.path.display()
            )))),
            Err(fs::TryLockError::Error(e)) => {
                let what = format!("cannot lock {}", self.file.path.display());
                Err(StorageError::Configuration(Cause::by(what, e)))
            }
        }
    }

    async fn on_own_connection<R: Send + 'static>(
        &self,
        role: Role,
        body: impl FnOnce(&Path, &mut SqliteConnection) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let file = self.file.clone();
        tokio::task::spawn_blocking(move || body(&file.path, &mut connect(&file, role)?))
            .await
            .map_err(|e| StorageError::Query(Cause::by("a unit of work panicked", e)))?
    }
}

/// A unit of work whose caller waits.
trait Job: Send {
    /// Whether the caller is gone, and the work was not begun.
    fn is_abandoned(&self) -> bool;
    /// Does the work; whether it may be kept.
    fn run(&mut self, conn: &mut SqliteConn) -> Done;
    /// Tells the caller, now that the fate of the whole group is known.
    fn answer(self: Box<Self>, fate: Result<()>);
}

#[derive(PartialEq, Eq)]
enum Done {
    Keep,
    Undo,
    Panicked,
}

struct Work<F, R, E> {
    body: Option<F>,
    outcome: Option<Result<R, E>>,
    reply: oneshot::Sender<Result<R, E>>,
}

impl<F, R, E> Job for Work<F, R, E>
where
    for<'c> F: AsyncFnOnce(Tx<'c>) -> Result<R, E> + Op<Tx<'c>, Result<R, E>, Fut: Send> + Send,
    R: Send,
    E: From<StorageError> + Send,
{
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, conn: &mut SqliteConn) -> Done {
        let Some(body) = self.body.take() else { return Done::Undo };
        let outcome = catch_unwind(AssertUnwindSafe(|| body(Tx(Conn::Sqlite(conn))).now_or_never()));
        let (outcome, done) = match outcome {
            Ok(Some(Ok(value))) => (Ok(value), Done::Keep),
            Ok(Some(Err(error))) => (Err(error), Done::Undo),
            Ok(None) => {
                let message = "a unit of work awaited something other than its transaction";
                (Err(StorageError::Query(Cause::new(message)).into()), Done::Undo)
            }
            Err(_) => {
                (Err(StorageError::Query(Cause::new("a unit of work panicked")).into()), Done::Panicked)
            }
        };
        self.outcome = Some(outcome);
        done
    }

    fn answer(self: Box<Self>, fate: Result<()>) {
        let answer = match (self.outcome, fate) {
            (Some(Err(own)), _) => Err(own),
            (_, Err(fate)) => Err(fate.into()),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(StorageError::Query(Cause::new("a unit of work was not run")).into()),
        };
        // The caller may be gone; what was committed stays.
        let _ = self.reply.send(answer);
    }
}

/// Has a body run by the thread behind `queue`. What is not answered in time has this fate.
async fn submit<F, R, E>(queue: &Sender<Box<dyn Job>>, fate: Fate, body: F) -> Result<R, E>
where
    for<'c> F: AsyncFnOnce(Tx<'c>) -> Result<R, E> + Op<Tx<'c>, Result<R, E>, Fut: Send> + Send + 'static,
    R: Send + 'static,
    E: From<StorageError> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    queue.try_send(Box::new(Work { body: Some(body), outcome: None, reply })).map_err(|e| {
        StorageError::unavailable(Cause::new(match e {
            TrySendError::Full(_) => "too many units of work are waiting",
            TrySendError::Disconnected(_) => "the database thread has ended",
        }))
    })?;
    match tokio::time::timeout(DEADLINE, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => {
            let cause = Cause::new("the database thread has ended");
            Err(StorageError::Unavailable { fate, cause }.into())
        }
        Err(_) => Err(deadline_passed(fate).into()),
    }
}

fn write_loop(file: &DatabaseFile, conn: SqliteConnection, queue: &Receiver<Box<dyn Job>>, mut bound: Bound) {
    let mut conn = SqliteConn::new(conn);
    while let Ok(first) = queue.recv() {
        let mut group = Vec::new();
        let (fate, sound) = write_group(&mut conn, first, queue, &mut group);
        if !sound {
            reconnect(&mut conn, file, Role::Writer);
        }
        file.metrics.group_sizes.observe(group.len() as f64);
        for job in group {
            job.answer(fate.clone());
        }
        // After the answers: who has been committed does not wait for it.
        bound = keep_bound(&mut conn, bound);
    }
}

/// Runs what waits in one transaction. Answers the fate of the group, and whether the connection is still
/// sound.
fn write_group(
    conn: &mut SqliteConn,
    first: Box<dyn Job>,
    queue: &Receiver<Box<dyn Job>>,
    group: &mut Vec<Box<dyn Job>>,
) -> (Result<()>, bool) {
    if let Err(error) = execute(conn, "BEGIN IMMEDIATE") {
        group.push(first);
        // Left over from a group whose end failed: the next one must find none open.
        let sound = Fault::of(&error) != Some(Fault::WithinTransaction);
        return (Err(error.into()), sound);
    }
    let mut next = Some(first);
    while let Some(mut job) = next {
        if !job.is_abandoned() {
            let done = run_in_savepoint(conn, job.as_mut());
            group.push(job);
            match done {
                Ok(Done::Panicked) => {
                    let _ = execute(conn, "ROLLBACK");
                    let cause = Cause::new("a unit of work beside this one panicked");
                    return (Err(StorageError::unavailable(cause)), false);
                }
                Ok(_) => {}
                // The engine gave up the whole transaction, as it does when the disk is full.
                Err(error) => {
                    let _ = execute(conn, "ROLLBACK");
                    return (Err(error), true);
                }
            }
        }
        next = if group.len() < MAX_GROUP { queue.try_recv().ok() } else { None };
    }
    match execute(conn, "COMMIT") {
        Ok(()) => (Ok(()), true),
        Err(error) => {
            let sound = execute(conn, "ROLLBACK").is_ok();
            // Where the disk fails, nobody knows what of it is there the next time that the file is opened.
            let fate = match Fault::of(&error) {
                // What is refused for good is the error of a unit of work, not of the time.
                None if sound => return (Err(error.into()), sound),
                Some(message) if sound && message != Fault::Disk => Fate::Undone,
                _ => Fate::Unknown,
            };
            (Err(StorageError::Unavailable { fate, cause: Cause::by("the commit failed", error) }), sound)
        }
    }
}

fn run_in_savepoint(conn: &mut SqliteConn, job: &mut dyn Job) -> Result<Done> {
    execute(conn, "SAVEPOINT job")?;
    let done = job.run(conn);
    match done {
        Done::Keep => execute(conn, "RELEASE job")?,
        Done::Undo => execute(conn, "ROLLBACK TO job; RELEASE job").map_err(|error| {
            // Without its savepoint the transaction is gone, so what came before it in the group is too.
            StorageError::unavailable(Cause::by("the engine rolled the transaction back", error))
        })?,
        Done::Panicked => {}
    }
    Ok(done)
}

fn read_loop(
    file: &DatabaseFile,
    conn: SqliteConnection,
    queue: &Receiver<Box<dyn Job>>,
    log: &WriteAheadLog,
) {
    // A page of one client may be large; who reads a row or two still gets it at once.
    gatepost_threads::yield_to_others();
    gatepost_threads::wake_at_once();
    let mut conn = SqliteConn::new(conn);
    while let Ok(mut job) = queue.recv() {
        if job.is_abandoned() {
            continue;
        }
        let reading = log.read();
        let (fate, sound) = match execute(&mut conn, "BEGIN") {
            Err(error) => (Err(error.into()), false),
            Ok(()) => {
                let done = job.run(&mut conn);
                let ended = execute(&mut conn, "ROLLBACK");
                (Ok(()), done != Done::Panicked && ended.is_ok())
            }
        };
        drop(reading);
        if !sound {
            reconnect(&mut conn, file, Role::Reader);
        }
        job.answer(fate);
    }
}

/// Lets the writer look after the log, between two groups.
fn keep_bound(conn: &mut SqliteConn, mut bound: Bound) -> Bound {
    let otherwise = bound.clone();
    let kept = conn.spawn_blocking(move |conn| {
        bound.keep(conn);
        Ok(bound)
    });
    kept.now_or_never().and_then(Result::ok).unwrap_or(otherwise)
}

fn execute(conn: &mut SqliteConn, sql: &'static str) -> Result<(), DieselError> {
    let done = conn.spawn_blocking(move |conn| conn.batch_execute(sql)).now_or_never();
    done.unwrap_or(Err(DieselError::BrokenTransactionManager))
}

fn reconnect(conn: &mut SqliteConn, file: &DatabaseFile, role: Role) {
    match connect(file, role) {
        Ok(fresh) => *conn = SqliteConn::new(fresh),
        Err(error) => tracing::error!(error = %chain(&error), "the database could not be opened again"),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Writer,
    Reader,
    Checkpointer,
}

fn connect(DatabaseFile { path, metrics }: &DatabaseFile, role: Role) -> Result<SqliteConnection> {
    let unusable = |e: Box<dyn std::error::Error + Send + Sync>| {
        StorageError::unavailable(Cause::by(path.display().to_string(), e))
    };
    let path_text = path.to_str().ok_or_else(|| unusable("the path is not UTF-8".into()))?;
    let mut conn = SqliteConnection::establish(path_text).map_err(|e| unusable(e.into()))?;
    // The time-out first: switching to WAL needs a lock that another process may hold.
    conn.batch_execute(BUSY_TIMEOUT).map_err(|e| unusable(e.into()))?;
    conn.batch_execute(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; \
         PRAGMA temp_store=MEMORY; PRAGMA mmap_size=268435456; PRAGMA journal_size_limit=67108864;",
    )
    .map_err(|e| unusable(e.into()))?;
    // What is read lies in the mapped file, or in the system's cache, which all share: a copy for each
    // connection would be memory for little. What is written stays in the writer's until its transaction
    // ends.
    match role {
        Role::Writer => conn.batch_execute("PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-16000"),
        Role::Reader => conn.batch_execute("PRAGMA query_only=ON; PRAGMA cache_size=-4000"),
        Role::Checkpointer => conn.batch_execute("PRAGMA cache_size=-1000"),
    }
    .map_err(|e| unusable(e.into()))?;
    conn.set_instrumentation(metrics.instrumentation(|| {}));
    Ok(conn)
}

/// For a file that its owner alone may open.
fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes the file readable by its owner alone: it holds digests of keys and secrets of webhooks.
fn create_private(path: &Path) -> Result<File> {
    private_options().open(path).map_err(|e| {
        StorageError::Configuration(Cause::by(format!("cannot open the database file {}", path.display()), e))
    })
}

/// Copies the database beside itself before its migrations from `first` on are run. The copy is whole or not
/// there. An earlier one of the same name is replaced: it was made before the same migration, which then
/// failed.
fn copy_before(path: &Path, conn: &mut SqliteConnection, first: &str) -> Result<PathBuf> {
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".before-{}-{first}{suffix}", env!("CARGO_PKG_VERSION")));
        PathBuf::from(name)
    };
    let (copy, partial) = (beside(""), beside(".partial"));
    let failed = |e: Box<dyn std::error::Error + Send + Sync>| {
        let what = "the database was not migrated, because it could not be copied before to";
        StorageError::Configuration(Cause::by(format!("{what} {}", copy.display()), e))
    };
    if partial.exists() {
        fs::remove_file(&partial).map_err(|e| failed(e.into()))?;
    }
    let file = create_private(&partial)?;
    let text = partial.to_str().ok_or_else(|| failed("the path is not UTF-8".into()))?;
    diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(text).execute(conn).map_err(|e| failed(e.into()))?;
    file.sync_all().and_then(|()| fs::rename(&partial, &copy)).map_err(|e| failed(e.into()))?;
    let directory = copy.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(|e| failed(e.into()))?;
    Ok(copy)
}

fn open_lock(path: &Path, kind: &str) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{kind}"));
    let name = PathBuf::from(name);
    private_options()
        .open(&name)
        .map_err(|e| StorageError::Configuration(Cause::by(format!("cannot open {}", name.display()), e)))
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<()> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map(|_| ())
        .map_err(|e| StorageError::unavailable(Cause::by("cannot start a thread", e)))
}

/// SQLite metrics its allocations under one mutex, which makes two reading threads slower than one.
fn disable_memory_statistics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        #[expect(unsafe_code, reason = "there is no safe way to configure SQLite before its first use")]
        // SAFETY: called once and before the first connection of this process; SQLITE_CONFIG_MEMSTATUS takes
        // one int. Were SQLite already in use, it would refuse with SQLITE_MISUSE and change nothing.
        let code = unsafe { libsqlite3_sys::sqlite3_config(libsqlite3_sys::SQLITE_CONFIG_MEMSTATUS, 0i32) };
        if code != libsqlite3_sys::SQLITE_OK {
            tracing::debug!(code, "SQLite was in use before its memory statistics could be switched off");
        }
    });
}
