//! Rules about people: what a role may do, which passwords are good enough, what proves who somebody is, and
//! for how long.
//!
//! Nothing here does input or output: a caller brings the instant and the source of randomness, and keeps
//! what comes of it. Secrets are kept as digests only ([`OpaqueToken::digest`]), passwords as
//! [`PasswordHash`].

mod email;
mod link;
mod member;
mod password;
mod role;
mod second_factor;
mod session;
mod throttle;
mod token;

pub use email::Email;
pub use link::{Invitation, InvitationStatus, LinkKind};
pub use member::{Member, Membership};
pub use password::{MAX_PASSWORD_CHARS, MIN_PASSWORD_CHARS, PasswordHash, check_password};
pub use role::Role;
pub use second_factor::{AuthenticatorSecret, RECOVERY_CODES, RecoveryCode};
pub use session::{MAX_SESSIONS, Session, SessionLimits};
pub use throttle::{Failures, MAX_WAIT};
pub use token::{OpaqueToken, SecretDigest};
