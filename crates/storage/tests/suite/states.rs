//! What PostgreSQL refuses is understood whatever language it speaks, and what became of the work is told.

use std::sync::Arc;

use gatepost_kernel::{Fate, WorkspaceId, chain};
use gatepost_storage::{DatabaseUrl, Storage, StorageError, Tx, WorkspaceChanges};
use gatepost_test_support::PostgresServer;
use tokio::sync::Notify;
use tokio_postgres::{Client, NoTls};

use super::{at, workspace};

const SECOND: WorkspaceId = WorkspaceId(2);

/// A German server, its owner, and a database that a role without any privilege works in.
struct German {
    server: Arc<PostgresServer>,
    owner: Arc<Client>,
    url: String,
}

impl German {
    async fn start() -> Self {
        let server = Arc::new(PostgresServer::start_in_german());
        let owners = server.create_database();
        let owner = client(&owners).await;
        for sql in ["CREATE ROLE ordinary LOGIN", "CREATE DATABASE ordinary OWNER ordinary"] {
            owner.batch_execute(sql).await.expect(sql);
        }
        let place = owners.rsplit_once('/').expect("a URL").0.replace("postgres@", "ordinary@");
        Self { server, owner: Arc::new(owner), url: format!("{place}/ordinary") }
    }

    async fn open(&self) -> Storage {
        Storage::open(&self.url.parse::<DatabaseUrl>().expect("a URL")).await.expect("the database")
    }

    /// The database with two workspaces in it.
    async fn with_two_workspaces(&self) -> Storage {
        let storage = self.open().await;
        storage.migrate().await.expect("the tables");
        let insert = async |mut tx: Tx<'_>| {
            tx.workspace_insert(&workspace("root", Some(WorkspaceId::ROOT))).await?;
            tx.workspace_insert(&workspace("second", Some(SECOND))).await
        };
        storage.transaction::<_, StorageError, _>(insert).await.expect("two rows");
        storage
    }
}

async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

/// The fate of what was not available, and all that is known of why.
fn refused<T: std::fmt::Debug>(answer: Result<T, StorageError>) -> (Fate, String) {
    match answer {
        Err(StorageError::Unavailable { fate, cause }) => (fate, chain(&cause).to_string()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_gave_way_hears_that_it_can_come_again() {
    let german = German::start().await;
    let storage = german.with_two_workspaces().await;
    // Of two that are in each other's way, whoever looks gives way; the owner may say that it does not look.
    let other = Arc::new(client(&german.url.replace("ordinary@", "postgres@")).await);
    other.batch_execute("SET deadlock_timeout = '1h'").await.expect("a setting");
    other.batch_execute("BEGIN; UPDATE workspaces SET name = 'x' WHERE id = 2").await.expect("a lock");

    let (holds, both_wait) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (held, crossed) = (holds.clone(), both_wait.clone());
    let unit = async move |mut tx: Tx<'_>| {
        tx.workspace_lock(WorkspaceId::ROOT).await?;
        held.notify_one();
        crossed.notified().await;
        tx.workspace_lock(SECOND).await
    };
    let unit = tokio::spawn(async move { storage.transaction::<_, StorageError, _>(unit).await });
    holds.notified().await;
    let waiting = other.clone();
    let waiting = tokio::spawn(async move {
        waiting.batch_execute("UPDATE workspaces SET name = 'x' WHERE id = 1; COMMIT").await
    });
    let waiters = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    while german.owner.query_one(waiters, &[]).await.expect("a count").get::<_, i64>(0) == 0 {
        tokio::task::yield_now().await;
    }
    both_wait.notify_one();
    let (fate, why) = refused(unit.await.expect("a task"));
    assert_eq!(fate, Fate::GaveWay, "{why}");
    assert!(why.contains("Verklemmung"), "{why}");
    waiting.await.expect("a task").expect("the other goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_in_german_are_understood() {
    let german = German::start().await;
    let storage = german.with_two_workspaces().await;

    let taken = async |mut tx: Tx<'_>| {
        let changes = WorkspaceChanges { slug: Some("root".to_owned()), ..WorkspaceChanges::default() };
        tx.workspace_update(SECOND, changes, at(1)).await
    };
    let taken = storage.transaction::<_, StorageError, _>(taken).await;
    assert!(matches!(&taken, Err(StorageError::Duplicate(name)) if name.contains("slug")), "{taken:?}");

    // Another session holds the row for longer than ours waits for it.
    let other = client(&german.url).await;
    other.batch_execute("BEGIN; UPDATE workspaces SET name = 'x' WHERE id = 2").await.expect("a lock");
    let lock = async |mut tx: Tx<'_>| tx.workspace_lock(SECOND).await;
    let (fate, why) = refused(storage.transaction::<_, StorageError, _>(lock).await);
    assert_eq!(fate, Fate::Undone, "{why}");
    assert!(why.contains("Sperre"), "{why}");
    other.batch_execute("ROLLBACK").await.expect("the row is free");

    let owner = german.owner.clone();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ordinary'";
    let ended = async move |mut tx: Tx<'_>| {
        tx.workspace_lock(SECOND).await?;
        owner.batch_execute(end).await.expect("an end");
        tx.workspace_get(SECOND).await
    };
    let (fate, why) = refused(storage.transaction::<_, StorageError, _>(ended).await);
    assert_eq!(fate, Fate::Undone, "{why}");

    let read_only = "ALTER ROLE ordinary SET default_transaction_read_only = on";
    german.owner.batch_execute(read_only).await.expect("a setting");
    let storage = german.open().await;
    let insert = async |mut tx: Tx<'_>| tx.workspace_insert(&workspace("third", None)).await;
    let (fate, why) = refused(storage.transaction::<_, StorageError, _>(insert).await);
    assert_eq!(fate, Fate::Undone, "{why}");
    assert!(why.contains("Read-Only"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_was_told_to_keep_may_be_kept() {
    let german = German::start().await;
    let storage = german.with_two_workspaces().await;

    // It freezes before it is told to keep anything.
    let server = german.server.clone();
    let frozen_before = async move |mut tx: Tx<'_>| {
        tx.workspace_lock(SECOND).await?;
        server.freeze(true);
        tx.workspace_get(SECOND).await
    };
    let (fate, why) = refused(storage.transaction::<_, StorageError, _>(frozen_before).await);
    german.server.freeze(false);
    assert_eq!(fate, Fate::Undone, "{why}");

    // It freezes with the word to keep it on its way.
    let server = german.server.clone();
    let frozen_at_the_end = async move |mut tx: Tx<'_>| {
        let done = tx.workspace_delete(SECOND, at(1)).await;
        server.freeze(true);
        done
    };
    let (fate, why) = refused(storage.transaction::<_, StorageError, _>(frozen_at_the_end).await);
    german.server.freeze(false);
    assert_eq!(fate, Fate::Unknown, "{why}");

    // A single statement is kept without a word.
    let server = german.server.clone();
    let alone = async move |mut tx: Tx<'_>| {
        server.freeze(true);
        tx.workspace_insert(&workspace("third", None)).await
    };
    let (fate, why) = refused(storage.statement::<_, StorageError, _>(alone).await);
    german.server.freeze(false);
    assert_eq!(fate, Fate::Unknown, "{why}");
}
