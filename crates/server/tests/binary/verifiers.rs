//! What is received is verified by the receivers' own libraries: the standardwebhooks packages of PyPI and
//! npm.

use std::{fs, path::PathBuf, process::Stdio};

use gatepost_test_support::{Receiver, both_engines, receiver::Received};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command};

use crate::running::{Installation, Running};

both_engines! { Installation: the_packages_of_other_languages_verify_what_is_received }

const CONFIG: &str = "[webhooks]\nallow_http = true\n[egress]\nallow = [\"127.0.0.1/32\"]\n";
const SERVE: [&str; 5] = ["serve", "--config", "gatepost.toml", "--bind", "127.0.0.1:0"];

/// The programs of `clients/verify`, which `cargo xtask test` installs what they need for.
fn verifiers() -> [Command; 2] {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let installed = root.join("target/clients");
    assert!(
        installed.join("node/installed.txt").exists(),
        "`cargo xtask test` installs what this test needs"
    );
    let mut python = Command::new(installed.join("python/bin/python"));
    python.arg(root.join("clients/verify/verify.py"));
    let mut node = Command::new("node");
    node.arg(installed.join("node/verify.mjs"));
    [python, node]
}

/// What a verifier says of a request: the event's id, if it believes it.
async fn verify(mut verifier: Command, secret: &str, received: &Received) -> Option<String> {
    let headers: serde_json::Map<String, Value> =
        received.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let body = std::str::from_utf8(&received.body).expect("text");
    let request = json!({ "headers": headers, "body": body }).to_string();
    verifier.arg(secret).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = verifier.spawn().expect("the verifier");
    let mut stdin = child.stdin.take().expect("its input");
    stdin.write_all(request.as_bytes()).await.expect("the request");
    drop(stdin);
    let output = child.wait_with_output().await.expect("its end");
    let complaint = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Some(String::from_utf8(output.stdout).expect("text").trim().to_owned());
    }
    assert!(complaint.contains("WebhookVerificationError"), "{complaint}");
    None
}

async fn the_packages_of_other_languages_verify_what_is_received(installation: Installation) {
    fs::write(installation.dir.path().join("gatepost.toml"), CONFIG).expect("the configuration");
    let (receiver, server) = (Receiver::start().await, Running::start(installation.command(&SERVE)).await);
    let key = server.first_key().await;
    let hook = json!({ "url": receiver.url("/"), "events": ["*"] });
    let made: Value = server.post("/api/v1/webhooks", &key, hook).await.json().await.expect("JSON");
    let old = made["data"]["secret"].as_str().expect("a secret").to_owned();
    let event = json!({ "type": "post.created", "data": { "title": "Grüße, 世界 \u{1f30d}", "n": 1.5 } });
    assert_eq!(server.post("/api/v1/events", &key, event.clone()).await.status(), 202);
    receiver.wait_for(1).await;
    // In the overlap, those who know either secret believe it.
    let rotate = format!("/api/v1/webhooks/{}/rotate-secret", made["data"]["id"]);
    let rotated: Value = server.post(&rotate, &key, json!({})).await.json().await.expect("JSON");
    let new = rotated["data"]["secret"].as_str().expect("a secret").to_owned();
    assert_eq!(server.post("/api/v1/events", &key, event).await.status(), 202);
    let received = receiver.wait_for(2).await;

    for verifier in verifiers().map(|verifier| move || copy(&verifier)) {
        let id = |installation: usize| Some(received[installation].header("webhook-id").to_owned());
        assert_eq!(verify(verifier(), &old, &received[0]).await, id(0));
        assert_eq!(verify(verifier(), &new, &received[0]).await, None, "a secret that came later");
        assert_eq!(verify(verifier(), &old, &received[1]).await, id(1));
        assert_eq!(verify(verifier(), &new, &received[1]).await, id(1));
        let mut forged = received[1].clone();
        forged.body = forged.body.iter().map(|byte| if *byte == b'1' { b'2' } else { *byte }).collect();
        assert_eq!(verify(verifier(), &new, &forged).await, None, "another body");
    }
    server.stop().await;
}

fn copy(command: &Command) -> Command {
    let command = command.as_std();
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args());
    copy
}
