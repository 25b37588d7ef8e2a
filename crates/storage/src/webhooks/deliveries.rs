//! Deliveries as people see them, and retention. Who may send what now is in `webhook_queue`.

use diesel::{BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{EventId, Page, Position, Timestamp, WebhookDeliveryId, WebhookEndpointId};
use gatepost_webhooks::{DeliveryStatus, WebhookAttempt, WebhookDelivery};

use crate::{
    Result, Tx,
    engine::Conn,
    list::{self, FirstOfEach, ListRequest, Narrowed, SortKey, load_list, narrow},
    schema::{webhook_attempts, webhook_deliveries},
    types::{Bind, Row, rows},
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

rows! {
    WebhookDelivery: webhook_deliveries {
        id, workspace_id, environment, endpoint_id, event_id, event_type, status, attempts, manual_retries, due_at,
        claim_id, response_code, error, delivered_at, created_at,
    }
    WebhookAttempt: webhook_attempts { number, started_at, duration_ms, response_code, response_body, error }
}

impl Tx<'_> {
    /// A delivery of an endpoint by its number, held against changes by others until the transaction ends if
    /// `lock`.
    pub async fn webhook_delivery_get(
        &mut self,
        endpoint: WebhookEndpointId,
        id: WebhookDeliveryId,
        lock: bool,
    ) -> Result<Option<WebhookDelivery>> {
        let found = webhook_deliveries::table
            .find(Bind(id))
            .filter(webhook_deliveries::endpoint_id.eq(Bind(endpoint)));
        let row: Option<Row<WebhookDelivery>> = match &mut self.0 {
            Conn::Sqlite(c) => {
                found.select(Row::<WebhookDelivery>::as_select()).first(*c).await.optional()?
            }
            Conn::Postgres(c) if lock => found
                .select(Row::<WebhookDelivery>::as_select())
                .for_no_key_update()
                .first(*c)
                .await
                .optional()?,
            Conn::Postgres(c) => {
                found.select(Row::<WebhookDelivery>::as_select()).first(*c).await.optional()?
            }
        };
        Ok(row.map(|Row(delivery)| delivery))
    }

    /// What the attempts of a delivery came to, the first first.
    pub async fn webhook_attempt_list(&mut self, id: WebhookDeliveryId) -> Result<Vec<WebhookAttempt>> {
        let rows: Vec<Row<WebhookAttempt>> = on_conn!(self, |c| webhook_attempts::table
            .filter(webhook_attempts::delivery_id.eq(Bind(id)))
            .order(webhook_attempts::number)
            .select(Row::<WebhookAttempt>::as_select())
            .load(c)
            .await?);
        Ok(Row::all(rows))
    }

    /// One page of an endpoint's deliveries.
    pub async fn webhook_delivery_list(
        &mut self,
        filter: &WebhookDeliveryFilter,
        request: &ListRequest,
    ) -> Result<Page<WebhookDelivery>> {
        let (rows, total, fitting): (Vec<Row<WebhookDelivery>>, Option<i64>, Option<u32>) =
            on_conn!(self, |c, Db| {
                load_list!(c, request, webhook_deliveries.id, Row<WebhookDelivery>, || {
                    let all = webhook_deliveries::table
                        .filter(webhook_deliveries::endpoint_id.eq(Bind(filter.endpoint_id)));
                    let matching = Narrowed::new(all.into_boxed::<Db>())
                        .when(filter.status, |query, status| {
                            query.filter(webhook_deliveries::status.eq(Bind(status)))
                        })
                        .when(filter.event_type.as_ref(), |query, event_type| {
                            query.filter(webhook_deliveries::event_type.eq(Bind(event_type)))
                        })
                        .when(filter.event_id.as_ref(), |query, event_id| {
                            query.filter(webhook_deliveries::event_id.eq(Bind(event_id)))
                        });
                    narrow!(matching, request, webhook_deliveries::created_at, log webhook_deliveries::id)
                })
            });
        let position = |row: &WebhookDelivery| Some(Position { at: row.created_at, id: row.id.0 });
        Ok(list::page(Row::all(rows), (total, fitting), request, position))
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
        let rows: Vec<Row<WebhookDelivery>> = on_conn!(self, |c| {
            let ids: Vec<i64> = newest.load(c).await?;
            webhook_deliveries::table
                .filter(webhook_deliveries::id.eq_any(ids.iter().map(Bind)))
                .order((webhook_deliveries::created_at.desc(), webhook_deliveries::id.desc()))
                .select(Row::<WebhookDelivery>::as_select())
                .load(c)
                .await?
        });
        Ok(Row::all(rows))
    }

    /// Makes a delivery that has ended, or waits for its next attempt, due once more by hand.
    pub async fn webhook_delivery_retry(
        &mut self,
        id: WebhookDeliveryId,
        due_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<()> {
        on_conn!(self, |c| diesel::update(webhook_deliveries::table.find(Bind(id)))
            .set((
                webhook_deliveries::status.eq(Bind(DeliveryStatus::Pending)),
                webhook_deliveries::manual_retries.eq(webhook_deliveries::manual_retries + Bind(1_u32)),
                webhook_deliveries::due_at.eq(Bind(due_at)),
                webhook_deliveries::updated_at.eq(Bind(now)),
            ))
            .execute(c)
            .await?);
        Ok(())
    }

    /// Deletes deliveries that ended before `before`, with their attempts, at most `limit`; how many.
    pub async fn webhook_delivery_delete_before(&mut self, before: Timestamp, limit: u32) -> Result<usize> {
        Ok(on_conn!(self, |c| {
            let old: Vec<i64> = webhook_deliveries::table
                .filter(webhook_deliveries::due_at.is_null())
                .filter(webhook_deliveries::updated_at.lt(Bind(before)))
                .filter(
                    webhook_deliveries::status
                        .eq_any([DeliveryStatus::Success, DeliveryStatus::Failed].map(Bind)),
                )
                .order(webhook_deliveries::updated_at)
                .limit(limit.into())
                .select(webhook_deliveries::id)
                .load(c)
                .await?;
            if old.is_empty() {
                return Ok(0);
            }
            diesel::delete(
                webhook_attempts::table.filter(webhook_attempts::delivery_id.eq_any(old.iter().map(Bind))),
            )
            .execute(c)
            .await?;
            diesel::delete(
                webhook_deliveries::table.filter(webhook_deliveries::id.eq_any(old.iter().map(Bind))),
            )
            .execute(c)
            .await?
        }))
    }
}
