//! Which version may use which database, who migrates, and what is copied before.

use std::{ffi::OsStr, fs};

use gatepost_test_support::{Engine, both_engines};
use serde_json::{Value, json};

use crate::{
    mcp::root,
    running::{Installation, Running},
};

both_engines! { Installation:
    a_newer_database_is_refused_by_every_command,
    what_is_only_more_is_no_obstacle,
    only_serve_and_migrate_migrate,
    looking_leaves_an_empty_database_empty,
}

const SERVE: [&str; 3] = ["serve", "--bind", "127.0.0.1:0"];
const OWN: &str = env!("CARGO_PKG_VERSION");
/// The first migration of those that came last, as it is said to people.
const PENDING: &str = "2026-11-27-000010_compatibility";

/// Takes the migrations from [`PENDING`] on back; how many they are.
async fn take_back(installation: &Installation) -> usize {
    let engine = if installation.database.url.starts_with("sqlite") { "sqlite" } else { "postgres" };
    let all = fs::read_dir(root().join("migrations").join(engine)).expect("the migrations").flatten();
    let mut last: Vec<_> = all
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|name| name >= OsStr::new(PENDING)))
        .collect();
    last.sort();
    for migration in last.iter().rev() {
        installation.sql(&fs::read_to_string(migration.join("down.sql")).expect("how to take it back")).await;
    }
    installation.sql("DELETE FROM __diesel_schema_migrations WHERE version >= '20261127000010'").await;
    last.len()
}

/// As a newer version would: a migration that this one does not know, and the oldest version that can live
/// with it.
async fn migrated_by(installation: &Installation, oldest: &str) {
    installation.migrated().await;
    let applied = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000001')";
    let noted = "INSERT INTO schema_compatibility (migration, oldest_version)";
    installation.sql(&format!("{applied}; {noted} VALUES ('2999-01-01-000001_more', '{oldest}');")).await;
}

async fn a_newer_database_is_refused_by_every_command(installation: Installation) {
    migrated_by(&installation, "9.10.0").await;
    for args in [
        &SERVE[..],
        &["serve", "--bind", "127.0.0.1:0", "--no-migrate"],
        &["migrate"],
        &["migrate", "--json"],
        &["keys", "list"],
        &["keys", "create", "--name", "x"],
        &["keys", "revoke", "1"],
        &["workspaces", "list"],
        &["workspaces", "create", "--name", "x"],
    ] {
        let error = installation.refused(installation.command(args)).await;
        assert!(error.contains("takes Gatepost 9.10.0 or newer") && error.contains(OWN), "{args:?}: {error}");
    }
    let mut reseal = installation.command(&["secrets", "reseal"]);
    reseal.env("GATEPOST_SECRET_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    assert!(installation.refused(reseal).await.contains("9.10.0"));
    let report = installation.run(&["doctor"]).await;
    let text = String::from_utf8_lossy(&report.stdout).into_owned();
    assert!(report.status.code() == Some(1) && text.contains("9.10.0") && text.contains(OWN), "{text}");
}

async fn what_is_only_more_is_no_obstacle(installation: Installation) {
    migrated_by(&installation, "0.1.0").await;
    let server = installation.serve().await;
    let log = server.log();
    let warning = log.lines().find(|line| line.contains("a newer version has migrated")).expect("a warning");
    let warning: Value = serde_json::from_str(warning).expect("JSON");
    assert_eq!((&warning["level"], &warning["migrations"]), (&json!("WARN"), &json!("29990101000001")));
    assert_eq!(server.get("/api/v1/workspaces", &server.first_key().await).await.status(), 200);
    server.stop().await;
    let report = installation.json(&["doctor", "--json"]).await;
    assert!(report["healthy"] == true && report.to_string().contains("29990101000001"), "{report}");
}

async fn only_serve_and_migrate_migrate(installation: Installation) {
    installation.migrated().await;
    take_back(&installation).await;
    let pending = PENDING;
    for args in [&["keys", "list"][..], &["keys", "create", "--name", "x"], &["workspaces", "list"]] {
        let error = installation.refused(installation.command(args)).await;
        assert!(error.contains(pending) && error.contains("`gatepost migrate` runs them"), "{error}");
    }
    let error = installation.refused(installation.command(&[&SERVE[..], &["--no-migrate"]].concat())).await;
    assert!(error.contains(pending) && error.contains("--no-migrate"), "{error}");
    let report = installation.json(&["doctor", "--json"]).await;
    assert!(report["healthy"] == true && report.to_string().contains(pending), "{report}");

    let done = installation.json(&["migrate", "--json"]).await;
    assert_eq!((&done["migrations"][0], &done["version"]), (&json!(pending), &json!(OWN)));
    let done = installation.json(&["migrate", "--json"]).await;
    assert_eq!((&done["migrations"], &done["copy"]), (&json!([]), &json!(null)));
    let server = Running::start(installation.command(&[&SERVE[..], &["--no-migrate"]].concat())).await;
    server.stop().await;
    let count = take_back(&installation).await;
    let server = installation.serve().await;
    assert!(server.log().contains(&format!("\"migrations.run\":{count}")), "{}", server.log());
    server.stop().await;
}

async fn looking_leaves_an_empty_database_empty(installation: Installation) {
    for args in [&["keys", "list"][..], &["workspaces", "create", "--name", "x"]] {
        let error = installation.refused(installation.command(args)).await;
        assert!(error.contains("gatepost migrate"), "{error}");
    }
    installation.refused(installation.command(&[&SERVE[..], &["--no-migrate"]].concat())).await;
    assert_eq!(installation.json(&["doctor", "--json"]).await["healthy"], true);
    match installation.database.url.strip_prefix("sqlite://") {
        Some(path) => assert!(!fs::exists(path).expect("an answer"), "no file was made"),
        // Would fail if there were any of ours.
        None => installation
            .sql("CREATE TABLE __diesel_schema_migrations (x INTEGER); DROP TABLE __diesel_schema_migrations")
            .await,
    }
}

/// The files beside the database whose names say that they are copies.
fn copies(installation: &Installation) -> Vec<String> {
    let path = installation.database.url.strip_prefix("sqlite://").expect("a file");
    let dir = std::path::Path::new(path).parent().expect("a directory");
    let names = fs::read_dir(dir).expect("the directory").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
    names.retain(|name| name.contains(".before-"));
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_copied_before_it_is_migrated() {
    use std::os::unix::fs::PermissionsExt;

    let installation = Installation::start(Engine::Sqlite).await;
    let server = installation.serve().await;
    let key = server.first_key().await;
    let named = json!({ "name": "Checkout worker (EU)" });
    assert_eq!(server.post("/api/v1/api-keys", &key, named).await.status(), 201);
    assert!(!server.log().contains("was copied"), "there was nothing to copy");
    server.stop().await;
    assert!(copies(&installation).is_empty());
    let count = take_back(&installation).await;
    let server = installation.serve().await;
    assert!(server.log().contains("the database was copied before it was migrated"));
    // What was there before is found by its words, and by no other's.
    for (words, total) in [("worker+check", 1), ("eu", 1), ("w1", 0)] {
        let path = format!("/api/v1/api-keys?search={words}");
        let found: Value = server.get(&path, &key).await.json().await.expect("JSON");
        assert_eq!(found["meta"]["total"], total, "{words}");
    }
    server.stop().await;
    let name = format!("gatepost.db.before-{OWN}-{PENDING}");
    assert_eq!(copies(&installation), std::slice::from_ref(&name));

    // The copy is a database of its own, as it was before.
    let path = installation.database.url.strip_prefix("sqlite://").expect("a file");
    let copy = std::path::Path::new(path).with_file_name(&name);
    assert_eq!(fs::metadata(&copy).expect("the copy").permissions().mode() & 0o777, 0o600);
    let back = installation.dir.path().join("back.db");
    fs::copy(&copy, &back).expect("a copy of the copy");
    let url = format!("sqlite://{}", back.display());
    let mut doctor = installation.command(&["doctor", "--json"]);
    let output = doctor.env("DATABASE_URL", &url).output().await.expect("the doctor");
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("{count} migrations are pending")));
    let server = Running::start({
        let mut command = installation.command(&SERVE);
        command.env("DATABASE_URL", &url);
        command
    })
    .await;
    assert_eq!(server.get("/api/v1/workspaces", &key).await.status(), 200);
    server.stop().await;
    // A migration that failed and is run again does not fill the disk with copies.
    take_back(&installation).await;
    let done = installation.json(&["migrate", "--json"]).await;
    assert_eq!(done["copy"], json!(copy));
    assert_eq!(copies(&installation), [name]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_say_where_the_file_is() {
    let installation = Installation::start(Engine::Sqlite).await;
    let at = |args: &[&str]| {
        let mut command = installation.command(args);
        command.env("DATABASE_URL", "sqlite://here.db");
        command
    };
    let path = installation.dir.path().join("here.db");
    let error = installation.refused(at(&["keys", "list"])).await;
    assert!(error.contains(&format!("sqlite://{}", path.display())), "{error}");
    let server = Running::start(at(&SERVE)).await;
    let log = server.log();
    let ready = log.lines().find(|line| line.contains("\"ready\"")).expect("the line");
    assert!(ready.contains(&format!("\"database\":\"sqlite://{}\"", path.display())), "{ready}");
    server.stop().await;
}
