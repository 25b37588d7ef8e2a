//! The change feed never lets a reader skip an entry.

use gatepost_kernel::{ApiKeyId, ChangeId};
use gatepost_storage::{Change, ChangeSubject, Engine, StorageError, Tx};
use gatepost_test_support::both_engines;
use tokio::sync::oneshot;

use super::{Db, at};

both_engines! { Db: a_reader_that_follows_the_feed_sees_every_change_in_order }

async fn read_after(db: &Db, seen: ChangeId) -> Vec<Change> {
    let read = async move |mut tx: Tx<'_>| tx.change_list_after(seen, 1_000).await;
    db.storage.read::<_, StorageError, _>(read).await.expect("the feed")
}

fn subject(number: i64) -> ChangeSubject {
    ChangeSubject::ApiKey(ApiKeyId(number))
}

async fn a_reader_that_follows_the_feed_sees_every_change_in_order(db: Db) {
    const WRITERS: i64 = 40;
    let writers: Vec<_> = (1..=WRITERS)
        .map(|number| {
            let storage = db.storage.clone();
            tokio::spawn(async move {
                let append =
                    async move |mut tx: Tx<'_>| tx.change_append(&[subject(number)], at(number)).await;
                storage.transaction::<_, StorageError, _>(append).await
            })
        })
        .collect();
    let (mut seen, mut subjects) = (ChangeId(0), Vec::new());
    while subjects.len() < WRITERS as usize {
        for change in read_after(&db, seen).await {
            assert!(change.id > seen);
            seen = change.id;
            subjects.push(change.subject);
        }
    }
    for writer in writers {
        writer.await.expect("a writer").expect("an append");
    }
    assert!(read_after(&db, seen).await.is_empty());
    let last = async |mut tx: Tx<'_>| tx.change_last_id().await;
    assert_eq!(db.storage.read::<_, StorageError, _>(last).await.expect("the end"), seen);
    assert!((1..=WRITERS).all(|number| subjects.contains(&subject(number))), "none was skipped");
}

/// Sequences are not commit order: without the lock, the second transaction would draw the later number and
/// commit first, and a reader that had seen it would never look for the earlier one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_commit_is_not_overtaken() {
    let db = Db::start(Engine::Postgres).await;
    let (appended, has_appended) = oneshot::channel();
    let (release, released) = oneshot::channel();
    let slow = tokio::spawn({
        let storage = db.storage.clone();
        async move {
            let append = async move |mut tx: Tx<'_>| {
                tx.change_append(&[subject(1)], at(1)).await?;
                appended.send(()).expect("the test listens");
                released.await.expect("the test releases");
                Ok(())
            };
            storage.transaction::<_, StorageError, _>(append).await
        }
    });
    has_appended.await.expect("the slow transaction has drawn its number");
    let fast = tokio::spawn({
        let storage = db.storage.clone();
        let append = async |mut tx: Tx<'_>| tx.change_append(&[subject(2)], at(2)).await;
        async move { storage.transaction::<_, StorageError, _>(append).await }
    });
    for _ in 0..200 {
        assert!(read_after(&db, ChangeId(0)).await.is_empty(), "the fast one must wait for the slow one");
    }
    release.send(()).expect("the slow transaction waits");
    slow.await.expect("a task").expect("the slow append");
    fast.await.expect("a task").expect("the fast append");
    let subjects: Vec<_> = read_after(&db, ChangeId(0)).await.iter().map(|change| change.subject).collect();
    assert_eq!(subjects, [subject(1), subject(2)]);
}
