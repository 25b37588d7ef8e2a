//! A use of a feature, and how a workspace stands with one.

use std::collections::BTreeMap;

use gatepost_entitlements::{Cycle, Feature, FeatureKind, Grant, Operation, OwnFeature, Period, Reason};
use gatepost_kernel::{
    Environment, Error, Json, Owner, Result, Timestamp, Workspace, WorkspaceId, text::brief,
};
use gatepost_storage::{CounterKey, EntitlementUse, Tx};

use crate::{
    App,
    tenants::{billing_url, time_zone},
};

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
    /// Why it is refused, as a sentence; none if it is allowed.
    pub fn refusal(&self) -> Option<String> {
        let Self { label, plan, feature, used, .. } = self;
        let text = match self.refused? {
            Reason::FeatureNotFound => return Some(format!("There is no feature {}.", brief(feature))),
            Reason::NotInPlan => return Some(format!("{label} is not part of the {plan} plan.")),
            Reason::Disabled => return Some(format!("{label} is switched off.")),
            Reason::LimitExceeded => format!("{label} limit exceeded. Used: {used}"),
            Reason::InsufficientRemaining => format!("{label} limit would be exceeded. Used: {used}"),
        };
        let limit = self.grant.limit().map(|limit| format!(", Limit: {limit}"));
        Some(text + &limit.unwrap_or_default())
    }

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

/// How many there are of a resource.
pub(super) async fn existing(
    tx: &mut Tx<'_>,
    workspace: WorkspaceId,
    feature: OwnFeature,
    now: Timestamp,
) -> Result<u64> {
    Ok(match feature {
        OwnFeature::ApiKeys => tx.api_key_count_active(workspace, now).await?,
        OwnFeature::Webhooks => tx.webhook_endpoint_count(workspace).await?,
        // The platform's own workspace is not one that it sells.
        OwnFeature::Workspaces if workspace.is_root() => tx.workspace_count().await?.saturating_sub(1),
        OwnFeature::Workspaces | OwnFeature::SeoReports | OwnFeature::PixelEvents | OwnFeature::McpCalls => 0,
    })
}

/// A feature of a workspace in one environment, at one instant.
pub(super) struct FeatureUsage<'a> {
    pub(super) owner: Owner,
    workspace: &'a Workspace,
    pub(super) name: &'a str,
    pub(super) feature: &'a Feature,
    pub(super) grant: Grant,
    pub(super) plan: &'a str,
    pub(super) cycle: Cycle,
    pub(super) period: Period,
}

impl<'a> FeatureUsage<'a> {
    /// None if there is no such feature.
    pub(super) fn of(
        app: &'a App,
        workspace: &'a Workspace,
        environment: Environment,
        name: &'a str,
        now: Timestamp,
    ) -> Option<Self> {
        let feature = app.catalog().feature(name)?;
        let time_zone = time_zone(&workspace.settings);
        let cycle = Cycle::new(time_zone.as_deref(), workspace.created_at);
        let period = cycle.period(feature, now);
        let plan =
            app.catalog().plan_or_default(&workspace.tier).map_or(workspace.tier.as_str(), |plan| &plan.name);
        Some(Self {
            owner: Owner::new(workspace.id, environment),
            workspace,
            name,
            feature,
            grant: app.catalog().grant(&workspace.tier, name),
            plan,
            cycle,
            period,
        })
    }

    /// Where to get a plan that allows more.
    pub(super) fn upgrade_url(&self, app: &App) -> Option<String> {
        upgrade_url(app, self.workspace)
    }

    pub(super) fn key(&self) -> CounterKey {
        CounterKey {
            workspace_id: self.owner.workspace_id,
            environment: self.owner.environment,
            feature: self.name.to_owned(),
            period_start: self.period.start,
        }
    }

    /// How much is used, without holding it.
    pub(super) async fn used(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<u64> {
        if self.feature.kind == FeatureKind::Boolean {
            return Ok(0);
        }
        if let Some(own) = OwnFeature::parse(self.name).filter(|own| own.is_resource()) {
            return existing(tx, self.owner.workspace_id, own, now).await;
        }
        let key = self.key();
        let before = self.before(tx, &key).await?;
        Ok(before.saturating_add(tx.entitlement_counter_get(&key).await?))
    }

    /// What was counted on the days before, if the feature rolls.
    pub(super) async fn before(&self, tx: &mut Tx<'_>, key: &CounterKey) -> Result<u64> {
        match self.cycle.rolling_since(self.feature, self.period) {
            Some(since) => Ok(tx.entitlement_counter_sum(key, since).await?),
            None => Ok(0),
        }
    }

    pub(super) fn standing(
        &self,
        app: &App,
        used: u64,
        refused: Option<Reason>,
        quantity: u64,
    ) -> FeatureStanding {
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
            upgrade_url: refused.and_then(|_| self.upgrade_url(app)),
            refused,
            upgrade_plan,
        }
    }
}

/// Where a workspace gets another plan: at a page of its own, or at the one for all.
pub(super) fn upgrade_url(app: &App, workspace: &Workspace) -> Option<String> {
    billing_url(&workspace.settings).or_else(|| app.settings().entitlements.upgrade_url.clone())
}

/// What a check of a feature that there is not says.
pub(super) fn unknown(tier: &str, feature: String) -> FeatureStanding {
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

/// A decision as it was kept, whatever the configuration says now but for where to get another plan.
pub(super) fn kept(app: &App, one: EntitlementUse, upgrade_url: Option<String>) -> FeatureStanding {
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
        upgrade_url: upgrade_url.filter(|_| refused.is_some()),
        plan: one.plan,
        refused,
        feature: name,
    }
}

/// Requests by what they have in common, in a fixed order, so that two transactions never wait for each
/// other's locks.
pub(super) type ByCounter<'a> = BTreeMap<CounterKey, Vec<(usize, FeatureUsage<'a>)>>;
