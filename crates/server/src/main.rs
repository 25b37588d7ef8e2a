//! The `gatepost` binary: command line, configuration, wiring, telemetry, shutdown.

mod cli;
mod config;
mod config_commands;
mod database;
mod doctor;
mod first_key;
mod healthcheck;
mod jobs;
mod keys;
mod members;
mod memory;
mod output;
mod paging;
mod presets;
mod reload;
mod secrets;
mod self_signed;
mod serve;
mod stored;
mod supervisor;
mod telemetry;
mod workspaces;

use std::process::ExitCode;

use gatepost_app::resources::Resources;

use crate::{
    cli::{Cli, Command, ConfigCommand, KeysCommand, OpenapiFormat, PresetsCommand},
    config::Config,
};

/// What ends a command: a sentence for the operator.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    memory::give_back_soon();
    memory::keep_from_others();
    let cli = Cli::read();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    match runtime.block_on(run(cli)) {
        Ok(code) => code,
        Err(error) => fail(error.as_ref()),
    }
}

async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    telemetry::start(cli.global.log.as_deref(), cli.global.log_format)?;
    match &cli.command {
        Some(Command::Config(ConfigCommand::Check { serve, json })) => {
            return config_commands::check(&cli.global, serve, *json);
        }
        Some(Command::Config(ConfigCommand::Show { serve, json })) => {
            return config_commands::show(&cli.global, serve, *json).map(|()| ExitCode::SUCCESS);
        }
        _ => {}
    }
    if let Some(Command::Presets(command @ (PresetsCommand::List | PresetsCommand::Show { .. }))) =
        &cli.command
    {
        presets::run(command)?;
        return Ok(ExitCode::SUCCESS);
    }
    match cli.command {
        Some(Command::Config(ConfigCommand::Defaults)) => {
            output::json_pretty(&config::defaults()?)?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Openapi { format }) => {
            let (contract, declarations) = Config::face(&cli.global)?;
            let resources = Resources::unstored(declarations);
            output::json_pretty(&match format {
                OpenapiFormat::V31 => gatepost_api::document(&contract, &resources),
                OpenapiFormat::V30 => gatepost_api::document_3_0(&contract, &resources),
            })?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Keys(KeysCommand::Generate { environment, json })) => {
            keys::generate(&Config::contract(&cli.global)?.tokens, environment, json)?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let serve_args = match &cli.command {
        Some(
            Command::Serve(args) | Command::Doctor { serve: args, .. } | Command::Healthcheck { serve: args },
        ) => args.clone(),
        _ => cli.serve.clone(),
    };
    let config = Config::load(&cli.global, &serve_args);
    if let Some(Command::Doctor { json, .. }) = cli.command {
        return doctor::run(config, json).await;
    }
    let config = config?;
    match cli.command {
        None | Some(Command::Serve(_)) => {
            serve::run(&config, (&cli.global, &serve_args)).await.map(|()| ExitCode::SUCCESS)
        }
        Some(Command::Healthcheck { .. }) => healthcheck::run(&config).await,
        Some(Command::Migrate { json }) => database::migrate(&config, json).await.map(|()| ExitCode::SUCCESS),
        Some(Command::Keys(command)) => keys::run(&config, command).await.map(|()| ExitCode::SUCCESS),
        Some(Command::Workspaces(command)) => {
            workspaces::run(&config, command).await.map(|()| ExitCode::SUCCESS)
        }
        Some(Command::Members(command)) => members::run(&config, command).await.map(|()| ExitCode::SUCCESS),
        Some(Command::Secrets(command)) => secrets::run(&config, command).await.map(|()| ExitCode::SUCCESS),
        Some(Command::Presets(PresetsCommand::Check { name, json })) => {
            presets::check(&config, (&cli.global, &cli.serve), &name, json).await.map(|()| ExitCode::SUCCESS)
        }
        Some(Command::Presets(_) | Command::Config(_) | Command::Openapi { .. } | Command::Doctor { .. }) => {
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    output::error(error);
    ExitCode::FAILURE
}
