//! What a workspace's plan allows, and how much of it is used.
//!
//! To check and to count is one step: what is used is looked at under the lock of its counter, in the transaction that also
//! writes the use, the counter, the thresholds that were crossed and their events. Uses of one counter that come at the same
//! time go into one transaction, where they are decided one after the other.

mod counting;
mod own;

use std::collections::BTreeMap;

use gatepost_entitlements::{
    Catalog, Cycle, Feature, FeatureKind, Grant, Operation, Period, Reason, is_own, is_resource,
};
use gatepost_kernel::{Environment, Error, Json, Result, Timestamp, WorkspaceId};
use gatepost_keys::Scope;
use gatepost_storage::{CounterKey, EntitlementUse, Tx, Workspace};

use crate::{App, Caller, UnitOfWork, workspaces::TIME_ZONE};

pub(crate) use counting::{Counters, Request, count_all, counters};
pub(crate) use own::{act, grow};

/// The most that can be used at once: the largest whole number that every JSON reader keeps exact.
pub const MAX_QUANTITY: u64 = (1 << 53) - 1;

/// A use to be counted.
#[derive(Debug, Clone)]
pub struct UseFeature {
    /// Of what.
    pub feature: String,
    /// What is done to the counter.
    pub operation: Operation,
    /// How much.
    pub quantity: u64,
    /// By which a repetition is known.
    pub idempotency_key: Option<String>,
    /// What the caller wants to remember of it, as it came.
    pub metadata: Option<Json>,
}

impl UseFeature {
    /// One more of a feature.
    pub fn one(feature: impl Into<String>) -> Self {
        Self {
            feature: feature.into(),
            operation: Operation::Add,
            quantity: 1,
            idempotency_key: None,
            metadata: None,
        }
    }
}

/// How a workspace stands with a feature, and what was decided.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureStanding {
    /// The feature.
    pub feature: String,
    /// How it is counted; none if there is no such feature any more.
    pub kind: Option<FeatureKind>,
    /// What it is called in messages.
    pub label: String,
    /// What is counted, e.g. `bytes`.
    pub unit: Option<String>,
    /// What the plan gives of it.
    pub grant: Grant,
    /// The plan that says so.
    pub plan: String,
    /// How much is used in the period; after the decision, if something was counted.
    pub used: u64,
    /// When the period began; none if it never ends.
    pub period_start: Option<Timestamp>,
    /// When it ends.
    pub reset_at: Option<Timestamp>,
    /// Why it is refused; none if it is allowed.
    pub refused: Option<Reason>,
    /// The first plan that would allow it; none if it is allowed, or no plan does.
    pub upgrade_plan: Option<String>,
    /// Where to get that plan.
    pub upgrade_url: Option<String>,
}

impl FeatureStanding {
    /// The refusal as an error that names the feature.
    ///
    /// # Errors
    /// [`Error::FeatureLimitReached`].
    pub fn into_result(self) -> Result<Self> {
        match self.refused {
            None => Ok(self),
            Some(_) => {
                let Self { feature, upgrade_url, .. } = self;
                Err(Error::FeatureLimitReached { feature, upgrade_url, standing: None })
            }
        }
    }
}

/// How a workspace stands with all features of its plan.
#[derive(Debug)]
pub struct Summary {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// Its plan.
    pub tier: String,
    /// The features, in the plan's order.
    pub features: Vec<FeatureStanding>,
}

/// Decides whether the caller's workspace may use so much of a feature; counts nothing.
///
/// # Errors
/// [`Error::NotFound`] if the workspace is gone; [`Error::Unavailable`]; never a refusal, which is an answer here.
pub async fn check(app: &App, caller: &Caller, feature: String, quantity: u64) -> Result<FeatureStanding> {
    let (workspace, environment) = (caller.workspace_id(), caller.environment());
    let (own, now) = (app.clone(), app.now());
    app.read_snapshot(async move |mut tx| {
        let app = own;
        let workspace = tx.workspace_get(workspace).await?.ok_or(Error::NotFound)?;
        let Some(place) = Place::of(&app, &workspace, environment, &feature, now) else {
            return Ok(unknown(&workspace.tier, feature));
        };
        let used = place.used(&mut tx, now).await?;
        let refused = place.grant.decide(used, quantity).err();
        Ok(place.standing(&app, used, refused, quantity))
    })
    .await
}

/// How the caller's workspace stands with all features of its plan.
///
/// # Errors
/// [`Error::NotFound`] if the workspace is gone; [`Error::Unavailable`].
pub async fn summary(app: &App, caller: &Caller) -> Result<Summary> {
    let (workspace, environment) = (caller.workspace_id(), caller.environment());
    let (own, now) = (app.clone(), app.now());
    app.read_snapshot(async move |mut tx| {
        let app = own;
        let workspace = tx.workspace_get(workspace).await?.ok_or(Error::NotFound)?;
        let mut features = Vec::new();
        for name in listed(app.catalog(), &workspace.tier) {
            if let Some(place) = Place::of(&app, &workspace, environment, &name, now) {
                let used = place.used(&mut tx, now).await?;
                features.push(place.standing(&app, used, None, 0));
            }
        }
        Ok(Summary { workspace_id: workspace.id, tier: workspace.tier, features })
    })
    .await
}

/// The features that a plan lists.
fn listed(catalog: &Catalog, tier: &str) -> Vec<String> {
    let Some(plan) = catalog.plan_or_default(tier) else { return Vec::new() };
    let mut names: Vec<String> = plan.features.keys().cloned().collect();
    if plan.max_keys.is_some() && !plan.features.contains_key("api_keys") {
        names.push("api_keys".to_owned());
    }
    names
}

/// Changes what the caller's workspace uses of a feature, if its plan allows it; how it stands then, and whether it was refused. A
/// repetition with the same idempotency key is counted once and gets the same decision.
///
/// # Errors
/// [`Error::FeatureNotFound`] naming the known ones; [`Error::Validation`] for a feature that is not counted so, or that Gatepost
/// counts itself; [`Error::IdempotencyKeyReused`]; [`Error::Unavailable`]: then nobody knows whether it was counted. Never a
/// refusal, which is an answer here.
pub async fn consume(app: &App, caller: &Caller, input: UseFeature) -> Result<FeatureStanding> {
    check_countable(app.catalog(), &input)?;
    let (workspace, environment) = (caller.workspace_id(), caller.environment());
    app.count(workspace, environment, input).await
}

/// The same inside a unit of work, whose request can be repeated by its own key: a refusal must leave nothing behind.
///
/// # Errors
/// As [`consume`].
pub async fn consume_in(unit: &mut UnitOfWork<'_>, input: UseFeature) -> Result<FeatureStanding> {
    let app = unit.app().clone();
    check_countable(app.catalog(), &input)?;
    let (workspace, environment) = (unit.caller().workspace_id(), unit.caller().environment());
    counting::count_in(unit, &app, workspace, environment, input).await
}

impl App {
    /// Counts a request of the caller's own as a use of its workspace, if the operator wants that. What records uses itself,
    /// or decides about somebody else's requests, is not counted, and managing keys is never refused.
    ///
    /// # Errors
    /// [`Error::FeatureLimitReached`], [`Error::Unavailable`].
    pub async fn meter_request(&self, caller: &Caller, required: &Scope) -> Result<()> {
        let Some(feature) = &self.settings().meter_requests else { return Ok(()) };
        let required = required.as_str();
        if matches!(required, "entitlements:write" | "api-keys:verify") {
            return Ok(());
        }
        let standing = self.count(caller.home(), caller.environment(), UseFeature::one(feature)).await?;
        match standing.refused {
            None | Some(Reason::NotInPlan | Reason::FeatureNotFound) => Ok(()),
            Some(_) if required.starts_with("api-keys:") => Ok(()),
            Some(_) => standing.into_result().map(|_| ()),
        }
    }
}

/// Refuses a feature that callers cannot count, or not so.
fn check_countable(catalog: &Catalog, input: &UseFeature) -> Result<()> {
    let name = &input.feature;
    check_usable(catalog, name)?;
    let Some(feature) = catalog.feature(name) else { return Ok(()) };
    let fault = match (input.operation, feature.kind) {
        (_, FeatureKind::Boolean) => "is on or off; it is not counted",
        (Operation::Release, FeatureKind::Metered) => {
            "is counted by period; what was used cannot be given back"
        }
        (Operation::Set, _) if feature.is_rolling() => "is counted over the last days; it cannot be set",
        _ => return Ok(()),
    };
    Err(Error::invalid("feature", format!("The feature {name} {fault}.")))
}

/// Refuses a feature that there is not, and one that is not the callers' to use.
pub(crate) fn check_usable(catalog: &Catalog, name: &str) -> Result<()> {
    if catalog.feature(name).is_none() {
        let known = catalog.features().map(|(name, _)| name.to_owned()).collect();
        return Err(Error::FeatureNotFound { known });
    }
    if is_own(name) {
        return Err(Error::invalid("feature", format!("The feature {name} is counted by Gatepost itself.")));
    }
    Ok(())
}

/// A feature of a workspace in one world, at one instant.
struct Place<'a> {
    workspace_id: WorkspaceId,
    environment: Environment,
    name: &'a str,
    feature: &'a Feature,
    grant: Grant,
    plan: &'a str,
    cycle: Cycle,
    period: Period,
}

impl<'a> Place<'a> {
    /// None if there is no such feature.
    fn of(
        app: &'a App,
        workspace: &'a Workspace,
        environment: Environment,
        name: &'a str,
        now: Timestamp,
    ) -> Option<Self> {
        let feature = app.catalog().feature(name)?;
        let time_zone = workspace.settings.text(TIME_ZONE);
        let cycle = Cycle::new(time_zone.as_deref(), workspace.created_at);
        let period = cycle.period(feature, now);
        let plan =
            app.catalog().plan_or_default(&workspace.tier).map_or(workspace.tier.as_str(), |plan| &plan.name);
        Some(Self {
            workspace_id: workspace.id,
            environment,
            name,
            feature,
            grant: app.catalog().grant(&workspace.tier, name),
            plan,
            cycle,
            period,
        })
    }

    fn key(&self) -> CounterKey {
        CounterKey {
            workspace_id: self.workspace_id,
            environment: self.environment,
            feature: self.name.to_owned(),
            period_start: self.period.start,
        }
    }

    /// How much is used, without holding it.
    async fn used(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<u64> {
        if self.feature.kind == FeatureKind::Boolean {
            return Ok(0);
        }
        if is_resource(self.name) {
            return own::count(tx, self.workspace_id, self.name, now).await;
        }
        let key = self.key();
        let before = self.before(tx, &key).await?;
        Ok(before.saturating_add(tx.entitlement_counter_get(&key).await?))
    }

    /// What was counted on the days before, if the feature rolls.
    async fn before(&self, tx: &mut Tx<'_>, key: &CounterKey) -> Result<u64> {
        match self.cycle.rolling_since(self.feature, self.period) {
            Some(since) => Ok(tx.entitlement_counter_sum(key, since).await?),
            None => Ok(0),
        }
    }

    fn standing(&self, app: &App, used: u64, refused: Option<Reason>, quantity: u64) -> FeatureStanding {
        let upgrade_plan = refused
            .and_then(|_| app.catalog().upgrade(self.plan, self.name, used, quantity))
            .map(str::to_owned);
        FeatureStanding {
            feature: self.name.to_owned(),
            kind: Some(self.feature.kind),
            label: self.feature.label(self.name),
            unit: self.feature.unit.clone(),
            grant: self.grant,
            plan: self.plan.to_owned(),
            used,
            period_start: self.period.end.map(|_| self.period.start),
            reset_at: self.period.end,
            upgrade_url: refused.and_then(|_| app.settings().upgrade_url.clone()),
            refused,
            upgrade_plan,
        }
    }
}

/// What a check of a feature that there is not says.
fn unknown(tier: &str, feature: String) -> FeatureStanding {
    FeatureStanding {
        label: feature.clone(),
        feature,
        kind: None,
        unit: None,
        grant: Grant::Nothing(Reason::FeatureNotFound),
        plan: tier.to_owned(),
        used: 0,
        period_start: None,
        reset_at: None,
        refused: Some(Reason::FeatureNotFound),
        upgrade_plan: None,
        upgrade_url: None,
    }
}

/// A decision as it was kept, whatever the configuration says now.
fn kept(app: &App, one: EntitlementUse) -> FeatureStanding {
    let feature = app.catalog().feature(&one.counter.feature);
    let refused = one.reason.as_deref().map(|reason| Reason::parse(reason).unwrap_or(Reason::LimitExceeded));
    let grant = match (one.limit, refused) {
        (_, Some(reason @ (Reason::NotInPlan | Reason::Disabled))) => Grant::Nothing(reason),
        (Some(limit), _) => Grant::UpTo { limit, soft: one.soft },
        (None, _) => Grant::Unlimited,
    };
    let name = one.counter.feature;
    FeatureStanding {
        kind: feature.map(|feature| feature.kind),
        label: feature.map_or_else(|| name.clone(), |feature| feature.label(&name)),
        unit: feature.and_then(|feature| feature.unit.clone()),
        grant,
        used: one.used,
        period_start: one.reset_at.map(|_| one.counter.period_start),
        reset_at: one.reset_at,
        upgrade_plan: refused
            .and_then(|_| app.catalog().upgrade(&one.plan, &name, one.used, one.requested))
            .map(str::to_owned),
        upgrade_url: refused.and_then(|_| app.settings().upgrade_url.clone()),
        plan: one.plan,
        refused,
        feature: name,
    }
}

/// Requests by what they have in common, in a fixed order, so that two transactions never wait for each other's locks.
type ByCounter<'a> = BTreeMap<CounterKey, Vec<(usize, Place<'a>)>>;
