//! `/audit-log`

use gatepost_app::audit_log::{self, ListAuditLog};
use gatepost_macros::operation;

use crate::{
    answer::{Answer, PageOf},
    audit_log_wire::AuditEntryView,
    call::Call,
    lists::ListQuery,
    operation::{Operation, Tag},
    scopes::AuditRead,
};

/// The operations.
pub const OPERATIONS: &[Operation] = &[LIST_AUDIT_LOG];

const TAG: Tag = Tag { name: "Audit log", about: "A log of every change: who changed what and when." };

/// List the audit log
///
/// Every change in the workspace, the newest first, with who made it and in which request.
#[operation(get "/audit-log", tag = TAG, ok = "One page of the audit log")]
async fn list_audit_log(call: Call<AuditRead, ListQuery<AuditEntryView>>) -> Answer<PageOf<AuditEntryView>> {
    let (request, filters) = (call.list_request().await?, &call.query().filters);
    let query = ListAuditLog {
        action: filters.action.clone(),
        target_type: filters.target_type.clone(),
        target_id: filters.target_id.map(|id| id.0),
        request_id: filters.request_id.clone(),
    };
    let page = audit_log::list(call.app(), call.caller(), query, request).await?;
    call.page(page, |entry| Ok(AuditEntryView::from(entry))).await
}
