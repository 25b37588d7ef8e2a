//! Who is it: 401 for everything that is not a key of ours, and the headers of those who are.

use std::time::Duration;

use gatepost_api::{ApiSettings, ServerSettings};
use gatepost_test_support::{Engine, TestApp, both_engines};
use reqwest::{Method, header::AUTHORIZATION};
use serde_json::json;

both_engines! { TestApp:
    what_is_no_key_is_unauthorized,
    bearer_and_basic_are_accepted,
    every_answer_has_its_headers,
    keys_end,
    addresses_are_checked,
    scopes_are_checked,
}

async fn what_is_no_key_is_unauthorized(app: TestApp) {
    let key = &app.root_key;
    let swapped = key.replacen("live", "test", 1);
    let last = if key.ends_with('0') { '1' } else { '0' };
    let wrong_checksum = format!("{}{last}", &key[..key.len() - 1]);
    let unknown = unknown_token();
    let long = "x".repeat(10_000);
    for value in [
        "Bearer",
        "Bearer ",
        "",
        "Bearer x",
        key,
        &format!("Token {key}"),
        &format!("Bearer {swapped}"),
        &format!("Bearer {wrong_checksum}"),
        &format!("Bearer {unknown}"),
        &format!("Bearer {long}"),
        &format!("Bearer {key} {key}"),
        "Basic %%%",
        "Basic Og==",
    ] {
        let request = app.request(Method::GET, "/api/v1/workspaces").header(AUTHORIZATION, value);
        let reply = app.send(request).await;
        assert!(reply.header("www-authenticate").starts_with("Bearer"));
        assert_eq!(reply.header("x-gatepost-workspace"), "");
        let error = reply.expect_error(401, "unauthorized");
        assert_eq!(error, json!({ "error": "unauthorized", "message": "Invalid or missing API key." }));
    }
    app.send(app.request(Method::GET, "/api/v1/workspaces")).await.expect_error(401, "unauthorized");
    let twice = app.request(Method::GET, "/api/v1/workspaces").bearer_auth(key).bearer_auth(key);
    app.send(twice).await.expect_error(401, "unauthorized");
    for parameter in ["api_key", "key", "token", "access_token"] {
        let request = app.request(Method::GET, &format!("/api/v1/workspaces?{parameter}={key}"));
        app.send(request).await.expect_error(401, "unauthorized");
    }
}

fn unknown_token() -> String {
    use gatepost_kernel::Environment;
    gatepost_keys::Token::generate(
        &gatepost_keys::TokenFormat::default(),
        Environment::Live,
        &mut gatepost_kernel::random::rng(),
    )
    .into_secret()
    .expose()
    .into()
}

async fn bearer_and_basic_are_accepted(app: TestApp) {
    let path = "/api/v1/workspaces";
    app.get(&app.root_key, "/workspaces").await.expect(200);
    app.send(app.request(Method::GET, path).basic_auth(&app.root_key, None::<&str>)).await.expect(200);
    app.send(app.request(Method::GET, path).basic_auth(&app.root_key, Some("x"))).await.expect(200);
    let lower = format!("bearer {}", app.root_key);
    app.send(app.request(Method::GET, path).header(AUTHORIZATION, lower)).await.expect(200);
}

async fn every_answer_has_its_headers(app: TestApp) {
    let (tenant, _, key) = app.create_tenant("Acme").await;
    for (path, authenticated) in
        [("/api/v1/workspaces", true), ("/api/v1/workspaces/999", true), ("/nope", false)]
    {
        let reply = app.send(app.request(Method::GET, path).bearer_auth(&key)).await;
        assert!(reply.header("x-request-id").starts_with("req_"), "{path}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        let workspace = if authenticated { tenant.to_string() } else { String::new() };
        assert_eq!(reply.header("x-gatepost-workspace"), workspace, "{path}");
    }
    for (sent, kept) in [("my-id_1", true), ("no spaces", false), ("sk_live_x", false), ("", false)] {
        let request = app.request(Method::GET, "/api/v1/workspaces").header("X-Request-ID", sent);
        let reply = app.send(request).await;
        assert_eq!(reply.header("x-request-id") == sent, kept, "{sent:?}");
    }
    // A root key acts on a tenant, but belongs to the root.
    let request = app.request(Method::GET, "/api/v1/api-keys").bearer_auth(&app.root_key);
    let reply = app.send(request.header("X-Workspace-ID", tenant)).await;
    assert_eq!(reply.header("x-gatepost-workspace"), "1");
}

async fn keys_end(app: TestApp) {
    let soon = json!({ "scopes": ["*"], "expires_at": "2026-01-15T11:30:00Z" });
    let (_, expiring) = app.create_key(&app.root_key, 0, soon).await;
    let (id, revoked) = app.create_key(&app.root_key, 0, json!({ "scopes": ["*"] })).await;
    let (tenant, _, orphan) = app.create_tenant("Acme").await;
    for key in [&expiring, &revoked, &orphan] {
        app.get(key, "/workspaces").await.expect(200);
    }
    app.delete(&app.root_key, &format!("/api-keys/{id}")).await.expect(204);
    app.get(&revoked, "/workspaces").await.expect_error(401, "key_revoked");
    app.delete(&app.root_key, &format!("/workspaces/{tenant}")).await.expect(204);
    app.get(&orphan, "/workspaces").await.expect_error(401, "key_revoked");
    app.clock.advance(Duration::from_secs(3_599));
    app.get(&expiring, "/workspaces").await.expect(200);
    app.clock.advance(Duration::from_secs(1));
    app.get(&expiring, "/workspaces").await.expect_error(401, "key_expired");
}

async fn addresses_are_checked(app: TestApp) {
    let here = json!({ "scopes": ["*"], "allowed_ips": ["127.0.0.0/8"] });
    let (_, here) = app.create_key(&app.root_key, 0, here).await;
    let elsewhere = json!({ "scopes": ["*"], "allowed_ips": ["192.0.2.1", "2001:db8::/32"] });
    let (_, elsewhere) = app.create_key(&app.root_key, 0, elsewhere).await;
    app.get(&here, "/workspaces").await.expect(200);
    app.get(&elsewhere, "/workspaces").await.expect_error(403, "ip_not_allowed");
    // Nobody is believed who only says that he comes from there.
    let request = app.request(Method::GET, "/api/v1/workspaces").bearer_auth(&elsewhere);
    app.send(request.header("X-Forwarded-For", "192.0.2.1")).await.expect_error(403, "ip_not_allowed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_proxy_is_believed() {
    let trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
    let settings = ApiSettings {
        server: ServerSettings {
            public_url: Some("https://api.example.com/".into()),
            trusted_proxies,
            ..ServerSettings::default()
        },
        ..ApiSettings::default()
    };
    let app = TestApp::start_with(Engine::Sqlite, settings, gatepost_app::AppSettings::default()).await;
    let (_, key) =
        app.create_key(&app.root_key, 0, json!({ "scopes": ["*"], "allowed_ips": ["192.0.2.1"] })).await;
    for (forwarded, status) in
        [("192.0.2.1", 200), ("192.0.2.1, 198.51.100.1", 403), ("198.51.100.1, 192.0.2.1", 200)]
    {
        let request = app.request(Method::GET, "/api/v1/workspaces").bearer_auth(&key);
        let reply = app.send(request.header("X-Forwarded-For", forwarded)).await;
        assert_eq!(reply.status, status, "{forwarded}");
        if status == 200 {
            assert_eq!(reply.json["links"]["first"], "https://api.example.com/api/v1/workspaces?page=1");
        }
    }
}

async fn scopes_are_checked(app: TestApp) {
    for (scopes, status) in [
        (json!(["workspaces:read"]), 200),
        (json!(["workspaces:*"]), 200),
        (json!(["*:read"]), 200),
        (json!(["read"]), 200),
        (json!(["admin"]), 200),
        (json!([]), 403),
        (json!(["workspaces:write"]), 403),
        (json!(["write", "delete"]), 403),
        (json!(["api-keys:*"]), 403),
    ] {
        let (_, key) = app.create_key(&app.root_key, 0, json!({ "scopes": scopes })).await;
        let reply = app.get(&key, "/workspaces").await;
        assert_eq!(reply.status, status, "{scopes}");
        if status == 403 {
            let message = "Insufficient permissions. Required scope: workspaces:read";
            assert_eq!(reply.json, json!({ "error": "access_denied", "message": message }));
        }
    }
}
