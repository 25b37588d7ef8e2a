//! Workspaces. A deleted one keeps its row, for the audit log's sake, but is not found by any query here.

use diesel::{AsChangeset, Insertable, Queryable, Selectable};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper,
    TextExpressionMethods,
};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{JsonObject, Page, Timestamp, WorkspaceId};

use crate::{
    Result, StorageError, Tx,
    engine::Conn,
    list::{self, HoldsWords, ListRequest, SortKey, load_list, narrow},
    schema::workspaces,
    search_words::Searched,
    types::{DbTime, settings_of, settings_text},
};

/// What workspaces can be sorted by.
pub const WORKSPACE_SORTS: &[SortKey] = &[
    SortKey::new("id", "workspaces.id"),
    SortKey::new("name", "workspaces.name"),
    SortKey::new("slug", "workspaces.slug"),
    SortKey::new("created_at", "workspaces.created_at"),
    SortKey::new("updated_at", "workspaces.updated_at"),
];

/// Which workspaces to list.
#[derive(Debug, Clone, Default)]
pub struct WorkspaceFilter {
    /// This one only.
    pub only: Option<WorkspaceId>,
    /// One plan only.
    pub tier: Option<String>,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Workspace {
    /// Numeric id of the workspace; 1 is the root.
    pub id: WorkspaceId,
    /// A name for people.
    pub name: String,
    /// A name for URLs; unique among those that are not deleted.
    pub slug: String,
    /// The plan.
    pub tier: String,
    /// The tenant's own settings.
    pub settings: JsonObject,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A workspace to be made.
#[derive(Debug, Clone)]
pub struct NewWorkspace {
    /// Given only for the root.
    pub id: Option<WorkspaceId>,
    /// A name for people.
    pub name: String,
    /// A name for URLs.
    pub slug: String,
    /// The plan.
    pub tier: String,
    /// The tenant's own settings.
    pub settings: JsonObject,
    /// When it is made.
    pub created_at: Timestamp,
}

/// What to change; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct WorkspaceChanges {
    /// A name for people.
    pub name: Option<String>,
    /// A name for URLs.
    pub slug: Option<String>,
    /// The plan.
    pub tier: Option<String>,
    /// All settings.
    pub settings: Option<JsonObject>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = workspaces)]
struct WorkspaceRow {
    id: i64,
    name: String,
    slug: String,
    tier: String,
    settings: String,
    created_at: DbTime,
    updated_at: DbTime,
}

impl TryFrom<WorkspaceRow> for Workspace {
    type Error = StorageError;

    fn try_from(row: WorkspaceRow) -> Result<Self> {
        Ok(Self {
            id: WorkspaceId(row.id),
            name: row.name,
            slug: row.slug,
            tier: row.tier,
            settings: settings_of(row.id, &row.settings)?,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        })
    }
}

#[derive(Insertable)]
#[diesel(table_name = workspaces)]
struct NewWorkspaceRow<'a> {
    id: Option<i64>,
    name: &'a str,
    slug: &'a str,
    tier: &'a str,
    settings: String,
    created_at: DbTime,
    updated_at: DbTime,
}

#[derive(AsChangeset)]
#[diesel(table_name = workspaces)]
struct WorkspaceChangesRow {
    name: Option<String>,
    slug: Option<String>,
    tier: Option<String>,
    settings: Option<String>,
    updated_at: DbTime,
}

impl Tx<'_> {
    /// Makes a workspace; `None` if its slug (or, for the root, its id) is taken.
    pub async fn workspace_insert(&mut self, new: &NewWorkspace) -> Result<Option<Workspace>> {
        let created_at = DbTime::from(new.created_at);
        let row = NewWorkspaceRow {
            id: new.id.map(|id| id.0),
            name: &new.name,
            slug: &new.slug,
            tier: &new.tier,
            settings: settings_text(&new.settings)?,
            created_at,
            updated_at: created_at,
        };
        let row = on_conn!(self, |c| diesel::insert_into(workspaces::table)
            .values(&row)
            .on_conflict_do_nothing()
            .returning(WorkspaceRow::as_returning())
            .get_result(c)
            .await
            .optional())?;
        self.workspace_made_or_changed(row).await
    }

    /// Lets a workspace be found by what it is called now.
    async fn workspace_made_or_changed(&mut self, row: Option<WorkspaceRow>) -> Result<Option<Workspace>> {
        let Some(workspace) = row.map(Workspace::try_from).transpose()? else { return Ok(None) };
        let texts = [workspace.name.as_str(), &workspace.slug];
        self.search_words_set(Searched::Workspaces, workspace.id, workspace.id.0, &texts).await?;
        Ok(Some(workspace))
    }

    /// A workspace by its number.
    pub async fn workspace_get(&mut self, id: WorkspaceId) -> Result<Option<Workspace>> {
        let row = on_conn!(self, |c| workspaces::table
            .find(id.0)
            .filter(workspaces::deleted_at.is_null())
            .select(WorkspaceRow::as_select())
            .first(c)
            .await
            .optional())?;
        row.map(Workspace::try_from).transpose()
    }

    /// A workspace by its number, held against changes by others until the transaction ends.
    pub async fn workspace_lock(&mut self, id: WorkspaceId) -> Result<Option<Workspace>> {
        let found = workspaces::table.find(id.0).filter(workspaces::deleted_at.is_null());
        let row = match &mut self.0 {
            // SQLite's one writer is already alone.
            Conn::Sqlite(c) => found.select(WorkspaceRow::as_select()).first::<WorkspaceRow>(*c).await,
            Conn::Postgres(c) => {
                found.select(WorkspaceRow::as_select()).for_no_key_update().first::<WorkspaceRow>(*c).await
            }
        };
        row.optional()?.map(Workspace::try_from).transpose()
    }

    /// The tiers of workspaces, deleted or not.
    pub async fn workspace_tiers(&mut self, ids: &[WorkspaceId]) -> Result<Vec<(WorkspaceId, String)>> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let rows: Vec<(i64, String)> = on_conn!(self, |c| workspaces::table
            .filter(workspaces::id.eq_any(&ids))
            .select((workspaces::id, workspaces::tier))
            .load(c)
            .await?);
        Ok(rows.into_iter().map(|(id, tier)| (WorkspaceId(id), tier)).collect())
    }

    /// How many workspaces there are.
    pub async fn workspace_count(&mut self) -> Result<u64> {
        let count: i64 = on_conn!(self, |c| workspaces::table
            .filter(workspaces::deleted_at.is_null())
            .count()
            .get_result(c)
            .await?);
        Ok(count.unsigned_abs())
    }

    /// One page of all workspaces, or of the one that `only` names.
    pub async fn workspace_list(
        &mut self,
        filter: &WorkspaceFilter,
        request: &ListRequest,
    ) -> Result<Page<Workspace>> {
        let (rows, total, fitting): (Vec<WorkspaceRow>, Option<i64>, Option<u32>) = on_conn!(
            self,
            |c, Db| {
                let select = |settings| {
                    let times = (workspaces::created_at, workspaces::updated_at);
                    (
                        workspaces::id,
                        workspaces::name,
                        workspaces::slug,
                        workspaces::tier,
                        settings,
                        times.0,
                        times.1,
                    )
                };
                load_list!(c, request, workspaces.id, WorkspaceRow, large "settings" else "'{}'", select, || {
                    let mut query = workspaces::table.filter(workspaces::deleted_at.is_null()).into_boxed::<Db>();
                    if let Some(id) = filter.only {
                        query = query.filter(workspaces::id.eq(id.0));
                    }
                    if let Some(tier) = &filter.tier {
                        query = query.filter(workspaces::tier.eq(tier));
                    }
                    if let Some(words) = &request.search {
                        let columns = "workspaces.name || ' ' || workspaces.slug";
                        query = query.filter(HoldsWords::new(Searched::Workspaces, columns, filter.only, words));
                    }
                    narrow!(query, request, workspaces::created_at, updated workspaces::updated_at);
                    query
                })
            }
        );
        let items = rows.into_iter().map(Workspace::try_from).collect::<Result<_>>()?;
        Ok(list::page(items, (total, fitting), request, |_| None))
    }

    /// Changes a workspace; `None` if there is none. A slug that is taken is a [`StorageError::Duplicate`].
    pub async fn workspace_update(
        &mut self,
        id: WorkspaceId,
        changes: WorkspaceChanges,
        now: Timestamp,
    ) -> Result<Option<Workspace>> {
        let changes = WorkspaceChangesRow {
            name: changes.name,
            slug: changes.slug,
            tier: changes.tier,
            settings: changes.settings.as_ref().map(settings_text).transpose()?,
            updated_at: now.into(),
        };
        let row = on_conn!(self, |c| diesel::update(
            workspaces::table.filter(workspaces::id.eq(id.0)).filter(workspaces::deleted_at.is_null())
        )
        .set(&changes)
        .returning(WorkspaceRow::as_returning())
        .get_result(c)
        .await
        .optional())?;
        self.workspace_made_or_changed(row).await
    }

    /// Deletes a workspace; whether there was one.
    pub async fn workspace_delete(&mut self, id: WorkspaceId, now: Timestamp) -> Result<bool> {
        let now = DbTime::from(now);
        let rows = on_conn!(self, |c| diesel::update(
            workspaces::table.filter(workspaces::id.eq(id.0)).filter(workspaces::deleted_at.is_null())
        )
        .set((workspaces::deleted_at.eq(now), workspaces::updated_at.eq(now)))
        .execute(c)
        .await?);
        self.search_words_delete(Searched::Workspaces, &[id.0]).await?;
        Ok(rows > 0)
    }

    /// Lets others who look for a free slug that begins with `base` wait until this transaction ends.
    pub async fn workspace_slug_lock(&mut self, base: &str) -> Result<()> {
        match &mut self.0 {
            // SQLite's one writer is already alone.
            Conn::Sqlite(_) => {}
            Conn::Postgres(c) => {
                diesel::sql_query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
                    .bind::<diesel::sql_types::Text, _>(format!("slug {base}"))
                    .execute(*c)
                    .await?;
            }
        }
        Ok(())
    }

    /// The slugs in use that are `base`, or `base` with a dash and more behind it.
    pub async fn workspace_slugs_from(&mut self, base: &str) -> Result<Vec<String>> {
        // A slug holds no character that means something in a pattern.
        let numbered = format!("{base}-%");
        Ok(on_conn!(self, |c| workspaces::table
            .filter(workspaces::deleted_at.is_null())
            .filter(workspaces::slug.eq(base).or(workspaces::slug.like(numbered)))
            .select(workspaces::slug)
            .load(c)
            .await?))
    }
}
