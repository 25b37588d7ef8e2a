//! The `data` of the events that Gatepost itself sends, for the document; the use-cases write them.

use gatepost_api_macros::view;
use gatepost_kernel::Timestamp;

use crate::visits::seo_wire::{SeoIssueCountsView, SeoScoresView};

/// Data of an event about an API key.
#[view(example = {
    "id": 2, "name": "Mobile App Key", "prefix": "sk_live_abc", "environment": "live", "scopes": ["posts:read"],
    "rate_limit_tier": "pro",
})]
pub struct ApiKeyEventData {
    /// Numeric id of the API key.
    id: i64,
    /// Human-readable label of the API key.
    name: String,
    /// First characters of the secret, to recognise the key by.
    prefix: String,
    /// Environment of the key: `live` or `test`.
    environment: String,
    /// Scopes granted to the key.
    scopes: Vec<String>,
    /// Plan whose limits apply to the key; null to follow the workspace's tier.
    rate_limit_tier: Option<String>,
    /// Time at which the key expires; null if it never does.
    expires_at: Option<Timestamp>,
}

/// Data of an event about a rotated API key.
#[view(example = {
    "id": 3, "name": "Mobile App Key", "prefix": "sk_live_new", "environment": "live", "scopes": ["posts:read"],
    "rate_limit_tier": "pro", "rotated_from_id": 2, "grace_period_ends_at": "2026-01-16T10:30:00Z",
})]
pub struct RotatedApiKeyEventData {
    /// Numeric id of the new API key.
    id: i64,
    /// Human-readable label of the API key.
    name: String,
    /// First characters of the secret, to recognise the key by.
    prefix: String,
    /// Environment of the key: `live` or `test`.
    environment: String,
    /// Scopes granted to the key.
    scopes: Vec<String>,
    /// Plan whose limits apply to the key; null to follow the workspace's tier.
    rate_limit_tier: Option<String>,
    /// Time at which the key expires; null if it never does.
    expires_at: Option<Timestamp>,
    /// Numeric id of the API key that was replaced.
    rotated_from_id: i64,
    /// End of the grace period in which the old key still works.
    grace_period_ends_at: Timestamp,
}

/// Data of an event about a workspace.
#[view(example = { "id": 2, "name": "Acme Corporation", "slug": "acme-corp", "tier": "business" })]
pub struct WorkspaceEventData {
    /// Numeric id of the workspace.
    id: i64,
    /// Human-readable name of the workspace.
    name: String,
    /// Name of the workspace in URLs.
    slug: String,
    /// Name of the workspace's plan.
    tier: String,
}

/// Data of an event about the usage of a feature.
#[view(example = {
    "feature": "api_calls", "threshold": 80, "used": 8000, "limit": 10000, "percentage": 80,
    "period_start": "2026-01-01T00:00:00Z", "period_end": "2026-02-01T00:00:00Z",
})]
pub struct ThresholdEventData {
    /// Key of the feature.
    feature: String,
    /// Threshold in percent of the limit.
    threshold: u32,
    /// Quantity in use at that time.
    used: u64,
    /// Limit of the plan.
    limit: Option<u64>,
    /// Share of the limit that is used, in percent.
    percentage: Option<f64>,
    /// Start of the period; null if it never ends.
    period_start: Option<Timestamp>,
    /// End of the period.
    period_end: Option<Timestamp>,
}

/// Data of an event about an SEO report.
#[view(example = { "id": 1, "url": "https://example.com/page" })]
pub struct SeoReportEventData {
    /// Numeric id of the report.
    id: i64,
    /// URL of the page.
    url: String,
    /// Scores of the page.
    scores: SeoScoresView,
    /// Number of issues found on the page.
    issue_counts: SeoIssueCountsView,
}

/// Data of an event about a score that dropped.
#[view(example = {
    "report_id": 2, "previous_report_id": 1, "url": "https://example.com/page", "score": "performance", "from": 85,
    "to": 70,
})]
pub struct SeoScoreDroppedEventData {
    /// Numeric id of the report with the lower score.
    report_id: i64,
    /// Numeric id of the previous report on the page.
    previous_report_id: i64,
    /// URL of the page.
    url: String,
    /// Name of the score: `performance`, `accessibility`, `best_practices` or `seo`.
    score: String,
    /// Score in the previous report.
    from: u8,
    /// Score in the new report.
    to: u8,
}

/// Data of a test event.
#[view(example = { "message": "This is a test." })]
pub struct WebhookTestEventData {
    /// Human-readable text of the test.
    message: String,
}

/// Data of an event about a disabled endpoint.
#[view(example = {
    "id": 1, "url": "https://your-app.com/webhooks", "reason": "The endpoint answered 410 Gone.",
})]
pub struct WebhookDisabledEventData {
    /// Numeric id of the endpoint.
    id: i64,
    /// URL that deliveries were posted to.
    url: String,
    /// Human-readable reason for which the endpoint was disabled.
    reason: String,
}
