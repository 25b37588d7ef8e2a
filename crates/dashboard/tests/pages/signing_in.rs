//! Signing in and out, and what a browser keeps.

use std::time::Duration;

use gatepost_people::Role;
use gatepost_test_support::{TestApp, both_engines};
use reqwest::header;
use totp_rs::{Builder, Secret};

use crate::browser::{Browser, PASSWORD, invite, joined};

both_engines! { TestApp:
    a_link_works_once_and_the_cookie_is_kept_from_scripts,
    wrong_words_are_the_same_for_everybody,
    a_cookie_that_was_planted_dies,
    signing_out_ends_the_session,
    a_form_after_the_end_of_a_session_does_nothing,
    a_second_factor_is_set_up_and_asked_for,
    members_of_the_root_need_a_second_factor_once_there_are_two,
    another_password_is_chosen_by_a_link,
}

async fn tenant(app: &TestApp) -> i64 {
    app.create_tenant_on("enterprise", "Acme").await.0
}

async fn a_link_works_once_and_the_cookie_is_kept_from_scripts(app: TestApp) {
    let mut browser = Browser::new(&app);
    let first = browser.get("/dashboard/sign-in").await;
    assert!(first.html.contains("gatepost members invite --owner"), "how to begin");
    browser.get("/").await;
    let link = invite(&app, 1, "", Role::Owner).await;
    // Programs that look at links in mails use nothing up.
    for _ in 0..3 {
        browser.get(&link).await.shows(200, "Welcome to Gatepost");
    }
    let bad = [("email", "ada"), ("name", "Ada"), ("password", PASSWORD)];
    let refused = browser.post(&link, &bad).await;
    assert!(refused.shows(422, "Welcome to Gatepost").html.contains("id=\"e-email\""));
    let good = [("email", "ada@example.com"), ("name", "Ada"), ("password", PASSWORD)];
    let joined = browser.post(&link, &good).await;
    joined.leads_to("/dashboard");
    let cookie = joined.headers[header::SET_COOKIE].to_str().expect("text");
    let name = format!("gatepost_{}=", app.address.port());
    assert!(cookie.starts_with(&name) && cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");
    let token = cookie.split(['=', ';']).nth(1).expect("a token");
    assert!(!browser.get("/dashboard").await.html.contains(token));
    for used in [&link, "/dashboard/setup/unknown", "/dashboard/invite/x", "/dashboard/reset/x"] {
        browser.get(used).await.shows(404, "This link does not work");
        browser.post(used, &good).await.shows(404, "This link does not work");
    }
}

async fn wrong_words_are_the_same_for_everybody(app: TestApp) {
    let workspace = tenant(&app).await;
    joined(&app, workspace, "ada@example.com", Role::Viewer).await;
    let mut browser = Browser::new(&app);
    let mut pages = Vec::new();
    for email in ["ada@example.com", "nobody@example.com", "no address"] {
        let fields = [("email", email), ("password", "not the password")];
        let refused = browser.post("/dashboard/sign-in", &fields).await;
        pages.push(refused.shows(422, "Sign in").html.replace(email, ""));
        assert!(browser.cookie.is_none());
    }
    assert!(pages.windows(2).all(|two| two[0] == two[1]));
    for _ in 0..4 {
        browser.post("/dashboard/sign-in", &[("email", "ada@example.com"), ("password", "wrong")]).await;
    }
    let waits = browser.sign_in("ada@example.com").await;
    waits.shows(429, "Sign in");
    assert!(waits.headers.contains_key(header::RETRY_AFTER));
}

async fn a_cookie_that_was_planted_dies(app: TestApp) {
    let workspace = tenant(&app).await;
    let attacker = joined(&app, workspace, "eve@example.com", Role::Viewer).await;
    joined(&app, workspace, "ada@example.com", Role::Viewer).await;
    let mut browser = Browser::new(&app);
    browser.cookie = attacker.cookie.clone();
    browser.sign_in("ada@example.com").await.leads_to("/dashboard");
    assert_ne!(browser.cookie, attacker.cookie);
    assert!(browser.get("/dashboard/account").await.html.contains("value=\"ada@example.com\""));
    let mut planted = Browser::new(&app);
    planted.cookie = attacker.cookie;
    assert!(planted.get("/dashboard").await.location().starts_with("/dashboard/sign-in"));
}

async fn signing_out_ends_the_session(app: TestApp) {
    let workspace = tenant(&app).await;
    let mut browser = joined(&app, workspace, "ada@example.com", Role::Viewer).await;
    let copied = browser.cookie.clone();
    browser.post("/dashboard/sign-out", &[]).await.leads_to("/dashboard/sign-in");
    assert!(browser.cookie.is_none());
    browser.cookie = copied;
    let led = browser.get("/dashboard/account").await;
    led.leads_to("/dashboard/sign-in?next=%2Fdashboard%2Faccount");
    let fields = [("email", "ada@example.com"), ("password", PASSWORD), ("next", "/dashboard/account")];
    browser.post("/dashboard/sign-in", &fields).await.leads_to("/dashboard/account");
    for elsewhere in ["//evil.test", "https://evil.test", "/docs", "/dashboard\\@evil.test"] {
        browser.post("/dashboard/sign-out", &[]).await;
        let fields = [("email", "ada@example.com"), ("password", PASSWORD), ("next", elsewhere)];
        browser.post("/dashboard/sign-in", &fields).await.leads_to("/dashboard");
    }
}

async fn a_form_after_the_end_of_a_session_does_nothing(app: TestApp) {
    let workspace = tenant(&app).await;
    let mut browser = joined(&app, workspace, "ada@example.com", Role::Viewer).await;
    app.clock.advance(Duration::from_secs(60 * 60));
    let lost = browser.post("/dashboard/account/name", &[("name", "Ada King")]).await;
    lost.leads_to("/dashboard/sign-in?lost=form");
    // Nobody is led to the address of a form, which shows nothing, even where nothing was filled in.
    let lost = browser.post("/dashboard/account/leave", &[]).await;
    lost.leads_to("/dashboard/sign-in?lost=form");
    assert!(browser.get("/dashboard/sign-in?lost=form").await.html.contains("nothing was changed"));
    browser.sign_in("ada@example.com").await.leads_to("/dashboard");
    assert!(
        browser.get("/dashboard/account").await.html.contains("name=\"name\" type=\"text\" value=\"Ada\"")
    );
}

fn code(app: &TestApp, secret: &str) -> String {
    let secret = Secret::try_from_base32(secret).expect("base32");
    let totp = Builder::new().with_skew(1).with_secret(secret).build_noncompliant();
    totp.generate(u64::try_from(app.app.now().as_seconds()).expect("a time")).to_string()
}

async fn a_second_factor_is_set_up_and_asked_for(app: TestApp) {
    const PAGE: &str = "/dashboard/account/two-factor";
    let workspace = tenant(&app).await;
    let mut browser = joined(&app, workspace, "ada@example.com", Role::Viewer).await;
    let page = browser.get(PAGE).await;
    let secret = page.shows(200, "Set up two-factor sign-in").hidden("secret");
    let wrong = browser.post(PAGE, &[("secret", &secret), ("code", "000000")]).await;
    assert_eq!(wrong.shows(422, "Set up two-factor sign-in").hidden("secret"), secret);
    let added = browser.post(PAGE, &[("secret", &secret), ("code", &code(&app, &secret))]).await;
    let recovery = added.shows(200, "Recovery codes").between("<li><code>", "</code>");
    browser.post("/dashboard/sign-out", &[]).await;

    browser.sign_in("ada@example.com").await.leads_to("/dashboard/sign-in/code?next=%2Fdashboard");
    for page in ["/dashboard", "/dashboard/account", "/dashboard/settings/api-keys"] {
        browser.get(page).await.leads_to("/dashboard/sign-in/code");
    }
    browser.post("/dashboard/sign-in/code", &[("code", "000000")]).await.shows(422, "Two-factor sign-in");
    let half = browser.cookie.clone();
    browser.post("/dashboard/sign-in/code", &[("code", &recovery)]).await.leads_to("/dashboard");
    assert_ne!(browser.cookie, half);
    browser.get("/dashboard").await.shows(200, "Overview");
    browser
        .post("/dashboard/account/two-factor/remove", &[])
        .await
        .leads_to("/dashboard/account?done=second-factor-removed");
}

async fn members_of_the_root_need_a_second_factor_once_there_are_two(app: TestApp) {
    let mut first = joined(&app, 1, "ada@example.com", Role::Owner).await;
    assert!(first.get("/dashboard").await.shows(200, "Overview").html.contains("Set up two-factor sign-in"));
    let mut second = joined(&app, 1, "bo@example.com", Role::Viewer).await;
    for browser in [&mut first, &mut second] {
        for page in ["/dashboard", "/dashboard/settings/api-keys", "/dashboard/account"] {
            browser.get(page).await.leads_to("/dashboard/account/two-factor");
        }
        browser.get("/dashboard/account/two-factor").await.shows(200, "Set up two-factor sign-in");
    }
}

async fn another_password_is_chosen_by_a_link(app: TestApp) {
    const NEXT: &str = "violet anchor biscuit meadow";
    let workspace = tenant(&app).await;
    let mut browser = joined(&app, workspace, "ada@example.com", Role::Viewer).await;
    let members = app.request(reqwest::Method::GET, "/api/v1/members").bearer_auth(&app.root_key);
    let members = app.send(members.header("X-Workspace-ID", workspace)).await.expect(200);
    let path = format!("/members/{}/reset-link", members["data"][0]["id"]);
    let made = app.post(&app.root_key, &path, &serde_json::json!({})).await.expect(201);
    let url = made["data"]["url"].as_str().expect("a link");
    let link =
        url.strip_prefix(&format!("http://{}", app.address)).expect("a link to this server").to_owned();
    browser.get(&link).await.shows(200, "Choose a new password");
    let weak = browser.post(&link, &[("password", "aaaaaaaaaaaa")]).await;
    assert!(weak.shows(422, "Choose a new password").html.contains("id=\"e-password\""));
    browser.post(&link, &[("password", NEXT)]).await.leads_to("/dashboard/sign-in");
    assert!(
        browser.get("/dashboard").await.location().starts_with("/dashboard/sign-in"),
        "sessions have ended"
    );
    browser.sign_in("ada@example.com").await.shows(422, "Sign in");
    let fields = [("email", "ada@example.com"), ("password", NEXT)];
    browser.post("/dashboard/sign-in", &fields).await.leads_to("/dashboard");
    browser.get(&link).await.shows(404, "This link does not work");
}
