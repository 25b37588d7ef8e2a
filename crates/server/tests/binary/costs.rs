//! What the largest lawful request of each operation costs the others: the workers' time, and memory. Every
//! operation of the document is tried; one that has no case here fails the test.

use std::{collections::BTreeMap, fmt::Write as _, fs, io::ErrorKind, time::Duration};

use gatepost_test_support::{Engine, Receiver, receiver::Reply};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::{
    mcp::{root, wait_for},
    running::{Installation, Running, released},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_operation_costs_the_others_more_than_its_share_sqlite() {
    try_all(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_operation_costs_the_others_more_than_its_share_postgres() {
    // In the short run one engine is enough: what is measured is the house in front of it.
    if std::env::var_os("GATEPOST_TEST_FULL").is_some() {
        try_all(Engine::Postgres).await;
    }
}

/// How often at once each client asks.
const AT_ONCE: usize = 4;
/// The most memory that the server may have had at once, in megabytes.
const MOST_MEGABYTES: u64 = 256;
/// Workers may spend this much for one client's requests, whatever else is spent …
const WORKERS_MAY_SPEND: Duration = Duration::from_millis(50);
/// … and beyond it this part of what the process spends …
const SHARE_OF_WORKERS: u32 = 10;
/// … and, for each MiB that the clients send or are sent, what it takes to move it through a socket.
const MOVING_A_MEBIBYTE: Duration = Duration::from_millis(1);
/// The threads that answer everybody.
const WORKERS: &str = "actix-server wo";
const MEBIBYTE: usize = 1 << 20;

const HOW_TO_ADD: &str = "add a case to `case` in crates/server/tests/binary/costs.rs: the largest lawful request of the operation";

/// A record that holds as much as is lawful, and records that belong to one.
const DECLARED: &str = r#"
[resources.folder]
ids = "folder_"
search = ["name", "body"]
fields.name = { type = "text", max = 500, required = true, filter = true, sort = true }
fields.body = { type = "text", max = 100_000 }
fields.tags = { type = "text[]", max = 40, max_items = 1_000, filter = true }
fields.more = { type = "json", max_bytes = 65_536 }
fields.status = { type = "enum", values = ["open", "closed"], default = "open", filter = true }
actions.file = { from = { status = ["open"] }, input = ["tags"], add = ["tags"], event = "folder.filed" }

[resources.sheet]
ids = "sheet_"
parent = "folder"
fields.body = { type = "text", max = 100_000 }
"#;
/// Records that one deletion may take with it.
const CASCADED: usize = 1_000;

/// A request with everything that may be large as large as is lawful.
struct Largest {
    path: String,
    body: Option<Value>,
    /// The largest body in bytes; filled up with blanks.
    body_bytes: usize,
    /// Whether what it names is there only once, so that others are told that it is gone.
    is_once: bool,
}

impl Largest {
    fn get(path: impl Into<String>) -> Option<Self> {
        Some(Self { path: path.into(), body: None, body_bytes: 0, is_once: false })
    }

    fn send(path: impl Into<String>, body: Value) -> Option<Self> {
        Some(Self { path: path.into(), body: Some(body), body_bytes: MEBIBYTE, is_once: false })
    }

    fn of(self, body_bytes: usize) -> Option<Self> {
        Some(Self { body_bytes, ..self })
    }

    fn once(self) -> Option<Self> {
        Some(Self { is_once: true, ..self })
    }

    /// The request as it travels.
    fn bytes(&self, method: &str, key: &str) -> Vec<u8> {
        let mut head = format!("{method} {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", self.path);
        if !key.is_empty() {
            head.push_str(&format!("Authorization: Bearer {key}\r\n"));
        }
        let Some(body) = &self.body else { return format!("{head}\r\n").into_bytes() };
        let mut body = body.to_string().into_bytes();
        assert!(body.len() <= self.body_bytes, "{} has {} bytes", self.path, body.len());
        // Blanks are lawful too; in front, so that all of it is read.
        let mut text = vec![b' '; self.body_bytes - body.len()];
        text.append(&mut body);
        let length = text.len();
        let accept = "Accept: application/json, text/event-stream\r\n";
        let head =
            format!("{head}{accept}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
        [head.into_bytes(), text].concat()
    }
}

/// What is there for the requests to find.
struct Scenario {
    server: Running,
    root_key: String,
    key: String,
    workspace: i64,
    receiver: Receiver,
    delivery: i64,
    event: String,
    folder: String,
}

fn words(count: usize, length: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:0length$}")).collect()
}

fn scopes() -> Vec<String> {
    (0..100).map(|number| format!("posts{number:090}:read")).collect()
}

impl Scenario {
    async fn new(installation: &Installation, server: Running) -> Self {
        let root_key = server.first_key().await;
        let receiver = Receiver::start().await;
        receiver.always(Reply::status(200, "", &"y".repeat(16 << 10)));
        let made = json!({ "name": "Large", "tier": "enterprise", "settings": with_domain() });
        let made = post(&server, &root_key, "/workspaces", made).await;
        let workspace = made["data"]["id"].as_i64().expect("an id");
        let of = workspace.to_string();
        let key = ["keys", "create", "--name", "large", "--scope", "*", "--workspace", &of, "--json"];
        let key = installation.json(&key).await["key"].as_str().expect("a key").to_owned();
        let mut scenario = Self {
            server,
            root_key,
            key,
            workspace,
            receiver,
            delivery: 0,
            event: String::new(),
            folder: String::new(),
        };
        scenario.fill().await;
        scenario
    }

    /// Pages that hold more than one page may.
    async fn fill(&mut self) {
        let endpoint = self.webhook().await;
        for number in 0..100 {
            let body = json!({
                "name": "n".repeat(255), "scopes": scopes(),
                "allowed_ips": (0..50).map(|ip| format!("10.0.{number}.{ip}/32")).collect::<Vec<_>>(),
            });
            self.post("/api-keys", body).await;
            let body = json!({ "name": format!("Large {number}"), "settings": settings() });
            post(&self.server, &self.root_key, "/workspaces", body).await;
        }
        for _ in 0..12 {
            let event = json!({ "type": "large.made", "data": "x".repeat(MEBIBYTE - 2) });
            let made = self.post("/events", event).await;
            self.event = made["data"]["id"].as_str().expect("an id").to_owned();
        }
        for _ in 0..3 {
            self.post("/seo/report", seo_report()).await;
        }
        for _ in 0..20 {
            self.folder = self.record("/folders", folder()).await;
        }
        for _ in 0..40 {
            let path = format!("/folders/{}/sheets", self.folder);
            self.record(&path, json!({ "body": "b".repeat(100_000) })).await;
        }
        // What they answer is kept, so that a list of endpoints with their newest deliveries is large.
        for _ in 0..99 {
            let mut body = self.webhook_body();
            body["events"] = json!(["small.*"]);
            self.post("/webhooks", body).await;
        }
        for _ in 0..10 {
            self.post("/events", json!({ "type": "small.made", "data": 1 })).await;
        }
        self.receiver.wait_for(12 + 990).await;
        let path = format!("/api/v1/webhooks/{endpoint}/deliveries?status=success");
        while self.delivery == 0 {
            let list: Value = self.server.get(&path, &self.key).await.json().await.expect("JSON");
            self.delivery = list["data"][0]["id"].as_i64().unwrap_or_default();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        post(&self.server, &self.key, path, body).await
    }

    /// Makes a record; its id.
    async fn record(&self, path: &str, body: Value) -> String {
        self.post(path, body).await["data"]["id"].as_str().expect("an id").to_owned()
    }

    async fn webhook(&self) -> i64 {
        self.post("/webhooks", self.webhook_body()).await["data"]["id"].as_i64().expect("an id")
    }

    async fn invitation(&self) -> i64 {
        let body = json!({ "email": "once@example.com", "role": "viewer" });
        self.post("/invitations", body).await["data"]["id"].as_i64().expect("an id")
    }

    async fn api_key(&self) -> i64 {
        self.post("/api-keys", json!({ "name": "once", "scopes": scopes() })).await["data"]["id"]
            .as_i64()
            .expect("an id")
    }

    fn webhook_body(&self) -> Value {
        let headers: BTreeMap<String, String> =
            (0..20).map(|number| (format!("X-Large-{number}"), "h".repeat(1_000))).collect();
        json!({
            "url": self.receiver.url(&format!("/{}", "u".repeat(2_000))), "description": "d".repeat(255),
            "events": ["large.*"], "headers": headers,
        })
    }
}

async fn post(server: &Running, key: &str, path: &str, body: Value) -> Value {
    let reply = server.post(&format!("/api/v1{path}"), key, body).await;
    let status = reply.status();
    let body: Value = reply.json().await.expect("JSON");
    assert!(status.is_success(), "{path}: {status} {body}");
    body
}

fn settings() -> Value {
    json!({ "timezone": "UTC", "more": words(600, 100) })
}

/// What is searched has as many words as are looked at, each of its own.
fn folder() -> Value {
    json!({
        "name": "n".repeat(500), "body": words(1_400, 64).join(" "), "tags": words(1_000, 40),
        "more": words(600, 100),
    })
}

/// The longest address that stands in a path without being escaped.
fn resource() -> String {
    format!("large:{}", "r".repeat(1_500))
}

fn with_domain() -> Value {
    let mut settings = settings();
    settings["pixel"] = json!({ "domains": ["large.example"] });
    settings
}

fn seo_report() -> Value {
    let issue = json!({ "type": "missing_alt", "severity": "warning", "element": "e".repeat(950) });
    json!({
        "url": format!("https://example.com/{}", "u".repeat(2_000)),
        "scores": { "performance": 85, "accessibility": 92, "best_practices": 88, "seo": 95 },
        "issues": vec![issue; 1_000],
    })
}

/// The largest lawful request of an operation. Ids that are used up are of things made for it.
async fn case(scenario: &Scenario, operation: &str) -> Option<Largest> {
    let Scenario { workspace, delivery, event, folder: of, key, .. } = scenario;
    let api = |path: &str| format!("/api/v1{path}");
    let usage = || json!({ "feature": "posts", "quantity": 1, "metadata": { "more": words(150, 100) } });
    match operation {
        "list_workspaces" => Largest::get(api("/workspaces?per_page=60&include=api_keys")),
        "get_workspace" => Largest::get(api(&format!("/workspaces/{workspace}?include=api_keys"))),
        "create_workspace" => Largest::send(
            api("/workspaces"),
            json!({ "name": "n".repeat(255), "settings": settings() }),
        ),
        "update_workspace" => Largest::send(
            api(&format!("/workspaces/{workspace}")),
            json!({ "name": "n".repeat(255), "settings": with_domain() }),
        ),
        "delete_workspace" => {
            let made = post(&scenario.server, &scenario.root_key, "/workspaces", json!({ "name": "Once" })).await;
            Largest::get(api(&format!("/workspaces/{}", made["data"]["id"])))?.once()
        }
        "get_me" => Largest::get(api("/me")),
        "list_api_keys" => Largest::get(api("/api-keys?per_page=50&include=workspace")),
        "get_api_key" => Largest::get(api(&format!("/api-keys/{}?include=workspace", scenario.api_key().await))),
        "list_refused_requests" => {
            let refused = json!({ "key": scenario.key, "environment": "test", "scopes": scopes() });
            for _ in 0..1_000 {
                scenario.post("/api-keys/verify", refused.clone()).await;
            }
            Largest::get(api("/requests?per_page=100"))
        }
        "get_api_key_usage" => Largest::get(api(&format!("/api-keys/{}/usage?days=90", scenario.api_key().await))),
        "create_api_key" => Largest::send(
            api("/api-keys"),
            json!({
                "name": "n".repeat(255), "scopes": scopes(),
                "allowed_ips": (0..50).map(|ip| format!("10.0.0.{ip}/32")).collect::<Vec<_>>(),
            }),
        ),
        "update_api_key" => Largest::send(
            api(&format!("/api-keys/{}", scenario.api_key().await)),
            json!({ "name": "n".repeat(255), "scopes": scopes() }),
        ),
        "rotate_api_key" => Largest::send(
            api(&format!("/api-keys/{}/rotate", scenario.api_key().await)),
            json!({ "grace_period_hours": 168 }),
        )?
        .once(),
        "revoke_api_key" => Largest::get(api(&format!("/api-keys/{}", scenario.api_key().await)))?.once(),
        "verify_api_key" => Largest::send(
            api("/api-keys/verify"),
            json!({ "key": key, "scopes": scopes(), "client_ip": "10.0.0.1" }),
        ),
        "forward_auth" => {
            let scopes = scopes().iter().fold(String::new(), |mut all, scope| {
                let _ = write!(all, "scope={scope}&");
                all
            });
            Largest::get(api(&format!("/auth?{}", scopes.trim_end_matches('&'))))
        }
        // Nobody has joined; what is tried is how that is found out.
        "get_member" | "remove_member" => Largest::get(api("/members/1"))?.once(),
        "update_member" => Largest::send(api("/members/1"), json!({ "role": "viewer", "enabled": true }))?.once(),
        "create_reset_link" => Largest::send(api("/members/1/reset-link"), json!({}))?.once(),
        "list_members" => Largest::get(api("/members?per_page=100")),
        "list_invitations" => Largest::get(api("/invitations?per_page=100")),
        "create_invitation" => {
            let email = format!("{}@example.com", "a".repeat(64));
            Largest::send(api("/invitations"), json!({ "email": email, "role": "viewer" }))
        }
        "get_invitation" => Largest::get(api(&format!("/invitations/{}", scenario.invitation().await))),
        "revoke_invitation" => Largest::get(api(&format!("/invitations/{}", scenario.invitation().await)))?.once(),
        "list_sessions" => Largest::get(api("/sessions?per_page=100")),
        "end_session" => Largest::get(api("/sessions/1"))?.once(),
        "list_audit_log" => Largest::get(api("/audit-log?per_page=100")),
        "list_events" => Largest::get(api("/events?per_page=100")),
        "get_event" => Largest::get(api(&format!("/events/{event}"))),
        "create_event" => {
            let body = json!({ "type": "large.made", "data": "x".repeat(MEBIBYTE - 2) });
            Largest::send(api("/events"), body)?.of(MEBIBYTE + 4_096)
        }
        "create_event_batch" => {
            let event = json!({ "type": "large.made", "data": words(10_000, 90) });
            Largest::send(api("/events/batch"), json!({ "events": vec![event; 16] }))?.of(16 * MEBIBYTE)
        }
        "list_webhooks" => Largest::get(api("/webhooks?per_page=20&include=deliveries")),
        "get_webhook" => Largest::get(api("/webhooks/1?include=deliveries")),
        "create_webhook" => Largest::send(api("/webhooks"), scenario.webhook_body()),
        "update_webhook" => Largest::send(api("/webhooks/1"), scenario.webhook_body()),
        "delete_webhook" => Largest::get(api(&format!("/webhooks/{}", scenario.webhook().await)))?.once(),
        "test_webhook" => Largest::send(api("/webhooks/1/test"), json!({})),
        "rotate_webhook_secret" => Largest::send(
            api("/webhooks/1/rotate-secret"),
            json!({ "grace_period_hours": 0, "expire_previous": true }),
        ),
        "list_webhook_deliveries" => Largest::get(api("/webhooks/1/deliveries?per_page=100")),
        "get_webhook_delivery" => Largest::get(api(&format!("/webhooks/1/deliveries/{delivery}"))),
        // It succeeded, and may not be sent again: what is tried is how that is found out.
        "retry_webhook_delivery" => {
            Largest::send(api(&format!("/webhooks/1/deliveries/{delivery}/retry")), json!({}))?.once()
        }
        "check_entitlement" => Largest::get(api("/entitlements/check?feature=posts&quantity=9007199254740991")),
        "get_billing" => Largest::get(api("/billing")),
        "get_entitlement_summary" => Largest::get(api("/entitlements/summary")),
        "record_usage" | "set_usage" => Largest::send(api("/entitlements/usage"), usage()),
        "consume_entitlement" => Largest::send(api("/entitlements/consume"), usage()),
        "release_entitlement" => Largest::send(api("/entitlements/release"), usage()),
        "submit_seo_report" => Largest::send(api("/seo/report"), seo_report()),
        "list_seo_reports" => Largest::get(api("/seo/reports?per_page=100")),
        "list_seo_issues" => Largest::get(api(&format!("/seo/issues/{workspace}?per_page=100"))),
        "get_pixel_config" => Largest::get(api("/pixel/config?domain=large.example")),
        "track_pixel_event" => Largest::send(
            api("/pixel/track?domain=large.example"),
            json!({
                "event": "e".repeat(64), "url": format!("https://large.example/{}", "u".repeat(2_000)),
                "referrer": format!("https://large.example/{}", "r".repeat(2_000)), "user_agent": "a".repeat(5_000),
                "properties": { "more": words(70, 100) },
            }),
        )?
        .of(64 << 10),
        "get_pixel_analytics" => Largest::get(api("/analytics/pixel?interval=hour&limit=100&group_by=url")),
        "get_api_analytics" => Largest::get(api("/analytics/api?interval=hour&limit=100&group_by=api_key_id")),
        "list_resource_types" => Largest::get(api("/resource-types?per_page=100")),
        "list_folders" => {
            let tags = words(50, 40).iter().fold(String::new(), |all, tag| format!("{all}&tags={tag}"));
            let search = "0".repeat(63);
            Largest::get(api(&format!("/folders?per_page=20&sort=-name&status=open&search={search}{tags}&fields=id,name,body")))
        }
        "create_folder" => Largest::send(api("/folders"), folder()),
        "get_folder" => Largest::get(api(&format!("/folders/{of}"))),
        "update_folder" | "put_folder" => Largest::send(api(&format!("/folders/{of}")), folder()),
        "delete_folder" => {
            let folder = scenario.record("/folders", folder()).await;
            for _ in 0..CASCADED {
                scenario.record(&format!("/folders/{folder}/sheets"), json!({ "body": "b".repeat(3_800) })).await;
            }
            Largest::get(api(&format!("/folders/{folder}")))?.once()
        }
        "file_folder" => {
            Largest::send(api(&format!("/folders/{of}/file")), json!({ "tags": words(1_000, 40) }))
        }
        "get_folder_analytics" => {
            Largest::get(api("/analytics/folders?interval=hour&limit=100&group_by=status"))
        }
        "list_folder_sheets" => Largest::get(api(&format!("/folders/{of}/sheets?per_page=40"))),
        "get_folder_sheet" | "update_folder_sheet" | "put_folder_sheet" => {
            let sheets = format!("/folders/{of}/sheets");
            let sheet = scenario.record(&sheets, json!({ "body": "b".repeat(100_000) })).await;
            let path = api(&format!("{sheets}/{sheet}"));
            match operation {
                "get_folder_sheet" => Largest::get(path),
                _ => Largest::send(path, json!({ "body": "c".repeat(100_000) })),
            }
        }
        "delete_folder_sheet" => {
            let sheets = format!("/folders/{of}/sheets");
            let sheet = scenario.record(&sheets, json!({ "body": "b".repeat(100_000) })).await;
            Largest::get(api(&format!("{sheets}/{sheet}")))?.once()
        }
        "create_folder_sheet" => {
            Largest::send(api(&format!("/folders/{of}/sheets")), json!({ "body": "b".repeat(100_000) }))
        }
        "list_mcp_servers" => Largest::get(api("/mcp/servers?per_page=100")),
        "get_mcp_server" => Largest::get(api("/mcp/servers/stub")),
        "list_mcp_tools" => Largest::get(api("/mcp/servers/stub/tools?per_page=100")),
        "call_mcp_tool" => Largest::send(
            api("/mcp/tools/call"),
            json!({ "server": "stub", "tool": "big", "arguments": { "more": words(8_000, 100) } }),
        ),
        "get_mcp_resource" => {
            Largest::get(api(&format!("/mcp/resources/{}?server=stub", resource())))
        }
        _ => None,
    }
}

/// What is there beside the operations.
fn others() -> Vec<(&'static str, &'static str, Largest)> {
    let get = |path: &'static str| ("GET", path, Largest::get(path).expect("a request"));
    let call = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "check_entitlement", "arguments": { "feature": "posts", "more": words(18_000, 100) } },
    });
    let message = Largest::send("/mcp", call).and_then(|call| call.of(2 * MEBIBYTE)).expect("a request");
    vec![
        get("/openapi.json"),
        get("/openapi-3.0.json"),
        get("/docs"),
        get("/docs/swagger-ui-bundle.js"),
        get("/pixel.js"),
        ("POST", "/mcp", message),
    ]
}

/// Sends a request and answers the connection, on which little arrives unless somebody reads.
async fn send(scenario: &Scenario, bytes: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(8 << 10).expect("a small buffer");
    let address = scenario.server.address.parse().expect("an address");
    let mut stream = socket.connect(address).await.expect("a connection");
    // Whoever is refused early is not listened to until the end.
    let _ = stream.write_all(bytes).await;
    stream
}

/// The status of an answer; none if the connection ended before.
async fn status(stream: &mut TcpStream) -> Option<u16> {
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.ok()?;
    std::str::from_utf8(&head[9..]).ok()?.parse().ok()
}

/// Reads an answer to its end: its status, and how many bytes it had.
async fn read_all(mut stream: TcpStream) -> (Option<u16>, u64) {
    let status = status(&mut stream).await;
    // An answer that is cut is one that was begun.
    let bytes = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    (status, bytes.unwrap_or_default())
}

/// Processor time of the process, and of its workers.
fn spent(pid: i32) -> (Duration, Duration) {
    let (mut all, mut workers) = (Duration::ZERO, Duration::ZERO);
    for task in fs::read_dir(format!("/proc/{pid}/task")).expect("its threads").flatten() {
        // A thread that ended meanwhile has been counted as far as it got.
        let Ok(times) = fs::read_to_string(task.path().join("schedstat")) else { continue };
        let time = times
            .split(' ')
            .next()
            .and_then(|time| time.parse().ok())
            .map_or(Duration::ZERO, Duration::from_nanos);
        all += time;
        if fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.starts_with(WORKERS)) {
            workers += time;
        }
    }
    (all, workers)
}

/// The most memory that the process had at once since it was asked last, in megabytes; since its start, where
/// this is not root, which alone may make it forget.
fn peak_megabytes(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    match fs::write(format!("/proc/{pid}/clear_refs"), "5") {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
        forgotten => forgotten.expect("forgetting the peak"),
    }
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1_024
}

struct Tried {
    what: String,
    spent: Duration,
    workers: Duration,
    peak: u64,
    moved: u64,
}

/// Lets three clients send a request four times at once, one after the other.
async fn try_one(scenario: &Scenario, what: &str, method: &str, largest: &Largest, key: &str) -> Tried {
    let pid = scenario.server.pid();
    let (before, mut moved) = (spent(pid), 0);
    for key in ["", key] {
        let bytes = largest.bytes(method, key);
        let all = (0..AT_ONCE).map(async |_| read_all(send(scenario, &bytes).await).await);
        let (statuses, answers): (Vec<_>, Vec<_>) =
            futures_util::future::join_all(all).await.into_iter().unzip();
        moved += answers.iter().sum::<u64>() + (AT_ONCE * bytes.len()) as u64;
        let is_fine = |status: &Option<u16>| status.is_none_or(|status| status < 500 || status == 503);
        assert!(statuses.iter().all(is_fine), "{what}: {statuses:?}");
        if !key.is_empty() && !largest.is_once {
            let is_served = |status: &Option<u16>| status.is_some_and(|status| (200..400).contains(&status));
            assert!(statuses.iter().any(is_served), "{what}: {statuses:?}; the request must be lawful");
        }
    }
    let bytes = largest.bytes(method, key);
    let mut stalled: Vec<TcpStream> =
        futures_util::future::join_all((0..AT_ONCE).map(|_| send(scenario, &bytes))).await;
    for stream in &mut stalled {
        status(stream).await;
    }
    moved += (AT_ONCE * bytes.len()) as u64;
    let after = spent(pid);
    drop(stalled);
    Tried {
        what: what.to_owned(),
        spent: after.0.saturating_sub(before.0),
        workers: after.1.saturating_sub(before.1),
        peak: peak_megabytes(pid),
        moved,
    }
}

impl Tried {
    /// What is too much of it.
    fn error(&self) -> Option<String> {
        let Self { what, spent, workers, peak, moved } = self;
        let moving = MOVING_A_MEBIBYTE * u32::try_from(moved >> 20).expect("not so many");
        if *peak > MOST_MEGABYTES {
            return Some(format!("{what}: {peak} MB at once"));
        }
        let too_long = *workers > WORKERS_MAY_SPEND + *spent / SHARE_OF_WORKERS + moving;
        too_long.then(|| format!("{what}: workers spent {workers:?} of {spent:?}"))
    }
}

/// Waits until no more of what was held is given back, and forgets how much it was. What stays is what the
/// process has for good: its caches, its prepared statements, and the part of the database that it has
/// mapped.
async fn until_memory_is_back(pid: i32) {
    let (mut least, mut same) = (u64::MAX, 0);
    while same < 10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        peak_megabytes(pid);
        let held = peak_megabytes(pid);
        same = if held < least { 0 } else { same + 1 };
        least = least.min(held);
    }
}

async fn try_all(engine: Engine) {
    let installation = Installation::start(engine).await;
    let stub = root().join("clients/mcp/stub.py").display().to_string();
    let tools: Vec<Value> = (0..100)
        .map(|number| json!({ "name": format!("tool{number}"), "description": "d".repeat(500), "inputSchema": { "type": "object" } }))
        .chain([json!({ "name": "big", "inputSchema": { "type": "object" } })])
        .collect();
    let result = json!({ "content": [{ "type": "text", "text": "LARGE" }] }).to_string();
    let resources = json!([{ "uri": resource(), "name": "large" }]).to_string();
    let arguments = json!([stub, Value::from(tools).to_string(), result, "null", "null", resources]);
    let config = format!(
        "[webhooks]\nallow_http = true\n[egress]\nallow = [\"127.0.0.1/32\"]\n\
         [limits]\nanonymous_per_minute = 1000000\n[pixel]\nrequests_per_minute = 1000000\n\
         [plans.enterprise]\naccess = \"admin\"\nfeatures = {{ posts = \"unlimited\", webhooks = \"unlimited\" }}\n\
         [mcp.servers.stub]\ncommand = \"python3\"\nargs = {arguments}\n{DECLARED}"
    );
    fs::write(installation.dir.path().join("gatepost.toml"), config).expect("the configuration");
    let serve = ["serve", "--config", "gatepost.toml", "--bind", "127.0.0.1:0"];
    let server = Running::start(released(installation.dir.path(), &installation.database.url, &serve)).await;
    let scenario = Scenario::new(&installation, server).await;
    wait_for(&scenario.server, &scenario.key, "stub", "up").await;

    let document: Value = scenario.server.get("/openapi.json", "").await.json().await.expect("the document");
    let mut tried = Vec::new();
    let _ = peak_megabytes(scenario.server.pid());
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let Some(id) = operation["operationId"].as_str() else { continue };
            let Some(largest) = case(&scenario, id).await else { panic!("{id} ({path}): {HOW_TO_ADD}") };
            // Only the root workspace reaches all workspaces.
            let key = if id.ends_with("workspaces") || id.ends_with("_workspace") {
                &scenario.root_key
            } else {
                &scenario.key
            };
            let method = method.to_uppercase();
            let mut one = try_one(&scenario, id, &method, &largest, key).await;
            // Beside the load of other tests more is held at once now and then; what is an error shows again.
            if one.error().is_some() {
                until_memory_is_back(scenario.server.pid()).await;
                // What is used up is made anew.
                let again = if largest.is_once { case(&scenario, id).await } else { None };
                one = try_one(&scenario, id, &method, again.as_ref().unwrap_or(&largest), key).await;
            }
            tried.push(one);
        }
    }
    for (method, path, largest) in others() {
        let mut one = try_one(&scenario, path, method, &largest, &scenario.key).await;
        if one.error().is_some() {
            until_memory_is_back(scenario.server.pid()).await;
            one = try_one(&scenario, path, method, &largest, &scenario.key).await;
        }
        tried.push(one);
    }
    let (mut table, mut errors) = (String::new(), String::new());
    assert!(tried.iter().any(|tried| !tried.workers.is_zero()), "no thread is called {WORKERS}");
    for one in &tried {
        let Tried { what, spent, workers, peak, moved } = one;
        let _ = writeln!(table, "{what}: {peak} MB, {spent:?}, of which workers {workers:?}; {moved} bytes");
        if let Some(error) = one.error() {
            let _ = writeln!(errors, "{error}");
        }
    }
    assert!(errors.is_empty(), "{errors}\n{table}");
    scenario.server.stop().await;
}
