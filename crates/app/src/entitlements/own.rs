//! Features that Gatepost counts itself. Of keys, webhook endpoints and workspaces, what is used is what
//! there is, so nothing is counted twice, and what is deleted is free again. What is done (reports, calls of
//! tools) has counters like the features of tenants, but only where a plan lists it.

use gatepost_delivery::OwnEvent;
use gatepost_entitlements::{FeatureKind, Grant, Operation, OwnFeature};
use gatepost_kernel::{Error, Result, Workspace};

use super::{
    counting::{consume_in, threshold_event},
    standing::{FeatureUsage, UseFeature, existing},
};
use crate::UnitOfWork;

/// Makes room for one more of a feature of a workspace that this unit holds, or refuses it.
///
/// # Errors
/// [`Error::FeatureLimitReached`].
pub(crate) async fn grow(
    unit: &mut UnitOfWork<'_>,
    workspace: &Workspace,
    feature: OwnFeature,
) -> Result<()> {
    let (app, now, environment) = (unit.app().clone(), unit.now, unit.caller().environment());
    let usage = FeatureUsage::of(&app, workspace, environment, feature.as_str(), now)
        .ok_or_else(|| Error::internal(format!("the feature {} is not declared", feature.as_str())))?;
    if usage.grant == Grant::Unlimited {
        return Ok(());
    }
    let used = existing(&mut unit.tx, workspace.id, feature, now).await?;
    if usage.grant.decide(used, 1).is_err() {
        let (feature, upgrade_url) = (feature.as_str().to_owned(), usage.upgrade_url(&app));
        return Err(Error::FeatureLimitReached { feature, upgrade_url, standing: None });
    }
    for threshold in gatepost_entitlements::crossed(usage.feature, usage.grant, used, used + 1) {
        if unit.tx.entitlement_alert_insert(&usage.key(), threshold).await? {
            unit.store_later(threshold_event(&usage, OwnEvent::ThresholdReached, threshold, used + 1, now));
        }
    }
    Ok(())
}

/// Counts records that the caller's workspace makes or deletes, in the unit that does it.
///
/// # Errors
/// [`Error::FeatureLimitReached`].
pub(crate) async fn use_records(
    unit: &mut UnitOfWork<'_>,
    feature: &str,
    operation: Operation,
    quantity: u64,
) -> Result<()> {
    let owner = unit.caller().owner();
    let kind = unit.catalog().feature(feature).map(|feature| feature.kind);
    // What was done in a period was done in it, whatever became of it.
    if operation == Operation::Release && kind == Some(FeatureKind::Metered) {
        return Ok(());
    }
    let input = UseFeature { operation, quantity, ..UseFeature::one(feature) };
    consume_in(unit, owner, input).await?.into_result().map(|_| ())
}

/// Counts something that the caller's workspace does, in the unit that does it, if its plan lists the
/// feature.
///
/// # Errors
/// [`Error::FeatureLimitReached`].
pub(crate) async fn act(unit: &mut UnitOfWork<'_>, feature: OwnFeature) -> Result<()> {
    let owner = unit.caller().owner();
    let tier = unit.tx.workspace_get(owner.workspace_id).await?.ok_or(Error::NotFound)?.tier;
    if !unit.catalog().lists(&tier, feature.as_str()) {
        return Ok(());
    }
    consume_in(unit, owner, UseFeature::one(feature.as_str())).await?.into_result().map(|_| ())
}
