//! The queue of deliveries: who may send what now, and what it came to.
//!
//! A delivery that somebody has is leased: `claim_id` says by which claim, and `due_at` when the lease ends.
//! Only the claim that has it can say what it came to, so a worker that was away for too long cannot
//! overwrite a newer result. What is due is looked for endpoint by endpoint, so that however much waits for
//! one, the others are found at once.

use std::collections::{HashMap, HashSet};

use bytestring::ByteString;
use diesel::{
    ExpressionMethods, JoinOnDsl, NullableExpressionMethods, OptionalExtension, QueryDsl,
    backend::Backend,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Nullable, Text},
};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use gatepost_kernel::{
    Cause, ClaimId, Environment, EventId, Timestamp, WebhookDeliveryId, WebhookEndpointId, WorkspaceId,
};
use gatepost_webhooks::{DeliveryStatus, WebhookAttempt};

use crate::{
    NewEvent, Result, Tx,
    engine::Conn,
    schema::{events, webhook_attempts, webhook_deliveries, webhook_endpoints},
    types::{Bind, Count, Id, Instant, Word, values},
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

/// What waits to be sent, and where to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Deliveries that are due, and that nobody has.
    pub due: u64,
    /// Those that are on their way, or due later.
    pub later: u64,
    /// Since when the oldest of those that are due is.
    pub oldest_due_at: Option<Timestamp>,
    /// Endpoints that take deliveries.
    pub active_endpoints: u64,
    /// Those that take none for now.
    pub inactive_endpoints: u64,
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
    pub payload: ByteString,
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

/// A delivery that could not be sent for an error of our own: it stays what it was, and its claim ends.
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

bulk_statement! {
    /// New deliveries.
    InsertDeliveries returning (Id, Id, Id) =
    "INSERT INTO webhook_deliveries (workspace_id, environment, endpoint_id, event_sequence, event_id, event_type, status, \
     attempts, manual_retries, due_at, claim_id, created_at, updated_at) \
     SELECT w, env, ep, seq, eid, type, 'pending', 0, 0, due, claim, at, at FROM"
    unnest "AS new (w, env, ep, seq, eid, type, due, claim, at) RETURNING id, event_sequence, endpoint_id"
    {
        workspace_id: WorkspaceId => Id,
        environment: Environment => Word,
        endpoint_id: WebhookEndpointId => Id,
        event_sequence: i64 => Id,
        event_id: &'a EventId => Word,
        event_type: &'a str => Text,
        due_at: Timestamp => Instant,
        claim_id: Option<ClaimId> => Nullable<Id>,
        created_at: Timestamp => Instant,
    }
}

bulk_statement! {
    /// What attempts came to, for those that the claim still has.
    UpdateDeliveries returning Id =
    "UPDATE webhook_deliveries AS d SET status = r.status, attempts = r.attempts, due_at = r.due_at, claim_id = NULL, \
     response_code = r.code, error = r.error, delivered_at = r.delivered_at, updated_at = r.ended_at FROM"
    unnest "AS r (id, claim, status, attempts, due_at, code, error, delivered_at, ended_at) \
     WHERE d.id = r.id AND d.claim_id = r.claim RETURNING d.id"
    {
        id: WebhookDeliveryId => Id,
        claim_id: ClaimId => Id,
        status: DeliveryStatus => Word,
        attempts: u32 => Count,
        due_at: Option<Timestamp> => Nullable<Instant>,
        response_code: Option<u16> => Nullable<Count>,
        error: Option<&'a str> => Nullable<Text>,
        delivered_at: Option<Timestamp> => Nullable<Instant>,
        ended_at: Timestamp => Instant,
    }
}

bulk_statement! {
    /// The attempts themselves.
    InsertAttempts returning () =
    "INSERT INTO webhook_attempts (delivery_id, number, started_at, duration_ms, response_code, response_body, error) \
     SELECT * FROM"
    unnest "ON CONFLICT (delivery_id, number) DO NOTHING"
    {
        delivery_id: WebhookDeliveryId => Id,
        number: u32 => Count,
        started_at: Timestamp => Instant,
        duration_ms: u64 => Count,
        response_code: Option<u16> => Nullable<Count>,
        response_body: Option<&'a str> => Nullable<Text>,
        error: Option<&'a str> => Nullable<Text>,
    }
}

/// Every endpoint that something is due for, now or later, and when at the earliest. It goes from endpoint to
/// endpoint along the index, so it takes as many steps as there are endpoints, however many deliveries wait.
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
    type SqlType = (Id, Id, Nullable<Instant>);
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
                    let row = (
                        values!(webhook_deliveries from new => endpoint_id, event_sequence, claim_id),
                        webhook_deliveries::due_at.eq(Bind(Some(new.due_at))),
                        values!(webhook_deliveries from new.event => workspace_id, environment, event_type, created_at),
                        webhook_deliveries::event_id.eq(Bind(&new.event.id)),
                        webhook_deliveries::status.eq(Bind(DeliveryStatus::Pending)),
                        webhook_deliveries::attempts.eq(Bind(0_u32)),
                        webhook_deliveries::manual_retries.eq(Bind(0_u32)),
                        webhook_deliveries::updated_at.eq(Bind(new.event.created_at)),
                    );
                    let insert = diesel::insert_into(webhook_deliveries::table).values(row);
                    let id: WebhookDeliveryId =
                        insert.returning(webhook_deliveries::id).get_result(*c).await?;
                    ids.push(id);
                }
                Ok(ids)
            }
            Conn::Postgres(c) => {
                let mut insert = InsertDeliveries::empty();
                for one in new {
                    insert.workspace_id.push(one.event.workspace_id);
                    insert.environment.push(one.event.environment);
                    insert.endpoint_id.push(one.endpoint_id);
                    insert.event_sequence.push(one.event_sequence);
                    insert.event_id.push(&one.event.id);
                    insert.event_type.push(&one.event.event_type);
                    insert.due_at.push(one.due_at);
                    insert.claim_id.push(one.claim_id);
                    insert.created_at.push(one.event.created_at);
                }
                let stored: Vec<(WebhookDeliveryId, i64, WebhookEndpointId)> = insert.load(*c).await?;
                let ids: HashMap<_, _> =
                    stored.into_iter().map(|(id, event, endpoint)| ((event, endpoint), id)).collect();
                let id = |new: &NewWebhookDelivery<'_>| {
                    let id = ids.get(&(new.event_sequence, new.endpoint_id)).copied();
                    id.ok_or_else(|| missing("a delivery that was inserted"))
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
        let rows: Vec<(WorkspaceId, WebhookEndpointId, Option<Timestamp>)> =
            on_conn!(self, |c| EarliestDue.load(c).await?);
        let mut due: Vec<(Timestamp, WorkspaceId, WebhookEndpointId)> = rows
            .into_iter()
            .filter_map(|(workspace, id, due_at)| Some((due_at?, workspace, id)))
            .filter(|(due_at, ..)| *due_at <= now)
            .collect();
        due.sort();
        Ok(due.into_iter().map(|(_, workspace, id)| (workspace, id)).collect())
    }

    /// What is due for an endpoint at `now`, the longest due first, at most `limit`; each with the instant
    /// since when. It is held until the transaction ends; several processes get different ones. `since`
    /// leaves out what was due before: the caller has been there.
    pub async fn webhook_delivery_lock_due(
        &mut self,
        endpoint: WebhookEndpointId,
        now: Timestamp,
        since: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<(WebhookDeliveryId, Timestamp)>> {
        let since = since.unwrap_or(Timestamp::from_micros(0));
        let due_at = || webhook_deliveries::due_at.assume_not_null();
        let due = webhook_deliveries::table
            .filter(webhook_deliveries::endpoint_id.eq(Bind(endpoint)))
            .filter(webhook_deliveries::due_at.is_not_null())
            .filter(due_at().le(Bind(now)))
            .filter(due_at().ge(Bind(since)))
            .order(webhook_deliveries::due_at)
            .limit(limit.into())
            .select((webhook_deliveries::id, due_at()));
        Ok(match &mut self.0 {
            // SQLite's one writer is already alone.
            Conn::Sqlite(c) => due.load(*c).await?,
            Conn::Postgres(c) => due.for_update().skip_locked().load(*c).await?,
        })
    }

    /// Takes deliveries that this transaction holds: they are this claim's until `until`.
    pub async fn webhook_delivery_claim(
        &mut self,
        claim: ClaimId,
        ids: &[WebhookDeliveryId],
        until: Timestamp,
    ) -> Result<Vec<ClaimedDelivery>> {
        type Row = (WebhookDeliveryId, WebhookEndpointId, EventId, u32, String);
        let rows: Vec<Row> = on_conn!(self, |c| {
            diesel::update(
                webhook_deliveries::table.filter(webhook_deliveries::id.eq_any(ids.iter().map(Bind))),
            )
            .set((
                webhook_deliveries::claim_id.eq(Bind(Some(claim))),
                webhook_deliveries::due_at.eq(Bind(Some(until))),
            ))
            .execute(c)
            .await?;
            webhook_deliveries::table
                .inner_join(events::table.on(events::sequence.eq(webhook_deliveries::event_sequence)))
                .filter(webhook_deliveries::id.eq_any(ids.iter().map(Bind)))
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
            id,
            endpoint_id,
            event_id,
            attempts,
            payload: payload.into(),
        };
        Ok(rows.into_iter().map(claimed).collect())
    }

    /// How much waits to be sent, of all workspaces.
    pub async fn webhook_queue_depth(&mut self, now: Timestamp) -> Result<QueueDepth> {
        use diesel::dsl::{count_star, min};
        // What their index alone answers. Those of an inactive endpoint are due only until somebody looks.
        let waiting = webhook_deliveries::table.filter(webhook_deliveries::due_at.is_not_null());
        let (waiting, due, oldest) = on_conn!(self, |c| {
            let due = waiting.filter(webhook_deliveries::due_at.assume_not_null().le(Bind(now)));
            let all: i64 = waiting.select(count_star()).get_result(c).await?;
            let due_now: i64 = due.select(count_star()).get_result(c).await?;
            let oldest: Option<Timestamp> = due.select(min(webhook_deliveries::due_at)).get_result(c).await?;
            (all, due_now, oldest)
        });
        let endpoints: Vec<(bool, i64)> = on_conn!(self, |c| {
            webhook_endpoints::table
                .filter(webhook_endpoints::deleted_at.is_null())
                .group_by(webhook_endpoints::is_active)
                .select((webhook_endpoints::is_active, count_star()))
                .load(c)
                .await?
        });
        let count = |rows: i64| u64::try_from(rows).unwrap_or(0);
        let endpoints = |active| endpoints.iter().filter(|row| row.0 == active).map(|row| count(row.1)).sum();
        Ok(QueueDepth {
            due: count(due),
            later: count(waiting).saturating_sub(count(due)),
            oldest_due_at: oldest,
            active_endpoints: endpoints(true),
            inactive_endpoints: endpoints(false),
        })
    }

    /// Lets what is due for an endpoint at `now` wait until the endpoint is active again.
    pub async fn webhook_delivery_park(
        &mut self,
        endpoint: WebhookEndpointId,
        now: Timestamp,
    ) -> Result<usize> {
        Ok(on_conn!(self, |c| diesel::update(
            webhook_deliveries::table
                .filter(webhook_deliveries::endpoint_id.eq(Bind(endpoint)))
                .filter(webhook_deliveries::due_at.is_not_null())
                .filter(webhook_deliveries::due_at.assume_not_null().le(Bind(now))),
        )
        .set((
            webhook_deliveries::claim_id.eq(Bind(None::<ClaimId>)),
            webhook_deliveries::due_at.eq(Bind(None::<Timestamp>))
        ))
        .execute(c)
        .await?))
    }

    /// Makes everything due that anybody had: for the one process that may serve a file, when it starts.
    pub async fn webhook_delivery_release_all(&mut self, now: Timestamp) -> Result<usize> {
        Ok(on_conn!(self, |c| diesel::update(
            webhook_deliveries::table.filter(webhook_deliveries::claim_id.is_not_null())
        )
        .set((
            webhook_deliveries::claim_id.eq(Bind(None::<ClaimId>)),
            webhook_deliveries::due_at.eq(Bind(Some(now)))
        ))
        .execute(c)
        .await?))
    }

    /// Writes down what attempts came to; those deliveries that their claims still had. Of the others nothing
    /// is written: somebody else has them by now. What is to be tried again waits, if its endpoint is among
    /// the `inactive`.
    pub async fn webhook_delivery_record(
        &mut self,
        results: &[DeliveryResult],
        inactive: &HashSet<WebhookEndpointId>,
    ) -> Result<HashSet<WebhookDeliveryId>> {
        let due_at = |result: &DeliveryResult| {
            result.next_attempt_at.filter(|_| !inactive.contains(&result.endpoint_id))
        };
        let delivered_at =
            |result: &DeliveryResult| (result.status == DeliveryStatus::Success).then_some(result.ended_at);
        let attempt = |result: &DeliveryResult| (result.attempt.response_code, result.attempt.number);
        match &mut self.0 {
            Conn::Sqlite(c) => {
                let mut recorded = HashSet::new();
                for result in results {
                    let (code, number) = attempt(result);
                    let mine = webhook_deliveries::table
                        .find(Bind(result.id))
                        .filter(webhook_deliveries::claim_id.eq(Bind(Some(result.claim_id))));
                    let changed = diesel::update(mine)
                        .set((
                            webhook_deliveries::status.eq(Bind(result.status)),
                            webhook_deliveries::attempts.eq(Bind(number)),
                            webhook_deliveries::due_at.eq(Bind(due_at(result))),
                            webhook_deliveries::claim_id.eq(Bind(None::<ClaimId>)),
                            webhook_deliveries::response_code.eq(Bind(code)),
                            webhook_deliveries::error.eq(Bind(result.attempt.error.as_deref())),
                            webhook_deliveries::delivered_at.eq(Bind(delivered_at(result))),
                            webhook_deliveries::updated_at.eq(Bind(result.ended_at)),
                        ))
                        .execute(*c)
                        .await?;
                    if changed == 0 {
                        continue;
                    }
                    let row = (
                        values!(
                            webhook_attempts from result.attempt => number, started_at, duration_ms, response_code,
                            response_body, error
                        ),
                        webhook_attempts::delivery_id.eq(Bind(result.id)),
                    );
                    diesel::insert_into(webhook_attempts::table)
                        .values(row)
                        .on_conflict((webhook_attempts::delivery_id, webhook_attempts::number))
                        .do_nothing()
                        .execute(*c)
                        .await?;
                    recorded.insert(result.id);
                }
                Ok(recorded)
            }
            Conn::Postgres(c) => {
                let mut update = UpdateDeliveries::empty();
                for result in results {
                    let (code, number) = attempt(result);
                    update.id.push(result.id);
                    update.claim_id.push(result.claim_id);
                    update.status.push(result.status);
                    update.attempts.push(number);
                    update.due_at.push(due_at(result));
                    update.response_code.push(code);
                    update.error.push(result.attempt.error.as_deref());
                    update.delivered_at.push(delivered_at(result));
                    update.ended_at.push(result.ended_at);
                }
                let recorded: Vec<WebhookDeliveryId> = update.load(*c).await?;
                let recorded: HashSet<_> = recorded.into_iter().collect();
                let mut insert = InsertAttempts::empty();
                for result in results.iter().filter(|result| recorded.contains(&result.id)) {
                    let (code, number) = attempt(result);
                    insert.delivery_id.push(result.id);
                    insert.number.push(number);
                    insert.started_at.push(result.attempt.started_at);
                    insert.duration_ms.push(result.attempt.duration_ms);
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
                    .find(Bind(one.id))
                    .filter(webhook_deliveries::claim_id.eq(Bind(Some(one.claim_id)))),
            )
            .set((
                webhook_deliveries::due_at.eq(Bind(due_at)),
                webhook_deliveries::claim_id.eq(Bind(None::<ClaimId>)),
                webhook_deliveries::error.eq(Bind(one.error.as_deref())),
                webhook_deliveries::updated_at.eq(Bind(one.tried_at)),
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

    /// Holds endpoints that are not deleted against changes until the transaction ends; whether deliveries go
    /// to each.
    pub async fn webhook_endpoint_hold(
        &mut self,
        ids: &[WebhookEndpointId],
    ) -> Result<HashMap<WebhookEndpointId, bool>> {
        let wanted = webhook_endpoints::table
            .filter(webhook_endpoints::id.eq_any(ids.iter().map(Bind)))
            .filter(webhook_endpoints::deleted_at.is_null())
            .order(webhook_endpoints::id)
            .select((webhook_endpoints::id, webhook_endpoints::is_active));
        let found: Vec<(WebhookEndpointId, bool)> = match &mut self.0 {
            // SQLite's one writer is already alone.
            Conn::Sqlite(c) => wanted.load(*c).await?,
            Conn::Postgres(c) => wanted.for_no_key_update().load(*c).await?,
        };
        Ok(found.into_iter().collect())
    }

    /// What is due at `now` for an endpoint that was deleted has failed.
    pub async fn webhook_delivery_fail_due(
        &mut self,
        endpoint: WebhookEndpointId,
        now: Timestamp,
    ) -> Result<usize> {
        Ok(on_conn!(self, |c| diesel::update(
            webhook_deliveries::table
                .filter(webhook_deliveries::endpoint_id.eq(Bind(endpoint)))
                .filter(webhook_deliveries::due_at.is_not_null())
                .filter(webhook_deliveries::due_at.assume_not_null().le(Bind(now))),
        )
        .set((
            webhook_deliveries::status.eq(Bind(DeliveryStatus::Failed)),
            webhook_deliveries::error.eq("The endpoint was deleted."),
            webhook_deliveries::claim_id.eq(Bind(None::<ClaimId>)),
            webhook_deliveries::due_at.eq(Bind(None::<Timestamp>)),
            webhook_deliveries::updated_at.eq(Bind(now)),
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
        let (successes, failures) = (Bind(tally.successes), Bind(tally.failures));
        let at_end = Bind(tally.failures_at_end);
        let counts = (
            webhook_endpoints::success_count.eq(webhook_endpoints::success_count + successes),
            webhook_endpoints::failure_count.eq(webhook_endpoints::failure_count + failures),
        );
        let endpoint = webhook_endpoints::table.find(Bind(id));
        let consecutive: Option<u64> = match tally.last_success_at {
            Some(at) => on_conn!(self, |c| diesel::update(endpoint)
                .set((
                    counts,
                    webhook_endpoints::consecutive_failures.eq(at_end),
                    webhook_endpoints::last_delivery_at.eq(Bind(Some(at))),
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
        Ok(consecutive.unwrap_or(0))
    }
}

fn missing(what: &str) -> crate::StorageError {
    crate::StorageError::Query(Cause::new(format!("the database did not answer with {what}")))
}
