//! `openapi/` holds what the binary prints, and what would break a client is found by comparing with the last
//! release.

use std::{fs, process::Command};

use serde_json::Value;

use crate::{Failure, cargo::cargo, files, say};

/// The document of the core contract.
const CORE: &str = "openapi/openapi.json";

/// What the binary prints when it is called with `args`.
pub fn gatepost(args: &[&str]) -> Result<String, Failure> {
    let run = ["run", "--quiet", "--locked", "--package", "gatepost-server", "--"];
    let output = cargo().args(run).args(args).current_dir(files::root()).output()?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(String::from_utf8_lossy(&output.stderr).into()),
    }
}

/// Writes or checks the documents.
pub fn run(check: bool) -> Result<(), Failure> {
    let core = gatepost(&["openapi"])?;
    files::write_or_check(CORE, &core, check, "openapi")?;
    let older = gatepost(&["openapi", "--format", "3.0"])?;
    files::write_or_check("openapi/openapi-3.0.json", &older, check, "openapi")?;
    for preset in presets()? {
        let document = gatepost(&["--preset", &preset, "openapi"])?;
        // One that spells out what holds without a preset needs no document of its own.
        if document != core {
            files::write_or_check(&format!("openapi/{preset}.json"), &document, check, "openapi")?;
        }
    }
    Ok(())
}

/// The names of the presets.
fn presets() -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for entry in fs::read_dir(files::root().join("presets"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
        }
    }
    names.sort();
    Ok(names)
}

/// Says what in the present document would break a client of the last tag's.
pub fn breaking() -> Result<(), Failure> {
    let git = |args: &[&str]| Command::new("git").args(args).current_dir(files::root()).output();
    let tag = git(&["describe", "--tags", "--abbrev=0"])?;
    if !tag.status.success() {
        say("there is no tag yet, so there is no client to break");
        return Ok(());
    }
    let tag = String::from_utf8(tag.stdout)?.trim().to_owned();
    let file = CORE;
    let before = git(&["show", &format!("{tag}:{file}")])?;
    if !before.status.success() {
        return Err(format!("{tag} has no {file}").into());
    }
    let before: Value = serde_json::from_slice(&before.stdout)?;
    let now: Value = serde_json::from_str(&fs::read_to_string(files::root().join(file))?)?;
    let breaks = compare(&before, &now);
    if breaks.is_empty() {
        say(&format!("nothing breaks a client of {tag}"));
        return Ok(());
    }
    breaks.iter().for_each(|line| say(line));
    Err(format!("{} things would break a client of {tag}", breaks.len()).into())
}

/// What a client made from `before` may find missing, or be asked for, in `now`.
fn compare(before: &Value, now: &Value) -> Vec<String> {
    let mut breaks = Vec::new();
    for (path, item) in members(&before["paths"]) {
        for (method, operation) in members(item) {
            let what = format!("{} {path}", method.to_uppercase());
            match now["paths"][path].get(method) {
                Some(present) => compare_operations(&what, (before, operation), (now, present), &mut breaks),
                None => breaks.push(format!("{what}: the operation is gone")),
            }
        }
    }
    breaks
}

type Within<'a> = (&'a Value, &'a Value);

fn compare_operations(what: &str, before: Within<'_>, now: Within<'_>, breaks: &mut Vec<String>) {
    if before.1["operationId"] != now.1["operationId"] {
        breaks.push(format!("{what}: the operation has another id"));
    }
    if before.1["x-required-scope"] != now.1["x-required-scope"] {
        breaks.push(format!("{what}: another scope is required"));
    }
    let parameters = |(document, operation): Within<'_>| -> Vec<Value> {
        let all = operation["parameters"].as_array().cloned().unwrap_or_default();
        all.iter().map(|parameter| resolve(document, parameter).clone()).collect()
    };
    let (known, present) = (parameters(before), parameters(now));
    let same = |a: &Value, b: &Value| a["name"] == b["name"] && a["in"] == b["in"];
    for parameter in &known {
        let name = format!("{what}: parameter {}", parameter["name"].as_str().unwrap_or_default());
        match present.iter().find(|other| same(parameter, other)) {
            Some(other) => {
                compare_schemas(
                    &name,
                    (before.0, &parameter["schema"]),
                    (now.0, &other["schema"]),
                    Way::In,
                    breaks,
                );
            }
            None => breaks.push(format!("{name} is gone")),
        }
    }
    for parameter in present.iter().filter(|parameter| parameter["required"] == true) {
        if !known.iter().any(|other| same(parameter, other) && other["required"] == true) {
            let name = parameter["name"].as_str().unwrap_or_default();
            breaks.push(format!("{what}: parameter {name} is required"));
        }
    }
    let body = |(_, operation): Within<'_>| {
        operation["requestBody"]["content"]["application/json"]["schema"].clone()
    };
    let (known, present) = (body(before), body(now));
    if !known.is_null() {
        compare_schemas(&format!("{what}: body"), (before.0, &known), (now.0, &present), Way::In, breaks);
    } else if now.1["requestBody"]["required"] == true {
        breaks.push(format!("{what}: a body is required"));
    }
    for (status, response) in members(&before.1["responses"]).filter(|(status, _)| status.starts_with('2')) {
        let Some(present) = now.1["responses"].get(status) else {
            breaks.push(format!("{what}: the answer {status} is gone"));
            continue;
        };
        let schema =
            |document, response| resolve(document, response)["content"]["application/json"]["schema"].clone();
        let (known, present) = (schema(before.0, response), schema(now.0, present));
        compare_schemas(
            &format!("{what}: {status}"),
            (before.0, &known),
            (now.0, &present),
            Way::Out,
            breaks,
        );
    }
}

/// Whether the client writes it or reads it.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    In,
    Out,
}

fn compare_schemas(what: &str, before: Within<'_>, now: Within<'_>, way: Way, breaks: &mut Vec<String>) {
    compare_to_depth(what, before, now, way, 8, breaks);
}

/// Schemas may hold themselves; nobody nests this deep.
fn compare_to_depth(
    what: &str,
    before: Within<'_>,
    now: Within<'_>,
    way: Way,
    depth: u32,
    breaks: &mut Vec<String>,
) {
    let (known, present) = (resolve(before.0, before.1), resolve(now.0, now.1));
    if depth == 0 || known.is_null() {
        return;
    }
    if types(known) != types(present) {
        let narrower = match way {
            Way::In => !types(known).is_subset(&types(present)),
            Way::Out => !types(present).is_subset(&types(known)),
        };
        if narrower {
            breaks.push(format!("{what}: the type was {:?} and is {:?}", types(known), types(present)));
        }
    }
    let words = |schema: &Value| schema["enum"].as_array().cloned().unwrap_or_default();
    let gone: Vec<Value> = words(known).into_iter().filter(|word| !words(present).contains(word)).collect();
    if way == Way::In && !words(present).is_empty() && !gone.is_empty() {
        breaks.push(format!("{what}: no longer one of {gone:?}"));
    }
    // A generated client reads what it knows, and breaks on anything else.
    let new: Vec<Value> = words(present).into_iter().filter(|word| !words(known).contains(word)).collect();
    if way == Way::Out && !words(known).is_empty() && (!new.is_empty() || words(present).is_empty()) {
        breaks.push(format!("{what}: may now be something else than {:?}: {new:?}", words(known)));
    }
    let required = |schema: &Value, name: &str| {
        schema["required"].as_array().is_some_and(|names| names.iter().any(|other| other == name))
    };
    for (name, schema) in members(&known["properties"]) {
        let what = format!("{what}.{name}");
        match present["properties"].get(name) {
            Some(other) => {
                if way == Way::Out && required(known, name) && !required(present, name) {
                    breaks.push(format!("{what} may be missing"));
                }
                compare_to_depth(&what, (before.0, schema), (now.0, other), way, depth - 1, breaks);
            }
            None => breaks.push(format!("{what} is gone")),
        }
    }
    if way == Way::In {
        for (name, _) in members(&present["properties"]) {
            if required(present, name) && !required(known, name) {
                breaks.push(format!("{what}.{name} is required"));
            }
        }
    }
    if known.get("items").is_some() {
        let (known, present) = ((before.0, &known["items"]), (now.0, &present["items"]));
        compare_to_depth(&format!("{what}[]"), known, present, way, depth - 1, breaks);
    }
}

fn types(schema: &Value) -> std::collections::BTreeSet<String> {
    let own = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::String(one) => vec![one.clone()],
        _ => Vec::new(),
    };
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    own.into_iter().chain(choices.flat_map(types)).collect()
}

fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let pointer = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        json!({
            "paths": { "/things": { "post": {
                "operationId": "create_thing",
                "x-required-scope": "things:write",
                "parameters": [{ "$ref": "#/components/parameters/Page" }],
                "requestBody": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Body" } } } },
                "responses": { "201": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/View" } } } } },
            } } },
            "components": {
                "parameters": { "Page": { "name": "page", "in": "query", "schema": { "type": "integer" } } },
                "schemas": {
                    "Body": { "properties": { "kind": { "type": "string", "enum": ["a", "b"] } } },
                    "View": {
                        "required": ["id"],
                        "properties": { "id": { "type": "integer" }, "own": { "type": "array", "items": { "$ref": "#/components/schemas/View" } } },
                    },
                },
            },
        })
    }

    #[test]
    fn what_is_added_breaks_nobody() {
        let before = document();
        assert_eq!(compare(&before, &before), Vec::<String>::new());
        let mut now = document();
        now["paths"]["/more"] = json!({ "get": {} });
        now["components"]["schemas"]["View"]["properties"]["more"] = json!({ "type": "string" });
        now["components"]["schemas"]["Body"]["properties"]["more"] = json!({ "type": "string" });
        now["components"]["schemas"]["Body"]["properties"]["kind"]["enum"] = json!(["a", "b", "c"]);
        assert_eq!(compare(&before, &now), Vec::<String>::new());
    }

    #[test]
    fn what_breaks_a_client_is_named() {
        let changes: [(&str, Value, &str); 8] = [
            ("/paths/~1things", json!({}), "the operation is gone"),
            ("/paths/~1things/post/operationId", json!("make_thing"), "another id"),
            ("/paths/~1things/post/x-required-scope", json!("admin:write"), "another scope"),
            ("/components/parameters/Page/name", json!("p"), "parameter page is gone"),
            ("/components/schemas/Body/properties/kind/enum", json!(["a"]), "no longer one of"),
            ("/components/schemas/View/properties/id/type", json!("string"), "the type was"),
            ("/components/schemas/View/required", json!([]), ".id may be missing"),
            ("/components/schemas/View/properties/own", Value::Null, ".own[].id is gone"),
        ];
        for (place, value, expected) in changes {
            let mut now = document();
            *now.pointer_mut(place).expect("a place") = value;
            let breaks = compare(&document(), &now);
            assert!(breaks.iter().any(|line| line.contains(expected)), "{place}: {breaks:?}");
        }
        let mut now = document();
        now["components"]["schemas"]["Body"]["required"] = json!(["kind"]);
        assert_eq!(compare(&document(), &now), ["POST /things: body.kind is required"]);
    }
}
