//! The queue of deliveries: who may send what now, and what it came to.
//!
//! A delivery that somebody has is leased: `claim_id` says by which claim, and `due_at` when the lease ends. Only the claim
//! that has it can say what it came to, so a worker that was away for too long cannot overwrite a newer result. What is due
//! is looked for endpoint by endpoint, so that however much waits for one, the others are found at once.

use std::collections::{HashMap, HashSet};

use diesel::{
    ExpressionMethods, Insertable, JoinOnDsl, NullableExpressionMethods, OptionalExtension, QueryDsl,
    backend::Backend,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{BigInt, Nullable, Text},
};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use gatepost_kernel::{
    Cause, ClaimId, EventId, Timestamp, WebhookDeliveryId, WebhookEndpointId, WorkspaceId,
};
use gatepost_webhooks::DeliveryStatus;

use crate::{
    NewEvent, Result, Tx, WebhookAttempt,
    engine::Conn,
    schema::{events, webhook_attempts, webhook_deliveries, webhook_endpoints},
    types::{DbTime, Instant, to_i64, to_u32},
};

/// A delivery to be made.
#[derive(Debug, Clone)]
pub struct NewWebhookDelivery<'a> {
    /// What it tells of.
    pub event: &'a NewEvent,
    /// The place of that event.
    pub event_sequence: i64,
    /// Where it goes.
    pub endpoint_id: WebhookEndpointId,
    /// Who has it from the beginning; nobody, if there is none.
    pub claim_id: Option<ClaimId>,
    /// When it is due, or the end of that lease.
    pub due_at: Timestamp,
}

/// A delivery that a claim has, with the payload.
#[derive(Debug, Clone)]
pub struct ClaimedDelivery {
    /// Numeric id of the delivery.
    pub id: WebhookDeliveryId,
    /// Where it goes.
    pub endpoint_id: WebhookEndpointId,
    /// What it tells of.
    pub event_id: EventId,
    /// How often it was tried before.
    pub attempts: u32,
    /// The bytes to sign and to send.
    pub payload: String,
}

/// What a claim says of a delivery at the end of an attempt.
#[derive(Debug, Clone)]
pub struct DeliveryResult {
    /// The delivery.
    pub id: WebhookDeliveryId,
    /// Where it went.
    pub endpoint_id: WebhookEndpointId,
    /// The claim that has it.
    pub claim_id: ClaimId,
    /// What the attempt came to.
    pub attempt: WebhookAttempt,
    /// Where the delivery stands now.
    pub status: DeliveryStatus,
    /// When it is tried next.
    pub next_attempt_at: Option<Timestamp>,
    /// When the attempt ended.
    pub ended_at: Timestamp,
}

/// A delivery that could not be sent for a fault of our own: it stays what it was, and its claim ends.
#[derive(Debug, Clone)]
pub struct PostponedDelivery {
    /// The delivery.
    pub id: WebhookDeliveryId,
    /// Where it was to go.
    pub endpoint_id: WebhookEndpointId,
    /// The claim that has it.
    pub claim_id: ClaimId,
    /// What went wrong, in words.
    pub error: Option<String>,
    /// When it is tried next.
    pub next_attempt_at: Timestamp,
    /// When it was tried.
    pub tried_at: Timestamp,
}

/// What results of one endpoint add to its counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndpointTally {
    /// Attempts that were received.
    pub successes: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Attempts that failed since the last that did not; all of them, if none did.
    pub failures_at_end: u64,
    /// When one was last received.
    pub last_success_at: Option<Timestamp>,
}

#[derive(Insertable)]
#[diesel(table_name = webhook_deliveries)]
struct NewDeliveryRow<'a> {
    workspace_id: i64,
    environment: &'a str,
    endpoint_id: i64,
    event_sequence: i64,
    event_id: &'a str,
    event_type: &'a str,
    status: &'a str,
    attempts: i64,
    manual_retries: i64,
    due_at: DbTime,
    claim_id: Option<i64>,
    created_at: DbTime,
    updated_at: DbTime,
}

impl<'a> From<&NewWebhookDelivery<'a>> for NewDeliveryRow<'a> {
    fn from(new: &NewWebhookDelivery<'a>) -> Self {
        let created_at = DbTime::from(new.event.created_at);
        Self {
            workspace_id: new.event.workspace_id.0,
            environment: new.event.environment.as_str(),
            endpoint_id: new.endpoint_id.0,
            event_sequence: new.event_sequence,
            event_id: new.event.id.as_str(),
            event_type: &new.event.event_type,
            status: DeliveryStatus::Pending.as_str(),
            attempts: 0,
            manual_retries: 0,
            due_at: new.due_at.into(),
            claim_id: new.claim_id.map(|claim| claim.0),
            created_at,
            updated_at: created_at,
        }
    }
}

#[derive(Insertable)]
#[diesel(table_name = webhook_attempts)]
struct NewAttemptRow<'a> {
    delivery_id: i64,
    number: i64,
    started_at: DbTime,
    duration_ms: i64,
    response_code: Option<i64>,
    response_body: Option<&'a str>,
    error: Option<&'a str>,
}

bulk_statement! {
    /// New deliveries.
    InsertDeliveries returning (BigInt, BigInt, BigInt) =
    "INSERT INTO webhook_deliveries (workspace_id, environment, endpoint_id, event_sequence, event_id, event_type, status, \
     attempts, manual_retries, due_at, claim_id, created_at, updated_at) \
     SELECT w, env, ep, seq, eid, type, 'pending', 0, 0, due, claim, at, at FROM"
    unnest "AS new (w, env, ep, seq, eid, type, due, claim, at) RETURNING id, event_sequence, endpoint_id"
    {
        workspace_id: i64 => BigInt,
        environment: &'a str => Text,
        endpoint_id: i64 => BigInt,
        event_sequence: i64 => BigInt,
        event_id: &'a str => Text,
        event_type: &'a str => Text,
        due_at: DbTime => Instant,
        claim_id: Option<i64> => Nullable<BigInt>,
        created_at: DbTime => Instant,
    }
}

bulk_statement! {
    /// What attempts came to, for those that the claim still has.
    UpdateDeliveries returning BigInt =
    "UPDATE webhook_deliveries AS d SET status = r.status, attempts = r.attempts, due_at = r.due_at, claim_id = NULL, \
     response_code = r.code, error = r.error, delivered_at = r.delivered_at, updated_at = r.ended_at FROM"
    unnest "AS r (id, claim, status, attempts, due_at, code, error, delivered_at, ended_at) \
     WHERE d.id = r.id AND d.claim_id = r.claim RETURNING d.id"
    {
        id: i64 => BigInt,
        claim_id: i64 => BigInt,
        status: &'a str => Text,
        attempts: i64 => BigInt,
        due_at: Option<DbTime> => Nullable<Instant>,
        response_code: Option<i64> => Nullable<BigInt>,
        error: Option<&'a str> => Nullable<Text>,
        delivered_at: Option<DbTime> => Nullable<Instant>,
        ended_at: DbTime => Instant,
    }
}

bulk_statement! {
    /// The attempts themselves.
    InsertAttempts returning () =
    "INSERT INTO webhook_attempts (delivery_id, number, started_at, duration_ms, response_code, response_body, error) \
     SELECT * FROM"
    unnest "ON CONFLICT (delivery_id, number) DO NOTHING"
    {
        delivery_id: i64 => BigInt,
        number: i64 => BigInt,
        started_at: DbTime => Instant,
        duration_ms: i64 => BigInt,
        response_code: Option<i64> => Nullable<BigInt>,
        response_body: Option<&'a str> => Nullable<Text>,
        error: Option<&'a str> => Nullable<Text>,
    }
}

/// Every endpoint that something is due for, now or later, and when at the earliest. It goes from endpoint to endpoint along
/// the index, so it takes as many steps as there are endpoints, however many deliveries wait.
#[derive(Clone, Copy)]
struct EarliestDue;

impl<DB: Backend> QueryFragment<DB> for EarliestDue {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> diesel::QueryResult<()> {
        out.push_sql(
            "WITH RECURSIVE waiting (endpoint_id) AS ( \
             SELECT min(endpoint_id) FROM webhook_deliveries WHERE due_at IS NOT NULL \
             UNION ALL \
             SELECT (SELECT min(d.endpoint_id) FROM webhook_deliveries d \
                     WHERE d.due_at IS NOT NULL AND d.endpoint_id > waiting.endpoint_id) \
             FROM waiting WHERE waiting.endpoint_id IS NOT NULL) \
             SELECT (SELECT e.workspace_id FROM webhook_endpoints e WHERE e.id = waiting.endpoint_id), \
                    endpoint_id, (SELECT min(d.due_at) FROM webhook_deliveries d \
                                  WHERE d.endpoint_id = waiting.endpoint_id AND d.due_at IS NOT NULL) \
             FROM waiting WHERE endpoint_id IS NOT NULL",
        );
        Ok(())
    }
}

impl QueryId for EarliestDue {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for EarliestDue {
    // Between the two halves the last delivery of an endpoint may have gone.
    type SqlType = (BigInt, BigInt, Nullable<Instant>);
}

impl Tx<'_> {
    /// Makes deliveries of events that were stored in this transaction; their numbers, in the same order.
    pub async fn webhook_delivery_insert(
        &mut self,
        new: &[NewWebhookDelivery<'_>],
    ) -> Result<Vec<WebhookDeliveryId>> {
        match &mut self.0 {
            Conn::Sqlite(c) => {
                let mut ids = Vec::with_capacity(new.len());
                for new in new {
                    let row = NewDeliveryRow::from(new);
                    let insert = diesel::insert_into(webhook_deliveries::table).values(&row);
                    let id: i64 = insert.returning(webhook_deliveries::id).get_result(*c).await?;
                    ids.push(WebhookDeliveryId(id));
                }
                Ok(ids)
            }
            Conn::Postgres(c) => {
                let mut insert = InsertDeliveries::default();
                for row in new.iter().map(NewDeliveryRow::from) {
                    insert.workspace_id.push(row.workspace_id);
                    insert.environment.push(row.environment);
                    insert.endpoint_id.push(row.endpoint_id);
                    insert.event_sequence.push(row.event_sequence);
                    insert.event_id.push(row.event_id);
                    insert.event_type.push(row.event_type);
                    insert.due_at.push(row.due_at);
                    insert.claim_id.push(row.claim_id);
                    insert.created_at.push(row.created_at);
                }
                let stored: Vec<(i64, i64, i64)> = insert.load(*c).await?;
                let ids: HashMap<(i64, i64), i64> =
                    stored.into_iter().map(|(id, event, endpoint)| ((event, endpoint), id)).collect();
                let id = |new: &NewWebhookDelivery<'_>| {
                    let id = ids.get(&(new.event_sequence, new.endpoint_id.0)).copied();
                    id.map(WebhookDeliveryId).ok_or_else(|| missing("a delivery that was inserted"))
                };
                new.iter().map(id).collect()
            }
        }
    }

    /// The endpoints that something is due for at `now`, whoever waited longest first.
    pub async fn webhook_endpoint_list_due(
        &mut self,
        now: Timestamp,
    ) -> Result<Vec<(WorkspaceId, WebhookEndpointId)>> {
        let rows: Vec<(i64, i64, Option<DbTime>)> = on_conn!(self, |c| EarliestDue.load(c).await?);
        let mut due: Vec<(Timestamp, WorkspaceId, WebhookEndpointId)> = rows
            .into_iter()
            .filter_map(|(workspace, id, due_at)| {
                Some((Timestamp::from(due_at?), WorkspaceId(workspace), WebhookEndpointId(id)))
            })
            .filter(|(due_at, ..)| *due_at <= now)
            .collect();
        due.sort();
        Ok(due.into_iter().map(|(_, workspace, id)| (workspace, id)).collect())
    }

    /// What is due for an endpoint at `now`, the longest due first, at most `limit`; each with the instant since when. It is
    /// held until the transaction ends; several processes get different ones. `since` leaves out what was due before: the
    /// caller has been there.
    pub async fn webhook_delivery_lock_due(
        &mut self,
        endpoint: WebhookEndpointId,
        now: Timestamp,
        since: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<(WebhookDeliveryId, Timestamp)>> {
        let since = DbTime::from(since.unwrap_or(Timestamp::from_micros(0)));
        let due_at = || webhook_deliveries::due_at.assume_not_null();
        let due = webhook_deliveries::table
            .filter(webhook_deliveries::endpoint_id.eq(endpoint.0))
            .filter(webhook_deliveries::due_at.is_not_null())
            .filter(due_at().le(DbTime::from(now)))
            .filter(due_at().ge(since))
            .order(webhook_deliveries::due_at)
            .limit(limit.into())
            .select((webhook_deliveries::id, due_at()));
        let rows: Vec<(i64, DbTime)> = match &mut self.0 {
            // SQLite's one writer is already alone.
            Conn::Sqlite(c) => due.load(*c).await?,
            Conn::Postgres(c) => due.for_update().skip_locked().load(*c).await?,
        };
        Ok(rows.into_iter().map(|(id, due_at)| (WebhookDeliveryId(id), due_at.into())).collect())
    }

    /// Takes deliveries that this transaction holds: they are this claim's until `until`.
    pub async fn webhook_delivery_claim(
        &mut self,
        claim: ClaimId,
        ids: &[WebhookDeliveryId],
        until: Timestamp,
    ) -> Result<Vec<ClaimedDelivery>> {
        type Row = (i64, i64, String, i64, String);
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let rows: Vec<Row> = on_conn!(self, |c| {
            diesel::update(webhook_deliveries::table.filter(webhook_deliveries::id.eq_any(&ids)))
                .set((
                    webhook_deliveries::claim_id.eq(claim.0),
                    webhook_deliveries::due_at.eq(DbTime::from(until)),
                ))
                .execute(c)
                .await?;
            webhook_deliveries::table
                .inner_join(events::table.on(events::sequence.eq(webhook_deliveries::event_sequence)))
                .filter(webhook_deliveries::id.eq_any(&ids))
                .order(webhook_deliveries::id)
                .select((
                    webhook_deliveries::id,
                    webhook_deliveries::endpoint_id,
                    webhook_deliveries::event_id,
                    webhook_deliveries::attempts,
                    events::payload,
                ))
                .load(c)
                .await?
        });
        let claimed = |(id, endpoint_id, event_id, attempts, payload): Row| ClaimedDelivery {
            id: WebhookDeliveryId(id),
            endpoint_id: WebhookEndpointId(endpoint_id),
            event_id: EventId::from_stored(event_id),
            attempts: to_u32(attempts),
            payload,
        };
        Ok(rows.into_iter().map(claimed).collect())
    }

    /// Lets what is due for an endpoint at `now` wait until the endpoint is active again.
    pub async fn webhook_delivery_park(
        &mut self,
        endpoint: WebhookEndpointId,
        now: Timestamp,
    ) -> Result<usize> {
        Ok(on_conn!(self, |c| diesel::update(
            webhook_deliveries::table
                .filter(webhook_deliveries::endpoint_id.eq(endpoint.0))
                .filter(webhook_deliveries::due_at.is_not_null())
                .filter(webhook_deliveries::due_at.assume_not_null().le(DbTime::from(now))),
        )
        .set((webhook_deliveries::claim_id.eq(None::<i64>), webhook_deliveries::due_at.eq(None::<DbTime>)))
        .execute(c)
        .await?))
    }

    /// Makes everything due that anybody had: for the one process that may serve a file, when it starts.
    pub async fn webhook_delivery_release_all(&mut self, now: Timestamp) -> Result<usize> {
        Ok(on_conn!(self, |c| diesel::update(
            webhook_deliveries::table.filter(webhook_deliveries::claim_id.is_not_null())
        )
        .set((webhook_deliveries::claim_id.eq(None::<i64>), webhook_deliveries::due_at.eq(DbTime::from(now))))
        .execute(c)
        .await?))
    }

    /// Writes down what attempts came to; those deliveries that their claims still had. Of the others nothing is written:
    /// somebody else has them by now. What is to be tried again waits, if its endpoint is among the `inactive`.
    pub async fn webhook_delivery_record(
        &mut self,
        results: &[DeliveryResult],
        inactive: &HashSet<WebhookEndpointId>,
    ) -> Result<HashSet<WebhookDeliveryId>> {
        let due_at = |result: &DeliveryResult| {
            result.next_attempt_at.filter(|_| !inactive.contains(&result.endpoint_id)).map(DbTime::from)
        };
        let delivered_at = |result: &DeliveryResult| {
            (result.status == DeliveryStatus::Success).then_some(DbTime::from(result.ended_at))
        };
        let attempt = |result: &DeliveryResult| {
            (result.attempt.response_code.map(i64::from), i64::from(result.attempt.number))
        };
        match &mut self.0 {
            Conn::Sqlite(c) => {
                let mut recorded = HashSet::new();
                for result in results {
                    let (code, number) = attempt(result);
                    let mine = webhook_deliveries::table
                        .find(result.id.0)
                        .filter(webhook_deliveries::claim_id.eq(result.claim_id.0));
                    let changed = diesel::update(mine)
                        .set((
                            webhook_deliveries::status.eq(result.status.as_str()),
                            webhook_deliveries::attempts.eq(number),
                            webhook_deliveries::due_at.eq(due_at(result)),
                            webhook_deliveries::claim_id.eq(None::<i64>),
                            webhook_deliveries::response_code.eq(code),
                            webhook_deliveries::error.eq(result.attempt.error.as_deref()),
                            webhook_deliveries::delivered_at.eq(delivered_at(result)),
                            webhook_deliveries::updated_at.eq(DbTime::from(result.ended_at)),
                        ))
                        .execute(*c)
                        .await?;
                    if changed == 0 {
                        continue;
                    }
                    let row = NewAttemptRow {
                        delivery_id: result.id.0,
                        number,
                        started_at: result.attempt.started_at.into(),
                        duration_ms: to_i64(result.attempt.duration_ms),
                        response_code: code,
                        response_body: result.attempt.response_body.as_deref(),
                        error: result.attempt.error.as_deref(),
                    };
                    diesel::insert_into(webhook_attempts::table)
                        .values(&row)
                        .on_conflict((webhook_attempts::delivery_id, webhook_attempts::number))
                        .do_nothing()
                        .execute(*c)
                        .await?;
                    recorded.insert(result.id);
                }
                Ok(recorded)
            }
            Conn::Postgres(c) => {
                let mut update = UpdateDeliveries::default();
                for result in results {
                    let (code, number) = attempt(result);
                    update.id.push(result.id.0);
                    update.claim_id.push(result.claim_id.0);
                    update.status.push(result.status.as_str());
                    update.attempts.push(number);
                    update.due_at.push(due_at(result));
                    update.response_code.push(code);
                    update.error.push(result.attempt.error.as_deref());
                    update.delivered_at.push(delivered_at(result));
                    update.ended_at.push(result.ended_at.into());
                }
                let recorded: Vec<i64> = update.load(*c).await?;
                let recorded: HashSet<_> = recorded.into_iter().map(WebhookDeliveryId).collect();
                let mut insert = InsertAttempts::default();
                for result in results.iter().filter(|result| recorded.contains(&result.id)) {
                    let (code, number) = attempt(result);
                    insert.delivery_id.push(result.id.0);
                    insert.number.push(number);
                    insert.started_at.push(result.attempt.started_at.into());
                    insert.duration_ms.push(to_i64(result.attempt.duration_ms));
                    insert.response_code.push(code);
                    insert.response_body.push(result.attempt.response_body.as_deref());
                    insert.error.push(result.attempt.error.as_deref());
                }
                insert.execute(*c).await?;
                Ok(recorded)
            }
        }
    }

    /// Gives deliveries back that their claims still have, to be tried later. It counts for nothing.
    pub async fn webhook_delivery_postpone(
        &mut self,
        postponed: &[PostponedDelivery],
        inactive: &HashSet<WebhookEndpointId>,
    ) -> Result<()> {
        for one in postponed {
            let due_at = Some(one.next_attempt_at).filter(|_| !inactive.contains(&one.endpoint_id));
            on_conn!(self, |c| diesel::update(
                webhook_deliveries::table
                    .find(one.id.0)
                    .filter(webhook_deliveries::claim_id.eq(one.claim_id.0)),
            )
            .set((
                webhook_deliveries::due_at.eq(due_at.map(DbTime::from)),
                webhook_deliveries::claim_id.eq(None::<i64>),
                webhook_deliveries::error.eq(one.error.as_deref()),
                webhook_deliveries::updated_at.eq(DbTime::from(one.tried_at)),
            ))
            .execute(c)
            .await?);
        }
        Ok(())
    }

    /// Tells other processes, once this transaction is committed, that something is due. SQLite has none.
    pub async fn announce_due(&mut self) -> Result<()> {
        if let Conn::Postgres(c) = &mut self.0 {
            c.batch_execute("NOTIFY gatepost_due").await?;
        }
        Ok(())
    }

    /// Holds endpoints that are not deleted against changes until the transaction ends; whether deliveries go to each.
    pub async fn webhook_endpoint_hold(
        &mut self,
        ids: &[WebhookEndpointId],
    ) -> Result<HashMap<WebhookEndpointId, bool>> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let wanted = webhook_endpoints::table
            .filter(webhook_endpoints::id.eq_any(&ids))
            .filter(webhook_endpoints::deleted_at.is_null())
            .order(webhook_endpoints::id)
            .select((webhook_endpoints::id, webhook_endpoints::is_active));
        let found: Vec<(i64, bool)> = match &mut self.0 {
            // SQLite's one writer is already alone.
            Conn::Sqlite(c) => wanted.load(*c).await?,
            Conn::Postgres(c) => wanted.for_no_key_update().load(*c).await?,
        };
        Ok(found.into_iter().map(|(id, active)| (WebhookEndpointId(id), active)).collect())
    }

    /// What is due at `now` for an endpoint that was deleted has failed.
    pub async fn webhook_delivery_fail_due(
        &mut self,
        endpoint: WebhookEndpointId,
        now: Timestamp,
    ) -> Result<usize> {
        let now = DbTime::from(now);
        Ok(on_conn!(self, |c| diesel::update(
            webhook_deliveries::table
                .filter(webhook_deliveries::endpoint_id.eq(endpoint.0))
                .filter(webhook_deliveries::due_at.is_not_null())
                .filter(webhook_deliveries::due_at.assume_not_null().le(now)),
        )
        .set((
            webhook_deliveries::status.eq(DeliveryStatus::Failed.as_str()),
            webhook_deliveries::error.eq("The endpoint was deleted."),
            webhook_deliveries::claim_id.eq(None::<i64>),
            webhook_deliveries::due_at.eq(None::<DbTime>),
            webhook_deliveries::updated_at.eq(now),
        ))
        .execute(c)
        .await?))
    }

    /// Adds the results of one endpoint to its counts; its consecutive failures afterwards.
    pub async fn webhook_endpoint_tally(
        &mut self,
        id: WebhookEndpointId,
        tally: &EndpointTally,
    ) -> Result<u64> {
        let (successes, failures) = (to_i64(tally.successes), to_i64(tally.failures));
        let at_end = to_i64(tally.failures_at_end);
        let counts = (
            webhook_endpoints::success_count.eq(webhook_endpoints::success_count + successes),
            webhook_endpoints::failure_count.eq(webhook_endpoints::failure_count + failures),
        );
        let endpoint = webhook_endpoints::table.find(id.0);
        let consecutive: Option<i64> = match tally.last_success_at.map(DbTime::from) {
            Some(at) => on_conn!(self, |c| diesel::update(endpoint)
                .set((
                    counts,
                    webhook_endpoints::consecutive_failures.eq(at_end),
                    webhook_endpoints::last_delivery_at.eq(at),
                ))
                .returning(webhook_endpoints::consecutive_failures)
                .get_result(c)
                .await
                .optional())?,
            None => on_conn!(self, |c| diesel::update(endpoint)
                .set((
                    counts,
                    webhook_endpoints::consecutive_failures
                        .eq(webhook_endpoints::consecutive_failures + at_end),
                ))
                .returning(webhook_endpoints::consecutive_failures)
                .get_result(c)
                .await
                .optional())?,
        };
        Ok(consecutive.unwrap_or(0).unsigned_abs())
    }
}

fn missing(what: &str) -> crate::StorageError {
    crate::StorageError::Query(Cause::new(format!("the database did not answer with {what}")))
}
