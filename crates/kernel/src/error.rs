//! The one error type of the use-cases. It knows no HTTP: it carries a stable code and a text that may be
//! shown to the caller. What must not be shown (a database's words, say) travels apart, as the [`Cause`], and
//! goes to the log only, with all that it came from.

use std::{borrow::Cow, fmt, sync::Arc};

use crate::{
    Environment, Timestamp,
    text::{brief, required},
};

/// The result of a rule or a use-case.
pub type Result<T, E = Error> = std::result::Result<T, E>;

crate::words! {
    /// The kinds of errors that callers can tell apart, as the core contract spells them.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum ErrorCode {
        /// No key, or not one of ours.
        Unauthorized = "unauthorized",
        /// The key was revoked.
        KeyRevoked = "key_revoked",
        /// The key has expired.
        KeyExpired = "key_expired",
        /// The key is disabled.
        KeyDisabled = "key_disabled",
        /// The key may not do this.
        AccessDenied = "access_denied",
        /// The key may not be used from here.
        IpNotAllowed = "ip_not_allowed",
        /// The key is of the other environment.
        WrongEnvironment = "wrong_environment",
        /// There is no such thing.
        NotFound = "not_found",
        /// Not possible in the present state.
        Conflict = "conflict",
        /// The record is not in the state for it; a conflict where contracts tell the two not apart.
        InvalidState = "invalid_state",
        /// The delivery cannot be retried.
        CannotRetry = "cannot_retry",
        /// The resource has changed since it was read.
        PreconditionFailed = "precondition_failed",
        /// A request with the same idempotency key is being processed.
        IdempotencyInProgress = "idempotency_in_progress",
        /// The idempotency key was used for another request.
        IdempotencyKeyReused = "idempotency_key_reused",
        /// The input breaks a rule.
        ValidationFailed = "validation_failed",
        /// The plan allows no more of a feature.
        FeatureLimitReached = "feature_limit_reached",
        /// Too many requests.
        RateLimitExceeded = "rate_limit_exceeded",
        /// The database, or another server, does not answer.
        ServiceUnavailable = "service_unavailable",
        /// An error of the server.
        ServerError = "server_error",
        /// The request cannot be read.
        BadRequest = "bad_request",
        /// The path has no such method.
        MethodNotAllowed = "method_not_allowed",
        /// The body is too large.
        PayloadTooLarge = "payload_too_large",
        /// The body is not JSON, or it is compressed.
        UnsupportedMediaType = "unsupported_media_type",
    }
}

/// Errors of an input by field, each a sentence for people, in the order in which they were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldErrors(Vec<(String, Faults)>);

/// What is wrong with a field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Faults {
    messages: Vec<String>,
    /// What people call it, if it is missing.
    missing: Option<String>,
}

impl FieldErrors {
    /// How many fields are named at most: an answer must not grow far beyond its request.
    pub const MAX_FIELDS: usize = 100;

    /// Adds one error of `field`, unless [`FieldErrors::MAX_FIELDS`] are named already. Names that a caller
    /// made up are cut.
    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        let (field, message) = (field.into(), message.into());
        let name = field.rsplit('.').next().unwrap_or_default();
        let missing =
            [name.to_owned(), name.replace('_', " ")].into_iter().find(|label| message == required(label));
        if let Some(errors) = self.faults_of(field) {
            errors.missing = missing.or(errors.missing.take());
            errors.messages.push(message);
        }
    }

    fn faults_of(&mut self, field: String) -> Option<&mut Faults> {
        if self.0.len() >= Self::MAX_FIELDS {
            return None;
        }
        let field = shown(field);
        let index = self.0.iter().position(|(known, _)| *known == field).unwrap_or_else(|| {
            self.0.push((field, Faults::default()));
            self.0.len() - 1
        });
        self.0.get_mut(index).map(|(_, errors)| errors)
    }

    /// Adds errors that were found of fields below `prefix`.
    pub fn add_below(&mut self, prefix: &str, inner: &Self) {
        for (field, inner) in &inner.0 {
            if let Some(errors) = self.faults_of(format!("{prefix}{field}")) {
                errors.messages.extend(inner.messages.iter().cloned());
                errors.missing = errors.missing.take().or_else(|| inner.missing.clone());
            }
        }
    }

    /// What a field is called, if its error is that it is missing.
    pub fn missing(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == field)?.1.missing.as_deref()
    }

    /// Whether no error was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every field with its errors.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(field, errors)| (field.as_str(), errors.messages.as_slice()))
    }
}

/// A field's name as it may be repeated.
fn shown(field: String) -> String {
    match field.split('.').any(|name| matches!(brief(name), Cow::Owned(_))) {
        true => field.split('.').map(brief).collect::<Vec<_>>().join("."),
        false => field,
    }
}

/// What went wrong below, for the log alone: a few words of ours, and the error that it came from, if it came
/// from one.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}")]
pub struct Cause {
    what: Cow<'static, str>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Cause {
    /// What we found out ourselves.
    pub fn new(what: impl Into<Cow<'static, str>>) -> Self {
        Self { what: what.into(), source: None }
    }

    /// What was being done when `source` came.
    pub fn by(
        what: impl Into<Cow<'static, str>>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { what: what.into(), source: Some(source.into().into()) }
    }
}

/// An error and all that it came from, with colons between.
pub fn chain(error: &dyn std::error::Error) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        write!(f, "{error}")?;
        let mut source = error.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    })
}

/// What became of the work of whoever hears that the database is not available.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing was changed.
    Undone,
    /// Nothing was changed, for the sake of another transaction that was in the way. The same again can
    /// succeed at once.
    GaveWay,
    /// It may have been done: the database was told to keep it, and its answer was not heard.
    Unknown,
}

/// Why a use-case refused or failed. `Display` is the text that the caller may see.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No key, or not one of ours.
    #[error("Invalid or missing API key.")]
    Unauthorized,
    /// The key, or its workspace, was taken back.
    #[error("This API key has been revoked.")]
    KeyRevoked,
    /// The key's own end, or the end of its grace after a rotation, has passed.
    #[error("This API key has expired.")]
    KeyExpired,
    /// The key was switched off, and can be switched on again.
    #[error("This API key is disabled.")]
    KeyDisabled,
    /// The caller is known but may not do this; the text says why.
    #[error("{0}")]
    AccessDenied(String),
    /// The key does not have a scope, or one of several that are separated by commas.
    #[error("Insufficient permissions. Required scope: {0}")]
    MissingScope(String),
    /// The key's address allowlist does not hold the caller's address.
    #[error("This API key may not be used from this address.")]
    IpNotAllowed,
    /// The key belongs to an environment that is not asked for.
    #[error(
        "This API key is of the {0} environment, which is not accepted here. Use a key of the other one, or let this route accept \
         it by its environment parameter."
    )]
    WrongEnvironment(Environment),
    /// It does not exist, or the caller may not know that it does.
    #[error("Resource not found.")]
    NotFound,
    /// There is no such feature; the text names those that there are.
    #[error("Feature not found. Known features: {}.", known.join(", "))]
    FeatureNotFound {
        /// The features that there are.
        known: Vec<String>,
    },
    /// The request is sound, but not in the present state of the resource; the text says why.
    #[error("{0}")]
    Conflict(String),
    /// A record that is not in the state for what is asked; the text says which it must be.
    #[error("{0}")]
    InvalidState(String),
    /// A delivery that cannot be tried again; the text says why.
    #[error("{0}")]
    CannotRetry(String),
    /// The resource is not what the caller thinks it is: it has changed since it was read.
    #[error("The resource has changed since it was read.")]
    PreconditionFailed,
    /// A request with the same idempotency key has not been answered yet.
    #[error("A request with this Idempotency-Key is still being processed.")]
    IdempotencyInProgress,
    /// The idempotency key was used for another request.
    #[error("This Idempotency-Key was already used for a different request.")]
    IdempotencyKeyReused,
    /// The input breaks a rule; every error, by field.
    #[error("The given data was invalid.")]
    Validation(FieldErrors),
    /// The plan allows no more of a feature.
    #[error("You have reached your limit for this feature.")]
    FeatureLimitReached {
        /// The feature.
        feature: String,
        /// Where to get more.
        upgrade_url: Option<String>,
        /// How the workspace stands with it, as an object of JSON, where somebody asked for it by name.
        standing: Option<Box<str>>,
    },
    /// Too many requests: nothing was done, and nothing was counted.
    #[error("Too many requests. Please retry after {retry_after_seconds} seconds.")]
    RateLimited {
        /// Whole seconds to wait.
        retry_after_seconds: u64,
        /// The figure that was reached.
        limit: u64,
        /// When the limit has room again.
        reset_at: Timestamp,
    },
    /// The database cannot be reached, or does not answer in time.
    #[error("The service is temporarily unavailable. Please retry shortly.")]
    Unavailable {
        /// What became of the work.
        fate: Fate,
        /// What went wrong.
        #[source]
        cause: Cause,
    },
    /// Somebody else's server, which the answer depends on, is away or does not answer.
    #[error("{message}")]
    UpstreamUnavailable {
        /// What is away, for the caller.
        message: String,
        /// When to come again.
        retry_after_seconds: u64,
        /// What went wrong.
        #[source]
        cause: Cause,
    },
    /// An error of our own.
    #[error("An unexpected error occurred.")]
    Internal(#[source] Cause),
}

impl Error {
    /// The kind of the error.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Unauthorized => ErrorCode::Unauthorized,
            Self::KeyRevoked => ErrorCode::KeyRevoked,
            Self::KeyExpired => ErrorCode::KeyExpired,
            Self::KeyDisabled => ErrorCode::KeyDisabled,
            Self::AccessDenied(_) | Self::MissingScope(_) => ErrorCode::AccessDenied,
            Self::IpNotAllowed => ErrorCode::IpNotAllowed,
            Self::WrongEnvironment(_) => ErrorCode::WrongEnvironment,
            Self::NotFound | Self::FeatureNotFound { .. } => ErrorCode::NotFound,
            Self::Conflict(_) => ErrorCode::Conflict,
            Self::InvalidState(_) => ErrorCode::InvalidState,
            Self::CannotRetry(_) => ErrorCode::CannotRetry,
            Self::PreconditionFailed => ErrorCode::PreconditionFailed,
            Self::IdempotencyInProgress => ErrorCode::IdempotencyInProgress,
            Self::IdempotencyKeyReused => ErrorCode::IdempotencyKeyReused,
            Self::Validation(_) => ErrorCode::ValidationFailed,
            Self::FeatureLimitReached { .. } => ErrorCode::FeatureLimitReached,
            Self::RateLimited { .. } => ErrorCode::RateLimitExceeded,
            Self::Unavailable { .. } | Self::UpstreamUnavailable { .. } => ErrorCode::ServiceUnavailable,
            Self::Internal(_) => ErrorCode::ServerError,
        }
    }

    /// What only the log may hold.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Unavailable { cause, .. }
            | Self::UpstreamUnavailable { cause, .. }
            | Self::Internal(cause) => Some(cause),
            _ => None,
        }
    }

    /// What a log says of it: the cause with all that it came from, or the text for the caller where there is
    /// none.
    pub fn for_log(&self) -> impl fmt::Display {
        let error: &dyn std::error::Error = match self.cause() {
            Some(cause) => cause,
            None => self,
        };
        chain(error)
    }

    /// An internal error that no other error says.
    pub fn internal(what: impl Into<Cow<'static, str>>) -> Self {
        Self::Internal(Cause::new(what))
    }

    /// Makes any error an internal one: `.map_err(Error::failed("rendering an answer"))`.
    pub fn failed<E>(what: impl Into<Cow<'static, str>>) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let what = what.into();
        move |source| Self::Internal(Cause::by(what, source))
    }

    /// What cannot be done now; nothing was changed.
    pub fn unavailable(what: impl Into<Cow<'static, str>>) -> Self {
        Self::Unavailable { fate: Fate::Undone, cause: Cause::new(what) }
    }

    /// One error of one field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        let mut errors = FieldErrors::default();
        errors.add(field, message);
        Self::Validation(errors)
    }
}

impl From<FieldErrors> for Error {
    fn from(errors: FieldErrors) -> Self {
        Self::Validation(errors)
    }
}
