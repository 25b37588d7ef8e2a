//! How the contract looks in the OpenAPI document: its envelopes, its errors, its headers.

use serde_json::{Map, Value, json};

use crate::Contract;

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
pub struct SharedError {
    /// What the document calls its answer.
    pub name: &'static str,
    /// Its status.
    pub status: u16,
    about: &'static str,
    code: &'static str,
    message: &'static str,
}

/// The errors that operations share.
pub const SHARED_ERRORS: [SharedError; 12] = [
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
        message: "Insufficient permissions. Required scope: api-keys:write",
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
        about: "A fault of the server",
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
    /// The name and the schema of an envelope of `data`, which the document calls `view`; `stem` is what the names of its envelopes begin
    /// with.
    pub fn envelope_schema(
        self,
        envelope: Envelope,
        stem: &str,
        view: &str,
        data: &Value,
    ) -> (String, Value) {
        let list = json!({ "type": "array", "items": data });
        let (meta, links) = match envelope {
            Envelope::Log => ("LogMeta", "LogLinks"),
            _ => ("PageMeta", "PageLinks"),
        };
        let page =
            json!({ "data": list, "meta": reference("schemas", meta), "links": reference("schemas", links) });
        let page_members = json!(["data", "meta", "links"]);
        let (suffix, about, properties, required) = match envelope {
            Envelope::Item => {
                ("Item", format!("Response with one `{view}`."), json!({ "data": data }), json!(["data"]))
            }
            Envelope::Several => (
                "List",
                format!("Response with several `{view}`s."),
                json!({ "data": list }),
                json!(["data"]),
            ),
            Envelope::Message => {
                let message = json!({ "type": "string", "example": "Done successfully." });
                let about = format!("Response with a message and one `{view}`.");
                ("Message", about, json!({ "message": message, "data": data }), json!(["message", "data"]))
            }
            Envelope::Page => ("Page", format!("One page of `{view}`s."), page, page_members),
            Envelope::Log => {
                ("Page", format!("One page of `{view}`s, by number or by cursor."), page, page_members)
            }
        };
        let schema =
            json!({ "type": "object", "description": about, "required": required, "properties": properties });
        (format!("{stem}{suffix}"), schema)
    }

    /// The schemas that envelopes and errors refer to.
    pub fn schemas(self) -> Map<String, Value> {
        let ordinal = |about: &str| integer(about, "int64", 0, json!(1));
        let meta = json!({
            "current_page": integer("Number of this page.", "int32", 1, json!(1)),
            "from": nullable(ordinal("Position of the first item of this page in the list, starting at 1; null if the page is empty.")),
            "last_page": integer("Number of the last page.", "int64", 1, json!(1)),
            "per_page": { "type": "integer", "format": "int32", "minimum": 1, "maximum": 100, "description": "Maximum number of items per page.", "example": 25 },
            "to": nullable(ordinal("Position of the last item of this page in the list; null if the page is empty.")),
            "total": ordinal("Number of items in the whole list."),
        });
        let mut log_meta = meta.clone();
        for name in ["current_page", "last_page", "total"] {
            log_meta[name] = nullable(log_meta[name].take());
        }
        log_meta["next_cursor"] =
            nullable(text("Cursor of the page that follows this one; null if there is none."));
        let url = |about: &str| {
            let mut url = text(about);
            url["example"] = json!("https://api.example.com/api/v1/resource?page=1");
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

        let error = json!({
            "error": { "type": "string", "description": "Stable, machine-readable error code.", "example": "not_found" },
            "message": { "type": "string", "description": "Human-readable error message.", "example": "Resource not found." },
            "request_id": { "type": "string", "description": "Id of the request, for support.", "example": "req_abc123def456" },
        });
        let mut validation = error.clone();
        validation["error"]["description"] =
            json!("Error code: `validation_failed`, or `idempotency_key_reused` without `errors`.");
        validation["error"]["example"] = json!("validation_failed");
        validation["message"]["example"] = json!("The given data was invalid.");
        validation["errors"] = json!({
            "type": "object",
            "propertyNames": { "type": "string" },
            "additionalProperties": { "type": "array", "items": { "type": "string" } },
            "description": "Every fault, by field.",
            "example": { "name": ["The name field is required."] },
        });
        let mut limited = error.clone();
        limited["error"]["description"] = json!("Error code, always `rate_limit_exceeded`.");
        limited["error"]["example"] = json!("rate_limit_exceeded");
        limited["message"]["example"] = json!("Too many requests. Please retry after 60 seconds.");
        let count = |about: &str, example: u64| integer(about, "int64", 0, json!(example));
        limited["retry_after"] = count("Seconds to wait before the next request.", 60);
        limited["limit"] = count("Limit that was reached.", 1000);
        limited["remaining"] = count("Number of requests left, always 0.", 0);
        limited["reset_at"] = json!({
            "type": "string", "format": "date-time", "description": "Time at which the limit has room again.", "example": "2026-01-15T11:00:00Z",
        });

        let cursor = "Position of a page in its log. With a cursor nothing is counted: then only `per_page` and `next_cursor` are not null.";
        let error_members = ["error", "message", "request_id"];
        Map::from_iter([
            object("PageMeta", "Position of a page in its list.", meta, None),
            object("PageLinks", "URLs of other pages.", links, None),
            object("LogMeta", cursor, log_meta, None),
            object("LogLinks", "URLs of other pages of a log.", log_links, None),
            object("ErrorBody", "An error response.", error, None),
            object(
                "ValidationErrorBody",
                "An error response for invalid input.",
                validation,
                Some(&error_members),
            ),
            object("RateLimitErrorBody", "An error response for too many requests.", limited, None),
        ])
    }

    /// The answers of errors that operations share, by name.
    pub fn error_answers(self) -> Map<String, Value> {
        let answer = |shared: &SharedError| {
            let SharedError { name, status, about, code, message } = *shared;
            let mut example = json!({ "error": code, "message": message, "request_id": "req_abc123def456" });
            let mut schema = "ErrorBody";
            let mut headers = self.answer_headers(true);
            match status {
                401 => headers["WWW-Authenticate"] = reference("headers", "Authenticate"),
                422 => {
                    schema = "ValidationErrorBody";
                    example["errors"] = json!({ "name": ["The name field is required."] });
                }
                429 => {
                    schema = "RateLimitErrorBody";
                    for (member, value) in [
                        ("retry_after", json!(60)),
                        ("limit", json!(1000)),
                        ("remaining", json!(0)),
                        ("reset_at", json!("2026-01-15T11:00:00Z")),
                    ] {
                        example[member] = value;
                    }
                }
                _ => {}
            }
            if matches!(status, 429 | 503) {
                headers["Retry-After"] = reference("headers", "RetryAfter");
            }
            let content =
                json!({ "application/json": { "schema": reference("schemas", schema), "example": example } });
            (name.to_owned(), json!({ "description": about, "headers": headers, "content": content }))
        };
        SHARED_ERRORS.iter().map(answer).collect()
    }

    /// The headers that every answer has; that of a caller's workspace is not in answers to those who show no key.
    pub fn answer_headers(self, is_public: bool) -> Value {
        let mut headers = json!({ "X-Request-ID": reference("headers", "RequestId") });
        if !is_public {
            headers[WORKSPACE] = reference("headers", "Workspace");
        }
        for (header, component) in LIMIT_HEADERS {
            headers[header] = reference("headers", component);
        }
        headers
    }

    /// Headers by the names of their components.
    pub fn headers(self) -> Value {
        let number = |description: &str, example: u64| json!({ "description": description, "schema": { "type": "integer", "format": "int64" }, "example": example });
        let text = |description: &str, example: &str| json!({ "description": description, "schema": { "type": "string" }, "example": example });
        let mut retry_after = number("Seconds to wait before trying again.", 5);
        retry_after["schema"] = json!({ "type": "integer" });
        let link = "<https://api.example.com/api/v1/api-keys?page=2>; rel=\"next\"";
        json!({
            "RequestId": text("Id of the request, for support.", "req_abc123def456"),
            "Workspace": number("Numeric id of the workspace the API key belongs to.", 1),
            "Link": text("Links to other pages (RFC 8288).", link),
            "EntityTag": text("Version of the resource, for `If-Match`.", "\"64869e8b5c680\""),
            "Replayed": text("`true` when this is the kept answer of an earlier request.", "true"),
            "Authenticate": text("Authentication scheme to use.", "Bearer realm=\"gatepost\""),
            "RateLimitLimit": number("Requests per minute that the plan allows.", 5000),
            "RateLimitRemaining": number("Requests left in the current minute.", 4892),
            "RateLimitReset": number("Time at which the oldest request stops counting, in Unix seconds.", 1_705_312_260),
            "RateLimit": text("Standing of the caller for each rate limit.", "\"minute\";r=4892;t=60"),
            "RateLimitPolicy": text("Rate limits of the caller.", "\"minute\";q=5000;w=60"),
            "RetryAfter": retry_after,
        })
    }

    /// Parameters by the names of their components.
    pub fn parameters(self) -> Value {
        let header = |name: &str, about: &str, schema: Value| json!({ "name": name, "in": "header", "required": false, "description": about, "schema": schema });
        json!({
            "ActingWorkspace": header(
                "X-Workspace-ID",
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
                "The `ETag` of the resource as it was read: if it has changed since, nothing is done, and the answer is 412.",
                json!({ "type": "string" }),
            ),
        })
    }

    /// The headers of forward auth that say whose key it is, but for its workspace.
    pub fn key_headers(self) -> Value {
        let header =
            |description: &str, schema: Value| json!({ "description": description, "schema": schema });
        let text = json!({ "type": "string" });
        json!({
            "X-Gatepost-Environment": header("Environment the key belongs to.", text.clone()),
            "X-Gatepost-Key-Id": header("Numeric id of the key.", json!({ "type": "integer", "format": "int64" })),
            "X-Gatepost-Scopes": header("Scopes of the key, separated by blanks; left out beyond 4,096 bytes.", text),
        })
    }
}

/// The header of the workspace that the key belongs to.
const WORKSPACE: &str = "X-Gatepost-Workspace";

/// A reference to a component.
pub fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

fn object(name: &str, about: &str, properties: Value, required: Option<&[&str]>) -> (String, Value) {
    let all: Vec<&str> =
        properties.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let required = required.unwrap_or(&all);
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
