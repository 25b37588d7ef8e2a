//! Tools and resources of MCP servers, for those who may use them.
//!
//! A call is counted and noted in the audit log before it is made, since what it does is no part of any
//! transaction. With an idempotency key it is made at most once: the key is held before the call and gets the
//! answer behind it; if this process ends in between, whoever repeats the request is told that it is in
//! progress, and it is not made again.

use std::{sync::Arc, time::Instant};

use gatepost_entitlements::OwnFeature;
use gatepost_kernel::{Error, Result, WireAnswer};
use gatepost_keys::Scope;
use gatepost_mcp::{CallContext, CallOutcome, CheckedCall, McpError};
use gatepost_metrics::Label;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{App, Caller, IdempotencyRequest, UnitOfWork, entitlements::act, idempotency};

pub use gatepost_mcp::{
    Arguments, Envelope, Parameter, Problem, ResourceContent, Server, Status, Tool, ToolAnswer,
};

const TARGET: &str = "mcp_server";

/// A call of a tool.
#[derive(Debug)]
pub struct CallTool {
    /// On which server.
    pub server: String,
    /// Which one.
    pub tool: String,
    /// With what.
    pub arguments: Arguments,
}

/// The servers that the caller may use, in the order of their ids.
pub fn list(app: &App, caller: &Caller) -> Vec<Arc<Server>> {
    let servers = app.mcp_servers().map(|servers| servers.all()).unwrap_or_default();
    servers.iter().filter(|server| may_use(caller, server)).cloned().collect()
}

/// One of them.
///
/// # Errors
/// [`Error::NotFound`], also if the caller may not use it.
pub fn get(app: &App, caller: &Caller, id: &str) -> Result<Arc<Server>> {
    let server = app.mcp_servers().and_then(|servers| servers.get(id));
    server.filter(|server| may_use(caller, server)).cloned().ok_or(Error::NotFound)
}

fn may_use(caller: &Caller, server: &Server) -> bool {
    let access = &server.config().access;
    access.environments.contains(&caller.environment())
        && access.workspaces.as_ref().is_none_or(|workspaces| workspaces.contains(&caller.workspace_id()))
        && access.scopes.iter().all(|scope| caller.require(scope).is_ok())
}

/// Calls a tool, and goes on with it even if the caller goes away. `render` makes of what the tool answers
/// what the caller gets, and what a repetition of the request gets again.
///
/// # Errors
/// [`Error::NotFound`] for an unknown server or tool; [`Error::AccessDenied`]; [`Error::Validation`] naming
/// arguments; [`Error::FeatureLimitReached`] if the plan limits `mcp_calls`; [`Error::UpstreamUnavailable`];
/// [`Error::Unavailable`].
pub async fn call(
    app: &App,
    caller: &Caller,
    input: CallTool,
    render: impl FnOnce(ToolAnswer) -> Result<WireAnswer> + Send + 'static,
) -> Result<WireAnswer> {
    let server = get(app, caller, &input.server)?;
    require_tool(caller, &input.server, &input.tool)?;
    let request = caller.idempotency().cloned();
    let (app, caller) = (app.clone(), caller.clone());
    let runtime = app.runtime().clone();
    let made = async move {
        let checked = server.check(input.tool, input.arguments).await?;
        if let Some(earlier) = begin(&app, &caller, &server, &checked, request.clone()).await? {
            return Ok(earlier);
        }
        let answer = make(&app, &caller, &server, checked).await;
        let nothing_was_done = answer.as_ref().is_err_and(McpError::nothing_was_done);
        let answer = answer.map_err(Error::from).and_then(render);
        idempotency::settle(&app, &caller, request, answer.as_ref().ok().cloned(), nothing_was_done).await;
        answer
    };
    runtime.spawn(made).await.map_err(Error::failed("a call of a tool"))?
}

/// Refuses a caller that may not call this tool.
fn require_tool(caller: &Caller, server: &str, tool: &str) -> Result<()> {
    // A name that fits no scope, since it is too long, can only be called by those who may call all.
    let scope = Scope::for_tool(server, tool)
        .or_else(|_| "mcp:write".parse())
        .map_err(Error::failed("naming a scope"))?;
    caller.require(&scope)
}

/// Counts a call and notes it; what the same request was answered before, if it was.
async fn begin(
    app: &App,
    caller: &Caller,
    server: &Server,
    call: &CheckedCall,
    request: Option<Arc<IdempotencyRequest>>,
) -> Result<Option<WireAnswer>> {
    let id = &server.config().id;
    let servers = app.mcp_servers().map(|servers| servers.all()).unwrap_or_default();
    let position = servers.iter().zip(1..).find(|(server, _)| &server.config().id == id);
    let position = position.map_or(0, |(_, position)| position);
    let hash = Sha256::digest(call.arguments().to_string());
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let details = json!({ "server": id, "tool": call.tool(), "arguments_sha256": hash });
    let (id, tool) = (id.clone(), call.tool().to_owned());
    app.transact(caller, async move |unit: &mut UnitOfWork<'_>| {
        // The key may have lost the scope meanwhile.
        require_tool(unit.caller(), &id, &tool)?;
        if let Some(earlier) = idempotency::claim(unit, request.as_deref()).await? {
            return Ok(Some(earlier));
        }
        act(unit, OwnFeature::McpCalls).await?;
        let Value::Object(details) = details else { return Ok(None) };
        unit.audit(unit.caller().workspace_id(), "mcp_tool.called", (TARGET, position), details);
        Ok(None)
    })
    .await
}

async fn make(
    app: &App,
    caller: &Caller,
    server: &Server,
    call: CheckedCall,
) -> Result<ToolAnswer, McpError> {
    let began = Instant::now();
    let tool = call.tool().to_owned();
    let answer = server.call(call, &context(caller)).await;
    let outcome = match &answer {
        Ok(answer) if answer.is_error => CallOutcome::ToolError,
        Ok(_) => CallOutcome::Answered,
        Err(error) => error.outcome(),
    };
    app.metrics().mcp_called(&server.config().id, outcome);
    tracing::info!(
        mcp.server = server.config().id,
        mcp.tool = tool,
        mcp.outcome = outcome.as_str(),
        workspace.id = caller.workspace_id().0,
        duration_ms = began.elapsed().as_secs_f64() * 1_000.0,
        "an MCP tool was called"
    );
    answer
}

/// Reads a resource from the server that is named, or else from the first that offers it; from which one.
///
/// # Errors
/// [`Error::NotFound`] if none does that the caller may use; [`Error::UpstreamUnavailable`].
pub async fn read_resource(
    app: &App,
    caller: &Caller,
    uri: &str,
    server: Option<&str>,
) -> Result<(Arc<Server>, Vec<ResourceContent>)> {
    let servers = match server {
        Some(id) => vec![get(app, caller, id)?],
        None => list(app, caller),
    };
    let server = servers.into_iter().find(|server| server.has_resource(uri)).ok_or(Error::NotFound)?;
    let contents = server.read_resource(uri, &context(caller)).await?;
    Ok((server, contents))
}

fn context(caller: &Caller) -> CallContext {
    CallContext {
        workspace_id: caller.workspace_id(),
        environment: caller.environment(),
        request_id: caller.request_id().cloned(),
    }
}
