//! Errors as answers: in the core contract's exact shapes, or as RFC 9457 problems for callers who ask for
//! them, and with the headers that say what to do about them.

use std::borrow::Cow;

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use gatepost_kernel::{CalendarTime, Error, ErrorCode, FieldErrors, JsonObject, RequestId, Result};
use gatepost_keys::ScopeRef;
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{ApiError, Contract, EnvelopeStyle, JSON, LetterCase, Statuses, accept, to_json};

const PROBLEM_JSON: &str = "application/problem+json";

/// In which form a caller wants its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorFormat {
    /// The contract's own.
    Contract,
    /// RFC 9457.
    Problem,
}

impl ErrorFormat {
    /// What the caller's `Accept` asks for.
    pub fn of(headers: &HeaderMap) -> Self {
        if accept::prefers(headers, PROBLEM_JSON, JSON) { Self::Problem } else { Self::Contract }
    }
}

/// `{"name": ["The name field is required."]}`
struct ByField<'a>(&'a Contract, &'a FieldErrors);

impl Serialize for ByField<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (field, messages) in self.1.iter() {
            match self.0.missing(self.1, field) {
                Some(missing) => map.serialize_entry(field, &[missing])?,
                None => map.serialize_entry(field, messages)?,
            }
        }
        map.end()
    }
}

#[derive(Serialize)]
struct CoreError<'a> {
    error: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<ByField<'a>>,
    #[serde(flatten)]
    more: More<'a>,
    request_id: &'a RequestId,
}

#[derive(Serialize)]
struct FailedAnswer<'a> {
    success: bool,
    error: CodedError<'a>,
}

#[derive(Serialize)]
struct CodedError<'a> {
    code: &'a str,
    message: &'a str,
    details: Details<'a>,
}

#[derive(Serialize)]
struct Details<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<ByField<'a>>,
    #[serde(flatten)]
    more: More<'a>,
    request_id: &'a RequestId,
}

/// What single kinds of error say beside.
#[derive(Default, Serialize)]
struct More<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    feature: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upgrade_url: Option<&'a str>,
    #[serde(flatten)]
    standing: Option<JsonObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reset_at: Option<CalendarTime>,
}

impl<'a> More<'a> {
    fn of(error: &'a ApiError) -> Self {
        match error.inner() {
            ApiError::UseCase(Error::FeatureLimitReached { feature, upgrade_url, standing }) => Self {
                feature: Some(feature),
                upgrade_url: upgrade_url.as_deref(),
                // Ours, so it is an object.
                standing: standing.as_deref().and_then(|text| JsonObject::from_text(text).ok()),
                ..Self::default()
            },
            ApiError::UseCase(Error::RateLimited { retry_after_seconds, limit, reset_at }) => Self {
                retry_after: Some(*retry_after_seconds),
                limit: Some(*limit),
                remaining: Some(0),
                reset_at: Some(CalendarTime(*reset_at)),
                ..Self::default()
            },
            _ => Self::default(),
        }
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<ByField<'a>>,
    #[serde(flatten)]
    more: More<'a>,
    request_id: &'a RequestId,
}

/// How long a client is told to wait when the database is away.
const RETRY_AFTER_SECONDS: u64 = 5;

impl Contract {
    /// Says in the headers of an error what to do about it: how to authenticate, when to come again, what
    /// would be understood.
    pub fn add_error(&self, headers: &mut HeaderMap, error: &ApiError) {
        match error.inner() {
            ApiError::UseCase(
                Error::Unauthorized | Error::KeyRevoked | Error::KeyExpired | Error::KeyDisabled,
            ) => {
                if let Ok(challenge) = HeaderValue::from_str(&self.challenge()) {
                    headers.insert(header::WWW_AUTHENTICATE, challenge);
                }
            }
            ApiError::UseCase(
                Error::RateLimited { retry_after_seconds, .. }
                | Error::UpstreamUnavailable { retry_after_seconds, .. },
            ) => {
                headers.insert(header::RETRY_AFTER, (*retry_after_seconds).into());
            }
            ApiError::UseCase(Error::Unavailable { .. }) => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
            }
            ApiError::MethodNotAllowed { allow, .. } => {
                if let Ok(allow) = HeaderValue::from_str(allow) {
                    headers.insert(header::ALLOW, allow);
                }
            }
            ApiError::UnsupportedContentEncoding => {
                headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            }
            _ => {}
        }
        // The body's form depends on it.
        headers.append(header::VARY, HeaderValue::from_static("Accept"));
    }

    /// How a caller is told to authenticate.
    pub(crate) fn challenge(&self) -> String {
        format!("Bearer realm=\"{}\"", self.brand.token().to_ascii_lowercase())
    }

    /// The media type and the body of an error.
    pub fn error(
        &self,
        error: &ApiError,
        format: ErrorFormat,
        request_id: &RequestId,
    ) -> Result<(&'static str, Vec<u8>)> {
        let status = self.status(error);
        let (code, message) = (self.code(error), self.message(error));
        let errors = match error {
            ApiError::UseCase(Error::Validation(errors)) => Some(ByField(self, errors)),
            _ => None,
        };
        let more = More::of(error);
        match (format, self.envelope) {
            (ErrorFormat::Problem, _) => {
                let problem = Problem {
                    r#type: "about:blank",
                    title: status.canonical_reason().unwrap_or("Error"),
                    status: status.as_u16(),
                    detail: &message,
                    code: &code,
                    errors,
                    more,
                    request_id,
                };
                Ok((PROBLEM_JSON, to_json(&problem)?))
            }
            (ErrorFormat::Contract, EnvelopeStyle::Data) => {
                Ok((JSON, to_json(&CoreError { error: &code, message: &message, errors, more, request_id })?))
            }
            (ErrorFormat::Contract, EnvelopeStyle::Success) => {
                let field = self.first_error(error).map(|(field, _)| field);
                let details = Details { field, errors, more, request_id };
                let error = CodedError { code: &code, message: &message, details };
                Ok((JSON, to_json(&FailedAnswer { success: false, error })?))
            }
        }
    }

    /// The code of an error.
    pub fn code(&self, error: &ApiError) -> Cow<'_, str> {
        self.code_of(error.code())
    }

    /// What a code of the core contract is called.
    pub fn code_of<'e>(&'e self, core: &'e str) -> Cow<'e, str> {
        let (conflict, state) = (ErrorCode::Conflict.as_str(), ErrorCode::InvalidState.as_str());
        // The status says it already, where statuses say as much as they can.
        let is_one = self.statuses == Statuses::Full && !self.error_names.contains_key(state);
        let core = if core == state && is_one { conflict } else { core };
        match (self.error_names.get(core), self.error_codes) {
            (Some(name), _) => Cow::Borrowed(name),
            (None, LetterCase::Lower) => Cow::Borrowed(core),
            (None, LetterCase::Upper) => Cow::Owned(core.to_ascii_uppercase()),
        }
    }

    /// The first field that an error is about, and what is wrong with it, where that is what errors name.
    fn first_error<'e>(&self, error: &'e ApiError) -> Option<(&'e str, String)> {
        let ApiError::UseCase(Error::Validation(errors)) = error.inner() else { return None };
        let (field, messages) = errors.iter().next().filter(|_| self.names_first_field)?;
        Some((field, self.missing(errors, field).or_else(|| messages.first().cloned())?))
    }

    /// All errors by field, as the contract says them.
    pub fn errors(&self, errors: &FieldErrors) -> serde_json::Value {
        serde_json::to_value(ByField(self, errors)).unwrap_or_default()
    }

    /// What is said of a field that is missing, where that is something else than usual.
    pub(crate) fn missing(&self, errors: &FieldErrors, field: &str) -> Option<String> {
        let (text, label) = (self.missing_field.as_ref()?, errors.missing(field)?);
        let mut letters = label.chars();
        let capital: String =
            letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
        Some(text.replace("{field}", label).replace("{Field}", &capital))
    }

    /// Scopes that are separated by commas, as the contract writes them.
    pub(crate) fn spell_scopes(&self, scopes: &str) -> String {
        let spell =
            |scope| ScopeRef::parse(scope).map_or(Cow::Borrowed(scope), |read| self.scope_order.spell(read));
        scopes.split(", ").map(spell).collect::<Vec<_>>().join(", ")
    }

    /// What an error says.
    pub fn message(&self, error: &ApiError) -> String {
        if let Some((_, message)) = self.first_error(error) {
            return message;
        }
        let Some(text) = self.messages.get(error.code()) else {
            return match error.inner() {
                ApiError::UseCase(Error::MissingScope(scopes)) => {
                    Error::MissingScope(self.spell_scopes(scopes)).to_string()
                }
                _ => error.to_string(),
            };
        };
        match error.inner() {
            ApiError::UseCase(
                Error::RateLimited { retry_after_seconds, .. }
                | Error::UpstreamUnavailable { retry_after_seconds, .. },
            ) => text.replace("{seconds}", &retry_after_seconds.to_string()),
            ApiError::UseCase(Error::Unavailable { .. }) => {
                text.replace("{seconds}", &RETRY_AFTER_SECONDS.to_string())
            }
            _ => text.clone().into_owned(),
        }
    }
}
