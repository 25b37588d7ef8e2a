//! The programs of other languages that tests run against the server: installed below `target`, at fixed versions, once.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Failure, files, say};

/// Installs what `clients` asks for, unless that was done before.
pub fn provide() -> Result<(), Failure> {
    let (sources, installed) = (files::root().join("clients"), files::root().join("target/clients"));
    once(&installed.join("python"), &[sources.join("verify/requirements.txt")], |to, wanted| {
        run(Command::new("python3").args(["-m", "venv"]).arg(to))?;
        let pip = to.join("bin/pip");
        run(Command::new(pip).args(["install", "-q", "--disable-pip-version-check", "-r"]).arg(&wanted[0]))
    })?;
    let wanted =
        ["package.json", "package-lock.json", "verify.mjs"].map(|name| sources.join("verify").join(name));
    once(&installed.join("node"), &wanted, |to, wanted| {
        for file in wanted {
            fs::copy(file, to.join(file.file_name().ok_or("a file without a name")?))?;
        }
        run(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(to))
    })
}

/// Runs `install` into an empty directory, unless it was run for the same files.
fn once(
    to: &Path,
    wanted: &[PathBuf],
    install: impl FnOnce(&Path, &[PathBuf]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut contents = String::new();
    for file in wanted {
        contents += &fs::read_to_string(file)?;
    }
    let stamp = to.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|before| before == contents) {
        return Ok(());
    }
    say(&format!("installing {}", to.display()));
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    install(to, wanted)?;
    // Last: what was broken off is done again.
    Ok(fs::write(stamp, contents)?)
}

fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}
