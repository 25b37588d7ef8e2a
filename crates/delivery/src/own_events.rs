//! The events that Gatepost itself sends: their types, when each is sent, and what it says.

use gatepost_kernel::{
    ApiKeyId, CalendarTime, Environment, ExternalId, Json, SeoReportId, Timestamp, WebhookEndpointId,
    WorkspaceId,
    describe::{Described, Schemas},
};
use gatepost_keys::{ApiKey, ScopeOrder};
use gatepost_macros::described;
use gatepost_seo::{IssueCounts, Scores};
use serde_json::Value;

/// A type of event that Gatepost itself sends.
pub struct OwnEventType {
    /// Its name on the wire.
    pub name: &'static str,
    /// When it is sent.
    pub about: &'static str,
    /// The schema of its data.
    pub data: fn(&mut Schemas) -> Value,
}

/// Declares the events: when each is sent, its data, and its name.
macro_rules! own_events {
    ($(#[doc = $about:literal] $event:ident($data:ty) = $name:literal;)+) => {
        /// An event that Gatepost itself sends.
        #[derive(Debug, Clone)]
        pub enum OwnEvent {
            $(#[doc = $about] $event($data)),+
        }

        impl OwnEvent {
            /// All types of them.
            pub const TYPES: [OwnEventType; [$($name),+].len()] =
                [$(OwnEventType { name: $name, about: $about, data: <$data>::schema }),+];

            /// The name of its type.
            pub fn event_type(&self) -> &'static str {
                match self {
                    $(Self::$event(_) => $name),+
                }
            }

            /// What it says.
            pub fn data(&self) -> Json {
                match self {
                    $(Self::$event(data) => Json::written(data)),+
                }
            }
        }
    };
}

own_events! {
    /// An API key was created
    ApiKeyCreated(ApiKeyEventData) = "api_key.created";
    /// An API key was changed
    ApiKeyUpdated(ApiKeyEventData) = "api_key.updated";
    /// An API key was replaced; the data is the new one's
    ApiKeyRotated(RotatedApiKeyEventData) = "api_key.rotated";
    /// An API key was revoked
    ApiKeyRevoked(ApiKeyEventData) = "api_key.revoked";
    /// A workspace was created
    WorkspaceCreated(WorkspaceEventData) = "workspace.created";
    /// A workspace was changed
    WorkspaceUpdated(WorkspaceEventData) = "workspace.updated";
    /// A workspace was deleted
    WorkspaceDeleted(WorkspaceEventData) = "workspace.deleted";
    /// The usage of a feature reached a threshold
    ThresholdReached(ThresholdEventData) = "entitlement.threshold_reached";
    /// The usage of a feature fell below a threshold
    ThresholdCleared(ThresholdEventData) = "entitlement.threshold_cleared";
    /// An SEO report was submitted
    SeoReportCreated(SeoReportEventData) = "seo.report.created";
    /// A score is 10 points or more below what it was in the last report on the page
    SeoScoreDropped(SeoScoreDroppedEventData) = "seo.score.dropped";
    /// An endpoint answered 410 Gone and was disabled
    WebhookDisabled(WebhookDisabledEventData) = "webhook.disabled";
    /// A test delivery was requested
    WebhookTest(WebhookTestEventData) = "webhook.test";
}

/// Data of an event about an API key.
#[described(example = {
    "id": 2, "name": "Mobile App Key", "prefix": "{live_key}abc", "environment": "live", "scopes": ["{scope posts:read}"],
    "rate_limit_tier": "pro", "external_id": "user_42", "enabled": true,
})]
#[derive(Debug, Clone)]
pub struct ApiKeyEventData {
    /// Numeric id of the API key.
    pub id: ApiKeyId,
    /// Human-readable label of the API key.
    pub name: String,
    /// First characters of the secret, to recognise the key by.
    pub prefix: String,
    /// Environment the key belongs to.
    pub environment: Environment,
    /// Scopes granted to the key.
    pub scopes: Vec<String>,
    /// Plan whose limits apply to the key; null to follow the workspace's tier.
    pub rate_limit_tier: Option<String>,
    /// Time at which the key expires; null if it never does.
    pub expires_at: Option<Timestamp>,
    /// Id of the key's holder in the system of those who created it.
    pub external_id: Option<ExternalId>,
    /// Whether the key is enabled.
    pub enabled: bool,
}

impl ApiKeyEventData {
    /// What is told of a key, with its scopes written in this order.
    pub fn new(key: &ApiKey, order: ScopeOrder) -> Self {
        Self {
            id: key.id,
            name: key.name.clone(),
            prefix: key.prefix.clone(),
            environment: key.environment,
            scopes: key.scopes.texts(order),
            rate_limit_tier: key.rate_limit_tier.clone(),
            expires_at: key.expires_at,
            external_id: key.external_id.clone(),
            enabled: key.disabled_at.is_none(),
        }
    }
}

/// Data of an event about a rotated API key.
#[described(example = {
    "id": 3, "prefix": "{live_key}new", "rotated_from_id": 2, "grace_period_ends_at": "2026-01-16T10:30:00Z",
})]
#[derive(Debug, Clone)]
pub struct RotatedApiKeyEventData {
    /// The new API key.
    #[member(flatten)]
    pub key: ApiKeyEventData,
    /// Numeric id of the API key that was replaced.
    pub rotated_from_id: ApiKeyId,
    /// End of the grace period in which the old key still works.
    pub grace_period_ends_at: Timestamp,
}

/// Data of an event about a workspace.
#[described(example = { "id": 2, "name": "Acme Corporation", "slug": "acme-corp", "tier": "pro", "external_id": "cust_42" })]
#[derive(Debug, Clone)]
pub struct WorkspaceEventData {
    /// Numeric id of the workspace.
    pub id: WorkspaceId,
    /// Human-readable name of the workspace.
    pub name: String,
    /// Name of the workspace in URLs.
    pub slug: String,
    /// Name of the workspace's plan.
    pub tier: String,
    /// Id of the workspace in the system of the platform.
    pub external_id: Option<ExternalId>,
}

/// Data of an event about the usage of a feature.
#[described(example = {
    "feature": "api_calls", "threshold": 80, "used": 8000, "limit": 10000, "percentage": 80,
    "period_start": "2026-01-01T00:00:00Z", "period_end": "2026-02-01T00:00:00Z",
})]
#[derive(Debug, Clone)]
pub struct ThresholdEventData {
    /// Key of the feature.
    pub feature: String,
    /// Threshold in percent of the limit.
    pub threshold: u32,
    /// Quantity in use at that time.
    pub used: u64,
    /// Limit of the plan.
    pub limit: Option<u64>,
    /// Share of the limit that is used, in percent.
    pub percentage: Option<f64>,
    /// Start of the period; null if it never ends.
    pub period_start: Option<CalendarTime>,
    /// End of the period.
    pub period_end: Option<CalendarTime>,
}

/// Data of an event about an SEO report.
#[described(example = { "id": 1, "url": "https://example.com/page" })]
#[derive(Debug, Clone)]
pub struct SeoReportEventData {
    /// Numeric id of the report.
    pub id: SeoReportId,
    /// URL of the page.
    pub url: String,
    /// Scores of the page.
    pub scores: Scores,
    /// Number of issues found on the page.
    pub issue_counts: IssueCounts,
}

/// Data of an event about a score that dropped.
#[described(example = {
    "report_id": 2, "previous_report_id": 1, "url": "https://example.com/page", "score": "performance", "from": 85,
    "to": 70,
})]
#[derive(Debug, Clone)]
pub struct SeoScoreDroppedEventData {
    /// Numeric id of the report with the lower score.
    pub report_id: SeoReportId,
    /// Numeric id of the previous report on the page.
    pub previous_report_id: SeoReportId,
    /// URL of the page.
    pub url: String,
    /// Name of the score: `performance`, `accessibility`, `best_practices` or `seo`.
    pub score: &'static str,
    /// Score in the previous report.
    pub from: u8,
    /// Score in the new report.
    pub to: u8,
}

/// Data of an event about a disabled endpoint.
#[described(example = {
    "id": 1, "url": "https://your-app.com/webhooks", "reason": "The endpoint answered 410 Gone.",
})]
#[derive(Debug, Clone)]
pub struct WebhookDisabledEventData {
    /// Numeric id of the endpoint.
    pub id: WebhookEndpointId,
    /// URL that deliveries were posted to.
    pub url: String,
    /// Human-readable reason for which the endpoint was disabled.
    pub reason: &'static str,
}

/// Data of a test event.
#[described(example = { "message": "This is a test." })]
#[derive(Debug, Clone)]
pub struct WebhookTestEventData {
    /// Human-readable text of the test.
    pub message: &'static str,
}
