//! `/requests`: why a key was refused.

use gatepost_entitlements::{Catalog, Plan};
use gatepost_test_support::{Engine, TestApp, both_engines};
use reqwest::Method;
use serde_json::{Value, json};

/// An application with a plan that is soon used up.
struct Small(TestApp);

impl Small {
    async fn start(engine: Engine) -> Self {
        let plans = [Plan { requests_per_minute: Some(1), ..Plan::unlimited("small") }];
        let catalog = Catalog::new(plans, []).expect("plans");
        let settings = gatepost_app::AppSettings { catalog, ..Default::default() };
        Self(TestApp::start_with(engine, gatepost_api::ApiSettings::default(), settings).await)
    }
}

both_engines! { Small:
    every_refusal_is_told_to_its_workspace,
    refusals_are_filtered_and_paged,
    nobody_sees_the_refusals_of_others,
}

/// What is listed: code, way, scopes.
fn told(list: &Value) -> Vec<(String, String, Value)> {
    let text = |row: &Value, name: &str| row[name].as_str().expect("a text").to_owned();
    let rows = list["data"].as_array().expect("rows");
    rows.iter().map(|row| (text(row, "code"), text(row, "via"), row["scopes"].clone())).collect()
}

async fn every_refusal_is_told_to_its_workspace(small: Small) {
    let (app, root) = (&small.0, &small.0.root_key);
    let (id, key) = app.create_key(root, 0, json!({ "scopes": ["posts:read"] })).await;
    let of_key = format!("/requests?api_key_id={id}");
    assert_eq!(app.get(root, &of_key).await.expect(200)["data"], json!([]));

    let refused = app.get(&key, "/workspaces").await;
    let request_id = refused.header("x-request-id").to_owned();
    refused.expect_error(403, "access_denied");
    let auth =
        |query: &str| app.send(app.request(Method::GET, &format!("/api/v1/auth{query}")).bearer_auth(&key));
    auth("?scope=posts:write,posts:read").await.expect_error(403, "access_denied");
    auth("?environment=test").await.expect_error(403, "wrong_environment");
    let verify =
        async |body: Value| app.post(root, "/api-keys/verify", &body).await.expect(200)["code"].take();
    let asked = json!({ "key": key, "scopes": ["seo:write"], "client_ip": "192.0.2.7" });
    assert_eq!(verify(asked).await, "INSUFFICIENT_SCOPE");
    let asked = json!({ "key": key, "scopes_any": [["a:read"], ["b:read", "c:read"]] });
    assert_eq!(verify(asked).await, "INSUFFICIENT_SCOPE");
    let path = format!("/api-keys/{id}");
    let change = async |members: Value| app.patch(root, &path, &members).await.expect(200);
    change(json!({ "allowed_ips": ["198.51.100.0/24"] })).await;
    app.get(&key, "/me").await.expect_error(403, "ip_not_allowed");
    change(json!({ "allowed_ips": [], "enabled": false })).await;
    app.get(&key, "/me").await.expect_error(401, "key_disabled");
    app.delete(root, &path).await.expect(204);
    auth("").await.expect_error(401, "key_revoked");
    assert_eq!(verify(json!({ "key": key })).await, "REVOKED");
    // Of nobody, and not of anybody's.
    app.get("sk_live_nobody", "/me").await.expect_error(401, "unauthorized");
    // What was let in is not listed.
    app.get(root, "/me").await.expect(200);

    let list = app.get(root, &of_key).await.expect(200);
    let row = |code: &str, via: &str, scopes: Value| (code.to_owned(), via.to_owned(), scopes);
    let expected = [
        row("REVOKED", "verify", json!([])),
        row("REVOKED", "auth", json!([])),
        row("DISABLED", "api", json!([])),
        row("IP_NOT_ALLOWED", "api", json!([])),
        row("INSUFFICIENT_SCOPE", "verify", json!(["a:read", "b:read", "c:read"])),
        row("INSUFFICIENT_SCOPE", "verify", json!(["seo:write"])),
        row("WRONG_ENVIRONMENT", "auth", json!([])),
        row("INSUFFICIENT_SCOPE", "auth", json!(["posts:write", "posts:read"])),
        row("INSUFFICIENT_SCOPE", "api", json!(["workspaces:read"])),
    ];
    assert_eq!(told(&list), expected);
    assert_eq!(app.get(root, "/requests").await.expect(200)["meta"]["total"], 9);
    let of_client = &list["data"][5];
    assert_eq!((&of_client["ip_address"], &of_client["api_key_id"]), (&json!("192.0.2.7"), &json!(id)));
    let first = &list["data"][8];
    assert_eq!(
        (&first["request_id"], &first["ip_address"], &first["environment"], &first["created_at"]),
        (&json!(request_id), &json!("127.0.0.1"), &json!("live"), &json!("2026-01-15T10:30:00.000000Z"))
    );
    let found = app.get(root, &format!("/requests?request_id={request_id}")).await.expect(200);
    assert_eq!((&found["meta"]["total"], &found["data"][0]), (&json!(1), first));
}

async fn refusals_are_filtered_and_paged(small: Small) {
    let (app, root) = (&small.0, &small.0.root_key);
    let members = json!({ "scopes": ["posts:read"], "rate_limit_tier": "small" });
    let (_, key) = app.create_key(root, 0, members).await;
    app.get(&key, "/me").await.expect(200);
    for _ in 0..5 {
        app.get(&key, "/me").await.expect_error(429, "rate_limit_exceeded");
    }
    app.get(&key, "/workspaces").await.expect_error(403, "access_denied");
    let list = app.get(root, "/requests?code=RATE_LIMITED&per_page=2&page=3").await.expect(200);
    assert_eq!((&list["meta"]["total"], list["data"].as_array().map(Vec::len)), (&json!(5), Some(1)));
    let list = app.get(root, "/requests?code=INSUFFICIENT_SCOPE").await.expect(200);
    assert_eq!(list["meta"]["total"], 1);
    app.get(root, "/requests?code=NO").await.expect_error(422, "validation_failed");
    app.get(root, "/requests?api_key_id=x").await.expect_error(422, "validation_failed");
    app.get(root, "/requests?request_id=a%20b").await.expect_error(422, "validation_failed");
    // A day later nobody remembers.
    app.clock.advance(std::time::Duration::from_secs(86_401));
    assert_eq!(app.get(root, "/requests").await.expect(200)["meta"]["total"], 0);
}

async fn nobody_sees_the_refusals_of_others(small: Small) {
    let (app, root) = (&small.0, &small.0.root_key);
    let (workspace, _, reader) = app.create_tenant_on("pro", "A").await;
    let (_, _, other) = app.create_tenant_on("pro", "B").await;
    let narrow = json!({ "scopes": ["posts:read"] });
    let (_, narrow) = app.create_key(&reader, 0, narrow).await;
    let (_, of_test) =
        app.create_key(&reader, 0, json!({ "scopes": ["posts:read"], "environment": "test" })).await;
    for key in [&narrow, &of_test] {
        app.get(key, "/requests").await.expect_error(403, "access_denied");
    }
    let total = async |key: &str| app.get(key, "/requests").await.expect(200)["meta"]["total"].take();
    assert_eq!(total(&reader).await, 1, "in the environment of the key that asks");
    assert_eq!((total(&other).await, total(root).await), (json!(0), json!(0)));
    let asked =
        app.request(Method::GET, "/api/v1/requests").bearer_auth(root).header("x-workspace-id", workspace);
    assert_eq!(app.send(asked).await.expect(200)["meta"]["total"], 1);
    let asked =
        app.request(Method::GET, "/api/v1/requests").bearer_auth(&other).header("x-workspace-id", workspace);
    app.send(asked).await.expect_error(403, "access_denied");
}
