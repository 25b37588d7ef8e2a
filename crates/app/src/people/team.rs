//! Who belongs to a workspace, and as what.

use std::collections::HashMap;

use gatepost_kernel::{Error, MemberId, Page, Result, Timestamp, WorkspaceId};
use gatepost_people::{Member, Membership, Role};
use gatepost_storage::{MemberChanges, MembershipFilter};
use serde_json::{Map, json};

use super::{MEMBER, require_team_admin};
use crate::{App, Caller, UnitOfWork, lists::ListRequest};

/// A member of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamMember {
    /// The account.
    pub member: Member,
    /// Role in the workspace.
    pub role: Role,
    /// When the member joined the workspace.
    pub joined_at: Timestamp,
}

impl TeamMember {
    fn new(member: Member, membership: Membership) -> Self {
        Self { member, role: membership.role, joined_at: membership.created_at }
    }
}

/// One page of the members of the workspace; all, or those of one role.
///
/// # Errors
/// [`Error::AccessDenied`] without the scope `team:admin`; [`Error::Unavailable`].
pub async fn list(
    app: &App,
    caller: &Caller,
    role: Option<Role>,
    request: ListRequest,
) -> Result<Page<TeamMember>> {
    require_team_admin(caller)?;
    let filter = MembershipFilter { workspace_id: caller.workspace_id(), role };
    app.read_snapshot(async move |mut tx| {
        let Page { items, window, total, next, fitting } = tx.membership_list(&filter, &request).await?;
        let ids: Vec<MemberId> = items.iter().map(|membership| membership.member_id).collect();
        let members = tx.members_by_id(&ids).await?;
        let mut members: HashMap<MemberId, Member> =
            members.into_iter().map(|member| (member.id, member)).collect();
        let team = items.into_iter().filter_map(|membership| {
            members.remove(&membership.member_id).map(|member| TeamMember::new(member, membership))
        });
        Ok(Page { items: team.collect(), window, total, next, fitting })
    })
    .await
}

/// A member of the workspace.
///
/// # Errors
/// [`Error::NotFound`], also for members of other workspaces; otherwise as [`list`].
pub async fn get(app: &App, caller: &Caller, id: MemberId) -> Result<TeamMember> {
    require_team_admin(caller)?;
    let workspace = caller.workspace_id();
    app.read(async move |mut tx| {
        let membership = tx.membership_get(workspace, id).await?.ok_or(Error::NotFound)?;
        let member = tx.member_get(id).await?.ok_or(Error::NotFound)?;
        Ok(TeamMember::new(member, membership))
    })
    .await
}

/// What to change of a member.
#[derive(Debug, Clone, Default)]
pub struct UpdateMember {
    /// Another role in the workspace.
    pub role: Option<Role>,
    /// Whether the account is enabled, in all its workspaces.
    pub enabled: Option<bool>,
}

/// Changes what a member may do.
///
/// # Errors
/// As [`set_role`] and [`set_enabled`].
pub async fn update(unit: &mut UnitOfWork<'_>, id: MemberId, changes: UpdateMember) -> Result<TeamMember> {
    let (mut member, mut membership) = locked(unit, id).await?;
    if let Some(role) = changes.role {
        TeamMember { role: membership.role, .. } = set_role(unit, id, role).await?;
    }
    if let Some(enabled) = changes.enabled {
        member = set_enabled(unit, id, enabled).await?;
    }
    Ok(TeamMember::new(member, membership))
}

/// Makes a member something else in the workspace.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::AccessDenied`] if the caller may not give the role, or take the one that
/// the member has; [`Error::Conflict`] if the workspace would be left without an owner.
pub async fn set_role(unit: &mut UnitOfWork<'_>, id: MemberId, role: Role) -> Result<TeamMember> {
    let (member, before) = locked(unit, id).await?;
    may_grant(unit.app(), unit.caller(), before.workspace_id, role)?;
    if before.role != role {
        keep_an_owner(unit, before).await?;
        unit.tx.membership_set_role(before.workspace_id, id, role).await?;
        let details = Map::from_iter([
            ("from".to_owned(), json!(before.role.as_str())),
            ("to".to_owned(), json!(role.as_str())),
        ]);
        unit.audit(before.workspace_id, "member.role_changed", (MEMBER, id.0), details);
    }
    Ok(TeamMember::new(member, Membership { role, ..before }))
}

/// Takes a member out of the workspace. The account stays, for other workspaces and for an invitation that
/// may come.
///
/// # Errors
/// As [`set_role`].
pub async fn remove(unit: &mut UnitOfWork<'_>, id: MemberId) -> Result<()> {
    let (_, before) = locked(unit, id).await?;
    keep_an_owner(unit, before).await?;
    unit.tx.membership_delete(before.workspace_id, id).await?;
    if unit.tx.memberships_of(id).await?.is_empty() {
        unit.tx.session_delete_of(id, None).await?;
    }
    unit.audit(before.workspace_id, "member.removed", (MEMBER, id.0), Map::new());
    Ok(())
}

/// Leaves the workspace that is shown.
///
/// # Errors
/// [`Error::Conflict`] if the workspace would be left without an owner.
pub async fn leave(unit: &mut UnitOfWork<'_>) -> Result<()> {
    let (workspace, id) = match unit.caller().acting() {
        Some(acting) => (acting.workspace_id, acting.member_id),
        None => return Err(Error::Unauthorized),
    };
    unit.tx.workspace_lock(workspace).await?.ok_or(Error::NotFound)?;
    let membership = unit.tx.membership_get(workspace, id).await?.ok_or(Error::NotFound)?;
    keep_an_owner(unit, membership).await?;
    unit.tx.membership_delete(workspace, id).await?;
    if unit.tx.memberships_of(id).await?.is_empty() {
        unit.tx.session_delete_of(id, None).await?;
    }
    unit.audit(workspace, "member.left", (MEMBER, id.0), Map::new());
    Ok(())
}

/// Disables an account in all its workspaces, and ends its sessions; or enables it again.
///
/// # Errors
/// [`Error::AccessDenied`] for all but the platform: an account may belong to other tenants too;
/// [`Error::NotFound`]; [`Error::Conflict`] if the root workspace would be left without an owner.
pub async fn set_enabled(unit: &mut UnitOfWork<'_>, id: MemberId, enabled: bool) -> Result<Member> {
    let member = account(unit, id).await?;
    if member.disabled_at.is_none() == enabled {
        return Ok(member);
    }
    let memberships = unit.tx.memberships_of(id).await?;
    let of_root = memberships.iter().find(|membership| membership.workspace_id.is_root()).copied();
    if let Some(of_root) = of_root {
        may_grant(unit.app(), unit.caller(), of_root.workspace_id, of_root.role)?;
        if !enabled {
            keep_an_owner(unit, of_root).await?;
        }
    }
    let now = unit.now;
    let changes = MemberChanges { disabled_at: Some((!enabled).then_some(now)), ..MemberChanges::default() };
    let member = unit.tx.member_update(id, changes, now).await?.ok_or(Error::NotFound)?;
    if !enabled {
        unit.tx.session_delete_of(id, None).await?;
    }
    let action = if enabled { "member.enabled" } else { "member.disabled" };
    for membership in memberships {
        unit.audit(membership.workspace_id, action, (MEMBER, id.0), Map::new());
    }
    Ok(member)
}

/// The account of a member, which the platform alone may change. A caller of the root workspace that names no
/// other reaches every account.
///
/// # Errors
/// [`Error::NotFound`], also for members of other workspaces; [`Error::AccessDenied`].
pub(super) async fn account(unit: &mut UnitOfWork<'_>, id: MemberId) -> Result<Member> {
    require_team_admin(unit.caller())?;
    let caller = unit.caller();
    let (workspace, reaches_all) =
        (caller.workspace_id(), caller.is_root() && caller.workspace_id().is_root());
    if !reaches_all {
        unit.tx.membership_get(workspace, id).await?.ok_or(Error::NotFound)?;
    }
    unit.caller().require_root()?;
    unit.tx.member_get(id).await?.ok_or(Error::NotFound)
}

/// A member whom the caller may change, and what they are in the workspace; held until the transaction ends.
async fn locked(unit: &mut UnitOfWork<'_>, id: MemberId) -> Result<(Member, Membership)> {
    require_team_admin(unit.caller())?;
    let workspace = unit.caller().workspace_id();
    // Roles of a workspace are changed one after the other, so that two owners do not remove each other.
    unit.tx.workspace_lock(workspace).await?.ok_or(Error::NotFound)?;
    let membership = unit.tx.membership_get(workspace, id).await?.ok_or(Error::NotFound)?;
    let member = unit.tx.member_get(id).await?.ok_or(Error::NotFound)?;
    may_grant(unit.app(), unit.caller(), workspace, membership.role)?;
    Ok((member, membership))
}

/// Refuses to take the last owner from a workspace.
async fn keep_an_owner(unit: &mut UnitOfWork<'_>, leaving: Membership) -> Result<()> {
    if leaving.role != Role::Owner {
        return Ok(());
    }
    unit.tx.workspace_lock(leaving.workspace_id).await?;
    match unit.tx.active_owner_count(leaving.workspace_id, leaving.member_id).await? {
        0 => Err(Error::Conflict(
            "A workspace keeps at least one owner. Make somebody else one first.".to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Refuses a caller who may not make somebody this in a workspace, or take it from them. Nobody gives what
/// they do not have; owners are made by owners, by the operator, and for tenants by keys of the root
/// workspace: otherwise an admin could make a key that makes them an owner.
pub(super) fn may_grant(app: &App, caller: &Caller, workspace: WorkspaceId, role: Role) -> Result<()> {
    caller.require_all(&app.role_scopes(role))?;
    let may = match (caller.acting(), role) {
        (Some(acting), role) => acting.role.may_grant(role),
        (None, Role::Owner) => caller.is_command_line() || (caller.is_root() && !workspace.is_root()),
        (None, _) => true,
    };
    if may {
        Ok(())
    } else {
        Err(Error::AccessDenied(format!("You may not give or take the role {}.", role.as_str())))
    }
}
