//! Gatepost over HTTP: routes, the extractor that authorises, and the OpenAPI document.
//!
//! A handler takes a `Call`, whose type states the scope it needs, and returns what the call makes of a typed
//! value. No handler builds an envelope, names a header or formats an error: the crate `contract` does, so
//! that the same operations can later wear another face. No rule of the business is decided here.

mod access_log;
mod answer;
mod audit_log;
mod audit_log_wire;
mod body;
mod budget;
mod call;
mod client;
mod cors;
mod documents;
mod entitlements;
mod exposed;
mod extensions;
mod fallback;
mod gate;
mod keys;
mod lists;
mod mcp;
mod metrics;
mod middleware;
mod openapi;
mod operation;
mod pages;
mod paths;
mod people;
mod probes;
mod query;
mod resources;
mod routes;
mod scopes;
mod sending;
mod server;
mod settings;
mod shown;
mod tenants;
mod tls;
mod values;
mod views;
mod visits;
mod webhooks;
mod workers;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_web::{
    http::header::{self, HeaderMap, HeaderValue},
    web,
};
use gatepost_app::App;
use gatepost_contract::PlanHeaders;
use gatepost_kernel::Result;
use tokio::{sync::Mutex, time::Instant};

pub use extensions::Rendered;
pub use gatepost_contract::Contract;
pub use openapi::{document, document_3_0};
pub use pages::{Pages, Sender};
pub use paths::is_fixed_path;
pub use resources::taken;
pub use server::{Listeners, Stopper, serve};
pub use settings::ServerSettings;
pub use tls::{PlainHttp, ServedCertificate, TlsIdentity};

use crate::{
    budget::Budget, cors::ForAnyPage, documents::Documents, exposed::ExposedKeys, mcp::McpEndpoint,
    metrics::Metrics, middleware::respond, operation::Operation, paths::FORWARD_AUTH,
    resources::RecordOperations, routes::RouteTable, server::Connection,
};

/// What the operator decides about the HTTP side.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// How everything looks on the wire.
    pub contract: Contract,
    /// The section of the configuration file.
    pub server: ServerSettings,
    /// Whether browsers are told to come with TLS only from now on: where the server has a certificate, or
    /// takes nothing else.
    pub strict_transport: bool,
    /// Whether to serve the probes alone, as a process does that does not answer the API.
    pub probes_only: bool,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            contract: Contract::core(),
            server: ServerSettings::default(),
            strict_transport: false,
            probes_only: false,
        }
    }
}

/// For how long an answer of the database to whether it is there holds for all who ask.
const READINESS: Duration = Duration::from_secs(1);

/// What every request can reach. Cloning is cheap.
#[derive(Clone)]
pub struct State(Arc<Inner>);

struct Inner {
    app: App,
    settings: ApiSettings,
    contract: Arc<Contract>,
    metrics: Metrics,
    plan_headers: Vec<PlanHeaders>,
    documents: Documents,
    exposed_keys: ExposedKeys,
    for_any_page: ForAnyPage,
    records: RecordOperations,
    budget: Budget,
    readiness: Mutex<Option<(Instant, Result<()>)>>,
    mcp_endpoint: McpEndpoint,
    draining: AtomicBool,
    pages: Option<Arc<dyn Pages>>,
}

impl State {
    /// Puts the HTTP side of `app` together.
    pub fn new(app: App, settings: ApiSettings) -> Self {
        Self::with_pages(app, settings, None)
    }

    /// The same, with pages for people beside the API.
    pub fn with_pages(app: App, settings: ApiSettings, pages: Option<Arc<dyn Pages>>) -> Self {
        let contract = Arc::new(settings.contract.clone());
        // Keys would be made that nobody could show.
        assert_eq!(app.token_format(), &contract.tokens, "the application has tokens of another contract");
        assert_eq!(app.scope_order(), contract.scope_order, "the application has scopes of another contract");
        let documents = Documents::new(&contract, app.resources(), settings.server.docs);
        let records = RecordOperations::of(app.resources());
        let mcp_endpoint = mcp::endpoint_of(app.clone(), contract.clone());
        let plan_headers =
            app.gate().plan_limits().iter().map(|plan| PlanHeaders::new(&plan.allowance)).collect();
        let budget = Budget::default();
        let metrics = Metrics::new(&app, &budget, &format!("{}{FORWARD_AUTH}", contract.base_path));
        Self(Arc::new(Inner {
            app,
            settings,
            metrics,
            plan_headers,
            documents,
            exposed_keys: ExposedKeys::default(),
            for_any_page: ForAnyPage::of(operations(), &contract),
            contract,
            records,
            budget,
            readiness: Mutex::default(),
            mcp_endpoint,
            draining: AtomicBool::new(false),
            pages,
        }))
    }

    /// What browsers are told about every answer.
    fn add_security_headers(&self, headers: &mut HeaderMap, came_with_tls: impl FnOnce() -> bool) {
        if self.settings().strict_transport && came_with_tls() {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
        }
    }

    /// Lets `/readyz` say that no more requests should be sent here, and every answer that its connection ends.
    fn start_draining(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// Whether the database answers. It is asked once a second at most, however many want to know.
    async fn readiness(&self) -> Result<()> {
        let mut known = self.0.readiness.lock().await;
        if let Some((asked, answer)) = &*known
            && asked.elapsed() < READINESS
        {
            return answer.clone();
        }
        let answer = self.app().ready().await;
        *known = Some((Instant::now(), answer.clone()));
        answer
    }

    /// All operations that there are.
    fn operations(&self) -> impl Iterator<Item = &Operation> {
        operations().chain(self.records().iter())
    }

    /// The operations on records of declared resources.
    fn records(&self) -> &RecordOperations {
        &self.0.records
    }

    /// The bytes in flight.
    fn budget(&self) -> &Budget {
        &self.0.budget
    }

    fn exposed_keys(&self) -> &ExposedKeys {
        &self.0.exposed_keys
    }

    fn for_any_page(&self) -> &ForAnyPage {
        &self.0.for_any_page
    }

    fn documents(&self) -> &Documents {
        &self.0.documents
    }

    /// The application.
    pub fn app(&self) -> &App {
        &self.0.app
    }

    /// What the operator decided.
    pub fn settings(&self) -> &ApiSettings {
        &self.0.settings
    }

    /// How everything looks on the wire.
    pub fn contract(&self) -> &Arc<Contract> {
        &self.0.contract
    }

    fn pages(&self) -> Option<&dyn Pages> {
        self.0.pages.as_deref()
    }

    fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The prepared headers of the plan at `place`.
    fn plan_headers(&self, index: usize) -> Option<&PlanHeaders> {
        self.0.plan_headers.get(index)
    }

    fn mcp_endpoint(&self) -> &McpEndpoint {
        &self.0.mcp_endpoint
    }

    /// What is served at the socket of a connection.
    fn part(&self, connection: Connection) -> Part {
        let server = &self.settings().server;
        let for_operators = connection.admin || server.admin_bind.is_none();
        let has_api = !self.settings().probes_only;
        Part { api: has_api && !connection.admin, documents: has_api && for_operators, probes: for_operators }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State(…)")
    }
}

/// What is served at one socket. All else is not there, however its path is written.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// The operations, MCP, and what pages of others load.
    api: bool,
    /// The documentation.
    documents: bool,
    /// What load balancers and Prometheus ask for.
    probes: bool,
}

/// Registers what this crate serves at the socket of `connection`.
fn configure(config: &mut web::ServiceConfig, state: &State, connection: Connection) {
    let part = state.part(connection);
    config.app_data(state.clone()).app_data(Arc::new(RouteTable::of(part, state)));
    if part.probes {
        probes::configure(config);
    }
    if let Some(pages) = state.pages().filter(|_| part.api) {
        let start = pages.start();
        let begin = web::resource("/").get(move || async move { web::Redirect::to(start) });
        let begin = begin.route(web::head().to(move || async move { web::Redirect::to(start) }));
        config.service(begin.default_service(web::to(fallback::no_such_operation)));
        pages.configure(config);
    }
    state.documents().configure(config, part);
    if part.api {
        let with_records = !state.records().is_empty();
        let below = move |config: &mut web::ServiceConfig| {
            operations().for_each(|op| (op.register)(config));
            if with_records {
                resources::configure(config);
            }
        };
        config.service(web::scope(&state.contract().base_path).configure(below));
        mcp::configure_endpoint(config);
    }
    config.default_service(web::to(fallback::no_such_operation));
}

/// The contract's operations, in the order in which the document has their groups.
fn operations<'o>() -> impl Iterator<Item = &'o Operation> {
    let wings = [
        tenants::OPERATIONS,
        keys::OPERATIONS,
        gate::OPERATIONS,
        webhooks::OPERATIONS,
        entitlements::OPERATIONS,
        visits::OPERATIONS,
        mcp::OPERATIONS,
        resources::OPERATIONS,
        people::OPERATIONS,
        audit_log::OPERATIONS,
    ];
    wings.into_iter().flatten()
}
