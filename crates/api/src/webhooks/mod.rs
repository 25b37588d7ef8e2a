//! Webhook endpoints, deliveries and events over HTTP.

mod endpoints;
pub mod endpoints_wire;
mod events;
pub mod events_wire;
pub mod own_events_wire;

use utoipa_actix_web::service_config::ServiceConfig;

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    events::configure(config);
    endpoints::configure(config);
}
