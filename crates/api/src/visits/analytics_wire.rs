//! Counts by time on the wire.

use gatepost_analytics::{Interval, Moment};
use gatepost_app::{
    CountedBy,
    visits::analytics::{CountByTime, CountsByTime, Series},
};
use gatepost_kernel::{ApiKeyId, CalendarTime, text::web_url};
use gatepost_macros::{query, view};
use gatepost_pixel::{domain, event_name, page_of};
use serde::Serialize;

use crate::{
    query::Parameters,
    values::{Whole, text_parameters, words},
};

gatepost_kernel::words! {
    /// Dimension by which pixel events are grouped.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum PixelGroup {
        /// The name of the event.
        Event = "event",
        /// The page.
        Url = "url",
        /// The site that the visitor came from.
        Referrer = "referrer",
    }
    described as "AnalyticsPixelGroup": "Dimension by which pixel events are grouped."
}

gatepost_kernel::words! {
    /// Dimension by which requests are grouped.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum ApiGroup {
        /// The key.
        ApiKeyId = "api_key_id",
        /// The class of status.
        StatusClass = "status_class",
    }
    described as "AnalyticsApiGroup": "Dimension by which requests are grouped."
}

gatepost_kernel::words! {
    /// Class of status.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum StatusClass {
        /// 1xx and 2xx.
        Successes = "2xx",
        /// 3xx.
        Redirects = "3xx",
        /// 4xx.
        Refusals = "4xx",
        /// 5xx.
        Failures = "5xx",
    }
    described as "AnalyticsStatusClass": "Class of status."
}

words!(Interval, PixelGroup, ApiGroup, StatusClass);

/// Dimension by which counts are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum AnalyticsGroup {
    /// Of pixel events.
    Pixel(PixelGroup),
    /// Of requests.
    Api(ApiGroup),
}

gatepost_kernel::described_words!(
    AnalyticsGroup,
    "AnalyticsGroup",
    "Dimension by which counts are grouped.",
    [PixelGroup::NAMES.as_slice(), &ApiGroup::NAMES].concat()
);

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
    group_by: Option<AnalyticsGroup>,
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

impl AnalyticsSeriesView {
    /// Counts of a group that is called so.
    pub fn new(of: Series, name: impl Fn(String) -> Option<String>) -> Self {
        Self { group: name(of.group), total: of.total, counts: of.counts }
    }
}

impl AnalyticsView {
    /// Counts that were grouped like this.
    pub fn new(counts: CountsByTime, group_by: Option<AnalyticsGroup>) -> Self {
        let CountsByTime { interval, time_zone, periods, total, series } = counts;
        let group = |group: String| match group_by {
            Some(AnalyticsGroup::Api(ApiGroup::StatusClass)) => Some(format!("{group}xx")),
            _ => Some(group).filter(|group| !group.is_empty()),
        };
        let view = |of: Series| AnalyticsSeriesView::new(of, group);
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

const MOMENT: &str = "a date or a date-time such as 2026-01-15T10:30:00Z";

text_parameters! {
    /// A time, or a day of the workspace's time zone.
    MomentText(Moment) = { "type": "string", "format": "date-time" }, MOMENT, |text| {
        // The + of an offset is a blank in a query unless it is escaped; there is no other blank in an
        // instant.
        Moment::parse(text).or_else(|| Moment::parse(&text.replace(' ', "+")))
    };
    /// The name of an event of pages.
    EventName(String) = { "type": "string", "pattern": "^[A-Za-z0-9_.:/-]+( [A-Za-z0-9_.:/-]+)*$", "maxLength": 64 },
        "the name of an event", event_name;
    /// A page, without its query.
    PageUrl(String) = { "type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://", "maxLength": 2048 },
        "an absolute http or https URL",
        |text| web_url("url", text).ok().map(|url| page_of(&url));
    /// A site.
    Site(String) = { "type": "string", "minLength": 1, "maxLength": 253 }, "a site such as google.com",
        |text| domain("referrer", text).ok().filter(|site| !site.starts_with('*'));
}

/// When, and how much of it is shown.
#[query]
#[derive(Clone, Copy)]
pub struct Span {
    /// Length of a period; `day` if not given
    interval: Option<Interval>,
    /// Time in the first period; a date is one of the workspace's time zone. If not given, 24 hours, 30 days,
    /// 12 weeks or 12 months are counted
    #[member(like = MomentText)]
    from: Option<Moment>,
    /// Time in the last period; now if not given. At most 31 days of hours, 400 days, 58 weeks or 14 months
    #[member(like = MomentText)]
    to: Option<Moment>,
    /// Number of groups to return, largest first
    #[member(like = Whole<u32, 1, 100>, default = 10)]
    limit: u32,
}

impl Span {
    /// The counting of this in that time.
    pub fn of(&self, what: CountedBy) -> CountByTime {
        let Self { interval, from, to, limit } = *self;
        CountByTime { interval: interval.unwrap_or(Interval::Day), from, to, limit, what }
    }
}

/// What of pixel events is asked.
#[query(check = Self::check)]
pub struct PixelAnalyticsQuery {
    #[member(flatten)]
    span: Span,
    /// Dimension to group the counts by
    pub group_by: Option<PixelGroup>,
    /// Count only events of this name
    #[member(like = EventName, example = "pageview")]
    event: Option<String>,
    /// Count only events on this page, whatever its query; not together with `referrer`
    #[member(like = PageUrl, example = "https://example.com/page")]
    url: Option<String>,
    /// Count only events from this site; not together with `url`
    #[member(like = Site, example = "google.com")]
    referrer: Option<String>,
}

impl PixelAnalyticsQuery {
    /// Pages and referrers are counted each by themselves, not one by the other.
    fn check(&self, parameters: &mut Parameters) {
        let by_page = self.url.is_some() || self.group_by == Some(PixelGroup::Url);
        let by_site = self.referrer.is_some() || self.group_by == Some(PixelGroup::Referrer);
        if by_page && by_site {
            let name = if self.referrer.is_some() { "referrer" } else { "url" };
            parameters.error(name, "Pages and referrers cannot be combined.");
        }
    }
}

impl From<&PixelAnalyticsQuery> for CountByTime {
    fn from(query: &PixelAnalyticsQuery) -> Self {
        let PixelAnalyticsQuery { span, group_by, event, url, referrer } = query;
        let dimension = match (group_by, url, referrer) {
            (Some(PixelGroup::Url), ..) | (_, Some(_), _) => PixelGroup::Url,
            (Some(PixelGroup::Referrer), ..) | (_, _, Some(_)) => PixelGroup::Referrer,
            _ => PixelGroup::Event,
        };
        let group = group_by.map(|group| if group == PixelGroup::Event { "event" } else { "value" });
        let value = url.clone().or_else(|| referrer.clone());
        span.of(CountedBy::Pixel { dimension: dimension.as_str(), event: event.clone(), value, group })
    }
}

/// What of API requests is asked.
#[query]
pub struct ApiAnalyticsQuery {
    #[member(flatten)]
    span: Span,
    /// Dimension to group the counts by
    pub group_by: Option<ApiGroup>,
    /// Count only requests of this API key
    api_key_id: Option<ApiKeyId>,
    /// Count only responses of this class of status; 1xx count as 2xx
    status_class: Option<StatusClass>,
}

impl From<&ApiAnalyticsQuery> for CountByTime {
    fn from(query: &ApiAnalyticsQuery) -> Self {
        let ApiAnalyticsQuery { span, group_by, api_key_id, status_class } = query;
        let status_class = status_class.map(|class| match class {
            StatusClass::Successes => 2,
            StatusClass::Redirects => 3,
            StatusClass::Refusals => 4,
            StatusClass::Failures => 5,
        });
        let group = group_by.map(ApiGroup::as_str);
        span.of(CountedBy::Requests { api_key: *api_key_id, status_class, group })
    }
}
