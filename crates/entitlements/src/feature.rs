//! A feature: something a plan allows, by yes or no or up to a number.

use std::{fmt, str::FromStr};

use gatepost_kernel::settings;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Anchor;

gatepost_kernel::words! {
    /// How a feature is counted.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum FeatureKind {
        /// On or off.
        Boolean = "boolean",
        /// So many at a time.
        Limit = "limit",
        /// So many per period.
        Metered = "metered",
    }
    described as "EntitlementType": "How a feature is counted."
}
gatepost_kernel::read_as_word!(FeatureKind);

/// When the count of a metered feature starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reset {
    /// Never.
    #[default]
    Never,
    /// Every month.
    Monthly,
    /// Every year.
    Yearly,
    /// Every so many days.
    EveryDays(u32),
    /// At every moment, what is older than so many days no longer counts.
    RollingDays(u32),
}

impl FromStr for Reset {
    type Err = String;

    /// # Errors
    /// A sentence naming the accepted forms.
    fn from_str(text: &str) -> Result<Self, String> {
        let days = |text: &str| text.strip_suffix(" days")?.parse().ok().filter(|n| (1..=3660).contains(n));
        match text {
            "never" => Some(Self::Never),
            "monthly" => Some(Self::Monthly),
            "yearly" => Some(Self::Yearly),
            _ => (text.strip_prefix("every ").and_then(days).map(Self::EveryDays))
                .or_else(|| text.strip_prefix("rolling ").and_then(days).map(Self::RollingDays)),
        }
        .ok_or_else(|| {
            "expected \"never\", \"monthly\", \"yearly\", \"every N days\" or \"rolling N days\" (N from 1 to 3660)".into()
        })
    }
}

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::Monthly => f.write_str("monthly"),
            Self::Yearly => f.write_str("yearly"),
            Self::EveryDays(days) => write!(f, "every {days} days"),
            Self::RollingDays(days) => write!(f, "rolling {days} days"),
        }
    }
}

impl Serialize for Reset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// `[features.NAME]`: A feature that plans allow, and how it is counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// How it is counted: `"boolean"`, `"limit"` or `"metered"`.
    #[serde(rename = "type")]
    pub kind: FeatureKind,
    /// What it is called in messages, e.g. `"Post"`. Default: its name as words.
    #[serde(default)]
    pub label: Option<String>,
    /// Whether anybody may use it.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// When its count starts again: `"never"`, `"monthly"`, `"yearly"`, `"every N days"` or `"rolling N
    /// days"`.
    #[serde(default)]
    pub reset: Reset,
    /// What its periods are counted from: `"calendar"` or `"workspace"`, the instant in which that was made.
    #[serde(default)]
    pub anchor: Anchor,
    /// Whether use beyond the limit is recorded instead of refused.
    #[serde(default)]
    pub soft: bool,
    /// What is counted, e.g. `"bytes"`.
    #[serde(default)]
    pub unit: Option<String>,
    /// At which percentages of a limit `entitlement.threshold_reached` is sent, 1 to 1000, in rising order.
    #[serde(default = "thresholds", deserialize_with = "read_thresholds")]
    pub thresholds: Vec<u32>,
}

fn enabled() -> bool {
    true
}

fn thresholds() -> Vec<u32> {
    vec![80, 90, 100]
}

fn read_thresholds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
    #[derive(Deserialize)]
    struct Threshold(#[serde(deserialize_with = "settings::whole::<_, _, 1, 1000>")] u32);
    let given = Vec::<Threshold>::deserialize(deserializer)?;
    let mut thresholds: Vec<u32> = given.into_iter().map(|Threshold(percent)| percent).collect();
    thresholds.sort_unstable();
    thresholds.dedup();
    Ok(thresholds)
}

impl Feature {
    /// Whether what counts is the use of the last days.
    pub fn is_rolling(&self) -> bool {
        matches!(self.reset, Reset::RollingDays(_))
    }

    /// A hard feature that is never reset, with the usual thresholds.
    pub fn new(kind: FeatureKind) -> Self {
        Self {
            kind,
            label: None,
            enabled: enabled(),
            reset: Reset::default(),
            anchor: Anchor::default(),
            soft: false,
            unit: None,
            thresholds: thresholds(),
        }
    }

    /// What it is called in messages: its label, or its name as words.
    pub fn label(&self, name: &str) -> String {
        match &self.label {
            Some(label) => label.clone(),
            None => {
                let words = name.replace(['_', '.', '-'], " ");
                let mut letters = words.chars();
                letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
            }
        }
    }
}

/// What a plan says of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureValue {
    /// On or off, for a boolean feature.
    Enabled(bool),
    /// Up to so many, for the others.
    Limit(u64),
    /// As many as one likes.
    Unlimited,
}

/// A [`FeatureValue::Unlimited`], as it is written.
const UNLIMITED: &str = "unlimited";

impl Serialize for FeatureValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Enabled(enabled) => serializer.serialize_bool(*enabled),
            Self::Limit(limit) => serializer.serialize_u64(*limit),
            Self::Unlimited => serializer.serialize_str(UNLIMITED),
        }
    }
}

impl<'de> Deserialize<'de> for FeatureValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = FeatureValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, a whole number of 0 or more, or \"unlimited\"")
            }

            fn visit_bool<E: de::Error>(self, enabled: bool) -> Result<FeatureValue, E> {
                Ok(FeatureValue::Enabled(enabled))
            }

            fn visit_i64<E: de::Error>(self, limit: i64) -> Result<FeatureValue, E> {
                let wrong = || E::invalid_value(de::Unexpected::Signed(limit), &self);
                u64::try_from(limit).map_err(|_| wrong()).and_then(|limit| self.visit_u64(limit))
            }

            fn visit_u64<E: de::Error>(self, limit: u64) -> Result<FeatureValue, E> {
                match limit {
                    0..=settings::MAX_WHOLE => Ok(FeatureValue::Limit(limit)),
                    _ => Err(E::invalid_value(de::Unexpected::Unsigned(limit), &self)),
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<FeatureValue, E> {
                match text {
                    UNLIMITED => Ok(FeatureValue::Unlimited),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}
