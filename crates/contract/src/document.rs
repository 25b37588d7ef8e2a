//! How the contract looks in the OpenAPI document: its envelopes, its errors, its headers.

use gatepost_kernel::{Environment, FieldErrors, PageRequest, text::required};
use serde_json::{Map, Value, json};

use crate::{Brand, Contract, EnvelopeStyle, Paging};

/// In what a thing is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    /// One thing.
    Item,
    /// Several things that are no page of a list.
    Several,
    /// A sentence for people, and one thing.
    Message,
    /// A page of a list.
    Page,
    /// A page of a list that can be followed by cursor.
    Log,
}

/// An error that operations share.
#[derive(Debug, Clone, Copy)]
struct SharedError {
    /// What the document calls its answer.
    name: &'static str,
    /// HTTP status of the error in the core contract.
    status: u16,
    about: &'static str,
    code: &'static str,
    message: &'static str,
}

/// The errors that operations share.
const SHARED_ERRORS: [SharedError; 12] = [
    SharedError {
        name: "BadRequest",
        status: 400,
        about: "The request cannot be read",
        code: "bad_request",
        message: "The request body is not valid JSON (line 1, column 2).",
    },
    SharedError {
        name: "Unauthorized",
        status: 401,
        about: "No API key, or one that cannot be used",
        code: "unauthorized",
        message: "Invalid or missing API key.",
    },
    SharedError {
        name: "Forbidden",
        status: 403,
        about: "The API key may not do this",
        code: "access_denied",
        message: "Insufficient permissions. Required scope: {scope api-keys:write}",
    },
    SharedError {
        name: "NotFound",
        status: 404,
        about: "There is no such thing, or the API key may not see it",
        code: "not_found",
        message: "Resource not found.",
    },
    SharedError {
        name: "Conflict",
        status: 409,
        about: "Not possible in the present state, or a request with the same Idempotency-Key is still being processed",
        code: "conflict",
        message: "This API key was already rotated.",
    },
    SharedError {
        name: "PreconditionFailed",
        status: 412,
        about: "The resource is not what `If-Match` says: it has changed since it was read",
        code: "precondition_failed",
        message: "The resource has changed since it was read.",
    },
    SharedError {
        name: "PayloadTooLarge",
        status: 413,
        about: "The body is too large",
        code: "payload_too_large",
        message: "The request body may not be greater than 1048576 bytes.",
    },
    SharedError {
        name: "UnsupportedMediaType",
        status: 415,
        about: "The body is not JSON",
        code: "unsupported_media_type",
        message: "The Content-Type must be application/json.",
    },
    SharedError {
        name: "UnprocessableEntity",
        status: 422,
        about: "The input breaks a rule",
        code: "validation_failed",
        message: "The given data was invalid.",
    },
    SharedError {
        name: "TooManyRequests",
        status: 429,
        about: "Too many requests; `Retry-After` says when to come again",
        code: "rate_limit_exceeded",
        message: "Too many requests. Please retry after 60 seconds.",
    },
    SharedError {
        name: "ServerError",
        status: 500,
        about: "An error of the server",
        code: "server_error",
        message: "An unexpected error occurred.",
    },
    SharedError {
        name: "ServiceUnavailable",
        status: 503,
        about: "The database does not answer; nothing is wrong with the request",
        code: "service_unavailable",
        message: "The service is temporarily unavailable. Please retry shortly.",
    },
];

/// The headers that say how a caller stands, and their components.
const LIMIT_HEADERS: [(&str, &str); 5] = [
    ("X-RateLimit-Limit", "RateLimitLimit"),
    ("X-RateLimit-Remaining", "RateLimitRemaining"),
    ("X-RateLimit-Reset", "RateLimitReset"),
    ("RateLimit", "RateLimit"),
    ("RateLimit-Policy", "RateLimitPolicy"),
];

impl Contract {
    /// The name and the schema of an envelope of `data`, which the document calls `view`; `stem` is what the
    /// names of its envelopes begin with.
    pub fn envelope_schema(
        &self,
        envelope: Envelope,
        stem: &str,
        view: &str,
        data: &Value,
    ) -> (String, Value) {
        let list = |about: &str| json!({ "type": "array", "items": data, "description": about });
        let (suffix, about) = match envelope {
            Envelope::Item => ("Item", format!("Response with one `{view}`.")),
            Envelope::Several => ("List", format!("Response with several `{view}`s.")),
            Envelope::Message => ("Message", format!("Response with a message and one `{view}`.")),
            Envelope::Page => ("Page", format!("One page of `{view}`s.")),
            Envelope::Log => ("Page", format!("One page of `{view}`s, by number or by cursor.")),
        };
        let mut members = match envelope {
            Envelope::Item | Envelope::Message => vec![("data", data.clone())],
            Envelope::Several => vec![("data", list("All of them."))],
            Envelope::Page | Envelope::Log => {
                let of = if envelope == Envelope::Log { "Log" } else { "Page" };
                let named = |part: &str| reference("schemas", &format!("{of}{part}"));
                let page = || list("Items of this page.");
                match self.paging {
                    Paging::Pages => {
                        vec![("data", page()), ("meta", named("Meta")), ("links", named("Links"))]
                    }
                    Paging::ShortPages => vec![("data", page()), ("meta", named("Meta"))],
                    Paging::Offset => vec![("data", page()), ("pagination", named("Pagination"))],
                }
            }
        };
        match self.envelope {
            EnvelopeStyle::Success => members.insert(0, ("success", SUCCESS(true))),
            EnvelopeStyle::Data if envelope == Envelope::Message => {
                members.insert(0, ("message", json!({
                    "type": "string", "description": "Sentence for people that says what was done.", "example": "Done successfully.",
                })));
            }
            EnvelopeStyle::Data => {}
        }
        let required: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
        let properties: Map<String, Value> =
            members.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
        let schema =
            json!({ "type": "object", "description": about, "required": required, "properties": properties });
        (format!("{stem}{suffix}"), schema)
    }

    /// The schemas that envelopes and errors refer to.
    pub fn schemas(&self) -> Map<String, Value> {
        let mut schemas = self.page_schemas();
        schemas.extend(self.error_schemas());
        schemas
    }

    fn page_schemas(&self) -> Map<String, Value> {
        let ordinal = |about: &str| integer(about, "int64", 0, json!(1));
        let total = || ordinal("Number of items in the whole list.");
        let size = json!({
            "type": "integer", "format": "int32", "minimum": 1, "maximum": PageRequest::MAX_PER_PAGE,
            "description": "Maximum number of items per page.", "example": self.default_per_page,
        });
        let cursor = || nullable(text("Cursor of the page that follows this one; null if there is none."));
        let by_cursor = "Position of a page in its log. With a cursor nothing is counted: then only \
                         `per_page` and `next_cursor` are not null.";
        let about = "Position of a page in its list.";
        let logged = |mut meta: Value, counted: &[&str]| {
            for name in counted {
                meta[*name] = nullable(meta[*name].take());
            }
            meta["next_cursor"] = cursor();
            meta
        };
        match self.paging {
            Paging::Pages => {
                let meta = json!({
                    "current_page": integer("Number of this page.", "int32", 1, json!(1)),
                    "from": nullable(ordinal("Position of the first item of this page in the list, starting at 1; null if the page is empty.")),
                    "last_page": integer("Number of the last page.", "int64", 1, json!(1)),
                    "per_page": size,
                    "to": nullable(ordinal("Position of the last item of this page in the list, starting at 1; null if the page is empty.")),
                    "total": total(),
                });
                let log_meta = logged(meta.clone(), &["current_page", "last_page", "total"]);
                let url = |about: &str| {
                    let mut url = text(about);
                    let path = format!("https://api.example.com{}/resource?page=1", self.base_path);
                    url["example"] = json!(path);
                    url
                };
                let links = json!({
                    "first": url("URL of the first page."),
                    "last": url("URL of the last page."),
                    "prev": nullable(text("URL of the previous page; null on the first.")),
                    "next": nullable(text("URL of the next page; null on the last.")),
                });
                let mut log_links = links.clone();
                log_links["last"] = nullable(url("URL of the last page; null with a cursor."));
                log_links["prev"] = nullable(text("URL of the previous page; null with a cursor."));
                Map::from_iter([
                    object("PageMeta", about, meta),
                    object("PageLinks", "URLs of other pages.", links),
                    object("LogMeta", by_cursor, log_meta),
                    object("LogLinks", "URLs of other pages of a log.", log_links),
                ])
            }
            Paging::ShortPages => {
                let page = integer("Number of this page.", "int32", 1, json!(1));
                let meta = json!({ "page": page, "per_page": size, "total": total() });
                let log_meta = logged(meta.clone(), &["page", "total"]);
                Map::from_iter([object("PageMeta", about, meta), object("LogMeta", by_cursor, log_meta)])
            }
            Paging::Offset => {
                let offset = integer("Number of items before the first of this page.", "int64", 0, json!(0));
                let more =
                    json!({ "type": "boolean", "description": "Whether items follow.", "example": false });
                let page = json!({ "total": total(), "limit": size, "offset": offset, "has_more": more });
                let log = logged(page.clone(), &["total", "offset"]);
                let by_cursor = by_cursor.replace("per_page", "limit");
                Map::from_iter([
                    object("PagePagination", about, page),
                    object("LogPagination", &by_cursor, log),
                ])
            }
        }
    }

    fn error_schemas(&self) -> Map<String, Value> {
        let code = |about: &str, core: &str| json!({ "type": "string", "description": about, "example": self.code_of(core) });
        let message = |example: &str| json!({ "type": "string", "description": "Human-readable error message.", "example": example });
        let request_id = json!({ "type": "string", "description": "Id of the request, for support.", "example": "req_abc123def456" });
        let errors = json!({
            "type": "object",
            "propertyNames": { "type": "string" },
            "additionalProperties": { "type": "array", "items": { "type": "string" } },
            "description": "Every error, by field.",
            "example": { "name": [self.example_of_missing()] },
        });
        let count = |about: &str, example: u64| integer(about, "int64", 0, json!(example));
        let limits = [
            ("retry_after", count("Seconds to wait before the next request.", 60)),
            ("limit", count("Limit that was reached.", 1000)),
            ("remaining", count("Number of requests left, always 0.", 0)),
            (
                "reset_at",
                json!({
                    "type": "string", "format": "date-time", "description": "Time at which the limit has room again.",
                    "example": "2026-01-15T11:00:00Z",
                }),
            ),
        ];
        let stable = "Stable, machine-readable error code.";
        if self.envelope == EnvelopeStyle::Success {
            let mut details = json!({ "errors": errors, "request_id": request_id });
            if self.names_first_field {
                details["field"] = text("Field that the message is about, if the input is invalid.");
            }
            for (name, member) in limits {
                details[name] = member;
            }
            let details = json!({
                "type": "object", "required": ["request_id"], "properties": details,
                "description": "What there is to know beside, by the kind of error.",
            });
            let error = json!({
                "type": "object", "required": ["code", "message", "details"],
                "properties": { "code": code(stable, "not_found"), "message": message("Resource not found."), "details": details },
            });
            let body = json!({ "success": SUCCESS(false), "error": error });
            return Map::from_iter([object("ErrorBody", "An error response.", body)]);
        }
        let error = json!({
            "error": code(stable, "not_found"), "message": message("Resource not found."), "request_id": request_id,
        });
        let mut validation = error.clone();
        let about = "Error code: `validation_failed`, or `idempotency_key_reused` without `errors`.";
        validation["error"] = code(about, "validation_failed");
        validation["message"] = message("The given data was invalid.");
        validation["errors"] = errors;
        let mut limited = error.clone();
        limited["error"] = code("Error code, always `rate_limit_exceeded`.", "rate_limit_exceeded");
        limited["message"] = message("Too many requests. Please retry after 60 seconds.");
        for (name, member) in limits {
            limited[name] = member;
        }
        let (name, mut validation) =
            object("ValidationErrorBody", "An error response for invalid input.", validation);
        validation["required"] = json!(["error", "message", "request_id"]);
        Map::from_iter([
            object("ErrorBody", "An error response.", error),
            (name, validation),
            object("RateLimitErrorBody", "An error response for too many requests.", limited),
        ])
    }

    /// The answers of errors that operations share, by name.
    pub fn error_answers(&self) -> Map<String, Value> {
        SHARED_ERRORS.iter().map(|shared| (shared.name.to_owned(), self.error_answer(shared))).collect()
    }

    /// References to those that apply, by status. Where several have one status, the first stands for all.
    pub fn shared_errors(&self, applies: impl Fn(u16) -> bool) -> Value {
        let mut errors = json!({});
        for error in SHARED_ERRORS.iter().filter(|error| applies(error.status)) {
            let status = self.statuses.of(error.status).to_string();
            if errors.get(&status).is_none() {
                errors[status] = reference("responses", error.name);
            }
        }
        errors
    }

    fn error_answer(&self, shared: &SharedError) -> Value {
        let SharedError { status, about, code, message, .. } = *shared;
        let mut headers = self.answer_headers(true);
        let (mut schema, mut more) = ("ErrorBody", Map::new());
        match status {
            401 => headers["WWW-Authenticate"] = reference("headers", "Authenticate"),
            422 => {
                schema = "ValidationErrorBody";
                more.insert("errors".to_owned(), json!({ "name": [self.example_of_missing()] }));
            }
            429 => {
                schema = "RateLimitErrorBody";
                more.extend([
                    ("retry_after".to_owned(), json!(60)),
                    ("limit".to_owned(), json!(1000)),
                    ("remaining".to_owned(), json!(0)),
                    ("reset_at".to_owned(), json!("2026-01-15T11:00:00Z")),
                ]);
            }
            _ => {}
        }
        if matches!(status, 429 | 503) {
            headers["Retry-After"] = reference("headers", "RetryAfter");
        }
        let (code, mut message) = (self.code_of(code), self.example_message(code, message));
        if status == 422 && self.names_first_field {
            message = self.example_of_missing();
            more.insert("field".to_owned(), json!("name"));
        }
        more.insert("request_id".to_owned(), json!("req_abc123def456"));
        let example = match self.envelope {
            EnvelopeStyle::Success => {
                schema = "ErrorBody";
                json!({ "success": false, "error": { "code": code, "message": message, "details": more } })
            }
            EnvelopeStyle::Data => {
                more.insert("error".to_owned(), json!(code));
                more.insert("message".to_owned(), json!(message));
                Value::Object(more)
            }
        };
        let content =
            json!({ "application/json": { "schema": reference("schemas", schema), "example": example } });
        json!({ "description": about, "headers": headers, "content": content })
    }

    fn example_of_missing(&self) -> String {
        let mut errors = FieldErrors::default();
        errors.add("name", required("name"));
        self.missing(&errors, "name").unwrap_or_else(|| required("name"))
    }

    fn example_message(&self, code: &str, core: &str) -> String {
        self.messages.get(code).map_or_else(|| core.to_owned(), |text| text.replace("{seconds}", "60"))
    }

    /// The headers that every answer has; that of a caller's workspace is not in answers to those who show no
    /// key.
    pub fn answer_headers(&self, is_public: bool) -> Value {
        let mut headers = json!({ "X-Request-ID": reference("headers", "RequestId") });
        if !is_public {
            headers[self.headers.workspace.shown.as_ref()] = reference("headers", "Workspace");
        }
        for (header, component) in LIMIT_HEADERS {
            headers[header] = reference("headers", component);
        }
        headers
    }

    /// How a key is shown, by the names of the schemes.
    pub fn security_schemes(&self) -> Value {
        json!({
            "bearer": { "type": "http", "scheme": "bearer", "description": "The API key as a bearer token." },
            "basic": { "type": "http", "scheme": "basic", "description": "The API key as the user name, with an empty password." },
        })
    }

    /// Headers by the names of their components.
    pub fn header_components(&self) -> Value {
        let number = |description: &str, example: u64| json!({ "description": description, "schema": { "type": "integer", "format": "int64" }, "example": example });
        let text = |description: &str, example: &str| json!({ "description": description, "schema": { "type": "string" }, "example": example });
        let mut retry_after = number("Seconds to wait before trying again.", 5);
        retry_after["schema"] = json!({ "type": "integer" });
        let position = self.paging.position_name();
        let link = format!("<https://api.example.com{}/api-keys?{position}=2>; rel=\"next\"", self.base_path);
        json!({
            "RequestId": text("Id of the request, for support.", "req_abc123def456"),
            "Workspace": number("Numeric id of the workspace the API key belongs to.", 1),
            "Link": text("Links to other pages (RFC 8288).", &link),
            "EntityTag": text("Version of the resource, for `If-Match`.", "\"64869e8b5c680\""),
            "Replayed": text("`true` when this is the kept answer of an earlier request.", "true"),
            "Authenticate": text("Authentication scheme to use.", &self.challenge()),
            "RateLimitLimit": number("Requests per minute that the plan allows.", 5000),
            "RateLimitRemaining": number("Requests left in the current minute.", 4892),
            "RateLimitReset": number("Time at which the oldest request stops counting, in Unix seconds.", 1_705_312_260),
            "RateLimit": text("Standing of the caller for each rate limit.", "\"minute\";r=4892;t=60"),
            "RateLimitPolicy": text("Rate limits of the caller.", "\"minute\";q=5000;w=60"),
            "RetryAfter": retry_after,
        })
    }

    /// Parameters by the names of their components.
    pub fn parameters(&self) -> Value {
        let header = |name: &str, about: &str, schema: Value| json!({ "name": name, "in": "header", "required": false, "description": about, "schema": schema });
        json!({
            "ActingWorkspace": header(
                &self.headers.acting_workspace.shown,
                "Id of the workspace to act on. Keys of the root workspace may name any, others only their own.",
                json!({ "type": "integer", "format": "int64", "minimum": 1 }),
            ),
            "IdempotencyKey": header(
                "Idempotency-Key",
                "Makes a repetition of this request safe for 24 hours: it gets the same answer again.",
                json!({ "type": "string", "minLength": 1, "maxLength": 255 }),
            ),
            "IfMatch": header(
                "If-Match",
                "The `ETag` of the resource as it was read: if it has changed since, nothing is done, and the answer is {status 412}.",
                json!({ "type": "string" }),
            ),
        })
    }

    /// The headers of forward auth that say whose key it is, but for its workspace.
    pub fn key_headers(&self) -> Value {
        let header =
            |description: &str, schema: Value| json!({ "description": description, "schema": schema });
        let text = json!({ "type": "string" });
        let headers = &self.headers;
        json!({
            headers.environment.shown.as_ref(): header("Environment the key belongs to.", text.clone()),
            headers.key_id.shown.as_ref(): header("Numeric id of the key.", json!({ "type": "integer", "format": "int64" })),
            headers.scopes.shown.as_ref(): header("Scopes of the key, separated by blanks; empty beyond 4,096 bytes.", text.clone()),
            headers.external_id.shown.as_ref(): header("Id of the key's holder in the system of those who created it; empty if none was given.", text),
        })
    }

    /// What every event looks like that is posted to endpoints.
    pub fn event_schema(&self, data: &Value) -> Value {
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

    /// The request by which an endpoint is sent an event of a type.
    pub fn webhook(&self, event_type: &str, about: &str, schema: &str) -> Value {
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
                    header(&self.headers.signature.shown, "`sha256=` and the HMAC of the body in hexadecimal."),
                ],
                "requestBody": {
                    "required": true,
                    "content": { "application/json": { "schema": { "$ref": format!("#/components/schemas/{schema}") } } },
                },
                "responses": { "200": { "description": "The event was received" } },
            },
        })
    }

    /// What the introduction says of errors.
    fn about_errors(&self) -> String {
        let status = self.statuses.of(422);
        match self.envelope {
            EnvelopeStyle::Data => format!(
                "An error has a stable code in `error`, a sentence for people in `message`, and a `request_id` to quote when you ask \
                 for help. Invalid\ninput is {status} with every error in `errors`, by field."
            ),
            EnvelopeStyle::Success => {
                let first =
                    if self.names_first_field { "the first field in `details.field`, and " } else { "" };
                format!(
                    "What succeeds has `success` true, and its content in `data`. An error has `success` false, and in `error` a stable \
                     `code`, a sentence for people in `message`, and `details`, with a `request_id` to quote when you ask for help. \
                     Invalid input is {status} with {first}every error in `details.errors`, by field."
                )
            }
        }
    }

    /// What the introduction says of lists.
    fn about_lists(&self) -> &'static str {
        match self.paging {
            Paging::Pages => {
                "Lists return `data`, `meta` and `links`. Choose a page by `page` and `per_page`"
            }
            Paging::ShortPages => "Lists return `data` and `meta`. Choose a page by `page` and `per_page`",
            Paging::Offset => "Lists return `data` and `pagination`. Choose a page by `offset` and `limit`",
        }
    }

    /// Puts the contract's own names where texts of the document leave room for them: `{live_key}` is what a
    /// live key begins with, `{base_path}` where the operations live, `{acting_workspace}` the header that
    /// names the workspace to act on, and `{scope posts:read}` a scope as it is written, `{status 409}` a
    /// status, `{signature}` the header that signs a delivery's body, `{brand}` the name of the platform, and
    /// `{about_errors}` and `{about_lists}` what the introduction says of them.
    pub fn fill(&self, document: &mut Value) {
        match document {
            Value::String(text) if text.contains('{') => {
                *text = text
                    .replace("{live_key}", self.tokens.head(Environment::Live))
                    .replace("{acting_workspace}", &self.headers.acting_workspace.shown)
                    .replace("{base_path}", &self.base_path)
                    .replace("{signature}", &self.headers.signature.shown)
                    .replace("{brand}", &self.brand.name)
                    .replace("{about_errors}", &self.about_errors())
                    .replace("{about_lists}", self.about_lists());
                fill_with(text, "{scope ", |scope| self.spell_scopes(scope));
                let status =
                    |status: &str| status.parse().map(|status: u16| self.statuses.of(status).to_string());
                fill_with(text, "{status ", |core| status(core).unwrap_or_default());
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.fill(item)),
            Value::Object(members) => members.values_mut().for_each(|member| self.fill(member)),
            _ => {}
        }
    }
}

impl Brand {
    /// Says in a document whose it is, and where there is help.
    pub fn sign(&self, document: &mut Value) {
        if let Some(support) = &self.support {
            let kind = if support.contains("://") { "url" } else { "email" };
            document["info"]["contact"] = json!({ kind: support });
        }
        if let Some(logo) = &self.logo {
            document["info"]["x-logo"] = json!({ "url": logo });
        }
        if let Some(url) = &self.docs_url {
            document["externalDocs"] = json!({ "url": url });
        }
    }
}

/// Fills the rooms that begin so.
fn fill_with(text: &mut String, room: &str, fill: impl Fn(&str) -> String) {
    while let Some((before, rest)) = text.split_once(room) {
        let Some((what, after)) = rest.split_once('}') else { return };
        *text = format!("{before}{}{after}", fill(what));
    }
}

/// The member that says whether it went well.
const SUCCESS: fn(bool) -> Value = |succeeded| json!({ "type": "boolean", "enum": [succeeded], "description": "Whether the request succeeded.", "example": succeeded });

/// A reference to a component.
pub fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

fn object(name: &str, about: &str, properties: Value) -> (String, Value) {
    let required: Vec<&str> =
        properties.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let schema =
        json!({ "type": "object", "description": about, "required": required, "properties": properties });
    (name.to_owned(), schema)
}

fn text(about: &str) -> Value {
    json!({ "type": "string", "description": about })
}

fn integer(about: &str, format: &str, minimum: u64, example: Value) -> Value {
    json!({ "type": "integer", "format": format, "minimum": minimum, "description": about, "example": example })
}

fn nullable(mut schema: Value) -> Value {
    let kind = schema["type"].take();
    schema["type"] = json!([kind, "null"]);
    schema
}
