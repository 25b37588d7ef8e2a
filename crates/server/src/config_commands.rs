//! `gatepost config …`

use std::process::ExitCode;

use serde_json::json;

use crate::{
    Failure,
    cli::{GlobalArgs, ServeArgs},
    config::{Config, ConfigErrors, Effective},
    output,
};

/// Reads the configuration, and says all that is wrong with it.
pub fn check(global: &GlobalArgs, serve: &ServeArgs, as_json: bool) -> Result<ExitCode, Failure> {
    let mut errors = ConfigErrors::default();
    let config = errors.keep(Config::load(global, serve));
    let warnings = config.map(|config| config.unknown_variables).unwrap_or_default();
    if as_json {
        let sentences: Vec<&str> = errors.sentences().collect();
        output::json(&json!({ "sound": errors.is_empty(), "errors": sentences, "warnings": warnings }))?;
    } else {
        errors.sentences().try_for_each(|error| output::line(&format!("fail  {error}")))?;
        warnings.iter().try_for_each(|warning| output::line(&format!("warn  {warning}")))?;
        if errors.is_empty() {
            output::line("ok    the configuration is sound")?;
        }
    }
    Ok(if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints every setting that is in force, and where it comes from.
pub fn show(global: &GlobalArgs, serve: &ServeArgs, as_json: bool) -> Result<(), Failure> {
    let settings = Config::load(global, serve)?.effective()?;
    if as_json {
        let object = |setting: &Effective| json!({ "name": setting.name, "value": setting.shown(), "from": setting.from });
        output::json(&json!({ "settings": settings.iter().map(object).collect::<Vec<_>>() }))?;
        return Ok(());
    }
    for setting in &settings {
        output::line(&format!("{} = {}  # {}", setting.name, setting.shown(), setting.from))?;
    }
    Ok(())
}
