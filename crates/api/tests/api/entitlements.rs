//! Entitlements: what a plan allows, counted exactly.

use std::{sync::Arc, time::Duration};

use gatepost_app::EntitlementSettings;
use gatepost_entitlements::{Anchor, Catalog, Feature, FeatureKind, FeatureValue, Plan, Reset};
use gatepost_kernel::{Environment, Owner, WorkspaceId};
use gatepost_test_support::{Engine, Receiver, TestApp, both_engines};
use serde_json::{Value, json};

/// An application with a plan of every kind of feature.
struct Sold(TestApp);

fn settings() -> gatepost_app::AppSettings {
    let mut small = Plan { max_keys: Some(3), ..Plan::unlimited("small") };
    let mut large = Plan::unlimited("large");
    for (plan, seats, calls) in [(&mut small, 100, 1_000), (&mut large, 1_000, 50_000)] {
        for (name, value) in [
            ("seats", FeatureValue::Limit(seats)),
            ("calls", FeatureValue::Limit(calls)),
            ("traffic", FeatureValue::Limit(10)),
            ("mails", FeatureValue::Limit(10)),
            ("sso", FeatureValue::Enabled(plan.name == "large")),
            ("old", FeatureValue::Unlimited),
            ("free", FeatureValue::Unlimited),
            ("webhooks", FeatureValue::Limit(2)),
        ] {
            plan.features.insert(name.to_owned(), value);
        }
    }
    let metered = |reset| Feature { reset, ..Feature::new(FeatureKind::Metered) };
    let features = [
        ("seats", Feature::new(FeatureKind::Limit)),
        ("calls", Feature { anchor: Anchor::Workspace, ..metered(Reset::Monthly) }),
        ("traffic", Feature { soft: true, unit: Some("bytes".into()), ..metered(Reset::EveryDays(7)) }),
        ("mails", metered(Reset::RollingDays(2))),
        ("sso", Feature::new(FeatureKind::Boolean)),
        ("old", Feature { enabled: false, ..Feature::new(FeatureKind::Limit) }),
        ("free", Feature::new(FeatureKind::Limit)),
    ];
    let features = features.map(|(name, feature)| (name.to_owned(), feature));
    gatepost_app::AppSettings {
        catalog: Catalog::new([small, large], features).expect("plans"),
        entitlements: EntitlementSettings {
            upgrade_url: Some("https://example.com/upgrade".to_owned()),
            ..EntitlementSettings::default()
        },
        ..gatepost_app::AppSettings::default()
    }
}

impl Sold {
    async fn start(engine: Engine) -> Self {
        Self(TestApp::start_with(engine, gatepost_api::ApiSettings::default(), settings()).await)
    }

    /// Makes a workspace on a plan and a key of it.
    async fn tenant(&self, tier: &str) -> (i64, String) {
        let (workspace, _, key) = self.0.create_tenant_on(tier, tier).await;
        (workspace, key)
    }

    async fn check(&self, key: &str, feature: &str, quantity: u64) -> Value {
        let path = format!("/entitlements/check?feature={feature}&quantity={quantity}");
        self.0.get(key, &path).await.expect(200)
    }

    async fn consume(&self, key: &str, feature: &str, quantity: u64) -> gatepost_test_support::Reply {
        let body = json!({ "feature": feature, "quantity": quantity });
        self.0.post(key, "/entitlements/consume", &body).await
    }

    /// The thresholds that were told of, and with how much used.
    async fn alerts(&self, key: &str) -> Vec<(String, u64, u64)> {
        let path = "/events?type=entitlement.threshold_reached&per_page=100";
        let events = self.0.get(key, path).await.expect(200);
        let alert = |event: &Value| {
            let data = &event["data"];
            let number = |name: &str| data[name].as_u64().expect("a number");
            (data["feature"].as_str().expect("a feature").to_owned(), number("threshold"), number("used"))
        };
        let mut alerts: Vec<_> = events["data"].as_array().expect("events").iter().map(alert).collect();
        alerts.sort();
        alerts
    }
}

both_engines! { Sold:
    the_contract_to_the_letter,
    every_reason_is_named,
    what_is_wrong_is_named,
    sixty_four_workers_use_a_thousand,
    the_same_key_is_counted_once,
    periods_begin_anew,
    a_rolling_window_forgets_by_the_day,
    thresholds_are_told_once,
    a_plan_is_changed,
    own_resources_are_features,
    verification_uses_a_feature_or_nothing,
    worlds_and_tenants_are_apart,
    billing_says_what_is_paid_for_and_where,
}

/// The three examples of the core contract, field for field; what we say beside them is there too.
async fn the_contract_to_the_letter(app: Sold) {
    let (workspace, key) = app.tenant("pro").await;
    for (feature, quantity) in [("posts", 45), ("api_calls", 5_000), ("storage", 1_073_741_824)] {
        app.consume(&key, feature, quantity).await.expect(200);
    }
    let usage = json!({ "feature": "api_calls", "quantity": 1, "metadata": { "endpoint": "/api/v1/posts" } });
    let recorded = app.0.post(&key, "/entitlements/usage", &usage).await.expect(200);
    let printed = json!({ "recorded": true, "feature": "api_calls", "current_usage": 5001, "limit": 10000 });
    assert_contains(&recorded, &printed);
    assert_eq!(recorded["source"], json!([{ "kind": "plan", "code": "pro", "limit": 10000 }]));

    let summary = app.0.get(&key, "/entitlements/summary").await;
    let place = |name: &str| summary.text.find(&format!("\"{name}\":"));
    assert!(
        place("posts") < place("api_calls") && place("api_calls") < place("storage"),
        "in the plan's order"
    );
    let summary = summary.expect(200);
    let printed = json!({ "data": { "workspace_id": workspace, "tier": "pro", "entitlements": {
        "posts": { "used": 45, "limit": 1000, "available": 955, "percentage": 4.5 },
        "api_calls": { "used": 5001, "limit": 10000, "available": 4999, "percentage": 50.01,
                       "reset_at": "2026-02-01T00:00:00Z" },
        "storage": { "used": 1_073_741_824_u64, "limit": 5_368_709_120_u64, "available": 4_294_967_296_u64,
                     "percentage": 20, "unit": "bytes" },
    } } });
    assert_contains(&summary, &printed);
    assert!(summary["data"]["entitlements"]["posts"].get("reset_at").is_none());

    let (_, key) = app.tenant("free").await;
    app.consume(&key, "posts", 45).await.expect(200);
    let allowed = app.check(&key, "posts", 1).await;
    let printed =
        json!({ "allowed": true, "feature": "posts", "current_usage": 45, "limit": 100, "available": 55 });
    assert_contains(&allowed, &printed);
    assert!(allowed.get("reason").is_none() && allowed.get("upgrade_url").is_none());
    app.consume(&key, "posts", 55).await.expect(200);
    let refused = app.check(&key, "posts", 1).await;
    let printed = json!({
        "allowed": false, "feature": "posts", "reason": "LIMIT_EXCEEDED",
        "message": "Post limit exceeded. Used: 100, Limit: 100", "current_usage": 100, "limit": 100,
        "available": 0, "upgrade_url": "https://example.com/upgrade",
    });
    assert_contains(&refused, &printed);
    assert_eq!(refused["upgrade_plan"], "starter", "the first that would allow it");
    for operation in ["usage", "consume"] {
        let body = json!({ "feature": "posts" });
        let refused = app.0.post(&key, &format!("/entitlements/{operation}"), &body).await;
        let refused = refused.expect_error(403, "feature_limit_reached");
        assert_eq!(
            (&refused["feature"], &refused["upgrade_url"]),
            (&json!("posts"), &json!("https://example.com/upgrade"))
        );
    }
}

/// Everything of `printed` is in `answer`, with the same value and type.
#[track_caller]
fn assert_contains(answer: &Value, printed: &Value) {
    match printed {
        Value::Object(members) => {
            for (name, printed) in members {
                assert_contains(&answer[name], printed);
            }
        }
        printed => assert_eq!(answer, printed),
    }
}

async fn every_reason_is_named(app: Sold) {
    let (_, key) = app.tenant("small").await;
    app.consume(&key, "seats", 98).await.expect(200);
    for (feature, quantity, reason, upgrade) in [
        ("seats", 3, "INSUFFICIENT_REMAINING", Some("large")),
        ("posts", 1, "NOT_IN_PLAN", Some("free")),
        ("sso", 1, "DISABLED", Some("large")),
        ("old", 1, "DISABLED", None),
        ("nope", 1, "FEATURE_NOT_FOUND", None),
    ] {
        let refused = app.check(&key, feature, quantity).await;
        assert_eq!(
            (&refused["allowed"], &refused["reason"], refused["upgrade_plan"].as_str()),
            (&json!(false), &json!(reason), upgrade),
            "{feature}"
        );
    }
    assert_eq!(app.check(&key, "seats", 2).await["allowed"], true);
    let unlimited = app.check(&key, "free", 1).await;
    assert_eq!((&unlimited["limit"], &unlimited["available"]), (&Value::Null, &Value::Null));
    // A soft limit is told, and not enforced.
    let over = app.consume(&key, "traffic", 25).await.expect(200);
    assert_eq!(
        (&over["overage"], &over["current_usage"], &over["percentage"]),
        (&json!(15), &json!(25), &json!(250))
    );
    assert_eq!(app.check(&key, "traffic", 1).await["allowed"], true);
    let summary = app.0.get(&key, "/entitlements/summary").await.expect(200);
    let features = &summary["data"]["entitlements"];
    assert_eq!((&features["sso"]["enabled"], &features["sso"]["limit"]), (&json!(false), &Value::Null));
    assert_eq!((&features["api_keys"]["used"], &features["api_keys"]["limit"]), (&json!(1), &json!(3)));
}

async fn what_is_wrong_is_named(app: Sold) {
    let (_, key) = app.tenant("small").await;
    for quantity in [json!(-1), json!(1.5), json!("1"), json!(9_007_199_254_740_992_u64), json!(1e300)] {
        let body = json!({ "feature": "seats", "quantity": quantity });
        for path in ["/entitlements/usage", "/entitlements/consume"] {
            let refused = app.0.post(&key, path, &body).await.expect_error(422, "validation_failed");
            assert!(refused["errors"]["quantity"].is_array(), "{quantity}");
        }
    }
    for query in ["", "feature=", "feature=seats&quantity=1.5", "feature=seats&quantity=-1"] {
        let path = format!("/entitlements/check?{query}");
        app.0.get(&key, &path).await.expect_error(422, "validation_failed");
    }
    let unknown = app.consume(&key, "nope", 1).await.expect_error(404, "not_found");
    assert!(unknown["message"].as_str().is_some_and(|text| text.contains("seats") && text.contains("posts")));
    for feature in ["sso", "api_keys", "webhooks", "workspaces"] {
        app.consume(&key, feature, 1).await.expect_error(422, "validation_failed");
    }
    for body in
        [json!({}), json!({ "feature": "seats", "metadata": "x" }), json!({ "feature": "seats", "unit": 1 })]
    {
        app.0.post(&key, "/entitlements/consume", &body).await.expect_error(422, "validation_failed");
    }
    app.consume(&key, "posts", 1).await.expect_error(403, "feature_limit_reached");
    assert_eq!(app.check(&key, "seats", 1).await["current_usage"], 0, "nothing of it was counted");
}

/// A hundred uses by each of 64 workers, half of them twice under one key: a thousand are allowed, and not
/// one more.
async fn sixty_four_workers_use_a_thousand(app: Sold) {
    const WORKERS: usize = 64;
    let (workspace, key) = app.tenant("small").await;
    let app = Arc::new(app);
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let (app, key) = (app.clone(), key.clone());
            tokio::spawn(async move {
                let mut allowed = 0;
                for number in 0..100 {
                    let mut body = json!({ "feature": "calls" });
                    let repeats = number % 2 == 0;
                    if repeats {
                        body["idempotency_key"] = json!(format!("{worker}-{number}"));
                    }
                    let first = app.0.post(&key, "/entitlements/consume", &body).await;
                    if repeats {
                        let again = app.0.post(&key, "/entitlements/consume", &body).await;
                        assert_eq!(
                            (again.status, &again.json),
                            (first.status, &first.json),
                            "the same decision"
                        );
                    }
                    match first.status.as_u16() {
                        200 => allowed += 1,
                        403 => {}
                        status => panic!("{status}"),
                    }
                }
                allowed
            })
        })
        .collect();
    let mut allowed = 0;
    for worker in workers {
        allowed += worker.await.expect("a worker");
    }
    assert_eq!(allowed, 1_000);
    assert_eq!(app.check(&key, "calls", 1).await["current_usage"], 1_000);
    let workspace = WorkspaceId(workspace);
    let sum = app.0.storage.read(async move |mut tx: gatepost_storage::Tx<'_>| {
        tx.entitlement_use_sum(Owner::new(workspace, Environment::Live), "calls").await
    });
    assert_eq!(sum.await.expect("the sum"), 1_000, "the counter is the sum of its uses");
    assert_eq!(
        app.alerts(&key).await.iter().map(|(_, threshold, _)| *threshold).collect::<Vec<_>>(),
        [80, 90, 100],
        "each threshold once"
    );
}

async fn the_same_key_is_counted_once(app: Sold) {
    let (_, key) = app.tenant("small").await;
    let use_of = async |feature: &str, quantity: u64, idempotency_key: &str| {
        let body = json!({ "feature": feature, "quantity": quantity, "idempotency_key": idempotency_key });
        app.0.post(&key, "/entitlements/consume", &body).await
    };
    let first = use_of("seats", 60, "a").await.expect(200);
    assert_eq!(use_of("seats", 60, "a").await.expect(200), first);
    // A refusal is a decision too: it stays one, although there would be room for it now.
    use_of("traffic", 1, "soft").await.expect(200);
    use_of("seats", 41, "too much").await.expect_error(403, "feature_limit_reached");
    app.0.clock.advance(Duration::from_secs(31 * 86_400));
    use_of("seats", 41, "too much").await.expect_error(403, "feature_limit_reached");
    for (feature, quantity) in [("seats", 61), ("traffic", 60)] {
        use_of(feature, quantity, "a").await.expect_error(422, "idempotency_key_reused");
    }
    // Two uses with one key at the same time: one is counted, and the other is told so.
    for number in 0..20 {
        let idempotency_key = format!("race-{number}");
        let (one, other) =
            tokio::join!(use_of("free", 1, &idempotency_key), use_of("traffic", 1, &idempotency_key));
        let mut both = [one.status.as_u16(), other.status.as_u16()];
        both.sort_unstable();
        assert_eq!(both, [200, 422]);
    }
    // The header is that of any request: the same answer again.
    let by_header = async |key: &str| {
        let request = app.0.request(reqwest::Method::POST, "/api/v1/entitlements/usage").bearer_auth(key);
        app.0.send(request.header("Idempotency-Key", "a").json(&json!({ "feature": "seats" }))).await
    };
    let (once, again) = (by_header(&key).await, by_header(&key).await);
    assert_eq!((once.header("idempotent-replayed"), again.header("idempotent-replayed")), ("", "true"));
    assert_eq!(once.expect(200)["current_usage"], 61);
    assert_eq!(again.expect(200)["current_usage"], 61);
    // After 32 days it is another use.
    app.0.clock.advance(Duration::from_secs(2 * 86_400));
    assert_eq!(use_of("seats", 1, "a").await.expect(200)["current_usage"], 62);
    assert_eq!(use_of("seats", 1, "a").await.expect(200)["current_usage"], 62);
}

async fn periods_begin_anew(app: Sold) {
    // Made on 15 January at 10:30.
    let (_, key) = app.tenant("small").await;
    let full = app.consume(&key, "calls", 1_000).await.expect(200);
    assert_eq!(full["reset_at"], "2026-02-15T10:30:00Z");
    app.0.clock.advance(Duration::from_secs(31 * 86_400 - 1));
    app.consume(&key, "calls", 1).await.expect_error(403, "feature_limit_reached");
    app.0.clock.advance(Duration::from_secs(1));
    let anew = app.consume(&key, "calls", 1).await.expect(200);
    assert_eq!((&anew["current_usage"], &anew["reset_at"]), (&json!(1), &json!("2026-03-15T10:30:00Z")));
    // The calendar is that of the workspace's time zone, which is not the tenant's to move.
    let (workspace, key) = app.tenant("free").await;
    let body = json!({ "settings": { "timezone": "Australia/Lord_Howe" } });
    app.0.patch(&key, &format!("/workspaces/{workspace}"), &body).await.expect_error(403, "access_denied");
    app.0.patch(&app.0.root_key, &format!("/workspaces/{workspace}"), &body).await.expect(200);
    let there = app.consume(&key, "api_calls", 1).await.expect(200);
    assert_eq!(there["reset_at"], "2026-02-28T13:00:00Z", "midnight at 11 hours before UTC");
}

async fn a_rolling_window_forgets_by_the_day(app: Sold) {
    let (_, key) = app.tenant("small").await;
    let day = Duration::from_secs(86_400);
    app.consume(&key, "mails", 6).await.expect(200);
    app.0.clock.advance(day);
    assert_eq!(app.consume(&key, "mails", 3).await.expect(200)["current_usage"], 9);
    app.0.clock.advance(day);
    app.consume(&key, "mails", 2).await.expect_error(403, "feature_limit_reached");
    assert_eq!(
        app.check(&key, "mails", 1).await["current_usage"],
        9,
        "two days back, and the day that reaches into"
    );
    app.0.clock.advance(day);
    assert_eq!(app.check(&key, "mails", 1).await["current_usage"], 3);
    assert_eq!(app.consume(&key, "mails", 7).await.expect(200)["current_usage"], 10);
}

async fn thresholds_are_told_once(app: Sold) {
    let (_, key) = app.tenant("small").await;
    let receiver = Receiver::start().await;
    let hook = json!({ "url": receiver.url("/"), "events": ["entitlement.*"] });
    app.0.post(&key, "/webhooks", &hook).await.expect(201);
    for quantity in [79, 1, 1, 9, 5] {
        app.consume(&key, "seats", quantity).await.expect(200);
    }
    let received = receiver.wait_for(2).await;
    let data = &received[0].json()["data"];
    assert_eq!(
        data,
        &json!({ "feature": "seats", "threshold": 80, "used": 80, "limit": 100, "percentage": 80.0,
                 "period_start": null, "period_end": null })
    );
    app.consume(&key, "traffic", 20).await.expect(200);
    let all = |feature: &str, used| [80, 90, 100].map(|threshold| (feature.to_owned(), threshold, used));
    let mut expected = vec![("seats".to_owned(), 80, 80), ("seats".to_owned(), 90, 90)];
    expected.extend(all("traffic", 20));
    expected.sort();
    assert_eq!(app.alerts(&key).await, expected, "one for each threshold that one use crosses");
    // A refused use crosses nothing; the next period tells anew.
    app.consume(&key, "seats", 50).await.expect_error(403, "feature_limit_reached");
    assert_eq!(app.alerts(&key).await.len(), 5);
    app.0.clock.advance(Duration::from_secs(7 * 86_400));
    app.consume(&key, "traffic", 9).await.expect(200);
    assert_eq!(app.alerts(&key).await.len(), 7);
}

async fn a_plan_is_changed(app: Sold) {
    let (workspace, key) = app.tenant("large").await;
    app.consume(&key, "seats", 500).await.expect(200);
    let change = async |tier: &str| {
        let body = json!({ "tier": tier });
        app.0.patch(&app.0.root_key, &format!("/workspaces/{workspace}"), &body).await.expect(200);
    };
    change("small").await;
    let lowered = app.check(&key, "seats", 1).await;
    assert_eq!(
        (&lowered["current_usage"], &lowered["available"], &lowered["percentage"]),
        (&json!(500), &json!(0), &json!(500))
    );
    app.consume(&key, "seats", 1).await.expect_error(403, "feature_limit_reached");
    change("large").await;
    assert_eq!(
        app.consume(&key, "seats", 1).await.expect(200)["current_usage"],
        501,
        "what was used stays used"
    );
}

async fn own_resources_are_features(app: Sold) {
    let (_, key) = app.tenant("small").await;
    let body = json!({ "url": "http://127.0.0.1:1/", "events": ["*"] });
    let first = app.0.post(&key, "/webhooks", &body).await.expect(201);
    app.0.post(&key, "/webhooks", &body).await.expect(201);
    let refused = app.0.post(&key, "/webhooks", &body).await.expect_error(403, "feature_limit_reached");
    assert_eq!(refused["feature"], "webhooks");
    assert_eq!(app.check(&key, "webhooks", 1).await["reason"], "LIMIT_EXCEEDED");
    app.0.delete(&key, &format!("/webhooks/{}", first["data"]["id"])).await.expect(204);
    assert_eq!(app.check(&key, "webhooks", 1).await["allowed"], true, "what is deleted is free again");
    assert_eq!(
        app.alerts(&key).await,
        [80, 90, 100].map(|threshold| ("webhooks".to_owned(), threshold, 2)),
        "the second of two crosses all"
    );
}

async fn verification_uses_a_feature_or_nothing(app: Sold) {
    let (workspace, key) = app.tenant("free").await;
    let root = app.0.root_key.clone();
    let verify = async |members: Value| {
        let mut body = json!({ "key": key });
        for (name, value) in members.as_object().expect("members") {
            body[name] = value.clone();
        }
        app.0.post(&root, "/api-keys/verify", &body).await
    };
    let remaining = |answer: &Value| answer["rate_limit"]["minute"]["remaining"].as_u64().expect("a number");
    let valid = verify(json!({ "feature": "posts", "quantity": 99 })).await.expect(200);
    assert_eq!((&valid["code"], &valid["entitlement"]["current_usage"]), (&json!("VALID"), &json!(99)));
    let left = remaining(&valid);
    let refused = verify(json!({ "feature": "posts", "quantity": 2 })).await.expect(200);
    assert_eq!((&refused["valid"], &refused["code"]), (&json!(false), &json!("FEATURE_LIMIT_REACHED")));
    assert_eq!(refused["entitlement"]["reason"], "INSUFFICIENT_REMAINING");
    assert_eq!(remaining(&refused), left, "the request was not counted either");
    // Refused for another reason: the feature is not touched.
    let too_many = verify(json!({ "feature": "posts", "cost": 1_000 })).await.expect(200);
    assert_eq!((&too_many["code"], &too_many["entitlement"]), (&json!("RATE_LIMITED"), &Value::Null));
    let valid = verify(json!({ "feature": "posts" })).await.expect(200);
    assert_eq!((&valid["entitlement"]["current_usage"], remaining(&valid)), (&json!(100), left - 1));
    verify(json!({ "feature": "nope" })).await.expect_error(404, "not_found");
    verify(json!({ "quantity": 1 })).await.expect_error(422, "validation_failed");
    verify(json!({ "feature": "posts", "quantity": -1 })).await.expect_error(422, "validation_failed");
    let own = app.0.send(
        app.0
            .request(reqwest::Method::GET, "/api/v1/entitlements/check?feature=posts")
            .bearer_auth(&root)
            .header("X-Workspace-ID", workspace),
    );
    assert_eq!(own.await.expect(200)["current_usage"], 100, "it was the tenant's");
}

async fn worlds_and_tenants_are_apart(app: Sold) {
    let (_, one) = app.tenant("small").await;
    let (_, other) = app.tenant("small").await;
    let (_, test) = app.0.create_key(&one, 0, json!({ "scopes": ["*"], "environment": "test" })).await;
    app.consume(&one, "seats", 100).await.expect(200);
    for key in [&other, &test] {
        assert_eq!(app.check(key, "seats", 1).await["current_usage"], 0);
        let summary = app.0.get(key, "/entitlements/summary").await.expect(200);
        assert_eq!(summary["data"]["entitlements"]["seats"]["used"], 0);
        app.consume(key, "seats", 100).await.expect(200);
        assert!(app.alerts(key).await.iter().all(|(feature, ..)| feature == "seats"));
    }
    app.consume(&one, "seats", 1).await.expect_error(403, "feature_limit_reached");
}

/// One's own requests as a feature.
struct Metered(TestApp);

impl Metered {
    async fn start(engine: Engine) -> Self {
        let mut plan = Plan::unlimited("five");
        plan.features.insert("api_calls".to_owned(), FeatureValue::Limit(5));
        let app_settings = gatepost_app::AppSettings {
            catalog: Catalog::new([plan], []).expect("plans"),
            entitlements: EntitlementSettings {
                meter_requests: Some("api_calls".to_owned()),
                ..EntitlementSettings::default()
            },
            ..gatepost_app::AppSettings::default()
        };
        Self(TestApp::start_with(engine, gatepost_api::ApiSettings::default(), app_settings).await)
    }
}

both_engines! { Metered: requests_are_counted_and_keys_stay_manageable }

async fn requests_are_counted_and_keys_stay_manageable(app: Metered) {
    let app = app.0;
    let made =
        app.post(&app.root_key, "/workspaces", &json!({ "name": "x", "tier": "five" })).await.expect(201);
    let workspace = made["data"]["id"].as_i64().expect("an id");
    let (_, key) = app.create_key(&app.root_key, workspace, json!({ "scopes": ["*"] })).await;
    for _ in 0..4 {
        app.get(&key, "/workspaces").await.expect(200);
    }
    // What it records itself is not counted beside that.
    let recorded =
        app.post(&key, "/entitlements/usage", &json!({ "feature": "api_calls" })).await.expect(200);
    assert_eq!(recorded["current_usage"], 5);
    let refused = app.get(&key, "/workspaces").await.expect_error(403, "feature_limit_reached");
    assert_eq!(refused["feature"], "api_calls");
    app.get(&key, "/entitlements/summary").await.expect_error(403, "feature_limit_reached");
    let (id, _) = app.create_key(&key, 0, json!({})).await;
    app.delete(&key, &format!("/api-keys/{id}")).await.expect(204);
    // The platform's own plan does not limit it.
    app.get(&app.root_key, "/workspaces").await.expect(200);
}

async fn billing_says_what_is_paid_for_and_where(app: Sold) {
    let (app, root) = (&app.0, &app.0.root_key);
    let (workspace, _, key) = app.create_tenant_on("enterprise", "Acme").await;
    let post = json!({ "feature": "posts", "quantity": 3 });
    app.post(&key, "/entitlements/consume", &post).await.expect(200);
    let billing = app.get(&key, "/billing").await.expect(200)["data"].take();
    let summary = app.get(&key, "/entitlements/summary").await.expect(200)["data"].take();
    assert_eq!(
        (&billing["tier"], &billing["entitlements"], &billing["entitlements"]["posts"]["used"]),
        (&json!("enterprise"), &summary["entitlements"], &json!(3))
    );
    let plan = &billing["plan"];
    assert_eq!((&plan["access"], &plan["max_keys"]), (&json!("admin"), &Value::Null));
    assert!(plan["requests_per_minute"].is_u64() && plan["requests_per_day"].is_null(), "{plan}");
    assert_eq!(billing["upgrade_url"], "https://example.com/upgrade");

    // Neither all that can be read nor all that can be written is enough, nor is a plan without `admin`.
    let narrow = json!({ "scopes": ["*:read", "*:write", "billing:read"] });
    let (_, narrow) = app.create_key(&key, 0, narrow).await;
    app.get(&narrow, "/billing").await.expect_error(403, "access_denied");
    let (_, exact) = app.create_key(&key, 0, json!({ "scopes": ["billing:admin"] })).await;
    app.get(&exact, "/billing").await.expect(200);
    let (small, small_key) = {
        let (id, _, key) = app.create_tenant_on("small", "Small").await;
        (id, key)
    };
    app.get(&small_key, "/billing").await.expect_error(403, "access_denied");

    // The operator gives a workspace a page of its own, in what is refused too.
    let url = "https://pay.example.com/c/42";
    let change = json!({ "settings": { "billing_url": url } });
    for (path, with) in [(workspace, &key), (small, &small_key)] {
        app.patch(with, &format!("/workspaces/{path}"), &change).await.expect_error(403, "access_denied");
    }
    for wrong in
        [json!("javascript:alert(1)"), json!("/pay"), json!("https://u:p@pay.example.com/"), json!(7)]
    {
        let change = json!({ "settings": { "billing_url": wrong } });
        let reply = app.patch(root, &format!("/workspaces/{small}"), &change).await;
        let errors = reply.expect_error(422, "validation_failed");
        assert!(errors["errors"]["settings.billing_url"].is_array(), "{errors}");
    }
    for id in [workspace, small] {
        app.patch(root, &format!("/workspaces/{id}"), &change).await.expect(200);
    }
    assert_eq!(app.get(&key, "/billing").await.expect(200)["data"]["upgrade_url"], url);
    let body = json!({ "feature": "seats", "quantity": 101, "idempotency_key": "k" });
    for _ in 0..2 {
        let refused = app
            .post(&small_key, "/entitlements/consume", &body)
            .await
            .expect_error(403, "feature_limit_reached");
        assert_eq!(refused["upgrade_url"], url);
    }
    let checked = app.get(&small_key, "/entitlements/check?feature=seats&quantity=101").await.expect(200);
    assert_eq!(checked["upgrade_url"], url);
    // A tenant may still change the rest.
    let rest = json!({ "settings": { "locale": "en_GB" } });
    app.patch(&key, &format!("/workspaces/{workspace}"), &rest).await.expect(200);
    app.patch(&key, &format!("/workspaces/{workspace}"), &json!({ "settings": { "billing_url": null } }))
        .await
        .expect_error(403, "access_denied");
}
