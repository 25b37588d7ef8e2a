//! What a server offers, as far as it is known. Lists are read item by item: one that is malformed is left
//! out and named, and the others have nothing to do with it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use rmcp::{
    Peer, RoleClient,
    model::{
        ClientRequest, ErrorCode, ListResourceTemplatesRequest, ListResourcesRequest, ListToolsRequest,
        PaginatedRequestParams,
    },
    service::ServiceError,
};
use serde_json::{Map, Value, value::RawValue};
use tokio::time::timeout;

use crate::{
    arguments::{Checker, Parameter, parameters},
    ask::ask,
    message::{Reply, short as in_brief},
    schema::{self, Unchecked},
    uri::{self, Template},
};

/// How many tools, resources and templates are looked at. A server that has more is taken for one that never
/// ends.
const MAX_ITEMS: usize = 1_000;
/// In how many pages.
const MAX_PAGES: usize = 50;
/// The longest description that is kept, in characters.
const MAX_TEXT_CHARS: usize = 10_000;
/// How much of a server's tools is prepared to be checked, as JSON.
const MAX_CHECKED_BYTES: usize = 8 << 20;
/// How many problems are told of.
const MAX_PROBLEMS: usize = 100;

/// A tool of a server.
#[derive(Clone)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// Its arguments, as JSON Schema.
    pub input_schema: Arc<Map<String, Value>>,
    /// The same in short.
    pub parameters: Vec<Parameter>,
    /// What of the schema is not checked.
    pub unchecked: Vec<Unchecked>,
    pub(crate) checker: Checker,
}

/// Something that a server says of what it offers, and that is not as the protocol has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The tool that it is about; none for a resource, a template, or a tool without a name.
    pub tool: Option<String>,
    /// A keyword of the tool's schema that is not checked, as a JSON pointer; without one, the item is left
    /// out.
    pub keyword: Option<String>,
    /// What is wrong.
    pub message: String,
}

/// What a server offers.
#[derive(Default)]
pub(crate) struct Known {
    /// What it calls itself.
    pub name: Option<String>,
    /// What it says of itself.
    pub description: Option<String>,
    pub tools: Vec<Tool>,
    /// URIs as the server writes them, by their normal spelling.
    pub resources: HashMap<String, String>,
    pub templates: Vec<Template>,
    /// What is left out or not checked.
    pub problems: Vec<Problem>,
}

/// One of the lists that a server has.
#[derive(Clone, Copy)]
enum List {
    Tools,
    Resources,
    Templates,
}

impl List {
    fn request(self, cursor: Option<String>) -> ClientRequest {
        let params = PaginatedRequestParams::default().with_cursor(cursor);
        match self {
            Self::Tools => ListToolsRequest::with_param(params).into(),
            Self::Resources => ListResourcesRequest::with_param(params).into(),
            Self::Templates => ListResourceTemplatesRequest::with_param(params).into(),
        }
    }

    /// The name of its member in a page.
    fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    /// What one of its items is called.
    fn item(self) -> &'static str {
        match self {
            Self::Tools => "tool",
            Self::Resources => "resource",
            Self::Templates => "resource template",
        }
    }
}

/// An item of a list.
struct Item {
    text: Box<RawValue>,
    /// Whether the protocol's library can call it, where it has a say.
    is_callable: bool,
}

/// All pages of a list, one after the other; nothing if the server does not know such a list. A list whose
/// cursor is empty or was there before has ended.
async fn pages(peer: &Peer<RoleClient>, limit: Duration, list: List) -> Result<Vec<Item>, String> {
    let (mut items, mut cursor, mut seen) = (Vec::new(), None::<String>, HashSet::new());
    for number in 0..MAX_PAGES {
        let answer = timeout(limit, ask(peer, list.request(cursor.take()))).await;
        let (text, callable) = match answer.map_err(|_| "a list did not come in time".to_owned())? {
            Ok(Reply::Result { text, callable }) => (text, callable),
            Ok(Reply::Unreadable(why)) => return Err(format!("a list cannot be read: {why}")),
            Err(ServiceError::McpError(error))
                if number == 0 && error.code == ErrorCode::METHOD_NOT_FOUND =>
            {
                break;
            }
            Err(error) => return Err(error.to_string()),
        };
        let unreadable = |error| format!("a list of {} cannot be read: {error}", list.member());
        let page: HashMap<String, Box<RawValue>> = serde_json::from_str(text.get()).map_err(unreadable)?;
        let listed = page.get(list.member()).map_or("[]", |listed| listed.get());
        for text in serde_json::from_str::<Vec<Box<RawValue>>>(listed).map_err(unreadable)? {
            let is_callable = callable
                .as_ref()
                .is_none_or(|callable| name_of(&text).is_none_or(|name| callable.contains(&name)));
            items.push(Item { text, is_callable });
        }
        if items.len() > MAX_ITEMS {
            tracing::warn!(items.shown = MAX_ITEMS, "an MCP server lists more than is looked at");
            items.truncate(MAX_ITEMS);
            break;
        }
        let next = page.get("nextCursor").and_then(|next| serde_json::from_str::<String>(next.get()).ok());
        match next.filter(|next| !next.is_empty() && seen.insert(next.clone())) {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    Ok(items)
}

/// The name of an item, whatever else is wrong with it.
fn name_of(item: &RawValue) -> Option<String> {
    let item: Value = serde_json::from_str(item.get()).ok()?;
    item.get("name")?.as_str().filter(|name| !name.is_empty()).map(str::to_owned)
}

impl Tool {
    /// Reads a tool. Arguments are checked while `budget`, in bytes, lasts.
    ///
    /// # Errors
    /// What is wrong with it.
    fn read(item: &Item, budget: &mut usize) -> Result<Self, String> {
        let mut tool: Value = serde_json::from_str(item.text.get()).map_err(|error| error.to_string())?;
        let name = tool["name"].as_str().filter(|name| !name.is_empty()).ok_or("it has no name")?.to_owned();
        let description = tool["description"].as_str().map(short);
        let Value::Object(schema) = tool["inputSchema"].take() else {
            return Err("its inputSchema is not an object".to_owned());
        };
        if !item.is_callable {
            return Err("its x-mcp-header annotations are not as the protocol has them".to_owned());
        }
        let (checker, unchecked) = match budget.checked_sub(item.text.get().len()) {
            Some(left) => {
                *budget = left;
                Checker::new(&schema)
            }
            None => {
                let why = format!("The schemas of this server have more than {MAX_CHECKED_BYTES} bytes.");
                (Checker::none(), vec![schema::whole(why)])
            }
        };
        let parameters = parameters(&schema);
        Ok(Self { name, description, input_schema: Arc::new(schema), parameters, unchecked, checker })
    }
}

/// A member of a resource or a template that must be a text.
fn text_in(item: &Item, member: &str) -> Result<String, String> {
    let value: Value = serde_json::from_str(item.text.get()).map_err(|error| error.to_string())?;
    let text = value.get(member).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.map(str::to_owned).ok_or_else(|| format!("it has no {member}"))
}

impl Known {
    /// Asks a server what it offers; each question may take `limit`.
    ///
    /// # Errors
    /// What went wrong, for the log.
    pub async fn learn(peer: &Peer<RoleClient>, limit: Duration) -> Result<Self, String> {
        let info = peer.peer_info();
        let itself = info.as_ref().and_then(|info| info.server_info.as_ref());
        let name = itself.map(|itself| itself.title.as_ref().unwrap_or(&itself.name));
        let description = info.as_ref().and_then(|info| info.instructions.as_ref());
        let description = description.or(itself.and_then(|itself| itself.description.as_ref()));
        let (name, description) = (name.map(|text| short(text)), description.map(|text| short(text)));
        let tools = pages(peer, limit, List::Tools).await?;
        let resources = pages(peer, limit, List::Resources).await;
        let templates = pages(peer, limit, List::Templates).await;
        // To prepare many schemas takes a while.
        let read = move || Self { name, description, ..Self::read(&tools, resources, templates) };
        tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())
    }

    /// Tools are what a server is for; one whose other lists fail is used without them.
    fn read(
        tools: &[Item],
        resources: Result<Vec<Item>, String>,
        templates: Result<Vec<Item>, String>,
    ) -> Self {
        let mut known = Self::default();
        let mut listed = |list: Result<Vec<Item>, String>| {
            list.unwrap_or_else(|why| {
                known.problem(Problem { tool: None, keyword: None, message: format!("Left out: {why}.") });
                Vec::new()
            })
        };
        let (resources, templates) = (listed(resources), listed(templates));
        let mut budget = MAX_CHECKED_BYTES;
        for (place, item) in tools.iter().enumerate() {
            let tool = Tool::read(item, &mut budget).and_then(|tool| match known.tool(&tool.name) {
                Some(_) => Err("another tool has its name".to_owned()),
                None => Ok(tool),
            });
            match tool {
                Ok(tool) => {
                    for unchecked in &tool.unchecked {
                        known.problem(Problem {
                            tool: Some(in_brief(&tool.name)),
                            keyword: Some(unchecked.keyword.clone()),
                            message: format!("Not checked: {}", unchecked.reason),
                        });
                    }
                    known.tools.push(tool);
                }
                Err(why) => known.left_out(List::Tools, place, item, &why),
            }
        }
        for (place, item) in resources.iter().enumerate() {
            match text_in(item, "uri") {
                Ok(uri) => drop(known.resources.insert(uri::normal(&uri), uri)),
                Err(why) => known.left_out(List::Resources, place, item, &why),
            }
        }
        for (place, item) in templates.iter().enumerate() {
            let template = text_in(item, "uriTemplate").and_then(|text| {
                Template::parse(&text).ok_or_else(|| format!("{:?} is no template", in_brief(&text)))
            });
            match template {
                Ok(template) => known.templates.push(template),
                Err(why) => known.left_out(List::Templates, place, item, &why),
            }
        }
        known
    }

    fn left_out(&mut self, list: List, place: usize, item: &Item, why: &str) {
        let tool = match list {
            List::Tools => name_of(&item.text).map(|name| in_brief(&name)),
            _ => None,
        };
        let message = format!("Left out, {} {} of the list: {why}.", list.item(), place + 1);
        self.problem(Problem { tool, keyword: None, message });
    }

    fn problem(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }

    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| tool.name == name)
    }

    /// The URI by which the server is asked for a resource that it offers: its own spelling of one that it
    /// lists.
    pub fn resource(&self, uri: &str) -> Option<String> {
        let asked = uri::normal(uri);
        let fits = || self.templates.iter().any(|template| template.fits(&asked));
        self.resources.get(&asked).cloned().or_else(|| fits().then(|| uri.to_owned()))
    }
}

fn short(text: &str) -> String {
    text.chars().take(MAX_TEXT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn items(items: &[Value]) -> Vec<Item> {
        let item = |item: &Value| Item {
            text: RawValue::from_string(item.to_string()).expect("JSON"),
            is_callable: item.get("uncallable").is_none(),
        };
        items.iter().map(item).collect()
    }

    #[test]
    fn what_is_malformed_is_named_once() {
        let schema = json!({ "type": "object" });
        let tools = items(&[
            json!({ "name": "a", "inputSchema": schema }),
            json!({ "name": "a", "inputSchema": schema }),
            json!({ "name": "b", "inputSchema": schema, "uncallable": 1 }),
            json!({ "name": "c", "inputSchema": { "type": "strng" } }),
        ]);
        let known = Known::read(
            &tools,
            Err("resources: HTTP 500".to_owned()),
            Ok(items(&[json!({ "uriTemplate": "a://{b}" })])),
        );
        assert_eq!(known.tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(known.templates.len(), 1);
        let named = |problem: &Problem| (problem.tool.clone(), problem.keyword.clone());
        let tool = |name: &str| Some(name.to_owned());
        assert_eq!(
            known.problems.iter().map(named).collect::<Vec<_>>(),
            [(None, None), (tool("a"), None), (tool("b"), None), (tool("c"), tool("/type"))]
        );
    }

    #[test]
    fn many_schemas_are_not_all_checked() {
        let large = json!({ "type": "object", "description": "x".repeat(200_000), "required": ["p"] });
        let tool = |number: usize| json!({ "name": format!("t{number}"), "inputSchema": large });
        let tools = items(&(0..50).map(tool).collect::<Vec<_>>());
        let known = Known::read(&tools, Ok(Vec::new()), Ok(Vec::new()));
        let checked = known.tools.iter().filter(|tool| tool.unchecked.is_empty()).count();
        assert_eq!((known.tools.len(), checked), (50, MAX_CHECKED_BYTES / tools[10].text.get().len()));
        assert!(known.tools[0].checker.check(&Map::new()).is_err());
        assert!(known.tools[49].checker.check(&Map::new()).is_ok());
    }
}
