//! Gatepost's use-cases. Each authorises, validates, runs one transaction and says what happened.
//!
//! Reading use-cases take the [`App`]; those that change something take a [`UnitOfWork`], so that rows, events,
//! audit entries, the idempotency record and the change feed are written in one transaction, whoever calls:
//! the HTTP API through [`App::answer`], the command line through [`App::transact`].

pub mod api_keys;
pub mod audit_log;
mod auth;
mod caller;
pub mod first_start;
mod idempotency;
mod unit_of_work;
pub mod workspaces;

use std::sync::Arc;

use gatepost_entitlements::Catalog;
use gatepost_kernel::{ApiKeyId, Clock, Error, Result, Timestamp, WorkspaceId};
use gatepost_storage::{Storage, Tx};

pub use auth::Principal;
pub use caller::{Authority, Caller};
pub use gatepost_storage::{Actor, AuditEntry, Op, Workspace};
pub use idempotency::{Answer, IdempotencyRequest};
pub use unit_of_work::UnitOfWork;

/// The application: the database, the plans and the clock. Cloning is cheap.
#[derive(Clone)]
pub struct App(Arc<Parts>);

struct Parts {
    storage: Storage,
    catalog: Catalog,
    clock: Arc<dyn Clock>,
}

impl App {
    /// Puts an application together.
    pub fn new(storage: Storage, catalog: Catalog, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Parts { storage, catalog, clock }))
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The plans and features.
    pub fn catalog(&self) -> &Catalog {
        &self.0.catalog
    }

    /// The database.
    pub fn storage(&self) -> &Storage {
        &self.0.storage
    }

    /// Whether the application can do its work: whether the database answers.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if not.
    pub async fn ready(&self) -> Result<()> {
        Ok(self.0.storage.ping().await?)
    }

    /// The workspace that a key belongs to, for the operator, who knows only the key's number.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unavailable`].
    pub async fn workspace_of_key(&self, id: ApiKeyId) -> Result<WorkspaceId> {
        self.read(async move |mut tx| tx.api_key_workspace(id).await?.ok_or(Error::NotFound)).await
    }

    /// Deletes idempotency records that no longer count; how many.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn forget_old_answers(&self) -> Result<usize> {
        let now = self.now();
        let delete = async move |mut tx: Tx<'_>| Ok::<_, Error>(tx.idempotency_delete_expired(now).await?);
        self.0.storage.transaction(delete).await
    }

    async fn read<R, F>(&self, body: F) -> Result<R>
    where
        for<'c> F: AsyncFnOnce(Tx<'c>) -> Result<R> + Op<Tx<'c>, Result<R>, Fut: Send> + Send + 'static,
        R: Send + 'static,
    {
        self.0.storage.read::<R, Error, F>(body).await
    }
}
