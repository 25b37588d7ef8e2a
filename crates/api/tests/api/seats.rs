//! What is in use at a time: given back, set, and looked at.

use gatepost_app::EntitlementSettings;
use gatepost_entitlements::{Catalog, Feature, FeatureKind, FeatureValue, Plan, Reset};
use gatepost_test_support::{Engine, Reply, TestApp, both_engines};
use reqwest::Method;
use serde_json::{Value, json};

/// An application that sells seats.
struct Seats {
    app: TestApp,
    key: String,
}

impl Seats {
    async fn start(engine: Engine) -> Self {
        let mut plan = Plan::unlimited("team");
        for name in ["seats", "disk", "calls", "mails"] {
            plan.features.insert(name.to_owned(), FeatureValue::Limit(10));
        }
        plan.features.insert("sso".to_owned(), FeatureValue::Enabled(true));
        let metered = |reset| Feature { reset, ..Feature::new(FeatureKind::Metered) };
        let features = [
            ("seats", Feature::new(FeatureKind::Limit)),
            ("disk", Feature { soft: true, ..Feature::new(FeatureKind::Limit) }),
            ("calls", metered(Reset::Monthly)),
            ("mails", metered(Reset::RollingDays(2))),
            ("sso", Feature::new(FeatureKind::Boolean)),
            ("other", Feature::new(FeatureKind::Limit)),
        ];
        let features = features.map(|(name, feature)| (name.to_owned(), feature));
        let settings = gatepost_app::AppSettings {
            catalog: Catalog::new([plan], features).expect("plans"),
            entitlements: EntitlementSettings {
                upgrade_url: Some("https://example.com/upgrade".to_owned()),
                ..EntitlementSettings::default()
            },
            ..gatepost_app::AppSettings::default()
        };
        let app = TestApp::start_with(engine, gatepost_api::ApiSettings::default(), settings).await;
        let made =
            app.post(&app.root_key, "/workspaces", &json!({ "name": "t", "tier": "team" })).await.expect(201);
        let workspace = made["data"]["id"].as_i64().expect("an id");
        let (_, key) = app.create_key(&app.root_key, workspace, json!({ "scopes": ["*"] })).await;
        Self { app, key }
    }

    async fn post(&self, what: &str, body: Value) -> Reply {
        self.app.post(&self.key, &format!("/entitlements/{what}"), &body).await
    }

    async fn set(&self, body: Value) -> Reply {
        let request = self.app.request(Method::PUT, "/api/v1/entitlements/usage").bearer_auth(&self.key);
        self.app.send(request.json(&body)).await
    }

    async fn used(&self, feature: &str) -> u64 {
        let path = format!("/entitlements/check?feature={feature}&quantity=0");
        self.app.get(&self.key, &path).await.expect(200)["current_usage"].as_u64().expect("a count")
    }

    /// The thresholds that were told of, the oldest first, as `reached 80` and `cleared 80`.
    async fn told(&self) -> Vec<String> {
        let events = self.app.get(&self.key, "/events?sort=created_at&per_page=100").await.expect(200);
        let events = events["data"].as_array().expect("events").clone();
        let threshold = |event: &Value| {
            let kind = event["type"].as_str()?.strip_prefix("entitlement.threshold_")?;
            Some(format!("{kind} {}", event["data"]["threshold"]))
        };
        events.iter().filter_map(threshold).collect()
    }
}

both_engines! { Seats:
    a_seat_is_given_back,
    a_count_is_set,
    a_refusal_says_how_it_stands,
    nothing_is_only_a_look,
    each_change_is_made_once,
    what_is_wrong_is_named,
    changes_at_once_add_up,
}

async fn a_seat_is_given_back(seats: Seats) {
    seats.post("consume", json!({ "feature": "seats", "quantity": 10 })).await.expect(200);
    seats.post("consume", json!({ "feature": "seats" })).await.expect_error(403, "feature_limit_reached");
    assert_eq!(seats.told().await, ["reached 80", "reached 90", "reached 100"]);
    let released = seats.post("release", json!({ "feature": "seats" })).await.expect(200);
    assert_eq!(
        (&released["recorded"], &released["current_usage"], &released["available"]),
        (&json!(true), &json!(9), &json!(1))
    );
    assert_eq!(seats.told().await[3..], ["cleared 100"]);
    seats.post("consume", json!({ "feature": "seats" })).await.expect(200);
    assert_eq!(seats.told().await[4..], ["reached 100"], "it is told again");
    // Never below zero, and what was not in use is not owed.
    let released = seats.post("release", json!({ "feature": "seats", "quantity": 25 })).await.expect(200);
    assert_eq!(released["current_usage"], 0);
    let mut cleared = seats.told().await[5..].to_vec();
    cleared.sort();
    assert_eq!(cleared, ["cleared 100", "cleared 80", "cleared 90"]);
    seats.post("release", json!({ "feature": "seats" })).await.expect(200);
    seats.post("consume", json!({ "feature": "seats", "quantity": 3 })).await.expect(200);
    assert_eq!(seats.used("seats").await, 3);
    let narrow = seats.app.create_key(&seats.key, 0, json!({ "scopes": ["entitlements:read"] })).await.1;
    let release = seats.app.post(&narrow, "/entitlements/release", &json!({ "feature": "seats" })).await;
    release.expect_error(403, "access_denied");
}

async fn a_count_is_set(seats: Seats) {
    let set = async |feature: &str, quantity: u64| {
        seats.set(json!({ "feature": feature, "quantity": quantity })).await
    };
    assert_eq!(set("seats", 7).await.expect(200)["current_usage"], 7);
    let refused = set("seats", 11).await.expect_error(403, "feature_limit_reached");
    assert_eq!(
        (&refused["reason"], &refused["current_usage"]),
        (&json!("INSUFFICIENT_REMAINING"), &json!(7))
    );
    assert_eq!(seats.used("seats").await, 7, "nothing was set");
    assert_eq!(set("seats", 10).await.expect(200)["available"], 0);
    assert_eq!(set("seats", 2).await.expect(200)["current_usage"], 2);
    assert_eq!(seats.told().await.len(), 6, "three were reached and cleared");
    assert_eq!(set("disk", 25).await.expect(200)["overage"], 15, "a soft limit");
    assert_eq!(set("calls", 4).await.expect(200)["current_usage"], 4);
    // What the plan does not have can still be lowered to what it is.
    set("other", 1).await.expect_error(403, "feature_limit_reached");
    assert_eq!(set("other", 0).await.expect(200)["current_usage"], 0);
}

async fn a_refusal_says_how_it_stands(seats: Seats) {
    seats.post("consume", json!({ "feature": "seats", "quantity": 10 })).await.expect(200);
    for refused in [
        seats.post("consume", json!({ "feature": "seats", "quantity": 2 })).await,
        seats.post("usage", json!({ "feature": "seats", "quantity": 2 })).await,
        seats.set(json!({ "feature": "seats", "quantity": 12 })).await,
        {
            let request =
                seats.app.request(Method::POST, "/api/v1/entitlements/consume").bearer_auth(&seats.key);
            let body = json!({ "feature": "seats", "quantity": 2 });
            seats.app.send(request.header("Idempotency-Key", "k").json(&body)).await
        },
    ] {
        let expected = json!({
            "error": "feature_limit_reached", "message": "You have reached your limit for this feature.", "feature": "seats",
            "upgrade_url": "https://example.com/upgrade", "allowed": false, "reason": "LIMIT_EXCEEDED", "current_usage": 10,
            "limit": 10, "available": 0, "upgrade_plan": "free", "type": "limit", "percentage": 100,
            "source": [{ "kind": "plan", "code": "team", "limit": 10 }],
        });
        let mut error = refused.expect_error(403, "feature_limit_reached");
        error["upgrade_plan"] = json!("free");
        assert_eq!(error, expected);
    }
}

async fn nothing_is_only_a_look(seats: Seats) {
    seats.post("consume", json!({ "feature": "seats", "quantity": 10 })).await.expect(200);
    for what in ["consume", "usage", "release"] {
        let looked = seats.post(what, json!({ "feature": "seats", "quantity": 0 })).await.expect(200);
        assert_eq!((&looked["current_usage"], &looked["available"]), (&json!(10), &json!(0)), "{what}");
    }
    let checked = seats.app.get(&seats.key, "/entitlements/check?feature=seats&quantity=0").await.expect(200);
    assert_eq!((&checked["allowed"], &checked["current_usage"]), (&json!(true), &json!(10)));
    let verified = json!({ "key": seats.key, "feature": "seats", "quantity": 0 });
    let verified = seats.app.post(&seats.app.root_key, "/api-keys/verify", &verified).await.expect(200);
    assert_eq!((&verified["code"], &verified["entitlement"]["current_usage"]), (&json!("VALID"), &json!(10)));
    seats
        .post("consume", json!({ "feature": "other", "quantity": 0 }))
        .await
        .expect_error(403, "feature_limit_reached");
}

async fn each_change_is_made_once(seats: Seats) {
    let once = |quantity: u64, key: &str| json!({ "feature": "seats", "quantity": quantity, "idempotency_key": key });
    for _ in 0..3 {
        assert_eq!(seats.post("consume", once(8, "in")).await.expect(200)["current_usage"], 8);
    }
    for _ in 0..3 {
        assert_eq!(seats.post("release", once(3, "out")).await.expect(200)["current_usage"], 5);
    }
    for _ in 0..3 {
        assert_eq!(seats.set(once(6, "set")).await.expect(200)["current_usage"], 6);
    }
    // The same decision again, whatever has happened since; another request with the key is none.
    assert_eq!(seats.post("release", once(3, "out")).await.expect(200)["current_usage"], 5);
    assert_eq!(seats.used("seats").await, 6);
    seats.post("release", once(2, "out")).await.expect_error(422, "idempotency_key_reused");
    seats.post("consume", once(3, "out")).await.expect_error(422, "idempotency_key_reused");
    seats.set(once(8, "in")).await.expect_error(422, "idempotency_key_reused");
    // More than is in use is the same request the second time, too.
    for _ in 0..2 {
        assert_eq!(seats.post("release", once(100, "all")).await.expect(200)["current_usage"], 0);
    }
}

async fn what_is_wrong_is_named(seats: Seats) {
    for (what, body, field) in [
        ("release", json!({ "feature": "calls" }), "feature"),
        ("release", json!({ "feature": "mails" }), "feature"),
        ("release", json!({ "feature": "sso" }), "feature"),
        ("release", json!({ "feature": "api_keys" }), "feature"),
        ("release", json!({ "feature": "seats", "quantity": -1 }), "quantity"),
        ("release", json!({ "quantity": 1 }), "feature"),
    ] {
        let error = seats.post(what, body.clone()).await.expect_error(422, "validation_failed");
        assert!(error["errors"][field].is_array(), "{body}");
    }
    for (body, field) in [
        (json!({ "feature": "seats" }), "quantity"),
        (json!({ "feature": "seats", "quantity": null }), "quantity"),
        (json!({ "feature": "mails", "quantity": 1 }), "feature"),
        (json!({ "feature": "sso", "quantity": 1 }), "feature"),
        (json!({ "feature": "webhooks", "quantity": 1 }), "feature"),
    ] {
        let error = seats.set(body.clone()).await.expect_error(422, "validation_failed");
        assert!(error["errors"][field].is_array(), "{body}");
    }
    seats.post("release", json!({ "feature": "nope" })).await.expect_error(404, "not_found");
}

/// Takers and givers at the same time, in one group or in several: never past the limit, and the counter is
/// the sum.
async fn changes_at_once_add_up(seats: Seats) {
    let take = async || {
        let reply = seats.post("consume", json!({ "feature": "seats" })).await;
        assert!(reply.json["current_usage"].as_u64().is_some_and(|used| used <= 10));
        u64::from(reply.status == 200)
    };
    let taken: u64 =
        futures_util::future::join_all((0..50).map(async |_| take().await)).await.into_iter().sum();
    assert_eq!((taken, seats.used("seats").await), (10, 10));
    let changes = (0..60).map(async |number| match number % 10 {
        0 => {
            seats.post("release", json!({ "feature": "seats" })).await.expect(200);
            0
        }
        _ => take().await,
    });
    let taken: u64 = futures_util::future::join_all(changes).await.into_iter().sum();
    let used = seats.used("seats").await;
    assert_eq!(used, 10 - 6 + taken);
    assert!(used <= 10);
}
