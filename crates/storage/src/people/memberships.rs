//! Where people belong, and what they may do there.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{MemberId, Page, WorkspaceId};
use gatepost_people::{Membership, Role};

use crate::{
    Result, Tx,
    list::{self, ListRequest, Narrowed, SortKey, load_list, narrow},
    schema::{members, memberships, workspaces},
    types::{Bind, Row, rows, values},
};

/// What the members of a workspace can be sorted by.
pub const MEMBERSHIP_SORTS: &[SortKey] =
    &[SortKey::new("id", "memberships.member_id"), SortKey::new("created_at", "memberships.created_at")];

rows! {
    Membership: memberships { member_id, workspace_id, role, created_at }
}

/// Which members to list.
#[derive(Debug, Clone)]
pub struct MembershipFilter {
    /// Workspace whose members are listed.
    pub workspace_id: WorkspaceId,
    /// Only members of this role, if given.
    pub role: Option<Role>,
}

impl Tx<'_> {
    /// Takes somebody into a workspace; whether they were not in it.
    pub async fn membership_insert(&mut self, new: &Membership) -> Result<bool> {
        let rows = on_conn!(self, |c| diesel::insert_into(memberships::table)
            .values(values!(memberships from new => member_id, workspace_id, role, created_at))
            .on_conflict_do_nothing()
            .execute(c)
            .await?);
        Ok(rows > 0)
    }

    /// What a member is in a workspace.
    pub async fn membership_get(
        &mut self,
        workspace: WorkspaceId,
        member: MemberId,
    ) -> Result<Option<Membership>> {
        let row: Option<Row<Membership>> = on_conn!(self, |c| memberships::table
            .filter(memberships::member_id.eq(Bind(member)))
            .filter(memberships::workspace_id.eq(Bind(workspace)))
            .select(Row::<Membership>::as_select())
            .first(c)
            .await
            .optional())?;
        Ok(row.map(|Row(membership)| membership))
    }

    /// The workspaces of a member that are not deleted, in the order in which the member joined.
    pub async fn memberships_of(&mut self, member: MemberId) -> Result<Vec<Membership>> {
        let rows: Vec<Row<Membership>> =
            on_conn!(self, |c| memberships::table
                .filter(memberships::member_id.eq(Bind(member)))
                .filter(memberships::workspace_id.eq_any(
                    workspaces::table.filter(workspaces::deleted_at.is_null()).select(workspaces::id)
                ))
                .order(memberships::id)
                .select(Row::<Membership>::as_select())
                .load(c)
                .await?);
        Ok(Row::all(rows))
    }

    /// One page of the members of a workspace.
    pub async fn membership_list(
        &mut self,
        filter: &MembershipFilter,
        request: &ListRequest,
    ) -> Result<Page<Membership>> {
        let (rows, total, fitting): (Vec<Row<Membership>>, Option<i64>, Option<u32>) =
            on_conn!(self, |c, Db| {
                load_list!(c, request, memberships.id, Row<Membership>, || {
                    let all =
                        memberships::table.filter(memberships::workspace_id.eq(Bind(filter.workspace_id)));
                    let matching = Narrowed::new(all.into_boxed::<Db>())
                        .when(filter.role, |query, role| query.filter(memberships::role.eq(Bind(role))));
                    narrow!(matching, request, memberships::created_at)
                })
            });
        Ok(list::page(Row::all(rows), (total, fitting), request, |_| None))
    }

    /// How many members a workspace has.
    pub async fn membership_count(&mut self, workspace: WorkspaceId) -> Result<u64> {
        let count: i64 = on_conn!(self, |c| memberships::table
            .filter(memberships::workspace_id.eq(Bind(workspace)))
            .count()
            .get_result(c)
            .await?);
        Ok(count.unsigned_abs())
    }

    /// How many owners of a workspace there are whose account is not disabled, but for one member.
    pub async fn active_owner_count(&mut self, workspace: WorkspaceId, but: MemberId) -> Result<u64> {
        let count: i64 = on_conn!(self, |c| memberships::table
            .filter(memberships::workspace_id.eq(Bind(workspace)))
            .filter(memberships::role.eq(Bind(Role::Owner)))
            .filter(memberships::member_id.ne(Bind(but)))
            .filter(
                memberships::member_id
                    .eq_any(members::table.filter(members::disabled_at.is_null()).select(members::id))
            )
            .count()
            .get_result(c)
            .await?);
        Ok(count.unsigned_abs())
    }

    /// Makes a member something else in a workspace.
    pub async fn membership_set_role(
        &mut self,
        workspace: WorkspaceId,
        member: MemberId,
        role: Role,
    ) -> Result<()> {
        on_conn!(self, |c| diesel::update(
            memberships::table
                .filter(memberships::member_id.eq(Bind(member)))
                .filter(memberships::workspace_id.eq(Bind(workspace)))
        )
        .set(memberships::role.eq(Bind(role)))
        .execute(c)
        .await?);
        Ok(())
    }

    /// Takes a member out of a workspace.
    pub async fn membership_delete(&mut self, workspace: WorkspaceId, member: MemberId) -> Result<()> {
        on_conn!(self, |c| diesel::delete(
            memberships::table
                .filter(memberships::member_id.eq(Bind(member)))
                .filter(memberships::workspace_id.eq(Bind(workspace)))
        )
        .execute(c)
        .await?);
        Ok(())
    }
}
