//! The OpenAPI document is complete, and what it says is so.

use std::collections::BTreeSet;

use gatepost_api::Contract;
use gatepost_app::resources::Resources;
use gatepost_test_support::{Receiver, TestApp, both_engines, declarations, mirror, preset, receiver::Reply};
use serde_json::{Value, json};

use crate::resources::DECLARED;

both_engines! { TestApp: what_endpoints_receive_is_what_is_described }

/// Operations that any key may call, and those that need none; this list may only shrink.
pub const NEEDS_NO_SCOPE: [&str; 4] = ["forward_auth", "get_me", "get_pixel_config", "track_pixel_event"];

/// Path, method and operation of everything in the document.
pub fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let all: Vec<_> = paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("a path item").iter();
            methods.map(|(method, operation)| (path.clone(), method.to_uppercase(), operation.clone()))
        })
        .collect();
    assert!(all.len() >= 12, "the document lists the operations");
    all
}

fn walk(value: &Value, visit: &mut impl FnMut(&Value)) {
    visit(value);
    match value {
        Value::Object(members) => members.values().for_each(|v| walk(v, visit)),
        Value::Array(items) => items.iter().for_each(|v| walk(v, visit)),
        _ => {}
    }
}

#[test]
fn every_reference_resolves() {
    for contract in [Contract::core(), mirror()] {
        let document = gatepost_api::document(&contract, &Resources::default());
        let mut count = 0;
        walk(&document, &mut |value| {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                count += 1;
                let pointer = reference.strip_prefix('#').expect("a reference within the document");
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
        });
        assert!(count > 50, "{count}");
    }
}

/// What the core contract calls things stands in no other contract's document, and its own names stand there.
#[test]
fn a_contract_names_things_alone() {
    let (core, other) = (
        gatepost_api::document(&Contract::core(), &Resources::default()),
        gatepost_api::document(&mirror(), &Resources::default()),
    );
    let ids = |document: &Value| -> Vec<String> {
        operations(document).iter().map(|(.., op)| op["operationId"].to_string()).collect()
    };
    assert_eq!(ids(&core).len(), ids(&other).len());
    for (of_core, own) in [
        ("/api/v1", "/mirror/v9"),
        ("X-Workspace-ID", "X-Mirror-Acting"),
        ("X-Gatepost-", "X-Mirror-"),
        ("sk_live_", "mir_live_key_"),
        ("\"per_page\"", "\"limit\""),
        ("\"validation_failed\"", "\"BAD_INPUT\""),
        ("\"current_page\"", "\"has_more\""),
        ("posts:read", "read:posts"),
    ] {
        let (core, other) = (core.to_string(), other.to_string());
        assert!(core.contains(of_core) && other.contains(own), "{of_core} {own}");
        let left = other.find(of_core).map(|at| &other[at.saturating_sub(80)..(at + 40).min(other.len())]);
        assert_eq!(left, None, "{of_core}");
    }
    for (.., operation) in operations(&core) {
        let Some(scope) = operation["x-required-scope"].as_str() else { continue };
        assert!(!other.to_string().contains(scope), "{scope}");
    }
    for (path, method, operation) in operations(&other) {
        let responses = operation["responses"].as_object().expect("responses");
        for status in ["202", "409", "412", "422"] {
            assert!(!responses.contains_key(status), "{method} {path}: {status}");
        }
    }
}

#[test]
fn every_operation_is_described() {
    let document = gatepost_api::document(&Contract::core(), &Resources::default());
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let what = format!("{method} {path}");
        let id = operation["operationId"].as_str().expect(&what);
        assert!(ids.insert(id.to_owned()), "{id} is used twice");
        assert!(operation["summary"].as_str().is_some_and(|s| !s.is_empty()), "{what}: summary");
        let scope = operation["x-required-scope"].as_str();
        assert!(scope.map_or(NEEDS_NO_SCOPE.contains(&id), |s| s.contains(':')), "{what}: scope");
        assert!(operation["tags"].as_array().is_some_and(|t| t.len() == 1), "{what}: tag");
        let responses = operation["responses"].as_object().expect(&what);
        let is_public = operation["security"].as_array().is_some_and(Vec::is_empty);
        assert_eq!(is_public, path.starts_with("/api/v1/pixel/"), "{what}: only pages need no key");
        let mut expected = vec!["422", "429", "500", "503"];
        if !is_public {
            expected.extend(["401", "403", "404"]);
        }
        if operation.get("requestBody").is_some() {
            expected.extend(["400", "413", "415"]);
            let media = &operation["requestBody"]["content"]["application/json"];
            assert!(
                media["example"].as_object().is_some_and(|e| !e.is_empty()),
                "{what}: example of the body"
            );
        }
        if method != "GET" && id != "verify_api_key" && !is_public {
            expected.push("409");
        }
        for status in expected {
            assert!(responses.contains_key(status), "{what}: {status}");
        }
        let (status, success) = responses.iter().find(|(s, _)| s.starts_with('2')).expect(&what);
        if status != "204" {
            let media = &success["content"]["application/json"];
            let first = media["examples"].as_object().and_then(|examples| examples.values().next());
            let example = first.map_or(&media["example"], |example| &example["value"]);
            let shown = example.get("data").unwrap_or(example);
            assert!(shown.is_object() || shown.is_array(), "{what}: example of the answer");
        }
        for (status, response) in responses {
            let pointer = response["$ref"].as_str().map(|r| document.pointer(&r[1..]).expect("a component"));
            let response = pointer.unwrap_or(response);
            assert!(
                response["description"].as_str().is_some_and(|d| !d.is_empty()),
                "{what} {status}: description"
            );
        }
        let in_path = path.matches('{').count();
        let declared =
            operation["parameters"].as_array().into_iter().flatten().filter(|p| p["in"] == "path").count();
        assert_eq!(in_path, declared, "{what}: path parameters");
    }
}

/// Every operation of the core contract is there, with the scope that it names.
#[test]
fn the_core_contract_is_complete() {
    let document = gatepost_api::document(&Contract::core(), &Resources::default());
    let mut there = operations(&document);
    there.iter_mut().for_each(|(path, ..)| *path = path.trim_start_matches("/api/v1").to_owned());
    // Names of parameters are ours to choose.
    let shape = |path: &str| -> Vec<String> {
        path.split('/')
            .map(|part| if part.starts_with('{') { "{}".to_owned() } else { part.to_owned() })
            .collect()
    };
    let rows = include_str!("core-operations.txt").lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for row in rows {
        let words: Vec<&str> = row.split_whitespace().collect();
        let (method, path, scope) = (words[0], words[1], words[2]);
        let operation = there.iter().find(|(p, m, _)| m == method && shape(p) == shape(path));
        let (_, _, operation) = operation.unwrap_or_else(|| panic!("{method} {path} is not served"));
        let expected = if scope == "-" { Value::Null } else { json!(scope) };
        assert_eq!(operation["x-required-scope"], expected, "{method} {path}");
        count += 1;
    }
    assert_eq!(count, 30);
}

#[test]
fn what_generators_stumble_over_is_not_there() {
    for contract in [Contract::core(), mirror()] {
        is_sound_for_generators(&gatepost_api::document(&contract, &Resources::default()));
    }
}

/// The same of a document with declared resources, whose schemas are made while the program runs.
#[test]
fn documents_of_declared_resources_are_sound() {
    for contract in [Contract::core(), mirror(), preset("anvil"), preset("workspace-api")] {
        let declared = declarations(DECLARED, gatepost_api::taken(&contract));
        let document = gatepost_api::document(&contract, &Resources::unstored(declared));
        is_sound_for_generators(&document);
        for (path, method, operation) in operations(&document) {
            let body = &operation["requestBody"]["content"]["application/json"];
            assert!(body.is_null() || body["example"].is_object(), "{method} {path}: an example of the body");
        }
        has_no_null_keyword(&document["components"]["schemas"], "schemas");
    }
}

/// What a schema does not say it leaves out: `null` is no value of a keyword.
/// Whoever copies an example must not be refused for it.
#[test]
fn examples_are_what_their_schemas_say() {
    for contract in [Contract::core(), mirror(), preset("anvil"), preset("anthyx"), preset("workspace-api")] {
        let declared = declarations(DECLARED, gatepost_api::taken(&contract));
        let document = gatepost_api::document(&contract, &Resources::unstored(declared));
        let (mut tried, mut wrong) = (0, Vec::new());
        for (path, method, operation) in operations(&document) {
            let answers = operation["responses"].as_object().into_iter().flat_map(|all| all.values());
            for content in answers.chain([&operation["requestBody"]]).map(|holder| &holder["content"]) {
                for media in content.as_object().into_iter().flat_map(|all| all.values()) {
                    let Some(example) = media.get("example") else { continue };
                    let mut schema = media["schema"].clone();
                    schema["components"] = document["components"].clone();
                    let schema = jsonschema::validator_for(&schema).expect("a schema");
                    tried += 1;
                    let errors = schema.iter_errors(example);
                    wrong.extend(errors.map(|error| format!("{method} {path}: {error} in {example}")));
                }
            }
        }
        assert!(tried > 20, "{tried}");
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

fn has_no_null_keyword(schema: &Value, place: &str) {
    for (name, value) in schema.as_object().into_iter().flatten() {
        let is_value = matches!(name.as_str(), "example" | "default" | "examples");
        assert!(is_value || !value.is_null(), "{place}.{name} is null");
        if !is_value {
            has_no_null_keyword(value, &format!("{place}.{name}"));
        }
    }
}

fn is_sound_for_generators(document: &Value) {
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["license"]["identifier"], "MIT OR Apache-2.0");
    for (path, method, operation) in operations(document) {
        assert!(operation["responses"].get("default").is_none(), "{method} {path}: a default response");
        for (status, response) in operation["responses"].as_object().expect("responses") {
            let schema = &response["content"]["application/json"]["schema"];
            let inline = schema.is_object() && schema.get("$ref").is_none();
            assert!(!inline, "{method} {path} {status}: a schema without a name");
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        if name.ends_with("Page") {
            assert!(schema["properties"]["data"]["items"]["$ref"].is_string(), "{name} copies its items");
        }
        assert!(
            !["Boolean", "Error", "Object", "File"].contains(&name.as_str()),
            "{name} is a reserved word"
        );
    }
}

#[test]
fn the_older_document_speaks_the_older_language() {
    let (document, older) = (
        gatepost_api::document(&Contract::core(), &Resources::default()),
        gatepost_api::document_3_0(&Contract::core(), &Resources::default()),
    );
    assert_eq!(older["openapi"], "3.0.3");
    assert!(older.get("webhooks").is_none());
    let ids = |document: &Value| {
        let all = operations(document).into_iter();
        all.map(|(_, _, operation)| operation["operationId"].to_string()).collect::<BTreeSet<_>>()
    };
    assert_eq!(ids(&older), ids(&document));
    walk(&older, &mut |value| {
        assert!(!value["type"].is_array(), "{value}");
        assert!(value.get("const").is_none() && value.get("dependentRequired").is_none(), "{value}");
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').expect("a reference within the document");
            assert!(older.pointer(pointer).is_some(), "{reference}");
            assert_eq!(value.as_object().map(serde_json::Map::len), Some(1), "nothing is beside {reference}");
        }
    });
    // Its generators want one type for all errors of an operation.
    for (path, method, operation) in operations(&older) {
        for (status, response) in operation["responses"].as_object().expect("responses") {
            let pointer = response["$ref"].as_str().map(|r| older.pointer(&r[1..]).expect("a component"));
            let schema = &pointer.unwrap_or(response)["content"]["application/json"]["schema"]["$ref"];
            if status.starts_with(['4', '5']) {
                assert_eq!(schema, "#/components/schemas/ErrorBody", "{method} {path} {status}");
            }
        }
    }
}

async fn what_endpoints_receive_is_what_is_described(app: TestApp) {
    let root = &app.root_key;
    let (gone, told) = (Receiver::start().await, Receiver::start().await);
    gone.always(Reply::status(410, "", ""));
    for (receiver, events) in [(&gone, "workspace.created"), (&told, "webhook.disabled")] {
        let body = json!({ "url": receiver.url("/hook"), "events": [events] });
        app.post(root, "/webhooks", &body).await.expect(201);
    }
    let (key, _) = app.create_key(root, 0, json!({})).await;
    app.patch(root, &format!("/api-keys/{key}"), &json!({ "name": "Changed" })).await.expect(200);
    app.post(root, &format!("/api-keys/{key}/rotate"), &json!({})).await.expect(200);
    app.delete(root, &format!("/api-keys/{key}")).await.expect(204);
    let workspace = app.post(root, "/workspaces", &json!({ "name": "Described" })).await.expect(201)["data"]
        ["id"]
        .clone();
    app.patch(root, &format!("/workspaces/{workspace}"), &json!({ "name": "Changed" })).await.expect(200);
    let (tenant, _, tenants_key) = app.create_tenant("Thresholds").await;
    app.patch(root, &format!("/workspaces/{tenant}"), &json!({ "tier": "free" })).await.expect(200);
    let limit = app.get(&tenants_key, "/entitlements/check?feature=posts").await.expect(200)["limit"].clone();
    let usage = json!({ "feature": "posts", "quantity": limit });
    app.post(&tenants_key, "/entitlements/usage", &usage).await.expect(200);
    app.post(&tenants_key, "/entitlements/release", &usage).await.expect(200);
    app.delete(root, &format!("/workspaces/{workspace}")).await.expect(204);
    for score in [80, 70] {
        let scores = json!({ "performance": score, "accessibility": 90, "best_practices": 90, "seo": 90 });
        let report = json!({ "url": "https://example.com/page", "scores": scores });
        app.post(root, "/seo/report", &report).await.expect(201);
    }
    told.wait_for(1).await;

    let document = gatepost_api::document(&Contract::core(), &Resources::default());
    let resolve = |value: &Value| {
        let reference =
            value["$ref"].as_str().expect("a reference").strip_prefix('#').expect("within").to_owned();
        document.pointer(&reference).expect("a component").clone()
    };
    let members =
        |value: &Value| value.as_object().expect("members").keys().cloned().collect::<BTreeSet<_>>();
    let mut seen = BTreeSet::new();
    for key in [root, &tenants_key] {
        let own = app.get(key, "/events?per_page=100").await.expect(200);
        for event in own["data"].as_array().expect("events") {
            let event_type = event["type"].as_str().expect("a type");
            let body =
                &document["webhooks"][event_type]["post"]["requestBody"]["content"]["application/json"];
            assert!(body.is_object(), "{event_type} is not described");
            let payload = resolve(&body["schema"]);
            assert!(
                payload["properties"]["type"]["enum"]
                    .as_array()
                    .is_some_and(|types| types.contains(&event["type"]))
            );
            let data = resolve(&payload["properties"]["data"]);
            assert_eq!(members(&event["data"]), members(&data["properties"]), "{event_type}");
            let required: BTreeSet<String> = data["required"]
                .as_array()
                .expect("all")
                .iter()
                .map(|name| name.as_str().expect("a name").to_owned())
                .collect();
            assert_eq!(required, members(&data["properties"]), "{event_type}: all are always there");
            seen.insert(event_type.to_owned());
        }
    }
    let described = members(&document["webhooks"]);
    // Tests are no events, and what tenants publish is theirs.
    let expected: BTreeSet<String> = described
        .into_iter()
        .filter(|name| !["webhook.test", "published"].contains(&name.as_str()))
        .collect();
    assert_eq!(seen, expected);
}
