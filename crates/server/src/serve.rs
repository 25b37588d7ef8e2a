//! The server's life: bind, open, migrate, first start, serve, stop.

use std::{io, net::TcpListener, sync::Arc, thread, time::Duration};

use gatepost_api::{Listeners, PlainHttp, Settings, State, serve};
use gatepost_app::{App, first_start};
use gatepost_delivery::Dispatcher;
use gatepost_egress::{Egress, Rules};
use gatepost_kernel::{AdjustedClock, Secret, SystemClock};
use gatepost_mcp::McpServers;
use gatepost_storage::{Engine, Storage};
use tokio::signal::unix::{SignalKind, signal};

use crate::{Failure, cli::Role, config::Config, jobs, output};

/// How long requests to webhook endpoints that are in flight may take once the server was told to stop.
const DRAIN: Duration = Duration::from_secs(2);

/// How long MCP servers may take to end.
const MCP_PATIENCE: Duration = Duration::from_secs(1);

/// Opens the database and brings it up to date.
pub async fn open(config: &Config) -> Result<App, Failure> {
    let storage = open_storage(config).await?;
    storage.migrate().await?;
    Ok(App::new(storage, config.app_settings(), Arc::new(SystemClock)))
}

/// The same, with the root workspace there.
pub async fn open_with_root(config: &Config) -> Result<App, Failure> {
    let app = open(config).await?;
    first_start::without_key(&app).await?;
    Ok(app)
}

/// Opens the database as it is.
pub async fn open_storage(config: &Config) -> Result<Storage, Failure> {
    Storage::open(&config.database_url)
        .await
        .map_err(|e| format!("cannot use the database {}: {e}", config.database_url).into())
}

/// `gatepost migrate`
pub async fn migrate(config: &Config) -> Result<(), Failure> {
    let done = open_storage(config).await?.migrate().await?.run.len();
    output::line(&format!("{}: {done} migrations run, the database is up to date", config.database_url))?;
    Ok(())
}

/// `gatepost serve`
pub async fn run(config: &Config) -> Result<(), Failure> {
    // The port first: a key must not be made by a process that then cannot serve.
    let listener =
        TcpListener::bind(config.bind).map_err(|e| format!("cannot listen on {}: {e}", config.bind))?;
    let address = listener.local_addr()?;
    let bind_plain = |at| TcpListener::bind(at).map_err(|e| format!("cannot listen on {at}: {e}"));
    let plain_listener = config.plain_bind.map(bind_plain).transpose()?;
    let (listeners, scheme) = match config.tls.clone() {
        Some(identity) => (Listeners { plain: plain_listener, tls: Some((listener, identity)) }, "https"),
        None => (Listeners::from(listener), "http"),
    };
    let storage = open_storage(config).await?;
    let _lock = storage.lock_for_serving()?;
    let migrations = storage.migrate().await?.run.len();
    let clock = Arc::new(AdjustedClock::default());
    jobs::read_database_clock(&storage, &clock).await?;
    let app = App::new(storage, config.app_settings(), clock.clone());

    let delivers = config.roles.contains(&Role::Delivery);
    let in_flight = if delivers { config.delivery.in_flight } else { 0 };
    let delivery = gatepost_delivery::Settings { in_flight, ..config.delivery.clone() };
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
    let settings = Settings {
        public_url: config.public_url.clone(),
        cors_origins: config.cors_origins.clone(),
        trusted_proxies: config.trusted_proxies.clone(),
        plain_http: config.plain_http,
        strict_transport: config.tls.is_some() || config.plain_http != PlainHttp::Allow,
        probes_only: !answers_the_api,
    };
    let state = State::new(app.clone(), settings);
    let (server, stopper) = serve(listeners, state, thread::available_parallelism().map_or(1, usize::from))?;

    if answers_the_api && let Some(key) = first_start::with_first_key(&app).await? {
        greet(&key, &format!("{scheme}://{address}"))?;
    }
    let jobs = config.roles.contains(&Role::Jobs).then(|| tokio::spawn(jobs::run(app.clone())));
    let deliveries = delivers.then(|| tokio::spawn(dispatcher.clone().run()));
    let usage = tokio::spawn(jobs::write_usage(app.clone()));
    let follower = tokio::spawn(app.clone().follow_changes());
    let listener = tokio::spawn(jobs::hear_notices(app.clone()));
    let timekeeper = tokio::spawn(jobs::follow_database_clock(app.storage().clone(), clock));
    let sweeper = tokio::spawn(app.clone().sweep());
    tracing::info!(
        server.address = %address, server.scheme = scheme, database = %config.database_url, engine = app.storage().engine().as_str(),
        migrations.run = migrations, version = env!("CARGO_PKG_VERSION"), "ready"
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
    if let Err(error) = app.write_usage().await {
        tracing::warn!(
            error = error.internal_context().unwrap_or_default(),
            "the last usage was not written"
        );
    }
    if let Err(error) = app.release_leases().await {
        tracing::warn!(
            error = error.internal_context().unwrap_or_default(),
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

fn greet(key: &Secret, url: &str) -> io::Result<()> {
    output::line(&format!(
        "This database was empty. Here is the first API key; it can do everything and is shown only now:\n\n\
         export GATEPOST_KEY={}\n\n\
         Try it:\n\n\
         curl -H \"Authorization: Bearer $GATEPOST_KEY\" {url}/api/v1/workspaces\n",
        key.expose()
    ))
}
