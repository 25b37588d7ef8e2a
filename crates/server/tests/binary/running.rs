//! A `gatepost serve` of the test's own.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use diesel::{Connection, SqliteConnection, connection::SimpleConnection};
use gatepost_test_support::{Engine, TestDatabase, count_tokens};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::{Method, Response};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_gatepost");

/// A database and a directory to run in.
pub struct Installation {
    pub dir: TempDir,
    pub database: TestDatabase,
}

impl Installation {
    pub async fn start(engine: Engine) -> Self {
        Self { dir: tempfile::tempdir().expect("a directory"), database: TestDatabase::create(engine) }
    }

    /// Another one on the same engine.
    pub async fn another(&self) -> Self {
        let is_sqlite = self.database.url.starts_with("sqlite:");
        Self::start(if is_sqlite { Engine::Sqlite } else { Engine::Postgres }).await
    }

    /// Prepares the program with nothing of this process's own settings.
    pub fn command(&self, args: &[&str]) -> Command {
        command(self.dir.path(), &self.database.url, args)
    }

    /// The same for a copy of the program.
    pub fn command_of(&self, program: &Path, args: &[&str]) -> Command {
        prepared(program, self.dir.path(), &self.database.url, args)
    }

    /// Runs a command to its end.
    pub async fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().await.expect("running gatepost")
    }

    /// Runs a command that must succeed and print one JSON object.
    pub async fn json(&self, args: &[&str]) -> Value {
        let output = self.run(args).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("text");
        assert_eq!(text.lines().count(), 1, "one object alone");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Makes the tables.
    pub async fn migrated(&self) {
        self.json(&["migrate", "--json"]).await;
    }

    /// Runs a command that must fail with a message, which it answers.
    pub async fn refused(&self, mut command: Command) -> String {
        let output = command.output().await.expect("running gatepost");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), count_tokens(&output.stderr)), (Some(1), 0), "{error}");
        error
    }

    /// Changes the database behind the program's back.
    pub async fn sql(&self, statements: &str) {
        match self.database.url.strip_prefix("sqlite://") {
            Some(path) => {
                let mut conn = SqliteConnection::establish(path).expect("the file");
                conn.batch_execute(statements).expect("the statements");
            }
            None => {
                let connected = tokio_postgres::connect(&self.database.url, tokio_postgres::NoTls).await;
                let (client, connection) = connected.expect("a connection");
                tokio::spawn(connection);
                client.batch_execute(statements).await.expect("the statements");
            }
        }
    }

    /// Starts a server and waits until it is ready.
    pub async fn serve(&self) -> Running {
        Running::start(self.command(&["serve", "--bind", "127.0.0.1:0"])).await
    }
}

pub fn command(dir: &Path, database_url: &str, args: &[&str]) -> Command {
    prepared(PROGRAM, dir, database_url, args)
}

/// The same with the program as it is released, if `cargo xtask test` has built it: for what is measured.
pub fn released(dir: &Path, database_url: &str, args: &[&str]) -> Command {
    let program = std::env::var_os("GATEPOST_TEST_RELEASED").unwrap_or_else(|| PROGRAM.into());
    prepared(&program, dir, database_url, args)
}

fn prepared(program: impl AsRef<OsStr>, dir: &Path, database_url: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("DATABASE_URL", database_url).args(args).kill_on_drop(true);
    command
}

/// A running server.
pub struct Running {
    pub child: Child,
    pub address: String,
    dir: PathBuf,
    stdout: watch::Receiver<String>,
    stderr: watch::Receiver<String>,
}

impl Running {
    /// Starts a server and waits until it says that it is ready.
    pub async fn start(mut command: Command) -> Self {
        let dir = command.as_std().get_current_dir().unwrap_or(Path::new(".")).to_owned();
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starting gatepost");
        let stdout = collect(child.stdout.take().expect("stdout"));
        let mut stderr = collect(child.stderr.take().expect("stderr"));
        let ready = stderr.wait_for(|log| ready_at(log).is_some()).await.map(|log| ready_at(&log));
        let Ok(Some(address)) = ready else {
            panic!("gatepost ended before it was ready: {}", *stderr.borrow());
        };
        Self { child, address, dir, stdout, stderr }
    }

    /// What it printed so far.
    pub fn stdout(&self) -> String {
        self.stdout.borrow().clone()
    }

    /// What it logged, once that has a line with `part`.
    pub async fn logged(&self, part: &str) -> String {
        let complete = |text: &String| text.find(part).is_some_and(|start| text[start..].contains('\n'));
        self.stderr.clone().wait_for(complete).await.expect("a line in the log").clone()
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.stderr.borrow().clone()
    }

    /// The key of the first start, from the file that was written before the server was ready.
    pub async fn first_key(&self) -> String {
        let read = |dir: &Path| std::fs::read_to_string(dir.join("gatepost.first-key"));
        // Or in the directory as the server sees it, which may be on a disk of its own; that only root may
        // look into.
        let text = read(&self.dir).or_else(|_| read(Path::new(&format!("/proc/{}/cwd", self.pid()))));
        let text = text.expect("the first key");
        text.lines().next().expect("a line").to_owned()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends a request; `Err` if no answer came.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        key: &str,
        body: Option<Value>,
    ) -> reqwest::Result<Response> {
        let client = gatepost_test_support::http_client(None);
        let request = client.request(method, self.url(path)).bearer_auth(key);
        match body {
            Some(body) => request.json(&body).send().await,
            None => request.send().await,
        }
    }

    pub async fn get(&self, path: &str, key: &str) -> Response {
        self.send(Method::GET, path, key, None).await.expect("an answer")
    }

    pub async fn post(&self, path: &str, key: &str, body: Value) -> Response {
        self.send(Method::POST, path, key, Some(body)).await.expect("an answer")
    }

    pub fn pid(&self) -> i32 {
        self.child.id().and_then(|pid| pid.try_into().ok()).expect("a running process")
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("a signal");
    }

    /// Asks it to stop and waits until it has; answers its log.
    pub async fn stop(mut self) -> String {
        self.signal(Signal::SIGTERM);
        let status = self.child.wait().await.expect("its end");
        // Both streams end with the process; what is in them may still be on its way here.
        while self.stdout.changed().await.is_ok() {}
        while self.stderr.changed().await.is_ok() {}
        let log = self.log();
        assert_eq!(count_tokens(log.as_bytes()), 0, "a key was logged");
        assert_eq!(count_tokens(self.stdout().as_bytes()), 0, "a key was printed");
        assert!(status.success() && !log.contains("panicked"), "{status}: {log}");
        log
    }
}

/// The address in the log line that says "ready".
fn ready_at(log: &str) -> Option<String> {
    let line = log.lines().find(|line| line.contains("\"ready\""))?;
    Some(serde_json::from_str::<Value>(line).ok()?["server.address"].as_str()?.to_owned())
}

/// Reads a stream line by line until its end.
fn collect(stream: impl AsyncRead + Send + Unpin + 'static) -> watch::Receiver<String> {
    let (sink, text) = watch::channel(String::new());
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            sink.send_modify(|text| {
                text.push_str(&line);
                text.push('\n');
            });
        }
    });
    text
}
