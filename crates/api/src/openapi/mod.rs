//! The OpenAPI document, collected from the handlers and completed with what is the same for all of them: the
//! security schemes, the error answers that follow from an operation's shape, and examples put together from
//! those of the fields.

use actix_web::App;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;
use utoipa_actix_web::AppExt;

use self::examples::add_examples;
use crate::{describe, operations, webhooks::own_events_wire, wire};

mod events;
mod examples;
mod version_3_0;

pub use version_3_0::document as document_3_0;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Gatepost API",
        description = include_str!("introduction.md"),
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "/", description = "The server that serves this document")),
    tags(
        (name = "Workspaces", description = "Workspaces are the tenants: each has its own keys, endpoints and usage."),
        (name = "API keys", description = "API keys with scopes, rotation, expiry and revocation."),
        (name = "Events", description = "Events of your application, which are delivered to webhook endpoints."),
        (name = "Webhooks", description = "Webhook endpoints, and the deliveries of events to them."),
        (name = "Entitlements", description = "Features and limits of the plan, and how much of them is used."),
        (name = "SEO", description = "Reports on the quality of web pages, and the issues they list."),
        (name = "Pixel", description = "Tracking of page visits, which pages report without an API key."),
        (name = "Analytics", description = "Counts of requests and page visits by period of time."),
        (name = "MCP", description = "Tools and resources of MCP servers, called with the same API keys."),
        (name = "Audit log", description = "A log of every change: who changed what and when."),
    ),
    paths(crate::gate::verification::forward_auth),
    components(schemas(wire::ErrorBody, wire::RateLimitErrorBody, wire::ValidationErrorBody,
        own_events_wire::ApiKeyEventData, own_events_wire::RotatedApiKeyEventData,
        own_events_wire::WorkspaceEventData, own_events_wire::ThresholdEventData,
        own_events_wire::SeoReportEventData, own_events_wire::SeoScoreDroppedEventData,
        own_events_wire::WebhookDisabledEventData, own_events_wire::WebhookTestEventData))
)]
struct Skeleton;

/// What a scope looks like. Only one for a tool may be longer than 100 characters.
const SCOPE: &str = "(\\*|admin|read|write|delete|([a-z][a-z0-9_-]{0,48}|\\*):([a-z][a-z0-9_-]{0,48}|\\*)\
                     |mcp:[a-z][a-z0-9_-]{0,48}:(\\*|([A-Za-z0-9_./-]|%[0-9A-Fa-f]{2})+))";
/// No control characters.
const TEXT_PATTERN: &str = "^[^\\u0000-\\u001F\\u007F-\\u009F]*$";
/// Those, and what is invisible: for a class of characters that a name has none of.
const NOT_IN_NAMES: &str =
    "\\u0000-\\u001F\\u007F-\\u009F\\u200B\\u200E\\u200F\\u202A-\\u202E\\u2060-\\u2069\\uFEFF";
/// What an endpoint can subscribe to.
const SUBSCRIPTION_PATTERN: &str = "^(\\*|[a-z0-9_]+(\\.[a-z0-9_]+)*(\\.\\*)?)$";

/// Operations that take no key: pages of the web call them, and tell whose they are by their domain.
const PUBLIC: [&str; 2] = ["get_pixel_config", "track_pixel_event"];

/// The methods that operations have.
pub const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The error answers that operations share: name, status, description, schema.
const SHARED: [(&str, &str, &str, &str); 12] = [
    ("BadRequest", "400", "The request cannot be read", "ErrorBody"),
    ("Unauthorized", "401", "No API key, or one that cannot be used", "ErrorBody"),
    ("Forbidden", "403", "The API key may not do this", "ErrorBody"),
    ("NotFound", "404", "There is no such thing, or the API key may not see it", "ErrorBody"),
    (
        "Conflict",
        "409",
        "Not possible in the present state, or a request with the same Idempotency-Key is still being processed",
        "ErrorBody",
    ),
    (
        "PreconditionFailed",
        "412",
        "The resource is not what `If-Match` says: it has changed since it was read",
        "ErrorBody",
    ),
    ("PayloadTooLarge", "413", "The body is too large", "ErrorBody"),
    ("UnsupportedMediaType", "415", "The body is not JSON", "ErrorBody"),
    ("UnprocessableEntity", "422", "The input breaks a rule", "ValidationErrorBody"),
    (
        "TooManyRequests",
        "429",
        "Too many requests; `Retry-After` says when to come again",
        "RateLimitErrorBody",
    ),
    ("ServerError", "500", "A fault of the server", "ErrorBody"),
    (
        "ServiceUnavailable",
        "503",
        "The database does not answer; nothing is wrong with the request",
        "ErrorBody",
    ),
];

/// The whole document, OpenAPI 3.1.
pub fn document() -> Value {
    collect(&outcomes())
}

/// The document with these examples of what operations answer, by operation, status and outcome.
fn collect(outcomes: &Value) -> Value {
    let ((_, collected), described) = describe::collecting(|| {
        App::new().into_utoipa_app().openapi(Skeleton::openapi()).configure(operations).split_for_parts()
    });
    let mut document = serde_json::to_value(collected).unwrap_or_default();
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.extend(described);
    }
    document["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));

    let components = &mut document["components"];
    components["securitySchemes"] = json!({
        "bearer": { "type": "http", "scheme": "bearer", "description": "The API key as a bearer token." },
        "basic": { "type": "http", "scheme": "basic", "description": "The API key as the user name, with an empty password." },
    });
    for (name, _, description, schema) in SHARED {
        let (code, message) = example_error(name);
        let mut error = json!({ "error": code, "message": message, "request_id": "req_abc123def456" });
        match name {
            "TooManyRequests" => {
                for (member, value) in [
                    ("retry_after", json!(60)),
                    ("limit", json!(1000)),
                    ("remaining", json!(0)),
                    ("reset_at", json!("2026-01-15T11:00:00Z")),
                ] {
                    error[member] = value;
                }
            }
            "UnprocessableEntity" => error["errors"] = json!({ "name": ["The name field is required."] }),
            _ => {}
        }
        let mut response = json!({
            "description": description,
            "headers": { "X-Request-ID": reference("headers", "RequestId") },
            "content": {
                "application/json": { "schema": reference("schemas", schema), "example": error },
            },
        });
        for (header, component) in LIMIT_HEADERS {
            response["headers"][header] = reference("headers", component);
        }
        match name {
            "Unauthorized" => response["headers"]["WWW-Authenticate"] = reference("headers", "Authenticate"),
            "ServiceUnavailable" | "TooManyRequests" => {
                response["headers"]["Retry-After"] = reference("headers", "RetryAfter")
            }
            _ => {}
        }
        components["responses"][name] = response;
    }
    components["headers"] = headers();
    events::add(&mut document);
    let components = &mut document["components"];
    for (name, parameter) in shared_parameters() {
        components["parameters"][name] = parameter;
    }
    if let Some(schemas) = components["schemas"].as_object_mut() {
        add_rules(schemas);
    }
    let schemas = components["schemas"].clone();
    for item in members(&mut document["paths"]) {
        let is_versioned = item.get("patch").is_some();
        if let Value::Object(operations) = item {
            for (method, operation) in
                operations.iter_mut().filter(|(method, _)| METHODS.contains(&method.as_str()))
            {
                complete(operation, method, is_versioned, &schemas, outcomes);
            }
        }
    }
    // In an order that does not hang on the order of declaration.
    document.sort_all_objects();
    document
}

/// What the readers of bodies ask for and the descriptions of their fields cannot say.
fn add_rules(schemas: &mut Map<String, Value>) {
    let scope = format!("^{SCOPE}$");
    // Something beside white space is in a name.
    let name = format!("^[^{NOT_IN_NAMES}]*[^\\s{NOT_IN_NAMES}][^{NOT_IN_NAMES}]*$");
    for (_, schema) in schemas.iter_mut().filter(|(name, _)| is_request_body(name)) {
        // Unknown members are refused, so a misspelt one cannot be lost.
        schema["additionalProperties"] = json!(false);
        for (place, pattern) in [
            ("/properties/name", name.as_str()),
            ("/properties/description", TEXT_PATTERN),
            ("/properties/scopes/items", scope.as_str()),
            ("/properties/events/items", SUBSCRIPTION_PATTERN),
        ] {
            if let Some(member) = schema.pointer_mut(place).filter(|member| member.get("$ref").is_none()) {
                member["pattern"] = json!(pattern);
            }
        }
        for (place, max_length) in [("/properties/scopes/items", 1_700), ("/properties/events/items", 128)] {
            if let Some(member) = schema.pointer_mut(place).filter(|member| member.get("$ref").is_none()) {
                member["maxLength"] = json!(max_length);
            }
        }
    }
    if let Some(verify) = schemas.get_mut("VerifyApiKeyBody") {
        verify["dependentRequired"] = json!({ "quantity": ["feature"], "idempotency_key": ["feature"] });
    }
}

/// Fills in what follows from the shape of an operation, and of the path that it is on: whether that is of one thing that can be
/// changed.
fn complete(operation: &mut Value, method: &str, is_versioned: bool, schemas: &Value, outcomes: &Value) {
    let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
    let is_public = PUBLIC.contains(&id.as_str());
    let changes = method != "get" && id != "verify_api_key" && !is_public;
    let takes_version = changes && (is_versioned || id.starts_with("rotate_"));
    if operation.get("description").is_none()
        && let Some((_, response)) = operation["responses"]
            .as_object()
            .and_then(|responses| responses.iter().find(|(status, _)| status.starts_with('2')))
    {
        let text = response["description"].as_str().unwrap_or_default();
        operation["description"] = json!(format!("{text}."));
    }
    operation["security"] = if is_public { json!([]) } else { json!([{ "bearer": [] }, { "basic": [] }]) };
    let mut parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    if id != "forward_auth" && !is_public {
        parameters.push(reference("parameters", "ActingWorkspace"));
    }
    if changes {
        parameters.push(reference("parameters", "IdempotencyKey"));
    }
    if takes_version {
        parameters.push(reference("parameters", "IfMatch"));
    }
    for parameter in parameters.iter_mut().filter(|_| id == "forward_auth") {
        if parameter["name"] == "deny" {
            parameter["schema"] = json!({ "type": "string", "enum": ["403"] });
        }
        if parameter["name"] == "preflight" {
            parameter["schema"] = json!({ "type": "string", "enum": ["allow"] });
        }
        if parameter["name"] == "scope" {
            parameter["schema"] = json!({ "type": "string", "pattern": format!("^{SCOPE}(,{SCOPE})*$") });
        }
    }
    operation["parameters"] = Value::Array(parameters);
    let takes_body = operation.get("requestBody").is_some();
    for (name, status, ..) in SHARED {
        let applies = match status {
            "400" | "413" | "415" => takes_body,
            "401" | "403" | "404" => !is_public,
            "409" => changes,
            "412" => takes_version,
            _ => true,
        };
        if applies && operation["responses"].get(status).is_none() {
            operation["responses"][status] = reference("responses", name);
        }
    }
    let outcomes = &outcomes[&id];
    let sentence = sentence(operation["operationId"].as_str().unwrap_or_default());
    let responses = operation["responses"].as_object_mut().into_iter().flatten();
    for (status, response) in responses.filter(|(_, response)| response.get("$ref").is_none()) {
        add_examples(response, schemas);
        if let Some(outcomes) = outcomes[status.as_str()].as_object() {
            let examples = outcomes.iter().map(|(name, value)| (name.clone(), json!({ "value": value })));
            let content = &mut response["content"]["application/json"];
            content["examples"] = examples.collect();
            // There is either one or several.
            content.as_object_mut().map(|content| content.remove("example"));
        }
        let example = response.pointer_mut("/content/application~1json/example");
        if let Some(message) = example.and_then(|example| example.get_mut("message")) {
            *message = json!(sentence);
        }
        if response.pointer("/content/application~1json/example/links").is_some() {
            response["headers"]["Link"] = reference("headers", "Link");
        }
        if method == "get" && is_versioned {
            response["headers"]["ETag"] = reference("headers", "EntityTag");
        }
        response["headers"]["X-Request-ID"] = reference("headers", "RequestId");
        if !is_public {
            response["headers"]["X-Gatepost-Workspace"] = reference("headers", "Workspace");
        }
        for (header, component) in LIMIT_HEADERS {
            response["headers"][header] = reference("headers", component);
        }
        if changes {
            response["headers"]["Idempotent-Replayed"] = reference("headers", "Replayed");
        }
    }
    if takes_body {
        add_examples(&mut operation["requestBody"], schemas);
        let schema = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str();
        let name = schema.and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        // A body of which every member may be left out may be left out itself, unless it says what to change.
        let optional = schemas[name].get("required").is_none() && method != "patch";
        operation["requestBody"]["required"] = json!(!optional);
    }
}

/// What operations answer, by operation, status and outcome; a test compares it with what they do.
fn outcomes() -> Value {
    serde_json::from_str(include_str!("outcomes.json")).unwrap_or_default()
}

/// What the shared error answers say, in the contract's words.
fn example_error(name: &str) -> (&'static str, &'static str) {
    match name {
        "BadRequest" => ("bad_request", "The request body is not valid JSON (line 1, column 2)."),
        "Unauthorized" => ("unauthorized", "Invalid or missing API key."),
        "Forbidden" => ("access_denied", "Insufficient permissions. Required scope: api-keys:write"),
        "NotFound" => ("not_found", "Resource not found."),
        "Conflict" => ("conflict", "This API key was already rotated."),
        "PreconditionFailed" => ("precondition_failed", "The resource has changed since it was read."),
        "PayloadTooLarge" => ("payload_too_large", "The request body may not be greater than 1048576 bytes."),
        "UnsupportedMediaType" => ("unsupported_media_type", "The Content-Type must be application/json."),
        "UnprocessableEntity" => ("validation_failed", "The given data was invalid."),
        "TooManyRequests" => ("rate_limit_exceeded", "Too many requests. Please retry after 60 seconds."),
        "ServiceUnavailable" => {
            ("service_unavailable", "The service is temporarily unavailable. Please retry shortly.")
        }
        _ => ("server_error", "An unexpected error occurred."),
    }
}

/// `create_api_key` says "API key created successfully."
fn sentence(operation_id: &str) -> String {
    let (verb, resource) = operation_id.split_once('_').unwrap_or((operation_id, ""));
    let resource = match resource {
        "api_key" => "API key",
        "workspace" => "Workspace",
        "seo_report" => "SEO report",
        other => other,
    };
    let done = if verb == "submit" { "submitted".to_owned() } else { format!("{verb}d") };
    format!("{resource} {done} successfully.")
}

/// The headers that say how a caller stands, and their components.
const LIMIT_HEADERS: [(&str, &str); 5] = [
    ("X-RateLimit-Limit", "RateLimitLimit"),
    ("X-RateLimit-Remaining", "RateLimitRemaining"),
    ("X-RateLimit-Reset", "RateLimitReset"),
    ("RateLimit", "RateLimit"),
    ("RateLimit-Policy", "RateLimitPolicy"),
];

fn headers() -> Value {
    let number = |description: &str, example: u64| json!({ "description": description, "schema": { "type": "integer", "format": "int64" }, "example": example });
    let text = |description: &str, example: &str| json!({ "description": description, "schema": { "type": "string" }, "example": example });
    json!({
        "RequestId": text("Id of the request, for support.", "req_abc123def456"),
        "Workspace": {
            "description": "Numeric id of the workspace the API key belongs to.",
            "schema": { "type": "integer", "format": "int64" },
            "example": 1,
        },
        "Link": text("Links to other pages (RFC 8288).", "<https://api.example.com/api/v1/api-keys?page=2>; rel=\"next\""),
        "EntityTag": text("Version of the resource, for `If-Match`.", "\"64869e8b5c680\""),
        "Replayed": text("`true` when this is the kept answer of an earlier request.", "true"),
        "Authenticate": text("Authentication scheme to use.", "Bearer realm=\"gatepost\""),
        "RateLimitLimit": number("Requests per minute that the plan allows.", 5000),
        "RateLimitRemaining": number("Requests left in the current minute.", 4892),
        "RateLimitReset": number("Time at which the oldest request stops counting, in Unix seconds.", 1_705_312_260),
        "RateLimit": text("Standing of the caller for each rate limit.", "\"minute\";r=4892;t=60"),
        "RateLimitPolicy": text("Rate limits of the caller.", "\"minute\";q=5000;w=60"),
        "RetryAfter": {
            "description": "Seconds to wait before trying again.",
            "schema": { "type": "integer" },
            "example": 5,
        },
    })
}

fn shared_parameters() -> [(&'static str, Value); 3] {
    let acting = json!({
        "name": "X-Workspace-ID",
        "in": "header",
        "required": false,
        "description": "Id of the workspace to act on. Keys of the root workspace may name any, others only their own.",
        "schema": { "type": "integer", "format": "int64", "minimum": 1 },
    });
    let idempotency = json!({
        "name": "Idempotency-Key",
        "in": "header",
        "required": false,
        "description": "Makes a repetition of this request safe for 24 hours: it gets the same answer again.",
        "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
    });
    let if_match = json!({
        "name": "If-Match",
        "in": "header",
        "required": false,
        "description": "The `ETag` of the resource as it was read: if it has changed since, nothing is done, and the answer is 412.",
        "schema": { "type": "string" },
    });
    [("ActingWorkspace", acting), ("IdempotencyKey", idempotency), ("IfMatch", if_match)]
}

fn is_request_body(schema: &str) -> bool {
    ["Create", "Update", "Rotate", "Use", "Set", "Verify", "Submit", "Track", "Call"]
        .iter()
        .any(|verb| schema.starts_with(verb))
        && schema.ends_with("Body")
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

fn members(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    value.as_object_mut().into_iter().flat_map(Map::values_mut)
}
