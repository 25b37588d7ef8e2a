//! `/entitlements`

use actix_web::{HttpResponse, get, post, put};
use gatepost_app::{UnitOfWork, entitlements};
use gatepost_contract::{ApiError, Plain};
use gatepost_entitlements::Operation;
use gatepost_kernel::Error;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::{
    call::Call,
    entitlements::wire::{
        CheckEntitlementQuery, EntitlementCheckView, EntitlementRefusalBody, EntitlementSummaryItem,
        EntitlementSummaryView, RecordedUsageView, SetUsage, SetUsageBody, UseEntitlementBody, refuse,
    },
    query::NoQuery,
    scopes::{EntitlementsRead, EntitlementsWrite},
};

pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(check_entitlement)
        .service(record_usage)
        .service(consume_entitlement)
        .service(release_entitlement)
        .service(set_usage)
        .service(get_entitlement_summary);
}

/// Check feature access
///
/// Whether the workspace may use so much of a feature now. Nothing is counted: between a check and a use somebody else may
/// take what is left. `consume` does both in one step.
#[utoipa::path(
    tag = "Entitlements", operation_id = "check_entitlement", params(CheckEntitlementQuery),
    extensions(("x-required-scope" = json!("entitlements:read"))),
    responses((status = 200, description = "Decision on the quantity, in `allowed`", body = EntitlementCheckView))
)]
#[get("/entitlements/check")]
async fn check_entitlement(
    call: Call<EntitlementsRead, CheckEntitlementQuery>,
) -> Result<HttpResponse, ApiError> {
    let (feature, quantity) = call.query().wanted();
    let standing = entitlements::check(call.app(), call.caller(), feature, quantity).await?;
    call.plain(&EntitlementCheckView::from(standing))
}

/// Record usage
///
/// Counts a use. Beyond a hard limit it is refused and not counted; beyond a soft one it is counted as `overage`.
#[utoipa::path(
    tag = "Entitlements", operation_id = "record_usage", request_body = UseEntitlementBody,
    extensions(("x-required-scope" = json!("entitlements:write"))),
    responses(
        (status = 200, description = "The usage is recorded", body = RecordedUsageView),
        (status = 403, description = "The limit of the plan is reached, or the API key may not do this", body = EntitlementRefusalBody),
    )
)]
#[post("/entitlements/usage")]
async fn record_usage(
    call: Call<EntitlementsWrite, NoQuery, UseEntitlementBody>,
) -> Result<HttpResponse, ApiError> {
    count(call, Operation::Add).await
}

/// Check and record in one step
///
/// However many callers ask at once, a hard limit is never passed. The same `idempotency_key` is counted once, and gets the
/// same decision again.
#[utoipa::path(
    tag = "Entitlements", operation_id = "consume_entitlement", request_body = UseEntitlementBody,
    extensions(("x-required-scope" = json!("entitlements:write"))),
    responses(
        (status = 200, description = "The usage is allowed and recorded", body = RecordedUsageView),
        (status = 403, description = "The limit of the plan is reached, or the API key may not do this", body = EntitlementRefusalBody),
    )
)]
#[post("/entitlements/consume")]
async fn consume_entitlement(
    call: Call<EntitlementsWrite, NoQuery, UseEntitlementBody>,
) -> Result<HttpResponse, ApiError> {
    count(call, Operation::Add).await
}

/// Give back what is in use
///
/// Releases usage of features that count what is in use at a time (`limit`): a seat is free again. Never below zero. The same `idempotency_key` is
/// counted once. Endpoints hear of `entitlement.threshold_cleared` for each threshold that is not reached any more.
#[utoipa::path(
    tag = "Entitlements", operation_id = "release_entitlement", request_body = UseEntitlementBody,
    extensions(("x-required-scope" = json!("entitlements:write"))),
    responses((status = 200, description = "The usage is released", body = RecordedUsageView))
)]
#[post("/entitlements/release")]
async fn release_entitlement(
    call: Call<EntitlementsWrite, NoQuery, UseEntitlementBody>,
) -> Result<HttpResponse, ApiError> {
    count(call, Operation::Release).await
}

/// Set what is in use
///
/// To an absolute count. Above a hard limit it is refused, and nothing is set; to lower it is always allowed. Not for features that
/// are counted over the last days.
#[utoipa::path(
    tag = "Entitlements", operation_id = "set_usage", request_body = SetUsageBody,
    extensions(("x-required-scope" = json!("entitlements:write"))),
    responses(
        (status = 200, description = "The usage is set", body = RecordedUsageView),
        (status = 403, description = "The plan does not allow this quantity, or the API key may not do this", body = EntitlementRefusalBody),
    )
)]
#[put("/entitlements/usage")]
async fn set_usage(call: Call<EntitlementsWrite, NoQuery, SetUsage>) -> Result<HttpResponse, ApiError> {
    let (body, call) = call.into_body();
    change(call, body.map(|SetUsage(body)| body), Operation::Set).await
}

async fn count(
    call: Call<EntitlementsWrite, NoQuery, UseEntitlementBody>,
    operation: Operation,
) -> Result<HttpResponse, ApiError> {
    let (body, call) = call.into_body();
    change(call, body, operation).await
}

async fn change(
    call: Call<EntitlementsWrite, NoQuery, ()>,
    body: Result<UseEntitlementBody, Error>,
    operation: Operation,
) -> Result<HttpResponse, ApiError> {
    // A use with a key of its own is counted once by that; others are repeated like any request.
    if call.caller().can_repeat() && !body.as_ref().is_ok_and(UseEntitlementBody::has_idempotency_key) {
        let consume = async move |unit: &mut UnitOfWork<'_>| {
            let standing = entitlements::consume_in(unit, body?.into_use(operation)).await?;
            Ok(Plain(RecordedUsageView::from(refuse(standing)?)))
        };
        return call.mutate(consume).await;
    }
    let standing = entitlements::consume(call.app(), call.caller(), body?.into_use(operation)).await?;
    call.plain(&RecordedUsageView::from(refuse(standing)?))
}

/// Get the usage summary
///
/// How the workspace stands with every feature of its plan.
#[utoipa::path(
    tag = "Entitlements", operation_id = "get_entitlement_summary",
    extensions(("x-required-scope" = json!("entitlements:read"))),
    responses((status = 200, description = "Standing of the workspace for every feature of its plan", body = EntitlementSummaryItem))
)]
#[get("/entitlements/summary")]
async fn get_entitlement_summary(call: Call<EntitlementsRead>) -> Result<HttpResponse, ApiError> {
    call.item(&EntitlementSummaryView::from(entitlements::summary(call.app(), call.caller()).await?))
}
