//! Sections of the configuration file that the application reads.

use std::time::Duration;

use gatepost_kernel::settings;
use gatepost_people::SessionLimits;
use serde::{Deserialize, Serialize};

/// `[entitlements]`: What callers are told who are refused, and what requests count as.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EntitlementSettings {
    /// Where a refused caller is sent to buy more, unless the workspace has a page of its own (its setting
    /// `billing_url`).
    #[serde(deserialize_with = "settings::url_or_none")]
    pub upgrade_url: Option<String>,
    /// The feature that one's own API requests count as.
    pub meter_requests: Option<String>,
}

/// `[dashboard]`: Whether people can sign in, and for how long.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DashboardSettings {
    /// Whether there is a dashboard. Without one nobody can be invited, and sessions end.
    pub enabled: bool,
    /// How long a session lasts that is not used.
    #[serde(
        serialize_with = "settings::duration::serialize",
        deserialize_with = "settings::duration_within::<_, 60, 3_600>"
    )]
    pub session_idle: Duration,
    /// How long a session lasts at most, however much it is used.
    #[serde(
        serialize_with = "settings::duration::serialize",
        deserialize_with = "settings::duration_within::<_, 60, 86_400>"
    )]
    pub session_lifetime: Duration,
}

impl Default for DashboardSettings {
    fn default() -> Self {
        let SessionLimits { idle, absolute } = SessionLimits::default();
        Self { enabled: true, session_idle: idle, session_lifetime: absolute }
    }
}

impl DashboardSettings {
    /// How long sessions last.
    pub fn sessions(&self) -> SessionLimits {
        SessionLimits { idle: self.session_idle, absolute: self.session_lifetime }
    }
}

/// `[pixel]`: How visits of pages are taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PixelSettings {
    /// Requests per minute and address of visitors.
    #[serde(deserialize_with = "settings::positive")]
    pub requests_per_minute: u64,
    /// How many events may wait to be stored; beyond that the answer is 503.
    #[serde(deserialize_with = "settings::positive")]
    pub queue: usize,
}

impl Default for PixelSettings {
    fn default() -> Self {
        Self { requests_per_minute: 300, queue: 10_000 }
    }
}

/// `[retention]`: How long what was stored is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSettings {
    /// How long events are kept, those on their way excepted.
    #[serde(with = "settings::duration")]
    pub events: Duration,
    /// How long deliveries are kept after their end.
    #[serde(with = "settings::duration")]
    pub deliveries: Duration,
    /// How long pixel events are kept; their counts are part of `analytics`.
    #[serde(with = "settings::duration")]
    pub pixel_events: Duration,
    /// How long the counts are kept that `/analytics` shows.
    #[serde(with = "settings::duration")]
    pub analytics: Duration,
    /// How long SEO reports are kept.
    #[serde(with = "settings::duration")]
    pub seo_reports: Duration,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        // What is compared with last year is kept for longer than a year.
        Self {
            events: 30 * DAY,
            deliveries: 30 * DAY,
            pixel_events: 30 * DAY,
            analytics: 400 * DAY,
            seo_reports: 400 * DAY,
        }
    }
}
