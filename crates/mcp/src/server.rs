//! One server: what is known of it, and calls on it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use gatepost_kernel::{Environment, LockAnyway, RequestId, WorkspaceId, chain};
use rmcp::{
    Peer, RoleClient,
    model::{
        CallToolRequest, CallToolRequestParams, ErrorCode, MetaObject, ReadResourceRequest,
        ReadResourceRequestParams, RequestMetaObject,
    },
    service::ServiceError,
};
use serde_json::Map;
use tokio::{
    sync::{Notify, Semaphore},
    time::timeout,
};

use crate::{
    Arguments, McpError, Problem, ResourceContent, ServerConfig, Tool, ToolAnswer, answer::Read, ask::ask,
    connection::MAX_CALLS, known::Known, message::Reply, uri,
};

/// So many calls in a row without an answer, and the server counts as broken: it is ended and started anew.
const MAX_TIMEOUTS: u32 = 3;
/// How many arguments are checked at the same time: one schema of a server's that takes long must not cost
/// the others more.
const MAX_CHECKS: usize = 2;
/// How often a server is asked once more that says it is not ready to answer a call, …
const MAX_ROUNDS: u32 = 10;
/// … and how long it is left alone before that; longer each time.
const ROUND: Duration = Duration::from_millis(100);

gatepost_kernel::words! {
    /// Whether a server can be called.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Status {
        /// It can be called.
        Up = "up",
        /// It was there, and will be again.
        Down = "down",
        /// It was never there so far.
        Starting = "starting",
    }
    described as "McpServerStatus": "State of the connection to an MCP server; `starting` until it was connected once."
}

/// On whose behalf a call is made. It travels beside the arguments, which the caller writes.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// The environment.
    pub environment: Environment,
    /// The request that the call is part of.
    pub request_id: Option<RequestId>,
}

impl CallContext {
    fn meta(&self) -> RequestMetaObject {
        let mut meta = Map::new();
        meta.insert("gatepost/workspaceId".to_owned(), self.workspace_id.0.into());
        meta.insert("gatepost/environment".to_owned(), self.environment.as_str().into());
        if let Some(id) = &self.request_id {
            meta.insert("gatepost/requestId".to_owned(), id.as_str().into());
        }
        RequestMetaObject(MetaObject(meta))
    }
}

/// A call whose arguments fit.
#[derive(Debug)]
pub struct CheckedCall {
    tool: String,
    arguments: Arguments,
}

impl CheckedCall {
    /// Which tool is called.
    pub fn tool(&self) -> &str {
        &self.tool
    }

    /// With what.
    pub fn arguments(&self) -> &Arguments {
        &self.arguments
    }
}

/// A server of the operator's.
pub struct Server {
    config: ServerConfig,
    state: Mutex<State>,
    slots: Semaphore,
    checks: Arc<Semaphore>,
    timeouts: AtomicU32,
    /// Somebody wants it while it is down.
    pub(crate) wanted: Notify,
    /// It does not answer any more, or cannot be reached.
    pub(crate) broken: Notify,
    /// What it offers has changed.
    pub(crate) changed: Arc<Notify>,
}

struct State {
    peer: Option<Peer<RoleClient>>,
    /// Which connection it is: what is learnt from calls on an earlier one says nothing about this one.
    connection: u64,
    /// The last that was heard; kept while the server is down.
    known: Arc<Known>,
    was_up: bool,
    why: String,
    next_try: Instant,
}

impl Server {
    pub(crate) fn new(config: ServerConfig) -> Self {
        let state = State {
            peer: None,
            connection: 0,
            known: Arc::default(),
            was_up: false,
            why: "it has not started yet".to_owned(),
            next_try: Instant::now(),
        };
        Self {
            config,
            state: Mutex::new(state),
            slots: Semaphore::new(MAX_CALLS),
            checks: Arc::new(Semaphore::new(MAX_CHECKS)),
            timeouts: AtomicU32::new(0),
            wanted: Notify::new(),
            broken: Notify::new(),
            changed: Arc::default(),
        }
    }

    /// What the operator says about it.
    pub fn config(&self) -> &ServerConfig {
        &self.config
    }

    /// Whether it can be called.
    pub fn status(&self) -> Status {
        let state = self.state();
        match (&state.peer, state.was_up) {
            (Some(_), _) => Status::Up,
            (None, true) => Status::Down,
            (None, false) => Status::Starting,
        }
    }

    /// A name for people.
    pub fn name(&self) -> String {
        let named = self.config.name.clone().or_else(|| self.known().name.clone());
        named.unwrap_or_else(|| self.config.id.clone())
    }

    /// What it is for.
    pub fn description(&self) -> Option<String> {
        self.config.description.clone().or_else(|| self.known().description.clone())
    }

    /// Its tools, in its own order; the last that were heard of while it is down.
    pub fn tools(&self) -> Vec<Tool> {
        self.known().tools.clone()
    }

    /// What of that is not as the protocol has it: tools and resources that are left out, and what is not
    /// checked of schemas.
    pub fn problems(&self) -> Vec<Problem> {
        self.known().problems.clone()
    }

    /// Whether it offers a resource of this URI, or of a template that the URI fits.
    pub fn has_resource(&self, uri: &str) -> bool {
        self.resource(uri).is_some()
    }

    fn resource(&self, uri: &str) -> Option<String> {
        self.known().resource(uri).filter(|_| uri::is_harmless(uri))
    }

    /// Checks a call before it is made, on a thread that nobody waits for but whoever has arguments for this
    /// server.
    ///
    /// # Errors
    /// [`McpError::Down`], [`McpError::UnknownTool`], [`McpError::InvalidArguments`], [`McpError::Busy`].
    pub async fn check(&self, tool: String, arguments: Arguments) -> Result<CheckedCall, McpError> {
        let known = self.known();
        let Some(checker) = known.tool(&tool).map(|tool| tool.checker.clone()) else {
            // Whether there is such a tool, only a server that was there has said.
            return Err(match self.status() {
                Status::Starting => self.peer().err().unwrap_or(McpError::UnknownTool),
                _ => McpError::UnknownTool,
            });
        };
        drop(known);
        let limit = self.config.call_timeout;
        let turn = timeout(limit, self.checks.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| McpError::Busy(limit))?;
        let check = move || {
            gatepost_threads::yield_to_others();
            // A check goes on when its caller goes away, and keeps its turn.
            let _turn = turn;
            checker.check(arguments.members()).map(|()| arguments)
        };
        let checked = tokio::task::spawn_blocking(check).await;
        let checked = checked.map_err(|error| McpError::Unchecked(error.to_string()))?;
        let arguments = checked.map_err(McpError::InvalidArguments)?;
        self.peer()?;
        Ok(CheckedCall { tool, arguments })
    }

    /// Calls a tool. What the tool says of its own failure is an answer.
    ///
    /// # Errors
    /// [`McpError::Down`], [`McpError::Unreadable`], [`McpError::Lost`] and [`McpError::TimedOut`].
    pub async fn call(&self, call: CheckedCall, context: &CallContext) -> Result<ToolAnswer, McpError> {
        let CheckedCall { tool, arguments } = call;
        let (peer, connection) = self.peer()?;
        let (members, written) = arguments.into_parts();
        let mut params = CallToolRequestParams::new(tool).with_arguments(members);
        params.meta = Some(context.meta());
        let rounds = async {
            for round in 1..=MAX_ROUNDS {
                let mut request = CallToolRequest::new(params.clone());
                if let Some(written) = written.clone() {
                    request.extensions.insert(written);
                }
                let read = match ask(&peer, request.into()).await {
                    Ok(Reply::Result { text, .. }) => ToolAnswer::read(&text),
                    Ok(Reply::Unreadable(why)) => Err(why),
                    Err(ServiceError::McpError(error)) => Ok(Read::Answer(error.into())),
                    Err(error) => return Err(error),
                };
                match read {
                    Ok(Read::Answer(answer)) => return Ok(Ok(answer)),
                    Ok(Read::Again(state)) => params.request_state = Some(state),
                    Err(why) => return Ok(Err(why)),
                }
                tokio::time::sleep(ROUND * round).await;
            }
            Ok(Err("it is not ready to answer".to_owned()))
        };
        match self.answered(connection, rounds).await? {
            Ok(answer) => answer.map_err(|why| self.unreadable(why)),
            Err(error) => Err(self.lost(connection, &error)),
        }
    }

    /// Reads a resource that it offers.
    ///
    /// # Errors
    /// [`McpError::UnknownResource`], [`McpError::Down`], [`McpError::Unreadable`], [`McpError::Lost`],
    /// [`McpError::TimedOut`].
    pub async fn read_resource(
        &self,
        uri: &str,
        context: &CallContext,
    ) -> Result<Vec<ResourceContent>, McpError> {
        let uri = self.resource(uri).ok_or(McpError::UnknownResource)?;
        let (peer, connection) = self.peer()?;
        let params = ReadResourceRequestParams::new(uri).with_meta(context.meta());
        let request = ReadResourceRequest::new(params);
        match self.answered(connection, ask(&peer, request.into())).await? {
            Ok(Reply::Result { text, .. }) => {
                ResourceContent::read(&text).map_err(|why| self.unreadable(why))
            }
            Ok(Reply::Unreadable(why)) => Err(self.unreadable(why)),
            // A template fits more than there is.
            Err(ServiceError::McpError(error)) => {
                let refused =
                    [ErrorCode::RESOURCE_NOT_FOUND, ErrorCode::INVALID_PARAMS].contains(&error.code);
                if !refused {
                    tracing::warn!(mcp.server = self.config.id, error = %chain(&error), "an MCP server cannot read a resource");
                }
                Err(McpError::UnknownResource)
            }
            Err(error) => Err(self.lost(connection, &error)),
        }
    }

    /// Waits for an answer, but not for ever.
    async fn answered<T>(
        &self,
        connection: u64,
        answer: impl Future<Output = Result<T, ServiceError>>,
    ) -> Result<Result<T, ServiceError>, McpError> {
        let limit = self.config.call_timeout;
        let in_turn = async {
            // The semaphore is never closed.
            let _slot = self.slots.acquire().await;
            answer.await
        };
        match timeout(limit, in_turn).await {
            Ok(answer) => {
                self.timeouts.store(0, Ordering::Relaxed);
                Ok(answer)
            }
            Err(_) => {
                let is_present = self.state().connection == connection;
                if is_present && self.timeouts.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_TIMEOUTS {
                    self.broken.notify_one();
                }
                Err(McpError::TimedOut(limit))
            }
        }
    }

    fn unreadable(&self, why: String) -> McpError {
        tracing::warn!(mcp.server = self.config.id, error = why, "an answer of an MCP server cannot be read");
        McpError::Unreadable(why)
    }

    fn lost(&self, connection: u64, error: &ServiceError) -> McpError {
        tracing::warn!(mcp.server = self.config.id, error = %chain(&error), "a call on an MCP server was lost");
        // Over HTTP nothing else says that a server cannot be reached. That a connection has ended is noticed
        // by itself, and a stream that ends without an answer belongs to one call.
        if self.state().connection == connection && !matches!(error, ServiceError::TransportClosed) {
            self.broken.notify_one();
        }
        McpError::Lost
    }

    /// The connection, and which one it is.
    fn peer(&self) -> Result<(Peer<RoleClient>, u64), McpError> {
        let state = self.state();
        if let Some(peer) = state.peer.as_ref() {
            return Ok((peer.clone(), state.connection));
        }
        let retry_after =
            state.next_try.saturating_duration_since(Instant::now()).max(Duration::from_secs(1));
        let down = McpError::Down { retry_after, why: state.why.clone() };
        drop(state);
        self.wanted.notify_one();
        Err(down)
    }

    fn known(&self) -> Arc<Known> {
        self.state().known.clone()
    }

    pub(crate) fn set_up(&self, peer: Peer<RoleClient>, known: Known) {
        self.timeouts.store(0, Ordering::Relaxed);
        let mut state = self.state();
        state.peer = Some(peer);
        state.connection += 1;
        state.known = Arc::new(known);
        state.was_up = true;
    }

    pub(crate) fn set_known(&self, known: Known) {
        self.state().known = Arc::new(known);
    }

    pub(crate) fn set_down(&self, why: &str, next_try: Instant) {
        let mut state = self.state();
        state.peer = None;
        state.why = why.to_owned();
        state.next_try = next_try;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock_anyway()
    }
}
