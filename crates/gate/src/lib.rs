#![doc = include_str!("../README.md")]

mod admission;
mod decision;
mod key_profile;
mod key_state;
mod key_states;
mod limiter;
mod metrics;
mod plans;
mod principal;
mod refusals;
mod settings;
mod usage;

use std::sync::Arc;

use gatepost_entitlements::Catalog;
use gatepost_kernel::{Clock, Error, Result, Timestamp};
use gatepost_keys::{ScopeOrder, TokenFormat};
use gatepost_limits::Allowance;
use gatepost_storage::{Op, Storage, Tx};

pub use admission::{Admitted, Passed, Refused};
pub use decision::Code;
pub use key_profile::KeyProfile;
pub use limiter::AFTERMATH;
pub use metrics::{GateMetrics, Via};
pub use plans::PlanLimits;
pub use principal::Principal;
pub use refusals::{KEPT_REFUSALS, REFUSALS_KEPT_FOR, RefusedRequest};
pub use settings::{LimitMode, LimitSettings};

use crate::{
    key_states::KeyStates, limiter::Limiter, plans::Plans, refusals::Refusals, usage::UsageRecorder,
};

/// Lets requests in, or not. Cloning is cheap.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    storage: Storage,
    settings: GateSettings,
    plans: Plans,
    clock: Arc<dyn Clock>,
    keys: KeyStates,
    limiter: Limiter,
    usage: UsageRecorder,
    metrics: GateMetrics,
    refusals: Refusals,
    runtime: tokio::runtime::Handle,
}

/// What the operator decides about the gate.
#[derive(Debug, Clone, Default)]
pub struct GateSettings {
    /// How the tokens of API keys begin.
    pub token_format: TokenFormat,
    /// How scopes are written in headers.
    pub scope_order: ScopeOrder,
    /// The section of the configuration file.
    pub limits: LimitSettings,
}

impl Gate {
    /// Lets in who has a key in `storage`, as often as the plans of `catalog` say. Must be called on the
    /// runtime that outlives the requests.
    pub fn new(storage: Storage, catalog: &Catalog, settings: GateSettings, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            storage,
            settings,
            plans: Plans::new(catalog),
            clock,
            keys: KeyStates::new(),
            limiter: Limiter::default(),
            usage: UsageRecorder::default(),
            metrics: GateMetrics::default(),
            refusals: Refusals::default(),
            runtime: tokio::runtime::Handle::current(),
        }))
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// How the tokens of API keys begin.
    pub fn token_format(&self) -> &TokenFormat {
        &self.0.settings.token_format
    }

    /// How scopes are written.
    pub fn scope_order(&self) -> ScopeOrder {
        self.0.settings.scope_order
    }

    /// The plans' limits, in the order of declaration.
    pub fn plan_limits(&self) -> &[Arc<PlanLimits>] {
        self.0.plans.in_order()
    }

    /// The limits of each key of a tier; of the default plan if there is no such tier.
    pub fn allowance(&self, tier: &str) -> &Allowance {
        &self.0.plans.of(tier).limits.allowance
    }
}

impl Inner {
    async fn read<R, F>(&self, body: F) -> Result<R>
    where
        for<'c> F: AsyncFnOnce(Tx<'c>) -> Result<R> + Op<Tx<'c>, Result<R>, Fut: Send> + Send + 'static,
        R: Send + 'static,
    {
        self.storage.read::<R, Error, F>(body).await
    }
}
