//! Gatepost as an MCP server: what an assistant may do with the key that it was given.
//!
//! The tools are operations of the API under the same names, with the same use-cases behind them, so scopes,
//! limits, the audit log and every rule are the same. A refusal is the protocol's error, with the contract's
//! code in its data.

pub mod envelope;
mod tools;

use std::sync::Arc;

use actix_web::web::Bytes;
use gatepost_app::{App, Caller, mcp::Arguments};
use gatepost_contract::{ApiError, Contract};
use gatepost_kernel::Error;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, CustomRequest, CustomResult, ErrorCode,
        Implementation, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use serde_json::json;

use self::tools::TOOLS;
/// The code of a refusal that the protocol has no own code for.
const REFUSED: ErrorCode = ErrorCode(-32_000);

/// Reads and answers requests of the protocol.
pub type McpEndpoint = StreamableHttpService<GatepostMcpServer, NeverSessionManager>;

/// Each request stands for itself, so that any process can answer it. Who may send one is not decided by its
/// `Host` or `Origin` but by its key, which no page can make a browser send.
pub fn endpoint(app: App, contract: Arc<Contract>) -> McpEndpoint {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .disable_allowed_hosts()
        .disable_allowed_origins();
    let server = GatepostMcpServer { app, contract };
    StreamableHttpService::new(move || Ok(server.clone()), Arc::default(), config)
}

/// The arguments of a call as they were written; whoever hands a request on leaves them in it.
#[derive(Clone)]
pub struct WrittenArguments(pub Bytes);

/// The server; one for each request.
#[derive(Clone)]
pub struct GatepostMcpServer {
    app: App,
    contract: Arc<Contract>,
}

impl ServerHandler for GatepostMcpServer {
    fn get_info(&self) -> ServerConfig {
        let own = Implementation::new("gatepost", env!("CARGO_PKG_VERSION")).with_title("Gatepost");
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(own)
            .with_instructions("API keys, entitlements, events and webhook deliveries of one workspace.")
    }

    /// Those that the caller's key may use.
    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let caller = caller(&context)?;
        let usable = TOOLS.iter().filter(|tool| caller.require(tool.scope()).is_ok());
        Ok(ListToolsResult::with_all_items(usable.map(tools::Tool::describe).collect()))
    }

    async fn call_tool(
        &self,
        params: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let caller = caller(&context)?;
        let tool = TOOLS.iter().find(|tool| tool.name == params.name);
        let tool =
            tool.ok_or_else(|| ErrorData::invalid_params(format!("Unknown tool: {}", params.name), None))?;
        let parts = context.extensions.get::<http::request::Parts>();
        let written = parts.and_then(|parts| parts.extensions.get::<WrittenArguments>());
        // As they were written, where they stand in a message that was read whole.
        let text = written.map_or_else(
            || serde_json::to_vec(&params.arguments.unwrap_or_default()).unwrap_or_default().into(),
            |WrittenArguments(text)| text.clone(),
        );
        let no_object = || ErrorData::invalid_params("The arguments must be an object.", None);
        let text = std::str::from_utf8(&text).map_err(|_| no_object())?;
        Arguments::check_depth(text).map_err(|errors| self.refusal(Error::Validation(errors)))?;
        let members = serde_json::from_str(text).map_err(|_| no_object())?;
        let answer = tool.call(&self.app, caller, members).await;
        answer.map(|answer| CallToolResult::structured(answer).into()).map_err(|error| self.refusal(error))
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(envelope::unknown_method(&request.method))
    }
}

/// Who calls; whoever let the request in has left it there.
fn caller(context: &RequestContext<RoleServer>) -> Result<Caller, ErrorData> {
    let parts = context.extensions.get::<http::request::Parts>();
    let caller = parts.and_then(|parts| parts.extensions.get::<Caller>());
    caller.cloned().ok_or_else(|| ErrorData::internal_error("The request has no caller.", None))
}

impl GatepostMcpServer {
    /// A refusal in the protocol's form, with the contract's code and what it says beside.
    fn refusal(&self, error: Error) -> ErrorData {
        if error.cause().is_some() {
            tracing::error!(error = %error.for_log(), "a tool of the MCP server failed");
        }
        let kind = match error {
            Error::Validation(_) => ErrorCode::INVALID_PARAMS,
            Error::Internal(_) => ErrorCode::INTERNAL_ERROR,
            _ => REFUSED,
        };
        let error = ApiError::from(error);
        let mut data = json!({ "error": self.contract.code(&error) });
        if let ApiError::UseCase(Error::Validation(errors)) = &error {
            data["errors"] = self.contract.errors(errors);
        }
        ErrorData::new(kind, self.contract.message(&error), Some(data))
    }
}
