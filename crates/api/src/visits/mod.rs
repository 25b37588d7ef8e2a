//! What visitors of pages do, how the pages fare, and the counts of it, over HTTP.

mod analytics;
pub mod analytics_wire;
pub mod pixel;
mod pixel_wire;
mod seo;
pub mod seo_wire;
mod visit;

use utoipa_actix_web::service_config::ServiceConfig;

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    seo::configure(config);
    pixel::configure(config);
    analytics::configure(config);
}
