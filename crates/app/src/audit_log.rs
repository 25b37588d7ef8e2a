//! The audit log: reading it, and what its entries say of a change.

use std::collections::{BTreeSet, HashMap};

use gatepost_kernel::{MemberId, Page, Result};
use gatepost_storage::{Actor, AuditFilter};
use serde_json::{Map, Value, json};

use crate::{App, AuditEntry, Caller, lists::ListRequest};

/// Which entries to list.
#[derive(Debug, Clone, Default)]
pub struct ListAuditLog {
    /// One action only.
    pub action: Option<String>,
    /// Done to one kind of thing only.
    pub target_type: Option<String>,
    /// Done to the things of one number only.
    pub target_id: Option<i64>,
    /// Done in one request only.
    pub request_id: Option<String>,
}

/// One page of the log of the workspace that is acted on, in the caller's environment. A tenant is told that
/// the platform acted, and no more of it.
///
/// # Errors
/// [`gatepost_kernel::Error::Unavailable`].
pub async fn list(
    app: &App,
    caller: &Caller,
    query: ListAuditLog,
    request: ListRequest,
) -> Result<Page<AuditEntry>> {
    let ListAuditLog { action, target_type, target_id, request_id } = query;
    let (workspace_id, environment) = (caller.workspace_id(), caller.environment());
    let is_for_tenant = !caller.is_root();
    let filter =
        AuditFilter { workspace_id, environment, action, target_type, target_id, request_id, is_for_tenant };
    let page =
        app.read_snapshot(async move |mut tx| Ok(tx.audit_entry_list(&filter, &request).await?)).await?;
    Ok(if caller.is_root() { page } else { page.map(AuditEntry::for_tenant) })
}

/// What the members are called who did something in the log of the workspace. Those of the platform who acted on a
/// tenant stay unnamed.
///
/// # Errors
/// [`gatepost_kernel::Error::Unavailable`].
pub async fn names_of_members(
    app: &App,
    caller: &Caller,
    entries: &[AuditEntry],
) -> Result<HashMap<MemberId, String>> {
    let workspace = caller.workspace_id();
    let acted = entries.iter().filter_map(|entry| match entry.actor {
        Actor::Member(id, of) if of == workspace => Some(id),
        _ => None,
    });
    let ids: Vec<MemberId> = acted.collect::<BTreeSet<_>>().into_iter().collect();
    let members = app.read(async move |mut tx| Ok(tx.members_by_id(&ids).await?)).await?;
    Ok(members.into_iter().map(|member| (member.id, member.name)).collect())
}

/// The names of the fields that a change touches, for the audit log.
pub(crate) fn changed_fields(fields: &[(&str, bool)]) -> Map<String, Value> {
    let names: Vec<Value> =
        fields.iter().filter(|(_, changed)| *changed).map(|(name, _)| json!(name)).collect();
    Map::from_iter([("fields".to_owned(), Value::Array(names))])
}
