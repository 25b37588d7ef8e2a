//! Events: what happened, kept for whoever wants to be told.

use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, Selectable, SelectableHelper};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{Environment, EventId, Timestamp, WorkspaceId};
use serde_json::Value;

use crate::{
    Result, Tx,
    schema::events,
    types::{DbJson, DbTime},
};

/// An event to be kept.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its id.
    pub id: EventId,
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// The world.
    pub environment: Environment,
    /// What happened, e.g. `api_key.created`.
    pub event_type: String,
    /// To what; never a secret.
    pub data: Value,
    /// When.
    pub created_at: Timestamp,
}

/// An event that was kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// Its id.
    pub id: EventId,
    /// What happened.
    pub event_type: String,
    /// To what.
    pub data: Value,
    /// When.
    pub created_at: Timestamp,
}

#[derive(Insertable)]
#[diesel(table_name = events)]
struct NewEventRow<'a> {
    id: &'a str,
    workspace_id: i64,
    environment: &'a str,
    event_type: &'a str,
    data: DbJson,
    created_at: DbTime,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = events)]
struct EventRow {
    id: String,
    event_type: String,
    data: DbJson,
    created_at: DbTime,
}

impl Tx<'_> {
    /// Keeps an event.
    pub async fn event_insert(&mut self, new: &NewEvent) -> Result<()> {
        let row = NewEventRow {
            id: new.id.as_str(),
            workspace_id: new.workspace_id.0,
            environment: new.environment.as_str(),
            event_type: &new.event_type,
            data: DbJson(new.data.clone()),
            created_at: new.created_at.into(),
        };
        on_conn!(self, |c| diesel::insert_into(events::table).values(&row).execute(c).await?);
        Ok(())
    }

    /// A workspace's events in one world, the newest first, at most `limit`.
    pub async fn event_list(
        &mut self,
        workspace: WorkspaceId,
        environment: Environment,
        limit: u32,
    ) -> Result<Vec<StoredEvent>> {
        let rows: Vec<EventRow> = on_conn!(self, |c| events::table
            .filter(events::workspace_id.eq(workspace.0))
            .filter(events::environment.eq(environment.as_str()))
            .order((events::created_at.desc(), events::id.desc()))
            .limit(limit.into())
            .select(EventRow::as_select())
            .load(c)
            .await?);
        let event = |row: EventRow| StoredEvent {
            id: EventId::from_stored(row.id),
            event_type: row.event_type,
            data: row.data.0,
            created_at: row.created_at.into(),
        };
        Ok(rows.into_iter().map(event).collect())
    }
}
