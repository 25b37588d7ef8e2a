//! `docs/INTEGRATE.md`: the services of `clients/integrations` behind a real server, which
//! `cargo xtask test --full` installs what they need for.

use std::{fs, path::PathBuf, process::Stdio};

use gatepost_test_support::{both_engines, http_client};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use crate::{
    reload::free_port,
    running::{Installation, Running},
};

both_engines! { Installation: services_are_protected_as_the_guide_says }

const GUIDE: &str = include_str!("../../../../docs/INTEGRATE.md");
/// A plan whose limits are soon reached.
const SMALL: &str = "[plans.small]\nrequests_per_minute = 9\nfeatures = { created_posts = 1 }\n";
const SERVE: [&str; 5] = ["serve", "--config", "gatepost.toml", "--bind", "127.0.0.1:0"];

/// The services, each ready to listen at a port.
fn services(port: u16) -> [Command; 2] {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let installed = root.join("target/clients");
    let mut fastapi = Command::new(installed.join("integrations-python/bin/uvicorn"));
    fastapi.args(["app:app", "--log-level", "warning", "--no-proxy-headers", "--port", &port.to_string()]);
    fastapi.current_dir(root.join("clients/integrations")).env("PYTHONDONTWRITEBYTECODE", "1");
    let mut express = Command::new("node");
    express.arg(installed.join("integrations-node/app.mjs")).env("PORT", port.to_string());
    [fastapi, express]
}

async fn services_are_protected_as_the_guide_says(installation: Installation) {
    if std::env::var_os("GATEPOST_TEST_FULL").is_none() {
        return;
    }
    let config = GUIDE.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let config = format!("{}{SMALL}", config.expect("the configuration of the guide"));
    fs::write(installation.dir.path().join("gatepost.toml"), config).expect("the configuration");
    let server = Running::start(installation.command(&SERVE)).await;
    let root_key = server.first_key().await;
    let scopes = ["--scope", "api-keys:verify", "--scope", "events:write"];
    let service = [&["keys", "create", "--name", "Posts API", "--json"][..], &scopes].concat();
    let service = installation.json(&service).await["key"].as_str().expect("a key").to_owned();
    for index in 0..2 {
        let port = free_port();
        let make = async |path: &str, workspace: Option<&Value>, body: Value| {
            let request = http_client(None).post(server.url(path)).bearer_auth(&root_key).json(&body);
            let request = match workspace {
                Some(id) => request.header("x-workspace-id", id.to_string()),
                None => request,
            };
            let made = request.send().await.expect("an answer");
            assert_eq!(made.status(), 201, "{path}");
            made.json::<Value>().await.expect("JSON")["data"].take()
        };
        let customer = json!({ "name": "Acme", "tier": "small", "external_id": format!("cust_{index}") });
        let workspace = make("/api/v1/workspaces", None, customer).await["id"].take();
        let hook = json!({ "url": format!("http://127.0.0.1:{port}/hooks"), "events": ["post.*"] });
        let hook = make("/api/v1/webhooks", Some(&workspace), hook).await;
        let key = async |members: Value| make("/api/v1/api-keys", Some(&workspace), members).await;
        let writer = key(json!({ "name": "W", "scopes": ["posts:*"], "external_id": "user_42" })).await;
        let reader = key(json!({ "name": "R", "scopes": ["posts:read"] })).await;

        let [fastapi, express] = services(port);
        let mut program = if index == 0 { fastapi } else { express };
        program.env("GATEPOST_URL", server.url("")).env("GATEPOST_SERVICE_KEY", &service);
        program.env("WEBHOOK_SECRET", hook["secret"].as_str().expect("a secret"));
        let mut child = program.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("the service");
        let mut said = BufReader::new(child.stdout.take().expect("stdout")).lines();
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(child.try_wait().expect("its state").is_none(), "the service has ended");
            tokio::task::yield_now().await;
        }
        let ask = async |method: Method, path: &str, key: &Value| {
            let request = http_client(None).request(method.clone(), format!("http://127.0.0.1:{port}{path}"));
            let request = match key.as_str() {
                Some(key) => request.bearer_auth(key),
                None => request,
            };
            let request = match method {
                Method::POST => request.json(&json!({ "title": "Hello" })),
                _ => request,
            };
            let answer = request.send().await.expect("an answer");
            let (status, wait) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
            (status, wait, answer.json::<Value>().await.unwrap_or_default())
        };
        let status = async |method, path: &str, key: &Value| ask(method, path, key).await.0;
        assert_eq!(status(Method::GET, "/posts", &Value::Null).await, 401);
        assert_eq!(status(Method::GET, "/posts", &reader["key"]).await, 200);
        assert_eq!(status(Method::POST, "/posts", &reader["key"]).await, 403);
        // Where a request comes from is not for whoever sends it to say.
        let office = json!({ "name": "O", "scopes": ["posts:*"], "allowed_ips": ["192.0.2.0/24"] });
        let office = key(office).await;
        for forged in ["192.0.2.9", "nonsense"] {
            let request = http_client(None).get(format!("http://127.0.0.1:{port}/posts"));
            let request = request.bearer_auth(office["key"].as_str().expect("a key"));
            let request = request.header("x-forwarded-for", forged);
            assert_eq!(request.send().await.expect("an answer").status(), 403, "{forged}");
        }
        // What cannot be read is not counted.
        for body in ["{", "[1]", "{}", "\"x\""] {
            let request = http_client(None).post(format!("http://127.0.0.1:{port}/posts"));
            let request = request.header("content-type", "application/json").body(body);
            let key = writer["key"].as_str().expect("a key");
            let refused = request.bearer_auth(key).send().await.expect("an answer").status().as_u16();
            assert!(matches!(refused, 400 | 422), "{body}: {refused}");
        }
        let (made, _, post) = ask(Method::POST, "/posts", &writer["key"]).await;
        assert_eq!((made, &post["workspace_id"]), (201, &workspace));
        let mut received = async || loop {
            let line = said.next_line().await.expect("its output").expect("a line");
            if line.starts_with("received ") {
                return line;
            }
        };
        let line = received().await;
        assert!(line.starts_with("received post.created evt_"), "{line}");
        // The largest event that there may be gets through too.
        let large = json!({ "type": "post.imported", "data": "x".repeat((1 << 20) - 2) });
        let event = http_client(None).post(server.url("/api/v1/events")).bearer_auth(&root_key);
        let event = event.header("x-workspace-id", workspace.to_string()).json(&large);
        assert_eq!(event.send().await.expect("an answer").status(), 202);
        let line = received().await;
        assert!(line.starts_with("received post.imported evt_"), "{line}");
        assert_eq!(status(Method::POST, "/hooks", &Value::Null).await, 401, "nobody has signed it");
        // The plan has one post.
        assert_eq!(status(Method::POST, "/posts", &writer["key"]).await, 403);
        let path = format!("/posts/{}", post["id"].as_str().expect("an id"));
        assert_eq!(status(Method::DELETE, &path, &reader["key"]).await, 403);
        assert_eq!(status(Method::DELETE, &path, &writer["key"]).await, 204);
        // Nine in a minute, of which two were used, none of them by what was refused.
        for _ in 2..9 {
            assert_eq!(status(Method::GET, "/posts", &writer["key"]).await, 200);
        }
        let (limited, wait, _) = ask(Method::GET, "/posts", &writer["key"]).await;
        assert_eq!((limited, wait), (429, true));
        let path = format!("/api/v1/api-keys/{}", reader["id"]);
        let disable = http_client(None).patch(server.url(&path)).bearer_auth(&root_key);
        let disable =
            disable.header("x-workspace-id", workspace.to_string()).json(&json!({ "enabled": false }));
        assert_eq!(disable.send().await.expect("an answer").status(), 200);
        assert_eq!(status(Method::GET, "/posts", &reader["key"]).await, 401);
        if index == 1 {
            // Nobody passes unseen.
            server.stop().await;
            assert_eq!(status(Method::GET, "/posts", &writer["key"]).await, 503);
            return;
        }
    }
}
