//! What one client may cost the others: the memory of the server while somebody asks for as much as is lawful, and reads none of it.

use std::{fs, time::Duration};

use gatepost_test_support::both_engines;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::running::{Place, Running};

both_engines! { Place: memory_is_bounded_by_bytes_in_flight }

/// The most memory that the server has had at once, whatever was asked of it.
const MOST_MEGABYTES: u64 = 256;
/// How long others may wait: a test that is stuck ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most memory that a process has had at once, in megabytes.
fn peak_megabytes(server: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1_024
}

/// Asks for something and reads no more than the first line of the answer.
async fn ask_and_stall(server: &Running, key: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).await.expect("a connection");
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("a request");
    stream
}

async fn memory_is_bounded_by_bytes_in_flight(place: Place) {
    let server = place.serve().await;
    let root = server.first_key().await;
    place.json(&["workspaces", "create", "--name", "Hostile", "--tier", "enterprise", "--json"]).await;
    let key = ["keys", "create", "--name", "hostile", "--scope", "*", "--workspace", "2", "--json"];
    let key = place.json(&key).await["key"].as_str().expect("a key").to_owned();

    // The largest lawful bodies, several at once. Who does not fit is told to come again.
    let event = json!({ "type": "large", "data": "x".repeat((1 << 20) - 2) });
    let events: Vec<Value> = vec![event.clone(); 15];
    let batch = json!({ "events": events });
    let batches = (0..4).map(|_| server.post("/api/v1/events/batch", &key, batch.clone()));
    for answer in futures_util::future::join_all(batches).await {
        let status = answer.status();
        assert!(matches!(status, StatusCode::ACCEPTED | StatusCode::SERVICE_UNAVAILABLE), "{status}");
    }
    for _ in 0..8 {
        let accepted = server.post("/api/v1/events", &key, event.clone()).await;
        assert_eq!(accepted.status(), StatusCode::ACCEPTED);
    }

    // The largest lawful answers, which nobody reads, beside others that must be answered.
    let mut stalled = Vec::new();
    for _ in 0..32 {
        stalled.push(ask_and_stall(&server, &key, "/api/v1/events?per_page=100").await);
    }
    let mut documents = Vec::new();
    for path in ["/docs/swagger-ui-bundle.js", "/openapi.json", "/openapi-3.0.json"].iter().cycle().take(90) {
        documents.push(ask_and_stall(&server, "", path).await);
    }
    let other = tokio::time::timeout(PATIENCE, async {
        for _ in 0..20 {
            let passed = server.get("/api/v1/auth", &root).await;
            assert_eq!(passed.status(), StatusCode::NO_CONTENT);
            let list = server.get("/api/v1/events?per_page=1", &root).await;
            assert_eq!(list.status(), StatusCode::OK, "half is kept for others");
        }
    });
    other.await.expect("others are answered");
    // Those that had room have begun to be answered; the others have been told.
    let mut first = [0; 12];
    let answered = tokio::time::timeout(PATIENCE, stalled[0].read_exact(&mut first)).await;
    answered.expect("in time").expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200");
    let peak = peak_megabytes(&server);
    assert!(peak <= MOST_MEGABYTES, "{peak} MB");
    drop((stalled, documents));
    server.stop().await;
}
