//! `/mcp` below the base of the contract: the bridge to MCP servers.

use gatepost_app::mcp;
use gatepost_contract::{IntoAnswer, Plain};
use gatepost_macros::operation;

use crate::{
    answer::{Answer, Item, SliceOf},
    call::{Call, respond},
    lists::PageQuery,
    mcp::wire::{
        CallMcpToolBody, McpResourceQuery, McpResourceView, McpServerView, McpToolResultView, McpToolView,
    },
    operation::{McpServerId, ResourceUri, Tag},
    query::NoQuery,
    scopes::{McpCall, McpRead},
};

const TAG: Tag =
    Tag { name: "MCP", about: "Tools and resources of MCP servers, called with the same API keys." };

/// List MCP servers
///
/// Those that the operator has named and that the key may use. While one is down, its tools are the last that
/// were heard of (`stale`).
#[operation(get "/mcp/servers", tag = TAG, ok = "One page of MCP servers")]
async fn list_mcp_servers(call: Call<McpRead, PageQuery>) -> Answer<SliceOf<McpServerView>> {
    let servers = mcp::list(call.app(), call.caller());
    call.slice(servers, |server| McpServerView::from(server.as_ref()))
}

/// Get an MCP server
#[operation(get "/mcp/servers/{id}", tag = TAG, ok = "The MCP server with its tools")]
async fn get_mcp_server(call: Call<McpRead>, id: McpServerId) -> Answer<Item<McpServerView>> {
    let server = mcp::get(call.app(), call.caller(), &id.0)?;
    call.item(&McpServerView::from(server.as_ref()))
}

/// List the tools of an MCP server
#[operation(get "/mcp/servers/{id}/tools", tag = TAG, ok = "One page of tools")]
async fn list_mcp_tools(call: Call<McpRead, PageQuery>, id: McpServerId) -> Answer<SliceOf<McpToolView>> {
    let server = mcp::get(call.app(), call.caller(), &id.0)?;
    call.slice(server.tools(), McpToolView::from)
}

/// Call an MCP tool
///
/// Takes `{scope mcp:write}`, or `mcp:<server>:<tool>` for one tool. Arguments are checked by the tool's
/// schema first, as far as `unchecked` of the tool does not except it; they are nested at most 16 levels
/// deep. A tool that fails by its own word is a 200 with `is_error`; a server that is down, does not answer
/// in time, or answers with something that cannot be read, is a 503. With an `Idempotency-Key` the tool is
/// called at most once.
#[operation(post "/mcp/tools/call", tag = TAG, ok = "Answer of the tool")]
async fn call_mcp_tool(call: Call<McpCall, NoQuery, CallMcpToolBody>) -> Answer<Plain<McpToolResultView>> {
    let (body, call) = call.into_body();
    let contract = call.contract();
    let render = move |answer| Plain(McpToolResultView::from(answer)).into_answer(&contract);
    Ok(respond(mcp::call(call.app(), call.caller(), body?.into(), render).await?).into())
}

/// Get an MCP resource
///
/// Reads a resource by its URI, with or without its slashes escaped; only what a server lists, or has a
/// template for. From the first server that does, or from the one that `server` names.
#[operation(get "/mcp/resources/{uri:.+}", tag = TAG, ok = "The resource with its parts")]
async fn get_mcp_resource(
    call: Call<McpRead, McpResourceQuery>,
    uri: ResourceUri,
) -> Answer<Item<McpResourceView>> {
    let (ResourceUri(uri), server) = (uri, call.query().server.as_deref());
    let (server, contents) = mcp::read_resource(call.app(), call.caller(), &uri, server).await?;
    call.item(&McpResourceView::new(uri, &server, contents))
}
