//! Flag before environment before file before default.

use std::fs;

use gatepost_test_support::{Engine, certificate, http_client};
use serde_json::json;

use crate::running::{Installation, Running};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flag_beats_the_environment_and_the_environment_the_file() {
    let installation = Installation::start(Engine::Sqlite).await;
    let config = installation.dir.path().join("gatepost.toml");
    let text = "[server]\nbind = \"127.0.0.1:1\"\n[database]\nurl = \"sqlite://from-file.db\"\n";
    fs::write(&config, text).expect("the file");
    let mut command = installation.command(&["--bind", "127.0.0.1:0"]);
    command.env("GATEPOST_BIND", "127.0.0.1:2").env("GATEPOST_CONFIG", &config).env_remove("DATABASE_URL");
    // `gatepost` alone is `gatepost serve`.
    let server = Running::start(command).await;
    assert!(installation.dir.path().join("from-file.db").exists());
    server.stop().await;
    let mut command = installation.command(&["serve", "--config", config.to_str().expect("a path")]);
    command.env("GATEPOST_BIND", "127.0.0.1:0").env("DATABASE_URL", "sqlite://from-environment.db");
    let server = Running::start(command).await;
    assert!(installation.dir.path().join("from-environment.db").exists());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plans_come_from_the_file() {
    let installation = Installation::start(Engine::Sqlite).await;
    let config = installation.dir.path().join("gatepost.toml");
    fs::write(&config, "[plans.gold]\nrequests_per_minute = 9\n").expect("the file");
    installation.migrated().await;
    let made = installation
        .json(&[
            "--config",
            "gatepost.toml",
            "workspaces",
            "create",
            "--name",
            "x",
            "--tier",
            "gold",
            "--json",
        ])
        .await;
    assert_eq!(made["tier"], json!("gold"));
    let report = installation.run(&["doctor", "--json"]).await;
    let report = String::from_utf8(report.stdout).expect("text");
    assert!(report.contains("workspaces replace-tier gold PLAN"), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_wrong_stops_the_start() {
    let installation = Installation::start(Engine::Sqlite).await;
    for (text, expected) in [
        ("[server]\nbind = 8080\n", "line 2"),
        ("[server]\nplain_http = \"redirect\"\n", "TLS"),
        ("[server]\ntls_cert = \"a.pem\"\ntls_key = \"b.pem\"\n", "a.pem: No such file"),
        ("[plans.x]\nfeatures = { nope = 1 }\n", "line 2"),
        ("nonsense", "line 1"),
    ] {
        fs::write(installation.dir.path().join("gatepost.toml"), text).expect("the file");
        let output = installation.run(&["serve", "--config", "gatepost.toml", "--bind", "127.0.0.1:0"]).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && error.contains(expected), "{text}: {error}");
        assert!(error.contains("gatepost.toml: line "), "{error}");
    }
    let output = installation.run(&["serve", "--config", "missing.toml"]).await;
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("missing.toml"));
    assert!(!installation.dir.path().join("gatepost.db").exists(), "nothing was begun");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_makes_it_https_and_the_plain_port_sends_there() {
    let installation = Installation::start(Engine::Sqlite).await;
    let (cert, key) = certificate();
    fs::write(installation.dir.path().join("cert.pem"), &cert).expect("the certificate");
    fs::write(installation.dir.path().join("key.pem"), key).expect("its key");
    // Free a moment ago; should somebody else take it meanwhile, the start says so.
    let plain =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let text = format!(
        "[server]\ntls_cert = \"cert.pem\"\ntls_key = \"key.pem\"\nplain_bind = \"{plain}\"\nplain_http = \"redirect\"\n"
    );
    fs::write(installation.dir.path().join("gatepost.toml"), text).expect("the file");
    let serve = ["serve", "--config", "gatepost.toml", "--bind", "127.0.0.1:0"];
    let server = Running::start(installation.command(&serve)).await;
    let token = server.first_key().await;
    let client = http_client(Some(&cert));
    let url = format!("https://{}/api/v1/auth", server.address);
    let answer = client.get(url).bearer_auth(&token).send().await.expect("an answer");
    assert_eq!(answer.status(), 204);
    let moved = client.get(format!("http://{plain}/api/v1/auth")).send().await.expect("an answer");
    assert_eq!(moved.status(), 301);
    // A key that was sent there was readable on the way, which the operator is told: once.
    for _ in 0..3 {
        let moved = client.get(format!("http://{plain}/api/v1/auth")).bearer_auth(&token);
        assert_eq!(moved.send().await.expect("an answer").status(), 301);
    }
    let log = server.stop().await;
    assert_eq!(log.matches("a key was sent without TLS").count(), 1, "{log}");
    assert!(log.contains(&token[..11]), "it says which");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_is_checked_and_shown() {
    let installation = Installation::start(Engine::Sqlite).await;
    let path = installation.dir.path().join("gatepost.toml");
    let run = async |args: &[&str], variables: &[(&str, &str)]| {
        let mut command = installation.command(&[&["config"], args, &["--config", "gatepost.toml"]].concat());
        command.envs(variables.iter().copied()).env_remove("DATABASE_URL");
        let output = command.output().await.expect("the command");
        (output.status.success(), String::from_utf8(output.stdout).expect("text"))
    };
    fs::write(&path, "[server]\nbnid = \"127.0.0.1:1\"\ndocs = 7\n").expect("the file");
    let (sound, told) = run(&["check"], &[]).await;
    assert!(!sound && told.contains("line 2") && told.contains("line 3"), "{told}");
    assert!(told.contains("did you mean `bind`?"), "{told}");

    let text = "[server]\ntrusted_proxies = [\"10.0.0.1\"]\n[database]\nurl = \"postgres://u:hunter2@db/x\"\n\
                [mcp.servers.files]\ncommand = \"files\"\nargs = [\"--token=hunter2\"]\nenv = { TOKEN = \"hunter2\" }\n";
    fs::write(&path, text).expect("the file");
    let (sound, told) = run(&["check", "--json"], &[("GATEPOST_BIDN", "x")]).await;
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert!(sound && told["sound"] == true && told["errors"] == json!([]), "{told}");
    let warning = told["warnings"][0].as_str().expect("a warning");
    assert_eq!(warning, "GATEPOST_BIDN is set, but means nothing; did you mean GATEPOST_BIND?");

    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let variables = [("GATEPOST_BIND", "127.0.0.1:7"), ("GATEPOST_SECRET_KEY", key)];
    let (_, shown) = run(&["show", "--json", "--roles", "api"], &variables).await;
    assert!(!shown.contains("hunter2") && !shown.contains(key), "{shown}");
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    let settings = shown["settings"].as_array().expect("settings");
    for (name, value, from) in [
        ("server.bind", json!("127.0.0.1:7"), "GATEPOST_BIND"),
        ("server.docs", json!(true), "default"),
        ("server.trusted_proxies", json!(["10.0.0.1"]), "gatepost.toml: line 2"),
        ("database.url", json!("postgres://db/x"), "gatepost.toml: line 4"),
        ("mcp.servers.files.command", json!("files"), "gatepost.toml: line 6"),
        ("plans.free.requests_per_minute", json!(60), "default"),
        ("GATEPOST_SECRET_KEY", json!("(hidden)"), "environment"),
        ("roles", json!(["api"]), "--roles"),
    ] {
        let setting = settings.iter().find(|setting| setting["name"] == name).expect(name);
        assert_eq!(setting["value"], value, "{name}");
        assert!(setting["from"].as_str().is_some_and(|told| told.starts_with(from)), "{setting}");
    }
}
