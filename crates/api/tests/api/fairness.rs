//! What one workspace's webhooks may cost the others: slots, test sends, endpoints and bytes.

use std::time::Duration;

use gatepost_delivery::WebhookSettings;
use gatepost_entitlements::{Catalog, FeatureValue, Plan};
use gatepost_test_support::{
    DeliverySettings, Engine, Receiver, TestApp, both_engines, receiver::Reply::Silence,
};
use serde_json::{Value, json};

both_engines! { Few:
    silence_holds_half_of_the_slots,
    silence_holds_half_of_the_tests,
    a_plan_that_does_not_list_endpoints_allows_fifty,
    a_plan_bounds_what_is_sent,
}

/// An application with eight slots for deliveries, where an attempt takes as long as a receiver likes.
struct Few(TestApp);

impl Few {
    async fn start(engine: Engine) -> Self {
        let many = [("webhooks".to_owned(), FeatureValue::Unlimited)];
        let plans = [
            Plan { features: many.clone().into_iter().collect(), ..Plan::unlimited("many") },
            Plan { egress_mib_per_minute: Some(1), ..Plan::unlimited("narrow") },
            Plan::unlimited("unlisted"),
        ];
        let catalog = Catalog::new(plans, []).expect("plans");
        let settings = gatepost_app::AppSettings { catalog, ..gatepost_app::AppSettings::default() };
        let delivery = DeliverySettings {
            in_flight: 8,
            webhooks: WebhookSettings { timeout: Duration::from_secs(3_600), ..WebhookSettings::default() },
            ..Default::default()
        };
        Self(TestApp::start_delivering(engine, Default::default(), settings, delivery).await)
    }

    /// A workspace on a plan, and a key of it.
    async fn tenant(&self, tier: &str) -> (i64, String) {
        let (workspace, _, key) = self.0.create_tenant_on(tier, tier).await;
        (workspace, key)
    }

    async fn endpoint(&self, key: &str, receiver: &Receiver) -> i64 {
        let body = json!({ "url": receiver.url("/hook"), "events": ["*"] });
        self.0.post(key, "/webhooks", &body).await.expect(201)["data"]["id"].as_i64().expect("an id")
    }

    async fn publish(&self, key: &str, data: &Value) {
        self.0.post(key, "/events", &json!({ "type": "post.made", "data": data })).await.expect(202);
    }
}

async fn silence_holds_half_of_the_slots(app: Few) {
    let (silent, quick) = (Receiver::start().await, Receiver::start().await);
    silent.always(Silence);
    let ((_, noisy), (_, other)) = (app.tenant("many").await, app.tenant("many").await);
    app.endpoint(&noisy, &silent).await;
    app.endpoint(&other, &quick).await;
    for number in 0..20 {
        app.publish(&noisy, &json!({ "number": number })).await;
    }
    silent.wait_for(8).await;
    // All slots are taken, and none will ever be free again.
    for number in 0..20 {
        app.publish(&other, &json!({ "number": number })).await;
    }
    quick.wait_for(20).await;
    assert_eq!(silent.received().len(), 8, "and whoever has more than half gets no more");
}

async fn silence_holds_half_of_the_tests(app: Few) {
    let (silent, quick) = (Receiver::start().await, Receiver::start().await);
    silent.always(Silence);
    let ((_, noisy), (_, other)) = (app.tenant("many").await, app.tenant("many").await);
    let mut sends = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let path = format!("/webhooks/{}/test", app.endpoint(&noisy, &silent).await);
        for _ in 0..2 {
            let request = app.0.request(reqwest::Method::POST, &format!("/api/v1{path}")).bearer_auth(&noisy);
            sends.spawn(request.json(&json!(null)).send());
        }
    }
    silent.wait_for(64).await;
    let path = format!("/webhooks/{}/test", app.endpoint(&other, &quick).await);
    let tested = app.0.post(&other, &path, &json!(null)).await.expect(200);
    assert_eq!(tested["success"], true);
}

async fn a_plan_that_does_not_list_endpoints_allows_fifty(app: Few) {
    let receiver = Receiver::start().await;
    let body = json!({ "url": receiver.url("/hook"), "events": ["post.*"] });
    for tier in ["free", "unlisted"] {
        let (workspace, key) = app.tenant("many").await;
        for _ in 0..51 {
            app.0.post(&key, "/webhooks", &body).await.expect(201);
        }
        let path = format!("/workspaces/{workspace}");
        app.0.patch(&app.0.root_key, &path, &json!({ "tier": tier })).await.expect(200);
        let refused = app.0.post(&key, "/webhooks", &body).await.expect_error(403, "feature_limit_reached");
        assert_eq!(refused["feature"], "webhooks");
        let kept = app.0.get(&key, "/webhooks").await.expect(200);
        assert_eq!(kept["meta"]["total"], 51, "those that there are stay");
        let ids: Vec<i64> =
            kept["data"].as_array().into_iter().flatten().filter_map(|row| row["id"].as_i64()).collect();
        for id in &ids[..2] {
            app.0.delete(&key, &format!("/webhooks/{id}")).await;
        }
        app.0.post(&key, "/webhooks", &body).await.expect(201);
        app.0.post(&key, "/webhooks", &body).await.expect_error(403, "feature_limit_reached");
    }
}

async fn a_plan_bounds_what_is_sent(app: Few) {
    let (narrow, quick) = (Receiver::start().await, Receiver::start().await);
    let ((workspace, narrowed), (_, other)) = (app.tenant("narrow").await, app.tenant("many").await);
    let id = app.endpoint(&narrowed, &narrow).await;
    app.endpoint(&other, &quick).await;
    let large = json!("x".repeat(900_000));
    for _ in 0..4 {
        app.publish(&narrowed, &large).await;
    }
    // Others are not held up by it.
    for _ in 0..4 {
        app.publish(&other, &large).await;
    }
    quick.wait_for(4).await;
    let sent = narrow.wait_for(2).await.len();
    let statuses = async || {
        let list =
            app.0.get(&narrowed, &format!("/webhooks/{id}/deliveries?fields=status")).await.expect(200);
        let rows = list["data"].as_array().cloned().unwrap_or_default();
        rows.iter().map(|row| row["status"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let waiting = statuses().await.iter().filter(|status| *status == "pending").count();
    assert!(sent == 2 && waiting >= 2, "{sent} sent, {waiting} wait");
    // A wider plan holds within seconds, and nothing was lost.
    let path = format!("/workspaces/{workspace}");
    app.0.patch(&app.0.root_key, &path, &json!({ "tier": "many" })).await.expect(200);
    narrow.wait_for(4).await;
    let all_delivered = async || statuses().await.iter().all(|status| status == "success");
    while !all_delivered().await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
