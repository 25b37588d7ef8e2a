//! Which pages of browsers may call the API. None, unless the operator names their origins.

use actix_cors::Cors;
use actix_web::http::{Method, header};

/// Every origin.
const ANY: &str = "*";
/// For how long a browser remembers what it may do.
const MAX_AGE_SECONDS: usize = 3_600;

/// What browsers are told. Keys travel in a header of the request, so no page can make a browser send one by itself, and
/// credentials of the browser's own are never asked for.
pub fn cors(origins: &[String]) -> Cors {
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::PATCH, Method::DELETE, Method::OPTIONS];
    let requests = [
        "accept",
        "authorization",
        "content-type",
        "idempotency-key",
        "if-match",
        "x-request-id",
        "x-workspace-id",
    ];
    let responses = [
        "etag",
        "idempotent-replayed",
        "link",
        "ratelimit",
        "ratelimit-policy",
        "retry-after",
        "x-gatepost-workspace",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "x-request-id",
    ];
    let cors = Cors::default()
        .allowed_methods(methods)
        .allowed_headers(requests.map(header::HeaderName::from_static))
        .expose_headers(responses)
        .max_age(MAX_AGE_SECONDS)
        // Requests of other programs are none of the browser's business.
        .block_on_origin_mismatch(false);
    if origins.iter().any(|origin| origin == ANY) {
        return cors.allow_any_origin().send_wildcard();
    }
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}
