//! Every list does what lists do: one test for all of them. A list of the OpenAPI document that is not
//! registered here fails it.

use std::{collections::BTreeSet, sync::LazyLock};

use gatepost_app::resources::Resources;
use gatepost_kernel::{Secret, WorkspaceId, random};
use gatepost_people::{Email, Membership, OpaqueToken, PasswordHash, Role};
use gatepost_storage::{NewMember, NewSession, StorageError, Tx};
use gatepost_test_support::{Reply, TestApp, every_face};
use reqwest::Method;
use serde_json::{Value, json};

use crate::openapi::operations;

every_face! { TestApp:
    every_list_is_registered,
    pages_neither_repeat_nor_skip,
    cursors_are_bound_to_their_list,
    rows_are_filtered_by_time,
    fields_are_selected,
    what_is_wrong_names_what_is_right,
    other_tenants_are_not_counted,
    words_are_found,
    resources_are_included_in_one_statement_each,
    included_resources_need_their_scope,
}

/// A list under test.
struct List {
    operation_id: &'static str,
    /// `{webhook}` is an endpoint of the tenant, `{workspace}` its number.
    path: &'static str,
    /// Sort keys whose order can be checked by the members of a row.
    sorts: &'static [&'static str],
    is_log: bool,
    /// A filter, and how many of the 12 rows it leaves; `{member}` is the member of one row.
    filter: (&'static str, usize),
}

const ROWS: usize = 12;

const LISTS: [List; 11] = [
    List {
        operation_id: "list_workspaces",
        path: "/workspaces",
        sorts: &["id", "name", "slug", "created_at", "updated_at"],
        is_log: false,
        filter: ("tier=starter", 6),
    },
    List {
        operation_id: "list_api_keys",
        path: "/api-keys",
        sorts: &["id", "name", "created_at", "updated_at", "expires_at", "last_used_at"],
        is_log: false,
        filter: ("environment=test", 6),
    },
    List {
        operation_id: "list_webhooks",
        path: "/webhooks",
        sorts: &["id", "url", "created_at", "updated_at", "last_delivery_at"],
        is_log: false,
        filter: ("status=inactive", 6),
    },
    List {
        operation_id: "list_webhook_deliveries",
        path: "/webhooks/{webhook}/deliveries",
        sorts: &["created_at"],
        is_log: true,
        filter: ("event_type=even.one", 6),
    },
    List {
        operation_id: "list_events",
        path: "/events",
        sorts: &["created_at"],
        is_log: true,
        filter: ("type=even.one", 6),
    },
    List {
        operation_id: "list_seo_reports",
        path: "/seo/reports",
        sorts: &["created_at"],
        is_log: true,
        filter: ("url=https://Example.com/even%23top", 6),
    },
    List {
        operation_id: "list_seo_issues",
        path: "/seo/issues/{workspace}",
        sorts: &["id", "created_at", "issue_type", "url"],
        is_log: false,
        filter: ("severity=error", 6),
    },
    List {
        operation_id: "list_members",
        path: "/members",
        sorts: &["id", "created_at"],
        is_log: false,
        filter: ("role=viewer", 6),
    },
    List {
        operation_id: "list_invitations",
        path: "/invitations",
        sorts: &["id", "created_at", "expires_at"],
        is_log: false,
        filter: ("status=revoked", 6),
    },
    List {
        operation_id: "list_sessions",
        path: "/sessions",
        sorts: &["id", "created_at", "last_used_at"],
        is_log: false,
        filter: ("member_id={member}", 1),
    },
    List {
        operation_id: "list_audit_log",
        path: "/audit-log",
        sorts: &["created_at"],
        is_log: true,
        filter: ("target_type=api_key", 12),
    },
];

/// A list with its rows: 12 of the test's own, one second after the other, and the key to read it with.
struct Filled {
    list: &'static List,
    path: String,
    workspace: i64,
    key: String,
    filter: String,
}

impl Filled {
    async fn get(&self, app: &TestApp, query: &str) -> Reply {
        let separator = if query.is_empty() { "" } else { "?" };
        app.get(&self.key, &format!("{}{separator}{query}", self.path)).await
    }

    async fn rows(&self, app: &TestApp, query: &str) -> Vec<Value> {
        self.get(app, query).await.expect(200)["data"].as_array().expect("rows").clone()
    }

    /// All rows, page by page, three at a time.
    async fn pages(&self, app: &TestApp, query: &str) -> Vec<Value> {
        let mut all = Vec::new();
        for page in 1.. {
            let body = self.get(app, &format!("{query}&per_page=3&page={page}")).await.expect(200);
            all.extend(body["data"].as_array().expect("rows").clone());
            if body["links"]["next"].is_null() {
                assert_eq!(body["meta"]["total"], all.len(), "{}", self.path);
                break;
            }
        }
        all
    }
}

/// Fills every list for a tenant of its own, the workspaces for the root.
async fn fill(app: &TestApp) -> Vec<Filled> {
    let mut filled = Vec::new();
    for list in &LISTS {
        let (workspace, _, tenant) = app.create_tenant_on("enterprise", "Lists").await;
        let key = if list.operation_id == "list_workspaces" { app.root_key.clone() } else { tenant };
        let mut path = list.path.replace("{workspace}", &workspace.to_string());
        if path.contains("{webhook}") {
            let body = json!({ "url": "http://127.0.0.1:1/", "events": ["*"] });
            let id = app.post(&key, "/webhooks", &body).await.expect(201)["data"]["id"].clone();
            let off = json!({ "is_active": true });
            app.patch(&key, &format!("/webhooks/{id}"), &off).await.expect(200);
            path = path.replace("{webhook}", &id.to_string());
        }
        filled.push(Filled { list, path, workspace, key, filter: list.filter.0.to_owned() });
    }
    // The workspaces of the other lists are there as well; only those that are made from now on are the
    // test's own.
    for number in 0..ROWS {
        app.clock.advance(std::time::Duration::from_secs(1));
        for one in &filled {
            make_row(app, one, number).await;
        }
    }
    for one in filled.iter_mut().filter(|one| one.filter.contains("{member}")) {
        let member = one.rows(app, "").await[0]["member_id"].to_string();
        one.filter = one.filter.replace("{member}", &member);
    }
    filled
}

async fn make_row(app: &TestApp, one: &Filled, number: usize) {
    let even = number.is_multiple_of(2);
    // Names repeat, so that only the number tells some rows apart.
    let name = format!("Row {}", number / 3);
    match one.list.operation_id {
        "list_workspaces" => {
            let body = json!({ "name": name, "tier": if even { "starter" } else { "free" } });
            app.post(&one.key, "/workspaces", &body).await.expect(201);
        }
        "list_api_keys" => {
            let environment = if even { "test" } else { "live" };
            let expires_at = even.then(|| format!("2030-01-{:02}T00:00:00Z", number + 1));
            let body = json!({ "name": name, "environment": environment, "expires_at": expires_at });
            app.post(&one.key, "/api-keys", &body).await.expect(201);
        }
        "list_webhooks" => {
            let body = json!({ "url": format!("http://127.0.0.1:1/{name}").replace(' ', "-"), "events": ["no.such"] });
            let id = app.post(&one.key, "/webhooks", &body).await.expect(201)["data"]["id"].clone();
            if even {
                app.patch(&one.key, &format!("/webhooks/{id}"), &json!({ "is_active": false }))
                    .await
                    .expect(200);
            }
        }
        "list_webhook_deliveries" | "list_events" => {
            let body = json!({ "type": if even { "even.one" } else { "odd.one" }, "data": { "n": number } });
            app.post(&one.key, "/events", &body).await.expect(202);
        }
        "list_seo_reports" | "list_seo_issues" => {
            let (page, severity) = if even { ("even", "error") } else { ("odd", "info") };
            let body = json!({
                "url": format!("https://example.com/{page}"),
                "scores": { "performance": 50, "accessibility": 50, "best_practices": 50, "seo": 50 },
                "issues": [{ "type": format!("kind-{}", number / 3), "severity": severity, "element": name }],
            });
            app.post(&one.key, "/seo/report", &body).await.expect(201);
        }
        "list_members" | "list_sessions" => {
            make_member(
                app,
                WorkspaceId(one.workspace),
                number,
                if even { Role::Viewer } else { Role::Admin },
            )
            .await;
        }
        "list_invitations" => {
            let email = format!("row-{number}-of-{}@example.com", one.workspace);
            let body = json!({ "email": email, "role": "viewer" });
            let id = app.post(&one.key, "/invitations", &body).await.expect(201)["data"]["id"].clone();
            if even {
                app.delete(&one.key, &format!("/invitations/{id}")).await;
            }
        }
        "list_audit_log" => {
            app.post(&one.key, "/api-keys", &json!({ "name": name })).await.expect(201);
        }
        other => panic!("{other} is not filled: add here how row `number` of it is made"),
    }
}

/// Makes a member who has signed in, without the work that a password takes.
async fn make_member(app: &TestApp, workspace_id: WorkspaceId, number: usize, role: Role) {
    static PASSWORD: LazyLock<PasswordHash> = LazyLock::new(|| {
        PasswordHash::new(&Secret::new("ochre tunnel parsnip lantern".to_owned()), &mut random::rng())
    });
    let created_at = app.app.now();
    let email = format!("row-{number}-of-{workspace_id}-at-{}@example.com", created_at.as_micros());
    let new = NewMember {
        email: Email::parse(&email).expect("an address"),
        name: format!("Row {number}"),
        password: PASSWORD.clone(),
        created_at,
    };
    let make = async move |mut tx: Tx<'_>| {
        let member_id = tx.member_insert(&new).await?.expect("a fresh address").id;
        tx.membership_insert(&Membership { member_id, workspace_id, role, created_at }).await?;
        let session = NewSession {
            digest: OpaqueToken::generate(&mut random::rng()).digest(),
            member_id,
            workspace_id,
            awaits_second_factor: false,
            ip_address: None,
            user_agent: None,
            created_at,
        };
        tx.session_insert(&session).await.map(|_| ())
    };
    app.app.storage().transaction::<_, StorageError, _>(make).await.expect("a transaction");
}

/// What was there before, and is not the test's own.
async fn others(app: &TestApp, one: &Filled) -> usize {
    // The workspaces of the tenants that the other lists are filled for.
    let tenants = if one.list.operation_id == "list_workspaces" { LISTS.len() - 1 } else { 0 };
    let found = one.get(app, "created_before=2026-01-15T10:30:00Z").await.expect(200);
    usize::try_from(found["meta"]["total"].as_u64().expect("a count")).expect("few").max(tenants)
}

fn ids(rows: &[Value]) -> Vec<String> {
    rows.iter().map(|row| row["id"].to_string()).collect()
}

async fn every_list_is_registered(app: TestApp) {
    let document = gatepost_api::document(&gatepost_api::Contract::core(), &Resources::default());
    let has_pages = |operation: &Value| {
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        parameters.iter().any(|parameter| parameter["name"] == "per_page")
    };
    let lists = operations(&document).into_iter().filter(|(_, _, operation)| has_pages(operation));
    let in_document: BTreeSet<String> =
        lists.map(|(_, _, operation)| operation["operationId"].as_str().expect("an id").to_owned()).collect();
    // Of the operator's file, what servers say and what the process remembers, not of rows: they have pages,
    // tried elsewhere, and nothing else.
    let of_no_rows = ["list_mcp_servers", "list_mcp_tools", "list_resource_types", "list_refused_requests"];
    let registered = LISTS.iter().map(|list| list.operation_id).chain(of_no_rows).map(str::to_owned);
    let registered: BTreeSet<String> = registered.collect();
    assert_eq!(
        in_document, registered,
        "an operation with pages belongs into LISTS of this file, with what it can be sorted and filtered by"
    );
    // An array as answer without pages would be a list that escapes this test.
    for (path, _, operation) in operations(&document) {
        let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"];
        let name = schema.as_str().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        let data = &document["components"]["schemas"][name]["properties"]["data"];
        assert!(data["type"] != "array" || has_pages(&operation), "{path}");
    }
    drop(app);
}

async fn pages_neither_repeat_nor_skip(app: TestApp) {
    for one in &fill(&app).await {
        for sort in one.list.sorts.iter().flat_map(|sort| [(*sort).to_owned(), format!("-{sort}")]) {
            let rows = one.pages(&app, &format!("sort={sort}")).await;
            let unique: BTreeSet<String> = ids(&rows).into_iter().collect();
            assert_eq!(unique.len(), rows.len(), "{} {sort}", one.path);
            assert!(rows.len() >= ROWS, "{} {sort}", one.path);
            let (name, descending) = match sort.strip_prefix('-') {
                Some(name) => (name, true),
                None => (sort.as_str(), false),
            };
            for pair in rows.windows(2) {
                let (before, after) = (&pair[0][name], &pair[1][name]);
                let in_order = match (before, after) {
                    (_, Value::Null) => true,
                    (Value::Null, _) => false,
                    (Value::Number(a), Value::Number(b)) => {
                        if descending {
                            a.as_i64() >= b.as_i64()
                        } else {
                            a.as_i64() <= b.as_i64()
                        }
                    }
                    (a, b) => {
                        // Instants compare like their texts here: all of them have whole seconds.
                        let (a, b) = (a.as_str().expect("a text"), b.as_str().expect("a text"));
                        if descending { a >= b } else { a <= b }
                    }
                };
                assert!(in_order, "{} {sort}: {before} before {after}", one.path);
                if before == after && before.is_i64() {
                    assert!(pair[0]["id"].as_i64() < pair[1]["id"].as_i64());
                }
            }
        }
        // What is made between two pages moves nothing that was read by the oldest first, nor by cursor.
        let first = one.rows(&app, "sort=created_at&per_page=5").await;
        make_row(&app, one, 0).await;
        let second = one.rows(&app, "sort=created_at&per_page=5&page=2").await;
        assert!(ids(&first).iter().all(|id| !ids(&second).contains(id)), "{}", one.path);
        if one.list.is_log {
            let mut cursor = Value::Null;
            let mut seen = Vec::new();
            let total = one.get(&app, "").await.expect(200)["meta"]["total"].clone();
            loop {
                let query = match cursor.as_str() {
                    Some(cursor) => format!("per_page=5&cursor={cursor}"),
                    None => "per_page=5".to_owned(),
                };
                let body = one.get(&app, &query).await.expect(200);
                seen.extend(body["data"].as_array().expect("rows").clone());
                let next = body["links"]["next"].as_str().unwrap_or_default().to_owned();
                cursor = body["meta"]["next_cursor"].clone();
                assert_eq!(cursor.is_null(), next.is_empty());
                if cursor.is_null() {
                    break;
                }
                make_row(&app, one, 1).await;
            }
            let unique: BTreeSet<String> = ids(&seen).into_iter().collect();
            assert_eq!((unique.len(), json!(seen.len())), (seen.len(), total), "{}", one.path);
        }
    }
}

async fn cursors_are_bound_to_their_list(app: TestApp) {
    for one in fill(&app).await.iter().filter(|one| one.list.is_log) {
        let body = one.get(&app, "per_page=2&sort=created_at").await.expect(200);
        let cursor = body["meta"]["next_cursor"].as_str().expect("a cursor").to_owned();
        one.get(&app, &format!("sort=created_at&cursor={cursor}&per_page=7")).await.expect(200);
        let followed = body["links"]["next"].as_str().expect("a link").to_owned();
        assert!(followed.contains("page=2"), "a page by number leads to the next by number");
        let changed = format!("{}{}", &cursor[1..], &cursor[..1]);
        // A key that comes twice sorts nothing the second time.
        let twice = one.get(&app, "per_page=5&sort=created_at,-created_at").await.expect(200);
        let cursor_of_twice = twice["meta"]["next_cursor"].as_str().expect("a cursor");
        let followed_twice =
            one.rows(&app, &format!("sort=created_at,-created_at&cursor={cursor_of_twice}")).await;
        let first_rows = ids(twice["data"].as_array().expect("rows"));
        assert!(!followed_twice.is_empty());
        assert!(ids(&followed_twice).iter().all(|id| !first_rows.contains(id)), "{}", one.path);
        for query in [
            format!("cursor={cursor}"),
            format!("sort=-created_at&cursor={cursor}"),
            format!("sort=created_at&cursor={cursor}&{}", one.filter),
            format!("sort=created_at&cursor={changed}"),
            "sort=created_at&cursor=".to_owned(),
            format!("sort=created_at&cursor={cursor}&page=1"),
        ] {
            let error = one.get(&app, &query).await.expect_error(422, "validation_failed");
            assert!(error["errors"]["cursor"].is_array(), "{query}");
        }
        let (_, _, other) = app.create_tenant_on("enterprise", "Other").await;
        let path = format!("{}?sort=created_at&cursor={cursor}", one.path);
        let refused = app.get(&other, &path).await.status.as_u16();
        assert!(refused == 422 || refused == 404, "another tenant's");
    }
}

async fn rows_are_filtered_by_time(app: TestApp) {
    for one in &fill(&app).await {
        let before = others(&app, one).await;
        let count = async |query: &str| one.get(&app, query).await.expect(200)["meta"]["total"].clone();
        assert_eq!(count("").await, before + ROWS, "{}", one.path);
        // The rows are one second apart, from 10:30:01 on; both ends are included.
        assert_eq!(count("created_after=2026-01-15T10:30:04Z").await, ROWS - 3, "{}", one.path);
        assert_eq!(count("created_after=2026-01-15T12:30:04%2B02:00").await, ROWS - 3, "{}", one.path);
        assert_eq!(count("created_after=2026-01-15T12:30:04+02:00").await, ROWS - 3, "not escaped");
        let some = "created_after=2026-01-15T10:30:04Z&created_before=2026-01-15T10:30:06Z";
        assert_eq!(count(some).await, 3, "{}", one.path);
        assert_eq!(count("created_before=2026-01-15").await, before + ROWS, "a date means all of its day");
        assert_eq!(count("created_after=2026-01-15").await, before + ROWS);
        assert_eq!(count("created_after=2026-01-16").await, 0);
        assert_eq!(count("created_before=2026-01-14").await, 0);
        let (filter, left) = (&one.filter, one.list.filter.1);
        assert_eq!(
            count(&format!("{filter}&created_after=2026-01-15T10:30:01Z")).await,
            left,
            "{}",
            one.path
        );
        if one.list.sorts.contains(&"updated_at") {
            assert_eq!(count("updated_after=2026-01-15T10:30:04Z").await, ROWS - 3, "{}", one.path);
            assert_eq!(count("updated_before=2026-01-15").await, before + ROWS);
        }
    }
}

async fn fields_are_selected(app: TestApp) {
    for one in &fill(&app).await {
        let whole = one.rows(&app, "per_page=1").await.remove(0);
        let members: BTreeSet<&str> =
            whole.as_object().expect("an object").keys().map(String::as_str).collect();
        // What is declared is what is there.
        let all =
            one.rows(&app, &format!("per_page=1&fields={}", Vec::from_iter(members.clone()).join(","))).await;
        // Not the values: a delivery may be sent in between.
        let named: BTreeSet<&str> =
            all[0].as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!((named, &all[0]["id"]), (members.clone(), &whole["id"]), "{}", one.path);
        let chosen = one.rows(&app, "per_page=1&fields=created_at").await.remove(0);
        let keys: Vec<&str> = chosen.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(BTreeSet::from_iter(keys), BTreeSet::from(["id", "created_at"]), "the id is always there");
        let error = one.get(&app, "fields=id,digest").await.expect_error(422, "validation_failed");
        let message = error["errors"]["fields"][0].as_str().expect("a sentence").to_owned();
        for member in members {
            assert!(message.contains(member), "{member} is named in {message}");
        }
    }
}

async fn what_is_wrong_names_what_is_right(app: TestApp) {
    for one in &fill(&app).await {
        for (query, field, expected) in [
            ("page=0", "page", "between 1"),
            ("page=x", "page", "integer"),
            ("per_page=101", "per_page", "between 1 and 100"),
            ("sort=digest", "sort", one.list.sorts[0]),
            ("sort=", "sort", one.list.sorts[0]),
            ("sort=created_at;drop", "sort", one.list.sorts[0]),
            ("fields=", "fields", "created_at"),
            ("created_after=yesterday", "created_after", "date"),
            ("colour=red", "colour", "per_page"),
            ("per_page=1&per_page=2", "per_page", "only once"),
        ] {
            let error = one.get(&app, query).await.expect_error(422, "validation_failed");
            let message = error["errors"][field][0].as_str().unwrap_or_default();
            assert!(message.contains(expected), "{} {query}: {error}", one.path);
        }
        let includes = one.get(&app, "include=secrets").await.expect_error(422, "validation_failed");
        assert!(includes["errors"]["include"].is_array());
        // Beyond the end: an empty page that says how to come back.
        let beyond = one.get(&app, "page=1000").await.expect(200);
        assert_eq!(
            (beyond["data"].as_array().map(Vec::len), beyond["meta"]["from"].is_null()),
            (Some(0), true)
        );
    }
}

async fn other_tenants_are_not_counted(app: TestApp) {
    let filled = fill(&app).await;
    for one in filled.iter().filter(|one| !one.path.starts_with("/workspaces")) {
        let own = one.get(&app, "").await.expect(200)["meta"]["total"].clone();
        let before = others(&app, one).await;
        assert_eq!(own, before + ROWS, "{}", one.path);
        let (_, _, stranger) = app.create_tenant_on("enterprise", "Stranger").await;
        let reply = app.get(&stranger, &one.path).await;
        if reply.status == 200 {
            let found = ids(reply.json["data"].as_array().expect("rows"));
            let mine = ids(&one.rows(&app, "per_page=100").await);
            assert!(found.iter().all(|id| !mine.contains(id)), "{}", one.path);
            assert!(reply.json["meta"]["total"].as_u64().expect("a count") < ROWS as u64);
        } else {
            reply.expect_error(404, "not_found");
        }
    }
    let (id, _, tenant) = app.create_tenant("Alone").await;
    let seen = app.get(&tenant, "/workspaces").await.expect(200);
    assert_eq!((&seen["meta"]["total"], &seen["data"][0]["id"]), (&json!(1), &json!(id)));
}

async fn words_are_found(app: TestApp) {
    let (_, _, key) = app.create_tenant("Größte Firma").await;
    for name in ["Checkout service (EU)", "checkout-worker", "CHECKING", "Mobile App"] {
        app.post(&key, "/api-keys", &json!({ "name": name })).await.expect(201);
    }
    let found = async |query: &str| {
        let body = app.get(&key, &format!("/api-keys?sort=id&fields=name&search={query}")).await.expect(200);
        let names: Vec<String> =
            body["data"].as_array().expect("rows").iter().map(|row| row["name"].to_string()).collect();
        assert_eq!(body["meta"]["total"], names.len());
        names.join(" ")
    };
    assert_eq!(found("checkout").await, "\"Checkout service (EU)\" \"checkout-worker\"");
    assert_eq!(
        found("CHECK").await,
        "\"Checkout service (EU)\" \"checkout-worker\" \"CHECKING\"",
        "beginnings count"
    );
    assert_eq!(found("service+check").await, "\"Checkout service (EU)\"", "every word, in any order");
    assert_eq!(found("heck").await, "", "only beginnings");
    assert_eq!(found("check%22%20OR%20%22mobile").await, "", "nothing in it is an operator");
    assert_eq!(found("%21%21").await, "", "no words");
    assert_eq!(found(&"zz+".repeat(50)).await, "");
    for nothing in [String::new(), "x".repeat(201)] {
        let error = app.get(&key, &format!("/api-keys?search={nothing}")).await;
        assert!(error.expect_error(422, "validation_failed")["errors"]["search"].is_array(), "{nothing}");
    }
    app.post(&key, "/api-keys", &json!({ "name": "ÖLWERK Süd" })).await.expect(201);
    assert_eq!(found("%C3%B6lwerk+S%C3%9CD").await, "\"ÖLWERK Süd\"", "in every script");
    // A changed name is found by its new words alone.
    let (id, _) = app.create_key(&key, 0, json!({ "name": "Before" })).await;
    app.patch(&key, &format!("/api-keys/{id}"), &json!({ "name": "After" })).await.expect(200);
    assert_eq!((found("before").await, found("after").await), (String::new(), "\"After\"".to_owned()));

    let root = &app.root_key;
    let firm = app.get(root, "/workspaces?search=gr%C3%B6%C3%9Fte&fields=slug").await.expect(200);
    assert_eq!((&firm["meta"]["total"], &firm["data"][0]["slug"]), (&json!(1), &json!("grosste-firma")));
    let body =
        json!({ "url": "https://hooks.example.com/in", "events": ["*"], "description": "Order service" });
    app.post(&key, "/webhooks", &body).await.expect(201);
    for (query, total) in [("hooks+example", 1), ("order", 1), ("orders", 0)] {
        let found = app.get(&key, &format!("/webhooks?search={query}")).await.expect(200);
        assert_eq!(found["meta"]["total"], total, "{query}");
    }
}

async fn resources_are_included_in_one_statement_each(app: TestApp) {
    let tenants = 12;
    for number in 0..tenants {
        let (workspace, _, key) = app.create_tenant(&format!("Tenant {number}")).await;
        for _ in 0..number {
            app.create_key(&app.root_key, workspace, json!({})).await;
        }
        let body = json!({ "url": "http://127.0.0.1:1/", "events": ["*"] });
        for _ in 0..2 {
            app.post(&key, "/webhooks", &body).await.expect(201);
        }
        for n in 0..3 {
            app.post(&key, "/events", &json!({ "type": "made", "data": { "n": n } })).await.expect(202);
        }
        if number == tenants - 1 {
            let all = app.get(&key, "/webhooks?include=deliveries").await.expect(200);
            for endpoint in all["data"].as_array().expect("rows") {
                let deliveries = endpoint["deliveries"].as_array().expect("deliveries");
                // The second endpoint's own making is an event too, of which the first hears.
                assert!(deliveries.len() >= 3, "{endpoint}");
                let of =
                    app.get(&key, &format!("/webhooks/{}/deliveries?sort=-created_at", endpoint["id"])).await;
                assert_eq!(ids(deliveries), ids(of.expect(200)["data"].as_array().expect("rows")));
            }
        }
    }
    let root = &app.root_key;
    let body = app.get(root, "/workspaces?include=api_keys&sort=-id&per_page=12").await.expect(200);
    for (index, workspace) in body["data"].as_array().expect("rows").iter().enumerate() {
        let keys = workspace["api_keys"].as_array().expect("keys");
        // Its first key, and as many as its number; no more than ten are shown.
        assert_eq!(keys.len(), (tenants - index).min(10), "{}", workspace["name"]);
        assert!(keys.iter().all(|key| key["key"].is_null() && key["prefix"].is_string()));
    }
    let id = body["data"][3]["id"].clone();
    let alone = app.get(root, &format!("/workspaces/{id}?include=api_keys")).await.expect(200);
    assert_eq!(alone["data"]["api_keys"], body["data"][3]["api_keys"]);
    let key = app.get(root, "/api-keys?include=workspace&fields=name").await.expect(200);
    assert_eq!(key["data"][0]["workspace"]["id"], 1);
    assert!(key["data"][0]["prefix"].is_null() && key["data"][0]["name"].is_string());

    for path in
        ["/workspaces?include=api_keys", "/api-keys?include=workspace", "/webhooks?include=deliveries"]
    {
        let mut counts = Vec::new();
        for per_page in [2, 5, 12] {
            let before = app.storage.statements();
            app.get(root, &format!("{path}&per_page={per_page}")).await.expect(200);
            counts.push(app.storage.statements() - before);
        }
        // Other tasks look at the database too, from time to time.
        let (least, most) = (counts.iter().min().expect("some"), counts.iter().max().expect("some"));
        assert!(most - least <= 6 && *most < 20, "{path}: {counts:?}");
    }
}

async fn included_resources_need_their_scope(app: TestApp) {
    let (_, narrow) = app.create_key(&app.root_key, 0, json!({ "scopes": ["workspaces:read"] })).await;
    app.get(&narrow, "/workspaces").await.expect(200);
    for path in ["/workspaces?include=api_keys", "/workspaces/1?include=api_keys"] {
        let refused = app.get(&narrow, path).await.expect_error(403, "access_denied");
        assert_eq!(refused["message"], "Insufficient permissions. Required scope: api-keys:read");
    }
    let (_, test_key) =
        app.create_key(&app.root_key, 0, json!({ "environment": "test", "scopes": ["*"] })).await;
    let seen = app.get(&test_key, "/workspaces/1?include=api_keys").await.expect(200);
    let keys = seen["data"]["api_keys"].as_array().expect("keys");
    assert!(!keys.is_empty() && keys.iter().all(|key| key["environment"] == "test"));
    let get = app.request(Method::GET, "/api/v1/workspaces?include=").bearer_auth(&narrow);
    app.send(get).await.expect_error(422, "validation_failed");
}
