//! `/seo`

use gatepost_app::{
    UnitOfWork,
    visits::seo::{self, ListSeoIssues},
};
use gatepost_contract::Message;
use gatepost_kernel::WorkspaceId;
use gatepost_macros::operation;

use crate::{
    answer::{Answer, PageOf},
    call::Call,
    lists::ListQuery,
    operation::Tag,
    query::NoQuery,
    scopes::{SeoRead, SeoWrite},
    visits::seo_wire::{SeoIssueView, SeoReportView, SubmitSeoReportBody},
};

const TAG: Tag = Tag { name: "SEO", about: "Reports on the quality of web pages, and the issues they list." };

/// Submit an SEO report
///
/// Tells endpoints `seo.report.created`, and `seo.score.dropped` for each score that is 10 points or more
/// below what it was in the last report on the page.
#[operation(post "/seo/report", tag = TAG, created = "The stored SEO report")]
async fn submit_seo_report(
    call: Call<SeoWrite, NoQuery, SubmitSeoReportBody>,
) -> Answer<Message<SeoReportView>> {
    let (body, call) = call.into_body();
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        let report = seo::submit(unit, body?.into()).await?;
        Ok(Message::created("SEO report submitted successfully.", SeoReportView::from(report)))
    })
    .await
}

/// List SEO reports
///
/// With `url`, how the scores of a page have changed.
#[operation(get "/seo/reports", tag = TAG, ok = "One page of SEO reports, the newest first")]
async fn list_seo_reports(call: Call<SeoRead, ListQuery<SeoReportView>>) -> Answer<PageOf<SeoReportView>> {
    let (request, url) = (call.list_request().await?, call.query().filters.url.clone());
    let page = seo::list_reports(call.app(), call.caller(), url, request).await?;
    call.page(page, |report| Ok(SeoReportView::from(report))).await
}

/// List SEO issues
///
/// Issues found on the pages of a workspace, newest first.
#[operation(get "/seo/issues/{workspace_id}", tag = TAG, ok = "One page of SEO issues")]
async fn list_seo_issues(
    call: Call<SeoRead, ListQuery<SeoIssueView>>,
    workspace_id: WorkspaceId,
) -> Answer<PageOf<SeoIssueView>> {
    let (request, filters) = (call.list_request().await?, &call.query().filters);
    let query = ListSeoIssues {
        report_id: filters.report_id,
        url: filters.url.clone(),
        issue_type: filters.r#type.clone(),
        severity: filters.severity,
    };
    let page = seo::list_issues(call.app(), call.caller(), workspace_id, query, request).await?;
    call.page(page, |issue| Ok(SeoIssueView::from(issue))).await
}
