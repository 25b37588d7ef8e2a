//! Answers kept for the repetition of a request with the same idempotency key.

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, Queryable, QueryableByName, Selectable, SelectableHelper,
    sql_types::Bool,
};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{ApiKeyId, Environment, Timestamp, WorkspaceId};

use crate::{
    Result, Tx,
    engine::Conn,
    schema::idempotency_records,
    types::{Bind, values},
};

/// A kept answer.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = idempotency_records)]
pub struct IdempotencyRecord {
    /// Whose key it is.
    pub api_key_id: ApiKeyId,
    /// The value of the header.
    pub idempotency_key: String,
    /// The tenant that the request acted on.
    pub workspace_id: WorkspaceId,
    /// The environment of the key.
    pub environment: Environment,
    /// HMAC-SHA-256 of method, path, workspace and body, by the token of the key.
    pub fingerprint: [u8; 32],
    /// The HTTP status.
    pub status: u16,
    /// Whether the body is encrypted, because it holds a secret.
    pub sealed: bool,
    /// The media type of the body; empty when there is none.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
    /// When it was kept.
    pub created_at: Timestamp,
    /// Until when it counts.
    pub expires_at: Timestamp,
}

#[derive(QueryableByName)]
struct Locked {
    #[diesel(sql_type = Bool)]
    locked: bool,
}

impl Tx<'_> {
    /// Claims an idempotency key until the transaction ends; `false` if another request holds it now.
    pub async fn idempotency_try_lock(&mut self, api_key: ApiKeyId, idempotency_key: &str) -> Result<bool> {
        match &mut self.0 {
            // SQLite's one writer is already alone.
            Conn::Sqlite(_) => Ok(true),
            Conn::Postgres(c) => {
                let query = diesel::sql_query(
                    "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS locked",
                )
                .bind::<diesel::sql_types::Text, _>(format!("idempotency {api_key} {idempotency_key}"));
                Ok(query.get_result::<Locked>(*c).await?.locked)
            }
        }
    }

    /// The kept answer, if it still counts.
    pub async fn idempotency_get(
        &mut self,
        api_key: ApiKeyId,
        idempotency_key: &str,
        now: Timestamp,
    ) -> Result<Option<IdempotencyRecord>> {
        Ok(on_conn!(self, |c| idempotency_records::table
            .find((Bind(api_key), Bind(idempotency_key)))
            .filter(idempotency_records::expires_at.gt(Bind(now)))
            .select(IdempotencyRecord::as_select())
            .first(c)
            .await
            .optional())?)
    }

    /// Keeps an answer, in place of one that no longer counts.
    pub async fn idempotency_insert(&mut self, record: &IdempotencyRecord) -> Result<()> {
        on_conn!(self, |c| {
            diesel::delete(
                idempotency_records::table.find((Bind(record.api_key_id), Bind(&record.idempotency_key))),
            )
            .execute(c)
            .await?;
            diesel::insert_into(idempotency_records::table)
                .values(values!(
                    idempotency_records from record => api_key_id, idempotency_key, workspace_id, environment,
                    fingerprint, status, sealed, content_type, body, created_at, expires_at,
                ))
                .execute(c)
                .await?;
        });
        Ok(())
    }

    /// Forgets an answer.
    pub async fn idempotency_delete(&mut self, api_key: ApiKeyId, idempotency_key: &str) -> Result<()> {
        on_conn!(self, |c| diesel::delete(
            idempotency_records::table.find((Bind(api_key), Bind(idempotency_key)))
        )
        .execute(c)
        .await?);
        Ok(())
    }

    /// Forgets at most `limit` answers that no longer count; how many.
    pub async fn idempotency_delete_expired(&mut self, now: Timestamp, limit: u32) -> Result<usize> {
        let expired: Vec<(ApiKeyId, String)> = on_conn!(self, |c| idempotency_records::table
            .filter(idempotency_records::expires_at.le(Bind(now)))
            .order(idempotency_records::expires_at)
            .limit(limit.into())
            .select((idempotency_records::api_key_id, idempotency_records::idempotency_key))
            .load(c)
            .await?);
        let mut deleted = 0;
        for (api_key, idempotency_key) in expired {
            // Looked at again: it may have been replaced by one that counts.
            deleted += on_conn!(self, |c| diesel::delete(
                idempotency_records::table
                    .find((Bind(api_key), Bind(&idempotency_key)))
                    .filter(idempotency_records::expires_at.le(Bind(now)))
            )
            .execute(c)
            .await?);
        }
        Ok(deleted)
    }
}
