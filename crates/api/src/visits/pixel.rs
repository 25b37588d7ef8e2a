//! `/pixel`

use actix_web::http::header;
use gatepost_app::visits::pixel;
use gatepost_contract::Plain;
use gatepost_macros::operation;

use crate::{
    answer::Answer,
    metrics::PixelOutcome,
    operation::Tag,
    visits::{
        pixel_wire::{PixelConfigView, PixelQuery, TrackPixelEventBody, TrackedPixelEventView},
        visit::Visit,
    },
};

const TAG: Tag =
    Tag { name: "Pixel", about: "Tracking of page visits, which pages report without an API key." };

/// Get the pixel configuration
///
/// Returns the configuration of the page that asks: by the domain of its `Origin`, else of its `Referer`,
/// else the one that `domain` names. Where nothing is tracked, because the domain is nobody's or because the
/// visitor asks not to be tracked (`DNT`, `Sec-GPC`), `enabled` is false.
#[operation(get "/pixel/config", tag = TAG, ok = "Pixel configuration of the page")]
async fn get_pixel_config(visit: Visit<PixelQuery>) -> Answer<Plain<PixelConfigView>> {
    let domain = visit.domain(visit.query().domain()).filter(|_| !visit.declines());
    let site = pixel::site(visit.app(), domain).await?;
    visit.plain(&PixelConfigView::new(site.as_ref().map(|site| &site.settings)))
}

/// Track an event
///
/// Records an event of the page that asks, as for the configuration. Answered once it is stored; what is not
/// wanted, or not one of the sample, is `tracked: false`. Of the visitor's address only the network is
/// stored.
#[operation(post "/pixel/track", tag = TAG, ok = "Whether the event was stored")]
async fn track_pixel_event(
    visit: Visit<PixelQuery, TrackPixelEventBody>,
) -> Answer<Plain<TrackedPixelEventView>> {
    let (body, visit) = visit.into_body();
    let domain = visit.domain(visit.query().domain()).filter(|_| !visit.declines());
    let event = body.into_event(visit.header(&header::USER_AGENT));
    let tracked = pixel::track(visit.app(), domain, visit.address(), event).await;
    visit.metrics().pixel_event(match &tracked {
        Ok(true) => PixelOutcome::Stored,
        Ok(false) => PixelOutcome::Ignored,
        Err(_) => PixelOutcome::Refused,
    });
    visit.plain(&TrackedPixelEventView { tracked: tracked? })
}
