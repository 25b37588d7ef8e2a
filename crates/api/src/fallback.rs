//! Requests that no operation takes: 405 where the path has other methods, else 404; and `OPTIONS`, which
//! asks for them.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, header},
};
use gatepost_contract::ApiError;
use gatepost_gate::Via;
use gatepost_kernel::Error;

use crate::{State, call::authenticate_and_count, routes::RouteTable};

/// Answers what no route takes. Under the base path it counts: against the limits of the key, or of the
/// address that shows no valid one.
pub async fn no_such_operation(req: HttpRequest) -> Result<HttpResponse, ApiError> {
    let Some(state) = req.app_data::<State>() else { return Err(Error::NotFound.into()) };
    if req.match_info().as_str().starts_with(state.contract().base_path.as_ref())
        && let Err(refused @ ApiError::UseCase(Error::RateLimited { .. })) =
            authenticate_and_count(&req, state, Via::Api, None, |_| Ok(())).await
    {
        return Err(refused);
    }
    let routes = req.app_data::<Arc<RouteTable>>();
    Err(match routes.and_then(|routes| routes.allow(req.path())) {
        Some(allow) if req.method() == Method::OPTIONS => {
            return Ok(HttpResponse::NoContent().insert_header((header::ALLOW, allow)).finish());
        }
        Some(allow) => {
            ApiError::MethodNotAllowed { method: req.method().to_string(), allow: allow.to_owned() }
        }
        None => Error::NotFound.into(),
    })
}
