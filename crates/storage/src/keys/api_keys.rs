//! API keys. The digest of a token goes in and is looked up; it never comes out.

use std::collections::HashSet;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, OptionalExtension, QueryDsl,
    SelectableHelper,
    sql_types::{Bool, Text},
};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{ApiKeyId, Environment, ExternalId, Page, Timestamp, WorkspaceId};
use gatepost_keys::{ApiKey, IpAllowlist, KeyStatus, Metadata, ScopeSet, TokenDigest};

use crate::{
    Result, StorageError, Tx,
    engine::Conn,
    keys::api_key_chains::{Linked, chain_of},
    list::{self, FirstOfEach, HoldsWords, ListRequest, Narrowed, SortKey, load_list, narrow},
    schema::{api_keys, workspaces},
    search_words::Searched,
    types::{Bind, Row, changes, rows, values},
};

/// What keys can be sorted by.
pub const API_KEY_SORTS: &[SortKey] = &[
    SortKey::new("id", "api_keys.id"),
    SortKey::new("name", "api_keys.name"),
    SortKey::new("created_at", "api_keys.created_at"),
    SortKey::new("updated_at", "api_keys.updated_at"),
    SortKey::nullable("last_used_at", "api_keys.last_used_at"),
    SortKey::nullable("expires_at", "api_keys.expires_at"),
];

rows! {
    ApiKey: api_keys {
        id, workspace_id, environment, name, prefix, scopes, rate_limit_tier, allowed_ips, expires_at, last_used_at,
        created_at, updated_at, revoked_at, rotated_from_id, rotated_to_id, grace_period_ends_at,
        external_id, metadata, disabled_at,
    }
}

/// A key to be made.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// Environment: `live` or `test`.
    pub environment: Environment,
    /// A label for people.
    pub name: String,
    /// The part of the token that may be shown.
    pub prefix: String,
    /// What the token is found by.
    pub digest: TokenDigest,
    /// What it may do.
    pub scopes: ScopeSet,
    /// The plan that governs its limits.
    pub rate_limit_tier: Option<String>,
    /// From where it may be used.
    pub allowed_ips: IpAllowlist,
    /// Its own end.
    pub expires_at: Option<Timestamp>,
    /// The key that it replaces.
    pub rotated_from_id: Option<ApiKeyId>,
    /// Whose it is in the system of those who make it.
    pub external_id: Option<ExternalId>,
    /// What they keep with it.
    pub metadata: Metadata,
    /// Since when it is disabled.
    pub disabled_at: Option<Timestamp>,
    /// When it is made.
    pub created_at: Timestamp,
}

/// What to change; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct ApiKeyChanges {
    /// A label for people.
    pub name: Option<String>,
    /// What it may do.
    pub scopes: Option<ScopeSet>,
    /// From where it may be used.
    pub allowed_ips: Option<IpAllowlist>,
    /// The plan that governs its limits; `Some(None)` follows the workspace's.
    pub rate_limit_tier: Option<Option<String>>,
    /// Its own end; `Some(None)` takes it away.
    pub expires_at: Option<Option<Timestamp>>,
    /// Whose it is in the system of those who made it; `Some(None)` says nothing of that any more.
    pub external_id: Option<Option<ExternalId>>,
    /// All that they keep with it.
    pub metadata: Option<Metadata>,
    /// Since when it is disabled; `Some(None)` enables it.
    pub disabled_at: Option<Option<Timestamp>>,
}

/// Which keys of a workspace to list.
#[derive(Debug, Clone)]
pub struct ApiKeyFilter {
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// One environment only.
    pub environment: Option<Environment>,
    /// One status only; without it, all that are not revoked.
    pub status: Option<KeyStatus>,
    /// Those of one owner only.
    pub external_id: Option<ExternalId>,
    /// The instant at which the status is meant.
    pub now: Timestamp,
}

impl ApiKeyFilter {
    /// All keys of a workspace that are not revoked at `now`.
    pub fn of(workspace_id: WorkspaceId, now: Timestamp) -> Self {
        Self { workspace_id, environment: None, status: None, external_id: None, now }
    }
}

/// A key with what its workspace says about it.
#[derive(Debug, Clone)]
pub struct ApiKeyOwner {
    /// The key.
    pub key: ApiKey,
    /// The plan of its workspace.
    pub workspace_tier: String,
    /// Whether its workspace was deleted.
    pub workspace_deleted: bool,
    /// The first of the keys that replaced each other up to this one; none for a key that was never rotated.
    pub chain: Option<ApiKeyId>,
}

impl Tx<'_> {
    /// Makes a key.
    pub async fn api_key_insert(&mut self, new: &NewApiKey) -> Result<ApiKey> {
        let chain_id = match new.rotated_from_id {
            Some(replaced) => Some(self.chain_behind(replaced).await?),
            None => None,
        };
        let Row(key): Row<ApiKey> = on_conn!(self, |c| {
            diesel::insert_into(api_keys::table)
            .values((
                values!(
                    api_keys from new => workspace_id, environment, name, prefix, digest, scopes, rate_limit_tier,
                    allowed_ips, expires_at, rotated_from_id, external_id, metadata, disabled_at, created_at,
                ),
                api_keys::chain_id.eq(Bind(chain_id)),
                api_keys::updated_at.eq(Bind(new.created_at)),
            ))
            .returning(Row::<ApiKey>::as_returning())
            .get_result(c)
            .await?
        });
        self.search_words_set(Searched::ApiKeys, key.workspace_id, key.id.0, &[&key.name]).await?;
        Ok(key)
    }

    /// The key that a token belongs to, whatever its state.
    pub async fn api_key_by_digest(&mut self, digest: &TokenDigest) -> Result<Option<ApiKeyOwner>> {
        Ok(self.api_keys_by_digests(&[*digest]).await?.pop().map(|(_, owner)| owner))
    }

    /// The keys that tokens belong to, whatever their state; tokens without a key are left out.
    pub async fn api_keys_by_digests(
        &mut self,
        digests: &[TokenDigest],
    ) -> Result<Vec<(TokenDigest, ApiKeyOwner)>> {
        type Found = (Row<ApiKey>, TokenDigest, Option<ApiKeyId>, String, Option<Timestamp>);
        macro_rules! found {
            ($condition:expr) => {
                on_conn!(self, |c| api_keys::table
                    .inner_join(workspaces::table)
                    .filter($condition)
                    .select((
                        Row::<ApiKey>::as_select(),
                        api_keys::digest,
                        api_keys::chain_id,
                        workspaces::tier,
                        workspaces::deleted_at,
                    ))
                    .load(c)
                    .await?)
            };
        }
        let found: Vec<Found> = match digests {
            // PostgreSQL plans this once, and a look for any of several each time.
            [digest] => found!(api_keys::digest.eq(Bind(digest))),
            digests => found!(api_keys::digest.eq_any(digests.iter().map(Bind))),
        };
        let owner = |(Row(key), stored, chain_id, workspace_tier, deleted_at): Found| {
            // The index has found it; this comparison, in constant time, does not trust the index's.
            let digest = digests.iter().find(|digest| **digest == stored);
            let digest =
                *digest.ok_or_else(|| StorageError::corrupt(format!("digest of API key {}", key.id)))?;
            let workspace_deleted = deleted_at.is_some();
            let chain = chain_of((key.id, chain_id, key.rotated_to_id));
            Ok((digest, ApiKeyOwner { key, workspace_tier, workspace_deleted, chain }))
        };
        found.into_iter().map(owner).collect()
    }

    /// A key of a workspace by its number, whatever its state.
    pub async fn api_key_get(&mut self, workspace: WorkspaceId, id: ApiKeyId) -> Result<Option<ApiKey>> {
        let row: Option<Row<ApiKey>> = on_conn!(self, |c| api_keys::table
            .find(Bind(id))
            .filter(api_keys::workspace_id.eq(Bind(workspace)))
            .select(Row::<ApiKey>::as_select())
            .first(c)
            .await
            .optional())?;
        Ok(row.map(|Row(key)| key))
    }

    /// How many keys of a workspace can be used at `now`, or could if they were enabled. Keys in the grace of
    /// a rotation do not count beside the one that replaced them, but together for it if that has ended:
    /// otherwise rotating and revoking would each time leave one more behind.
    pub async fn api_key_count_active(&mut self, workspace: WorkspaceId, now: Timestamp) -> Result<u64> {
        let links = (api_keys::id, api_keys::chain_id, api_keys::rotated_to_id);
        macro_rules! usable {
            () => {
                api_keys::table
                    .filter(api_keys::workspace_id.eq(Bind(workspace)))
                    .filter(api_keys::revoked_at.is_null())
                    .filter(
                        api_keys::expires_at
                            .is_null()
                            .or(api_keys::expires_at.assume_not_null().gt(Bind(now))),
                    )
            };
        }
        let (count, in_grace): (i64, Vec<Linked>) = on_conn!(self, |c| {
            let last = usable!().filter(api_keys::rotated_to_id.is_null());
            let in_grace = usable!()
                .filter(api_keys::rotated_to_id.is_not_null())
                .filter(api_keys::grace_period_ends_at.assume_not_null().gt(Bind(now)));
            (last.count().get_result(c).await?, in_grace.select(links).load(c).await?)
        });
        if in_grace.is_empty() {
            return Ok(count.unsigned_abs());
        }
        let successors: Vec<Linked> = on_conn!(self, |c| usable!()
            .filter(api_keys::rotated_to_id.is_null())
            .filter(api_keys::chain_id.is_not_null())
            .select(links)
            .load(c)
            .await?);
        let replaced: HashSet<ApiKeyId> = successors.into_iter().filter_map(chain_of).collect();
        let left: HashSet<ApiKeyId> = in_grace.into_iter().filter_map(chain_of).collect();
        Ok(count.unsigned_abs() + left.difference(&replaced).count() as u64)
    }

    /// What is kept with a key; nothing if there is no such key.
    pub async fn api_key_metadata(&mut self, id: ApiKeyId) -> Result<Metadata> {
        let metadata: Option<Metadata> = on_conn!(self, |c| api_keys::table
            .find(Bind(id))
            .select(api_keys::metadata)
            .first(c)
            .await
            .optional())?;
        Ok(metadata.unwrap_or_default())
    }

    /// The keys of a workspace that can be used at `now` and were not replaced.
    pub async fn api_keys_in_force(&mut self, workspace: WorkspaceId, now: Timestamp) -> Result<Vec<ApiKey>> {
        let rows: Vec<Row<ApiKey>> = on_conn!(self, |c| api_keys::table
            .filter(api_keys::workspace_id.eq(Bind(workspace)))
            .filter(api_keys::revoked_at.is_null())
            .filter(api_keys::rotated_to_id.is_null())
            .filter(api_keys::disabled_at.is_null())
            .filter(api_keys::expires_at.is_null().or(api_keys::expires_at.assume_not_null().gt(Bind(now))))
            .select(Row::<ApiKey>::as_select())
            .load(c)
            .await?);
        Ok(Row::all(rows))
    }

    /// The keys that name a tier and are not revoked.
    pub async fn api_keys_of_tier(&mut self, tier: &str) -> Result<Vec<ApiKey>> {
        let rows: Vec<Row<ApiKey>> = on_conn!(self, |c| api_keys::table
            .filter(api_keys::revoked_at.is_null())
            .filter(api_keys::rate_limit_tier.is_not_null())
            .filter(api_keys::rate_limit_tier.assume_not_null().eq(tier))
            .order(api_keys::id)
            .select(Row::<ApiKey>::as_select())
            .load(c)
            .await?);
        Ok(Row::all(rows))
    }

    /// How many keys that are not revoked begin with none of `heads`, and how many there are.
    pub async fn api_keys_beginning_otherwise(&mut self, heads: &[&str]) -> Result<(u64, u64)> {
        let usable = || api_keys::table.filter(api_keys::revoked_at.is_null());
        let (all, mut known): (i64, i64) = on_conn!(self, |c| (usable().count().get_result(c).await?, 0));
        for head in heads {
            // No head is the beginning of another, so none is counted twice.
            known += on_conn!(self, |c| usable()
                .filter(
                    diesel::dsl::sql::<Bool>(&format!("substr(api_keys.prefix, 1, {}) = ", head.len()))
                        .bind::<Text, _>(*head)
                )
                .count()
                .get_result::<i64>(c)
                .await?);
        }
        Ok(((all - known).unsigned_abs(), all.unsigned_abs()))
    }

    /// Whether a workspace ever had a key.
    pub async fn api_key_any(&mut self, workspace: WorkspaceId) -> Result<bool> {
        let first: Option<ApiKeyId> = on_conn!(self, |c| api_keys::table
            .filter(api_keys::workspace_id.eq(Bind(workspace)))
            .select(api_keys::id)
            .first(c)
            .await
            .optional())?;
        Ok(first.is_some())
    }

    /// The workspace of a key, whatever the key's state.
    pub async fn api_key_workspace(&mut self, id: ApiKeyId) -> Result<Option<WorkspaceId>> {
        Ok(on_conn!(self, |c| api_keys::table
            .find(Bind(id))
            .select(api_keys::workspace_id)
            .first(c)
            .await
            .optional())?)
    }

    /// A key of a workspace by its number, held against changes by others until the transaction ends.
    pub async fn api_key_lock(&mut self, workspace: WorkspaceId, id: ApiKeyId) -> Result<Option<ApiKey>> {
        let found = api_keys::table.find(Bind(id)).filter(api_keys::workspace_id.eq(Bind(workspace)));
        let row = match &mut self.0 {
            // SQLite's one writer is already alone.
            Conn::Sqlite(c) => found.select(Row::<ApiKey>::as_select()).first::<Row<ApiKey>>(*c).await,
            Conn::Postgres(c) => {
                found.select(Row::<ApiKey>::as_select()).for_no_key_update().first::<Row<ApiKey>>(*c).await
            }
        };
        Ok(row.optional()?.map(|Row(key)| key))
    }

    /// One page of a workspace's keys.
    pub async fn api_key_list(
        &mut self,
        filter: &ApiKeyFilter,
        request: &ListRequest,
    ) -> Result<Page<ApiKey>> {
        let now = filter.now;
        let (rows, total, fitting): (Vec<Row<ApiKey>>, Option<i64>, Option<u32>) = on_conn!(self, |c, Db| {
            load_list!(c, request, api_keys.id, Row<ApiKey>, || {
                let mut query = api_keys::table
                    .filter(api_keys::workspace_id.eq(Bind(filter.workspace_id)))
                    .into_boxed::<Db>();
                if filter.status != Some(KeyStatus::Revoked) {
                    query = query.filter(api_keys::revoked_at.is_null());
                }
                let expired = || {
                    (api_keys::expires_at
                        .is_not_null()
                        .and(api_keys::expires_at.assume_not_null().le(Bind(now))))
                    .or(api_keys::grace_period_ends_at
                        .is_not_null()
                        .and(api_keys::grace_period_ends_at.assume_not_null().le(Bind(now))))
                };
                let matching = Narrowed::new(query)
                    .when(filter.environment, |query, environment| {
                        query.filter(api_keys::environment.eq(Bind(environment)))
                    })
                    .when(filter.status, |query, status| match status {
                        KeyStatus::Revoked => query.filter(api_keys::revoked_at.is_not_null()),
                        KeyStatus::Expired => query.filter(expired()),
                        KeyStatus::Active => {
                            query.filter(diesel::dsl::not(expired())).filter(api_keys::disabled_at.is_null())
                        }
                        KeyStatus::Disabled => query
                            .filter(diesel::dsl::not(expired()))
                            .filter(api_keys::disabled_at.is_not_null()),
                    })
                    .when(filter.external_id.as_ref(), |query, id| {
                        query.filter(api_keys::external_id.eq(Bind(Some(id))))
                    })
                    .when(request.search.as_ref(), |query, words| {
                        let owner = Some(filter.workspace_id);
                        query.filter(HoldsWords::new(Searched::ApiKeys, "api_keys.name", owner, words))
                    });
                narrow!(matching, request, api_keys::created_at, updated api_keys::updated_at)
            })
        });
        Ok(list::page(Row::all(rows), (total, fitting), request, |_| None))
    }

    /// The first keys of each of some workspaces that are not revoked, by number, at most `limit` each; of
    /// one environment, or of both.
    pub async fn api_key_first_of_each(
        &mut self,
        workspaces: &[WorkspaceId],
        environment: Option<Environment>,
        limit: u32,
    ) -> Result<Vec<ApiKey>> {
        let condition = match environment {
            None => "revoked_at IS NULL",
            Some(Environment::Live) => "revoked_at IS NULL AND environment = 'live'",
            Some(Environment::Test) => "revoked_at IS NULL AND environment = 'test'",
        };
        let owners = workspaces.iter().map(|id| id.0).collect();
        let first = FirstOfEach::new(("api_keys", "workspace_id"), condition, "id", limit, owners);
        let rows: Vec<Row<ApiKey>> = on_conn!(self, |c| {
            let ids: Vec<i64> = first.load(c).await?;
            api_keys::table
                .filter(api_keys::id.eq_any(ids.iter().map(Bind)))
                .order(api_keys::id)
                .select(Row::<ApiKey>::as_select())
                .load(c)
                .await?
        });
        Ok(Row::all(rows))
    }

    /// Changes a key.
    pub async fn api_key_update(
        &mut self,
        id: ApiKeyId,
        changes: ApiKeyChanges,
        now: Timestamp,
    ) -> Result<ApiKey> {
        let is_renamed = changes.name.is_some();
        let Row(key): Row<ApiKey> = on_conn!(self, |c| {
            diesel::update(api_keys::table.find(Bind(id)))
            .set((
                changes!(
                    api_keys from changes => name, scopes, allowed_ips, rate_limit_tier, expires_at, external_id,
                    metadata, disabled_at
                ),
                api_keys::updated_at.eq(Bind(now)),
            ))
            .returning(Row::<ApiKey>::as_returning())
            .get_result(c)
            .await?
        });
        if is_renamed {
            self.search_words_set(Searched::ApiKeys, key.workspace_id, key.id.0, &[&key.name]).await?;
        }
        Ok(key)
    }

    /// Notes that a key was replaced, and until when it still works.
    pub async fn api_key_set_rotated(
        &mut self,
        id: ApiKeyId,
        successor: ApiKeyId,
        grace_ends_at: Timestamp,
        now: Timestamp,
    ) -> Result<ApiKey> {
        let Row(key): Row<ApiKey> = on_conn!(self, |c| diesel::update(api_keys::table.find(Bind(id)))
            .set((
                api_keys::rotated_to_id.eq(Bind(Some(successor))),
                api_keys::grace_period_ends_at.eq(Bind(Some(grace_ends_at))),
                api_keys::updated_at.eq(Bind(now)),
            ))
            .returning(Row::<ApiKey>::as_returning())
            .get_result(c)
            .await?);
        Ok(key)
    }

    /// Revokes a key; whether it was not revoked before.
    pub async fn api_key_revoke(&mut self, id: ApiKeyId, now: Timestamp) -> Result<bool> {
        let rows = on_conn!(self, |c| diesel::update(
            api_keys::table.filter(api_keys::id.eq(Bind(id))).filter(api_keys::revoked_at.is_null())
        )
        .set((api_keys::revoked_at.eq(Bind(Some(now))), api_keys::updated_at.eq(Bind(now))))
        .execute(c)
        .await?);
        Ok(rows > 0)
    }
}
