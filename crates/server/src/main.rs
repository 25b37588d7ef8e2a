//! The `gatepost` binary: command line, configuration, wiring, telemetry, shutdown.

mod cli;
mod config;
mod doctor;
mod first_key;
mod jobs;
mod keys;
mod memory;
mod output;
mod paging;
mod secrets;
mod serve;
mod telemetry;
mod workspaces;

use gatepost_api::Contract;
use std::process::ExitCode;

use crate::{
    cli::{Cli, Command, KeysCommand, OpenapiFormat},
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
    telemetry::start(cli.global.log.as_deref())?;
    if let Some(Command::Openapi { format }) = cli.command {
        output::json_pretty(&match format {
            OpenapiFormat::V31 => gatepost_api::document(&Contract::core()),
            OpenapiFormat::V30 => gatepost_api::document_3_0(&Contract::core()),
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(Command::Keys(KeysCommand::Generate { environment, json })) = cli.command {
        keys::generate(environment, json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let serve_args = if let Some(Command::Serve(args)) = &cli.command { args } else { &cli.serve };
    let config = Config::load(&cli.global, serve_args)?;
    match cli.command {
        None | Some(Command::Serve(_)) => serve::run(&config).await.map(|()| ExitCode::SUCCESS),
        Some(Command::Migrate { json }) => serve::migrate(&config, json).await.map(|()| ExitCode::SUCCESS),
        Some(Command::Doctor { json }) => doctor::run(&config, json).await,
        Some(Command::Keys(command)) => keys::run(&config, command).await.map(|()| ExitCode::SUCCESS),
        Some(Command::Workspaces(command)) => {
            workspaces::run(&config, command).await.map(|()| ExitCode::SUCCESS)
        }
        Some(Command::Secrets(command)) => secrets::run(&config, command).await.map(|()| ExitCode::SUCCESS),
        Some(Command::Openapi { .. }) => Ok(ExitCode::SUCCESS),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    output::error(error);
    ExitCode::FAILURE
}
