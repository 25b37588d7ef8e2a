//! Forward auth at nearly no cost: what can be decided from memory is answered before any routing.
//!
//! Only a plain "may pass" is answered here. Everything else goes on to the middleware and the handler, which refuse in
//! the contract's words; nothing was counted then. The answers are the same ones that those give, header by header.

use std::{
    future::{Ready, ready},
    task::{Context, Poll},
    time::Instant,
};

use actix_web::{
    Error, HttpResponse,
    body::{EitherBody, MessageBody, None as NoBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
    http::{
        StatusCode,
        header::{self, HeaderMap, HeaderValue},
    },
};
use futures_util::{
    TryFutureExt,
    future::{Either, MapOk},
};
use gatepost_app::Passed;
use gatepost_kernel::{RequestId, Timestamp, random};
use gatepost_keys::ScopeRef;

use crate::{BASE_PATH, State, call::bearer, client, middleware::REQUEST_ID};

/// What `/auth` answers to who may pass.
const PASS: StatusCode = StatusCode::NO_CONTENT;

/// Put around everything else that the server does.
pub struct ForwardAuthGate(pub State);

/// The gate with what lies behind it.
pub struct GateService<S> {
    state: State,
    behind: S,
}

type Answer<B> = ServiceResponse<EitherBody<B, NoBody>>;

impl<S, B> Transform<S, ServiceRequest> for ForwardAuthGate
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = Answer<B>;
    type Error = Error;
    type Transform = GateService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, behind: S) -> Self::Future {
        ready(Ok(GateService { state: self.0.clone(), behind }))
    }
}

impl<S, B> Service<ServiceRequest> for GateService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = Answer<B>;
    type Error = Error;
    type Future =
        Either<Ready<Result<Answer<B>, Error>>, MapOk<S::Future, fn(ServiceResponse<B>) -> Answer<B>>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.behind.poll_ready(context)
    }

    fn call(&self, req: ServiceRequest) -> Self::Future {
        match self.answer(&req) {
            Some(response) => Either::Left(ready(Ok(
                req.into_response(response.map_body(|_, body| EitherBody::right(body)))
            ))),
            None => Either::Right(self.behind.call(req).map_ok(ServiceResponse::map_into_left_body)),
        }
    }
}

impl<S> GateService<S> {
    fn answer(&self, req: &ServiceRequest) -> Option<HttpResponse<NoBody>> {
        let rest = req.path().strip_prefix(BASE_PATH)?.strip_prefix("/auth")?;
        if !(rest.is_empty() || rest.starts_with('/')) || !self.state.gate_is_open(req.request()) {
            return None;
        }
        let (started, now) = (Instant::now(), self.state.app().now());
        let token = bearer(req.headers())?;
        let scopes = plain_scopes(req.query_string())?;
        let address = client::address(req.request(), &self.state);
        let passed = self.state.app().pass(token, scopes, address, now, PASS.as_u16())?;
        let mut response = HttpResponse::with_body(PASS, NoBody::new());
        self.add_headers(response.headers_mut(), req, &passed, now);
        self.state.metrics().forward_auth_passed(req.method().as_str(), started.elapsed());
        tracing::debug!(key.id = passed.key_id.0, "passed");
        Some(response)
    }

    fn add_headers(&self, headers: &mut HeaderMap, req: &ServiceRequest, passed: &Passed, now: Timestamp) {
        let (state, contract) = (&self.state, self.state.contract());
        let inbound = req.headers().get(&REQUEST_ID);
        let inbound = inbound.filter(|id| id.to_str().is_ok_and(RequestId::is_harmless)).cloned();
        let request_id = inbound.or_else(|| {
            HeaderValue::from_maybe_shared(RequestId::generate(&mut random::rng()).into_bytes()).ok()
        });
        if let Some(request_id) = request_id {
            headers.insert(REQUEST_ID, request_id);
        }
        contract.add_limits(headers, &passed.verdict, now, state.plan_headers(passed.plan));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(contract.workspace_header(), passed.workspace_id.0.into());
        state.add_security_headers(headers, req.request());
    }
}

/// The scopes that the route needs, if they are written plainly; none at all if anything has to be decoded.
fn plain_scopes(query: &str) -> Option<impl Iterator<Item = ScopeRef<'_>>> {
    let plain = !query.bytes().any(|b| matches!(b, b'%' | b'+'));
    let scopes =
        query.split('&').find_map(|pair| pair.strip_prefix("scope=").or((pair == "scope").then_some("")));
    let scopes = scopes.unwrap_or_default();
    let sound =
        query.is_empty() || !query.contains("scope") || scopes.split(',').all(|s| ScopeRef::parse(s).is_ok());
    (plain && sound).then(|| scopes.split(',').filter_map(|scope| ScopeRef::parse(scope).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_only_where_nothing_has_to_be_decoded() {
        let read = |query| plain_scopes(query).map(|scopes| scopes.map(ScopeRef::as_str).collect::<Vec<_>>());
        assert_eq!(read(""), Some(vec![]));
        assert_eq!(read("deny=403"), Some(vec![]));
        assert_eq!(read("scope=posts:read"), Some(vec!["posts:read"]));
        assert_eq!(read("deny=403&scope=posts:read,users:*"), Some(vec!["posts:read", "users:*"]));
        assert_eq!(read("scope=posts:read&scope=*"), Some(vec!["posts:read"]), "the first counts");
        for left_to_the_handler in
            ["scope=posts%3Aread", "scope=a+b", "scope=nonsense", "scope=", "scope", "sc%6Fpe=a:b"]
        {
            assert_eq!(read(left_to_the_handler), None, "{left_to_the_handler}");
        }
    }
}
