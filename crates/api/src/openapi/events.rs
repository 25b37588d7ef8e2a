//! What endpoints receive: the `webhooks` of the document, one for each type of event that Gatepost itself sends, and one for the
//! tenants' own.

use serde_json::{Value, json};

use crate::{
    describe::{Described, Schemas},
    webhooks::own_events_wire::{
        ApiKeyEventData, RotatedApiKeyEventData, SeoReportEventData, SeoScoreDroppedEventData,
        ThresholdEventData, WebhookDisabledEventData, WebhookTestEventData, WorkspaceEventData,
    },
};

/// Type of the event, when it is sent, and the schema of its `data`.
pub const EVENTS: [(&str, &str, &str); 13] = [
    ("api_key.created", "An API key was created", "ApiKeyEventData"),
    ("api_key.updated", "An API key was changed", "ApiKeyEventData"),
    ("api_key.rotated", "An API key was replaced; the data is the new one's", "RotatedApiKeyEventData"),
    ("api_key.revoked", "An API key was revoked", "ApiKeyEventData"),
    ("workspace.created", "A workspace was created", "WorkspaceEventData"),
    ("workspace.updated", "A workspace was changed", "WorkspaceEventData"),
    ("workspace.deleted", "A workspace was deleted", "WorkspaceEventData"),
    ("entitlement.threshold_reached", "The usage of a feature reached a threshold", "ThresholdEventData"),
    ("entitlement.threshold_cleared", "The usage of a feature fell below a threshold", "ThresholdEventData"),
    ("seo.report.created", "An SEO report was submitted", "SeoReportEventData"),
    (
        "seo.score.dropped",
        "A score is 10 points or more below what it was in the last report on the page",
        "SeoScoreDroppedEventData",
    ),
    ("webhook.disabled", "An endpoint answered 410 Gone and was disabled", "WebhookDisabledEventData"),
    ("webhook.test", "A test delivery was requested", "WebhookTestEventData"),
];

/// The section; the schemas that it needs go to `schemas`.
pub fn webhooks(schemas: &mut Schemas) -> Value {
    let data_of = |name: &str, schemas: &mut Schemas| match name {
        "ApiKeyEventData" => ApiKeyEventData::schema(schemas),
        "RotatedApiKeyEventData" => RotatedApiKeyEventData::schema(schemas),
        "WorkspaceEventData" => WorkspaceEventData::schema(schemas),
        "ThresholdEventData" => ThresholdEventData::schema(schemas),
        "SeoReportEventData" => SeoReportEventData::schema(schemas),
        "SeoScoreDroppedEventData" => SeoScoreDroppedEventData::schema(schemas),
        "WebhookDisabledEventData" => WebhookDisabledEventData::schema(schemas),
        _ => WebhookTestEventData::schema(schemas),
    };
    let mut webhooks = serde_json::Map::new();
    for (event_type, about, data) in EVENTS {
        let name = format!("{}Event", data.trim_end_matches("EventData"));
        let types: Vec<&str> = EVENTS
            .iter()
            .filter(|(_, _, other)| *other == data)
            .map(|(event_type, ..)| *event_type)
            .collect();
        let data = data_of(data, schemas);
        schemas.named(&name, |_| {
            let mut event = event(data);
            event["properties"]["type"]["enum"] = json!(types);
            event
        });
        webhooks.insert(event_type.to_owned(), webhook(event_type, about, &name));
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
