//! What endpoints receive: the `webhooks` of the document, one for each type of event that Gatepost itself sends, and one for the
//! tenants' own.

use gatepost_delivery::OwnEvent;
use gatepost_kernel::describe::Schemas;
use serde_json::{Map, Value, json};

/// The section; the schemas that it needs go to `schemas`.
pub fn webhooks(schemas: &mut Schemas) -> Value {
    let mut webhooks = Map::new();
    let all: Vec<(&str, &str, Value)> =
        OwnEvent::TYPES.iter().map(|own| (own.name, own.about.trim(), (own.data)(schemas))).collect();
    for (event_type, about, data) in &all {
        let with_this: Vec<&str> =
            all.iter().filter(|(.., other)| other == data).map(|(name, ..)| *name).collect();
        let data_name = data["$ref"].as_str().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        let name = data_name.trim_end_matches("Data");
        schemas.named(name, |_| {
            let mut event = event(data.clone());
            event["properties"]["type"]["enum"] = json!(with_this);
            event
        });
        webhooks.insert((*event_type).to_owned(), webhook(event_type, about, name));
    }
    schemas
        .named("PublishedEvent", |_| event(json!({ "description": "Data the event was published with." })));
    let about = "An event that a tenant has published, of whatever type";
    webhooks.insert("published".to_owned(), webhook("published", about, "PublishedEvent"));
    Value::Object(webhooks)
}

/// What every event looks like.
fn event(data: Value) -> Value {
    json!({
        "type": "object",
        "description": "An event as it is posted to endpoints.",
        "required": ["id", "type", "created_at", "workspace_id", "environment", "data"],
        "properties": {
            "id": { "type": "string", "description": "Id of the event, the same in every delivery and attempt.", "example": "evt_abc123def456" },
            "type": { "type": "string", "description": "Type of the event." },
            "created_at": { "type": "string", "format": "date-time", "description": "Time at which the event happened.", "example": "2026-01-15T10:30:00Z" },
            "workspace_id": { "type": "integer", "format": "int64", "description": "Numeric id of the workspace.", "example": 1 },
            "environment": { "type": "string", "enum": ["live", "test"], "description": "Environment: `live` or `test`.", "example": "live" },
            "data": data,
        },
    })
}

fn webhook(event_type: &str, about: &str, schema: &str) -> Value {
    let header = |name: &str, about: &str| json!({ "name": name, "in": "header", "required": true, "description": about, "schema": { "type": "string" } });
    let id = event_type.replace('.', "_");
    json!({
        "post": {
            "operationId": format!("on_{id}"),
            "tags": ["Webhooks"],
            "summary": about,
            "description": "Signed by Standard Webhooks, with the endpoint's secret. Any answer from 200 to 299 counts as received.",
            "security": [],
            "parameters": [
                header("webhook-id", "Id of the event; the same when a delivery is repeated."),
                header("webhook-timestamp", "Time at which this attempt was signed, in Unix seconds."),
                header("webhook-signature", "One or more signatures, each `v1,` and base64, separated by blanks."),
                header("X-Webhook-Signature", "`sha256=` and the HMAC of the body in hexadecimal."),
            ],
            "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": { "$ref": format!("#/components/schemas/{schema}") } } },
            },
            "responses": { "200": { "description": "The event was received" } },
        },
    })
}
