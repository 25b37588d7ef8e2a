//! Both trees of migrations and `schema.rs` describe the same tables.

use std::collections::BTreeMap;

use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, sql_types::Text};
use gatepost_storage::Engine;

use super::Db;

/// Table, column, and a type that both engines have a word for.
type Columns = BTreeMap<(String, String), (&'static str, bool)>;

fn declared() -> Columns {
    let mut columns = Columns::new();
    let mut table = None;
    for line in include_str!("../../src/schema.rs")
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("diesel::"))
    {
        if let Some(name) = line.strip_suffix(") {").and_then(|line| line.split_once(" (")) {
            table = Some(name.0.to_owned());
        }
        if let (Some(table), Some((column, kind))) = (&table, line.trim_end_matches(',').split_once(" -> ")) {
            let inner = kind.strip_prefix("Nullable<").and_then(|kind| kind.strip_suffix('>'));
            let kind = match inner.unwrap_or(kind) {
                "BigInt" | "Id" | "Count" => "integer",
                "HttpStatus" => "small integer",
                "Bool" => "boolean",
                "Text" | "Word" | "JsonText" => "text",
                "Binary" | "Digest" => "bytes",
                "Instant" => "instant",
                "JsonDoc" => "json",
                "JsonKept" => "kept json",
                other => panic!("{other} is not in this test's list"),
            };
            columns.insert((table.clone(), column.to_owned()), (kind, inner.is_some()));
        }
    }
    assert!(columns.len() > 40, "schema.rs was read");
    columns
}

#[derive(QueryableByName)]
struct SqliteColumn {
    #[diesel(sql_type = Text)]
    table: String,
    #[diesel(sql_type = Text)]
    column: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = diesel::sql_types::Bool)]
    nullable: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_has_what_is_declared() {
    let db = Db::start(Engine::Sqlite).await;
    let path = db.storage.path().and_then(|path| path.to_str()).expect("a path");
    let mut conn = SqliteConnection::establish(path).expect("the file");
    let rows: Vec<SqliteColumn> = diesel::sql_query(
        "SELECT m.name AS \"table\", c.name AS \"column\", c.type AS kind, NOT c.\"notnull\" AS nullable \
         FROM sqlite_master m, pragma_table_info(m.name) c \
         WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND m.name NOT LIKE '\\_\\_%' ESCAPE '\\' \
         AND m.name NOT LIKE '%\\_search%' ESCAPE '\\'",
    )
    .load(&mut conn)
    .expect("the columns");
    let stored = |kind: &str| match kind {
        "integer" | "small integer" | "boolean" | "instant" => "INTEGER",
        "text" | "json" | "kept json" => "TEXT",
        _ => "BLOB",
    };
    let found: BTreeMap<_, _> =
        rows.into_iter().map(|r| ((r.table, r.column), (r.kind, r.nullable))).collect();
    let expected: BTreeMap<_, _> =
        declared().into_iter().map(|(name, (kind, null))| (name, (stored(kind).to_owned(), null))).collect();
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_has_what_is_declared() {
    let db = Db::start(Engine::Postgres).await;
    let (client, connection) =
        tokio_postgres::connect(&db._database.url, tokio_postgres::NoTls).await.expect("a connection");
    tokio::spawn(connection);
    let query = "SELECT table_name::text, column_name::text, data_type::text, is_nullable::text \
                 FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_\\_%'";
    let rows = client.query(query, &[]).await.expect("the columns");
    let found: BTreeMap<(String, String), (String, bool)> =
        rows.iter().map(|r| ((r.get(0), r.get(1)), (r.get(2), r.get::<_, String>(3) == "YES"))).collect();
    let stored = |kind: &'static str| match kind {
        "integer" => "bigint",
        "small integer" => "integer",
        "instant" => "timestamp with time zone",
        "json" => "jsonb",
        "kept json" => "json",
        "bytes" => "bytea",
        same => same,
    };
    let expected: BTreeMap<_, _> =
        declared().into_iter().map(|(name, (kind, null))| (name, (stored(kind).to_owned(), null))).collect();
    assert_eq!(found, expected);
}

#[test]
fn both_trees_have_the_same_migrations() {
    let names = |engine: &str| {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations").join(engine);
        let mut names: Vec<_> =
            std::fs::read_dir(dir).expect("the tree").map(|e| e.expect("an entry").file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names("sqlite"), names("postgres"));
    assert!(!names("sqlite").is_empty());
}

/// Otherwise a version that cannot use what a migration made would not be refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_migration_notes_the_oldest_version_that_may_follow() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/sqlite");
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .expect("the tree")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    let db = Db::start(Engine::Sqlite).await;
    let path = db.storage.path().and_then(|path| path.to_str()).expect("a path");
    let mut conn = SqliteConnection::establish(path).expect("the file");
    let noted: Vec<Noted> =
        diesel::sql_query("SELECT migration FROM schema_compatibility ORDER BY migration")
            .load(&mut conn)
            .expect("the notes");
    assert_eq!(noted.into_iter().map(|row| row.migration).collect::<Vec<_>>(), names);
    let db = Db::start(Engine::Postgres).await;
    let (client, connection) =
        tokio_postgres::connect(&db._database.url, tokio_postgres::NoTls).await.expect("a connection");
    tokio::spawn(connection);
    let rows = client.query("SELECT migration FROM schema_compatibility", &[]).await.expect("the notes");
    let mut noted: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    noted.sort();
    assert_eq!(noted, names);
}

#[derive(QueryableByName)]
struct Noted {
    #[diesel(sql_type = Text)]
    migration: String,
}
