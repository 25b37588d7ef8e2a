//! How much of each feature is used, every use of it, and which thresholds were told of.

use std::collections::HashMap;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, NullableExpressionMethods, OptionalExtension,
    QueryDsl, Queryable, Selectable, SelectableHelper,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use diesel_async::RunQueryDsl;
use gatepost_entitlements::Operation;
use gatepost_kernel::{Environment, Json, Owner, Timestamp, WorkspaceId};

use crate::{
    Result, Tx,
    engine::Conn,
    schema::{entitlement_alerts, entitlement_counters, entitlement_usage},
    types::{Bind, Instant, to_i64},
};

/// What counts together: a feature of a workspace in one environment and one period.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CounterKey {
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// Environment: `live` or `test`.
    pub environment: Environment,
    /// The feature.
    pub feature: String,
    /// The first instant of the period.
    pub period_start: Timestamp,
}

/// A use of a feature, or a refusal that has an idempotency key, as it was decided.
#[derive(Debug, Clone, PartialEq)]
pub struct EntitlementUse {
    /// What it counted for.
    pub counter: CounterKey,
    /// What was asked for.
    pub operation: Operation,
    /// The figure of the request.
    pub requested: u64,
    /// What the counter changed by; below zero where something was given back.
    pub quantity: i64,
    /// When the period ends; none if never.
    pub reset_at: Option<Timestamp>,
    /// The count after it, over the whole period.
    pub used: u64,
    /// What was allowed then; none if there was no limit.
    pub limit: Option<u64>,
    /// Whether more than that was allowed.
    pub soft: bool,
    /// The plan that said so.
    pub plan: String,
    /// Why it was refused; none if it was counted.
    pub reason: Option<String>,
    /// What the caller wants to remember of it, as it came.
    pub metadata: Option<Json>,
    /// By which a repetition is known.
    pub idempotency_key: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

#[derive(Insertable, Queryable, Selectable)]
#[diesel(table_name = entitlement_usage, treat_none_as_default_value = false)]
struct UseRow {
    workspace_id: Bind<WorkspaceId>,
    environment: Bind<Environment>,
    feature: String,
    quantity: Bind<i64>,
    period_start: Bind<Timestamp>,
    reset_at: Bind<Option<Timestamp>>,
    used: Bind<u64>,
    limit_value: Bind<Option<u64>>,
    soft: bool,
    plan: String,
    reason: Option<String>,
    metadata: Bind<Option<Json>>,
    operation: Bind<Operation>,
    requested: Bind<Option<i64>>,
    idempotency_key: Option<String>,
    created_at: Bind<Timestamp>,
}

impl EntitlementUse {
    /// The figure of the request, where the change of the counter does not say it.
    fn requested_beside(&self) -> Option<i64> {
        let requested = to_i64(self.requested);
        (requested != self.quantity).then_some(requested)
    }
}

impl From<&EntitlementUse> for UseRow {
    fn from(one: &EntitlementUse) -> Self {
        Self {
            workspace_id: Bind(one.counter.workspace_id),
            environment: Bind(one.counter.environment),
            feature: one.counter.feature.clone(),
            quantity: Bind(one.quantity),
            operation: Bind(one.operation),
            requested: Bind(one.requested_beside()),
            period_start: Bind(one.counter.period_start),
            reset_at: Bind(one.reset_at),
            used: Bind(one.used),
            limit_value: Bind(one.limit),
            soft: one.soft,
            plan: one.plan.clone(),
            reason: one.reason.clone(),
            metadata: Bind(one.metadata.clone()),
            idempotency_key: one.idempotency_key.clone(),
            created_at: Bind(one.created_at),
        }
    }
}

impl From<UseRow> for EntitlementUse {
    fn from(row: UseRow) -> Self {
        Self {
            counter: CounterKey {
                workspace_id: row.workspace_id.0,
                environment: row.environment.0,
                feature: row.feature,
                period_start: row.period_start.0,
            },
            operation: row.operation.0,
            requested: row.requested.0.unwrap_or(row.quantity.0).unsigned_abs(),
            quantity: row.quantity.0,
            reset_at: row.reset_at.0,
            used: row.used.0,
            limit: row.limit_value.0,
            soft: row.soft,
            plan: row.plan,
            reason: row.reason,
            metadata: row.metadata.0,
            idempotency_key: row.idempotency_key,
            created_at: row.created_at.0,
        }
    }
}

bulk_statement! {
    /// Uses of features.
    InsertUses returning () =
    "INSERT INTO entitlement_usage (workspace_id, environment, feature, quantity, period_start, reset_at, used, limit_value, \
     soft, plan, reason, metadata, operation, requested, idempotency_key, created_at) SELECT * FROM"
    unnest ""
    {
        workspace_id: i64 => BigInt,
        environment: &'a str => Text,
        feature: &'a str => Text,
        quantity: i64 => BigInt,
        period_start: Timestamp => Instant,
        reset_at: Option<Timestamp> => Nullable<Instant>,
        used: i64 => BigInt,
        limit_value: Option<i64> => Nullable<BigInt>,
        soft: bool => Bool,
        plan: &'a str => Text,
        reason: Option<&'a str> => Nullable<Text>,
        metadata: Option<&'a str> => Nullable<Text>,
        operation: &'a str => Text,
        requested: Option<i64> => Nullable<BigInt>,
        idempotency_key: Option<&'a str> => Nullable<Text>,
        created_at: Timestamp => Instant,
    }
}

impl<'a> InsertUses<'a> {
    fn new(uses: &'a [EntitlementUse]) -> Self {
        let mut insert = Self::empty();
        for one in uses {
            insert.workspace_id.push(one.counter.workspace_id.0);
            insert.environment.push(one.counter.environment.as_str());
            insert.feature.push(&one.counter.feature);
            insert.quantity.push(one.quantity);
            insert.period_start.push(one.counter.period_start);
            insert.reset_at.push(one.reset_at);
            insert.used.push(to_i64(one.used));
            insert.limit_value.push(one.limit.map(to_i64));
            insert.soft.push(one.soft);
            insert.plan.push(&one.plan);
            insert.reason.push(one.reason.as_deref());
            insert.metadata.push(one.metadata.as_ref().map(Json::as_str));
            insert.operation.push(one.operation.as_str());
            insert.requested.push(one.requested_beside());
            insert.idempotency_key.push(one.idempotency_key.as_deref());
            insert.created_at.push(one.created_at);
        }
        insert
    }
}

bulk_statement! {
    /// Uses of one feature, which were all counted and differ in little, and its counter; nothing unless the
    /// counter and the workspace are as expected.
    CountUses returning () =
    given {
        "WITH counted AS (UPDATE entitlement_counters c SET used = " used: i64 => BigInt,
        ", updated_at = " updated_at: Timestamp => Instant,
        " WHERE c.workspace_id = " workspace_id: i64 => BigInt,
        " AND c.environment = " environment: &'a str => Text,
        " AND c.feature = " feature: &'a str => Text,
        " AND c.period_start = " period_start: Timestamp => Instant,
        " AND c.used = " expected: i64 => BigInt,
        " AND EXISTS (SELECT 1 FROM workspaces w WHERE w.id = c.workspace_id AND w.deleted_at IS NULL AND w.updated_at = "
            workspace_updated_at: Timestamp => Instant,
        ") RETURNING c.*, " reset_at: Option<Timestamp> => Nullable<Instant>,
        " AS reset_at, " limit_value: Option<i64> => Nullable<BigInt>,
        " AS limit_value, " soft: bool => Bool,
        " AS soft, " plan: &'a str => Text,
    }
    " AS plan) INSERT INTO entitlement_usage (workspace_id, environment, feature, period_start, reset_at, limit_value, soft, plan, \
     created_at, quantity, used, metadata) SELECT c.workspace_id, c.environment, c.feature, c.period_start, c.reset_at, \
     c.limit_value, c.soft, c.plan, c.updated_at, u.* FROM counted c,"
    unnest "u"
    {
        quantities: i64 => BigInt,
        counts: i64 => BigInt,
        metadata: Option<&'a str> => Nullable<Text>,
    }
}

/// The rows of one counter.
macro_rules! counter {
    ($key:expr) => {
        entitlement_counters::table.find((
            $key.workspace_id.0,
            $key.environment.as_str(),
            $key.feature.as_str(),
            Bind($key.period_start),
        ))
    };
}

impl Tx<'_> {
    /// How much is counted, held against changes by others until the transaction ends; the counter is made if
    /// there is none.
    pub async fn entitlement_counter_lock(&mut self, key: &CounterKey, now: Timestamp) -> Result<u64> {
        let found: Option<i64> = match &mut self.0 {
            // SQLite's one writer is already alone.
            Conn::Sqlite(c) => counter!(key).select(entitlement_counters::used).first(*c).await.optional()?,
            Conn::Postgres(c) => {
                let counter = counter!(key).select(entitlement_counters::used).for_no_key_update();
                counter.first(*c).await.optional()?
            }
        };
        if let Some(used) = found {
            return Ok(used.unsigned_abs());
        }
        // Of several that make it at once, the others wait here for the first, and get what it has counted.
        let used: i64 = on_conn!(self, |c| diesel::insert_into(entitlement_counters::table)
            .values((
                entitlement_counters::workspace_id.eq(key.workspace_id.0),
                entitlement_counters::environment.eq(key.environment.as_str()),
                entitlement_counters::feature.eq(key.feature.as_str()),
                entitlement_counters::period_start.eq(Bind(key.period_start)),
                entitlement_counters::used.eq(0),
                entitlement_counters::updated_at.eq(Bind(now)),
            ))
            .on_conflict((
                entitlement_counters::workspace_id,
                entitlement_counters::environment,
                entitlement_counters::feature,
                entitlement_counters::period_start,
            ))
            .do_update()
            .set(entitlement_counters::updated_at.eq(Bind(now)))
            .returning(entitlement_counters::used)
            .get_result(c)
            .await?);
        Ok(used.unsigned_abs())
    }

    /// Sets a counter that this transaction holds.
    pub async fn entitlement_counter_set(
        &mut self,
        key: &CounterKey,
        used: u64,
        now: Timestamp,
    ) -> Result<()> {
        on_conn!(self, |c| diesel::update(counter!(key))
            .set((
                entitlement_counters::used.eq(to_i64(used)),
                entitlement_counters::updated_at.eq(Bind(now)),
            ))
            .execute(c)
            .await?);
        Ok(())
    }

    /// Sets a counter to what it is after a use, if it holds `held`; whether it did.
    async fn entitlement_counter_move(
        &mut self,
        key: &CounterKey,
        held: u64,
        last: &EntitlementUse,
    ) -> Result<bool> {
        let rows = on_conn!(self, |c| diesel::update(
            counter!(key).filter(entitlement_counters::used.eq(to_i64(held)))
        )
        .set((
            entitlement_counters::used.eq(to_i64(last.used)),
            entitlement_counters::updated_at.eq(Bind(last.created_at)),
        ))
        .execute(c)
        .await?);
        Ok(rows > 0)
    }

    /// How much is counted, without holding it.
    pub async fn entitlement_counter_get(&mut self, key: &CounterKey) -> Result<u64> {
        let used: Option<i64> =
            on_conn!(self, |c| counter!(key).select(entitlement_counters::used).first(c).await.optional())?;
        Ok(used.unwrap_or(0).unsigned_abs())
    }

    /// What was counted in the periods from `since` on, this one left out; also in later ones, which another
    /// process may have begun by a clock that is a little ahead.
    pub async fn entitlement_counter_sum(&mut self, key: &CounterKey, since: Timestamp) -> Result<u64> {
        let counted: Vec<i64> = on_conn!(self, |c| entitlement_counters::table
            .filter(entitlement_counters::workspace_id.eq(key.workspace_id.0))
            .filter(entitlement_counters::environment.eq(key.environment.as_str()))
            .filter(entitlement_counters::feature.eq(key.feature.as_str()))
            .filter(
                entitlement_counters::period_start
                    .ge(Bind(since))
                    .and(entitlement_counters::period_start.ne(Bind(key.period_start))),
            )
            .select(entitlement_counters::used)
            .load(c)
            .await?);
        Ok(counted.into_iter().fold(0, |sum, used| sum.saturating_add(used.unsigned_abs())))
    }

    /// What was decided under idempotency keys of a workspace and environment.
    pub async fn entitlement_use_kept(
        &mut self,
        owner: Owner,
        keys: &[String],
    ) -> Result<HashMap<String, EntitlementUse>> {
        let Owner { workspace_id: workspace, environment } = owner;
        let rows: Vec<UseRow> = on_conn!(self, |c| entitlement_usage::table
            .filter(entitlement_usage::workspace_id.eq(Bind(workspace)))
            .filter(entitlement_usage::environment.eq(Bind(environment)))
            .filter(entitlement_usage::idempotency_key.is_not_null())
            .filter(entitlement_usage::idempotency_key.assume_not_null().eq_any(keys.iter().map(Bind)))
            .select(UseRow::as_select())
            .load(c)
            .await?);
        let kept = |row: UseRow| {
            let key = row.idempotency_key.clone().unwrap_or_default();
            (key, row.into())
        };
        Ok(rows.into_iter().map(kept).collect())
    }

    /// Lets idempotency keys of decisions from before `before` be used anew.
    pub async fn entitlement_use_forget_keys(
        &mut self,
        owner: Owner,
        keys: &[String],
        before: Timestamp,
    ) -> Result<usize> {
        let Owner { workspace_id: workspace, environment } = owner;
        Ok(on_conn!(self, |c| diesel::update(
            entitlement_usage::table
                .filter(entitlement_usage::workspace_id.eq(Bind(workspace)))
                .filter(entitlement_usage::environment.eq(Bind(environment)))
                .filter(entitlement_usage::idempotency_key.is_not_null())
                .filter(entitlement_usage::idempotency_key.assume_not_null().eq_any(keys.iter().map(Bind)))
                .filter(entitlement_usage::created_at.lt(Bind(before))),
        )
        .set(entitlement_usage::idempotency_key.eq(None::<String>))
        .execute(c)
        .await?))
    }

    /// Keeps uses.
    pub async fn entitlement_use_insert(&mut self, uses: &[EntitlementUse]) -> Result<()> {
        match &mut self.0 {
            Conn::Sqlite(c) => {
                for one in uses {
                    let row = UseRow::from(one);
                    diesel::insert_into(entitlement_usage::table).values(&row).execute(*c).await?;
                }
            }
            Conn::Postgres(c) => {
                InsertUses::new(uses).execute(*c).await?;
            }
        }
        Ok(())
    }

    /// Counts uses of one counter that holds `held`, all of which were decided by what its workspace was at
    /// `workspace_updated_at` and none of which was refused or has an idempotency key. Whether that is still
    /// so; if not, nothing is written.
    pub async fn entitlement_count(
        &mut self,
        uses: &[EntitlementUse],
        held: u64,
        workspace_updated_at: Timestamp,
    ) -> Result<bool> {
        let Some(last) = uses.last() else { return Ok(true) };
        let key = &last.counter;
        match &mut self.0 {
            Conn::Sqlite(_) => {
                let workspace = self.workspace_get(key.workspace_id).await?;
                let as_decided =
                    workspace.is_some_and(|workspace| workspace.updated_at == workspace_updated_at);
                if !as_decided || !self.entitlement_counter_move(key, held, last).await? {
                    return Ok(false);
                }
                self.entitlement_use_insert(uses).await?;
                Ok(true)
            }
            Conn::Postgres(c) => {
                let statement = CountUses {
                    used: to_i64(last.used),
                    updated_at: last.created_at,
                    workspace_id: key.workspace_id.0,
                    environment: key.environment.as_str(),
                    feature: &key.feature,
                    period_start: key.period_start,
                    expected: to_i64(held),
                    workspace_updated_at,
                    reset_at: last.reset_at,
                    limit_value: last.limit.map(to_i64),
                    soft: last.soft,
                    plan: &last.plan,
                    quantities: uses.iter().map(|one| one.quantity).collect(),
                    counts: uses.iter().map(|one| to_i64(one.used)).collect(),
                    metadata: uses.iter().map(|one| one.metadata.as_ref().map(Json::as_str)).collect(),
                };
                Ok(statement.execute(*c).await? == uses.len())
            }
        }
    }

    /// Notes that a threshold was reached in a period; whether nobody had noted it before.
    pub async fn entitlement_alert_insert(&mut self, key: &CounterKey, threshold: u32) -> Result<bool> {
        let inserted = on_conn!(self, |c| diesel::insert_into(entitlement_alerts::table)
            .values((
                entitlement_alerts::workspace_id.eq(key.workspace_id.0),
                entitlement_alerts::environment.eq(key.environment.as_str()),
                entitlement_alerts::feature.eq(key.feature.as_str()),
                entitlement_alerts::period_start.eq(Bind(key.period_start)),
                entitlement_alerts::threshold.eq(i64::from(threshold)),
            ))
            .on_conflict_do_nothing()
            .execute(c)
            .await?);
        Ok(inserted > 0)
    }

    /// Forgets that a threshold was reached in a period; whether it was noted.
    pub async fn entitlement_alert_delete(&mut self, key: &CounterKey, threshold: u32) -> Result<bool> {
        let deleted = on_conn!(self, |c| diesel::delete(
            entitlement_alerts::table
                .filter(entitlement_alerts::workspace_id.eq(key.workspace_id.0))
                .filter(entitlement_alerts::environment.eq(key.environment.as_str()))
                .filter(entitlement_alerts::feature.eq(&key.feature))
                .filter(entitlement_alerts::period_start.eq(Bind(key.period_start)))
                .filter(entitlement_alerts::threshold.eq(i64::from(threshold))),
        )
        .execute(c)
        .await?);
        Ok(deleted > 0)
    }

    /// The sum of the quantities that were counted for a feature of a workspace, over all periods.
    pub async fn entitlement_use_sum(&mut self, owner: Owner, feature: &str) -> Result<u64> {
        let Owner { workspace_id: workspace, environment } = owner;
        let quantities: Vec<i64> = on_conn!(self, |c| entitlement_usage::table
            .filter(entitlement_usage::workspace_id.eq(Bind(workspace)))
            .filter(entitlement_usage::environment.eq(Bind(environment)))
            .filter(entitlement_usage::feature.eq(feature))
            .filter(entitlement_usage::reason.is_null())
            .select(entitlement_usage::quantity)
            .load(c)
            .await?);
        let sum: i64 = quantities.into_iter().fold(0, i64::saturating_add);
        Ok(sum.unsigned_abs())
    }

    /// Deletes uses from before `before`, at most `limit`; how many. The counters stay.
    pub async fn entitlement_use_delete_before(&mut self, before: Timestamp, limit: u32) -> Result<usize> {
        Ok(on_conn!(self, |c| {
            let old: Vec<i64> = entitlement_usage::table
                .filter(entitlement_usage::created_at.lt(Bind(before)))
                .order(entitlement_usage::created_at)
                .limit(limit.into())
                .select(entitlement_usage::id)
                .load(c)
                .await?;
            if old.is_empty() {
                return Ok(0);
            }
            diesel::delete(
                entitlement_usage::table.filter(entitlement_usage::id.eq_any(old.iter().map(Bind))),
            )
            .execute(c)
            .await?
        }))
    }
}
