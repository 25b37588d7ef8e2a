//! Whether a plan allows so much of a feature, and why not.

use crate::{Catalog, Feature, FeatureKind, FeatureValue, OwnFeature};

gatepost_kernel::words! {
    /// Why something is not allowed.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Reason {
        /// There is no such feature.
        FeatureNotFound = "FEATURE_NOT_FOUND",
        /// The plan does not have it.
        NotInPlan = "NOT_IN_PLAN",
        /// It is switched off, for everyone or in the plan.
        Disabled = "DISABLED",
        /// Nothing is left.
        LimitExceeded = "LIMIT_EXCEEDED",
        /// Something is left, but not so much.
        InsufficientRemaining = "INSUFFICIENT_REMAINING",
    }
    described as "EntitlementReason": "Reason for which a feature is not allowed."
}

/// What a plan gives of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// Nothing, for this reason.
    Nothing(Reason),
    /// It is on; there is nothing to count.
    On,
    /// As many as one likes.
    Unlimited,
    /// So many. Beyond them more is counted and not refused, if it is soft.
    UpTo {
        /// How many.
        limit: u64,
        /// Whether more is allowed.
        soft: bool,
    },
}

impl Grant {
    /// The figure, if there is one.
    pub fn limit(self) -> Option<u64> {
        match self {
            Self::UpTo { limit, .. } => Some(limit),
            Self::Nothing(_) => Some(0),
            Self::On | Self::Unlimited => None,
        }
    }

    /// How many are left after `used`; none where there is no limit.
    pub fn available(self, used: u64) -> Option<u64> {
        self.limit().map(|limit| limit.saturating_sub(used))
    }

    /// How many of `used` are beyond the limit.
    pub fn overage(self, used: u64) -> u64 {
        self.limit().map_or(0, |limit| used.saturating_sub(limit))
    }

    /// How much of the limit is used, in percent to two decimals; none where there is no limit to have a part
    /// of.
    pub fn percentage(self, used: u64) -> Option<f64> {
        match self.limit()? {
            0 => None,
            limit => Some((used as f64 * 10_000.0 / limit as f64).round() / 100.0),
        }
    }

    /// Decides on `quantity` more after `used`. Nothing more always fits: to look is not to use.
    ///
    /// # Errors
    /// Why not.
    pub fn decide(self, used: u64, quantity: u64) -> Result<(), Reason> {
        match self {
            Self::Nothing(reason) => Err(reason),
            _ if quantity == 0 => Ok(()),
            Self::On | Self::Unlimited | Self::UpTo { soft: true, .. } => Ok(()),
            Self::UpTo { limit, .. } if used.saturating_add(quantity) <= limit => Ok(()),
            Self::UpTo { limit, .. } if used >= limit => Err(Reason::LimitExceeded),
            Self::UpTo { .. } => Err(Reason::InsufficientRemaining),
        }
    }
}

/// What is done to a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Operation {
    /// So much more is used.
    #[default]
    Add,
    /// So much is used no more.
    Release,
    /// So much is used altogether.
    Set,
}

impl Operation {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Release => "release",
            Self::Set => "set",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Add, Self::Release, Self::Set].into_iter().find(|operation| operation.as_str() == text)
    }

    /// What is used after it, if the grant allows it. What only lowers it is always allowed, and nothing is
    /// below zero.
    ///
    /// # Errors
    /// Why not.
    pub fn apply(self, grant: Grant, used: u64, quantity: u64) -> Result<u64, Reason> {
        match self {
            Self::Add => grant.decide(used, quantity).map(|()| used.saturating_add(quantity)),
            Self::Release => Ok(used.saturating_sub(quantity)),
            Self::Set if quantity <= used => Ok(quantity),
            Self::Set => grant.decide(used, quantity - used).map(|()| quantity),
        }
    }
}

/// The thresholds, in percent of the limit, that are crossed on the way from `before` to `after`.
pub fn crossed(feature: &Feature, grant: Grant, before: u64, after: u64) -> Vec<u32> {
    let Grant::UpTo { limit, .. } = grant else { return Vec::new() };
    let reached = |used: u64, percent: u32| u128::from(used) * 100 >= u128::from(limit) * u128::from(percent);
    let crosses = |percent: &u32| limit > 0 && reached(after, *percent) && !reached(before, *percent);
    feature.thresholds.iter().copied().filter(crosses).collect()
}

/// Of what Gatepost counts itself, how much there may be where a plan does not list it; of the rest any
/// amount. Each endpoint costs the others something for every event.
const UNLISTED: [(&str, u64); 1] = [("webhooks", 50)];

impl Catalog {
    /// What a plan gives of a feature. A plan that left the configuration gives what the default one does.
    pub fn grant(&self, plan: &str, feature: &str) -> Grant {
        let Some(declared) = self.feature(feature) else {
            return Grant::Nothing(Reason::FeatureNotFound);
        };
        if !declared.enabled {
            return Grant::Nothing(Reason::Disabled);
        }
        let value = self.plan_or_default(plan).and_then(|plan| plan.value(feature));
        match value {
            Some(FeatureValue::Enabled(true)) => Grant::On,
            Some(FeatureValue::Enabled(false)) => Grant::Nothing(Reason::Disabled),
            Some(FeatureValue::Limit(limit)) => Grant::UpTo { limit, soft: declared.soft },
            Some(FeatureValue::Unlimited) => Grant::Unlimited,
            None if declared.kind == FeatureKind::Boolean || OwnFeature::parse(feature).is_none() => {
                Grant::Nothing(Reason::NotInPlan)
            }
            None => match UNLISTED.iter().find(|(name, _)| *name == feature) {
                Some((_, limit)) => Grant::UpTo { limit: *limit, soft: declared.soft },
                None => Grant::Unlimited,
            },
        }
    }

    /// The first plan, in the order of declaration, that would allow `quantity` more after `used`.
    pub fn upgrade(&self, plan: &str, feature: &str, used: u64, quantity: u64) -> Option<&str> {
        let allows = |name: &str| name != plan && self.grant(name, feature).decide(used, quantity).is_ok();
        self.plans().map(|plan| plan.name.as_str()).find(|name| allows(name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Plan;

    fn catalog() -> Catalog {
        let mut gold = Plan::unlimited("gold");
        for (name, value) in [
            ("posts", FeatureValue::Limit(10)),
            ("sso", FeatureValue::Enabled(true)),
            ("beta", FeatureValue::Enabled(false)),
            ("traffic", FeatureValue::Limit(10)),
            ("gone", FeatureValue::Unlimited),
        ] {
            gold.features.insert(name.to_owned(), value);
        }
        let feature = Feature::new;
        let features = [
            ("sso", feature(FeatureKind::Boolean)),
            ("beta", feature(FeatureKind::Boolean)),
            ("traffic", Feature { soft: true, ..feature(FeatureKind::Metered) }),
            ("gone", Feature { enabled: false, ..feature(FeatureKind::Limit) }),
        ];
        let features = features.map(|(name, feature)| (name.to_owned(), feature));
        Catalog::new([gold], features).expect("a catalog")
    }

    #[test]
    fn every_refusal_has_its_reason() {
        let catalog = catalog();
        for (feature, used, quantity, expected) in [
            ("posts", 9, 1, Ok(())),
            ("posts", 9, 2, Err(Reason::InsufficientRemaining)),
            ("posts", 10, 1, Err(Reason::LimitExceeded)),
            ("posts", 12, 1, Err(Reason::LimitExceeded)),
            ("posts", 0, u64::MAX, Err(Reason::InsufficientRemaining)),
            ("traffic", 10, 1, Ok(())),
            ("sso", 0, 1, Ok(())),
            ("beta", 0, 1, Err(Reason::Disabled)),
            ("gone", 0, 1, Err(Reason::Disabled)),
            ("storage", 0, 1, Err(Reason::NotInPlan)),
            ("nope", 0, 1, Err(Reason::FeatureNotFound)),
            ("api_keys", 1_000, 1, Ok(())),
        ] {
            assert_eq!(catalog.grant("gold", feature).decide(used, quantity), expected, "{feature}");
        }
    }

    #[test]
    fn an_upgrade_is_the_first_plan_that_allows_it() {
        let catalog = Catalog::built_in();
        assert_eq!(catalog.upgrade("free", "posts", 100, 1), Some("starter"));
        assert_eq!(catalog.upgrade("pro", "posts", 1_000, 1), Some("business"));
        assert_eq!(catalog.upgrade("enterprise", "nope", 0, 1), None);
    }

    #[test]
    fn percentages_have_two_decimals() {
        let of = |used, limit| Grant::UpTo { limit, soft: false }.percentage(used);
        assert_eq!(
            (of(45, 1_000), of(5_001, 10_000), of(1 << 30, 5 << 30)),
            (Some(4.5), Some(50.01), Some(20.0))
        );
        assert_eq!((of(1, 3), of(5, 0), Grant::Unlimited.percentage(5)), (Some(33.33), None, None));
    }

    #[test]
    fn thresholds_are_crossed_once_on_the_way_up() {
        let feature = Feature::new(FeatureKind::Limit);
        let grant = Grant::UpTo { limit: 100, soft: true };
        assert_eq!(crossed(&feature, grant, 0, 79), [0u32; 0]);
        assert_eq!(crossed(&feature, grant, 79, 80), [80]);
        assert_eq!(crossed(&feature, grant, 80, 99), [90]);
        assert_eq!(crossed(&feature, grant, 10, 500), [80, 90, 100]);
        assert_eq!(crossed(&feature, grant, 100, 500), [0u32; 0]);
        assert_eq!(crossed(&feature, Grant::UpTo { limit: 0, soft: true }, 0, 1), [0u32; 0]);
        assert_eq!(crossed(&feature, Grant::Unlimited, 0, u64::MAX), [0u32; 0]);
    }

    proptest! {
        /// Whatever is asked for in whatever order: what is used never passes a hard limit.
        #[test]
        fn used_never_passes_a_hard_limit(limit in 0u64..1_000, asked in prop::collection::vec(1u64..300, 0..50)) {
            let grant = Grant::UpTo { limit, soft: false };
            let mut used = 0;
            for quantity in asked {
                match grant.decide(used, quantity) {
                    Ok(()) => used += quantity,
                    Err(Reason::LimitExceeded) => prop_assert_eq!(grant.available(used), Some(0)),
                    Err(reason) => {
                        prop_assert_eq!(reason, Reason::InsufficientRemaining);
                        prop_assert!(grant.available(used).is_some_and(|left| left > 0 && left < quantity));
                    }
                }
                prop_assert!(used <= limit);
            }
        }
    }
}
