//! The extractor of operations that take no key: those that pages of the web call for their visitors. In this
//! order: is it one too many from this address (429), is the query sound (422), is the body sound. Whose page
//! it is follows from its domain.

use std::{future::Future, net::IpAddr, pin::Pin};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest, HttpResponse,
    dev::Payload,
    http::header::{self, HeaderName},
};
use gatepost_app::App;
use gatepost_contract::{ApiError, Contract, Plain};
use gatepost_kernel::{Error, Result, describe::Schemas};
use gatepost_pixel::domain_of;
use serde::Serialize;

use crate::{
    State,
    answer::Answer,
    body::{NoBody, ReadBody},
    call::read_body,
    client,
    extensions::Limited,
    metrics::Metrics,
    operation::{Input, TakenBody, Takes},
    query::{Parameters, ReadQuery},
};

/// A request of a page's visitor, with its query `Q` and its body `B`.
pub struct Visit<Q, B = NoBody> {
    req: HttpRequest,
    state: State,
    query: Q,
    body: B,
}

impl<Q: ReadQuery, B: ReadBody> FromRequest for Visit<Q, B> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        Box::pin(Self::accept(req.clone(), payload.take()))
    }
}

impl<Q: ReadQuery, B: ReadBody> Takes for Visit<Q, B> {
    const ACTS_ON_WORKSPACE: bool = false;

    fn describe(contract: &Contract, schemas: &mut Schemas) -> Input {
        Input {
            needs_key: false,
            scope: None,
            query: Q::parameters(contract),
            body: TakenBody::of::<B>(schemas),
        }
    }
}

impl<Q: ReadQuery, B: ReadBody> Visit<Q, B> {
    async fn accept(req: HttpRequest, payload: Payload) -> Result<Self, ApiError> {
        let state = req.app_data::<State>().cloned();
        let state = state.ok_or_else(|| Error::internal("the state is not part of the application"))?;
        let per_minute = state.app().pixel_settings().requests_per_minute;
        let verdict = state.app().gate().admit_visitor(client::address(&req, &state), per_minute);
        req.extensions_mut().insert(Limited(verdict));
        if let Some(refusal) = verdict.error(state.app().now()) {
            return Err(refusal.into());
        }
        let mut parameters = Parameters::new(req.query_string()).paged_by(state.contract());
        let query = Q::read(&mut parameters);
        let errors = parameters.into_errors();
        let query = query.filter(|_| errors.is_empty()).ok_or(Error::Validation(errors))?;
        let (body, _) = read_body::<B>(&req, payload, &state).await?;
        Ok(Self { body: body?, req, state, query })
    }
}

impl<Q, B> Visit<Q, B> {
    /// The application.
    pub fn app(&self) -> &App {
        self.state.app()
    }

    /// The server's counters.
    pub fn metrics(&self) -> &Metrics {
        self.state.metrics()
    }

    /// The query.
    pub fn query(&self) -> &Q {
        &self.query
    }

    /// Where the visitor is.
    pub fn address(&self) -> Option<IpAddr> {
        client::address(&self.req, &self.state)
    }

    /// The domain of the page: by its headers, else the one that the query names.
    pub fn domain(&self, named: Option<&str>) -> Option<String> {
        domain_of(self.header(&header::ORIGIN), self.header(&header::REFERER), named)
    }

    /// Whether the visitor asks not to be tracked.
    pub fn declines(&self) -> bool {
        const GLOBAL_PRIVACY_CONTROL: HeaderName = HeaderName::from_static("sec-gpc");
        [&header::DNT, &GLOBAL_PRIVACY_CONTROL].into_iter().any(|name| self.header(name) == Some("1"))
    }

    /// A header, if it is a text.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.req.headers().get(name)?.to_str().ok()
    }

    /// Takes the body out.
    pub fn into_body(self) -> (B, Visit<Q, ()>) {
        let Self { req, state, query, body } = self;
        (body, Visit { req, state, query, body: () })
    }

    /// Answers with a thing that has no envelope in any contract.
    pub fn plain<T: Serialize>(&self, data: &T) -> Answer<Plain<T>> {
        let body = self.state.contract().plain(data)?;
        Ok(HttpResponse::Ok().content_type(header::ContentType::json()).body(body).into())
    }
}
