//! `Idempotency-Key`: one effect, one answer.

use std::time::Duration;

use gatepost_test_support::{Reply, TestApp, every_face};
use reqwest::Method;
use serde_json::{Value, json};

every_face! { TestApp:
    a_repetition_gets_the_first_answer,
    another_request_may_not_use_the_key,
    refusals_are_kept_and_rights_are_not,
    fifty_at_once_have_one_effect,
    a_kept_secret_is_sealed,
    a_repetition_is_answered_even_when_the_input_has_become_invalid,
    writers_that_need_each_others_rows_do_not_deadlock,
}

async fn post(app: &TestApp, key: &str, path: &str, header: &str, body: &Value) -> Reply {
    let request = app.request(Method::POST, &format!("/api/v1{path}")).bearer_auth(key);
    app.send(request.header("Idempotency-Key", header).json(body)).await
}

async fn a_repetition_gets_the_first_answer(app: TestApp) {
    let body = json!({ "name": "Once", "scopes": ["*"] });
    let first = post(&app, &app.root_key, "/api-keys", "abc", &body).await;
    assert_eq!(first.header("idempotent-replayed"), "");
    for header in ["abc", "\"abc\"", " abc "] {
        let again = post(&app, &app.root_key, "/api-keys", header, &body).await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (first.status, "true"));
        assert!(again.text == first.text, "the same answer, the secret included");
    }
    let request = app.request(Method::DELETE, "/api/v1/api-keys/2").bearer_auth(&app.root_key);
    let request = request.header("Idempotency-Key", "del");
    for _ in 0..2 {
        app.send(request.try_clone().expect("a clone")).await.expect(204);
    }
    app.clock.advance(Duration::from_secs(24 * 3_600));
    let later = post(&app, &app.root_key, "/api-keys", "abc", &body).await;
    assert_eq!((later.status.as_u16(), later.header("idempotent-replayed")), (201, ""));
    assert_eq!(later.json["data"]["id"], 3);
    for bad in ["", "\"\"", &"x".repeat(256)] {
        post(&app, &app.root_key, "/api-keys", bad, &body).await.expect_error(422, "validation_failed");
    }
}

async fn another_request_may_not_use_the_key(app: TestApp) {
    let body = json!({ "name": "A", "scopes": ["*"] });
    let (tenant, _, other) = app.create_tenant("Other").await;
    post(&app, &app.root_key, "/api-keys", "k", &body).await.expect(201);
    let other_body = json!({ "name": "B", "scopes": ["*"] });
    post(&app, &app.root_key, "/api-keys", "k", &other_body)
        .await
        .expect_error(422, "idempotency_key_reused");
    post(&app, &app.root_key, "/workspaces", "k", &body).await.expect_error(422, "idempotency_key_reused");
    let request = app.request(Method::POST, "/api/v1/api-keys").bearer_auth(&app.root_key);
    let request = request.header("Idempotency-Key", "k").header("X-Workspace-ID", tenant).json(&body);
    app.send(request).await.expect_error(422, "idempotency_key_reused");
    // Another key's are its own.
    let reply = post(&app, &other, "/api-keys", "k", &body).await;
    assert_eq!((reply.status.as_u16(), reply.header("idempotent-replayed")), (201, ""));
}

async fn refusals_are_kept_and_rights_are_not(app: TestApp) {
    let (id, _) = app.create_key(&app.root_key, 0, json!({ "scopes": ["*"] })).await;
    let path = format!("/api-keys/{id}/rotate");
    app.post(&app.root_key, &path, &json!({})).await.expect(200);
    let refused = post(&app, &app.root_key, &path, "r", &json!({})).await;
    assert_eq!(refused.status, 409);
    let again = post(&app, &app.root_key, &path, "r", &json!({})).await;
    assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (409, "true"));
    assert_eq!(again.text, refused.text);

    let (weak_id, weak) = app.create_key(&app.root_key, 0, json!({ "scopes": ["api-keys:*"] })).await;
    let body = json!({ "name": "x", "scopes": ["posts:read"] });
    post(&app, &weak, "/api-keys", "w", &body).await.expect_error(403, "access_denied");
    let scopes = json!({ "scopes": ["api-keys:*", "posts:*"] });
    app.patch(&app.root_key, &format!("/api-keys/{weak_id}"), &scopes).await.expect(200);
    post(&app, &weak, "/api-keys", "w", &body).await.expect(201);
}

async fn fifty_at_once_have_one_effect(app: TestApp) {
    let body = json!({ "name": "Rush", "scopes": ["*"] });
    let before =
        app.get(&app.root_key, "/api-keys").await.expect(200)["meta"]["total"].as_u64().expect("a count");
    let all = (0..50).map(|_| post(&app, &app.root_key, "/api-keys", "rush", &body));
    let replies = futures_util::future::join_all(all).await;
    let fresh =
        replies.iter().filter(|r| r.status == 201 && r.header("idempotent-replayed").is_empty()).count();
    let replayed =
        replies.iter().filter(|r| r.status == 201 && r.header("idempotent-replayed") == "true").count();
    let busy = replies.iter().filter(|r| r.json["error"] == "idempotency_in_progress").count();
    assert_eq!((fresh, replayed + busy), (1, 49), "{replayed} replayed, {busy} in progress");
    let after =
        app.get(&app.root_key, "/api-keys").await.expect(200)["meta"]["total"].as_u64().expect("a count");
    assert_eq!(after, before + 1);
}

async fn a_kept_secret_is_sealed(app: TestApp) {
    use gatepost_kernel::ApiKeyId;
    use gatepost_storage::{StorageError, Tx};
    let body = json!({ "name": "Sealed", "scopes": ["*"] });
    let made = post(&app, &app.root_key, "/api-keys", "s", &body).await.expect(201);
    let secret = made["data"]["key"].as_str().expect("a secret").as_bytes().to_vec();
    let now = app.app.now();
    let get = async move |mut tx: Tx<'_>| tx.idempotency_get(ApiKeyId(1), "s", now).await;
    let record = app.storage.read::<_, StorageError, _>(get).await.expect("an answer").expect("the record");
    assert!(
        record.sealed && !record.body.windows(20).any(|w| w == &secret[..20]),
        "the secret is not in the row"
    );
}

async fn a_repetition_is_answered_even_when_the_input_has_become_invalid(app: TestApp) {
    let body = json!({ "name": "Short", "scopes": ["*"], "expires_at": "2026-01-15T11:30:00Z" });
    let first = post(&app, &app.root_key, "/api-keys", "short", &body).await;
    assert_eq!(first.status, 201);
    app.clock.advance(Duration::from_secs(7_200));
    let again = post(&app, &app.root_key, "/api-keys", "short", &body).await;
    assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (201, "true"));
    post(&app, &app.root_key, "/api-keys", "late", &body).await.expect_error(422, "validation_failed");
    // The refusal of a bad body is an answer as well, and its key is used.
    let bad = json!({ "name": "" });
    post(&app, &app.root_key, "/api-keys", "bad", &bad).await.expect_error(422, "validation_failed");
    assert_eq!(
        post(&app, &app.root_key, "/api-keys", "bad", &bad).await.header("idempotent-replayed"),
        "true"
    );
    let good = json!({ "name": "Good", "scopes": ["*"] });
    post(&app, &app.root_key, "/api-keys", "bad", &good).await.expect_error(422, "idempotency_key_reused");
    let request = app.request(Method::POST, "/api/v1/api-keys").bearer_auth(&app.root_key).json(&good);
    let twice = request.header("Idempotency-Key", "a").header("Idempotency-Key", "b");
    app.send(twice).await.expect_error(422, "validation_failed");
}

/// One locks the workspace and then needs the caller's key, the other the key and then the workspace.
async fn writers_that_need_each_others_rows_do_not_deadlock(app: TestApp) {
    let (caller_id, caller) = app.create_key(&app.root_key, 0, json!({ "scopes": ["*"] })).await;
    let make = async |number: i32| {
        for round in 0..5 {
            let body = json!({ "name": "x", "scopes": ["*"] });
            post(&app, &caller, "/api-keys", &format!("{number}-{round}"), &body).await.expect(201);
        }
    };
    let change = async |number: i32| {
        for round in 0..5 {
            let body = json!({ "name": format!("{number} {round}") });
            app.patch(&app.root_key, &format!("/api-keys/{caller_id}"), &body).await.expect(200);
            app.patch(&app.root_key, "/workspaces/1", &body).await.expect(200);
        }
    };
    let makers = futures_util::future::join_all((0..8).map(make));
    let changers = futures_util::future::join_all((0..8).map(change));
    futures_util::future::join(makers, changers).await;
}
