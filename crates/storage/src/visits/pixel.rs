//! What happens on pages, and whose pages they are.

use std::collections::BTreeMap;

use diesel::{
    ExpressionMethods, QueryDsl,
    sql_types::{BigInt, Nullable, Text},
    upsert::excluded,
};
use diesel_async::RunQueryDsl;
use gatepost_analytics::QuarterHour;
use gatepost_kernel::{Environment, JsonObject, Timestamp, WorkspaceId};
use gatepost_pixel::Visit;

use crate::{
    Result, Tx,
    engine::Conn,
    schema::{pixel_counts, pixel_domains, pixel_events, workspaces},
    types::{Bind, Instant, to_i64},
};

/// Something that happened on a page of a tenant.
#[derive(Debug, Clone)]
pub struct NewPixelEvent {
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// Environment: `live` or `test`.
    pub environment: Environment,
    /// What happened.
    pub visit: Visit,
    /// The page as it is counted.
    pub page: String,
    /// The site that the visitor came from, as it is counted; none from nowhere.
    pub referring_site: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

/// By which of its values an event is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PixelDimension {
    /// The page.
    Page,
    /// The site that the visitor came from.
    Referrer,
}

impl PixelDimension {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Page, Self::Referrer];

    fn as_str(self) -> &'static str {
        match self {
            Self::Page => "url",
            Self::Referrer => "referrer",
        }
    }
}

/// Which values are counted beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CountedValues {
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// The environment.
    pub environment: Environment,
    /// Of which kind.
    pub dimension: PixelDimension,
    /// In which quarter hour.
    pub slot: QuarterHour,
}

/// Who owns a domain.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelOwner {
    /// By which name.
    pub domain: String,
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// Name of its plan.
    pub tier: String,
    /// All its settings.
    pub settings: JsonObject,
}

/// How many events one statement of SQLite inserts; the rest of a group goes one by one.
const SQLITE_ROWS: usize = 100;

bulk_statement! {
    /// New events.
    InsertEvents returning () =
    "INSERT INTO pixel_events (workspace_id, environment, event, url, referrer, user_agent, network, properties, created_at) SELECT * FROM"
    unnest ""
    {
        workspace_id: i64 => BigInt,
        environment: &'a str => Text,
        event: &'a str => Text,
        url: &'a str => Text,
        referrer: Option<&'a str> => Nullable<Text>,
        user_agent: Option<&'a str> => Nullable<Text>,
        network: Option<String> => Nullable<Text>,
        properties: &'a str => Text,
        created_at: Timestamp => Instant,
    }
}

bulk_statement_for_sqlite! {
    InsertEvents =
    "INSERT INTO pixel_events (workspace_id, environment, event, url, referrer, user_agent, network, properties, created_at)"
    values ""
    {
        workspace_id => BigInt,
        environment => Text,
        event => Text,
        url => Text,
        referrer => Nullable<Text>,
        user_agent => Nullable<Text>,
        network => Nullable<Text>,
        properties => Text,
        created_at => Instant,
    }
}

impl<'a> InsertEvents<'a> {
    fn new(new: &[&'a NewPixelEvent]) -> Self {
        let mut insert = Self::empty();
        for one in new {
            insert.workspace_id.push(one.workspace_id.0);
            insert.environment.push(one.environment.as_str());
            insert.event.push(&one.visit.event);
            insert.url.push(&one.visit.url);
            insert.referrer.push(one.visit.referrer.as_deref());
            insert.user_agent.push(one.visit.user_agent.as_deref());
            insert.network.push(one.visit.network.map(|network| network.to_string()));
            insert.properties.push(one.visit.properties.as_str());
            insert.created_at.push(one.created_at);
        }
        insert
    }
}

bulk_statement! {
    /// Adds to counts.
    AddCounts returning () =
    "INSERT INTO pixel_counts AS c (workspace_id, environment, dimension, slot, event, value, count) SELECT * FROM"
    unnest "ON CONFLICT (workspace_id, environment, dimension, slot, event, value) DO UPDATE SET count = c.count + excluded.count"
    {
        workspace_id: i64 => BigInt,
        environment: &'a str => Text,
        dimension: &'a str => Text,
        slot: i64 => BigInt,
        event: &'a str => Text,
        value: &'a str => Text,
        count: i64 => BigInt,
    }
}

/// What is counted together: workspace, environment, dimension, slot, event and value.
type CountKey<'a> = (i64, &'a str, &'static str, i64, &'a str, &'a str);

/// Adds up what new events add to the counts, in the order of the table's key: so two processes never wait
/// for each other.
fn counts<'a>(new: &[&'a NewPixelEvent]) -> BTreeMap<CountKey<'a>, u64> {
    let mut counts = BTreeMap::new();
    for one in new {
        let slot = QuarterHour::of(one.created_at).0;
        let referrer = one.referring_site.as_deref().unwrap_or_default();
        let (page, site) = (PixelDimension::Page.as_str(), PixelDimension::Referrer.as_str());
        for (dimension, value) in [("event", ""), (page, one.page.as_str()), (site, referrer)] {
            let (workspace, environment) = (one.workspace_id.0, one.environment.as_str());
            let key = (workspace, environment, dimension, slot, one.visit.event.as_str(), value);
            *counts.entry(key).or_insert(0) += 1;
        }
    }
    counts
}

impl Tx<'_> {
    /// Keeps events, and counts them.
    pub async fn pixel_event_insert(&mut self, new: &[&NewPixelEvent]) -> Result<()> {
        let counts = counts(new);
        match &mut self.0 {
            Conn::Sqlite(c) => {
                let (groups, rest) = new.split_at(new.len() - new.len() % SQLITE_ROWS);
                for group in groups.chunks(SQLITE_ROWS).chain(rest.chunks(1)) {
                    InsertEvents::new(group).execute(*c).await?;
                }
                for ((workspace, environment, dimension, slot, event, value), count) in counts {
                    diesel::insert_into(pixel_counts::table)
                        .values((
                            pixel_counts::workspace_id.eq(workspace),
                            pixel_counts::environment.eq(environment),
                            pixel_counts::dimension.eq(dimension),
                            pixel_counts::slot.eq(slot),
                            pixel_counts::event.eq(event),
                            pixel_counts::value.eq(value),
                            pixel_counts::count.eq(to_i64(count)),
                        ))
                        .on_conflict((
                            pixel_counts::workspace_id,
                            pixel_counts::environment,
                            pixel_counts::dimension,
                            pixel_counts::slot,
                            pixel_counts::event,
                            pixel_counts::value,
                        ))
                        .do_update()
                        .set(pixel_counts::count.eq(pixel_counts::count + excluded(pixel_counts::count)))
                        .execute(*c)
                        .await?;
                }
            }
            Conn::Postgres(c) => {
                InsertEvents::new(new).execute(*c).await?;
                let mut add = AddCounts::empty();
                for ((workspace, environment, dimension, slot, event, value), count) in counts {
                    add.workspace_id.push(workspace);
                    add.environment.push(environment);
                    add.dimension.push(dimension);
                    add.slot.push(slot);
                    add.event.push(event);
                    add.value.push(value);
                    add.count.push(to_i64(count));
                }
                add.execute(*c).await?;
            }
        }
        Ok(())
    }

    /// Makes sure that until the transaction ends nobody else adds a value to those that a workspace's events
    /// are counted by.
    pub async fn pixel_values_lock(&mut self, workspace: WorkspaceId) -> Result<()> {
        match &mut self.0 {
            // SQLite's one writer is already alone.
            Conn::Sqlite(_) => {}
            Conn::Postgres(c) => {
                diesel::sql_query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
                    .bind::<Text, _>(format!("pixel_values/{}", workspace.0))
                    .execute(*c)
                    .await?;
            }
        }
        Ok(())
    }

    /// The values that are counted already.
    pub async fn pixel_values(&mut self, of: &CountedValues) -> Result<Vec<String>> {
        Ok(on_conn!(self, |c| pixel_counts::table
            .filter(pixel_counts::workspace_id.eq(of.workspace_id.0))
            .filter(pixel_counts::environment.eq(of.environment.as_str()))
            .filter(pixel_counts::dimension.eq(of.dimension.as_str()))
            .filter(pixel_counts::slot.eq(of.slot.0))
            .select(pixel_counts::value)
            .distinct()
            .load(c)
            .await?))
    }

    /// Whose a domain is, of which these are the names by which it can be owned, the most specific first.
    pub async fn pixel_owner(&mut self, names: &[String]) -> Result<Option<PixelOwner>> {
        let rows: Vec<(String, WorkspaceId, String, JsonObject)> = on_conn!(self, |c| pixel_domains::table
            .inner_join(workspaces::table)
            .filter(pixel_domains::domain.eq_any(names.iter().map(Bind)))
            .filter(workspaces::deleted_at.is_null())
            .select((pixel_domains::domain, workspaces::id, workspaces::tier, workspaces::settings))
            .load(c)
            .await?);
        let place = |domain: &String| names.iter().position(|name| name == domain);
        let owner = rows.into_iter().min_by_key(|(domain, ..)| place(domain));
        let owner = owner.map(|(domain, workspace_id, tier, settings)| PixelOwner {
            domain,
            workspace_id,
            tier,
            settings,
        });
        Ok(owner)
    }

    /// Gives a workspace these domains and takes all others from it; those of them that are another's, if
    /// there are any, and then nothing has become true that may stay.
    pub async fn pixel_domain_set(
        &mut self,
        workspace: WorkspaceId,
        domains: &[String],
    ) -> Result<Vec<String>> {
        on_conn!(self, |c| {
            diesel::delete(pixel_domains::table.filter(pixel_domains::workspace_id.eq(Bind(workspace))))
                .execute(c)
                .await?;
        });
        let mut taken = Vec::new();
        // In one order everywhere, so that two that want the same do not wait for each other.
        let mut domains = domains.to_vec();
        domains.sort_unstable();
        for domain in &domains {
            let rows = on_conn!(self, |c| diesel::insert_into(pixel_domains::table)
                .values((pixel_domains::domain.eq(domain), pixel_domains::workspace_id.eq(Bind(workspace))))
                .on_conflict_do_nothing()
                .execute(c)
                .await?);
            if rows == 0 {
                taken.push(domain.clone());
            }
        }
        Ok(taken)
    }

    /// Deletes events from before `before`, at most `limit`; how many. The counts stay.
    pub async fn pixel_event_delete_before(&mut self, before: Timestamp, limit: u32) -> Result<usize> {
        Ok(on_conn!(self, |c| {
            let old: Vec<i64> = pixel_events::table
                .filter(pixel_events::created_at.lt(Bind(before)))
                .order(pixel_events::created_at)
                .limit(limit.into())
                .select(pixel_events::id)
                .load(c)
                .await?;
            if old.is_empty() {
                return Ok(0);
            }
            diesel::delete(pixel_events::table.filter(pixel_events::id.eq_any(old.iter().map(Bind))))
                .execute(c)
                .await?
        }))
    }
}
