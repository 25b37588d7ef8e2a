//! `gatepost secrets …`, and whether the present keys fit what is stored.

use gatepost_app::stored_secrets::{self, StoredSecrets};
use gatepost_kernel::{Clock, SystemClock};
use serde_json::json;

use crate::{Failure, cli::SecretsCommand, config::Config, database, keys::explain, output};

/// Runs a command.
pub async fn run(config: &Config, command: SecretsCommand) -> Result<(), Failure> {
    let SecretsCommand::Reseal { replace_lost, json } = command;
    if !config.secret_key_is_set {
        return Err("GATEPOST_SECRET_KEY is not set, so there is nothing to encrypt with".into());
    }
    let storage = database::open_current(config).await?;
    let now = SystemClock.now();
    let done = stored_secrets::reseal(&storage, &config.vault, now, replace_lost).await;
    let done = done.map_err(|e| explain(&e, "stored secret", 0))?;
    let stored_secrets::Resealed { resealed, unchanged, unreadable, replaced } = done;
    if json {
        let object = json!({
            "resealed": resealed, "unchanged": unchanged, "unreadable": unreadable, "replaced": replaced,
        });
        output::json(&object)?;
    } else {
        output::line(&format!(
            "webhook endpoints and second factors: {resealed} encrypted with the first key, {unchanged} already were, \
             {unreadable} unreadable, {replaced} given a fresh secret or taken away"
        ))?;
    }
    if unreadable > 0 {
        return Err(format!(
            "no present key decrypts {unreadable} secrets of webhook endpoints and second factors; add the key, or, if it is \
             lost, give --replace-lost, which makes these endpoints inactive with a fresh secret, and takes these second \
             factors away"
        )
        .into());
    }
    Ok(())
}

/// What speaks against delivering with the present keys: sentences for the operator.
pub fn errors(config: &Config, stored: &StoredSecrets) -> Vec<String> {
    let present: Vec<&str> = config.vault.key_names().collect();
    let mut errors = Vec::new();
    for (name, count) in stored.sealed.iter().filter(|(name, _)| !present.contains(&name.as_str())) {
        let encrypted = format!(
            "{count} secrets of webhook endpoints and second factors are encrypted with the key {name}"
        );
        errors.push(match present.as_slice() {
            [] => format!("GATEPOST_SECRET_KEY is not set, but {encrypted}; set it to that key"),
            present => format!(
                "{encrypted}, which is not in GATEPOST_SECRET_KEY (there: {}); add it behind the others, after a comma",
                present.join(", ")
            ),
        });
    }
    if !present.is_empty() && stored.plain > 0 {
        errors.push(format!(
            "{} secrets of webhook endpoints and second factors are stored unencrypted, from before GATEPOST_SECRET_KEY was set; \
             run `gatepost secrets reseal`, which encrypts them",
            stored.plain
        ));
    }
    errors
}

/// What is no reason to stop: secrets that somebody who can write to the database could move to another
/// endpoint.
pub fn unbound(stored: &StoredSecrets) -> Option<String> {
    (stored.unbound > 0).then(|| {
        format!(
            "{} secrets of webhook endpoints are encrypted as before 0.2.0, and would also be decrypted in another endpoint's place; \
             run `gatepost secrets reseal`, which binds them to theirs",
            stored.unbound
        )
    })
}
