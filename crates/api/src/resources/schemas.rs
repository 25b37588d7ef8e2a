//! What records, and the bodies that make and change them, look like in the document.

use gatepost_app::resources::Resources;
use gatepost_contract::{Contract, document::reference};
use gatepost_kernel::describe::Schemas;
use gatepost_resources::{Field, Kind, ResourceType};
use serde_json::{Map, Value, json};

use super::{
    verb::Verb,
    words::{capital, listed, one, what_happened},
};

/// What a text cannot hold.
const TEXT_PATTERN: &str = "^[^\\u0000]*$";
/// The same, of one that is there: not of blanks alone.
const REQUIRED_PATTERN: &str = "^[^\\u0000]*[^\\u0000\\s\\u0085][^\\u0000]*$";
/// An address of the web.
const WEB_URL_PATTERN: &str = "^[Hh][Tt][Tt][Pp][Ss]?://";

/// A value of a field, on which the schemas of the type are referred to.
pub fn value(declared: &ResourceType, field: &Field) -> Value {
    match &field.kind {
        Kind::Text { max } => json!({ "type": "string", "maxLength": max, "pattern": TEXT_PATTERN }),
        Kind::Email => json!({ "type": "string", "format": "email", "maxLength": Kind::MAX_EMAIL }),
        Kind::Url => json!({ "type": "string", "pattern": WEB_URL_PATTERN, "maxLength": 2048 }),
        Kind::Enum { .. } => reference("schemas", &declared.words_name(field)),
        Kind::Integer { min, max } => {
            json!({ "type": "integer", "format": "int64", "minimum": min, "maximum": max })
        }
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Time => json!({ "type": "string", "format": "date-time" }),
        Kind::Ref { id_prefix, .. } => id_with(id_prefix),
        Kind::Texts { max, max_items } => {
            json!({ "type": "array", "items": { "type": "string", "maxLength": max, "pattern": TEXT_PATTERN }, "maxItems": max_items })
        }
        Kind::Json { .. } => json!({}),
    }
}

/// The id of a record.
pub fn id(declared: &ResourceType) -> Value {
    let mut id = id_with(declared.id_prefix);
    id["example"] = json!(example_id(declared.id_prefix));
    id
}

fn id_with(prefix: &str) -> Value {
    json!({ "type": "string", "pattern": format!("^{prefix}[0-9a-z]{{16}}$") })
}

fn example_id(prefix: &str) -> String {
    format!("{prefix}0123456789abcdef")
}

/// The schema of a field, which must hold something or may be `null`, or neither.
fn field(of: &Field, declared: &ResourceType, is_required: bool, is_nullable: bool) -> Value {
    let mut schema = value(declared, of);
    let (name, label) = (of.label(), declared.label());
    let mut about = match (of.description, &of.kind) {
        (Some(description), _) => description.to_owned(),
        (None, Kind::Ref { to, .. }) => format!("Id of the {} of the {label}.", to.replace('_', " ")),
        (None, Kind::Time) => format!("Time of the {label}: {name}."),
        (None, _) => format!("{} of the {label}.", capital(&name)),
    };
    if of.unique {
        about.push_str(" No two have the same.");
    }
    if of.set_by_actions {
        let actions: Vec<String> = declared.actions_of(of.name).map(|action| format!("`{action}`")).collect();
        let by = if actions.is_empty() { "the platform".to_owned() } else { listed(&actions, "or") };
        about.push_str(&format!(" Set by {by} alone."));
    }
    if !of.moves.is_empty() {
        let each = of.moves.iter().map(|(from, to)| {
            let to: Vec<String> = to.iter().map(|to| format!("`{to}`")).collect();
            format!(
                "from `{from}` to {}",
                if to.is_empty() { "nothing".to_owned() } else { listed(&to, "or") }
            )
        });
        about.push_str(&format!(" It moves {}.", each.collect::<Vec<_>>().join(", ")));
    }
    schema["description"] = json!(about);
    if matches!(of.kind, Kind::Enum { .. }) {
        // What there is beside is said of the words themselves.
        return if is_nullable { json!({ "oneOf": [schema, { "type": "null" }] }) } else { schema };
    }
    schema["example"] = example(of);
    if is_required && matches!(of.kind, Kind::Text { .. }) {
        schema["pattern"] = json!(REQUIRED_PATTERN);
        schema["minLength"] = json!(1);
    }
    if is_required && matches!(of.kind, Kind::Texts { .. }) {
        schema["minItems"] = json!(1);
    }
    if let Some(kind) = schema["type"].as_str().filter(|_| is_nullable).map(str::to_owned) {
        schema["type"] = json!([kind, "null"]);
    }
    schema
}

fn example(field: &Field) -> Value {
    match &field.kind {
        Kind::Text { max } => json!(capital(&field.label()).chars().take(*max).collect::<String>()),
        Kind::Email => json!("ada@example.com"),
        Kind::Url => json!("https://example.com/"),
        // Those of words are the words.
        Kind::Enum { .. } => Value::Null,
        Kind::Integer { min, max } => json!(1.clamp(*min, *max)),
        Kind::Boolean => json!(true),
        Kind::Time => json!("2026-01-15T10:30:00Z"),
        Kind::Ref { id_prefix, .. } => json!(example_id(id_prefix)),
        Kind::Texts { max, .. } => json!(["vip".chars().take(*max).collect::<String>()]),
        Kind::Json { .. } => json!({ "key": "value" }),
    }
}

/// A record: a reference to its schema.
pub fn view(schemas: &mut Schemas, declared: &ResourceType, resources: &Resources) -> Value {
    schemas.named(&declared.stem(), |schemas| {
        let label = declared.label();
        let mut properties = Map::new();
        let mut own = id(declared);
        own["description"] = json!(format!("Id of the {label}."));
        properties.insert("id".to_owned(), own);
        for of in &declared.fields {
            if let Kind::Enum { values } = &of.kind {
                let about = format!("{} of {}.", capital(&of.label()), one(&label));
                let words = json!({ "type": "string", "enum": values, "description": about });
                schemas.named(&declared.words_name(of), |_| words);
            }
            properties.insert(of.name.to_owned(), field(of, declared, of.required, !of.required));
        }
        for (name, what) in [("created_at", "created"), ("updated_at", "last changed")] {
            let about = format!("Time at which the {label} was {what}.");
            let example = "2026-01-15T10:30:00Z";
            properties.insert(
                name.to_owned(),
                json!({ "type": "string", "format": "date-time", "description": about, "example": example }),
            );
        }
        let required: Vec<&'static str> = declared.members().collect();
        for (name, field) in declared.includes() {
            let Kind::Ref { to, .. } = field.kind else { continue };
            let Some(referred) = resources.get(to) else { continue };
            let mut reference = view(schemas, &referred.declared, resources);
            let about = format!("The {} that it refers to; only if included.", referred.declared.label());
            reference["description"] = json!(about);
            properties.insert(name.to_owned(), json!({ "oneOf": [reference, { "type": "null" }] }));
        }
        json!({
            "type": "object",
            "description": format!("{}.", capital(&one(&label))),
            "required": required,
            "properties": properties,
        })
    })
}

/// The body of an operation, and whether it may be left out; none if it takes none.
pub fn body(schemas: &mut Schemas, declared: &ResourceType, verb: Verb) -> Option<(Value, bool)> {
    let label = declared.label();
    let settable = |field: &&Field| !field.set_by_actions && declared.parent_field() != Some(field.name);
    let (name, about, fields, required): (String, String, Vec<&Field>, Vec<&'static str>) = match verb {
        Verb::List | Verb::Get | Verb::Delete | Verb::Count => return None,
        Verb::Create => {
            let fields: Vec<&Field> = declared.fields.iter().filter(settable).collect();
            let must = fields.iter().filter(|field| field.required && field.default.is_none());
            let must = must.map(|field| field.name).collect();
            (declared.body_name("create"), format!("What {} begins with.", one(&label)), fields, must)
        }
        Verb::Update => {
            let fields = declared.fields.iter().filter(settable).collect();
            (declared.body_name("update"), format!("Changes to {}.", one(&label)), fields, Vec::new())
        }
        Verb::Act(name) => {
            let action = declared.action(name)?;
            let fields: Vec<&Field> = action.fields().filter_map(|name| declared.field(name)).collect();
            if fields.is_empty() {
                return None;
            }
            let about = format!("What `{name}` takes.");
            (declared.body_name(name), about, fields, action.input.clone())
        }
    };
    let is_optional = required.is_empty() && matches!(verb, Verb::Act(_));
    let reference = schemas.named(&name, |_| {
        let properties: Map<String, Value> = fields
            .into_iter()
            .map(|of| {
                let is_action = matches!(verb, Verb::Act(_));
                let is_required = if is_action { required.contains(&of.name) } else { of.required };
                let is_nullable = match verb {
                    Verb::Act(_) => false,
                    Verb::Update => of.can_be_taken_away(),
                    _ => !of.required,
                };
                let mut schema = field(of, declared, is_required, is_nullable);
                if let (Verb::Create, Some(default)) = (verb, &of.default) {
                    // Not as `default`: some generators make what has one a member that must be given.
                    let value = default.text().unwrap_or_else(|| default.as_str().to_owned());
                    // What is said of a reference stands beside it.
                    let described =
                        if schema.get("oneOf").is_some() { &mut schema["oneOf"][0] } else { &mut schema };
                    let about = described["description"].as_str().unwrap_or_default();
                    described["description"] = json!(format!("{about} `{value}` if not given."));
                }
                (of.name.to_owned(), schema)
            })
            .collect();
        let mut schema = json!({
            "type": "object",
            "description": about,
            "properties": properties,
            "additionalProperties": false,
        });
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        schema
    });
    Some((reference, is_optional))
}

/// What endpoints are told of records: for each type of event what has happened, and the name of its schema.
pub fn record_events(
    contract: &Contract,
    schemas: &mut Schemas,
    resources: &Resources,
) -> Vec<(&'static str, String, String)> {
    let mut all = Vec::new();
    for resource in resources.iter() {
        let declared = &resource.declared;
        let data = view(schemas, declared, resources);
        let types: Vec<&'static str> = declared.event_types().collect();
        let name = format!("{}Event", declared.stem());
        schemas.named(&name, |_| {
            let mut event = contract.event_schema(&data);
            event["properties"]["type"]["enum"] = json!(types);
            event
        });
        let one = capital(&one(&declared.label()));
        all.extend(types.into_iter().map(|event_type| {
            (event_type, format!("{one} was {}", what_happened(event_type)), name.clone())
        }));
    }
    all
}
