//! The embedded migrations: two trees with the same names in the same order; and which versions of this
//! program may use what they made.
//!
//! Each migration notes in `schema_compatibility` the oldest version that it leaves able to use the database.
//! A program that is older than any of these is refused before its first query; one that only lacks
//! migrations which it can live with goes on.

use gatepost_kernel::Cause;
use std::{cmp::Ordering, collections::BTreeSet};

use diesel::{
    QueryableByName, RunQueryDsl, SqliteConnection,
    backend::Backend,
    connection::LoadConnection,
    migration::{Migration, MigrationSource},
    pg::Pg,
    query_builder::SqlQuery,
    query_dsl::LoadQuery,
    sql_types::Text,
    sqlite::Sqlite,
};
use diesel_async::{AsyncPgConnection, async_connection_wrapper::AsyncConnectionWrapper};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::{Result, StorageError};

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// The version of this program.
const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

type PostgresConn = AsyncConnectionWrapper<AsyncPgConnection>;

/// How far the tables of a database are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaState {
    /// Migrations of this program that the database does not have yet, in their order.
    pub pending: Vec<String>,
    /// Migrations that the database has and this program does not know: a newer one ran them.
    pub unknown: Vec<String>,
    /// The oldest version that may use the database, if any is noted.
    pub oldest_version: Option<String>,
    /// Whether it has no tables of ours at all.
    pub is_empty: bool,
}

/// What migrating did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migrated {
    /// The migrations that were run, in their order.
    pub run: Vec<String>,
    /// Where the file is that the database was copied to before.
    pub copy: Option<std::path::PathBuf>,
}

impl SchemaState {
    /// Refuses a database that only newer versions may use.
    ///
    /// # Errors
    /// [`StorageError::Configuration`] with both versions.
    pub fn check(&self) -> Result<()> {
        let too_old = |oldest: &&String| compare(oldest, OWN_VERSION) == Ordering::Greater;
        match self.oldest_version.as_ref().filter(too_old) {
            Some(oldest) => Err(StorageError::Configuration(Cause::new(format!(
                "its tables are those of a newer version: it takes Gatepost {oldest} or newer, and this is {OWN_VERSION}"
            )))),
            None => Ok(()),
        }
    }

    fn new(
        embedded: Vec<String>,
        tables: &BTreeSet<String>,
        applied: Vec<String>,
        oldest: Vec<String>,
    ) -> Self {
        let applied: BTreeSet<String> = applied.into_iter().collect();
        let own: BTreeSet<String> = embedded.iter().map(|name| version_of(name)).collect();
        Self {
            pending: embedded.into_iter().filter(|name| !applied.contains(&version_of(name))).collect(),
            unknown: applied.iter().filter(|version| !own.contains(*version)).cloned().collect(),
            oldest_version: oldest.into_iter().max_by(|a, b| compare(a, b)),
            is_empty: applied.is_empty() && tables.is_empty(),
        }
    }
}

/// What a migration is called in the database: its name up to the first `_`, without the dashes.
fn version_of(name: &str) -> String {
    name.split('_').next().unwrap_or_default().replace('-', "")
}

/// Compares versions by their numbers; what cannot be read is newer than anything.
fn compare(one: &str, other: &str) -> Ordering {
    let numbers = |text: &str| -> Option<Vec<u64>> {
        text.split(['-', '+']).next()?.split('.').map(|number| number.parse().ok()).collect()
    };
    match (numbers(one), numbers(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        (one, other) => other.is_some().cmp(&one.is_some()),
    }
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    text: String,
}

fn ask<C>(conn: &mut C, sql: &str) -> Result<Vec<String>>
where
    C: LoadConnection,
    SqlQuery: for<'q> LoadQuery<'q, C, Line>,
{
    let lines: Vec<Line> = diesel::sql_query(sql).load(conn)?;
    Ok(lines.into_iter().map(|line| line.text).collect())
}

/// Looks without writing, so that looking at an empty database leaves it empty.
fn state<C>(conn: &mut C, tables: &str, embedded: Vec<String>) -> Result<SchemaState>
where
    C: LoadConnection,
    SqlQuery: for<'q> LoadQuery<'q, C, Line>,
{
    let tables: BTreeSet<String> = ask(conn, tables)?.into_iter().collect();
    let (applied, noted) = (
        "SELECT version AS text FROM __diesel_schema_migrations",
        "SELECT oldest_version AS text FROM schema_compatibility",
    );
    let has = |table: &str| tables.contains(table);
    let applied = if has("__diesel_schema_migrations") { ask(conn, applied)? } else { Vec::new() };
    let oldest = if has("schema_compatibility") { ask(conn, noted)? } else { Vec::new() };
    Ok(SchemaState::new(embedded, &tables, applied, oldest))
}

pub(crate) fn state_sqlite(conn: &mut SqliteConnection) -> Result<SchemaState> {
    let tables = "SELECT name AS text FROM sqlite_master WHERE type = 'table' \
                  AND name IN ('__diesel_schema_migrations', 'schema_compatibility')";
    state(conn, tables, names::<Sqlite>(SQLITE)?)
}

pub(crate) fn state_postgres(conn: &mut PostgresConn) -> Result<SchemaState> {
    let tables = "SELECT name AS text FROM (VALUES ('__diesel_schema_migrations'), ('schema_compatibility')) AS t (name) \
                  WHERE to_regclass(name) IS NOT NULL";
    state(conn, tables, names::<Pg>(POSTGRES)?)
}

pub(crate) fn run_sqlite(conn: &mut SqliteConnection) -> Result<()> {
    MigrationHarness::<Sqlite>::run_pending_migrations(conn, SQLITE).map_err(failed).map(|_| ())
}

pub(crate) fn run_postgres(conn: &mut PostgresConn) -> Result<()> {
    MigrationHarness::<Pg>::run_pending_migrations(conn, POSTGRES).map_err(failed).map(|_| ())
}

/// The names of the embedded migrations in their order.
fn names<DB: Backend>(tree: EmbeddedMigrations) -> Result<Vec<String>> {
    let migrations: Vec<Box<dyn Migration<DB>>> = tree.migrations().map_err(failed)?;
    let mut names: Vec<String> = migrations.iter().map(|migration| migration.name().to_string()).collect();
    names.sort();
    Ok(names)
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> StorageError {
    StorageError::Query(Cause::by("a migration failed", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (one, other, expected) in [
            ("0.2.0", "0.10.0", Ordering::Less),
            ("1.0.0", "0.99.99", Ordering::Greater),
            ("0.2.0", "0.2.0", Ordering::Equal),
            ("0.2.0-rc.1", "0.2.0", Ordering::Equal),
            ("some day", "9.9.9", Ordering::Greater),
        ] {
            assert_eq!(compare(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn a_newer_database_is_refused_and_one_with_more_is_not() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let state = |oldest: &[&str]| {
            let own = texts(&["2026-01-01-000001_a", "2026-01-02-000002_b"]);
            SchemaState::new(
                own,
                &BTreeSet::new(),
                texts(&["20260101000001", "20990101000001"]),
                texts(oldest),
            )
        };
        let sound = state(&["0.1.0", OWN_VERSION]);
        assert_eq!(
            (sound.pending.as_slice(), sound.unknown.as_slice()),
            (texts(&["2026-01-02-000002_b"]).as_slice(), texts(&["20990101000001"]).as_slice(),)
        );
        sound.check().expect("nothing in it is newer");
        let error = state(&["0.1.0", "9.0.0", "10.0.0"]).check().expect_err("a newer one").to_string();
        assert!(error.contains("10.0.0") && error.contains(OWN_VERSION), "{error}");
    }
}
