//! `/entitlements`

use gatepost_app::entitlements::{self, UseFeature};
use gatepost_contract::Plain;
use gatepost_entitlements::Operation;
use gatepost_kernel::Error;
use gatepost_macros::operation;

use crate::{
    answer::{Answer, Item},
    call::Call,
    entitlements::wire::{
        BillingView, CheckEntitlementQuery, EntitlementCheckView, EntitlementRefusal, EntitlementSummaryView,
        RecordedUsageView, SetUsageBody, UseEntitlementBody, refuse,
    },
    operation::Tag,
    query::NoQuery,
    scopes::{BillingAdmin, EntitlementsRead, EntitlementsWrite},
};

const TAG: Tag =
    Tag { name: "Entitlements", about: "Features and limits of the plan, and how much of them is used." };

const BILLING: Tag = Tag { name: "Billing", about: "The plan of the workspace, and where to change it." };

/// Check feature access
///
/// Whether the workspace may use so much of a feature now. Nothing is counted: between a check and a use
/// somebody else may take what is left. `consume` does both in one step.
#[operation(get "/entitlements/check", tag = TAG, ok = "Decision on the quantity, in `allowed`")]
async fn check_entitlement(
    call: Call<EntitlementsRead, CheckEntitlementQuery>,
) -> Answer<Plain<EntitlementCheckView>> {
    let CheckEntitlementQuery { feature, quantity } = call.query();
    let (feature, quantity) = (feature.clone(), quantity.unwrap_or(1));
    let standing = entitlements::check(call.app(), call.caller(), feature, quantity).await?;
    call.plain(&EntitlementCheckView::from(standing))
}

/// Record usage
///
/// Counts a use. Beyond a hard limit it is refused and not counted; beyond a soft one it is counted as
/// `overage`.
#[operation(post "/entitlements/usage", tag = TAG, ok = "The usage is recorded", forbidden = "The limit of the plan is reached, or the API key may not do this", like = EntitlementRefusal)]
async fn record_usage(
    call: Call<EntitlementsWrite, NoQuery, UseEntitlementBody>,
) -> Answer<Plain<RecordedUsageView>> {
    consume(call, Operation::Add).await
}

/// Check and record in one step
///
/// However many callers ask at once, a hard limit is never passed. The same `idempotency_key` is counted
/// once, and gets the same decision again.
#[operation(post "/entitlements/consume", tag = TAG, ok = "The usage is allowed and recorded", forbidden = "The limit of the plan is reached, or the API key may not do this", like = EntitlementRefusal)]
async fn consume_entitlement(
    call: Call<EntitlementsWrite, NoQuery, UseEntitlementBody>,
) -> Answer<Plain<RecordedUsageView>> {
    consume(call, Operation::Add).await
}

/// Give back what is in use
///
/// Releases usage of features that count what is in use at a time (`limit`): a seat is free again. Never
/// below zero. The same `idempotency_key` is counted once. Endpoints hear of `entitlement.threshold_cleared`
/// for each threshold that is not reached any more.
#[operation(post "/entitlements/release", tag = TAG, ok = "The usage is released")]
async fn release_entitlement(
    call: Call<EntitlementsWrite, NoQuery, UseEntitlementBody>,
) -> Answer<Plain<RecordedUsageView>> {
    consume(call, Operation::Release).await
}

/// Set what is in use
///
/// To an absolute count. Above a hard limit it is refused, and nothing is set; to lower it is always allowed.
/// Not for features that are counted over the last days.
#[operation(put "/entitlements/usage", tag = TAG, ok = "The usage is set", forbidden = "The plan does not allow this quantity, or the API key may not do this", like = EntitlementRefusal)]
async fn set_usage(call: Call<EntitlementsWrite, NoQuery, SetUsageBody>) -> Answer<Plain<RecordedUsageView>> {
    let (body, call) = call.into_body();
    change(call, body.map(Into::into)).await
}

async fn consume(
    call: Call<EntitlementsWrite, NoQuery, UseEntitlementBody>,
    operation: Operation,
) -> Answer<Plain<RecordedUsageView>> {
    let (body, call) = call.into_body();
    change(call, body.map(|body| body.into_use(operation))).await
}

async fn change(
    call: Call<EntitlementsWrite, NoQuery, ()>,
    used: Result<UseFeature, Error>,
) -> Answer<Plain<RecordedUsageView>> {
    call.combine(used, |standing| Ok(Plain(RecordedUsageView::from(refuse(standing)?)))).await
}

/// Get the usage summary
///
/// How the workspace stands with every feature of its plan.
#[operation(get "/entitlements/summary", tag = TAG, ok = "Standing of the workspace for every feature of its plan")]
async fn get_entitlement_summary(call: Call<EntitlementsRead>) -> Answer<Item<EntitlementSummaryView>> {
    call.item(&EntitlementSummaryView::from(entitlements::summary(call.app(), call.caller()).await?))
}

/// Get the plan
///
/// The plan of the workspace with its limits, how much of it is used, and where to change it. Neither reading
/// nor writing scopes cover `{scope billing:admin}`: only a plan with `admin` access has keys that can use it.
#[operation(get "/billing", tag = BILLING, ok = "Plan of the workspace, and the standing for each of its features")]
async fn get_billing(call: Call<BillingAdmin>) -> Answer<Item<BillingView>> {
    call.item(&BillingView::from(entitlements::billing(call.app(), call.caller()).await?))
}
