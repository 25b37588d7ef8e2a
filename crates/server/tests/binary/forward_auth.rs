//! `docs/FORWARD-AUTH.md`, tried with a real nginx and a real Caddy.

use std::{fs, net::TcpListener, process::Stdio};

use gatepost_test_support::Engine;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
};

use crate::running::{Installation, Running};

/// Around the server block of the documentation: everything in one directory and in one process, which ends
/// with the test.
pub const AROUND: &str = "daemon off; master_process off; pid nginx.pid; error_log stderr warn; events {}\n\
                      http { access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; \
                      uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n@SERVER@\n}\n";

/// An API that answers every request with the workspaces that it is told: by the gate, and by the client.
async fn upstream() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = vec![0u8; 8192];
                let length = stream.read(&mut head).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..length]).to_lowercase();
                let told = |name: &str| {
                    let value = head.lines().find_map(|line| line.strip_prefix(name.trim_end()));
                    value.map(str::trim).filter(|value| !value.is_empty()).unwrap_or("?")
                };
                let body = format!(
                    "workspace {}, asked for {}, holder {}, key {}",
                    told("x-gatepost-workspace: "),
                    told("x-workspace-id: "),
                    told("x-gatepost-external-id: "),
                    told("authorization: ")
                );
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

/// The documentation's lines for a proxy, between real addresses; with the address that it listens on.
async fn documented(language: &str, listen: &str, gatepost: &Running) -> (String, String) {
    let documentation = include_str!("../../../../docs/FORWARD-AUTH.md");
    let block = documentation.split(&format!("```{language}\n")).nth(1);
    let block = block.and_then(|rest| rest.split("```").next()).expect("the block");
    let front =
        TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").to_string();
    assert!(block.contains(listen), "{block}");
    let lines = block
        .replace(
            listen,
            &listen.replace("8000", &front).replace("api.example.com", &format!("http://{front}")),
        )
        .replace("127.0.0.1:9000", &upstream().await)
        .replace("127.0.0.1:8080", &gatepost.address);
    (lines, front)
}

/// Starts a proxy and waits until it listens.
pub async fn start(mut program: Command, front: &str) -> Child {
    let name = program.as_std().get_program().display().to_string();
    let child = program.kill_on_drop(true).stderr(Stdio::inherit()).spawn();
    let mut child =
        child.unwrap_or_else(|error| panic!("{name}, which `cargo xtask test` installs: {error}"));
    while tokio::net::TcpStream::connect(front).await.is_err() {
        assert!(child.try_wait().expect("its state").is_none(), "{name} has ended");
        tokio::task::yield_now().await;
    }
    child
}

/// Starts nginx with the documentation's lines; answers it with its address.
async fn nginx(installation: &Installation, gatepost: &Running) -> (Child, String) {
    let (server, front) = documented("nginx", "listen 8000", gatepost).await;
    let dir = installation.dir.path();
    let config = dir.join("nginx.conf");
    fs::write(&config, AROUND.replace("@SERVER@", &server)).expect("the configuration");
    let mut program = Command::new("nginx");
    program.arg("-p").arg(dir).arg("-c").arg(&config);
    (start(program, &front).await, front)
}

/// Starts Caddy with the documentation's lines; answers it with its address.
async fn caddy(installation: &Installation, gatepost: &Running) -> (Child, String) {
    let (site, front) = documented("caddy", "api.example.com", gatepost).await;
    let dir = installation.dir.path();
    let config = dir.join("Caddyfile");
    fs::write(&config, format!("{{\n    admin off\n    log {{\n        level ERROR\n    }}\n}}\n{site}"))
        .expect("the configuration");
    let mut program = Command::new("caddy");
    program.args(["run", "--adapter", "caddyfile", "--config"]).arg(&config);
    program.current_dir(dir).env("HOME", dir).env("XDG_DATA_HOME", dir).env("XDG_CONFIG_HOME", dir);
    (start(program, &front).await, front)
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_asks_as_documented() {
    let installation = Installation::start(Engine::Sqlite).await;
    let config = "[server]\ntrusted_proxies = [\"127.0.0.1/32\"]\n[plans.small]\nrequests_per_minute = 2\n";
    fs::write(installation.dir.path().join("gatepost.toml"), config).expect("the configuration");
    let gatepost = installation.command(&["serve", "--bind", "127.0.0.1:0", "--config", "gatepost.toml"]);
    let gatepost = Running::start(gatepost).await;
    let root = gatepost.first_key().await;
    let made: Value = gatepost
        .post("/api/v1/workspaces", &root, json!({ "name": "s", "tier": "small" }))
        .await
        .json()
        .await
        .expect("JSON");
    assert_eq!(made["data"]["id"], 2);
    let key = async |members: Value| {
        let request = gatepost_test_support::http_client(None)
            .post(gatepost.url("/api/v1/api-keys"))
            .bearer_auth(&root);
        let made: Value =
            send(request.header("X-Workspace-ID", 2).json(&members)).await.json().await.expect("JSON");
        made["data"]["key"].as_str().expect("a key").to_owned()
    };
    let reader = json!({ "name": "reader", "scopes": ["posts:read"], "external_id": "user_42" });
    let reader = key(reader).await;
    let writer = key(json!({ "name": "writer", "scopes": ["posts:write"] })).await;
    let disabled = key(json!({ "name": "off", "scopes": ["posts:read"], "enabled": false })).await;
    let elsewhere =
        key(json!({ "name": "bound", "scopes": ["posts:read"], "allowed_ips": ["192.0.2.1"] })).await;

    let (mut nginx, front) = nginx(&installation, &gatepost).await;
    let client = gatepost_test_support::http_client(None);
    let json = reqwest::header::HeaderValue::from_static("application/json");
    let get = |key: &str| {
        // What a client says of its workspace is replaced.
        let request = client.get(format!("http://{front}/posts/1")).header("X-Gatepost-Workspace", "1");
        let request = request.header("X-Gatepost-External-Id", "forged");
        let request = request.header("X-Workspace-ID", "1");
        send(if key.is_empty() { request } else { request.bearer_auth(key) })
    };
    for remaining in ["1", "0"] {
        let answer = get(&reader).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["x-ratelimit-remaining"], remaining);
        let told = answer.text().await.expect("a body");
        assert_eq!(told, "workspace 2, asked for ?, holder user_42, key ?");
    }
    let limited = get(&reader).await;
    assert_eq!(limited.status(), 429);
    assert!(limited.headers()["retry-after"].to_str().is_ok_and(|seconds| seconds.parse::<u64>().is_ok()));
    let said: Value = limited.json().await.expect("JSON");
    assert_eq!(said["error"], "rate_limit_exceeded");
    for (refused, code) in [("", "unauthorized"), (&disabled, "key_disabled")] {
        let refused = get(refused).await;
        assert_eq!((refused.status().as_u16(), &refused.headers()["content-type"]), (401, &json));
        assert_eq!(refused.headers().get_all("www-authenticate").iter().count(), 1);
        let said: Value = refused.json().await.expect("JSON");
        assert_eq!(said["error"], code);
        assert!(said["message"].as_str().is_some_and(|text| !text.is_empty()), "{said}");
    }
    // Whatever a path is read as, nothing gets to the API without a key.
    for path in [
        "/posts/../posts/1",
        "//posts/1",
        "/posts%2f1",
        "/x/..%2fposts/1",
        "/posts/%2e%2e/posts/1",
        "/POSTS/1",
    ] {
        let mut stream = tokio::net::TcpStream::connect(&front).await.expect("nginx");
        let request = format!("GET {path} HTTP/1.1\r\nhost: {front}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("nginx reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("nginx answers");
        assert!(answer.starts_with("HTTP/1.1 401") || answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
    let trial = key(json!({ "name": "trial", "scopes": ["posts:read"], "environment": "test" })).await;
    let refused = get(&trial).await;
    assert_eq!(refused.status(), 403);
    let said: Value = refused.json().await.expect("JSON");
    assert_eq!(said["error"], "wrong_environment");
    let sentence = said["message"].as_str().expect("a sentence");
    assert!(
        sentence.contains("of the test environment") && sentence.contains("Use a key of the other one"),
        "{sentence}"
    );
    let preflight = client.request(Method::OPTIONS, format!("http://{front}/posts/1"));
    let preflight =
        preflight.header("Origin", "https://app.example").header("Access-Control-Request-Method", "GET");
    assert_eq!(send(preflight).await.status(), 200, "the API behind answers it");
    let forged = client.get(format!("http://{front}/posts/1")).header("Origin", "https://app.example");
    let forged =
        forged.header("Access-Control-Request-Method", "GET").header("X-Forwarded-Method", "OPTIONS");
    assert_eq!(send(forged).await.status(), 401, "a client does not say for the proxy what it asks");
    assert_eq!(get(&writer).await.status(), 403);
    assert_eq!(get(&elsewhere).await.status(), 403);
    assert_eq!(get("").await.status(), 401);
    assert_eq!(get("sk_live_unknown").await.status(), 401);
    assert_eq!(
        send(client.get(format!("http://{front}/gatepost")).bearer_auth(&reader)).await.status(),
        404,
        "internal"
    );
    gatepost.stop().await;
    let away = get(&reader).await;
    assert_eq!((away.status().as_u16(), &away.headers()["content-type"]), (503, &json));
    nginx.kill().await.expect("nginx ends");
}

/// What reads and what writes, as documented for both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_writes_needs_a_key_that_may_write() {
    let installation = Installation::start(Engine::Sqlite).await;
    let config = "[server]\ntrusted_proxies = [\"127.0.0.1/32\"]\n";
    fs::write(installation.dir.path().join("gatepost.toml"), config).expect("the configuration");
    let gatepost = installation.command(&["serve", "--bind", "127.0.0.1:0", "--config", "gatepost.toml"]);
    let gatepost = Running::start(gatepost).await;
    let root = gatepost.first_key().await;
    let key = async |scope: &str| {
        let body = json!({ "name": scope, "scopes": [scope] });
        let made: Value = gatepost.post("/api/v1/api-keys", &root, body).await.json().await.expect("JSON");
        made["data"]["key"].as_str().expect("a key").to_owned()
    };
    let (reader, writer) = (key("posts:read").await, key("posts:write").await);
    let client = gatepost_test_support::http_client(None);
    for (mut proxy, front) in [nginx(&installation, &gatepost).await, caddy(&installation, &gatepost).await] {
        let ask = |method: Method, key: &str| {
            let request = client.request(method, format!("http://{front}/posts/1")).bearer_auth(key);
            // What a client says of methods, workspaces and decisions is not heard.
            let request = request.header("X-Forwarded-Method", "GET").header("X-Workspace-ID", "7");
            send(request.header("X-Gatepost-Workspace", "7"))
        };
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(ask(method.clone(), &reader).await.status(), 200, "{front} {method}");
            assert_eq!(ask(method.clone(), &writer).await.status(), 403, "{front} {method}");
        }
        for method in [Method::DELETE, Method::POST, Method::PUT, Method::PATCH] {
            assert_eq!(ask(method.clone(), &reader).await.status(), 403, "{front} {method}");
            assert_eq!(ask(method.clone(), &writer).await.status(), 200, "{front} {method}");
        }
        let told = ask(Method::DELETE, &writer).await.text().await.expect("a body");
        assert_eq!(told, "workspace 1, asked for ?, holder ?, key ?", "{front}");
        proxy.kill().await.expect("the proxy ends");
    }
    gatepost.stop().await;
}
