//! Requests that no operation takes: 405 where the path has other methods, else 404; and `OPTIONS`, which asks for them.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, header},
};
use gatepost_contract::ApiError;
use gatepost_kernel::Error;
use serde_json::Value;

use crate::{
    State,
    call::authenticate_and_count,
    openapi::METHODS,
    paths::{BASE_PATH, PROBES},
};

/// The paths of the document with their methods.
pub struct RouteTable(Vec<(Vec<String>, String)>);

impl RouteTable {
    /// The paths of the probes alone.
    pub fn of_probes() -> Self {
        Self(PROBES.into_iter().map(readable).collect())
    }

    /// Reads the paths out of the OpenAPI document, which lists every operation, and adds the probes and the paths of fixed documents.
    pub fn of_all<'a>(openapi: &Value, documents: impl Iterator<Item = &'a str>) -> Self {
        let methods = |item: &Value| {
            let methods = METHODS.iter().filter(|method| item.get(**method).is_some());
            let mut methods: Vec<_> = methods.map(|method| method.to_uppercase()).collect();
            if methods.iter().any(|method| method == "GET") {
                methods.push("HEAD".to_owned());
            }
            methods.push("OPTIONS".to_owned());
            methods.join(", ")
        };
        let operations = openapi["paths"].as_object().into_iter().flatten();
        let operations = operations.map(|(path, item)| (segments(path), methods(item)));
        Self(operations.chain(PROBES.into_iter().chain(documents).map(readable)).collect())
    }

    /// The methods of a path that is one by itself, and not one of a thing that is called so.
    pub fn allow_exactly(&self, path: &str) -> Option<&str> {
        let is = |segments: &[String]| segments.iter().map(String::as_str).eq(path.split('/'));
        self.0.iter().find(|(segments, _)| is(segments)).map(|(_, allow)| allow.as_str())
    }

    /// The methods of the path, separated by commas.
    fn allow(&self, path: &str) -> Option<&str> {
        let asked: Vec<&str> = path.split('/').collect();
        let fits = |segments: &[String]| {
            // What is behind an address can be one with slashes.
            let has_rest =
                segments.last().is_some_and(|last| last == "{uri}") && asked.len() > segments.len();
            (segments.len() == asked.len() || has_rest)
                && segments
                    .iter()
                    .zip(&asked)
                    .all(|(s, a)| if s.starts_with('{') { !a.is_empty() } else { s == a })
        };
        self.0.iter().find(|(segments, _)| fits(segments)).map(|(_, allow)| allow.as_str())
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split('/').map(str::to_owned).collect()
}

/// What can only be read.
fn readable(path: &str) -> (Vec<String>, String) {
    (segments(path), "GET, HEAD, OPTIONS".to_owned())
}

/// Answers what no route takes. Under the base path it counts: against the limits of the key, or of the address that shows no
/// valid one.
pub async fn no_such_operation(req: HttpRequest) -> Result<HttpResponse, ApiError> {
    let Some(state) = req.app_data::<State>() else { return Err(Error::NotFound.into()) };
    if req.path().starts_with(BASE_PATH)
        && let Err(refused @ ApiError::UseCase(Error::RateLimited { .. })) =
            authenticate_and_count(&req, state, |_| Ok(())).await
    {
        return Err(refused);
    }
    Err(match state.routes().allow(req.path()) {
        Some(allow) if req.method() == Method::OPTIONS => {
            return Ok(HttpResponse::NoContent().insert_header((header::ALLOW, allow)).finish());
        }
        Some(allow) => {
            ApiError::MethodNotAllowed { method: req.method().to_string(), allow: allow.to_owned() }
        }
        None => Error::NotFound.into(),
    })
}
