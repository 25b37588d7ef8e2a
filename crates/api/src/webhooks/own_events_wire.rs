//! The `data` of the events that Gatepost itself sends, for the document; the use-cases write them.

use utoipa::ToSchema;

use crate::visits::seo_wire::{SeoIssueCountsView, SeoScoresView};

/// An API key that something happened to.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the use-cases write")]
pub struct ApiKeyEventData {
    /// Numeric id of the API key.
    #[schema(example = 2)]
    id: i64,
    /// A label for people.
    #[schema(example = "Mobile App Key")]
    name: String,
    /// How the key begins.
    #[schema(example = "sk_live_abc")]
    prefix: String,
    /// `live` or `test`
    #[schema(example = "live")]
    environment: String,
    /// What it may do.
    #[schema(example = json!(["posts:read"]))]
    scopes: Vec<String>,
    /// The plan that governs its limits; null follows the workspace's tier.
    #[schema(required, example = "pro")]
    rate_limit_tier: Option<String>,
    /// When it ends; null is never.
    #[schema(required, format = DateTime)]
    expires_at: Option<String>,
}

/// The API key that a rotation made.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the use-cases write")]
pub struct RotatedApiKeyEventData {
    /// Numeric id of the new API key.
    #[schema(example = 3)]
    id: i64,
    /// A label for people.
    #[schema(example = "Mobile App Key")]
    name: String,
    /// How the key begins.
    #[schema(example = "sk_live_new")]
    prefix: String,
    /// `live` or `test`
    #[schema(example = "live")]
    environment: String,
    /// What it may do.
    #[schema(example = json!(["posts:read"]))]
    scopes: Vec<String>,
    /// The plan that governs its limits; null follows the workspace's tier.
    #[schema(required, example = "pro")]
    rate_limit_tier: Option<String>,
    /// When it ends; null is never.
    #[schema(required, format = DateTime)]
    expires_at: Option<String>,
    /// The key that it replaced.
    #[schema(example = 2)]
    rotated_from_id: i64,
    /// Until when the old key works.
    #[schema(format = DateTime, example = "2026-01-16T10:30:00Z")]
    grace_period_ends_at: String,
}

/// A workspace that something happened to.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the use-cases write")]
pub struct WorkspaceEventData {
    /// Numeric id of the workspace.
    #[schema(example = 2)]
    id: i64,
    /// A name for people.
    #[schema(example = "Acme Corporation")]
    name: String,
    /// A name for URLs.
    #[schema(example = "acme-corp")]
    slug: String,
    /// The plan.
    #[schema(example = "pro")]
    tier: String,
}

/// How much of a feature is used.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the use-cases write")]
pub struct ThresholdEventData {
    /// The feature.
    #[schema(example = "api_calls")]
    feature: String,
    /// The threshold, in percent of the limit.
    #[schema(example = 80)]
    threshold: u32,
    /// How much is used.
    #[schema(example = 8000)]
    used: u64,
    /// What is allowed.
    #[schema(required, example = 10000)]
    limit: Option<u64>,
    /// How much of it is used, in percent.
    #[schema(required, example = 80)]
    percentage: Option<f64>,
    /// When the period began; null if it never ends.
    #[schema(required, format = DateTime, example = "2026-01-01T00:00:00Z")]
    period_start: Option<String>,
    /// When it ends.
    #[schema(required, format = DateTime, example = "2026-02-01T00:00:00Z")]
    period_end: Option<String>,
}

/// An SEO report that was submitted.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the use-cases write")]
pub struct SeoReportEventData {
    /// Numeric id of the report.
    #[schema(example = 1)]
    id: i64,
    /// The page.
    #[schema(example = "https://example.com/page")]
    url: String,
    /// Its scores.
    scores: SeoScoresView,
    /// How many issues were found on it.
    issue_counts: SeoIssueCountsView,
}

/// A score that has dropped.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the use-cases write")]
pub struct SeoScoreDroppedEventData {
    /// The report in which it is lower.
    #[schema(example = 2)]
    report_id: i64,
    /// The last report on the page before that.
    #[schema(example = 1)]
    previous_report_id: i64,
    /// The page.
    #[schema(example = "https://example.com/page")]
    url: String,
    /// `performance`, `accessibility`, `best_practices` or `seo`
    #[schema(example = "performance")]
    score: String,
    /// What it was.
    #[schema(example = 85)]
    from: u8,
    /// What it is.
    #[schema(example = 70)]
    to: u8,
}

/// A test.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the use-cases write")]
pub struct WebhookTestEventData {
    /// A sentence for people.
    #[schema(example = "This is a test.")]
    message: String,
}

/// A webhook endpoint that was disabled.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the use-cases write")]
pub struct WebhookDisabledEventData {
    /// Numeric id of the endpoint.
    #[schema(example = 1)]
    id: i64,
    /// URL that deliveries were posted to.
    #[schema(example = "https://your-app.com/webhooks")]
    url: String,
    /// Why it was disabled, for people.
    #[schema(example = "The endpoint answered 410 Gone.")]
    reason: String,
}
