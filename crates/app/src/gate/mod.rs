//! Who is let in: whose key it is, what it may do, and how often.

mod admission;
mod auth;
mod auth_cache;
mod key_state;
pub mod limiter;
mod plans;
pub mod presented;
pub mod verification;

pub use admission::{Admitted, Passed, Refused};
pub use auth::Principal;
pub use plans::PlanLimits;

pub(crate) use auth_cache::AuthCache;
pub(crate) use key_state::{KeyState, UnwrittenUse};
pub(crate) use limiter::{AFTERMATH, Limiter};
pub(crate) use plans::Plans;
