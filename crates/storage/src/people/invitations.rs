//! Links that take people into workspaces.

use diesel::{BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{InvitationId, MemberId, Page, Timestamp, WorkspaceId};
use gatepost_people::{Email, Invitation, InvitationStatus, Role, SecretDigest};

use crate::{
    Result, Tx,
    list::{self, ListRequest, Narrowed, SortKey, load_list, narrow},
    schema::invitations,
    types::{Bind, Row, rows, values},
};

/// What invitations can be sorted by.
pub const INVITATION_SORTS: &[SortKey] = &[
    SortKey::new("id", "invitations.id"),
    SortKey::new("created_at", "invitations.created_at"),
    SortKey::new("expires_at", "invitations.expires_at"),
];

rows! {
    Invitation: invitations {
        id, workspace_id, email, role, invited_by, created_at, expires_at, accepted_at, revoked_at,
    }
}

/// Which invitations to list.
#[derive(Debug, Clone)]
pub struct InvitationFilter {
    /// Workspace whose invitations are listed.
    pub workspace_id: WorkspaceId,
    /// Only those of this status at this time, if given.
    pub status: Option<(InvitationStatus, Timestamp)>,
}

/// An invitation to be made.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// Who is asked; none where whoever opens the link says who they are.
    pub email: Option<Email>,
    /// Role in the workspace.
    pub role: Role,
    /// Digest of what stands in the link.
    pub digest: SecretDigest,
    /// The member who asks; none if a key or the operator does.
    pub invited_by: Option<MemberId>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time at which the link stops working.
    pub expires_at: Timestamp,
}

impl Tx<'_> {
    /// Makes an invitation.
    pub async fn invitation_insert(&mut self, new: &NewInvitation) -> Result<Invitation> {
        let folded = new.email.as_ref().map(Email::folded);
        let Row(invitation): Row<Invitation> = on_conn!(self, |c| {
            diesel::insert_into(invitations::table)
            .values((
                values!(invitations from new => workspace_id, email, role, digest, invited_by, created_at, expires_at),
                invitations::email_folded.eq(folded),
            ))
            .returning(Row::<Invitation>::as_returning())
            .get_result(c)
            .await?
        });
        Ok(invitation)
    }

    /// An invitation to a workspace by its number.
    pub async fn invitation_get(
        &mut self,
        workspace: WorkspaceId,
        id: InvitationId,
    ) -> Result<Option<Invitation>> {
        let row: Option<Row<Invitation>> = on_conn!(self, |c| invitations::table
            .find(Bind(id))
            .filter(invitations::workspace_id.eq(Bind(workspace)))
            .select(Row::<Invitation>::as_select())
            .first(c)
            .await
            .optional())?;
        Ok(row.map(|Row(invitation)| invitation))
    }

    /// The invitation of a link.
    pub async fn invitation_by_digest(&mut self, digest: SecretDigest) -> Result<Option<Invitation>> {
        let row: Option<Row<Invitation>> = on_conn!(self, |c| invitations::table
            .filter(invitations::digest.eq(Bind(digest)))
            .select(Row::<Invitation>::as_select())
            .first(c)
            .await
            .optional())?;
        Ok(row.map(|Row(invitation)| invitation))
    }

    /// One page of the invitations to a workspace.
    pub async fn invitation_list(
        &mut self,
        filter: &InvitationFilter,
        request: &ListRequest,
    ) -> Result<Page<Invitation>> {
        let (rows, total, fitting): (Vec<Row<Invitation>>, Option<i64>, Option<u32>) =
            on_conn!(self, |c, Db| {
                load_list!(c, request, invitations.id, Row<Invitation>, || {
                    let all =
                        invitations::table.filter(invitations::workspace_id.eq(Bind(filter.workspace_id)));
                    let matching =
                        Narrowed::new(all.into_boxed::<Db>()).when(filter.status, |query, (status, now)| {
                            let open =
                                invitations::accepted_at.is_null().and(invitations::revoked_at.is_null());
                            match status {
                                InvitationStatus::Accepted => {
                                    query.filter(invitations::accepted_at.is_not_null())
                                }
                                InvitationStatus::Revoked => query
                                    .filter(invitations::accepted_at.is_null())
                                    .filter(invitations::revoked_at.is_not_null()),
                                InvitationStatus::Expired => {
                                    query.filter(open).filter(invitations::expires_at.le(Bind(now)))
                                }
                                InvitationStatus::Pending => {
                                    query.filter(open).filter(invitations::expires_at.gt(Bind(now)))
                                }
                            }
                        });
                    narrow!(matching, request, invitations::created_at)
                })
            });
        Ok(list::page(Row::all(rows), (total, fitting), request, |_| None))
    }

    /// Uses an invitation that works at `now`; whether it did. Of several at once one succeeds.
    pub async fn invitation_accept(&mut self, id: InvitationId, now: Timestamp) -> Result<bool> {
        let rows = on_conn!(self, |c| diesel::update(
            invitations::table
                .filter(invitations::id.eq(Bind(id)))
                .filter(invitations::accepted_at.is_null())
                .filter(invitations::revoked_at.is_null())
                .filter(invitations::expires_at.gt(Bind(now)))
        )
        .set(invitations::accepted_at.eq(Bind(Some(now))))
        .execute(c)
        .await?);
        Ok(rows > 0)
    }

    /// Takes back an invitation that nobody has accepted; whether there was one.
    pub async fn invitation_revoke(&mut self, id: InvitationId, now: Timestamp) -> Result<bool> {
        let rows = on_conn!(self, |c| diesel::update(
            invitations::table
                .filter(invitations::id.eq(Bind(id)))
                .filter(invitations::accepted_at.is_null())
                .filter(invitations::revoked_at.is_null())
        )
        .set(invitations::revoked_at.eq(Bind(Some(now))))
        .execute(c)
        .await?);
        Ok(rows > 0)
    }

    /// Takes back all invitations of an address to a workspace that nobody has accepted: the newest link is
    /// the one that works.
    pub async fn invitation_revoke_of(
        &mut self,
        workspace: WorkspaceId,
        email: &Email,
        now: Timestamp,
    ) -> Result<()> {
        on_conn!(self, |c| diesel::update(
            invitations::table
                .filter(invitations::workspace_id.eq(Bind(workspace)))
                .filter(invitations::email_folded.eq(Some(email.folded())))
                .filter(invitations::accepted_at.is_null())
                .filter(invitations::revoked_at.is_null())
        )
        .set(invitations::revoked_at.eq(Bind(Some(now))))
        .execute(c)
        .await?);
        Ok(())
    }
}
