//! What commands say to people and programs. A reader that went away is no reason to fail.

use gatepost_kernel::chain;
use std::io::{self, Write};

use serde_json::Value;

/// One line on stdout.
pub fn line(text: &str) -> io::Result<()> {
    ignore_closed(writeln!(io::stdout(), "{text}").and_then(|()| io::stdout().flush()))
}

/// One JSON object on one line on stdout.
pub fn json(value: &Value) -> io::Result<()> {
    line(&value.to_string())
}

/// One JSON document over several lines on stdout.
pub fn json_pretty(value: &Value) -> io::Result<()> {
    line(&serde_json::to_string_pretty(value)?)
}

/// What went wrong, on stderr.
pub fn error(error: &dyn std::error::Error) {
    // There is nowhere left to say it if this fails.
    for line in chain(error).to_string().lines() {
        let _ = writeln!(io::stderr(), "gatepost: {line}");
    }
}

fn ignore_closed(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}
