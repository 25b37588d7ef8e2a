//! Every event that was accepted arrives, whatever dies on the way. `cargo xtask test --full` sends ten times
//! as many.

use std::{
    collections::{HashMap, HashSet},
    fs,
    sync::Arc,
    time::Duration,
};

use gatepost_test_support::{PostgresServer, Receiver, both_engines, http_client, receiver::Reply};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use crate::running::{Installation, Running, command};

both_engines! { Installation: no_event_is_lost_by_kill_9, one_silent_endpoint_keeps_nobody_waiting }

const CLIENTS: usize = 8;
/// Leases are short, so that what a dead server had is sent again soon.
const CONFIG: &str =
    "[webhooks]\nallow_http = true\ntimeout = \"1s\"\n[egress]\nallow = [\"127.0.0.1/32\"]\n";
const SERVE: [&str; 5] = ["serve", "--config", "gatepost.toml", "--bind", "127.0.0.1:0"];

fn events() -> usize {
    if std::env::var_os("GATEPOST_TEST_FULL").is_some() { 20_000 } else { 2_000 }
}

/// Publishes until every event was accepted, wherever the server is just now; tells how many are.
async fn publish(
    addresses: watch::Receiver<String>,
    key: Arc<str>,
    client: usize,
    count: usize,
    accepted: mpsc::UnboundedSender<()>,
) {
    let http = http_client(None);
    for number in (client..count).step_by(CLIENTS) {
        let body = json!({ "id": format!("evt_{number}"), "type": "counted", "data": { "number": number } });
        loop {
            let url = format!("http://{}/api/v1/events", addresses.borrow().clone());
            let answer = http.post(url).bearer_auth(&*key).json(&body).send().await;
            // Whatever it was, the same id is the same event.
            if answer.is_ok_and(|answer| answer.status() == 202) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if accepted.send(()).is_err() {
            return;
        }
    }
}

/// Waits until the receiver has every event, and says how many came more than once.
#[expect(clippy::print_stdout, reason = "how many is a figure to know, not to assert")]
async fn everything_arrives(receiver: &Receiver, count: usize) {
    let mut seen = 0;
    loop {
        let received = receiver.wait_for(seen.max(count)).await;
        seen = received.len() + 1;
        let mut copies = HashMap::<String, (usize, HashSet<Vec<u8>>)>::new();
        for one in received {
            let entry = copies.entry(one.header("webhook-id").to_owned()).or_default();
            entry.0 += 1;
            entry.1.insert(one.body);
        }
        if copies.len() == count {
            assert!(copies.values().all(|(_, bodies)| bodies.len() == 1), "a repetition is the same event");
            let twice = copies.values().filter(|(copies, _)| *copies > 1).count();
            println!("{count} events: 0 lost, {twice} delivered more than once under the same webhook-id");
            return;
        }
    }
}

async fn make_endpoint(server: &Running, key: &str, receiver: &Receiver) -> i64 {
    let body = json!({ "url": receiver.url("/"), "events": ["counted"] });
    let made: Value = server.post("/api/v1/webhooks", key, body).await.json().await.expect("JSON");
    made["data"]["id"].as_i64().expect("an id")
}

async fn no_event_is_lost_by_kill_9(installation: Installation) {
    fs::write(installation.dir.path().join("gatepost.toml"), CONFIG).expect("the file");
    let (receiver, count) = (Receiver::start().await, events());
    let mut server = Running::start(installation.command(&SERVE)).await;
    let key = server.first_key().await;
    let endpoint = make_endpoint(&server, &key, &receiver).await;
    let (address, addresses) = watch::channel(server.address.clone());
    let (sender, mut accepted) = mpsc::unbounded_channel();
    for client in 0..CLIENTS {
        tokio::spawn(publish(addresses.clone(), key.as_str().into(), client, count, sender.clone()));
    }
    drop(sender);
    // Killed at points that have nothing to do with what it does just then.
    let mut kills = [count / 10, count / 4, count * 11 / 20, count * 4 / 5].into_iter().peekable();
    for number in 1..=count {
        accepted.recv().await.expect("an accepted event");
        if kills.next_if_eq(&number).is_some() {
            server.signal(Signal::SIGKILL);
            server.child.wait().await.expect("its end");
            server = Running::start(installation.command(&SERVE)).await;
            address.send_replace(server.address.clone());
        }
    }
    everything_arrives(&receiver, count).await;
    // And the server knows: a result that was in flight is written a moment later.
    let path = format!("/api/v1/webhooks/{endpoint}/deliveries?per_page=1&status=success");
    loop {
        let list: Value = server.get(&path, &key).await.json().await.expect("JSON");
        if list["meta"]["total"] == count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_lost_when_the_database_dies() {
    let mut database = PostgresServer::start();
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("gatepost.toml"), CONFIG).expect("the file");
    let url = database.create_database();
    let (receiver, count) = (Receiver::start().await, events());
    let server = Running::start(command(dir.path(), &url, &SERVE)).await;
    let key = server.first_key().await;
    make_endpoint(&server, &key, &receiver).await;
    let (_address, addresses) = watch::channel(server.address.clone());
    let (sender, mut accepted) = mpsc::unbounded_channel();
    for client in 0..CLIENTS {
        tokio::spawn(publish(addresses.clone(), key.as_str().into(), client, count, sender.clone()));
    }
    drop(sender);
    for number in 1..=count {
        accepted.recv().await.expect("an accepted event");
        if number == count / 3 || number == count * 2 / 3 {
            database.kill();
            database.start_again();
        }
    }
    everything_arrives(&receiver, count).await;
    server.stop().await;
}

/// Two servers on one database share the work, and one takes over what the other leaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_share_the_queue() {
    let installation = Installation::start(gatepost_test_support::Engine::Postgres).await;
    fs::write(installation.dir.path().join("gatepost.toml"), CONFIG).expect("the file");
    let (receiver, count) = (Receiver::start().await, 400);
    let mut first = Running::start(installation.command(&SERVE)).await;
    let key = first.first_key().await;
    make_endpoint(&first, &key, &receiver).await;
    let second = Running::start(installation.command(&SERVE)).await;
    let events = |from: usize| {
        let event = |n: usize| json!({ "id": format!("evt_{n}"), "type": "counted", "data": n });
        json!({ "events": (from..from + count / 2).map(event).collect::<Vec<_>>() })
    };
    for (server, from) in [(&first, 0), (&second, count / 2)] {
        assert_eq!(server.post("/api/v1/events/batch", &key, events(from)).await.status(), 202);
    }
    receiver.wait_for(20).await;
    first.signal(Signal::SIGKILL);
    first.child.wait().await.expect("its end");
    everything_arrives(&receiver, count).await;
    // What was in flight when the first died is all that may have come twice: at most its slots for one
    // endpoint.
    assert!(receiver.received().len() <= count + 64, "no lease was held by both");
    second.stop().await;
}

/// One endpoint takes requests and never answers; 99 others have everything before the first of those is
/// given up.
async fn one_silent_endpoint_keeps_nobody_waiting(installation: Installation) {
    const FAST: usize = 99;
    const EVENTS: usize = 20;
    let config = CONFIG.replace("1s", "30s");
    fs::write(installation.dir.path().join("gatepost.toml"), config).expect("the file");
    let (fast, silent) = (Receiver::start().await, Receiver::start().await);
    silent.always(Reply::Silence);
    let server = Running::start(installation.command(&SERVE)).await;
    let key = server.first_key().await;
    let mut silent_endpoint = 0;
    for number in 0..=FAST {
        // In the middle, so that half of the others come behind it in any order.
        let receiver = if number == FAST / 2 { &silent } else { &fast };
        let id = make_endpoint(&server, &key, receiver).await;
        if number == FAST / 2 {
            silent_endpoint = id;
        }
    }
    for number in 0..EVENTS {
        let event = json!({ "type": "counted", "data": number });
        assert_eq!(server.post("/api/v1/events", &key, event).await.status(), 202);
    }
    let received = fast.wait_for(FAST * EVENTS).await;
    let mut copies = HashMap::<&str, usize>::new();
    for one in &received {
        *copies.entry(one.header("webhook-id")).or_default() += 1;
    }
    assert!(copies.len() == EVENTS && copies.values().all(|copies| *copies == FAST), "{copies:?}");
    let path = format!("/api/v1/webhooks/{silent_endpoint}/deliveries?status=pending");
    let list: Value = server.get(&path, &key).await.json().await.expect("JSON");
    assert_eq!(list["meta"]["total"], EVENTS, "not one attempt had to end for the others to arrive");
    assert!((1..=16).contains(&silent.received().len()), "it holds its own slots and no more");
    server.stop().await;
}
