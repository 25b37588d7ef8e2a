//! What a developer runs before each commit: the quick ones of the checks, on SQLite alone.

use std::{process::Command, time::Instant};

use crate::{Failure, cargo::cargo, docs, files, openapi, say, tidy};

/// The tests that show most in the least time: rules, storage and the API.
const TESTS: [&[&str]; 3] = [
    &["--workspace", "--lib"],
    &["--package", "gatepost-storage", "--test", "suite"],
    &["--package", "gatepost-api", "--test", "api"],
];

/// Parts of the names of tests that are left to `cargo xtask test`: the other engine, the faces that presets give, and
/// what takes most of a minute.
const LEFT_OUT: [&str; 6] = [
    "postgres",
    "anvil::",
    "mirror::",
    "revoking_races_with_remembering",
    "a_plan_bounds_what_is_sent",
    "sixty_four_workers_use_a_thousand",
];

/// Runs them, the quickest first, and stops at the first that fails.
pub fn run() -> Result<(), Failure> {
    let began = Instant::now();
    step("cargo fmt --all -- --check", cargo().args(["fmt", "--all", "--", "--check"]))?;
    say("cargo xtask tidy");
    tidy::run()?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"];
    step(&format!("cargo {}", clippy.join(" ")), cargo().args(clippy))?;
    say("cargo xtask openapi --check");
    openapi::run(true)?;
    say("cargo xtask docs --check");
    docs::all(true)?;
    let doc = ["doc", "--workspace", "--no-deps", "--locked", "--quiet"];
    step(&format!("cargo {}", doc.join(" ")), cargo().args(doc).env("RUSTDOCFLAGS", "-D warnings"))?;
    for tests in TESTS {
        let shown = format!("cargo test {}", tests.join(" "));
        let left_out = LEFT_OUT.iter().flat_map(|name| ["--skip", name]);
        step(&shown, cargo().args(["test", "--locked", "--quiet"]).args(tests).arg("--").args(left_out))?;
    }
    say(&format!("all of it holds ({} s); `cargo xtask test` is the rest", began.elapsed().as_secs()));
    Ok(())
}

fn step(shown: &str, command: &mut Command) -> Result<(), Failure> {
    say(shown);
    match command.current_dir(files::root()).status()?.success() {
        true => Ok(()),
        false => Err(format!("`{shown}` failed").into()),
    }
}
