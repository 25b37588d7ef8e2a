//! A server that is a program of this machine.

use std::{io, process::Stdio, time::Duration};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::config::{ServerConfig, Transport};

/// How long a program may take to end by itself, and then to end when it is told to.
const PATIENCE: Duration = Duration::from_secs(3);
/// How much of what it writes to its standard error is logged at a time; the rest is dropped.
const MAX_LINE_BYTES: u64 = 4_096;
/// How many lines of it in a second.
const MAX_LINES: u32 = 20;

/// A running program with all that it has started. What is left of them ends when this is dropped.
pub(crate) struct Process {
    child: Child,
    group: Pid,
}

impl Process {
    /// Starts the program of a server; none if the server is no program.
    pub fn start(config: &ServerConfig) -> io::Result<Option<(Self, ChildStdout, ChildStdin)>> {
        let Transport::Stdio { command, args, env, directory } = &config.transport else { return Ok(None) };
        let mut start = Command::new(command);
        start.args(args).current_dir(directory).env_clear();
        start.envs(env.iter().map(|(name, value)| (name, value.expose())));
        start.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that what it starts can be ended with it.
        let mut child = start.process_group(0).kill_on_drop(true).spawn()?;
        let gone = || io::Error::other("it has ended already");
        let group = child.id().and_then(|id| id.try_into().ok()).map(Pid::from_raw).ok_or_else(gone)?;
        let (stdout, stdin) = (child.stdout.take().ok_or_else(gone)?, child.stdin.take().ok_or_else(gone)?);
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(drain(stderr, config.id.clone()));
        }
        Ok(Some((Self { child, group }, stdout, stdin)))
    }

    /// Ends it: its input has ended; then it is told to, and then it must.
    pub async fn end(mut self) {
        if timeout(PATIENCE, self.child.wait()).await.is_ok() {
            return;
        }
        self.signal(Signal::SIGTERM);
        // Whatever is left ends with this.
        let _ = timeout(PATIENCE, self.child.wait()).await;
    }

    fn signal(&self, signal: Signal) {
        // A group of which nobody is left cannot be told anything.
        let _ = killpg(self.group, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

/// Reads what a program writes to its standard error, so that it never waits for a reader, and logs some of
/// it.
async fn drain(stderr: ChildStderr, server: String) {
    let mut reader = BufReader::new(stderr);
    let (mut line, mut second, mut lines, mut dropped) =
        (Vec::new(), tokio::time::Instant::now(), 0u32, 0u64);
    loop {
        line.clear();
        match (&mut reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await {
            Ok(1..) => {}
            // Its end, or as good as that.
            _ => break,
        }
        if second.elapsed() >= Duration::from_secs(1) {
            if dropped > 0 {
                tracing::info!(mcp.server = server, lines.dropped = dropped, "an MCP server writes much");
            }
            (second, lines, dropped) = (tokio::time::Instant::now(), 0, 0);
        }
        if lines < MAX_LINES {
            lines += 1;
            let text = String::from_utf8_lossy(&line);
            tracing::info!(mcp.server = server, mcp.stderr = text.trim_end(), "an MCP server says");
        } else {
            dropped += 1;
        }
    }
}
