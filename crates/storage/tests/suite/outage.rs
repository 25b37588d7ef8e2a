//! A database that goes away is said to be away, soon, and is found again by itself.

use std::time::Duration;

use gatepost_storage::{DatabaseUrl, Storage, StorageError};
use gatepost_test_support::PostgresServer;

/// What the caller of the API is promised; a generous bound, not a measurement.
const PROMISE: Duration = Duration::from_secs(5);

async fn open(server: &PostgresServer) -> Storage {
    let url: DatabaseUrl = server.create_database().parse().expect("a url");
    let storage = Storage::open(&url).await.expect("the database");
    storage.migrate().await.expect("the tables");
    storage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_is_unavailable_until_it_is_back() {
    let mut server = PostgresServer::start();
    let storage = open(&server).await;
    server.kill();
    for _ in 0..3 {
        let answer = tokio::time::timeout(PROMISE, storage.ping()).await.expect("an answer in time");
        assert!(matches!(answer, Err(StorageError::Unavailable { .. })), "{answer:?}");
    }
    server.start_again();
    // Connections that died are found out as they are used, so the first tries may still fail.
    let mut answer = storage.ping().await;
    for _ in 0..20 {
        if answer.is_ok() {
            break;
        }
        answer = storage.ping().await;
    }
    answer.expect("the database is found again");
    assert!(storage.schema().await.expect("an answer").pending.is_empty(), "nothing was lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_unavailable_until_it_thaws() {
    let server = PostgresServer::start();
    let storage = open(&server).await;
    server.freeze(true);
    let asked: Vec<_> = (0..20)
        .map(|_| {
            let storage = storage.clone();
            tokio::spawn(async move { tokio::time::timeout(PROMISE, storage.ping()).await })
        })
        .collect();
    for answer in asked {
        let answer = answer.await.expect("a task").expect("an answer in time");
        assert!(matches!(answer, Err(StorageError::Unavailable { .. })), "{answer:?}");
    }
    server.freeze(false);
    storage.ping().await.expect("the database answers again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_listens_there() {
    let url: DatabaseUrl = "postgres://nobody@127.0.0.1:1/none".parse().expect("a url");
    let refused = tokio::time::timeout(PROMISE, Storage::open(&url)).await.expect("an answer in time");
    assert!(matches!(refused.map(|_| ()), Err(StorageError::Unavailable { .. })));
}
