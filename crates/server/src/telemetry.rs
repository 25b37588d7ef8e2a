//! Logs on stderr: lines for people on a terminal, JSON otherwise, unless the operator says which.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt};

use crate::{Failure, cli::LogFormat};

const DEFAULT_FILTER: &str = "info,actix_server=warn,actix_http=warn";

/// Starts logging.
///
/// # Errors
/// If the filter cannot be read.
pub fn start(filter: Option<&str>, format: Option<LogFormat>) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter.unwrap_or(DEFAULT_FILTER)).map_err(|e| {
        format!("GATEPOST_LOG (or --log): {e}; expected e.g. info or gatepost_app=debug,info")
    })?;
    let log = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let is_terminal = std::io::stderr().is_terminal();
    let usual = if is_terminal { LogFormat::Text } else { LogFormat::Json };
    match format.unwrap_or(usual) {
        LogFormat::Text => log.with_ansi(is_terminal).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    }
}
