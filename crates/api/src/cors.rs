//! Which pages of browsers may call the API. None, unless the operator names their origins; but any page may
//! tell of a visit, for which no key is needed.

use actix_cors::Cors;
use actix_web::{
    HttpResponse,
    dev::ServiceRequest,
    http::{
        Method,
        header::{self, HeaderMap, HeaderValue},
    },
};

use gatepost_contract::Contract;

use crate::operation::Operation;

/// Every origin.
const ANY: &str = "*";
/// For how long a browser remembers what it may do.
const MAX_AGE_SECONDS: usize = 3_600;

/// What browsers are told. Keys travel in a header of the request, so no page can make a browser send one by
/// itself, and credentials of the browser's own are never asked for.
pub fn cors<'a>(
    origins: &[String],
    operations: impl Iterator<Item = &'a Operation>,
    contract: &Contract,
) -> Cors {
    let methods = operations.map(|op| op.method.clone()).chain([Method::HEAD, Method::OPTIONS]);
    let cors = Cors::default()
        .allowed_methods(methods)
        .allowed_headers(contract.request_headers())
        .expose_headers(contract.response_headers())
        .max_age(MAX_AGE_SECONDS)
        // Requests of other programs are none of the browser's business.
        .block_on_origin_mismatch(false);
    if origins.iter().any(|origin| origin == ANY) {
        return cors.allow_any_origin().send_wildcard();
    }
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}

/// The operations that any page may call, whatever the operator says: the methods by path.
pub struct ForAnyPage(Vec<(String, Method)>);

impl ForAnyPage {
    /// Those of these operations.
    pub fn of<'a>(operations: impl Iterator<Item = &'a Operation>, contract: &Contract) -> Self {
        let public = operations.filter(|op| op.is_public());
        Self(public.map(|op| (op.full_path(contract), op.method.clone())).collect())
    }

    /// Whether one is at this path.
    pub fn has(&self, path: &str) -> bool {
        self.0.iter().any(|(of_any, _)| of_any == path)
    }

    /// What a browser is told that asks before it calls one.
    pub fn preflight(&self, req: &ServiceRequest) -> Option<HttpResponse> {
        let asks = req.method() == Method::OPTIONS
            && req.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let (_, method) = self.0.iter().find(|(path, _)| path == req.path()).filter(|_| asks)?;
        let answer = HttpResponse::NoContent()
            .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, method.as_str()))
            .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type"))
            .insert_header((header::ACCESS_CONTROL_MAX_AGE, "86400"))
            .finish();
        Some(answer)
    }
}

/// Takes back what lets pages of other origins read an answer.
pub fn let_no_page_read(headers: &mut HeaderMap) {
    for name in [
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        header::ACCESS_CONTROL_ALLOW_METHODS,
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        header::ACCESS_CONTROL_MAX_AGE,
    ] {
        headers.remove(name);
    }
}

/// Lets every page read the answer: nothing of it depends on who asks with which cookies.
pub fn let_any_page_read(headers: &mut HeaderMap) {
    let exposed = "x-request-id, retry-after, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset";
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static(ANY));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
}
