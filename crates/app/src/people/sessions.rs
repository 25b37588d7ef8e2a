//! The browsers in which members of a workspace have signed in, as those see them who manage the team. A
//! session that shows another workspace is that one's business.

use gatepost_kernel::{Error, MemberId, Page, Result, SessionId};
use gatepost_people::Session;
use gatepost_storage::SessionFilter;
use serde_json::{Map, json};

use super::{MEMBER, require_team_admin, team::may_grant};
use crate::{App, Caller, UnitOfWork, lists::ListRequest};

/// One page of the sessions that show the workspace; all, or those of one member.
///
/// # Errors
/// [`Error::AccessDenied`] without the scope `team:admin`; [`Error::Unavailable`].
pub async fn list(
    app: &App,
    caller: &Caller,
    member_id: Option<MemberId>,
    request: ListRequest,
) -> Result<Page<Session>> {
    require_team_admin(caller)?;
    let (now, limits) = (app.now(), app.session_limits());
    let filter = SessionFilter {
        workspace_id: caller.workspace_id(),
        member_id,
        created_after: now.minus(limits.absolute),
        used_after: now.minus(limits.idle),
    };
    app.read_snapshot(async move |mut tx| Ok(tx.session_list(&filter, &request).await?)).await
}

/// Ends a session that shows the workspace.
///
/// # Errors
/// [`Error::NotFound`], also for sessions that show other workspaces or have ended; [`Error::AccessDenied`] if
/// the caller may not take the member's role.
pub async fn end(unit: &mut UnitOfWork<'_>, id: SessionId) -> Result<()> {
    require_team_admin(unit.caller())?;
    let (workspace, now, limits) = (unit.caller().workspace_id(), unit.now, unit.app().session_limits());
    let is_seen = |session: &Session| {
        session.workspace_id == workspace && !session.awaits_second_factor && session.is_live(limits, now)
    };
    let session = unit.tx.session_get(id).await?.filter(is_seen).ok_or(Error::NotFound)?;
    let membership = unit.tx.membership_get(workspace, session.member_id).await?.ok_or(Error::NotFound)?;
    may_grant(unit.app(), unit.caller(), workspace, membership.role)?;
    unit.tx.session_delete(id).await?;
    let details = Map::from_iter([("session_id".to_owned(), json!(id.0))]);
    unit.audit(workspace, "member.session_ended", (MEMBER, session.member_id.0), details);
    Ok(())
}
