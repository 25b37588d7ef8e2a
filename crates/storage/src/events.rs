//! Events: what happened, kept for whoever wants to be told.

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper,
};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{Environment, EventId, Page, PageRequest, Timestamp, WorkspaceId};

use crate::{
    Result, Tx,
    schema::{events, webhook_deliveries},
    types::DbTime,
};

/// An event to be kept.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its id; unique in its workspace and world.
    pub id: EventId,
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// The world.
    pub environment: Environment,
    /// What happened, e.g. `api_key.created`.
    pub event_type: String,
    /// The bytes that are signed and sent, a JSON object; never with a secret.
    pub payload: String,
    /// When.
    pub created_at: Timestamp,
}

/// An event that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the order in which events were stored.
    pub sequence: i64,
    /// Its id.
    pub id: EventId,
    /// What happened.
    pub event_type: String,
    /// The bytes that are signed and sent.
    pub payload: String,
    /// When.
    pub created_at: Timestamp,
}

#[derive(Insertable)]
#[diesel(table_name = events)]
struct NewEventRow<'a> {
    workspace_id: i64,
    environment: &'a str,
    id: &'a str,
    event_type: &'a str,
    payload: &'a str,
    created_at: DbTime,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = events)]
struct EventRow {
    sequence: i64,
    id: String,
    event_type: String,
    payload: String,
    created_at: DbTime,
}

impl From<EventRow> for StoredEvent {
    fn from(row: EventRow) -> Self {
        Self {
            sequence: row.sequence,
            id: EventId::from_stored(row.id),
            event_type: row.event_type,
            payload: row.payload,
            created_at: row.created_at.into(),
        }
    }
}

impl Tx<'_> {
    /// Keeps an event; its place, or none if its workspace has one with this id already.
    pub async fn event_insert(&mut self, new: &NewEvent) -> Result<Option<i64>> {
        let row = NewEventRow {
            workspace_id: new.workspace_id.0,
            environment: new.environment.as_str(),
            id: new.id.as_str(),
            event_type: &new.event_type,
            payload: &new.payload,
            created_at: new.created_at.into(),
        };
        Ok(on_conn!(self, |c| diesel::insert_into(events::table)
            .values(&row)
            .on_conflict((events::workspace_id, events::environment, events::id))
            .do_nothing()
            .returning(events::sequence)
            .get_result(c)
            .await
            .optional())?)
    }

    /// An event of a workspace and world by its id.
    pub async fn event_get(
        &mut self,
        workspace: WorkspaceId,
        environment: Environment,
        id: &EventId,
    ) -> Result<Option<StoredEvent>> {
        let row: Option<EventRow> = on_conn!(self, |c| events::table
            .filter(events::workspace_id.eq(workspace.0))
            .filter(events::environment.eq(environment.as_str()))
            .filter(events::id.eq(id.as_str()))
            .select(EventRow::as_select())
            .first(c)
            .await
            .optional())?;
        Ok(row.map(Into::into))
    }

    /// One page of a workspace's events in one world, the newest first.
    pub async fn event_list(
        &mut self,
        workspace: WorkspaceId,
        environment: Environment,
        event_type: Option<&str>,
        page: PageRequest,
    ) -> Result<Page<StoredEvent>> {
        let (rows, total): (Vec<EventRow>, i64) = on_conn!(self, |c, Db| {
            let matching = || {
                let query = events::table
                    .filter(events::workspace_id.eq(workspace.0))
                    .filter(events::environment.eq(environment.as_str()))
                    .into_boxed::<Db>();
                match event_type {
                    Some(event_type) => query.filter(events::event_type.eq(event_type)),
                    None => query,
                }
            };
            let total = matching().count().get_result(c).await?;
            let rows = matching()
                .order(events::sequence.desc())
                .limit(page.limit())
                .offset(page.offset())
                .select(EventRow::as_select())
                .load(c)
                .await?;
            (rows, total)
        });
        let items = rows.into_iter().map(Into::into).collect();
        Ok(Page { items, request: page, total: total.unsigned_abs() })
    }

    /// Deletes events from before `before` that no delivery tells of any more, at most `limit`; how many.
    pub async fn event_delete_before(&mut self, before: Timestamp, limit: u32) -> Result<usize> {
        let before = DbTime::from(before);
        Ok(on_conn!(self, |c| {
            let told = diesel::dsl::exists(
                webhook_deliveries::table.filter(webhook_deliveries::event_sequence.eq(events::sequence)),
            );
            let old: Vec<i64> = events::table
                .filter(events::created_at.lt(before))
                .filter(diesel::dsl::not(told))
                .order(events::created_at)
                .limit(limit.into())
                .select(events::sequence)
                .load(c)
                .await?;
            if old.is_empty() {
                return Ok(0);
            }
            diesel::delete(events::table.filter(events::sequence.eq_any(&old))).execute(c).await?
        }))
    }
}
