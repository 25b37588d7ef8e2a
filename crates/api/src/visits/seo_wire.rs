//! SEO reports and issues on the wire.

use gatepost_api_macros::view;
use gatepost_app::{
    SeoIssue, SeoReport,
    lists::{SEO_ISSUE_SORTS, SEO_REPORT_SORTS},
    visits::seo::{ListSeoIssues, SubmitSeoReport},
};
use gatepost_kernel::{FieldErrors, Json, JsonObject, SeoIssueId, SeoReportId, Timestamp};
use gatepost_seo::{
    Issue, IssueCounts, MAX_ISSUES, MAX_SCORE, SCORES, Scores, Severity, issue_type, page_url,
};
use utoipa::ToSchema;

use crate::{
    body::{Context, Fields, Members, Null, ReadBody},
    closed_sets::SeoSeverity,
    describe::View,
    lists::{Content, Description, Filter, ListQuery, Listed, Values},
    wire::envelopes,
};

/// Scores of a page; null for those that could not be computed or were not requested.
#[view(example = {"performance": 85, "accessibility": 92, "best_practices": 88, "seo": 95})]
pub struct SeoScoresView {
    /// Score for performance, 0 to 100.
    #[member(maximum = 100)]
    performance: Option<u8>,
    /// Score for accessibility, 0 to 100.
    #[member(maximum = 100)]
    accessibility: Option<u8>,
    /// Score for best practices, 0 to 100.
    #[member(maximum = 100)]
    best_practices: Option<u8>,
    /// Score for search engine optimisation, 0 to 100.
    #[member(maximum = 100)]
    seo: Option<u8>,
}

impl From<Scores> for SeoScoresView {
    fn from(Scores([performance, accessibility, best_practices, seo]): Scores) -> Self {
        Self { performance, accessibility, best_practices, seo }
    }
}

/// Number of issues by severity.
#[view(from = IssueCounts, example = {"error": 0, "warning": 1, "info": 0})]
pub struct SeoIssueCountsView {
    /// Number of errors found.
    error: u32,
    /// Number of warnings found.
    warning: u32,
    /// Number of minor issues found.
    info: u32,
}

/// An SEO report on one page.
#[view(from = SeoReport, example = {
    "id": 1, "url": "https://example.com/page", "created_at": "2026-01-15T10:30:00Z",
})]
pub struct SeoReportView {
    /// Numeric id of the report; `report_id` of its issues.
    id: SeoReportId,
    /// URL of the page.
    url: String,
    /// Scores of the page.
    scores: SeoScoresView,
    /// Number of issues found on the page.
    #[member(from = source.issues.into())]
    issue_counts: SeoIssueCountsView,
    /// Time at which the report was submitted.
    created_at: Timestamp,
}

/// An issue found on a page.
#[view(from = SeoIssue, example = {
    "id": 1, "report_id": 1, "url": "https://example.com/page", "issue_type": "missing_alt",
    "details": {"element": "img.hero-image"}, "created_at": "2026-01-15T10:30:00Z",
})]
pub struct SeoIssueView {
    /// Numeric id of the issue.
    id: SeoIssueId,
    /// Numeric id of the report that lists the issue.
    report_id: SeoReportId,
    /// URL of the page.
    url: String,
    /// Type of the issue.
    issue_type: String,
    /// Severity of the issue.
    severity: Severity,
    /// Further details that were submitted with the issue.
    #[member(like = JsonObject)]
    details: Json,
    /// Time at which the issue was reported.
    created_at: Timestamp,
}

envelopes! {
    message SeoReportMessage(SeoReportView);
    log SeoReportPage(SeoReportView);
    page SeoIssuePage(SeoIssueView);
}

/// An SEO report to submit.
#[derive(ToSchema)]
pub struct SubmitSeoReportBody {
    /// URL of the page, http or https; its fragment is not stored
    #[schema(pattern = "^[Hh][Tt][Tt][Pp][Ss]?://", max_length = 2048, example = "https://example.com/page")]
    url: String,
    /// Scores of the page
    #[schema(value_type = SubmitSeoScoresBody)]
    scores: Scores,
    /// Issues found on the page
    #[schema(value_type = Option<Vec<ReportedSeoIssue>>, max_items = 1000)]
    issues: Vec<Issue>,
}

/// Scores of a page, 0 to 100 each, rounded to whole numbers; null or left out if one could not be computed or was not requested.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what is read")]
pub struct SubmitSeoScoresBody {
    /// Score for performance
    #[schema(minimum = 0, maximum = 100, example = 85)]
    performance: Option<f64>,
    /// Score for accessibility
    #[schema(minimum = 0, maximum = 100, example = 92)]
    accessibility: Option<f64>,
    /// Score for best practices
    #[schema(minimum = 0, maximum = 100, example = 88)]
    best_practices: Option<f64>,
    /// Score for search engine optimisation
    #[schema(minimum = 0, maximum = 100, example = 95)]
    seo: Option<f64>,
}

/// An issue found on a page. All other members are kept as `details`, whatever they are.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what is read")]
pub struct ReportedSeoIssue {
    /// Type of the issue: letters, digits and `_.:/-`
    #[schema(pattern = "^[A-Za-z0-9_.:/-]+$", max_length = 100, example = "missing_alt")]
    r#type: String,
    /// Severity of the issue
    severity: SeoSeverity,
    /// Element of the page that has the issue
    #[schema(nullable = false, example = "img.hero-image")]
    element: Option<String>,
}

impl ReadBody for SubmitSeoReportBody {
    fn read(fields: &mut Fields, _: &Context<'_>) -> Option<Self> {
        let url = fields.required_text("url", |text| page_url("url", text));
        let scores = match fields.members("scores", Null::IsAbsent) {
            Some(members) => {
                let scores = read_scores(members);
                scores.map_err(|faults| fields.faults("scores.", &faults)).ok()
            }
            None => {
                fields.require("scores");
                None
            }
        };
        let items = fields.optional_objects("issues", Null::IsAbsent, MAX_ISSUES).unwrap_or_default();
        let mut issues = Vec::with_capacity(items.len());
        for (place, item) in items.into_iter().enumerate() {
            match read_issue(item) {
                Ok(issue) => issues.push(issue),
                Err(faults) => fields.faults(&format!("issues.{place}."), &faults),
            }
        }
        Some(Self { url: url?, scores: scores?, issues })
    }
}

fn read_scores(members: Members<'_>) -> Result<Scores, FieldErrors> {
    let mut fields = Fields::new(members);
    // What is a whole number of hundredths elsewhere comes as 28.999999999999996 here.
    let scores = SCORES.map(|name| {
        fields.number(name, Null::IsAbsent, 0.0..=MAX_SCORE.into()).map(|score| score.round() as u8)
    });
    let faults = fields.into_errors();
    if faults.is_empty() { Ok(Scores(scores)) } else { Err(faults) }
}

fn read_issue(members: Members<'_>) -> Result<Issue, FieldErrors> {
    let mut fields = Fields::new(members);
    let issue_type = fields.required_text("type", |text| {
        issue_type(text).then(|| text.to_owned()).ok_or_else(|| {
            "The type must be 1 to 100 letters, digits, underscores, dots, colons, slashes or hyphens."
                .to_owned()
        })
    });
    let severity = fields.required_text("severity", |text| {
        Severity::parse(text).ok_or_else(|| {
            let words = Severity::NAMES.join(", ");
            format!("The selected severity is invalid. It must be one of: {words}.")
        })
    });
    fields.look_at("element", |element| element.starts_with('"'), "The element must be a string.");
    let details = fields.rest();
    let faults = fields.into_errors();
    match (issue_type, severity, details) {
        (Some(issue_type), Some(severity), Some(details)) if faults.is_empty() => {
            Ok(Issue { issue_type, severity, details })
        }
        _ => Err(faults),
    }
}

impl From<SubmitSeoReportBody> for SubmitSeoReport {
    fn from(body: SubmitSeoReportBody) -> Self {
        let SubmitSeoReportBody { url, scores, issues } = body;
        Self { url, scores, issues }
    }
}

/// An address of a page.
const PAGE: Values = Values::Text {
    form: "an absolute http or https URL",
    pattern: "^[Hh][Tt][Tt][Pp][Ss]?://",
    max_length: 2048,
    is_valid: |text| page_url("url", text).is_ok(),
};

const OF_PAGE: Filter = Filter { name: "url", values: PAGE, about: "Return only those on this page" };

/// What can be asked of the list of SEO reports.
pub struct SeoReportList;

impl Listed for SeoReportList {
    const LIST: Description = Description {
        sorts: SEO_REPORT_SORTS,
        default_sort: "-created_at",
        filters: &[OF_PAGE],
        has_updated_at: false,
        searched: None,
        fields: SeoReportView::MEMBERS,
        content: None,
        includes: &[],
        is_log: true,
    };
}

/// What can be asked of the list of SEO issues.
pub struct SeoIssueList;

impl Listed for SeoIssueList {
    const LIST: Description = Description {
        sorts: SEO_ISSUE_SORTS,
        default_sort: "-created_at",
        filters: &[
            Filter {
                name: "severity",
                values: Values::OneOf(&Severity::NAMES),
                about: "Return only issues of this severity",
            },
            Filter {
                name: "type",
                values: Values::Text {
                    form: "a type of issues such as missing_alt",
                    pattern: "^[A-Za-z0-9_.:/-]+$",
                    max_length: 100,
                    is_valid: issue_type,
                },
                about: "Return only those of this type",
            },
            OF_PAGE,
            Filter { name: "report_id", values: Values::Id, about: "Return only issues of this report" },
        ],
        has_updated_at: false,
        searched: None,
        fields: SeoIssueView::MEMBERS,
        content: Some(Content { name: "details", most_bytes: 1 << 20 }),
        includes: &[],
        is_log: false,
    };
}

/// The page that a list is asked for, in its one spelling.
pub fn url_filter<R: Listed>(query: &ListQuery<R>) -> Option<String> {
    query.filter("url").and_then(|url| page_url("url", url).ok())
}

impl From<&ListQuery<SeoIssueList>> for ListSeoIssues {
    fn from(query: &ListQuery<SeoIssueList>) -> Self {
        Self {
            report_id: query.filter("report_id").and_then(|id| id.parse().ok()).map(SeoReportId),
            url: url_filter(query),
            issue_type: query.filter("type").map(str::to_owned),
            severity: query.filter("severity").and_then(Severity::parse),
        }
    }
}
