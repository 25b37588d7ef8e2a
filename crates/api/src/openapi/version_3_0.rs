//! The same document in OpenAPI 3.0, for generators that know nothing newer. What 3.0 cannot say (`webhooks`)
//! is left out; the rest is said in its words: `nullable` instead of a type `null`, `allOf` around a
//! reference that has something beside it.

use std::collections::HashMap;

use gatepost_app::resources::Resources;
use gatepost_contract::Contract;
use serde_json::{Map, Value, json};

/// The whole document, OpenAPI 3.0.
pub fn document(contract: &Contract, resources: &Resources) -> Value {
    // Where a member can be null and refers to a schema, 3.0 has no words for an example that is null.
    let mut document = super::collect(contract, resources, &Value::Null);
    if let Value::Object(members) = &mut document {
        members.remove("webhooks");
        members.remove("jsonSchemaDialect");
    }
    document["openapi"] = json!("3.0.3");
    if let Some(license) = document["info"]["license"].as_object_mut() {
        license.remove("identifier");
        license.insert("url".to_owned(), json!("https://spdx.org/licenses/"));
    }
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        // Only what endpoints receive uses these.
        let is_record = |name: &str| resources.declarations().iter().any(|declared| declared.stem() == name);
        let is_event = |name: &str| name.ends_with("Event") || name.ends_with("EventData");
        schemas.retain(|name, _| is_record(name) || !is_event(name));
    }
    one_error(&mut document);
    let types = types_of(&document["components"]["schemas"]);
    lower(&mut document, &types);
    document.sort_all_objects();
    document
}

/// Errors that have members of their own.
const SPECIAL: [&str; 3] = ["ValidationErrorBody", "RateLimitErrorBody", "EntitlementRefusalBody"];

/// Generators for 3.0 want all errors of an operation to be of one type: one that has the members of all.
fn one_error(document: &mut Value) {
    let schemas = &mut document["components"]["schemas"];
    for special in SPECIAL {
        let Some(special) = schemas.as_object_mut().and_then(|schemas| schemas.remove(special)) else {
            continue;
        };
        for (name, member) in special["properties"].as_object().into_iter().flatten() {
            let common = &mut schemas["ErrorBody"]["properties"];
            if common.get(name).is_none() {
                common[name] = member.clone();
            }
        }
    }
    refer_to_one_error(document);
}

fn refer_to_one_error(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(name) = text.strip_prefix("#/components/schemas/")
                && SPECIAL.contains(&name)
            {
                *text = "#/components/schemas/ErrorBody".to_owned();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(refer_to_one_error),
        Value::Object(members) => members.values_mut().for_each(refer_to_one_error),
        _ => {}
    }
}

/// What the schemas that others refer to are, where they are no objects.
type Types = HashMap<String, Value>;

fn types_of(schemas: &Value) -> Types {
    let schemas = schemas.as_object().into_iter().flatten();
    let types =
        schemas.map(|(name, schema)| (format!("#/components/schemas/{name}"), schema["type"].clone()));
    types.filter(|(_, kind)| kind.is_string() && kind != "object").collect()
}

fn lower(value: &mut Value, types: &Types) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| lower(item, types)),
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                // Examples are data: a member of theirs that is called `type` is no type.
                if !matches!(name.as_str(), "example" | "default" | "enum" | "required") {
                    lower(member, types);
                }
            }
            lower_schema(members, types);
        }
        _ => {}
    }
}

fn lower_schema(schema: &mut Map<String, Value>, named: &Types) {
    if let Some(Value::Array(types)) = schema.get("type") {
        let mut types: Vec<Value> = types.clone();
        let before = types.len();
        types.retain(|kind| kind != "null");
        if types.len() < before {
            schema.insert("nullable".to_owned(), json!(true));
        }
        match types.as_slice() {
            [one] => schema.insert("type".to_owned(), one.clone()),
            _ => schema.remove("type"),
        };
    }
    if let Some(Value::Array(choices)) = schema.get("oneOf") {
        let (nulls, others): (Vec<Value>, Vec<Value>) =
            choices.iter().cloned().partition(|choice| *choice == json!({ "type": "null" }));
        if !nulls.is_empty() {
            schema.insert("nullable".to_owned(), json!(true));
            let word = if others.len() == 1 { "allOf" } else { "oneOf" };
            schema.remove("oneOf");
            // A type must stand beside it.
            let reference = others.first().and_then(reference_in);
            let kind = reference.and_then(|reference| named.get(reference)).cloned();
            schema.insert("type".to_owned(), kind.unwrap_or_else(|| json!("object")));
            schema.insert(word.to_owned(), Value::Array(others));
        }
    }
    if let Some(constant) = schema.remove("const") {
        schema.insert("enum".to_owned(), json!([constant]));
    }
    for word in ["propertyNames", "dependentRequired", "contentMediaType", "contentEncoding"] {
        // Not a member of a thing that happens to be called so.
        if schema.contains_key("type") {
            schema.remove(word);
        }
    }
    let is_schema = schema.len() > 1 && schema.get("$ref").is_some_and(Value::is_string);
    if is_schema && let Some(reference) = schema.remove("$ref") {
        schema.insert("allOf".to_owned(), json!([{ "$ref": reference }]));
    }
}

/// What a schema refers to, by itself or with something beside.
fn reference_in(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lowered(mut value: Value) -> Value {
        lower(&mut value, &Types::from([("#/word".to_owned(), json!("string"))]));
        value
    }

    #[test]
    fn null_is_said_in_the_old_words() {
        for (new, old) in [
            (json!({ "type": ["string", "null"] }), json!({ "type": "string", "nullable": true })),
            (
                json!({ "oneOf": [{ "$ref": "#/a" }, { "type": "null" }] }),
                json!({ "type": "object", "allOf": [{ "$ref": "#/a" }], "nullable": true }),
            ),
            (
                json!({ "oneOf": [{ "$ref": "#/word", "description": "b" }, { "type": "null" }] }),
                json!({ "type": "string", "allOf": [{ "allOf": [{ "$ref": "#/word" }], "description": "b" }], "nullable": true }),
            ),
            (
                json!({ "$ref": "#/a", "description": "b" }),
                json!({ "allOf": [{ "$ref": "#/a" }], "description": "b" }),
            ),
            (json!({ "$ref": "#/a" }), json!({ "$ref": "#/a" })),
            (json!({ "type": "string", "const": "x" }), json!({ "type": "string", "enum": ["x"] })),
        ] {
            assert_eq!(lowered(new), old);
        }
        let example = json!({ "example": { "type": ["string", "null"] } });
        assert_eq!(lowered(example.clone()), example, "data is left alone");
    }
}
