//! `/api-keys`

use std::time::Duration;

use gatepost_kernel::{Environment, Owner, WorkspaceId};
use gatepost_storage::{ListRequest, StorageError, Tx};
use gatepost_test_support::{TestApp, every_face};
use serde_json::{Value, json};

every_face! { TestApp:
    made_and_read,
    changed,
    revoked,
    rotated_with_grace,
    rotated_at_once_and_with_an_own_end,
    rotated_only_once,
    nobody_widens_his_own_rights,
    tiers_stay_below_the_workspaces,
    test_keys_see_the_test_environment,
    events_are_written_with_the_change,
    use_is_counted,
}

async fn made_and_read(app: TestApp) {
    let body = json!({
        "name": "Mobile App Key", "scopes": ["posts:read", "users:read"], "rate_limit_tier": "pro",
        "expires_at": "2027-01-01T00:00:00Z", "allowed_ips": ["192.0.2.1", "10.1.1.1/8"]
    });
    let made = app.post(&app.root_key, "/api-keys", &body).await.expect(201);
    app.says(&made, "API key created successfully.");
    let data = &made["data"];
    let key = data["key"].as_str().expect("the secret");
    let head = app.live_head();
    assert!(key.starts_with(head) && key.len() == head.len() + 36, "the form of a key");
    assert_eq!(data["prefix"].as_str(), Some(&key[..head.len() + 3]));
    for (member, value) in [
        ("id", json!(2)),
        ("name", json!("Mobile App Key")),
        ("scopes", json!(["posts:read", "users:read"])),
        ("rate_limit_tier", json!("pro")),
        ("expires_at", json!("2027-01-01T00:00:00Z")),
        ("created_at", json!("2026-01-15T10:30:00.000000Z")),
        ("environment", json!("live")),
        ("allowed_ips", json!(["192.0.2.1", "10.0.0.0/8"])),
    ] {
        assert_eq!(data[member], value, "{member}");
    }
    let reply = app.get(&app.root_key, "/api-keys/2").await;
    assert!(!reply.text.contains(key), "the secret is never shown again");
    let read = &reply.json["data"];
    let mut members: Vec<_> = read.as_object().expect("an object").keys().map(String::as_str).collect();
    members.sort_unstable();
    let expected = [
        "allowed_ips",
        "created_at",
        "enabled",
        "environment",
        "expires_at",
        "external_id",
        "grace_period_ends_at",
        "id",
        "last_used_at",
        "metadata",
        "name",
        "prefix",
        "rate_limit_tier",
        "revoked_at",
        "rotated_from_id",
        "rotated_to_id",
        "scopes",
        "status",
        "updated_at",
    ];
    assert_eq!(members, expected);
    assert_eq!((&read["status"], &read["last_used_at"]), (&json!("active"), &Value::Null));
    let list = app.get(&app.root_key, "/api-keys").await;
    assert!(!list.text.contains(key));
    assert_eq!(&list.json["data"][1], read);

    let plain = app.post(&app.root_key, "/api-keys", &json!({ "name": "Plain" })).await.expect(201);
    assert_eq!(plain["data"]["scopes"], json!(["read", "write"]));
    assert_eq!(
        (&plain["data"]["expires_at"], &plain["data"]["rate_limit_tier"]),
        (&Value::Null, &Value::Null)
    );
}

async fn changed(app: TestApp) {
    let members =
        json!({ "scopes": ["posts:read"], "allowed_ips": ["10.0.0.1"], "expires_at": "2027-01-01" });
    let (id, _) = app.create_key(&app.root_key, 0, members).await;
    let path = format!("/api-keys/{id}");
    app.clock.advance(Duration::from_secs(60));
    let change = json!({ "name": "New", "scopes": ["posts:*"], "allowed_ips": null, "expires_at": null });
    let changed = app.patch(&app.root_key, &path, &change).await.expect(200);
    let data = &changed["data"];
    assert_eq!((&data["name"], &data["scopes"]), (&json!("New"), &json!(["posts:*"])));
    assert_eq!((&data["allowed_ips"], &data["expires_at"]), (&json!([]), &Value::Null));
    assert_eq!(data["updated_at"], "2026-01-15T10:31:00.000000Z");
    assert_eq!(app.patch(&app.root_key, &path, &json!({})).await.expect(200)["data"]["name"], "New");
    for (member, value) in [
        ("name", Value::Null),
        ("scopes", Value::Null),
        ("environment", json!("test")),
        ("rate_limit_tier", json!("pro")),
    ] {
        app.patch(&app.root_key, &path, &json!({ member: value }))
            .await
            .expect_error(422, "validation_failed");
    }
}

async fn revoked(app: TestApp) {
    let (id, key) = app.create_key(&app.root_key, 0, json!({ "scopes": ["*"] })).await;
    let path = format!("/api-keys/{id}");
    // A key may revoke itself.
    let reply = app.delete(&key, &path).await;
    assert_eq!((reply.status.as_u16(), reply.text.as_str()), (204, ""));
    app.get(&key, "/workspaces").await.expect_error(401, "key_revoked");
    app.get(&app.root_key, &path).await.expect_error(404, "not_found");
    app.delete(&app.root_key, &path).await.expect_error(404, "not_found");
    app.patch(&app.root_key, &path, &json!({ "name": "x" })).await.expect_error(404, "not_found");
    app.post(&app.root_key, &format!("{path}/rotate"), &json!({})).await.expect_error(409, "conflict");
    assert_eq!(app.get(&app.root_key, "/api-keys").await.expect(200)["meta"]["total"], 1);
    let list = app.get(&app.root_key, "/api-keys?status=revoked").await.expect(200);
    assert_eq!((&list["data"][0]["id"], &list["data"][0]["status"]), (&json!(id), &json!("revoked")));
}

async fn rotated_with_grace(app: TestApp) {
    let members = json!({
        "name": "App", "scopes": ["workspaces:read"], "rate_limit_tier": "pro", "allowed_ips": ["127.0.0.1"],
        "expires_at": "2027-01-01T00:00:00Z", "environment": "test"
    });
    let (id, old) = app.create_key(&app.root_key, 0, members).await;
    // No body, no Content-Type: 24 hours.
    let request = app.request(reqwest::Method::POST, &format!("/api/v1/api-keys/{id}/rotate"));
    let rotated = app.send(request.bearer_auth(&app.root_key)).await.expect(200);
    app.says(&rotated, "API key rotated successfully.");
    let data = &rotated["data"];
    assert_eq!(data["grace_period_ends_at"], "2026-01-16T10:30:00.000000Z");
    for (member, value) in [
        ("name", json!("App")),
        ("scopes", json!(["workspaces:read"])),
        ("rate_limit_tier", json!("pro")),
        ("allowed_ips", json!(["127.0.0.1"])),
        ("expires_at", json!("2027-01-01T00:00:00Z")),
        ("environment", json!("test")),
        ("rotated_from_id", json!(id)),
    ] {
        assert_eq!(data[member], value, "{member}");
    }
    let new = data["key"].as_str().expect("the secret");
    let head = app.face.contract().tokens.head(Environment::Test);
    assert!(new.starts_with(head) && new != old, "a key of the same environment");
    let before = app.get(&app.root_key, &format!("/api-keys/{id}")).await.expect(200);
    assert_eq!(before["data"]["rotated_to_id"], data["id"]);
    app.clock.advance(Duration::from_secs(24 * 3_600 - 1));
    for key in [&old, new] {
        app.get(key, "/workspaces").await.expect(200);
    }
    app.clock.advance(Duration::from_secs(1));
    app.get(&old, "/workspaces").await.expect_error(401, "key_expired");
    app.get(new, "/workspaces").await.expect(200);
    let after = app.get(&app.root_key, &format!("/api-keys/{id}")).await.expect(200);
    assert_eq!(after["data"]["status"], "expired");
}

async fn rotated_at_once_and_with_an_own_end(app: TestApp) {
    let (id, old) = app.create_key(&app.root_key, 0, json!({ "scopes": ["*"] })).await;
    let path = format!("/api-keys/{id}/rotate");
    let rotated = app.post(&app.root_key, &path, &json!({ "grace_period_hours": 0 })).await.expect(200);
    assert_eq!(rotated["data"]["grace_period_ends_at"], "2026-01-15T10:30:00.000000Z");
    app.get(&old, "/workspaces").await.expect_error(401, "key_expired");

    let soon = json!({ "scopes": ["*"], "expires_at": "2026-01-15T11:30:00Z" });
    let (id, old) = app.create_key(&app.root_key, 0, soon).await;
    let path = format!("/api-keys/{id}/rotate");
    let rotated = app.post(&app.root_key, &path, &json!({ "grace_period_hours": 168 })).await.expect(200);
    assert_eq!(
        rotated["data"]["grace_period_ends_at"], "2026-01-15T11:30:00.000000Z",
        "a grace lengthens no life"
    );
    app.clock.advance(Duration::from_secs(3_600));
    app.get(&old, "/workspaces").await.expect_error(401, "key_expired");
    app.post(&app.root_key, &path, &json!({})).await.expect_error(409, "conflict");
}

async fn rotated_only_once(app: TestApp) {
    let (id, _) = app.create_key(&app.root_key, 0, json!({ "scopes": ["*"] })).await;
    let path = format!("/api-keys/{id}/rotate");
    let body = json!({});
    let replies =
        futures_util::future::join_all((0..10).map(|_| app.post(&app.root_key, &path, &body))).await;
    let done = replies.iter().filter(|reply| reply.status == 200).count();
    let refused = replies.iter().filter(|reply| reply.status == 409).count();
    assert_eq!((done, refused), (1, 9));
    assert_eq!(app.get(&app.root_key, "/api-keys").await.expect(200)["meta"]["total"], 3);
}

async fn nobody_widens_his_own_rights(app: TestApp) {
    let (strong, _) =
        app.create_key(&app.root_key, 0, json!({ "scopes": ["posts:read", "posts:delete"] })).await;
    let (weak_id, weak) =
        app.create_key(&app.root_key, 0, json!({ "scopes": ["api-keys:*", "posts:read"] })).await;
    let create =
        async |scopes: Value| app.post(&weak, "/api-keys", &json!({ "name": "x", "scopes": scopes })).await;
    create(json!(["posts:read"])).await.expect(201);
    create(json!(["api-keys:write"])).await.expect(201);
    for scopes in [
        json!(["*"]),
        json!(["posts:*"]),
        json!(["*:read"]),
        json!(["read"]),
        json!(["admin"]),
        json!(["posts:read", "posts:delete"]),
    ] {
        create(scopes).await.expect_error(403, "access_denied");
    }
    // The default scopes are scopes too.
    app.post(&weak, "/api-keys", &json!({ "name": "x" })).await.expect_error(403, "access_denied");

    app.post(&weak, &format!("/api-keys/{strong}/rotate"), &json!({}))
        .await
        .expect_error(403, "access_denied");
    app.post(&weak, "/api-keys/1/rotate", &json!({})).await.expect_error(403, "access_denied");
    app.patch(&weak, &format!("/api-keys/{strong}"), &json!({ "name": "x" }))
        .await
        .expect_error(403, "access_denied");
    let own = format!("/api-keys/{weak_id}");
    app.patch(&weak, &own, &json!({ "scopes": ["*"] })).await.expect_error(403, "access_denied");
    app.patch(&weak, &own, &json!({ "name": "Fine" })).await.expect(200);
    app.post(&weak, &format!("{own}/rotate"), &json!({})).await.expect(200);
    app.delete(&weak, &format!("/api-keys/{strong}")).await.expect(204);
}

async fn tiers_stay_below_the_workspaces(app: TestApp) {
    let (_, _, key) = app.create_tenant("On pro").await;
    for (tier, status) in [("free", 201), ("pro", 201), ("agency", 422), ("enterprise", 422), ("gold", 422)] {
        let body = json!({ "name": "x", "rate_limit_tier": tier });
        let reply = app.post(&key, "/api-keys", &body).await;
        assert_eq!(reply.status, status, "{tier}");
        if status == 422 {
            assert!(reply.json["errors"]["rate_limit_tier"].is_array());
        }
    }
}

async fn test_keys_see_the_test_environment(app: TestApp) {
    let (live_id, _) = app.create_key(&app.root_key, 0, json!({ "scopes": ["*"] })).await;
    let (test_id, test) =
        app.create_key(&app.root_key, 0, json!({ "scopes": ["*"], "environment": "test" })).await;
    let list = app.get(&test, "/api-keys").await.expect(200);
    assert_eq!((&list["data"][0]["id"], &list["meta"]["total"]), (&json!(test_id), &json!(1)));
    assert_eq!(app.get(&test, "/api-keys?environment=live").await.expect(200)["meta"]["total"], 0);
    assert_eq!(app.get(&app.root_key, "/api-keys?environment=live").await.expect(200)["meta"]["total"], 2);
    assert_eq!(app.get(&app.root_key, "/api-keys?environment=test").await.expect(200)["meta"]["total"], 1);
    let live = format!("/api-keys/{live_id}");
    app.get(&test, &live).await.expect_error(404, "not_found");
    app.patch(&test, &live, &json!({ "name": "x" })).await.expect_error(404, "not_found");
    app.delete(&test, &live).await.expect_error(404, "not_found");
    app.post(&test, &format!("{live}/rotate"), &json!({})).await.expect_error(404, "not_found");
    let body = json!({ "name": "x", "environment": "live" });
    app.post(&test, "/api-keys", &body).await.expect_error(403, "access_denied");
    let made = app.post(&test, "/api-keys", &json!({ "name": "x" })).await.expect(201);
    assert_eq!(made["data"]["environment"], "test");
    app.get(&app.root_key, &format!("/api-keys/{test_id}")).await.expect(200);
}

async fn events_are_written_with_the_change(app: TestApp) {
    let (id, key) = app.create_key(&app.root_key, 0, json!({ "scopes": ["*"] })).await;
    app.post(&app.root_key, &format!("/api-keys/{id}/rotate"), &json!({})).await.expect(200);
    app.delete(&app.root_key, &format!("/api-keys/{id}")).await.expect(204);
    app.post(&app.root_key, "/api-keys", &json!({ "name": "x", "rate_limit_tier": "gold" }))
        .await
        .expect(422);
    let list = async |mut tx: Tx<'_>| {
        tx.event_list(Owner::new(WorkspaceId::ROOT, Environment::Live), None, &ListRequest::default()).await
    };
    let events = app.storage.read::<_, StorageError, _>(list).await.expect("the events").items;
    let mut types: Vec<_> = events.iter().map(|event| event.event_type.as_str()).collect();
    types.sort_unstable();
    assert_eq!(types, ["api_key.created", "api_key.created", "api_key.revoked", "api_key.rotated"]);
    assert!(events.iter().all(|event| !event.payload.contains(&key)), "no secret is in an event");
}

async fn use_is_counted(app: TestApp) {
    let (id, old) = app.create_key(&app.root_key, 0, json!({ "scopes": ["workspaces:read"] })).await;
    let usage = async |id: i64, query: &str| {
        app.get(&app.root_key, &format!("/api-keys/{id}/usage{query}")).await.expect(200)["data"].take()
    };
    let none = json!({ "api_key_id": id, "last_used_at": null, "days": [], "replaced": null });
    assert_eq!(usage(id, "").await, none);
    app.get(&old, "/workspaces").await.expect(200);
    app.get(&old, "/workspaces").await.expect(200);
    app.get(&old, "/api-keys").await.expect(403);
    app.clock.advance(Duration::from_secs(86_400));
    app.get(&old, "/workspaces/999").await.expect(404);
    let seen = usage(id, "").await;
    assert_eq!(seen["last_used_at"], "2026-01-16T10:30:00.000000Z");
    let day = |date: &str, successes: u64, refusals: u64| {
        json!({
            "date": date, "total": successes + refusals, "successes": successes, "redirects": 0, "refusals": refusals,
            "failures": 0
        })
    };
    assert_eq!(seen["days"], json!([day("2026-01-16", 0, 1), day("2026-01-15", 2, 1)]));
    assert_eq!(usage(id, "?days=1").await["days"], json!([day("2026-01-16", 0, 1)]));
    assert_eq!(
        app.get(&app.root_key, &format!("/api-keys/{id}")).await.expect(200)["data"]["last_used_at"],
        seen["last_used_at"]
    );
    app.get(&app.root_key, &format!("/api-keys/{id}/usage?days=91"))
        .await
        .expect_error(422, "validation_failed");

    // Who still uses the old key after a rotation?
    let rotated = app.post(&app.root_key, &format!("/api-keys/{id}/rotate"), &json!({})).await.expect(200);
    let new_id = rotated["data"]["id"].as_i64().expect("an id");
    assert_eq!(usage(new_id, "").await["replaced"]["used_since_rotation"], false);
    app.clock.advance(Duration::from_secs(60));
    app.get(&old, "/workspaces").await.expect(200);
    let replaced = usage(new_id, "").await["replaced"].take();
    let expected = json!({
        "id": id, "last_used_at": "2026-01-16T10:31:00.000000Z", "used_since_rotation": true,
        "grace_period_ends_at": "2026-01-17T10:30:00.000000Z"
    });
    assert_eq!(replaced, expected);
}
