//! The answers to requests that may not pass, in the shape of Gatepost's own.

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
};
use gatepost_kernel::Error;
use serde_json::json;

use crate::decision::Standing;

/// A request that may not pass, and why.
#[derive(Debug, Clone)]
pub struct Refusal {
    error: Error,
    standing: Option<Standing>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, standing: None }
    }
}

impl Refusal {
    pub fn with_standing(self, standing: Option<Standing>) -> Self {
        Self { standing, ..self }
    }

    pub fn status(&self) -> StatusCode {
        match &self.error {
            Error::Unauthorized | Error::KeyRevoked | Error::KeyExpired => StatusCode::UNAUTHORIZED,
            Error::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Error::AccessDenied(_) | Error::IpNotAllowed | Error::WrongEnvironment(_) => {
                StatusCode::FORBIDDEN
            }
            // Whatever else goes wrong, the decision could not be made.
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Whether it was decided, and not only that nothing could be.
    pub fn is_a_decision(&self) -> bool {
        self.status() != StatusCode::SERVICE_UNAVAILABLE
    }

    /// The whole answer.
    pub fn respond(self) -> HttpResponse {
        let status = self.status();
        let mut response = HttpResponse::build(status);
        let mut body = json!({ "error": self.error.code(), "message": self.error.to_string() });
        match &self.error {
            Error::RateLimited { retry_after_seconds, .. } => {
                body["retry_after"] = (*retry_after_seconds).into();
                response.insert_header((header::RETRY_AFTER, retry_after_seconds.to_string()));
            }
            error if status == StatusCode::SERVICE_UNAVAILABLE => {
                let cause = error.internal_context().unwrap_or_default();
                tracing::error!(error = cause, "a request could not be decided on and was refused");
                body = json!({ "error": "service_unavailable", "message": "The service is not available now. Try again later." });
                response.insert_header((header::RETRY_AFTER, "5"));
            }
            _ if status == StatusCode::UNAUTHORIZED => {
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
            }
            _ => {}
        }
        let mut response = response.json(body);
        if let Some(standing) = &self.standing {
            add_standing(response.headers_mut(), standing);
        }
        response
    }
}

/// Adds the limit headers.
pub fn add_standing(headers: &mut HeaderMap, standing: &Standing) {
    let values: [(&'static str, HeaderValue); 3] = [
        ("x-ratelimit-limit", standing.limit.into()),
        ("x-ratelimit-remaining", standing.remaining.into()),
        ("x-ratelimit-reset", standing.reset_at.into()),
    ];
    for (name, value) in values {
        headers.insert(HeaderName::from_static(name), value);
    }
}
