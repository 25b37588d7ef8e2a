//! Start and stop.

use std::{os::unix::process::ExitStatusExt, time::Duration};

use gatepost_test_support::{Engine, both_engines};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::Method;
use serde_json::json;

use crate::running::{Installation, Running};

/// How long something may take that happens at once.
const PATIENCE: Duration = Duration::from_secs(30);

both_engines! { Installation:
    a_port_that_is_taken_costs_no_key,
    it_stops_when_told_and_finishes_what_it_answers,
    no_key_is_ever_logged,
}

async fn a_port_that_is_taken_costs_no_key(installation: Installation) {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let output = installation.run(&["serve", "--bind", &address]).await;
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains(&address) && output.stdout.is_empty(), "{error}");
    let server = installation.serve().await;
    server.first_key().await;
    server.stop().await;
}

async fn it_stops_when_told_and_finishes_what_it_answers(installation: Installation) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut server = installation.serve().await;
    let key = server.first_key().await;
    // An idle connection must not keep it, and a request that is being read must be answered.
    let _idle = tokio::net::TcpStream::connect(&server.address).await.expect("a connection");
    let mut busy = tokio::net::TcpStream::connect(&server.address).await.expect("a connection");
    let head = format!(
        "POST /api/v1/workspaces HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 16\r\n\
         Content-Type: application/json\r\nExpect: 100-continue\r\n\r\n"
    );
    busy.write_all(head.as_bytes()).await.expect("the head");
    let mut proceed = [0u8; 25];
    busy.read_exact(&mut proceed).await.expect("100 Continue");
    server.signal(Signal::SIGTERM);
    busy.write_all(b"{\"name\":\"Later\"}").await.expect("the body");
    let mut status = [0u8; 12];
    busy.read_exact(&mut status).await.expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 201");
    drop(busy);
    let bound = Duration::from_secs(10);
    let status = tokio::time::timeout(bound, server.child.wait()).await.expect("an end within ten seconds");
    assert!(status.expect("its end").success(), "{}", server.log());
}

async fn no_key_is_ever_logged(installation: Installation) {
    let mut command = installation.command(&["serve", "--bind", "127.0.0.1:0"]);
    command.env("GATEPOST_LOG", "trace");
    let server = Running::start(command).await;
    let key = server.first_key().await;
    let body = json!({ "name": "x", "scopes": ["*"] });
    let made: serde_json::Value =
        server.post("/api/v1/api-keys", &key, body.clone()).await.json().await.expect("JSON");
    let other = made["data"]["key"].as_str().expect("a key").to_owned();
    for path in
        [format!("/api/v1/workspaces?key={other}"), format!("/{other}"), format!("/api/v1/api-keys/{other}")]
    {
        server.get(&path, &key).await;
    }
    server.post("/api/v1/workspaces", &key, json!({ "name": other, "slug": other, "tier": other })).await;
    server.post("/api/v1/api-keys/2/rotate", &other, json!({})).await;
    server.send(Method::DELETE, "/api/v1/api-keys/2", &other, None).await.expect("an answer");
    let log = server.stop().await;
    assert!(log.lines().count() > 10, "there is a log");
    for secret in [&key, &other] {
        let body = &secret["sk_live_".len() + 3..];
        assert!(!log.contains(body), "a key was logged");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_one_file_is_refused() {
    let installation = Installation::start(Engine::Sqlite).await;
    let server = installation.serve().await;
    let second = installation.run(&["serve", "--bind", "127.0.0.1:0"]).await;
    assert_eq!(second.status.code(), Some(1));
    let error = String::from_utf8_lossy(&second.stderr);
    assert!(error.contains("another process already serves"), "{error}");
    server.stop().await;
    installation.serve().await.stop().await;
}

/// A migration can take long: whoever is told to end meanwhile does not finish it first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_is_not_ready_ends_when_told() {
    let installation = Installation::start(Engine::Postgres).await;
    let connected = tokio_postgres::connect(&installation.database.url, tokio_postgres::NoTls).await;
    let (client, connection) = connected.expect("a connection");
    tokio::spawn(connection);
    client.batch_execute("SELECT pg_advisory_lock(7272740001)").await.expect("the lock of migrations");
    let mut command = installation.command(&["serve", "--bind", "127.0.0.1:0"]);
    let mut child = command.stderr(std::process::Stdio::null()).spawn().expect("starting gatepost");
    let waits = "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database \
                 WHERE locktype = 'advisory' AND NOT granted AND d.datname = current_database()";
    let it_waits = async {
        while client.query_one(waits, &[]).await.expect("a count").get::<_, i64>(0) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, it_waits).await.expect("it waits for the lock");
    let pid = i32::try_from(child.id().expect("a process")).expect("its id");
    kill(Pid::from_raw(pid), Signal::SIGTERM).expect("a signal");
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").expect("its end");
    assert_eq!(ended.signal(), Some(Signal::SIGTERM as i32));
}
