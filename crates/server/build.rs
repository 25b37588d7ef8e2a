//! Puts the presets, which are configuration files, into the program: each by the name of its file.

#![expect(
    clippy::disallowed_methods,
    reason = "Cargo says by the environment where a build script reads and writes"
)]

use std::{env, error::Error, fmt::Write, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../presets").canonicalize()?;
    println!("cargo::rerun-if-changed={}", directory.display());
    let mut files: Vec<_> =
        fs::read_dir(&directory)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let mut code = "&[".to_owned();
    for file in files {
        let name = file.file_stem().unwrap_or_default();
        println!("cargo::rerun-if-changed={}", file.display());
        write!(code, "({name:?}, include_str!({file:?})),")?;
    }
    code.push(']');
    fs::write(Path::new(&env::var("OUT_DIR")?).join("presets.rs"), code)?;
    Ok(())
}
