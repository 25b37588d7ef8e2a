//! The headers whose names differ from contract to contract.

use std::borrow::Cow;

use actix_web::{
    http::header::{HeaderMap, HeaderName, HeaderValue, InvalidHeaderName},
    web::Bytes,
};
use gatepost_kernel::{ApiKeyId, Environment};

use crate::{Contract, number};

/// Ties an answer to its log lines and audit rows.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The value of a header that says nothing.
const NOTHING: HeaderValue = HeaderValue::from_static("");

/// A header by the name that people write, and by that which machines compare.
#[derive(Debug, Clone)]
pub struct Header {
    /// Such as `X-Request-ID`.
    pub shown: Cow<'static, str>,
    /// Such as `x-request-id`.
    pub name: HeaderName,
}

impl Header {
    fn new(shown: String) -> Result<Self, InvalidHeaderName> {
        Ok(Self { name: HeaderName::from_bytes(shown.as_bytes())?, shown: Cow::Owned(shown) })
    }

    const fn fixed(shown: &'static str, name: &'static str) -> Self {
        Self { shown: Cow::Borrowed(shown), name: HeaderName::from_static(name) }
    }
}

/// The headers whose names differ.
#[derive(Debug, Clone)]
pub struct Headers {
    /// Of a request: the workspace to act on.
    pub acting_workspace: Header,
    /// Of an answer: the workspace that the key belongs to.
    pub workspace: Header,
    /// Of an answer of forward auth: the environment of the key.
    pub environment: Header,
    /// Of an answer of forward auth: the key.
    pub key_id: Header,
    /// Of an answer of forward auth: the scopes of the key.
    pub scopes: Header,
    /// The same: whose it is in the system of those who made it, if they said so.
    pub external_id: Header,
    /// Of a refusal of forward auth, for proxies that pass on no body: the code of the error.
    pub error: Header,
    /// The same: what it says.
    pub message: Header,
    /// The same: the whole body.
    pub body: Header,
    /// Of a delivery: `sha256=` and the HMAC of the body in hexadecimal.
    pub signature: Header,
}

impl Headers {
    /// What the names begin with in the core contract that say whose key it is.
    pub const PREFIX: &str = "X-Gatepost-";

    /// Those of the core contract.
    pub const fn core() -> Self {
        Self {
            acting_workspace: Header::fixed("X-Workspace-ID", "x-workspace-id"),
            workspace: Header::fixed("X-Gatepost-Workspace", "x-gatepost-workspace"),
            environment: Header::fixed("X-Gatepost-Environment", "x-gatepost-environment"),
            key_id: Header::fixed("X-Gatepost-Key-Id", "x-gatepost-key-id"),
            scopes: Header::fixed("X-Gatepost-Scopes", "x-gatepost-scopes"),
            external_id: Header::fixed("X-Gatepost-External-Id", "x-gatepost-external-id"),
            error: Header::fixed("X-Gatepost-Error", "x-gatepost-error"),
            message: Header::fixed("X-Gatepost-Message", "x-gatepost-message"),
            body: Header::fixed("X-Gatepost-Body", "x-gatepost-body"),
            signature: Header::fixed("X-Webhook-Signature", "x-webhook-signature"),
        }
    }

    /// The same with another prefix than `X-Gatepost-`, and other names for the two of workspaces and the
    /// signature.
    ///
    /// # Errors
    /// If one is no name of a header.
    pub fn new(
        acting_workspace: &str,
        workspace: &str,
        prefix: &str,
        signature: &str,
    ) -> Result<Self, InvalidHeaderName> {
        let of = |name: &str| Header::new(format!("{prefix}{name}"));
        Ok(Self {
            acting_workspace: Header::new(acting_workspace.to_owned())?,
            workspace: Header::new(workspace.to_owned())?,
            environment: of("Environment")?,
            key_id: of("Key-Id")?,
            scopes: of("Scopes")?,
            external_id: of("External-Id")?,
            error: of("Error")?,
            message: of("Message")?,
            body: of("Body")?,
            signature: Header::new(signature.to_owned())?,
        })
    }
}

impl Headers {
    /// Whether a text can be the name of a header.
    pub fn is_name(text: &str) -> bool {
        HeaderName::from_bytes(text.as_bytes()).is_ok()
    }

    /// Each of them.
    pub fn all(&self) -> [&Header; 10] {
        let Self {
            acting_workspace,
            workspace,
            environment,
            key_id,
            scopes,
            external_id,
            error,
            message,
            body,
            signature,
        } = self;
        [
            acting_workspace,
            workspace,
            environment,
            key_id,
            scopes,
            external_id,
            error,
            message,
            body,
            signature,
        ]
    }
}

impl Contract {
    /// The headers of requests that pages of browsers may send, where pages may call the API.
    pub fn request_headers(&self) -> [HeaderName; 7] {
        let fixed = ["accept", "authorization", "content-type", "idempotency-key", "if-match"]
            .map(HeaderName::from_static);
        let [accept, authorization, content_type, idempotency_key, if_match] = fixed;
        let acting = self.headers.acting_workspace.name.clone();
        [accept, authorization, content_type, idempotency_key, if_match, REQUEST_ID, acting]
    }

    /// The headers of answers that pages of browsers may read.
    pub fn response_headers(&self) -> [HeaderName; 11] {
        let fixed = [
            "etag",
            "idempotent-replayed",
            "link",
            "ratelimit",
            "ratelimit-policy",
            "retry-after",
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
        ];
        let [etag, replayed, link, limit, policy, retry, a, b, c] = fixed.map(HeaderName::from_static);
        let workspace = self.headers.workspace.name.clone();
        [etag, replayed, link, limit, policy, retry, a, b, c, REQUEST_ID, workspace]
    }

    /// Says in the headers of forward auth whose key it is that may pass, but for its workspace. What there is
    /// nothing to say of is there too, empty: of a header that is missing, Caddy passes on the name of its
    /// placeholder, or what a client wrote.
    pub fn add_key(
        &self,
        headers: &mut HeaderMap,
        key: ApiKeyId,
        environment: Environment,
        scopes: &Bytes,
        external_id: Option<&str>,
    ) {
        headers.insert(self.headers.environment.name.clone(), HeaderValue::from_static(environment.as_str()));
        headers.insert(self.headers.key_id.name.clone(), number(key.0));
        let scopes = HeaderValue::from_maybe_shared(scopes.clone()).unwrap_or(NOTHING);
        headers.insert(self.headers.scopes.name.clone(), scopes);
        let external_id = external_id.and_then(|id| HeaderValue::from_str(id).ok());
        headers.insert(self.headers.external_id.name.clone(), external_id.unwrap_or(NOTHING));
    }
}
