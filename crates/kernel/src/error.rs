//! The one error type of the use-cases. It knows no HTTP: it carries a stable code and a text that may be
//! shown to the caller. What must not be shown (a database's words, say) travels apart, as the [`Cause`], and goes to the
//! log only, with all that it came from.

use std::{borrow::Cow, fmt, sync::Arc};

use indexmap::IndexMap;

use crate::{Environment, JsonObject, Timestamp, text::brief};

/// The result of a rule or a use-case.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Faults of an input by field, each a sentence for people, in the order in which they were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldErrors(IndexMap<String, Vec<String>>);

impl FieldErrors {
    /// How many fields are named at most: an answer must not grow far beyond its request.
    pub const MAX_FIELDS: usize = 100;

    /// Adds one fault of `field`, unless [`FieldErrors::MAX_FIELDS`] are named already. Names that a caller made up are cut.
    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        if self.0.len() >= Self::MAX_FIELDS {
            return;
        }
        let mut field = field.into();
        if field.split('.').any(|name| matches!(brief(name), Cow::Owned(_))) {
            field = field.split('.').map(brief).collect::<Vec<_>>().join(".");
        }
        self.0.entry(field).or_default().push(message.into());
    }

    /// Whether no fault was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every field with its faults.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(field, messages)| (field.as_str(), messages.as_slice()))
    }
}

/// What went wrong below, for the log alone: a few words of ours, and the error that it came from, if it came from one.
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
    /// Nothing was changed, for the sake of another transaction that was in the way. The same again can succeed at once.
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
    /// The input breaks a rule; every fault, by field.
    #[error("The given data was invalid.")]
    Validation(FieldErrors),
    /// The plan allows no more of a feature.
    #[error("You have reached your limit for this feature.")]
    FeatureLimitReached {
        /// The feature.
        feature: String,
        /// Where to get more.
        upgrade_url: Option<String>,
        /// How the workspace stands with it, where somebody asked for it by name.
        standing: Option<Box<JsonObject>>,
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
    /// A fault of ours.
    #[error("An unexpected error occurred.")]
    Internal(#[source] Cause),
}

impl Error {
    /// The stable code, in the spelling of the core contract.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::KeyRevoked => "key_revoked",
            Self::KeyExpired => "key_expired",
            Self::AccessDenied(_) | Self::MissingScope(_) => "access_denied",
            Self::IpNotAllowed => "ip_not_allowed",
            Self::WrongEnvironment(_) => "wrong_environment",
            Self::NotFound | Self::FeatureNotFound { .. } => "not_found",
            Self::Conflict(_) => "conflict",
            Self::CannotRetry(_) => "cannot_retry",
            Self::PreconditionFailed => "precondition_failed",
            Self::IdempotencyInProgress => "idempotency_in_progress",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::Validation(_) => "validation_failed",
            Self::FeatureLimitReached { .. } => "feature_limit_reached",
            Self::RateLimited { .. } => "rate_limit_exceeded",
            Self::Unavailable { .. } | Self::UpstreamUnavailable { .. } => "service_unavailable",
            Self::Internal(_) => "server_error",
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

    /// What a log says of it: the cause with all that it came from, or the text for the caller where there is none.
    pub fn for_log(&self) -> impl fmt::Display {
        let error: &dyn std::error::Error = match self.cause() {
            Some(cause) => cause,
            None => self,
        };
        chain(error)
    }

    /// A fault of ours that no other error says.
    pub fn internal(what: impl Into<Cow<'static, str>>) -> Self {
        Self::Internal(Cause::new(what))
    }

    /// Makes of any error a fault of ours: `.map_err(Error::failed("rendering an answer"))`.
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

    /// One fault of one field.
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
