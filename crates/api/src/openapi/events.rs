//! What endpoints receive: the `webhooks` of the document, one for each type of event that Gatepost itself
//! sends, and one for the tenants' own.

use gatepost_app::resources::Resources;
use gatepost_contract::Contract;
use gatepost_delivery::OwnEvent;
use gatepost_kernel::describe::Schemas;
use serde_json::{Map, Value, json};

use crate::resources::record_events;

/// The section; the schemas that it needs go to `schemas`.
pub fn webhooks(contract: &Contract, schemas: &mut Schemas, resources: &Resources) -> Value {
    let mut webhooks = Map::new();
    let all: Vec<(&str, &str, Value)> =
        OwnEvent::TYPES.iter().map(|own| (own.name, own.about.trim(), (own.data)(schemas))).collect();
    for (event_type, about, data) in &all {
        let with_this: Vec<&str> =
            all.iter().filter(|(.., other)| other == data).map(|(name, ..)| *name).collect();
        let data_name = data["$ref"].as_str().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        let name = data_name.trim_end_matches("Data");
        schemas.named(name, |_| {
            let mut event = contract.event_schema(data);
            event["properties"]["type"]["enum"] = json!(with_this);
            event
        });
        webhooks.insert((*event_type).to_owned(), contract.webhook(event_type, about, name));
    }
    for (event_type, about, name) in record_events(contract, schemas, resources) {
        webhooks.insert(event_type.to_owned(), contract.webhook(event_type, &about, &name));
    }
    schemas.named("PublishedEvent", |_| {
        contract.event_schema(&json!({ "description": "Data the event was published with." }))
    });
    let about = "An event that a tenant has published, of whatever type";
    webhooks.insert("published".to_owned(), contract.webhook("published", about, "PublishedEvent"));
    Value::Object(webhooks)
}

/// Takes the types of events that are sent for records out of those that callers may publish.
pub fn take_out_sent(schemas: &mut Map<String, Value>, resources: &Resources) {
    let sent = resources.declarations().iter().flat_map(|declared| declared.event_types());
    let sent: Vec<String> = sent.map(|event_type| event_type.replace('.', "\\.")).collect();
    let published =
        schemas.get_mut("CreateEventBody").and_then(|body| body.pointer_mut("/properties/type/pattern"));
    if let Some(Value::String(pattern)) = published.filter(|_| !sent.is_empty()) {
        *pattern = format!("^(?!({})$){}", sent.join("|"), pattern.trim_start_matches('^'));
    }
}
