//! SEO reports and issues on the wire.

use gatepost_app::{
    SeoIssue, SeoReport,
    lists::{SEO_ISSUE_SORTS, SEO_REPORT_SORTS},
    visits::seo::SubmitSeoReport,
};
use gatepost_kernel::{Json, JsonObject, SeoIssueId, SeoReportId, Timestamp};
use gatepost_macros::{body, query, view};
use gatepost_seo::{
    Issue, IssueCounts, MAX_ISSUES, MAX_SCORE, MAX_TYPE_CHARS, Scores, Severity, issue_type, page_url,
};

use crate::{
    lists::{Content, Description, Listed},
    values::{AnyText, ListOf, members, text_parameters, texts},
};

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
    scores: Scores,
    /// Number of issues found on the page.
    #[member(from = source.issues)]
    issue_counts: IssueCounts,
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

texts! {
    /// An address of a page, in its one spelling.
    PageAddress(String) = { "type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://", "maxLength": 2048 },
        |text| page_url("url", text);
    /// A type of issues.
    IssueType(String) = { "type": "string", "pattern": "^[A-Za-z0-9_.:/-]+$", "maxLength": MAX_TYPE_CHARS }, |text| {
        let error =
            "The type must be 1 to 100 letters, digits, underscores, dots, colons, slashes or hyphens.";
        issue_type(text).then(|| text.to_owned()).ok_or_else(|| error.to_owned())
    };
}

members! {
    /// A score, which is rounded: what is a whole number of hundredths elsewhere comes as 28.999999999999996
    /// here.
    Score(u8) = { "type": "number", "format": "double", "minimum": 0, "maximum": MAX_SCORE }, |fields, name, value| {
        fields.number(name, value, 0.0..=MAX_SCORE.into()).map(|score| score.round() as u8)
    };
}

/// An SEO report to submit.
#[body(into = SubmitSeoReport, example = { "url": "https://example.com/page" })]
pub struct SubmitSeoReportBody {
    /// URL of the page, http or https; its fragment is not stored
    #[member(like = PageAddress)]
    url: String,
    /// Scores of the page
    #[member(into = scores.into())]
    scores: SubmitSeoScoresBody,
    /// Issues found on the page
    #[member(
        like = ListOf<ReportedSeoIssue, 0, MAX_ISSUES>, default,
        into = issues.into_iter().map(Into::into).collect()
    )]
    issues: Vec<ReportedSeoIssue>,
}

/// Scores of a page, 0 to 100 each, rounded to whole numbers; null or left out if one could not be computed
/// or was not requested.
#[body(example = {"performance": 85, "accessibility": 92, "best_practices": 88, "seo": 95})]
pub struct SubmitSeoScoresBody {
    /// Score for performance
    #[member(like = Score)]
    performance: Option<u8>,
    /// Score for accessibility
    #[member(like = Score)]
    accessibility: Option<u8>,
    /// Score for best practices
    #[member(like = Score)]
    best_practices: Option<u8>,
    /// Score for search engine optimisation
    #[member(like = Score)]
    seo: Option<u8>,
}

impl From<SubmitSeoScoresBody> for Scores {
    fn from(body: SubmitSeoScoresBody) -> Self {
        Self([body.performance, body.accessibility, body.best_practices, body.seo])
    }
}

/// An issue found on a page. All other members are kept as `details`, whatever they are.
#[body(open, example = { "type": "missing_alt", "element": "img.hero-image" })]
pub struct ReportedSeoIssue {
    /// Type of the issue: letters, digits and `_.:/-`
    #[member(like = IssueType)]
    r#type: String,
    /// Severity of the issue
    severity: Severity,
    /// Element of the page that has the issue
    #[expect(dead_code, reason = "is kept as part of the details")]
    #[member(like = AnyText, kept)]
    element: Option<String>,
    /// All but the type and the severity
    #[member(rest)]
    details: Json,
}

impl From<ReportedSeoIssue> for Issue {
    fn from(issue: ReportedSeoIssue) -> Self {
        let ReportedSeoIssue { r#type, severity, details, .. } = issue;
        Self { issue_type: r#type, severity, details }
    }
}

text_parameters! {
    /// A page, in its one spelling.
    PageParameter(String) = { "type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://", "maxLength": 2048 },
        "an absolute http or https URL",
        |text| page_url("url", text).ok();
    /// A type of issues.
    IssueTypeParameter(String) = { "type": "string", "pattern": "^[A-Za-z0-9_.:/-]+$", "maxLength": MAX_TYPE_CHARS },
        "a type of issues such as missing_alt",
        |text| issue_type(text).then(|| text.to_owned());
}

/// What the list of SEO reports can be filtered by.
#[query]
pub struct SeoReportFilters {
    /// Return only those on this page
    #[member(like = PageParameter)]
    pub url: Option<String>,
}

impl Listed for SeoReportView {
    type Filters = SeoReportFilters;

    const LIST: Description = Description::of_log(SEO_REPORT_SORTS);
}

/// What the list of SEO issues can be filtered by.
#[query]
pub struct SeoIssueFilters {
    /// Return only issues of this severity
    pub severity: Option<Severity>,
    /// Return only those of this type
    #[member(like = IssueTypeParameter)]
    pub r#type: Option<String>,
    /// Return only those on this page
    #[member(like = PageParameter)]
    pub url: Option<String>,
    /// Return only issues of this report
    pub report_id: Option<SeoReportId>,
}

impl Listed for SeoIssueView {
    type Filters = SeoIssueFilters;

    const LIST: Description = Description {
        content: Some(Content { name: "details", most_bytes: 1 << 20 }),
        is_log: false,
        ..Description::of_log(SEO_ISSUE_SORTS)
    };
}
