//! What goes in comes out, and queries find what they should.

use gatepost_kernel::{
    ApiKeyId, Environment, EventId, ExternalId, JsonObject, Owner, PageRequest, RequestId, Window,
    WorkspaceId,
};
use gatepost_keys::{IpAllowlist, KeyStatus, Metadata, ScopeSet};
use gatepost_storage::{
    AUDIT_SORTS, Actor, ApiKeyChanges, ApiKeyFilter, AuditFilter, Direction, EVENT_SORTS, IdempotencyRecord,
    ListRequest, NewApiKey, NewAuditEntry, NewEvent, NewWebhookEndpoint, NewWorkspace, Size, SortKey,
    StorageError, Tx, WorkspaceChanges, WorkspaceFilter,
};
use gatepost_test_support::both_engines;
use rand::{SeedableRng, rngs::StdRng};
use serde_json::{Map, json};

use super::{Db, at, key, workspace};

both_engines! { Db:
    keys_keep_every_field,
    keys_are_listed_by_status_environment_and_page,
    workspaces_keep_every_field_and_slugs_are_unique,
    a_deleted_workspace_is_gone_and_its_slug_free,
    audit_entries_and_events_are_kept,
    idempotency_records_expire_and_are_replaced,
    large_pages_are_whole_unless_told_otherwise,
    one_unreadable_endpoint_keeps_no_other_waiting,
}

fn page_of(page: u32, per_page: u32) -> ListRequest {
    ListRequest::of(Window::Page(PageRequest::of_page(page, per_page)))
}

fn newest_first(sorts: &[SortKey]) -> ListRequest {
    ListRequest { order: vec![(sorts[0], Direction::Descending)], ..ListRequest::default() }
}

async fn keys_keep_every_field(db: Db) {
    let db = db.with_root().await;
    let check = async |mut tx: Tx<'_>| {
        let new = NewApiKey {
            environment: Environment::Test,
            name: "Ünïcode 🔑 '\"; --".into(),
            scopes: ScopeSet::parse(&["*:read", "posts:write"]).expect("scopes"),
            rate_limit_tier: Some("pro".into()),
            allowed_ips: IpAllowlist::parse(&["10.0.0.0/8", "2001:db8::1"]).expect("a list"),
            expires_at: Some(at(60)),
            external_id: ExternalId::parse("user_42"),
            metadata: Metadata::from_stored(r#"{"amount":19.90,"a":"é"}"#.into()),
            disabled_at: Some(at(0)),
            ..key(1)
        };
        let made = tx.api_key_insert(&new).await?;
        assert_eq!(made.workspace_id, WorkspaceId::ROOT);
        assert_eq!((made.environment, &made.name, &made.scopes), (new.environment, &new.name, &new.scopes));
        assert_eq!((&made.rate_limit_tier, &made.allowed_ips), (&new.rate_limit_tier, &new.allowed_ips));
        assert_eq!((made.expires_at, made.created_at), (Some(at(60)), at(0)), "to the microsecond");

        assert_eq!((&made.external_id, &made.metadata), (&new.external_id, &new.metadata));
        assert_eq!(made.disabled_at, Some(at(0)));
        assert_eq!(tx.api_key_metadata(made.id).await?, new.metadata);

        let owner = tx.api_key_by_digest(&new.digest).await?.expect("the key");
        assert_eq!(
            (owner.key, owner.workspace_tier.as_str(), owner.workspace_deleted),
            (made.clone(), "free", false)
        );
        assert!(tx.api_key_by_digest(&key(2).digest).await?.is_none());
        assert_eq!(tx.api_key_get(WorkspaceId::ROOT, made.id).await?, Some(made.clone()));
        assert_eq!(tx.api_key_lock(WorkspaceId::ROOT, made.id).await?, Some(made.clone()));
        assert_eq!(tx.api_key_get(WorkspaceId(99), made.id).await?, None, "another tenant's");

        let changes = ApiKeyChanges {
            name: Some("B".into()),
            scopes: Some(ScopeSet::default()),
            allowed_ips: Some(IpAllowlist::default()),
            expires_at: Some(None),
            rate_limit_tier: Some(None),
            external_id: Some(None),
            metadata: Some(Metadata::default()),
            disabled_at: Some(None),
        };
        let changed = tx.api_key_update(made.id, changes, at(5)).await?;
        assert_eq!((changed.name.as_str(), changed.expires_at, changed.updated_at), ("B", None, at(5)));
        assert_eq!((changed.external_id, changed.metadata.as_str(), changed.disabled_at), (None, "{}", None));
        assert_eq!((changed.scopes.iter().count(), changed.allowed_ips.to_texts().len()), (0, 0));
        assert_eq!(tx.api_key_update(made.id, ApiKeyChanges::default(), at(6)).await?.name, "B");

        let successor = tx.api_key_insert(&NewApiKey { rotated_from_id: Some(made.id), ..key(3) }).await?;
        let rotated = tx.api_key_set_rotated(made.id, successor.id, at(9), at(7)).await?;
        assert_eq!((rotated.rotated_to_id, rotated.grace_period_ends_at), (Some(successor.id), Some(at(9))));
        assert_eq!(successor.rotated_from_id, Some(made.id));

        assert!(tx.api_key_revoke(made.id, at(8)).await?);
        assert!(!tx.api_key_revoke(made.id, at(9)).await?, "only once");
        assert_eq!(tx.api_key_get(WorkspaceId::ROOT, made.id).await?.and_then(|k| k.revoked_at), Some(at(8)));
        assert_eq!(tx.api_key_workspace(made.id).await?, Some(WorkspaceId::ROOT));
        assert_eq!(tx.api_key_workspace(ApiKeyId(i64::MAX)).await?, None);
        Ok::<_, StorageError>(())
    };
    db.storage.transaction(check).await.expect("the checks");
}

async fn keys_are_listed_by_status_environment_and_page(db: Db) {
    let db = db.with_root().await;
    let check = async |mut tx: Tx<'_>| {
        let active = tx.api_key_insert(&key(1)).await?.id;
        let expired = tx.api_key_insert(&NewApiKey { expires_at: Some(at(10)), ..key(2) }).await?.id;
        let rotated = tx.api_key_insert(&key(3)).await?.id;
        tx.api_key_set_rotated(rotated, active, at(10), at(1)).await?;
        let revoked = tx.api_key_insert(&key(4)).await?.id;
        tx.api_key_revoke(revoked, at(1)).await?;
        let test = tx.api_key_insert(&NewApiKey { environment: Environment::Test, ..key(5) }).await?.id;

        let end = Some(at(10));
        let disabled = NewApiKey { disabled_at: Some(at(1)), expires_at: end, ..key(6) };
        let disabled = tx.api_key_insert(&disabled).await?.id;

        let cases: [(_, _, i64, &[_]); 9] = [
            (None, None, 5, &[active, expired, rotated, test, disabled]),
            (Some(KeyStatus::Active), None, 9, &[active, expired, rotated, test]),
            (Some(KeyStatus::Active), None, 10, &[active, test]),
            (Some(KeyStatus::Disabled), None, 9, &[disabled]),
            (Some(KeyStatus::Disabled), None, 10, &[]),
            (Some(KeyStatus::Expired), None, 9, &[]),
            (Some(KeyStatus::Expired), None, 10, &[expired, rotated, disabled]),
            (Some(KeyStatus::Revoked), None, 5, &[revoked]),
            (None, Some(Environment::Test), 5, &[test]),
        ];
        for (status, environment, second, expected) in cases {
            let filter =
                ApiKeyFilter { environment, status, ..ApiKeyFilter::of(WorkspaceId::ROOT, at(second)) };
            let page = tx.api_key_list(&filter, &ListRequest::default()).await?;
            let ids: Vec<_> = page.items.iter().map(|key| key.id).collect();
            assert_eq!(
                (ids.as_slice(), page.total),
                (expected, Some(expected.len() as u64)),
                "{status:?} at {second}"
            );
            for key in &page.items {
                assert!(status.is_none_or(|status| key.status(at(second)) == status), "rows and rules agree");
            }
        }
        let filter = ApiKeyFilter::of(WorkspaceId::ROOT, at(0));
        let page = tx.api_key_list(&filter, &page_of(2, 3)).await?;
        assert_eq!((page.items.len(), page.items[0].id, page.total), (2, test, Some(5)));
        let other = ApiKeyFilter { workspace_id: WorkspaceId(9), ..filter };
        assert_eq!(tx.api_key_list(&other, &ListRequest::default()).await?.total, Some(0));
        Ok::<_, StorageError>(())
    };
    db.storage.transaction(check).await.expect("the checks");
}

async fn workspaces_keep_every_field_and_slugs_are_unique(db: Db) {
    let db = db.with_root().await;
    let check = async |mut tx: Tx<'_>| {
        let mut new = workspace("acme", None);
        let settings = r#"{"timezone":"UTC","deep":{"b":[1,2.50,null,"x"],"a":1E400}}"#;
        new.settings = JsonObject::from_text(settings).expect("an object");
        let made = tx.workspace_insert(&new).await?.expect("a free slug");
        assert_eq!(made.id, WorkspaceId(2), "the first after the root");
        assert_eq!((&made.settings, made.created_at, made.updated_at), (&new.settings, at(0), at(0)));
        assert!(tx.workspace_insert(&new).await?.is_none(), "a taken slug");
        assert!(
            tx.workspace_insert(&workspace("again", Some(WorkspaceId::ROOT))).await?.is_none(),
            "a taken id"
        );
        let second = tx.workspace_insert(&workspace("acme-2", None)).await?.expect("a free slug");
        tx.workspace_insert(&workspace("acmes", None)).await?.expect("a free slug");
        let customer =
            NewWorkspace { external_id: ExternalId::parse("cust_42"), ..workspace("acmes-3", None) };
        let owned = tx.workspace_insert(&customer).await?.expect("a free external id");
        assert_eq!(owned.external_id, customer.external_id);
        let again = NewWorkspace { slug: "acmes-4".into(), ..customer.clone() };
        assert!(tx.workspace_insert(&again).await?.is_none(), "a taken external id");
        let id = customer.external_id.as_ref().expect("it was given");
        assert_eq!(tx.workspace_by_external_id(id).await?, Some(owned.id));
        let of_customer = WorkspaceFilter { external_id: Some(id.clone()), ..WorkspaceFilter::default() };
        assert_eq!(
            tx.workspace_list(&of_customer, &ListRequest::default()).await?.items,
            std::slice::from_ref(&owned)
        );
        assert!(tx.workspace_delete(owned.id, at(1)).await?);
        assert_eq!(tx.workspace_by_external_id(id).await?, None, "free again");
        let mut slugs = tx.workspace_slugs_from("acme").await?;
        slugs.sort();
        assert_eq!(slugs, ["acme", "acme-2"]);

        let changes =
            WorkspaceChanges { name: Some("B".into()), tier: Some("pro".into()), ..Default::default() };
        let changed = tx.workspace_update(made.id, changes, at(3)).await?.expect("the workspace");
        assert_eq!(
            (changed.name.as_str(), changed.tier.as_str(), changed.slug.as_str()),
            ("B", "pro", "acme")
        );
        assert_eq!((changed.settings.clone(), changed.updated_at), (new.settings.clone(), at(3)));
        assert_eq!(tx.workspace_lock(made.id).await?, Some(changed));
        let page = tx.workspace_list(&WorkspaceFilter::default(), &page_of(1, 2)).await?;
        assert_eq!((page.items.len(), page.total), (2, Some(4)));
        let only = WorkspaceFilter { only: Some(second.id), ..WorkspaceFilter::default() };
        assert_eq!(tx.workspace_list(&only, &ListRequest::default()).await?.total, Some(1));
        Ok::<_, StorageError>(made.id)
    };
    let id = db.storage.transaction(check).await.expect("the checks");

    let changes = WorkspaceChanges { slug: Some("acme-2".into()), ..Default::default() };
    let update = async move |mut tx: Tx<'_>| tx.workspace_update(id, changes, at(4)).await;
    let taken = db.storage.transaction::<_, StorageError, _>(update).await;
    assert!(matches!(taken, Err(StorageError::Duplicate(_))), "{taken:?}");
}

async fn a_deleted_workspace_is_gone_and_its_slug_free(db: Db) {
    let db = db.with_root().await;
    let check = async |mut tx: Tx<'_>| {
        let id = tx.workspace_insert(&workspace("acme", None)).await?.expect("a free slug").id;
        let new = NewApiKey { workspace_id: id, ..key(1) };
        tx.api_key_insert(&new).await?;
        assert!(tx.workspace_delete(id, at(1)).await?);
        assert!(!tx.workspace_delete(id, at(2)).await?, "only once");
        assert!(tx.workspace_get(id).await?.is_none() && tx.workspace_lock(id).await?.is_none());
        assert!(tx.workspace_update(id, WorkspaceChanges::default(), at(3)).await?.is_none());
        let all = tx.workspace_list(&WorkspaceFilter::default(), &ListRequest::default()).await?;
        assert_eq!(all.total, Some(1));
        assert!(tx.workspace_insert(&workspace("acme", None)).await?.is_some());
        assert!(tx.api_key_by_digest(&new.digest).await?.expect("the key").workspace_deleted);
        assert!(tx.api_key_any(id).await? && !tx.api_key_any(WorkspaceId::ROOT).await?);
        Ok::<_, StorageError>(())
    };
    db.storage.transaction(check).await.expect("the checks");
}

async fn audit_entries_and_events_are_kept(db: Db) {
    let db = db.with_root().await;
    let check = async |mut tx: Tx<'_>| {
        let mut rng = StdRng::seed_from_u64(1);
        let entry = |number: i64, actor| NewAuditEntry {
            workspace_id: WorkspaceId::ROOT,
            environment: Environment::Live,
            action: "api_key.created",
            actor,
            target_type: "api_key",
            target_id: number,
            request_id: RequestId::from_caller("req_1", |_| false),
            ip_address: Some("2001:db8::1".parse().expect("an address")),
            details: Map::from_iter([("n".to_owned(), json!(number))]),
            created_at: at(number),
        };
        tx.audit_entry_insert(&entry(1, Actor::ApiKey(ApiKeyId(7), WorkspaceId::ROOT))).await?;
        tx.audit_entry_insert(&entry(2, Actor::CommandLine)).await?;
        tx.audit_entry_insert(&NewAuditEntry {
            environment: Environment::Test,
            ..entry(3, Actor::CommandLine)
        })
        .await?;
        let filter = AuditFilter {
            workspace_id: WorkspaceId::ROOT,
            environment: Environment::Live,
            action: None,
            target_type: None,
            target_id: None,
            request_id: None,
            is_for_tenant: false,
        };
        let page = tx.audit_entry_list(&filter, &newest_first(AUDIT_SORTS)).await?;
        assert_eq!(page.items.iter().map(|e| e.target_id).collect::<Vec<_>>(), [2, 1], "the newest first");
        assert_eq!(page.items[1].actor, Actor::ApiKey(ApiKeyId(7), WorkspaceId::ROOT));
        assert_eq!((page.items[1].details["n"].as_i64(), page.items[1].created_at), (Some(1), at(1)));
        assert_eq!(page.items[1].ip_address.as_deref(), Some("2001:db8::1"));

        for (second, environment) in [(1, Environment::Live), (2, Environment::Live), (3, Environment::Test)]
        {
            tx.event_insert(&[NewEvent {
                id: EventId::generate(&mut rng),
                workspace_id: WorkspaceId::ROOT,
                environment,
                event_type: "api_key.created".into(),
                payload: second.to_string().into(),
                created_at: at(second),
                request_id: None,
            }])
            .await?;
        }
        let newest = newest_first(EVENT_SORTS);
        let events = tx.event_list(Owner::new(WorkspaceId::ROOT, Environment::Live), None, &newest).await?;
        assert_eq!(events.items.iter().map(|e| e.payload.as_str()).collect::<Vec<_>>(), ["2", "1"]);
        let own = EventId::parse("evt_own").expect("an id");
        let mut event = NewEvent {
            id: own.clone(),
            workspace_id: WorkspaceId::ROOT,
            environment: Environment::Live,
            event_type: "a".into(),
            payload: "first".into(),
            created_at: at(4),
            request_id: RequestId::from_caller("req_own", |_| false),
        };
        let twice = [event.clone(), NewEvent { request_id: None, payload: "zeroth".into(), ..event.clone() }];
        assert!(
            matches!(tx.event_insert(&twice).await?[..], [Some(_), None]),
            "the first of two with one id"
        );
        event.payload = "second".into();
        assert_eq!(tx.event_insert(std::slice::from_ref(&event)).await?, [None], "an id is one event");
        let kept = tx.event_get(Owner::new(WorkspaceId::ROOT, Environment::Live), &own).await?;
        let kept = kept.map(|event| (event.payload, event.request_id));
        assert_eq!(kept, Some(("first".to_owned(), Some("req_own".to_owned()))));
        event.environment = Environment::Test;
        let elsewhere = tx.event_insert(&[event]).await?;
        assert!(elsewhere[0].is_some(), "another environment is another place");
        Ok::<_, StorageError>(())
    };
    db.storage.transaction(check).await.expect("the checks");
}

async fn idempotency_records_expire_and_are_replaced(db: Db) {
    let db = db.with_root().await;
    let check = async |mut tx: Tx<'_>| {
        let id = tx.api_key_insert(&key(1)).await?.id;
        let record = |body: &[u8], created: i64| IdempotencyRecord {
            api_key_id: id,
            idempotency_key: "k".into(),
            workspace_id: WorkspaceId::ROOT,
            environment: Environment::Live,
            fingerprint: [7; 32],
            status: 201,
            sealed: true,
            content_type: "application/json".into(),
            body: body.to_vec(),
            created_at: at(created),
            expires_at: at(created + 10),
        };
        assert!(tx.idempotency_try_lock(id, "k").await?);
        tx.idempotency_insert(&record(b"\0one", 0)).await?;
        let kept = tx.idempotency_get(id, "k", at(9)).await?.expect("the record");
        assert_eq!((kept.body.as_slice(), kept.sealed, kept.status), (&b"\0one"[..], true, 201));
        assert_eq!((kept.fingerprint, kept.expires_at), ([7; 32], at(10)));
        assert!(tx.idempotency_get(id, "k", at(10)).await?.is_none(), "expired");
        assert!(tx.idempotency_get(id, "other", at(0)).await?.is_none());
        tx.idempotency_insert(&record(b"two", 20)).await?;
        assert_eq!(tx.idempotency_delete_expired(at(29), 10).await?, 0);
        assert_eq!(tx.idempotency_get(id, "k", at(25)).await?.map(|r| r.body), Some(b"two".to_vec()));
        assert_eq!(tx.idempotency_delete_expired(at(30), 10).await?, 1);
        Ok::<_, StorageError>(())
    };
    db.storage.transaction(check).await.expect("the checks");
}

/// Who reads a list to its end, as the command line does, must get every row; a page for a client may be cut
/// or refused.
async fn large_pages_are_whole_unless_told_otherwise(db: Db) {
    let db = db.with_root().await;
    let new: Vec<NewEvent> = (0..6)
        .map(|nth| NewEvent {
            id: EventId::parse(&format!("evt_{nth}")).expect("an id"),
            workspace_id: WorkspaceId::ROOT,
            environment: Environment::Live,
            event_type: "large".to_owned(),
            payload: "x".repeat(1_000_000).into(),
            created_at: at(nth),
            request_id: None,
        })
        .collect();
    let insert = async move |mut tx: Tx<'_>| tx.event_insert(&new).await;
    db.storage.transaction::<_, StorageError, _>(insert).await.expect("stored");
    for (size, without_content, rows, fitting) in [
        (Size::default(), false, 6, None),
        (Size::Cut, false, 4, Some(4)),
        (Size::Refused, false, 0, Some(4)),
        (Size::Refused, true, 6, None),
    ] {
        let request = ListRequest { size, without_content, ..ListRequest::default() };
        let list = async move |mut tx: Tx<'_>| {
            tx.event_list(Owner::new(WorkspaceId::ROOT, Environment::Live), None, &request).await
        };
        let page = db.storage.read::<_, StorageError, _>(list).await.expect("a page");
        assert_eq!((page.items.len(), page.fitting, page.total), (rows, fitting, Some(6)), "{size:?}");
        let bytes = if without_content { 0 } else { 1_000_000 };
        assert!(page.items.iter().all(|event| event.payload.len() == bytes));
    }
}

async fn one_unreadable_endpoint_keeps_no_other_waiting(db: Db) {
    let db = db.with_root().await;
    let owner = Owner::new(WorkspaceId::ROOT, Environment::Live);
    let make = async move |mut tx: Tx<'_>| {
        let new = NewWebhookEndpoint {
            workspace_id: owner.workspace_id,
            environment: owner.environment,
            url: "https://a.example/hooks".to_owned(),
            description: None,
            events: vec!["*".to_owned()],
            created_at: at(0),
        };
        let broken = tx.webhook_endpoint_insert(&new).await?.id;
        Ok::<_, StorageError>((broken, tx.webhook_endpoint_insert(&new).await?.id))
    };
    let (broken, sound) = db.storage.transaction(make).await.expect("two endpoints");
    db.execute(&format!("UPDATE webhook_endpoints SET previous_secrets = '7' WHERE id = {broken}")).await;
    let check = async move |mut tx: Tx<'_>| {
        let ids = |found: Vec<gatepost_webhooks::WebhookEndpoint>| {
            found.iter().map(|one| one.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(tx.webhook_endpoint_targets(&[broken, sound]).await?), [sound]);
        assert_eq!(ids(tx.webhook_endpoint_active(&[owner.workspace_id]).await?), [sound]);
        let unreadable = tx.webhook_endpoint_get(owner, broken).await.expect_err("an unreadable row");
        let told = gatepost_kernel::chain(&unreadable).to_string();
        assert!(matches!(unreadable, StorageError::Corrupt(_)), "{told}");
        Ok::<_, StorageError>(())
    };
    db.storage.transaction(check).await.expect("the checks");
}
