//! The databases that Gatepost is measured on: a SQLite file, or a PostgreSQL server of the run's own, as
//! durable as it comes.

use std::{fs, path::PathBuf};

use gatepost_test_support::PostgresServer;
use tempfile::TempDir;

use crate::Failure;

/// No limits, and receivers on this machine.
const CONFIG: &str = "[webhooks]\nallow_http = true\n[egress]\nallow = [\"127.0.0.1/32\"]\n\
                      [plans.enterprise]\naccess = \"admin\"\nfeatures = { api_calls = 9007199254740991, webhooks = \"unlimited\" }\n\
                      [pixel]\nrequests_per_minute = 1000000000\n";

/// A database, and the directory of the server that uses it.
pub struct Database {
    dir: TempDir,
    /// Where it is.
    pub url: String,
    postgres: Option<PostgresServer>,
}

impl Database {
    /// An empty SQLite file.
    pub fn sqlite() -> Result<Self, Failure> {
        let dir = directory()?;
        Ok(Self {
            url: format!("sqlite://{}", dir.path().join("gatepost.db").display()),
            dir,
            postgres: None,
        })
    }

    /// An empty database on a new server.
    pub fn postgres() -> Result<Self, Failure> {
        let server = PostgresServer::start_durable();
        Ok(Self { dir: directory()?, url: server.create_database(), postgres: Some(server) })
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        if self.postgres.is_some() { "PostgreSQL" } else { "SQLite" }
    }

    /// Where the configuration is.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// The CPU time of the database's own processes, ended ones included, in microseconds.
    pub fn cpu_micros(&self) -> Result<f64, Failure> {
        let Some(server) = &self.postgres else { return Ok(0.0) };
        let mut total = 0.0;
        for (place, pid) in server.pids().into_iter().enumerate() {
            // A child may have ended meanwhile; then its parent has its time.
            let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
            let own = crate::server::ticks(&stat, 11).unwrap_or(0.0)
                + crate::server::ticks(&stat, 12).unwrap_or(0.0);
            let ended = crate::server::ticks(&stat, 13).unwrap_or(0.0)
                + crate::server::ticks(&stat, 14).unwrap_or(0.0);
            total += own + if place == 0 { ended } else { 0.0 };
        }
        Ok(total * crate::server::MICROS_PER_TICK)
    }
}

fn directory() -> Result<TempDir, Failure> {
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("gatepost.toml"), CONFIG)?;
    Ok(dir)
}
