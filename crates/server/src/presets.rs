//! `gatepost presets …`

use std::sync::Arc;

use gatepost_app::{App, resources::foresee, tenants::tiers};
use gatepost_entitlements::{Catalog, Plan};
use gatepost_kernel::SystemClock;
use gatepost_storage::DatabaseUrl;
use serde_json::json;

use crate::{
    Failure,
    cli::{GlobalArgs, PresetsCommand, ServeArgs},
    config::{Config, differences, presets},
    database, output, stored,
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

/// `gatepost presets check`: what the preset would change for those who have keys and clients of this
/// installation.
pub async fn check(
    config: &Config,
    (global, serve): (&GlobalArgs, &ServeArgs),
    name: &str,
    as_json: bool,
) -> Result<(), Failure> {
    let global = GlobalArgs { preset: Some(name.to_owned()), ..global.clone() };
    let next = Config::load(&global, serve)?;
    let becomes = |(what, now, then): (String, String, String)| format!("{what}: {now} becomes {then}");
    let mut clients: Vec<String> =
        differences(&config.contract, &next.contract).into_iter().map(becomes).collect();
    if config.server.plain_http != next.server.plain_http {
        clients.push(
            format!("plain HTTP: {:?} becomes {:?}", config.server.plain_http, next.server.plain_http)
                .to_lowercase(),
        );
    }
    let (mut keys, mut tiers, mut records) = (Vec::new(), Vec::new(), Vec::new());
    if !matches!(&config.database_url, DatabaseUrl::Sqlite(path) if !path.exists()) {
        let storage = database::open_current(&next).await?;
        records.extend(foresee(&storage, &next.declarations).await?);
        let app = App::new(storage, next.app_settings(), Arc::new(SystemClock));
        keys.extend(stored::unaccepted_keys(&app).await?);
        let mut used = tiers::in_use(&app).await?;
        used.retain(|used| next.catalog.plan(&used.tier).is_some());
        tiers.extend(stored::unknown_tiers(&tiers::unknown(&app).await?));
        tiers.extend(used.iter().flat_map(|used| changed_plan(&config.catalog, &next.catalog, &used.tier)));
    }
    if as_json {
        return Ok(output::json(
            &json!({ "clients": clients, "keys": keys, "tiers": tiers, "records": records }),
        )?);
    }
    for (subject, lines) in [("clients", clients), ("keys", keys), ("tiers", tiers), ("records", records)] {
        if lines.is_empty() {
            output::line(&format!("{subject}: nothing changes"))?;
        }
        for line in lines {
            output::line(&format!("{subject}: {line}"))?;
        }
    }
    Ok(())
}

/// What becomes of a plan that is in use, if it is another then.
fn changed_plan(now: &Catalog, then: &Catalog, name: &str) -> Option<String> {
    let (now, then) = (now.plan(name)?, then.plan(name)?);
    let told = |plan: &Plan| {
        let figure =
            |figure: Option<u64>| figure.map_or_else(|| "unlimited".to_owned(), |figure| figure.to_string());
        format!(
            "{} a minute, {} a day, {} keys, {} access",
            figure(plan.minute_cap()),
            figure(plan.requests_per_day),
            figure(plan.max_keys),
            plan.access.as_str()
        )
    };
    (told(now) != told(then)).then(|| format!("plan {name}: {} becomes {}", told(now), told(then)))
}
