//! MCP servers, tools and resources on the wire.

use std::collections::BTreeMap;

use gatepost_app::mcp::{
    Arguments, CallTool, Parameter, Problem, ResourceContent, Server, Status, Tool, ToolAnswer,
};
use gatepost_kernel::JsonObject;
use gatepost_macros::{body, query, view};
use serde_json::{Map, Value, value::RawValue};

use crate::values::{any_object, members, text_parameters};

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
#[view(from = Parameter, example = {"type": "string", "description": "File path to read", "required": true})]
pub struct McpToolParameterView {
    /// JSON type of the parameter; several are separated by ` | `, `any` if the tool names none.
    #[member(from = source.kind)]
    r#type: String,
    /// Human-readable description of the parameter.
    description: Option<String>,
    /// Whether the parameter is required.
    required: bool,
}

/// A tool of an MCP server.
#[view(from = Tool, example = {
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
    #[member(from = source.parameters.into_iter().map(|parameter| (parameter.name.clone(), parameter.into())).collect())]
    parameters: BTreeMap<String, McpToolParameterView>,
    /// Parameters as JSON Schema.
    #[member(from = source.input_schema.as_ref().clone())]
    input_schema: Map<String, Value>,
    /// JSON pointers to the schema keywords that arguments are not checked against; one empty pointer for the
    /// whole schema. The server's `problems` say why: they are malformed, or lead to too many paths
    #[member(from = source.unchecked.into_iter().map(|unchecked| unchecked.keyword).collect())]
    unchecked: Vec<String>,
}

/// Result of a tool call.
#[view(from = ToolAnswer)]
pub struct McpToolResultView {
    /// Answer of the tool.
    #[member(from = source.into())]
    result: McpToolAnswerView,
}

/// Answer of a tool.
#[view(from = ToolAnswer, example = {"content": "File contents here...", "size": 1234, "is_error": false})]
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

/// A part of a resource: text or binary.
#[view(from = ResourceContent, example = {"uri": "file:///notes/today.txt", "mime_type": "text/plain", "text": "Buy milk"})]
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
        let server = server.config().id.clone();
        Self { uri, server, contents: contents.into_iter().map(Into::into).collect() }
    }
}

text_parameters! {
    /// Id of an MCP server.
    ServerParameter(String) = { "type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS }, "the ID of an MCP server",
        |text| (1..=MAX_NAME_CHARS).contains(&text.chars().count()).then(|| text.to_owned());
}

/// From which server.
#[query]
pub struct McpResourceQuery {
    /// Id of the server; the first that offers the resource if not given
    #[member(like = ServerParameter, example = "filesystem")]
    pub server: Option<String>,
}

members! {
    /// The name of a server or of a tool.
    ShortName(String) = { "type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS }, |fields, name, value| {
        fields.text(name, value, |text| match text.chars().count() {
            1..=MAX_NAME_CHARS => Ok(text.to_owned()),
            _ => Err(format!("The {name} must be between 1 and {MAX_NAME_CHARS} characters.")),
        })
    };
    /// The arguments of a tool.
    ToolArguments(Arguments) = (any_object()), |fields, name, value| {
        Some(Arguments::new(fields.object(name, value)?, Some(value)))
    };
}

/// A tool to call.
#[body(into = CallTool, example = {
    "server": "filesystem", "tool": "read_file", "arguments": {"path": "/path/to/file.txt"},
})]
pub struct CallMcpToolBody {
    /// Id of the MCP server
    #[member(like = ShortName)]
    server: String,
    /// Name of the tool
    #[member(like = ShortName)]
    tool: String,
    /// Arguments of the tool; none if not given
    #[member(like = ToolArguments, into = arguments.unwrap_or_else(|| Arguments::new(Map::new(), None)))]
    arguments: Option<Arguments>,
}
