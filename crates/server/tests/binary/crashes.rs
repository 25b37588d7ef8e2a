//! What was answered is there, whatever happens: a killed server, a killed or frozen database, a full disk.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use gatepost_test_support::{PostgresServer, both_engines};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::running::{Installation, Running, command};

/// What the caller of the API is promised; a generous bound, not a measurement.
const PROMISE: Duration = Duration::from_secs(5);

both_engines! { Installation:
    what_was_answered_survives_kill_9,
    what_was_not_answered_is_done_once,
    an_effect_whose_answer_was_lost_is_answered_again,
    a_day_is_never_over_admitted,
}

async fn what_was_answered_survives_kill_9(installation: Installation) {
    let mut key = String::new();
    let mut answered = Vec::new();
    for round in 0..4 {
        let mut server = installation.serve().await;
        if round == 0 {
            key = server.first_key().await;
        }
        for id in &answered {
            assert_eq!(
                server.get(&format!("/api/v1/api-keys/{id}"), &key).await.status(),
                200,
                "key {id} is lost"
            );
        }
        // Eight clients write until the server dies under them, at a point that differs from round to round.
        let kill_after = 10 + round * 23;
        let (sender, mut ids) = tokio::sync::mpsc::unbounded_channel();
        let url = server.url("/api/v1/api-keys");
        for _ in 0..8 {
            let (url, key, sender) = (url.clone(), key.clone(), sender.clone());
            tokio::spawn(async move {
                let client = gatepost_test_support::http_client(None);
                let body = json!({ "name": "x", "scopes": ["posts:read"] });
                while let Ok(answer) = client.post(&url).bearer_auth(&key).json(&body).send().await {
                    let Ok(made) = answer.json::<Value>().await else { break };
                    let Some(id) = made["data"]["id"].as_i64() else { break };
                    if sender.send(id).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for count in 0.. {
            let Some(id) = ids.recv().await else { break };
            answered.push(id);
            if count == kill_after {
                server.signal(Signal::SIGKILL);
            }
        }
        server.child.wait().await.expect("its end");
    }
    assert!(answered.len() > 100, "{}", answered.len());
    let server = installation.serve().await;
    let log: Value = server.get("/api/v1/audit-log?per_page=1", &key).await.json().await.expect("JSON");
    let list: Value = server.get("/api/v1/api-keys?per_page=1", &key).await.json().await.expect("JSON");
    // Each key was made in one transaction with its audit row; the root workspace and the link of the first start
    // have the two more.
    assert_eq!(log["meta"]["total"].as_u64(), list["meta"]["total"].as_u64().map(|keys| keys + 2));
    server.stop().await;
}

/// Requests whose answer was cut off by `kill -9`, before their effect or after it, are sent again with the
/// same idempotency key: each has one effect, and gets the answer of it from then on.
async fn what_was_not_answered_is_done_once(installation: Installation) {
    let client = gatepost_test_support::http_client(None);
    let send = async |server: &Running, key: &str, number: usize| {
        let request = client.post(server.url("/api/v1/api-keys")).bearer_auth(key);
        let request = request.header("Idempotency-Key", format!("request-{number}"));
        let answer = request.json(&json!({ "name": format!("Key {number}") })).send().await.ok()?;
        let replayed = answer.headers().contains_key("idempotent-replayed");
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.ok()?;
        Some((status, replayed, body["data"]["id"].as_i64(), body["data"]["key"].as_str().map(str::len)))
    };
    let (mut key, mut sent) = (String::new(), 0);
    for round in 0..6 {
        let mut server = installation.serve().await;
        if round == 0 {
            key = server.first_key().await;
        }
        let numbers = sent..sent + 24 + round * 3;
        sent = numbers.end;
        let killed_at = numbers.start + 8 + round * 3;
        let requests = numbers.clone().map(|number| {
            let (send, server, key) = (&send, &server, &key);
            async move {
                let answer = send(server, key, number).await;
                if number == killed_at {
                    server.signal(Signal::SIGKILL);
                }
                (number, answer)
            }
        });
        let answers = futures(requests).await;
        server.child.wait().await.expect("its end");
        let server = installation.serve().await;
        for (number, answer) in answers {
            let again = send(&server, &key, number).await.expect("an answer");
            let (status, replayed, id, secret) = again;
            assert_eq!((status, secret), (201, Some(44)), "request {number}");
            match answer {
                Some((201, _, first, _)) => assert_eq!((replayed, id), (true, first), "request {number}"),
                // Cut off before its effect or after it; how many are, is up to the moment of the kill.
                other => assert!(other.is_none(), "request {number}: {other:?}"),
            }
            assert_eq!(send(&server, &key, number).await, Some((201, true, id, secret)));
        }
        server.stop().await;
    }
    let server = installation.serve().await;
    let list: Value = server.get("/api/v1/api-keys?per_page=1", &key).await.json().await.expect("JSON");
    assert_eq!(list["meta"]["total"], sent + 1, "one key for each request, and the first");
    server.stop().await;
}

/// Killed surely between effect and answer: the caller never reads, and the server dies once another process
/// sees the effect.
async fn an_effect_whose_answer_was_lost_is_answered_again(installation: Installation) {
    const BODY: &str = r#"{"name":"Lost"}"#;
    let mut server = installation.serve().await;
    let key = server.first_key().await;
    let mut caller = tokio::net::TcpStream::connect(&server.address).await.expect("a connection");
    let request = format!(
        "POST /api/v1/api-keys HTTP/1.1\r\nHost: gatepost\r\nAuthorization: Bearer {key}\r\nIdempotency-Key: lost\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    caller.write_all(request.as_bytes()).await.expect("the request");
    let keys = async || installation.json(&["keys", "list", "--json"]).await["data"].clone();
    let mut seen = keys().await;
    while seen.as_array().map(Vec::len) != Some(2) {
        seen = keys().await;
    }
    server.signal(Signal::SIGKILL);
    server.child.wait().await.expect("its end");
    drop(caller);

    let server = installation.serve().await;
    let again = gatepost_test_support::http_client(None).post(server.url("/api/v1/api-keys"));
    let again =
        again.bearer_auth(&key).header("Idempotency-Key", "lost").header("Content-Type", "application/json");
    let answer = again.body(BODY).send().await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.headers().contains_key("idempotent-replayed")), (201, true));
    let made: Value = answer.json().await.expect("JSON");
    assert_eq!(made["data"]["id"], seen[1]["id"], "the one that was made");
    assert_eq!(
        made["data"]["key"].as_str().map(str::len),
        Some(44),
        "with its secret, which nobody has seen yet"
    );
    assert_eq!(keys().await.as_array().map(Vec::len), Some(2), "and no other");
    server.stop().await;
}

/// A quota of 300 a day, spent through a server that is killed and stopped again and again: never more than
/// 300 pass, and a kill costs no more than the blocks that were in hand.
async fn a_day_is_never_over_admitted(installation: Installation) {
    let plan = "[plans.daily]\nrequests_per_minute = 5000\nrequests_per_day = 300\naccess = \"admin\"\n";
    fs::write(installation.dir.path().join("gatepost.toml"), plan).expect("the file");
    let serve = ["serve", "--config", "gatepost.toml", "--bind", "127.0.0.1:0"];
    installation.migrated().await;
    let make = ["keys", "create", "--name", "x", "--tier", "daily", "--config", "gatepost.toml", "--json"];
    let key = installation.json(&make).await["key"].as_str().expect("a key").to_owned();
    let (mut admitted, mut kills) = (0u64, 0u64);
    for round in 0..40 {
        let mut server = Running::start(installation.command(&serve)).await;
        let asked = (0..4).map(|_| {
            let request =
                gatepost_test_support::http_client(None).get(server.url("/api/v1/auth")).bearer_auth(&key);
            async move {
                let (mut passed, mut refused) = (0, false);
                for _ in 0..7 {
                    let request = request.try_clone().expect("a request without a body");
                    match request.send().await.expect("an answer").status().as_u16() {
                        204 => passed += 1,
                        429 => refused = true,
                        other => panic!("{other}"),
                    }
                }
                (passed, refused)
            }
        });
        let outcomes = futures(asked).await;
        admitted += outcomes.iter().map(|(passed, _)| passed).sum::<u64>();
        let is_used_up = outcomes.iter().any(|(_, refused)| *refused);
        if is_used_up || round % 3 == 2 {
            server.stop().await;
        } else {
            kills += 1;
            server.signal(Signal::SIGKILL);
            server.child.wait().await.expect("its end");
        }
        if is_used_up {
            break;
        }
    }
    assert!(admitted <= 300, "{admitted} of 300 were let in");
    // A block is ten, and the next one is fetched ahead.
    assert!(admitted + kills * 20 >= 300, "{admitted} of 300, and {kills} kills cost the rest");
    let server = Running::start(installation.command(&serve)).await;
    assert_eq!(server.get("/api/v1/auth", &key).await.status(), 429, "nothing comes back");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_503_and_found_again() {
    let mut database = PostgresServer::start();
    let dir = tempfile::tempdir().expect("a directory");
    let url = database.create_database();
    let server = Running::start(command(dir.path(), &url, &["serve", "--bind", "127.0.0.1:0"])).await;
    let key = server.first_key().await;
    let make = async || {
        let body = json!({ "name": "x", "scopes": ["*"] });
        tokio::time::timeout(PROMISE, server.post("/api/v1/api-keys", &key, body))
            .await
            .expect("an answer in time")
    };
    assert_eq!(make().await.status(), 201);

    for frozen in [true, false] {
        if frozen {
            database.freeze(true)
        } else {
            database.kill()
        }
        let asked = (0..20).map(|_| make());
        for answer in futures(asked).await {
            assert_eq!(answer.status(), 503);
            assert!(answer.headers().contains_key("retry-after"));
            let error: Value = answer.json().await.expect("JSON");
            assert_eq!(error["error"], "service_unavailable");
            assert!(!error.to_string().contains("postgres"), "nothing internal: {error}");
        }
        let ready =
            tokio::time::timeout(PROMISE, server.get("/readyz", &key)).await.expect("an answer in time");
        assert_eq!(ready.status(), 503);
        assert_eq!(server.get("/healthz", &key).await.status(), 200);
        if frozen {
            database.freeze(false)
        } else {
            database.start_again()
        }
        // The first requests may still meet connections that died.
        let mut status = 0;
        for _ in 0..20 {
            status = make().await.status().as_u16();
            if status == 201 {
                break;
            }
        }
        assert_eq!(status, 201, "the database is found again");
        let ended = async { while open_transactions(&url).await > 0 {} };
        tokio::time::timeout(PROMISE, ended).await.expect("the database ends what nobody waits for");
    }
    server.stop().await;
}

/// Transactions that the database holds open for nobody, until it sees that whoever asked for them is gone.
async fn open_transactions(url: &str) -> i64 {
    let (client, connection) =
        tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("a connection");
    tokio::spawn(connection);
    let query = "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    client.query_one(query, &[]).await.expect("an answer").get(0)
}

async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut done = Vec::new();
    let mut waiting: Vec<_> = all.map(Box::pin).collect();
    std::future::poll_fn(|cx| {
        waiting.retain_mut(|future| match future.as_mut().poll(cx) {
            std::task::Poll::Ready(value) => {
                done.push(value);
                false
            }
            std::task::Poll::Pending => true,
        });
        if waiting.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}

/// A file system of its own, 8 MiB, in a mount namespace of its own.
const ON_A_SMALL_DISK: &str = "mount -t tmpfs -o size=8m tmpfs \"$1\" && cd \"$1\" && shift && exec \"$@\"";
/// No file may grow beyond 4 MiB, and a write beyond it is an error and not a signal.
const WITH_SMALL_FILES: &str = "trap '' XFSZ && ulimit -S -f 4096 && cd \"$1\" && shift && exec \"$@\"";

fn unshared() -> std::process::Command {
    let mut command = std::process::Command::new("unshare");
    if !nix::unistd::Uid::effective().is_root() {
        command.arg("--map-root-user");
    }
    command.arg("--mount");
    command
}

/// Starts a server in `dir` by way of a shell.
async fn serve_in(mut shell: std::process::Command, dir: &Path) -> Running {
    shell.arg("sh").arg(dir).arg(env!("CARGO_BIN_EXE_gatepost")).args(["serve", "--bind", "127.0.0.1:0"]);
    shell.env("DATABASE_URL", "sqlite://gatepost.db");
    let mut command = tokio::process::Command::from(shell);
    command.kill_on_drop(true);
    Running::start(command).await
}

async fn make(server: &Running, key: &str, name: String) -> u16 {
    let body = json!({ "name": name, "settings": { "filler": "x".repeat(20_000) } });
    server.post("/api/v1/workspaces", key, body).await.status().as_u16()
}

/// Writes until the disk is full and a while longer; answers how many writes were refused and how many were
/// not.
async fn write_until_full(server: &Running, key: &str) -> (u64, u64) {
    let (mut refused, mut made) = (0, 0);
    while refused < 20 {
        match make(server, key, format!("full {refused} {made}")).await {
            201 => made += 1,
            503 => refused += 1,
            status => panic!("{status}"),
        }
        assert!(made < 1_000, "the disk does not fill up");
    }
    assert_eq!(server.get("/api/v1/workspaces/1", key).await.status(), 200, "reading goes on");
    (refused, made)
}

async fn assert_mended(server: Running, key: &str, made: u64) {
    assert_eq!(make(&server, key, "after".into()).await, 201);
    let list: Value = server.get("/api/v1/workspaces?per_page=1", key).await.json().await.expect("JSON");
    assert_eq!(list["meta"]["total"].as_u64(), Some(made + 2), "what was refused left nothing");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_cannot_grow_are_503_and_room_mends_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", WITH_SMALL_FILES]);
    let server = serve_in(shell, dir.path()).await;
    let key = server.first_key().await;
    let (_, made) = write_until_full(&server, &key).await;
    let pid = server.pid().to_string();
    let raised =
        tokio::process::Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:"]).status().await;
    assert!(raised.expect("prlimit").success());
    assert_mended(server, &key, made).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_503_and_room_mends_it() {
    if !unshared()
        .args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .status()
        .is_ok_and(|status| status.success())
    {
        // Some machines allow no namespaces; the test above has tried the same by another means.
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let mut shell = unshared();
    shell.args(["sh", "-c", ON_A_SMALL_DISK]);
    let server = serve_in(shell, dir.path()).await;
    let key = server.first_key().await;
    // The server's own view of its file system.
    let inside = PathBuf::from(format!("/proc/{}/root{}", server.pid(), dir.path().display()));
    let filler = inside.join("filler");
    let mut file = fs::File::create(&filler).expect("the filler");
    while file.write_all(&[0; 4096]).is_ok() {}
    let (_, made) = write_until_full(&server, &key).await;
    drop(file);
    fs::remove_file(&filler).expect("room again");
    assert_mended(server, &key, made).await;
}
