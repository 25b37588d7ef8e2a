//! Who is let in: forward auth, and the verification of keys for others.

mod auth_query;
mod early;
pub mod verification;
mod verification_wire;

use utoipa_actix_web::service_config::ServiceConfig;

pub use early::ForwardAuthGate;
pub use verification::configure_forward_auth;

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    verification::configure(config);
}
