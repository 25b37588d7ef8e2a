//! The middleware: nothing behind it runs before the request was let in.

use std::{
    future::{Future, Ready, ready},
    net::IpAddr,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use actix_web::{
    Error, HttpMessage,
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
    http::header,
};
use gatepost_contract::Contract;
use gatepost_kernel::{EnvironmentFilter, Timestamp};
use gatepost_keys::presented;
use gatepost_keys::{Scope, Token};

use crate::{Gate, decision::Wanted, refusal::Refusal};

/// The middleware of routes that need certain scopes. Cloning is cheap.
#[derive(Clone)]
pub struct Require {
    gate: Gate,
    wanted: Arc<Wanted>,
}

impl Require {
    pub(crate) fn new(gate: Gate, scopes: Vec<Scope>) -> Self {
        Self { gate, wanted: Arc::new(Wanted { scopes, environment: EnvironmentFilter::default() }) }
    }

    /// Lets keys of another environment pass: live keys alone do, unless this says otherwise.
    #[must_use]
    pub fn environment(self, environment: EnvironmentFilter) -> Self {
        let wanted = Wanted { environment, ..(*self.wanted).clone() };
        Self { wanted: Arc::new(wanted), ..self }
    }
}

/// A service with the gate before it.
pub struct Guarded<S> {
    require: Require,
    behind: Rc<S>,
}

impl<S, B> Transform<S, ServiceRequest> for Require
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = Guarded<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, behind: S) -> Self::Future {
        ready(Ok(Guarded { require: self.clone(), behind: Rc::new(behind) }))
    }
}

impl<S, B> Service<ServiceRequest> for Guarded<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.behind.poll_ready(context)
    }

    fn call(&self, req: ServiceRequest) -> Self::Future {
        let (require, behind) = (self.require.clone(), self.behind.clone());
        Box::pin(async move {
            let address = client_address(&require.gate, &req);
            let token = presented::token(
                req.headers().get_all(header::AUTHORIZATION).map(header::HeaderValue::as_bytes),
            );
            let contract = &require.gate.contract;
            let token = token.and_then(|token| Token::parse(&contract.tokens, &token));
            let decided = require.gate.decider.decide(token, &require.wanted, address).await;
            let admitted = match decided {
                Ok(admitted) => admitted,
                Err(refusal) => return Ok(refuse(req, contract, &refusal, require.gate.decider.now())),
            };
            req.extensions_mut().insert(admitted.key);
            let answered = behind.call(req).await;
            if let Some(count) = &admitted.count {
                let status = match &answered {
                    Ok(response) => response.status(),
                    Err(error) => error.as_response_error().status_code(),
                };
                count(status.as_u16());
            }
            let mut response = answered?.map_into_left_body();
            if let Some(verdict) = &admitted.verdict {
                contract.add_limits(response.headers_mut(), verdict, require.gate.decider.now(), None);
            }
            Ok(response)
        })
    }
}

fn refuse<B>(
    req: ServiceRequest,
    contract: &Contract,
    refusal: &Refusal,
    now: Timestamp,
) -> ServiceResponse<EitherBody<B>> {
    let answer = refusal.respond(&req, contract, now);
    req.into_response(answer).map_into_right_body()
}

fn client_address(gate: &Gate, req: &ServiceRequest) -> Option<IpAddr> {
    let forwarded = req.headers().get_all("x-forwarded-for").map(|value| value.to_str().unwrap_or("?"));
    gate.client_address(req.peer_addr().map(|peer| peer.ip()), &forwarded.collect::<Vec<_>>())
}
