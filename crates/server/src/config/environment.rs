//! Secrets from the environment. Each can stand in a variable, or in a file that a second variable of its
//! name and `_FILE` names, as orchestrators hand secrets in.

use std::{fs, path::PathBuf};

use gatepost_kernel::Secret;

use crate::Failure;

/// The secret of that name, from its variable or its file.
///
/// # Errors
/// If both are given, or the file cannot be read. The secret itself is never repeated.
pub fn secret(name: &str) -> Result<Option<Secret>, Failure> {
    let file_name = format!("{name}_FILE");
    match (variable(name)?, variable(&file_name)?.map(PathBuf::from)) {
        (Some(_), Some(_)) => Err(format!("{name} and {file_name} are both set; keep one of them").into()),
        (Some(text), None) => Ok(Some(Secret::new(text))),
        (None, Some(path)) => {
            let text =
                fs::read_to_string(&path).map_err(|e| format!("{file_name}: {}: {e}", path.display()))?;
            // Whoever writes a line into a file ends it.
            let text =
                text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
            Ok(Some(Secret::new(text.to_owned())))
        }
        (None, None) => Ok(None),
    }
}

#[expect(clippy::disallowed_methods, reason = "settings are read here, once")]
fn variable(name: &str) -> Result<Option<String>, Failure> {
    match std::env::var(name) {
        Ok(text) => Ok(Some(text)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("{name}: expected UTF-8").into()),
    }
}
