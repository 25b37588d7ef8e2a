//! Who reaches which page, by the table of all pages and forms: a new one is tried without a word here.

use gatepost_api::{ApiSettings, ServerSettings};
use gatepost_app::AppSettings;
use gatepost_dashboard::{RouteSummary, routes};
use gatepost_people::Role;
use gatepost_test_support::{Engine, TestApp, both_engines};
use reqwest::{Method, StatusCode, header};
use serde_json::Value;

use crate::browser::{Answer, Browser, filled, joined};

both_engines! { TestApp:
    strangers_are_led_to_the_sign_in_page,
    every_role_reaches_what_its_scopes_allow,
    a_form_that_another_page_sends_changes_nothing,
    looking_changes_nothing,
    other_hosts_are_refused,
    pages_of_others_cannot_read_these,
    every_answer_has_the_headers_that_protect_it,
    members_of_another_workspace_see_nothing,
}

/// The path of a route, about a thing that is not there.
fn path(route: &RouteSummary) -> String {
    route.path.replace("{id}", "999999").replace("{token}", "unknown")
}

async fn strangers_are_led_to_the_sign_in_page(app: TestApp) {
    let mut browser = Browser::new(&app);
    for route in routes() {
        let answer = match route.is_form {
            false => browser.get(&path(&route)).await,
            true => browser.post(&path(&route), &[]).await,
        };
        let is_led = answer.location().starts_with("/dashboard/sign-in?");
        // A code completes a sign-in, so it takes one that has begun.
        let is_code = route.is_form && route.path == "/dashboard/sign-in/code";
        assert_eq!(is_led, route.is_for_members || is_code, "{}: {}", route.path, answer.status);
    }
}

async fn every_role_reaches_what_its_scopes_allow(app: TestApp) {
    let (workspace, _, _) = app.create_tenant_on("enterprise", "Acme").await;
    for role in Role::ALL {
        let email = format!("{}@example.com", role.as_str());
        let mut browser = joined(&app, workspace, &email, role).await;
        let scopes = app.app.role_scopes(role);
        let menu = browser.get("/dashboard").await;
        let mut all: Vec<RouteSummary> = routes().filter(|route| route.is_for_members).collect();
        // Whoever has left the workspace reaches nothing.
        all.sort_by_key(|route| route.path.ends_with("/leave"));
        for route in all {
            let answer = match route.is_form {
                false => browser.get(&path(&route)).await,
                true => browser.post(&path(&route), &[]).await,
            };
            let allowed = route.scope.is_none_or(|scope| scopes.allows(scope));
            let refused = answer.html.contains("<h1><bdi>Not allowed</bdi></h1>");
            let name = format!("{} {}: {}", role.as_str(), route.path, answer.status);
            assert_eq!((!refused, answer.status == StatusCode::FORBIDDEN), (allowed, !allowed), "{name}");
            assert!(!answer.status.is_server_error(), "{name}");
            // No link leads to what would be refused.
            let link = format!("href=\"{}\"", route.path);
            assert!(allowed || !menu.html.contains(&link), "{name}");
        }
    }
}

async fn entries(app: &TestApp) -> Value {
    app.get(&app.root_key, "/audit-log").await.expect(200)["meta"]["total"].take()
}

async fn a_form_that_another_page_sends_changes_nothing(app: TestApp) {
    let browser = joined(&app, 1, "ada@example.com", Role::Owner).await;
    let own = format!("http://{}", app.address);
    let before = entries(&app).await;
    let forged: [&[(&str, &str)]; 8] = [
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", "http://evil.test")],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", "null")],
        &[("Sec-Fetch-Site", "same-site"), ("Origin", "http://127.0.0.1:1")],
        &[("Sec-Fetch-Site", "same-site"), ("Origin", &own)],
        &[("Sec-Fetch-Site", "none")],
        &[("Origin", "http://evil.test")],
        &[("Origin", "null")],
        &[],
    ];
    for route in routes().filter(|route| route.is_form) {
        for headers in forged {
            let mut request = browser.request(Method::POST, &path(&route));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let fields = [("name", "Forged"), ("email", "forged@example.com"), ("role", "owner")];
            browser.answer(filled(request, &fields)).await.shows(403, "Not sent");
        }
        let request = browser.request(Method::POST, &path(&route)).header("Sec-Fetch-Site", "same-origin");
        let as_text = request.header(header::CONTENT_TYPE, "text/plain").body("name=Forged");
        browser.answer(as_text).await.shows(400, "Not readable");
    }
    assert_eq!(entries(&app).await, before);
}

async fn looking_changes_nothing(app: TestApp) {
    let mut browser = joined(&app, 1, "ada@example.com", Role::Owner).await;
    let before = entries(&app).await;
    for route in routes().filter(|route| !route.is_form) {
        browser.get(&path(&route)).await;
    }
    assert_eq!(entries(&app).await, before);
}

async fn other_hosts_are_refused(app: TestApp) {
    let browser = joined(&app, 1, "ada@example.com", Role::Owner).await;
    for host in ["evil.test", "127.0.0.1:1", &format!("evil.test:{}", app.address.port())] {
        let request = browser.request(Method::GET, "/dashboard").header(header::HOST, host);
        browser.answer(request).await.shows(421, "Wrong address");
    }
    let localhost = format!("localhost:{}", app.address.port());
    let request = browser.request(Method::GET, "/dashboard").header(header::HOST, localhost);
    browser.answer(request).await.shows(200, "Overview");
}

async fn pages_of_others_cannot_read_these(_: TestApp) {
    let server = ServerSettings { cors_origins: vec!["*".to_owned()], ..ServerSettings::default() };
    let settings = ApiSettings { server, ..ApiSettings::default() };
    let app = TestApp::start_with(Engine::Sqlite, settings, AppSettings::default()).await;
    let browser = Browser::new(&app);
    for (method, path) in [
        (Method::GET, "/dashboard/sign-in"),
        (Method::GET, "/dashboard"),
        (Method::POST, "/dashboard/sign-in"),
        (Method::OPTIONS, "/dashboard/sign-in"),
    ] {
        let request = browser.request(method, path).header(header::ORIGIN, "http://evil.test");
        let answer = browser.answer(request.header("Access-Control-Request-Method", "POST")).await;
        let told = answer.headers.keys().find(|name| name.as_str().starts_with("access-control-"));
        assert_eq!(told, None, "{path}");
    }
    let api = browser.request(Method::GET, "/api/v1/me").header(header::ORIGIN, "http://evil.test");
    assert!(browser.answer(api).await.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
}

#[track_caller]
fn is_protected(answer: &Answer) {
    let header = |name: &str| answer.headers.get(name).map_or("", |value| value.to_str().expect("text"));
    let policy = header("content-security-policy");
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.split("; ").any(|one| one == part), "{part} is not in {policy}");
    }
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("referrer-policy"), "same-origin");
    assert_eq!(header("cross-origin-opener-policy"), "same-origin");
    let is_file = header("content-type").starts_with("text/css");
    assert_eq!(
        header("cache-control"),
        if is_file { "public, max-age=31536000, immutable" } else { "no-store" }
    );
    assert_eq!(header("access-control-allow-origin"), "");
}

async fn every_answer_has_the_headers_that_protect_it(app: TestApp) {
    let mut browser = joined(&app, 1, "ada@example.com", Role::Owner).await;
    let page = browser.get("/dashboard").await;
    is_protected(&page);
    let style = page.between("<link rel=\"stylesheet\" href=\"", "\"");
    is_protected(&browser.get(&style).await);
    is_protected(&browser.get("/dashboard/").await);
    is_protected(&browser.get("/dashboard/no/such/page").await);
    is_protected(&browser.get("/dashboard/settings/api-keys/999999").await);
    is_protected(&browser.post("/dashboard/account/name", &[("name", "")]).await);
    let request = browser.request(Method::GET, "/dashboard").header(header::HOST, "evil.test");
    is_protected(&browser.answer(request).await);
    is_protected(&browser.answer(browser.request(Method::POST, "/dashboard/sign-out")).await);
    is_protected(&browser.answer(browser.request(Method::DELETE, "/dashboard")).await);
    assert!(
        !page.html.contains("style=") && !page.html.contains("onclick") && !page.html.contains("<script>")
    );
}

async fn members_of_another_workspace_see_nothing(app: TestApp) {
    let (acme, key, _) = app.create_tenant_on("enterprise", "Acme").await;
    let (globex, _, _) = app.create_tenant_on("enterprise", "Globex").await;
    let mut at_acme = joined(&app, acme, "ada@example.com", Role::Owner).await;
    let mut at_globex = joined(&app, globex, "bo@example.com", Role::Owner).await;
    let path = format!("/dashboard/settings/api-keys/{key}");
    assert_eq!(at_acme.get(&path).await.status, 200);
    at_globex.get(&path).await.shows(404, "Not found");
    at_globex.post(&format!("{path}/revoke"), &[]).await.shows(404, "Not found");
    at_globex
        .post(&format!("{path}/rotate"), &[("grace", "0"), ("form_id", &"A".repeat(43))])
        .await
        .shows(404, "Not found");
    let switched = at_globex.post("/dashboard/workspace", &[("workspace", &acme.to_string())]).await;
    switched.shows(404, "Not found");
    assert!(!at_globex.get("/dashboard/settings/team").await.html.contains("ada@example.com"));
}
