//! What was found on pages, each thing by itself.

use diesel::{
    ExpressionMethods, Insertable, QueryDsl, Queryable,
    sql_types::{BigInt, Text},
};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{Environment, Json, Page, SeoIssueId, SeoReportId, Timestamp, WorkspaceId};
use gatepost_seo::Severity;

use crate::{
    NewSeoReport, Result, StorageError, Tx,
    engine::Conn,
    list::{self, ListRequest, SortKey, load_list, narrow},
    schema::seo_issues,
    types::{DbTime, Instant},
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
#[derive(Debug, Clone, PartialEq)]
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

#[derive(Insertable)]
#[diesel(table_name = seo_issues)]
struct NewIssueRow<'a> {
    workspace_id: i64,
    environment: &'a str,
    report_id: i64,
    url: &'a str,
    issue_type: &'a str,
    severity: i64,
    details: &'a str,
    created_at: DbTime,
}

#[derive(Queryable)]
struct IssueRow {
    id: i64,
    report_id: i64,
    url: String,
    issue_type: String,
    severity: i64,
    details: String,
    created_at: DbTime,
}

impl TryFrom<IssueRow> for SeoIssue {
    type Error = StorageError;

    fn try_from(row: IssueRow) -> Result<Self> {
        let id = row.id;
        let corrupt = |what: &str| StorageError::corrupt(format!("{what} of SEO issue {id}"));
        Ok(Self {
            id: SeoIssueId(row.id),
            report_id: SeoReportId(row.report_id),
            severity: Severity::of_rank(row.severity).ok_or_else(|| corrupt("severity"))?,
            url: row.url,
            issue_type: row.issue_type,
            details: Json::from_text(row.details).map_err(|_| corrupt("details"))?,
            created_at: row.created_at.into(),
        })
    }
}

bulk_statement! {
    /// The issues of a report.
    InsertIssues returning () =
    given {
        "INSERT INTO seo_issues (workspace_id, environment, report_id, url, created_at, issue_type, severity, details) SELECT "
            workspace_id: i64 => BigInt,
        ", " environment: &'a str => Text,
        ", " report_id: i64 => BigInt,
        ", " url: &'a str => Text,
        ", " created_at: DbTime => Instant,
    }
    ", i.* FROM" unnest "i"
    {
        issue_type: &'a str => Text,
        severity: i64 => BigInt,
        details: &'a str => Text,
    }
}

impl Tx<'_> {
    /// Keeps the issues of a report.
    pub(crate) async fn seo_issue_insert(&mut self, new: &NewSeoReport, report: SeoReportId) -> Result<()> {
        match &mut self.0 {
            Conn::Sqlite(c) => {
                for issue in &new.issues {
                    let row = NewIssueRow {
                        workspace_id: new.workspace_id.0,
                        environment: new.environment.as_str(),
                        report_id: report.0,
                        url: &new.url,
                        issue_type: &issue.issue_type,
                        severity: issue.severity.rank(),
                        details: issue.details.as_str(),
                        created_at: new.created_at.into(),
                    };
                    diesel::insert_into(seo_issues::table).values(&row).execute(*c).await?;
                }
            }
            Conn::Postgres(c) if !new.issues.is_empty() => {
                let insert = InsertIssues {
                    workspace_id: new.workspace_id.0,
                    environment: new.environment.as_str(),
                    report_id: report.0,
                    url: &new.url,
                    created_at: new.created_at.into(),
                    issue_type: new.issues.iter().map(|issue| issue.issue_type.as_str()).collect(),
                    severity: new.issues.iter().map(|issue| issue.severity.rank()).collect(),
                    details: new.issues.iter().map(|issue| issue.details.as_str()).collect(),
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
        let (rows, total, fitting): (Vec<IssueRow>, Option<i64>, Option<u32>) = on_conn!(self, |c, Db| {
            let select = |details| {
                let kind = (seo_issues::url, seo_issues::issue_type, seo_issues::severity);
                (
                    seo_issues::id,
                    seo_issues::report_id,
                    kind.0,
                    kind.1,
                    kind.2,
                    details,
                    seo_issues::created_at,
                )
            };
            load_list!(c, request, seo_issues.id, IssueRow, large "details" else "'{}'", select, || {
                let mut query = seo_issues::table
                    .filter(seo_issues::workspace_id.eq(filter.workspace_id.0))
                    .filter(seo_issues::environment.eq(filter.environment.as_str()))
                    .into_boxed::<Db>();
                if let Some(report) = filter.report_id {
                    query = query.filter(seo_issues::report_id.eq(report.0));
                }
                if let Some(url) = &filter.url {
                    query = query.filter(seo_issues::url.eq(url));
                }
                if let Some(issue_type) = &filter.issue_type {
                    query = query.filter(seo_issues::issue_type.eq(issue_type));
                }
                if let Some(severity) = filter.severity {
                    query = query.filter(seo_issues::severity.eq(severity.rank()));
                }
                narrow!(query, request, seo_issues::created_at);
                query
            })
        });
        let items = rows.into_iter().map(SeoIssue::try_from).collect::<Result<_>>()?;
        Ok(list::page(items, (total, fitting), request, |_| None))
    }
}
