//! What a declaration says beside the form of records: as what they count, and what it may become.

use gatepost_api::ApiSettings;
use gatepost_app::resources::reconcile;
use gatepost_entitlements::{Catalog, Feature, FeatureKind, FeatureValue, Plan, WorkspaceSettings};
use gatepost_resources::Taken;
use gatepost_test_support::{Engine, TestApp, both_engines, declarations};
use serde_json::json;

use super::{DECLARED, WithResources, create, id};

both_engines! { WithResources:
    what_records_would_break_is_refused,
    servers_that_start_at_once_take_turns,
}

/// The same with records that count as features of plans.
struct Counted;

impl Counted {
    async fn start(engine: Engine) -> TestApp {
        let plan = |name: &str, limit: u64| {
            let mut plan = Plan::unlimited(name);
            plan.features.insert("leads".to_owned(), FeatureValue::Limit(limit));
            plan
        };
        let feature = Feature::new(FeatureKind::Limit);
        let catalog = Catalog::of(
            [plan("free", 100), plan("enterprise", 100)],
            [("leads".to_owned(), feature)],
            WorkspaceSettings::default(),
        );
        let app_settings =
            gatepost_app::AppSettings { catalog: catalog.expect("plans"), ..Default::default() };
        let declared = DECLARED.replacen("ids = \"lead_\"", "ids = \"lead_\"\ncount = \"leads\"", 1);
        TestApp::start_declaring(engine, ApiSettings::default(), app_settings, &declared).await
    }
}

both_engines! { Counted:
    exactly_as_many_are_made_as_the_plan_allows,
}

async fn exactly_as_many_are_made_as_the_plan_allows(app: TestApp) {
    let (app, key) = (&app, app.root_key.clone());
    let all = (0..64).map(async |caller: usize| {
        let mut made = Vec::new();
        for number in 0..3 {
            let lead = json!({ "name": format!("Lead {caller} {number}") });
            let reply = app.post(&key, "/leads", &lead).await;
            match reply.status.as_u16() {
                201 => made.push(id(&reply.json["data"])),
                _ => assert_eq!(reply.expect_error(403, "feature_limit_reached")["feature"], "leads"),
            }
        }
        made
    });
    let made: Vec<String> = futures_util::future::join_all(all).await.concat();
    assert_eq!(made.len(), 100);
    assert_eq!(app.get(&key, "/leads").await.expect(200)["meta"]["total"], 100);
    let used = async || {
        let summary = app.get(&key, "/entitlements/check?feature=leads").await.expect(200);
        summary["current_usage"].clone()
    };
    let before = used().await;
    app.delete(&key, &format!("/leads/{}", made[0])).await.expect(204);
    assert_ne!(used().await, before, "{before}");
    create(app, "/leads", json!({ "name": "The last" })).await;
    app.post(&key, "/leads", &json!({ "name": "One more" })).await.expect_error(403, "feature_limit_reached");
    // What is refused for another reason counts nothing.
    app.delete(&key, &format!("/leads/{}", made[1])).await.expect(204);
    app.post(&key, "/leads", &json!({ "name": "Two", "email": "nobody" }))
        .await
        .expect_error(422, "validation_failed");
    create(app, "/leads", json!({ "name": "Two", "email": "two@example.com" })).await;
    app.delete(&key, &format!("/leads/{}", made[2])).await.expect(204);
    let taken = json!({ "name": "Three", "email": "two@example.com" });
    app.post(&key, "/leads", &taken).await.expect_error(422, "validation_failed");
    create(app, "/leads", json!({ "name": "Three" })).await;
    // Nobody else counts them.
    for path in ["/entitlements/consume", "/entitlements/release", "/entitlements/usage"] {
        let refused = app.post(&key, path, &json!({ "feature": "leads" })).await;
        refused.expect_error(422, "validation_failed");
    }
}

async fn what_records_would_break_is_refused(app: TestApp) {
    let lead = id(&create(&app, "/leads", json!({ "name": "Ada", "score": 10, "company": "Anvil" })).await);
    create(&app, "/leads", json!({ "name": "Ada", "score": 5 })).await;
    let declared = async |change: &[(&str, &str)]| {
        let toml = change.iter().fold(DECLARED.to_owned(), |toml, (old, new)| {
            assert!(toml.contains(old), "{old}");
            toml.replacen(old, new, 1)
        });
        let features = ["leads".to_owned()].into_iter().collect();
        let taken = Taken { features, ..gatepost_api::taken(&gatepost_api::Contract::core()) };
        reconcile(&app.storage, declarations(&toml, taken)).await.map_err(|error| error.to_string())
    };
    let score = "fields.score = { type = \"integer\", min = 0, max = 100";
    let email = "fields.email = {";
    for (change, expected) in [
        ((score, "fields.score = { type = \"integer\", min = 0, max = 9"), "1 of 2 records break"),
        ((score, "fields.score = { type = \"boolean\""), "2 of 2 records break"),
        (
            (email, "fields.phone = { type = \"text\", required = true }\nfields.email = {"),
            "2 of 2 records break",
        ),
        (("ids = \"lead_\"", "ids = \"person_\""), "does not begin with person_"),
        (("ids = \"lead_\"", "ids = \"lead_\"\ncount = \"leads\""), "were not counted as leads"),
        (
            (
                "fields.name = { type = \"text\", max = 200, required = true,",
                "fields.name = { type = \"text\", max = 2, required = true,",
            ),
            "2 of 2",
        ),
        (("values = [\"new\", \"contacted\"", "values = [\"contacted\""), "2 of 2 records break"),
    ] {
        let change = match expected {
            // A default has to be one of the values.
            _ if change.0.starts_with("values") => vec![change, ("default = \"new\"", "default = \"won\"")],
            _ => vec![change],
        };
        let refused = declared(&change).await.expect_err(expected);
        assert!(refused.starts_with("resources.lead: ") && refused.contains(expected), "{refused}");
        assert!(refused.contains("Nothing was changed."), "{refused}");
    }
    let unique = [(
        "fields.name = { type = \"text\", max = 200, required = true,",
        "fields.name = { type = \"text\", max = 200, unique = true, required = true,",
    )];
    let refused = declared(&unique).await.expect_err("two have one name");
    assert!(
        refused.contains("1 of 2 records break") && refused.contains("Another record has the same name"),
        "{refused}"
    );

    // Back to what was declared: what was found before is found again.
    declared(&[]).await.expect("as before");
    for query in ["search=anvil", "score=10", "status=new&score_min=6"] {
        let found = app.get(&app.root_key, &format!("/leads?{query}")).await.expect(200);
        assert_eq!((&found["meta"]["total"], &found["data"][0]["id"]), (&json!(1), &json!(lead)), "{query}");
    }
    // Messages whose conversation is deleted are deleted soon; until then they are in nobody's way.
    let conversation = id(&create(&app, "/conversations", json!({})).await);
    let messages = format!("/conversations/{conversation}/messages");
    create(&app, &messages, json!({ "author": "bot", "body": "Hello" })).await;
    app.delete(&app.root_key, &format!("/conversations/{conversation}")).await.expect(204);
    declared(&[("max = 10_000", "max = 10_001")]).await.expect("a wider bound");
    let wider = [
        (score, "fields.score = { type = \"integer\", min = 0, max = 1000"),
        (
            "fields.company = { type = \"text\", max = 200 }",
            "fields.company = { type = \"text\", max = 200, filter = true }",
        ),
        ("\"lost\"]", "\"lost\", \"asleep\"]"),
    ];
    let wider = declared(&wider).await.expect("what only widens");
    // A type that is declared no more keeps its records.
    let without = DECLARED.find("[resources.project]").expect("a section");
    let taken = gatepost_api::taken(&gatepost_api::Contract::core());
    let fewer = reconcile(&app.storage, declarations(&DECLARED[..without], taken)).await.expect("fewer");
    assert_eq!((wider.iter().count(), fewer.iter().count()), (8, 6));
}

async fn servers_that_start_at_once_take_turns(app: TestApp) {
    // One process alone serves a file of SQLite.
    if app.storage.engine() != Engine::Postgres {
        return;
    }
    create(&app, "/leads", json!({ "name": "Ada", "company": "Anvil" })).await;
    let toml = DECLARED
        .replace(
            "fields.company = { type = \"text\", max = 200 }",
            "fields.company = { type = \"text\", max = 200, filter = true }",
        )
        .replace(
            "[resources.lead]",
            "[resources.novel]\nids = \"novel_\"\nfields.title = { type = \"text\" }\n\n[resources.lead]",
        );
    assert!(toml.contains("novel") && toml.contains("200, filter"));
    let start = || {
        let taken = gatepost_api::taken(&gatepost_api::Contract::core());
        reconcile(&app.storage, declarations(&toml, taken))
    };
    let all = futures_util::future::join_all([start(), start(), start(), start()]).await;
    for one in all {
        assert_eq!(one.expect("what only widens").iter().count(), 9);
    }
}
