//! Speed: builds for release, measures, and puts the figures into `docs/PERFORMANCE.md`.

use std::{collections::BTreeMap, fs, process::Command};

use crate::{Failure, cargo::cargo, files, say};

const BEGIN: &str = "<!-- begin figures -->\n";
const END: &str = "<!-- end figures -->\n";
/// The core for the load; servers have the other.
const LOAD_CORE: &str = "1";

/// Measures the rows that are named, or all, and writes them down; rows that were not measured stay.
pub fn run(rows: &[u32], seconds: u64, rounds: usize) -> Result<(), Failure> {
    let root = files::root();
    let build = ["build", "--release", "--locked", "-p", "gatepost-server", "-p", "gatepost-bench"];
    succeed(cargo().args(build).current_dir(&root))?;
    let (programs, report) = (root.join("target/release"), root.join("target/figures.md"));
    let mut measure = Command::new("taskset");
    measure.args(["-c", LOAD_CORE]).arg(programs.join("gatepost-bench"));
    measure.arg("--gatepost").arg(programs.join("gatepost")).arg("--report").arg(&report);
    measure.arg("--seconds").arg(seconds.to_string()).arg("--rounds").arg(rounds.to_string());
    if !rows.is_empty() {
        let rows: Vec<String> = rows.iter().map(u32::to_string).collect();
        measure.arg("--rows").arg(rows.join(","));
    }
    succeed(&mut measure)?;

    let path = root.join("docs/PERFORMANCE.md");
    let (document, fresh) = (fs::read_to_string(&path)?, fs::read_to_string(&report)?);
    let (before, rest) = document.split_once(BEGIN).ok_or("docs/PERFORMANCE.md has no place for figures")?;
    let (old, after) = rest.split_once(END).ok_or("docs/PERFORMANCE.md has no end of figures")?;
    let mut table = BTreeMap::new();
    table.extend(numbered(old));
    table.extend(numbered(&fresh));
    let head: Vec<&str> = fresh.lines().take(2).collect();
    let body: Vec<&str> = table.into_values().collect();
    let figures =
        format!("{BEGIN}{}\n{}\n\nMeasured on {}.\n{END}", head.join("\n"), body.join("\n"), machine());
    fs::write(&path, format!("{before}{figures}{after}"))?;
    say("docs/PERFORMANCE.md written");
    Ok(())
}

/// The rows of a table by their numbers.
fn numbered(table: &str) -> impl Iterator<Item = (u32, &str)> {
    table.lines().filter_map(|line| {
        let number = line.strip_prefix("| ")?.split(' ').next()?.parse().ok()?;
        Some((number, line))
    })
}

/// What it was measured on, as far as the system says.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (cpu, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let model = field(&cpu, "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let kib = field(&memory, "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{cores} cores of {model}, {} GiB, Linux {}", kib.unwrap_or(0) >> 20, kernel.trim())
}

fn succeed(command: &mut Command) -> Result<(), Failure> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}
