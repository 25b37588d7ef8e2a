//! Secrets that all processes on one database share.

use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;
use gatepost_kernel::Timestamp;

use crate::{Result, Tx, schema::server_secrets, types::Bind};

impl Tx<'_> {
    /// The secret of that name; `fresh` if there was none.
    pub async fn server_secret_get_or_insert(
        &mut self,
        name: &str,
        fresh: &[u8],
        now: Timestamp,
    ) -> Result<Vec<u8>> {
        Ok(on_conn!(self, |c| {
            diesel::insert_into(server_secrets::table)
                .values((
                    server_secrets::name.eq(name),
                    server_secrets::value.eq(fresh),
                    server_secrets::created_at.eq(Bind(now)),
                ))
                .on_conflict_do_nothing()
                .execute(c)
                .await?;
            server_secrets::table.find(name).select(server_secrets::value).first(c).await?
        }))
    }
}
