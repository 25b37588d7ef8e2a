//! What HTTP itself offers: versions of resources, `HEAD`, `OPTIONS`, compression, and pages of other
//! origins.

use gatepost_api::{ApiSettings, ServerSettings};
use gatepost_app::resources::Resources;
use gatepost_test_support::{Engine, Reply, TestApp, both_engines};
use reqwest::Method;
use serde_json::json;

both_engines! { TestApp:
    a_change_to_what_has_changed_is_refused,
    head_is_get_without_the_body,
    options_names_the_methods,
    answers_are_compressed_for_those_who_ask,
}

async fn change(app: &TestApp, method: Method, path: &str, if_match: &str) -> Reply {
    let request = app.request(method.clone(), &format!("/api/v1{path}")).bearer_auth(&app.root_key);
    let request = request.header("If-Match", if_match);
    let has_body = method != Method::DELETE;
    app.send(if has_body { request.json(&json!({})) } else { request }).await
}

async fn a_change_to_what_has_changed_is_refused(app: TestApp) {
    let (workspace, _, _) = app.create_tenant("Versions").await;
    let (key, _) = app.create_key(&app.root_key, 0, json!({})).await;
    let body = json!({ "url": "https://example.com/in", "events": ["*"] });
    let webhook = app.post(&app.root_key, "/webhooks", &body).await.expect(201)["data"]["id"].clone();
    let paths =
        [format!("/workspaces/{workspace}"), format!("/api-keys/{key}"), format!("/webhooks/{webhook}")];
    for path in &paths {
        let tag = app.get(&app.root_key, path).await.header("etag").to_owned();
        assert!(tag.starts_with('"') && tag.len() > 3, "{path}: {tag}");
        change(&app, Method::PATCH, path, &tag).await.expect(200);
        // The clock stands still, and still the two can be told apart.
        for stale in [tag.as_str(), "\"other\"", "", &format!("W/{tag}"), &tag.replace('"', "")] {
            let refused =
                change(&app, Method::PATCH, path, stale).await.expect_error(412, "precondition_failed");
            assert_eq!(refused["message"], "The resource has changed since it was read.", "{path} {stale}");
            change(&app, Method::DELETE, path, stale).await.expect_error(412, "precondition_failed");
        }
        let fresh = app.get(&app.root_key, path).await.header("etag").to_owned();
        assert_ne!(fresh, tag);
        change(&app, Method::PATCH, path, &format!("\"other\", {fresh}")).await.expect(200);
        change(&app, Method::PATCH, path, "*").await.expect(200);
        change(&app, Method::PATCH, "/workspaces/99999", "*").await.expect_error(404, "not_found");
    }
    let rotate = format!("/api-keys/{key}/rotate");
    change(&app, Method::POST, &rotate, "\"other\"").await.expect_error(412, "precondition_failed");
    // A refusal that a fresh look at the resource mends is not kept for repetitions.
    let send = async |if_match: &str| {
        let request =
            app.request(Method::PATCH, &format!("/api/v1/api-keys/{key}")).bearer_auth(&app.root_key);
        let request = request.header("If-Match", if_match).header("Idempotency-Key", "one");
        app.send(request.json(&json!({ "name": "Changed" }))).await
    };
    send("\"other\"").await.expect_error(412, "precondition_failed");
    send("*").await.expect(200);
    for path in &paths {
        let fresh = app.get(&app.root_key, path).await.header("etag").to_owned();
        change(&app, Method::DELETE, path, &fresh).await.expect(204);
    }
}

async fn head_is_get_without_the_body(app: TestApp) {
    let (_, key) = app.create_key(&app.root_key, 0, json!({ "scopes": ["*"] })).await;
    for path in ["/api/v1/workspaces/1", "/api/v1/api-keys?per_page=1", "/openapi.json", "/healthz"] {
        let get = app.send(app.request(Method::GET, path).bearer_auth(&key)).await;
        let head = app.send(app.request(Method::HEAD, path).bearer_auth(&key)).await;
        assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{path}");
        for name in ["content-type", "content-length", "etag", "link"] {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
    }
    let refused = app.send(app.request(Method::HEAD, "/api/v1/workspaces/1")).await;
    assert_eq!((refused.status.as_u16(), refused.header("www-authenticate").is_empty()), (401, false));
    let nothing = app.send(app.request(Method::HEAD, "/api/v1/entitlements/usage").bearer_auth(&key)).await;
    assert_eq!((nothing.status.as_u16(), nothing.header("allow")), (405, "POST, PUT, OPTIONS"));
    // Forward auth answers any method by itself.
    let passed = app.send(app.request(Method::HEAD, "/api/v1/auth").bearer_auth(&key)).await;
    assert_eq!(passed.status.as_u16(), 204);
}

async fn options_names_the_methods(app: TestApp) {
    for (path, allow) in [
        ("/api/v1/api-keys", "GET, POST, HEAD, OPTIONS"),
        ("/api/v1/webhooks/1", "GET, PATCH, DELETE, HEAD, OPTIONS"),
        ("/api/v1/api-keys/verify", "POST, OPTIONS"),
    ] {
        let reply = app.send(app.request(Method::OPTIONS, path)).await;
        assert_eq!((reply.status.as_u16(), reply.header("allow")), (204, allow), "{path}");
        assert!(!reply.header("x-request-id").is_empty());
        assert_eq!(
            reply.header("access-control-allow-origin"),
            "",
            "no page of another origin, unless named"
        );
    }
    app.send(app.request(Method::OPTIONS, "/api/v1/nope")).await.expect_error(404, "not_found");
}

async fn answers_are_compressed_for_those_who_ask(app: TestApp) {
    for (accept, encoding) in [("gzip", "gzip"), ("br", ""), ("gzip;q=0.5, br", "gzip"), ("identity", "")] {
        let request = app.request(Method::GET, "/openapi.json").header("Accept-Encoding", accept);
        let reply = app.client.execute(request.build().expect("a request")).await.expect("an answer");
        let header = |name: &str| {
            reply.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        assert_eq!(header("content-encoding"), encoding, "{accept}");
        if !encoding.is_empty() {
            assert!(header("vary").to_lowercase().contains("accept-encoding"));
            let length = reply.bytes().await.expect("a body").len();
            assert!(
                length > 1_000
                    && length
                        < gatepost_api::document(&gatepost_api::Contract::core(), &Resources::default())
                            .to_string()
                            .len()
                            / 3,
                "{accept}: {length}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_refused_for_a_compression_that_there_is_not() {
    let app = TestApp::start(Engine::Sqlite).await;
    for accept in ["identity;q=0", "*;q=0", "zstd, *; q=0", "\u{e9}"] {
        let request = app.request(Method::GET, "/api/v1/workspaces/1").header("Accept-Encoding", accept);
        let reply = app.send(request).await;
        assert!(!reply.header("x-request-id").is_empty(), "{accept}");
        reply.expect_error(401, "unauthorized");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callers_request_id_is_kept_unless_it_begins_as_a_secret_does() {
    let app = TestApp::start(Engine::Sqlite).await;
    let path = "/api/v1/workspaces/1";
    for (sent, kept) in [("load_test_1", true), ("go_live_2", true), ("sk_live_1", false), ("whsec_1", false)]
    {
        let reply = app.send(app.request(Method::GET, path).header("X-Request-ID", sent)).await;
        assert_eq!(reply.header("x-request-id") == sent, kept, "{sent}");
        reply.expect_error(401, "unauthorized");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_named_origins_may_call() {
    let settings = ApiSettings {
        server: ServerSettings {
            cors_origins: vec!["https://app.example.com".into()],
            ..ServerSettings::default()
        },
        ..ApiSettings::default()
    };
    let app = TestApp::start_with(Engine::Sqlite, settings, gatepost_app::AppSettings::default()).await;
    let preflight = async |origin: &str| {
        let request = app.request(Method::OPTIONS, "/api/v1/api-keys").header("Origin", origin);
        let request = request
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "authorization, content-type, idempotency-key");
        app.send(request).await
    };
    let reply = preflight("https://app.example.com").await;
    assert_eq!((reply.status.as_u16(), reply.text.as_str()), (200, ""));
    assert_eq!(reply.header("access-control-allow-origin"), "https://app.example.com");
    assert!(reply.header("access-control-allow-methods").contains("POST"));
    assert!(reply.header("access-control-allow-headers").to_lowercase().contains("authorization"));
    assert!(!reply.header("x-request-id").is_empty());
    assert_eq!(reply.header("access-control-allow-credentials"), "");
    let other = preflight("https://evil.example.com").await;
    assert_eq!(other.header("access-control-allow-origin"), "");

    // Forward auth lets nothing through without a key, whatever it looks like.
    for path in ["/api/v1/auth", "/api/v1/auth/posts", "/api/v1/%61uth"] {
        let request = app.request(Method::OPTIONS, path).header("Origin", "https://app.example.com");
        let reply = app.send(request.header("Access-Control-Request-Method", "GET")).await;
        assert_eq!((reply.status.as_u16(), reply.header("access-control-allow-origin")), (401, ""), "{path}");
    }

    let get = async |origin: &str, key: &str| {
        let request =
            app.request(Method::GET, "/api/v1/workspaces").bearer_auth(key).header("Origin", origin);
        app.send(request).await
    };
    let reply = get("https://app.example.com", &app.root_key).await;
    assert_eq!(reply.header("access-control-allow-origin"), "https://app.example.com");
    assert!(reply.header("access-control-expose-headers").contains("x-request-id"));
    assert!(reply.header("vary").to_lowercase().contains("origin"));
    reply.expect(200);
    // Errors can be read by the page as well.
    let reply = get("https://app.example.com", "sk_live_nobody").await;
    assert_eq!(reply.header("access-control-allow-origin"), "https://app.example.com");
    reply.expect_error(401, "unauthorized");
    let reply = get("https://evil.example.com", &app.root_key).await;
    assert_eq!(reply.header("access-control-allow-origin"), "");
    reply.expect(200);
}
