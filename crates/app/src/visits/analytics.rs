//! How much happened when: pixel events and API requests, from counts that were kept while it happened.

use std::collections::HashMap;

use gatepost_analytics::{Interval, Moment, Timeline};
use gatepost_kernel::{Error, Result, Timestamp};
use gatepost_storage::{CountedBy, GroupCount};

use crate::{App, Caller, tenants::time_zone};

/// What is asked.
#[derive(Debug, Clone)]
pub struct CountByTime {
    /// The length of a period.
    pub interval: Interval,
    /// A moment in the first period; so that there are 24 hours, 30 days, 12 weeks or 12 months if none is
    /// given.
    pub from: Option<Moment>,
    /// A moment in the last period; now if none is given.
    pub to: Option<Moment>,
    /// How many groups, the largest.
    pub limit: u32,
    /// What is counted, and by what.
    pub what: CountedBy,
}

/// How much happened in each period.
#[derive(Debug)]
pub struct CountsByTime {
    /// The length of a period.
    pub interval: Interval,
    /// The time zone of the workspace, in which the periods begin.
    pub time_zone: String,
    /// The first instants of the periods.
    pub periods: Vec<Timestamp>,
    /// Everything, groups that are not shown included.
    pub total: u64,
    /// The groups, the largest first; one of everything if there are none.
    pub series: Vec<Series>,
}

/// How much there is of a group.
#[derive(Debug)]
pub struct Series {
    /// The group; empty for those that have none, and if there are no groups.
    pub group: String,
    /// In all periods.
    pub total: u64,
    /// In each.
    pub counts: Vec<u64>,
}

/// Adds up what was counted for the caller's workspace.
///
/// # Errors
/// [`Error::Validation`] about `from` and `to`; [`Error::NotFound`] if the workspace is gone;
/// [`Error::Unavailable`].
pub async fn count(app: &App, caller: &Caller, query: CountByTime) -> Result<CountsByTime> {
    if matches!(query.what, CountedBy::Requests { .. }) {
        // What this process knows and has not written is part of the answer.
        app.gate().write_usage().await?;
    }
    let owner = caller.owner();
    let to = query.to.unwrap_or(Moment::At(app.now()));
    let CountByTime { interval, from, limit, what, .. } = query;
    app.read_snapshot(async move |mut tx| {
        let settings = tx.workspace_get(owner.workspace_id).await?.ok_or(Error::NotFound)?.settings;
        let time_zone = time_zone(&settings);
        let timeline = Timeline::new(interval, from, to, time_zone.as_deref()).map_err(|many| {
            let (most, unit) = (interval.max_periods(), interval.as_str());
            Error::invalid(
                "from",
                format!("From and to may be at most {most} {unit}s apart; these are {many}."),
            )
        })?;
        if timeline.starts().is_empty() {
            return Err(Error::invalid("to", "The to may not be before from."));
        }
        let slots = timeline.slots();
        let all = tx.count_groups(&what.ungrouped(), owner, slots, 1).await?;
        let total = all.first().map_or(0, |all| all.count);
        let largest = match what.is_grouped() {
            true => tx.count_groups(&what, owner, slots, limit).await?,
            // One of everything, nothing included.
            false => vec![GroupCount { number: 0, group: String::new(), count: total }],
        };
        let periods = timeline.starts().to_vec();
        let mut series: Vec<Series> = largest
            .into_iter()
            .map(|group| Series { group: group.group, total: group.count, counts: vec![0; periods.len()] })
            .collect();
        let groups: Vec<String> = series.iter().map(|series| series.group.clone()).collect();
        let places: HashMap<&String, usize> = groups.iter().zip(0..).collect();
        for (index, segment) in timeline.segments().iter().enumerate().filter(|_| !groups.is_empty()) {
            for count in tx.count_periods(&what, owner, segment, &groups).await? {
                let period = timeline.place(index, count.number);
                if let (Some(group), Some(period)) = (places.get(&count.group), period) {
                    series[*group].counts[period] += count.count;
                }
            }
        }
        let time_zone = time_zone.unwrap_or_else(|| "UTC".to_owned());
        Ok(CountsByTime { interval, time_zone, periods, total, series })
    })
    .await
}
