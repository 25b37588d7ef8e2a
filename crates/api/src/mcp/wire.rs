//! MCP servers, tools and resources on the wire.

use gatepost_kernel::JsonObject;
use std::collections::BTreeMap;

use gatepost_api_macros::view;
use gatepost_app::mcp::{Arguments, CallTool, Problem, ResourceContent, Server, Status, Tool, ToolAnswer};
use serde_json::{Map, Value, value::RawValue};
use utoipa::{IntoParams, ToSchema};

use crate::{
    body::{Context, Fields, Null, ReadBody},
    query::{Parameters, ReadQuery},
    wire::envelopes,
};

const MAX_NAME_CHARS: usize = 128;

/// An MCP server with its tools.
#[view(example = {
    "id": "filesystem", "name": "Filesystem Server", "description": "File and directory operations",
    "tools": ["read_file", "write_file", "list_directory"], "stale": false, "problems": [],
})]
pub struct McpServerView {
    /// Id of the server, as used in paths and scopes.
    id: String,
    /// Human-readable name of the server.
    name: String,
    /// Human-readable description of the server.
    description: Option<String>,
    /// Names of the server's tools.
    tools: Vec<String>,
    /// State of the connection to the server.
    status: Status,
    /// Whether the tools are those from before the server went down.
    stale: bool,
    /// Violations of the protocol in what the server says of its tools and resources, at most 100.
    problems: Vec<McpProblemView>,
}

/// A tool or resource that is left out, or a part of a tool's schema that is not checked.
#[view(from = Problem, example = {
    "tool": "read_file", "keyword": "/properties/path/type",
    "message": "Not checked: \"strng\" is not valid under any of the schemas listed in the 'anyOf' keyword",
})]
pub struct McpProblemView {
    /// Name of the tool; null for a resource, a template, or a tool without a name.
    tool: Option<String>,
    /// JSON pointer to the schema keyword that is not checked; null if the whole item is left out.
    keyword: Option<String>,
    /// Human-readable description of the problem.
    message: String,
}

impl From<&Server> for McpServerView {
    fn from(server: &Server) -> Self {
        let status = server.status();
        Self {
            id: server.config().id.clone(),
            name: server.name(),
            description: server.description(),
            tools: server.tools().into_iter().map(|tool| tool.name).collect(),
            status,
            stale: status == Status::Down,
            problems: server.problems().into_iter().map(McpProblemView::from).collect(),
        }
    }
}

/// A parameter of a tool.
#[view(example = {"type": "string", "description": "File path to read", "required": true})]
pub struct McpToolParameterView {
    /// JSON type of the parameter; several are separated by ` | `, `any` if the tool names none.
    r#type: String,
    /// Human-readable description of the parameter.
    description: Option<String>,
    /// Whether the parameter is required.
    required: bool,
}

/// A tool of an MCP server.
#[view(example = {
    "name": "read_file", "description": "Read contents of a file",
    "parameters": {"path": {"type": "string", "description": "File path to read", "required": true}},
    "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    "unchecked": [],
})]
pub struct McpToolView {
    /// Name of the tool.
    name: String,
    /// Human-readable description of the tool.
    description: Option<String>,
    /// Parameters by name, in short.
    parameters: BTreeMap<String, McpToolParameterView>,
    /// Parameters as JSON Schema.
    input_schema: Map<String, Value>,
    /// JSON pointers to the schema keywords that arguments are not checked against; one empty pointer for the whole schema. The
    /// server's `problems` say why: they are malformed, or lead to too many paths
    unchecked: Vec<String>,
}

impl From<Tool> for McpToolView {
    fn from(tool: Tool) -> Self {
        let parameters = tool.parameters.into_iter().map(|parameter| {
            let view = McpToolParameterView {
                r#type: parameter.kind,
                description: parameter.description,
                required: parameter.required,
            };
            (parameter.name, view)
        });
        Self {
            name: tool.name,
            description: tool.description,
            parameters: parameters.collect(),
            input_schema: tool.input_schema.as_ref().clone(),
            unchecked: tool.unchecked.into_iter().map(|unchecked| unchecked.keyword).collect(),
        }
    }
}

/// Result of a tool call.
#[view]
pub struct McpToolResultView {
    /// Answer of the tool.
    result: McpToolAnswerView,
}

/// Answer of a tool.
#[view(example = {"content": "File contents here...", "size": 1234, "is_error": false})]
pub struct McpToolAnswerView {
    /// Text of the answer; several texts are joined by line breaks.
    content: String,
    /// Size of all text and other blocks in bytes.
    size: usize,
    /// Whether the tool reports an error.
    is_error: bool,
    /// Blocks that are not text, such as images, exactly as the server wrote them.
    #[member(optional, like = Vec<JsonObject>)]
    blocks: Vec<Box<RawValue>>,
    /// Structured content of the answer, exactly as the server wrote it.
    #[member(optional)]
    structured_content: Option<Box<RawValue>>,
}

impl From<ToolAnswer> for McpToolResultView {
    fn from(answer: ToolAnswer) -> Self {
        let ToolAnswer { content, blocks, structured_content, size, is_error } = answer;
        Self { result: McpToolAnswerView { content, size, is_error, blocks, structured_content } }
    }
}

/// A part of a resource: text or binary.
#[view(example = {"uri": "file:///notes/today.txt", "mime_type": "text/plain", "text": "Buy milk"})]
pub struct McpResourceContentView {
    /// URI of the part.
    uri: String,
    /// Media type of the part.
    mime_type: Option<String>,
    /// Text of the part.
    #[member(optional)]
    text: Option<String>,
    /// Bytes of the part in base64.
    #[member(optional)]
    blob: Option<String>,
}

/// A resource of an MCP server.
#[view(example = {"uri": "file:///notes/today.txt", "server": "filesystem"})]
pub struct McpResourceView {
    /// URI of the resource.
    uri: String,
    /// Id of the server that offers the resource.
    server: String,
    /// Parts of the resource, usually one.
    contents: Vec<McpResourceContentView>,
}

impl McpResourceView {
    /// A resource of a server.
    pub fn new(uri: String, server: &Server, contents: Vec<ResourceContent>) -> Self {
        let view = |ResourceContent { uri, mime_type, text, blob }: ResourceContent| McpResourceContentView {
            uri,
            mime_type,
            text,
            blob,
        };
        let server = server.config().id.clone();
        Self { uri, server, contents: contents.into_iter().map(view).collect() }
    }
}

envelopes! {
    item McpServerItem(McpServerView);
    page McpServerPage(McpServerView);
    page McpToolPage(McpToolView);
    item McpResourceItem(McpResourceView);
}

/// From which server.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct McpResourceQuery {
    /// Id of the server; the first that offers the resource if not given
    #[param(min_length = 1, max_length = 128, example = "filesystem")]
    server: Option<String>,
}

impl McpResourceQuery {
    /// The server.
    pub fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }
}

impl ReadQuery for McpResourceQuery {
    fn read(parameters: &mut Parameters) -> Option<Self> {
        let name = |text: &str| (1..=MAX_NAME_CHARS).contains(&text.chars().count()).then(|| text.to_owned());
        Some(Self { server: parameters.text("server", name, "the ID of an MCP server") })
    }
}

/// A tool to call.
#[derive(ToSchema)]
pub struct CallMcpToolBody {
    /// Id of the MCP server
    #[schema(min_length = 1, max_length = 128, example = "filesystem")]
    server: String,
    /// Name of the tool
    #[schema(min_length = 1, max_length = 128, example = "read_file")]
    tool: String,
    /// Arguments of the tool; none if not given
    #[schema(value_type = Option<BTreeMap<String, Value>>, example = json!({"path": "/path/to/file.txt"}))]
    arguments: Arguments,
}

impl ReadBody for CallMcpToolBody {
    fn read(fields: &mut Fields, _: &Context<'_>) -> Option<Self> {
        let name = |field: &'static str| {
            move |text: &str| match text.chars().count() {
                1..=MAX_NAME_CHARS => Ok(text.to_owned()),
                _ => Err(format!("The {field} must be between 1 and {MAX_NAME_CHARS} characters.")),
            }
        };
        let server = fields.required_text("server", name("server"));
        let tool = fields.required_text("tool", name("tool"));
        let text = fields.text_of("arguments");
        let arguments = fields.object("arguments", Null::IsAbsent).unwrap_or_default();
        let arguments = Arguments::new(arguments, text);
        Some(Self { server: server?, tool: tool?, arguments })
    }
}

impl From<CallMcpToolBody> for CallTool {
    fn from(body: CallMcpToolBody) -> Self {
        let CallMcpToolBody { server, tool, arguments } = body;
        Self { server, tool, arguments }
    }
}
