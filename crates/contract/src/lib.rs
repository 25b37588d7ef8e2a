//! How everything looks on the wire: envelopes, errors, the names of headers.
//!
//! A handler hands over a typed value ([`Message`], [`NoContent`], an item, a page, an [`ApiError`]); the [`Contract`] turns it
//! into bytes. Another face of the same platform is another variant here, and nothing else. The API and the gate before other
//! services both answer by it, so their refusals are the same.

pub mod accept;
pub mod document;
mod error;
mod error_answers;
mod limit_headers;
mod pages;

use std::borrow::Cow;

use actix_web::{
    http::header::{HeaderMap, HeaderName, HeaderValue},
    web::Bytes,
};
use gatepost_app::Answer;
use gatepost_kernel::{ApiKeyId, Environment, Error, Result};
use serde::Serialize;

pub use error::ApiError;
pub use error_answers::ErrorFormat;
pub use limit_headers::{PlanHeaders, number};
pub use pages::PageUrl;

/// Ties an answer to its log lines and audit rows.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const JSON: &str = "application/json";

/// Which face the platform wears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contract {
    /// The core contract: `{"data":…}`, `{"message":…,"data":…}`, `{"error":…,"message":…}`.
    Core,
}

impl Contract {
    /// The request header that names the workspace to act on.
    pub fn acting_workspace_header(self) -> HeaderName {
        const CORE: HeaderName = HeaderName::from_static("x-workspace-id");
        match self {
            Self::Core => CORE,
        }
    }

    /// The response header that names the workspace that the key belongs to.
    pub fn workspace_header(self) -> HeaderName {
        const CORE: HeaderName = HeaderName::from_static("x-gatepost-workspace");
        match self {
            Self::Core => CORE,
        }
    }

    /// The response header of forward auth that names the environment of the key.
    pub fn environment_header(self) -> HeaderName {
        const CORE: HeaderName = HeaderName::from_static("x-gatepost-environment");
        match self {
            Self::Core => CORE,
        }
    }

    /// The response header of forward auth that names the key.
    pub fn key_id_header(self) -> HeaderName {
        const CORE: HeaderName = HeaderName::from_static("x-gatepost-key-id");
        match self {
            Self::Core => CORE,
        }
    }

    /// The response header of forward auth that lists the scopes of the key.
    pub fn scopes_header(self) -> HeaderName {
        const CORE: HeaderName = HeaderName::from_static("x-gatepost-scopes");
        match self {
            Self::Core => CORE,
        }
    }

    /// The response headers in which forward auth says why it refuses: the code and the sentence of the error, for proxies that pass
    /// on no body.
    pub fn refusal_headers(self) -> [HeaderName; 2] {
        const CORE: [HeaderName; 2] =
            [HeaderName::from_static("x-gatepost-error"), HeaderName::from_static("x-gatepost-message")];
        match self {
            Self::Core => CORE,
        }
    }

    /// Says in the headers of forward auth whose key it is that may pass, but for its workspace.
    pub fn add_key(self, headers: &mut HeaderMap, key: ApiKeyId, environment: Environment, scopes: &Bytes) {
        headers.insert(self.environment_header(), HeaderValue::from_static(environment.as_str()));
        headers.insert(self.key_id_header(), number(key.0));
        if let Some(scopes) =
            HeaderValue::from_maybe_shared(scopes.clone()).ok().filter(|list| !list.is_empty())
        {
            headers.insert(self.scopes_header(), scopes);
        }
    }

    /// The body of an answer that shows one thing.
    pub fn item<T: Serialize>(self, data: &T) -> Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Item<'a, T> {
            data: &'a T,
        }
        match self {
            Self::Core => to_json(&Item { data }),
        }
    }
}

/// What a mutating operation can end in.
pub trait IntoAnswer {
    /// The bytes of it.
    fn into_answer(self, contract: Contract) -> Result<Answer>;
}

/// A sentence for people, and the thing that was made or changed.
pub struct Message<T> {
    status: u16,
    text: Cow<'static, str>,
    data: T,
    holds_secret: bool,
}

impl<T> Message<T> {
    /// Something was made: 201.
    pub fn created(text: impl Into<Cow<'static, str>>, data: T) -> Self {
        Self { status: 201, text: text.into(), data, holds_secret: false }
    }

    /// Something was done: 200.
    pub fn done(text: impl Into<Cow<'static, str>>, data: T) -> Self {
        Self { status: 200, text: text.into(), data, holds_secret: false }
    }

    /// The data shows a secret: if the answer is kept, then encrypted.
    pub fn with_secret(self) -> Self {
        Self { holds_secret: true, ..self }
    }
}

impl<T: Serialize> IntoAnswer for Message<T> {
    fn into_answer(self, contract: Contract) -> Result<Answer> {
        #[derive(Serialize)]
        struct Body<'a, T> {
            message: &'a str,
            data: &'a T,
        }
        let body = match contract {
            Contract::Core => to_json(&Body { message: &self.text, data: &self.data })?,
        };
        Ok(Answer {
            status: self.status,
            content_type: JSON.to_owned(),
            body,
            holds_secret: self.holds_secret,
            replayed: false,
        })
    }
}

/// Something was stored and will be done: 202, with what it is known by.
pub struct Accepted<T>(pub T);

impl<T: Serialize> IntoAnswer for Accepted<T> {
    fn into_answer(self, contract: Contract) -> Result<Answer> {
        let (content_type, body) = (JSON.to_owned(), contract.item(&self.0)?);
        Ok(Answer { status: 202, content_type, body, holds_secret: false, replayed: false })
    }
}

/// A thing that has no envelope in any contract: 200.
pub struct Plain<T>(pub T);

impl<T: Serialize> IntoAnswer for Plain<T> {
    fn into_answer(self, _: Contract) -> Result<Answer> {
        let (content_type, body) = (JSON.to_owned(), to_json(&self.0)?);
        Ok(Answer { status: 200, content_type, body, holds_secret: false, replayed: false })
    }
}

/// Nothing to say: 204.
pub struct NoContent;

impl IntoAnswer for NoContent {
    fn into_answer(self, _: Contract) -> Result<Answer> {
        let (content_type, body) = (String::new(), Vec::new());
        Ok(Answer { status: 204, content_type, body, holds_secret: false, replayed: false })
    }
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(Error::failed("rendering an answer"))
}
