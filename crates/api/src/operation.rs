//! An operation of the API as a value. `#[operation]` makes it from the handler; from the table of all of
//! them come the routes, the document, and what browsers are told.

use std::sync::Arc;

use actix_web::{HttpRequest, http::Method, web::ServiceConfig};
use gatepost_contract::{ApiError, Contract, EnvelopeStyle};
use gatepost_kernel::{
    Error, EventId, NumericId,
    describe::{Described, Schemas},
};
use gatepost_keys::Scope;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::{
    answer::{Answers, Kind},
    body::ReadBody,
    paths::FORWARD_AUTH,
    query::Parameter,
    routes::RouteTable,
    values::positive_id,
};

/// A group of operations in the document.
#[derive(Debug, Clone, Copy)]
pub struct Tag {
    /// What it is called.
    pub name: &'static str,
    /// What its operations are about.
    pub about: &'static str,
}

/// An operation.
pub struct Operation {
    /// Its name, that of the handler.
    pub id: &'static str,
    /// HTTP method of the operation.
    pub method: Method,
    /// Its path below the base of the contract, with names in braces, and behind a colon what they match.
    pub path: &'static str,
    /// Its group in the document.
    pub tag: Tag,
    /// What it is, in a few words, and in sentences below.
    pub about: &'static str,
    /// The status of its answer, and what that is.
    pub answer: (u16, &'static str),
    /// Whether it changes something.
    pub changes: bool,
    /// Whether it heeds `If-Match`.
    pub heeds_version: bool,
    /// Whether a request may name the workspace to act on.
    pub acts_on_workspace: bool,
    /// The operation that this is another way to, if it is one: generators and tools leave it out.
    pub alias_of: Option<&'static str>,
    /// What the answer says that it did, where its name does not tell.
    pub sentence: Option<&'static str>,
    /// What it takes and answers.
    pub shape: ShapeOf,
    /// Adds its route.
    pub register: fn(&mut ServiceConfig),
}

/// From where it is known what an operation takes and answers.
pub enum ShapeOf {
    /// From the types of its handler.
    Types(fn(&Contract, &mut Schemas) -> Shape),
    /// From a declaration.
    Declaration(Arc<DescribeShape>),
}

/// Says what an operation takes and answers; the schemas that it needs go to the second.
type DescribeShape = dyn Fn(&Contract, &mut Schemas) -> Shape + Send + Sync;

impl Operation {
    /// What it takes and answers; the schemas that it needs go to `schemas`.
    pub fn shape(&self, contract: &Contract, schemas: &mut Schemas) -> Shape {
        match &self.shape {
            ShapeOf::Types(shape) => shape(contract, schemas),
            ShapeOf::Declaration(shape) => shape(contract, schemas),
        }
    }

    /// Its path, with names in braces.
    pub fn full_path(&self, contract: &Contract) -> String {
        let path = self.path.split('}').map(|part| match part.split_once(':') {
            Some((part, _)) if part.contains('{') => part,
            _ => part,
        });
        contract.base_path.as_ref().to_owned() + &path.collect::<Vec<_>>().join("}")
    }

    /// The status of its answer. That of forward auth is for proxies, and the same in every contract.
    pub fn status(&self, contract: &Contract) -> u16 {
        if self.path == FORWARD_AUTH { self.answer.0 } else { contract.statuses.of(self.answer.0) }
    }

    /// What it is, in a few words.
    pub fn summary(&self) -> &'static str {
        self.about.lines().next().unwrap_or_default()
    }

    /// The same in sentences.
    pub fn description(&self) -> Option<&'static str> {
        self.about.split_once("\n\n").map(|(_, sentences)| sentences)
    }

    /// What the answer says that it did: `create_api_key` says "API key created successfully."
    pub fn sentence(&self) -> String {
        if let Some(sentence) = self.sentence {
            return sentence.to_owned();
        }
        let (verb, resource) = self.id.split_once('_').unwrap_or((self.id, ""));
        let resource = match resource {
            "api_key" => "API key",
            "workspace" => "Workspace",
            "seo_report" => "SEO report",
            other => other,
        };
        let done = if verb == "submit" { "submitted".to_owned() } else { format!("{verb}d") };
        format!("{resource} {done} successfully.")
    }

    /// Whether a repetition can be told by a key.
    pub fn is_repeatable(&self) -> bool {
        self.changes && self.acts_on_workspace
    }

    /// Whether it can end in an error that operations share, by the status of the core contract.
    pub fn can_end_in(&self, shape: &Shape, status: u16) -> bool {
        match status {
            400 | 413 | 415 => shape.input.body.is_some(),
            401 | 403 | 404 => shape.input.needs_key,
            409 => self.is_repeatable(),
            412 => self.heeds_version,
            _ => true,
        }
    }

    /// Whether any page of the web may call it.
    pub fn is_public(&self) -> bool {
        !self.acts_on_workspace && self.path != FORWARD_AUTH
    }
}

/// What an operation takes and answers.
pub struct Shape {
    /// What is taken in.
    pub input: Input,
    /// The parameters in the path: name, description, schema.
    pub path: Vec<(&'static str, &'static str, Value)>,
    /// The schema of the answer, if it has a body.
    pub answer: Option<Value>,
    /// Whether that is a page with links to others.
    pub is_page: bool,
    /// Headers of the answer that no other has.
    pub headers: Option<Value>,
    /// What a 403 is that is the operation's own, and its schema.
    pub refusal: Option<(&'static str, Value)>,
}

impl Shape {
    /// That of a handler which takes `I` and returns `A`.
    pub fn of<I: Takes, A: Answers>(contract: &Contract, schemas: &mut Schemas) -> Self {
        let input = I::describe(contract, schemas);
        let answer = A::Kind::schema(contract, schemas);
        Self { input, path: Vec::new(), answer, is_page: A::Kind::IS_PAGE, headers: None, refusal: None }
    }

    /// The same with a 403 of its own, where not all errors look the same.
    pub fn with_refusal<T: Described>(
        mut self,
        about: &'static str,
        contract: &Contract,
        schemas: &mut Schemas,
    ) -> Self {
        if contract.envelope == EnvelopeStyle::Data {
            self.refusal = Some((about, T::schema(schemas)));
        }
        self
    }

    /// The same with a parameter in the path.
    pub fn with_path<P: PathParam>(mut self, name: &'static str, schemas: &mut Schemas) -> Self {
        self.path.push((name, P::ABOUT, P::schema(schemas)));
        self
    }
}

/// What is taken in.
pub struct Input {
    /// Whether a key is needed.
    pub needs_key: bool,
    /// The scope that it needs.
    pub scope: Option<&'static Scope>,
    /// The parameters of the query.
    pub query: Vec<Parameter>,
    /// Body of the request; none if the operation takes none.
    pub body: Option<TakenBody>,
}

/// The body that is taken in.
pub struct TakenBody {
    /// JSON schema of the body.
    pub schema: Value,
    /// Whether the body may be left out.
    pub optional: bool,
}

impl TakenBody {
    /// That of an operation which takes a `B`; none where it takes no body.
    pub fn of<B: ReadBody>(schemas: &mut Schemas) -> Option<Self> {
        B::TAKEN.then(|| Self { schema: B::schema(schemas), optional: B::OPTIONAL })
    }
}

/// What a handler takes first.
pub trait Takes {
    /// Whether a request may name the workspace to act on.
    const ACTS_ON_WORKSPACE: bool;

    /// What that is.
    fn describe(contract: &Contract, schemas: &mut Schemas) -> Input;
}

/// What stands in a path.
pub trait PathParam: Sized {
    /// Description of the parameter, for the document.
    const ABOUT: &'static str;

    /// JSON schema of the parameter.
    fn schema(schemas: &mut Schemas) -> Value;

    /// What stands there under a name. What cannot be one is not found, like one that nobody has.
    fn read(req: &HttpRequest, name: &'static str) -> Result<Self, ApiError>;
}

impl<I: NumericId + Described> PathParam for I {
    const ABOUT: &'static str = <I as NumericId>::ABOUT;

    fn schema(schemas: &mut Schemas) -> Value {
        <I as Described>::schema(schemas)
    }

    fn read(req: &HttpRequest, name: &'static str) -> Result<Self, ApiError> {
        number(req, name).map(I::of)
    }
}

fn number(req: &HttpRequest, name: &str) -> Result<i64, ApiError> {
    let number = req.match_info().get(name).and_then(positive_id);
    let routes = req.app_data::<Arc<RouteTable>>();
    number.ok_or_else(|| match routes.and_then(|routes| routes.allow_exactly(req.path())) {
        Some(allow) => {
            ApiError::MethodNotAllowed { method: req.method().to_string(), allow: allow.to_owned() }
        }
        None => Error::NotFound.into(),
    })
}

/// Id of an event.
pub struct PathEventId(pub EventId);

impl PathParam for PathEventId {
    const ABOUT: &'static str = "Id of the event";

    fn schema(schemas: &mut Schemas) -> Value {
        EventId::schema(schemas)
    }

    fn read(req: &HttpRequest, name: &'static str) -> Result<Self, ApiError> {
        let id = EventId::parse(req.match_info().get(name).unwrap_or_default());
        id.map(Self).ok_or(Error::NotFound.into())
    }
}

/// Id of an MCP server.
pub struct McpServerId(pub String);

impl PathParam for McpServerId {
    const ABOUT: &'static str = "Id of the MCP server";

    fn schema(_: &mut Schemas) -> Value {
        json!({ "type": "string" })
    }

    fn read(req: &HttpRequest, name: &'static str) -> Result<Self, ApiError> {
        Ok(Self(req.match_info().get(name).unwrap_or_default().to_owned()))
    }
}

/// URI of a resource of an MCP server: all that is left of the path. Slashes that are part of it may be
/// escaped or not.
pub struct ResourceUri(pub String);

impl PathParam for ResourceUri {
    const ABOUT: &'static str = "URI of the resource";

    fn schema(_: &mut Schemas) -> Value {
        json!({ "type": "string" })
    }

    fn read(req: &HttpRequest, name: &'static str) -> Result<Self, ApiError> {
        // As it came: the framework has taken some of its escapes away.
        let before =
            req.match_pattern().and_then(|pattern| Some(pattern.split_once(&format!("{{{name}"))?.0.len()));
        let uri = before.and_then(|before| req.uri().path().get(before..));
        let uri = uri.and_then(|uri| percent_decode_str(uri).decode_utf8().ok());
        uri.map(|uri| Self(uri.into_owned())).ok_or(Error::NotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use gatepost_contract::Contract;

    use crate::operations;

    #[test]
    fn each_operation_has_a_name_and_a_route_of_its_own() {
        let (core, mut names, mut routes) = (Contract::core(), HashSet::new(), HashSet::new());
        for operation in operations() {
            assert!(names.insert(operation.id), "{}", operation.id);
            assert!(
                routes.insert((operation.method.clone(), operation.full_path(&core))),
                "{}",
                operation.id
            );
        }
        assert!(routes.iter().any(|(_, path)| path == "/api/v1/mcp/resources/{uri}"));
    }
}
