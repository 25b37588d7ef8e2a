//! `/mcp` below the base of the contract: the bridge to MCP servers.

use actix_web::{HttpResponse, get, post};
use gatepost_app::mcp;
use gatepost_contract::{ApiError, IntoAnswer, Plain};
use gatepost_kernel::Error;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::{
    call::{Call, respond},
    mcp::wire::{
        CallMcpToolBody, McpResourceItem, McpResourceQuery, McpResourceView, McpServerItem, McpServerPage,
        McpServerView, McpToolPage, McpToolResultView, McpToolView,
    },
    query::{NoQuery, PageQuery},
    scopes::{McpCall, McpRead},
};

pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(list_mcp_servers)
        .service(get_mcp_server)
        .service(list_mcp_tools)
        .service(call_mcp_tool)
        .service(get_mcp_resource);
}

/// List MCP servers
///
/// Those that the operator has named and that the key may use. While one is down, its tools are the last that were heard of
/// (`stale`).
#[utoipa::path(
    tag = "MCP", operation_id = "list_mcp_servers", params(PageQuery),
    extensions(("x-required-scope" = json!("mcp:read"))),
    responses((status = 200, description = "One page of MCP servers", body = McpServerPage))
)]
#[get("/mcp/servers")]
async fn list_mcp_servers(call: Call<McpRead, PageQuery>) -> Result<HttpResponse, ApiError> {
    let servers = mcp::list(call.app(), call.caller());
    call.slice(servers.iter().map(|server| McpServerView::from(server.as_ref())).collect())
}

/// Get an MCP server
#[utoipa::path(
    tag = "MCP", operation_id = "get_mcp_server", params(("id" = String, Path, description = "Id of the MCP server")),
    extensions(("x-required-scope" = json!("mcp:read"))),
    responses((status = 200, description = "The MCP server with its tools", body = McpServerItem))
)]
#[get("/mcp/servers/{id}")]
async fn get_mcp_server(call: Call<McpRead>) -> Result<HttpResponse, ApiError> {
    let server = mcp::get(call.app(), call.caller(), call.path_text("id"))?;
    call.item(&McpServerView::from(server.as_ref()))
}

/// List the tools of an MCP server
#[utoipa::path(
    tag = "MCP", operation_id = "list_mcp_tools",
    params(("id" = String, Path, description = "Id of the MCP server"), PageQuery),
    extensions(("x-required-scope" = json!("mcp:read"))),
    responses((status = 200, description = "One page of tools", body = McpToolPage))
)]
#[get("/mcp/servers/{id}/tools")]
async fn list_mcp_tools(call: Call<McpRead, PageQuery>) -> Result<HttpResponse, ApiError> {
    let server = mcp::get(call.app(), call.caller(), call.path_text("id"))?;
    call.slice(server.tools().into_iter().map(McpToolView::from).collect())
}

/// Call an MCP tool
///
/// Takes `mcp:write`, or `mcp:<server>:<tool>` for one tool. Arguments are checked by the tool's schema first, as far as
/// `unchecked` of the tool does not except it; they are nested at most 16 levels deep. A tool that
/// fails by its own word is a 200 with `is_error`; a server that is down, does not answer in time, or answers with something that
/// cannot be read, is a 503. With an `Idempotency-Key` the tool is called at most once.
#[utoipa::path(
    tag = "MCP", operation_id = "call_mcp_tool", request_body = CallMcpToolBody,
    extensions(("x-required-scope" = json!("mcp:write"))),
    responses((status = 200, description = "Answer of the tool", body = McpToolResultView))
)]
#[post("/mcp/tools/call")]
async fn call_mcp_tool(call: Call<McpCall, NoQuery, CallMcpToolBody>) -> Result<HttpResponse, ApiError> {
    let (body, call) = call.into_body();
    let contract = call.contract();
    let render = move |answer| Plain(McpToolResultView::from(answer)).into_answer(contract);
    Ok(respond(mcp::call(call.app(), call.caller(), body?.into(), render).await?))
}

/// Get an MCP resource
///
/// Reads a resource by its URI, with or without its slashes escaped; only what a server lists, or has a template for. From the first server that
/// does, or from the one that `server` names.
#[utoipa::path(
    tag = "MCP", operation_id = "get_mcp_resource",
    params(("uri" = String, Path, description = "URI of the resource"), McpResourceQuery),
    extensions(("x-required-scope" = json!("mcp:read"))),
    responses((status = 200, description = "The resource with its parts", body = McpResourceItem))
)]
#[get("/mcp/resources/{uri:.+}")]
async fn get_mcp_resource(call: Call<McpRead, McpResourceQuery>) -> Result<HttpResponse, ApiError> {
    let uri = call.path_behind("/mcp/resources/").ok_or(Error::NotFound)?;
    let server = call.query().server();
    let (server, contents) = mcp::read_resource(call.app(), call.caller(), &uri, server).await?;
    call.item(&McpResourceView::new(uri, &server, contents))
}
