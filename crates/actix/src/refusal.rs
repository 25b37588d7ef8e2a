//! The answers to requests that may not pass: those of Gatepost's own API, by the same contract.

use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError, dev::ServiceRequest, http::header};
use gatepost_contract::{ApiError, Contract, ErrorFormat, REQUEST_ID};
use gatepost_kernel::{Error, RequestId, Timestamp, random};
use gatepost_limits::Verdict;

/// A request that may not pass, and why.
#[derive(Debug, Clone)]
pub struct Refusal {
    error: ApiError,
    verdict: Option<Box<Verdict>>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error: error.into(), verdict: None }
    }
}

impl Refusal {
    pub fn with_verdict(self, verdict: Option<Verdict>) -> Self {
        Self { verdict: verdict.map(Box::new), ..self }
    }

    #[cfg(feature = "in-process")]
    pub fn status(&self) -> u16 {
        self.error.status_code().as_u16()
    }

    /// Whether it was decided, and not only that nothing could be.
    pub fn is_a_decision(&self) -> bool {
        self.error.status_code().is_client_error()
    }

    /// The whole answer to a request.
    pub fn respond(&self, req: &ServiceRequest, contract: &Contract, now: Timestamp) -> HttpResponse {
        let asked = req.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let request_id = asked.and_then(|id| RequestId::from_caller(id, |text| contract.tokens.begins(text)));
        let request_id = request_id.unwrap_or_else(|| RequestId::generate(&mut random::rng()));
        if !self.is_a_decision() {
            tracing::error!(
                request.id = request_id.as_str(),
                error = %self.error.for_log(),
                "a request could not be decided on and was refused"
            );
        }
        let rendered = contract.error(&self.error, ErrorFormat::of(req.headers()), &request_id);
        let (content_type, body) = rendered.unwrap_or(("application/json", Vec::new()));
        let mut response = HttpResponseBuilder::new(contract.status(&self.error));
        response.content_type(content_type).insert_header((REQUEST_ID, request_id.as_str()));
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        response.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
        let mut response = response.body(body);
        contract.add_error(response.headers_mut(), &self.error);
        if let Some(verdict) = &self.verdict {
            contract.add_limits(response.headers_mut(), verdict, now, None);
        }
        response
    }
}
