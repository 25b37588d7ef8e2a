//! Hostile clients of every kind at once for ten minutes, beside one tenant that behaves well, none of whose
//! requests may fail and none of whose deliveries may be late. In a full run only.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use gatepost_kernel::Timestamp;
use gatepost_test_support::{Receiver, both_engines, receiver::Reply};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Handle, Runtime},
    task::JoinSet,
    time::sleep,
};

use crate::{
    mcp::{root, wait_for},
    running::{Installation, Running, released},
};

both_engines! { Installation: a_tenant_notices_nothing_of_hostile_clients }

const MEBIBYTE: usize = 1 << 20;
/// How late a delivery may be.
const LATE: Duration = Duration::from_secs(1);
/// How much more memory the server may have a while after …
const MORE_MEMORY_PERCENT: u64 = 120;
/// … beside what SQLite's connections keep of the file, in megabytes, once that is larger than what they map
/// of it.
const DATABASE_CACHES: u64 = 25;

/// How long hostile clients are at work before memory is measured …
const WARM_UP: Duration = Duration::from_secs(60);
/// … and during the run …
const RUN: Duration = Duration::from_secs(600);
/// … and how long they rest after either.
const REST: Duration = Duration::from_secs(60);

/// What hostile clients know.
#[derive(Clone)]
struct Target {
    address: Arc<str>,
    client: Client,
    /// A key of a tenant on the widest plan.
    key: Arc<str>,
    /// One of a tenant on a plan of twenty a minute.
    small_key: Arc<str>,
    asked: Arc<AtomicU64>,
    /// How many endpoints that never answer there are.
    silent_endpoints: Arc<AtomicU64>,
}

impl Target {
    /// Asks, and throws the answer away: hostile clients may well be refused, and none of their work is to
    /// hold up this process.
    async fn ask(&self, method: Method, path: &str, body: Option<Bytes>) {
        let Some(mut reply) = self.send(method, path, body).await else { return };
        while let Ok(Some(_)) = reply.chunk().await {}
    }

    /// Asks for something small that the next request needs.
    async fn ask_for(&self, method: Method, path: &str, body: Option<Bytes>) -> Value {
        match self.send(method, path, body).await {
            Some(reply) => reply.json().await.unwrap_or_default(),
            None => Value::Null,
        }
    }

    async fn send(&self, method: Method, path: &str, body: Option<Bytes>) -> Option<Response> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let url = format!("http://{}/api/v1{path}", self.address);
        let request = self.client.request(method, url).bearer_auth(&self.key);
        let request = match body {
            Some(body) => request.header("Content-Type", "application/json").body(body),
            None => request,
        };
        request.send().await.ok()
    }

    async fn connect(&self) -> Option<TcpStream> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        TcpStream::connect(&*self.address).await.ok()
    }

    async fn write(&self, text: &str) -> Option<TcpStream> {
        let mut stream = self.connect().await?;
        stream.write_all(text.as_bytes()).await.ok()?;
        Some(stream)
    }
}

/// Asks for the large documents in every coding, and reads nothing.
async fn documents(target: Target) {
    loop {
        let mut open = Vec::new();
        for path in
            ["/docs/swagger-ui-bundle.js", "/openapi.json", "/openapi-3.0.json"].iter().cycle().take(100)
        {
            let coding = ["br", "gzip", "identity"][open.len() % 3];
            let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {coding}\r\n\r\n");
            open.push(target.write(&head).await);
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// Speaks HTTP/2, of which there is none.
async fn other_protocols(target: Target) {
    loop {
        let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        if let Some(mut stream) = target.write(preface).await {
            let _ = stream.write_all(&[0; 64 << 10]).await;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Asks for full pages and takes a byte a second of each.
async fn unread_answers(target: Target) {
    loop {
        let mut open = Vec::new();
        for _ in 0..16 {
            let key = &target.key;
            let head = format!(
                "GET /api/v1/events?per_page=100 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n"
            );
            open.extend(target.write(&head).await);
        }
        for _ in 0..10 {
            for stream in &mut open {
                let mut byte = [0];
                let read = stream.read_exact(&mut byte);
                let _ = tokio::time::timeout(Duration::from_millis(10), read).await;
            }
            sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Reads full pages as fast as they come.
async fn pages(target: Target) {
    loop {
        target.ask(Method::GET, "/events?per_page=100", None).await;
        target.ask(Method::GET, "/events?per_page=100&fields=id", None).await;
    }
}

/// Posts the largest bodies, of text and of many small parts.
async fn bodies(target: Target) {
    let text = json!({ "type": "large.made", "data": "x".repeat(MEBIBYTE - 2) });
    let parts = json!({ "type": "large.made", "data": vec![0; MEBIBYTE / 2 - 8] });
    let batches = [text, parts].map(|event| bytes(&json!({ "events": vec![event; 15] })));
    for batch in batches.iter().cycle() {
        target.ask(Method::POST, "/events/batch", Some(batch.clone())).await;
        // What is stored for ever is not what is measured.
        sleep(Duration::from_secs(2)).await;
    }
}

/// Calls a tool whose schema has a way to be checked that never ends.
async fn schemas(target: Target) {
    let mut arguments = json!({});
    for _ in 0..15 {
        arguments = json!({ "a": arguments, "b": arguments });
        if arguments.to_string().len() > 200_000 {
            break;
        }
    }
    let call = bytes(&json!({ "server": "stub", "tool": "recursive", "arguments": arguments }));
    loop {
        target.ask(Method::POST, "/mcp/tools/call", Some(call.clone())).await;
        sleep(Duration::from_millis(20)).await;
    }
}

/// Publishes to many endpoints that never answer. They are made once: whoever comes again finds them.
async fn silent_endpoints(target: Target, silent: Arc<Receiver>) {
    while target.silent_endpoints.fetch_add(1, Ordering::Relaxed) < 300 {
        let body = json!({ "url": silent.url("/hook"), "events": ["hung.*"] });
        target.ask(Method::POST, "/webhooks", Some(bytes(&body))).await;
    }
    loop {
        let event = json!({ "type": "hung.up", "data": "x".repeat(1_000) });
        target.ask(Method::POST, "/events", Some(bytes(&event))).await;
        sleep(Duration::from_millis(500)).await;
    }
}

/// Rotates a key again and again to begin a new minute each time.
async fn rotations(mut target: Target) {
    target.key = target.small_key.clone();
    loop {
        for _ in 0..30 {
            target.ask(Method::GET, "/auth", None).await;
        }
        let body = json!({ "grace_period_hours": 1 });
        let keys = target.ask_for(Method::GET, "/api-keys?sort=-id&per_page=1", None).await;
        let rotate = format!("/api-keys/{}/rotate", keys["data"][0]["id"]);
        let made = target.ask_for(Method::POST, &rotate, Some(bytes(&body))).await;
        if let Some(key) = made["data"]["key"].as_str() {
            target.key = key.into();
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Opens connections and says little or nothing on them.
async fn connections(target: Target) {
    loop {
        let mut open = Vec::new();
        for number in 0..500 {
            open.push(match number % 2 {
                0 => target.connect().await,
                _ => target.write("GET /api/v1/auth HTTP/1.1\r\nHost: x\r\nX-Slow: ").await,
            });
        }
        sleep(Duration::from_secs(2)).await;
    }
}

/// A receiver that announces an answer for ever.
async fn interim_answers(target: Target) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(100);
                while stream.write_all(&interim).await.is_ok() {}
            });
        }
    });
    let body = json!({ "url": format!("http://127.0.0.1:{port}/"), "events": ["interim.*"] });
    target.ask(Method::POST, "/webhooks", Some(bytes(&body))).await;
    loop {
        let event = json!({ "type": "interim.answer", "data": 1 });
        target.ask(Method::POST, "/events", Some(bytes(&event))).await;
        sleep(Duration::from_secs(5)).await;
    }
}

/// Writes small things without a pause, while others read.
async fn writers(target: Target) {
    loop {
        let body = json!({ "feature": "posts", "quantity": 1 });
        target.ask(Method::POST, "/entitlements/usage", Some(bytes(&body))).await;
        target.ask(Method::GET, "/audit-log?per_page=100", None).await;
    }
}

fn bytes(body: &Value) -> Bytes {
    body.to_string().into()
}

/// All of them, on threads of their own; they end when they are dropped.
fn unleash(target: &Target, silent: &Arc<Receiver>, threads: &Handle) -> JoinSet<()> {
    let mut all = JoinSet::new();
    all.spawn_on(documents(target.clone()), threads);
    all.spawn_on(other_protocols(target.clone()), threads);
    all.spawn_on(unread_answers(target.clone()), threads);
    all.spawn_on(pages(target.clone()), threads);
    all.spawn_on(bodies(target.clone()), threads);
    all.spawn_on(schemas(target.clone()), threads);
    all.spawn_on(silent_endpoints(target.clone(), silent.clone()), threads);
    all.spawn_on(rotations(target.clone()), threads);
    all.spawn_on(connections(target.clone()), threads);
    all.spawn_on(interim_answers(target.clone()), threads);
    all.spawn_on(writers(target.clone()), threads);
    all
}

/// Megabytes of memory that are the server's own. The database's file, of which SQLite maps what it reads, is
/// the system's cache: it grows with the file and is given up when others want the room.
fn memory(server: &Running) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("its status");
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1_024
}

/// The tenant that behaves well, for as long as is asked; how often it asked.
async fn behave(server: &Running, key: &str, receiver: &Receiver, until: Instant) -> usize {
    let client = gatepost_test_support::http_client(None);
    let ask = async |method: Method, path: &str, body: Option<Value>| {
        let request = client.request(method, server.url(path)).bearer_auth(key);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        request.send().await.unwrap_or_else(|error| panic!("{path}: {error:?}"))
    };
    let mut rounds = 0;
    while Instant::now() < until {
        let event = json!({ "type": "good.made", "data": { "round": rounds } });
        let used = json!({ "feature": "posts", "quantity": 1 });
        let answers = [
            ask(Method::GET, "/api/v1/auth", None).await,
            ask(Method::POST, "/api/v1/events", Some(event)).await,
            ask(Method::GET, "/api/v1/events?per_page=10", None).await,
            ask(Method::POST, "/api/v1/entitlements/consume", Some(used)).await,
        ];
        for answer in answers {
            let (url, status) = (answer.url().path().to_owned(), answer.status());
            if !status.is_success() {
                let text = answer.text().await.unwrap_or_default();
                let log = server.log();
                let said: Vec<&str> = log.lines().rev().filter(|line| line.contains(&url)).take(3).collect();
                panic!("round {rounds}: {url}: {status} {text}\n{}", said.join("\n"));
            }
        }
        rounds += 1;
        sleep(Duration::from_millis(100)).await;
    }
    receiver.wait_for(rounds).await;
    rounds
}

async fn tenant(installation: &Installation, name: &str, tier: &str) -> String {
    let config = ["--config", "gatepost.toml", "--json"];
    let make = ["workspaces", "create", "--name", name, "--tier", tier];
    let of = installation.json(&[&make[..], &config].concat()).await["id"].to_string();
    let make = ["keys", "create", "--name", name, "--scope", "*", "--workspace", &of];
    installation.json(&[&make[..], &config].concat()).await["key"].as_str().expect("a key").to_owned()
}

async fn a_tenant_notices_nothing_of_hostile_clients(installation: Installation) {
    if std::env::var_os("GATEPOST_TEST_FULL").is_none() {
        return;
    }
    // The hostile clients' connections and their receivers' are all this process's.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit of files");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("as many as there may be");
    let stub = root().join("clients/mcp/stub.py").display().to_string();
    let node = json!({ "anyOf": [
        { "type": "object", "properties": { "a": { "$ref": "#/$defs/n" }, "b": { "$ref": "#/$defs/n" } }, "required": ["c"] },
        { "type": "object", "properties": { "a": { "$ref": "#/$defs/n" }, "b": { "$ref": "#/$defs/n" } } },
    ] });
    let recursive = json!([{ "name": "recursive", "inputSchema": {
        "type": "object", "$defs": { "n": node }, "properties": { "a": { "$ref": "#/$defs/n" } },
    } }]);
    let arguments = json!([stub, recursive.to_string(), "{}"]);
    let config = format!(
        "[webhooks]\nallow_http = true\n[egress]\nallow = [\"127.0.0.1/32\"]\n\
         [plans.enterprise]\naccess = \"admin\"\nfeatures = {{ posts = \"unlimited\", webhooks = \"unlimited\" }}\n\
         [plans.small]\naccess = \"admin\"\nrequests_per_minute = 20\nmax_keys = 2\n\
         [mcp.servers.stub]\ncommand = \"python3\"\nargs = {arguments}\n"
    );
    fs::write(installation.dir.path().join("gatepost.toml"), config).expect("the configuration");
    let serve = ["serve", "--config", "gatepost.toml", "--bind", "127.0.0.1:0"];
    let server = Running::start(released(installation.dir.path(), &installation.database.url, &serve)).await;
    let good = tenant(&installation, "Good", "enterprise").await;
    let (receiver, silent) = (Receiver::start().await, Arc::new(Receiver::start().await));
    silent.always(Reply::Silence);
    let body = json!({ "url": receiver.url("/hook"), "events": ["good.*"] });
    assert_eq!(server.post("/api/v1/webhooks", &good, body).await.status(), StatusCode::CREATED);
    wait_for(&server, &good, "stub", "up").await;

    let target = Target {
        address: server.address.as_str().into(),
        client: gatepost_test_support::http_client(None),
        key: tenant(&installation, "Hostile", "enterprise").await.into(),
        small_key: tenant(&installation, "Small", "small").await.into(),
        asked: Arc::default(),
        silent_endpoints: Arc::default(),
    };
    // What they do does not hold up the tenant, or its receiver.
    let threads = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    // For as long as the test's process: a runtime may not end inside another.
    let threads: &'static Runtime = Box::leak(Box::new(threads));
    let hostile = unleash(&target, &silent, threads.handle());
    sleep(WARM_UP).await;
    drop(hostile);
    sleep(REST).await;
    let before = memory(&server);
    let mut hostile = unleash(&target, &silent, threads.handle());
    let rounds = behave(&server, &good, &receiver, Instant::now() + RUN).await;
    assert!(hostile.try_join_next().is_none(), "each is still at it");
    drop(hostile);
    assert!(target.asked.load(Ordering::Relaxed) > 1_000, "they asked for much");
    let received = receiver.received();
    assert_eq!(received.len(), rounds, "each event arrives once");
    for received in &received {
        let body = received.json();
        let created_at =
            Timestamp::parse(body["created_at"].as_str().expect("an instant")).expect("an instant");
        let late = received.at.since(created_at);
        if late > LATE {
            let path =
                format!("/api/v1/webhooks/1/deliveries?event_id={}", body["id"].as_str().expect("an id"));
            let list: Value = server.get(&path, &good).await.json().await.expect("JSON");
            let path = format!("/api/v1/webhooks/1/deliveries/{}", list["data"][0]["id"]);
            let delivery: Value = server.get(&path, &good).await.json().await.expect("JSON");
            panic!("received {late:?} after {created_at}: {delivery:#}");
        }
    }
    sleep(REST).await;
    let after = memory(&server);
    let most = before * MORE_MEMORY_PERCENT / 100 + DATABASE_CACHES;
    assert!(after <= most, "{before} MB before, {after} MB after");
    server.stop().await;
}
