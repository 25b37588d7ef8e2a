//! What the gate says of itself to Prometheus.

use std::time::Duration;

use gatepost_kernel::Error;
use gatepost_limits::{Refusal, Verdict};
use gatepost_metrics::{By, Computed, Counter, Labels, Registry, Total, Unit, label};

use crate::{Code, Gate};

label! {
    /// By which way somebody asked.
    pub enum Via("via") {
        /// An operation of the API itself.
        Api = "api",
        /// Forward auth.
        Auth = "auth",
        /// The verification of a key that somebody else presents.
        Verify = "verify",
        /// The middleware in another service.
        Middleware = "middleware",
    }
}

/// What was decided: a code of the verification, or what that does not know.
#[derive(Debug, Clone, Copy)]
enum Decided {
    Code(Code),
    /// There was no key to decide on.
    NoKey,
    /// An error of the server.
    Failed,
}

/// The words of what the verification does not know.
const OTHERS: [&str; 2] = ["NO_KEY", "FAILED"];

impl Labels for Decided {
    const COUNT: usize = Code::NAMES.len() + OTHERS.len();

    fn index(self) -> usize {
        match self {
            Self::Code(code) => code as usize,
            Self::NoKey => Code::NAMES.len(),
            Self::Failed => Code::NAMES.len() + 1,
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        let codes = Code::NAMES.into_iter().filter_map(Code::parse);
        codes.map(Self::Code).chain([Self::NoKey, Self::Failed])
    }

    fn pairs(index: usize) -> Vec<(&'static str, &'static str)> {
        Code::NAMES.into_iter().chain(OTHERS).nth(index).map(|word| ("code", word)).into_iter().collect()
    }
}

label! {
    /// Which limit refused.
    enum Limit("limit") {
        KeyMinute = "key_minute",
        KeyDay = "key_day",
        WorkspaceMinute = "workspace_minute",
        WorkspaceDay = "workspace_day",
        Address = "address",
    }
}

label! {
    /// Whether a key was in memory.
    enum Lookup("result") {
        Hit = "hit",
        Miss = "miss",
    }
}

/// What the gate counts.
#[derive(Debug, Default)]
pub struct GateMetrics {
    decisions: By<(Via, Decided), Counter>,
    refusals: By<Limit, Counter>,
    lookups: By<Lookup, Counter>,
}

impl GateMetrics {
    /// A key was decided on, or could not be.
    pub fn decided(&self, via: Via, code: Result<Code, &Error>) {
        let decided = match code {
            Ok(code) => Decided::Code(code),
            Err(error) => Code::of(error).map_or(Decided::Failed, Decided::Code),
        };
        self.decisions[(via, decided)].inc();
    }

    /// Somebody without a key was refused.
    pub(crate) fn no_key(&self, via: Via) {
        self.decisions[(via, Decided::NoKey)].inc();
    }

    /// A key was in memory.
    #[inline]
    pub(crate) fn hit(&self) {
        self.lookups[Lookup::Hit].inc();
    }

    /// A key had to be looked up in the database.
    pub(crate) fn missed(&self) {
        self.lookups[Lookup::Miss].inc();
    }

    /// A request of a key was counted, or refused.
    pub(crate) fn limited(&self, verdict: &Verdict) {
        let limit = match verdict.refusal {
            None | Some(Refusal::NeedsLease | Refusal::WorkspaceNeedsLease) => return,
            Some(Refusal::Minute) => Limit::KeyMinute,
            Some(Refusal::Day) => Limit::KeyDay,
            Some(Refusal::WorkspaceMinute) => Limit::WorkspaceMinute,
            Some(Refusal::WorkspaceDay) => Limit::WorkspaceDay,
        };
        self.refusals[limit].inc();
    }

    /// A request from an address was counted, or refused.
    pub(crate) fn limited_by_address(&self, verdict: &Verdict) {
        if verdict.refusal.is_some() {
            self.refusals[Limit::Address].inc();
        }
    }
}

impl Gate {
    /// What it counts.
    pub fn metrics(&self) -> &GateMetrics {
        &self.0.metrics
    }

    /// Registers what is counted here, and what is looked up when somebody asks.
    pub fn register_metrics(&self, registry: &mut Registry) {
        let GateMetrics { decisions, refusals, lookups } = self.metrics();
        registry.register(
            "decisions",
            "Decisions on API keys, by the way that somebody asked. Codes are those of POST /api-keys/verify; NO_KEY is a \
             request without a key, FAILED an error of the server",
            decisions.clone(),
        );
        registry.register("limit_refusals", "Requests refused by a limit", refusals.clone());
        registry.register(
            "key_lookups",
            "API keys that were needed: in memory, or looked up in the database",
            lookups.clone(),
        );
        let gate = self.clone();
        registry.register(
            "keys_remembered",
            "API keys that are in memory",
            Computed::new(move || Some(gate.keys_remembered() as f64)),
        );
        let gate = self.clone();
        registry.register_with_unit(
            "feed_age",
            "Time since the change feed was last read to its end. Revocations reach this process within it; above 4 \
             seconds nothing that is remembered is believed",
            Unit::Seconds,
            Computed::new(move || gate.feed_age().as_ref().map(Duration::as_secs_f64)),
        );
        let gate = self.clone();
        registry.register(
            "feed_looks",
            "Times that the change feed was looked at",
            Total::new(move || gate.feed_looks() as f64),
        );
    }
}
