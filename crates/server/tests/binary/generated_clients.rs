//! Clients that were generated from the OpenAPI documents, unedited, and a fuzzer that knows nothing but the
//! document, against a running server. `cargo xtask test --full` generates them.

use std::{fs, path::PathBuf};

use gatepost_test_support::{Receiver, both_engines, http_client};
use serde_json::{Map, Value, json};
use tokio::process::Command;

use crate::running::{Installation, Running};

both_engines! { Installation:
    clients_are_made_of_what_is_served,
    generated_clients_do_what_people_do,
    nothing_that_the_document_allows_breaks_the_server,
    generated_clients_work_with_the_records_of_faces,
    nothing_that_the_documents_of_faces_allow_breaks_the_server,
}

const CONFIG: &str = "[webhooks]\nallow_http = true\n[egress]\nallow = [\"127.0.0.1/32\"]\n\
                      [limits]\nanonymous_per_minute = 1000000\n[pixel]\nrequests_per_minute = 1000000\n[plans.enterprise]\naccess = \"admin\"\n\
                      features = { posts = \"unlimited\", api_calls = \"unlimited\", webhooks = \"unlimited\" }\n";
const SERVE: [&str; 5] = ["serve", "--config", "gatepost.toml", "--bind", "127.0.0.1:0"];
/// Requests that the fuzzer makes up for each operation, beside those that it finds at the edges of the
/// schemas.
const EXAMPLES: &str = "30";

fn is_full() -> bool {
    std::env::var_os("GATEPOST_TEST_FULL").is_some()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

async fn start(installation: &Installation) -> (Running, String) {
    fs::write(installation.dir.path().join("gatepost.toml"), CONFIG).expect("the configuration");
    let server = Running::start(installation.command(&SERVE)).await;
    let key = server.first_key().await;
    (server, key)
}

/// The documents that clients are generated from are those that the server serves.
async fn clients_are_made_of_what_is_served(installation: Installation) {
    let (server, _) = start(&installation).await;
    for name in ["openapi.json", "openapi-3.0.json"] {
        let served: Value = server.get(&format!("/{name}"), "").await.json().await.expect("JSON");
        let text = fs::read_to_string(root().join("openapi").join(name)).expect(name);
        assert_eq!(served, serde_json::from_str::<Value>(&text).expect("JSON"), "{name}");
    }
    server.stop().await;
}

async fn generated_clients_do_what_people_do(installation: Installation) {
    if !is_full() {
        return;
    }
    let (server, key) = start(&installation).await;
    let receiver = Receiver::start().await;
    let clients = root().join("target/clients");
    let mut typescript = Command::new("node");
    typescript.arg(clients.join("typescript/out/example.js"));
    let mut python = Command::new(clients.join("python-tools/bin/python"));
    python.arg(root().join("clients/examples/python/example.py"));
    python.env("PYTHONPATH", clients.join("python-client"));
    let rust = Command::new(clients.join("rust/debug/gatepost-example"));
    for mut client in [typescript, python, rust] {
        client.env("GATEPOST_URL", server.url("")).env("GATEPOST_KEY", &key);
        let output = client.env("WEBHOOK_URL", receiver.url("/")).output().await.expect("the client");
        let (said, complaint) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{client:?}: {complaint}");
        assert!(said.contains("a workspace, 60 keys, an event and its delivery"), "{said}");
    }
    server.stop().await;
}

async fn nothing_that_the_document_allows_breaks_the_server(installation: Installation) {
    if !is_full() {
        return;
    }
    let (server, key) = start(&installation).await;
    fuzz(&installation, &server, &key, "/api/v1", &json!({})).await;
    server.stop().await;
}

/// Sends what the server's document allows, and much that it does not. `records` are some that there are, by
/// what their ids begin with.
async fn fuzz(installation: &Installation, server: &Running, key: &str, base: &str, records: &Value) {
    let tools = root().join("target/clients/python-tools/bin");
    let mut fuzzer = Command::new(tools.join("schemathesis"));
    fuzzer.args(["--config-file", "schemathesis.toml", "run", &server.url("/openapi.json")]);
    fuzzer.arg("--header").arg(format!("Authorization: Bearer {key}"));
    fuzzer.args(["--checks", "all", "--continue-on-failure", "--no-color", "--max-examples", EXAMPLES]);
    // The same requests each time: what fails must fail again.
    fuzzer.arg("--generation-deterministic");
    // In a directory of its own: what it remembers of one run is not to change the next.
    for file in ["schemathesis.toml", "hooks.py"] {
        fs::copy(root().join("clients/fuzz").join(file), installation.dir.path().join(file)).expect(file);
    }
    fuzzer.current_dir(installation.dir.path()).env("PYTHONPATH", ".");
    fuzzer.env("GATEPOST_BASE", base).env("GATEPOST_RECORDS", records.to_string());
    // The first key of an empty database.
    let output = fuzzer.env("GATEPOST_KEY_ID", "1").output().await.expect("the fuzzer");
    // Its report repeats requests, and with them the key.
    let report = String::from_utf8_lossy(&output.stdout).replace(key, "sk_…");
    assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
}

/// What every preset is given here beside what it says, and a plan of the root without limits.
fn config_of_face(preset: &str) -> String {
    let file = root().join("presets").join(format!("{preset}.toml"));
    let text = fs::read_to_string(file).expect("a preset");
    let plan = text
        .split("[plans.enterprise]")
        .nth(1)
        .and_then(|rest| rest.lines().find(|line| line.starts_with("features")));
    let plan = plan.expect("the features of the plan").replace("{ ", "{ posts = \"unlimited\", ");
    format!(
        "[server]\nplain_http = \"allow\"\n[webhooks]\nallow_http = true\n[egress]\nallow = [\"127.0.0.1/32\"]\n\
         [limits]\nanonymous_per_minute = 1000000\n[pixel]\nrequests_per_minute = 1000000\n\
         [features.posts]\ntype = \"limit\"\n[plans.enterprise]\naccess = \"admin\"\n{plan}\n"
    )
}

async fn start_face(installation: &Installation, preset: &str) -> (Running, String) {
    fs::write(installation.dir.path().join("gatepost.toml"), config_of_face(preset))
        .expect("the configuration");
    let args = [&["serve", "--preset", preset], &SERVE[1..]].concat();
    let server = Running::start(installation.command(&args)).await;
    let key = server.first_key().await;
    (server, key)
}

async fn generated_clients_work_with_the_records_of_faces(installation: Installation) {
    if !is_full() {
        return;
    }
    let clients = root().join("target/clients");
    for (preset, script, said) in [
        ("anvil", "anvil", "25 leads, a conversation and its message"),
        ("workspace-api", "workspace_api", "a project and 25 tasks"),
    ] {
        let installation = installation.another().await;
        let (server, key) = start_face(&installation, preset).await;
        let mut typescript = Command::new("node");
        typescript.arg(clients.join(format!("typescript/out/{preset}.js")));
        let mut python = Command::new(clients.join("python-tools/bin/python"));
        python.arg(root().join(format!("clients/examples/python/{script}.py")));
        python.env("PYTHONPATH", clients.join(format!("python-{preset}")));
        for mut client in [typescript, python] {
            client.env("GATEPOST_URL", server.url("")).env("GATEPOST_KEY", &key);
            let output = client.output().await.expect("the client");
            let (text, complaint) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success() && text.contains(said), "{client:?}: {text}{complaint}");
        }
        server.stop().await;
    }
}

async fn nothing_that_the_documents_of_faces_allow_breaks_the_server(installation: Installation) {
    if !is_full() {
        return;
    }
    let anvil = [
        ("/collections", json!({ "name": "Fuzzed" })),
        ("/leads", json!({ "name": "Fuzzed" })),
        ("/conversations", json!({})),
    ];
    let workspace_api = [("/projects", json!({ "name": "Fuzzed" }))];
    for (preset, records) in [("anvil", &anvil[..]), ("workspace-api", &workspace_api[..])] {
        let installation = installation.another().await;
        let (server, key) = start_face(&installation, preset).await;
        let mut made = Map::new();
        for (path, body) in records {
            let request =
                http_client(None).post(server.url(&format!("/v1{path}"))).bearer_auth(&key).json(body);
            let answer: Value = request.send().await.expect("an answer").json().await.expect("JSON");
            let id = answer["data"]["id"].as_str().expect("an id");
            made.insert(format!("{}_", id.split('_').next().unwrap_or_default()), json!(id));
        }
        fuzz(&installation, &server, &key, "/v1", &Value::Object(made)).await;
        server.stop().await;
    }
}
