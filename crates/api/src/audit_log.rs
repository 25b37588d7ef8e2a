//! `/audit-log`

use actix_web::{HttpResponse, get};
use gatepost_app::audit_log;
use gatepost_contract::ApiError;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::{
    audit_log_wire::{AuditEntryPage, AuditEntryView, AuditList},
    call::Call,
    lists::ListQuery,
    scopes::AuditRead,
};

pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_audit_log);
}

/// List the audit log
///
/// Every change in the workspace, the newest first, with who made it and in which request.
#[utoipa::path(
    tag = "Audit log", operation_id = "list_audit_log", params(ListQuery<AuditList>),
    extensions(("x-required-scope" = json!("audit:read"))),
    responses((status = 200, description = "One page of the audit log", body = AuditEntryPage))
)]
#[get("/audit-log")]
async fn list_audit_log(call: Call<AuditRead, ListQuery<AuditList>>) -> Result<HttpResponse, ApiError> {
    let request = call.list_request().await?;
    let page = audit_log::list(call.app(), call.caller(), call.query().into(), request).await?;
    call.page(page, |entry| Ok(AuditEntryView::from(entry))).await
}
