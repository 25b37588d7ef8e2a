//! The words of a decision.

use gatepost_kernel::Error;

/// What is decided of an API key that was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// It may pass, and was counted.
    Valid,
    /// There is no such key, or the caller may not see it.
    NotFound,
    /// The key or its workspace was taken back.
    Revoked,
    /// Its end has come.
    Expired,
    /// It may not be used from there, or it is not said from where it is used.
    IpNotAllowed,
    /// It is of an environment that is not asked for.
    WrongEnvironment,
    /// It does not allow one of the scopes, or the plan does not.
    InsufficientScope,
    /// One of its limits is reached.
    RateLimited,
    /// The workspace's plan does not allow the feature, or no more of it.
    FeatureLimitReached,
}

gatepost_kernel::written_as_word!(Code);
gatepost_kernel::described_words!(Code, "VerificationCode", "Code of a decision on an API key.", Code::NAMES);

impl Code {
    /// The words on the wire. `DISABLED` is not given yet: clients that are made today must know it when it
    /// is.
    pub const NAMES: [&str; 10] = [
        "VALID",
        "NOT_FOUND",
        "REVOKED",
        "EXPIRED",
        "DISABLED",
        "IP_NOT_ALLOWED",
        "WRONG_ENVIRONMENT",
        "INSUFFICIENT_SCOPE",
        "RATE_LIMITED",
        "FEATURE_LIMIT_REACHED",
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "VALID",
            Self::NotFound => "NOT_FOUND",
            Self::Revoked => "REVOKED",
            Self::Expired => "EXPIRED",
            Self::IpNotAllowed => "IP_NOT_ALLOWED",
            Self::WrongEnvironment => "WRONG_ENVIRONMENT",
            Self::InsufficientScope => "INSUFFICIENT_SCOPE",
            Self::RateLimited => "RATE_LIMITED",
            Self::FeatureLimitReached => "FEATURE_LIMIT_REACHED",
        }
    }
}

impl Code {
    /// The decision that a request was refused with.
    pub fn of(error: &Error) -> Option<Self> {
        Some(match error {
            Error::Unauthorized => Self::NotFound,
            Error::KeyRevoked => Self::Revoked,
            Error::KeyExpired => Self::Expired,
            Error::IpNotAllowed => Self::IpNotAllowed,
            Error::WrongEnvironment(_) => Self::WrongEnvironment,
            Error::AccessDenied(_) | Error::MissingScope(_) => Self::InsufficientScope,
            Error::RateLimited { .. } => Self::RateLimited,
            _ => return None,
        })
    }
}
