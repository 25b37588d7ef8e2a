//! How commands open the database, and `gatepost migrate`.

use std::sync::Arc;

use gatepost_app::{App, tenants::first_start};
use gatepost_kernel::{Cause, SystemClock, chain};
use gatepost_storage::{Migrated, Storage, StorageError};
use serde_json::json;

use crate::{Failure, config::Config, output};

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
            let error = format!(
                "its tables are not of this version, migrations are pending from {first} on; `gatepost migrate` runs them, \
                 and so does `gatepost serve`"
            );
            Err(unusable(config, StorageError::Configuration(Cause::new(error))))
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

/// Opens the database, and makes it if it is not there and may be migrated.
pub async fn open_for_serving(config: &Config) -> Result<Storage, Failure> {
    match config.migrates {
        true => Storage::open(&config.database_url).await.map_err(|e| unusable(config, e)),
        false => open_storage(config).await,
    }
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

/// Brings the database to this version, or, with `--no-migrate`, sees that it is; answers how many migrations
/// were run.
pub async fn bring_up_to_date(config: &Config, storage: &Storage) -> Result<usize, Failure> {
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
                let message = format!(
                    "migrations are pending from {first} on, and --no-migrate is given; run `gatepost migrate`"
                );
                Err(unusable(config, StorageError::Configuration(Cause::new(message))))
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
