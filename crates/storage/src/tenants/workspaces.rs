//! Workspaces. A deleted one keeps its row, for the audit log's sake, but is not found by any query here.

use std::collections::BTreeMap;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, OptionalExtension, QueryDsl,
    SelectableHelper, TextExpressionMethods,
};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{ExternalId, JsonObject, Page, Timestamp, Workspace, WorkspaceId};

use crate::{
    Result, Tx,
    engine::Conn,
    list::{self, HoldsWords, ListRequest, Narrowed, SortKey, load_list, narrow},
    schema::{api_keys, workspaces},
    search_words::Searched,
    types::{Bind, JsonText, Row, changes, rows, values},
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
    /// The one of this customer only.
    pub external_id: Option<ExternalId>,
}

rows! {
    Workspace: workspaces { id, name, slug, tier, settings, created_at, updated_at, external_id }
}

/// How often a tier is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierUse {
    /// Name of the tier.
    pub tier: String,
    /// Number of workspaces that have it; the root does not count.
    pub workspaces: u64,
    /// Number of keys that name it and are not revoked.
    pub keys: u64,
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
    /// Which of its customers it is to the platform.
    pub external_id: Option<ExternalId>,
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
    /// Which of its customers it is to the platform; `Some(None)` says nothing of that any more.
    pub external_id: Option<Option<ExternalId>>,
}

impl Tx<'_> {
    /// Makes a workspace; `None` if its slug or external id (or, for the root, its id) is taken.
    pub async fn workspace_insert(&mut self, new: &NewWorkspace) -> Result<Option<Workspace>> {
        let row = on_conn!(self, |c| diesel::insert_into(workspaces::table)
            .values((
                new.id.map(|id| workspaces::id.eq(Bind(id))),
                values!(workspaces from new => name, slug, tier, settings, external_id, created_at),
                workspaces::updated_at.eq(Bind(new.created_at)),
            ))
            .on_conflict_do_nothing()
            .returning(Row::<Workspace>::as_returning())
            .get_result(c)
            .await
            .optional())?;
        self.workspace_made_or_changed(row).await
    }

    /// Lets a workspace be found by what it is called now.
    async fn workspace_made_or_changed(&mut self, row: Option<Row<Workspace>>) -> Result<Option<Workspace>> {
        let Some(Row(workspace)) = row else { return Ok(None) };
        let texts = [workspace.name.as_str(), &workspace.slug];
        self.search_words_set(Searched::Workspaces, workspace.id, workspace.id.0, &texts).await?;
        Ok(Some(workspace))
    }

    /// A workspace by its number.
    pub async fn workspace_get(&mut self, id: WorkspaceId) -> Result<Option<Workspace>> {
        let row: Option<Row<Workspace>> = on_conn!(self, |c| workspaces::table
            .find(Bind(id))
            .filter(workspaces::deleted_at.is_null())
            .select(Row::<Workspace>::as_select())
            .first(c)
            .await
            .optional())?;
        Ok(row.map(|Row(workspace)| workspace))
    }

    /// A workspace by its number, held against changes by others until the transaction ends.
    pub async fn workspace_lock(&mut self, id: WorkspaceId) -> Result<Option<Workspace>> {
        let found = workspaces::table.find(Bind(id)).filter(workspaces::deleted_at.is_null());
        let row = match &mut self.0 {
            // SQLite's one writer is already alone.
            Conn::Sqlite(c) => found.select(Row::<Workspace>::as_select()).first::<Row<Workspace>>(*c).await,
            Conn::Postgres(c) => {
                found
                    .select(Row::<Workspace>::as_select())
                    .for_no_key_update()
                    .first::<Row<Workspace>>(*c)
                    .await
            }
        };
        Ok(row.optional()?.map(|Row(workspace)| workspace))
    }

    /// The tiers of workspaces, deleted or not.
    pub async fn workspace_tiers(&mut self, ids: &[WorkspaceId]) -> Result<Vec<(WorkspaceId, String)>> {
        Ok(on_conn!(self, |c| workspaces::table
            .filter(workspaces::id.eq_any(ids.iter().map(Bind)))
            .select((workspaces::id, workspaces::tier))
            .load(c)
            .await?))
    }

    /// The tiers that workspaces other than the root, and keys that are not revoked, have by name.
    pub async fn tiers_in_use(&mut self) -> Result<Vec<TierUse>> {
        use diesel::dsl::count_star;
        type Counted = Vec<(String, i64)>;
        let (workspaces, keys): (Counted, Counted) = on_conn!(self, |c| {
            let workspaces = workspaces::table
                .filter(workspaces::deleted_at.is_null())
                .filter(workspaces::id.ne(Bind(WorkspaceId::ROOT)))
                .group_by(workspaces::tier)
                .select((workspaces::tier, count_star()))
                .load(c)
                .await?;
            let keys = api_keys::table
                .inner_join(workspaces::table)
                .filter(workspaces::deleted_at.is_null())
                .filter(api_keys::revoked_at.is_null())
                .filter(api_keys::rate_limit_tier.is_not_null())
                .group_by(api_keys::rate_limit_tier)
                .select((api_keys::rate_limit_tier.assume_not_null(), count_star()))
                .load(c)
                .await?;
            (workspaces, keys)
        });
        let mut used = BTreeMap::<String, TierUse>::new();
        let of = |tier: &String| TierUse { tier: tier.clone(), workspaces: 0, keys: 0 };
        for (tier, count) in workspaces {
            used.entry(tier.clone()).or_insert_with(|| of(&tier)).workspaces = count.unsigned_abs();
        }
        for (tier, count) in keys {
            used.entry(tier.clone()).or_insert_with(|| of(&tier)).keys = count.unsigned_abs();
        }
        Ok(used.into_values().collect())
    }

    /// The workspaces that have a tier; not the root, which has the plan that the configuration says.
    pub async fn workspaces_of_tier(&mut self, tier: &str) -> Result<Vec<WorkspaceId>> {
        Ok(on_conn!(self, |c| workspaces::table
            .filter(workspaces::deleted_at.is_null())
            .filter(workspaces::id.ne(Bind(WorkspaceId::ROOT)))
            .filter(workspaces::tier.eq(tier))
            .order(workspaces::id)
            .select(workspaces::id)
            .load(c)
            .await?))
    }

    /// The workspace that is this customer of the platform's.
    pub async fn workspace_by_external_id(&mut self, id: &ExternalId) -> Result<Option<WorkspaceId>> {
        Ok(on_conn!(self, |c| workspaces::table
            .filter(workspaces::deleted_at.is_null())
            .filter(workspaces::external_id.eq(Bind(Some(id))))
            .select(workspaces::id)
            .first(c)
            .await
            .optional())?)
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
        let (rows, total, fitting): (Vec<Row<Workspace>>, Option<i64>, Option<u32>) = on_conn!(
            self,
            |c, Db| {
                let select = |settings| {
                    (
                        workspaces::id,
                        workspaces::name,
                        workspaces::slug,
                        workspaces::tier,
                        settings,
                        workspaces::created_at,
                        workspaces::updated_at,
                        workspaces::external_id,
                    )
                };
                load_list!(c, request, workspaces.id, Row<Workspace>, JsonText, large "settings" else "'{}'", select, || {
                    let all = workspaces::table.filter(workspaces::deleted_at.is_null());
                    let matching = Narrowed::new(all.into_boxed::<Db>())
                        .when(filter.only, |query, id| query.filter(workspaces::id.eq(Bind(id))))
                        .when(filter.tier.as_ref(), |query, tier| query.filter(workspaces::tier.eq(Bind(tier))))
                        .when(filter.external_id.as_ref(), |query, id| {
                            query.filter(workspaces::external_id.eq(Bind(Some(id))))
                        })
                        .when(request.search.as_ref(), |query, words| {
                            let columns = "workspaces.name || ' ' || workspaces.slug";
                            query.filter(HoldsWords::new(Searched::Workspaces, columns, filter.only, words))
                        });
                    narrow!(matching, request, workspaces::created_at, updated workspaces::updated_at)
                })
            }
        );
        Ok(list::page(Row::all(rows), (total, fitting), request, |_| None))
    }

    /// Changes a workspace; `None` if there is none. A slug or external id that is taken is a
    /// [`crate::StorageError::Duplicate`].
    pub async fn workspace_update(
        &mut self,
        id: WorkspaceId,
        changes: WorkspaceChanges,
        now: Timestamp,
    ) -> Result<Option<Workspace>> {
        let row = on_conn!(self, |c| diesel::update(
            workspaces::table.filter(workspaces::id.eq(Bind(id))).filter(workspaces::deleted_at.is_null())
        )
        .set((
            changes!(workspaces from changes => name, slug, tier, settings, external_id),
            workspaces::updated_at.eq(Bind(now)),
        ))
        .returning(Row::<Workspace>::as_returning())
        .get_result(c)
        .await
        .optional())?;
        self.workspace_made_or_changed(row).await
    }

    /// Deletes a workspace; whether there was one.
    pub async fn workspace_delete(&mut self, id: WorkspaceId, now: Timestamp) -> Result<bool> {
        let rows = on_conn!(self, |c| diesel::update(
            workspaces::table.filter(workspaces::id.eq(Bind(id))).filter(workspaces::deleted_at.is_null())
        )
        .set((workspaces::deleted_at.eq(Bind(Some(now))), workspaces::updated_at.eq(Bind(now))))
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
            .filter(workspaces::slug.eq(Bind(base)).or(workspaces::slug.like(numbered)))
            .select(workspaces::slug)
            .load(c)
            .await?))
    }
}
