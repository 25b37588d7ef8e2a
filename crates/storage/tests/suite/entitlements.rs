//! Uses that are counted by where the counter stood last are counted only if it still stands there.

use gatepost_entitlements::Operation;
use gatepost_kernel::{Environment, Json, JsonObject, Owner, Timestamp, WorkspaceId};
use gatepost_storage::{CounterKey, EntitlementUse, Storage, StorageError, Tx, WorkspaceChanges};
use gatepost_test_support::both_engines;
use serde_json::json;

use super::{Db, at};

both_engines! { Db: uses_are_counted_only_as_decided }

fn counter() -> CounterKey {
    CounterKey {
        workspace_id: WorkspaceId::ROOT,
        environment: Environment::Live,
        feature: "posts".to_owned(),
        period_start: at(0),
    }
}

/// Two uses, after `held`.
fn uses(held: u64) -> Vec<EntitlementUse> {
    let one = |used| EntitlementUse {
        counter: counter(),
        operation: Operation::Add,
        requested: 1,
        quantity: 1,
        reset_at: Some(at(100)),
        used,
        limit: Some(10),
        soft: true,
        plan: "free".to_owned(),
        reason: None,
        metadata: (used % 2 == 0).then(|| Json::from(&json!({ "n": used }))),
        idempotency_key: None,
        created_at: at(1),
    };
    vec![one(held + 1), one(held + 2)]
}

/// Whether two uses are counted after `held`, as decided by what the workspace was at `as_of`.
async fn count(storage: &Storage, held: u64, as_of: Timestamp) -> bool {
    let count = async move |mut tx: Tx<'_>| tx.entitlement_count(&uses(held), held, as_of).await;
    storage.statement::<_, StorageError, _>(count).await.expect("an answer")
}

/// What the counter holds, and the sum of its uses.
async fn sums(storage: &Storage) -> (u64, u64) {
    let sums = async |mut tx: Tx<'_>| {
        let counted = tx.entitlement_counter_get(&counter()).await?;
        let used = tx.entitlement_use_sum(Owner::new(WorkspaceId::ROOT, Environment::Live), "posts").await?;
        Ok::<_, StorageError>((counted, used))
    };
    storage.read(sums).await.expect("the sums")
}

async fn set(storage: &Storage, changes: WorkspaceChanges) {
    let update = async move |mut tx: Tx<'_>| tx.workspace_update(WorkspaceId::ROOT, changes, at(2)).await;
    storage.transaction::<_, StorageError, _>(update).await.expect("an answer").expect("the workspace");
}

async fn uses_are_counted_only_as_decided(db: Db) {
    let db = db.with_root().await;
    let storage = &db.storage;
    assert!(!count(storage, 0, at(0)).await, "there is no counter");
    let make = async |mut tx: Tx<'_>| tx.entitlement_counter_lock(&counter(), at(0)).await;
    assert_eq!(storage.transaction::<_, StorageError, _>(make).await.expect("a counter"), 0);

    assert!(count(storage, 0, at(0)).await);
    assert_eq!(sums(storage).await, (2, 2));
    assert!(!count(storage, 0, at(0)).await, "others have counted");
    assert!(!count(storage, 2, at(1)).await, "another state of the workspace");
    assert_eq!(sums(storage).await, (2, 2), "nothing was written");

    let settings = JsonObject::from_text(r#"{"timezone":"Europe/London"}"#).expect("settings");
    set(storage, WorkspaceChanges { settings: Some(settings), ..WorkspaceChanges::default() }).await;
    assert!(!count(storage, 2, at(0)).await, "the workspace has changed");
    assert!(count(storage, 2, at(2)).await);
    assert_eq!(sums(storage).await, (4, 4));

    let delete = async |mut tx: Tx<'_>| tx.workspace_delete(WorkspaceId::ROOT, at(3)).await;
    assert!(storage.transaction::<_, StorageError, _>(delete).await.expect("an answer"));
    assert!(!count(storage, 4, at(2)).await, "the workspace is gone");
    assert_eq!(sums(storage).await, (4, 4));
}
