//! Where tenants want to hear of their events. A deleted endpoint keeps its row, for its deliveries' sake,
//! but is not found by any query for people.

use diesel::{BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{ClaimId, Environment, Owner, Page, Secret, Timestamp, WebhookEndpointId, WorkspaceId};
use gatepost_webhooks::{DeliveryStatus, PreviousSecret, WebhookEndpoint};

use crate::{
    Result, StorageError, Tx,
    engine::Conn,
    list::{self, HoldsWords, ListRequest, Narrowed, SortKey, load_list, narrow},
    schema::{webhook_deliveries, webhook_endpoints},
    search_words::Searched,
    types::{Bind, Row, changes, rows, values},
};

/// What endpoints can be sorted by.
pub const WEBHOOK_SORTS: &[SortKey] = &[
    SortKey::new("id", "webhook_endpoints.id"),
    SortKey::new("url", "webhook_endpoints.url"),
    SortKey::new("created_at", "webhook_endpoints.created_at"),
    SortKey::new("updated_at", "webhook_endpoints.updated_at"),
    SortKey::nullable("last_delivery_at", "webhook_endpoints.last_delivery_at"),
];

rows! {
    WebhookEndpoint: webhook_endpoints {
        id, workspace_id, environment, url, description, events, headers as sealed_headers, secret as sealed_secret,
        previous_secrets, is_active, disabled_reason, success_count, failure_count, consecutive_failures,
        last_delivery_at, created_at, updated_at, deleted_at,
    }
}

/// An endpoint to be made. Its secret and headers are set by an update in the same transaction: they are
/// sealed for its id.
#[derive(Debug, Clone)]
pub struct NewWebhookEndpoint {
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// Environment: `live` or `test`.
    pub environment: Environment,
    /// Where its deliveries go.
    pub url: String,
    /// A label for people.
    pub description: Option<String>,
    /// What it wants to hear.
    pub events: Vec<String>,
    /// When it is made.
    pub created_at: Timestamp,
}

/// What to change; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct WebhookEndpointChanges {
    /// Where its deliveries go.
    pub url: Option<String>,
    /// A label; `Some(None)` takes it away.
    pub description: Option<Option<String>>,
    /// What it wants to hear.
    pub events: Option<Vec<String>>,
    /// Headers of the tenant's own, sealed as one.
    pub sealed_headers: Option<Secret>,
    /// The newest secret as it is stored, and those that sign beside it.
    pub secrets: Option<(Secret, Vec<PreviousSecret>)>,
    /// Whether deliveries go there, and why not if the server decided it.
    pub is_active: Option<(bool, Option<String>)>,
}

/// What an endpoint without secrets has in their place.
fn no_secrets() -> (Secret, Secret, Vec<PreviousSecret>) {
    (Secret::new(String::new()), Secret::new(String::new()), Vec::new())
}

impl Tx<'_> {
    /// Makes an endpoint.
    pub async fn webhook_endpoint_insert(&mut self, new: &NewWebhookEndpoint) -> Result<WebhookEndpoint> {
        let (secret, headers, previous_secrets) = no_secrets();
        let Row(endpoint): Row<WebhookEndpoint> = on_conn!(self, |c| {
            diesel::insert_into(webhook_endpoints::table)
            .values((
                values!(webhook_endpoints from new => workspace_id, environment, url, description, events, created_at),
                webhook_endpoints::secret.eq(Bind(&secret)),
                webhook_endpoints::headers.eq(Bind(&headers)),
                webhook_endpoints::previous_secrets.eq(Bind(&previous_secrets)),
                webhook_endpoints::is_active.eq(true),
                webhook_endpoints::success_count.eq(Bind(0_u64)),
                webhook_endpoints::failure_count.eq(Bind(0_u64)),
                webhook_endpoints::consecutive_failures.eq(Bind(0_u64)),
                webhook_endpoints::updated_at.eq(Bind(new.created_at)),
            ))
            .returning(Row::<WebhookEndpoint>::as_returning())
            .get_result(c)
            .await?
        });
        self.webhook_endpoint_found_by(endpoint).await
    }

    /// Lets an endpoint be found by what is said of it now.
    async fn webhook_endpoint_found_by(&mut self, endpoint: WebhookEndpoint) -> Result<WebhookEndpoint> {
        let texts = [endpoint.url.as_str(), endpoint.description.as_deref().unwrap_or_default()];
        self.search_words_set(Searched::WebhookEndpoints, endpoint.workspace_id, endpoint.id.0, &texts)
            .await?;
        Ok(endpoint)
    }

    /// An endpoint of a workspace and environment by its number.
    pub async fn webhook_endpoint_get(
        &mut self,
        owner: Owner,
        id: WebhookEndpointId,
    ) -> Result<Option<WebhookEndpoint>> {
        let Owner { workspace_id: workspace, environment } = owner;
        let row: Option<Row<WebhookEndpoint>> = on_conn!(self, |c| webhook_endpoints::table
            .find(Bind(id))
            .filter(webhook_endpoints::workspace_id.eq(Bind(workspace)))
            .filter(webhook_endpoints::environment.eq(Bind(environment)))
            .filter(webhook_endpoints::deleted_at.is_null())
            .select(Row::<WebhookEndpoint>::as_select())
            .first(c)
            .await
            .optional())?;
        Ok(row.map(|Row(endpoint)| endpoint))
    }

    /// The same, held against changes by others until the transaction ends.
    pub async fn webhook_endpoint_lock(
        &mut self,
        owner: Owner,
        id: WebhookEndpointId,
    ) -> Result<Option<WebhookEndpoint>> {
        let workspace = owner.workspace_id;
        if let Conn::Postgres(c) = &mut self.0 {
            // SQLite's one writer is already alone.
            let locked: Option<WebhookEndpointId> = webhook_endpoints::table
                .find(Bind(id))
                .filter(webhook_endpoints::workspace_id.eq(Bind(workspace)))
                .select(webhook_endpoints::id)
                .for_no_key_update()
                .first(*c)
                .await
                .optional()?;
            if locked.is_none() {
                return Ok(None);
            }
        }
        self.webhook_endpoint_get(owner, id).await
    }

    /// Endpoints by their ids, deleted or not, for whoever delivers. A row that cannot be read is left out
    /// and told to the log: it must not keep the others waiting.
    pub async fn webhook_endpoint_targets(
        &mut self,
        ids: &[WebhookEndpointId],
    ) -> Result<Vec<WebhookEndpoint>> {
        match self.webhook_endpoints_by_id(ids).await {
            Err(StorageError::Corrupt(_)) => self.webhook_endpoint_readable(ids).await,
            found => found,
        }
    }

    async fn webhook_endpoints_by_id(&mut self, ids: &[WebhookEndpointId]) -> Result<Vec<WebhookEndpoint>> {
        let rows: Vec<Row<WebhookEndpoint>> = on_conn!(self, |c| webhook_endpoints::table
            .filter(webhook_endpoints::id.eq_any(ids.iter().map(Bind)))
            .order(webhook_endpoints::id)
            .select(Row::<WebhookEndpoint>::as_select())
            .load(c)
            .await?);
        Ok(Row::all(rows))
    }

    /// Those of some endpoints whose rows can be read.
    async fn webhook_endpoint_readable(&mut self, ids: &[WebhookEndpointId]) -> Result<Vec<WebhookEndpoint>> {
        let mut readable = Vec::new();
        for id in ids {
            match self.webhook_endpoints_by_id(&[*id]).await {
                Ok(endpoint) => readable.extend(endpoint),
                Err(StorageError::Corrupt(cause)) => {
                    let error = gatepost_kernel::chain(&cause);
                    tracing::error!(endpoint = id.0, %error, "a webhook endpoint is skipped");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(readable)
    }

    /// Endpoints of all workspaces that are not deleted, by number from behind `after`, at most `limit`; held
    /// against changes by others until the transaction ends if `lock`.
    pub async fn webhook_endpoint_all(
        &mut self,
        after: WebhookEndpointId,
        limit: u32,
        lock: bool,
    ) -> Result<Vec<WebhookEndpoint>> {
        let wanted = webhook_endpoints::table
            .filter(webhook_endpoints::id.gt(Bind(after)))
            .filter(webhook_endpoints::deleted_at.is_null())
            .order(webhook_endpoints::id)
            .limit(limit.into());
        let rows: Vec<Row<WebhookEndpoint>> = match &mut self.0 {
            // SQLite's one writer is already alone.
            Conn::Sqlite(c) => wanted.select(Row::<WebhookEndpoint>::as_select()).load(*c).await?,
            Conn::Postgres(c) if lock => {
                wanted.select(Row::<WebhookEndpoint>::as_select()).for_no_key_update().load(*c).await?
            }
            Conn::Postgres(c) => wanted.select(Row::<WebhookEndpoint>::as_select()).load(*c).await?,
        };
        Ok(Row::all(rows))
    }

    /// The active endpoints of workspaces, in both environments, by id; without those whose rows cannot be
    /// read.
    pub async fn webhook_endpoint_active(
        &mut self,
        workspaces: &[WorkspaceId],
    ) -> Result<Vec<WebhookEndpoint>> {
        macro_rules! active {
            () => {
                webhook_endpoints::table
                    .filter(webhook_endpoints::workspace_id.eq_any(workspaces.iter().map(Bind)))
                    .filter(
                        webhook_endpoints::deleted_at.is_null().and(webhook_endpoints::is_active.eq(true)),
                    )
                    .order(webhook_endpoints::id)
            };
        }
        let rows: diesel::QueryResult<Vec<Row<WebhookEndpoint>>> =
            on_conn!(self, |c| active!().select(Row::<WebhookEndpoint>::as_select()).load(c).await);
        if let Err(diesel::result::Error::DeserializationError(_)) = rows {
            let ids: Vec<WebhookEndpointId> =
                on_conn!(self, |c| active!().select(webhook_endpoints::id).load(c).await?);
            return self.webhook_endpoint_readable(&ids).await;
        }
        Ok(Row::all(rows?))
    }

    /// One page of a workspace's endpoints in one environment; all, or those that are active or not.
    pub async fn webhook_endpoint_list(
        &mut self,
        owner: Owner,
        is_active: Option<bool>,
        request: &ListRequest,
    ) -> Result<Page<WebhookEndpoint>> {
        let Owner { workspace_id: workspace, environment } = owner;
        let (rows, total, fitting): (Vec<Row<WebhookEndpoint>>, Option<i64>, Option<u32>) = on_conn!(
            self,
            |c, Db| {
                load_list!(c, request, webhook_endpoints.id, Row<WebhookEndpoint>, || {
                    let all = webhook_endpoints::table
                        .filter(webhook_endpoints::workspace_id.eq(Bind(workspace)))
                        .filter(webhook_endpoints::environment.eq(Bind(environment)))
                        .filter(webhook_endpoints::deleted_at.is_null());
                    let matching = Narrowed::new(all.into_boxed::<Db>())
                        .when(is_active, |query, is_active| {
                            query.filter(webhook_endpoints::is_active.eq(Bind(is_active)))
                        })
                        .when(request.search.as_ref(), |query, words| {
                            let columns =
                                "webhook_endpoints.url || ' ' || coalesce(webhook_endpoints.description, '')";
                            let owner = Some(workspace);
                            query.filter(HoldsWords::new(Searched::WebhookEndpoints, columns, owner, words))
                        });
                    narrow!(
                        matching, request, webhook_endpoints::created_at, updated webhook_endpoints::updated_at
                    )
                })
            }
        );
        Ok(list::page(Row::all(rows), (total, fitting), request, |_| None))
    }

    /// Changes an endpoint. One that is active again starts without failures, and what waited for it is due.
    pub async fn webhook_endpoint_update(
        &mut self,
        id: WebhookEndpointId,
        changes: WebhookEndpointChanges,
        now: Timestamp,
    ) -> Result<WebhookEndpoint> {
        let (secret, previous) = changes.secrets.clone().unzip();
        let activates = changes.is_active.as_ref().map(|(active, _)| *active);
        let says_something_else = changes.url.is_some() || changes.description.is_some();
        let (is_active, disabled_reason) = changes.is_active.clone().unzip();
        let Row(endpoint): Row<WebhookEndpoint> =
            on_conn!(self, |c| diesel::update(webhook_endpoints::table.find(Bind(id)))
                .set((
                    changes!(webhook_endpoints from changes => url, description, events),
                    changes.sealed_headers.as_ref().map(|sealed| webhook_endpoints::headers.eq(Bind(sealed))),
                    secret.as_ref().map(|secret| webhook_endpoints::secret.eq(Bind(secret))),
                    previous.as_ref().map(|previous| webhook_endpoints::previous_secrets.eq(Bind(previous))),
                    is_active.map(|active| webhook_endpoints::is_active.eq(active)),
                    disabled_reason.map(|reason| webhook_endpoints::disabled_reason.eq(reason)),
                    (activates == Some(true))
                        .then_some(webhook_endpoints::consecutive_failures.eq(Bind(0_u64))),
                    webhook_endpoints::updated_at.eq(Bind(now)),
                ))
                .returning(Row::<WebhookEndpoint>::as_returning())
                .get_result(c)
                .await?);
        match activates {
            Some(true) => self.webhook_delivery_wait(id, Some(now)).await?,
            Some(false) => self.webhook_delivery_wait(id, None).await?,
            None => {}
        }
        match says_something_else {
            true => self.webhook_endpoint_found_by(endpoint).await,
            false => Ok(endpoint),
        }
    }

    /// Deletes endpoints, and their secrets from their rows; what was on its way there has failed.
    pub async fn webhook_endpoint_delete(&mut self, ids: &[WebhookEndpointId], now: Timestamp) -> Result<()> {
        let (secret, headers, previous_secrets) = no_secrets();
        on_conn!(self, |c| {
            diesel::update(
                webhook_endpoints::table.filter(webhook_endpoints::id.eq_any(ids.iter().map(Bind))),
            )
            .set((
                webhook_endpoints::deleted_at.eq(Bind(Some(now))),
                webhook_endpoints::updated_at.eq(Bind(now)),
                webhook_endpoints::is_active.eq(false),
                webhook_endpoints::secret.eq(Bind(&secret)),
                webhook_endpoints::headers.eq(Bind(&headers)),
                webhook_endpoints::previous_secrets.eq(Bind(&previous_secrets)),
            ))
            .execute(c)
            .await?;
            diesel::update(
                webhook_deliveries::table
                    .filter(webhook_deliveries::endpoint_id.eq_any(ids.iter().map(Bind)))
                    .filter(
                        webhook_deliveries::status
                            .eq_any([DeliveryStatus::Pending, DeliveryStatus::Retrying].map(Bind)),
                    ),
            )
            .set((
                webhook_deliveries::status.eq(Bind(DeliveryStatus::Failed)),
                webhook_deliveries::error.eq("The endpoint was deleted."),
                webhook_deliveries::due_at.eq(Bind(None::<Timestamp>)),
                webhook_deliveries::claim_id.eq(Bind(None::<ClaimId>)),
                webhook_deliveries::updated_at.eq(Bind(now)),
            ))
            .execute(c)
            .await?;
        });
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        self.search_words_delete(Searched::WebhookEndpoints, &ids).await
    }

    /// How many endpoints a workspace has, in both environments.
    pub async fn webhook_endpoint_count(&mut self, workspace: WorkspaceId) -> Result<u64> {
        let count: i64 = on_conn!(self, |c| webhook_endpoints::table
            .filter(webhook_endpoints::workspace_id.eq(Bind(workspace)))
            .filter(webhook_endpoints::deleted_at.is_null())
            .count()
            .get_result(c)
            .await?);
        Ok(count.unsigned_abs())
    }

    /// The endpoints of a workspace that are not deleted, in both environments.
    pub async fn webhook_endpoint_ids(&mut self, workspace: WorkspaceId) -> Result<Vec<WebhookEndpointId>> {
        Ok(on_conn!(self, |c| webhook_endpoints::table
            .filter(webhook_endpoints::workspace_id.eq(Bind(workspace)))
            .filter(webhook_endpoints::deleted_at.is_null())
            .select(webhook_endpoints::id)
            .load(c)
            .await?))
    }

    /// Lets what is on its way to an endpoint wait, or makes it due.
    async fn webhook_delivery_wait(
        &mut self,
        id: WebhookEndpointId,
        due_at: Option<Timestamp>,
    ) -> Result<()> {
        on_conn!(self, |c| diesel::update(
            webhook_deliveries::table
                .filter(webhook_deliveries::endpoint_id.eq(Bind(id)))
                .filter(
                    webhook_deliveries::status
                        .eq_any([DeliveryStatus::Pending, DeliveryStatus::Retrying].map(Bind))
                )
                // Whoever has one now tells what it came to; nobody may take it meanwhile.
                .filter(webhook_deliveries::claim_id.is_null()),
        )
        .set(webhook_deliveries::due_at.eq(Bind(due_at)))
        .execute(c)
        .await?);
        Ok(())
    }
}
