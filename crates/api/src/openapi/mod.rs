//! The OpenAPI document, put together from the operations: what each says of itself, what follows from that,
//! and examples made of those of members.

use gatepost_app::resources::Resources;
use gatepost_contract::{Contract, EnvelopeStyle, document::reference};
use gatepost_kernel::describe::Schemas;
use serde_json::{Value, json};
use utoipa::OpenApi;

use self::examples::add_examples;
use crate::{
    operation::{Operation, Shape, Tag},
    operations,
    resources::RecordOperations,
};

mod events;
mod examples;
mod version_3_0;

pub use version_3_0::document as document_3_0;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "{brand} API",
        description = include_str!("introduction.md"),
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "/", description = "The server that serves this document")),
)]
struct Skeleton;

/// The whole document of a contract and of what is declared, OpenAPI 3.1.
pub fn document(contract: &Contract, resources: &Resources) -> Value {
    // What operations answer, by operation, status and outcome; a test compares it with what they do.
    let outcomes = match contract.envelope {
        EnvelopeStyle::Data => serde_json::from_str(include_str!("outcomes.json")).unwrap_or_default(),
        EnvelopeStyle::Success => Value::Null,
    };
    collect(contract, resources, &outcomes)
}

/// The document with these examples of what operations answer, by operation, status and outcome.
fn collect(contract: &Contract, resources: &Resources, outcomes: &Value) -> Value {
    let records = RecordOperations::of(resources);
    let operations = || operations().chain(records.iter());
    let mut schemas = Schemas::default();
    let shapes: Vec<(&Operation, Shape)> =
        operations().map(|op| (op, op.shape(contract, &mut schemas))).collect();
    let webhooks = events::webhooks(contract, &mut schemas, resources);
    let mut components = contract.schemas();
    components.extend(schemas.into_map());
    events::take_out_sent(&mut components, resources);
    let components = Value::Object(components);

    let mut document = serde_json::to_value(Skeleton::openapi()).unwrap_or_default();
    document["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));
    contract.brand.sign(&mut document);
    for (operation, shape) in &shapes {
        // A path of one thing that can be changed.
        let is_versioned = operations().any(|op| op.path == operation.path && op.method == "PATCH");
        let of = Described(contract, operation, shape, &components);
        let (path, method) = (operation.full_path(contract), operation.method.as_str().to_lowercase());
        document["paths"][path][method] = describe(&of, is_versioned, &outcomes[operation.id]);
    }
    let mut tags: Vec<Value> = Vec::new();
    // What the API is about comes first.
    for Tag { name, about } in records.iter().chain(operations()).map(|op| op.tag) {
        if !tags.iter().any(|tag| tag["name"] == name) {
            tags.push(json!({ "name": name, "description": about }));
        }
    }
    document["tags"] = Value::Array(tags);
    document["webhooks"] = webhooks;
    let mut errors = contract.error_answers();
    let referred = document["paths"].to_string();
    // Where several have one status, some may stand nowhere.
    errors.retain(|name, _| referred.contains(&format!("/responses/{name}\"")));
    document["components"] = json!({
        "schemas": components,
        "responses": errors,
        "headers": contract.header_components(),
        "parameters": contract.parameters(),
        "securitySchemes": contract.security_schemes(),
    });
    contract.fill(&mut document);
    // In an order that does not hang on the order of declaration.
    document.sort_all_objects();
    document
}

/// An operation of a contract, what it takes and answers, and the schemas.
struct Described<'d>(&'d Contract, &'d Operation, &'d Shape, &'d Value);

fn describe(of: &Described<'_>, is_versioned: bool, outcomes: &Value) -> Value {
    let Described(contract, op, shape, schemas) = *of;
    let Shape { input, path, .. } = shape;
    let in_path = path.iter().map(|(name, about, schema)| {
        json!({ "name": name, "in": "path", "required": true, "description": about, "schema": schema })
    });
    let in_query = input.query.iter().map(|parameter| serde_json::to_value(parameter).unwrap_or_default());
    let in_headers = [
        (op.acts_on_workspace, "ActingWorkspace"),
        (op.is_repeatable(), "IdempotencyKey"),
        (op.heeds_version, "IfMatch"),
    ];
    let in_headers = in_headers.into_iter().filter(|(applies, _)| *applies);
    let parameters = in_path.chain(in_query).chain(in_headers.map(|(_, name)| reference("parameters", name)));
    let security = if input.needs_key { json!([{ "bearer": [] }, { "basic": [] }]) } else { json!([]) };
    let (status, about) = (op.status(contract), op.answer.1);
    let mut described = json!({
        "operationId": op.id,
        "tags": [op.tag.name],
        "summary": op.summary(),
        "description": op.description().map_or_else(|| format!("{about}."), str::to_owned),
        "security": security,
        "parameters": Value::Array(parameters.collect()),
        "responses": contract.shared_errors(|status| op.can_end_in(shape, status)),
    });
    if let Some(scope) = input.scope {
        described["x-required-scope"] = json!(contract.scope_order.spell(scope));
    }
    if let Some(of) = op.alias_of {
        described["x-alias-of"] = json!(of);
    }
    if let Some(body) = &input.body {
        let mut content = json!({ "content": content(&body.schema), "required": !body.optional });
        add_examples(&mut content, schemas);
        described["requestBody"] = content;
    }
    let mut answer = answer(of, about, shape.answer.as_ref(), &outcomes[status.to_string()]);
    if shape.is_page {
        answer["headers"]["Link"] = reference("headers", "Link");
    }
    if is_versioned && op.method == "GET" {
        answer["headers"]["ETag"] = reference("headers", "EntityTag");
    }
    for (name, header) in shape.headers.iter().filter_map(Value::as_object).flatten() {
        answer["headers"][name] = header.clone();
    }
    described["responses"][status.to_string()] = answer;
    if let Some((about, schema)) = &shape.refusal {
        described["responses"]["403"] = self::answer(of, about, Some(schema), &outcomes["403"]);
    }
    described
}

/// An answer of the operation's own.
fn answer(of: &Described<'_>, about: &str, schema: Option<&Value>, outcomes: &Value) -> Value {
    let Described(contract, op, shape, schemas) = *of;
    let mut answer =
        json!({ "description": about, "headers": contract.answer_headers(!shape.input.needs_key) });
    if op.is_repeatable() {
        answer["headers"]["Idempotent-Replayed"] = reference("headers", "Replayed");
    }
    let Some(schema) = schema else { return answer };
    answer["content"] = content(schema);
    add_examples(&mut answer, schemas);
    let content = &mut answer["content"]["application/json"];
    if let Some(message) = content.pointer_mut("/example/message") {
        *message = json!(op.sentence());
    }
    if let Some(outcomes) = outcomes.as_object() {
        let examples = outcomes.iter().map(|(name, value)| (name.clone(), json!({ "value": value })));
        content["examples"] = examples.collect();
        // There is either one or several.
        content.as_object_mut().map(|content| content.remove("example"));
    }
    answer
}

fn content(schema: &Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}
