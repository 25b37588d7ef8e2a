//! Counts of records by time.

use gatepost_analytics::Interval;
use gatepost_app::visits::analytics::CountsByTime;
use gatepost_contract::Contract;
use gatepost_kernel::CalendarTime;
use gatepost_macros::view;
use gatepost_resources::{Field, ResourceType};
use serde_json::json;

use crate::{
    query::{Parameter, Parameters, Query, ReadQuery, parameter},
    visits::{AnalyticsSeriesView, Span},
};

/// Counts of records by period of time.
#[view(example = {
    "timezone": "Europe/London", "group_by": null, "periods": ["2026-01-14T00:00:00Z", "2026-01-15T00:00:00Z"], "total": 12,
})]
pub struct RecordAnalyticsView {
    /// Length of a period.
    interval: Interval,
    /// IANA time zone of the workspace, in which the periods begin.
    timezone: String,
    /// Field by whose values the counts are grouped; null if they are not.
    group_by: Option<String>,
    /// Start times of the periods.
    periods: Vec<CalendarTime>,
    /// Sum of all counts, including groups that are not shown.
    total: u64,
    /// Groups with their counts, largest first; a single one if there is no grouping.
    series: Vec<AnalyticsSeriesView>,
}

impl RecordAnalyticsView {
    /// Counts that were grouped by this field.
    pub fn new(counts: CountsByTime, group_by: Option<&Field>) -> Self {
        let CountsByTime { interval, time_zone, periods, total, series } = counts;
        let name = |group: String| Some(group).filter(|group| !group.is_empty());
        Self {
            interval,
            timezone: time_zone,
            group_by: group_by.map(|field| field.name.to_owned()),
            periods: periods.into_iter().map(CalendarTime).collect(),
            total,
            series: series.into_iter().map(|of| AnalyticsSeriesView::new(of, name)).collect(),
        }
    }
}

/// What of records is asked.
pub struct AnalyticsQuery {
    /// Time range that is counted, and the length of its periods.
    pub span: Span,
    /// Name of the field by whose values they are grouped.
    pub group_by: Option<&'static str>,
}

impl Query for AnalyticsQuery {}

impl AnalyticsQuery {
    /// How the document describes the parameters.
    pub fn parameters(contract: &Contract, declared: &ResourceType) -> Vec<Parameter> {
        let mut parameters = Span::parameters(contract);
        let groups: Vec<&str> = declared.groups().map(|field| field.name).collect();
        if !groups.is_empty() {
            let about = "Field to group the counts by";
            parameters.push(parameter("group_by", about, json!({ "type": "string", "enum": groups }), false));
        }
        parameters
    }

    /// What a query says.
    pub fn read(parameters: &mut Parameters, declared: &ResourceType) -> Option<Self> {
        let groups: Vec<&'static str> = declared.groups().map(|field| field.name).collect();
        let group_by = match groups.is_empty() {
            true => None,
            false => {
                let known = |word: &str| groups.iter().copied().find(|name| *name == word);
                parameters.choice("group_by", &groups, known)
            }
        };
        Some(Self { span: Span::read(parameters)?, group_by })
    }
}
