//! Deliveries as people see them, and retention. Who may send what now is in `webhook_queue`.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper,
};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{
    ClaimId, Environment, EventId, Page, Position, Timestamp, WebhookDeliveryId, WebhookEndpointId,
    WorkspaceId,
};
use gatepost_webhooks::DeliveryStatus;

use crate::{
    Result, StorageError, Tx,
    engine::Conn,
    list::{self, FirstOfEach, ListRequest, SortKey, load_list, narrow},
    schema::{webhook_attempts, webhook_deliveries},
    types::{DbTime, to_u32},
};

/// What deliveries can be sorted by.
pub const WEBHOOK_DELIVERY_SORTS: &[SortKey] = &[SortKey::new("created_at", "webhook_deliveries.created_at")];

/// Which deliveries to list.
#[derive(Debug, Clone)]
pub struct WebhookDeliveryFilter {
    /// Of this endpoint.
    pub endpoint_id: WebhookEndpointId,
    /// One status only.
    pub status: Option<DeliveryStatus>,
    /// Of one type of event only.
    pub event_type: Option<String>,
    /// Of one event only.
    pub event_id: Option<EventId>,
}

/// One event on its way to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookDelivery {
    /// Numeric id of the delivery.
    pub id: WebhookDeliveryId,
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// Environment: `live` or `test`.
    pub environment: Environment,
    /// Where it goes.
    pub endpoint_id: WebhookEndpointId,
    /// What it tells of.
    pub event_id: EventId,
    /// What happened.
    pub event_type: String,
    /// State of the delivery.
    pub status: DeliveryStatus,
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
        let corrupt = |what: &str| StorageError::corrupt(format!("{what} of webhook delivery {}", row.id));
        Ok(Self {
            id: WebhookDeliveryId(row.id),
            workspace_id: WorkspaceId(row.workspace_id),
            environment: row.environment.parse().map_err(|_| corrupt("environment"))?,
            endpoint_id: WebhookEndpointId(row.endpoint_id),
            event_id: EventId::from_stored(row.event_id),
            event_type: row.event_type,
            status: DeliveryStatus::parse(&row.status).ok_or_else(|| corrupt("status"))?,
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

#[derive(Queryable, Selectable)]
#[diesel(table_name = webhook_attempts)]
struct AttemptRow {
    number: i64,
    started_at: DbTime,
    duration_ms: i64,
    response_code: Option<i64>,
    response_body: Option<String>,
    error: Option<String>,
}

impl Tx<'_> {
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

    /// One page of an endpoint's deliveries.
    pub async fn webhook_delivery_list(
        &mut self,
        filter: &WebhookDeliveryFilter,
        request: &ListRequest,
    ) -> Result<Page<WebhookDelivery>> {
        let (rows, total, fitting): (Vec<DeliveryRow>, Option<i64>, Option<u32>) = on_conn!(self, |c, Db| {
            load_list!(c, request, webhook_deliveries.id, DeliveryRow, || {
                let mut query = webhook_deliveries::table
                    .filter(webhook_deliveries::endpoint_id.eq(filter.endpoint_id.0))
                    .into_boxed::<Db>();
                if let Some(status) = filter.status {
                    query = query.filter(webhook_deliveries::status.eq(status.as_str()));
                }
                if let Some(event_type) = &filter.event_type {
                    query = query.filter(webhook_deliveries::event_type.eq(event_type));
                }
                if let Some(event_id) = &filter.event_id {
                    query = query.filter(webhook_deliveries::event_id.eq(event_id.as_str()));
                }
                narrow!(query, request, webhook_deliveries::created_at, log webhook_deliveries::id);
                query
            })
        });
        let items = rows.into_iter().map(TryInto::try_into).collect::<Result<_>>()?;
        let position = |row: &WebhookDelivery| Some(Position { at: row.created_at, id: row.id.0 });
        Ok(list::page(items, (total, fitting), request, position))
    }

    /// The newest deliveries of each of some endpoints, at most `limit` each.
    pub async fn webhook_delivery_newest_of_each(
        &mut self,
        endpoints: &[WebhookEndpointId],
        limit: u32,
    ) -> Result<Vec<WebhookDelivery>> {
        let owners = endpoints.iter().map(|id| id.0).collect();
        let order = "created_at DESC, id DESC";
        let newest =
            FirstOfEach::new(("webhook_deliveries", "endpoint_id"), "id IS NOT NULL", order, limit, owners);
        let rows: Vec<DeliveryRow> = on_conn!(self, |c| {
            let ids: Vec<i64> = newest.load(c).await?;
            webhook_deliveries::table
                .filter(webhook_deliveries::id.eq_any(ids))
                .order((webhook_deliveries::created_at.desc(), webhook_deliveries::id.desc()))
                .select(DeliveryRow::as_select())
                .load(c)
                .await?
        });
        rows.into_iter().map(TryInto::try_into).collect()
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
                webhook_deliveries::status.eq(DeliveryStatus::Pending.as_str()),
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
            let old: Vec<i64> =
                webhook_deliveries::table
                    .filter(webhook_deliveries::due_at.is_null())
                    .filter(webhook_deliveries::updated_at.lt(before))
                    .filter(webhook_deliveries::status.eq_any(
                        [DeliveryStatus::Success, DeliveryStatus::Failed].map(DeliveryStatus::as_str),
                    ))
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
