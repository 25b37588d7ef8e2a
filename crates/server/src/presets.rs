//! `gatepost presets …`

use gatepost_app::tenants::tiers;
use gatepost_storage::DatabaseUrl;
use serde_json::json;

use crate::{
    Failure,
    cli::{GlobalArgs, PresetsCommand, ServeArgs},
    config::{Config, differences, presets},
    output, serve,
};

/// `gatepost presets list` and `show`; the other command needs a configuration.
pub fn run(command: &PresetsCommand) -> Result<(), Failure> {
    match command {
        PresetsCommand::List => {
            for (name, about) in presets::list() {
                output::line(&format!("{name}\t{about}"))?;
            }
            Ok(())
        }
        PresetsCommand::Show { name } => Ok(output::line(presets::text(name)?.trim_end())?),
        PresetsCommand::Check { .. } => Ok(()),
    }
}

/// `gatepost presets check`: what the preset would change for those who have keys and clients of this installation.
pub async fn check(config: &Config, global: &GlobalArgs, name: &str, as_json: bool) -> Result<(), Failure> {
    let global = GlobalArgs { preset: Some(name.to_owned()), ..global.clone() };
    let next = Config::load(&global, &ServeArgs::default())?;
    let clients: Vec<String> = differences(&config.contract, &next.contract)
        .into_iter()
        .map(|(what, now, then)| format!("{what}: {now} becomes {then}"))
        .collect();
    let (mut keys, mut tiers) = (Vec::new(), Vec::new());
    if !matches!(&config.database_url, DatabaseUrl::Sqlite(path) if !path.exists()) {
        let app = serve::open(&next).await?;
        keys.extend(serve::unaccepted_keys(&app).await?);
        tiers.extend(serve::unknown_tiers(&tiers::unknown(&app).await?));
    }
    if as_json {
        return Ok(output::json(&json!({ "clients": clients, "keys": keys, "tiers": tiers }))?);
    }
    for (subject, lines) in [("clients", clients), ("keys", keys), ("tiers", tiers)] {
        if lines.is_empty() {
            output::line(&format!("{subject}: nothing changes"))?;
        }
        for line in lines {
            output::line(&format!("{subject}: {line}"))?;
        }
    }
    Ok(())
}
