//! Examples of whole bodies, put together from the examples of their fields.

use serde_json::{Map, Value, json};

use crate::views::View;
use crate::{
    tenants::views::{ApiKeyView, WorkspaceView},
    webhooks::endpoints_wire::WebhookView,
};

pub(super) fn add_examples(holder: &mut Value, schemas: &Value) {
    let Some(Value::Object(content)) = holder.get_mut("content") else { return };
    for media in content.values_mut() {
        if let Some(example) = example(&media["schema"], schemas) {
            media["example"] = example;
        }
    }
}

/// An example of a schema, put together from the examples of its fields.
fn example(schema: &Value, schemas: &Value) -> Option<Value> {
    if let Some(own) = schema.get("example") {
        return Some(own.clone());
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().find(|word| !word.is_null()).cloned();
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return example(&schemas[name], schemas);
    }
    if let Some(choice) = schema["oneOf"].as_array() {
        return choice.iter().find_map(|schema| example(schema, schemas));
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let objects = parts.iter().filter_map(|part| match example(part, schemas)? {
            Value::Object(members) => Some(members),
            _ => None,
        });
        return Some(Value::Object(objects.flatten().collect()));
    }
    let is = |kind: &str| {
        schema["type"] == kind || schema["type"].as_array().is_some_and(|k| k.contains(&json!(kind)))
    };
    if let Some(properties) = schema["properties"].as_object() {
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let known = properties.iter().filter_map(|(name, schema)| {
            let is_required = required.contains(&name.as_str());
            // What is included leads back to where it is included in.
            let shown = (is_required || !is_included(name)).then(|| example(schema, schemas)).flatten();
            let value = shown.or_else(|| is_required.then(|| any_value(schema)).flatten());
            Some((name.clone(), value?))
        });
        return Some(Value::Object(known.collect::<Map<_, _>>()));
    }
    if is("array") {
        return Some(Value::Array(example(&schema["items"], schemas).into_iter().collect()));
    }
    if is("null") {
        return Some(Value::Null);
    }
    // What can be anything is often an object.
    schema.get("type").is_none().then(|| json!({ "id": 7 }))
}

/// A value for a member that is always there, where none says more.
fn any_value(schema: &Value) -> Option<Value> {
    match schema["type"].as_str()? {
        "boolean" => Some(json!(true)),
        "object" => Some(json!({})),
        _ => None,
    }
}

/// Whether a member is there only if it is included.
fn is_included(name: &str) -> bool {
    let included = [WorkspaceView::INCLUDED, ApiKeyView::INCLUDED, WebhookView::INCLUDED];
    included.into_iter().flatten().any(|included| included.name == name)
}
