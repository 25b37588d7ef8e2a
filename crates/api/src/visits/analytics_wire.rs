//! Counts by time on the wire.

use gatepost_analytics::{Interval, Moment};
use gatepost_api_macros::view;
use gatepost_app::{
    CountedBy,
    visits::analytics::{CountByTime, CountsByTime, Series},
};
use gatepost_kernel::{ApiKeyId, CalendarTime, text::web_url};
use gatepost_pixel::{domain, event_name, page_of};
use utoipa::{IntoParams, ToSchema};

use crate::{
    closed_sets::closed_sets,
    query::{Parameters, ReadQuery},
    wire::envelopes,
};

const DEFAULT_GROUPS: u32 = 10;
const MAX_GROUPS: u32 = 100;
const MOMENT: &str = "a date or a date-time such as 2026-01-15T10:30:00Z";
const PIXEL_GROUPS: [&str; 3] = ["event", "url", "referrer"];
const API_GROUPS: [&str; 2] = ["api_key_id", "status_class"];
const STATUS_CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

closed_sets! {
    /// Length of a period.
    AnalyticsInterval(Interval::NAMES) for Interval;
    /// Dimension by which pixel events are grouped.
    PixelGroup(PIXEL_GROUPS);
    /// Dimension by which requests are grouped.
    ApiGroup(API_GROUPS);
    /// Dimension by which counts are grouped.
    AnalyticsGroup([PIXEL_GROUPS.as_slice(), &API_GROUPS].concat());
}

/// Counts by period of time.
#[view(example = {
    "timezone": "Europe/London", "periods": ["2026-01-14T00:00:00Z", "2026-01-15T00:00:00Z"], "total": 12,
})]
pub struct AnalyticsView {
    /// Length of a period.
    interval: Interval,
    /// IANA time zone of the workspace, in which the periods begin.
    timezone: String,
    /// Dimension by which the counts are grouped; null if they are not.
    #[member(like = Option<AnalyticsGroup>)]
    group_by: Option<&'static str>,
    /// Start times of the periods.
    periods: Vec<CalendarTime>,
    /// Sum of all counts, including groups that are not shown.
    total: u64,
    /// Groups with their counts, largest first; a single one if there is no grouping.
    series: Vec<AnalyticsSeriesView>,
}

/// Counts of one group.
#[view(example = {"group": "pageview", "total": 12, "counts": [5, 7]})]
pub struct AnalyticsSeriesView {
    /// Name of the group; null for what has none, such as direct visits, and without grouping.
    group: Option<String>,
    /// Sum over all periods.
    total: u64,
    /// Count of each period, in the order of `periods`.
    counts: Vec<u64>,
}

impl AnalyticsView {
    /// Counts that were grouped like this.
    pub fn new(counts: CountsByTime, group_by: Option<&'static str>) -> Self {
        let CountsByTime { interval, time_zone, periods, total, series } = counts;
        let group = |group: String| match group_by {
            Some("status_class") => Some(format!("{group}xx")),
            _ => Some(group).filter(|group| !group.is_empty()),
        };
        let view = |Series { group: name, total, counts }: Series| AnalyticsSeriesView {
            group: group(name),
            total,
            counts,
        };
        Self {
            interval,
            timezone: time_zone,
            group_by,
            periods: periods.into_iter().map(CalendarTime).collect(),
            total,
            series: series.into_iter().map(view).collect(),
        }
    }
}

envelopes! {
    item AnalyticsItem(AnalyticsView);
}

/// When, and how much of it is shown.
struct Span {
    interval: Interval,
    from: Option<Moment>,
    to: Option<Moment>,
    limit: u32,
}

impl Span {
    fn read(parameters: &mut Parameters) -> Self {
        Self {
            interval: parameters
                .choice("interval", &Interval::NAMES, Interval::parse)
                .unwrap_or(Interval::Day),
            from: parameters.text("from", moment, MOMENT),
            to: parameters.text("to", moment, MOMENT),
            limit: parameters.integer("limit", 1, MAX_GROUPS).unwrap_or(DEFAULT_GROUPS),
        }
    }

    fn of(&self, what: CountedBy) -> CountByTime {
        let Self { interval, from, to, limit } = *self;
        CountByTime { interval, from, to, limit, what }
    }
}

fn moment(text: &str) -> Option<Moment> {
    // The + of an offset is a blank in a query unless it is escaped; there is no other blank in an instant.
    Moment::parse(text).or_else(|| Moment::parse(&text.replace(' ', "+")))
}

fn word(parameters: &mut Parameters, name: &'static str, words: &[&'static str]) -> Option<&'static str> {
    parameters.choice(name, words, |text| words.iter().copied().find(|word| *word == text))
}

/// What of pixel events is counted.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only describes what is read")]
struct PixelAnalyticsParameters {
    /// Length of a period; `day` if not given
    #[param(inline)]
    interval: Option<AnalyticsInterval>,
    /// Time in the first period; a date is one of the workspace's time zone. The last 24 hours or 30 days if not given
    #[param(format = DateTime)]
    from: Option<String>,
    /// Time in the last period; now if not given. At most 31 days of hours, 400 days
    #[param(format = DateTime)]
    to: Option<String>,
    /// Number of groups to return, largest first
    #[param(minimum = 1, maximum = 100, default = 10)]
    limit: Option<u32>,
    /// Dimension to group the counts by
    #[param(inline)]
    group_by: Option<PixelGroup>,
    /// Count only events of this name
    #[param(pattern = "^[A-Za-z0-9_.:/-]+( [A-Za-z0-9_.:/-]+)*$", max_length = 64, example = "pageview")]
    event: Option<String>,
    /// Count only events on this page, whatever its query; not together with `referrer`
    #[param(pattern = "^[Hh][Tt][Tt][Pp][Ss]?://", max_length = 2048, example = "https://example.com/page")]
    url: Option<String>,
    /// Count only events from this site; not together with `url`
    #[param(min_length = 1, max_length = 253, example = "google.com")]
    referrer: Option<String>,
}

/// A class of status.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what is read")]
enum StatusClass {
    #[schema(rename = "2xx")]
    Successes,
    #[schema(rename = "3xx")]
    Redirects,
    #[schema(rename = "4xx")]
    Refusals,
    #[schema(rename = "5xx")]
    Failures,
}

/// What of pixel events is asked.
pub struct PixelAnalyticsQuery {
    span: Span,
    group_by: Option<&'static str>,
    event: Option<String>,
    url: Option<String>,
    referrer: Option<String>,
}

impl IntoParams for PixelAnalyticsQuery {
    fn into_params(
        of: impl Fn() -> Option<utoipa::openapi::path::ParameterIn>,
    ) -> Vec<utoipa::openapi::path::Parameter> {
        PixelAnalyticsParameters::into_params(of)
    }
}

impl PixelAnalyticsQuery {
    /// By what the counts are grouped.
    pub fn group_by(&self) -> Option<&'static str> {
        self.group_by
    }
}

impl ReadQuery for PixelAnalyticsQuery {
    fn read(parameters: &mut Parameters) -> Option<Self> {
        let span = Span::read(parameters);
        let group_by = word(parameters, "group_by", &PIXEL_GROUPS);
        let event = event_name;
        let event = parameters.text("event", event, "the name of an event");
        let page = |text: &str| web_url("url", text).ok().map(|url| page_of(&url));
        let url = parameters.text("url", page, "an absolute http or https URL");
        let site = |text: &str| domain("referrer", text).ok().filter(|site| !site.starts_with('*'));
        let referrer = parameters.text("referrer", site, "a site such as google.com");
        // Pages and referrers are counted each by themselves, not one by the other.
        let by_page = url.is_some() || group_by == Some("url");
        let by_site = referrer.is_some() || group_by == Some("referrer");
        if by_page && by_site {
            let name = if referrer.is_some() { "referrer" } else { "url" };
            parameters.fault(name, "Pages and referrers cannot be combined.");
        }
        Some(Self { span, group_by, event, url, referrer })
    }
}

impl From<&PixelAnalyticsQuery> for CountByTime {
    fn from(query: &PixelAnalyticsQuery) -> Self {
        let PixelAnalyticsQuery { span, group_by, event, url, referrer } = query;
        let dimension = match (group_by, url, referrer) {
            (Some("url"), ..) | (_, Some(_), _) => "url",
            (Some("referrer"), ..) | (_, _, Some(_)) => "referrer",
            _ => "event",
        };
        let group = group_by.map(|group| if group == "event" { "event" } else { "value" });
        let value = url.clone().or_else(|| referrer.clone());
        span.of(CountedBy::Pixel { dimension, event: event.clone(), value, group })
    }
}

/// What of API requests is counted.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only describes what is read")]
struct ApiAnalyticsParameters {
    /// Length of a period; `day` if not given
    #[param(inline)]
    interval: Option<AnalyticsInterval>,
    /// Time in the first period; a date is one of the workspace's time zone. The last 24 hours or 30 days if not given
    #[param(format = DateTime)]
    from: Option<String>,
    /// Time in the last period; now if not given. At most 31 days of hours, 400 days
    #[param(format = DateTime)]
    to: Option<String>,
    /// Number of groups to return, largest first
    #[param(minimum = 1, maximum = 100, default = 10)]
    limit: Option<u32>,
    /// Dimension to group the counts by
    #[param(inline)]
    group_by: Option<ApiGroup>,
    /// Count only requests of this API key
    #[param(minimum = 1)]
    api_key_id: Option<i64>,
    /// Count only responses of this class of status; 1xx count as 2xx
    #[param(inline)]
    status_class: Option<StatusClass>,
}

/// What of API requests is asked.
pub struct ApiAnalyticsQuery {
    span: Span,
    group_by: Option<&'static str>,
    api_key_id: Option<ApiKeyId>,
    status_class: Option<u8>,
}

impl IntoParams for ApiAnalyticsQuery {
    fn into_params(
        of: impl Fn() -> Option<utoipa::openapi::path::ParameterIn>,
    ) -> Vec<utoipa::openapi::path::Parameter> {
        ApiAnalyticsParameters::into_params(of)
    }
}

impl ApiAnalyticsQuery {
    /// By what the counts are grouped.
    pub fn group_by(&self) -> Option<&'static str> {
        self.group_by
    }
}

impl ReadQuery for ApiAnalyticsQuery {
    fn read(parameters: &mut Parameters) -> Option<Self> {
        let span = Span::read(parameters);
        let group_by = word(parameters, "group_by", &API_GROUPS);
        let id = |text: &str| {
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|id| digits && *id > 0).map(ApiKeyId)
        };
        let api_key_id = parameters.text("api_key_id", id, "a positive integer");
        let status_class = word(parameters, "status_class", &STATUS_CLASSES);
        let status_class = status_class.and_then(|class| class.get(..1)?.parse().ok());
        Some(Self { span, group_by, api_key_id, status_class })
    }
}

impl From<&ApiAnalyticsQuery> for CountByTime {
    fn from(query: &ApiAnalyticsQuery) -> Self {
        let ApiAnalyticsQuery { span, group_by, api_key_id, status_class } = query;
        span.of(CountedBy::Requests { api_key: *api_key_id, status_class: *status_class, group: *group_by })
    }
}
