//! The first key of an empty database: where it goes, and who may choose it.

use std::{fs, os::unix::fs::PermissionsExt, process::Stdio};

use gatepost_test_support::{both_engines, count_tokens};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::running::{Installation, Running};

both_engines! { Installation:
    the_first_start_keeps_a_key_in_a_file_and_the_second_makes_none,
    a_terminal_sees_the_key_and_no_file_has_it,
    an_older_file_is_moved_aside,
    a_file_that_cannot_be_written_costs_no_key,
    a_chosen_key_is_the_first,
}

const SERVE: [&str; 3] = ["serve", "--bind", "127.0.0.1:0"];

async fn the_first_start_keeps_a_key_in_a_file_and_the_second_makes_none(installation: Installation) {
    let data = installation.dir.path().join("data");
    fs::create_dir(&data).expect("a directory");
    let serve = [&SERVE[..], &["--data-dir", "data"]].concat();
    let server = Running::start(installation.command(&serve)).await;
    let path = data.join("gatepost.first-key");
    let text = fs::read_to_string(&path).expect("the key");
    assert_eq!((count_tokens(text.as_bytes()), text.lines().count()), (1, 2));
    let (key, setup) = text.trim_end().split_once('\n').expect("two lines");
    let link = format!("# Set up the dashboard within an hour: {}", server.url("/dashboard/setup/"));
    assert!(setup.starts_with(&link) && setup.len() == link.len() + 43, "{setup}");
    assert_eq!(fs::metadata(&path).expect("the file").permissions().mode() & 0o777, 0o600);
    assert!(
        server.log().contains(&format!("\"first_key.path\":\"{}\"", path.display())),
        "the path is logged"
    );
    let list: Value = server.get("/api/v1/workspaces", key).await.json().await.expect("JSON");
    assert_eq!((&list["data"][0]["id"], &list["data"][0]["tier"]), (&json!(1), &json!("enterprise")));
    // `stop` looks for keys in what was printed and logged.
    server.stop().await;

    let server = installation.serve().await;
    assert!(!installation.dir.path().join("gatepost.first-key").exists());
    assert_eq!(fs::read_to_string(&path).expect("the key"), text);
    assert_eq!(server.get("/api/v1/workspaces", key).await.status(), 200);
    server.stop().await;
}

async fn a_terminal_sees_the_key_and_no_file_has_it(installation: Installation) {
    // `script` runs it on a terminal of its own and hands on what that shows.
    let gatepost = installation.command(&[]);
    let program = gatepost.as_std().get_program().to_str().expect("a path").to_owned();
    let mut command = tokio::process::Command::new("script");
    command.args([
        "--quiet",
        "--return",
        "--command",
        &format!("exec {program} serve --bind 127.0.0.1:0"),
        "/dev/null",
    ]);
    command
        .current_dir(installation.dir.path())
        .env("DATABASE_URL", &installation.database.url)
        .kill_on_drop(true);
    let mut terminal = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("script");
    let (mut shown, mut stdout) = (Vec::new(), terminal.stdout.take().expect("stdout"));
    let address = loop {
        assert_ne!(stdout.read_buf(&mut shown).await.expect("what the terminal shows"), 0, "it ended");
        let text = String::from_utf8_lossy(&shown);
        let curl = text.lines().find_map(|line| line.split_once("$GATEPOST_KEY\" http://"));
        if let Some((_, rest)) = curl.filter(|_| text.contains("ready"))
            && let Some((address, _)) = rest.split_once('/')
        {
            break address.to_owned();
        }
    };
    assert_eq!(count_tokens(&shown), 1, "a key, once");
    let text = String::from_utf8_lossy(&shown).into_owned();
    let key = text.split_once("export GATEPOST_KEY=").and_then(|(_, rest)| rest.split_whitespace().next());
    let client = gatepost_test_support::http_client(None);
    let url = format!("http://{address}/api/v1/workspaces");
    let answer = client.get(url).bearer_auth(key.expect("a key")).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert!(!installation.dir.path().join("gatepost.first-key").exists());
    // It does not end with its terminal where whoever runs the tests ignores that signal.
    let script = terminal.id().expect("script");
    let children =
        fs::read_to_string(format!("/proc/{script}/task/{script}/children")).expect("its children");
    let server = children.trim().parse().expect("one server");
    kill(Pid::from_raw(server), Signal::SIGTERM).expect("a signal");
    assert!(terminal.wait().await.expect("its end").success());
}

async fn an_older_file_is_moved_aside(installation: Installation) {
    let path = installation.dir.path().join("gatepost.first-key");
    for (name, text) in [("gatepost.first-key", "another's\n"), ("gatepost.first-key.1", "an older one's\n")]
    {
        fs::write(installation.dir.path().join(name), text).expect("the file");
    }
    let server = installation.serve().await;
    assert_eq!(server.get("/api/v1/workspaces", &server.first_key().await).await.status(), 200);
    let read = |name: &str| fs::read_to_string(installation.dir.path().join(name)).expect(name);
    assert_eq!(read("gatepost.first-key.1"), "an older one's\n");
    assert_eq!(read("gatepost.first-key.2"), "another's\n");
    assert_eq!(fs::metadata(path).expect("the file").permissions().mode() & 0o777, 0o600);
    server.stop().await;
}

async fn a_file_that_cannot_be_written_costs_no_key(installation: Installation) {
    let error =
        installation.refused(installation.command(&[&SERVE[..], &["--data-dir", "missing"]].concat())).await;
    let path = installation.dir.path().join("missing/gatepost.first-key");
    assert!(error.contains(&format!("cannot be kept in {}", path.display())), "{error}");
    // So the next start still makes the first.
    let server = installation.serve().await;
    assert_eq!(server.get("/api/v1/workspaces", &server.first_key().await).await.status(), 200);
    server.stop().await;
}

async fn a_chosen_key_is_the_first(installation: Installation) {
    // Without a database, which a command that used one would complain of.
    let mut generate = installation.command(&["keys", "generate"]);
    let output = generate.env("DATABASE_URL", "mysql://nowhere").output().await.expect("a key");
    let key = String::from_utf8(output.stdout).expect("text").trim_end().to_owned();
    assert!(output.status.success() && key.starts_with("sk_live_") && count_tokens(key.as_bytes()) == 1);
    let test = installation.json(&["keys", "generate", "--environment", "test", "--json"]).await;
    let test = test["key"].as_str().expect("a key").to_owned();
    assert!(test.starts_with("sk_test_") && count_tokens(test.as_bytes()) == 1);

    let with = |name: &str, value: &str| {
        let mut command = installation.command(&SERVE);
        command.env(name, value);
        command
    };
    // Neither a test key, nor a misspelt one, nor anything else; and no refusal repeats it.
    for wrong in [test.as_str(), &key.replace("sk_live_", "sk_test_"), "hunter2", ""] {
        let error = installation.refused(with("GATEPOST_BOOTSTRAP_KEY", wrong)).await;
        assert!(
            error.contains("GATEPOST_BOOTSTRAP_KEY: expected a live API key") && !error.contains("hunter2")
        );
    }
    fs::write(installation.dir.path().join("key"), format!("{key}\n")).expect("the file");
    let server = Running::start(with("GATEPOST_BOOTSTRAP_KEY_FILE", "key")).await;
    assert!(!installation.dir.path().join("gatepost.first-key").exists());
    assert_eq!(server.get("/api/v1/workspaces", &key).await.status(), 200);
    server.stop().await;
    // The same again is no error, and another one has no effect.
    let server = Running::start(with("GATEPOST_BOOTSTRAP_KEY", &key)).await;
    assert!(!server.log().contains("none of this database's keys"));
    assert_eq!(server.get("/api/v1/workspaces", &key).await.status(), 200);
    server.stop().await;
    let other =
        installation.json(&["keys", "generate", "--json"]).await["key"].as_str().expect("a key").to_owned();
    let server = Running::start(with("GATEPOST_BOOTSTRAP_KEY", &other)).await;
    assert!(server.log().contains("none of this database's keys"), "a warning");
    assert_eq!(server.get("/api/v1/workspaces", &other).await.status(), 401);
    server.stop().await;
}
