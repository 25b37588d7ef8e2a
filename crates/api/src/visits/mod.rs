//! What visitors of pages do, how the pages fare, and the counts of it, over HTTP.

mod analytics;
mod analytics_wire;
mod pixel;
mod pixel_wire;
mod seo;
mod seo_wire;
mod visit;

use crate::operation::Operation;

pub use analytics_wire::{AnalyticsSeriesView, Span};

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    seo::SUBMIT_SEO_REPORT,
    seo::LIST_SEO_REPORTS,
    seo::LIST_SEO_ISSUES,
    pixel::GET_PIXEL_CONFIG,
    pixel::TRACK_PIXEL_EVENT,
    analytics::GET_PIXEL_ANALYTICS,
    analytics::GET_API_ANALYTICS,
];
