//! The key that encrypts stored secrets: missing, wrong, new, replaced, lost; and a secret that cannot be
//! read while the server runs.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    time::Duration,
};

use gatepost_kernel::{Clock, SystemClock};
use gatepost_test_support::{Engine, Receiver, both_engines};
use nix::unistd::{User, geteuid};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::running::{Installation, PROGRAM, Running};

both_engines! { Installation:
    the_key_must_fit_what_is_stored,
    a_lost_key_can_be_given_up,
    a_secret_that_cannot_be_read_makes_its_deliveries_wait,
    what_is_moved_to_another_endpoint_is_not_decrypted_there,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_processes_of_its_user_cannot_read_what_is_in_its_memory() {
    let installation = Installation::start(Engine::Postgres).await;
    let program = installation.dir.path().join("gatepost");
    let mut command = installation.command(&["serve", "--bind", "127.0.0.1:0"]);
    if geteuid().is_root() {
        // Root may read everything, so it is another's. Who that is may not be able to see where this program
        // was built.
        let nobody = User::from_name("nobody").expect("the users").expect("nobody");
        chown(installation.dir.path(), Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw()))
            .expect("its directory");
        fs::copy(PROGRAM, &program).expect("the program");
        command = installation.command_of(&program, &["serve", "--bind", "127.0.0.1:0"]);
        command.uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
    }
    let server = Running::start(command).await;
    let environment = format!("/proc/{}/environ", server.pid());
    assert_eq!(fs::metadata(environment).expect("its environment").uid(), 0, "root's alone");
    server.stop().await;
}

const FIRST: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const SECOND: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
/// A secret as it was stored before texts were bound to their places, under the first key.
const UNBOUND: &str = "sealed:66687aadAAECAwQFBgcICQoLDA0ODxAREhMUFRYXyr+RN5NuBeZKbmAt1mCa0Jn3dBgmVYBWWVlXIN3QYwFs8PLbILfbEnUnwiyjCWu/s6Yg6agsFEZK0RRUH0UbuZ5hcoGbMiv7ZeM=";
const OF_UNBOUND: &str = "whsec_dGhlIHNlY3JldCBvZiBhbiBlbmRwb2ludCBmcm9tIGJlZm9yZQ==";
const CONFIG: &str = "[webhooks]\nallow_http = true\n[egress]\nallow = [\"127.0.0.1/32\"]\n";
const SERVE: [&str; 5] = ["serve", "--config", "gatepost.toml", "--bind", "127.0.0.1:0"];

/// A command with the keys, if any.
fn with(installation: &Installation, keys: &str, args: &[&str]) -> Command {
    let mut command = installation.command(args);
    if !keys.is_empty() {
        command.env("GATEPOST_SECRET_KEY", keys);
    }
    command
}

async fn serve(installation: &Installation, keys: &str) -> Running {
    fs::write(installation.dir.path().join("gatepost.toml"), CONFIG).expect("the file");
    Running::start(with(installation, keys, &SERVE)).await
}

async fn json_of(mut command: Command) -> (Option<i32>, Value) {
    let output = command.output().await.expect("running gatepost");
    let object = serde_json::from_slice(&output.stdout).expect("JSON");
    (output.status.code(), object)
}

/// Makes an endpoint with a header; its secret.
async fn endpoint(server: &Running, key: &str, receiver: &Receiver) -> String {
    let body = json!({ "url": receiver.url("/"), "events": ["*"], "headers": { "X-Team": "orders" } });
    let made: Value = server.post("/api/v1/webhooks", key, body).await.json().await.expect("JSON");
    made["data"]["secret"].as_str().expect("a secret").to_owned()
}

/// Sends a test and verifies what arrives.
async fn a_test_arrives(server: &Running, key: &str, receiver: &Receiver, secret: &str) {
    let before = receiver.received().len();
    let tested: Value =
        server.post("/api/v1/webhooks/1/test", key, json!(null)).await.json().await.expect("JSON");
    assert_eq!(tested["success"], true, "{tested}");
    let received = receiver.wait_for(before + 1).await.remove(before);
    received.verify(secret, SystemClock.now()).expect("a signature that fits");
    assert_eq!(received.header("x-team"), "orders");
}

async fn the_key_must_fit_what_is_stored(installation: Installation) {
    let receiver = Receiver::start().await;
    let server = serve(&installation, "").await;
    let key = server.first_key().await;
    let secret = endpoint(&server, &key, &receiver).await;
    server.stop().await;
    let rotate: Vec<&str> = vec!["secrets", "reseal", "--json"];

    // There is a key now, and what was stored before is readable for everybody.
    let error = installation.refused(with(&installation, FIRST, &SERVE)).await;
    assert!(error.contains("stored unencrypted") && error.contains("gatepost secrets reseal"), "{error}");
    let (code, report) = json_of(with(&installation, FIRST, &["doctor", "--json"])).await;
    assert!(code == Some(1) && report.to_string().contains("gatepost secrets reseal"), "{report}");
    let (code, report) = json_of(with(&installation, "", &["doctor", "--json"])).await;
    assert!(
        code == Some(0)
            && report
                .to_string()
                .contains("1 of webhook endpoints and second factors are stored unencrypted")
    );
    let error = installation.refused(with(&installation, "", &rotate)).await;
    assert!(error.contains("GATEPOST_SECRET_KEY is not set"), "{error}");
    let (code, done) = json_of(with(&installation, FIRST, &rotate)).await;
    assert_eq!((code, &done["resealed"], &done["unchanged"]), (Some(0), &json!(1), &json!(0)));
    let (code, done) = json_of(with(&installation, FIRST, &rotate)).await;
    assert_eq!((code, &done["resealed"], &done["unchanged"]), (Some(0), &json!(0), &json!(1)));
    let server = serve(&installation, FIRST).await;
    let read = server.get("/api/v1/webhooks/1", &key).await.json::<Value>().await.expect("JSON");
    assert_eq!(
        read["data"]["created_at"], read["data"]["updated_at"],
        "nothing has changed for those who see it"
    );
    a_test_arrives(&server, &key, &receiver, &secret).await;
    server.stop().await;

    // Without the key, and with another.
    let error = installation.refused(with(&installation, "", &SERVE)).await;
    assert!(
        error.contains("GATEPOST_SECRET_KEY is not set") && error.contains("encrypted with the key"),
        "{error}"
    );
    let error = installation.refused(with(&installation, SECOND, &SERVE)).await;
    assert!(error.contains("not in GATEPOST_SECRET_KEY") && !error.contains(SECOND), "{error}");
    let (code, report) = json_of(with(&installation, SECOND, &["doctor", "--json"])).await;
    assert!(code == Some(1) && report.to_string().contains("not in GATEPOST_SECRET_KEY"), "{report}");

    // The key is replaced beside a running server that knows both.
    let both = format!("{SECOND},{FIRST}");
    let server = serve(&installation, &both).await;
    let (code, done) = json_of(with(&installation, &both, &rotate)).await;
    assert_eq!((code, &done["resealed"]), (Some(0), &json!(1)));
    a_test_arrives(&server, &key, &receiver, &secret).await;
    server.stop().await;
    let server = serve(&installation, SECOND).await;
    a_test_arrives(&server, &key, &receiver, &secret).await;
    server.stop().await;
    installation.refused(with(&installation, FIRST, &SERVE)).await;

    // A deleted endpoint needs no key.
    let server = serve(&installation, SECOND).await;
    let deleted = server.send(Method::DELETE, "/api/v1/webhooks/1", &key, None).await.expect("an answer");
    assert_eq!(deleted.status(), 204);
    server.stop().await;
    serve(&installation, FIRST).await.stop().await;
}

async fn a_lost_key_can_be_given_up(installation: Installation) {
    let receiver = Receiver::start().await;
    let server = serve(&installation, FIRST).await;
    let key = server.first_key().await;
    endpoint(&server, &key, &receiver).await;
    server.stop().await;
    let (code, done) = json_of(with(&installation, SECOND, &["secrets", "reseal", "--json"])).await;
    assert_eq!((code, &done["unreadable"], &done["replaced"]), (Some(1), &json!(1), &json!(0)));
    installation.refused(with(&installation, SECOND, &SERVE)).await;
    let (code, done) =
        json_of(with(&installation, SECOND, &["secrets", "reseal", "--replace-lost", "--json"])).await;
    assert_eq!((code, &done["unreadable"], &done["replaced"]), (Some(0), &json!(0), &json!(1)));
    let server = serve(&installation, SECOND).await;
    let read =
        server.get("/api/v1/webhooks/1", &key).await.json::<Value>().await.expect("JSON")["data"].take();
    assert_eq!((&read["is_active"], &read["header_names"]), (&json!(false), &json!([])));
    assert!(read["disabled_reason"].as_str().is_some_and(|reason| reason.contains("was lost")), "{read}");
    server.stop().await;
}

async fn a_secret_that_cannot_be_read_makes_its_deliveries_wait(installation: Installation) {
    let receiver = Receiver::start().await;
    let server = serve(&installation, FIRST).await;
    let key = server.first_key().await;
    let secret = endpoint(&server, &key, &receiver).await;
    // As another node with another key would store it.
    installation.sql("UPDATE webhook_endpoints SET secret = 'bound:0badc0de' || substr(secret, 15)").await;
    for number in 0..3 {
        let event = json!({ "type": "order.paid", "data": number });
        assert_eq!(server.post("/api/v1/events", &key, event).await.status(), 202);
    }
    let list = "/api/v1/webhooks/1/deliveries";
    // It is written down in a batch a moment later; nothing signals it to the outside.
    let deliveries = loop {
        let list: Value = server.get(list, &key).await.json().await.expect("JSON");
        let all = list["data"].as_array().expect("a list").clone();
        if all.iter().all(|delivery| delivery["error"].is_string()) {
            break all;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    for delivery in &deliveries {
        assert_eq!((&delivery["status"], &delivery["attempt"]), (&json!("pending"), &json!(1)));
        assert!(delivery["next_retry_at"].is_string(), "{delivery}");
    }
    let tested: Value =
        server.post("/api/v1/webhooks/1/test", &key, json!(null)).await.json().await.expect("JSON");
    assert!(tested["error"].as_str().is_some_and(|error| error.contains("cannot be decrypted")), "{tested}");
    let log = server.logged("because of an error of this server's own").await;
    assert_eq!(
        log.matches("because of an error of this server's own").count(),
        1,
        "once, not for each delivery"
    );
    let (code, report) = json_of(with(&installation, FIRST, &["doctor", "--json"])).await;
    assert!(code == Some(1) && report.to_string().contains("0badc0de"), "{report}");
    server.stop().await;
    let error = installation.refused(with(&installation, FIRST, &SERVE)).await;
    assert!(error.contains("0badc0de"), "{error}");

    // The first key's name: eight characters of its digest.
    installation.sql("UPDATE webhook_endpoints SET secret = 'bound:66687aad' || substr(secret, 15)").await;
    let server = serve(&installation, FIRST).await;
    for delivery in &deliveries {
        let retry = format!("{list}/{}/retry", delivery["id"]);
        assert_eq!(server.post(&retry, &key, json!(null)).await.status(), 200);
    }
    for received in receiver.wait_for(3).await {
        received.verify(&secret, SystemClock.now()).expect("a signature that fits");
    }
    server.stop().await;
}

async fn what_is_moved_to_another_endpoint_is_not_decrypted_there(installation: Installation) {
    let (receiver, other) = (Receiver::start().await, Receiver::start().await);
    let server = serve(&installation, FIRST).await;
    let key = server.first_key().await;
    let secret = endpoint(&server, &key, &receiver).await;
    endpoint(&server, &key, &other).await;
    for column in ["secret", "headers"] {
        let moved = format!(
            "UPDATE webhook_endpoints SET {column} = (SELECT {column} FROM webhook_endpoints WHERE id = 1) WHERE id = 2"
        );
        installation.sql(&moved).await;
        let tested: Value =
            server.post("/api/v1/webhooks/2/test", &key, json!(null)).await.json().await.expect("JSON");
        let error = tested["error"].as_str().unwrap_or_default();
        assert!(error.contains("cannot be decrypted"), "{column}: {tested}");
    }
    assert!(other.received().is_empty(), "nothing is sent");
    a_test_arrives(&server, &key, &receiver, &secret).await;

    // One from before is still used, said, and bound when it is stored anew.
    installation.sql(&format!("UPDATE webhook_endpoints SET secret = '{UNBOUND}' WHERE id = 1")).await;
    a_test_arrives(&server, &key, &receiver, OF_UNBOUND).await;
    let deleted = server.send(Method::DELETE, "/api/v1/webhooks/2", &key, None).await.expect("an answer");
    assert_eq!(deleted.status(), 204);
    let (code, report) = json_of(with(&installation, FIRST, &["doctor", "--json"])).await;
    assert!(code == Some(0) && report.to_string().contains("encrypted as before"), "{report}");
    let (code, done) = json_of(with(&installation, FIRST, &["secrets", "reseal", "--json"])).await;
    assert_eq!((code, &done["resealed"]), (Some(0), &json!(1)));
    a_test_arrives(&server, &key, &receiver, OF_UNBOUND).await;
    let (code, report) = json_of(with(&installation, FIRST, &["doctor", "--json"])).await;
    assert!(code == Some(0) && !report.to_string().contains("encrypted as before"), "{report}");
    server.stop().await;
}
