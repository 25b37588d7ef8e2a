//! PostgreSQL through a small pool, without libpq.
//!
//! Every unit of work is a task of the main runtime, so a request that is dropped cannot cancel it half-way,
//! and connections do not depend on the worker that happened to open them. A unit that misses its deadline,
//! or panics, takes its connection out of the pool with it: closing it makes the server roll back.

use std::{future::poll_fn, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use deadpool::{Status, managed::QueueMode};
use diesel_async::{
    AnsiTransactionManager, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection, TransactionManager,
    async_connection_wrapper::AsyncConnectionWrapper,
    pooled_connection::{
        AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
        deadpool::{Object, Pool, PoolError},
    },
};
use futures_util::FutureExt;
use gatepost_kernel::{Cause, Fate, Secret, chain};
use tokio::{runtime::Handle, sync::mpsc, task::JoinError};
use tokio_postgres::{AsyncMessage, Config, config::SslMode};

use super::{Conn, DEADLINE, Notice, Op, Tx, connect::connect, deadline_passed, sql_state};
use crate::{Migrated, Result, SchemaState, StorageError, metrics::StorageMetrics, migrations};

pub(crate) type PostgresConn = AsyncPgConnection;

const MAX_CONNECTIONS: usize = 8;
/// Shorter than [`DEADLINE`], so that the caller hears the cause and not only that time ran out.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3_000);
/// The server's own limits are backstops: it ends what this process no longer waits for.
const SESSION: &str = "SET TIME ZONE 'UTC'; SET statement_timeout = '10s'; SET lock_timeout = '3s'; \
                       SET idle_in_transaction_session_timeout = '15s'; SET application_name = 'gatepost'";
/// Lists are read so. A plan for all values that a condition may have would be a bad one for those that are
/// rare.
const BEGIN_SNAPSHOT: &str =
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL plan_cache_mode = force_custom_plan";
/// How long it waits before it listens again.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
/// The key of the advisory lock that migrations run under.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_lock(7272740001)";
/// The key of the one that records are brought in line with declarations under.
const RECONCILE_LOCK: &str = "SELECT pg_advisory_lock(7272740003)";
const TRY_RECONCILE_LOCK: &str = "SELECT pg_try_advisory_lock(7272740003) AS locked";

#[derive(Clone)]
pub(super) struct PostgresEngine {
    pool: Pool<PostgresConn>,
    runtime: Handle,
    config: Arc<Config>,
    metrics: Arc<StorageMetrics>,
}

#[derive(diesel::QueryableByName)]
struct Attempt {
    #[diesel(sql_type = diesel::sql_types::Bool)]
    locked: bool,
}

impl PostgresEngine {
    pub(super) fn open(url: &Secret, metrics: &Arc<StorageMetrics>) -> Result<Self> {
        let config = url
            .expose()
            .parse::<Config>()
            .map_err(|e| StorageError::Configuration(Cause::by("the database URL cannot be read", e)))?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(StorageError::Configuration(Cause::new(
                "sslmode=require is not supported; reach PostgreSQL over a trusted network or a TLS tunnel",
            )));
        }
        let mut manager = ManagerConfig::<PostgresConn>::default();
        manager.recycling_method = RecyclingMethod::Fast;
        let (config, counted) = (Arc::new(config), metrics.clone());
        let server = config.clone();
        manager.custom_setup = Box::new(move |_| open(server.clone(), counted.clone()).boxed());
        let pool = Pool::builder(AsyncDieselConnectionManager::new_with_config(url.expose(), manager))
            .max_size(MAX_CONNECTIONS)
            // The one that was used last has its statements planned, and its caches warm.
            .queue_mode(QueueMode::Lifo)
            .build()
            .map_err(|e| StorageError::Configuration(Cause::by("the pool of connections", e)))?;
        Ok(Self { pool, runtime: Handle::current(), config, metrics: metrics.clone() })
    }

    pub(super) fn status(&self) -> Status {
        self.pool.status()
    }

    pub(super) async fn read<R, E, F>(&self, body: F) -> Result<R, E>
    where
        for<'c> F: AsyncFnOnce(Tx<'c>) -> Result<R, E> + Op<Tx<'c>, Result<R, E>, Fut: Send> + Send + 'static,
        R: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        self.detached(false, async move |conn: &mut PostgresConn| body(Tx(Conn::Postgres(conn))).await).await
    }

    /// The same for one statement that writes: the server keeps what it has done without being told.
    pub(super) async fn statement<R, E, F>(&self, body: F) -> Result<R, E>
    where
        for<'c> F: AsyncFnOnce(Tx<'c>) -> Result<R, E> + Op<Tx<'c>, Result<R, E>, Fut: Send> + Send + 'static,
        R: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        self.detached(true, async move |conn: &mut PostgresConn| body(Tx(Conn::Postgres(conn))).await).await
    }

    pub(super) async fn read_snapshot<R, E, F>(&self, body: F) -> Result<R, E>
    where
        for<'c> F: AsyncFnOnce(Tx<'c>) -> Result<R, E> + Op<Tx<'c>, Result<R, E>, Fut: Send> + Send + 'static,
        R: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        self.transaction_with(BEGIN_SNAPSHOT, false, body).await
    }

    pub(super) async fn transaction<R, E, F>(&self, body: F) -> Result<R, E>
    where
        for<'c> F: AsyncFnOnce(Tx<'c>) -> Result<R, E> + Op<Tx<'c>, Result<R, E>, Fut: Send> + Send + 'static,
        R: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        self.transaction_with("BEGIN", true, body).await
    }

    async fn transaction_with<R, E, F>(&self, begin: &'static str, writes: bool, body: F) -> Result<R, E>
    where
        for<'c> F: AsyncFnOnce(Tx<'c>) -> Result<R, E> + Op<Tx<'c>, Result<R, E>, Fut: Send> + Send + 'static,
        R: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        self.detached(false, async move |conn: &mut PostgresConn| {
            AnsiTransactionManager::begin_transaction_sql(conn, begin).await.map_err(StorageError::from)?;
            match body(Tx(Conn::Postgres(&mut *conn))).await {
                Ok(value) => {
                    if writes {
                        sql_state::keep();
                    }
                    AnsiTransactionManager::commit_transaction(conn).await.map_err(StorageError::from)?;
                    Ok(value)
                }
                Err(error) => {
                    // A rollback that fails leaves a connection that the pool will not hand out again.
                    let _ = AnsiTransactionManager::rollback_transaction(conn).await;
                    Err(error)
                }
            }
        })
        .await
    }

    /// Runs `body` on a pooled connection in a task of its own.
    async fn detached<R, E, F>(&self, keeps_at_once: bool, body: F) -> Result<R, E>
    where
        for<'c> F: AsyncFnOnce(&'c mut PostgresConn) -> Result<R, E>
            + Op<&'c mut PostgresConn, Result<R, E>, Fut: Send>
            + Send
            + 'static,
        R: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let pool = self.pool.clone();
        let unit = async move {
            let deadline = tokio::time::Instant::now() + DEADLINE;
            let mut conn = match tokio::time::timeout_at(deadline, pool.get()).await {
                Ok(conn) => conn.map_err(unavailable)?,
                Err(_) => return Err(deadline_passed(Fate::Undone).into()),
            };
            let work = AssertUnwindSafe(body(&mut conn)).catch_unwind();
            match tokio::time::timeout_at(deadline, work).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => {
                    drop(Object::take(conn));
                    Err(StorageError::Query(Cause::new("a unit of work panicked")).into())
                }
                Err(_) => {
                    drop(Object::take(conn));
                    Err(deadline_passed(sql_state::fate()).into())
                }
            }
        };
        self.runtime.spawn(sql_state::unit(keeps_at_once, unit)).await.map_err(stopping)?
    }

    /// Hands on what other processes announce, over a connection of its own, until the receiver is gone.
    pub(super) fn notices(&self) -> mpsc::UnboundedReceiver<Notice> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let config = self.config.clone();
        self.runtime.spawn(async move {
            while !sender.is_closed() {
                if let Err(error) = listen(&config, &sender).await {
                    tracing::warn!(error = %chain(&error), "announcements of other processes are not heard; trying again");
                }
                tokio::time::sleep(LISTEN_AGAIN).await;
            }
        });
        receiver
    }

    pub(super) async fn migrate(&self) -> Result<Migrated> {
        self.blocking(|mut conn| {
            conn.batch_execute_blocking(MIGRATION_LOCK)?;
            // Whoever had the lock before may have been a newer version.
            let state = migrations::state_postgres(&mut conn)?;
            state.check()?;
            migrations::run_postgres(&mut conn)?;
            // Closing the connection gives the lock back.
            Ok(Migrated { run: state.pending, copy: None })
        })
        .await
    }

    pub(super) async fn schema(&self) -> Result<SchemaState> {
        self.blocking(|mut conn| migrations::state_postgres(&mut conn)).await
    }

    /// Waits for a lock that one process alone has, until it drops this connection.
    pub(super) async fn lock_for_reconciling(&self) -> Result<PostgresConn> {
        let (config, metrics) = (self.config.clone(), self.metrics.clone());
        let work = async move {
            let mut conn = open_patient(config, metrics).await?;
            let attempt: Attempt = diesel::sql_query(TRY_RECONCILE_LOCK).get_result(&mut conn).await?;
            if !attempt.locked {
                tracing::info!(
                    "another process brings records in line with its declarations; waiting for it"
                );
                conn.batch_execute(RECONCILE_LOCK).await?;
            }
            Ok(conn)
        };
        self.runtime.spawn(sql_state::unit(false, work)).await.map_err(stopping)?
    }

    async fn blocking<R: Send + 'static>(
        &self,
        body: impl FnOnce(AsyncConnectionWrapper<PostgresConn>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let (config, metrics) = (self.config.clone(), self.metrics.clone());
        let work = async move {
            let conn = open_patient(config, metrics).await?;
            let work = move || sql_state::blocking_unit(|| body(AsyncConnectionWrapper::from(conn)));
            tokio::task::spawn_blocking(work)
                .await
                .map_err(|e| StorageError::Query(Cause::by("a unit of work panicked", e)))?
        };
        self.runtime.spawn(sql_state::unit(false, work)).await.map_err(stopping)?
    }
}

/// Listens until the connection breaks or nobody wants to hear.
async fn listen(
    config: &Config,
    sender: &mpsc::UnboundedSender<Notice>,
) -> Result<(), tokio_postgres::Error> {
    let (client, mut connection) = config.connect(tokio_postgres::NoTls).await?;
    let listening = async {
        client.batch_execute("LISTEN gatepost_due; LISTEN gatepost_changes").await?;
        // What was announced before, nobody has heard.
        for notice in [Notice::Due, Notice::Changes] {
            let _ = sender.send(notice);
        }
        Ok::<_, tokio_postgres::Error>(())
    };
    let hearing = async {
        loop {
            let message = tokio::select! {
                message = poll_fn(|context| connection.poll_message(context)) => message,
                () = sender.closed() => return Ok(()),
            };
            let heard = match message.transpose()? {
                Some(AsyncMessage::Notification(heard)) => heard,
                Some(_) => continue,
                None => return Ok(()),
            };
            let notice = if heard.channel() == "gatepost_due" { Notice::Due } else { Notice::Changes };
            let _ = sender.send(notice);
        }
    };
    // The client must live as long as the connection is to.
    tokio::try_join!(listening, hearing).map(|_| ())
}

trait BatchExecuteBlocking {
    fn batch_execute_blocking(&mut self, sql: &str) -> Result<()>;
}

impl BatchExecuteBlocking for AsyncConnectionWrapper<PostgresConn> {
    fn batch_execute_blocking(&mut self, sql: &str) -> Result<()> {
        Ok(diesel::connection::SimpleConnection::batch_execute(self, sql)?)
    }
}

async fn open(config: Arc<Config>, metrics: Arc<StorageMetrics>) -> diesel::ConnectionResult<PostgresConn> {
    let attempt = async {
        let mut conn = connect(&config, metrics).await?;
        conn.batch_execute(SESSION).await.map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
        Ok(conn)
    };
    tokio::time::timeout(CONNECT_TIMEOUT, attempt).await.unwrap_or_else(|_| {
        Err(diesel::ConnectionError::BadConnection("connecting took too long".to_owned()))
    })
}

/// A connection for what may take longer than a request, and may have to wait for another process.
async fn open_patient(config: Arc<Config>, metrics: Arc<StorageMetrics>) -> Result<PostgresConn> {
    let mut conn = open(config, metrics)
        .await
        .map_err(|e| StorageError::unavailable(Cause::by("connecting to the database", e)))?;
    // The last is not known to all versions.
    conn.batch_execute(
        "SET statement_timeout = 0; SET lock_timeout = 0; \
         SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'",
    )
    .await?;
    Ok(conn)
}

fn unavailable(error: PoolError) -> StorageError {
    StorageError::unavailable(Cause::by("a connection to the database", error))
}

fn stopping(error: JoinError) -> StorageError {
    let cause = Cause::by("the runtime is shutting down", error);
    StorageError::Unavailable { fate: Fate::Unknown, cause }
}
