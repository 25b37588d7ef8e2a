//! `/api-keys/verify` and `/auth`

use std::time::Duration;

use gatepost_entitlements::{Access, Catalog, Plan};
use gatepost_test_support::{Engine, TestApp, both_engines};
use reqwest::Method;
use serde_json::{Value, json};

/// An application with a plan that is soon used up.
struct Small(TestApp);

impl Small {
    async fn start(engine: Engine) -> Self {
        let plans = [
            Plan { requests_per_minute: Some(2), requests_per_day: Some(100), ..Plan::unlimited("small") },
            Plan { access: Access::Read, ..Plan::unlimited("reader") },
        ];
        let catalog = Catalog::new(plans, []).expect("plans");
        let settings = gatepost_app::AppSettings { catalog, ..Default::default() };
        Self(TestApp::start_with(engine, gatepost_api::ApiSettings::default(), settings).await)
    }

    async fn verify(&self, with: &str, body: Value) -> Value {
        self.0.post(with, "/api-keys/verify", &body).await.expect(200)
    }
}

both_engines! { Small:
    every_decision,
    nothing_is_spent_when_a_part_refuses,
    who_may_see_whose_keys,
    forward_auth_answers_by_status,
}

async fn every_decision(small: Small) {
    let (app, root) = (&small.0, &small.0.root_key);
    let members = json!({ "scopes": ["posts:*"], "rate_limit_tier": "free" });
    let (id, key) = app.create_key(root, 0, members).await;
    let valid = small.verify(root, json!({ "key": key, "scopes": ["posts:read", "posts:write"] })).await;
    let expected = json!({
        "valid": true, "code": "VALID", "key_id": id, "workspace_id": 1, "environment": "live", "name": "Test",
        "external_id": null, "metadata": {}, "tier": "free", "expires_at": null, "scopes": ["posts:*"],
        "rate_limit": {
            "minute": { "limit": 60, "remaining": 59, "reset_at": "2026-01-15T10:31:00Z" }, "day": null, "retry_after": null
        },
        "entitlement": null
    });
    assert_eq!(valid, expected);
    let code = async |body: Value| small.verify(root, body).await["code"].take();
    assert_eq!(
        code(json!({ "key": key, "scopes": ["posts:read", "users:read"] })).await,
        "INSUFFICIENT_SCOPE"
    );
    let nothing = json!({
        "valid": false, "code": "NOT_FOUND", "key_id": null, "workspace_id": null, "environment": null, "name": null,
        "external_id": null, "metadata": null, "tier": null, "expires_at": null, "scopes": null,
        "rate_limit": null, "entitlement": null
    });
    for unknown in ["", "x", "sk_live_x", &key.replacen("live", "test", 1)] {
        assert_eq!(small.verify(root, json!({ "key": unknown })).await, nothing);
    }
    let bound = json!({ "scopes": ["*"], "allowed_ips": ["192.0.2.0/24"] });
    let (_, bound) = app.create_key(root, 0, bound).await;
    assert_eq!(code(json!({ "key": bound, "client_ip": "192.0.2.9" })).await, "VALID");
    assert_eq!(code(json!({ "key": bound, "client_ip": "198.51.100.1" })).await, "IP_NOT_ALLOWED");
    assert_eq!(code(json!({ "key": bound })).await, "IP_NOT_ALLOWED");
    let ends = json!({ "scopes": ["*"], "expires_at": "2026-01-15T10:31:00Z" });
    let (_, ends) = app.create_key(root, 0, ends).await;
    app.clock.advance(Duration::from_secs(60));
    assert_eq!(code(json!({ "key": ends })).await, "EXPIRED");
    app.delete(root, &format!("/api-keys/{id}")).await.expect(204);
    assert_eq!(code(json!({ "key": key })).await, "REVOKED");
    for (member, value) in [
        ("scopes", json!(["x"])),
        ("client_ip", json!("here")),
        ("cost", json!(-1)),
        ("key", Value::Null),
        ("kee", json!(1)),
    ] {
        let body = json!({ "key": "x", member: value });
        app.post(root, "/api-keys/verify", &body).await.expect_error(422, "validation_failed");
    }
}

async fn nothing_is_spent_when_a_part_refuses(small: Small) {
    let (app, root) = (&small.0, &small.0.root_key);
    let made = app.post(root, "/workspaces", &json!({ "name": "s", "tier": "small" })).await.expect(201);
    let workspace = made["data"]["id"].as_i64().expect("an id");
    let members = json!({ "scopes": ["posts:read"], "allowed_ips": ["192.0.2.1"] });
    let (_, key) = app.create_key(root, workspace, members).await;
    for _ in 0..5 {
        let refused = small
            .verify(root, json!({ "key": key, "client_ip": "192.0.2.1", "scopes": ["posts:write"] }))
            .await;
        assert_eq!((&refused["code"], &refused["rate_limit"]), (&json!("INSUFFICIENT_SCOPE"), &Value::Null));
        small.verify(root, json!({ "key": key, "client_ip": "192.0.2.2" })).await;
        let too_much = small.verify(root, json!({ "key": key, "client_ip": "192.0.2.1", "cost": 3 })).await;
        assert_eq!(too_much["code"], "RATE_LIMITED");
    }
    let body = json!({ "key": key, "client_ip": "192.0.2.1", "scopes": ["posts:read"], "cost": 2 });
    let spent = small.verify(root, body.clone()).await;
    assert_eq!((&spent["code"], &spent["rate_limit"]["minute"]["remaining"]), (&json!("VALID"), &json!(0)));
    assert_eq!(spent["rate_limit"]["day"]["remaining"], 98);
    let over = small.verify(root, body).await;
    assert_eq!((&over["valid"], &over["code"]), (&json!(false), &json!("RATE_LIMITED")));
    assert_eq!(over["rate_limit"]["retry_after"], 60);
    assert_eq!(
        over["rate_limit"]["day"]["remaining"], 98,
        "what the minute refuses is not counted by the day"
    );
    // A look at how it stands costs nothing.
    let free = small.verify(root, json!({ "key": key, "client_ip": "192.0.2.1", "cost": 0 })).await;
    assert_eq!(free["code"], "VALID");
}

async fn who_may_see_whose_keys(small: Small) {
    let app = &small.0;
    let (a, _, key_a) = app.create_tenant("A").await;
    let (b, _, key_b) = app.create_tenant("B").await;
    let (_, test_a) = app.create_key(&key_a, 0, json!({ "scopes": ["*"], "environment": "test" })).await;
    let code = async |with: &str, key: &str, acting: Option<i64>| {
        let request = app
            .request(Method::POST, "/api/v1/api-keys/verify")
            .bearer_auth(with)
            .json(&json!({ "key": key }));
        let request = if let Some(id) = acting { request.header("X-Workspace-ID", id) } else { request };
        app.send(request).await.expect(200)["code"].take()
    };
    for (with, key, acting, expected) in [
        (&key_a, &key_a, None, "VALID"),
        (&key_a, &test_a, None, "WRONG_ENVIRONMENT"),
        (&key_a, &key_b, None, "NOT_FOUND"),
        (&key_a, &app.root_key, None, "NOT_FOUND"),
        (&test_a, &test_a, None, "VALID"),
        (&test_a, &key_a, None, "NOT_FOUND"),
        (&app.root_key, &key_a, None, "VALID"),
        (&app.root_key, &key_b, Some(b), "VALID"),
        (&app.root_key, &key_b, Some(a), "NOT_FOUND"),
    ] {
        assert_eq!(code(with, key, acting).await, expected);
    }
    // A revoked key of somebody else is not found either.
    app.delete(&app.root_key, &format!("/workspaces/{b}")).await.expect(204);
    assert_eq!(code(&key_a, &key_b, None).await, "NOT_FOUND");
    assert_eq!(code(&app.root_key, &key_b, None).await, "REVOKED");
}

async fn forward_auth_answers_by_status(small: Small) {
    let app = &small.0;
    let made =
        app.post(&app.root_key, "/workspaces", &json!({ "name": "s", "tier": "small" })).await.expect(201);
    let workspace = made["data"]["id"].as_i64().expect("an id");
    let (_, key) =
        app.create_key(&app.root_key, workspace, json!({ "scopes": ["posts:*", "users:read"] })).await;
    let auth = async |method: Method, path: &str, key: &str| {
        let reply = app.send(app.request(method, &format!("/api/v1/auth{path}")).bearer_auth(key)).await;
        (reply.status.as_u16(), reply)
    };
    let (status, reply) = auth(Method::GET, "?scope=posts:write,users:read", &key).await;
    assert_eq!((status, reply.text.as_str()), (204, ""));
    assert_eq!(
        (reply.header("x-ratelimit-remaining"), reply.header("x-gatepost-workspace")),
        ("1", workspace.to_string().as_str())
    );
    assert_eq!(auth(Method::GET, "?scope=users:write", &key).await.0, 403);
    assert_eq!(auth(Method::GET, "?scope=nonsense", &key).await.0, 422);
    assert_eq!(auth(Method::DELETE, "/any/path/below", &key).await.0, 204);
    let (status, reply) = auth(Method::POST, "", &key).await;
    assert_eq!(
        (status, reply.header("retry-after"), &reply.json["error"]),
        (429, "60", &json!("rate_limit_exceeded"))
    );
    let (status, reply) = auth(Method::PUT, "?deny=403", &key).await;
    assert_eq!(
        (status, reply.header("retry-after"), &reply.json["error"]),
        (403, "60", &json!("rate_limit_exceeded"))
    );
    assert_eq!(auth(Method::GET, "?deny=403", "sk_live_x").await.0, 401);
    let made =
        app.post(&app.root_key, "/workspaces", &json!({ "name": "r", "tier": "reader" })).await.expect(201);
    let reader = made["data"]["id"].as_i64().expect("an id");
    let (_, reader) = app.create_key(&app.root_key, reader, json!({ "scopes": ["*"] })).await;
    assert_eq!(auth(Method::GET, "?scope=posts:read", &reader).await.0, 204);
    assert_eq!(auth(Method::GET, "?scope=posts:write", &reader).await.0, 403, "the plan's access");
}
