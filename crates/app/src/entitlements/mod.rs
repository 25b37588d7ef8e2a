//! What a workspace's plan allows, and how much of it is used.
//!
//! To check and to count is one step: what is used is looked at under the lock of its counter, in the
//! transaction that also writes the use, the counter, the thresholds that were crossed and their events. Uses
//! of one counter that come at the same time go into one transaction, where they are decided one after the
//! other.

mod counting;
mod own;
mod standing;

use gatepost_entitlements::{Catalog, FeatureKind, Operation, OwnFeature, Plan, Reason};
use gatepost_kernel::{Environment, Error, Owner, Result, Timestamp, Workspace, WorkspaceId};
use gatepost_keys::Scope;
use gatepost_storage::Tx;

use self::standing::{FeatureUsage, unknown, upgrade_url};
use crate::{App, Caller, Combinable, UnitOfWork};

pub(crate) use counting::{Counters, Request, consume, consume_all, counters};
pub(crate) use own::{act, grow, use_records};
pub use standing::{FeatureStanding, UseFeature};

/// The most that can be used at once: the largest whole number that every JSON reader keeps exact.
pub const MAX_QUANTITY: u64 = (1 << 53) - 1;

/// How a workspace stands with all features of its plan.
#[derive(Debug)]
pub struct Summary {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// Name of the plan of the workspace.
    pub tier: String,
    /// The features, in the plan's order.
    pub features: Vec<FeatureStanding>,
}

/// Decides whether the caller's workspace may use so much of a feature; counts nothing.
///
/// # Errors
/// [`Error::NotFound`] if the workspace is gone; [`Error::Unavailable`]; never a refusal, which is an answer
/// here.
pub async fn check(app: &App, caller: &Caller, feature: String, quantity: u64) -> Result<FeatureStanding> {
    let Owner { workspace_id, environment } = caller.owner();
    let (own, now) = (app.clone(), app.now());
    app.read_snapshot(async move |mut tx| {
        let app = own;
        let workspace = tx.workspace_get(workspace_id).await?.ok_or(Error::NotFound)?;
        let Some(usage) = FeatureUsage::of(&app, &workspace, environment, &feature, now) else {
            return Ok(unknown(&workspace.tier, feature));
        };
        let used = usage.used(&mut tx, now).await?;
        let refused = usage.grant.decide(used, quantity).err();
        Ok(usage.standing(&app, used, refused, quantity))
    })
    .await
}

/// How the caller's workspace stands with all features of its plan.
///
/// # Errors
/// [`Error::NotFound`] if the workspace is gone; [`Error::Unavailable`].
pub async fn summary(app: &App, caller: &Caller) -> Result<Summary> {
    let (own, now, owner) = (app.clone(), app.now(), caller.owner());
    app.read_snapshot(async move |mut tx| {
        let workspace = tx.workspace_get(owner.workspace_id).await?.ok_or(Error::NotFound)?;
        summarise(&mut tx, &own, workspace, owner.environment, now).await
    })
    .await
}

async fn summarise(
    tx: &mut Tx<'_>,
    app: &App,
    workspace: Workspace,
    environment: Environment,
    now: Timestamp,
) -> Result<Summary> {
    let mut features = Vec::new();
    for name in listed(app.catalog(), &workspace.tier) {
        if let Some(usage) = FeatureUsage::of(app, &workspace, environment, &name, now) {
            let used = usage.used(tx, now).await?;
            features.push(usage.standing(app, used, None, 0));
        }
    }
    Ok(Summary { workspace_id: workspace.id, tier: workspace.tier, features })
}

/// What a workspace pays for, and where it changes that.
#[derive(Debug)]
pub struct Billing {
    /// The plan that it has.
    pub plan: Plan,
    /// How it stands with the features of that.
    pub summary: Summary,
    /// Where its people change the plan; none if the operator says nothing of that.
    pub upgrade_url: Option<String>,
}

/// The plan of the caller's workspace, how the workspace stands with that, and where to change it.
///
/// # Errors
/// [`Error::NotFound`] if the workspace is gone; [`Error::Unavailable`].
pub async fn billing(app: &App, caller: &Caller) -> Result<Billing> {
    let (own, now, owner) = (app.clone(), app.now(), caller.owner());
    app.read_snapshot(async move |mut tx| {
        let workspace = tx.workspace_get(owner.workspace_id).await?.ok_or(Error::NotFound)?;
        let plan = own.catalog().plan_or_default(&workspace.tier).cloned().unwrap_or_default();
        let upgrade_url = upgrade_url(&own, &workspace);
        let summary = summarise(&mut tx, &own, workspace, owner.environment, now).await?;
        Ok(Billing { plan, summary, upgrade_url })
    })
    .await
}

/// The features that a plan lists.
fn listed(catalog: &Catalog, tier: &str) -> Vec<String> {
    let Some(plan) = catalog.plan_or_default(tier) else { return Vec::new() };
    let mut names: Vec<String> = plan.features.keys().cloned().collect();
    if plan.max_keys.is_some() && !plan.features.contains_key(OwnFeature::ApiKeys.as_str()) {
        names.push(OwnFeature::ApiKeys.as_str().to_owned());
    }
    names
}

/// Changes what the caller's workspace uses of a feature, if its plan allows it; ends in how it stands then,
/// and whether it was refused. A repetition with the same idempotency key is counted once and gets the same
/// decision.
///
/// # Errors
/// [`Error::FeatureNotFound`] naming the known features; [`Error::Validation`] for a feature that is not
/// counted so, or that Gatepost counts itself; [`Error::IdempotencyKeyReused`]; [`Error::Unavailable`]: then
/// nobody knows whether it was counted. Never a refusal, which is an answer here.
impl Combinable for UseFeature {
    type Output = FeatureStanding;

    fn has_own_key(&self) -> bool {
        self.idempotency_key.is_some()
    }

    async fn together(self, app: &App, caller: &Caller) -> Result<FeatureStanding> {
        check_countable(app, &self)?;
        consume(app, caller.owner(), self).await
    }

    async fn alone(self, unit: &mut UnitOfWork<'_>) -> Result<FeatureStanding> {
        check_countable(unit.app(), &self)?;
        let owner = unit.caller().owner();
        counting::consume_in(unit, owner, self).await
    }
}

/// Counts a request of the caller's own as a use of its workspace, if the operator wants that. What records
/// uses itself, decides about somebody else's requests, or takes no scope is not counted, and managing keys
/// is never refused.
///
/// # Errors
/// [`Error::FeatureLimitReached`], [`Error::Unavailable`].
pub async fn meter_request(app: &App, caller: &Caller, required: Option<&Scope>) -> Result<()> {
    let Some(feature) = &app.settings().entitlements.meter_requests else { return Ok(()) };
    let Some(required) = required.map(Scope::as_str) else { return Ok(()) };
    if matches!(required, "entitlements:write" | "api-keys:verify") {
        return Ok(());
    }
    let owner = Owner::new(caller.home(), caller.environment());
    let standing = consume(app, owner, UseFeature::one(feature)).await?;
    match standing.refused {
        None | Some(Reason::NotInPlan | Reason::FeatureNotFound) => Ok(()),
        Some(_) if required.starts_with("api-keys:") => Ok(()),
        Some(_) => standing.into_result().map(|_| ()),
    }
}

/// Refuses a feature that callers cannot count, or not so.
fn check_countable(app: &App, input: &UseFeature) -> Result<()> {
    let name = &input.feature;
    check_usable(app, name)?;
    let Some(feature) = app.catalog().feature(name) else { return Ok(()) };
    let error = match (input.operation, feature.kind) {
        (_, FeatureKind::Boolean) => "is on or off; it is not counted",
        (Operation::Release, FeatureKind::Metered) => {
            "is counted by period; what was used cannot be given back"
        }
        (Operation::Set, _) if feature.is_rolling() => "is counted over the last days; it cannot be set",
        _ => return Ok(()),
    };
    Err(Error::invalid("feature", format!("The feature {name} {error}.")))
}

/// Refuses a feature that there is not, and one that is not the callers' to use.
pub(crate) fn check_usable(app: &App, name: &str) -> Result<()> {
    let catalog = app.catalog();
    if catalog.feature(name).is_none() {
        let known = catalog.features().map(|(name, _)| name.to_owned()).collect();
        return Err(Error::FeatureNotFound { known });
    }
    if OwnFeature::parse(name).is_some() {
        return Err(Error::invalid("feature", format!("The feature {name} is counted by Gatepost itself.")));
    }
    if app.resources().count(name) {
        let error = format!("The feature {name} is counted where records are created and deleted.");
        return Err(Error::invalid("feature", error));
    }
    Ok(())
}
