//! Declared resources: what can be declared, and what becomes of records.

mod declarations;
mod index;
mod records;

use gatepost_kernel::{JsonObject, Timestamp};
use gatepost_resources::{Declarations, ResourceSettings, ResourceType, SettingError, Taken};
use indexmap::IndexMap;
use serde::Deserialize;
use serde_spanned::Spanned;

const EXAMPLE: &str = include_str!("example.toml");

#[derive(Deserialize)]
struct File {
    resources: IndexMap<Spanned<String>, ResourceSettings>,
}

fn taken() -> Taken {
    let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Taken {
        paths: set(&["webhooks", "workspaces"]),
        events: set(&["webhook", "workspace"]),
        operations: set(&["list_webhooks", "list_invoices"]),
        schemas: set(&["ErrorBody", "Problem"]),
        features: set(&["leads"]),
    }
}

fn declared(text: &str) -> Result<Declarations, SettingError> {
    let file: File = toml::from_str(text)
        .map_err(|error| (error.span().map_or(0, |span| span.start), error.message().to_owned()))?;
    Declarations::of(&file.resources, &taken())
}

fn example(name: &str) -> ResourceType {
    let all = declared(EXAMPLE).expect("the example");
    all.get(name).cloned().expect("a type of the example")
}

fn object(json: &str) -> JsonObject {
    JsonObject::from_text(json).expect("an object")
}

fn text(object: &JsonObject) -> String {
    serde_json::to_string(object).expect("JSON")
}

fn now() -> Timestamp {
    Timestamp::parse("2026-01-15T10:30:00Z").expect("an instant")
}
