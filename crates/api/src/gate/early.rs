//! Forward auth at nearly no cost: what can be decided from memory is answered before the framework takes the
//! request.
//!
//! Only a plain "may pass" is answered here. Everything else goes on to the middleware and the handler, which
//! refuse in the contract's words; nothing was counted then. The answers are the same ones that those give,
//! header by header.

use std::{
    future::{Future, Ready, ready},
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll},
};

use actix_http::{ConnectionType, HttpMessage, Request, Response};
use actix_service::{Service, ServiceFactory};
use actix_web::{
    body::{EitherBody, MessageBody, None as NoBody},
    dev::{AppConfig, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderMap, HeaderValue},
    },
};
use futures_util::{
    TryFutureExt,
    future::{Either, MapOk},
};
use gatepost_contract::{REQUEST_ID, number};
use gatepost_gate::Passed;
use gatepost_kernel::{RequestId, Timestamp, random};
use gatepost_keys::presented;

use crate::{
    PlainHttp, State, access_log,
    client::{self, token},
    gate::auth_query,
    paths::is_forward_auth,
    server::Connection,
};

/// What `/auth` answers to who may pass.
const PASS: StatusCode = StatusCode::NO_CONTENT;

/// Put before the framework's application.
pub struct ForwardAuthGate<A> {
    pub state: State,
    /// The socket that requests come by.
    pub connection: Connection,
    pub behind: A,
}

/// The gate of one worker, with what lies behind it.
pub struct GateService<S> {
    state: State,
    /// The socket that requests come by.
    connection: Connection,
    behind: S,
}

type Answer<B> = Response<EitherBody<B, NoBody>>;

impl<A, B> ServiceFactory<Request> for ForwardAuthGate<A>
where
    A: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<B>>,
    A::Future: 'static,
    A::Service: 'static,
    A::InitError: 'static,
    B: MessageBody + 'static,
{
    type Response = Answer<B>;
    type Error = A::Error;
    type Config = AppConfig;
    type Service = GateService<A::Service>;
    type InitError = A::InitError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Service, Self::InitError>>>>;

    fn new_service(&self, config: AppConfig) -> Self::Future {
        let (state, connection) = (self.state.clone(), self.connection);
        let behind = self.behind.new_service(config);
        Box::pin(async move { Ok(GateService { state, connection, behind: behind.await? }) })
    }
}

impl<S, B> Service<Request> for GateService<S>
where
    S: Service<Request, Response = ServiceResponse<B>>,
    B: MessageBody + 'static,
{
    type Response = Answer<B>;
    type Error = S::Error;
    type Future =
        Either<Ready<Result<Answer<B>, S::Error>>, MapOk<S::Future, fn(ServiceResponse<B>) -> Answer<B>>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.behind.poll_ready(context)
    }

    fn call(&self, mut req: Request) -> Self::Future {
        match self.answer(&req) {
            Some(response) => Either::Left(ready(Ok(response.map_body(|_, body| EitherBody::right(body))))),
            None => Either::Right({
                // The framework leaves the body of the answer out by itself.
                if req.method() == Method::HEAD && !is_forward_auth(self.state.contract(), req.path()) {
                    req.head_mut().method = Method::GET;
                }
                self.behind
                    .call(req)
                    .map_ok(|response| Response::from(response).map_body(|_, body| EitherBody::left(body)))
            }),
        }
    }
}

impl<S> GateService<S> {
    fn answer(&self, req: &Request) -> Option<Response<NoBody>> {
        let settings = self.state.settings();
        if !is_forward_auth(self.state.contract(), req.path())
            || req.method() == Method::TRACE
            || !self.state.part(self.connection).api
        {
            return None;
        }
        let peer = req.peer_addr().map(|peer| peer.ip());
        let secure = || client::is_secure(req.headers(), peer, self.connection.secure, &self.state);
        if settings.server.plain_http != PlainHttp::Allow && !secure() {
            return None;
        }
        let began = self.state.metrics().forward_auth_begins();
        let now = self.state.app().now();
        let token = token(req.headers())?;
        let (environment, scopes) =
            auth_query::plain(req.uri().query().unwrap_or_default(), self.state.contract().scope_order)?;
        let address = self.address(req.headers(), peer);
        let passed =
            self.state.app().gate().pass(&token, scopes, environment, address, now, PASS.as_u16())?;
        let mut response = Response::with_body(PASS, NoBody::new());
        self.add_headers(response.headers_mut(), req.headers(), &passed, now);
        self.state.add_security_headers(response.headers_mut(), secure);
        if self.state.is_draining() {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        self.state.metrics().forward_auth_passed(req.method(), began);
        let settings = &self.state.settings().server;
        let base_path = &self.state.contract().base_path;
        access_log::passed(req.method(), &passed, base_path, settings.forward_auth_log_one_in);
        tracing::debug!(key.id = passed.key_id.0, "passed");
        Some(response)
    }

    fn address(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Option<IpAddr> {
        let proxies = &self.state.settings().server.trusted_proxies;
        if proxies.is_empty() {
            return peer;
        }
        let forwarded = headers.get_all("x-forwarded-for").map(|value| value.to_str().unwrap_or("?"));
        presented::client_address(peer, forwarded, proxies)
    }

    fn add_headers(&self, headers: &mut HeaderMap, asked: &HeaderMap, passed: &Passed, now: Timestamp) {
        let (state, contract) = (&self.state, self.state.contract());
        let inbound = asked.get(&REQUEST_ID);
        let is_harmless = |id: &str| RequestId::is_harmless(id, |text| contract.tokens.begins(text));
        let inbound = inbound.filter(|id| id.to_str().is_ok_and(is_harmless)).cloned();
        let request_id =
            inbound.or_else(|| HeaderValue::from_bytes(&RequestId::generate_bytes(&mut random::rng())).ok());
        if let Some(request_id) = request_id {
            headers.insert(REQUEST_ID, request_id);
        }
        contract.add_limits(headers, &passed.verdict, now, state.plan_headers(passed.plan));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(contract.headers.workspace.name.clone(), number(passed.workspace_id.0));
        let external_id = passed.profile.external_id();
        contract.add_key(headers, passed.key_id, passed.environment, &passed.scope_list, external_id);
    }
}
