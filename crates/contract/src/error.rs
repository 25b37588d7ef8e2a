//! The only error that an answer is made of: one exhaustive `match` gives every kind its status.

use std::fmt;

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use gatepost_kernel::{Cause, Error, ErrorCode, chain, text::brief};

/// A refusal or a failure on its way to the caller. `Display` is the text that the caller may see.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApiError {
    /// A use-case refused or failed.
    #[error(transparent)]
    UseCase(#[from] Error),
    /// The request cannot be read.
    #[error("{0}")]
    BadRequest(String),
    /// The path exists, but not with this method.
    #[error("The {} method is not supported for this route. Supported methods: {allow}.", brief(.method))]
    MethodNotAllowed {
        /// What was tried.
        method: String,
        /// What the path has, separated by commas.
        allow: String,
    },
    /// The body is larger than the operation takes.
    #[error("The request body may not be greater than {limit_bytes} bytes.")]
    PayloadTooLarge {
        /// What it takes.
        limit_bytes: usize,
    },
    /// Refused by 403 for a caller that does not know the status that it would have.
    #[error(transparent)]
    Denied(Box<ApiError>),
    /// The body is not JSON by its own word.
    #[error("The Content-Type must be application/json.")]
    UnsupportedMediaType,
    /// The body is compressed.
    #[error("The request body may not be compressed; send it without Content-Encoding.")]
    UnsupportedContentEncoding,
}

impl ApiError {
    /// The stable code, in the spelling of the core contract.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UseCase(error) => error.code().as_str(),
            Self::Denied(inner) => inner.code(),
            Self::BadRequest(_) => ErrorCode::BadRequest.as_str(),
            Self::MethodNotAllowed { .. } => ErrorCode::MethodNotAllowed.as_str(),
            Self::PayloadTooLarge { .. } => ErrorCode::PayloadTooLarge.as_str(),
            Self::UnsupportedMediaType | Self::UnsupportedContentEncoding => {
                ErrorCode::UnsupportedMediaType.as_str()
            }
        }
    }

    /// What it would be for a caller that knows every status.
    pub fn inner(&self) -> &Self {
        if let Self::Denied(inner) = self { inner } else { self }
    }

    /// What only the log may hold.
    pub fn cause(&self) -> Option<&Cause> {
        if let Self::UseCase(error) = self.inner() { error.cause() } else { None }
    }

    /// What a log says of it: what it came from, or the text for the caller where that is all.
    pub fn for_log(&self) -> impl fmt::Display {
        let error: &dyn std::error::Error = match self.cause() {
            Some(cause) => cause,
            None => self,
        };
        chain(error)
    }

    /// Whether the refusal may be kept for a repetition with the same idempotency key. What depends on the
    /// caller's rights, on its rate or on our own state may not.
    pub fn can_be_kept(&self) -> bool {
        !matches!(
            self,
            Self::UseCase(
                Error::IdempotencyInProgress | Error::IdempotencyKeyReused | Error::PreconditionFailed
            )
        ) && matches!(self.status_code().as_u16(), 400 | 404 | 409 | 422)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::UseCase(error) => match error {
                Error::Unauthorized | Error::KeyRevoked | Error::KeyExpired | Error::KeyDisabled => {
                    StatusCode::UNAUTHORIZED
                }
                Error::AccessDenied(_)
                | Error::MissingScope(_)
                | Error::IpNotAllowed
                | Error::WrongEnvironment(_)
                | Error::FeatureLimitReached { .. } => StatusCode::FORBIDDEN,
                Error::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
                Error::CannotRetry(_) => StatusCode::BAD_REQUEST,
                Error::NotFound | Error::FeatureNotFound { .. } => StatusCode::NOT_FOUND,
                Error::Conflict(_) | Error::InvalidState(_) | Error::IdempotencyInProgress => {
                    StatusCode::CONFLICT
                }
                Error::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
                Error::Validation(_) | Error::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
                Error::Unavailable { .. } | Error::UpstreamUnavailable { .. } => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
                Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::Denied(_) => StatusCode::FORBIDDEN,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::PayloadTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType | Self::UnsupportedContentEncoding => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
        }
    }

    /// Only the status: the middleware renders the rest, because only it knows the request.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}
