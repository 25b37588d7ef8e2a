//! What keys were used for.

use diesel::{ExpressionMethods, QueryDsl, Queryable, Selectable, SelectableHelper, upsert::excluded};
use diesel_async::RunQueryDsl;
use gatepost_analytics::QuarterHour;
use gatepost_kernel::{ApiKeyId, Environment, Timestamp, WorkspaceId};

use crate::{
    Result, Tx,
    schema::{api_key_usage, api_keys, request_counts},
    types::{Bind, to_i64, values},
};

/// Requests by class of status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = api_key_usage)]
pub struct RequestCounts {
    /// 1xx and 2xx.
    pub successes: u64,
    /// 3xx.
    pub redirects: u64,
    /// 4xx.
    pub refusals: u64,
    /// 5xx.
    pub failures: u64,
}

/// What a key was used for since the last time that it was written down.
#[derive(Debug, Clone, Copy)]
pub struct UsageDelta {
    /// The key.
    pub api_key_id: ApiKeyId,
    /// Workspace that the key belongs to.
    pub workspace_id: WorkspaceId,
    /// Environment: `live` or `test`.
    pub environment: Environment,
    /// The quarter hour.
    pub slot: QuarterHour,
    /// How many requests.
    pub counts: RequestCounts,
    /// The last of them.
    pub last_used_at: Timestamp,
}

/// A key's requests on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayUsage {
    /// The UTC day, counted from 1970.
    pub day: i64,
    /// How many requests.
    pub counts: RequestCounts,
}

impl Tx<'_> {
    /// Adds to a key's counts and moves its last use on.
    pub async fn usage_add(&mut self, delta: &UsageDelta) -> Result<()> {
        let (counts, last_used_at) = (delta.counts, delta.last_used_at);
        let classes =
            [(2_i64, counts.successes), (3, counts.redirects), (4, counts.refusals), (5, counts.failures)];
        on_conn!(self, |c| {
            diesel::insert_into(api_key_usage::table)
                .values((
                    values!(api_key_usage from delta => api_key_id, workspace_id, environment),
                    values!(api_key_usage from counts => successes, redirects, refusals, failures),
                    api_key_usage::day.eq(Bind(delta.slot.day())),
                ))
                .on_conflict((api_key_usage::api_key_id, api_key_usage::day))
                .do_update()
                .set((
                    api_key_usage::successes
                        .eq(api_key_usage::successes + excluded(api_key_usage::successes)),
                    api_key_usage::redirects
                        .eq(api_key_usage::redirects + excluded(api_key_usage::redirects)),
                    api_key_usage::refusals.eq(api_key_usage::refusals + excluded(api_key_usage::refusals)),
                    api_key_usage::failures.eq(api_key_usage::failures + excluded(api_key_usage::failures)),
                ))
                .execute(c)
                .await?;
            for (class, count) in classes.into_iter().filter(|(_, count)| *count > 0) {
                diesel::insert_into(request_counts::table)
                    .values((
                        request_counts::workspace_id.eq(delta.workspace_id.0),
                        request_counts::environment.eq(delta.environment.as_str()),
                        request_counts::slot.eq(delta.slot.0),
                        request_counts::api_key_id.eq(delta.api_key_id.0),
                        request_counts::status_class.eq(class),
                        request_counts::count.eq(to_i64(count)),
                    ))
                    .on_conflict((
                        request_counts::workspace_id,
                        request_counts::environment,
                        request_counts::slot,
                        request_counts::api_key_id,
                        request_counts::status_class,
                    ))
                    .do_update()
                    .set(request_counts::count.eq(request_counts::count + excluded(request_counts::count)))
                    .execute(c)
                    .await?;
            }
            // Several nodes write; the latest use wins, whoever comes last.
            diesel::update(api_keys::table.find(Bind(delta.api_key_id)))
                .filter(diesel::BoolExpressionMethods::or(
                    api_keys::last_used_at.is_null(),
                    diesel::NullableExpressionMethods::assume_not_null(api_keys::last_used_at)
                        .lt(Bind(last_used_at)),
                ))
                .set(api_keys::last_used_at.eq(Bind(Some(last_used_at))))
                .execute(c)
                .await?;
        });
        Ok(())
    }

    /// The days of several keys from `first_day` on.
    pub async fn usage_list_of(
        &mut self,
        api_keys: &[ApiKeyId],
        first_day: i64,
    ) -> Result<Vec<(ApiKeyId, DayUsage)>> {
        let rows: Vec<(ApiKeyId, i64, RequestCounts)> = on_conn!(self, |c| api_key_usage::table
            .filter(api_key_usage::api_key_id.eq_any(api_keys.iter().map(Bind)))
            .filter(api_key_usage::day.ge(Bind(first_day)))
            .select((api_key_usage::api_key_id, api_key_usage::day, RequestCounts::as_select()))
            .load(c)
            .await?);
        Ok(rows.into_iter().map(|(key, day, counts)| (key, DayUsage { day, counts })).collect())
    }

    /// A key's days from `first_day` on, the newest first.
    pub async fn usage_list(&mut self, api_key: ApiKeyId, first_day: i64) -> Result<Vec<DayUsage>> {
        let rows: Vec<(i64, RequestCounts)> = on_conn!(self, |c| api_key_usage::table
            .filter(api_key_usage::api_key_id.eq(Bind(api_key)))
            .filter(api_key_usage::day.ge(Bind(first_day)))
            .order(api_key_usage::day.desc())
            .select((api_key_usage::day, RequestCounts::as_select()))
            .load(c)
            .await?);
        Ok(rows.into_iter().map(|(day, counts)| DayUsage { day, counts }).collect())
    }
}
