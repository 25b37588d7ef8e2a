//! What the log says, and how it is turned down.

use std::{fs, process::Stdio};

use gatepost_test_support::{Receiver, both_engines, receiver::Reply};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::running::{Installation, Running};

both_engines! { Installation:
    what_a_request_came_to_is_found_in_the_log,
    what_is_given_up_is_a_warning,
    who_comes_near_a_limit_is_told,
    the_log_is_turned_down,
    the_log_is_for_people_if_they_say_so,
}

const SERVE: [&str; 5] = ["serve", "--config", "gatepost.toml", "--bind", "127.0.0.1:0"];

async fn start(installation: &Installation, config: &str, more: &[&str]) -> Running {
    fs::write(installation.dir.path().join("gatepost.toml"), config).expect("the file");
    Running::start(installation.command(&[&SERVE[..], more].concat())).await
}

/// Every line so far that is of the log of answers.
fn answers(server: &Running) -> Vec<Value> {
    let lines = server.log();
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["target"] == "gatepost::access").collect()
}

async fn what_a_request_came_to_is_found_in_the_log(installation: Installation) {
    let server = start(&installation, "[server]\nforward_auth_log_one_in = 3\n", &[]).await;
    let key = server.first_key().await;
    let ask = async |method, path: &str, key: &str, body| {
        server.send(method, path, key, body).await.expect("an answer").status().as_u16()
    };
    assert_eq!(ask(Method::GET, "/healthz", &key, None).await, 200);
    let event = json!({ "id": "evt_mine", "type": "order.paid", "data": {} });
    assert_eq!(ask(Method::POST, "/api/v1/events", &key, Some(event)).await, 202);
    assert_eq!(ask(Method::GET, "/api/v1/webhooks/77", &key, None).await, 404);
    assert_eq!(ask(Method::GET, "/api/v1/auth?scope=posts:read", "sk_live_nonsense", None).await, 401);
    // The first of them asks the database, and each worker counts for itself what it lets in from memory.
    for _ in 0..20 {
        assert_eq!(ask(Method::GET, "/api/v1/auth?scope=posts:read", &key, None).await, 204);
    }
    assert_eq!(ask(Method::DELETE, "/api/v1/webhooks/78", &key, None).await, 404);
    server.logged(r#""http.method":"DELETE""#).await;

    let lines = answers(&server);
    let line = |route: &str, status: u16| {
        let found = lines.iter().find(|line| line["http.route"] == route && line["http.status"] == status);
        found.unwrap_or_else(|| panic!("no line of {route}: {lines:#?}")).clone()
    };
    let published = line("/api/v1/events", 202);
    assert_eq!((&published["event.id"], &published["key.id"]), (&json!("evt_mine"), &json!(1)));
    assert!(published["request.id"].as_str().is_some_and(|id| id.starts_with("req_")), "{published}");
    assert_eq!(published["error.code"], Value::Null);
    assert_eq!(line("/api/v1/webhooks/{id}", 404)["error.code"], "not_found");
    assert_eq!(line("/api/v1/auth", 401)["error.code"], "unauthorized");
    let sampled: Vec<_> = lines.iter().filter(|line| line["one_in"] == 3).collect();
    assert!(sampled.iter().all(|line| line["http.route"] == "/api/v1/auth"), "{sampled:?}");
    let sampled = sampled.len();
    assert!((1..=6).contains(&sampled), "{sampled} of 19 or 20 were logged");
    assert!(!lines.iter().any(|line| line["http.route"] == "/healthz"), "probes are for debugging");
}

async fn what_is_given_up_is_a_warning(installation: Installation) {
    let config = "[webhooks]\nallow_http = true\n[egress]\nallow = [\"127.0.0.1/32\"]\n";
    let server = start(&installation, config, &[]).await;
    let key = server.first_key().await;
    let receiver = Receiver::start().await;
    receiver.always(Reply::status(410, "", ""));
    let body = json!({ "url": receiver.url("/"), "events": ["order.*"] });
    assert_eq!(server.post("/api/v1/webhooks", &key, body).await.status(), 201);
    let event = json!({ "id": "evt_lost", "type": "order.paid", "data": {} });
    assert_eq!(server.post("/api/v1/events", &key, event).await.status(), 202);
    server.logged("an endpoint was made inactive").await;
    let log = server.log();
    let warning = |message: &str| {
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.into_iter().find(|line| line["message"] == message).expect(message)
    };
    let failed = warning("a delivery has failed and is not tried again");
    assert_eq!(
        (&failed["level"], &failed["event.id"], &failed["endpoint.id"], &failed["workspace.id"]),
        (&json!("WARN"), &json!("evt_lost"), &json!(1), &json!(1))
    );
    assert_eq!((&failed["http.status"], &failed["attempts"]), (&json!(410), &json!(1)));
    let disabled = warning("an endpoint was made inactive");
    assert_eq!((&disabled["level"], &disabled["endpoint.id"]), (&json!("WARN"), &json!(1)));
}

async fn who_comes_near_a_limit_is_told(installation: Installation) {
    let config =
        "[workspaces]\nroot_plan = \"small\"\n[plans.small]\naccess = \"admin\"\nfeatures = { posts = 10 }\n";
    let server = start(&installation, config, &[]).await;
    let key = server.first_key().await;
    for quantity in [7, 1] {
        let body = json!({ "feature": "posts", "quantity": quantity });
        assert_eq!(server.post("/api/v1/entitlements/consume", &key, body).await.status(), 200);
    }
    let log = server.logged("a threshold was reached").await;
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let lines: Vec<_> = lines.iter().filter(|line| line["message"] == "a threshold was reached").collect();
    assert_eq!((lines.len(), &lines[0]["workspace.id"]), (1, &json!(1)), "{log}");
    let event: Value = serde_json::from_str(lines[0]["event"].as_str().expect("the event")).expect("JSON");
    let data = &event["data"];
    assert_eq!(
        (&data["feature"], &data["threshold"], &data["used"]),
        (&json!("posts"), &json!(80), &json!(8))
    );
}

async fn the_log_is_turned_down(installation: Installation) {
    let server = start(&installation, "", &["--log", "info,gatepost::access=warn"]).await;
    let key = server.first_key().await;
    assert_eq!(server.get("/api/v1/workspaces", &key).await.status(), 200);
    installation.sql("ALTER TABLE webhook_endpoints RENAME TO gone").await;
    assert_eq!(server.get("/api/v1/webhooks", &key).await.status(), 500);
    let log = server.logged("request failed").await;
    let answers = answers(&server);
    assert_eq!(answers.len(), 1, "{log}");
    assert_eq!((&answers[0]["level"], &answers[0]["error.code"]), (&json!("ERROR"), &json!("server_error")));
}

async fn the_log_is_for_people_if_they_say_so(installation: Installation) {
    let mut command = installation.command(&["serve", "--bind", "127.0.0.1:0", "--log-format", "text"]);
    let mut server =
        command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("gatepost");
    let mut lines = BufReader::new(server.stderr.take().expect("its log")).lines();
    let ready = loop {
        let line = lines.next_line().await.expect("a line").expect("a line before its end");
        if line.contains("server.address=127.0.0.1") {
            break line;
        }
    };
    assert!(serde_json::from_str::<Value>(&ready).is_err(), "{ready}");
}
