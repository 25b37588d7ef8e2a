//! `/pixel`, and the script.

use std::time::Duration;

use gatepost_analytics::QuarterHour;
use gatepost_app::{
    App, AppSettings, PixelSettings,
    visits::pixel::{self, TrackEvent},
};
use gatepost_entitlements::{Catalog, FeatureValue, Plan};
use gatepost_kernel::{Clock, Environment, Json, WorkspaceId};
use gatepost_storage::{CountedValues, PixelDimension, StorageError, Tx};
use gatepost_test_support::{Engine, Reply, TestApp, both_engines};
use reqwest::{Method, RequestBuilder, Url};
use serde_json::{Value, json};

both_engines! { TestApp:
    the_contracts_requests_get_its_answers,
    a_page_is_known_by_its_domain,
    a_domain_has_one_owner,
    settings_are_checked,
    changes_are_seen_at_once,
    visitors_who_decline_are_not_tracked,
    visitors_are_limited_by_address,
    any_page_may_call_the_pixel_and_nothing_else,
    no_address_is_stored,
    bad_events_are_refused,
    no_visit_is_lost_for_what_can_be_cut,
    a_beacon_is_taken,
    names_of_events_are_of_any_script,
    a_page_has_one_spelling,
    samples_and_switches,
    pages_of_others_are_not_counted,
    a_quarter_hour_counts_a_thousand_pages_and_referrers_apart,
}

/// The contract's own example.
fn event() -> Value {
    json!({
        "event": "pageview",
        "url": "https://example.com/page",
        "referrer": "https://google.com",
        "user_agent": "Mozilla/5.0...",
        "properties": { "title": "Page Title" },
    })
}

async fn own(app: &TestApp, workspace: i64, pixel: Value) -> Reply {
    let body = json!({ "settings": { "pixel": pixel } });
    app.patch(&app.root_key, &format!("/workspaces/{workspace}"), &body).await
}

fn config(app: &TestApp, origin: &str) -> RequestBuilder {
    app.request(Method::GET, "/api/v1/pixel/config").header("Origin", origin)
}

fn track(app: &TestApp, origin: &str, event: &Value) -> RequestBuilder {
    let mut event = event.clone();
    if event["url"] == "https://example.com/page" && origin.starts_with("http") {
        // The contract's page, on the domain that asks.
        event["url"] = json!(format!("{origin}/page"));
    }
    app.request(Method::POST, "/api/v1/pixel/track").header("Origin", origin).json(&event)
}

async fn is_tracked(app: &TestApp, origin: &str, event: &Value) -> bool {
    app.send(track(app, origin, event)).await.expect(200)["tracked"].as_bool().expect("yes or no")
}

async fn total(app: &TestApp, key: &str) -> u64 {
    app.get(key, "/analytics/pixel").await.expect(200)["data"]["total"].as_u64().expect("a count")
}

async fn the_contracts_requests_get_its_answers(app: TestApp) {
    own(&app, 1, json!({ "domains": ["example.com"] })).await.expect(200);
    let reply = app.send(config(&app, "https://example.com")).await;
    assert_eq!(reply.header("x-ratelimit-limit"), "300");
    assert!(reply.header("x-request-id").starts_with("req_"));
    let expected = "{\"enabled\":true,\"features\":{\"pageviews\":true,\"events\":true,\"sessions\":true},\"sample_rate\":1.0}";
    assert_eq!((reply.status.as_u16(), reply.text.as_str()), (200, expected));
    let reply = app.send(track(&app, "https://example.com", &event())).await;
    assert_eq!((reply.status.as_u16(), reply.text.as_str()), (200, "{\"tracked\":true}"));
    assert_eq!(total(&app, &app.root_key).await, 1);
}

async fn a_page_is_known_by_its_domain(app: TestApp) {
    own(&app, 1, json!({ "domains": ["Example.com", "*.shop.test", "127.0.0.1"] })).await.expect(200);
    for (origin, known) in [
        ("https://example.com", true),
        ("http://example.com:8080", true),
        ("https://www.example.com", false),
        ("https://a.shop.test", true),
        ("https://a.b.shop.test", true),
        ("https://shop.test", false),
        ("http://127.0.0.1:3000", true),
        ("https://example.org", false),
    ] {
        assert_eq!(app.send(config(&app, origin)).await.expect(200)["enabled"], known, "{origin}");
        assert_eq!(is_tracked(&app, origin, &event()).await, known, "{origin}");
    }
    let unknown = app.send(config(&app, "https://example.org")).await.expect(200);
    assert_eq!(unknown["features"], json!({ "pageviews": false, "events": false, "sessions": false }));
    // Without an origin, or with one that says nothing: the referrer, and then the query.
    let get = |query: &str| app.request(Method::GET, &format!("/api/v1/pixel/config{query}"));
    let enabled = async |request| app.send(request).await.expect(200)["enabled"].clone();
    assert_eq!(enabled(get("").header("Referer", "https://example.com/page?a=b")).await, true);
    assert_eq!(enabled(get("?domain=example.com").header("Referer", "https://example.org/")).await, false);
    assert_eq!(enabled(get("?domain=EXAMPLE.com").header("Origin", "null")).await, true);
    assert_eq!(enabled(get("?domain=example.com")).await, true);
    assert_eq!(enabled(get("?domain=no%20host")).await, false);
    assert_eq!(enabled(get("")).await, false);
    app.send(get("?host=example.com")).await.expect_error(422, "validation_failed");
    app.send(app.request(Method::PUT, "/api/v1/pixel/track")).await.expect_error(405, "method_not_allowed");
}

async fn a_domain_has_one_owner(app: TestApp) {
    let (first, _, first_key) = app.create_tenant("First").await;
    let (second, _, second_key) = app.create_tenant("Second").await;
    own(&app, first, json!({ "domains": ["example.com", "*.example.com"] })).await.expect(200);
    let error = own(&app, second, json!({ "domains": ["free.test", "EXAMPLE.com"] })).await;
    let error = error.expect_error(422, "validation_failed");
    assert!(error["errors"]["settings.pixel.domains"][0].as_str().expect("an error").contains("example.com"));
    assert!(!is_tracked(&app, "https://free.test", &event()).await, "nothing of it was kept");
    // A host below is another's to own; the most specific name counts.
    own(&app, second, json!({ "domains": ["shop.example.com"] })).await.expect(200);
    assert!(is_tracked(&app, "https://shop.example.com", &event()).await);
    assert!(is_tracked(&app, "https://blog.example.com", &event()).await);
    assert_eq!((total(&app, &first_key).await, total(&app, &second_key).await), (1, 1));
    // No tenant can claim a domain: who owns one is for the platform to say.
    let claim = json!({ "settings": { "pixel": { "domains": ["victim.test"] } } });
    let path = format!("/workspaces/{second}");
    app.patch(&second_key, &path, &claim).await.expect_error(403, "access_denied");
    let own_settings =
        json!({ "settings": { "pixel": { "domains": ["shop.example.com"], "sample_rate": 0.5 } } });
    app.patch(&second_key, &path, &own_settings).await.expect(200);
    // What is given up, or whose workspace is deleted, is free again.
    own(&app, first, Value::Null).await.expect(200);
    assert!(!is_tracked(&app, "https://example.com", &event()).await);
    own(&app, second, json!({ "domains": ["example.com"] })).await.expect(200);
    app.delete(&app.root_key, &path).await.expect(204);
    assert!(!is_tracked(&app, "https://example.com", &event()).await);
    let body = json!({ "name": "Third", "settings": { "pixel": { "domains": ["example.com"] } } });
    app.post(&app.root_key, "/workspaces", &body).await.expect(201);
    assert!(is_tracked(&app, "https://example.com", &event()).await);
    app.post(&app.root_key, "/workspaces", &body).await.expect_error(422, "validation_failed");
}

async fn settings_are_checked(app: TestApp) {
    let pixel = json!({ "domains": ["https://example.com"], "sample_rate": 2, "colour": 1 });
    let error = own(&app, 1, pixel).await.expect_error(422, "validation_failed");
    for field in ["settings.pixel.domains.0", "settings.pixel.sample_rate", "settings.pixel.colour"] {
        assert!(error["errors"][field].is_array(), "{field}");
    }
}

async fn changes_are_seen_at_once(app: TestApp) {
    let origin = "https://example.com";
    assert!(!is_tracked(&app, origin, &event()).await);
    for round in 0..20 {
        own(&app, 1, json!({ "domains": ["example.com"], "enabled": round % 2 == 0 })).await.expect(200);
        let (tracked, enabled) =
            (is_tracked(&app, origin, &event()).await, app.send(config(&app, origin)).await.expect(200));
        assert_eq!((tracked, &enabled["enabled"]), (round % 2 == 0, &json!(round % 2 == 0)));
    }
}

async fn visitors_who_decline_are_not_tracked(app: TestApp) {
    own(&app, 1, json!({ "domains": ["example.com"] })).await.expect(200);
    for header in ["DNT", "Sec-GPC"] {
        let request = track(&app, "https://example.com", &event()).header(header, "1");
        assert_eq!(app.send(request).await.expect(200), json!({ "tracked": false }));
        let request = config(&app, "https://example.com").header(header, "1");
        assert_eq!(app.send(request).await.expect(200)["enabled"], false);
        let request = track(&app, "https://example.com", &event()).header(header, "0");
        assert_eq!(app.send(request).await.expect(200), json!({ "tracked": true }));
    }
    assert_eq!(total(&app, &app.root_key).await, 2);
}

async fn visitors_are_limited_by_address(app: TestApp) {
    for left in (0..300).rev() {
        let reply = app.send(config(&app, "https://example.com")).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("x-ratelimit-remaining")),
            (200, left.to_string().as_str())
        );
    }
    let refused = app.send(track(&app, "https://example.com", &event())).await;
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(refused.header("access-control-allow-origin"), "*", "the page may read why");
    refused.expect_error(429, "rate_limit_exceeded");
    // Keys, and those who show bad ones, are counted elsewhere.
    app.get(&app.root_key, "/workspaces").await.expect(200);
    app.send(app.request(Method::GET, "/api/v1/workspaces")).await.expect_error(401, "unauthorized");
    app.clock.advance(Duration::from_secs(61));
    app.send(config(&app, "https://example.com")).await.expect(200);
}

async fn any_page_may_call_the_pixel_and_nothing_else(app: TestApp) {
    for (path, method) in [("/api/v1/pixel/track", "POST"), ("/api/v1/pixel/config", "GET")] {
        let request = app.request(Method::OPTIONS, path).header("Origin", "https://anybody.test");
        let request = request.header("Access-Control-Request-Method", method);
        let reply = app.send(request.header("Access-Control-Request-Headers", "content-type")).await;
        assert_eq!((reply.status.as_u16(), reply.header("access-control-allow-origin")), (204, "*"));
        assert_eq!(reply.header("access-control-allow-methods"), method);
        assert_eq!(reply.header("access-control-allow-headers"), "content-type");
    }
    let reply = app.send(config(&app, "https://anybody.test")).await;
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    for path in ["/api/v1/workspaces", "/api/v1/pixel", "/api/v1/analytics/pixel", "/pixel.js"] {
        let reply = app.send(app.request(Method::GET, path).header("Origin", "https://anybody.test")).await;
        assert_eq!(reply.header("access-control-allow-origin"), "", "{path}");
    }
    let script = app.send(app.request(Method::GET, "/pixel.js")).await;
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(
        (script.status.as_u16(), script.header("cross-origin-resource-policy")),
        (200, "cross-origin")
    );
    assert!(script.text.len() < 2_300 && script.text.contains("pixel/"));
    app.send(app.request(Method::HEAD, "/pixel.js")).await.expect(200);
    app.send(app.request(Method::POST, "/pixel.js")).await.expect_error(405, "method_not_allowed");
}

async fn no_address_is_stored(app: TestApp) {
    own(&app, 1, json!({ "domains": ["example.com"] })).await.expect(200);
    assert!(is_tracked(&app, "https://example.com", &event()).await);
    let row = match app.storage.engine() {
        Engine::Postgres => {
            let (client, connection) = tokio_postgres::connect(app.database_url(), tokio_postgres::NoTls)
                .await
                .expect("a connection");
            tokio::spawn(connection);
            let row =
                client.query_one("SELECT to_jsonb(e)::text FROM pixel_events e", &[]).await.expect("a row");
            row.get::<_, String>(0)
        }
        // The file itself: what is in no page of it is not stored.
        Engine::Sqlite => {
            let path = app.storage.path().expect("a path");
            let wal = std::fs::read(path.with_extension("db-wal")).unwrap_or_default();
            String::from_utf8_lossy(&[std::fs::read(path).expect("the file"), wal].concat()).into_owned()
        }
    };
    assert!(row.contains("127.0.0.0/24"), "the network");
    assert!(!row.contains("127.0.0.1\""), "not the address");
}

async fn bad_events_are_refused(app: TestApp) {
    own(&app, 1, json!({ "domains": ["example.com"] })).await.expect(200);
    let origin = "https://example.com";
    for (member, value) in [
        ("event", json!("")),
        ("event", json!("x".repeat(65))),
        ("event", json!("a\nb")),
        ("event", json!(7)),
        ("url", json!("/page")),
        ("url", json!("javascript:alert(1)")),
        ("url", json!("https://u:p@example.com/")),
        ("properties", json!([1])),
        ("properties", json!({ "a": "x".repeat(8_192) })),
        ("ip", json!("192.0.2.7")),
    ] {
        let mut event = event();
        event[member] = value;
        let error = app.send(track(&app, origin, &event)).await.expect_error(422, "validation_failed");
        assert!(error["errors"][member].is_array(), "{member}");
    }
    let request = app.request(Method::POST, "/api/v1/pixel/track").header("Origin", origin);
    app.send(request.body("{}")).await.expect_error(415, "unsupported_media_type");
    let request = track(
        &app,
        origin,
        &json!({ "event": "x", "url": "https://example.com/", "properties": { "a": "x".repeat(70_000) } }),
    );
    app.send(request).await.expect_error(413, "payload_too_large");
    assert_eq!(total(&app, &app.root_key).await, 0);
    // Where visitors come from is up to others.
    for referrer in [json!("android-app://com.example/"), json!("about:blank"), json!(""), Value::Null] {
        let mut event = event();
        event["referrer"] = referrer;
        assert!(is_tracked(&app, origin, &event).await);
    }
}

/// The total and, by page, how often it was visited.
async fn visits(app: &TestApp, group_by: &str) -> (u64, Vec<(String, u64)>) {
    let path = format!("/analytics/pixel?group_by={group_by}");
    let data = app.get(&app.root_key, &path).await.expect(200)["data"].take();
    let group = |one: &Value| {
        (one["group"].as_str().unwrap_or_default().to_owned(), one["total"].as_u64().unwrap_or_default())
    };
    let groups = data["series"].as_array().expect("series").iter().map(group).collect();
    (data["total"].as_u64().expect("a count"), groups)
}

async fn no_visit_is_lost_for_what_can_be_cut(app: TestApp) {
    own(&app, 1, json!({ "domains": ["example.com"] })).await.expect(200);
    let long = "a".repeat(9_000);
    for (member, value) in [
        ("url", json!(format!("https://example.com/page?gclid={}", &long[..2_100]))),
        ("url", json!(format!("https://example.com/page?gclid={long}"))),
        ("url", json!(format!("https://example.com/page#{long}"))),
        ("user_agent", json!(long)),
        ("user_agent", json!("Mozilla\n5")),
        ("referrer", json!(format!("https://google.com/{long}"))),
        ("properties", json!({ "title": long })),
        ("properties", json!({ "a": "\0", "title": "\u{fffd}" })),
    ] {
        let mut event = event();
        event[member] = value;
        assert!(is_tracked(&app, "https://example.com", &event).await, "{member}");
    }
    assert_eq!(visits(&app, "url").await, (8, vec![("https://example.com/page".to_owned(), 8)]));
}

async fn a_beacon_is_taken(app: TestApp) {
    own(&app, 1, json!({ "domains": ["example.com"] })).await.expect(200);
    let send = |content_type: &str| {
        let request =
            app.request(Method::POST, "/api/v1/pixel/track").header("Origin", "https://example.com");
        let body = r#"{"event":"leave","url":"https://example.com/"}"#;
        app.send(request.header("Content-Type", content_type).body(body))
    };
    for content_type in ["text/plain;charset=UTF-8", "text/plain", "application/json"] {
        assert_eq!(send(content_type).await.expect(200), json!({ "tracked": true }), "{content_type}");
    }
    for content_type in ["text/html", "application/x-www-form-urlencoded"] {
        send(content_type).await.expect_error(415, "unsupported_media_type");
    }
    // Everywhere else a form of a page could send it with what the browser knows.
    let request = app.request(Method::POST, "/api/v1/events").bearer_auth(&app.root_key);
    let request = request.header("Content-Type", "text/plain").body(r#"{"type":"a","data":1}"#);
    app.send(request).await.expect_error(415, "unsupported_media_type");
}

async fn names_of_events_are_of_any_script(app: TestApp) {
    own(&app, 1, json!({ "domains": ["example.com"] })).await.expect(200);
    let names = ["購入", "регистрация", "Übermittlung", "Add to cart!", "100%"];
    for name in names {
        let event = json!({ "event": name, "url": "https://example.com/" });
        assert!(is_tracked(&app, "https://example.com", &event).await, "{name}");
    }
    // One name, in two spellings of Unicode.
    let decomposed = json!({ "event": "U\u{308}bermittlung", "url": "https://example.com/" });
    assert!(is_tracked(&app, "https://example.com", &decomposed).await);
    let (total, mut groups) = visits(&app, "event").await;
    groups.sort();
    let mut expected: Vec<_> =
        names.map(|name| (name.to_owned(), if name == "Übermittlung" { 2 } else { 1 })).into_iter().collect();
    expected.sort();
    assert_eq!((total, groups), (6, expected));
    let path = "/analytics/pixel?event=%E8%B3%BC%E5%85%A5";
    assert_eq!(app.get(&app.root_key, path).await.expect(200)["data"]["total"], 1);
}

async fn a_page_has_one_spelling(app: TestApp) {
    own(&app, 1, json!({ "domains": ["example.com"] })).await.expect(200);
    for url in
        ["https://example.com/%E8%AE%BA", "https://example.com/%e8%ae%ba", "https://EXAMPLE.com:443/论"]
    {
        let event = json!({ "event": "pageview", "url": url });
        assert!(is_tracked(&app, "https://example.com", &event).await, "{url}");
    }
    let page = "https://example.com/%E8%AE%BA".to_owned();
    assert_eq!(visits(&app, "url").await, (3, vec![(page, 3)]));
    let path = "/analytics/pixel?url=https://example.com/%25e8%25ae%25ba";
    assert_eq!(app.get(&app.root_key, path).await.expect(200)["data"]["total"], 3);
}

async fn samples_and_switches(app: TestApp) {
    let origin = "https://example.com";
    let signup = json!({ "event": "signup", "url": "https://example.com/" });
    own(&app, 1, json!({ "domains": ["example.com"], "features": { "pageviews": false } })).await.expect(200);
    assert!(!is_tracked(&app, origin, &event()).await && is_tracked(&app, origin, &signup).await);
    own(&app, 1, json!({ "domains": ["example.com"], "features": { "events": false } })).await.expect(200);
    assert!(is_tracked(&app, origin, &event()).await && !is_tracked(&app, origin, &signup).await);
    own(&app, 1, json!({ "domains": ["example.com"], "sample_rate": 0 })).await.expect(200);
    assert!(!is_tracked(&app, origin, &event()).await);
    own(&app, 1, json!({ "domains": ["example.com"], "sample_rate": 0.5 })).await.expect(200);
    let mut tracked = 0;
    for _ in 0..100 {
        tracked += usize::from(is_tracked(&app, origin, &event()).await);
    }
    // Beyond these bounds once in more than a million million runs.
    assert!((14..=86).contains(&tracked), "{tracked}");
    assert_eq!(total(&app, &app.root_key).await, tracked as u64 + 2);
}

/// Events are limited where a plan lists them, exactly, and thresholds are told.
async fn limited(engine: Engine) {
    let mut small = Plan::unlimited("small");
    small.features.insert("pixel_events".to_owned(), FeatureValue::Limit(10));
    let settings =
        AppSettings { catalog: Catalog::new([small], []).expect("a catalog"), ..AppSettings::default() };
    let app = TestApp::start_with(engine, gatepost_api::ApiSettings::default(), settings).await;
    let (workspace, _, key) = app.create_tenant("Small").await;
    app.patch(&app.root_key, &format!("/workspaces/{workspace}"), &json!({ "tier": "small" }))
        .await
        .expect(200);
    own(&app, workspace, json!({ "domains": ["example.com"] })).await.expect(200);
    own(&app, 1, json!({ "domains": ["free.test"] })).await.expect(200);
    let event = event();
    let visits = (0..40).map(async |number| {
        let origin = if number % 2 == 0 { "https://example.com" } else { "https://free.test" };
        (number % 2, is_tracked(&app, origin, &event).await)
    });
    let tracked = futures_util::future::join_all(visits).await;
    let count = |kind| tracked.iter().filter(|(of, tracked)| *of == kind && *tracked).count();
    assert_eq!((count(0), count(1)), (10, 20));
    assert_eq!(total(&app, &key).await, 10);
    let told = app.get(&key, "/events?type=entitlement.threshold_reached").await.expect(200);
    assert_eq!(told["meta"]["total"], 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_limited_by_plan_on_sqlite() {
    limited(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_limited_by_plan_on_postgres() {
    limited(Engine::Postgres).await;
}

/// While the database stands still, so many wait, and the others are sent away at once and counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_is_503() {
    let settings = AppSettings {
        pixel: PixelSettings { queue: 4, ..PixelSettings::default() },
        ..AppSettings::default()
    };
    let app = TestApp::start_with(Engine::Postgres, gatepost_api::ApiSettings::default(), settings).await;
    own(&app, 1, json!({ "domains": ["example.com"] })).await.expect(200);
    // Once, so that it is known whose the domain is.
    assert!(is_tracked(&app, "https://example.com", &event()).await);
    let (mut client, connection) =
        tokio_postgres::connect(app.database_url(), tokio_postgres::NoTls).await.expect("a connection");
    tokio::spawn(connection);
    let held = client.transaction().await.expect("a transaction");
    held.batch_execute("LOCK TABLE pixel_events IN ACCESS EXCLUSIVE MODE").await.expect("the lock");
    let event = event();
    let visits = (0..20).map(async |_| app.send(track(&app, "https://example.com", &event)).await);
    let mut visits = std::pin::pin!(futures_util::future::join_all(visits));
    // Some are answered while the lock is held; the others once it is not.
    let refused = async {
        loop {
            let metrics = app.send(app.request(Method::GET, "/metrics")).await.text;
            let count = metrics
                .lines()
                .find(|line| line.starts_with("gatepost_pixel_events_total{outcome=\"refused\"}"));
            let count = count.and_then(|line| line.rsplit(' ').next()?.parse::<u32>().ok()).unwrap_or(0);
            if count >= 15 {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = &mut visits => panic!("nothing can be stored"),
        () = refused => {}
    }
    held.rollback().await.expect("the lock is gone");
    let replies = visits.await;
    let stored = replies.iter().filter(|reply| reply.status == 200).count();
    let refused: Vec<_> = replies.into_iter().filter(|reply| reply.status != 200).collect();
    assert!((4..=5).contains(&stored), "one in hand, four in the queue: {stored}");
    for reply in refused {
        assert_eq!(reply.header("retry-after"), "5");
        reply.expect_error(503, "service_unavailable");
    }
    assert_eq!(total(&app, &app.root_key).await, stored as u64 + 1);
}

/// Anybody can name any page; only those of the domain's owner are counted.
async fn pages_of_others_are_not_counted(app: TestApp) {
    let (other, ..) = app.create_tenant("other").await;
    own(&app, 1, json!({ "domains": ["example.com", "*.shop.test"] })).await.expect(200);
    own(&app, other, json!({ "domains": ["other.test"] })).await.expect(200);
    for (page, counted) in [
        ("https://example.com/a", true),
        ("http://EXAMPLE.com:8080/a", true),
        ("https://de.shop.test/a", true),
        ("https://shop.test/a", false),
        ("https://other.test/a", false),
        ("https://nobody.test/a", false),
    ] {
        let event = json!({ "event": "pageview", "url": page });
        assert_eq!(is_tracked(&app, "https://example.com", &event).await, counted, "{page}");
    }
    assert_eq!(total(&app, &app.root_key).await, 3);
}

async fn a_quarter_hour_counts_a_thousand_pages_and_referrers_apart(app: TestApp) {
    own(&app, 1, json!({ "domains": ["example.com"] })).await.expect(200);
    let visit = async |app: &App, number: usize| {
        let parse = |text: String| Url::parse(&text).expect("an address");
        let event = TrackEvent {
            event: "pageview".to_owned(),
            url: parse(format!("https://example.com/{number}")),
            referrer: Some(parse(format!("https://{number}.example/"))),
            user_agent: None,
            properties: Json::from(&json!({})),
        };
        assert!(pixel::track(app, Some("example.com".to_owned()), None, event).await.expect("an answer"));
    };
    // Of all that come at once no more are counted apart than may be, whoever comes first.
    futures_util::future::join_all((0..1_300).map(|number| visit(&app.app, number))).await;
    // Nor by another process, which counts on what is known as before.
    let other = App::new(app.storage.clone(), AppSettings::default(), app.clock.clone());
    visit(&other, 5_000).await;
    let counted = async |dimension: PixelDimension| {
        let of = CountedValues {
            workspace_id: WorkspaceId::ROOT,
            environment: Environment::Live,
            dimension,
            slot: QuarterHour::of(app.clock.now()),
        };
        let read = async move |mut tx: Tx<'_>| tx.pixel_values(&of).await;
        app.storage.read::<_, StorageError, _>(read).await.expect("the values")
    };
    for (dimension, group) in [(PixelDimension::Page, "url"), (PixelDimension::Referrer, "referrer")] {
        let values = counted(dimension).await;
        assert_eq!(values.len(), 1_001, "and the others");
        assert!(values.iter().any(|value| value == "other"));
        let largest = async || {
            let path = format!("/analytics/pixel?group_by={group}&limit=1");
            app.get(&app.root_key, &path).await.expect(200)["data"]["series"][0].take()
        };
        let others = largest().await;
        assert_eq!((&others["group"], &others["total"]), (&json!("other"), &json!(301)));
        // One that is counted apart goes on to be.
        let known = values.iter().find(|value| *value != "other").expect("one of them");
        let number = known.split(|letter: char| !letter.is_ascii_digit()).find(|part| !part.is_empty());
        visit(&other, number.expect("its number").parse().expect("a number")).await;
        assert_eq!(largest().await["total"], 301);
    }
    assert_eq!(total(&app, &app.root_key).await, 1_303, "none is lost");
    // The next quarter hour has room for others.
    app.clock.advance(Duration::from_secs(900));
    visit(&app.app, 7_000).await;
    assert_eq!(counted(PixelDimension::Page).await, ["https://example.com/7000"]);
}
