//! The words of a decision.

use gatepost_kernel::Error;

gatepost_kernel::words! {
    /// What is decided of an API key that was presented.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Code {
        /// It may pass, and was counted.
        Valid = "VALID",
        /// There is no such key, or the caller may not see it.
        NotFound = "NOT_FOUND",
        /// The key or its workspace was taken back.
        Revoked = "REVOKED",
        /// Its end has come.
        Expired = "EXPIRED",
        /// It is switched off, and can be switched on again.
        Disabled = "DISABLED",
        /// It may not be used from there, or it is not said from where it is used.
        IpNotAllowed = "IP_NOT_ALLOWED",
        /// It is of an environment that is not asked for.
        WrongEnvironment = "WRONG_ENVIRONMENT",
        /// It does not allow one of the scopes, or the plan does not.
        InsufficientScope = "INSUFFICIENT_SCOPE",
        /// One of its limits is reached.
        RateLimited = "RATE_LIMITED",
        /// The workspace's plan does not allow the feature, or no more of it.
        FeatureLimitReached = "FEATURE_LIMIT_REACHED",
    }
    described as "VerificationCode": "Code of a decision on an API key."
}

impl Code {
    /// The decision that a request was refused with.
    pub fn of(error: &Error) -> Option<Self> {
        Some(match error {
            Error::Unauthorized => Self::NotFound,
            Error::KeyRevoked => Self::Revoked,
            Error::KeyExpired => Self::Expired,
            Error::KeyDisabled => Self::Disabled,
            Error::IpNotAllowed => Self::IpNotAllowed,
            Error::WrongEnvironment(_) => Self::WrongEnvironment,
            Error::AccessDenied(_) | Error::MissingScope(_) => Self::InsufficientScope,
            Error::RateLimited { .. } => Self::RateLimited,
            _ => return None,
        })
    }
}
