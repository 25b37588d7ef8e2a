//! Where tenants want to hear of their events. A deleted endpoint keeps its row, for its deliveries' sake, but is not
//! found by any query for people.

use diesel::{
    AsChangeset, BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl,
    Queryable, Selectable, SelectableHelper,
};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{Environment, Owner, Page, Secret, Timestamp, WebhookEndpointId, WorkspaceId};
use serde_json::{Map, Value, json};

use crate::{
    Result, StorageError, Tx,
    engine::Conn,
    list::{self, HoldsWords, ListRequest, SortKey, load_list, narrow},
    schema::{webhook_deliveries, webhook_endpoints},
    search_words::Searched,
    types::{DbJson, DbTime},
};

/// What endpoints can be sorted by.
pub const WEBHOOK_SORTS: &[SortKey] = &[
    SortKey::new("id", "webhook_endpoints.id"),
    SortKey::new("url", "webhook_endpoints.url"),
    SortKey::new("created_at", "webhook_endpoints.created_at"),
    SortKey::new("updated_at", "webhook_endpoints.updated_at"),
    SortKey::nullable("last_delivery_at", "webhook_endpoints.last_delivery_at"),
];

/// A secret that signs beside the newest until a rotation's grace is over; as it is stored, perhaps sealed.
#[derive(Debug, Clone)]
pub struct PreviousSecret {
    /// The stored form.
    pub sealed: Secret,
    /// When a newer one took its place; none if that was not noted yet.
    pub replaced_at: Option<Timestamp>,
    /// Until when.
    pub until: Timestamp,
}

/// An endpoint.
#[derive(Debug, Clone)]
pub struct WebhookEndpoint {
    /// Numeric id of the endpoint.
    pub id: WebhookEndpointId,
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
    /// Headers of the tenant's own, sealed as one; empty without any.
    pub sealed_headers: Secret,
    /// The newest secret as it is stored.
    pub sealed_secret: Secret,
    /// Those that still sign beside it.
    pub previous_secrets: Vec<PreviousSecret>,
    /// Whether deliveries go there.
    pub is_active: bool,
    /// Why they do not, if the server decided it.
    pub disabled_reason: Option<String>,
    /// Deliveries that were received.
    pub success_count: u64,
    /// Attempts that failed.
    pub failure_count: u64,
    /// Attempts that failed since the last that did not.
    pub consecutive_failures: u64,
    /// When a delivery was last received.
    pub last_delivery_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

/// An endpoint to be made. Its secret and headers are set by an update in the same transaction: they are sealed for its id.
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

#[derive(Queryable, Selectable)]
#[diesel(table_name = webhook_endpoints)]
pub(crate) struct EndpointRow {
    id: i64,
    workspace_id: i64,
    environment: String,
    url: String,
    description: Option<String>,
    events: DbJson,
    headers: DbJson,
    secret: String,
    previous_secrets: DbJson,
    is_active: bool,
    disabled_reason: Option<String>,
    success_count: i64,
    failure_count: i64,
    consecutive_failures: i64,
    last_delivery_at: Option<DbTime>,
    created_at: DbTime,
    updated_at: DbTime,
    deleted_at: Option<DbTime>,
}

impl TryFrom<EndpointRow> for WebhookEndpoint {
    type Error = StorageError;

    fn try_from(row: EndpointRow) -> Result<Self> {
        let corrupt = |what: &str| StorageError::corrupt(format!("{what} of webhook endpoint {}", row.id));
        let stored = |text: &str| Secret::new(text.to_owned());
        let texts = |value: &Value| -> Option<Vec<String>> {
            value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
        };
        let previous = |value: &Value| -> Option<Vec<PreviousSecret>> {
            let secret = |item: &Value| {
                let (sealed, until) = (item["secret"].as_str()?.to_owned(), item["until"].as_i64()?);
                Some(PreviousSecret {
                    sealed: Secret::new(sealed),
                    replaced_at: item["replaced"].as_i64().map(Timestamp::from_micros),
                    until: Timestamp::from_micros(until),
                })
            };
            value.as_array()?.iter().map(secret).collect()
        };
        Ok(Self {
            id: WebhookEndpointId(row.id),
            workspace_id: WorkspaceId(row.workspace_id),
            environment: row.environment.parse().map_err(|_| corrupt("environment"))?,
            events: texts(&row.events.0).ok_or_else(|| corrupt("events"))?,
            sealed_headers: row.headers.0.as_str().map(stored).ok_or_else(|| corrupt("headers"))?,
            previous_secrets: previous(&row.previous_secrets.0).ok_or_else(|| corrupt("previous_secrets"))?,
            url: row.url,
            description: row.description,
            sealed_secret: Secret::new(row.secret),
            is_active: row.is_active,
            disabled_reason: row.disabled_reason,
            success_count: row.success_count.unsigned_abs(),
            failure_count: row.failure_count.unsigned_abs(),
            consecutive_failures: row.consecutive_failures.unsigned_abs(),
            last_delivery_at: row.last_delivery_at.map(Into::into),
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
            deleted_at: row.deleted_at.map(Into::into),
        })
    }
}

fn readable(row: EndpointRow) -> Option<WebhookEndpoint> {
    match row.try_into() {
        Ok(endpoint) => Some(endpoint),
        Err(error) => {
            tracing::error!(error = %gatepost_kernel::chain(&error), "a webhook endpoint is skipped");
            None
        }
    }
}

fn texts_json(texts: &[String]) -> DbJson {
    DbJson(texts.iter().cloned().map(Value::from).collect())
}

fn previous_json(secrets: &[PreviousSecret]) -> DbJson {
    let object = |secret: &PreviousSecret| {
        let mut members = Map::new();
        members.insert("secret".to_owned(), json!(secret.sealed.expose()));
        if let Some(at) = secret.replaced_at {
            members.insert("replaced".to_owned(), json!(at.as_micros()));
        }
        members.insert("until".to_owned(), json!(secret.until.as_micros()));
        Value::Object(members)
    };
    DbJson(secrets.iter().map(object).collect())
}

#[derive(Insertable)]
#[diesel(table_name = webhook_endpoints)]
struct NewEndpointRow<'a> {
    workspace_id: i64,
    environment: &'a str,
    url: &'a str,
    description: Option<&'a str>,
    events: DbJson,
    headers: DbJson,
    secret: &'a str,
    previous_secrets: DbJson,
    is_active: bool,
    success_count: i64,
    failure_count: i64,
    consecutive_failures: i64,
    created_at: DbTime,
    updated_at: DbTime,
}

#[derive(AsChangeset)]
#[diesel(table_name = webhook_endpoints)]
struct EndpointChangesRow {
    url: Option<String>,
    description: Option<Option<String>>,
    events: Option<DbJson>,
    headers: Option<DbJson>,
    secret: Option<String>,
    previous_secrets: Option<DbJson>,
    is_active: Option<bool>,
    disabled_reason: Option<Option<String>>,
    consecutive_failures: Option<i64>,
    updated_at: DbTime,
}

impl Tx<'_> {
    /// Makes an endpoint.
    pub async fn webhook_endpoint_insert(&mut self, new: &NewWebhookEndpoint) -> Result<WebhookEndpoint> {
        let created_at = DbTime::from(new.created_at);
        let row = NewEndpointRow {
            workspace_id: new.workspace_id.0,
            environment: new.environment.as_str(),
            url: &new.url,
            description: new.description.as_deref(),
            events: texts_json(&new.events),
            headers: DbJson(Value::from("")),
            secret: "",
            previous_secrets: DbJson(Value::Array(Vec::new())),
            is_active: true,
            success_count: 0,
            failure_count: 0,
            consecutive_failures: 0,
            created_at,
            updated_at: created_at,
        };
        let row: EndpointRow = on_conn!(self, |c| diesel::insert_into(webhook_endpoints::table)
            .values(&row)
            .returning(EndpointRow::as_returning())
            .get_result(c)
            .await?);
        self.webhook_endpoint_found_by(row.try_into()?).await
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
        let row: Option<EndpointRow> = on_conn!(self, |c| webhook_endpoints::table
            .find(id.0)
            .filter(webhook_endpoints::workspace_id.eq(workspace.0))
            .filter(webhook_endpoints::environment.eq(environment.as_str()))
            .filter(webhook_endpoints::deleted_at.is_null())
            .select(EndpointRow::as_select())
            .first(c)
            .await
            .optional())?;
        row.map(TryInto::try_into).transpose()
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
            let locked: Option<i64> = webhook_endpoints::table
                .find(id.0)
                .filter(webhook_endpoints::workspace_id.eq(workspace.0))
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

    /// Endpoints by their numbers, deleted or not, for whoever delivers. A row that cannot be read is left out and told to the
    /// log: it must not keep the others waiting.
    pub async fn webhook_endpoint_targets(
        &mut self,
        ids: &[WebhookEndpointId],
    ) -> Result<Vec<WebhookEndpoint>> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let rows: Vec<EndpointRow> = on_conn!(self, |c| webhook_endpoints::table
            .filter(webhook_endpoints::id.eq_any(&ids))
            .select(EndpointRow::as_select())
            .load(c)
            .await?);
        Ok(rows.into_iter().filter_map(readable).collect())
    }

    /// Endpoints of all workspaces that are not deleted, by number from behind `after`, at most `limit`; held against changes by
    /// others until the transaction ends if `lock`.
    pub async fn webhook_endpoint_all(
        &mut self,
        after: WebhookEndpointId,
        limit: u32,
        lock: bool,
    ) -> Result<Vec<WebhookEndpoint>> {
        let wanted = webhook_endpoints::table
            .filter(webhook_endpoints::id.gt(after.0))
            .filter(webhook_endpoints::deleted_at.is_null())
            .order(webhook_endpoints::id)
            .limit(limit.into());
        let rows: Vec<EndpointRow> = match &mut self.0 {
            // SQLite's one writer is already alone.
            Conn::Sqlite(c) => wanted.select(EndpointRow::as_select()).load(*c).await?,
            Conn::Postgres(c) if lock => {
                wanted.select(EndpointRow::as_select()).for_no_key_update().load(*c).await?
            }
            Conn::Postgres(c) => wanted.select(EndpointRow::as_select()).load(*c).await?,
        };
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The active endpoints of workspaces, in both worlds, by number.
    pub async fn webhook_endpoint_active(
        &mut self,
        workspaces: &[WorkspaceId],
    ) -> Result<Vec<WebhookEndpoint>> {
        let workspaces: Vec<i64> = workspaces.iter().map(|id| id.0).collect();
        let rows: Vec<EndpointRow> = on_conn!(self, |c| webhook_endpoints::table
            .filter(webhook_endpoints::workspace_id.eq_any(&workspaces))
            .filter(webhook_endpoints::deleted_at.is_null().and(webhook_endpoints::is_active.eq(true)))
            .order(webhook_endpoints::id)
            .select(EndpointRow::as_select())
            .load(c)
            .await?);
        Ok(rows.into_iter().filter_map(readable).collect())
    }

    /// One page of a workspace's endpoints in one environment; all, or those that are active or not.
    pub async fn webhook_endpoint_list(
        &mut self,
        owner: Owner,
        is_active: Option<bool>,
        request: &ListRequest,
    ) -> Result<Page<WebhookEndpoint>> {
        let Owner { workspace_id: workspace, environment } = owner;
        let (rows, total, fitting): (Vec<EndpointRow>, Option<i64>, Option<u32>) = on_conn!(self, |c, Db| {
            load_list!(c, request, webhook_endpoints.id, EndpointRow, || {
                let mut query = webhook_endpoints::table
                    .filter(webhook_endpoints::workspace_id.eq(workspace.0))
                    .filter(webhook_endpoints::environment.eq(environment.as_str()))
                    .filter(webhook_endpoints::deleted_at.is_null())
                    .into_boxed::<Db>();
                if let Some(is_active) = is_active {
                    query = query.filter(webhook_endpoints::is_active.eq(is_active));
                }
                if let Some(words) = &request.search {
                    let columns =
                        "webhook_endpoints.url || ' ' || coalesce(webhook_endpoints.description, '')";
                    query = query.filter(HoldsWords::new(
                        Searched::WebhookEndpoints,
                        columns,
                        Some(workspace),
                        words,
                    ));
                }
                narrow!(
                    query, request, webhook_endpoints::created_at, updated webhook_endpoints::updated_at
                );
                query
            })
        });
        let items = rows.into_iter().map(TryInto::try_into).collect::<Result<_>>()?;
        Ok(list::page(items, (total, fitting), request, |_| None))
    }

    /// Changes an endpoint. One that is active again starts without failures, and what waited for it is due.
    pub async fn webhook_endpoint_update(
        &mut self,
        id: WebhookEndpointId,
        changes: WebhookEndpointChanges,
        now: Timestamp,
    ) -> Result<WebhookEndpoint> {
        let (secret, previous) = changes.secrets.unzip();
        let activates = changes.is_active.as_ref().map(|(active, _)| *active);
        let says_something_else = changes.url.is_some() || changes.description.is_some();
        let row = EndpointChangesRow {
            url: changes.url,
            description: changes.description,
            events: changes.events.as_deref().map(texts_json),
            headers: changes.sealed_headers.map(|sealed| DbJson(Value::from(sealed.expose()))),
            secret: secret.map(|secret| secret.expose().to_owned()),
            previous_secrets: previous.as_deref().map(previous_json),
            is_active: activates,
            disabled_reason: changes.is_active.map(|(_, reason)| reason),
            consecutive_failures: (activates == Some(true)).then_some(0),
            updated_at: now.into(),
        };
        let row: EndpointRow = on_conn!(self, |c| diesel::update(webhook_endpoints::table.find(id.0))
            .set(&row)
            .returning(EndpointRow::as_returning())
            .get_result(c)
            .await?);
        match activates {
            Some(true) => self.webhook_delivery_wait(id, Some(now)).await?,
            Some(false) => self.webhook_delivery_wait(id, None).await?,
            None => {}
        }
        match says_something_else {
            true => self.webhook_endpoint_found_by(row.try_into()?).await,
            false => row.try_into(),
        }
    }

    /// Deletes endpoints, and their secrets from their rows; what was on its way there has failed.
    pub async fn webhook_endpoint_delete(&mut self, ids: &[WebhookEndpointId], now: Timestamp) -> Result<()> {
        let (ids, now) = (ids.iter().map(|id| id.0).collect::<Vec<_>>(), DbTime::from(now));
        on_conn!(self, |c| {
            diesel::update(webhook_endpoints::table.filter(webhook_endpoints::id.eq_any(&ids)))
                .set((
                    webhook_endpoints::deleted_at.eq(now),
                    webhook_endpoints::updated_at.eq(now),
                    webhook_endpoints::is_active.eq(false),
                    webhook_endpoints::secret.eq(""),
                    webhook_endpoints::headers.eq(DbJson(Value::from(""))),
                    webhook_endpoints::previous_secrets.eq(DbJson(Value::Array(Vec::new()))),
                ))
                .execute(c)
                .await?;
            diesel::update(
                webhook_deliveries::table
                    .filter(webhook_deliveries::endpoint_id.eq_any(&ids))
                    .filter(webhook_deliveries::status.eq_any(["pending", "retrying"])),
            )
            .set((
                webhook_deliveries::status.eq("failed"),
                webhook_deliveries::error.eq("The endpoint was deleted."),
                webhook_deliveries::due_at.eq(None::<DbTime>),
                webhook_deliveries::claim_id.eq(None::<i64>),
                webhook_deliveries::updated_at.eq(now),
            ))
            .execute(c)
            .await?;
        });
        self.search_words_delete(Searched::WebhookEndpoints, &ids).await
    }

    /// How many endpoints a workspace has, in both worlds.
    pub async fn webhook_endpoint_count(&mut self, workspace: WorkspaceId) -> Result<u64> {
        let count: i64 = on_conn!(self, |c| webhook_endpoints::table
            .filter(webhook_endpoints::workspace_id.eq(workspace.0))
            .filter(webhook_endpoints::deleted_at.is_null())
            .count()
            .get_result(c)
            .await?);
        Ok(count.unsigned_abs())
    }

    /// The endpoints of a workspace that are not deleted, in both worlds.
    pub async fn webhook_endpoint_ids(&mut self, workspace: WorkspaceId) -> Result<Vec<WebhookEndpointId>> {
        let ids: Vec<i64> = on_conn!(self, |c| webhook_endpoints::table
            .filter(webhook_endpoints::workspace_id.eq(workspace.0))
            .filter(webhook_endpoints::deleted_at.is_null())
            .select(webhook_endpoints::id)
            .load(c)
            .await?);
        Ok(ids.into_iter().map(WebhookEndpointId).collect())
    }

    /// Lets what is on its way to an endpoint wait, or makes it due.
    async fn webhook_delivery_wait(
        &mut self,
        id: WebhookEndpointId,
        due_at: Option<Timestamp>,
    ) -> Result<()> {
        let due_at = due_at.map(DbTime::from);
        on_conn!(self, |c| diesel::update(
            webhook_deliveries::table
                .filter(webhook_deliveries::endpoint_id.eq(id.0))
                .filter(webhook_deliveries::status.eq_any(["pending", "retrying"]))
                // Whoever has one now tells what it came to; nobody may take it meanwhile.
                .filter(webhook_deliveries::claim_id.is_null()),
        )
        .set(webhook_deliveries::due_at.eq(due_at))
        .execute(c)
        .await?);
        Ok(())
    }
}
