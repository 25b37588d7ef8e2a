//! What is decided about one request, wherever it is decided.

use std::future::Ready;

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use gatepost_kernel::{ApiKeyId, Environment, EnvironmentFilter, ExternalId, WorkspaceId};
use gatepost_keys::Scope;
use gatepost_limits::Verdict;

/// The key of a request that was let in; an extractor for handlers behind the middleware.
#[derive(Debug, Clone)]
pub struct VerifiedKey {
    /// The key.
    pub key_id: ApiKeyId,
    /// The tenant that it belongs to.
    pub workspace_id: WorkspaceId,
    /// The environment that it belongs to.
    pub environment: Environment,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Whose it is in the system of those who made it, if they said so.
    pub external_id: Option<ExternalId>,
}

impl FromRequest for VerifiedKey {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let key = req.extensions().get::<Self>().cloned();
        std::future::ready(key.ok_or_else(|| {
            actix_web::error::ErrorInternalServerError("the route of this handler has no gate before it")
        }))
    }
}

/// What a key must be to pass.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wanted {
    pub scopes: Vec<Scope>,
    pub environment: EnvironmentFilter,
}

/// A request that may pass.
pub struct Admitted {
    pub key: VerifiedKey,
    /// How the key stands against its limits, where that is known.
    pub verdict: Option<Verdict>,
    /// Counts the answer, by its status, where that is done here.
    pub count: Option<Box<dyn Fn(u16) + Send>>,
}
