//! The section of the configuration file about deliveries.

use std::time::Duration;

use gatepost_kernel::settings;
use gatepost_webhooks::RetrySchedule;
use serde::{Deserialize, Serialize};

/// `[webhooks]`: How events are sent to endpoints.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookSettings {
    /// Whether endpoints may have `http://` addresses.
    pub allow_http: bool,
    /// How long a whole attempt may take, the answer's body included: `"1s"` to `"30s"`.
    #[serde(
        serialize_with = "settings::duration::serialize",
        deserialize_with = "settings::duration_within::<_, 1, 30>"
    )]
    pub timeout: Duration,
    /// How long to wait before each further attempt; together no longer than `[retention]` keeps events and
    /// deliveries.
    #[serde(with = "schedule")]
    pub retry_schedule: RetrySchedule,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self { allow_http: false, timeout: Duration::from_secs(15), retry_schedule: RetrySchedule::default() }
    }
}

/// A schedule, as a list of durations.
mod schedule {
    use std::time::Duration;

    use gatepost_kernel::settings::duration;
    use gatepost_webhooks::RetrySchedule;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[derive(Serialize, Deserialize)]
    struct Wait(#[serde(with = "duration")] Duration);

    pub(super) fn serialize<S: Serializer>(schedule: &RetrySchedule, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(schedule.waits().iter().copied().map(Wait))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<RetrySchedule, D::Error> {
        let waits = Vec::<Wait>::deserialize(from)?;
        if waits.is_empty() {
            return Err(D::Error::custom("expected at least one duration, such as \"5s\""));
        }
        Ok(RetrySchedule::new(waits.into_iter().map(|Wait(wait)| wait).collect()))
    }
}
