//! What of days was leased: of keys, where a key and its successors are one, and of whole workspaces.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use gatepost_kernel::{ApiKeyId, WorkspaceId};

use crate::{Result, Tx, engine::Conn, types::to_i64};

/// Whose day it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeaseHolder {
    /// That of a key; of those that replaced each other, the first one.
    Key(ApiKeyId),
    /// That of all keys of a workspace.
    Workspace(WorkspaceId),
}

impl LeaseHolder {
    /// The lock of PostgreSQL that stands for it: a row that does not exist yet cannot be locked.
    fn lock(self) -> String {
        let (space, id) = match self {
            Self::Key(id) => (727_274, id.0),
            Self::Workspace(id) => (727_275, id.0),
        };
        format!("SELECT pg_advisory_xact_lock({space}, {})", (id ^ (id >> 32)) as i32)
    }
}

/// Runs a query on the table of a holder.
macro_rules! of_holder {
    ($holder:expr, |$leases:ident, $id:ident| $body:expr) => {
        match $holder {
            LeaseHolder::Key(ApiKeyId($id)) => {
                use crate::schema::api_key_day_leases as $leases;
                $body
            }
            LeaseHolder::Workspace(WorkspaceId($id)) => {
                use crate::schema::workspace_day_leases as $leases;
                $body
            }
        }
    };
}

impl Tx<'_> {
    /// Leases up to `block` of a holder's quota of `limit` on a day. Answers what was granted, and what
    /// everyone has leased of that day together.
    pub async fn day_lease(
        &mut self,
        holder: LeaseHolder,
        day: i64,
        block: u64,
        limit: u64,
    ) -> Result<(u64, u64)> {
        let leased = self.day_leased(holder, day).await?;
        let granted = block.min(limit.saturating_sub(leased));
        let total = leased + granted;
        self.day_lease_set(holder, day, total).await?;
        Ok((granted, total))
    }

    /// Notes how much of a day is leased; the caller holds it against other leases.
    pub async fn day_lease_set(&mut self, holder: LeaseHolder, day: i64, total: u64) -> Result<()> {
        let total = to_i64(total);
        let held = of_holder!(holder, |leases, id| on_conn!(self, |c| {
            diesel::update(leases::table.find((id, day))).set(leases::leased.eq(total)).execute(c).await?
        }));
        if held > 0 {
            return Ok(());
        }
        on_conn!(self, |c| match holder {
            LeaseHolder::Key(id) => {
                use crate::schema::api_key_day_leases::dsl;
                let row = (dsl::api_key_id.eq(id.0), dsl::day.eq(day), dsl::leased.eq(total));
                diesel::insert_into(dsl::api_key_day_leases).values(row).execute(c).await?
            }
            LeaseHolder::Workspace(id) => {
                use crate::schema::workspace_day_leases::dsl;
                let row = (dsl::workspace_id.eq(id.0), dsl::day.eq(day), dsl::leased.eq(total));
                diesel::insert_into(dsl::workspace_day_leases).values(row).execute(c).await?
            }
        });
        Ok(())
    }

    /// Gives back what was leased and not spent.
    pub async fn day_lease_release(&mut self, holder: LeaseHolder, day: i64, unspent: u64) -> Result<()> {
        // A lease that is being computed meanwhile would otherwise write over it.
        self.day_leased(holder, day).await?;
        of_holder!(holder, |leases, id| on_conn!(self, |c| {
            diesel::update(leases::table.find((id, day)))
                .set(leases::leased.eq(leases::leased - to_i64(unspent)))
                .execute(c)
                .await?;
        }));
        Ok(())
    }

    /// Deletes leases of days before `day`.
    pub async fn day_lease_delete_before(&mut self, day: i64) -> Result<()> {
        use crate::schema::{api_key_day_leases, workspace_day_leases};
        on_conn!(self, |c| {
            diesel::delete(api_key_day_leases::table.filter(api_key_day_leases::day.lt(day)))
                .execute(c)
                .await?;
            diesel::delete(workspace_day_leases::table.filter(workspace_day_leases::day.lt(day)))
                .execute(c)
                .await?;
        });
        Ok(())
    }

    /// What is leased, held against other leases until the transaction ends.
    pub async fn day_leased(&mut self, holder: LeaseHolder, day: i64) -> Result<u64> {
        if let Conn::Postgres(conn) = &mut self.0 {
            conn.batch_execute(&holder.lock()).await?;
        }
        let leased: Option<i64> = of_holder!(holder, |leases, id| on_conn!(self, |c| leases::table
            .find((id, day))
            .select(leases::leased)
            .first(c)
            .await
            .optional())?);
        Ok(leased.unwrap_or(0).unsigned_abs())
    }
}
