//! What is decided about one request, wherever it is decided.

use std::{future::Ready, net::IpAddr, sync::Arc};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use gatepost_kernel::{ApiKeyId, Environment, EnvironmentFilter, Timestamp, WorkspaceId};
use gatepost_keys::{Scope, Token};
use gatepost_limits::Verdict;

#[cfg(feature = "in-process")]
use crate::in_process::{self, UseOf};
use crate::refusal::Refusal;
#[cfg(feature = "remote")]
use crate::remote::Remote;

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
    /// What the answer is counted as a use of, where that is done here.
    #[cfg(feature = "in-process")]
    pub use_of: Option<UseOf>,
}

/// Who decides.
pub enum Decider {
    #[cfg(feature = "in-process")]
    InProcess(gatepost_gate::Gate),
    #[cfg(feature = "remote")]
    Remote(Box<Remote>),
}

impl Decider {
    /// The present instant, by the clock of who decides.
    pub fn now(&self) -> Timestamp {
        match self {
            #[cfg(feature = "in-process")]
            Self::InProcess(gate) => gate.now(),
            #[cfg(feature = "remote")]
            Self::Remote(remote) => remote.now(),
        }
    }

    pub async fn decide(
        &self,
        token: Option<Token>,
        wanted: &Arc<Wanted>,
        address: Option<IpAddr>,
    ) -> Result<Admitted, Refusal> {
        match self {
            #[cfg(feature = "in-process")]
            Self::InProcess(gate) => in_process::decide(gate, token, wanted, address).await,
            #[cfg(feature = "remote")]
            Self::Remote(remote) => match token {
                Some(token) => remote.decide(&token, wanted, address).await,
                None => Err(Refusal::from(gatepost_kernel::Error::Unauthorized)),
            },
        }
    }
}
