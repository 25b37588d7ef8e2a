//! What the workspace looks back on: usage, the plan, the audit log.

use gatepost_api::ApiSettings;
use gatepost_app::{AppSettings, EntitlementSettings};
use gatepost_people::Role;
use gatepost_test_support::{Engine, TestApp, both_engines};
use reqwest::header;
use serde_json::json;

use crate::browser::{Browser, PASSWORD, invite, joined};

both_engines! { TestApp:
    usage_tells_who_still_uses_an_old_key,
    the_plan_is_shown_with_what_is_used_of_it,
    changes_are_listed_filtered_and_downloaded,
    whoever_leaves_is_gone_and_an_owner_stays,
}

const USAGE: &str = "/dashboard/settings/api-keys/usage";
const AUDIT_LOG: &str = "/dashboard/settings/audit-log";

async fn usage_tells_who_still_uses_an_old_key(app: TestApp) {
    let (workspace, _, key) = app.create_tenant_on("enterprise", "Acme").await;
    let mut browser = joined(&app, workspace, "ada@example.com", Role::Developer).await;
    let made = app
        .post(&key, "/api-keys", &json!({ "name": "Old", "scopes": ["workspaces:read"] }))
        .await
        .expect(201);
    let (id, old) = (made["data"]["id"].clone(), made["data"]["key"].as_str().expect("a key").to_owned());
    for _ in 0..3 {
        app.get(&old, "/workspaces").await.expect(200);
    }
    app.get(&old, "/api-keys").await.expect_error(403, "access_denied");
    let rotate = json!({ "grace_period_hours": 168 });
    app.post(&key, &format!("/api-keys/{id}/rotate"), &rotate).await.expect(200);
    let page = browser.get(USAGE).await;
    let row = page.shows(200, "Usage").between(&format!("api-keys/{id}\"><bdi>Old</bdi>"), "</tr>");
    assert!(row.contains("data-label=\"Requests\">4<") && row.contains("data-label=\"Refused\">1<"), "{row}");
    assert!(row.contains("Somebody still uses the old key."), "{row}");
    let shown = browser.get(&format!("/dashboard/settings/api-keys/{id}")).await;
    assert!(shown.shows(200, "Old").html.contains("Requests in 30 days: 4"));
    app.clock.advance(std::time::Duration::from_secs(25 * 3_600));
    browser.sign_in("ada@example.com").await;
    assert!(browser.get(&format!("{USAGE}?days=7")).await.html.contains("It can be revoked."));
    assert!(
        browser.get(&format!("{USAGE}?days=8&page=x")).await.shows(200, "Usage").html.contains("in 30 days")
    );
}

async fn the_plan_is_shown_with_what_is_used_of_it(_: TestApp) {
    let entitlements = EntitlementSettings {
        upgrade_url: Some("https://example.com/buy?a=1&b=2".into()),
        ..EntitlementSettings::default()
    };
    let settings = AppSettings { entitlements, ..AppSettings::default() };
    let app = TestApp::start_with(Engine::Sqlite, ApiSettings::default(), settings).await;
    let (workspace, _, key) = app.create_tenant_on("pro", "Acme").await;
    app.post(&key, "/entitlements/usage", &json!({ "feature": "posts", "quantity": 3 })).await;
    let mut browser = joined(&app, workspace, "ada@example.com", Role::Admin).await;
    let page = browser.get("/dashboard/settings/plan").await;
    let html = &page.shows(200, "Plan").html;
    assert!(html.contains("<strong>pro</strong>") && html.contains("Requests a minute, each key"), "{html}");
    assert!(html.contains("href=\"https://example.com/buy?a=1&#38;b=2\""), "{html}");
    // The workspace's own page for that; what is no address of the web is no link.
    let own = json!({ "settings": { "billing_url": "https://billing.example.com/acme" } });
    app.patch(&app.root_key, &format!("/workspaces/{workspace}"), &own).await.expect(200);
    assert!(browser.get("/dashboard/settings/plan").await.html.contains("https://billing.example.com/acme"));
}

async fn changes_are_listed_filtered_and_downloaded(app: TestApp) {
    let (workspace, _, key) = app.create_tenant_on("enterprise", "Acme").await;
    let link = invite(&app, workspace, "ada@example.com", Role::Admin).await;
    let mut browser = Browser::new(&app);
    browser.post(&link, &[("name", "=1+1"), ("password", PASSWORD)]).await.leads_to("/dashboard");
    browser.post("/dashboard/account/name", &[("name", "=2+2")]).await;
    for number in 0..60 {
        app.post(&key, "/api-keys", &json!({ "name": format!("Key {number}") })).await.expect(201);
    }
    let page = browser.get(AUDIT_LOG).await;
    assert!(page.shows(200, "Audit log").html.contains("rel=\"next\""));
    assert_eq!(page.html.matches("api_key.created</code>").count(), 50);
    let filtered = browser.get(&format!("{AUDIT_LOG}?action=member.updated&kind=member")).await;
    assert_eq!(filtered.html.matches("member.updated</code>").count(), 1);
    assert!(filtered.html.contains("<bdi>=2+2</bdi>"), "{}", filtered.html);
    let file = browser.get(&format!("{AUDIT_LOG}.csv?kind=member")).await;
    assert_eq!(file.status, 200);
    let header = |name: header::HeaderName| file.headers[name].to_str().expect("text").to_owned();
    assert_eq!(header(header::CONTENT_TYPE), "text/csv; charset=utf-8");
    assert_eq!(header(header::CONTENT_DISPOSITION), "attachment; filename=\"audit-log.csv\"");
    assert!(file.html.contains(",\"'=2+2\",\"member.updated\",\"member "), "{}", file.html);
    let all = browser.get(&format!("{AUDIT_LOG}.csv")).await;
    assert!(all.html.lines().count() > 60 && all.html.contains("api_key.created"));
    assert!(!browser.get(&format!("{AUDIT_LOG}?environment=test")).await.html.contains("member.updated"));
}

async fn whoever_leaves_is_gone_and_an_owner_stays(app: TestApp) {
    let (acme, _, _) = app.create_tenant_on("enterprise", "Acme").await;
    let mut owner = joined(&app, acme, "ada@example.com", Role::Owner).await;
    let refused = owner.post("/dashboard/account/leave", &[]).await;
    assert!(refused.shows(422, "Your account").html.contains("keeps at least one owner"));
    let mut viewer = joined(&app, acme, "bo@example.com", Role::Viewer).await;
    viewer.post("/dashboard/account/leave", &[]).await.leads_to("/dashboard?done=left");
    assert!(viewer.get("/dashboard").await.location().starts_with("/dashboard/sign-in"));
    assert!(!owner.get("/dashboard/settings/team").await.html.contains("bo@example.com</bdi></td>"));
}
