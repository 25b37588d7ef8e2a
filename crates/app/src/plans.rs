//! The plans' limits, prepared once: what a request is held against, found without a look-up by name.

use std::{collections::HashMap, sync::Arc};

use gatepost_entitlements::{Access, Catalog, Plan};
use gatepost_limits::Allowance;

/// The limits of one plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PlanLimits {
    /// Where the plan stands in the order of declaration, counted from 0.
    pub place: usize,
    /// The limits of each key.
    pub allowance: Allowance,
}

/// All plans by name.
#[derive(Debug)]
pub(crate) struct Plans {
    by_name: HashMap<String, (Arc<PlanLimits>, Access)>,
    in_order: Vec<Arc<PlanLimits>>,
    default: (Arc<PlanLimits>, Access),
}

impl Plans {
    pub fn new(catalog: &Catalog) -> Self {
        let limits = |(place, plan): (usize, &Plan)| {
            let allowance = Allowance {
                per_minute: plan.requests_per_minute,
                minute_cap: plan.minute_cap(),
                per_day: plan.requests_per_day,
            };
            (plan.name.clone(), (Arc::new(PlanLimits { place, allowance }), plan.access))
        };
        let in_order: Vec<_> = catalog.plans().enumerate().map(limits).collect();
        let default = in_order.iter().find(|(name, _)| name == Catalog::DEFAULT_TIER).or(in_order.first());
        // A catalogue always has the built-in plans; without any, nothing may pass.
        let nothing = Allowance { per_minute: Some(0), minute_cap: Some(0), per_day: Some(0) };
        let default = default.map_or_else(
            || (Arc::new(PlanLimits { place: 0, allowance: nothing }), Access::Read),
            |(_, plan)| plan.clone(),
        );
        let limits = in_order.iter().map(|(_, (limits, _))| limits.clone()).collect();
        Self { by_name: in_order.into_iter().collect(), in_order: limits, default }
    }

    /// The limits and the access of a tier; of the default's if it left the configuration.
    pub fn of(&self, tier: &str) -> &(Arc<PlanLimits>, Access) {
        self.by_name.get(tier).unwrap_or(&self.default)
    }

    /// In the order of declaration.
    pub fn in_order(&self) -> &[Arc<PlanLimits>] {
        &self.in_order
    }
}
