//! What records are found by beside their columns: keys of what is unique, and items of lists.

use diesel::{
    QueryResult,
    pg::Pg,
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::{Array, BigInt, Text},
    sqlite::Sqlite,
};
use diesel_async::RunQueryDsl;
use gatepost_kernel::RecordId;

use super::RecordSet;
use crate::{Result, Tx};

/// Where marks are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Keys,
    Items,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Insert,
    Delete,
}

/// Adds marks of a record, or takes them away, all in one statement. A mark that is there already is not
/// added.
#[derive(Debug)]
struct MarkStatement {
    verb: Verb,
    table: &'static str,
    set: RecordSet,
    record: i64,
    numbers: Vec<i64>,
    values: Vec<String>,
    json: String,
}

const COLUMNS: &str = "(type_id, workspace_id, environment, record_id, field_number, value)";

impl QueryFragment<Sqlite> for MarkStatement {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let Self { verb, table, set, record, json, .. } = self;
        out.push_sql(&match verb {
            Verb::Insert => format!("INSERT OR IGNORE INTO {table} {COLUMNS} SELECT "),
            Verb::Delete => format!("DELETE FROM {table} WHERE {COLUMNS} IN (SELECT "),
        });
        out.push_bind_param::<BigInt, _>(&set.type_id.0)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&set.owner.workspace_id.0)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(set.owner.environment.as_str())?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(record)?;
        out.push_sql(", m.value ->> 0, m.value ->> 1 FROM json_each(");
        out.push_bind_param::<Text, _>(json)?;
        out.push_sql(if *verb == Verb::Insert { ") m" } else { ") m)" });
        Ok(())
    }
}

impl QueryFragment<Pg> for MarkStatement {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Self { verb, table, set, record, numbers, values, .. } = self;
        out.push_sql(&match verb {
            Verb::Insert => format!("INSERT INTO {table} {COLUMNS} SELECT "),
            Verb::Delete => format!("DELETE FROM {table} WHERE {COLUMNS} IN (SELECT "),
        });
        out.push_bind_param::<BigInt, _>(&set.type_id.0)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&set.owner.workspace_id.0)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(set.owner.environment.as_str())?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(record)?;
        out.push_sql(", m.number, m.value FROM unnest(");
        out.push_bind_param::<Array<BigInt>, _>(numbers)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(values)?;
        out.push_sql(") m (number, value)");
        out.push_sql(if *verb == Verb::Insert { " ON CONFLICT DO NOTHING" } else { ")" });
        Ok(())
    }
}

impl QueryId for MarkStatement {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C> diesel::RunQueryDsl<C> for MarkStatement {}

impl Tx<'_> {
    /// Adds marks of a record; how many of them were new.
    pub(super) async fn record_mark(
        &mut self,
        table: Table,
        set: RecordSet,
        record: RecordId,
        marks: &[&(i64, String)],
    ) -> Result<usize> {
        self.record_marks_change(Verb::Insert, table, set, record, marks).await
    }

    /// Takes marks of a record away.
    pub(super) async fn record_unmark(
        &mut self,
        table: Table,
        set: RecordSet,
        record: RecordId,
        marks: &[&(i64, String)],
    ) -> Result<()> {
        self.record_marks_change(Verb::Delete, table, set, record, marks).await.map(|_| ())
    }

    async fn record_marks_change(
        &mut self,
        verb: Verb,
        table: Table,
        set: RecordSet,
        record: RecordId,
        marks: &[&(i64, String)],
    ) -> Result<usize> {
        if marks.is_empty() {
            return Ok(0);
        }
        let statement = MarkStatement {
            verb,
            table: if table == Table::Keys { "record_keys" } else { "record_items" },
            set,
            record: record.0,
            numbers: marks.iter().map(|(number, _)| *number).collect(),
            values: marks.iter().map(|(_, value)| value.clone()).collect(),
            json: serde_json::json!(marks).to_string(),
        };
        Ok(on_conn!(self, |c| statement.execute(c).await?))
    }
}
