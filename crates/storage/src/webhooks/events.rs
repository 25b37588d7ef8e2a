//! Events: what happened, kept for whoever wants to be told.

use std::collections::HashMap;

use bytestring::ByteString;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper,
    sql_types::{Nullable, Text},
};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{Environment, EventId, Owner, Page, Position, RequestId, Timestamp, WorkspaceId};

use crate::{
    Result, Tx,
    engine::Conn,
    list::{self, ListRequest, Narrowed, SortKey, load_list, narrow},
    schema::{events, webhook_deliveries},
    types::{Bind, Id, Instant, Word, values},
};

/// What events can be sorted by.
pub const EVENT_SORTS: &[SortKey] = &[SortKey::new("created_at", "events.created_at")];

/// An event to be kept.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its id; unique in its workspace and environment.
    pub id: EventId,
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// Environment: `live` or `test`.
    pub environment: Environment,
    /// What happened, e.g. `api_key.created`.
    pub event_type: String,
    /// The bytes that are signed and sent, a JSON object; never with a secret. Clones share them.
    pub payload: ByteString,
    /// When.
    pub created_at: Timestamp,
    /// The request that has caused it.
    pub request_id: Option<RequestId>,
}

impl NewEvent {
    /// The same, caused by this request.
    pub fn of_request(self, id: Option<&RequestId>) -> Self {
        Self { request_id: id.cloned(), ..self }
    }
}

/// An event that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = events)]
pub struct StoredEvent {
    /// Its place in the order in which events were stored.
    pub sequence: i64,
    /// Its id.
    pub id: EventId,
    /// What happened.
    pub event_type: String,
    /// The bytes that are signed and sent; empty in a list that is read without them.
    pub payload: String,
    /// When.
    pub created_at: Timestamp,
    /// The request that has caused it, if one has.
    pub request_id: Option<String>,
}

bulk_statement! {
    /// New events.
    InsertEvents returning (Id, Id, Word, Word) =
    "INSERT INTO events (workspace_id, environment, id, event_type, payload, created_at, request_id) SELECT * FROM"
    unnest "ON CONFLICT (workspace_id, environment, id) DO NOTHING RETURNING sequence, workspace_id, environment, id"
    {
        workspace_id: WorkspaceId => Id,
        environment: Environment => Word,
        id: &'a EventId => Word,
        event_type: &'a str => Text,
        payload: &'a str => Text,
        created_at: Timestamp => Instant,
        request_id: Option<&'a str> => Nullable<Text>,
    }
}

/// How many bytes one statement carries: it is held several times on its way.
const MAX_STATEMENT_BYTES: usize = 4 << 20;

/// The events in their order, in parts that a statement can carry.
fn parts(mut events: &[NewEvent]) -> impl Iterator<Item = &[NewEvent]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |event: &&NewEvent| {
            bytes += event.payload.len();
            bytes <= MAX_STATEMENT_BYTES
        };
        let length = events.iter().take_while(fits).count().max(1).min(events.len());
        let (part, rest) = events.split_at(length);
        events = rest;
        (!part.is_empty()).then_some(part)
    })
}

impl Tx<'_> {
    /// Keeps events, in this order; the place of each, or none if its workspace has one with this id already.
    pub async fn event_insert(&mut self, new: &[NewEvent]) -> Result<Vec<Option<i64>>> {
        macro_rules! insert {
            ($c:expr, $new:expr) => {
                diesel::insert_into(events::table)
                    .values((
                        values!(events from $new => workspace_id, environment, id, event_type, created_at),
                        events::payload.eq(&*$new.payload),
                        events::request_id.eq($new.request_id.as_ref().map(RequestId::as_str)),
                    ))
                    .on_conflict((events::workspace_id, events::environment, events::id))
                    .do_nothing()
                    .returning(events::sequence)
                    .get_result($c)
                    .await
                    .optional()?
            };
        }
        match (&mut self.0, new) {
            (Conn::Sqlite(c), new) => {
                let mut places = Vec::with_capacity(new.len());
                for new in new {
                    places.push(insert!(*c, new));
                }
                Ok(places)
            }
            // Unlike one that unrolls arrays, this statement is planned once.
            (Conn::Postgres(c), [new]) => Ok(vec![insert!(*c, new)]),
            (Conn::Postgres(c), new) => {
                let mut places = Vec::with_capacity(new.len());
                for part in parts(new) {
                    let mut insert = InsertEvents::empty();
                    for new in part {
                        insert.workspace_id.push(new.workspace_id);
                        insert.environment.push(new.environment);
                        insert.id.push(&new.id);
                        insert.event_type.push(&new.event_type);
                        insert.payload.push(&new.payload);
                        insert.created_at.push(new.created_at);
                        insert.request_id.push(new.request_id.as_ref().map(RequestId::as_str));
                    }
                    let stored: Vec<(i64, WorkspaceId, Environment, EventId)> = insert.load(*c).await?;
                    let mut stored: HashMap<_, _> = stored
                        .into_iter()
                        .map(|(sequence, workspace, environment, id)| {
                            ((workspace, environment, id), sequence)
                        })
                        .collect();
                    // The first of several with one id has the place.
                    places.extend(
                        part.iter()
                            .map(|new| stored.remove(&(new.workspace_id, new.environment, new.id.clone()))),
                    );
                }
                Ok(places)
            }
        }
    }

    /// An event of a workspace and environment by its id.
    pub async fn event_get(&mut self, owner: Owner, id: &EventId) -> Result<Option<StoredEvent>> {
        let Owner { workspace_id: workspace, environment } = owner;
        let row: Option<StoredEvent> = on_conn!(self, |c| events::table
            .filter(events::workspace_id.eq(Bind(workspace)))
            .filter(events::environment.eq(Bind(environment)))
            .filter(events::id.eq(Bind(id)))
            .select(StoredEvent::as_select())
            .first(c)
            .await
            .optional())?;
        Ok(row)
    }

    /// One page of a workspace's events in one environment; all, or those of one type.
    pub async fn event_list(
        &mut self,
        owner: Owner,
        event_type: Option<&str>,
        request: &ListRequest,
    ) -> Result<Page<StoredEvent>> {
        let Owner { workspace_id: workspace, environment } = owner;
        let (rows, total, fitting): (Vec<StoredEvent>, Option<i64>, Option<u32>) = on_conn!(self, |c, Db| {
            let select = |payload| {
                (
                    events::sequence,
                    events::id,
                    events::event_type,
                    payload,
                    events::created_at,
                    events::request_id,
                )
            };
            load_list!(c, request, events.sequence, StoredEvent, Text, large "payload" else "''", select, || {
                let all = events::table
                    .filter(events::workspace_id.eq(Bind(workspace)))
                    .filter(events::environment.eq(Bind(environment)));
                let matching = Narrowed::new(all.into_boxed::<Db>())
                    .when(event_type, |query, event_type| query.filter(events::event_type.eq(Bind(event_type))));
                narrow!(matching, request, events::created_at, log events::sequence)
            })
        });
        let position = |row: &StoredEvent| Some(Position { at: row.created_at, id: row.sequence });
        Ok(list::page(rows, (total, fitting), request, position))
    }

    /// Deletes events from before `before` that no delivery tells of any more, at most `limit`; how many.
    pub async fn event_delete_before(&mut self, before: Timestamp, limit: u32) -> Result<usize> {
        Ok(on_conn!(self, |c| {
            let told = diesel::dsl::exists(
                webhook_deliveries::table.filter(webhook_deliveries::event_sequence.eq(events::sequence)),
            );
            let old: Vec<i64> = events::table
                .filter(events::created_at.lt(Bind(before)))
                .filter(diesel::dsl::not(told))
                .order(events::created_at)
                .limit(limit.into())
                .select(events::sequence)
                .load(c)
                .await?;
            if old.is_empty() {
                return Ok(0);
            }
            diesel::delete(events::table.filter(events::sequence.eq_any(old.iter().map(Bind))))
                .execute(c)
                .await?
        }))
    }
}
