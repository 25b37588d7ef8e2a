//! For load balancers and Prometheus; outside the contract and its limits.

use actix_web::{
    HttpResponse, Resource,
    http::header::{self, ContentType},
    web,
};
use gatepost_contract::{ApiError, accept};
use gatepost_kernel::Error;

use crate::{State, extensions::Rendered, fallback::no_such_operation, paths::PROBES};

pub fn configure(config: &mut web::ServiceConfig) {
    config
        .service(probe(PROBES[0]).get(healthz).route(web::head().to(healthz)))
        .service(probe(PROBES[1]).get(readyz).route(web::head().to(readyz)))
        .service(probe(PROBES[2]).get(metrics).route(web::head().to(metrics)));
}

fn probe(path: &str) -> Resource {
    web::resource(path).default_service(web::to(no_such_operation))
}

/// The process lives.
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::plaintext()).body("ok\n")
}

/// The process can do its work, and is not about to stop.
async fn readyz(req: actix_web::HttpRequest) -> Result<HttpResponse, ApiError> {
    let state = state(&req)?;
    if state.is_draining() {
        // As it is meant to be, so no error.
        let mut stopping =
            HttpResponse::ServiceUnavailable().content_type(ContentType::plaintext()).body("stopping\n");
        stopping.extensions_mut().insert(Rendered);
        return Ok(stopping);
    }
    let ready = state.readiness().await;
    state.metrics().probed_database(ready.is_ok());
    ready?;
    Ok(HttpResponse::Ok().content_type(ContentType::plaintext()).body("ready\n"))
}

async fn metrics(req: actix_web::HttpRequest) -> Result<HttpResponse, ApiError> {
    let metrics = state(&req)?.metrics();
    let (text, content_type) =
        match accept::prefers(req.headers(), "application/openmetrics-text", "text/plain") {
            true => (metrics.render(), "application/openmetrics-text; version=1.0.0; charset=utf-8"),
            false => (metrics.render_0_0_4(), "text/plain; version=0.0.4; charset=utf-8"),
        };
    let text = text.map_err(Error::failed("rendering metrics"))?;
    Ok(HttpResponse::Ok().content_type(content_type).insert_header((header::VARY, "Accept")).body(text))
}

fn state(req: &actix_web::HttpRequest) -> Result<&State, ApiError> {
    req.app_data().ok_or_else(|| Error::internal("the state is not part of the application").into())
}
