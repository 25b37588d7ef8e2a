//! What is decided about one request, wherever it is decided.

use std::{future::Ready, net::IpAddr, sync::Arc};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use gatepost_gate::{Gate, Principal};
use gatepost_kernel::{ApiKeyId, Environment, EnvironmentFilter, Error, Timestamp, WorkspaceId};
use gatepost_keys::{Scope, Token};
use gatepost_limits::Verdict;

use crate::{refusal::Refusal, remote::Remote};

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
    /// Whom to count the answer on, where that is done here.
    pub counted_on: Option<(Gate, Principal)>,
}

/// Who decides.
pub enum Decider {
    InProcess(Gate),
    Remote(Box<Remote>),
}

impl Decider {
    /// The present instant, by the clock of who decides.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::InProcess(gate) => gate.now(),
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
            Self::InProcess(gate) => in_process(gate, token, wanted, address).await,
            Self::Remote(remote) => match token {
                Some(token) => remote.decide(&token, wanted, address).await,
                None => Err(Refusal::from(Error::Unauthorized)),
            },
        }
    }
}

async fn in_process(
    gate: &Gate,
    token: Option<Token>,
    wanted: &Wanted,
    address: Option<IpAddr>,
) -> Result<Admitted, Refusal> {
    let may = |principal: &Principal| {
        principal.is_of(wanted.environment)?;
        wanted.scopes.iter().try_for_each(|scope| principal.may(scope))
    };
    match gate.admit(token, address, may).await {
        Ok(admitted) => {
            let principal = admitted.principal;
            let key = VerifiedKey {
                key_id: principal.key_id(),
                workspace_id: principal.workspace_id(),
                environment: principal.environment(),
                scopes: principal.scopes().texts(gate.scope_order()),
            };
            let verdict = Some(admitted.verdict);
            Ok(Admitted { key, verdict, counted_on: Some((gate.clone(), principal)) })
        }
        Err(refused) => {
            let refused = *refused;
            let refusal = Refusal::from(refused.error);
            if let Some(principal) = &refused.principal {
                gate.record_use(principal, refusal.status());
            }
            Err(refusal.with_verdict(refused.verdict))
        }
    }
}
