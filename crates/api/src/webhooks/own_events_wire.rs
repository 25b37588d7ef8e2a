//! The `data` of the events that Gatepost itself sends, for the document; the use-cases write them.

use utoipa::ToSchema;

use crate::visits::seo_wire::{SeoIssueCountsView, SeoScoresView};

/// Data of an event about an API key.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the use-cases write")]
pub struct ApiKeyEventData {
    /// Numeric id of the API key.
    #[schema(example = 2)]
    id: i64,
    /// Human-readable label of the API key.
    #[schema(example = "Mobile App Key")]
    name: String,
    /// First characters of the secret, to recognise the key by.
    #[schema(example = "sk_live_abc")]
    prefix: String,
    /// Environment of the key: `live` or `test`.
    #[schema(example = "live")]
    environment: String,
    /// Scopes granted to the key.
    #[schema(example = json!(["posts:read"]))]
    scopes: Vec<String>,
    /// Plan whose limits apply to the key; null to follow the workspace's tier.
    #[schema(required, example = "pro")]
    rate_limit_tier: Option<String>,
    /// Time at which the key expires; null if it never does.
    #[schema(required, format = DateTime)]
    expires_at: Option<String>,
}

/// Data of an event about a rotated API key.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the use-cases write")]
pub struct RotatedApiKeyEventData {
    /// Numeric id of the new API key.
    #[schema(example = 3)]
    id: i64,
    /// Human-readable label of the API key.
    #[schema(example = "Mobile App Key")]
    name: String,
    /// First characters of the secret, to recognise the key by.
    #[schema(example = "sk_live_new")]
    prefix: String,
    /// Environment of the key: `live` or `test`.
    #[schema(example = "live")]
    environment: String,
    /// Scopes granted to the key.
    #[schema(example = json!(["posts:read"]))]
    scopes: Vec<String>,
    /// Plan whose limits apply to the key; null to follow the workspace's tier.
    #[schema(required, example = "pro")]
    rate_limit_tier: Option<String>,
    /// Time at which the key expires; null if it never does.
    #[schema(required, format = DateTime)]
    expires_at: Option<String>,
    /// Numeric id of the API key that was replaced.
    #[schema(example = 2)]
    rotated_from_id: i64,
    /// End of the grace period in which the old key still works.
    #[schema(format = DateTime, example = "2026-01-16T10:30:00Z")]
    grace_period_ends_at: String,
}

/// Data of an event about a workspace.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the use-cases write")]
pub struct WorkspaceEventData {
    /// Numeric id of the workspace.
    #[schema(example = 2)]
    id: i64,
    /// Human-readable name of the workspace.
    #[schema(example = "Acme Corporation")]
    name: String,
    /// Name of the workspace in URLs.
    #[schema(example = "acme-corp")]
    slug: String,
    /// Name of the workspace's plan.
    #[schema(example = "pro")]
    tier: String,
}

/// Data of an event about the usage of a feature.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the use-cases write")]
pub struct ThresholdEventData {
    /// Key of the feature.
    #[schema(example = "api_calls")]
    feature: String,
    /// Threshold in percent of the limit.
    #[schema(example = 80)]
    threshold: u32,
    /// Quantity in use at that time.
    #[schema(example = 8000)]
    used: u64,
    /// Limit of the plan.
    #[schema(required, example = 10000)]
    limit: Option<u64>,
    /// Share of the limit that is used, in percent.
    #[schema(required, example = 80)]
    percentage: Option<f64>,
    /// Start of the period; null if it never ends.
    #[schema(required, format = DateTime, example = "2026-01-01T00:00:00Z")]
    period_start: Option<String>,
    /// End of the period.
    #[schema(required, format = DateTime, example = "2026-02-01T00:00:00Z")]
    period_end: Option<String>,
}

/// Data of an event about an SEO report.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the use-cases write")]
pub struct SeoReportEventData {
    /// Numeric id of the report.
    #[schema(example = 1)]
    id: i64,
    /// URL of the page.
    #[schema(example = "https://example.com/page")]
    url: String,
    /// Scores of the page.
    scores: SeoScoresView,
    /// Number of issues found on the page.
    issue_counts: SeoIssueCountsView,
}

/// Data of an event about a score that dropped.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the use-cases write")]
pub struct SeoScoreDroppedEventData {
    /// Numeric id of the report with the lower score.
    #[schema(example = 2)]
    report_id: i64,
    /// Numeric id of the previous report on the page.
    #[schema(example = 1)]
    previous_report_id: i64,
    /// URL of the page.
    #[schema(example = "https://example.com/page")]
    url: String,
    /// Name of the score: `performance`, `accessibility`, `best_practices` or `seo`.
    #[schema(example = "performance")]
    score: String,
    /// Score in the previous report.
    #[schema(example = 85)]
    from: u8,
    /// Score in the new report.
    #[schema(example = 70)]
    to: u8,
}

/// Data of a test event.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the use-cases write")]
pub struct WebhookTestEventData {
    /// Human-readable text of the test.
    #[schema(example = "This is a test.")]
    message: String,
}

/// Data of an event about a disabled endpoint.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what the use-cases write")]
pub struct WebhookDisabledEventData {
    /// Numeric id of the endpoint.
    #[schema(example = 1)]
    id: i64,
    /// URL that deliveries were posted to.
    #[schema(example = "https://your-app.com/webhooks")]
    url: String,
    /// Human-readable reason for which the endpoint was disabled.
    #[schema(example = "The endpoint answered 410 Gone.")]
    reason: String,
}
