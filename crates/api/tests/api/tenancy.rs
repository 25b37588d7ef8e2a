//! Rule 5: no request reads or changes a row of a workspace or environment that is not its own. Every
//! operation of the OpenAPI document is tried; one that has no case here fails the test.

use gatepost_app::resources::Resources;
use gatepost_kernel::WorkspaceId;
use gatepost_people::Role;
use gatepost_test_support::{Reply, TestApp, both_engines};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    openapi::{NEEDS_NO_SCOPE, operations},
    people::joined,
    resources::WithResources,
};

both_engines! { TestApp:
    every_operation_needs_a_key_and_its_scope,
    no_operation_reaches_another_tenant,
    no_operation_reaches_the_live_environment_from_the_test_environment,
}

both_engines! { WithResources:
    no_operation_on_records_reaches_another_owner,
    every_operation_on_records_needs_a_key_and_its_scope,
}

/// How an operation is tried.
enum Case {
    /// `{id}` is a workspace.
    OnWorkspace(Value),
    /// `{id}` is an API key.
    OnApiKey(Value),
    /// `{id}` is a webhook endpoint, and `{delivery_id}` one of its deliveries.
    OnWebhook(Value),
    /// `{id}` is a member, an invitation or a session, as the path says.
    OnPerson(Value),
    /// `{id}` is an event.
    OnEvent,
    /// `{uri}` is a resource.
    OnUri,
    /// `{workspace_id}` is a workspace whose issues are listed.
    OnIssues,
    /// A list, or something made anew: there is no id to forge.
    Collection(Value),
}

/// One line for each operation; the body is one that the operation accepts.
fn case(operation_id: &str) -> Case {
    let none = Value::Null;
    match operation_id {
        "list_workspaces" | "list_api_keys" | "list_audit_log" | "list_resource_types" => {
            Case::Collection(none)
        }
        "create_workspace" => Case::Collection(json!({ "name": "Forged" })),
        "verify_api_key" => Case::Collection(json!({ "key": "sk_live_nobody" })),
        "create_api_key" => Case::Collection(json!({ "name": "Forged", "scopes": ["posts:read"] })),
        "get_workspace" | "delete_workspace" => Case::OnWorkspace(none),
        "update_workspace" => Case::OnWorkspace(json!({ "name": "Forged" })),
        "get_api_key" | "get_api_key_usage" | "revoke_api_key" => Case::OnApiKey(none),
        "update_api_key" => Case::OnApiKey(json!({ "name": "Forged" })),
        "rotate_api_key" => Case::OnApiKey(json!({ "grace_period_hours": 0 })),
        "list_webhooks" | "list_events" | "check_entitlement" | "get_entitlement_summary" => {
            Case::Collection(none)
        }
        "list_mcp_servers" | "list_refused_requests" | "get_billing" => Case::Collection(none),
        "call_mcp_tool" => Case::Collection(json!({ "server": "nobody", "tool": "nothing" })),
        // Their ids are the operator's names; there are none here, so all are as if they were not there.
        "get_mcp_server" | "list_mcp_tools" => Case::OnWorkspace(none),
        "get_mcp_resource" => Case::OnUri,
        "list_seo_reports" | "get_pixel_analytics" | "get_api_analytics" => Case::Collection(none),
        "submit_seo_report" => Case::Collection(seo_report("https://forged.test/")),
        "list_seo_issues" => Case::OnIssues,
        "record_usage" | "consume_entitlement" | "release_entitlement" => {
            Case::Collection(json!({ "feature": "posts" }))
        }
        "set_usage" => Case::Collection(json!({ "feature": "posts", "quantity": 1 })),
        "create_webhook" => Case::Collection(json!({ "url": "http://127.0.0.1:1/", "events": ["forged"] })),
        "create_event" => Case::Collection(json!({ "type": "forged", "data": {} })),
        "create_event_batch" => Case::Collection(json!({ "events": [{ "type": "forged", "data": {} }] })),
        "list_members" | "list_invitations" | "list_sessions" => Case::Collection(none),
        "create_invitation" => Case::Collection(json!({ "email": "forged@example.com", "role": "viewer" })),
        "get_member" | "remove_member" | "create_reset_link" | "get_invitation" | "revoke_invitation"
        | "end_session" => Case::OnPerson(none),
        "update_member" => Case::OnPerson(json!({ "role": "viewer" })),
        "get_event" => Case::OnEvent,
        "get_webhook"
        | "delete_webhook"
        | "test_webhook"
        | "list_webhook_deliveries"
        | "get_webhook_delivery"
        | "retry_webhook_delivery" => Case::OnWebhook(none),
        "update_webhook" => Case::OnWebhook(json!({ "events": ["forged"] })),
        "rotate_webhook_secret" => Case::OnWebhook(json!({ "grace_period_hours": 0 })),
        other => panic!(
            "{other} has no case in the tenancy test: add one here that says what it works on (a workspace, a key, \
             an endpoint, a whole collection) and the body that a stranger would send"
        ),
    }
}

impl Case {
    fn body(&self) -> &Value {
        match self {
            Self::OnWorkspace(body)
            | Self::OnApiKey(body)
            | Self::OnWebhook(body)
            | Self::OnPerson(body)
            | Self::Collection(body) => body,
            Self::OnEvent | Self::OnIssues | Self::OnUri => &Value::Null,
        }
    }
}

struct Operation {
    id: String,
    method: Method,
    path: String,
    scope: String,
    case: Case,
}

fn all() -> Vec<Operation> {
    operations(&gatepost_api::document(&gatepost_api::Contract::core(), &Resources::default()))
        .into_iter()
        // It says only whether the caller's own key may pass; it reads and changes no row of anybody's.
        .filter(|(_, _, operation)| {
            !operation["operationId"].as_str().is_some_and(|id| NEEDS_NO_SCOPE.contains(&id))
        })
        .map(|(path, method, operation)| {
            let id = operation["operationId"].as_str().expect("an id").to_owned();
            Operation {
                case: case(&id),
                id,
                method: method.parse().expect("a method"),
                path,
                scope: operation["x-required-scope"].as_str().unwrap_or_default().to_owned(),
            }
        })
        .collect()
}

async fn send(
    app: &TestApp,
    key: &str,
    operation: &Operation,
    id: impl std::fmt::Display,
    acting: Option<i64>,
) -> Reply {
    // The first delivery that is made at all is the victim's.
    let path = operation.path.replace("{id}", &id.to_string()).replace("{delivery_id}", "1");
    let path = path.replace("{workspace_id}", &id.to_string()).replace("{uri}", "demo://victim");
    let mut request = app.request(operation.method.clone(), &path);
    if !key.is_empty() {
        request = request.bearer_auth(key);
    }
    if let Some(workspace) = acting {
        request = request.header("X-Workspace-ID", workspace);
    }
    if !operation.case.body().is_null() {
        request = request.json(operation.case.body());
    }
    app.send(request).await
}

/// Everything of a tenant that its own key can see; timestamps included, so that any change shows.
async fn snapshot(app: &TestApp, key: &str) -> Vec<Value> {
    let mut seen = Vec::new();
    for path in [
        "/workspaces",
        "/api-keys",
        "/api-keys?status=revoked",
        "/audit-log?per_page=100",
        "/webhooks",
        "/events",
        "/entitlements/summary",
        "/seo/reports",
        "/members",
        "/invitations",
        "/sessions",
    ] {
        let mut rows = app.get(key, path).await.expect(200)["data"].take();
        // Looking is a use of the key that looks, and nobody else's doing.
        for row in rows.as_array_mut().into_iter().flatten().filter(|row| row.get("last_used_at").is_some()) {
            row["last_used_at"] = Value::Null;
        }
        // Nothing listens there, so attempts fail meanwhile, by nobody's doing.
        for row in rows.as_array_mut().into_iter().flatten().filter(|row| row.get("failure_count").is_some())
        {
            row["failure_count"] = Value::Null;
            row["consecutive_failures"] = Value::Null;
        }
        seen.push(rows);
    }
    seen
}

fn seo_report(url: &str) -> Value {
    json!({
        "url": url,
        "scores": { "performance": 1, "accessibility": 2, "best_practices": 3, "seo": 4 },
        "issues": [{ "type": "victim", "severity": "error", "element": "Victim" }],
    })
}

/// Makes a webhook endpoint with a delivery, an SEO report, and an event whose id is `evt_victim`.
async fn make_webhook(app: &TestApp, key: &str) -> i64 {
    let body = json!({ "url": "http://127.0.0.1:1/Victim", "events": ["*"] });
    let made = app.post(key, "/webhooks", &body).await.expect(201);
    let event = json!({ "id": "evt_victim", "type": "victim", "data": "Victim" });
    app.post(key, "/events", &event).await.expect(202);
    app.post(key, "/seo/report", &seo_report("https://example.com/Victim")).await.expect(201);
    made["data"]["id"].as_i64().expect("an id")
}

/// A member, an invitation and a session of one workspace.
struct People {
    member: i64,
    invitation: i64,
    session: i64,
}

impl People {
    async fn join(app: &TestApp, workspace: i64, key: &str) -> Self {
        let (_, signed_in) =
            joined(&app.app, WorkspaceId(workspace), "victim@example.com", Role::Developer).await;
        let body = json!({ "email": "Victim@example.com", "role": "viewer" });
        app.post(key, "/invitations", &body).await.expect_error(409, "conflict");
        let body = json!({ "email": "victim.too@example.com", "role": "viewer" });
        let invited = app.post(key, "/invitations", &body).await.expect(201);
        Self {
            member: signed_in.member.id.0,
            invitation: invited["data"]["id"].as_i64().expect("an id"),
            session: signed_in.session.id.0,
        }
    }

    /// The one that an operation is about.
    fn of(&self, operation: &Operation) -> i64 {
        match operation.path.split('/').nth(1) {
            Some("members") => self.member,
            Some("invitations") => self.invitation,
            _ => self.session,
        }
    }
}

async fn every_operation_needs_a_key_and_its_scope(app: TestApp) {
    let operations = all();
    for operation in &operations {
        send(&app, "", operation, 1, None).await.expect_error(401, "unauthorized");
        let mut scopes: Vec<&str> =
            operations.iter().map(|o| o.scope.as_str()).filter(|s| *s != operation.scope).collect();
        scopes.dedup();
        let (_, key) = app.create_key(&app.root_key, 0, json!({ "scopes": scopes })).await;
        let error = send(&app, &key, operation, 1, None).await.expect_error(403, "access_denied");
        let message = format!("Insufficient permissions. Required scope: {}", operation.scope);
        assert_eq!(error["message"], message, "{}", operation.id);
    }
}

async fn no_operation_reaches_another_tenant(app: TestApp) {
    let (_, _, attacker) = app.create_tenant_on("enterprise", "Attacker").await;
    let (victim, _, victim_key) = app.create_tenant_on("enterprise", "Victim").await;
    let members = json!({ "name": "Victim key", "scopes": ["posts:read"] });
    let (target, _) = app.create_key(&victim_key, 0, members).await;
    let webhook = make_webhook(&app, &victim_key).await;
    let people = People::join(&app, victim, &victim_key).await;
    let before = snapshot(&app, &victim_key).await;
    for operation in all() {
        // By the header: every operation, whether or not the workspace exists.
        for workspace in [victim, 1, 999_999] {
            send(&app, &attacker, &operation, target, Some(workspace))
                .await
                .expect_error(403, "access_denied");
        }
        let id = match &operation.case {
            Case::OnWorkspace(_) | Case::OnIssues | Case::OnUri => victim,
            Case::OnApiKey(_) => target,
            Case::OnWebhook(_) => webhook,
            Case::OnPerson(_) => people.of(&operation),
            Case::OnEvent => {
                let forged = send(&app, &attacker, &operation, "evt_victim", None).await;
                let missing = send(&app, &attacker, &operation, "evt_nobody", None).await;
                assert_eq!(forged.json, missing.json);
                forged.expect_error(404, "not_found");
                continue;
            }
            Case::Collection(_) => {
                let reply = send(&app, &attacker, &operation, 0, None).await;
                if let Some(total) = reply.json["meta"]["total"].as_u64() {
                    let rows = reply.json["data"].as_array().map_or(0, Vec::len) as u64;
                    assert_eq!(total, rows, "{}: counts what it does not show", operation.id);
                }
                for row in reply.json["data"].as_array().into_iter().flatten() {
                    let text = row.to_string();
                    assert!(!text.contains("Victim"), "{}: {text}", operation.id);
                    let is_key = operation.id == "list_api_keys";
                    assert!(!is_key || row["id"] != target, "{}", operation.id);
                    assert_ne!(row["target"]["id"], target, "{}", operation.id);
                }
                continue;
            }
        };
        let forged = send(&app, &attacker, &operation, id, None).await;
        let missing = send(&app, &attacker, &operation, 999_999, None).await;
        assert_eq!(
            forged.json, missing.json,
            "{}: what is hidden looks like what is not there",
            operation.id
        );
        forged.expect_error(404, "not_found");
    }
    assert!(before == snapshot(&app, &victim_key).await, "the victim's rows have changed");
}

async fn no_operation_reaches_the_live_environment_from_the_test_environment(app: TestApp) {
    let (own, _, live) = app.create_tenant_on("enterprise", "Tenant").await;
    let (target, _) =
        app.create_key(&live, 0, json!({ "name": "Live only", "scopes": ["posts:read"] })).await;
    let (_, test) = app.create_key(&live, 0, json!({ "scopes": ["*"], "environment": "test" })).await;
    let webhook = make_webhook(&app, &live).await;
    let people = People::join(&app, own, &live).await;
    let rows = |mut seen: Vec<Value>| {
        // The test environment's own keys are seen, and may have changed, from the live one.
        for list in &mut seen {
            if let Some(rows) = list.as_array_mut() {
                rows.retain(|row| row["environment"] != "test");
            }
            // A plan bounds the endpoints of both environments together.
            if let Some(entitlements) = list.get_mut("entitlements").and_then(Value::as_object_mut) {
                entitlements.remove("webhooks");
            }
        }
        seen
    };
    let before = rows(snapshot(&app, &live).await);
    for operation in all() {
        let reply = match &operation.case {
            Case::OnWorkspace(_) => {
                let reply = send(&app, &test, &operation, own, None).await;
                let expected = match operation.id.contains("mcp") {
                    true => 404,
                    false if operation.method == Method::GET => 200,
                    false => 403,
                };
                assert_eq!(reply.status, expected, "{}", operation.id);
                continue;
            }
            Case::OnApiKey(_) => {
                send(&app, &test, &operation, target, None).await.expect_error(404, "not_found");
                continue;
            }
            Case::OnWebhook(_) => {
                send(&app, &test, &operation, webhook, None).await.expect_error(404, "not_found");
                continue;
            }
            Case::OnPerson(_) => {
                let of = people.of(&operation);
                send(&app, &test, &operation, of, None).await.expect_error(403, "access_denied");
                continue;
            }
            Case::OnEvent => {
                send(&app, &test, &operation, "evt_victim", None).await.expect_error(404, "not_found");
                continue;
            }
            Case::OnUri => {
                send(&app, &test, &operation, 0, None).await.expect_error(404, "not_found");
                continue;
            }
            Case::OnIssues => send(&app, &test, &operation, own, None).await,
            Case::Collection(_) => send(&app, &test, &operation, 0, None).await,
        };
        for row in reply.json["data"].as_array().into_iter().flatten() {
            let of_live = row["environment"] == "live"
                || row["name"] == "Live only"
                || row.to_string().contains("Victim");
            assert!(!of_live, "{}: {row}", operation.id);
        }
        if let Some(environment) = reply.json["data"]["environment"].as_str() {
            assert_eq!(environment, "test", "{}", operation.id);
        }
    }
    for (before, after) in before.iter().zip(&rows(snapshot(&app, &live).await)) {
        assert_eq!(before, after, "rows of the live environment have changed");
    }
}

/// An operation on records, as the document tells of it. Nothing is written here for any of them.
struct OnRecords {
    id: String,
    method: Method,
    path: String,
    scope: String,
    /// What the document gives as an example.
    body: Value,
}

/// All operations on records that the application declares, in the order of the declaration.
fn on_records(app: &TestApp) -> Vec<OnRecords> {
    let core = operations(&gatepost_api::document(&gatepost_api::Contract::core(), &Resources::default()));
    let known =
        |operation: &Value| core.iter().any(|(.., known)| known["operationId"] == operation["operationId"]);
    let document = gatepost_api::document(&gatepost_api::Contract::core(), app.app.resources());
    let all = operations(&document).into_iter().filter(|(.., operation)| !known(operation));
    let mut all: Vec<OnRecords> = all
        .map(|(path, method, operation)| OnRecords {
            id: operation["operationId"].as_str().expect("an id").to_owned(),
            method: method.parse().expect("a method"),
            path,
            scope: operation["x-required-scope"].as_str().expect("a scope").to_owned(),
            body: operation["requestBody"]["content"]["application/json"]["example"].clone(),
        })
        .collect();
    let order: Vec<&str> = app.app.resources().iter().map(|resource| resource.declared.plural).collect();
    let plural = |path: &str| {
        path.split('/').rfind(|part| !part.is_empty() && !part.starts_with('{')).map(str::to_owned)
    };
    all.sort_by_key(|own| {
        plural(&own.path).and_then(|plural| order.iter().position(|known| *known == plural))
    });
    assert!(all.len() > 40, "{}", all.len());
    all
}

/// The ids in a text or a body, which examples end in this, in place of these.
const EXAMPLE: &str = "0123456789abcdef";

/// Records of one owner, by what their ids begin with.
struct Owned(std::collections::BTreeMap<String, String>);

impl Owned {
    fn fill(&self, text: &str) -> String {
        self.0
            .iter()
            .fold(text.to_owned(), |text, (prefix, id)| text.replace(&format!("{prefix}{EXAMPLE}"), id))
    }

    /// The path with this owner's ids.
    fn path(&self, app: &TestApp, path: &str) -> String {
        let of = |plural: &str| {
            let resource = app.app.resources().iter().find(|resource| resource.declared.plural == plural);
            resource.map_or("", |resource| resource.declared.id_prefix)
        };
        let mut plural = "";
        let parts = path.split('/').map(|part| match part.starts_with('{') {
            true => self.0.get(of(plural)).cloned().unwrap_or_else(|| format!("{}{EXAMPLE}", of(plural))),
            false => {
                plural = part;
                part.to_owned()
            }
        });
        parts.collect::<Vec<_>>().join("/")
    }
}

async fn send_on_records(app: &TestApp, key: &str, own: &OnRecords, ids: &Owned) -> Reply {
    let path = ids.path(app, &own.path);
    let mut request = app.request(own.method.clone(), &path);
    if !key.is_empty() {
        request = request.bearer_auth(key);
    }
    if !own.body.is_null() {
        let body: Value = serde_json::from_str(&ids.fill(&own.body.to_string())).expect("JSON");
        request = request.json(&body);
    }
    app.send(request).await
}

/// Makes one record of each type.
async fn make_records(app: &TestApp, key: &str) -> Owned {
    let mut made = Owned(Default::default());
    for own in
        on_records(app).iter().filter(|own| own.method == Method::POST && own.id.starts_with("create_"))
    {
        let record = send_on_records(app, key, own, &made).await.expect(201);
        let id = record["data"]["id"].as_str().expect("an id").to_owned();
        let prefix = format!("{}_", id.split('_').next().expect("a prefix"));
        made.0.insert(prefix, id);
    }
    made
}

/// All records that a key can see.
async fn all_records(app: &TestApp, key: &str, ids: &Owned) -> Vec<Value> {
    let mut seen = Vec::new();
    for own in on_records(app).iter().filter(|own| own.id.starts_with("list_")) {
        seen.push(send_on_records(app, key, own, ids).await.json);
    }
    seen
}

async fn no_operation_on_records_reaches_another_owner(app: TestApp) {
    let (_, _, victim) = app.create_tenant_on("enterprise", "Victim").await;
    let (_, _, attacker) = app.create_tenant_on("enterprise", "Attacker").await;
    let (_, test) = app.create_key(&victim, 0, json!({ "scopes": ["*"], "environment": "test" })).await;
    let (ids, nobody) = (make_records(&app, &victim).await, Owned(Default::default()));
    let before = all_records(&app, &victim, &ids).await;
    assert!(
        before.iter().all(|list| list["data"].as_array().is_some_and(|rows| rows.len() == 1)),
        "{before:?}"
    );
    for key in [&attacker, &test] {
        for own in on_records(&app) {
            let forged = send_on_records(&app, key, &own, &ids).await;
            let missing = send_on_records(&app, key, &own, &nobody).await;
            match own.path.contains('{') || own.body.to_string().contains(EXAMPLE) {
                true => {
                    assert_eq!(
                        (&forged.status, &forged.json),
                        (&missing.status, &missing.json),
                        "{}",
                        own.id
                    );
                    assert!(matches!(forged.status.as_u16(), 404 | 422), "{}: {forged:?}", own.id);
                }
                false if own.method == Method::GET => {
                    let rows = forged.expect(200)["data"].take();
                    let theirs = ids.0.values().any(|id| rows.to_string().contains(id));
                    assert!(!theirs, "{}: {rows}", own.id);
                }
                // It makes a record of its own.
                false => drop(forged.expect(201)),
            }
        }
    }
    assert_eq!(before, all_records(&app, &victim, &ids).await, "the victim's records have changed");
}

async fn every_operation_on_records_needs_a_key_and_its_scope(app: TestApp) {
    let all = on_records(&app);
    let nobody = Owned(Default::default());
    for own in &all {
        send_on_records(&app, "", own, &nobody).await.expect_error(401, "unauthorized");
        let mut scopes: Vec<&str> =
            all.iter().map(|o| o.scope.as_str()).filter(|s| *s != own.scope).collect();
        scopes.sort_unstable();
        scopes.dedup();
        let (_, key) = app.create_key(&app.root_key, 0, json!({ "scopes": scopes })).await;
        let error = send_on_records(&app, &key, own, &nobody).await.expect_error(403, "access_denied");
        let message = format!("Insufficient permissions. Required scope: {}", own.scope);
        assert_eq!(error["message"], message, "{}", own.id);
    }
}
