//! What a server says of itself to Prometheus.

use std::collections::HashMap;

use gatepost_kernel::Clock;
use gatepost_storage::{QueueDepth, Tx};
use gatepost_test_support::{Receiver, TestApp, both_engines, receiver::Reply};
use reqwest::Method;
use serde_json::json;

both_engines! { TestApp:
    decisions_are_counted_by_way_and_code,
    deliveries_are_counted_by_their_end,
    what_a_client_makes_up_makes_no_series,
}

/// Every sample by its name and labels.
async fn samples(app: &TestApp) -> HashMap<String, f64> {
    let text = app.send(app.request(Method::GET, "/metrics")).await.text;
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ')?;
        Some((series.to_owned(), value.parse().ok()?))
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect()
}

async fn decisions_are_counted_by_way_and_code(app: TestApp) {
    let (id, key) = app.create_key(&app.root_key, 0, json!({ "scopes": ["posts:read"] })).await;
    let verify = async |body| app.post(&app.root_key, "/api-keys/verify", &body).await.expect(200);
    let auth = async |key: &str, scope: &str| {
        let path = format!("/api/v1/auth?scope={scope}");
        app.send(app.request(Method::GET, &path).bearer_auth(key)).await.status.as_u16()
    };
    assert_eq!(verify(json!({ "key": key, "scopes": ["posts:read"] })).await["code"], "VALID");
    assert_eq!(verify(json!({ "key": key, "scopes": ["posts:write"] })).await["code"], "INSUFFICIENT_SCOPE");
    assert_eq!(verify(json!({ "key": "sk_live_nonsense" })).await["code"], "NOT_FOUND");
    // From memory, and by the way that says why not.
    assert_eq!((auth(&key, "posts:read").await, auth(&key, "posts:write").await), (204, 403));
    app.send(app.request(Method::GET, "/api/v1/auth")).await.expect(401);
    app.delete(&app.root_key, &format!("/api-keys/{id}")).await;
    app.get(&key, "/workspaces").await.expect_error(401, "key_revoked");

    let samples = samples(&app).await;
    for (via, code, times) in [
        ("verify", "VALID", 1.0),
        ("verify", "INSUFFICIENT_SCOPE", 1.0),
        ("verify", "NOT_FOUND", 1.0),
        ("auth", "VALID", 1.0),
        ("auth", "INSUFFICIENT_SCOPE", 1.0),
        ("auth", "NO_KEY", 1.0),
        ("api", "REVOKED", 1.0),
        ("api", "NO_KEY", 0.0),
        ("middleware", "VALID", 0.0),
    ] {
        let series = format!("gatepost_decisions_total{{via=\"{via}\",code=\"{code}\"}}");
        assert_eq!(samples.get(&series), Some(&times), "{series}");
    }
    assert!(samples["gatepost_feed_age_seconds"] < 5.0);
    assert!(samples["gatepost_key_lookups_total{result=\"hit\"}"] > 0.0);
    assert!(samples["gatepost_database_duration_seconds_count{kind=\"transaction\"}"] > 0.0);
    assert!(samples["process_resident_memory_bytes"] > 0.0);
}

async fn deliveries_are_counted_by_their_end(app: TestApp) {
    let receiver = Receiver::start().await;
    let body = json!({ "url": receiver.url("/hook"), "events": ["order.*"] });
    app.post(&app.root_key, "/webhooks", &body).await.expect(201);
    let publish = async || {
        let event = json!({ "type": "order.paid", "data": {} });
        app.post(&app.root_key, "/events", &event).await.expect(202);
    };
    let until = async |series: &str, expected: f64| {
        while samples(&app).await.get(series) != Some(&expected) {
            tokio::task::yield_now().await;
        }
    };
    let depth = async || {
        let now = app.clock.now();
        let depth = async move |mut tx: Tx<'_>| tx.webhook_queue_depth(now).await;
        app.storage.read(depth).await.expect("the depth")
    };
    let endpoints = QueueDepth { active_endpoints: 1, ..QueueDepth::default() };
    assert_eq!(depth().await, endpoints);

    publish().await;
    until("gatepost_webhook_deliveries_total{outcome=\"success\"}", 1.0).await;
    receiver.next(Reply::status(500, "", ""));
    publish().await;
    until("gatepost_webhook_attempts_total{outcome=\"refused\"}", 1.0).await;
    // It waits for its next attempt, and is then due until somebody takes it; nobody does at once.
    while (depth().await.due, depth().await.later) != (0, 1) {
        tokio::task::yield_now().await;
    }
    receiver.next(Reply::status(410, "", ""));
    publish().await;
    until("gatepost_webhook_endpoints_disabled_total", 1.0).await;
    let samples = samples(&app).await;
    assert_eq!(samples["gatepost_webhook_attempts_total{outcome=\"success\"}"], 1.0);
    assert_eq!(samples["gatepost_webhook_attempts_total{outcome=\"refused\"}"], 2.0);
    assert_eq!(samples["gatepost_webhook_attempt_duration_seconds_count"], 3.0);
    let QueueDepth { active_endpoints, inactive_endpoints, .. } = depth().await;
    assert_eq!((active_endpoints, inactive_endpoints), (0, 1));
}

async fn what_a_client_makes_up_makes_no_series(app: TestApp) {
    let names = async || samples(&app).await.into_keys().collect::<Vec<_>>();
    let publish = async |event_type: String| {
        app.post(&app.root_key, "/events", &json!({ "type": event_type, "data": {} })).await.expect(202);
    };
    let make_up = async |number: usize| {
        publish(format!("made.up_{number}")).await;
        let method = Method::from_bytes(format!("MADE{number}").as_bytes()).expect("a method");
        app.send(app.request(method, &format!("/made/up/{number}"))).await.expect(404);
    };
    make_up(0).await;
    names().await;
    let before = names().await.len();
    for number in 1..20 {
        make_up(number).await;
    }
    let after = names().await;
    assert_eq!(after.len(), before);
    assert!(!after.iter().any(|series| series.to_lowercase().contains("made")), "{after:?}");
}
