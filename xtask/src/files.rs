//! Finding and writing the project's files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Failure, say};

/// The project's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// Every Rust file below the folders that hold our code.
pub fn rust_files() -> Result<Vec<PathBuf>, Failure> {
    below(["crates", "xtask"].map(|folder| root().join(folder)).into(), "rs")
}

/// Every document that people read.
pub fn documents() -> Result<Vec<PathBuf>, Failure> {
    let mut found = below(["docs", "crates", "migrations"].map(|folder| root().join(folder)).into(), "md")?;
    found.extend(
        ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| root().join(name)),
    );
    Ok(found)
}

/// Every file with this extension below these folders.
fn below(mut folders: Vec<PathBuf>, extension: &str) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|given| given == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Writes a generated file, or says whether it is up to date.
pub fn write_or_check(name: &str, content: &str, check: bool, command: &str) -> Result<(), Failure> {
    let path = root().join(name);
    let present = fs::read_to_string(&path).unwrap_or_default();
    if present == content {
        say(&format!("{name} is up to date"));
        return Ok(());
    }
    if check {
        let line = present.lines().zip(content.lines()).position(|(a, b)| a != b).map_or(0, |line| line + 1);
        return Err(format!("{name} is out of date (line {line}); run `cargo xtask {command}`").into());
    }
    fs::write(&path, content)?;
    say(&format!("{name} written"));
    Ok(())
}
