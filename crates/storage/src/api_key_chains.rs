//! Keys that stand for each other: those that replaced one another, and those in whose place a new one may have come. What they
//! have used counts together.

use std::collections::HashMap;

use diesel::{ExpressionMethods, NullableExpressionMethods, QueryDsl, sql_types::BigInt};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{ApiKeyId, Timestamp, WorkspaceId};
use gatepost_keys::TokenDigest;

use crate::{Result, StorageError, Tx, schema::api_keys, types::DbTime};

/// How many keys that ended at about the same time are looked at.
const MAX_ENDED: i64 = 100;

/// A key as whoever counts its use knows it.
#[derive(Debug, Clone, Copy)]
pub struct CountedKey {
    /// What it is remembered by.
    pub digest: TokenDigest,
    /// The key itself.
    pub id: ApiKeyId,
    /// The first of those that replaced each other; none for a key that was never rotated.
    pub chain: Option<ApiKeyId>,
}

impl CountedKey {
    /// Under which number its use counts.
    pub fn counts_as(&self) -> ApiKeyId {
        self.chain.unwrap_or(self.id)
    }
}

/// The number, the digest, and the keys before and behind.
pub(crate) type Linked = (i64, Option<i64>, Option<i64>);

/// The same behind the digest.
type Row = (Vec<u8>, i64, Option<i64>, Option<i64>);

#[derive(diesel::QueryableByName)]
struct FirstRow {
    #[diesel(sql_type = BigInt)]
    api_key_id: i64,
    #[diesel(sql_type = BigInt)]
    first_id: i64,
}

impl Tx<'_> {
    /// Keys by their numbers, for whoever remembers what they have used.
    pub async fn api_keys_counted(&mut self, ids: &[ApiKeyId]) -> Result<Vec<CountedKey>> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let rows: Vec<Row> = on_conn!(self, |c| api_keys::table
            .filter(api_keys::id.eq_any(&ids))
            .select((api_keys::digest, api_keys::id, api_keys::rotated_from_id, api_keys::rotated_to_id))
            .load(c)
            .await?);
        self.counted(rows).await
    }

    /// The keys of a workspace that were revoked, or ended by themselves, between two instants; of many the last hundred of
    /// either kind.
    pub async fn api_keys_ended_between(
        &mut self,
        workspace: WorkspaceId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<CountedKey>> {
        let (from, to) = (DbTime::from(from), DbTime::from(to));
        let columns = (api_keys::digest, api_keys::id, api_keys::rotated_from_id, api_keys::rotated_to_id);
        // One after the other, each by its own index.
        macro_rules! ended {
            ($at:expr) => {
                api_keys::table
                    .filter(api_keys::workspace_id.eq(workspace.0))
                    .filter($at.is_not_null())
                    .filter($at.assume_not_null().between(from, to))
                    .order($at.desc())
                    .limit(MAX_ENDED)
                    .select(columns)
            };
        }
        let rows: Vec<Row> = on_conn!(self, |c| {
            let mut rows: Vec<Row> = ended!(api_keys::revoked_at).load(c).await?;
            rows.extend(ended!(api_keys::expires_at).load::<Row>(c).await?);
            rows
        });
        self.counted(rows).await
    }

    async fn counted(&mut self, rows: Vec<Row>) -> Result<Vec<CountedKey>> {
        let chains = self.chains(rows.iter().map(|(_, id, from, to)| (*id, *from, *to))).await?;
        let counted = |(digest, id, ..): Row| {
            let digest = digest.try_into().map(TokenDigest::from_bytes);
            let digest = digest.map_err(|_| StorageError::Corrupt(format!("digest of API key {id}")))?;
            Ok(CountedKey { digest, id: ApiKeyId(id), chain: chains.get(&id).copied() })
        };
        rows.into_iter().map(counted).collect()
    }

    /// The first of those that replaced each other, for each key that was rotated.
    pub(crate) async fn chains(
        &mut self,
        keys: impl IntoIterator<Item = Linked>,
    ) -> Result<HashMap<i64, ApiKeyId>> {
        let rotated: Vec<Linked> =
            keys.into_iter().filter(|(_, from, to)| from.is_some() || to.is_some()).collect();
        let mut chains: HashMap<i64, ApiKeyId> =
            rotated.iter().map(|(id, ..)| (*id, ApiKeyId(*id))).collect();
        let successors: Vec<String> =
            rotated.iter().filter(|(_, from, _)| from.is_some()).map(|(id, ..)| id.to_string()).collect();
        if successors.is_empty() {
            return Ok(chains);
        }
        // One after the other back to the one that replaced none.
        let query = format!(
            "WITH RECURSIVE chain (api_key_id, first_id) AS ( \
               SELECT id, id FROM api_keys WHERE id IN ({}) \
               UNION ALL \
               SELECT chain.api_key_id, api_keys.rotated_from_id FROM chain \
               JOIN api_keys ON api_keys.id = chain.first_id WHERE api_keys.rotated_from_id IS NOT NULL \
             ) \
             SELECT chain.api_key_id, chain.first_id FROM chain \
             JOIN api_keys ON api_keys.id = chain.first_id WHERE api_keys.rotated_from_id IS NULL",
            successors.join(", ")
        );
        let rows: Vec<FirstRow> = on_conn!(self, |c| diesel::sql_query(&query).load(c).await?);
        chains.extend(rows.into_iter().map(|row| (row.api_key_id, ApiKeyId(row.first_id))));
        Ok(chains)
    }
}
