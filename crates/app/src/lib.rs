//! Gatepost's use-cases. Each authorises, validates, runs one transaction and says what happened.
//!
//! Reading use-cases take the [`App`]; those that change something take a [`UnitOfWork`], so that rows,
//! events, audit entries, the idempotency record and the change feed are written in one transaction, whoever
//! calls: the HTTP API through [`App::answer`], the command line through [`App::transact`].

pub mod audit_log;
mod caller;
mod combined;
mod combiner;
pub mod entitlements;
mod idempotency;
pub mod keys;
pub mod lists;
pub mod mcp;
mod metrics;
pub mod people;
pub mod resources;
mod settings;
pub mod stored_secrets;
pub mod tenants;
mod unit_of_work;
pub mod visits;
pub mod webhooks;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use gatepost_analytics::QuarterHour;
use gatepost_delivery::{Dispatcher, Handovers};
use gatepost_entitlements::Catalog;
use gatepost_gate::{Gate, GateSettings};
use gatepost_kernel::{ApiKeyId, Clock, Error, Result, Timestamp, WorkspaceId};
use gatepost_keys::{ScopeOrder, ScopeSet, TokenFormat};
use gatepost_limits::day_of;
use gatepost_mcp::McpServers;
use gatepost_metrics::{PREFIX, Registry, register_process};
use gatepost_people::{Failures, Role, SessionLimits};
use gatepost_storage::{NewEvent, Storage, Tx};

pub use caller::{Acting, Authority, Caller, IfMatch, Requirement};
pub use combined::Combinable;
pub use gatepost_kernel::Workspace;
pub use gatepost_storage::{
    Actor, AuditEntry, CountedBy, DayUsage, Op, RequestCounts, SeoIssue, SeoReport, StoredEvent, TierUse,
};
pub use gatepost_webhooks::{WebhookAttempt, WebhookDelivery, WebhookEndpoint};
pub(crate) use idempotency::IdempotencyRequest;
pub use metrics::{AppMetrics, Job};
pub use settings::{DashboardSettings, EntitlementSettings, PixelSettings, RetentionSettings};
pub use unit_of_work::UnitOfWork;

use crate::{
    entitlements::Counters,
    lists::Cursors,
    metrics::Group,
    people::Passwords,
    resources::Resources,
    visits::{
        PixelValues,
        pixel::{Sites, Tracking},
    },
    webhooks::events::Publications,
};

/// The application: the database, the plans and the clock. Cloning is cheap.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    storage: Storage,
    settings: AppSettings,
    gate: Gate,
    clock: Arc<dyn Clock>,
    dispatcher: OnceLock<Dispatcher>,
    mcp_servers: OnceLock<McpServers>,
    publications: Arc<Publications>,
    counters: Counters,
    sites: Sites,
    pixel_values: PixelValues,
    tracking: Arc<Tracking>,
    cursors: tokio::sync::OnceCell<Cursors>,
    metrics: AppMetrics,
    passwords: Passwords,
    role_scopes: [Arc<ScopeSet>; Role::ALL.len()],
    runtime: tokio::runtime::Handle,
}

/// What the operator decides about the application.
#[derive(Debug, Clone)]
pub struct AppSettings {
    /// The plans and features.
    pub catalog: Catalog,
    /// Who is let in.
    pub gate: GateSettings,
    /// Headers that say whose request it is, in lower case: no tenant's own may look like them.
    pub identity_headers: Vec<String>,
    /// What entitlements are told and count.
    pub entitlements: EntitlementSettings,
    /// How visits of pages are taken.
    pub pixel: PixelSettings,
    /// How long what was stored is kept.
    pub retention: RetentionSettings,
    /// How people sign in.
    pub dashboard: DashboardSettings,
    /// The declared resources.
    pub resources: Arc<Resources>,
}

impl Default for AppSettings {
    fn default() -> Self {
        Self {
            catalog: Catalog::built_in(),
            gate: GateSettings::default(),
            identity_headers: Vec::new(),
            entitlements: EntitlementSettings::default(),
            pixel: PixelSettings::default(),
            retention: RetentionSettings::default(),
            dashboard: DashboardSettings::default(),
            resources: Arc::default(),
        }
    }
}

impl App {
    /// Puts an application together. Must be called on the runtime that outlives the requests.
    pub fn new(storage: Storage, settings: AppSettings, clock: Arc<dyn Clock>) -> Self {
        let gate = Gate::new(storage.clone(), &settings.catalog, settings.gate.clone(), clock.clone());
        let metrics = AppMetrics::default();
        let tracking = visits::pixel::tracking(settings.pixel.queue, metrics.group_size(Group::PixelEvents));
        let role_scopes = people::role_scopes(&settings.resources);
        Self(Arc::new(Inner {
            storage,
            settings,
            gate,
            clock,
            dispatcher: OnceLock::new(),
            mcp_servers: OnceLock::new(),
            publications: webhooks::events::publications(metrics.group_size(Group::Events)),
            counters: entitlements::counters(&metrics.group_size(Group::Usage)),
            sites: Sites::default(),
            pixel_values: PixelValues::default(),
            tracking,
            cursors: tokio::sync::OnceCell::new(),
            metrics,
            passwords: Passwords::default(),
            role_scopes,
            runtime: tokio::runtime::Handle::current(),
        }))
    }

    /// Lets events be delivered by `dispatcher`. Without one, as at the command line, their deliveries wait
    /// in the database. A second call changes nothing.
    pub fn deliver_by(&self, dispatcher: Dispatcher) {
        let _ = self.0.dispatcher.set(dispatcher);
    }

    /// Lets tools be called on `servers`. A second call changes nothing.
    pub fn bridge_to(&self, servers: McpServers) {
        let _ = self.0.mcp_servers.set(servers);
    }

    /// The MCP servers; none if the operator names none, or at the command line.
    fn mcp_servers(&self) -> Option<&McpServers> {
        self.0.mcp_servers.get()
    }

    /// Says that deliveries may be due now.
    pub fn wake_deliveries(&self) {
        if let Some(dispatcher) = self.0.dispatcher.get() {
            dispatcher.wake();
        }
    }

    /// Stores events with their deliveries; which are new, and what is to be sent once the transaction is
    /// committed.
    async fn store_events(&self, tx: &mut Tx<'_>, events: &[NewEvent]) -> Result<(Vec<bool>, Handovers)> {
        Ok(gatepost_delivery::store(tx, events, self.0.dispatcher.get()).await?)
    }

    /// Lets what a transaction leaves be sent, once it is committed.
    fn hand_over(&self, handovers: Handovers) {
        handovers.log();
        if let Some(dispatcher) = self.0.dispatcher.get() {
            dispatcher.hand_over(handovers);
        }
    }

    fn dispatcher(&self) -> Result<&Dispatcher> {
        self.0.dispatcher.get().ok_or_else(|| Error::internal("there is nothing that delivers here"))
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Who is let in.
    pub fn gate(&self) -> &Gate {
        &self.0.gate
    }

    /// How the tokens of API keys begin.
    pub fn token_format(&self) -> &TokenFormat {
        self.0.gate.token_format()
    }

    /// How scopes are written.
    pub fn scope_order(&self) -> ScopeOrder {
        self.0.gate.scope_order()
    }

    /// Headers that no tenant's own may look like.
    pub(crate) fn identity_headers(&self) -> &[String] {
        &self.0.settings.identity_headers
    }

    /// What a role allows, with the declared resources.
    pub fn role_scopes(&self, role: Role) -> Arc<ScopeSet> {
        self.0.role_scopes[role as usize].clone()
    }

    fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    /// The plans and features.
    pub fn catalog(&self) -> &Catalog {
        &self.0.settings.catalog
    }

    /// The declared resources.
    pub fn resources(&self) -> &Arc<Resources> {
        &self.0.settings.resources
    }

    /// The database.
    pub fn storage(&self) -> &Storage {
        &self.0.storage
    }

    /// How visits of pages are taken.
    pub fn pixel_settings(&self) -> &PixelSettings {
        &self.0.settings.pixel
    }

    fn settings(&self) -> &AppSettings {
        &self.0.settings
    }

    fn runtime(&self) -> &tokio::runtime::Handle {
        &self.0.runtime
    }

    fn publications(&self) -> &Arc<Publications> {
        &self.0.publications
    }

    fn cursor_cell(&self) -> &tokio::sync::OnceCell<Cursors> {
        &self.0.cursors
    }

    fn counters(&self) -> &Counters {
        &self.0.counters
    }

    fn pixel_values(&self) -> &PixelValues {
        &self.0.pixel_values
    }

    fn sites(&self) -> &Sites {
        &self.0.sites
    }

    fn tracking(&self) -> &Arc<Tracking> {
        &self.0.tracking
    }

    /// What is counted here.
    pub fn metrics(&self) -> &AppMetrics {
        &self.0.metrics
    }

    /// All that the process has to say, but for what those around the application add to `gatepost_`.
    pub fn registry(&self, add: impl FnOnce(&mut Registry)) -> Registry {
        let mut registry = Registry::default();
        register_process(&mut registry);
        let own = registry.sub_registry_with_prefix(PREFIX);
        add(own);
        self.gate().register_metrics(own);
        self.storage().register_metrics(own);
        if let Some(dispatcher) = self.0.dispatcher.get() {
            dispatcher.register_metrics(own);
        }
        self.metrics().register(own, self.mcp_servers());
        registry
    }

    /// Whether the application can do its work: whether the database answers.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if not.
    pub async fn ready(&self) -> Result<()> {
        Ok(self.0.storage.ping().await?)
    }

    /// The workspace that a key belongs to, for the operator, who knows only the key's number.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unavailable`].
    pub async fn workspace_of_key(&self, id: ApiKeyId) -> Result<WorkspaceId> {
        self.read(async move |mut tx| tx.api_key_workspace(id).await?.ok_or(Error::NotFound)).await
    }

    /// Deletes what no longer counts, in small batches that let other writers in between; how many rows.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; what was deleted before stays deleted.
    pub async fn clean_up(&self) -> Result<usize> {
        const BATCH: u32 = 500;
        /// Readers of the change feed are seconds behind; one that is further behind trusts nothing it knows.
        const CHANGES_KEPT: Duration = Duration::from_secs(24 * 3_600);
        /// Single uses; what they add up to is kept for good.
        const USES_KEPT: Duration = Duration::from_secs(90 * 86_400);
        const FORMS_KEPT: Duration = Duration::from_hours(24);
        let mut total = 0;
        loop {
            let now = self.now();
            let events_before = now.minus(self.settings().retention.events);
            let deliveries_before = now.minus(self.settings().retention.deliveries);
            let settings = self.settings();
            let pixel_before = now.minus(settings.retention.pixel_events);
            let counts_before = QuarterHour::of(now.minus(settings.retention.analytics));
            let reports_before = now.minus(settings.retention.seo_reports);
            let sessions_before = now.minus(SessionLimits::MAX_ABSOLUTE);
            let failures_before = now.minus(Failures::REMEMBERED);
            let clean = async move |mut tx: Tx<'_>| {
                let records = tx.idempotency_delete_expired(now, BATCH).await?;
                // Yesterday's, because clocks of nodes differ.
                tx.day_lease_delete_before(day_of(now) - 1).await?;
                let changes = tx.change_delete_before(now.minus(CHANGES_KEPT), BATCH).await?;
                let deliveries = tx.webhook_delivery_delete_before(deliveries_before, BATCH).await?;
                let events = tx.event_delete_before(events_before, BATCH).await?;
                let uses = tx.entitlement_use_delete_before(now.minus(USES_KEPT), BATCH).await?;
                let pixel = tx.pixel_event_delete_before(pixel_before, BATCH).await?;
                let counts = tx.count_delete_before(counts_before, BATCH).await?;
                let reports = tx.seo_report_delete_before(reports_before, BATCH).await?;
                let sessions = tx.session_delete_before(sessions_before, BATCH).await?;
                let failures = tx.sign_in_failures_delete_before(failures_before, BATCH).await?;
                // A form that comes once more after that is a day old.
                let forms = tx.form_submission_delete_expired(now.minus(FORMS_KEPT), BATCH).await?;
                Ok::<_, Error>([
                    records, changes, deliveries, events, uses, pixel, counts, reports, sessions, failures,
                    forms,
                ])
            };
            let deleted = self.0.storage.transaction(clean).await?;
            let purged = resources::purge(self).await?;
            total += deleted.iter().sum::<usize>() + purged;
            if purged == 0 && deleted.into_iter().all(|rows| rows < BATCH as usize) {
                return Ok(total);
            }
        }
    }

    /// For lists: the rows and their number must agree.
    async fn read_snapshot<R, F>(&self, body: F) -> Result<R>
    where
        for<'c> F: AsyncFnOnce(Tx<'c>) -> Result<R> + Op<Tx<'c>, Result<R>, Fut: Send> + Send + 'static,
        R: Send + 'static,
    {
        self.0.storage.read_snapshot::<R, Error, F>(body).await
    }

    async fn read<R, F>(&self, body: F) -> Result<R>
    where
        for<'c> F: AsyncFnOnce(Tx<'c>) -> Result<R> + Op<Tx<'c>, Result<R>, Fut: Send> + Send + 'static,
        R: Send + 'static,
    {
        self.0.storage.read::<R, Error, F>(body).await
    }
}
