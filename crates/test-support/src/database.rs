//! An empty database that is gone with the test.

use gatepost_storage::{DatabaseUrl, Engine, Storage};
use tempfile::TempDir;

use crate::PostgresServer;

/// An empty database.
#[derive(Debug)]
pub struct TestDatabase {
    /// Its address.
    pub url: String,
    // Removes the file when dropped.
    _dir: Option<TempDir>,
}

impl TestDatabase {
    /// Makes one: a file of its own, or a database on the server that the process's tests share.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn create(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => {
                let dir = tempfile::tempdir().expect("a temporary directory");
                let url = format!("sqlite://{}", dir.path().join("gatepost.db").display());
                Self { url, _dir: Some(dir) }
            }
            Engine::Postgres => Self { url: PostgresServer::shared().create_database(), _dir: None },
        }
    }

    /// Opens it and makes the tables.
    ///
    /// # Panics
    /// If it cannot be opened.
    pub async fn open(&self) -> Storage {
        let url: DatabaseUrl = self.url.parse().expect("a database URL");
        let storage = Storage::open(&url).await.expect("opening the database");
        storage.migrate().await.expect("migrating the database");
        storage
    }
}
