//! The examples of the document, one for each outcome, are what the server answers.

use std::time::Duration;

use gatepost_app::EntitlementSettings;
use gatepost_app::resources::Resources;
use gatepost_entitlements::{Catalog, Plan};
use gatepost_test_support::{Engine, Reply, TestApp};
use reqwest::Method;
use serde_json::{Value, json};

/// What was answered, by operation, status and outcome.
struct Outcomes(Value);

impl Outcomes {
    fn add(&mut self, operation: &str, outcome: &str, reply: Reply) {
        let mut value = reply.json;
        if reply.status.is_client_error() {
            value["request_id"] = json!("req_abc123def456");
        }
        self.0[operation][reply.status.as_str()][outcome] = value;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_is_an_answer() {
    let slow = Plan { requests_per_minute: Some(2), ..Plan::unlimited("slow") };
    let settings = gatepost_app::AppSettings {
        catalog: Catalog::new([slow], []).expect("plans"),
        entitlements: EntitlementSettings {
            upgrade_url: Some("https://example.com/upgrade".to_owned()),
            ..EntitlementSettings::default()
        },
        ..gatepost_app::AppSettings::default()
    };
    let app = TestApp::start_with(Engine::Sqlite, gatepost_api::ApiSettings::default(), settings).await;
    let mut outcomes = Outcomes(json!({}));
    let root = &app.root_key;
    let (workspace, _, tenant) = app.create_tenant("Acme").await;
    let key = async |members: Value| app.create_key(root, workspace, members).await;
    let verify = async |body: Value| app.post(root, "/api-keys/verify", &body).await;

    let of_person =
        json!({ "scopes": ["posts:read"], "external_id": "user_42", "metadata": { "team": "mobile" } });
    let (_, reader) = key(of_person).await;
    let body = json!({ "key": reader, "scopes": ["posts:read"], "feature": "posts", "quantity": 1 });
    outcomes.add("verify_api_key", "VALID", verify(body).await);
    outcomes.add("verify_api_key", "NOT_FOUND", verify(json!({ "key": "sk_live_unknown" })).await);
    outcomes.add(
        "verify_api_key",
        "INSUFFICIENT_SCOPE",
        verify(json!({ "key": reader, "scopes": ["posts:write"] })).await,
    );
    let (_, bound) = key(json!({ "scopes": ["posts:read"], "allowed_ips": ["192.0.2.0/24"] })).await;
    outcomes.add(
        "verify_api_key",
        "IP_NOT_ALLOWED",
        verify(json!({ "key": bound, "client_ip": "198.51.100.1" })).await,
    );
    let (_, trial) = key(json!({ "scopes": ["posts:read"], "environment": "test" })).await;
    outcomes.add("verify_api_key", "WRONG_ENVIRONMENT", verify(json!({ "key": trial })).await);
    let body = json!({ "key": reader, "feature": "posts", "quantity": 1_000 });
    outcomes.add("verify_api_key", "FEATURE_LIMIT_REACHED", verify(body).await);
    let too_many = json!({ "key": reader, "cost": 1_000_000 });
    outcomes.add("verify_api_key", "RATE_LIMITED", verify(too_many).await);
    let (_, ending) = key(json!({ "scopes": ["posts:read"], "expires_at": "2026-01-15T10:31:00Z" })).await;
    let (gone_id, gone) = key(json!({ "scopes": ["posts:read"] })).await;
    app.clock.advance(Duration::from_secs(120));
    outcomes.add("verify_api_key", "EXPIRED", verify(json!({ "key": ending })).await);
    let (_, off) = key(json!({ "scopes": ["posts:read"], "enabled": false })).await;
    outcomes.add("verify_api_key", "DISABLED", verify(json!({ "key": off })).await);
    app.delete(&tenant, &format!("/api-keys/{gone_id}")).await.expect(204);
    outcomes.add("verify_api_key", "REVOKED", verify(json!({ "key": gone })).await);

    let check = async |query: &str| app.get(&tenant, &format!("/entitlements/check?{query}")).await;
    outcomes.add("check_entitlement", "allowed", check("feature=posts&quantity=10").await);
    outcomes.add("check_entitlement", "INSUFFICIENT_REMAINING", check("feature=posts&quantity=1000").await);
    outcomes.add("check_entitlement", "FEATURE_NOT_FOUND", check("feature=unknown").await);
    for (operation, method, path) in [
        ("record_usage", Method::POST, "/entitlements/usage"),
        ("consume_entitlement", Method::POST, "/entitlements/consume"),
        ("set_usage", Method::PUT, "/entitlements/usage"),
    ] {
        for (outcome, quantity) in [("allowed", 10), ("INSUFFICIENT_REMAINING", 1_000_000)] {
            let body = json!({ "feature": "posts", "quantity": quantity });
            let request = app.request(method.clone(), &format!("/api/v1{path}")).bearer_auth(&tenant);
            outcomes.add(operation, outcome, app.send(request.json(&body)).await);
        }
    }
    let body = json!({ "feature": "posts", "quantity": 3 });
    outcomes.add("release_entitlement", "released", app.post(&tenant, "/entitlements/release", &body).await);

    let document = gatepost_api::document(&gatepost_api::Contract::core(), &Resources::default());
    let mut shown = json!({});
    let items = document["paths"].as_object().into_iter().flatten().filter_map(|(_, item)| item.as_object());
    for (_, operation) in items.flatten() {
        let id = operation["operationId"].as_str().unwrap_or_default();
        for (status, response) in operation["responses"].as_object().into_iter().flatten() {
            let examples = response["content"]["application/json"]["examples"].as_object();
            for (outcome, example) in examples.into_iter().flatten() {
                shown[id][status][outcome] = example["value"].clone();
            }
        }
    }
    let (mut shown, mut answered) = (shown, outcomes.0);
    shown.sort_all_objects();
    answered.sort_all_objects();
    assert_eq!(shown, answered, "put this into crates/api/src/openapi/outcomes.json:\n{answered:#}");
}
