//! `gatepost doctor`: what is well, what could be better, what has to be mended.

mod finding;
mod machine;

use std::{process::ExitCode, time::Duration};

use gatepost_app::{App, stored_secrets, tenants::tiers};
use gatepost_kernel::{Clock, SystemClock, chain};
use gatepost_storage::{DatabaseUrl, SchemaState, Storage};
use serde_json::json;

use self::finding::{Finding, Grade};
use crate::{
    Failure,
    config::{Config, ConfigErrors, Tls, read_bootstrap_key},
    database,
    keys::explain,
    output, secrets, stored,
};

/// A clock that differs by more than this from the database's is worth a word.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(2);

/// Looks at everything and says what it found; fails if something has to be mended.
pub async fn run(config: Result<Config, Failure>, as_json: bool) -> Result<ExitCode, Failure> {
    let mut findings = Vec::new();
    let mut errors = ConfigErrors::default();
    if let Some(config) = errors.keep(config) {
        configuration(&config, &mut findings);
        machine::look(&config, SystemClock.now(), &mut findings);
        database(&config, &mut findings).await;
    }
    findings.extend(errors.sentences().map(|error| Finding {
        grade: Grade::Fail,
        subject: "configuration",
        text: error.to_owned(),
    }));

    let failed = findings.iter().any(|finding| finding.grade == Grade::Fail);
    if as_json {
        let list: Vec<_> = findings
            .iter()
            .map(|f| json!({ "status": f.grade.as_str(), "subject": f.subject, "message": f.text }))
            .collect();
        output::json(&json!({ "healthy": !failed, "findings": list }))?;
    } else {
        for Finding { grade, subject, text } in &findings {
            output::line(&format!("{:<5} {subject}: {text}", grade.as_str()))?;
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Logs what could be better of what a server is about to start with.
pub fn warn(config: &Config) {
    let mut findings = Vec::new();
    configuration(config, &mut findings);
    machine::look_beside_addresses(config, SystemClock.now(), &mut findings);
    for Finding { subject, text, .. } in findings.iter().filter(|finding| finding.grade != Grade::Ok) {
        tracing::warn!(subject, "{text}");
    }
}

fn configuration(config: &Config, findings: &mut Vec<Finding>) {
    let mut say = |grade, subject, text: String| findings.push(Finding { grade, subject, text });
    if let Some(preset) = &config.preset {
        say(Grade::Ok, "configuration", format!("the preset {preset} is in force"));
    }
    match &config.file {
        Some(file) => say(Grade::Ok, "configuration", format!("{} is sound", file.display())),
        None => say(Grade::Ok, "configuration", "no file; defaults, flags and environment".to_owned()),
    }
    for unknown in &config.unknown_variables {
        say(Grade::Warn, "environment", unknown.clone());
    }
    if config.secret_key_is_set {
        say(Grade::Ok, "secret key", "GATEPOST_SECRET_KEY is set".to_owned());
    } else {
        let text = "GATEPOST_SECRET_KEY is not set, so webhook secrets are stored unencrypted; \
                    set it to the output of `openssl rand -base64 32`";
        say(Grade::Warn, "secret key", text.to_owned());
    }
    if let Some(key) = &config.bootstrap_key
        && let Err(error) = read_bootstrap_key(key, &config.contract.tokens)
    {
        say(Grade::Warn, "first key", format!("{error}; it is read only where a database is empty"));
    }
    if config.redis_is_named {
        let text = "REDIS_URL is set, but this version uses no Redis; nothing is sent to it";
        say(Grade::Warn, "redis", text.to_owned());
    }
    if config.database_url.crosses_a_network() {
        let text = format!(
            "what is said to {} crosses a network without TLS; use a TLS tunnel, or a network that is trusted",
            config.database_url
        );
        say(Grade::Warn, "database", text);
    }
    if config.server.public_url.is_none() {
        let text =
            "[server] public_url is not set; links in answers begin with the Host that the client sent";
        say(Grade::Warn, "public url", text.to_owned());
    }
    if matches!(config.tls, Tls::None)
        && !config.server.bind.ip().is_loopback()
        && config.server.trusted_proxies.is_empty()
    {
        let text = format!(
            "listening on {} without TLS and without [server] trusted_proxies; keys cross the network in the clear",
            config.server.bind
        );
        say(Grade::Warn, "network", text);
    }
}

async fn database(config: &Config, findings: &mut Vec<Finding>) {
    let mut say = |grade, text: String| findings.push(Finding { grade, subject: "database", text });
    if let DatabaseUrl::Sqlite(path) = &config.database_url
        && !path.exists()
    {
        say(Grade::Warn, format!("{} does not exist yet; `gatepost serve` makes it", path.display()));
        return;
    }
    let storage = match database::open_storage(config).await {
        Ok(storage) => storage,
        Err(error) => return say(Grade::Fail, chain(error.as_ref()).to_string()),
    };
    match storage.health().await {
        Ok(health) => {
            let engine = storage.engine().as_str();
            say(Grade::Ok, format!("{} answers, {engine} {}", config.database_url, health.version));
            let (ours, theirs) = (SystemClock.now(), health.now);
            let apart = ours.since(theirs).max(theirs.since(ours));
            if apart > CLOCK_TOLERANCE {
                let text =
                    format!("its clock and this machine's are {} s apart; run NTP on both", apart.as_secs());
                say(Grade::Warn, text);
            }
        }
        Err(error) => return say(Grade::Fail, chain(&error).to_string()),
    }
    match storage.schema().await {
        Ok(SchemaState { pending, unknown, .. }) => {
            if !unknown.is_empty() {
                let unknown = unknown.join(", ");
                let text = format!("a newer version has migrated it, and this one does not know: {unknown}");
                say(Grade::Warn, text);
            }
            if let Some(first) = pending.first() {
                let count = pending.len();
                let text =
                    format!("{count} migrations are pending, from {first} on; `gatepost migrate` runs them");
                return say(Grade::Warn, text);
            }
            if unknown.is_empty() {
                say(Grade::Ok, "its tables are of this version".to_owned());
            }
        }
        Err(error) => return say(Grade::Fail, chain(&error).to_string()),
    }
    secrets_at_rest(config, &storage, findings).await;
    let mut say = |grade, text: String| findings.push(Finding { grade, subject: "database", text });
    let app = App::new(storage, config.app_settings(), std::sync::Arc::new(SystemClock));
    match tiers::unknown(&app).await {
        Ok(unknown) => stored::unknown_tiers(&unknown).into_iter().for_each(|text| say(Grade::Fail, text)),
        Err(error) => say(Grade::Fail, chain(&error).to_string()),
    }
    match stored::unaccepted_keys(&app).await {
        Ok(text) => text.into_iter().for_each(|text| say(Grade::Warn, text)),
        Err(error) => say(Grade::Fail, chain(error.as_ref()).to_string()),
    }
}

/// Whether the present keys fit the secrets that are stored.
async fn secrets_at_rest(config: &Config, storage: &Storage, findings: &mut Vec<Finding>) {
    let mut say = |grade, text| findings.push(Finding { grade, subject: "stored secrets", text });
    let stored = match stored_secrets::survey(storage).await {
        Ok(stored) => stored,
        Err(error) => return say(Grade::Fail, explain(&error, "stored secret", 0).to_string()),
    };
    let errors = secrets::errors(config, &stored);
    if errors.is_empty() && stored.sealed.is_empty() && stored.plain > 0 {
        say(
            Grade::Warn,
            format!("{} of webhook endpoints and second factors are stored unencrypted", stored.plain),
        );
    }
    errors.into_iter().for_each(|message| say(Grade::Fail, message));
    if let Some(text) = secrets::unbound(&stored) {
        say(Grade::Warn, text);
    }
    if stored.unknown > 0 {
        let text = "{} of webhook endpoints and second factors are in no known form; deliveries of such endpoints wait";
        say(Grade::Warn, text.replace("{}", &stored.unknown.to_string()));
    }
}
