//! Deliveries: who may send what now, and what it came to.
//!
//! A delivery that somebody has is leased: `claim_id` says by which claim, and `due_at` when the lease ends. Only the claim
//! that has it can say what it came to, so a worker that was away for too long cannot overwrite a newer result.

use diesel::{
    ExpressionMethods, Insertable, JoinOnDsl, NullableExpressionMethods, OptionalExtension, QueryDsl,
    Queryable, Selectable, SelectableHelper,
};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{
    ClaimId, Environment, EventId, Page, PageRequest, Timestamp, WebhookDeliveryId, WebhookEndpointId,
    WorkspaceId,
};

use crate::{
    Result, StorageError, Tx,
    engine::Conn,
    schema::{events, webhook_attempts, webhook_deliveries, webhook_endpoints},
    types::DbTime,
};

/// One event on its way to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookDelivery {
    /// Its number.
    pub id: WebhookDeliveryId,
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// The world.
    pub environment: Environment,
    /// Where it goes.
    pub endpoint_id: WebhookEndpointId,
    /// What it tells of.
    pub event_id: EventId,
    /// What happened.
    pub event_type: String,
    /// `pending`, `retrying`, `success` or `failed`.
    pub status: String,
    /// How often it was tried.
    pub attempts: u32,
    /// How often it was tried again by hand.
    pub manual_retries: u32,
    /// When it is tried next, or the lease of whoever has it ends.
    pub due_at: Option<Timestamp>,
    /// Who has it now.
    pub claim_id: Option<ClaimId>,
    /// The last answer's HTTP status.
    pub response_code: Option<u16>,
    /// What went wrong at last, in words.
    pub error: Option<String>,
    /// When it was received.
    pub delivered_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What one attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookAttempt {
    /// Counted from 1.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration_ms: u64,
    /// The answer's HTTP status.
    pub response_code: Option<u16>,
    /// How the answer begins.
    pub response_body: Option<String>,
    /// What went wrong, in words.
    pub error: Option<String>,
}

/// A delivery to be made.
#[derive(Debug, Clone)]
pub struct NewWebhookDelivery {
    /// Where it goes.
    pub endpoint_id: WebhookEndpointId,
    /// The place of its event.
    pub event_sequence: i64,
    /// Who has it from the beginning; nobody, if there is none.
    pub claim_id: Option<ClaimId>,
    /// When it is due, or the end of that lease.
    pub due_at: Timestamp,
}

/// A delivery that a claim has, with the payload.
#[derive(Debug, Clone)]
pub struct ClaimedDelivery {
    /// Its number.
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
    pub status: &'static str,
    /// When it is tried next.
    pub next_attempt_at: Option<Timestamp>,
    /// When the attempt ended.
    pub ended_at: Timestamp,
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

#[derive(Queryable, Selectable)]
#[diesel(table_name = webhook_deliveries)]
struct DeliveryRow {
    id: i64,
    workspace_id: i64,
    environment: String,
    endpoint_id: i64,
    event_id: String,
    event_type: String,
    status: String,
    attempts: i64,
    manual_retries: i64,
    due_at: Option<DbTime>,
    claim_id: Option<i64>,
    response_code: Option<i64>,
    error: Option<String>,
    delivered_at: Option<DbTime>,
    created_at: DbTime,
}

impl TryFrom<DeliveryRow> for WebhookDelivery {
    type Error = StorageError;

    fn try_from(row: DeliveryRow) -> Result<Self> {
        let corrupt = |what: &str| StorageError::Corrupt(format!("{what} of webhook delivery {}", row.id));
        Ok(Self {
            id: WebhookDeliveryId(row.id),
            workspace_id: WorkspaceId(row.workspace_id),
            environment: row.environment.parse().map_err(|_| corrupt("environment"))?,
            endpoint_id: WebhookEndpointId(row.endpoint_id),
            event_id: EventId::from_stored(row.event_id),
            event_type: row.event_type,
            status: row.status,
            attempts: to_u32(row.attempts),
            manual_retries: to_u32(row.manual_retries),
            due_at: row.due_at.map(Into::into),
            claim_id: row.claim_id.map(ClaimId),
            response_code: row.response_code.and_then(|code| u16::try_from(code).ok()),
            error: row.error,
            delivered_at: row.delivered_at.map(Into::into),
            created_at: row.created_at.into(),
        })
    }
}

fn to_u32(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
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

#[derive(Insertable, Queryable, Selectable)]
#[diesel(table_name = webhook_attempts)]
struct AttemptRow {
    delivery_id: i64,
    number: i64,
    started_at: DbTime,
    duration_ms: i64,
    response_code: Option<i64>,
    response_body: Option<String>,
    error: Option<String>,
}

impl Tx<'_> {
    /// Makes a delivery of an event that was stored in this transaction; its number.
    pub async fn webhook_delivery_insert(
        &mut self,
        new: &NewWebhookDelivery,
        event: &crate::NewEvent,
    ) -> Result<WebhookDeliveryId> {
        let created_at = DbTime::from(event.created_at);
        let row = NewDeliveryRow {
            workspace_id: event.workspace_id.0,
            environment: event.environment.as_str(),
            endpoint_id: new.endpoint_id.0,
            event_sequence: new.event_sequence,
            event_id: event.id.as_str(),
            event_type: &event.event_type,
            status: "pending",
            attempts: 0,
            manual_retries: 0,
            due_at: new.due_at.into(),
            claim_id: new.claim_id.map(|claim| claim.0),
            created_at,
            updated_at: created_at,
        };
        let id: i64 = on_conn!(self, |c| diesel::insert_into(webhook_deliveries::table)
            .values(&row)
            .returning(webhook_deliveries::id)
            .get_result(c)
            .await?);
        Ok(WebhookDeliveryId(id))
    }

    /// Takes deliveries that are due at `now`, the longest due first, but none to `without`: they are this claim's until
    /// `until`. Several processes may do this at once; each gets others.
    pub async fn webhook_delivery_claim(
        &mut self,
        claim: ClaimId,
        now: Timestamp,
        until: Timestamp,
        without: &[WebhookEndpointId],
        limit: u32,
    ) -> Result<Vec<ClaimedDelivery>> {
        type Row = (i64, i64, String, i64, String);
        let (now, until) = (DbTime::from(now), DbTime::from(until));
        let without: Vec<i64> = without.iter().map(|id| id.0).collect();
        let due = webhook_deliveries::table
            .filter(webhook_deliveries::due_at.is_not_null())
            .filter(webhook_deliveries::due_at.assume_not_null().le(now))
            .filter(diesel::dsl::not(webhook_deliveries::endpoint_id.eq_any(without)))
            .order(webhook_deliveries::due_at)
            .limit(limit.into())
            .select(webhook_deliveries::id);
        let ids: Vec<i64> = match &mut self.0 {
            // SQLite's one writer is already alone.
            Conn::Sqlite(c) => due.load(*c).await?,
            Conn::Postgres(c) => due.for_update().skip_locked().load(*c).await?,
        };
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<Row> = on_conn!(self, |c| {
            diesel::update(webhook_deliveries::table.filter(webhook_deliveries::id.eq_any(&ids)))
                .set((webhook_deliveries::claim_id.eq(claim.0), webhook_deliveries::due_at.eq(until)))
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

    /// Gives back what a claim has and will not send; it is due at `due_at`.
    pub async fn webhook_delivery_release(
        &mut self,
        claim: ClaimId,
        ids: &[WebhookDeliveryId],
        due_at: Timestamp,
    ) -> Result<usize> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        Ok(on_conn!(self, |c| diesel::update(
            webhook_deliveries::table
                .filter(webhook_deliveries::id.eq_any(&ids))
                .filter(webhook_deliveries::claim_id.eq(claim.0)),
        )
        .set((
            webhook_deliveries::claim_id.eq(None::<i64>),
            webhook_deliveries::due_at.eq(DbTime::from(due_at))
        ))
        .execute(c)
        .await?))
    }

    /// Gives back what a claim has of endpoints that are not active; it waits until they are.
    pub async fn webhook_delivery_park(
        &mut self,
        claim: ClaimId,
        ids: &[WebhookDeliveryId],
    ) -> Result<usize> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        Ok(on_conn!(self, |c| diesel::update(
            webhook_deliveries::table
                .filter(webhook_deliveries::id.eq_any(&ids))
                .filter(webhook_deliveries::claim_id.eq(claim.0)),
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

    /// Writes down what an attempt came to, and whether the claim still had the delivery; if not, nothing is written.
    /// What is to be tried again waits, if its endpoint is no longer active.
    pub async fn webhook_delivery_record(
        &mut self,
        result: &DeliveryResult,
        is_active: bool,
    ) -> Result<bool> {
        let ended_at = DbTime::from(result.ended_at);
        let delivered_at = (result.status == "success").then_some(ended_at);
        let due_at = result.next_attempt_at.filter(|_| is_active).map(DbTime::from);
        let code = result.attempt.response_code.map(i64::from);
        let changed = on_conn!(self, |c| diesel::update(
            webhook_deliveries::table
                .find(result.id.0)
                .filter(webhook_deliveries::claim_id.eq(result.claim_id.0)),
        )
        .set((
            webhook_deliveries::status.eq(result.status),
            webhook_deliveries::attempts.eq(i64::from(result.attempt.number)),
            webhook_deliveries::due_at.eq(due_at),
            webhook_deliveries::claim_id.eq(None::<i64>),
            webhook_deliveries::response_code.eq(code),
            webhook_deliveries::error.eq(result.attempt.error.as_deref()),
            webhook_deliveries::delivered_at.eq(delivered_at),
            webhook_deliveries::updated_at.eq(ended_at),
        ))
        .execute(c)
        .await?);
        if changed == 0 {
            return Ok(false);
        }
        let row = AttemptRow {
            delivery_id: result.id.0,
            number: result.attempt.number.into(),
            started_at: result.attempt.started_at.into(),
            duration_ms: to_i64(result.attempt.duration_ms),
            response_code: code,
            response_body: result.attempt.response_body.clone(),
            error: result.attempt.error.clone(),
        };
        on_conn!(self, |c| diesel::insert_into(webhook_attempts::table)
            .values(&row)
            .on_conflict((webhook_attempts::delivery_id, webhook_attempts::number))
            .do_nothing()
            .execute(c)
            .await?);
        Ok(true)
    }

    /// Whether deliveries go to an endpoint; false if it is deleted.
    pub async fn webhook_endpoint_is_active(&mut self, id: WebhookEndpointId) -> Result<bool> {
        let active: Option<bool> = on_conn!(self, |c| webhook_endpoints::table
            .find(id.0)
            .select(webhook_endpoints::is_active)
            .first(c)
            .await
            .optional())?;
        Ok(active == Some(true))
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

    /// A delivery of an endpoint by its number, held against changes by others until the transaction ends if `lock`.
    pub async fn webhook_delivery_get(
        &mut self,
        endpoint: WebhookEndpointId,
        id: WebhookDeliveryId,
        lock: bool,
    ) -> Result<Option<WebhookDelivery>> {
        let found =
            webhook_deliveries::table.find(id.0).filter(webhook_deliveries::endpoint_id.eq(endpoint.0));
        let row: Option<DeliveryRow> = match &mut self.0 {
            Conn::Sqlite(c) => found.select(DeliveryRow::as_select()).first(*c).await.optional()?,
            Conn::Postgres(c) if lock => {
                found.select(DeliveryRow::as_select()).for_no_key_update().first(*c).await.optional()?
            }
            Conn::Postgres(c) => found.select(DeliveryRow::as_select()).first(*c).await.optional()?,
        };
        row.map(TryInto::try_into).transpose()
    }

    /// What the attempts of a delivery came to, the first first.
    pub async fn webhook_attempt_list(&mut self, id: WebhookDeliveryId) -> Result<Vec<WebhookAttempt>> {
        let rows: Vec<AttemptRow> = on_conn!(self, |c| webhook_attempts::table
            .filter(webhook_attempts::delivery_id.eq(id.0))
            .order(webhook_attempts::number)
            .select(AttemptRow::as_select())
            .load(c)
            .await?);
        let attempt = |row: AttemptRow| WebhookAttempt {
            number: to_u32(row.number),
            started_at: row.started_at.into(),
            duration_ms: row.duration_ms.unsigned_abs(),
            response_code: row.response_code.and_then(|code| u16::try_from(code).ok()),
            response_body: row.response_body,
            error: row.error,
        };
        Ok(rows.into_iter().map(attempt).collect())
    }

    /// One page of an endpoint's deliveries, the newest first.
    pub async fn webhook_delivery_list(
        &mut self,
        endpoint: WebhookEndpointId,
        status: Option<&str>,
        page: PageRequest,
    ) -> Result<Page<WebhookDelivery>> {
        let (rows, total): (Vec<DeliveryRow>, i64) = on_conn!(self, |c, Db| {
            let matching = || {
                let query = webhook_deliveries::table
                    .filter(webhook_deliveries::endpoint_id.eq(endpoint.0))
                    .into_boxed::<Db>();
                match status {
                    Some(status) => query.filter(webhook_deliveries::status.eq(status)),
                    None => query,
                }
            };
            let total = matching().count().get_result(c).await?;
            let rows = matching()
                .order(webhook_deliveries::id.desc())
                .limit(page.limit())
                .offset(page.offset())
                .select(DeliveryRow::as_select())
                .load(c)
                .await?;
            (rows, total)
        });
        let items = rows.into_iter().map(TryInto::try_into).collect::<Result<_>>()?;
        Ok(Page { items, request: page, total: total.unsigned_abs() })
    }

    /// Makes a delivery that has ended, or waits for its next attempt, due once more by hand.
    pub async fn webhook_delivery_retry(
        &mut self,
        id: WebhookDeliveryId,
        due_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<()> {
        on_conn!(self, |c| diesel::update(webhook_deliveries::table.find(id.0))
            .set((
                webhook_deliveries::status.eq("pending"),
                webhook_deliveries::manual_retries.eq(webhook_deliveries::manual_retries + 1),
                webhook_deliveries::due_at.eq(due_at.map(DbTime::from)),
                webhook_deliveries::updated_at.eq(DbTime::from(now)),
            ))
            .execute(c)
            .await?);
        Ok(())
    }

    /// Deletes deliveries that ended before `before`, with their attempts, at most `limit`; how many.
    pub async fn webhook_delivery_delete_before(&mut self, before: Timestamp, limit: u32) -> Result<usize> {
        let before = DbTime::from(before);
        Ok(on_conn!(self, |c| {
            let old: Vec<i64> = webhook_deliveries::table
                .filter(webhook_deliveries::due_at.is_null())
                .filter(webhook_deliveries::updated_at.lt(before))
                .filter(webhook_deliveries::status.eq_any(["success", "failed"]))
                .order(webhook_deliveries::updated_at)
                .limit(limit.into())
                .select(webhook_deliveries::id)
                .load(c)
                .await?;
            if old.is_empty() {
                return Ok(0);
            }
            diesel::delete(webhook_attempts::table.filter(webhook_attempts::delivery_id.eq_any(&old)))
                .execute(c)
                .await?;
            diesel::delete(webhook_deliveries::table.filter(webhook_deliveries::id.eq_any(&old)))
                .execute(c)
                .await?
        }))
    }
}
