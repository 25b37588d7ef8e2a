//! `/seo`

use gatepost_app::AppSettings;
use gatepost_entitlements::{Catalog, FeatureValue, Plan};
use gatepost_test_support::{Engine, TestApp, both_engines};
use serde_json::{Value, json};

both_engines! { TestApp:
    the_contracts_report_is_stored_and_told,
    issues_are_listed_by_workspace,
    scores_over_time_and_drops,
    bad_reports_name_every_error,
    a_report_is_submitted_once,
    many_reports_on_one_page,
    a_report_with_missing_scores_is_stored,
    old_reports_go,
}

/// The contract's own example.
fn report() -> Value {
    json!({
        "url": "https://example.com/page",
        "scores": { "performance": 85, "accessibility": 92, "best_practices": 88, "seo": 95 },
        "issues": [{ "type": "missing_alt", "severity": "warning", "element": "img.hero-image" }],
    })
}

fn scored(performance: i64, seo: i64) -> Value {
    let mut report = report();
    report["scores"]["performance"] = performance.into();
    report["scores"]["seo"] = seo.into();
    report
}

async fn the_contracts_report_is_stored_and_told(app: TestApp) {
    let root = &app.root_key;
    let made = app.post(root, "/seo/report", &report()).await.expect(201);
    assert_eq!(
        made,
        json!({
            "message": "SEO report submitted successfully.",
            "data": {
                "id": 1,
                "url": "https://example.com/page",
                "scores": { "performance": 85, "accessibility": 92, "best_practices": 88, "seo": 95 },
                "issue_counts": { "error": 0, "warning": 1, "info": 0 },
                "created_at": "2026-01-15T10:30:00.000000Z",
            },
        })
    );
    let issues = app.get(root, "/seo/issues/1").await.expect(200);
    assert_eq!(
        issues["data"],
        json!([{
            "id": 1,
            "report_id": 1,
            "url": "https://example.com/page",
            "issue_type": "missing_alt",
            "severity": "warning",
            "details": { "element": "img.hero-image" },
            "created_at": "2026-01-15T10:30:00.000000Z",
        }])
    );
    let event = app.get(root, "/events?type=seo.report.created").await.expect(200)["data"][0].take();
    assert_eq!(event["data"]["issue_counts"]["warning"], 1);
    assert_eq!(event["data"]["url"], "https://example.com/page");
    // Without issues, and whatever an issue says beside.
    let plain = json!({ "url": report()["url"], "scores": report()["scores"] });
    app.post(root, "/seo/report", &plain).await.expect(201);
    let mut rich = report();
    rich["issues"][0]["nodes"] = json!([{ "line": 7, "score": 0.5 }]);
    app.post(root, "/seo/report", &rich).await.expect(201);
    let issues = app.get(root, "/seo/issues/1?report_id=3").await.expect(200);
    assert_eq!(issues["data"][0]["details"]["nodes"][0]["line"], 7);
    assert_eq!(issues["meta"]["total"], 1);
}

async fn issues_are_listed_by_workspace(app: TestApp) {
    let (workspace, _, key) = app.create_tenant("Pages").await;
    let mut body = report();
    body["issues"] = json!([
        { "type": "missing_alt", "severity": "info" },
        { "type": "broken_link", "severity": "error", "element": "a" },
        { "type": "missing_alt", "severity": "warning" },
    ]);
    app.post(&key, "/seo/report", &body).await.expect(201);
    let list = async |query: &str| {
        let body = app.get(&key, &format!("/seo/issues/{workspace}?{query}")).await.expect(200);
        let rows = body["data"].as_array().expect("rows").clone();
        rows.into_iter().map(|row| row["severity"].as_str().expect("a word").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list("sort=-severity").await, ["error", "warning", "info"]);
    assert_eq!(list("sort=severity").await, ["info", "warning", "error"]);
    assert_eq!(list("type=missing_alt&sort=severity").await, ["info", "warning"]);
    assert_eq!(list("severity=error").await, ["error"]);
    assert_eq!(list("url=https://EXAMPLE.com/page%23top").await.len(), 3);
    assert_eq!(list("url=https://example.com/other").await.len(), 0);
    let path = format!("/seo/issues/{workspace}?severity=fatal&type=&url=x&kind=y");
    let error = app.get(&key, &path).await.expect_error(422, "validation_failed");
    for field in ["severity", "type", "url", "kind"] {
        assert!(error["errors"][field].is_array(), "{field}");
    }
    // The root sees any, by the path or by the header, but not one by the other.
    let root = &app.root_key;
    assert_eq!(app.get(root, &format!("/seo/issues/{workspace}")).await.expect(200)["meta"]["total"], 3);
    let acting = |path: &str, workspace: i64| {
        app.request(reqwest::Method::GET, &format!("/api/v1{path}"))
            .bearer_auth(root)
            .header("X-Workspace-ID", workspace)
    };
    app.send(acting(&format!("/seo/issues/{workspace}"), workspace)).await.expect(200);
    app.send(acting("/seo/issues/1", workspace)).await.expect_error(404, "not_found");
    for path in ["/seo/issues/1", "/seo/issues/999", "/seo/issues/x", "/seo/issues/0"] {
        app.get(&key, path).await.expect_error(404, "not_found");
    }
}

async fn scores_over_time_and_drops(app: TestApp) {
    let root = &app.root_key;
    // A fall of nine is none; what rises is none; each that falls far enough is told by itself.
    for (performance, seo) in [(85, 95), (76, 85), (90, 100), (80, 90)] {
        app.clock.advance(std::time::Duration::from_secs(60));
        app.post(root, "/seo/report", &scored(performance, seo)).await.expect(201);
    }
    // Another page, and the other environment, are held against their own.
    let mut other = scored(10, 10);
    other["url"] = json!("https://example.com/other");
    app.post(root, "/seo/report", &other).await.expect(201);
    let (_, test) = app.create_key(root, 0, json!({ "environment": "test", "scopes": ["*"] })).await;
    app.post(&test, "/seo/report", &scored(10, 10)).await.expect(201);
    let dropped = app.get(root, "/events?type=seo.score.dropped&sort=created_at").await.expect(200);
    let told: Vec<Value> =
        dropped["data"].as_array().expect("events").iter().map(|e| e["data"].clone()).collect();
    let fall = |report_id: i64, score: &str, from: i64, to: i64| {
        json!({
            "report_id": report_id, "previous_report_id": report_id - 1, "url": "https://example.com/page",
            "score": score, "from": from, "to": to,
        })
    };
    assert_eq!(told, [fall(2, "seo", 95, 85), fall(4, "performance", 90, 80), fall(4, "seo", 100, 90)]);
    let trend = app.get(root, "/seo/reports?url=https://example.com/page&sort=created_at").await.expect(200);
    let trend: Vec<Value> = trend["data"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row["scores"]["performance"].clone())
        .collect();
    assert_eq!(trend, [85, 76, 90, 80]);
    assert_eq!(app.get(&test, "/seo/reports").await.expect(200)["meta"]["total"], 1);
}

/// Lighthouse gives null for what it could not compute, and leaves out what was not run.
async fn a_report_with_missing_scores_is_stored(app: TestApp) {
    let root = &app.root_key;
    app.post(root, "/seo/report", &report()).await.expect(201);
    for (sent, stored) in [
        (
            json!({ "performance": null, "accessibility": 92, "best_practices": 88, "seo": 80 }),
            json!({ "performance": null, "accessibility": 92, "best_practices": 88, "seo": 80 }),
        ),
        (
            json!({ "seo": 95 }),
            json!({ "performance": null, "accessibility": null, "best_practices": null, "seo": 95 }),
        ),
        (
            json!({ "performance": 28.999999999999996, "seo": 64.5, "accessibility": 0.4 }),
            json!({ "performance": 29, "accessibility": 0, "best_practices": null, "seo": 65 }),
        ),
    ] {
        app.clock.advance(std::time::Duration::from_secs(60));
        let body = json!({ "url": "https://example.com/page", "scores": sent });
        let made = app.post(root, "/seo/report", &body).await.expect(201);
        assert_eq!(made["data"]["scores"], stored);
        let listed = app.get(root, "/seo/reports").await.expect(200);
        assert_eq!(listed["data"][0]["scores"], stored);
        let told = app.get(root, "/events?type=seo.report.created").await.expect(200);
        assert_eq!(told["data"][0]["data"]["scores"], stored);
    }
    // What is missing in one of two reports has not dropped.
    let dropped = app.get(root, "/events?type=seo.score.dropped&sort=created_at").await.expect(200);
    let falls: Vec<_> =
        dropped["data"].as_array().expect("events").iter().map(|e| e["data"]["score"].clone()).collect();
    assert_eq!(falls, ["seo", "seo"]);
}

async fn bad_reports_name_every_error(app: TestApp) {
    let root = &app.root_key;
    let body = json!({
        "url": "/page",
        "scores": { "performance": 101, "accessibility": -1, "best_practices": "90", "speed": 3 },
        "issues": [{ "type": "a b", "severity": "fatal" }, 7, { "element": 3 }],
        "note": "x",
    });
    let error = app.post(root, "/seo/report", &body).await.expect_error(422, "validation_failed");
    let mut fields: Vec<&String> = error["errors"].as_object().expect("errors").keys().collect();
    fields.sort();
    assert_eq!(
        fields,
        [
            "issues.0.severity",
            "issues.0.type",
            "issues.1",
            "issues.2.element",
            "issues.2.severity",
            "issues.2.type",
            "note",
            "scores.accessibility",
            "scores.best_practices",
            "scores.performance",
            "scores.speed",
            "url",
        ]
    );
    let error = app.post(root, "/seo/report", &json!({})).await.expect_error(422, "validation_failed");
    assert_eq!(error["errors"]["scores"][0], "The scores field is required.");
    for (place, value) in [
        ("/issues", json!(vec![report()["issues"][0].clone(); 1_001])),
        ("/url", json!("https://user:secret@example.com/")),
        ("/url", json!("ftp://example.com/")),
        ("/url", json!(format!("https://example.com/{}", "x".repeat(2_048)))),
    ] {
        let mut body = report();
        *body.pointer_mut(place).expect("a member") = value;
        app.post(root, "/seo/report", &body).await.expect_error(422, "validation_failed");
    }
    assert_eq!(app.get(root, "/seo/reports").await.expect(200)["meta"]["total"], 0);
}

async fn a_report_is_submitted_once(app: TestApp) {
    let send = async || {
        let request = app.request(reqwest::Method::POST, "/api/v1/seo/report").bearer_auth(&app.root_key);
        app.send(request.header("Idempotency-Key", "report-1").json(&report())).await
    };
    let (first, second) = (send().await, send().await);
    assert_eq!(second.header("idempotent-replayed"), "true");
    assert_eq!(first.expect(201), second.expect(201));
    assert_eq!(app.get(&app.root_key, "/seo/reports").await.expect(200)["meta"]["total"], 1);
}

/// Reports that come at once are held against each other in some order: the drops add up.
async fn many_reports_on_one_page(app: TestApp) {
    let root = &app.root_key;
    let reports = (0..20).map(async |number| {
        let score = if number % 2 == 0 { 100 } else { 50 };
        app.post(root, "/seo/report", &scored(score, 50)).await.expect(201)["data"]["id"]
            .as_i64()
            .expect("an id")
    });
    let ids = futures_util::future::join_all(reports).await;
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 20);
    let rows = app.get(root, "/seo/reports?sort=created_at&per_page=100").await.expect(200);
    let scores: Vec<i64> = rows["data"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row["scores"]["performance"].as_i64().expect("a score"))
        .collect();
    let falls = scores.windows(2).filter(|pair| pair[0] - pair[1] >= 10).count();
    let told = app.get(root, "/events?type=seo.score.dropped").await.expect(200);
    assert_eq!(told["meta"]["total"], falls);
}

async fn old_reports_go(app: TestApp) {
    let root = &app.root_key;
    app.post(root, "/seo/report", &report()).await.expect(201);
    app.clock.advance(std::time::Duration::from_secs(399 * 86_400));
    app.post(root, "/seo/report", &report()).await.expect(201);
    app.app.clean_up().await.expect("cleaned up");
    assert_eq!(app.get(root, "/seo/reports").await.expect(200)["meta"]["total"], 2);
    app.clock.advance(std::time::Duration::from_secs(2 * 86_400));
    app.app.clean_up().await.expect("cleaned up");
    assert_eq!(app.get(root, "/seo/reports").await.expect(200)["meta"]["total"], 1);
    assert_eq!(app.get(root, "/seo/issues/1").await.expect(200)["meta"]["total"], 1);
}

/// Reports are limited where a plan lists them, and a refused one leaves nothing behind.
async fn limited(engine: Engine) {
    let mut small = Plan::unlimited("small");
    small.features.insert("seo_reports".to_owned(), FeatureValue::Limit(2));
    let catalog = Catalog::new([small], []).expect("a catalog");
    let settings = AppSettings { catalog, ..AppSettings::default() };
    let app = TestApp::start_with(engine, gatepost_api::ApiSettings::default(), settings).await;
    let (workspace, _, key) = app.create_tenant("Small").await;
    app.patch(&app.root_key, &format!("/workspaces/{workspace}"), &json!({ "tier": "small" }))
        .await
        .expect(200);
    let reports = (0..5).map(async |_| app.post(&key, "/seo/report", &report()).await);
    let replies = futures_util::future::join_all(reports).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 2);
    for reply in replies.into_iter().filter(|reply| reply.status != 201) {
        assert_eq!(reply.expect_error(403, "feature_limit_reached")["feature"], "seo_reports");
    }
    assert_eq!(app.get(&key, "/seo/reports").await.expect(200)["meta"]["total"], 2);
    let summary = app.get(&key, "/entitlements/summary").await.expect(200);
    assert_eq!(summary["data"]["entitlements"]["seo_reports"]["used"], 2);
    let body = json!({ "feature": "seo_reports" });
    app.post(&key, "/entitlements/consume", &body).await.expect_error(422, "validation_failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_are_limited_by_plan_on_sqlite() {
    limited(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_are_limited_by_plan_on_postgres() {
    limited(Engine::Postgres).await;
}
