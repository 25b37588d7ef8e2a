//! The section of the configuration file about limits that no plan has.

use gatepost_kernel::settings;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// `[limits]`: How requests without a key are limited, and where all are counted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Where requests are counted: `"local"`, in each process. `"exact"` and `"leased"` stop the start, since
    /// this version has neither.
    pub mode: LimitMode,
    /// Requests per minute and address without a valid key.
    #[serde(deserialize_with = "settings::positive")]
    pub anonymous_per_minute: u64,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self { mode: LimitMode::Local, anonymous_per_minute: 300 }
    }
}

gatepost_kernel::words! {
    /// Where requests are counted.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum LimitMode {
        /// In each process.
        Local = "local",
    }
}

impl<'de> Deserialize<'de> for LimitMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            mode @ ("exact" | "leased") => Err(D::Error::custom(format!(
                "{mode:?} has no effect, since this version counts limits in each process; expected \"local\""
            ))),
            mode => Self::parse(mode).ok_or_else(|| D::Error::custom("expected \"local\"")),
        }
    }
}
