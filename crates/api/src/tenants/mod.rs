//! Workspaces over HTTP.

pub mod views;
mod workspaces;
pub mod workspaces_wire;

use utoipa_actix_web::service_config::ServiceConfig;

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    workspaces::configure(config);
}
