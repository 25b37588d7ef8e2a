//! `/pixel`, and the script that pages include.

use actix_web::{HttpResponse, get, http::header, post, web};
use gatepost_app::pixel;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::{
    error::ApiError,
    fallback::no_such_operation,
    visit::Visit,
    wire::pixel::{PixelConfigView, PixelQuery, TrackPixelEventBody, TrackedPixelEventView},
};

/// Where the configuration is asked for.
pub const CONFIG_PATH: &str = "/api/v1/pixel/config";
/// Where events are sent.
pub const TRACK_PATH: &str = "/api/v1/pixel/track";
/// Where the script is.
pub const SCRIPT_PATH: &str = "/pixel.js";

pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(get_pixel_config).service(track_pixel_event);
}

/// The script is no operation of the contract; it is registered beside them.
pub fn configure_script(config: &mut web::ServiceConfig) {
    let script = web::resource(SCRIPT_PATH).get(script);
    config.service(script.default_service(web::to(no_such_operation)));
}

/// Get the pixel configuration
///
/// Of the page that asks: by the domain of its `Origin`, else of its `Referer`, else the one that `domain` names. Where nothing
/// is tracked, because the domain is nobody's or because the visitor asks not to be tracked (`DNT`, `Sec-GPC`), `enabled` is
/// false.
#[utoipa::path(
    tag = "Pixel", operation_id = "get_pixel_config", params(PixelQuery),
    responses((status = 200, description = "The configuration", body = PixelConfigView))
)]
#[get("/pixel/config")]
async fn get_pixel_config(visit: Visit<PixelQuery>) -> Result<HttpResponse, ApiError> {
    let domain = visit.domain(visit.query().domain()).filter(|_| !visit.declines());
    let site = pixel::site(visit.app(), domain).await?;
    visit.plain(&PixelConfigView::new(site.as_ref().map(|site| &site.settings)))
}

/// Track an event
///
/// Of the page that asks, as for the configuration. Answered once it is stored; what is not wanted, or not one of the sample, is
/// `tracked: false`. Of the visitor's address only the network is stored.
#[utoipa::path(
    tag = "Pixel", operation_id = "track_pixel_event", request_body = TrackPixelEventBody, params(PixelQuery),
    responses((status = 200, description = "Whether it was stored", body = TrackedPixelEventView))
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

async fn script() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/javascript; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "public, max-age=3600"))
        .insert_header((header::CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin"))
        .body(gatepost_pixel::SCRIPT)
}
