//! The OpenAPI document, collected from the handlers and completed with what is the same for all of them: the
//! security schemes, the error answers that follow from an operation's shape, and examples put together from
//! those of the fields.

use actix_web::App;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;
use utoipa_actix_web::AppExt;

use crate::{operations, wire};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Gatepost API",
        description = "API keys, scopes, rate limits, entitlements and signed webhooks.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "/", description = "This server")),
    tags(
        (name = "Workspaces", description = "The tenants."),
        (name = "API keys", description = "Keys, their scopes and their life."),
        (name = "Audit log", description = "Who changed what."),
    ),
    components(schemas(wire::ErrorBody, wire::ValidationErrorBody, wire::ServerErrorBody, wire::Problem))
)]
struct Skeleton;

/// The methods that operations have.
pub const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The error answers that operations share: name, status, description, schema.
const SHARED: [(&str, &str, &str, &str); 10] = [
    ("BadRequest", "400", "The request cannot be read", "ErrorBody"),
    ("Unauthorized", "401", "No API key, or one that cannot be used", "ErrorBody"),
    ("Forbidden", "403", "The API key may not do this", "ErrorBody"),
    ("NotFound", "404", "There is no such thing, or the API key may not see it", "ErrorBody"),
    ("Conflict", "409", "A request with the same Idempotency-Key is still being processed", "ErrorBody"),
    ("PayloadTooLarge", "413", "The body is too large", "ErrorBody"),
    ("UnsupportedMediaType", "415", "The body is not JSON", "ErrorBody"),
    ("UnprocessableEntity", "422", "The input breaks a rule", "ValidationErrorBody"),
    ("ServerError", "500", "A fault of the server", "ServerErrorBody"),
    (
        "ServiceUnavailable",
        "503",
        "The database does not answer; nothing is wrong with the request",
        "ErrorBody",
    ),
];

/// The whole document, OpenAPI 3.1.
pub fn document() -> Value {
    let (_, collected) =
        App::new().into_utoipa_app().openapi(Skeleton::openapi()).configure(operations).split_for_parts();
    let mut document = serde_json::to_value(collected).unwrap_or_default();
    document["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));

    let components = &mut document["components"];
    components["securitySchemes"] = json!({
        "bearer": { "type": "http", "scheme": "bearer", "description": "The API key." },
        "basic": { "type": "http", "scheme": "basic", "description": "The API key as user name, without password." },
    });
    for (name, _, description, schema) in SHARED {
        components["responses"][name] = json!({
            "description": description,
            "content": {
                "application/json": { "schema": reference("schemas", schema) },
                "application/problem+json": { "schema": reference("schemas", "Problem") },
            },
        });
    }
    for (name, parameter) in shared_parameters() {
        components["parameters"][name] = parameter;
    }
    if let Some(schemas) = components["schemas"].as_object_mut() {
        // Unknown members are refused, so a misspelt one cannot be lost.
        for (_, schema) in schemas.iter_mut().filter(|(name, _)| is_request_body(name)) {
            schema["additionalProperties"] = json!(false);
        }
    }
    let schemas = components["schemas"].clone();
    for response in members(&mut components["responses"]) {
        add_examples(response, &schemas);
    }
    for item in members(&mut document["paths"]) {
        if let Value::Object(operations) = item {
            for (method, operation) in
                operations.iter_mut().filter(|(method, _)| METHODS.contains(&method.as_str()))
            {
                complete(operation, method != "get", &schemas);
            }
        }
    }
    document
}

/// Fills in what follows from the shape of an operation.
fn complete(operation: &mut Value, changes: bool, schemas: &Value) {
    operation["security"] = json!([{ "bearer": [] }, { "basic": [] }]);
    let mut parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    parameters.push(reference("parameters", "ActingWorkspace"));
    if changes {
        parameters.push(reference("parameters", "IdempotencyKey"));
    }
    operation["parameters"] = Value::Array(parameters);
    let takes_body = operation.get("requestBody").is_some();
    for (name, status, ..) in SHARED {
        let applies = match status {
            "400" | "413" | "415" => takes_body,
            "409" => changes,
            _ => true,
        };
        if applies && operation["responses"].get(status).is_none() {
            operation["responses"][status] = reference("responses", name);
        }
    }
    for response in members(&mut operation["responses"]) {
        add_examples(response, schemas);
    }
    if takes_body {
        add_examples(&mut operation["requestBody"], schemas);
    }
}

fn shared_parameters() -> [(&'static str, Value); 2] {
    let acting = json!({
        "name": "X-Workspace-ID",
        "in": "header",
        "required": false,
        "description": "The workspace to act on. Keys of the root workspace may name any, others only their own.",
        "schema": { "type": "integer", "format": "int64", "minimum": 1 },
    });
    let idempotency = json!({
        "name": "Idempotency-Key",
        "in": "header",
        "required": false,
        "description": "Makes a repetition of this request safe for 24 hours: it gets the same answer again.",
        "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
    });
    [("ActingWorkspace", acting), ("IdempotencyKey", idempotency)]
}

fn is_request_body(schema: &str) -> bool {
    ["Create", "Update", "Rotate"].iter().any(|verb| schema.starts_with(verb)) && schema.ends_with("Body")
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

fn members(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    value.as_object_mut().into_iter().flat_map(Map::values_mut)
}

fn add_examples(holder: &mut Value, schemas: &Value) {
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
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return example(&schemas[name], schemas);
    }
    if let Some(choice) = schema["oneOf"].as_array() {
        return choice.iter().find_map(|schema| example(schema, schemas));
    }
    let is = |kind: &str| {
        schema["type"] == kind || schema["type"].as_array().is_some_and(|k| k.contains(&json!(kind)))
    };
    if let Some(properties) = schema["properties"].as_object() {
        let known =
            properties.iter().filter_map(|(name, schema)| Some((name.clone(), example(schema, schemas)?)));
        return Some(Value::Object(known.collect::<Map<_, _>>()));
    }
    if is("array") {
        return Some(Value::Array(example(&schema["items"], schemas).into_iter().collect()));
    }
    is("null").then_some(Value::Null)
}
