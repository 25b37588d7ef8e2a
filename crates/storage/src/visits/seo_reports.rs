//! What was found out about pages: the scores, and how many issues.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper,
};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{Environment, Owner, Page, Position, SeoReportId, Timestamp, WorkspaceId};
use gatepost_seo::{Issue, IssueCounts, Scores};

use crate::{
    Result, StorageError, Tx,
    engine::Conn,
    list::{self, ListRequest, SortKey, load_list, narrow},
    schema::{seo_issues, seo_reports},
    types::{DbTime, to_u32},
};

/// What reports can be sorted by.
pub const SEO_REPORT_SORTS: &[SortKey] = &[SortKey::new("created_at", "seo_reports.created_at")];

/// A report to be kept.
#[derive(Debug, Clone)]
pub struct NewSeoReport {
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// Environment: `live` or `test`.
    pub environment: Environment,
    /// The page, as [`gatepost_seo::page_url`] gives it.
    pub url: String,
    /// Its scores.
    pub scores: Scores,
    /// What was found on it.
    pub issues: Vec<Issue>,
    /// When.
    pub created_at: Timestamp,
}

/// A report that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeoReport {
    /// Numeric id of the report.
    pub id: SeoReportId,
    /// The page.
    pub url: String,
    /// Its scores.
    pub scores: Scores,
    /// How many issues were found on it.
    pub issues: IssueCounts,
    /// When.
    pub created_at: Timestamp,
}

#[derive(Insertable)]
#[diesel(table_name = seo_reports)]
struct NewReportRow<'a> {
    workspace_id: i64,
    environment: &'a str,
    url: &'a str,
    performance: Option<i64>,
    accessibility: Option<i64>,
    best_practices: Option<i64>,
    seo: Option<i64>,
    errors: i64,
    warnings: i64,
    infos: i64,
    created_at: DbTime,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = seo_reports)]
struct ReportRow {
    id: i64,
    url: String,
    performance: Option<i64>,
    accessibility: Option<i64>,
    best_practices: Option<i64>,
    seo: Option<i64>,
    errors: i64,
    warnings: i64,
    infos: i64,
    created_at: DbTime,
}

impl TryFrom<ReportRow> for SeoReport {
    type Error = StorageError;

    fn try_from(row: ReportRow) -> Result<Self> {
        let id = row.id;
        let score = |score: Option<i64>| {
            let score = score.map(u8::try_from).transpose();
            score.map_err(|_| StorageError::corrupt(format!("a score of SEO report {id}")))
        };
        Ok(Self {
            id: SeoReportId(row.id),
            scores: Scores([
                score(row.performance)?,
                score(row.accessibility)?,
                score(row.best_practices)?,
                score(row.seo)?,
            ]),
            issues: IssueCounts {
                error: to_u32(row.errors),
                warning: to_u32(row.warnings),
                info: to_u32(row.infos),
            },
            url: row.url,
            created_at: row.created_at.into(),
        })
    }
}

impl Tx<'_> {
    /// Lets others who report on the same page wait until this transaction ends: each is held against the last.
    pub async fn seo_url_lock(&mut self, new: &NewSeoReport) -> Result<()> {
        // SQLite's one writer is already alone.
        if let Conn::Postgres(c) = &mut self.0 {
            let subject = format!("seo {} {} {}", new.workspace_id, new.environment, new.url);
            diesel::sql_query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
                .bind::<diesel::sql_types::Text, _>(subject)
                .execute(*c)
                .await?;
        }
        Ok(())
    }

    /// The last report on a page.
    pub async fn seo_report_last(&mut self, owner: Owner, url: &str) -> Result<Option<SeoReport>> {
        let Owner { workspace_id: workspace, environment } = owner;
        let row: Option<ReportRow> = on_conn!(self, |c| seo_reports::table
            .filter(seo_reports::workspace_id.eq(workspace.0))
            .filter(seo_reports::environment.eq(environment.as_str()))
            .filter(seo_reports::url.eq(url))
            .order((seo_reports::created_at.desc(), seo_reports::id.desc()))
            .select(ReportRow::as_select())
            .first(c)
            .await
            .optional())?;
        row.map(SeoReport::try_from).transpose()
    }

    /// Keeps a report with its issues.
    pub async fn seo_report_insert(&mut self, new: &NewSeoReport) -> Result<SeoReport> {
        let counts = IssueCounts::of(&new.issues);
        let [performance, accessibility, best_practices, seo] =
            new.scores.0.map(|score| score.map(i64::from));
        let row = NewReportRow {
            workspace_id: new.workspace_id.0,
            environment: new.environment.as_str(),
            url: &new.url,
            performance,
            accessibility,
            best_practices,
            seo,
            errors: counts.error.into(),
            warnings: counts.warning.into(),
            infos: counts.info.into(),
            created_at: new.created_at.into(),
        };
        let row: ReportRow = on_conn!(self, |c| diesel::insert_into(seo_reports::table)
            .values(&row)
            .returning(ReportRow::as_returning())
            .get_result(c)
            .await?);
        let report = SeoReport::try_from(row)?;
        self.seo_issue_insert(new, report.id).await?;
        Ok(report)
    }

    /// One page of a workspace's reports in one environment; all, or those on one page of the web.
    pub async fn seo_report_list(
        &mut self,
        owner: Owner,
        url: Option<&str>,
        request: &ListRequest,
    ) -> Result<Page<SeoReport>> {
        let Owner { workspace_id: workspace, environment } = owner;
        let (rows, total, fitting): (Vec<ReportRow>, Option<i64>, Option<u32>) = on_conn!(self, |c, Db| {
            load_list!(c, request, seo_reports.id, ReportRow, || {
                let mut query = seo_reports::table
                    .filter(seo_reports::workspace_id.eq(workspace.0))
                    .filter(seo_reports::environment.eq(environment.as_str()))
                    .into_boxed::<Db>();
                if let Some(url) = url {
                    query = query.filter(seo_reports::url.eq(url));
                }
                narrow!(query, request, seo_reports::created_at, log seo_reports::id);
                query
            })
        });
        let items = rows.into_iter().map(SeoReport::try_from).collect::<Result<_>>()?;
        let position = |row: &SeoReport| Some(Position { at: row.created_at, id: row.id.0 });
        Ok(list::page(items, (total, fitting), request, position))
    }

    /// Deletes reports from before `before`, and their issues first, at most `limit` of each; how many of
    /// the one that there were more of.
    pub async fn seo_report_delete_before(&mut self, before: Timestamp, limit: u32) -> Result<usize> {
        let before = DbTime::from(before);
        Ok(on_conn!(self, |c| {
            let issues: Vec<i64> = seo_issues::table
                .filter(seo_issues::created_at.lt(before))
                .order(seo_issues::created_at)
                .limit(limit.into())
                .select(seo_issues::id)
                .load(c)
                .await?;
            let issues = match issues.is_empty() {
                true => 0,
                false => {
                    diesel::delete(seo_issues::table.filter(seo_issues::id.eq_any(&issues)))
                        .execute(c)
                        .await?
                }
            };
            if issues >= limit as usize {
                return Ok(issues);
            }
            let reports: Vec<i64> = seo_reports::table
                .filter(seo_reports::created_at.lt(before))
                .order(seo_reports::created_at)
                .limit(limit.into())
                .select(seo_reports::id)
                .load(c)
                .await?;
            if reports.is_empty() {
                return Ok(issues);
            }
            let reports = diesel::delete(seo_reports::table.filter(seo_reports::id.eq_any(&reports)))
                .execute(c)
                .await?;
            issues.max(reports)
        }))
    }
}
