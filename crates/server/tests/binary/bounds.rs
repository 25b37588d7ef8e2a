//! What one client may cost the others: the memory of the server while somebody asks for as much as is
//! lawful, and reads none of it, and whose work runs first.

use std::{fs, time::Duration};

use gatepost_test_support::both_engines;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::running::{Installation, Running};

both_engines! { Installation:
    memory_is_bounded_by_bytes_in_flight,
    lists_of_large_records_are_measured_one_by_one,
    pages_of_large_records_count_as_bytes_in_flight,
    large_work_waits_for_small_requests,
}

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

async fn memory_is_bounded_by_bytes_in_flight(installation: Installation) {
    let server = installation.serve().await;
    let root = server.first_key().await;
    installation.json(&["workspaces", "create", "--name", "Hostile", "--tier", "enterprise", "--json"]).await;
    let key = ["keys", "create", "--name", "hostile", "--scope", "*", "--workspace", "2", "--json"];
    let key = installation.json(&key).await["key"].as_str().expect("a key").to_owned();

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

/// A server with so many leads of a megabyte each, and its first key.
async fn with_large_records(installation: &Installation, count: usize) -> (Running, String) {
    let texts: String = (0..10)
        .map(|number| format!("fields.text{number} = {{ type = \"text\", max = 100_000 }}\n"))
        .collect();
    let status = "fields.status = { type = \"enum\", values = [\"new\"], default = \"new\", filter = true, sort = true }\n";
    let declared = format!("[resources.lead]\nids = \"lead_\"\n{status}{texts}");
    fs::write(installation.dir.path().join("gatepost.toml"), declared).expect("the configuration");
    let args = ["serve", "--config", "gatepost.toml", "--bind", "127.0.0.1:0"];
    let server = Running::start(installation.command(&args)).await;
    let root = server.first_key().await;
    let lead: Value = (0..10).map(|number| (format!("text{number}"), json!("x".repeat(100_000)))).collect();
    for _ in 0..count {
        assert_eq!(server.post("/api/v1/leads", &root, lead.clone()).await.status(), StatusCode::CREATED);
    }
    (server, root)
}

async fn pages_of_large_records_count_as_bytes_in_flight(installation: Installation) {
    let (server, root) = with_large_records(&installation, 4).await;
    // The largest lawful pages, which nobody reads.
    let mut stalled = Vec::new();
    for _ in 0..64 {
        stalled.push(ask_and_stall(&server, &root, "/api/v1/leads?per_page=4").await);
    }
    // All are answered: with the page, or that there was no room for it in time.
    let mut served = 0;
    for stream in &mut stalled {
        let mut first = [0; 12];
        let answered = tokio::time::timeout(PATIENCE, stream.read_exact(&mut first)).await;
        answered.expect("in time").expect("an answer");
        assert!(matches!(&first, b"HTTP/1.1 200" | b"HTTP/1.1 503"), "{first:?}");
        served += usize::from(&first == b"HTTP/1.1 200");
    }
    assert!(served > 0, "nobody was served");
    let peak = peak_megabytes(&server);
    assert!(peak <= MOST_MEGABYTES, "{peak} MB, {served} served");
    drop(stalled);
    server.stop().await;
}

async fn lists_of_large_records_are_measured_one_by_one(installation: Installation) {
    let (server, root) = with_large_records(&installation, 100).await;
    // More than a page may hold; to find that out, all of it is measured.
    for query in ["", "&sort=status", "&status=new&sort=-status"] {
        let path = format!("/api/v1/leads?per_page=100{query}");
        let lists = (0..8).map(async |_| server.get(&path, &root).await.status());
        for status in futures_util::future::join_all(lists).await {
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        }
    }
    let peak = peak_megabytes(&server);
    assert!(peak <= MOST_MEGABYTES, "{peak} MB");
    server.stop().await;
}

/// The `nice` values of the process's threads whose names begin like this, and how long their turns are, in
/// nanoseconds, where the system tells.
fn scheduled(server: &Running, name: &str) -> Vec<(i32, Option<u64>)> {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).expect("its threads").flatten();
    let scheduled = tasks.filter_map(|task| {
        let read = |file: &str| fs::read_to_string(task.path().join(file)).ok();
        let own_name = read("comm")?;
        // The name is the second of the fields, in brackets, and may hold blanks.
        let stat = read("stat")?;
        let nice = stat.rsplit_once(')')?.1.split_whitespace().nth(16)?.parse().ok()?;
        let turn = read("sched").and_then(|sched| {
            sched
                .lines()
                .find_map(|line| line.strip_prefix("se.slice")?.trim_matches([' ', ':']).parse().ok())
        });
        own_name.starts_with(name).then_some((nice, turn))
    });
    scheduled.collect()
}

/// Whether a thread may ask for a turn of its own length.
fn turns_can_be_asked_for() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's version");
    let mut numbers = release.split('.').map(|number| number.parse::<u32>().unwrap_or_default());
    (numbers.next(), numbers.next()) >= (Some(6), Some(12))
}

async fn large_work_waits_for_small_requests(installation: Installation) {
    let server = installation.serve().await;
    let root = server.first_key().await;
    let event = json!({ "type": "large", "data": "x".repeat((1 << 20) - 2) });
    let accepted = server.post("/api/v1/events", &root, event).await;
    assert_eq!(accepted.status(), StatusCode::ACCEPTED);
    let page = server.get("/api/v1/events", &root).await;
    assert_eq!(page.status(), StatusCode::OK);

    let workers = scheduled(&server, "actix-server wo");
    assert!(!workers.is_empty() && workers.iter().all(|(nice, _)| *nice == 0), "{workers:?}");
    let short = workers.iter().all(|(_, turn)| turn.is_none_or(|turn| turn == 300_000));
    assert!(short || !turns_can_be_asked_for(), "{workers:?}");
    // Those that read the body and rendered the page.
    let others = scheduled(&server, "tokio-rt-worker");
    let behind = |(nice, turn): &(i32, Option<u64>)| *nice == 10 && turn.is_none_or(|turn| turn > 300_000);
    assert!(others.iter().any(behind), "{others:?}");
    assert!(others.iter().any(|(nice, _)| *nice == 0), "the runtime that all else runs on: {others:?}");
    let readers = scheduled(&server, "gatepost-read");
    assert!(readers.iter().all(|(nice, _)| *nice == 10), "{readers:?}");
    server.stop().await;
}
