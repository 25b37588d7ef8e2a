//! Transactions: whole or not at all, whatever the caller does.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use gatepost_kernel::{Clock, Environment, EventId, SystemClock, WorkspaceId, chain};
use gatepost_storage::{ChangeSubject, Engine, Migrated, NewEvent, Notice, Storage, StorageError, Tx};
use gatepost_test_support::both_engines;

use super::{Db, insert_key, key};

both_engines! { Db:
    fifty_writers_commit_or_undo_as_a_whole,
    callers_that_go_away_leave_no_open_transaction,
    a_panic_is_contained,
    migrating_twice_at_once_is_harmless,
    health_is_told,
    other_processes_are_told,
}

async fn fifty_writers_commit_or_undo_as_a_whole(db: Db) {
    let db = db.with_root().await;
    let writers: Vec<_> = (0..50u64)
        .map(|writer| {
            let storage = db.storage.clone();
            tokio::spawn(async move {
                for round in 0..4 {
                    let number = writer * 100 + round * 10;
                    let work = async move |mut tx: Tx<'_>| {
                        tx.api_key_insert(&key(number)).await?;
                        tx.api_key_insert(&key(number + 1)).await?;
                        if writer % 2 == 0 {
                            Ok(())
                        } else {
                            Err(StorageError::Query(gatepost_kernel::Cause::new("told to fail")))
                        }
                    };
                    let done = storage.transaction(work).await;
                    assert_eq!(done.is_ok(), writer % 2 == 0, "{done:?}");
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("a writer");
    }
    assert_eq!(db.key_count().await, 25 * 4 * 2);
    assert_eq!(open_transactions(&db).await, 0);
}

/// Polls each unit of work once and drops it, as a server does when its client is gone.
async fn callers_that_go_away_leave_no_open_transaction(db: Db) {
    let db = db.with_root().await;
    for number in 0..50 {
        let mut abandoned = Box::pin(insert_key(&db.storage, number));
        std::future::poll_fn(|cx| {
            let _ = pin!(&mut abandoned).poll(cx);
            Poll::Ready(())
        })
        .await;
        drop(abandoned);
    }
    // Each of them happened as a whole or not at all, and the next one works.
    insert_key(&db.storage, 1_000).await.expect("a later write");
    let count = db.key_count().await;
    assert!((1..=51).contains(&count), "{count}");
    // Some may still be under way, but none stays.
    while open_transactions(&db).await > 0 {
        tokio::task::yield_now().await;
    }
}

async fn a_panic_is_contained(db: Db) {
    let db = db.with_root().await;
    let work = async |mut tx: Tx<'_>| {
        tx.api_key_insert(&key(1)).await?;
        if db_says_so() {
            panic!("told to panic");
        }
        Ok::<_, StorageError>(())
    };
    assert!(db.storage.transaction(work).await.is_err());
    let read = async |_: Tx<'_>| {
        if db_says_so() {
            panic!("told to panic");
        }
        Ok::<_, StorageError>(())
    };
    assert!(db.storage.read(read).await.is_err());
    assert_eq!(db.key_count().await, 0);
    insert_key(&db.storage, 2).await.expect("a later write");
    assert_eq!(open_transactions(&db).await, 0);
}

/// Keeps the compiler from seeing that what follows a panic is never reached.
fn db_says_so() -> bool {
    std::hint::black_box(true)
}

async fn migrating_twice_at_once_is_harmless(db: Db) {
    let (one, two) = (db.storage.clone(), db.storage.clone());
    let (one, two) = tokio::join!(one.migrate(), two.migrate());
    let none = Migrated::default();
    assert_eq!((one.expect("a migration"), two.expect("a migration")), (none.clone(), none));
    assert!(db.storage.schema().await.expect("an answer").pending.is_empty());
}

async fn health_is_told(db: Db) {
    let health = db.storage.health().await.expect("an answer");
    assert!(health.version.contains('.') && health.now > super::at(-10_000_000_000), "{health:?}");
}

/// Transactions that the server still holds open, besides the one that asks.
async fn open_transactions(db: &Db) -> i64 {
    match db.storage.engine() {
        // A write that is answered proves that none is open: there is one writer.
        Engine::Sqlite => insert_key(&db.storage, 999_999).await.map_or(1, |_| 0),
        Engine::Postgres => {
            let (client, connection) = tokio_postgres::connect(&db._database.url, tokio_postgres::NoTls)
                .await
                .expect("a connection");
            tokio::spawn(connection);
            let query = "SELECT count(*) FROM pg_stat_activity \
                         WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
            client.query_one(query, &[]).await.expect("an answer").get(0)
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_of_work_may_not_wait_for_anything_else_on_sqlite() {
    let db = Db::start(Engine::Sqlite).await.with_root().await;
    let work = async |mut tx: Tx<'_>| {
        tx.api_key_insert(&key(1)).await?;
        tokio::task::yield_now().await;
        Ok::<_, StorageError>(())
    };
    let refused = db.storage.transaction(work).await.expect_err("refused");
    let why = chain(&refused).to_string();
    assert!(why.contains("awaited something other"), "{why}");
    assert_eq!(db.key_count().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sqlite_file_is_served_by_one_process_and_private() {
    let db = Db::start(Engine::Sqlite).await;
    let lock = db.storage.lock_for_serving().expect("the first");
    let second: Storage = db._database.open().await;
    assert!(matches!(second.lock_for_serving(), Err(StorageError::Configuration(_))));
    insert_key(&second.with_root().await, 1).await.expect("others may write");
    drop(lock);
    second_may_lock(&db);
    use std::os::unix::fs::PermissionsExt;
    let file = db.storage.path().expect("a file").display().to_string();
    for file in [file.clone(), format!("{file}.lock"), format!("{file}.migrate-lock")] {
        let mode = std::fs::metadata(&file).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

fn second_may_lock(db: &Db) {
    db.storage.lock_for_serving().expect("the lock is free again");
}

trait WithRoot {
    async fn with_root(&self) -> Storage;
}

impl WithRoot for Storage {
    async fn with_root(&self) -> Storage {
        let insert = async |mut tx: Tx<'_>| {
            tx.workspace_insert(&super::workspace("root", Some(WorkspaceId::ROOT))).await
        };
        self.transaction::<_, StorageError, _>(insert).await.expect("the root");
        self.clone()
    }
}

/// Two handles on one file, as the command line beside a running server: their writes wait for each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_write_one_sqlite_file() {
    let db = Db::start(Engine::Sqlite).await.with_root().await;
    let other = db._database.open().await;
    let both: Vec<_> = (0..100u64)
        .map(|number| {
            let storage = if number % 2 == 0 { db.storage.clone() } else { other.clone() };
            tokio::spawn(async move { insert_key(&storage, number).await })
        })
        .collect();
    for writer in both {
        writer.await.expect("a writer").expect("a write");
    }
    assert_eq!(db.key_count().await, 100);
}

/// What is announced is heard once the transaction is committed, and not if it is undone.
async fn other_processes_are_told(db: Db) {
    let db = db.with_root().await;
    let Some(mut notices) = db.storage.notices() else {
        assert_eq!(db.storage.engine(), Engine::Sqlite, "a file has one process that serves it");
        return;
    };
    // As soon as it listens, it looks for itself.
    assert_eq!((notices.recv().await, notices.recv().await), (Some(Notice::Due), Some(Notice::Changes)));
    let undone = async |mut tx: Tx<'_>| {
        tx.announce_due().await?;
        Err::<(), _>(StorageError::Query(gatepost_kernel::Cause::new("told to fail")))
    };
    assert!(db.storage.transaction(undone).await.is_err());
    let change = async |mut tx: Tx<'_>| {
        tx.change_append(&[ChangeSubject::Workspace(WorkspaceId::ROOT)], SystemClock.now()).await
    };
    db.storage.transaction(change).await.expect("a change");
    assert_eq!(notices.recv().await, Some(Notice::Changes));
    db.storage.transaction(async |mut tx: Tx<'_>| tx.announce_due().await).await.expect("an announcement");
    assert_eq!(notices.recv().await, Some(Notice::Due));
    let ahead = db.storage.clock_ahead_by(&SystemClock).await.expect("both clocks");
    assert!(ahead.is_none_or(|ahead| ahead.abs() < 60_000_000), "one machine, one clock: {ahead:?}");
}

/// Readers that come and go, so that there is always one: the log begins anew all the same, and nobody is
/// refused meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_write_ahead_log_is_bounded_whoever_reads() {
    const MOST_BYTES: u64 = 128 << 20;
    let db = Db::start(Engine::Sqlite).await.with_root().await;
    let log = format!("{}-wal", db._database.url.trim_start_matches("sqlite://"));
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (storage, done) = (db.storage.clone(), done.clone());
            tokio::spawn(async move {
                let mut reads = 0;
                while !done.load(Ordering::Relaxed) {
                    let count = async |mut tx: Tx<'_>| tx.workspace_count().await;
                    storage.read::<_, StorageError, _>(count).await.expect("a read");
                    reads += 1;
                }
                reads
            })
        })
        .collect();
    let mut largest = 0;
    for nth in 0..300 {
        let event = NewEvent {
            id: EventId::parse(&format!("evt_{nth}")).expect("an id"),
            workspace_id: WorkspaceId::ROOT,
            environment: Environment::Live,
            event_type: "large".to_owned(),
            payload: "x".repeat(1 << 20).into(),
            created_at: super::at(nth),
            request_id: None,
        };
        let insert = async move |mut tx: Tx<'_>| tx.event_insert(&[event]).await;
        db.storage.transaction::<_, StorageError, _>(insert).await.expect("a write");
        largest = largest.max(std::fs::metadata(&log).expect("the log").len());
    }
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.await.expect("a reader") > 0);
    }
    assert!((32 << 20..MOST_BYTES).contains(&largest), "{largest}");
}
