//! What `gatepost doctor` finds, and what it says to do.

use std::{fs, net::TcpListener, path::Path, process::Output};

use gatepost_test_support::{Engine, both_engines};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::Value;

use crate::running::Installation;

both_engines! { Installation:
    what_the_machine_lacks_is_named,
    every_trouble_is_named_with_its_mend,
    a_server_that_runs_is_no_trouble,
}

/// Between which years a certificate is in force, if there is one.
type Years = Option<(i32, i32)>;

/// The findings with this configuration, as `status subject: message`.
async fn findings(installation: &Installation, config: &str) -> (Option<i32>, Vec<String>) {
    fs::write(installation.dir.path().join("gatepost.toml"), config).expect("the file");
    of_output(&installation.run(&["doctor", "--json", "--config", "gatepost.toml"]).await)
}

/// The findings that a doctor told.
fn of_output(output: &Output) -> (Option<i32>, Vec<String>) {
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON, whatever is wrong");
    let text = |finding: &Value, name: &str| finding[name].as_str().expect("a text").to_owned();
    let line = |finding: &Value| {
        format!("{} {}: {}", text(finding, "status"), text(finding, "subject"), text(finding, "message"))
    };
    (output.status.code(), report["findings"].as_array().expect("findings").iter().map(line).collect())
}

/// A certificate that is in force between these years, with its key, in files.
fn certificate(directory: &Path, begins: i32, ends: i32) {
    let mut params = CertificateParams::new(["localhost".to_owned()]).expect("names");
    (params.not_before, params.not_after) = (date_time_ymd(begins, 1, 1), date_time_ymd(ends, 1, 1));
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    fs::write(directory.join("cert.pem"), certificate.pem()).expect("the certificate");
    fs::write(directory.join("key.pem"), key.serialize_pem()).expect("the key");
}

async fn what_the_machine_lacks_is_named(installation: Installation) {
    installation.migrated().await;
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = format!("[server]\nbind = \"{}\"\n", taken.local_addr().expect("its address"));
    let free = "bind = \"127.0.0.1:0\"\n";
    let with_certificate = format!("[server]\n{free}tls_cert = \"cert.pem\"\ntls_key = \"key.pem\"\n");
    let program = "[mcp.servers.files]\nname = \"Files\"\ncommand = \"no-such-program\"\n";
    let troubles: [(&str, Years, i32, &str); 7] = [
        // Somebody listens there who never answers.
        (&taken, None, 0, "warn network: 127.0.0.1:"),
        (
            "[server]\nbind = \"192.0.2.1:8080\"\n",
            None,
            1,
            "fail network: 192.0.2.1:8080 is no address of this machine",
        ),
        (&with_certificate, Some((2020, 2021)), 1, "fail certificate: it has expired on"),
        (&with_certificate, Some((2090, 2099)), 1, "fail certificate: it is in force from"),
        (&with_certificate, Some((2020, 2099)), 0, "ok certificate: it is in force until"),
        (program, None, 1, "fail mcp: the program no-such-program of [mcp.servers.files] is not there"),
        ("", None, 0, "ok configuration: "),
    ];
    for (config, years, code, expected) in troubles {
        if let Some((begins, ends)) = years {
            certificate(installation.dir.path(), begins, ends);
        }
        let (ended, found) = findings(&installation, config).await;
        assert!(found.iter().any(|line| line.starts_with(expected)), "{expected}: {found:#?}");
        assert_eq!(ended, Some(code), "{expected}: {found:#?}");
    }
    let nowhere = installation.dir.path().join("nowhere/gatepost.db");
    let mut doctor = installation.command(&["doctor"]);
    let output = doctor.env("DATABASE_URL", format!("sqlite://{}", nowhere.display())).output().await;
    let output = output.expect("the doctor");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("nowhere, for the database, does not exist; `mkdir -p "), "{said}");
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_named() {
    let installation = Installation::start(Engine::Postgres).await;
    installation.migrated().await;
    // What the database says first is another's time.
    installation
        .sql(
            "CREATE SCHEMA an_hour_ahead;
             CREATE FUNCTION an_hour_ahead.clock_timestamp() RETURNS timestamptz LANGUAGE sql
                 AS 'SELECT pg_catalog.clock_timestamp() + interval ''1 hour''';
             DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = an_hour_ahead, pg_catalog, public',
                 current_database()); END $$",
        )
        .await;
    let (_, found) = findings(&installation, "[server]\nbind = \"127.0.0.1:0\"\n").await;
    let named = found.iter().find(|line| line.contains("s apart; run NTP on both"));
    assert!(named.is_some_and(|line| line.starts_with("warn ")), "{found:#?}");
}

#[tokio::test]
async fn a_directory_that_nobody_can_write_to_is_named() {
    let installation = Installation::start(Engine::Sqlite).await;
    installation.migrated().await;
    let (key, file) = (["doctor", "--json", "--data-dir", "/proc"], ["doctor", "--json"]);
    let (code, found) = of_output(&installation.run(&key).await);
    let expected = "/proc, for the file with the first key of an empty database, cannot be written to";
    assert!(found.iter().any(|line| line.starts_with("warn ") && line.contains(expected)), "{found:#?}");
    assert_eq!(code, Some(0), "{found:#?}");
    let mut doctor = installation.command(&file);
    let output = doctor.env("DATABASE_URL", "sqlite:///proc/gatepost.db").output().await;
    let (code, found) = of_output(&output.expect("the doctor"));
    let expected = "/proc, for the database, cannot be written to";
    assert!(found.iter().any(|line| line.starts_with("fail ") && line.contains(expected)), "{found:#?}");
    assert_eq!(code, Some(1), "{found:#?}");
}

async fn a_server_that_runs_is_no_trouble(installation: Installation) {
    let server = installation.serve().await;
    let config = format!("[server]\nbind = \"{}\"\n", server.address);
    let (code, found) = findings(&installation, &config).await;
    let expected = format!("ok network: a Gatepost answers at {}", server.address);
    assert!(found.contains(&expected), "{found:#?}");
    assert_eq!(code, Some(0), "{found:#?}");
}

/// What is wrong: in the file, or in a variable; and what is said of it: how it begins, and what mends it.
struct Trouble(&'static str, &'static [(&'static str, &'static str)], &'static str, &'static str);

const TROUBLES: [Trouble; 20] = [
    Trouble(
        "[server]\nbnid = \"127.0.0.1:1\"\n",
        &[],
        "fail configuration: ",
        "line 2, column 1: unknown field `bnid`",
    ),
    Trouble("[server]\nbnid = \"127.0.0.1:1\"\n", &[], "fail configuration: ", "did you mean `bind`?"),
    Trouble("[server]\nbind = \"8080\"\n", &[], "fail configuration: ", "such as \"127.0.0.1:8080\""),
    Trouble("[server]\ntrusted_proxies = [\"lb\"]\n", &[], "fail configuration: ", "such as \"10.0.0.0/8\""),
    Trouble(
        "[server]\nplain_http = \"reject\"\n",
        &[],
        "fail configuration: ",
        "it needs TLS by tls_cert and tls_key",
    ),
    Trouble(
        "[server]\ntls_cert = \"a.pem\"\n",
        &[],
        "fail configuration: ",
        "tls_cert needs tls_key beside it",
    ),
    Trouble(
        "[server]\ntls_cert = \"no.pem\"\ntls_key = \"no.pem\"\n",
        &[],
        "fail configuration: ",
        "no.pem: No such file",
    ),
    Trouble("[webhooks]\nretry_schedule = []\n", &[], "fail configuration: ", "at least one duration"),
    Trouble(
        "[retention]\nevents = \"1h\"\n",
        &[],
        "fail configuration: ",
        "longer than events and deliveries are kept",
    ),
    Trouble("[redis]\nurl = \"redis://r\"\n", &[], "fail configuration: ", "leave it out"),
    Trouble("[limits]\nmode = \"exact\"\n", &[], "fail configuration: ", "expected \"local\""),
    Trouble(
        "",
        &[("GATEPOST_SECRET_KEY", "hunter2")],
        "fail configuration: GATEPOST_SECRET_KEY",
        "base64 of 32 bytes",
    ),
    Trouble(
        "",
        &[("DATABASE_URL", "mysql://db/x")],
        "fail configuration: DATABASE_URL",
        "postgres://USER:PASSWORD@HOST/NAME",
    ),
    Trouble(
        "",
        &[("DATABASE_URL_FILE", "url")],
        "fail configuration: DATABASE_URL and DATABASE_URL_FILE",
        "keep one of them",
    ),
    Trouble("", &[("DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/x")], "fail database: ", "refused"),
    Trouble(
        "",
        &[("GATEPOST_BIDN", "127.0.0.1:1")],
        "warn environment: GATEPOST_BIDN",
        "did you mean GATEPOST_BIND?",
    ),
    Trouble("", &[("REDIS_URL", "redis://r")], "warn redis: REDIS_URL is set", "this version uses no Redis"),
    Trouble("", &[("GATEPOST_BOOTSTRAP_KEY", "hunter2")], "warn first key: ", "gatepost keys generate"),
    Trouble("", &[], "warn secret key: GATEPOST_SECRET_KEY is not set", "openssl rand -base64 32"),
    Trouble(
        "[server]\nbind = \"0.0.0.0:0\"\n",
        &[],
        "warn network: listening on 0.0.0.0:0 without TLS",
        "trusted_proxies",
    ),
];

async fn every_trouble_is_named_with_its_mend(installation: Installation) {
    installation.migrated().await;
    for Trouble(config, variables, begins, mend) in TROUBLES {
        let config = if config.is_empty() { "[server]\nbind = \"127.0.0.1:0\"\n" } else { config };
        fs::write(installation.dir.path().join("gatepost.toml"), config).expect("the file");
        let mut doctor = installation.command(&["doctor", "--json", "--config", "gatepost.toml"]);
        let output = doctor.envs(variables.iter().copied()).output().await.expect("the doctor");
        let (code, found) = of_output(&output);
        let named = found.iter().any(|line| line.starts_with(begins) && line.contains(mend));
        assert!(named, "{begins} … {mend}: {found:#?}");
        assert!(!found.concat().contains("hunter2"), "a secret is told: {found:#?}");
        assert_eq!(code, Some(begins.starts_with("fail").into()), "{begins}: {found:#?}");
    }
}
