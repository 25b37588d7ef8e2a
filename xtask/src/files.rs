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
    let mut found = Vec::new();
    let mut folders = vec![root().join("crates"), root().join("xtask")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
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
