//! The change feed: what other processes have to forget.
//!
//! A reader asks for what came after the last id it saw. That is only safe if ids become visible in their own
//! order, and PostgreSQL's sequences do not promise that: a transaction that drew 7 may commit after one that
//! drew 8, and a reader that saw 8 would never look for 7. So ids are drawn under a lock that is held until
//! the commit; the feed is appended to as the last act of a transaction, to hold it as briefly as possible.
//! On SQLite the one writer gives that order by itself, to other processes too.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use gatepost_kernel::{ApiKeyId, ChangeId, Timestamp, WorkspaceId};

use crate::{Result, StorageError, Tx, engine::Conn, schema::changes, types::Bind};

/// What was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeSubject {
    /// A key: its scopes, its life, its links.
    ApiKey(ApiKeyId),
    /// A workspace: its tier, its life.
    Workspace(WorkspaceId),
}

/// An entry of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Its place.
    pub id: ChangeId,
    /// What was changed.
    pub subject: ChangeSubject,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = changes)]
struct ChangeRow {
    id: ChangeId,
    subject_type: String,
    subject_id: i64,
}

impl TryFrom<ChangeRow> for Change {
    type Error = StorageError;

    fn try_from(row: ChangeRow) -> Result<Self> {
        let subject = match row.subject_type.as_str() {
            "api_key" => ChangeSubject::ApiKey(ApiKeyId(row.subject_id)),
            "workspace" => ChangeSubject::Workspace(WorkspaceId(row.subject_id)),
            _ => return Err(StorageError::corrupt(format!("subject of change {}", row.id))),
        };
        Ok(Self { id: row.id, subject })
    }
}

impl Tx<'_> {
    /// Appends to the feed. Call it last: on PostgreSQL all that append wait for this transaction's end.
    pub async fn change_append(&mut self, subjects: &[ChangeSubject], now: Timestamp) -> Result<()> {
        if let (Conn::Postgres(conn), false) = (&mut self.0, subjects.is_empty()) {
            conn.batch_execute("SELECT pg_advisory_xact_lock(7272740002); NOTIFY gatepost_changes").await?;
        }
        for subject in subjects {
            let (subject_type, subject_id) = match subject {
                ChangeSubject::ApiKey(id) => ("api_key", id.0),
                ChangeSubject::Workspace(id) => ("workspace", id.0),
            };
            let row = (
                changes::subject_type.eq(subject_type),
                changes::subject_id.eq(Bind(subject_id)),
                changes::created_at.eq(Bind(now)),
            );
            on_conn!(self, |c| diesel::insert_into(changes::table).values(row).execute(c).await?);
        }
        Ok(())
    }

    /// What came after `seen`, in order, at most `limit`.
    pub async fn change_list_after(&mut self, seen: ChangeId, limit: u32) -> Result<Vec<Change>> {
        let rows: Vec<ChangeRow> = on_conn!(self, |c| changes::table
            .filter(changes::id.gt(Bind(seen)))
            .order(changes::id)
            .limit(limit.into())
            .select(ChangeRow::as_select())
            .load(c)
            .await?);
        rows.into_iter().map(Change::try_from).collect()
    }

    /// Forgets at most `limit` entries from before `time`; how many.
    pub async fn change_delete_before(&mut self, time: Timestamp, limit: u32) -> Result<usize> {
        let old: Vec<i64> = on_conn!(self, |c| changes::table
            .filter(changes::created_at.lt(Bind(time)))
            .order(changes::id)
            .limit(limit.into())
            .select(changes::id)
            .load(c)
            .await?);
        Ok(on_conn!(self, |c| diesel::delete(
            changes::table.filter(changes::id.eq_any(old.iter().map(Bind)))
        )
        .execute(c)
        .await?))
    }

    /// The end of the feed; 0 when it is empty.
    pub async fn change_last_id(&mut self) -> Result<ChangeId> {
        let last: Option<ChangeId> = on_conn!(self, |c| changes::table
            .select(changes::id)
            .order(changes::id.desc())
            .first(c)
            .await
            .optional())?;
        Ok(last.unwrap_or(ChangeId(0)))
    }
}
