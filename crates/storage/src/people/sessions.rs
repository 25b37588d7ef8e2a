//! Browsers in which somebody has signed in. A session that has ended has no row, so what is found may still
//! have outlived its time, which is for the rules to say.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{MemberId, Page, SessionId, Timestamp, WorkspaceId};
use gatepost_people::{MAX_SESSIONS, SecretDigest, Session};

use crate::{
    Result, Tx,
    list::{self, ListRequest, Narrowed, SortKey, load_list, narrow},
    schema::{memberships, sessions},
    types::{Bind, Row, rows, values},
};

/// What sessions can be sorted by.
pub const SESSION_SORTS: &[SortKey] = &[
    SortKey::new("id", "sessions.id"),
    SortKey::new("created_at", "sessions.created_at"),
    SortKey::new("last_used_at", "sessions.last_used_at"),
];

rows! {
    Session: sessions {
        id, member_id, workspace_id, created_at, last_used_at, authenticated_at, awaits_second_factor,
        ip_address, user_agent,
    }
}

/// A session to be made.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Digest of what stands in the cookie.
    pub digest: SecretDigest,
    /// Who has signed in.
    pub member_id: MemberId,
    /// The workspace that is shown.
    pub workspace_id: WorkspaceId,
    /// Whether the second factor is still to come.
    pub awaits_second_factor: bool,
    /// Address of the client.
    pub ip_address: Option<String>,
    /// Value of the browser's `User-Agent` header.
    pub user_agent: Option<String>,
    /// Time of the sign-in.
    pub created_at: Timestamp,
}

/// What is noted of the use of a session.
#[derive(Debug, Clone)]
pub struct SessionUse {
    /// Time of the use.
    pub at: Timestamp,
    /// Address of the client.
    pub ip_address: Option<String>,
}

/// Which sessions to list.
#[derive(Debug, Clone)]
pub struct SessionFilter {
    /// Workspace that is shown.
    pub workspace_id: WorkspaceId,
    /// Only sessions of this member, if given.
    pub member_id: Option<MemberId>,
    /// Only sessions that began after this time.
    pub created_after: Timestamp,
    /// Only sessions that were used after this time.
    pub used_after: Timestamp,
}

impl Tx<'_> {
    /// Makes a session; the member's oldest end if there are too many.
    pub async fn session_insert(&mut self, new: &NewSession) -> Result<Session> {
        let Row(session): Row<Session> = on_conn!(self, |c| {
            let made = diesel::insert_into(sessions::table)
                .values((
                    values!(sessions from new => digest, member_id, workspace_id, created_at),
                    sessions::last_used_at.eq(Bind(new.created_at)),
                    sessions::authenticated_at.eq(Bind(new.created_at)),
                    sessions::awaits_second_factor.eq(new.awaits_second_factor),
                    sessions::ip_address.eq(&new.ip_address),
                    sessions::user_agent.eq(&new.user_agent),
                ))
                .returning(Row::<Session>::as_returning())
                .get_result(c)
                .await?;
            let beyond: Vec<i64> = sessions::table
                .filter(sessions::member_id.eq(Bind(new.member_id)))
                .order(sessions::id.desc())
                .offset(MAX_SESSIONS as i64)
                .limit(MAX_SESSIONS as i64)
                .select(sessions::id)
                .load(c)
                .await?;
            diesel::delete(sessions::table.filter(sessions::id.eq_any(beyond.iter().map(Bind))))
                .execute(c)
                .await?;
            made
        });
        Ok(session)
    }

    /// The session of a cookie.
    pub async fn session_by_digest(&mut self, digest: SecretDigest) -> Result<Option<Session>> {
        let row: Option<Row<Session>> = on_conn!(self, |c| sessions::table
            .filter(sessions::digest.eq(Bind(digest)))
            .select(Row::<Session>::as_select())
            .first(c)
            .await
            .optional())?;
        Ok(row.map(|Row(session)| session))
    }

    /// A session by its number.
    pub async fn session_get(&mut self, id: SessionId) -> Result<Option<Session>> {
        let row: Option<Row<Session>> = on_conn!(self, |c| sessions::table
            .find(Bind(id))
            .select(Row::<Session>::as_select())
            .first(c)
            .await
            .optional())?;
        Ok(row.map(|Row(session)| session))
    }

    /// The sessions of a member, the newest first.
    pub async fn sessions_of(&mut self, member: MemberId) -> Result<Vec<Session>> {
        let rows: Vec<Row<Session>> = on_conn!(self, |c| sessions::table
            .filter(sessions::member_id.eq(Bind(member)))
            .order(sessions::id.desc())
            .select(Row::<Session>::as_select())
            .load(c)
            .await?);
        Ok(Row::all(rows))
    }

    /// One page of the sessions that show a workspace, of its members who have proved who they are.
    pub async fn session_list(
        &mut self,
        filter: &SessionFilter,
        request: &ListRequest,
    ) -> Result<Page<Session>> {
        let (rows, total, fitting): (Vec<Row<Session>>, Option<i64>, Option<u32>) =
            on_conn!(self, |c, Db| {
                load_list!(c, request, sessions.id, Row<Session>, || {
                    let members = memberships::table
                        .filter(memberships::workspace_id.eq(Bind(filter.workspace_id)))
                        .select(memberships::member_id);
                    let all = sessions::table
                        .filter(sessions::workspace_id.eq(Bind(filter.workspace_id)))
                        .filter(sessions::member_id.eq_any(members))
                        .filter(sessions::awaits_second_factor.eq(false))
                        .filter(sessions::created_at.gt(Bind(filter.created_after)))
                        .filter(sessions::last_used_at.gt(Bind(filter.used_after)));
                    let matching = Narrowed::new(all.into_boxed::<Db>())
                        .when(filter.member_id, |query, member| {
                            query.filter(sessions::member_id.eq(Bind(member)))
                        });
                    narrow!(matching, request, sessions::created_at)
                })
            });
        Ok(list::page(Row::all(rows), (total, fitting), request, |_| None))
    }

    /// Notes that a session is used.
    pub async fn session_set_used(&mut self, id: SessionId, used: &SessionUse) -> Result<()> {
        on_conn!(self, |c| diesel::update(sessions::table.find(Bind(id)))
            .set((sessions::last_used_at.eq(Bind(used.at)), sessions::ip_address.eq(&used.ip_address)))
            .execute(c)
            .await?);
        Ok(())
    }

    /// Lets a session go on under another cookie, because the member proved who they are, or because what
    /// they may do has changed; `authenticated_at` only in the first case.
    pub async fn session_renew(
        &mut self,
        id: SessionId,
        digest: SecretDigest,
        authenticated_at: Option<Timestamp>,
    ) -> Result<bool> {
        let rows = on_conn!(self, |c| diesel::update(sessions::table.find(Bind(id)))
            .set((
                sessions::digest.eq(Bind(digest)),
                authenticated_at.map(|at| sessions::authenticated_at.eq(Bind(at))),
                authenticated_at.map(|_| sessions::awaits_second_factor.eq(false)),
            ))
            .execute(c)
            .await?);
        Ok(rows > 0)
    }

    /// Shows another workspace in a session.
    pub async fn session_set_workspace(&mut self, id: SessionId, workspace: WorkspaceId) -> Result<()> {
        on_conn!(self, |c| diesel::update(sessions::table.find(Bind(id)))
            .set(sessions::workspace_id.eq(Bind(workspace)))
            .execute(c)
            .await?);
        Ok(())
    }

    /// Ends a session; whether there was one.
    pub async fn session_delete(&mut self, id: SessionId) -> Result<bool> {
        let rows = on_conn!(self, |c| diesel::delete(sessions::table.find(Bind(id))).execute(c).await?);
        Ok(rows > 0)
    }

    /// Ends all sessions of a member but one, if one is named; how many.
    pub async fn session_delete_of(&mut self, member: MemberId, but: Option<SessionId>) -> Result<usize> {
        let but = but.unwrap_or(SessionId(0));
        Ok(on_conn!(self, |c| diesel::delete(
            sessions::table.filter(sessions::member_id.eq(Bind(member))).filter(sessions::id.ne(Bind(but)))
        )
        .execute(c)
        .await?))
    }

    /// Deletes sessions that were last used before `before`, at most `limit`; how many.
    pub async fn session_delete_before(&mut self, before: Timestamp, limit: u32) -> Result<usize> {
        Ok(on_conn!(self, |c| {
            let old: Vec<i64> = sessions::table
                .filter(sessions::last_used_at.lt(Bind(before)))
                .order(sessions::last_used_at)
                .limit(limit.into())
                .select(sessions::id)
                .load(c)
                .await?;
            diesel::delete(sessions::table.filter(sessions::id.eq_any(old.iter().map(Bind))))
                .execute(c)
                .await?
        }))
    }
}
