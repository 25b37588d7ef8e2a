//! `openapi/openapi.json` is what the binary prints.

use std::process::Command;

use crate::{Failure, files};

/// Writes or checks the document.
pub fn run(check: bool) -> Result<(), Failure> {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--locked", "--package", "gatepost-server", "--", "openapi"])
        .current_dir(files::root())
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    files::write_or_check("openapi/openapi.json", &String::from_utf8(output.stdout)?, check, "openapi")
}
