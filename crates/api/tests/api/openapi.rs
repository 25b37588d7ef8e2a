//! The OpenAPI document is complete, and what it says is so.

use std::collections::BTreeSet;

use serde_json::Value;

/// Operations that any key may call; this list may only shrink.
pub const NEEDS_NO_SCOPE: [&str; 1] = ["forward_auth"];

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
    let document = gatepost_api::document();
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

#[test]
fn every_operation_is_described() {
    let document = gatepost_api::document();
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
        let mut expected = vec!["401", "403", "404", "422", "429", "500", "503"];
        if operation.get("requestBody").is_some() {
            expected.extend(["400", "413", "415"]);
            let media = &operation["requestBody"]["content"]["application/json"];
            assert!(
                media["example"].as_object().is_some_and(|e| !e.is_empty()),
                "{what}: example of the body"
            );
        }
        if method != "GET" && id != "verify_api_key" {
            expected.push("409");
        }
        for status in expected {
            assert!(responses.contains_key(status), "{what}: {status}");
        }
        let (status, success) = responses.iter().find(|(s, _)| s.starts_with('2')).expect(&what);
        if status != "204" {
            let example = &success["content"]["application/json"]["example"];
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

#[test]
fn what_generators_stumble_over_is_not_there() {
    let document = gatepost_api::document();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["license"]["identifier"], "MIT OR Apache-2.0");
    for (path, method, operation) in operations(&document) {
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
