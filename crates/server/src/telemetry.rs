//! Logs on stderr: lines for people on a terminal, JSON otherwise.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt};

use crate::Failure;

const DEFAULT_FILTER: &str = "info,actix_server=warn,actix_http=warn";

/// Starts logging.
///
/// # Errors
/// If the filter cannot be read.
pub fn start(filter: Option<&str>) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter.unwrap_or(DEFAULT_FILTER)).map_err(|e| {
        format!("GATEPOST_LOG (or --log): {e}; expected e.g. info or gatepost_app=debug,info")
    })?;
    let log = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() { log.try_init() } else { log.json().flatten_event(true).try_init() }
}
