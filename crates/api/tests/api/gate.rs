//! The gate does not guess: which environment, which scopes, whose limits, how the client came.

use std::time::Duration;

use gatepost_api::{ApiSettings, PlainHttp, ServerSettings};
use gatepost_entitlements::{Catalog, Plan};
use gatepost_test_support::{Engine, Receiver, Reply, TestApp, both_engines, http_client};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

both_engines! { TestApp:
    a_test_key_passes_only_where_test_is_asked_for,
    forward_auth_says_whose_key_it_is,
    every_scope_is_needed_and_every_parameter_known,
    preflights_pass_where_the_route_says_so,
    unknown_routes_spend_the_keys_own_limits,
    whoever_waits_as_told_passes,
    a_test_send_is_repeated_safely,
    a_verified_use_is_counted_once,
    each_coding_has_a_tag_of_its_own,
    answers_come_in_the_form_that_is_wanted_most,
}

fn auth(app: &TestApp, method: Method, query: &str, key: &str) -> RequestBuilder {
    app.request(method, &format!("/api/v1/auth{query}")).bearer_auth(key)
}

async fn ask(app: &TestApp, query: &str, key: &str) -> Reply {
    app.send(auth(app, Method::GET, query, key)).await
}

async fn a_test_key_passes_only_where_test_is_asked_for(app: TestApp) {
    let root = &app.root_key;
    let (live_id, live) = app.create_key(root, 0, json!({ "scopes": ["*"] })).await;
    let (_, test) = app.create_key(root, 0, json!({ "scopes": ["*"], "environment": "test" })).await;
    let (_, service) =
        app.create_key(root, 0, json!({ "scopes": ["api-keys:verify"], "environment": "test" })).await;
    // `%3A` goes the long way, what needs no decoding the short one.
    for scope in ["scope=posts:read", "scope=posts%3Aread"] {
        for (environment, live_passes, test_passes) in [
            ("", true, false),
            ("&environment=live", true, false),
            ("&environment=test", false, true),
            ("&environment=any", true, true),
        ] {
            for (key, passes) in [(&live, live_passes), (&test, test_passes)] {
                // Twice: once before the key is remembered, once after.
                for _ in 0..2 {
                    let reply = ask(&app, &format!("?{scope}{environment}"), key).await;
                    if passes {
                        reply.expect(204);
                    } else {
                        let error = reply.expect_error(403, "wrong_environment");
                        assert!(error["message"].as_str().is_some_and(|text| text.contains("environment")));
                    }
                }
            }
        }
    }
    let code = async |with: &str, key: &str, environment: Value| {
        let body = json!({ "key": key, "environment": environment });
        let verified = app.post(with, "/api-keys/verify", &body).await.expect(200);
        let valid = verified["code"] == "VALID";
        assert_eq!(verified["valid"], valid);
        assert_eq!(verified["rate_limit"].is_object(), valid, "a refusal spends nothing");
        verified["code"].as_str().expect("a code").to_owned()
    };
    for (with, key, environment, expected) in [
        (root, &live, Value::Null, "VALID"),
        (root, &test, Value::Null, "WRONG_ENVIRONMENT"),
        (root, &test, json!("live"), "WRONG_ENVIRONMENT"),
        (root, &test, json!("test"), "VALID"),
        (root, &live, json!("test"), "WRONG_ENVIRONMENT"),
        (root, &test, json!("any"), "VALID"),
        (&service, &test, Value::Null, "VALID"),
        (&service, &test, json!("live"), "WRONG_ENVIRONMENT"),
        // What a test key may not see is not there, whatever it asks for.
        (&service, &live, json!("any"), "NOT_FOUND"),
    ] {
        assert_eq!(code(with, key, environment.clone()).await, expected, "{environment}");
    }
    let body = json!({ "key": live, "environment": "prod" });
    let error = app.post(root, "/api-keys/verify", &body).await.expect_error(422, "validation_failed");
    assert!(
        error["errors"]["environment"][0].as_str().is_some_and(|message| message.contains("live, test, any"))
    );
    // A key that may not be used at all is told that first.
    app.delete(root, &format!("/api-keys/{live_id}")).await.expect(204);
    assert_eq!(code(root, &live, json!("test")).await, "REVOKED");
    ask(&app, "?environment=test", &live).await.expect_error(401, "key_revoked");
}

async fn forward_auth_says_whose_key_it_is(app: TestApp) {
    let scopes = json!(["posts:read", "users:*", "mcp:files:New%20Tool"]);
    let (id, key) = app.create_key(&app.root_key, 0, json!({ "scopes": scopes })).await;
    let headers = |reply: &Reply| {
        let mut headers: Vec<(String, String)> = reply
            .headers
            .iter()
            .filter(|(name, _)| {
                !["date", "x-request-id", "x-ratelimit-remaining", "ratelimit"].contains(&name.as_str())
            })
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
            .collect();
        headers.sort();
        headers
    };
    let long = ask(&app, "?scope=posts%3Aread", &key).await;
    let short = ask(&app, "?scope=posts:read", &key).await;
    assert_eq!(headers(&long), headers(&short), "both ways say the same");
    for (name, value) in [
        ("x-gatepost-workspace", "1"),
        ("x-gatepost-environment", "live"),
        ("x-gatepost-key-id", id.to_string().as_str()),
        ("x-gatepost-scopes", "posts:read users:* mcp:files:New%20Tool"),
    ] {
        assert_eq!(short.header(name), value, "{name}");
    }
    // What is too long for a proxy's buffers is empty, in both ways: a header that is missing is passed on as
    // what a client wrote, or as the name of a placeholder.
    let many: Vec<String> = (0..100).map(|n| format!("resource-{n:03}:{}", "a".repeat(40))).collect();
    let (_, key) = app.create_key(&app.root_key, 0, json!({ "scopes": many })).await;
    for _ in 0..2 {
        let reply = ask(&app, "", &key).await;
        let scopes = reply.headers.get("x-gatepost-scopes").expect("a header that says nothing");
        assert_eq!((reply.status.as_u16(), scopes.as_bytes()), (204, &b""[..]));
    }
}

async fn every_scope_is_needed_and_every_parameter_known(app: TestApp) {
    let (_, reader) = app.create_key(&app.root_key, 0, json!({ "scopes": ["posts:read"] })).await;
    ask(&app, "?scope=posts:read", &reader).await.expect(204);
    ask(&app, "?scope=posts:read&scope=posts:write", &reader).await.expect_error(403, "access_denied");
    ask(&app, "?scope=posts:read&scope=posts%3Awrite", &reader).await.expect_error(403, "access_denied");
    ask(&app, "?scope=posts:read&scope=posts:read&deny=403", &reader).await.expect(204);
    for (query, field) in [
        ("?scopes=posts:write", "scopes"),
        ("?Scope=posts:write", "Scope"),
        ("?scope=posts:read&deny=401", "deny"),
        ("?scope=nonsense", "scope"),
        ("?scope=", "scope"),
        ("?scope=posts:read&other=1", "other"),
        ("?preflight=yes", "preflight"),
    ] {
        let error = ask(&app, query, &reader).await.expect_error(422, "validation_failed");
        let errors = error["errors"][field].as_array();
        assert!(errors.is_some_and(|errors| !errors.is_empty()), "{query}: {}", error["errors"]);
    }
    let error = ask(&app, "?scopes=posts:write", &reader).await.json;
    let message = error["errors"]["scopes"][0].as_str().expect("an error");
    assert!(message.contains("Known parameters: scope, environment, deny, preflight"), "{message}");
}

async fn preflights_pass_where_the_route_says_so(app: TestApp) {
    let preflight = |method: Method, query: &str| {
        let request =
            app.request(method, &format!("/api/v1/auth{query}")).header("Origin", "https://app.example");
        request
            .header("Access-Control-Request-Method", "GET")
            .header("Access-Control-Request-Headers", "authorization")
    };
    let allowed = "?scope=posts:read&preflight=allow";
    let reply = app.send(preflight(Method::OPTIONS, allowed)).await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("x-ratelimit-limit")),
        (204, "300"),
        "counted by address"
    );
    assert_eq!(reply.headers.get("access-control-allow-origin"), None, "the API behind answers it");
    // As Caddy and Traefik ask, and nginx as documented.
    app.send(preflight(Method::GET, allowed).header("X-Forwarded-Method", "OPTIONS")).await.expect(204);
    for request in [
        preflight(Method::OPTIONS, "?scope=posts:read"),
        preflight(Method::GET, allowed),
        preflight(Method::GET, allowed).header("X-Forwarded-Method", "GET"),
        preflight(Method::OPTIONS, allowed).header("X-Forwarded-Method", "GET"),
        preflight(Method::GET, allowed)
            .header("X-Forwarded-Method", "GET")
            .header("X-Forwarded-Method", "OPTIONS"),
        // No preflight: a page's OPTIONS without the header, or a program's.
        app.request(Method::OPTIONS, &format!("/api/v1/auth{allowed}")),
        app.request(Method::OPTIONS, &format!("/api/v1/auth{allowed}"))
            .header("Origin", "https://app.example"),
    ] {
        app.send(request).await.expect_error(401, "unauthorized");
    }
}

fn small() -> gatepost_app::AppSettings {
    let plan = Plan { requests_per_minute: Some(3), ..Plan::unlimited("small") };
    gatepost_app::AppSettings { catalog: Catalog::new([plan], []).expect("a catalog"), ..Default::default() }
}

async fn small_key(app: &TestApp) -> String {
    let made =
        app.post(&app.root_key, "/workspaces", &json!({ "name": "s", "tier": "small" })).await.expect(201);
    let workspace = made["data"]["id"].as_i64().expect("an id");
    app.create_key(&app.root_key, workspace, json!({ "scopes": ["*"] })).await.1
}

async fn unknown_routes_spend_the_keys_own_limits(app: TestApp) {
    let app = TestApp::start_with(app.storage.engine(), ApiSettings::default(), small()).await;
    let key = small_key(&app).await;
    let send = |method: Method, path: &str, key: &str| app.send(app.request(method, path).bearer_auth(key));
    for (method, path, status, code, remaining) in [
        (Method::GET, "/api/v1/nothing", 404, "not_found", "2"),
        (Method::PUT, "/api/v1/api-keys", 405, "method_not_allowed", "1"),
        (Method::GET, "/api/v1/nothing/at/all", 404, "not_found", "0"),
        (Method::GET, "/api/v1/nothing", 429, "rate_limit_exceeded", "0"),
        (Method::PUT, "/api/v1/api-keys", 429, "rate_limit_exceeded", "0"),
    ] {
        let reply = send(method, path, &key).await;
        assert_eq!(
            (reply.header("x-ratelimit-limit"), reply.header("x-ratelimit-remaining")),
            ("3", remaining),
            "{path}"
        );
        assert_ne!(reply.header("x-gatepost-workspace"), "");
        reply.expect_error(status, code);
    }
    // Who shows none that is valid counts by address, and is told of the route all the same.
    let reply = send(Method::GET, "/api/v1/nothing", "sk_live_x").await;
    assert_eq!((reply.header("x-ratelimit-limit"), reply.header("x-gatepost-workspace")), ("300", ""));
    reply.expect_error(404, "not_found");
    app.send(app.request(Method::GET, "/api/v1/nothing")).await.expect_error(404, "not_found");
}

async fn whoever_waits_as_told_passes(app: TestApp) {
    let app = TestApp::start_with(app.storage.engine(), ApiSettings::default(), small()).await;
    let key = small_key(&app).await;
    // All within one second, and not at its beginning.
    app.clock.advance(Duration::from_millis(20));
    for _ in 0..3 {
        ask(&app, "", &key).await.expect(204);
        app.clock.advance(Duration::from_millis(300));
    }
    let refused = ask(&app, "", &key).await;
    let seconds: u64 = refused.header("retry-after").parse().expect("seconds");
    let t =
        refused.header("ratelimit").rsplit("t=").next().and_then(|t| t.parse::<u64>().ok()).expect("seconds");
    assert!(seconds <= 60 && t <= 60, "{seconds} {t}");
    let reset: i64 = refused.header("x-ratelimit-reset").parse().expect("seconds");
    let error = refused.expect_error(429, "rate_limit_exceeded");
    assert_eq!(error["retry_after"], seconds);
    assert_eq!(error["reset_at"], "2026-01-15T10:31:01Z", "whole seconds, and not too early");
    assert_eq!(reset, 1_768_473_061);
    app.clock.advance(Duration::from_secs(seconds));
    let reply = ask(&app, "", &key).await;
    assert_eq!((reply.status.as_u16(), reply.header("x-ratelimit-remaining")), (204, "2"));
}

async fn a_test_send_is_repeated_safely(app: TestApp) {
    let receiver = Receiver::start().await;
    let body = json!({ "url": receiver.url("/hook"), "events": ["*"] });
    let made = app.post(&app.root_key, "/webhooks", &body).await.expect(201);
    let path = format!("/api/v1/webhooks/{}/test", made["data"]["id"]);
    let send = |key: &str| {
        app.send(app.request(Method::POST, &path).bearer_auth(&app.root_key).header("Idempotency-Key", key))
    };
    let first = send("once").await;
    assert_eq!((first.status.as_u16(), &first.json["success"]), (200, &json!(true)));
    let again = send("once").await;
    assert_eq!((again.header("idempotent-replayed"), &again.text), ("true", &first.text));
    assert_eq!(receiver.wait_for(1).await.len(), 1);
    send("twice").await.expect(200);
    app.post(&app.root_key, path.trim_start_matches("/api/v1"), &json!({})).await.expect(200);
    assert_eq!(receiver.wait_for(3).await.len(), 3, "without a key, or with another, it is another");
}

async fn a_verified_use_is_counted_once(app: TestApp) {
    let (workspace, _, key) = app.create_tenant("Shop").await;
    let verify = async |quantity: u64, idempotency_key: &str| {
        let body = json!({ "key": key, "feature": "api_calls", "quantity": quantity, "idempotency_key": idempotency_key });
        app.post(&app.root_key, "/api-keys/verify", &body).await
    };
    for _ in 0..3 {
        let verified = verify(5, "order-1").await.expect(200);
        assert_eq!(
            (&verified["code"], &verified["entitlement"]["current_usage"]),
            (&json!("VALID"), &json!(5))
        );
    }
    let verified = verify(5, "order-2").await.expect(200);
    assert_eq!(verified["entitlement"]["current_usage"], 10);
    assert_eq!(verified["rate_limit"]["minute"]["remaining"], 4_996, "the minute is spent each time");
    verify(6, "order-2").await.expect_error(422, "idempotency_key_reused");
    let body = json!({ "key": key, "idempotency_key": "order-3" });
    let error =
        app.post(&app.root_key, "/api-keys/verify", &body).await.expect_error(422, "validation_failed");
    assert!(error["errors"]["feature"].is_array());
    let summary = app.request(Method::GET, "/api/v1/entitlements/summary").bearer_auth(&app.root_key);
    let summary = app.send(summary.header("X-Workspace-ID", workspace)).await.expect(200);
    assert_eq!(summary["data"]["entitlements"]["api_calls"]["used"], 10);
}

async fn each_coding_has_a_tag_of_its_own(app: TestApp) {
    let path = "/api/v1/workspaces/1";
    // Long enough to be worth it.
    let settings = json!({ "settings": { "note": "x".repeat(2_000) } });
    app.patch(&app.root_key, "/workspaces/1", &settings).await.expect(200);
    let tag = async |coding: &str| {
        let request =
            app.request(Method::GET, path).bearer_auth(&app.root_key).header("Accept-Encoding", coding);
        let reply = app.send(request).await;
        assert_eq!(reply.header("content-encoding"), if coding == "gzip" { coding } else { "" });
        reply.header("etag").to_owned()
    };
    let tags = [tag("identity").await, tag("gzip").await, tag("br").await];
    assert!(tags[0] != tags[1] && tags[0] == tags[2], "{tags:?}");
    assert!(tags.iter().all(|tag| tag.starts_with('"') && tag.ends_with('"')), "{tags:?}");
    // Any of them says which version was read.
    for coding in ["gzip", "br", "identity"] {
        let request =
            app.request(Method::PATCH, path).bearer_auth(&app.root_key).header("If-Match", tag(coding).await);
        app.send(request.json(&json!({ "name": coding }))).await.expect(200);
    }
    let request = app.request(Method::PATCH, path).bearer_auth(&app.root_key).header("If-Match", &tags[1]);
    app.send(request.json(&json!({ "name": "late" }))).await.expect_error(412, "precondition_failed");
}

async fn answers_come_in_the_form_that_is_wanted_most(app: TestApp) {
    let missing =
        |accept: &str| app.send(app.request(Method::GET, "/api/v1/nothing").header("Accept", accept));
    for (accept, content_type) in [
        ("application/json", "application/json"),
        ("application/problem+json", "application/problem+json"),
        ("application/json, application/problem+json;q=0.5", "application/json"),
        ("application/json;q=0.5, application/problem+json", "application/problem+json"),
        ("application/problem+json;q=0, */*", "application/json"),
    ] {
        let reply = missing(accept).await;
        assert_eq!(reply.header("content-type"), content_type, "{accept}");
        assert!(reply.headers.get_all("vary").iter().any(|value| value.as_bytes() == b"Accept"));
        let quoted = format!("\"request_id\":\"{}\"", reply.header("x-request-id"));
        assert!(reply.text.contains(&quoted), "every error can be quoted: {}", reply.text);
    }
    let metrics = |accept: &str| app.send(app.request(Method::GET, "/metrics").header("Accept", accept));
    for accept in ["text/plain;version=0.0.4", "*/*", "text/plain, application/openmetrics-text;q=0.5"] {
        let reply = metrics(accept).await;
        assert_eq!(reply.header("content-type"), "text/plain; version=0.0.4; charset=utf-8", "{accept}");
        assert!(reply.text.contains("# TYPE gatepost_http_requests_total counter\n"));
        assert!(reply.text.contains("# TYPE gatepost_build_info gauge\n") && !reply.text.contains("# EOF"));
    }
    let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                      text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let reply = metrics(prometheus).await;
    assert!(reply.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(
        reply.text.ends_with("# EOF\n") && reply.text.contains("# TYPE gatepost_http_requests counter\n")
    );
}

/// `plain_http = "redirect"` behind two proxies, of which the outer ends TLS.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hop_of_the_client_says_whether_it_came_with_tls() {
    let settings = ApiSettings {
        server: ServerSettings {
            plain_http: PlainHttp::Redirect,
            trusted_proxies: vec!["127.0.0.1/32".parse().expect("a network")],
            ..ServerSettings::default()
        },
        ..ApiSettings::default()
    };
    let app = TestApp::start_with(Engine::Sqlite, settings, gatepost_app::AppSettings::default()).await;
    for (protocols, addresses, status) in [
        (&["https,http"][..], &["203.0.113.7, 127.0.0.1"][..], 200),
        (&["https", "http"], &["203.0.113.7", "127.0.0.1"], 200),
        (&["https, https"], &[], 200),
        (&["https,http"], &[], 301),
        (&["http,https"], &["203.0.113.7, 127.0.0.1"], 301),
        (&["https"], &["203.0.113.7, 127.0.0.1"], 200),
        (&["http"], &["203.0.113.7, 127.0.0.1"], 301),
    ] {
        for path in ["/api/v1/workspaces", "/api/v1/auth"] {
            let mut request = app.request(Method::GET, path).bearer_auth(&app.root_key);
            for line in protocols {
                request = request.header("X-Forwarded-Proto", *line);
            }
            for line in addresses {
                request = request.header("X-Forwarded-For", *line);
            }
            let status = if status == 200 && path.ends_with("auth") { 204 } else { status };
            assert_eq!(app.send(request).await.status.as_u16(), status, "{path} {protocols:?} {addresses:?}");
        }
    }
}

/// Where a contract writes the action first, it is read and written so alone, everywhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_scopes_is_the_contracts() {
    let app = TestApp::start_as_mirror(Engine::Sqlite).await;
    let url = |path: &str| format!("http://{}/mirror/v9{path}", app.address);
    let (client, root) = (http_client(None), app.root_key.clone());
    let post = async |path: &str, body: Value| {
        let answer = client.post(url(path)).bearer_auth(&root).json(&body).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
    };
    let scopes = json!(["read:posts", "*:users", "mcp:files:New%20Tool", "read"]);
    let (status, created) = post("/api-keys", json!({ "name": "K", "scopes": scopes })).await;
    assert_eq!((status, &created["data"]["scopes"]), (201, &scopes));
    let key = created["data"]["key"].as_str().expect("a key").to_owned();
    let (status, refused) = post("/api-keys", json!({ "name": "K", "scopes": ["posts:read"] })).await;
    assert_eq!(status, 400);
    assert!(refused.to_string().contains("A scope must be action:resource"), "{refused}");

    let ask = async |scope: &str| {
        client.get(url(&format!("/auth?scope={scope}"))).bearer_auth(&key).send().await.expect("an answer")
    };
    for (scope, expected) in
        [("read:posts", 204), ("write:users", 204), ("write:posts", 403), ("posts:write", 400)]
    {
        // What has to be decoded goes the long way; and once before and once after the key is remembered.
        for asked in [scope.replace(':', "%3A"), scope.to_owned(), scope.to_owned()] {
            let answer = ask(&asked).await;
            assert_eq!(answer.status(), expected, "{scope}");
            match expected {
                204 => assert_eq!(
                    answer.headers()["x-mirror-scopes"],
                    "read:posts *:users mcp:files:New%20Tool read"
                ),
                403 => assert!(answer.text().await.expect("a body").contains("Required scope: write:posts")),
                _ => {}
            }
        }
    }
    let verified = |scope: &str| json!({ "key": key, "scopes": [scope] });
    let (_, decision) = post("/api-keys/verify", verified("read:posts")).await;
    assert_eq!((&decision["data"]["code"], &decision["data"]["scopes"]), (&json!("VALID"), &scopes));
    assert_eq!(
        post("/api-keys/verify", verified("write:posts")).await.1["data"]["code"],
        "INSUFFICIENT_SCOPE"
    );
    let events = client.get(url("/events?type=api_key.created")).bearer_auth(&root).send().await;
    let events: Value = events.expect("an answer").json().await.expect("JSON");
    assert_eq!(events["data"][0]["data"]["scopes"], scopes, "{events}");
    let refused = client.delete(url("/webhooks/1")).bearer_auth(&key).send().await.expect("an answer");
    assert!(refused.text().await.expect("a body").contains("Required scope: delete:webhooks"));
}
