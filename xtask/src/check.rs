//! What a developer runs before each commit: the quick ones of the checks, on SQLite alone.

use std::{process::Command, time::Instant};

use crate::{Failure, cargo::cargo, docs, events, files, openapi, say, tidy};

/// The tests that show most in the least time: rules, storage and the API.
const TESTS: [&[&str]; 3] = [
    &["test", "--locked", "--workspace", "--lib", "--quiet"],
    &[
        "test",
        "--locked",
        "--package",
        "gatepost-storage",
        "--test",
        "suite",
        "--quiet",
        "--",
        "--skip",
        "postgres",
    ],
    &[
        "test",
        "--locked",
        "--package",
        "gatepost-api",
        "--test",
        "api",
        "--quiet",
        "--",
        "--skip",
        "postgres",
    ],
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
    docs::run(true).and_then(|()| events::run(true))?;
    let doc = ["doc", "--workspace", "--no-deps", "--locked", "--quiet"];
    step(&format!("cargo {}", doc.join(" ")), cargo().args(doc).env("RUSTDOCFLAGS", "-D warnings"))?;
    for tests in TESTS {
        step(&format!("cargo {}", tests.join(" ")), cargo().args(tests))?;
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
