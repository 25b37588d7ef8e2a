//! Servers in processes of their own, on a core of their own, and what they use.

use std::{fs, path::Path, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::Failure;

/// The core for servers; the load has the other.
const SERVER_CORE: &str = "0";
pub const MICROS_PER_TICK: f64 = 10_000.0;

/// A running server, ended when dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: String,
}

/// What a server has used.
#[derive(Clone, Copy)]
pub struct Used {
    /// CPU time of all its threads, in microseconds.
    pub cpu_micros: f64,
}

impl Server {
    /// Starts the bare server.
    pub async fn bare() -> Result<Self, Failure> {
        let bare = std::env::current_exe()?.with_file_name("gatepost-bench-bare");
        Self::start(pinned(&bare), |line| line.strip_prefix("bare ").map(str::to_owned)).await
    }

    /// Starts Gatepost in `dir`, which holds its configuration and its database.
    pub async fn gatepost(program: &Path, dir: &Path) -> Result<Self, Failure> {
        let mut command = pinned(program);
        command.current_dir(dir).args(["serve", "--bind", "127.0.0.1:0", "--config", "gatepost.toml"]);
        Self::start(command, ready).await
    }

    /// Starts Gatepost on any database with some of its roles, on whatever core is free.
    pub async fn on(program: &Path, dir: &Path, database_url: &str, roles: &str) -> Result<Self, Failure> {
        let mut command = Command::new(program);
        command.env("GATEPOST_LOG", "info");
        command.current_dir(dir).env("DATABASE_URL", database_url);
        command.args(["serve", "--bind", "127.0.0.1:0", "--config", "gatepost.toml", "--roles", roles]);
        Self::start(command, ready).await
    }

    /// Makes a key on a database that no server uses.
    pub async fn first_key(program: &Path, dir: &Path, database_url: &str) -> Result<String, Failure> {
        let mut migrate = Command::new(program);
        migrate.arg("migrate").current_dir(dir).env("DATABASE_URL", database_url);
        let migrated = migrate.output().await?;
        if !migrated.status.success() {
            return Err(String::from_utf8_lossy(&migrated.stderr).into_owned().into());
        }
        Self::make_key(program, dir, database_url, &[]).await
    }

    /// Makes a key that may do everything; of the root, unless `more` names another workspace.
    pub async fn make_key(
        program: &Path,
        dir: &Path,
        database_url: &str,
        more: &[&str],
    ) -> Result<String, Failure> {
        let mut command = Command::new(program);
        command.env("GATEPOST_LOG", "info").current_dir(dir).env("DATABASE_URL", database_url);
        command.args([
            "keys",
            "create",
            "--name",
            "bench",
            "--scope",
            "*",
            "--config",
            "gatepost.toml",
            "--json",
        ]);
        let output = command.args(more).output().await?;
        let made: serde_json::Value = serde_json::from_slice(&output.stdout)
            .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())?;
        Ok(made["key"].as_str().ok_or("no key")?.to_owned())
    }

    async fn start(mut command: Command, address: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().ok_or("no stderr")?).lines();
        while let Some(line) = lines.next_line().await? {
            if let Some(address) = address(&line) {
                // The log is read on, so that the server never waits for us.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Ok(Self { child, address });
            }
        }
        Err("the server ended before it was ready".into())
    }

    /// What it has used so far.
    pub fn used(&self) -> Result<Used, Failure> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()?))?;
        let (user, system) = ticks(&stat, 11).zip(ticks(&stat, 12)).ok_or("no CPU times in /proc")?;
        Ok(Used { cpu_micros: (user + system) * MICROS_PER_TICK })
    }

    /// The memory that is its own, in bytes.
    pub fn anonymous_bytes(&self) -> Result<u64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).ok_or("no RssAnon")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024)
    }

    fn pid(&self) -> Result<u32, Failure> {
        self.child.id().ok_or_else(|| "the server has ended".into())
    }
}

/// A number in `/proc/PID/stat`, counted from behind the name, which may hold spaces: 11 and 12 are the ticks
/// that the process spent itself, 13 and 14 those of its children that have ended.
pub fn ticks(stat: &str, place: usize) -> Option<f64> {
    stat.rsplit(')').next()?.split_whitespace().nth(place)?.parse().ok()
}

/// The address in the line that says that Gatepost is ready.
fn ready(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    (line["message"] == "ready").then(|| line["server.address"].as_str().map(str::to_owned))?
}

fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", SERVER_CORE]).arg(program);
    command.env("GATEPOST_LOG", "info");
    command
}
