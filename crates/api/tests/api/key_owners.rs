//! Whose a key is: its external id and metadata, whether it is enabled, and what it is told of itself.

use gatepost_test_support::{TestApp, both_engines};
use reqwest::Method;
use serde_json::{Value, json};

both_engines! { TestApp:
    a_key_says_whose_it_is,
    a_disabled_key_is_refused_until_it_is_enabled,
    disabling_is_bounded_like_every_change,
    metadata_is_merged_and_bounded,
    one_group_of_scopes_is_enough,
    a_workspace_is_found_by_its_external_id,
    a_key_is_told_what_it_is,
}

async fn a_key_says_whose_it_is(app: TestApp) {
    let root = &app.root_key;
    let members = json!({
        "name": "Jo's key", "scopes": ["posts:read"], "external_id": "user_42", "rate_limit_tier": "pro",
        "metadata": { "amount": 19.90, "note": null }, "expires_at": "2027-01-01T00:00:00Z",
    });
    let (id, key) = app.create_key(root, 0, members).await;
    app.create_key(root, 0, json!({ "scopes": ["posts:read"], "external_id": "user_43" })).await;
    let shown = app.get(root, &format!("/api-keys/{id}")).await.expect(200)["data"].take();
    assert_eq!(
        (&shown["external_id"], &shown["enabled"], &shown["metadata"]),
        (&json!("user_42"), &json!(true), &json!({ "amount": 19.90 }))
    );
    let list = app.get(root, "/api-keys?external_id=user_42").await.expect(200);
    assert_eq!((&list["meta"]["total"], &list["data"][0]["id"]), (&json!(1), &json!(id)));
    app.get(root, "/api-keys?external_id=a%20b").await.expect_error(422, "validation_failed");

    let verified = app.post(root, "/api-keys/verify", &json!({ "key": key })).await.expect(200);
    for (member, value) in [
        ("name", json!("Jo's key")),
        ("external_id", json!("user_42")),
        ("metadata", json!({ "amount": 19.90 })),
        ("tier", json!("pro")),
        ("expires_at", json!("2027-01-01T00:00:00Z")),
    ] {
        assert_eq!(verified[member], value, "{member}");
    }
    // Once as it is looked up, once from memory.
    for _ in 0..2 {
        let reply = app.send(app.request(Method::GET, "/api/v1/auth").bearer_auth(&key)).await;
        assert_eq!((reply.status.as_u16(), reply.header("x-gatepost-external-id")), (204, "user_42"));
    }
    // What is changed is told with the very next decision.
    let changed = json!({ "external_id": null, "metadata": { "amount": null, "seats": 3 }, "name": "Jo" });
    app.patch(root, &format!("/api-keys/{id}"), &changed).await.expect(200);
    let reply = app.send(app.request(Method::GET, "/api/v1/auth").bearer_auth(&key)).await;
    assert_eq!((reply.status.as_u16(), reply.header("x-gatepost-external-id")), (204, ""));
    let verified = app.post(root, "/api-keys/verify", &json!({ "key": key })).await.expect(200);
    assert_eq!(
        (&verified["external_id"], &verified["metadata"], &verified["name"]),
        (&Value::Null, &json!({ "seats": 3 }), &json!("Jo"))
    );

    let back = json!({ "external_id": "user_42" });
    app.patch(root, &format!("/api-keys/{id}"), &back).await.expect(200);
    let rotated = app.post(root, &format!("/api-keys/{id}/rotate"), &json!({})).await.expect(200);
    assert_eq!(
        (&rotated["data"]["external_id"], &rotated["data"]["metadata"]),
        (&json!("user_42"), &json!({ "seats": 3 })),
        "the new key is the same person's"
    );
}

async fn a_disabled_key_is_refused_until_it_is_enabled(app: TestApp) {
    let root = &app.root_key;
    let (id, key) = app.create_key(root, 0, json!({ "scopes": ["*"], "enabled": false })).await;
    let path = format!("/api-keys/{id}");
    let auth = async || app.send(app.request(Method::GET, "/api/v1/auth").bearer_auth(&key)).await;
    let code = async || {
        let verified = app.post(root, "/api-keys/verify", &json!({ "key": key })).await.expect(200);
        (verified["valid"].clone(), verified["code"].clone())
    };
    for _ in 0..2 {
        app.get(&key, "/workspaces").await.expect_error(401, "key_disabled");
        auth().await.expect_error(401, "key_disabled");
        assert_eq!(code().await, (json!(false), json!("DISABLED")));
        let shown = app.get(root, &path).await.expect(200)["data"].take();
        assert_eq!((&shown["status"], &shown["enabled"]), (&json!("disabled"), &json!(false)));
        let listed = app.get(root, "/api-keys?status=disabled").await.expect(200);
        assert_eq!((&listed["meta"]["total"], &listed["data"][0]["id"]), (&json!(1), &json!(id)));
        app.post(root, &format!("{path}/rotate"), &json!({})).await.expect_error(409, "conflict");

        app.patch(root, &path, &json!({ "enabled": true })).await.expect(200);
        app.get(&key, "/workspaces").await.expect(200);
        auth().await.expect(204);
        assert_eq!(code().await, (json!(true), json!("VALID")));
        assert_eq!(app.get(root, "/api-keys?status=disabled").await.expect(200)["meta"]["total"], 0);
        app.patch(root, &path, &json!({ "enabled": false })).await.expect(200);
    }
    app.patch(root, &path, &json!({ "enabled": null })).await.expect_error(422, "validation_failed");
    let audit = app.get(root, "/audit-log?action=api_key.updated").await.expect(200);
    assert_eq!(audit["data"][0]["details"]["fields"], json!(["enabled"]));
}

async fn disabling_is_bounded_like_every_change(app: TestApp) {
    let root = &app.root_key;
    let root_id = app.get(root, "/me").await.expect(200)["data"]["id"].take();
    let own = format!("/api-keys/{root_id}");
    app.patch(root, &own, &json!({ "enabled": false })).await.expect_error(409, "conflict");
    // A disabled manager is none.
    let manager = json!({ "scopes": ["*"], "enabled": false });
    let (manager, _) = app.create_key(root, 0, manager).await;
    app.patch(root, &own, &json!({ "enabled": false })).await.expect_error(409, "conflict");
    app.delete(root, &own).await.expect_error(409, "conflict");

    // To enable a key takes what it takes to hand out its scopes.
    let (_, helper) = app.create_key(root, 0, json!({ "scopes": ["api-keys:*"] })).await;
    let path = format!("/api-keys/{manager}");
    app.patch(&helper, &path, &json!({ "enabled": true })).await.expect_error(403, "access_denied");
    // What is disabled is still one of the plan's number of keys.
    let used = async || {
        let checked = app.get(root, "/entitlements/check?feature=api_keys&quantity=0").await.expect(200);
        checked["current_usage"].clone()
    };
    let before = used().await;
    let (id, _) = app.create_key(root, 0, json!({ "scopes": ["posts:read"] })).await;
    app.patch(root, &format!("/api-keys/{id}"), &json!({ "enabled": false })).await.expect(200);
    assert_eq!(used().await, json!(before.as_u64().expect("a count") + 1));
}

async fn metadata_is_merged_and_bounded(app: TestApp) {
    let root = &app.root_key;
    let (id, key) = app.create_key(root, 0, json!({ "scopes": ["*"], "metadata": { "a": 1 } })).await;
    let path = format!("/api-keys/{id}");
    // More than is remembered, less than is refused.
    let large = "x".repeat(3_000);
    app.patch(root, &path, &json!({ "metadata": { "b": large } })).await.expect(200);
    for _ in 0..2 {
        let verified = app.post(root, "/api-keys/verify", &json!({ "key": key })).await.expect(200);
        assert_eq!(verified["metadata"], json!({ "a": 1, "b": large }));
    }
    let error = app.patch(root, &path, &json!({ "metadata": { "c": large } })).await;
    let error = error.expect_error(422, "validation_failed");
    assert!(
        error["errors"]["metadata"][0].as_str().is_some_and(|text| text.contains("4096 bytes")),
        "{error}"
    );
    for bad in [json!([]), json!("a"), Value::Null] {
        app.patch(root, &path, &json!({ "metadata": bad })).await.expect_error(422, "validation_failed");
    }
    let too_much = json!({ "name": "K", "metadata": { "a": "x".repeat(4_096) } });
    app.post(root, "/api-keys", &too_much).await.expect_error(422, "validation_failed");
}

async fn one_group_of_scopes_is_enough(app: TestApp) {
    let root = &app.root_key;
    let (_, key) = app.create_key(root, 0, json!({ "scopes": ["posts:read", "users:*"] })).await;
    for (scopes, groups, code) in [
        (json!([]), json!([["posts:read"]]), "VALID"),
        (json!([]), json!([["posts:write"], ["users:write", "posts:read"]]), "VALID"),
        (json!(["posts:read"]), json!([["users:read"]]), "VALID"),
        (json!([]), json!([["posts:write"], ["users:write", "posts:delete"]]), "INSUFFICIENT_SCOPE"),
        (json!(["posts:write"]), json!([["users:read"]]), "INSUFFICIENT_SCOPE"),
    ] {
        let body = json!({ "key": key, "scopes": scopes, "scopes_any": groups });
        assert_eq!(app.post(root, "/api-keys/verify", &body).await.expect(200)["code"], code, "{body}");
    }
    for (groups, field) in [
        (json!([]), "scopes_any"),
        (json!([[]]), "scopes_any.0"),
        (json!([["posts:read"], ["nonsense"]]), "scopes_any.1.0"),
        (json!([["posts:read"], "users:read"]), "scopes_any.1"),
        (json!(["posts:read"]), "scopes_any.0"),
        (json!(vec![["posts:read"]; 21]), "scopes_any"),
    ] {
        let refused = app.post(root, "/api-keys/verify", &json!({ "key": key, "scopes_any": groups })).await;
        let errors = refused.expect_error(422, "validation_failed")["errors"].take();
        assert!(!errors[field].is_null(), "{groups}: {errors}");
    }
}

async fn a_workspace_is_found_by_its_external_id(app: TestApp) {
    let root = &app.root_key;
    let new = json!({ "name": "Acme", "external_id": "cust_42" });
    let made = app.post(root, "/workspaces", &new).await.expect(201)["data"].take();
    assert_eq!(made["external_id"], "cust_42");
    let (other, _, tenant) = app.create_tenant("Other").await;
    let find = async |key: &str| {
        let list = app.get(key, "/workspaces?external_id=cust_42").await.expect(200);
        list["data"].as_array().expect("a list").iter().map(|one| one["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(find(root).await, [made["id"].clone()]);
    assert!(find(&tenant).await.is_empty(), "another tenant's");

    let taken = app.post(root, "/workspaces", &new).await.expect_error(422, "validation_failed");
    assert_eq!(taken["errors"]["external_id"][0], "The external id has already been taken.");
    let path = format!("/workspaces/{other}");
    app.patch(root, &path, &json!({ "external_id": "cust_42" })).await.expect_error(422, "validation_failed");
    app.patch(&tenant, &path, &json!({ "external_id": "cust_43" })).await.expect_error(403, "access_denied");
    app.patch(&tenant, &path, &json!({ "external_id": null })).await.expect_error(403, "access_denied");
    // The same again is no change, and what is given up is free.
    let own = format!("/workspaces/{}", made["id"]);
    app.patch(root, &own, &json!({ "external_id": "cust_42" })).await.expect(200);
    app.patch(root, &own, &json!({ "external_id": null })).await.expect(200);
    app.patch(root, &path, &json!({ "external_id": "cust_42" })).await.expect(200);
    assert_eq!(find(root).await, [json!(other)]);
    app.delete(root, &path).await.expect(204);
    app.post(root, "/workspaces", &new).await.expect(201);

    // Of many who ask for one at the same time, one gets it.
    let new = json!({ "name": "Race", "external_id": "cust_race" });
    let replies = futures_util::future::join_all((0..8).map(|_| app.post(root, "/workspaces", &new))).await;
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 422).count(), 7, "{statuses:?}");
}

async fn a_key_is_told_what_it_is(app: TestApp) {
    let root = &app.root_key;
    let (workspace, _, _) = app.create_tenant_on("free", "Acme Corp").await;
    let members = json!({
        "name": "Small", "scopes": ["posts:read"], "environment": "test", "external_id": "user_42",
        "metadata": { "note": "owes us money" }, "expires_at": "2027-01-01T00:00:00Z",
    });
    let (id, key) = app.create_key(root, workspace, members).await;
    let me = app.get(&key, "/me").await.expect(200)["data"].take();
    let expected = json!({
        "id": id, "name": "Small", "prefix": me["prefix"], "environment": "test", "scopes": ["posts:read"],
        "access": "write", "tier": "free", "allowed_ips": [], "external_id": "user_42",
        "expires_at": "2027-01-01T00:00:00Z", "created_at": "2026-01-15T10:30:00.000000Z",
        "workspace": { "id": workspace, "name": "Acme Corp", "slug": "acme-corp", "tier": "free" },
    });
    assert_eq!(me, expected, "and nothing of what is kept for others");
    app.get("", "/me").await.expect_error(401, "unauthorized");
    app.get(&key, "/me?x=1").await.expect_error(422, "validation_failed");
    let elsewhere = app.request(Method::GET, "/api/v1/me").bearer_auth(root);
    let elsewhere = elsewhere.header("x-workspace-id", workspace.to_string());
    assert_eq!(app.send(elsewhere).await.expect(200)["data"]["workspace"]["id"], 1, "the key's own");
}
