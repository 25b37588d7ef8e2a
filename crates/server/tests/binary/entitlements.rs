//! A limit is a limit, whatever dies on the way and however many servers count.

use std::{fs, sync::Arc};

use gatepost_test_support::{Engine, both_engines, http_client};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use crate::running::{Installation, Running};

both_engines! { Installation: a_limit_holds_across_kill_9 }

const CLIENTS: usize = 16;
const USES: usize = 1_600;
const LIMIT: usize = 1_000;
const CONFIG: &str = "[plans.enterprise]\naccess = \"admin\"\nfeatures = { api_calls = 1000 }\n";
const SERVE: [&str; 5] = ["serve", "--config", "gatepost.toml", "--bind", "127.0.0.1:0"];

/// Uses the feature until each use was decided, wherever the server is just now; tells of each whether it was
/// allowed.
async fn consume(
    addresses: watch::Receiver<String>,
    key: Arc<str>,
    client: usize,
    decided: mpsc::UnboundedSender<bool>,
) {
    let http = http_client(None);
    for number in (client..USES).step_by(CLIENTS) {
        let body = json!({ "feature": "api_calls", "idempotency_key": format!("use-{number}") });
        let allowed = loop {
            let url = format!("http://{}/api/v1/entitlements/consume", addresses.borrow().clone());
            let answer = http.post(url).bearer_auth(&*key).json(&body).send().await;
            // Whatever became of the last try, the same key is the same use.
            match answer.map(|answer| answer.status().as_u16()) {
                Ok(200) => break true,
                Ok(403) => break false,
                _ => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            }
        };
        if decided.send(allowed).is_err() {
            return;
        }
    }
}

async fn used(server: &Running, key: &str) -> Value {
    let path = "/api/v1/entitlements/check?feature=api_calls";
    let answer: Value = server.get(path, key).await.json().await.expect("JSON");
    answer["current_usage"].clone()
}

async fn a_limit_holds_across_kill_9(installation: Installation) {
    fs::write(installation.dir.path().join("gatepost.toml"), CONFIG).expect("the file");
    let mut server = Running::start(installation.command(&SERVE)).await;
    let key = server.first_key().await;
    let (address, addresses) = watch::channel(server.address.clone());
    let (sender, mut decided) = mpsc::unbounded_channel();
    for client in 0..CLIENTS {
        tokio::spawn(consume(addresses.clone(), key.as_str().into(), client, sender.clone()));
    }
    drop(sender);
    let mut kills = [USES / 8, USES / 3, USES / 2, USES * 3 / 4].into_iter().peekable();
    let mut allowed = 0;
    for number in 1..=USES {
        allowed += usize::from(decided.recv().await.expect("a decision"));
        if kills.next_if_eq(&number).is_some() {
            server.signal(Signal::SIGKILL);
            server.child.wait().await.expect("its end");
            server = Running::start(installation.command(&SERVE)).await;
            address.send_replace(server.address.clone());
        }
    }
    assert_eq!((allowed, used(&server, &key).await), (LIMIT, json!(LIMIT)));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_share_a_limit() {
    let installation = Installation::start(Engine::Postgres).await;
    fs::write(installation.dir.path().join("gatepost.toml"), CONFIG).expect("the file");
    let first = Running::start(installation.command(&SERVE)).await;
    let key = first.first_key().await;
    let second = Running::start(installation.command(&SERVE)).await;
    let (sender, mut decided) = mpsc::unbounded_channel();
    let channels = [&first, &second].map(|server| watch::channel(server.address.clone()));
    for client in 0..CLIENTS {
        // Every use is asked for at both: the same key is counted once, whoever is asked.
        for (_, addresses) in &channels {
            tokio::spawn(consume(addresses.clone(), key.as_str().into(), client, sender.clone()));
        }
    }
    drop(sender);
    let mut allowed = 0;
    for _ in 0..2 * USES {
        allowed += usize::from(decided.recv().await.expect("a decision"));
    }
    assert_eq!(allowed, 2 * LIMIT, "both say the same of each use");
    assert_eq!((used(&first, &key).await, used(&second, &key).await), (json!(LIMIT), json!(LIMIT)));
    first.stop().await;
    second.stop().await;
}
