//! Gatepost over HTTP: routes, the extractor that authorises, the contract renderer and the OpenAPI document.
//!
//! A handler takes a `Call`, whose type states the scope it needs, and returns what the call makes of a
//! typed value. No handler builds an envelope, names a header or formats an error: `contract` does, so that the
//! same operations can later wear another face. No rule of the business is decided here.

mod accept;
mod auth_query;
mod body;
mod call;
mod client;
mod contract;
mod cors;
mod error;
mod fallback;
mod gate;
mod lists;
mod mcp_server;
mod metrics;
mod middleware;
mod openapi;
mod query;
mod routes;
mod scopes;
mod server;
mod tls;
mod visit;
mod wire;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderMap, HeaderValue},
    web,
};
use gatepost_app::App;
use gatepost_kernel::Error;
use ipnet::IpNet;
use utoipa_actix_web::service_config::ServiceConfig;
use utoipa_swagger_ui::SwaggerUi;

pub use openapi::{document, document_3_0};
pub use server::{Listeners, Stopper, serve};
pub use tls::{PlainHttp, TlsIdentity};

use crate::{
    contract::{Contract, PlanHeaders},
    error::ApiError,
    fallback::RouteTable,
    mcp_server::McpEndpoint,
    metrics::Metrics,
    middleware::respond,
};

/// Where the contract's operations live.
pub const BASE_PATH: &str = "/api/v1";

/// What the operator decides about the HTTP side.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The address that links begin with, e.g. `https://api.example.com`; the request's own when there is none.
    pub public_url: Option<String>,
    /// Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// What becomes of requests that come without TLS.
    pub plain_http: PlainHttp,
    /// Whether browsers are told to come with TLS only from now on: where the server has a certificate, or takes nothing
    /// else.
    pub strict_transport: bool,
    /// The origins whose pages may call the API from a browser, or `*` for all.
    pub cors_origins: Vec<String>,
    /// Whether to serve the probes alone, as a process does that does not answer the API.
    pub probes_only: bool,
}

/// What every request can reach. Cloning is cheap.
#[derive(Clone)]
pub struct State(Arc<Parts>);

struct Parts {
    app: App,
    settings: Settings,
    contract: Contract,
    metrics: Metrics,
    routes: RouteTable,
    plan_headers: Vec<PlanHeaders>,
    document: serde_json::Value,
    document_3_0: serde_json::Value,
    mcp_endpoint: McpEndpoint,
    draining: AtomicBool,
}

impl State {
    /// Puts the HTTP side of `app` together.
    pub fn new(app: App, settings: Settings) -> Self {
        let document = document();
        let served = if settings.probes_only { &serde_json::Value::Null } else { &document };
        let routes = RouteTable::from_document(served);
        let mcp_endpoint = mcp_server::endpoint(app.clone());
        let plan_headers = app.plan_limits().iter().map(|plan| PlanHeaders::new(&plan.allowance)).collect();
        Self(Arc::new(Parts {
            app,
            settings,
            contract: Contract::Core,
            metrics: Metrics::new(),
            routes,
            plan_headers,
            document,
            document_3_0: document_3_0(),
            mcp_endpoint,
            draining: AtomicBool::new(false),
        }))
    }

    /// What browsers are told about every answer.
    fn add_security_headers(&self, headers: &mut HeaderMap, came_with_tls: impl FnOnce() -> bool) {
        if self.settings().strict_transport && came_with_tls() {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
        }
    }

    /// Lets `/readyz` say that no more requests should be sent here.
    fn start_draining(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    fn app(&self) -> &App {
        &self.0.app
    }

    fn settings(&self) -> &Settings {
        &self.0.settings
    }

    fn contract(&self) -> Contract {
        self.0.contract
    }

    fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The prepared headers of the plan at `place`.
    fn plan_headers(&self, place: usize) -> Option<&PlanHeaders> {
        self.0.plan_headers.get(place)
    }

    fn mcp_endpoint(&self) -> &McpEndpoint {
        &self.0.mcp_endpoint
    }

    fn routes(&self) -> &RouteTable {
        &self.0.routes
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State(…)")
    }
}

/// Registers everything that this crate serves.
fn configure(config: &mut web::ServiceConfig, state: &State) {
    config.app_data(state.clone());
    routes::probes::configure(config);
    if !state.settings().probes_only {
        // Before the scope of the operations, which would take the path.
        routes::verification::configure_forward_auth(config);
        operations(&mut ServiceConfig::new(config));
        config.service(web::resource("/docs").get(async || web::Redirect::to("/docs/").permanent()));
        config.service(
            SwaggerUi::new("/docs/{_:.*}").external_url_unchecked("/openapi.json", state.0.document.clone()),
        );
        config.service(web::resource("/openapi-3.0.json").get(openapi_3_0));
        routes::pixel::configure_script(config);
        routes::mcp_endpoint::configure(config);
    }
    config.default_service(web::to(fallback::no_such_operation));
}

/// `/openapi-3.0.json`
async fn openapi_3_0(req: HttpRequest) -> Result<HttpResponse, ApiError> {
    let Some(state) = req.app_data::<State>() else { return Err(Error::NotFound.into()) };
    Ok(HttpResponse::Ok().json(&state.0.document_3_0))
}

/// The contract's operations, once for the server and once for the document.
fn operations(config: &mut ServiceConfig<'_>) {
    config.service(utoipa_actix_web::scope(BASE_PATH).configure(|config| {
        routes::workspaces::configure(config);
        routes::verification::configure(config);
        routes::api_keys::configure(config);
        routes::audit_log::configure(config);
        routes::events::configure(config);
        routes::webhooks::configure(config);
        routes::entitlements::configure(config);
        routes::seo::configure(config);
        routes::pixel::configure(config);
        routes::analytics::configure(config);
        routes::mcp::configure(config);
    }));
}
