//! `/pixel`

use actix_web::{HttpResponse, get, http::header, post};
use gatepost_app::visits::pixel;
use gatepost_contract::ApiError;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::visits::{
    pixel_wire::{PixelConfigView, PixelQuery, TrackPixelEventBody, TrackedPixelEventView},
    visit::Visit,
};

pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(get_pixel_config).service(track_pixel_event);
}

/// Get the pixel configuration
///
/// Returns the configuration of the page that asks: by the domain of its `Origin`, else of its `Referer`, else the one that `domain` names. Where nothing
/// is tracked, because the domain is nobody's or because the visitor asks not to be tracked (`DNT`, `Sec-GPC`), `enabled` is
/// false.
#[utoipa::path(
    tag = "Pixel", operation_id = "get_pixel_config", params(PixelQuery),
    responses((status = 200, description = "Pixel configuration of the page", body = PixelConfigView))
)]
#[get("/pixel/config")]
async fn get_pixel_config(visit: Visit<PixelQuery>) -> Result<HttpResponse, ApiError> {
    let domain = visit.domain(visit.query().domain()).filter(|_| !visit.declines());
    let site = pixel::site(visit.app(), domain).await?;
    visit.plain(&PixelConfigView::new(site.as_ref().map(|site| &site.settings)))
}

/// Track an event
///
/// Records an event of the page that asks, as for the configuration. Answered once it is stored; what is not wanted, or not one of the sample, is
/// `tracked: false`. Of the visitor's address only the network is stored.
#[utoipa::path(
    tag = "Pixel", operation_id = "track_pixel_event", request_body = TrackPixelEventBody, params(PixelQuery),
    responses((status = 200, description = "Whether the event was stored", body = TrackedPixelEventView))
)]
#[post("/pixel/track")]
async fn track_pixel_event(visit: Visit<PixelQuery, TrackPixelEventBody>) -> Result<HttpResponse, ApiError> {
    let (body, visit) = visit.into_body();
    let domain = visit.domain(visit.query().domain()).filter(|_| !visit.declines());
    let event = body.into_event(visit.header(&header::USER_AGENT));
    let tracked = pixel::track(visit.app(), domain, visit.address(), event).await;
    visit.metrics().pixel_event(match &tracked {
        Ok(true) => "stored",
        Ok(false) => "ignored",
        Err(_) => "refused",
    });
    visit.plain(&TrackedPixelEventView { tracked: tracked? })
}
