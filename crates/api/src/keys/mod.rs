//! API keys over HTTP, and how they are used.

mod api_keys;
pub mod api_keys_wire;
mod usage_wire;

use utoipa_actix_web::service_config::ServiceConfig;

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    api_keys::configure(config);
}
