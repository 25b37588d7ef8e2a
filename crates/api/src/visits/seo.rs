//! `/seo`

use actix_web::{HttpResponse, get, post};
use gatepost_app::{UnitOfWork, visits::seo};
use gatepost_contract::{ApiError, Message};
use gatepost_kernel::WorkspaceId;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::{
    call::Call,
    lists::ListQuery,
    query::NoQuery,
    scopes::{SeoRead, SeoWrite},
    visits::seo_wire::{
        SeoIssueList, SeoIssuePage, SeoIssueView, SeoReportList, SeoReportMessage, SeoReportPage,
        SeoReportView, SubmitSeoReportBody, url_filter,
    },
};

pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(submit_seo_report).service(list_seo_reports).service(list_seo_issues);
}

/// Submit an SEO report
///
/// Tells endpoints `seo.report.created`, and `seo.score.dropped` for each score that is 10 points or more below what it was in
/// the last report on the page.
#[utoipa::path(
    tag = "SEO", operation_id = "submit_seo_report", request_body = SubmitSeoReportBody,
    extensions(("x-required-scope" = json!("seo:write"))),
    responses((status = 201, description = "The stored SEO report", body = SeoReportMessage))
)]
#[post("/seo/report")]
async fn submit_seo_report(
    call: Call<SeoWrite, NoQuery, SubmitSeoReportBody>,
) -> Result<HttpResponse, ApiError> {
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
#[utoipa::path(
    tag = "SEO", operation_id = "list_seo_reports", params(ListQuery<SeoReportList>),
    extensions(("x-required-scope" = json!("seo:read"))),
    responses((status = 200, description = "One page of SEO reports, the newest first", body = SeoReportPage))
)]
#[get("/seo/reports")]
async fn list_seo_reports(call: Call<SeoRead, ListQuery<SeoReportList>>) -> Result<HttpResponse, ApiError> {
    let request = call.list_request().await?;
    let page = seo::list_reports(call.app(), call.caller(), url_filter(call.query()), request).await?;
    call.page(page, |report| Ok(SeoReportView::from(report))).await
}

/// List SEO issues
///
/// Issues found on the pages of a workspace, newest first.
#[utoipa::path(
    tag = "SEO", operation_id = "list_seo_issues",
    params(("workspace_id" = i64, Path, description = "Numeric id of the workspace"), ListQuery<SeoIssueList>),
    extensions(("x-required-scope" = json!("seo:read"))),
    responses((status = 200, description = "One page of SEO issues", body = SeoIssuePage))
)]
#[get("/seo/issues/{workspace_id}")]
async fn list_seo_issues(call: Call<SeoRead, ListQuery<SeoIssueList>>) -> Result<HttpResponse, ApiError> {
    let workspace = WorkspaceId(call.path_number("workspace_id")?);
    let request = call.list_request().await?;
    let page = seo::list_issues(call.app(), call.caller(), workspace, call.query().into(), request).await?;
    call.page(page, |issue| Ok(SeoIssueView::from(issue))).await
}
