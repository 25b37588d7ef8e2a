//! The README's lines, pasted as they stand.

use std::{process::Stdio, time::Duration};

use gatepost_kernel::{Clock, SystemClock};
use gatepost_test_support::both_engines;
use gatepost_webhooks::{EndpointSecret, Verifier};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::running::{Installation, Running};

both_engines! { Installation: every_line_of_the_quick_start_works }

/// Runs a block of the quick start and keeps what every curl answers in a file.
async fn paste(installation: &Installation, key: &str, block: &str) -> String {
    let script = format!(
        "set -eu\nexport GATEPOST_KEY={key}\n\
         curl() {{ command curl --silent --show-error \"$@\" | tee -a answers; echo >> answers; }}\n{block}"
    );
    let mut bash = tokio::process::Command::new("bash");
    let output =
        bash.args(["-c", &script]).current_dir(installation.dir.path()).output().await.expect("bash");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read_to_string(installation.dir.path().join("answers")).unwrap_or_default()
}

async fn every_line_of_the_quick_start_works(installation: Installation) {
    let readme = include_str!("../../../../README.md");
    let quick_start = readme.split("## Quick start").nth(1).and_then(|rest| rest.split("\n## ").next());
    let blocks: Vec<&str> = quick_start
        .expect("a quick start")
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().expect("the end of a block"))
        .collect();
    let [start, calls, allow, receive, events, visits] = blocks.as_slice() else { panic!("{blocks:?}") };
    assert_eq!(start.trim(), "cargo run --release", "the first block starts the server");
    assert!(calls.matches("curl ").count() >= 8, "{calls}");

    let server = installation.serve().await;
    let key = server.first_key().await;
    let at = |block: &str, server: &Running| {
        block.replace("http://127.0.0.1:8080", &format!("http://{}", server.address))
    };
    // Each curl must find what it looks for; the one that is meant to be refused is announced.
    let answers = paste(&installation, &key, &at(calls, &server)).await;
    let errors = answers.matches("\"error\":").count();
    let expected = answers.matches("\"error\":\"key_revoked\"").count();
    assert_eq!((errors, expected), (1, 1), "the one refusal is the one that the README announces");
    server.stop().await;

    let (file, command) = allow.trim().split_once('\n').expect("two lines");
    paste(&installation, &key, file).await;
    let arguments: Vec<&str> =
        command.strip_prefix("cargo run --release -- ").expect("a start").split(' ').collect();
    let mut serve = vec!["serve", "--bind", "127.0.0.1:0"];
    serve.extend(arguments);
    let server = Running::start(installation.command(&serve)).await;
    // Free a moment ago.
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port();
    let mut bash = tokio::process::Command::new("bash");
    bash.args(["-c", &format!("exec {}", receive.replace("9000", &port.to_string()))]);
    let mut receiver =
        bash.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().expect("a receiver");
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        // Python needs a moment and does not say when it is ready.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let answers = paste(&installation, &key, &at(events, &server).replace("9000", &port.to_string())).await;
    let secret = answers.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let secret = secret.filter_map(|answer| answer["data"]["secret"].as_str().map(str::to_owned)).next_back();
    let (mut headers, mut body) = (Vec::new(), None);
    let mut lines = BufReader::new(receiver.stdout.take().expect("stdout")).lines();
    while body.is_none() {
        let line = lines.next_line().await.expect("a line").expect("the receiver goes on");
        match line.split_once(": ") {
            _ if line.trim_start().starts_with('{') => body = Some(line.trim_start().to_owned()),
            Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
            None => {}
        }
    }
    let body = body.expect("a body");
    assert!(body.contains("\"type\":\"order.paid\"") && body.contains("\"order\": 7"), "{body}");
    let secret = EndpointSecret::parse(&secret.expect("a secret")).expect("a secret");
    Verifier::new(secret)
        .verify(headers.as_slice(), body.as_bytes(), SystemClock.now())
        .expect("a signature that fits");
    let answers = paste(&installation, &key, &at(visits, &server)).await;
    assert!(
        answers.contains("{\"tracked\":true}") && answers.contains("\"group\":\"http://localhost/pricing\"")
    );
    assert_eq!(answers.matches("\"error\":").count(), 1, "none but the one that was announced");
    server.stop().await;
}

/// What the README shows of the examples is what they do, and the generated clients' tests run it.
#[test]
fn what_is_shown_of_generated_clients_is_in_their_examples() {
    let root = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = std::fs::read_to_string(root.join("README.md")).expect("the README");
    for (language, file) in
        [("ts", "typescript/example.ts"), ("python", "python/example.py"), ("rust", "rust/src/main.rs")]
    {
        let block = readme.split_once(&format!("```{language}\n")).expect(language).1;
        let shown = block.split_once("\n```").expect("its end").0;
        let example = std::fs::read_to_string(root.join("clients/examples").join(file)).expect(file);
        assert!(example.contains(shown.trim()), "{file} holds\n{shown}");
    }
}
