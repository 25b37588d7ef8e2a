//! The bridge to real MCP servers, from npm, as programs and over HTTP; and Gatepost as one, for the official
//! client. `cargo xtask test` installs what these tests need.

use std::{fs, net::TcpListener, path::PathBuf, process::Stdio, time::Duration};

use gatepost_test_support::{Engine, both_engines};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::Method;
use rmcp::{
    model::{CallToolRequestParams, ProtocolVersion},
    service::{ClientLifecycleMode, ClientServiceExt, ServiceError},
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::running::{Installation, Running};

both_engines! { Installation:
    tools_and_resources_of_programs,
    a_server_over_http,
    one_gatepost_behind_another,
    a_call_with_an_idempotency_key_is_made_once,
    the_official_client_uses_gatepost,
}

const SERVE: [&str; 5] = ["serve", "--config", "gatepost.toml", "--bind", "127.0.0.1:0"];

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the project")
}

fn program(name: &str) -> String {
    let path = root().join("target/clients/mcp-node/node_modules/.bin").join(name);
    assert!(path.exists(), "`cargo xtask test` installs what this test needs");
    path.display().to_string()
}

/// A server with this configuration, and its first key.
pub async fn start(installation: &Installation, config: &str) -> (Running, String) {
    fs::write(installation.dir.path().join("gatepost.toml"), config).expect("the configuration");
    let server = Running::start(installation.command(&SERVE)).await;
    let key = server.first_key().await;
    (server, key)
}

/// Waits until an MCP server is as asked.
pub async fn wait_for(server: &Running, key: &str, id: &str, status: &str) -> Value {
    let reached = async {
        loop {
            let body: Value =
                server.get(&format!("/api/v1/mcp/servers/{id}"), key).await.json().await.expect("JSON");
            if body["data"]["status"] == status {
                return body["data"].clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reached)
        .await
        .unwrap_or_else(|_| panic!("{id} is not {status}"))
}

/// Calls a tool: the status, the body, and when to come again.
pub async fn call(
    server: &Running,
    key: &str,
    on: &str,
    tool: &str,
    arguments: Value,
) -> (u16, Value, String) {
    let body = json!({ "server": on, "tool": tool, "arguments": arguments });
    let reply = server.post("/api/v1/mcp/tools/call", key, body).await;
    let retry =
        reply.headers().get("retry-after").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    (reply.status().as_u16(), reply.json().await.expect("JSON"), retry)
}

pub async fn make_key(server: &Running, key: &str, scopes: Value) -> String {
    let body = json!({ "name": "Test", "scopes": scopes });
    let made: Value = server.post("/api/v1/api-keys", key, body).await.json().await.expect("JSON");
    made["data"]["key"].as_str().expect("a secret").to_owned()
}

/// The processes that a program has started, directly or not, whose command line has `part`.
fn descendants(of: i32, part: &str) -> Vec<i32> {
    let mut found = Vec::new();
    let children = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    let threads = fs::read_dir(format!("/proc/{of}/task")).into_iter().flatten().flatten();
    let of_threads =
        threads.filter_map(|t| fs::read_to_string(t.path().join("children")).ok()).collect::<String>();
    let mut pids: Vec<i32> =
        format!("{children} {of_threads}").split_whitespace().filter_map(|p| p.parse().ok()).collect();
    pids.sort_unstable();
    pids.dedup();
    for pid in pids {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if line.contains(part) {
            found.push(pid);
        }
        found.extend(descendants(pid, part));
    }
    found
}

async fn tools_and_resources_of_programs(installation: Installation) {
    let files = installation.dir.path().join("files");
    fs::create_dir(&files).expect("a directory");
    fs::write(files.join("note.txt"), "Buy milk\n").expect("a file");
    let config = format!(
        "[plans.small]\naccess = \"admin\"\nfeatures = {{ mcp_calls = 3 }}\n\
         [mcp.servers.filesystem]\nname = \"Filesystem Server\"\ndescription = \"File and directory operations\"\n\
         command = \"{}\"\nargs = [\"{}\"]\n\
         [mcp.servers.everything]\ncommand = \"{}\"\nenv = {{ GREETING = \"hello\" }}\nworkspaces = [1]\n\
         [mcp.servers.guarded]\ncommand = \"{}\"\nscopes = [\"vault:open\"]\n",
        program("mcp-server-filesystem"),
        files.display(),
        program("mcp-server-everything"),
        program("mcp-server-everything"),
    );
    let (server, key) = start(&installation, &config).await;
    let filesystem = wait_for(&server, &key, "filesystem", "up").await;
    assert_eq!((&filesystem["name"], &filesystem["stale"]), (&json!("Filesystem Server"), &json!(false)));
    assert!(filesystem["tools"].as_array().is_some_and(|tools| tools.contains(&json!("read_text_file"))));
    wait_for(&server, &key, "everything", "up").await;

    // Lists have pages like all others.
    let list: Value = server.get("/api/v1/mcp/servers?per_page=2", &key).await.json().await.expect("JSON");
    assert_eq!((&list["meta"]["total"], &list["meta"]["last_page"]), (&json!(3), &json!(2)));
    assert_eq!(
        (&list["data"][0]["id"], &list["data"][1]["id"]),
        (&json!("everything"), &json!("filesystem"))
    );
    let tools = "/api/v1/mcp/servers/filesystem/tools?per_page=100";
    let tools: Value = server.get(tools, &key).await.json().await.expect("JSON");
    let read = tools["data"].as_array().expect("tools").iter().find(|tool| tool["name"] == "read_text_file");
    let read = read.expect("the tool");
    assert_eq!(
        (&read["parameters"]["path"]["type"], &read["parameters"]["path"]["required"]),
        (&json!("string"), &json!(true))
    );
    assert_eq!(read["parameters"]["head"]["required"], false);
    assert_eq!(read["input_schema"]["properties"]["path"]["type"], "string");

    // What the seed asks, and what it answers.
    let path = files.join("note.txt").display().to_string();
    let (status, body, _) =
        call(&server, &key, "filesystem", "read_text_file", json!({ "path": path })).await;
    assert_eq!(
        (status, &body["result"]["content"], &body["result"]["is_error"]),
        (200, &json!("Buy milk\n"), &json!(false))
    );
    assert_eq!(body["result"]["size"], 9);
    // A tool that fails has answered.
    let (status, body, _) =
        call(&server, &key, "filesystem", "read_text_file", json!({ "path": "/etc/passwd" })).await;
    assert_eq!((status, &body["result"]["is_error"]), (200, &json!(true)), "{body}");
    // Arguments are checked first, and named.
    let (status, body, _) = call(&server, &key, "filesystem", "read_text_file", json!({ "head": "x" })).await;
    assert_eq!((status, &body["error"]), (422, &json!("validation_failed")));
    assert_eq!(body["errors"]["arguments.path"][0], "The path field is required.");
    assert!(body["errors"]["arguments.head"].is_array());
    for (on, tool) in [("filesystem", "no_such_tool"), ("nobody", "echo")] {
        let (status, body, _) = call(&server, &key, on, tool, json!({})).await;
        assert_eq!((status, &body["error"]), (404, &json!("not_found")), "{on} {tool}");
    }
    // What is not text is kept beside.
    let (_, body, _) = call(&server, &key, "everything", "get-tiny-image", json!({})).await;
    assert!(body["result"]["blocks"].as_array().is_some_and(|blocks| blocks[0]["type"] == "image"), "{body}");
    let (_, body, _) =
        call(&server, &key, "everything", "get-structured-content", json!({ "location": "Chicago" })).await;
    assert!(body["result"]["structured_content"].is_object());
    // Nothing of Gatepost's own environment reaches a program.
    let (_, body, _) = call(&server, &key, "everything", "get-env", json!({})).await;
    let env: Value = serde_json::from_str(body["result"]["content"].as_str().expect("text")).expect("JSON");
    let names: Vec<&String> =
        env.as_object().expect("names").keys().filter(|name| !name.starts_with("npm")).collect();
    assert_eq!((env["GREETING"].as_str(), names.len()), (Some("hello"), 2), "{names:?}");
    // Fifty at once, each its own answer.
    let sums = (0..50).map(async |n: i64| {
        let (status, body, _) = call(&server, &key, "everything", "get-sum", json!({ "a": n, "b": 1 })).await;
        assert_eq!(status, 200);
        assert!(
            body["result"]["content"].as_str().is_some_and(|text| text.contains(&format!("is {}", n + 1))),
            "{body}"
        );
    });
    futures_util::future::join_all(sums).await;

    // Resources: by their URIs, escaped or not; only what is listed or has a template.
    let get = async |uri: &str| server.get(&format!("/api/v1/mcp/resources/{uri}"), &key).await;
    for uri in [
        "demo://resource/static/document/architecture.md",
        "demo%3A%2F%2Fresource%2Fstatic%2Fdocument%2Farchitecture.md",
    ] {
        let body: Value = get(uri).await.json().await.expect("JSON");
        assert_eq!(body["data"]["uri"], "demo://resource/static/document/architecture.md");
        assert_eq!(body["data"]["server"], "everything");
        assert!(body["data"]["contents"][0]["text"].as_str().is_some_and(|text| !text.is_empty()));
    }
    let dynamic: Value =
        get("demo://resource/dynamic/blob/7?server=everything").await.json().await.expect("JSON");
    assert!(dynamic["data"]["contents"][0]["blob"].is_string(), "{dynamic}");
    for uri in [
        "demo://resource/static/document/nothing.md",
        "demo://resource/dynamic/text/../../static",
        "demo://resource/dynamic/text/%2e%2e%2fx",
        "file:///etc/passwd",
        "demo://resource/dynamic/text/7?server=filesystem",
        "%FF",
    ] {
        assert_eq!(get(uri).await.status(), 404, "{uri}");
    }

    // Scopes: one tool, all of a server, all; and reading is not calling.
    let one = make_key(&server, &key, json!(["mcp:everything:echo"])).await;
    let echo = json!({ "message": "hi" });
    assert_eq!(call(&server, &one, "everything", "echo", echo.clone()).await.0, 200);
    let (status, body, _) = call(&server, &one, "everything", "get-sum", json!({ "a": 1, "b": 2 })).await;
    assert_eq!(
        (status, &body["message"]),
        (403, &json!("Insufficient permissions. Required scope: mcp:everything:get-sum"))
    );
    assert_eq!(server.get("/api/v1/mcp/servers", &one).await.status(), 403);
    let all_of_one = make_key(&server, &key, json!(["mcp:everything:*", "mcp:read"])).await;
    assert_eq!(call(&server, &all_of_one, "everything", "get-sum", json!({ "a": 1, "b": 2 })).await.0, 200);
    assert_eq!(call(&server, &all_of_one, "filesystem", "list_allowed_directories", json!({})).await.0, 403);
    let reader = make_key(&server, &key, json!(["mcp:read"])).await;
    let (status, body, _) = call(&server, &reader, "everything", "echo", echo.clone()).await;
    assert_eq!(
        (status, &body["message"]),
        (403, &json!("Insufficient permissions. Required scope: mcp:write"))
    );
    // A key can hand out what is part of what it holds.
    let makers = json!(["api-keys:write", "mcp:write"]);
    let maker = make_key(&server, &key, makers).await;
    make_key(&server, &maker, json!(["mcp:everything:echo"])).await;
    let wider = server.post("/api/v1/api-keys", &one, json!({ "name": "x", "scopes": ["mcp:write"] })).await;
    assert_eq!(wider.status(), 403);
    // A server that the operator keeps for some: others cannot tell it from one that is not there.
    for (path, expected) in [("guarded", 200), ("everything", 200)] {
        assert_eq!(server.get(&format!("/api/v1/mcp/servers/{path}"), &key).await.status(), expected);
    }
    assert_eq!(server.get("/api/v1/mcp/servers/guarded", &reader).await.status(), 404);

    // Another tenant: not the server of workspace 1, and not beyond its plan.
    let tenant = json!({ "name": "Small", "tier": "small" });
    let tenant: Value = server.post("/api/v1/workspaces", &key, tenant).await.json().await.expect("JSON");
    let client = gatepost_test_support::http_client(None);
    let made = client
        .post(server.url("/api/v1/api-keys"))
        .bearer_auth(&key)
        .header("X-Workspace-ID", tenant["data"]["id"].to_string());
    let made: Value = made
        .json(&json!({ "name": "Small", "scopes": ["mcp:*", "audit:read"] }))
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let small = made["data"]["key"].as_str().expect("a secret").to_owned();
    assert_eq!(call(&server, &small, "everything", "echo", echo).await.0, 404);
    assert_eq!(
        server.get("/api/v1/mcp/resources/demo://resource/dynamic/text/7", &small).await.status(),
        404
    );
    let calls = (0..6)
        .map(async |_| call(&server, &small, "filesystem", "list_allowed_directories", json!({})).await);
    let calls = futures_util::future::join_all(calls).await;
    assert_eq!(calls.iter().filter(|(status, ..)| *status == 200).count(), 3);
    let refused = calls.iter().find(|(status, ..)| *status != 200).expect("a refusal");
    assert_eq!(
        (refused.0, &refused.1["error"], &refused.1["feature"]),
        (403, &json!("feature_limit_reached"), &json!("mcp_calls"))
    );

    // Every call that was made is in the audit log, its arguments as a hash.
    let log: Value =
        server.get("/api/v1/audit-log?action=mcp_tool.called", &small).await.json().await.expect("JSON");
    assert_eq!(log["meta"]["total"], 3);
    let details = &log["data"][0]["details"];
    assert_eq!(
        (&details["server"], &details["tool"]),
        (&json!("filesystem"), &json!("list_allowed_directories"))
    );
    assert!(details["arguments_sha256"].as_str().is_some_and(|hash| hash.len() == 64));
    let pids = descendants(server.pid(), "mcp-server");
    assert!(pids.len() >= 3, "{pids:?}");
    server.stop().await;
    for pid in pids {
        assert!(
            !fs::exists(format!("/proc/{pid}/cmdline")).unwrap_or(false) || is_zombie(pid),
            "{pid} outlives the server"
        );
    }
}

fn is_zombie(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

/// A hanging tool, a server that is killed in the middle of a call, one that cannot be started, one that
/// floods: none of them costs the others anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_servers_cost_the_others_nothing() {
    let installation = Installation::start(Engine::Sqlite).await;
    let everything = program("mcp-server-everything");
    let flood = root().join("clients/mcp/flood.py");
    let config = format!(
        "[mcp.servers.slow]\ncommand = \"{everything}\"\ncall_timeout = \"1s\"\n\
         [mcp.servers.steady]\ncommand = \"{everything}\"\n\
         [mcp.servers.missing]\ncommand = \"/nonexistent/program\"\n\
         [mcp.servers.silent]\ncommand = \"sleep\"\nargs = [\"1000\"]\n\
         [mcp.servers.flood]\ncommand = \"python3\"\nargs = [\"{}\", \"{everything}\"]\n",
        flood.display()
    );
    let (server, key) = start(&installation, &config).await;
    for id in ["slow", "steady", "flood"] {
        wait_for(&server, &key, id, "up").await;
    }
    let echo = async |on: &str| call(&server, &key, on, "echo", json!({ "message": "hi" })).await;
    // What was never there is starting, and a call on it fails at once.
    for id in ["missing", "silent"] {
        let (status, body, retry) = echo(id).await;
        assert_eq!((status, &body["error"]), (503, &json!("service_unavailable")), "{id}");
        assert!(retry.parse::<u64>().is_ok_and(|seconds| (1..=60).contains(&seconds)), "{retry}");
        wait_for(&server, &key, id, "starting").await;
    }
    // A flood of nonsense on both streams does not come between a call and its answer.
    let floods = (0..10).map(async |_| echo("flood").await);
    for (status, body, _) in futures_util::future::join_all(floods).await {
        assert_eq!((status, &body["result"]["content"]), (200, &json!("Echo: hi")));
    }
    // A tool that hangs ends at its server's own time; others of the same server go on meanwhile.
    let long = json!({ "duration": 600, "steps": 1 });
    let hang = async || call(&server, &key, "slow", "trigger-long-running-operation", long.clone()).await;
    let (hanging, fine) = tokio::join!(hang(), echo("slow"));
    assert_eq!((hanging.0, fine.0), (503, 200));
    assert_eq!(hanging.1["message"], "The MCP server did not answer within 1 seconds.");
    // One that answers nothing any more is ended and started anew.
    let before = descendants(server.pid(), "mcp-server-everything");
    for _ in 0..3 {
        assert_eq!(hang().await.0, 503);
    }
    let renewed = async {
        while descendants(server.pid(), "mcp-server-everything").iter().all(|pid| before.contains(pid)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        wait_for(&server, &key, "slow", "up").await;
    };
    tokio::time::timeout(Duration::from_secs(60), renewed).await.expect("started anew");
    assert_eq!(echo("slow").await.0, 200);

    // Killed in the middle of a call: the call fails, the last list of tools stays, and the server comes
    // back.
    let steady: Vec<i32> = descendants(server.pid(), "mcp-server-everything");
    let calling = call(&server, &key, "steady", "trigger-long-running-operation", long.clone());
    let killing = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        for pid in steady {
            // Some may be gone already.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    };
    let ((status, body, _), ()) = tokio::join!(calling, killing);
    assert_eq!((status, &body["error"]), (503, &json!("service_unavailable")));
    let mut down = echo("steady").await;
    if down.0 == 503 {
        assert!(!down.2.is_empty(), "when to come again");
        let shown: Value = server.get("/api/v1/mcp/servers/steady", &key).await.json().await.expect("JSON");
        assert!(
            shown["data"]["tools"].as_array().is_some_and(|tools| !tools.is_empty()),
            "the last good list"
        );
        wait_for(&server, &key, "steady", "up").await;
        down = echo("steady").await;
    }
    assert_eq!(down.0, 200);
    let log = server.stop().await;
    assert!(log.contains("an MCP server is down") && log.contains("writes much"));
}

/// A server over HTTP that is started by hand, as its operator does.
struct Remote(Child);

impl Remote {
    async fn start(port: u16) -> Self {
        let mut command = Command::new(program("mcp-server-everything"));
        command.arg("streamableHttp").env("PORT", port.to_string()).kill_on_drop(true);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.expect("the server"))
    }
}

async fn a_server_over_http(installation: Installation) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    drop(listener);
    let mut remote = Remote::start(port).await;
    let config = format!(
        "[egress]\nallow = [\"127.0.0.1/32\"]\n[mcp.servers.remote]\nurl = \"http://127.0.0.1:{port}/mcp\"\nheaders = {{ X-Token = \"hunter2\" }}\n\
         [mcp.servers.inwards]\nurl = \"http://10.0.0.1/mcp\"\n"
    );
    let (server, key) = start(&installation, &config).await;
    wait_for(&server, &key, "remote", "up").await;
    let (status, body, _) = call(&server, &key, "remote", "echo", json!({ "message": "hi" })).await;
    assert_eq!((status, &body["result"]["content"]), (200, &json!("Echo: hi")));
    let sums = (0..50).map(async |n: i64| {
        let (status, body, _) = call(&server, &key, "remote", "get-sum", json!({ "a": n, "b": 1 })).await;
        assert!(
            status == 200
                && body["result"]["content"]
                    .as_str()
                    .is_some_and(|text| text.contains(&format!("is {}", n + 1))),
            "{body}"
        );
    });
    futures_util::future::join_all(sums).await;
    let resource = server.get("/api/v1/mcp/resources/demo://resource/dynamic/text/7", &key).await;
    let resource: Value = resource.json().await.expect("JSON");
    assert_eq!(resource["data"]["server"], "remote");
    // It goes away, and comes back.
    remote.0.kill().await.expect("killed");
    let (status, ..) = call(&server, &key, "remote", "echo", json!({ "message": "hi" })).await;
    assert_eq!(status, 503);
    let _remote = Remote::start(port).await;
    let back = async {
        while call(&server, &key, "remote", "echo", json!({ "message": "hi" })).await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(90), back).await.expect("the server is back");
    // What the guard does not allow is never asked.
    wait_for(&server, &key, "inwards", "starting").await;
    let log = server.stop().await;
    assert!(log.contains("must lead to a public address") && !log.contains("hunter2"));
}

/// Gatepost speaks the newer generation of the protocol: one bridges to another, with a key of the
/// operator's.
async fn one_gatepost_behind_another(installation: Installation) {
    let inner_place = Installation::start(Engine::Sqlite).await;
    let (inner, inner_key) = start(&inner_place, "").await;
    let operators = make_key(&inner, &inner_key, json!(["entitlements:read", "api-keys:read"])).await;
    let config = format!(
        "[egress]\nallow = [\"127.0.0.1/32\"]\n\
         [mcp.servers.inner]\nurl = \"{}\"\nheaders = {{ Authorization = \"Bearer {operators}\" }}\n",
        inner.url("/mcp")
    );
    let (server, key) = start(&installation, &config).await;
    let shown = wait_for(&server, &key, "inner", "up").await;
    assert_eq!(
        (&shown["name"], &shown["tools"]),
        (&json!("Gatepost"), &json!(["list_api_keys", "check_entitlement"]))
    );
    let (status, body, _) =
        call(&server, &key, "inner", "check_entitlement", json!({ "feature": "posts" })).await;
    assert_eq!((status, &body["result"]["structured_content"]["allowed"]), (200, &json!(true)));
    let (status, body, _) = call(&server, &key, "inner", "check_entitlement", json!({ "quantity": 0 })).await;
    assert_eq!(status, 422);
    assert!(
        body["errors"]["arguments.feature"].is_array() && body["errors"]["arguments.quantity"].is_array()
    );
    // The caller's own key stays here; what the operator's may not do is not done.
    let (status, body, _) =
        call(&server, &key, "inner", "create_event", json!({ "type": "x", "data": 1 })).await;
    assert_eq!((status, &body["error"]), (404, &json!("not_found")));
    server.stop().await;
    inner.stop().await;
}

async fn a_call_with_an_idempotency_key_is_made_once(installation: Installation) {
    let files = installation.dir.path().join("files");
    fs::create_dir(&files).expect("a directory");
    let config = format!(
        "[mcp.servers.files]\ncommand = \"{}\"\nargs = [\"{}\"]\n",
        program("mcp-server-filesystem"),
        files.display()
    );
    let (server, key) = start(&installation, &config).await;
    wait_for(&server, &key, "files", "up").await;
    let (from, to) = (files.join("a.txt"), files.join("b.txt"));
    fs::write(&from, "x").expect("a file");
    let client = gatepost_test_support::http_client(None);
    let send = async |arguments: &Value| {
        let body = json!({ "server": "files", "tool": "move_file", "arguments": arguments });
        let request = client.request(Method::POST, server.url("/api/v1/mcp/tools/call")).bearer_auth(&key);
        request.header("Idempotency-Key", "move-1").json(&body).send().await.expect("an answer")
    };
    // Of many at once one moves the file; a second move would be an error.
    let arguments = json!({ "source": from, "destination": to });
    let replies = (0..10).map(async |_| {
        let reply = send(&arguments).await;
        (reply.status().as_u16(), reply.json::<Value>().await.expect("JSON"))
    });
    for (status, body) in futures_util::future::join_all(replies).await {
        match status {
            200 => assert_eq!(body["result"]["is_error"], false, "{body}"),
            _ => assert_eq!((status, &body["error"]), (409, &json!("idempotency_in_progress"))),
        }
    }
    assert!(!from.exists() && to.exists());
    let again = send(&arguments).await;
    assert_eq!(again.headers().get("idempotent-replayed").map(|value| value.as_bytes()), Some(&b"true"[..]));
    assert_eq!(again.json::<Value>().await.expect("JSON")["result"]["is_error"], false);
    let other = send(&json!({ "source": to, "destination": from })).await;
    assert_eq!(other.status(), 422);
    assert!(to.exists());
    server.stop().await;
}

async fn the_official_client_uses_gatepost(installation: Installation) {
    let (server, key) = start(&installation, "").await;
    let hook = json!({ "url": "https://example.com/", "events": ["*"] });
    let hook: Value = server.post("/api/v1/webhooks", &key, hook).await.json().await.expect("JSON");
    let hook = hook["data"]["id"].as_i64().expect("an id");
    let narrow = make_key(&server, &key, json!(["entitlements:read"])).await;
    let talk = async |key: &str, mode: &str, calls: &[(&str, Value)]| -> Vec<Value> {
        let python = root().join("target/clients/mcp-python/bin/python");
        let mut client = Command::new(python);
        client.arg(root().join("clients/mcp/caller.py")).arg(server.url("/mcp")).arg(mode);
        for (tool, arguments) in calls {
            client.arg(tool).arg(arguments.to_string());
        }
        let output = client.env("GATEPOST_KEY", key).output().await.expect("the client");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaint}");
        let said = String::from_utf8(output.stdout).expect("text");
        said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    // Both generations of the protocol.
    for (mode, event) in [("auto", "evt_first"), ("legacy", "evt_second")] {
        let said = talk(
            &key,
            mode,
            &[
                ("check_entitlement", json!({ "feature": "posts" })),
                ("create_event", json!({ "id": event, "type": "post.created", "data": { "n": 1 } })),
                ("list_webhook_deliveries", json!({ "webhook_id": hook })),
                ("list_api_keys", json!({ "per_page": 1 })),
                ("list_api_keys", json!({ "per_page": 1000, "colour": "red" })),
                ("rotate_api_key", json!({ "id": 999_999 })),
                ("no_such_tool", json!({})),
            ],
        )
        .await;
        assert_eq!(said[0]["tools"].as_array().map(Vec::len), Some(6), "{mode}");
        assert_eq!(said[1]["answer"]["allowed"], true);
        assert_eq!(said[2]["answer"]["id"], event);
        assert!(
            said[3]["answer"]["data"].as_array().is_some_and(|rows| rows[0]["event_id"] == event),
            "{}",
            said[3]
        );
        assert_eq!(said[4]["answer"]["data"].as_array().map(Vec::len), Some(1));
        assert_eq!(said[5]["data"]["error"], "validation_failed");
        assert!(
            said[5]["data"]["errors"]["per_page"].is_array()
                && said[5]["data"]["errors"]["colour"].is_array()
        );
        assert_eq!(said[6]["data"]["error"], "not_found");
        assert!(said[7]["error"].as_str().is_some_and(|text| text.contains("no_such_tool")), "{}", said[7]);
        let stored = server.get(&format!("/api/v1/events/{event}"), &key).await;
        assert_eq!(stored.status(), 200);
    }
    // A key sees the tools that it may use; others are the protocol's error.
    let said = talk(&narrow, "auto", &[("create_event", json!({ "type": "x", "data": 1 }))]).await;
    assert_eq!(said[0]["tools"], json!(["check_entitlement"]));
    assert_eq!(said[1]["data"]["error"], "access_denied");
    assert_eq!(said[1]["error"], "Insufficient permissions. Required scope: events:write");
    // The SDK's own client, over both generations.
    for legacy in [false, true] {
        let mut config = StreamableHttpClientTransportConfig::with_uri(server.url("/mcp"));
        config.auth_header = Some(narrow.clone());
        let transport =
            StreamableHttpClientTransport::with_client(gatepost_test_support::http_client(None), config);
        let lifecycle = match legacy {
            true => ClientLifecycleMode::Initialize,
            false => ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::LATEST] },
        };
        let mut client = ().serve_with_lifecycle(transport, lifecycle).await.expect("a connection");
        let tools = client.peer().list_all_tools().await.expect("tools");
        assert_eq!(tools.iter().map(|tool| &*tool.name).collect::<Vec<_>>(), ["check_entitlement"]);
        let arguments = json!({ "feature": "posts", "quantity": 2 }).as_object().expect("arguments").clone();
        let params = CallToolRequestParams::new("check_entitlement").with_arguments(arguments);
        let answer = client.peer().call_tool(params).await.expect("an answer");
        assert_eq!(answer.structured_content.expect("data")["allowed"], true);
        let refused = client.peer().call_tool(CallToolRequestParams::new("list_api_keys")).await;
        let Err(ServiceError::McpError(refused)) = refused else {
            panic!("the protocol's error: {refused:?}")
        };
        assert_eq!(refused.data.expect("data")["error"], "access_denied");
        client.close().await.expect("closed");
    }
    // Rotating by a tool is rotating: in the audit log, and the old key ends.
    let victim = make_key(&server, &key, json!(["posts:read"])).await;
    let list: Value = server.get("/api/v1/api-keys?sort=-id", &key).await.json().await.expect("JSON");
    let id = list["data"][0]["id"].as_i64().expect("an id");
    let said = talk(&key, "auto", &[("rotate_api_key", json!({ "id": id, "grace_period_hours": 0 }))]).await;
    assert!(said[1]["answer"]["key"].as_str().is_some_and(|key| key.starts_with("sk_live_")));
    assert_eq!(server.get("/api/v1/auth?scope=posts:read", &victim).await.status(), 401);
    let log: Value =
        server.get("/api/v1/audit-log?action=api_key.rotated", &key).await.json().await.expect("JSON");
    assert_eq!(log["meta"]["total"], 1);
    // Without a key, or with a bad one, nobody gets as far as the protocol.
    let client = gatepost_test_support::http_client(None);
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    for (token, expected) in [(None, 401), (Some("sk_live_nobody"), 401)] {
        let request = client
            .post(server.url("/mcp"))
            .header("Accept", "application/json, text/event-stream")
            .json(&ping);
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let reply = request.send().await.expect("an answer");
        assert_eq!(reply.status(), expected);
        assert!(reply.headers().contains_key("www-authenticate"));
    }
    let limits =
        client.post(server.url("/mcp")).bearer_auth(&key).json(&ping).send().await.expect("an answer");
    assert!(
        limits.headers().contains_key("x-ratelimit-limit") && limits.headers().contains_key("x-request-id")
    );
    server.stop().await;
}
