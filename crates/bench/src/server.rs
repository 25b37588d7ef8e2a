//! Servers in processes of their own, on a core of their own, and what they use.

use std::{fs, path::Path, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::Failure;

/// The core for servers; the load has the other.
const SERVER_CORE: &str = "0";
const MICROS_PER_TICK: f64 = 10_000.0;

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
        Self::start(command, |line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            (line["message"] == "ready").then(|| line["server.address"].as_str().map(str::to_owned))?
        })
        .await
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
        // Behind the name, which may hold spaces: utime and stime are the 12th and 13th.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |place: usize| fields.get(place).and_then(|text| text.parse::<f64>().ok());
        let (user, system) = ticks(11).zip(ticks(12)).ok_or("no CPU times in /proc")?;
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

fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", SERVER_CORE]).arg(program);
    command.env("GATEPOST_LOG", "info");
    command
}
