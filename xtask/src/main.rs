//! The project's own commands; `cargo xtask --help` lists them.

mod bench;
mod cargo;
mod check;
mod circles;
mod clients;
mod dashboard;
mod descriptions;
mod docs;
mod events;
mod files;
mod integrate;
mod metrics;
mod openapi;
mod packages;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::Parser;

/// What ends a command: a sentence for the developer.
type Failure = Box<dyn std::error::Error>;

#[derive(Parser)]
#[command(name = "cargo xtask")]
enum Command {
    /// Check what is quick: format, invariants, lints, documents, and the tests of rules, storage and API on
    /// SQLite
    Check,
    /// Run all tests, on SQLite and PostgreSQL
    Test {
        /// Install what is missing by `sudo -n`, when not root
        #[arg(long)]
        install: bool,
        /// Also what takes long: generated clients, a fuzzer, lists of a million rows, servers that are
        /// killed often
        #[arg(long)]
        full: bool,
        /// Only tests whose name contains this
        filter: Option<String>,
    },
    /// Measure speed and write docs/PERFORMANCE.md
    Bench {
        /// Only these rows of the table
        #[arg(long, value_delimiter = ',')]
        rows: Vec<u32>,
        /// Seconds of each run
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        /// Alternating runs of each side
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
    /// Check the invariants of docs/ARCHITECTURE.md
    Tidy,
    /// Write openapi/
    Openapi {
        /// Only say whether it is up to date
        #[arg(long)]
        check: bool,
        /// Say what would break a client of the last tag instead
        #[arg(long, conflicts_with = "check")]
        breaking: bool,
    },
    /// Check the documents with linters, and generate and compile the clients of clients/examples
    Clients,
    /// Package the crates that others take, and count what each brings along
    Packages,
    /// Write docs/CONFIGURATION.md and docs/EVENTS.md
    Docs {
        /// Only say whether it is up to date
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Check => check::run(),
        Command::Test { install, full, filter } => test::run(install, full, filter.as_deref()),
        Command::Bench { rows, seconds, rounds } => bench::run(&rows, seconds, rounds),
        Command::Tidy => tidy::run(),
        Command::Openapi { breaking: true, .. } => openapi::breaking(),
        Command::Openapi { check, .. } => openapi::run(check),
        Command::Clients => clients::generate(),
        Command::Packages => packages::run(),
        Command::Docs { check } => docs::all(check),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// One line for the developer.
#[expect(clippy::print_stderr, reason = "these commands talk to a person")]
fn say(text: &str) {
    eprintln!("{text}");
}
