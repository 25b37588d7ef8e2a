//! All plans and features that there are.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::{Access, Feature, FeatureKind, FeatureValue, OwnFeature, Plan, Reset};

/// The plans and features of this installation, each in the order of declaration.
#[derive(Debug, Clone)]
pub struct Catalog {
    plans: IndexMap<String, Plan>,
    features: IndexMap<String, Feature>,
    workspaces: WorkspaceSettings,
}

/// `[workspaces]`: The plans that workspaces have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkspaceSettings {
    /// Plan of a new workspace that names none.
    pub default_plan: String,
    /// Plan of the root workspace.
    pub root_plan: String,
}

impl Default for WorkspaceSettings {
    fn default() -> Self {
        Self { default_plan: "free".to_owned(), root_plan: "enterprise".to_owned() }
    }
}

/// Plans and features that do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// A plan names a feature that there is not, or gives it a value that it does not have.
    #[error("plans.{plan}.features.{feature}: {error}")]
    Feature {
        /// The plan.
        plan: String,
        /// The feature that it names.
        feature: String,
        /// What is wrong, naming what is accepted.
        error: String,
    },
    /// A plan is called what no request could spell.
    #[error("the name of a plan has 1 to 64 of a-z, 0-9, _ and -, not {0:?}")]
    PlanName(String),
    /// There is no plan of this name, which new workspaces or the root are to have.
    #[error("unknown plan {name:?}; known are: {known}")]
    UnknownPlan {
        /// The setting that names it: `default_plan` or `root_plan`.
        setting: &'static str,
        /// The name.
        name: String,
        /// The names that there are.
        known: String,
    },
}

impl CatalogError {
    /// Path of the setting that is wrong.
    pub fn path(&self) -> Vec<&str> {
        match self {
            Self::Feature { plan, feature, .. } => vec!["plans", plan, "features", feature],
            Self::PlanName(name) => vec!["plans", name],
            Self::UnknownPlan { setting, .. } => vec!["workspaces", setting],
        }
    }
}

impl Catalog {
    /// The built-in plans and features, overlaid with the operator's: one of the same name replaces.
    ///
    /// # Errors
    /// The first plan that has no fit name, names an unknown feature, or gives one a value that its type does not have.
    pub fn new(
        plans: impl IntoIterator<Item = Plan>,
        features: impl IntoIterator<Item = (String, Feature)>,
    ) -> Result<Self, CatalogError> {
        let mut catalog = Self::built_in();
        catalog.features.extend(features);
        catalog.plans.extend(plans.into_iter().map(|plan| (plan.name.clone(), plan)));
        catalog.checked()
    }

    /// These plans and features alone, and the features that every installation has.
    ///
    /// # Errors
    /// As [`new`](Self::new), and if there is no `default_plan` or `root_plan`.
    pub fn of(
        plans: impl IntoIterator<Item = Plan>,
        features: impl IntoIterator<Item = (String, Feature)>,
        workspaces: WorkspaceSettings,
    ) -> Result<Self, CatalogError> {
        let mut features: IndexMap<String, Feature> = features.into_iter().collect();
        for own in OwnFeature::ALL {
            features.entry(own.as_str().to_owned()).or_insert_with(|| own.declared());
        }
        let catalog = Self {
            plans: plans.into_iter().map(|plan| (plan.name.clone(), plan)).collect(),
            features,
            workspaces,
        };
        catalog.checked()
    }

    fn checked(self) -> Result<Self, CatalogError> {
        let WorkspaceSettings { default_plan, root_plan } = &self.workspaces;
        for (setting, name) in [("default_plan", default_plan), ("root_plan", root_plan)] {
            if !self.plans.contains_key(name) {
                let (name, known) = (name.clone(), self.names_of_plans());
                return Err(CatalogError::UnknownPlan { setting, name, known });
            }
        }
        for plan in self.plans.values() {
            if !Plan::is_name(&plan.name) {
                return Err(CatalogError::PlanName(plan.name.clone()));
            }
            for (name, value) in &plan.features {
                self.check_value(name, *value).map_err(|error| CatalogError::Feature {
                    plan: plan.name.clone(),
                    feature: name.clone(),
                    error,
                })?;
            }
        }
        Ok(self)
    }

    /// The plans of the core contract, and the features that every installation has.
    pub fn built_in() -> Self {
        const GIB: u64 = 1 << 30;
        let plan = |name: &str, requests_per_minute, burst_percent, access, figures: Option<[u64; 4]>| {
            let value = |index: usize| match figures {
                Some(figures) => FeatureValue::Limit(figures[index]),
                None => FeatureValue::Unlimited,
            };
            let features = ["posts", "api_calls", "storage"].into_iter().enumerate();
            let features = features.map(|(index, name)| (name.to_owned(), value(index)));
            // Where nothing else is limited, neither are endpoints.
            let webhooks = figures
                .is_none()
                .then(|| (OwnFeature::Webhooks.as_str().to_owned(), FeatureValue::Unlimited));
            Plan {
                requests_per_minute: Some(requests_per_minute),
                burst_percent,
                access,
                egress_mib_per_minute: figures.map(|[.., mib]| mib),
                features: features.chain(webhooks).collect(),
                ..Plan::unlimited(name)
            }
        };
        let plans = [
            plan("free", 60, 0, Access::Write, Some([100, 1_000, GIB, 60])),
            plan("starter", 1_000, 20, Access::Write, Some([500, 5_000, 2 * GIB, 120])),
            plan("pro", 5_000, 30, Access::Write, Some([1_000, 10_000, 5 * GIB, 300])),
            plan("business", 10_000, 40, Access::Write, Some([5_000, 50_000, 20 * GIB, 600])),
            plan("agency", 20_000, 50, Access::Write, Some([20_000, 200_000, 100 * GIB, 1_200])),
            plan("enterprise", 100_000, 100, Access::Admin, None),
        ];
        let limit =
            |label: &str| Feature { label: Some(label.to_owned()), ..Feature::new(FeatureKind::Limit) };
        let monthly =
            |label: &str| Feature { kind: FeatureKind::Metered, reset: Reset::Monthly, ..limit(label) };
        let features = [
            ("posts", limit("Post")),
            ("api_calls", monthly("API call")),
            ("storage", Feature { unit: Some("bytes".to_owned()), ..limit("Storage") }),
        ];
        let features = features.into_iter().map(|(name, feature)| (name.to_owned(), feature));
        let own = OwnFeature::ALL.map(|own| (own.as_str().to_owned(), own.declared()));
        Self {
            plans: plans.into_iter().map(|plan| (plan.name.clone(), plan)).collect(),
            features: features.chain(own).collect(),
            workspaces: WorkspaceSettings::default(),
        }
    }

    /// The name of the plan of a new workspace that names none.
    pub fn default_plan(&self) -> &str {
        &self.workspaces.default_plan
    }

    /// The name of the plan of the root workspace.
    pub fn root_plan(&self) -> &str {
        &self.workspaces.root_plan
    }

    fn names_of_plans(&self) -> String {
        self.plans.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// The plan of this name.
    pub fn plan(&self, name: &str) -> Option<&Plan> {
        self.plans.get(name)
    }

    /// The plan of this name; if it left the configuration, the default's, so that nobody gets more than
    /// that.
    pub fn plan_or_default(&self, name: &str) -> Option<&Plan> {
        self.plan(name).or_else(|| self.plan(&self.workspaces.default_plan))
    }

    /// Every plan.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.plans.values()
    }

    /// Every feature.
    pub fn features(&self) -> impl Iterator<Item = (&str, &Feature)> {
        self.features.iter().map(|(name, feature)| (name.as_str(), feature))
    }

    /// The feature of this name.
    pub fn feature(&self, name: &str) -> Option<&Feature> {
        self.features.get(name)
    }

    /// Whether the plan of this name says something of a feature.
    pub fn lists(&self, plan: &str, feature: &str) -> bool {
        self.plan_or_default(plan).is_some_and(|plan| plan.value(feature).is_some())
    }

    /// Checks the name of a tier.
    ///
    /// # Errors
    /// A sentence about the field `field` naming the plans that there are.
    pub fn check_tier(&self, field: &str, name: &str) -> Result<(), String> {
        if self.plans.contains_key(name) {
            return Ok(());
        }
        Err(format!("The selected {field} is invalid. It must be one of: {}.", self.names_of_plans()))
    }

    /// Checks the tier of a key against its workspace's: it may not lift a limit.
    ///
    /// # Errors
    /// A sentence about the field `rate_limit_tier`.
    pub fn check_key_tier(&self, tier: &str, workspace_tier: &str) -> Result<(), String> {
        self.check_tier("rate limit tier", tier)?;
        // A workspace whose plan left the configuration keeps working, but its keys get nothing above the
        // default.
        let ceiling = self.plan(workspace_tier).or_else(|| self.plan(&self.workspaces.default_plan));
        match (self.plan(tier), ceiling) {
            (Some(plan), Some(ceiling)) if plan.name == ceiling.name || plan.rates_within(ceiling) => Ok(()),
            _ => {
                Err(format!("The rate limit tier may not be above the workspace's tier ({workspace_tier})."))
            }
        }
    }

    fn check_value(&self, feature: &str, value: FeatureValue) -> Result<(), String> {
        let Some(declared) = self.features.get(feature) else {
            let known: Vec<_> = self.features.keys().map(String::as_str).collect();
            return Err(format!("unknown feature; known are: {}", known.join(", ")));
        };
        match (declared.kind, value) {
            (FeatureKind::Boolean, FeatureValue::Enabled(_)) => Ok(()),
            (FeatureKind::Boolean, _) => Err("a boolean feature takes true or false".into()),
            (_, FeatureValue::Enabled(_)) => {
                Err("takes a whole number of 0 or more, or \"unlimited\"".into())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_cannot_rise_above_its_workspace() {
        let catalog = Catalog::built_in();
        for (tier, workspace, fits) in [
            ("free", "pro", true),
            ("pro", "pro", true),
            ("agency", "pro", false),
            ("gold", "pro", false),
            ("pro", "gone", false),
        ] {
            assert_eq!(catalog.check_key_tier(tier, workspace).is_ok(), fits, "{tier} in {workspace}");
        }
    }

    #[test]
    fn a_day_without_limit_is_above_one_with() {
        let limited = Plan { requests_per_day: Some(10), ..Plan::unlimited("a") };
        let free = Plan::unlimited("b");
        assert!(limited.rates_within(&free) && !free.rates_within(&limited));
    }

    #[test]
    fn plans_and_features_must_fit() {
        let with = |feature: &str, value| {
            let mut plan = Plan::unlimited("x");
            plan.features.insert(feature.to_owned(), value);
            Catalog::new([plan], []).map(|_| ()).map_err(|e| e.to_string())
        };
        assert!(with("posts", FeatureValue::Limit(3)).is_ok());
        assert!(
            with("nope", FeatureValue::Unlimited)
                .is_err_and(|e| e.starts_with("plans.x.features.nope: unknown"))
        );
        assert!(with("posts", FeatureValue::Enabled(true)).is_err());
    }
}
