//! The server's life: bind, open, migrate, first start, serve, stop.

use std::{net::TcpListener, sync::Arc, thread, time::Duration};

use gatepost_api::{ApiSettings, Listeners, PlainHttp, State, serve};
use gatepost_app::resources::reconcile;
use gatepost_app::{
    App, TierUse,
    keys::api_keys,
    tenants::{first_start, tiers},
    webhooks::stored_secrets,
};
use gatepost_delivery::Dispatcher;
use gatepost_egress::{Egress, Rules};
use gatepost_kernel::{AdjustedClock, Cause, SystemClock, chain};
use gatepost_mcp::McpServers;
use gatepost_storage::{Engine, Migrated, Storage, StorageError};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    Failure,
    cli::Role,
    config::{Config, Tls},
    first_key, jobs,
    keys::explain,
    output, secrets, self_signed,
};

/// How long requests to webhook endpoints that are in flight may take once the server was told to stop.
const DRAIN: Duration = Duration::from_secs(2);

/// How long MCP servers may take to end.
const MCP_PATIENCE: Duration = Duration::from_secs(1);

/// Opens the database, which must be of this version.
pub async fn open(config: &Config) -> Result<App, Failure> {
    Ok(App::new(open_current(config).await?, config.app_settings(), Arc::new(SystemClock)))
}

/// The same without the application around it.
pub async fn open_current(config: &Config) -> Result<Storage, Failure> {
    let storage = open_storage(config).await?;
    match storage.schema().await.map_err(|e| unusable(config, e))?.pending.as_slice() {
        [] => Ok(storage),
        [first, ..] => {
            let fault = format!(
                "its tables are not of this version, migrations are pending from {first} on; `gatepost migrate` runs them, \
                 and so does `gatepost serve`"
            );
            Err(unusable(config, StorageError::Configuration(Cause::new(fault))))
        }
    }
}

/// The same, with the root workspace there.
pub async fn open_with_root(config: &Config) -> Result<App, Failure> {
    let app = open(config).await?;
    first_start::without_key(&app).await?;
    Ok(app)
}

/// Opens the database as it is, if there is one.
pub async fn open_storage(config: &Config) -> Result<Storage, Failure> {
    Storage::open_existing(&config.database_url).await.map_err(|e| unusable(config, e))
}

fn unusable(config: &Config, error: StorageError) -> Failure {
    Cause::by(format!("cannot use the database {}", config.database_url), error).into()
}

/// `gatepost migrate`
pub async fn migrate(config: &Config, as_json: bool) -> Result<(), Failure> {
    let storage = Storage::open(&config.database_url).await.map_err(|e| unusable(config, e))?;
    let Migrated { run, copy } = storage.migrate().await.map_err(|e| unusable(config, e))?;
    storage.refresh_statistics(u64::MAX).await.map_err(|e| unusable(config, e))?;
    let (database, copy) = (config.database_url.to_string(), copy.map(|copy| copy.display().to_string()));
    if as_json {
        let version = env!("CARGO_PKG_VERSION");
        output::json(&json!({ "database": database, "version": version, "migrations": run, "copy": copy }))?;
    } else {
        if let Some(copy) = copy {
            output::line(&format!("{database}: copied to {copy} before"))?;
        }
        output::line(&format!("{database}: {} migrations run, the database is up to date", run.len()))?;
    }
    Ok(())
}

/// A start looks at the statistics of a file that is not larger: that takes about a second.
const MAX_BYTES_LOOKED_AT: u64 = 1 << 30;

/// Brings the database to this version, or, with `--no-migrate`, sees that it is; answers how many migrations were run.
async fn bring_up_to_date(config: &Config, storage: &Storage) -> Result<usize, Failure> {
    let schema = storage.schema().await.map_err(|e| unusable(config, e))?;
    if !schema.unknown.is_empty() {
        tracing::warn!(
            database = %config.database_url, migrations = schema.unknown.join(", "), version = env!("CARGO_PKG_VERSION"),
            "a newer version has migrated this database; this one goes on without what is new"
        );
    }
    if !config.migrates {
        return match schema.pending.first() {
            Some(first) => {
                let fault = format!(
                    "migrations are pending from {first} on, and --no-migrate is given; run `gatepost migrate`"
                );
                Err(unusable(config, StorageError::Configuration(Cause::new(fault))))
            }
            None => Ok(0),
        };
    }
    let Migrated { run, copy } = storage.migrate().await.map_err(|e| unusable(config, e))?;
    if let Some(copy) = copy {
        tracing::info!(database.copy = %copy.display(), "the database was copied before it was migrated");
    }
    if let Err(error) = storage.refresh_statistics(MAX_BYTES_LOOKED_AT).await {
        tracing::warn!(error = %chain(&error), "the database's statistics could not be looked at; lists may be slow");
    }
    Ok(run.len())
}

/// Stops the start where secrets could not be read, or would stay readable for everybody.
async fn check_secrets(config: &Config, storage: &Storage) -> Result<(), Failure> {
    let stored = stored_secrets::survey(storage).await.map_err(|e| explain(&e, "webhook endpoint", 0))?;
    if let Some(text) = secrets::unbound(&stored) {
        tracing::warn!("{text}");
    }
    match secrets::faults(config, &stored).as_slice() {
        [] => Ok(()),
        faults => Err(faults.join("\n").into()),
    }
}

/// Stops the start where workspaces or keys have a plan that there is not, and tells of keys that nobody can use any more.
async fn check_stored(app: &App) -> Result<(), Failure> {
    let unknown = tiers::unknown(app).await?;
    if !unknown.is_empty() {
        return Err(unknown_tiers(&unknown).join("\n").into());
    }
    // Only a server that starts moves the root: another program's configuration may be another one.
    if first_start::follow_root_plan(app).await? {
        tracing::info!(
            plan = app.catalog().root_plan(),
            "the root workspace has the plan that the configuration says"
        );
    }
    match unaccepted_keys(app).await {
        Ok(text) => text.into_iter().for_each(|text| tracing::warn!("{text}")),
        Err(error) => tracing::warn!(error = %chain(error.as_ref()), "stored keys could not be looked at"),
    }
    Ok(())
}

/// What is said of stored tiers without a plan, each with the command that mends it.
pub fn unknown_tiers(unknown: &[TierUse]) -> Vec<String> {
    let told = |TierUse { tier, workspaces, keys }: &TierUse| {
        format!(
            "{workspaces} workspaces and {keys} keys have the plan {tier:?}, which the configuration does not define; define it, or \
             give them another: gatepost workspaces replace-tier {tier} PLAN"
        )
    };
    unknown.iter().map(told).collect()
}

/// What is said of keys whose beginning is accepted no more, if there are any.
pub async fn unaccepted_keys(app: &App) -> Result<Option<String>, Failure> {
    let heads: Vec<String> = app.token_format().heads().map(str::to_owned).collect();
    let (lost, all) = api_keys::beginning_otherwise(app, heads).await?;
    Ok((lost > 0).then(|| {
        format!(
            "{lost} of {all} API keys begin with what is not accepted any more, and are refused; [contract] accepted_key_prefixes \
             lets them pass"
        )
    }))
}

/// What is no reason to stop, but one to be told.
fn warn(config: &Config) {
    if config.redis_is_named {
        tracing::warn!(
            "REDIS_URL is set, but this version uses no Redis; limits are counted by each process"
        );
    }
    if config.database_url.crosses_a_network() {
        tracing::warn!(database = %config.database_url, "what is said to the database crosses a network without TLS");
    }
}

/// Lets the process have as many files and connections open as the system allows it, and answers how many.
fn raise_limit_of_files() -> Result<u64, Failure> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    Ok(most)
}

/// `gatepost serve`
pub async fn run(config: &Config) -> Result<(), Failure> {
    let files = raise_limit_of_files()?;
    // The port first: a key must not be made by a process that then cannot serve.
    let listener = TcpListener::bind(config.server.bind)
        .map_err(|e| format!("cannot listen on {}: {e}", config.server.bind))?;
    let address = listener.local_addr()?;
    let bind_plain = |at| TcpListener::bind(at).map_err(|e| format!("cannot listen on {at}: {e}"));
    let plain_listener = config.server.plain_bind.map(bind_plain).transpose()?;
    let (identity, made) = match &config.tls {
        Tls::None => (None, None),
        Tls::Given(identity) => (Some(identity.as_ref().clone()), None),
        Tls::SelfSigned => {
            let (identity, file) = self_signed::identity(config)?;
            (Some(identity), Some(file))
        }
    };
    let (listeners, scheme) = match identity {
        Some(identity) => (Listeners { plain: plain_listener, tls: Some((listener, identity)) }, "https"),
        None => (Listeners::from(listener), "http"),
    };
    let storage = match config.migrates {
        true => Storage::open(&config.database_url).await.map_err(|e| unusable(config, e))?,
        false => open_storage(config).await?,
    };
    let _lock = storage.lock_for_serving()?;
    let migrations = bring_up_to_date(config, &storage).await?;
    check_secrets(config, &storage).await?;
    warn(config);
    let clock = Arc::new(AdjustedClock::default());
    jobs::read_database_clock(&storage, &clock).await?;
    let resources = reconcile(&storage, config.declarations.clone()).await?;
    let app_settings = gatepost_app::AppSettings { resources: Arc::new(resources), ..config.app_settings() };
    let app = App::new(storage, app_settings, clock.clone());
    check_stored(&app).await?;

    let delivers = config.roles.contains(&Role::Delivery);
    let in_flight = if delivers { config.delivery.in_flight } else { 0 };
    let delivery = gatepost_delivery::DeliverySettings { in_flight, ..config.delivery.clone() };
    let egress = Egress::new(config.egress.clone())?;
    let dispatcher =
        Dispatcher::new(app.storage().clone(), egress, config.vault.clone(), delivery, clock.clone());
    if app.storage().engine() == Engine::Sqlite {
        // This process alone serves the file, so whoever had them is gone.
        dispatcher.release_all().await?;
    }
    app.deliver_by(dispatcher.clone());
    let answers_the_api = config.roles.contains(&Role::Api);
    let mcp_servers = answers_the_api.then(|| start_mcp_servers(config)).transpose()?;
    if let Some(servers) = &mcp_servers {
        app.bridge_to(servers.clone());
    }

    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let settings = ApiSettings {
        contract: config.contract.clone(),
        server: config.server.clone(),
        // Browsers would ask nothing of `localhost` without TLS any more, whatever else listens there.
        strict_transport: matches!(config.tls, Tls::Given(_))
            || (config.server.plain_http != PlainHttp::Allow && made.is_none()),
        probes_only: !answers_the_api,
    };
    let state = State::new(app.clone(), settings);
    let (server, stopper) = serve(listeners, state, thread::available_parallelism().map_or(1, usize::from))?;

    if let Some(file) = &made {
        let (port, file) = (address.port(), file.display());
        output::line(&format!("try it: curl --cacert {file} https://localhost:{port}/healthz"))?;
    }
    if answers_the_api {
        first_key::make(&app, config, &format!("{scheme}://{address}")).await?;
    }
    let jobs = config.roles.contains(&Role::Jobs).then(|| tokio::spawn(jobs::run(app.clone())));
    let deliveries = delivers.then(|| tokio::spawn(dispatcher.clone().run()));
    let usage = tokio::spawn(jobs::write_usage(app.clone()));
    let follower = tokio::spawn(app.gate().clone().follow_changes());
    let listener = tokio::spawn(jobs::hear_notices(app.clone()));
    let timekeeper = tokio::spawn(jobs::follow_database_clock(app.storage().clone(), clock));
    let sweeper = tokio::spawn(app.gate().clone().sweep());
    tracing::info!(
        server.address = %address, server.scheme = scheme, database = %config.database_url, engine = app.storage().engine().as_str(),
        migrations.run = migrations, files.limit = files, version = env!("CARGO_PKG_VERSION"), "ready"
    );
    let mut server = tokio::spawn(server);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        // It ends by itself only when something is wrong; a supervisor must see that.
        ended = &mut server => {
            ended??;
            return Err("the server ended by itself".into());
        }
    }
    tracing::info!("stopping");
    stopper.stop().await;
    server.await??;
    if let Some(servers) = mcp_servers {
        servers.stop(MCP_PATIENCE).await;
    }
    // Before the rest of the database work: what is in flight is recorded, and nothing more is taken.
    dispatcher.drain(DRAIN).await;
    if let Some(deliveries) = deliveries {
        deliveries.abort();
    }
    usage.abort();
    sweeper.abort();
    follower.abort();
    listener.abort();
    timekeeper.abort();
    if let Some(jobs) = jobs {
        jobs.abort();
    }
    // What the last seconds counted; the database may be the reason for stopping, so this does not fail the stop.
    if let Err(error) = app.gate().write_usage().await {
        tracing::warn!(
            error = %error.for_log(),
            "the last usage was not written"
        );
    }
    if let Err(error) = app.gate().release_leases().await {
        tracing::warn!(
            error = %error.for_log(),
            "leases of daily quotas were not given back"
        );
    }
    tracing::info!("stopped");
    Ok(())
}

/// Starts to keep the operator's MCP servers there. Their addresses are the operator's own, so they may be without TLS.
fn start_mcp_servers(config: &Config) -> Result<McpServers, Failure> {
    let egress = Egress::new(Rules { allow_http: true, ..config.egress.clone() })?;
    Ok(McpServers::start(config.mcp_servers.clone(), &egress))
}
