//! A plan: rates, number of keys, the widest access, and the features with their values.

use gatepost_kernel::settings;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::{FeatureValue, OwnFeature};

gatepost_kernel::words! {
    /// The widest access that a plan's keys can use; each includes those before it.
    #[derive(Hash, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Access {
        /// Reading only.
        Read = "read",
        /// Reading, writing and deleting.
        Write = "write",
        /// Everything.
        Admin = "admin",
    }
    described as "PlanAccess": "Widest access that a plan's keys can use: each includes those before it."
}
gatepost_kernel::read_as_word!(Access);

impl Access {
    /// The least access that an action of a scope needs: `read` reads, `admin` and `*` administer, all else
    /// writes.
    pub fn needed_for(action: &str) -> Self {
        match action {
            "read" => Self::Read,
            "admin" | "*" => Self::Admin,
            _ => Self::Write,
        }
    }
}

/// `[plans.NAME]`: What a plan allows. Where there is no figure there is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// The name in `tier` and `rate_limit_tier`.
    #[serde(skip)]
    pub name: String,
    /// Requests per minute and key. Default: unlimited.
    #[serde(deserialize_with = "settings::positive_or_none")]
    pub requests_per_minute: Option<u64>,
    /// How far above `requests_per_minute` a key may go, in percent of it, 0 to 1000.
    #[serde(deserialize_with = "settings::whole::<_, _, 0, 1000>")]
    pub burst_percent: u32,
    /// Requests per UTC day and key. Default: unlimited.
    #[serde(deserialize_with = "settings::positive_or_none")]
    pub requests_per_day: Option<u64>,
    /// Requests per minute of all keys of a workspace together, without a burst. Default: unlimited.
    #[serde(deserialize_with = "settings::positive_or_none")]
    pub requests_per_minute_workspace: Option<u64>,
    /// Requests per UTC day of all keys of a workspace together. Default: unlimited.
    #[serde(deserialize_with = "settings::positive_or_none")]
    pub requests_per_day_workspace: Option<u64>,
    /// MiB per minute that a workspace's deliveries may send; above it they wait. Default: unlimited.
    #[serde(deserialize_with = "settings::positive_or_none")]
    pub egress_mib_per_minute: Option<u64>,
    /// How many keys a workspace can have. Default: unlimited.
    pub max_keys: Option<u64>,
    /// The widest access of its keys: `"read"`, `"write"` or `"admin"`.
    pub access: Access,
    /// Features with `true`, `false`, a number or `"unlimited"`. What is not listed is not in the plan.
    pub features: IndexMap<String, FeatureValue>,
}

impl Default for Plan {
    /// [`Plan::unlimited`] without a name.
    fn default() -> Self {
        Self::unlimited("")
    }
}

impl Plan {
    /// Whether a text can be the name of a plan.
    pub fn is_name(text: &str) -> bool {
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
    }

    /// A plan without any limit on rates and keys, with write access and no features.
    pub fn unlimited(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            requests_per_minute: None,
            burst_percent: 0,
            requests_per_day: None,
            requests_per_minute_workspace: None,
            requests_per_day_workspace: None,
            egress_mib_per_minute: None,
            max_keys: None,
            access: Access::Write,
            features: IndexMap::new(),
        }
    }

    /// What it says of a feature; nothing if it does not list it. `max_keys` is another way to write
    /// `api_keys`.
    pub fn value(&self, feature: &str) -> Option<FeatureValue> {
        let max_keys =
            self.max_keys.filter(|_| feature == OwnFeature::ApiKeys.as_str()).map(FeatureValue::Limit);
        self.features.get(feature).copied().or(max_keys)
    }

    /// The most requests in any 60 seconds, burst included.
    pub fn minute_cap(&self) -> Option<u64> {
        self.requests_per_minute
            .map(|rate| rate.saturating_add(rate.saturating_mul(self.burst_percent.into()) / 100))
    }

    /// Whether no rate of this plan is above `other`'s.
    pub fn rates_within(&self, other: &Self) -> bool {
        let within = |mine: Option<u64>, theirs: Option<u64>| {
            theirs.is_none_or(|theirs| mine.is_some_and(|mine| mine <= theirs))
        };
        within(self.minute_cap(), other.minute_cap()) && within(self.requests_per_day, other.requests_per_day)
    }
}
