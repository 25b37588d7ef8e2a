//! Answers kept for the repetition of a request with the same idempotency key.

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, QueryableByName, Selectable,
    SelectableHelper, sql_types::Bool,
};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{ApiKeyId, Environment, Timestamp, WorkspaceId};

use crate::{Result, StorageError, Tx, engine::Conn, schema::idempotency_records, types::DbTime};

/// A kept answer.
#[derive(Debug, Clone)]
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

#[derive(Insertable, Queryable, Selectable)]
#[diesel(table_name = idempotency_records)]
struct RecordRow {
    api_key_id: i64,
    idempotency_key: String,
    workspace_id: i64,
    environment: String,
    fingerprint: Vec<u8>,
    status: i32,
    sealed: bool,
    content_type: String,
    body: Vec<u8>,
    created_at: DbTime,
    expires_at: DbTime,
}

impl TryFrom<RecordRow> for IdempotencyRecord {
    type Error = StorageError;

    fn try_from(row: RecordRow) -> Result<Self> {
        let corrupt = || StorageError::corrupt(format!("idempotency record of API key {}", row.api_key_id));
        Ok(Self {
            api_key_id: ApiKeyId(row.api_key_id),
            workspace_id: WorkspaceId(row.workspace_id),
            environment: row.environment.parse().map_err(|_| corrupt())?,
            fingerprint: row.fingerprint.as_slice().try_into().map_err(|_| corrupt())?,
            status: u16::try_from(row.status).map_err(|_| corrupt())?,
            idempotency_key: row.idempotency_key,
            sealed: row.sealed,
            content_type: row.content_type,
            body: row.body,
            created_at: row.created_at.into(),
            expires_at: row.expires_at.into(),
        })
    }
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
        let row: Option<RecordRow> = on_conn!(self, |c| idempotency_records::table
            .find((api_key.0, idempotency_key))
            .filter(idempotency_records::expires_at.gt(DbTime::from(now)))
            .select(RecordRow::as_select())
            .first(c)
            .await
            .optional())?;
        row.map(IdempotencyRecord::try_from).transpose()
    }

    /// Keeps an answer, in place of one that no longer counts.
    pub async fn idempotency_insert(&mut self, record: IdempotencyRecord) -> Result<()> {
        let row = RecordRow {
            api_key_id: record.api_key_id.0,
            idempotency_key: record.idempotency_key,
            workspace_id: record.workspace_id.0,
            environment: record.environment.as_str().to_owned(),
            fingerprint: record.fingerprint.to_vec(),
            status: record.status.into(),
            sealed: record.sealed,
            content_type: record.content_type,
            body: record.body,
            created_at: record.created_at.into(),
            expires_at: record.expires_at.into(),
        };
        on_conn!(self, |c| {
            diesel::delete(idempotency_records::table.find((row.api_key_id, &row.idempotency_key)))
                .execute(c)
                .await?;
            diesel::insert_into(idempotency_records::table).values(&row).execute(c).await?;
        });
        Ok(())
    }

    /// Forgets an answer.
    pub async fn idempotency_delete(&mut self, api_key: ApiKeyId, idempotency_key: &str) -> Result<()> {
        on_conn!(self, |c| diesel::delete(idempotency_records::table.find((api_key.0, idempotency_key)))
            .execute(c)
            .await?);
        Ok(())
    }

    /// Forgets at most `limit` answers that no longer count; how many.
    pub async fn idempotency_delete_expired(&mut self, now: Timestamp, limit: u32) -> Result<usize> {
        let expired: Vec<(i64, String)> = on_conn!(self, |c| idempotency_records::table
            .filter(idempotency_records::expires_at.le(DbTime::from(now)))
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
                    .find((api_key, &idempotency_key))
                    .filter(idempotency_records::expires_at.le(DbTime::from(now)))
            )
            .execute(c)
            .await?);
        }
        Ok(deleted)
    }
}
