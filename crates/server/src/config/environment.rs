//! Secrets from the environment. Each can stand in a variable, or in a file that a second variable of its
//! name and `_FILE` names, as orchestrators hand secrets in.

use std::{fs, path::PathBuf};

use clap::CommandFactory;
use gatepost_kernel::Secret;

use super::errors::likely;
use crate::{Failure, cli::Cli};

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

/// The secrets that can stand in the environment.
const SECRETS: [&str; 2] = ["GATEPOST_SECRET_KEY", "GATEPOST_BOOTSTRAP_KEY"];

/// Variables of other programs: what the guide lets a service read, and what Kubernetes says to each container
/// of a service that is called `gatepost`.
fn is_of_others(name: &str) -> bool {
    matches!(name, "GATEPOST_KEY" | "GATEPOST_URL")
        || name.starts_with("GATEPOST_SERVICE_")
        || name == "GATEPOST_PORT"
        || name.starts_with("GATEPOST_PORT_")
}

/// What is said of variables that begin like ours and mean nothing.
pub fn unknown() -> Vec<String> {
    let arguments = Cli::command();
    let of_arguments = arguments.get_arguments().filter_map(|argument| argument.get_env()?.to_str());
    let known: Vec<String> = of_arguments
        .map(str::to_owned)
        .chain(SECRETS.iter().flat_map(|name| [(*name).to_owned(), format!("{name}_FILE")]))
        .collect();
    let mut names: Vec<String> =
        std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
    names.sort();
    let is_unknown =
        |name: &&String| name.starts_with("GATEPOST_") && !known.contains(name) && !is_of_others(name);
    let unknown = names.iter().filter(is_unknown);
    let told = |name: &String| match likely(name, known.iter().map(String::as_str)) {
        Some(known) => format!("{name} is set, but means nothing; did you mean {known}?"),
        None => format!("{name} is set, but means nothing; known are: {}", known.join(", ")),
    };
    unknown.map(told).collect()
}

/// Whether a setting that a flag can give comes from its variable or from the flag.
///
/// # Errors
/// If the variable is not UTF-8.
pub fn origin(name: &str, flag: &str) -> Result<String, Failure> {
    let is_given = |argument: std::ffi::OsString| {
        argument.to_str().is_some_and(|text| text.split('=').next() == Some(flag))
    };
    let by_flag = std::env::args_os().skip(1).any(is_given);
    Ok(if variable(name)?.is_some() && !by_flag { name.to_owned() } else { flag.to_owned() })
}

#[expect(clippy::disallowed_methods, reason = "settings are read here, once")]
fn variable(name: &str) -> Result<Option<String>, Failure> {
    match std::env::var(name) {
        Ok(text) => Ok(Some(text)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("{name}: expected UTF-8").into()),
    }
}
