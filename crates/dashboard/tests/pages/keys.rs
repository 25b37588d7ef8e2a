//! Making keys, and what becomes of them.

use std::time::Duration;

use gatepost_people::Role;
use gatepost_test_support::{TestApp, both_engines};
use serde_json::json;

use crate::browser::{Answer, Browser, PASSWORD, joined};

both_engines! { TestApp:
    a_key_is_shown_once_and_a_reload_makes_no_second,
    what_was_typed_is_kept_where_something_is_wrong,
    nobody_makes_a_key_that_does_more_than_they_may,
    what_is_strong_takes_the_password_once_more,
    a_key_that_is_in_use_is_revoked_by_its_name,
    names_stay_text,
}

const NEW: &str = "/dashboard/settings/api-keys/new";

async fn owner(app: &TestApp) -> Browser {
    let (workspace, _, _) = app.create_tenant_on("enterprise", "Acme").await;
    joined(app, workspace, "ada@example.com", Role::Owner).await
}

/// Fills the form in and sends it; the fields that were sent.
async fn create(browser: &mut Browser, name: &str, preset: &str) -> (Vec<(String, String)>, Answer) {
    let form_id = browser.get(NEW).await.hidden("form_id");
    let fields = [
        ("form_id", form_id.as_str()),
        ("environment", "live"),
        ("name", name),
        ("preset", preset),
        ("expiry", "90"),
        ("allowed_ips", ""),
    ];
    let answer = browser.post(NEW, &fields).await;
    (fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(), answer)
}

fn borrowed(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

async fn a_key_is_shown_once_and_a_reload_makes_no_second(app: TestApp) {
    let mut browser = owner(&app).await;
    let (fields, made) = create(&mut browser, "Staging", "write").await;
    let key = made.shows(200, "Key created").between("<code id=\"key\">", "</code>");
    let me = app.get(&key, "/me").await.expect(200);
    assert_eq!((&me["data"]["name"], &me["data"]["scopes"]), (&json!("Staging"), &json!(["read", "write"])));
    let names = async |key: &str| {
        let all = app.get(key, "/api-keys?search=staging").await.expect(200);
        all["meta"]["total"].as_u64().expect("a count")
    };
    app.clock.advance(Duration::from_secs(9 * 60));
    let again = browser.post(NEW, &borrowed(&fields)).await;
    assert_eq!(again.shows(200, "Key created").between("<code id=\"key\">", "</code>"), key);
    app.clock.advance(Duration::from_secs(60));
    let late = browser.post(NEW, &borrowed(&fields)).await;
    assert!(late.shows(422, "Create a key").html.contains("was sent already"));
    app.app.clean_up().await.expect("cleaned up");
    assert_eq!(browser.post(NEW, &borrowed(&fields)).await.status, 422);
    assert_eq!(names(&key).await, 1);
    // The same form filled in otherwise, as the back button gives it, is another.
    let mut other = fields.clone();
    other[2].1 = "Staging 2".to_owned();
    let second = browser.post(NEW, &borrowed(&other)).await;
    assert_ne!(second.shows(200, "Key created").between("<code id=\"key\">", "</code>"), key);
    assert_eq!(names(&key).await, 2);
}

async fn what_was_typed_is_kept_where_something_is_wrong(app: TestApp) {
    let mut browser = owner(&app).await;
    let fields =
        [("environment", "test"), ("name", "Kept"), ("preset", "single"), ("allowed_ips", "nowhere")];
    let refused = browser.post(NEW, &fields).await;
    let html = &refused.shows(422, "Create a key").html;
    for part in [
        "value=\"Kept\"",
        "href=\"#f-allowed_ips\"",
        ">nowhere</textarea>",
        "id=\"e-expiry\"",
        "Choose at least one scope.",
        "name=\"environment\" value=\"test\"",
    ] {
        assert!(html.contains(part), "no {part} in {html}");
    }
}

async fn nobody_makes_a_key_that_does_more_than_they_may(app: TestApp) {
    let (workspace, _, _) = app.create_tenant_on("enterprise", "Acme").await;
    let mut browser = joined(&app, workspace, "ada@example.com", Role::Developer).await;
    assert!(!browser.get(NEW).await.html.contains("value=\"everything\""));
    create(&mut browser, "Too much", "everything").await.1.shows(422, "Create a key");
    let form_id = browser.get(NEW).await.hidden("form_id");
    for scope in ["*", "team:admin", "audit:read"] {
        let fields = [
            ("form_id", form_id.as_str()),
            ("environment", "live"),
            ("name", "Too much"),
            ("preset", "single"),
            ("scope", scope),
            ("expiry", "never"),
        ];
        let refused = browser.post(NEW, &fields).await;
        assert!(refused.status == 422 || refused.status == 403, "{scope}: {}", refused.status);
        assert!(!refused.html.contains("id=\"key\""));
    }
    create(&mut browser, "Enough", "write").await.1.shows(200, "Key created");
}

async fn what_is_strong_takes_the_password_once_more(app: TestApp) {
    let mut browser = owner(&app).await;
    app.clock.advance(Duration::from_secs(11 * 60));
    create(&mut browser, "Weak", "read").await.1.shows(200, "Key created");
    let (_, asked) = create(&mut browser, "Strong", "everything").await;
    let asked = asked.shows(403, "Confirm who you are");
    let mut fields: Vec<(String, String)> =
        ["name", "environment", "preset", "expiry", "form_id", "allowed_ips"]
            .map(|name| (name.to_owned(), asked.hidden(name)))
            .to_vec();
    assert_eq!(fields[0].1, "Strong");
    fields.push(("confirm_password".to_owned(), "wrong".to_owned()));
    let wrong = browser.post(NEW, &borrowed(&fields)).await;
    assert!(wrong.shows(403, "Confirm who you are").html.contains("This password is wrong."));
    assert!(!wrong.html.contains("value=\"wrong\""), "no password is shown again");
    let before = browser.cookie.clone();
    fields.pop();
    fields.push(("confirm_password".to_owned(), PASSWORD.to_owned()));
    let made = browser.post(NEW, &borrowed(&fields)).await;
    made.shows(200, "Key created");
    assert_ne!(browser.cookie, before, "the session goes on under another token");
    let after = std::mem::replace(&mut browser.cookie, before);
    assert!(browser.get("/dashboard").await.location().starts_with("/dashboard/sign-in"));
    browser.cookie = after;
    browser.get("/dashboard").await.shows(200, "Overview");
    create(&mut browser, "Strong 2", "everything").await.1.shows(200, "Key created");
}

async fn a_key_that_is_in_use_is_revoked_by_its_name(app: TestApp) {
    let mut browser = owner(&app).await;
    let (_, made) = create(&mut browser, "In use", "read").await;
    let key = made.between("<code id=\"key\">", "</code>");
    let path = made.between("<a class=\"button main\" href=\"", "\"");
    app.get(&key, "/workspaces").await.expect(200);
    app.app.gate().write_usage().await.expect("written");
    browser.get(&path).await.shows(200, "In use");
    let revoke = format!("{path}/revoke");
    let refused = browser.post(&revoke, &[("name", "in use")]).await;
    assert!(refused.shows(422, "In use").html.contains("Type its name to revoke it."));
    app.get(&key, "/workspaces").await.expect(200);
    let done = browser.post(&revoke, &[("name", "In use")]).await;
    done.leads_to("/dashboard/settings/api-keys?done=key-revoked");
    let list = browser.get("/dashboard/settings/api-keys?done=key-revoked").await;
    assert!(list.shows(200, "API Keys").html.contains("The key is revoked."));
    app.get(&key, "/workspaces").await.expect_error(401, "key_revoked");
}

async fn names_stay_text(app: TestApp) {
    const NAME: &str = "<script>alert(1)</script>\"'&";
    let mut browser = owner(&app).await;
    create(&mut browser, NAME, "read").await.1.shows(200, "Key created");
    let html = browser.get("/dashboard/settings/api-keys").await.html;
    assert!(!html.contains("<script>alert") && html.contains("&#60;script&#62;alert"), "{html}");
    let html = browser.get("/dashboard/settings/api-keys?q=%22%3E%3Cscript%3E&status=%22&page=9x").await.html;
    assert!(html.contains("value=\"&#34;&#62;&#60;script&#62;\""), "{html}");
}
