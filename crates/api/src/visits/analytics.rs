//! `/analytics`

use actix_web::{HttpResponse, get};
use gatepost_app::visits::analytics;
use gatepost_contract::ApiError;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::{
    call::Call,
    scopes::AnalyticsRead,
    visits::analytics_wire::{AnalyticsItem, AnalyticsView, ApiAnalyticsQuery, PixelAnalyticsQuery},
};

pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(get_pixel_analytics).service(get_api_analytics);
}

/// Count pixel events
///
/// Counts events by hour or day of the workspace's time zone, and by event, page or referrer with `group_by`.
#[utoipa::path(
    tag = "Analytics", operation_id = "get_pixel_analytics", params(PixelAnalyticsQuery),
    extensions(("x-required-scope" = json!("analytics:read"))),
    responses((status = 200, description = "Counts by period and group", body = AnalyticsItem))
)]
#[get("/analytics/pixel")]
async fn get_pixel_analytics(
    call: Call<AnalyticsRead, PixelAnalyticsQuery>,
) -> Result<HttpResponse, ApiError> {
    let counts = analytics::count(call.app(), call.caller(), call.query().into()).await?;
    call.item(&AnalyticsView::new(counts, call.query().group_by()))
}

/// Count API requests
///
/// Counts requests with the workspace's keys by hour or day of its time zone, and by key or class of status with `group_by`.
#[utoipa::path(
    tag = "Analytics", operation_id = "get_api_analytics", params(ApiAnalyticsQuery),
    extensions(("x-required-scope" = json!("analytics:read"))),
    responses((status = 200, description = "Counts by period and group", body = AnalyticsItem))
)]
#[get("/analytics/api")]
async fn get_api_analytics(call: Call<AnalyticsRead, ApiAnalyticsQuery>) -> Result<HttpResponse, ApiError> {
    let counts = analytics::count(call.app(), call.caller(), call.query().into()).await?;
    call.item(&AnalyticsView::new(counts, call.query().group_by()))
}
