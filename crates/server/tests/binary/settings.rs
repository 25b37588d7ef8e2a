//! Settings that have no effect, secrets in files, and what is worth a warning.

use std::fs;

use gatepost_test_support::{Engine, http_client};
use tokio::process::Command;

use crate::running::{Installation, Running};

const SERVE: [&str; 3] = ["serve", "--bind", "127.0.0.1:0"];

fn with(installation: &Installation, variables: &[(&str, &str)], args: &[&str]) -> Command {
    let mut command = installation.command(args);
    command.envs(variables.iter().copied());
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_without_effect_stops_the_start() {
    let installation = Installation::start(Engine::Sqlite).await;
    for text in
        ["[limits]\nmode = \"exact\"\n", "[limits]\nmode = \"leased\"\n", "[redis]\nurl = \"redis://r\"\n"]
    {
        fs::write(installation.dir.path().join("gatepost.toml"), text).expect("the file");
        let error = installation
            .refused(installation.command(&[&SERVE[..], &["--config", "gatepost.toml"]].concat()))
            .await;
        assert!(error.contains("gatepost.toml: line 2") && error.contains("has no effect"), "{error}");
    }
    let error = installation
        .refused(installation.command(&[&SERVE[..], &["--redis-url", "redis://:hunter2@r"]].concat()))
        .await;
    assert!(error.contains("--redis-url has no effect") && !error.contains("hunter2"), "{error}");
    // Platforms set this for every program.
    let server = Running::start(with(&installation, &[("REDIS_URL", "redis://:hunter2@r")], &SERVE)).await;
    let log = server.stop().await;
    let warning = log.lines().find(|line| line.contains("REDIS_URL is set")).expect("a warning");
    assert!(warning.contains("\"WARN\"") && !log.contains("hunter2"), "{warning}");
    let doctor =
        with(&installation, &[("REDIS_URL", "redis://r")], &["doctor"]).output().await.expect("the doctor");
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("warn  redis"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_that_would_never_match_stops_the_start() {
    let installation = Installation::start(Engine::Sqlite).await;
    let text = "[server]\ncors_origins = [\"https://app.example.com:443\"]\n";
    fs::write(installation.dir.path().join("gatepost.toml"), text).expect("the file");
    let error = installation
        .refused(installation.command(&[&SERVE[..], &["--config", "gatepost.toml"]].concat()))
        .await;
    assert!(error.contains("line 2") && error.contains("write https://app.example.com\n"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_come_from_files() {
    let installation = Installation::start(Engine::Sqlite).await;
    let path = |name: &str| installation.dir.path().join(name);
    let secret_key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    fs::write(path("url"), "sqlite://from-file.db\r\n").expect("a file");
    fs::write(path("secret-key"), secret_key).expect("a file");
    fs::write(path("redis"), "redis://r\n").expect("a file");
    fs::write(path("wrong"), "hunter2").expect("a file");
    let files = [
        ("DATABASE_URL_FILE", "url"),
        ("GATEPOST_SECRET_KEY_FILE", "secret-key"),
        ("REDIS_URL_FILE", "redis"),
    ];
    let mut command = with(&installation, &files, &SERVE);
    command.env_remove("DATABASE_URL");
    let server = Running::start(command).await;
    assert!(path("from-file.db").exists());
    assert!(server.stop().await.contains("REDIS_URL is set"));
    // A flag comes before the environment.
    let flag = [&SERVE[..], &["--database-url", "sqlite://from-flag.db"]].concat();
    let mut command = with(&installation, &files, &flag);
    command.env_remove("DATABASE_URL");
    Running::start(command).await.stop().await;
    assert!(path("from-flag.db").exists());

    for name in ["DATABASE_URL", "GATEPOST_SECRET_KEY", "GATEPOST_BOOTSTRAP_KEY", "REDIS_URL"] {
        let file = format!("{name}_FILE");
        let error =
            installation.refused(with(&installation, &[(name, "hunter2"), (&file, "wrong")], &SERVE)).await;
        assert!(error.contains(&format!("{name} and {file}")) && !error.contains("hunter2"), "{error}");
        let mut missing = with(&installation, &[(&file, "missing")], &SERVE);
        missing.env_remove(name);
        let error = installation.refused(missing).await;
        assert!(error.contains(&file) && error.contains("missing: No such file"), "{error}");
    }
    for name in ["GATEPOST_SECRET_KEY", "GATEPOST_BOOTSTRAP_KEY"] {
        let error =
            installation.refused(with(&installation, &[(&format!("{name}_FILE"), "wrong")], &SERVE)).await;
        assert!(error.contains(name) && !error.contains("hunter2"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_of_an_address_are_passed_over_or_named() {
    let installation = Installation::start(Engine::Postgres).await;
    let foreign = format!("{}?schema=public&pgbouncer=true&supa=base-pooler.x", installation.database.url);
    let server = Running::start(with(&installation, &[("DATABASE_URL", &foreign)], &SERVE)).await;
    let key = server.first_key().await;
    let answer = http_client(None).get(server.url("/api/v1/workspaces")).bearer_auth(key).send().await;
    assert_eq!(answer.expect("an answer").status(), 200);
    server.stop().await;
    for (parameter, named) in
        [("sslcertmode=disable", "\"sslcertmode\""), ("sslmode=require", "sslmode=require")]
    {
        let url = format!("{}?{parameter}", installation.database.url);
        let error = installation.refused(with(&installation, &[("DATABASE_URL", &url)], &SERVE)).await;
        assert!(error.contains(named), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_beyond_this_machine_is_worth_a_warning() {
    let installation = Installation::start(Engine::Postgres).await;
    let warns = async |url: &str| {
        let output =
            with(&installation, &[("DATABASE_URL", url)], &["doctor"]).output().await.expect("the doctor");
        String::from_utf8_lossy(&output.stdout).contains("crosses a network without TLS")
    };
    assert!(!warns(&installation.database.url).await, "the loopback is this machine");
    assert!(warns("postgres://u@192.0.2.1/x?connect_timeout=1").await);
    // The name is of another machine; that its address is this one is only known by looking.
    let elsewhere = installation.database.url.replace("127.0.0.1", "0.0.0.0");
    let server = Running::start(with(&installation, &[("DATABASE_URL", &elsewhere)], &SERVE)).await;
    let log = server.stop().await;
    let warning = log.lines().find(|line| line.contains("crosses a network")).expect("a warning");
    assert!(warning.contains("\"WARN\""), "{warning}");
    let server = installation.serve().await;
    assert!(!server.stop().await.contains("crosses a network"));
}
