//! `/analytics`

use gatepost_app::visits::analytics;
use gatepost_macros::operation;

use crate::{
    answer::{Answer, Item},
    call::Call,
    operation::Tag,
    scopes::AnalyticsRead,
    visits::analytics_wire::{AnalyticsGroup, AnalyticsView, ApiAnalyticsQuery, PixelAnalyticsQuery},
};

const TAG: Tag = Tag { name: "Analytics", about: "Counts of requests and page visits by period of time." };

/// Count pixel events
///
/// Counts events by hour or day of the workspace's time zone, and by event, page or referrer with `group_by`.
#[operation(get "/analytics/pixel", tag = TAG, ok = "Counts by period and group")]
async fn get_pixel_analytics(call: Call<AnalyticsRead, PixelAnalyticsQuery>) -> Answer<Item<AnalyticsView>> {
    let counts = analytics::count(call.app(), call.caller(), call.query().into()).await?;
    call.item(&AnalyticsView::new(counts, call.query().group_by.map(AnalyticsGroup::Pixel)))
}

/// Count API requests
///
/// Counts requests with the workspace's keys by hour or day of its time zone, and by key or class of status
/// with `group_by`.
#[operation(get "/analytics/api", tag = TAG, ok = "Counts by period and group")]
async fn get_api_analytics(call: Call<AnalyticsRead, ApiAnalyticsQuery>) -> Answer<Item<AnalyticsView>> {
    let counts = analytics::count(call.app(), call.caller(), call.query().into()).await?;
    call.item(&AnalyticsView::new(counts, call.query().group_by.map(AnalyticsGroup::Api)))
}
