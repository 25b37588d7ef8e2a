//! The settings that are in force: flag before environment before file before default.

mod contract;
mod defaults;
mod effective;
mod environment;
mod errors;
mod file;
pub mod presets;
mod sources;
mod tls;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use gatepost_api::{Contract, ServerSettings, is_fixed_path};
use gatepost_app::{AppSettings, DashboardSettings, EntitlementSettings, PixelSettings, RetentionSettings};
use gatepost_delivery::DeliverySettings;
use gatepost_egress::Rules;
use gatepost_entitlements::{Catalog, FeatureKind, OwnFeature};
use gatepost_gate::{GateSettings, LimitSettings};
use gatepost_kernel::{Environment, Secret, chain, settings::duration_text};
use gatepost_keys::{Token, TokenFormat};
use gatepost_resources::{Declarations, Taken};
use gatepost_sealing::Vault;
use gatepost_storage::DatabaseUrl;

use crate::{
    Failure,
    cli::{GlobalArgs, Role, ServeArgs},
};

pub use self::{
    contract::differences, defaults::defaults, effective::Effective, errors::ConfigErrors, tls::Tls,
};
use self::{file::ConfigFile, sources::Sources};

const SECRET_KEY_LEN: usize = 32;

/// The settings that are in force.
#[derive(Debug)]
pub struct Config {
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// The preset that lies below it.
    pub preset: Option<String>,
    /// Where requests come in, and how.
    pub server: ServerSettings,
    /// How connections are encrypted there.
    pub tls: Tls,
    /// The database.
    pub database_url: DatabaseUrl,
    /// Whether the database may be migrated.
    pub migrates: bool,
    /// Where files of the server's own go.
    pub data_dir: PathBuf,
    /// The first key of an empty database, if it was chosen.
    pub bootstrap_key: Option<Secret>,
    /// Whether the environment names a Redis or Valkey, which nothing uses.
    pub redis_is_named: bool,
    /// What this process does.
    pub roles: Vec<Role>,
    /// What encrypts secrets that must be read back.
    pub vault: Vault,
    /// Whether there is a key for that.
    pub secret_key_is_set: bool,
    /// Which private targets outgoing requests may reach, and whether without TLS.
    pub egress: Rules,
    /// The MCP servers.
    pub mcp_servers: Vec<gatepost_mcp::ServerConfig>,
    /// How deliveries are sent.
    pub delivery: DeliverySettings,
    /// The face that the platform wears.
    pub contract: Contract,
    /// The plans and features.
    pub catalog: Catalog,
    /// The declared resources.
    pub declarations: Declarations,
    /// How requests without a key are limited.
    pub limits: LimitSettings,
    /// What entitlements are told and count.
    pub entitlements: EntitlementSettings,
    /// How people sign in.
    pub dashboard: DashboardSettings,
    /// How visits of pages are taken.
    pub pixel: PixelSettings,
    /// How long what was stored is kept.
    pub retention: RetentionSettings,
    /// What is said of variables of the environment that begin like ours and mean nothing.
    pub unknown_variables: Vec<String>,
    /// What all of it was read from.
    written: Written,
}

/// What the settings were read from, as it was written.
#[derive(Debug)]
struct Written {
    sources: Sources,
    /// The arguments.
    arguments: (GlobalArgs, ServeArgs),
    /// The URL of the database, and where it stands if that is not a file.
    database_url: (Secret, Option<&'static str>),
    secret_keys: Option<Secret>,
}

impl Config {
    /// Puts the settings together.
    ///
    /// # Errors
    /// All that is wrong, a sentence each with the name of the flag or variable, or the file, the line and
    /// what is accepted there.
    pub fn load(global: &GlobalArgs, serve: &ServeArgs) -> Result<Self, Failure> {
        let mut errors = ConfigErrors::default();
        let bootstrap_key = errors.keep(environment::secret("GATEPOST_BOOTSTRAP_KEY")).flatten();
        let config = errors.keep(Self::load_again(global, serve));
        match config {
            Some(config) if errors.is_empty() => Ok(Self { bootstrap_key, ..config }),
            _ => Err(errors.into()),
        }
    }

    /// The same for a server that runs: the first key of an empty database is no business of its any more, and
    /// its file may be gone.
    ///
    /// # Errors
    /// Those of [`Config::load`].
    pub fn load_again(global: &GlobalArgs, serve: &ServeArgs) -> Result<Self, Failure> {
        let mut errors = ConfigErrors::default();
        let sources = errors.keep(Sources::read(global.config.as_deref(), global.preset.as_deref()));
        // Of what could not be read, only the reading is told.
        let file = sources.as_ref().and_then(|sources| errors.keep(sources.settings::<ConfigFile>()));
        let environment = FromEnvironment::read(&mut errors);
        match sources.zip(file) {
            Some((sources, file)) => Self::assemble((global, serve), sources, file, environment, errors),
            None => Err(errors.into()),
        }
    }

    fn assemble(
        (global, serve): (&GlobalArgs, &ServeArgs),
        sources: Sources,
        file: ConfigFile,
        environment: FromEnvironment,
        mut errors: ConfigErrors,
    ) -> Result<Self, Failure> {
        // Of a name alone, the parent is an empty path, which is no directory.
        let directory = global.config.as_deref().and_then(Path::parent);
        let directory = directory.filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let contract = errors.keep(read_contract(&file, &sources));
        let catalog = errors.keep(file.catalog(&sources));
        let declarations = contract.as_ref().zip(catalog.as_ref());
        let declarations = declarations.and_then(|(contract, catalog)| {
            errors.keep(read_declarations(&file, &sources, contract, catalog))
        });
        errors.keep(check_retries(&file, &sources));
        let server = ServerSettings { bind: serve.bind.unwrap_or(file.server.bind), ..file.server };
        let tls = errors.keep(Tls::read(&server, &sources, directory));
        let mcp_servers = contract.as_ref().and_then(|contract| {
            let search_path = std::env::var_os("PATH").and_then(|path| path.into_string().ok());
            let servers = file.mcp.servers(directory, search_path.as_deref(), contract.scope_order);
            let told = |(setting, error): (Vec<String>, String)| {
                Failure::from(format!("{}: {error}", sources.at_setting(&setting)))
            };
            errors.keep(servers.map_err(told))
        });
        if serve.redis_url.is_some() {
            let told = "--redis-url has no effect, since this version uses no Redis; leave it out";
            errors.keep::<()>(Err(told.into()));
        }
        let written_url = match (&global.database_url, environment.database_url) {
            (Some(url), _) => (url.clone(), Some("--database-url")),
            (None, Some(url)) => (url, Some("DATABASE_URL")),
            (None, None) => (file.database.url, None),
        };
        let database_url = written_url.0.expose().parse();
        let told = |e| Failure::from(format!("DATABASE_URL (or --database-url): {}", chain(&e)));
        let database_url: Option<DatabaseUrl> = errors.keep(database_url.map_err(told));
        let secret_keys = environment.secret_keys.as_ref().map(read_secret_keys).transpose();
        let secret_keys = errors.keep(secret_keys).flatten().unwrap_or_default();
        let (
            Some(contract),
            Some(catalog),
            Some(declarations),
            Some(tls),
            Some(mcp_servers),
            Some(database_url),
        ) = (contract, catalog, declarations, tls, mcp_servers, database_url)
        else {
            return Err(errors.into());
        };
        if !errors.is_empty() {
            return Err(errors.into());
        }
        Ok(Self {
            server,
            tls,
            database_url,
            migrates: !serve.no_migrate,
            data_dir: serve.data_dir.clone().unwrap_or_default(),
            bootstrap_key: None,
            redis_is_named: environment.redis_is_named,
            roles: if serve.roles.is_empty() {
                vec![Role::Api, Role::Delivery, Role::Jobs]
            } else {
                serve.roles.clone()
            },
            secret_key_is_set: !secret_keys.is_empty(),
            vault: Vault::new(&secret_keys),
            egress: Rules {
                allow_http: file.webhooks.allow_http,
                agent: Some(contract.brand.token()),
                ..file.egress
            },
            mcp_servers,
            delivery: DeliverySettings {
                webhooks: file.webhooks,
                catalog: Arc::new(catalog.clone()),
                signature_header: contract.headers.signature.shown.parse()?,
                ..DeliverySettings::default()
            },
            contract,
            catalog,
            declarations,
            limits: file.limits,
            entitlements: file.entitlements,
            pixel: file.pixel,
            dashboard: file.dashboard,
            retention: file.retention,
            file: global.config.clone(),
            preset: sources.preset().map(str::to_owned),
            unknown_variables: environment.unknown,
            written: Written {
                sources,
                arguments: (global.clone(), serve.clone()),
                database_url: written_url,
                secret_keys: environment.secret_keys,
            },
        })
    }
}

/// What the environment alone says: keys and passwords, which a flag would show to everyone who can list
/// processes.
struct FromEnvironment {
    secret_keys: Option<Secret>,
    database_url: Option<Secret>,
    redis_is_named: bool,
    unknown: Vec<String>,
}

impl FromEnvironment {
    fn read(errors: &mut ConfigErrors) -> Self {
        let mut secret = |name: &str| errors.keep(environment::secret(name)).flatten();
        Self {
            secret_keys: secret("GATEPOST_SECRET_KEY"),
            database_url: secret("DATABASE_URL"),
            redis_is_named: secret("REDIS_URL").is_some(),
            unknown: environment::unknown(),
        }
    }
}

/// Refuses attempts that would come when what they deliver is gone.
fn check_retries(file: &ConfigFile, sources: &Sources) -> Result<(), Failure> {
    let whole: Duration = file.webhooks.retry_schedule.waits().iter().sum();
    let kept = file.retention.events.min(file.retention.deliveries);
    if whole <= kept {
        return Ok(());
    }
    let (whole, kept) = (duration_text(whole), duration_text(kept));
    let at = sources.at_setting(&["webhooks", "retry_schedule"]);
    let error =
        format!("{at}: its {whole} are longer than events and deliveries are kept ([retention], {kept})");
    Err(error.into())
}

impl Config {
    /// The face alone, for what needs no more: neither a database nor a certificate.
    ///
    /// # Errors
    /// Those of [`Config::load`] about `[contract]` and `[brand]`.
    pub fn contract(global: &GlobalArgs) -> Result<Contract, Failure> {
        let sources = Sources::read(global.config.as_deref(), global.preset.as_deref())?;
        let file: ConfigFile = sources.settings()?;
        read_contract(&file, &sources)
    }

    /// The face with the resources that are declared, for what needs no more.
    ///
    /// # Errors
    /// Those of [`Config::load`] about `[contract]`, `[brand]`, plans and resources.
    pub fn face(global: &GlobalArgs) -> Result<(Contract, Declarations), Failure> {
        let sources = Sources::read(global.config.as_deref(), global.preset.as_deref())?;
        let file: ConfigFile = sources.settings()?;
        let contract = read_contract(&file, &sources)?;
        let declarations = read_declarations(&file, &sources, &contract, &file.catalog(&sources)?)?;
        Ok((contract, declarations))
    }

    /// Where people reach the server that listens on `address`.
    pub fn server_url(&self, address: SocketAddr) -> String {
        if let Some(url) = &self.server.public_url {
            return url.trim_end_matches('/').to_owned();
        }
        let port = address.port();
        match (&self.tls, address.ip().is_unspecified()) {
            // That is the name in it.
            (Tls::SelfSigned, _) => format!("https://localhost:{port}"),
            (Tls::Given(_), _) => format!("https://{address}"),
            (Tls::None, true) => format!("http://127.0.0.1:{port}"),
            (Tls::None, false) => format!("http://{address}"),
        }
    }

    /// What the application is told, but for the resources: where their records are, the database says.
    pub fn app_settings(&self) -> AppSettings {
        AppSettings {
            catalog: self.catalog.clone(),
            gate: GateSettings {
                token_format: self.contract.tokens.clone(),
                scope_order: self.contract.scope_order,
                limits: self.limits.clone(),
            },
            identity_headers: self.contract.headers.all().map(|header| header.name.to_string()).to_vec(),
            entitlements: self.entitlements.clone(),
            pixel: self.pixel.clone(),
            dashboard: self.dashboard.clone(),
            retention: self.retention.clone(),
            ..AppSettings::default()
        }
    }
}

/// The declared resources.
fn read_declarations(
    file: &ConfigFile,
    sources: &Sources,
    contract: &Contract,
    catalog: &Catalog,
) -> Result<Declarations, Failure> {
    if file.resources.is_empty() {
        return Ok(Declarations::default());
    }
    // What is on or off is not counted, and what the platform counts nobody else does.
    let is_counted = |name: &&String| {
        let kind = catalog.feature(name).map(|feature| feature.kind);
        kind.is_some_and(|kind| kind != FeatureKind::Boolean) && OwnFeature::parse(name).is_none()
    };
    let features = catalog.plans().flat_map(|plan| plan.features.keys()).filter(is_counted).cloned();
    let taken = Taken { features: features.collect(), ..gatepost_api::taken(contract) };
    Declarations::of(&file.resources, &taken)
        .map_err(|(offset, error)| format!("{}: {error}", sources.at(offset)).into())
}

fn read_contract(file: &ConfigFile, sources: &Sources) -> Result<Contract, Failure> {
    Contract::of(&file.contract, &file.brand, is_fixed_path)
        .map_err(|(offset, error)| format!("{}: {error}", sources.at(offset)).into())
}

/// One key, or several separated by commas: the first encrypts, all decrypt.
fn read_secret_keys(text: &Secret) -> Result<Vec<[u8; SECRET_KEY_LEN]>, Failure> {
    let key = |text: &str| BASE64_STANDARD.decode(text.trim()).ok()?.try_into().ok();
    // The value itself must not be repeated: it is a secret even when it is malformed.
    let keys: Option<Vec<_>> = text.expose().split(',').map(key).collect();
    keys.ok_or_else(|| {
        "GATEPOST_SECRET_KEY: expected base64 of 32 bytes, or several separated by commas".into()
    })
}

/// A key that may be the first of a database. The text is not repeated.
pub fn read_bootstrap_key(text: &Secret, format: &TokenFormat) -> Result<Token, Failure> {
    let token = Token::parse(format, text.expose()).filter(|token| token.environment() == Environment::Live);
    token.ok_or_else(|| {
        "GATEPOST_BOOTSTRAP_KEY: expected a live API key such as `gatepost keys generate` prints".into()
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use gatepost_api::PlainHttp;

    use super::*;

    fn load(text: &str) -> Result<Config, String> {
        load_over(None, text)
    }

    fn load_over(preset: Option<&str>, text: &str) -> Result<Config, String> {
        let file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a temporary file");
        fs::write(&file, text).expect("the temporary file");
        let global = GlobalArgs {
            config: Some(file.path().to_owned()),
            preset: preset.map(str::to_owned),
            database_url: None,
            log: None,
            log_format: None,
        };
        Config::load(&global, &ServeArgs::default()).map_err(|e| e.to_string())
    }

    #[test]
    fn the_example_of_the_reference_is_accepted() {
        let config = load(include_str!("../../../../docs/gatepost.example.toml")).expect("the example");
        let pro = config.catalog.plan("pro").expect("pro");
        assert_eq!((pro.requests_per_minute, pro.burst_percent, pro.max_keys), (Some(5_000), 30, Some(20)));
        assert!(config.catalog.plan("agency").is_some(), "naming one plan leaves the others");
        assert!(config.declarations.get("project").is_some());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, line, expected) in [
            ("[server]\nplain_http = \"maybe\"", "line 2", "allow"),
            ("[server]\nplain_http = \"redirect\"", "line 2", "TLS"),
            ("[server]\ntls_cert = \"a.pem\"", "line 2", "tls_key"),
            ("[server]\ntls_cert = \"a.pem\"\ntls_key = \"b.pem\"", "line 2", "No such file"),
            ("[server]\nplain_bind = \"127.0.0.1:1\"", "line 2", "tls_cert"),
            ("[entitlements]\nmeter_requests = \"nope\"", "line 2", "known are: posts"),
            ("[server]\ncors_origins = [\"app.example.com\"]", "line 2", "https://app.example.com"),
            ("[server]\ncors_origins = [\"https://app.example.com/\"]", "line 2", "https://app.example.com"),
            (
                "[server]\ncors_origins = [\"https://app.example.com:443\"]",
                "line 2",
                "write https://app.example.com",
            ),
            ("[server]\ncors_origins = [\"http://localhost:80\"]", "line 2", "write http://localhost"),
            ("[server]\ncors_origins = [\"https://[::1]:443\"]", "line 2", "write https://[::1]"),
            ("[server]\ncors_origins = [\"https://app.example.com:\"]", "line 2", "a port"),
            ("[server]\ncors_origins = [\"https://app.example.com:08443\"]", "line 2", "a port"),
            ("[database]\nurl = \"mysql://x\"", "line 2", "postgres://"),
            ("[server]\n\ntrusted_proxies = [\"10.0.0.0/99\"]", "line 3", "10.0.0.0/8"),
            ("[server]\nbnid = \"127.0.0.1:1\"", "line 2", "did you mean `bind`?"),
            ("[sevrer]\nbind = \"127.0.0.1:1\"", "line 1", "did you mean `server`?"),
            ("[webhooks]\nretry_schedule = [\"5 parsecs\"]", "line 2", "5s"),
            ("[webhooks]\nretry_schedule = []", "line 2", "at least one"),
            ("[webhooks]\nretry_schedule = [\"1m\", \"30d\"]", "line 2", "longer than"),
            ("[retention]\nevents = \"1h\"\n[webhooks]\nretry_schedule = [\"2h\"]", "line 4", "longer than"),
            ("[features.x]\ntype = \"boolean\"\nreset = \"monthly\"", "line 3", "metered"),
            ("[features.x]\ntype = \"limit\"\nreset = \"monthly\"", "line 3", "metered"),
            ("[plans.\"very pro\"]\nrequests_per_minute = 1", "line 1", "a-z"),
            ("[server]\npublic_url = \"https://x.example/?a=1\"", "line 2", "without a query"),
            ("[server]\nbind = \"8080\"", "line 2", "127.0.0.1:8080"),
            ("[server]\nbind = \"nowhere.invalid:8080\"", "line 2", "nowhere.invalid"),
            ("[egress]\nallow = [\"intranet\"]", "line 2", "10.0.0.0/8"),
            ("[plans.pro]\nburst_percent = 1001", "line 2", "1000"),
            ("[plans.pro]\nrequests_per_minute = 0", "line 2", "1 or more"),
            ("[plans.pro]\naccess = \"all\"", "line 2", "admin"),
            ("[plans.pro]\nmax_keys = -1", "line 2", "-1"),
            ("[plans.pro]\nfeatures = { posts = -1 }", "line 2", "unlimited"),
            ("[plans.pro]\n\nfeatures = { nope = 1 }", "line 3", "known are: posts"),
            ("[features.x]\ntype = \"metered\"\nreset = \"weekly\"", "line 3", "every N days"),
            ("[mcp.servers.files]\nname = \"x\"", "line 1", "command or url"),
            ("\n[mcp.servers.files]\ncommand = \"x\"\nurl = \"y\"", "line 2", "command or url"),
            ("[mcp.servers.files]\nurl = \"http://x\"\nargs = [\"y\"]", "line 1", "command"),
            ("[mcp.servers.Files]\ncommand = \"x\"", "line 1", "lower-case"),
            ("[mcp.servers.files]\ncommand = \"x\"\nscopes = [\"a:b:c\"]", "line 3", "resource:action"),
            ("[mcp]\ncall_timeout = \"1h\"", "line 2", "10m"),
            ("[limits]\nmode = \"loose\"", "line 2", "local"),
            ("[limits]\nmode = \"exact\"", "line 2", "has no effect"),
            ("[limits]\nmode = \"leased\"", "line 2", "has no effect"),
            ("[redis]\nurl = \"redis://127.0.0.1\"", "line 2", "has no effect"),
            ("[retention]\nevents = \"-1d\"", "line 2", "30d"),
            ("[server\n", "line 1", "]"),
        ] {
            let error = load(text).expect_err(text);
            assert!(error.contains(line) && error.contains(expected), "{text}\n{error}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let text = "[server]\nbnid = \"127.0.0.1:1\"\ndocs = 7\ntrusted_proxies = [\"x\"]\n[webhooks]\ntimeout = \"1h\"\n\
                    [plans.pro]\naccess = \"all\"\nmax_keys = -1\n[nope]\na = 1";
        let error = load(text).expect_err("seven errors");
        for line in [2, 3, 4, 6, 8, 9, 10] {
            assert!(error.contains(&format!("line {line},")), "{line}: {error}");
        }
        assert_eq!(error.lines().count(), 7, "{error}");
        // What hangs together is looked at once each part can be read.
        let text = "[server]\ntls_cert = \"a.pem\"\n[entitlements]\nmeter_requests = \"nope\"\n[contract]\n\
                    base_path = \"v1\"";
        let error = load(text).expect_err("three errors");
        for line in [2, 4, 6] {
            assert!(error.contains(&format!("line {line},")), "{line}: {error}");
        }
    }

    #[test]
    fn what_was_written_wrongly_is_not_missing_too() {
        let text = "[resources.note]\nids = 5\nfields.body = { type = 7, max = 10 }";
        let error = load(text).expect_err("two errors");
        assert_eq!(error.lines().count(), 2, "{error}");
    }

    #[test]
    fn bare_addresses_and_names_of_hosts_are_taken() {
        let text =
            "[server]\nbind = \"localhost:1\"\ntrusted_proxies = [\"10.0.0.1\", \"::1\", \"10.1.0.0/16\"]";
        let config = load(text).expect("addresses");
        assert!(config.server.bind.ip().is_loopback());
        let proxies: Vec<String> = config.server.trusted_proxies.iter().map(ToString::to_string).collect();
        assert_eq!(proxies, ["10.0.0.1/32", "::1/128", "10.1.0.0/16"]);
    }

    #[test]
    fn the_preset_of_the_core_is_what_is_in_force_without_one() {
        let (preset, usual) =
            (load_over(Some("core"), "").expect("the preset"), load("").expect("no settings"));
        assert_eq!(differences(&usual.contract, &preset.contract), []);
        let plans = |config: &Config| config.catalog.plans().cloned().collect::<Vec<_>>();
        assert_eq!(plans(&preset), plans(&usual));
        let features = |config: &Config| {
            let of = config.catalog.features().map(|(name, feature)| format!("{name} {feature:?}"));
            of.collect::<Vec<_>>()
        };
        assert_eq!(features(&preset), features(&usual));
        let named = |config: &Config| {
            [config.catalog.default_plan().to_owned(), config.catalog.root_plan().to_owned()]
        };
        assert_eq!(named(&preset), named(&usual));
    }

    #[test]
    fn every_preset_is_sound_and_starts_on_loopback() {
        for (name, about) in presets::list() {
            let config = load_over(Some(name), "").expect(name);
            assert!(about.len() > 20 && about.ends_with('.'), "{name}: {about}");
            assert!(!matches!(config.tls, Tls::Given(_)) && config.server.public_url.is_none(), "{name}");
            assert_eq!(
                matches!(config.tls, Tls::SelfSigned),
                config.server.plain_http != PlainHttp::Allow,
                "{name}"
            );
            let elsewhere = load_over(Some(name), "[server]\nbind = \"192.0.2.1:80\"");
            assert_eq!(elsewhere.is_ok(), config.server.plain_http == PlainHttp::Allow, "{name}");
            let behind_a_proxy = "[server]\ntrusted_proxies = [\"10.0.0.1/32\"]";
            let config = load_over(Some(name), behind_a_proxy).expect(name);
            assert!(matches!(config.tls, Tls::None), "{name}: a proxy's word decides");
        }
        let error = load_over(Some("acme"), "").expect_err("no such preset");
        assert!(error.contains("known are: anthyx, anvil, core"), "{error}");
    }

    #[test]
    fn a_file_is_laid_over_its_preset() {
        let text = "preset = \"anvil\"\n[contract]\ndefault_per_page = 50\n[plans.pro]\nrequests_per_minute = 7\n\
                    [plans.gold]\nrequests_per_minute = 9";
        let config = load(text).expect("a file");
        assert_eq!((config.contract.default_per_page, config.contract.base_path.as_ref()), (50, "/v1"));
        let plans: Vec<_> = config.catalog.plans().map(|plan| plan.name.as_str()).collect();
        assert_eq!(plans, ["starter", "pro", "enterprise", "gold"], "in the order of declaration");
        let pro = config.catalog.plan("pro").expect("pro");
        assert_eq!((pro.requests_per_minute, pro.requests_per_day), (Some(7), None), "a plan is taken whole");
        let by_flag = load_over(Some("workspace-api"), text).expect("the flag comes before the file");
        assert_eq!(by_flag.contract.tokens.head(Environment::Live), "wsp_live_");
        for (text, offset, expected) in [
            ("preset = \"nope\"", ".toml: line 1", "known are: anthyx"),
            ("preset = \"anvil\"\n[plans.pro]\nx = 1", ".toml: line 3", "unknown field"),
            (
                "preset = \"anvil\"\n[workspaces]\ndefault_plan = \"free\"",
                ".toml: line 3",
                "starter, pro, enterprise",
            ),
            ("preset = \"anvil\"\n[plans.pro]\nfeatures = { posts = 1 }", ".toml: line 3", "unknown feature"),
            ("preset = \"anvil\"\n[server]\nplain_http = \"reject\"", ".toml: line 3", "needs TLS"),
        ] {
            let error = load(text).expect_err(text);
            assert!(error.contains(offset) && error.contains(expected), "{text}\n{error}");
        }
    }

    #[test]
    fn what_is_wrong_in_a_contract_is_said_with_its_line() {
        for (setting, expected) in [
            ("base_path = \"v1\"", "a slash before"),
            ("base_path = \"/v1/\"", "a slash before"),
            ("base_path = \"/\"", "a slash before"),
            ("base_path = \"/a/../b\"", "a slash before"),
            ("base_path = \"/docs\"", "another page"),
            ("base_path = \"/mcp/v1\"", "another page"),
            ("key_prefix = \"acme_\"", "{environment}"),
            ("key_prefix = \"Acme_{environment}_\"", "lower-case"),
            ("key_prefix = \"a_very_much_longer_name_{environment}_\"", "24"),
            ("accepted_key_prefixes = [\"sk_{environment}_x\"]", "the beginning of another"),
            ("key_prefix = \"whsec_{environment}\"", "webhook secrets"),
            ("header_prefix = \"X Acme-\"", "a name of a header"),
            ("workspace_header = \"X-Workspace-ID\"", "another header"),
            ("acting_workspace_header = \"Authorization\"", "another meaning"),
            ("workspace_header = \"Keep-Alive\"", "another meaning"),
            ("signature_header = \"X-Forwarded-For\"", "another meaning"),
            ("signature_header = \"X-RateLimit-Limit\"", "another meaning"),
            ("envelope = \"xml\"", "data, success"),
            ("error_codes = \"title\"", "lower, upper"),
            ("error_names = { nope = \"X\" }", "unauthorized"),
            ("error_names = { conflict = \"a b\" }", "letters"),
            ("error_names = { conflict = \"X\", not_found = \"X\" }", "another error"),
            ("messages = { nope = \"X\" }", "required"),
            ("messages = { conflict = \"\" }", "1 to 500"),
            ("names_first_field = true", "envelope"),
            ("statuses = \"few\"", "full, plain"),
            ("paging = \"cursor\"", "pages, short_pages, offset"),
            ("default_per_page = 101", "1 to 100"),
            ("scope_order = \"any\"", "resource_first, action_first"),
            ("nope = 1", "unknown field"),
        ] {
            let error = load(&format!("[contract]\n{setting}")).expect_err(setting);
            assert!(error.contains("line 2") && error.contains(expected), "{setting}\n{error}");
        }
        for (setting, expected) in [
            ("name = \"\"", "1 to 64"),
            ("support = \"help\"", "an address of email"),
            ("logo = \"logo.png\"", "https://"),
        ] {
            let error = load(&format!("[brand]\n{setting}")).expect_err(setting);
            assert!(error.contains("line 2") && error.contains(expected), "{setting}\n{error}");
        }
    }

    #[test]
    fn an_origin_as_browsers_write_it_is_taken() {
        for origin in [
            "https://app.example.com",
            "http://localhost:443",
            "https://app.example.com:80",
            "http://127.0.0.1:3000",
            "https://[::1]",
            "http://[::1]:8080",
            "*",
        ] {
            let config = load(&format!("[server]\ncors_origins = [\"{origin}\"]")).expect(origin);
            assert_eq!(config.server.cors_origins, [origin]);
        }
    }

    #[test]
    fn no_error_repeats_a_password() {
        for text in [
            "[database]\nurl = \"postgres://u:hunter2@db/x\nx = 1",
            "[database]\nurl = \"mysql://u:hunter2@db/x\"",
            "[redis]\nurl = \"hunter2\"",
            "[mcp.servers.x]\nenv = \"hunter2\"",
            "[mcp.servers.x]\nheaders = [\"say \\\"hunter2\\\"\"]",
            "[limits]\nanonymous_per_minute = \"hunter2\"",
        ] {
            let error = load(text).expect_err(text);
            assert!(error.contains("line 2") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_malformed_secret_key_is_refused_and_not_repeated() {
        let error =
            read_secret_keys(&Secret::new("hunter2".into())).expect_err("a malformed key").to_string();
        assert!(error.contains("GATEPOST_SECRET_KEY") && !error.contains("hunter2"), "{error}");
        assert!(read_secret_keys(&Secret::new(BASE64_STANDARD.encode([0; 32]))).is_ok());
    }
}
