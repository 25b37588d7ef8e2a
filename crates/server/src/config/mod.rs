//! The settings that are in force: flag before environment before file before default.

mod file;
mod values;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use gatepost_entitlements::Catalog;
use gatepost_storage::DatabaseUrl;
use ipnet::IpNet;

use crate::{
    Failure,
    cli::{GlobalArgs, Role, ServeArgs},
};

use self::{file::ConfigFile, values::PlainHttp};

const DEFAULT_BIND: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
const DEFAULT_DATABASE_URL: &str = "sqlite://gatepost.db";
const SECRET_KEY_LEN: usize = 32;

/// The settings that are in force.
#[derive(Debug)]
pub struct Config {
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// Where to listen.
    pub bind: SocketAddr,
    /// The database.
    pub database_url: DatabaseUrl,
    /// What this process does.
    pub roles: Vec<Role>,
    /// Whether there is a key to encrypt what must be read back.
    pub secret_key_is_set: bool,
    /// The address that links begin with.
    pub public_url: Option<String>,
    /// Proxies whose word on the client's address is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The plans and features.
    pub catalog: Catalog,
}

impl Config {
    /// Puts the settings together.
    ///
    /// # Errors
    /// A sentence with the name of the flag or variable, or the file, the line and what is accepted there.
    pub fn load(global: &GlobalArgs, serve: &ServeArgs) -> Result<Self, Failure> {
        let file = global.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let catalog = match &global.config {
            Some(path) => file.catalog(path)?,
            None => Catalog::built_in(),
        };
        if file.server.plain_http != PlainHttp::Allow
            || file.server.tls_cert.is_some()
            || file.server.tls_key.is_some()
        {
            // Serving in the clear what the operator wants encrypted would be worse than not serving.
            return Err("[server] tls_cert, tls_key and plain_http other than \"allow\": this version does not serve \
                        TLS itself; put a TLS proxy in front and list it in trusted_proxies"
                .into());
        }
        let database_url = global.database_url.as_deref().or(file.database.url.as_deref());
        let redis_url = serve.redis_url.as_deref().or(file.redis.url.as_deref());
        if redis_url
            .is_some_and(|url| !["redis://", "rediss://"].iter().any(|scheme| url.starts_with(scheme)))
        {
            return Err("REDIS_URL (or --redis-url): expected redis://HOST:PORT or rediss://HOST:PORT".into());
        }
        Ok(Self {
            bind: serve.bind.or(file.server.bind).unwrap_or(DEFAULT_BIND),
            database_url: database_url
                .unwrap_or(DEFAULT_DATABASE_URL)
                .parse()
                .map_err(|e| format!("DATABASE_URL (or --database-url): {e}"))?,
            roles: if serve.roles.is_empty() {
                vec![Role::Api, Role::Delivery, Role::Jobs]
            } else {
                serve.roles.clone()
            },
            secret_key_is_set: global.secret_key.as_deref().map(check_secret_key).transpose()?.is_some(),
            public_url: file.server.public_url.map(|url| url.0),
            trusted_proxies: file.server.trusted_proxies,
            catalog,
            file: global.config.clone(),
        })
    }
}

fn check_secret_key(text: &str) -> Result<(), Failure> {
    let sound = BASE64_STANDARD.decode(text.trim()).is_ok_and(|bytes| bytes.len() == SECRET_KEY_LEN);
    // The value itself must not be repeated: it is a secret even when it is malformed.
    if sound { Ok(()) } else { Err("GATEPOST_SECRET_KEY: expected base64 of 32 bytes".into()) }
}

fn read(path: &Path) -> Result<ConfigFile, Failure> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    toml::from_str(&text).map_err(|e| {
        // "line 3, column 5" is the first thing that toml says.
        format!("{}: {e}", path.display()).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, String> {
        let path =
            std::env::temp_dir().join(format!("gatepost-config-{:p}-{}.toml", text, std::process::id()));
        fs::write(&path, text).expect("a temporary file");
        let global =
            GlobalArgs { config: Some(path.clone()), database_url: None, log: None, secret_key: None };
        let config = Config::load(&global, &ServeArgs::default()).map_err(|e| e.to_string());
        fs::remove_file(path).expect("the temporary file");
        config
    }

    #[test]
    fn the_example_of_the_reference_is_accepted() {
        let config = load(include_str!("../../../../docs/gatepost.example.toml")).expect("the example");
        let pro = config.catalog.plan("pro").expect("pro");
        assert_eq!((pro.requests_per_minute, pro.burst_percent, pro.max_keys), (Some(5_000), 30, Some(20)));
        assert!(config.catalog.plan("agency").is_some(), "naming one plan leaves the others");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, line, expected) in [
            ("[server]\nplain_http = \"maybe\"", "line 2", "allow"),
            ("[server]\n\ntrusted_proxies = [\"10.0.0.0/99\"]", "line 3", "invalid"),
            ("[server]\nbnid = \"127.0.0.1:1\"", "line 2", "expected one of"),
            ("[webhooks]\nretry_schedule = [\"5 parsecs\"]", "line 2", "5s"),
            ("[plans.pro]\nburst_percent = 1001", "line 2", "1000"),
            ("[plans.pro]\nrequests_per_minute = 0", "line 2", "1 or more"),
            ("[plans.pro]\naccess = \"all\"", "line 2", "admin"),
            ("[plans.pro]\nmax_keys = -1", "line 2", "-1"),
            ("[plans.pro]\nfeatures = { posts = -1 }", "line 2", "unlimited"),
            ("[plans.pro]\n\nfeatures = { nope = 1 }", "line 3", "known are: posts"),
            ("[features.x]\ntype = \"metered\"\nreset = \"weekly\"", "line 3", "every N days"),
            ("[limits]\nmode = \"loose\"", "line 2", "exact"),
            ("[retention]\nevents = \"-1d\"", "line 2", "30d"),
            ("[server\n", "line 1", "]"),
        ] {
            let error = load(text).expect_err(text);
            assert!(error.contains(line) && error.contains(expected), "{text}\n{error}");
        }
    }

    #[test]
    fn a_malformed_secret_key_is_refused_and_not_repeated() {
        let global =
            GlobalArgs { config: None, database_url: None, log: None, secret_key: Some("hunter2".into()) };
        let error = Config::load(&global, &ServeArgs::default()).expect_err("a malformed key").to_string();
        assert!(error.contains("GATEPOST_SECRET_KEY") && !error.contains("hunter2"), "{error}");
    }
}
