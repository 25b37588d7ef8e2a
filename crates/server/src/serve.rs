//! The server's life: bind, assemble, run the tasks, stop.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    thread,
    time::Duration,
};

use gatepost_api::{ApiSettings, Listeners, Pages, PlainHttp, ServedCertificate, State, serve};
use gatepost_app::{App, AppSettings, resources::reconcile};
use gatepost_dashboard::Dashboard;
use gatepost_delivery::{DeliverySettings, Dispatcher};
use gatepost_egress::{Egress, Rules};
use gatepost_kernel::AdjustedClock;
use gatepost_mcp::McpServers;
use gatepost_storage::{Engine, ServeLock};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::{JoinSet, block_in_place},
    time::sleep,
};

use crate::{
    Failure,
    cli::{GlobalArgs, Role, ServeArgs},
    config::{Config, Tls},
    database, doctor, first_key, jobs, output,
    reload::Reloader,
    self_signed, stored, supervisor,
};

/// How long requests to webhook endpoints that are in flight may take once the server was told to stop.
const DRAIN: Duration = Duration::from_secs(2);

/// How long MCP servers may take to end.
const MCP_PATIENCE: Duration = Duration::from_secs(1);

/// `gatepost serve`
pub async fn run(config: &Config, arguments: (&GlobalArgs, &ServeArgs)) -> Result<(), Failure> {
    let files = raise_limit_of_files()?;
    // The port first: a key must not be made by a process that then cannot serve.
    let bound = Bound::bind(config)?;
    let running = Running::assemble(config).await?;
    // From here on; before, a signal ends the process at once, also in the midst of a long migration.
    let mut signals = Signals::listen()?;
    let reloader = Reloader::new(arguments, config, bound.certificate.clone())?;
    let pages = config.dashboard.enabled.then(|| Arc::new(Dashboard) as Arc<dyn Pages>);
    let settings = api_settings(config, bound.made_certificate.is_some());
    let state = State::with_pages(running.app.clone(), settings, pages);
    let (address, scheme) = (bound.address, bound.scheme);
    let (server, stopper) =
        serve(bound.listeners, state, thread::available_parallelism().map_or(1, usize::from))?;
    if let Some(file) = &bound.made_certificate {
        let (port, file) = (address.port(), file.display());
        output::line(&format!("try it: curl --cacert {file} https://localhost:{port}/healthz"))?;
    }
    if config.roles.contains(&Role::Api) {
        first_key::make(&running.app, config, &config.server_url(address)).await?;
    }
    let mut tasks = running.start_tasks(config);
    let storage = running.app.storage();
    tracing::info!(
        server.address = %address, server.scheme = scheme, database = %config.database_url, engine = storage.engine().as_str(),
        migrations.run = running.migrations, files.limit = files, version = env!("CARGO_PKG_VERSION"), "ready"
    );
    supervisor::ready();
    let mut server = tokio::spawn(server);
    let ended = loop {
        tokio::select! {
            told = signals.recv() => match told {
                Told::Reload => {
                    supervisor::reloading();
                    // It reads files, and asks for the addresses of names.
                    block_in_place(|| reloader.reload());
                    supervisor::ready();
                }
                Told::Terminate => break Ok(config.server.drain),
                Told::Interrupt => break Ok(None),
            },
            // Both end by themselves only when something is wrong; a supervisor must see that.
            ended = &mut server => {
                ended??;
                return Err("the server ended by itself".into());
            }
            ended = tasks.join_next() => break Err(match ended {
                Some(Err(error)) => Failure::from(error),
                Some(Ok(())) | None => "a task ended by itself".into(),
            }),
        }
    };
    supervisor::stopping();
    if let Ok(Some(drain)) = ended {
        tracing::info!(seconds = drain.as_secs(), "draining");
        stopper.drain();
        tokio::select! {
            () = sleep(drain) => {}
            // Whoever says it again does not want to wait.
            () = signals.recv_end() => {}
        }
    }
    tracing::info!("stopping");
    stopper.stop().await;
    server.await??;
    running.stop(tasks).await;
    tracing::info!("stopped");
    ended.map(|_| ())
}

/// Where requests come in.
struct Bound {
    listeners: Listeners,
    address: SocketAddr,
    scheme: &'static str,
    /// The file of the certificate, if the server makes it itself.
    made_certificate: Option<PathBuf>,
    /// The certificate, if it is the operator's own.
    certificate: Option<ServedCertificate>,
}

impl Bound {
    fn bind(config: &Config) -> Result<Self, Failure> {
        let bind = |at| TcpListener::bind(at).map_err(|e| format!("cannot listen on {at}: {e}"));
        let listener = bind(config.server.bind)?;
        let address = listener.local_addr()?;
        let plain = config.server.plain_bind.map(bind).transpose()?;
        let admin = config.server.admin_bind.map(bind).transpose()?;
        let (identity, made_certificate) = match &config.tls {
            Tls::None => (None, None),
            Tls::Given(identity) => (Some(identity.as_ref().clone()), None),
            Tls::SelfSigned => {
                let (identity, file) = self_signed::identity(config)?;
                (Some(identity), Some(file))
            }
        };
        let served = identity.map(ServedCertificate::from);
        let certificate = served.clone().filter(|_| made_certificate.is_none());
        let (listeners, scheme) = match served {
            Some(served) => (Listeners { plain, tls: Some((listener, served)), admin }, "https"),
            None => (Listeners { admin, ..Listeners::from(listener) }, "http"),
        };
        Ok(Self { listeners, address, scheme, made_certificate, certificate })
    }
}

/// What a supervisor or a terminal says.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What was said.
enum Told {
    /// To end, once load balancers have seen it.
    Terminate,
    /// To end.
    Interrupt,
    /// To read the configuration again.
    Reload,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn recv(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Terminate,
            _ = self.interrupt.recv() => Told::Interrupt,
            _ = self.hangup.recv() => Told::Reload,
        }
    }

    /// Waits until it is said that the process ends.
    async fn recv_end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn api_settings(config: &Config, certificate_is_made: bool) -> ApiSettings {
    ApiSettings {
        contract: config.contract.clone(),
        server: config.server.clone(),
        // Browsers would ask nothing of `localhost` without TLS any more, whatever else listens there.
        strict_transport: matches!(config.tls, Tls::Given(_))
            || (config.server.plain_http != PlainHttp::Allow && !certificate_is_made),
        probes_only: !config.roles.contains(&Role::Api),
    }
}

/// The parts of a process that serves, put together.
struct Running {
    app: App,
    clock: Arc<AdjustedClock>,
    dispatcher: Dispatcher,
    mcp_servers: Option<McpServers>,
    /// How many migrations were run.
    migrations: usize,
    _lock: Option<ServeLock>,
}

impl Running {
    /// Opens the database, brings it to this version, sees that what is stored fits what is configured, and
    /// puts everything together that needs it.
    async fn assemble(config: &Config) -> Result<Self, Failure> {
        let storage = database::open_for_serving(config).await?;
        let lock = storage.lock_for_serving()?;
        let migrations = database::bring_up_to_date(config, &storage).await?;
        stored::check_secrets(config, &storage).await?;
        doctor::warn(config);
        let clock = Arc::new(AdjustedClock::default());
        jobs::read_database_clock(&storage, &clock).await?;
        let resources = reconcile(&storage, config.declarations.clone()).await?;
        let settings = AppSettings { resources: Arc::new(resources), ..config.app_settings() };
        let app = App::new(storage, settings, clock.clone());
        stored::check_plans_and_keys(&app).await?;
        let dispatcher = dispatcher(config, &app, clock.clone())?;
        if app.storage().engine() == Engine::Sqlite {
            // This process alone serves the file, so whoever had them is gone.
            dispatcher.release_all().await?;
        }
        app.deliver_by(dispatcher.clone());
        let mcp_servers = match config.roles.contains(&Role::Api) {
            true => Some(start_mcp_servers(config)?),
            false => None,
        };
        if let Some(servers) = &mcp_servers {
            app.bridge_to(servers.clone());
        }
        Ok(Self { app, clock, dispatcher, mcp_servers, migrations, _lock: lock })
    }

    /// Starts what is done beside answering requests; none of it ends by itself.
    fn start_tasks(&self, config: &Config) -> JoinSet<()> {
        let (app, mut tasks) = (&self.app, JoinSet::new());
        if config.roles.contains(&Role::Jobs) {
            tasks.spawn(jobs::run(app.clone()));
        }
        if config.roles.contains(&Role::Delivery) {
            tasks.spawn(self.dispatcher.clone().run());
            tasks.spawn(self.dispatcher.clone().measure_queue());
        }
        tasks.spawn(jobs::write_usage(app.clone()));
        tasks.spawn(app.gate().clone().follow_changes());
        tasks.spawn(app.gate().clone().sweep());
        tasks.spawn(jobs::follow_database_clock(app.clone(), self.clock.clone()));
        if let Some(notices) = app.storage().notices() {
            tasks.spawn(jobs::hear_notices(app.clone(), notices));
        }
        tasks
    }

    /// Ends what still goes on once no more requests come in, and writes down what memory alone knows.
    async fn stop(self, mut tasks: JoinSet<()>) {
        if let Some(servers) = self.mcp_servers {
            servers.stop(MCP_PATIENCE).await;
        }
        // Before the rest of the database work: what is in flight is recorded, and nothing more is taken.
        self.dispatcher.drain(DRAIN).await;
        tasks.shutdown().await;
        // The database may be the reason for stopping, so neither fails the stop.
        if let Err(error) = self.app.gate().write_usage().await {
            tracing::warn!(error = %error.for_log(), "the last usage was not written");
        }
        if let Err(error) = self.app.gate().release_leases().await {
            tracing::warn!(error = %error.for_log(), "leases of daily quotas were not given back");
        }
    }
}

fn dispatcher(config: &Config, app: &App, clock: Arc<AdjustedClock>) -> Result<Dispatcher, Failure> {
    let delivers = config.roles.contains(&Role::Delivery);
    let in_flight = if delivers { config.delivery.in_flight } else { 0 };
    let settings = DeliverySettings { in_flight, ..config.delivery.clone() };
    let egress = Egress::new(config.egress.clone())?;
    Ok(Dispatcher::new(app.storage().clone(), egress, config.vault.clone(), settings, clock))
}

/// Starts to keep the operator's MCP servers there. Their addresses are the operator's own, so they may be
/// without TLS.
fn start_mcp_servers(config: &Config) -> Result<McpServers, Failure> {
    let egress = Egress::new(Rules { allow_http: true, ..config.egress.clone() })?;
    Ok(McpServers::start(config.mcp_servers.clone(), &egress))
}

/// Lets the process have as many files and connections open as the system allows it, and answers how many.
fn raise_limit_of_files() -> Result<u64, Failure> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    Ok(most)
}
