//! SEO reports: what was found out about pages, and how that changes.

use gatepost_delivery::{OwnEvent, SeoReportEventData, SeoScoreDroppedEventData};
use gatepost_entitlements::OwnFeature;
use gatepost_kernel::{Owner, Page, Result, SeoReportId, WorkspaceId};
use gatepost_seo::{Dropped, Issue, Scores, Severity};
use gatepost_storage::{NewSeoReport, SeoIssue, SeoIssueFilter, SeoReport};

use crate::{App, Caller, UnitOfWork, entitlements::act, lists::ListRequest};

/// What was found out about a page.
#[derive(Debug)]
pub struct SubmitSeoReport {
    /// The page, as [`gatepost_seo::page_url`] gives it.
    pub url: String,
    /// Its scores.
    pub scores: Scores,
    /// What was found on it.
    pub issues: Vec<Issue>,
}

/// Which issues to list.
#[derive(Debug, Default)]
pub struct ListSeoIssues {
    /// Of one report only.
    pub report_id: Option<SeoReportId>,
    /// Of one page only.
    pub url: Option<String>,
    /// Of one kind only.
    pub issue_type: Option<String>,
    /// Of one severity only.
    pub severity: Option<Severity>,
}

/// Keeps a report, and tells of it, and of each score that has dropped against the last report on the page.
///
/// # Errors
/// [`gatepost_kernel::Error::FeatureLimitReached`] if the plan limits `seo_reports`.
pub async fn submit(unit: &mut UnitOfWork<'_>, input: SubmitSeoReport) -> Result<SeoReport> {
    act(unit, OwnFeature::SeoReports).await?;
    let owner = unit.caller().owner();
    let Owner { workspace_id, environment } = owner;
    let SubmitSeoReport { url, scores, issues } = input;
    let new = NewSeoReport { workspace_id, environment, url, scores, issues, created_at: unit.now };
    unit.tx.seo_url_lock(&new).await?;
    let before = unit.tx.seo_report_last(owner, &new.url).await?;
    let report = unit.tx.seo_report_insert(&new).await?;
    let data = SeoReportEventData {
        id: report.id,
        url: report.url.clone(),
        scores: report.scores,
        issue_counts: report.issues,
    };
    unit.happened(owner, &OwnEvent::SeoReportCreated(data));
    let Some(before) = before else { return Ok(report) };
    for Dropped { score, from, to } in report.scores.dropped(before.scores) {
        let (report_id, url) = (report.id, report.url.clone());
        let data =
            SeoScoreDroppedEventData { report_id, previous_report_id: before.id, url, score, from, to };
        unit.happened(owner, &OwnEvent::SeoScoreDropped(data));
    }
    Ok(report)
}

/// One page of the caller's reports; all, or those on one page of the web.
///
/// # Errors
/// [`gatepost_kernel::Error::Unavailable`].
pub async fn list_reports(
    app: &App,
    caller: &Caller,
    url: Option<String>,
    request: ListRequest,
) -> Result<Page<SeoReport>> {
    let owner = caller.owner();
    app.read_snapshot(async move |mut tx| Ok(tx.seo_report_list(owner, url.as_deref(), &request).await?))
        .await
}

/// One page of the issues of a workspace.
///
/// # Errors
/// [`gatepost_kernel::Error::NotFound`] if the caller may not see the workspace;
/// [`gatepost_kernel::Error::Unavailable`].
pub async fn list_issues(
    app: &App,
    caller: &Caller,
    workspace: WorkspaceId,
    query: ListSeoIssues,
    request: ListRequest,
) -> Result<Page<SeoIssue>> {
    let workspace_id = caller.workspace_in_path(app, workspace).await?;
    let ListSeoIssues { report_id, url, issue_type, severity } = query;
    let environment = caller.environment();
    let filter = SeoIssueFilter { workspace_id, environment, report_id, url, issue_type, severity };
    app.read_snapshot(async move |mut tx| Ok(tx.seo_issue_list(&filter, &request).await?)).await
}
