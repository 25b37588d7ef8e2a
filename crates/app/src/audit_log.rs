//! Reading the audit log.

use gatepost_kernel::{Page, PageRequest, Result};

use crate::{App, AuditEntry, Caller};

/// One page of the log of the workspace that is acted on, in the caller's world, the newest first.
///
/// # Errors
/// [`gatepost_kernel::Error::Unavailable`].
pub async fn list(app: &App, caller: &Caller, page: PageRequest) -> Result<Page<AuditEntry>> {
    let (workspace, environment) = (caller.workspace_id(), caller.environment());
    app.read_snapshot(async move |mut tx| Ok(tx.audit_entry_list(workspace, environment, page).await?)).await
}
