//! What is still to be deleted of records whose parent is gone.

use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{Environment, Owner, ResourceTypeId, WorkspaceId};

use super::RecordSet;
use crate::{Result, Tx, schema::record_purges, types::Bind};

/// Records of one parent that are still to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordPurge {
    /// Numeric id of the purge.
    pub id: i64,
    /// Which records: their type, and whose they are.
    pub set: RecordSet,
    /// Id of the parent that was deleted.
    pub parent_id: String,
}

impl Tx<'_> {
    /// Lets the records of a parent that is deleted be deleted later.
    pub async fn record_purge_insert(&mut self, set: RecordSet, parent_id: &str) -> Result<()> {
        on_conn!(self, |c| diesel::insert_into(record_purges::table)
            .values((
                record_purges::type_id.eq(Bind(set.type_id)),
                record_purges::workspace_id.eq(Bind(set.owner.workspace_id)),
                record_purges::environment.eq(Bind(set.owner.environment)),
                record_purges::parent_id.eq(parent_id),
            ))
            .execute(c)
            .await?);
        Ok(())
    }

    /// The oldest purge of one of these types; none if nothing is left to delete.
    pub async fn record_purge_first(&mut self, types: &[ResourceTypeId]) -> Result<Option<RecordPurge>> {
        let types: Vec<Bind<ResourceTypeId>> = types.iter().copied().map(Bind).collect();
        type Found = (i64, ResourceTypeId, WorkspaceId, Environment, String);
        let found: Vec<Found> = on_conn!(self, |c| record_purges::table
            .filter(record_purges::type_id.eq_any(&types))
            .order(record_purges::id)
            .limit(1)
            .load(c)
            .await?);
        Ok(found.into_iter().next().map(|(id, type_id, workspace_id, environment, parent_id)| {
            let set = RecordSet { type_id, owner: Owner::new(workspace_id, environment) };
            RecordPurge { id, set, parent_id }
        }))
    }

    /// Notes that nothing is left of a purge.
    pub async fn record_purge_delete(&mut self, id: i64) -> Result<()> {
        on_conn!(self, |c| diesel::delete(record_purges::table.find(id)).execute(c).await?);
        Ok(())
    }
}
