//! Keys that stand for each other: those that replaced one another, and those in whose place a new one may
//! have come. What they have used counts together.

use diesel::{ExpressionMethods, NullableExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{ApiKeyId, Timestamp, WorkspaceId};
use gatepost_keys::TokenDigest;

use crate::{Result, Tx, schema::api_keys, types::Bind};

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

/// The number of a key, the first that it stands in the place of, and the one that replaced it.
pub(crate) type Linked = (ApiKeyId, Option<ApiKeyId>, Option<ApiKeyId>);

/// The same behind the digest.
type Row = (TokenDigest, ApiKeyId, Option<ApiKeyId>, Option<ApiKeyId>);

/// The first of the keys that replaced each other; none for one that was never rotated.
pub(crate) fn chain_of((id, chain_id, rotated_to_id): Linked) -> Option<ApiKeyId> {
    chain_id.or(rotated_to_id.map(|_| id))
}

fn counted(rows: Vec<Row>) -> Vec<CountedKey> {
    let counted = |(digest, id, chain_id, rotated_to_id): Row| {
        let chain = chain_of((id, chain_id, rotated_to_id));
        CountedKey { digest, id, chain }
    };
    rows.into_iter().map(counted).collect()
}

impl Tx<'_> {
    /// Keys by their numbers, for whoever remembers what they have used.
    pub async fn api_keys_counted(&mut self, ids: &[ApiKeyId]) -> Result<Vec<CountedKey>> {
        let rows: Vec<Row> = on_conn!(self, |c| api_keys::table
            .filter(api_keys::id.eq_any(ids.iter().map(Bind)))
            .select((api_keys::digest, api_keys::id, api_keys::chain_id, api_keys::rotated_to_id))
            .load(c)
            .await?);
        Ok(counted(rows))
    }

    /// The keys of a workspace that were revoked, or ended by themselves, between two instants; of many the
    /// last hundred of either kind.
    pub async fn api_keys_ended_between(
        &mut self,
        workspace: WorkspaceId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<CountedKey>> {
        let columns = (api_keys::digest, api_keys::id, api_keys::chain_id, api_keys::rotated_to_id);
        // One after the other, each by its own index.
        macro_rules! ended {
            ($at:expr) => {
                api_keys::table
                    .filter(api_keys::workspace_id.eq(Bind(workspace)))
                    .filter($at.is_not_null())
                    .filter($at.assume_not_null().between(Bind(from), Bind(to)))
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
        Ok(counted(rows))
    }

    /// What a key counts as that replaces this one.
    pub(crate) async fn chain_behind(&mut self, replaced: ApiKeyId) -> Result<ApiKeyId> {
        let chain: Option<ApiKeyId> = on_conn!(self, |c| api_keys::table
            .find(Bind(replaced))
            .select(api_keys::chain_id)
            .first(c)
            .await?);
        Ok(chain.unwrap_or(replaced))
    }
}
