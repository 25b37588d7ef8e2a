//! What was found out about pages: the scores, and how many issues.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper,
};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{Environment, Owner, Page, Position, SeoReportId, Timestamp, WorkspaceId};
use gatepost_seo::{Issue, IssueCounts, Scores};

use crate::{
    Result, Tx,
    engine::Conn,
    list::{self, ListRequest, Narrowed, SortKey, load_list, narrow},
    schema::{seo_issues, seo_reports},
    types::{Bind, values},
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

/// What is said of a page, beside whose it is.
#[derive(Insertable, Queryable, Selectable)]
#[diesel(table_name = seo_reports, treat_none_as_default_value = false)]
struct ReportRow {
    url: String,
    performance: Bind<Option<u8>>,
    accessibility: Bind<Option<u8>>,
    best_practices: Bind<Option<u8>>,
    seo: Bind<Option<u8>>,
    errors: Bind<u32>,
    warnings: Bind<u32>,
    infos: Bind<u32>,
    created_at: Bind<Timestamp>,
}

/// The same with its id.
#[derive(Queryable, Selectable)]
#[diesel(table_name = seo_reports)]
struct KeptReport {
    id: SeoReportId,
    #[diesel(embed)]
    row: ReportRow,
}

impl From<&NewSeoReport> for ReportRow {
    fn from(new: &NewSeoReport) -> Self {
        let [performance, accessibility, best_practices, seo] = new.scores.0.map(Bind);
        let IssueCounts { error, warning, info } = IssueCounts::of(&new.issues);
        let [errors, warnings, infos] = [error, warning, info].map(Bind);
        let (url, created_at) = (new.url.clone(), Bind(new.created_at));
        Self { url, performance, accessibility, best_practices, seo, errors, warnings, infos, created_at }
    }
}

impl From<KeptReport> for SeoReport {
    fn from(KeptReport { id, row }: KeptReport) -> Self {
        Self {
            id,
            url: row.url,
            scores: Scores([row.performance.0, row.accessibility.0, row.best_practices.0, row.seo.0]),
            issues: IssueCounts { error: row.errors.0, warning: row.warnings.0, info: row.infos.0 },
            created_at: row.created_at.0,
        }
    }
}

impl Tx<'_> {
    /// Lets others who report on the same page wait until this transaction ends: each is held against the
    /// last.
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
        let row: Option<KeptReport> = on_conn!(self, |c| seo_reports::table
            .filter(seo_reports::workspace_id.eq(Bind(workspace)))
            .filter(seo_reports::environment.eq(Bind(environment)))
            .filter(seo_reports::url.eq(Bind(url)))
            .order((seo_reports::created_at.desc(), seo_reports::id.desc()))
            .select(KeptReport::as_select())
            .first(c)
            .await
            .optional())?;
        Ok(row.map(Into::into))
    }

    /// Keeps a report with its issues.
    pub async fn seo_report_insert(&mut self, new: &NewSeoReport) -> Result<SeoReport> {
        let row: KeptReport = on_conn!(self, |c| diesel::insert_into(seo_reports::table)
            .values((values!(seo_reports from new => workspace_id, environment), ReportRow::from(new)))
            .returning(KeptReport::as_returning())
            .get_result(c)
            .await?);
        let report = SeoReport::from(row);
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
        let (rows, total, fitting): (Vec<KeptReport>, Option<i64>, Option<u32>) = on_conn!(self, |c, Db| {
            load_list!(c, request, seo_reports.id, KeptReport, || {
                let all = seo_reports::table
                    .filter(seo_reports::workspace_id.eq(Bind(workspace)))
                    .filter(seo_reports::environment.eq(Bind(environment)));
                let matching = Narrowed::new(all.into_boxed::<Db>())
                    .when(url, |query, url| query.filter(seo_reports::url.eq(Bind(url))));
                narrow!(matching, request, seo_reports::created_at, log seo_reports::id)
            })
        });
        let items = rows.into_iter().map(Into::into).collect();
        let position = |row: &SeoReport| Some(Position { at: row.created_at, id: row.id.0 });
        Ok(list::page(items, (total, fitting), request, position))
    }

    /// Deletes reports from before `before`, and their issues first, at most `limit` of each; how many of
    /// the one that there were more of.
    pub async fn seo_report_delete_before(&mut self, before: Timestamp, limit: u32) -> Result<usize> {
        Ok(on_conn!(self, |c| {
            let issues: Vec<i64> = seo_issues::table
                .filter(seo_issues::created_at.lt(Bind(before)))
                .order(seo_issues::created_at)
                .limit(limit.into())
                .select(seo_issues::id)
                .load(c)
                .await?;
            let issues = match issues.is_empty() {
                true => 0,
                false => {
                    diesel::delete(seo_issues::table.filter(seo_issues::id.eq_any(issues.iter().map(Bind))))
                        .execute(c)
                        .await?
                }
            };
            if issues >= limit as usize {
                return Ok(issues);
            }
            let reports: Vec<i64> = seo_reports::table
                .filter(seo_reports::created_at.lt(Bind(before)))
                .order(seo_reports::created_at)
                .limit(limit.into())
                .select(seo_reports::id)
                .load(c)
                .await?;
            if reports.is_empty() {
                return Ok(issues);
            }
            let reports =
                diesel::delete(seo_reports::table.filter(seo_reports::id.eq_any(reports.iter().map(Bind))))
                    .execute(c)
                    .await?;
            issues.max(reports)
        }))
    }
}
