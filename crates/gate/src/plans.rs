//! The plans' limits, prepared once: what a request is held against, found without a look-up by name.

use std::{collections::HashMap, sync::Arc};

use gatepost_entitlements::{Access, Catalog, Plan};
use gatepost_limits::Allowance;

/// The limits of one plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PlanLimits {
    /// Where the plan stands in the order of declaration, counted from 0.
    pub index: usize,
    /// The plan's name.
    pub name: String,
    /// The limits of each key.
    pub allowance: Allowance,
}

/// What a plan means for requests.
#[derive(Debug, Clone)]
pub(crate) struct PlanOf {
    /// The limits of each key.
    pub limits: Arc<PlanLimits>,
    /// Those of all keys of a workspace together; none if there are none.
    pub together: Option<Arc<Allowance>>,
    /// The widest access.
    pub access: Access,
}

/// All plans by name.
#[derive(Debug)]
pub(crate) struct Plans {
    by_name: HashMap<String, PlanOf>,
    in_order: Vec<Arc<PlanLimits>>,
    default: PlanOf,
}

impl Plans {
    pub fn new(catalog: &Catalog) -> Self {
        let limits = |(index, plan): (usize, &Plan)| {
            let allowance = Allowance {
                per_minute: plan.requests_per_minute,
                minute_cap: plan.minute_cap(),
                per_day: plan.requests_per_day,
            };
            let (per_minute, per_day) = (plan.requests_per_minute_workspace, plan.requests_per_day_workspace);
            let together = Allowance { per_minute, minute_cap: per_minute, per_day };
            let together = (together != Allowance::default()).then(|| Arc::new(together));
            let limits = Arc::new(PlanLimits { index, name: plan.name.clone(), allowance });
            (plan.name.clone(), PlanOf { limits, together, access: plan.access })
        };
        let in_order: Vec<_> = catalog.plans().enumerate().map(limits).collect();
        let default = in_order.iter().find(|(name, _)| name == catalog.default_plan()).or(in_order.first());
        // A catalogue always has the built-in plans; without any, nothing may pass.
        let nothing = || {
            let allowance = Allowance { per_minute: Some(0), minute_cap: Some(0), per_day: Some(0) };
            let limits = Arc::new(PlanLimits { index: 0, name: String::new(), allowance });
            PlanOf { limits, together: None, access: Access::Read }
        };
        let default = default.map_or_else(nothing, |(_, plan)| plan.clone());
        let limits = in_order.iter().map(|(_, plan)| plan.limits.clone()).collect();
        Self { by_name: in_order.into_iter().collect(), in_order: limits, default }
    }

    /// What a tier means; what the default does if it left the configuration.
    pub fn of(&self, tier: &str) -> &PlanOf {
        self.by_name.get(tier).unwrap_or(&self.default)
    }

    /// In the order of declaration.
    pub fn in_order(&self) -> &[Arc<PlanLimits>] {
        &self.in_order
    }
}
