//! A feature: something a plan allows, by yes or no or up to a number.

use std::str::FromStr;

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

/// When the count of a metered feature starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// Never.
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

/// A feature as it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// How it is counted.
    pub kind: FeatureKind,
    /// What it is called in messages, e.g. `Post`; by its name without one.
    pub label: Option<String>,
    /// Whether anybody may use it.
    pub enabled: bool,
    /// When its count starts again.
    pub reset: Reset,
    /// What its periods are counted from.
    pub anchor: Anchor,
    /// Whether use beyond the limit is recorded instead of refused.
    pub soft: bool,
    /// What is counted, e.g. `bytes`.
    pub unit: Option<String>,
    /// At which percentages of a limit an event is sent, in rising order.
    pub thresholds: Vec<u32>,
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
            enabled: true,
            reset: Reset::Never,
            anchor: Anchor::Calendar,
            soft: false,
            unit: None,
            thresholds: DEFAULT_THRESHOLDS.to_vec(),
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

/// The thresholds of a feature that names none.
pub const DEFAULT_THRESHOLDS: [u32; 3] = [80, 90, 100];

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
