//! What was found on pages, each thing by itself.

use diesel::{ExpressionMethods, QueryDsl, Queryable, sql_types::Text};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{Environment, Json, Page, SeoIssueId, SeoReportId, Timestamp, WorkspaceId};
use gatepost_seo::Severity;

use crate::{
    NewSeoReport, Result, Tx,
    engine::Conn,
    list::{self, ListRequest, Narrowed, SortKey, load_list, narrow},
    schema::seo_issues,
    types::{Bind, Count, Id, Instant, JsonText, Word, values},
};

/// What issues can be sorted by.
pub const SEO_ISSUE_SORTS: &[SortKey] = &[
    SortKey::new("id", "seo_issues.id"),
    SortKey::new("created_at", "seo_issues.created_at"),
    SortKey::new("issue_type", "seo_issues.issue_type"),
    SortKey::new("severity", "seo_issues.severity"),
    SortKey::new("url", "seo_issues.url"),
];

/// An issue that was kept.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct SeoIssue {
    /// Numeric id of the issue.
    pub id: SeoIssueId,
    /// The report that it is part of.
    pub report_id: SeoReportId,
    /// The page.
    pub url: String,
    /// What kind of issue.
    pub issue_type: String,
    /// How bad.
    pub severity: Severity,
    /// An object of whatever else was said about it, as it came.
    pub details: Json,
    /// When.
    pub created_at: Timestamp,
}

/// Which issues.
#[derive(Debug, Clone)]
pub struct SeoIssueFilter {
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// Environment: `live` or `test`.
    pub environment: Environment,
    /// Of one report only.
    pub report_id: Option<SeoReportId>,
    /// Of one page only.
    pub url: Option<String>,
    /// Of one kind only.
    pub issue_type: Option<String>,
    /// Of one severity only.
    pub severity: Option<Severity>,
}

bulk_statement! {
    /// The issues of a report.
    InsertIssues returning () =
    given {
        "INSERT INTO seo_issues (workspace_id, environment, report_id, url, created_at, issue_type, severity, details) SELECT "
            workspace_id: WorkspaceId => Id,
        ", " environment: Environment => Word,
        ", " report_id: SeoReportId => Id,
        ", " url: &'a str => Text,
        ", " created_at: Timestamp => Instant,
    }
    ", i.* FROM" unnest "i"
    {
        issue_type: &'a str => Text,
        severity: Severity => Count,
        details: &'a Json => JsonText,
    }
}

impl Tx<'_> {
    /// Keeps the issues of a report.
    pub(crate) async fn seo_issue_insert(&mut self, new: &NewSeoReport, report: SeoReportId) -> Result<()> {
        match &mut self.0 {
            Conn::Sqlite(c) => {
                for issue in &new.issues {
                    let row = (
                        values!(seo_issues from new => workspace_id, environment, url, created_at),
                        values!(seo_issues from issue => issue_type, severity, details),
                        seo_issues::report_id.eq(Bind(report)),
                    );
                    diesel::insert_into(seo_issues::table).values(row).execute(*c).await?;
                }
            }
            Conn::Postgres(c) if !new.issues.is_empty() => {
                let insert = InsertIssues {
                    workspace_id: new.workspace_id,
                    environment: new.environment,
                    report_id: report,
                    url: &new.url,
                    created_at: new.created_at,
                    issue_type: new.issues.iter().map(|issue| issue.issue_type.as_str()).collect(),
                    severity: new.issues.iter().map(|issue| issue.severity).collect(),
                    details: new.issues.iter().map(|issue| &issue.details).collect(),
                };
                insert.execute(*c).await?;
            }
            Conn::Postgres(_) => {}
        }
        Ok(())
    }

    /// One page of a workspace's issues in one environment.
    pub async fn seo_issue_list(
        &mut self,
        filter: &SeoIssueFilter,
        request: &ListRequest,
    ) -> Result<Page<SeoIssue>> {
        let (rows, total, fitting): (Vec<SeoIssue>, Option<i64>, Option<u32>) = on_conn!(self, |c, Db| {
            let select = |details| {
                (
                    seo_issues::id,
                    seo_issues::report_id,
                    seo_issues::url,
                    seo_issues::issue_type,
                    seo_issues::severity,
                    details,
                    seo_issues::created_at,
                )
            };
            load_list!(c, request, seo_issues.id, SeoIssue, JsonText, large "details" else "'{}'", select, || {
                let all = seo_issues::table
                    .filter(seo_issues::workspace_id.eq(Bind(filter.workspace_id)))
                    .filter(seo_issues::environment.eq(Bind(filter.environment)));
                let matching = Narrowed::new(all.into_boxed::<Db>())
                    .when(filter.report_id, |query, report| query.filter(seo_issues::report_id.eq(Bind(report))))
                    .when(filter.url.as_ref(), |query, url| query.filter(seo_issues::url.eq(Bind(url))))
                    .when(filter.issue_type.as_ref(), |query, issue_type| {
                        query.filter(seo_issues::issue_type.eq(Bind(issue_type)))
                    })
                    .when(filter.severity, |query, severity| query.filter(seo_issues::severity.eq(Bind(severity))));
                narrow!(matching, request, seo_issues::created_at)
            })
        });
        Ok(list::page(rows, (total, fitting), request, |_| None))
    }
}
