//! The guard against a name server that answers as an attacker wants it to.

use std::{fs, net::Ipv4Addr, process::Stdio};

use gatepost_test_support::{NameServer, Receiver, both_engines};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::running::{Installation, Running};

both_engines! { Installation: a_name_that_turns_inwards_does_not_get_a_request_through }

const CONFIG: &str = "[webhooks]\nallow_http = true\nretry_schedule = [\"1s\"]\n";
const SERVE: &str = "mount --bind \"$1\" /etc/resolv.conf && shift && exec \"$@\"";
const PUBLIC: Ipv4Addr = Ipv4Addr::new(93, 184, 215, 14);

/// Starts the server with a name server of its own.
async fn serve(installation: &Installation, names: &NameServer) -> Running {
    let dir = installation.dir.path();
    fs::write(dir.join("gatepost.toml"), CONFIG).expect("the configuration");
    let resolv = dir.join("resolv.conf");
    fs::write(&resolv, format!("nameserver {}\noptions timeout:1 attempts:5\n", names.address))
        .expect("resolv.conf");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", SERVE, "sh"]).arg(resolv).arg(env!("CARGO_BIN_EXE_gatepost"));
    command.args(["serve", "--config", "gatepost.toml", "--bind", "127.0.0.1:0"]);
    command
        .current_dir(dir)
        .env("DATABASE_URL", &installation.database.url)
        .kill_on_drop(true)
        .stdin(Stdio::null());
    Running::start(command).await
}

async fn a_name_that_turns_inwards_does_not_get_a_request_through(installation: Installation) {
    let (receiver, inside) = (Receiver::start().await, Ipv4Addr::LOCALHOST);
    let names = NameServer::start([
        ("turns.example", vec![vec![PUBLIC], vec![inside]]),
        ("both.example", vec![vec![PUBLIC, inside]]),
        ("later.example", vec![vec![PUBLIC], vec![inside, PUBLIC]]),
    ])
    .await;
    let server = serve(&installation, &names).await;
    let key = server.first_key().await;
    let url = |name: &str| format!("http://{name}:{}/", receiver.address.port());
    let make = async |name: &str| {
        let body = json!({ "url": url(name), "events": ["post.created"] });
        let answer = server.post("/api/v1/webhooks", &key, body).await;
        (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
    };

    let (status, refused) = make("both.example").await;
    assert_eq!(status, 422, "one of its addresses is not public: {refused}");
    assert!(refused["errors"]["url"].is_array(), "{refused}");

    let mut endpoints = Vec::new();
    for name in ["turns.example", "later.example"] {
        let (status, made) = make(name).await;
        assert_eq!((status, names.asked(name)), (201, 1), "it is public now: {made}");
        endpoints.push(made["data"]["id"].as_i64().expect("an id"));
    }
    let event = json!({ "type": "post.created", "data": {} });
    assert_eq!(server.post("/api/v1/events", &key, event).await.status(), 202);
    for id in &endpoints {
        let failed = loop {
            let path = format!("/api/v1/webhooks/{id}/deliveries?status=failed");
            let list: Value = server.get(&path, &key).await.json().await.expect("JSON");
            if list["meta"]["total"] == 1 {
                break list["data"][0].clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        let path = format!("/api/v1/webhooks/{id}/deliveries/{}", failed["id"]);
        let failed: Value = server.get(&path, &key).await.json().await.expect("JSON");
        let reason = &failed["data"]["attempts"][0]["error"];
        assert_eq!(reason, "The url leads to an address that is not public.", "{failed}");
    }
    // A test send takes the same way.
    let tested = server.post(&format!("/api/v1/webhooks/{}/test", endpoints[0]), &key, Value::Null).await;
    let tested: Value = tested.json().await.expect("JSON");
    assert_eq!(tested["data"]["success"].as_bool().or(tested["success"].as_bool()), Some(false), "{tested}");
    assert!(receiver.received().is_empty(), "nothing came through");
    server.stop().await;
}
