//! Adding up what was counted by quarter hours: pixel events, and requests of keys; and records, by when they
//! were made.
//!
//! Of pixel events and requests only counts are read here, never what was counted.

use diesel::{
    QueryResult,
    pg::Pg,
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::{BigInt, Text},
    sqlite::Sqlite,
};
use diesel_async::RunQueryDsl;
use gatepost_analytics::{QuarterHour, Segment};
use gatepost_kernel::{ApiKeyId, Owner, ResourceTypeId};

use crate::{Result, Tx, resources::text_or_empty};

/// What is added up, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CountedBy {
    /// Pixel events.
    Pixel {
        /// What is looked at: `event`, `url` or `referrer`.
        dimension: &'static str,
        /// Of one event only.
        event: Option<String>,
        /// Of one page or site only, by the dimension.
        value: Option<String>,
        /// What makes the groups: `event` or `value`; one group of all without it.
        group: Option<&'static str>,
    },
    /// Requests of keys.
    Requests {
        /// Of one key only.
        api_key: Option<ApiKeyId>,
        /// Of one class of status only.
        status_class: Option<u8>,
        /// What makes the groups: `api_key_id` or `status_class`; one group of all without it.
        group: Option<&'static str>,
    },
    /// Records of a declared resource, by when they were made.
    Records {
        /// Type of the records.
        type_id: ResourceTypeId,
        /// The column for texts, counted from 0, whose values make the groups; one group of all without it.
        group: Option<usize>,
    },
}

impl CountedBy {
    /// Whether there are groups.
    pub fn is_grouped(&self) -> bool {
        match self {
            Self::Pixel { group, .. } | Self::Requests { group, .. } => group.is_some(),
            Self::Records { group, .. } => group.is_some(),
        }
    }

    /// The same without groups.
    pub fn ungrouped(&self) -> Self {
        let mut same = self.clone();
        match &mut same {
            Self::Pixel { group, .. } | Self::Requests { group, .. } => *group = None,
            Self::Records { group, .. } => *group = None,
        }
        same
    }
}

/// How many of a group there are, in all or in one period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupCount {
    /// The period by its number in its segment; 0 in all.
    pub number: i64,
    /// The group; empty if there is one only.
    pub group: String,
    /// How many.
    pub count: u64,
}

/// The sums of one run of slots.
struct Sums<'a> {
    what: &'a CountedBy,
    workspace: i64,
    environment: &'static str,
    first: QuarterHour,
    end: QuarterHour,
    /// What tells the period of a slot; everything is one without it.
    segment: Option<&'a Segment>,
    /// Of these groups only.
    groups: Option<&'a [String]>,
    limit: Option<i64>,
    api_key: i64,
    status_class: i64,
}

impl<'a> Sums<'a> {
    fn new(what: &'a CountedBy, owner: Owner, slots: (QuarterHour, QuarterHour)) -> Self {
        let Owner { workspace_id: workspace, environment } = owner;
        let (api_key, status_class) = match what {
            CountedBy::Requests { api_key, status_class, .. } => {
                (api_key.map_or(0, |id| id.0), status_class.map_or(0, i64::from))
            }
            CountedBy::Pixel { .. } | CountedBy::Records { .. } => (0, 0),
        };
        Self {
            what,
            workspace: workspace.0,
            environment: environment.as_str(),
            first: slots.0,
            end: slots.1,
            segment: None,
            groups: None,
            limit: None,
            api_key,
            status_class,
        }
    }

    /// The group of a row, as a text.
    fn group(&self) -> &'static str {
        match self.what {
            CountedBy::Pixel { group: Some("event"), .. } => "event",
            CountedBy::Pixel { group: Some(_), .. } => "value",
            CountedBy::Requests { group: Some("api_key_id"), .. } => "CAST(api_key_id AS TEXT)",
            CountedBy::Requests { group: Some(_), .. } => "CAST(status_class AS TEXT)",
            CountedBy::Records { group: Some(_), .. } => "value",
            CountedBy::Pixel { group: None, .. }
            | CountedBy::Requests { group: None, .. }
            | CountedBy::Records { group: None, .. } => "''",
        }
    }

    /// Where the counts are. Of records there are none that were kept: each is one, in the slot of the
    /// instant that `slot` tells.
    fn table(&self, slot: &str) -> String {
        match self.what {
            CountedBy::Pixel { .. } => "pixel_counts".to_owned(),
            CountedBy::Requests { .. } => "request_counts".to_owned(),
            CountedBy::Records { type_id, group } => {
                let value = group.map_or_else(|| "''".to_owned(), text_or_empty);
                format!(
                    "(SELECT workspace_id, environment, {slot} AS slot, {value} AS value, 1 AS count FROM records \
                     WHERE type_id = {}) counted",
                    type_id.0
                )
            }
        }
    }
}

impl QueryId for Sums<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl diesel::query_builder::Query for Sums<'_> {
    type SqlType = (BigInt, Text, BigInt);
}

/// How an engine tells the slot of a record from the instant in which it was made.
trait SlotOf {
    const SLOT: &'static str;
}

impl SlotOf for Sqlite {
    const SLOT: &'static str = "created_at / 900000000";
}

impl SlotOf for Pg {
    const SLOT: &'static str = "CAST(floor(extract(epoch FROM created_at) / 900) AS BIGINT)";
}

/// The text is the same for both engines; only the signs for what is bound differ.
macro_rules! sums_for {
    ($($backend:ty),+) => {$(
        impl QueryFragment<$backend> for Sums<'_> {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, $backend>) -> QueryResult<()> {
                // What is put into the text are numbers and words of this program.
                let number = match self.segment {
                    Some(segment) => format!("(slot + {}) / {}", segment.shift, segment.slots_together),
                    None => "0".to_owned(),
                };
                let table = self.table(<$backend as SlotOf>::SLOT);
                let group = self.group();
                out.push_sql(&format!(
                    "SELECT CAST({number} AS BIGINT), {group}, CAST(SUM(count) AS BIGINT) FROM {table} WHERE workspace_id = "
                ));
                out.push_bind_param::<BigInt, _>(&self.workspace)?;
                out.push_sql(" AND environment = ");
                out.push_bind_param::<Text, _>(self.environment)?;
                out.push_sql(&format!(" AND slot >= {} AND slot < {}", self.first.0, self.end.0));
                match self.what {
                    CountedBy::Records { .. } => {}
                    CountedBy::Pixel { dimension, event, value, .. } => {
                        out.push_sql(" AND dimension = ");
                        out.push_bind_param::<Text, _>(*dimension)?;
                        for (column, wanted) in [("event", event), ("value", value)] {
                            if let Some(wanted) = wanted {
                                out.push_sql(&format!(" AND {column} = "));
                                out.push_bind_param::<Text, _>(wanted)?;
                            }
                        }
                    }
                    CountedBy::Requests { api_key, status_class, .. } => {
                        if api_key.is_some() {
                            out.push_sql(" AND api_key_id = ");
                            out.push_bind_param::<BigInt, _>(&self.api_key)?;
                        }
                        if status_class.is_some() {
                            out.push_sql(" AND status_class = ");
                            out.push_bind_param::<BigInt, _>(&self.status_class)?;
                        }
                    }
                }
                if let Some(groups) = self.groups {
                    out.push_sql(&format!(" AND {group} IN ("));
                    for (place, one) in groups.iter().enumerate() {
                        out.push_sql(if place == 0 { "" } else { ", " });
                        out.push_bind_param::<Text, _>(one)?;
                    }
                    out.push_sql(")");
                }
                out.push_sql(" GROUP BY 1, 2 ORDER BY 3 DESC, 2, 1");
                if let Some(limit) = self.limit {
                    out.push_sql(&format!(" LIMIT {limit}"));
                }
                Ok(())
            }
        }
    )+};
}
sums_for!(Pg, Sqlite);

fn counts(rows: Vec<(i64, String, i64)>) -> Vec<GroupCount> {
    let count = |(number, group, count): (i64, String, i64)| GroupCount {
        number,
        group,
        count: count.unsigned_abs(),
    };
    rows.into_iter().map(count).collect()
}

impl Tx<'_> {
    /// The largest groups between two slots, the second left out; the largest first.
    pub async fn count_groups(
        &mut self,
        what: &CountedBy,
        owner: Owner,
        slots: (QuarterHour, QuarterHour),
        limit: u32,
    ) -> Result<Vec<GroupCount>> {
        let sums = Sums { limit: Some(i64::from(limit)), ..Sums::new(what, owner, slots) };
        let rows: Vec<(i64, String, i64)> = on_conn!(self, |c| sums.load(c).await?);
        Ok(counts(rows))
    }

    /// How many of each of these groups there are in each period of a segment.
    pub async fn count_periods(
        &mut self,
        what: &CountedBy,
        owner: Owner,
        segment: &Segment,
        groups: &[String],
    ) -> Result<Vec<GroupCount>> {
        let slots = (segment.first, segment.end);
        let sums = Sums { segment: Some(segment), groups: Some(groups), ..Sums::new(what, owner, slots) };
        let rows: Vec<(i64, String, i64)> = on_conn!(self, |c| sums.load(c).await?);
        Ok(counts(rows))
    }

    /// Deletes counts from before a slot, at most `limit` of each kind; how many of the one that there were
    /// more of.
    pub async fn count_delete_before(&mut self, before: QuarterHour, limit: u32) -> Result<usize> {
        const OF_PIXEL: &str = "workspace_id, environment, dimension, slot, event, value";
        const OF_REQUESTS: &str = "workspace_id, environment, slot, api_key_id, status_class";
        let mut most = 0;
        for (table, key) in [("pixel_counts", OF_PIXEL), ("request_counts", OF_REQUESTS)] {
            // What is put into the text are numbers and words of this program.
            let old = format!("SELECT {key} FROM {table} WHERE slot < {} LIMIT {limit}", before.0);
            let delete = format!("DELETE FROM {table} WHERE ({key}) IN ({old})");
            most = most.max(on_conn!(self, |c| diesel::sql_query(&delete).execute(c).await?));
        }
        Ok(most)
    }
}
