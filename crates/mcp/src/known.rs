//! What a server offers, as far as it is known.

use std::{sync::Arc, time::Duration};

use rmcp::{
    Peer, RoleClient,
    model::{ErrorCode, PaginatedRequestParams},
    service::ServiceError,
};
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::{
    arguments::{Checker, Parameter, parameters},
    uri::Template,
};

/// How many tools, resources and templates are looked at. A server that has more is taken for one that never ends.
const MAX_ITEMS: usize = 1_000;
/// In how many pages.
const MAX_PAGES: usize = 50;
/// The longest description that is kept, in characters.
const MAX_TEXT_CHARS: usize = 10_000;

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
    pub(crate) checker: Checker,
}

/// What a server offers.
#[derive(Default)]
pub(crate) struct Known {
    /// What it calls itself.
    pub name: Option<String>,
    /// What it says of itself.
    pub description: Option<String>,
    pub tools: Vec<Tool>,
    /// URIs.
    pub resources: Vec<String>,
    pub templates: Vec<Template>,
}

/// All pages of a list, one after the other; nothing if the server does not know such a list.
macro_rules! pages {
    ($limit:ident, |$params:ident| $page:expr, $items:ident) => {{
        let (mut items, mut cursor) = (Vec::new(), None);
        for number in 0..MAX_PAGES {
            let $params = Option::take(&mut cursor)
                .map(|cursor| PaginatedRequestParams::default().with_cursor(Some(cursor)));
            let page = timeout($limit, $page).await;
            let page = match page.map_err(|_| "a list did not come in time".to_owned())? {
                Ok(page) => page,
                Err(ServiceError::McpError(error))
                    if number == 0 && error.code == ErrorCode::METHOD_NOT_FOUND =>
                {
                    break;
                }
                Err(error) => return Err(error.to_string()),
            };
            items.extend(page.$items);
            if items.len() > MAX_ITEMS {
                tracing::warn!(items.shown = MAX_ITEMS, "an MCP server lists more than is looked at");
                items.truncate(MAX_ITEMS);
                break;
            }
            match page.next_cursor {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        items
    }};
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
        let tools = pages!(limit, |params| peer.list_tools(params), tools);
        let tools = tools.into_iter().map(|tool| Tool {
            name: tool.name.into_owned(),
            description: tool.description.as_deref().map(short),
            parameters: parameters(&tool.input_schema),
            checker: Checker::new(&tool.input_schema),
            input_schema: tool.input_schema,
        });
        let tools = tools.collect();
        let resources = pages!(limit, |params| peer.list_resources(params), resources);
        let resources = resources.into_iter().map(|resource| resource.uri).collect();
        let templates = pages!(limit, |params| peer.list_resource_templates(params), resource_templates);
        let templates =
            templates.iter().filter_map(|template| Template::parse(&template.uri_template)).collect();
        let (name, description) = (name.map(|text| short(text)), description.map(|text| short(text)));
        Ok(Self { name, description, tools, resources, templates })
    }

    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| tool.name == name)
    }

    /// Whether the server offers a resource.
    pub fn has_resource(&self, uri: &str) -> bool {
        self.resources.iter().any(|own| own == uri)
            || self.templates.iter().any(|template| template.fits(uri))
    }
}

fn short(text: &str) -> String {
    text.chars().take(MAX_TEXT_CHARS).collect()
}
