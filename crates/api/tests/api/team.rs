//! `/members`, `/invitations` and `/sessions`.

use gatepost_api::ApiSettings;
use gatepost_app::{AppSettings, DashboardSettings, people::invitations};
use gatepost_kernel::WorkspaceId;
use gatepost_people::{OpaqueToken, Role};
use gatepost_test_support::{Engine, TestApp, both_engines};
use serde_json::{Value, json};

use crate::people::{accepting, browser, joined, known};

both_engines! { TestApp:
    an_invitation_is_made_shown_once_and_taken_back,
    members_get_another_role_and_are_removed,
    accounts_are_the_platforms,
    sessions_that_show_the_workspace_are_listed_and_ended,
    nobody_gives_what_they_do_not_have,
}

both_engines! { WithoutDashboard:
    without_a_dashboard_no_link_is_made,
}

const PASSWORD: &str = "ochre tunnel parsnip lantern";

struct WithoutDashboard;

impl WithoutDashboard {
    async fn start(engine: Engine) -> TestApp {
        let dashboard = DashboardSettings { enabled: false, ..DashboardSettings::default() };
        let settings = AppSettings { dashboard, ..AppSettings::default() };
        TestApp::start_with(engine, ApiSettings::default(), settings).await
    }
}

/// The token at the end of a link, which leads to a page of the server.
fn token(app: &TestApp, link: &Value, page: &str) -> OpaqueToken {
    let url = link["url"].as_str().expect("a link");
    let start = format!("http://{}/dashboard/{page}/", app.address);
    let token = url.strip_prefix(&start).unwrap_or_else(|| panic!("{url} does not begin with {start}"));
    OpaqueToken::parse(token).expect("a token")
}

async fn an_invitation_is_made_shown_once_and_taken_back(app: TestApp) {
    let (_, _, key) = app.create_tenant_on("enterprise", "Acme").await;
    let body = json!({ "email": "ada@example.com", "role": "developer" });
    let made = app.post(&key, "/invitations", &body).await.expect(201)["data"].take();
    let link = token(&app, &made, "invite");
    let id = made["id"].as_i64().expect("an id");
    let shown = app.get(&key, &format!("/invitations/{id}")).await.expect(200)["data"].take();
    assert_eq!(
        (&shown["status"], &shown["email"], &shown["role"]),
        (&json!("pending"), &json!("ada@example.com"), &json!("developer"))
    );
    assert!(shown["url"].is_null() && shown["invited_by_id"].is_null());
    assert_eq!(invitations::open(&app.app, &link).await.expect("it works").workspace, "Acme");

    let other = app.post(&key, "/invitations", &body).await.expect(201)["data"].take();
    assert!(invitations::open(&app.app, &link).await.is_err(), "the newest link is the one that works");
    let revoked = app.get(&key, "/invitations?status=revoked").await.expect(200);
    assert_eq!((revoked["meta"]["total"].as_u64(), &revoked["data"][0]["id"]), (Some(1), &json!(id)));
    let (link, path) = (token(&app, &other, "invite"), format!("/invitations/{}", other["id"]));
    assert_eq!(app.delete(&key, &path).await.status, 204);
    assert!(invitations::open(&app.app, &link).await.is_err());
    app.delete(&key, &path).await.expect_error(409, "conflict");

    let last = app.post(&key, "/invitations", &body).await.expect(201)["data"].take();
    let link = token(&app, &last, "invite");
    invitations::accept(&app.app, &link, accepting(PASSWORD), browser()).await.expect("a session");
    let accepted = app.get(&key, &format!("/invitations/{}", last["id"])).await.expect(200);
    assert_eq!(accepted["data"]["status"], "accepted");
    let error = app.post(&key, "/invitations", &body).await.expect_error(409, "conflict");
    app.says(&error, "This address belongs to a member of the workspace already.");
    let wrong = json!({ "email": "ada", "role": "king" });
    let errors = app.post(&key, "/invitations", &wrong).await.expect_error(422, "validation_failed");
    assert!(!errors["errors"]["email"].is_null() && !errors["errors"]["role"].is_null(), "{errors}");
}

async fn members_get_another_role_and_are_removed(app: TestApp) {
    let (workspace, _, key) = app.create_tenant_on("enterprise", "Acme").await;
    let (began, ada) = joined(&app.app, WorkspaceId(workspace), "ada@example.com", Role::Developer).await;
    let path = format!("/members/{}", ada.member.id);
    let shown = app.get(&key, &path).await.expect(200)["data"].take();
    assert_eq!(shown["email"], "ada@example.com");
    assert_eq!((&shown["enabled"], &shown["two_factor_enabled"]), (&json!(true), &json!(false)));
    let changed = app.patch(&key, &path, &json!({ "role": "admin" })).await.expect(200);
    assert_eq!(changed["data"]["role"], "admin");
    assert_eq!(known(&app.app, &began.token).await.expect("a session").shown.role, Role::Admin, "at once");
    app.patch(&key, &path, &json!({ "role": "owner" })).await.expect_error(403, "access_denied");
    assert_eq!(app.delete(&key, &path).await.status, 204);
    app.get(&key, &path).await.expect_error(404, "not_found");
    assert!(known(&app.app, &began.token).await.is_none());
}

async fn accounts_are_the_platforms(app: TestApp) {
    let (workspace, _, key) = app.create_tenant_on("enterprise", "Acme").await;
    let (began, ada) = joined(&app.app, WorkspaceId(workspace), "ada@example.com", Role::Developer).await;
    let path = format!("/members/{}", ada.member.id);
    app.patch(&key, &path, &json!({ "enabled": false })).await.expect_error(403, "access_denied");
    app.post(&key, &format!("{path}/reset-link"), &json!({})).await.expect_error(403, "access_denied");
    assert!(known(&app.app, &began.token).await.is_some());

    let root = |method, path: &str| {
        let request = app.request(method, &format!("/api/v1{path}")).bearer_auth(&app.root_key);
        request.header("X-Workspace-ID", workspace)
    };
    let off = root(reqwest::Method::PATCH, &path).json(&json!({ "enabled": false }));
    assert_eq!(app.send(off).await.expect(200)["data"]["enabled"], false);
    assert!(known(&app.app, &began.token).await.is_none());
    let on = root(reqwest::Method::PATCH, &path).json(&json!({ "enabled": true }));
    assert_eq!(app.send(on).await.expect(200)["data"]["enabled"], true);
    // The platform reaches an account by its id alone, too; the same request gets the same link.
    let make = || {
        let path = format!("/api/v1{path}/reset-link");
        app.request(reqwest::Method::POST, &path).bearer_auth(&app.root_key).header("Idempotency-Key", "once")
    };
    let made = app.send(make()).await.expect(201)["data"].take();
    assert_eq!(app.send(make()).await.expect(201)["data"], made);
    token(&app, &made, "reset");
}

async fn sessions_that_show_the_workspace_are_listed_and_ended(app: TestApp) {
    let (acme, _, key) = app.create_tenant_on("enterprise", "Acme").await;
    let (globex, _, other) = app.create_tenant_on("enterprise", "Globex").await;
    let (began, ada) = joined(&app.app, WorkspaceId(acme), "ada@example.com", Role::Developer).await;
    joined(&app.app, WorkspaceId(acme), "bo@example.com", Role::Viewer).await;
    let (elsewhere, _) = joined(&app.app, WorkspaceId(globex), "ada@example.com", Role::Admin).await;
    let all = app.get(&key, "/sessions").await.expect(200);
    assert_eq!(all["meta"]["total"], 2, "one shows another workspace");
    let of_ada = app.get(&key, &format!("/sessions?member_id={}", ada.member.id)).await.expect(200);
    let session = of_ada["data"][0].clone();
    assert_eq!((of_ada["meta"]["total"].as_u64(), &session["user_agent"]), (Some(1), &json!("Browser 1")));
    assert!(session["expires_at"].as_str() > session["created_at"].as_str());
    let path = format!("/sessions/{}", session["id"]);
    app.delete(&other, &path).await.expect_error(404, "not_found");
    assert_eq!(app.delete(&key, &path).await.status, 204);
    assert!(known(&app.app, &began.token).await.is_none());
    assert!(known(&app.app, &elsewhere.token).await.is_some());
    app.delete(&key, &path).await.expect_error(404, "not_found");
}

async fn nobody_gives_what_they_do_not_have(app: TestApp) {
    let (workspace, _, _) = app.create_tenant_on("enterprise", "Acme").await;
    let (_, narrow) =
        app.create_key(&app.root_key, workspace, json!({ "scopes": ["team:admin", "posts:read"] })).await;
    for role in ["viewer", "developer", "admin", "owner"] {
        let body = json!({ "email": "ada@example.com", "role": role });
        app.post(&narrow, "/invitations", &body).await.expect_error(403, "access_denied");
    }
    let (_, ada) = joined(&app.app, WorkspaceId(workspace), "ada@example.com", Role::Developer).await;
    for refused in [
        app.delete(&narrow, &format!("/members/{}", ada.member.id)).await,
        app.delete(&narrow, &format!("/sessions/{}", ada.session.id)).await,
        app.patch(&narrow, &format!("/members/{}", ada.member.id), &json!({ "role": "viewer" })).await,
    ] {
        refused.expect_error(403, "access_denied");
    }
}

async fn without_a_dashboard_no_link_is_made(app: TestApp) {
    let (_, _, key) = app.create_tenant_on("enterprise", "Acme").await;
    let body = json!({ "email": "ada@example.com", "role": "developer" });
    let error = app.post(&key, "/invitations", &body).await.expect_error(409, "conflict");
    app.says(&error, "The dashboard is switched off on this server, so the link would lead nowhere.");
    assert_eq!(app.get(&key, "/invitations").await.expect(200)["meta"]["total"], 0);
}
