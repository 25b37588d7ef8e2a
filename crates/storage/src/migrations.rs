//! The embedded migrations: two trees with the same names in the same order.

use diesel::{SqliteConnection, pg::Pg, sqlite::Sqlite};
use diesel_async::{AsyncPgConnection, async_connection_wrapper::AsyncConnectionWrapper};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::{Result, StorageError};

const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

pub(crate) fn run_sqlite(conn: &mut SqliteConnection) -> Result<usize> {
    Ok(MigrationHarness::<Sqlite>::run_pending_migrations(conn, SQLITE).map_err(failed)?.len())
}

pub(crate) fn run_postgres(conn: &mut AsyncConnectionWrapper<AsyncPgConnection>) -> Result<usize> {
    Ok(MigrationHarness::<Pg>::run_pending_migrations(conn, POSTGRES).map_err(failed)?.len())
}

pub(crate) fn pending_sqlite(conn: &mut SqliteConnection) -> Result<Vec<String>> {
    let pending = MigrationHarness::<Sqlite>::pending_migrations(conn, SQLITE).map_err(failed)?;
    Ok(pending.iter().map(|migration| migration.name().to_string()).collect())
}

pub(crate) fn pending_postgres(conn: &mut AsyncConnectionWrapper<AsyncPgConnection>) -> Result<Vec<String>> {
    let pending = MigrationHarness::<Pg>::pending_migrations(conn, POSTGRES).map_err(failed)?;
    Ok(pending.iter().map(|migration| migration.name().to_string()).collect())
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> StorageError {
    StorageError::Query(format!("migration failed: {error}"))
}
