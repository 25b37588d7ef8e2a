//! `cargo xtask bench` runs this program: it starts servers, loads them, and prints ratios within one run.
//!
//! Servers are pinned to one core and the load to another. Every figure is a median of alternating runs, and
//! a ratio: the machine is small and shared, and what it can do in a second says nothing about another.

mod counting;
mod database;
mod http;
mod library;
mod lists;
mod load;
mod neighbour;
mod pixel;
mod population;
mod post;
mod receiver;
mod records;
mod report;
mod rows;
mod server;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

/// What ends a measurement: a sentence for the developer.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Counts allocations, for the claim that the path that lets a request in makes none.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// Measures Gatepost
#[derive(Parser)]
struct Options {
    /// The gatepost binary
    #[arg(long)]
    gatepost: PathBuf,
    /// Where to write the table
    #[arg(long)]
    report: Option<PathBuf>,
    /// Seconds of each run
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Alternating runs of each side
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only these rows
    #[arg(long, value_delimiter = ',')]
    rows: Vec<u32>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(rows::run(&options)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// One line for the developer.
#[expect(clippy::print_stderr, reason = "this program talks to a person")]
fn say(text: &str) {
    eprintln!("{text}");
}
