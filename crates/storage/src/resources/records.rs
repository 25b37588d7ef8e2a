//! Records of declared resources.

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, SelectableHelper,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Array, BigInt, Text},
    sqlite::Sqlite,
};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{JsonObject, Owner, Page, Position, RecordId, ResourceTypeId, Timestamp, Window};
use gatepost_resources::{Marks, Record, Slots};

use super::{
    RecordFilter, RecordSet,
    marks::Table,
    query::{Beyond, RecordQuery},
};
use crate::{
    Result, Tx,
    engine::Conn,
    list::{self, ListRequest, Size},
    schema::records,
    types::{Bind, Row, rows},
};

rows! {
    Record: records { id, public_id, created_at, updated_at, data }
}

/// A record to be kept.
#[derive(Debug, Clone)]
pub struct NewRecord {
    /// Its type, and whose it is.
    pub set: RecordSet,
    /// Id of the record, as callers know it.
    pub public_id: String,
    /// What it holds.
    pub data: JsonObject,
    /// Values that the record is filtered and sorted by.
    pub slots: Slots,
    /// What else it is found by.
    pub marks: Marks,
    /// When the record was made.
    pub created_at: Timestamp,
}

/// The columns of a record, for a row that is written.
macro_rules! slots {
    ($slots:expr) => {{
        let Slots { texts: [t1, t2, t3, t4, t5, t6, t7, t8], numbers: [n1, n2, n3, n4, n5, n6, n7, n8] } = $slots;
        slots!(t1 t2 t3 t4 t5 t6 t7 t8 n1 n2 n3 n4 n5 n6 n7 n8)
    }};
    ($($column:ident)+) => { ($(records::$column.eq($column),)+) };
}

/// The records of a set.
macro_rules! of_set {
    ($set:expr) => {
        records::table
            .filter(records::type_id.eq(Bind($set.type_id)))
            .filter(records::workspace_id.eq(Bind($set.owner.workspace_id)))
            .filter(records::environment.eq(Bind($set.owner.environment)))
    };
}

/// Whether a record is held, against whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// Not at all.
    No,
    /// Against being deleted.
    Kept,
    /// Against being changed.
    Unchanged,
}

impl Tx<'_> {
    /// Keeps a record. Where another has a value that must be unique, the number of that field; the
    /// transaction is to be undone then.
    pub async fn record_insert(&mut self, new: &NewRecord) -> Result<std::result::Result<Record, i64>> {
        let NewRecord { set, public_id, data, slots, marks, created_at } = new;
        let (type_id, at) = (set.type_id, Bind(created_at));
        let Row(record): Row<Record> = on_conn!(self, |c| diesel::insert_into(records::table)
            .values((
                records::type_id.eq(Bind(type_id)),
                records::workspace_id.eq(Bind(set.owner.workspace_id)),
                records::environment.eq(Bind(set.owner.environment)),
                records::public_id.eq(public_id),
                records::created_at.eq(at),
                records::updated_at.eq(at),
                slots!(slots),
                records::data.eq(Bind(data)),
            ))
            .returning(Row::<Record>::as_returning())
            .get_result(c)
            .await?);
        let marked = self.record_marks_replace(*set, record.id, &Marks::default(), marks).await?;
        Ok(marked.map(|()| record))
    }

    /// Changes what a record holds; `before` is what it was found by. Where another has a value that must be
    /// unique, the number of that field; the transaction is to be undone then.
    pub async fn record_update(
        &mut self,
        set: RecordSet,
        id: RecordId,
        (data, slots): (&JsonObject, &Slots),
        (before, after): (&Marks, &Marks),
        now: Timestamp,
    ) -> Result<std::result::Result<Record, i64>> {
        let Row(record): Row<Record> = on_conn!(self, |c| diesel::update(records::table.find(Bind(id)))
            .set((slots!(slots), records::data.eq(Bind(data)), records::updated_at.eq(Bind(now))))
            .returning(Row::<Record>::as_returning())
            .get_result(c)
            .await?);
        let marked = self.record_marks_replace(set, id, before, after).await?;
        Ok(marked.map(|()| record))
    }

    /// Finds a record by something else than before, without changing it: for a field that is found by now,
    /// and was not.
    pub async fn record_index(
        &mut self,
        set: RecordSet,
        id: RecordId,
        slots: &Slots,
        marks: &Marks,
    ) -> Result<std::result::Result<(), i64>> {
        on_conn!(self, |c| diesel::update(records::table.find(Bind(id)))
            .set(slots!(slots))
            .execute(c)
            .await?);
        self.record_marks_replace(set, id, &Marks::default(), marks).await
    }

    /// Deletes records, each of which was found by these.
    pub async fn record_delete(&mut self, set: RecordSet, all: &[(RecordId, Marks)]) -> Result<()> {
        for (id, marks) in all {
            self.record_marks_replace(set, *id, marks, &Marks::default()).await?.ok();
        }
        let ids: Vec<Bind<RecordId>> = all.iter().map(|(id, _)| Bind(*id)).collect();
        on_conn!(self, |c| diesel::delete(records::table.filter(records::id.eq_any(&ids)))
            .execute(c)
            .await?);
        Ok(())
    }

    async fn record_marks_replace(
        &mut self,
        set: RecordSet,
        id: RecordId,
        before: &Marks,
        after: &Marks,
    ) -> Result<std::result::Result<(), i64>> {
        for (table, before, after) in
            [(Table::Keys, &before.keys, &after.keys), (Table::Items, &before.items, &after.items)]
        {
            let gone: Vec<_> = before.difference(after).collect();
            self.record_unmark(table, set, id, &gone).await?;
            let new: Vec<_> = after.difference(before).collect();
            if table == Table::Items {
                self.record_mark(table, set, id, &new).await?;
                continue;
            }
            // One by one, to know which is taken; there are few.
            for mark in new {
                if self.record_mark(table, set, id, &[mark]).await? == 0 {
                    return Ok(Err(mark.0));
                }
            }
        }
        Ok(Ok(()))
    }

    /// A record by its id.
    pub async fn record_get(&mut self, set: RecordSet, public_id: &str) -> Result<Option<Record>> {
        self.record_held(set, public_id, Hold::No).await
    }

    /// The same, held against being deleted until the transaction ends: for what refers to it.
    pub async fn record_keep(&mut self, set: RecordSet, public_id: &str) -> Result<Option<Record>> {
        self.record_held(set, public_id, Hold::Kept).await
    }

    /// The same, held against changes by others until the transaction ends.
    pub async fn record_lock(&mut self, set: RecordSet, public_id: &str) -> Result<Option<Record>> {
        self.record_held(set, public_id, Hold::Unchanged).await
    }

    /// Records by their ids, in the order of creation, held against changes by others until the transaction
    /// ends.
    pub async fn record_lock_all(&mut self, set: RecordSet, public_ids: &[String]) -> Result<Vec<Record>> {
        if public_ids.is_empty() {
            return Ok(Vec::new());
        }
        // What is looked for has another type on each engine.
        macro_rules! wanted {
            () => {
                of_set!(set)
                    .filter(records::public_id.eq_any(public_ids))
                    .order(records::id)
                    .select(Row::<Record>::as_select())
            };
        }
        let rows: Vec<Row<Record>> = match &mut self.0 {
            // SQLite's one writer is already alone.
            Conn::Sqlite(c) => wanted!().load(*c).await?,
            Conn::Postgres(c) => wanted!().for_update().load(*c).await?,
        };
        Ok(Row::all(rows))
    }

    async fn record_held(&mut self, set: RecordSet, public_id: &str, hold: Hold) -> Result<Option<Record>> {
        let wanted = of_set!(set).filter(records::public_id.eq(public_id));
        macro_rules! found {
            ($c:ident $(, $lock:ident)?) => {
                wanted.select(Row::<Record>::as_select())$(.$lock())?.first(*$c).await.optional()?
            };
        }
        let row: Option<Row<Record>> = match (&mut self.0, hold) {
            // SQLite's one writer is already alone.
            (Conn::Sqlite(c), _) => found!(c),
            (Conn::Postgres(c), Hold::No) => found!(c),
            (Conn::Postgres(c), Hold::Kept) => found!(c, for_share),
            (Conn::Postgres(c), Hold::Unchanged) => found!(c, for_update),
        };
        Ok(row.map(|Row(record)| record))
    }

    /// Records by their ids, in no order.
    pub async fn record_get_all(&mut self, set: RecordSet, public_ids: &[String]) -> Result<Vec<Record>> {
        if public_ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<Row<Record>> = on_conn!(self, |c| of_set!(set)
            .filter(records::public_id.eq_any(public_ids))
            .select(Row::<Record>::as_select())
            .load(c)
            .await?);
        Ok(Row::all(rows))
    }

    /// One page of the records that are all of this. A page of a log follows the record of a position.
    pub async fn record_list(
        &mut self,
        set: RecordSet,
        filters: &[RecordFilter],
        request: &ListRequest,
    ) -> Result<Page<Record>> {
        let mut filters = filters.to_vec();
        if let Some((position, back)) = request.after() {
            let side = if back { Beyond::Before } else { Beyond::After };
            filters.push(RecordFilter::Beyond(position.id, side));
        }
        let query = RecordQuery::count(set, &filters, request);
        let total = match request.window {
            Window::Page(_) => {
                let count: Vec<(i64, i64)> = on_conn!(self, |c| (&query).load(c).await?);
                Some(count.into_iter().next().map_or(0, |(count, _)| count))
            }
            Window::After { .. } => None,
        };
        let chosen: Vec<(i64, i64)> = match total {
            Some(0) => Vec::new(),
            _ => {
                let query = query.page(total);
                on_conn!(self, |c| (&query).load(c).await?)
            }
        };
        let fitting = list::fitting(request.size, chosen.iter().map(|(_, size)| *size));
        let read = match fitting {
            None => chosen.len(),
            Some(_) if request.size == Size::Refused => 0,
            Some(rows) => rows as usize,
        };
        let ids: Vec<i64> = chosen.into_iter().take(read).map(|(id, _)| id).collect();
        let rows = self.records_by_id(ids).await?;
        let position = |record: &Record| Some(Position { at: record.created_at, id: record.id.0 });
        Ok(list::page(rows, (total, fitting), request, position))
    }

    /// Records by their numeric ids, in this order.
    async fn records_by_id(&mut self, ids: Vec<i64>) -> Result<Vec<Record>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let query = ById { json: serde_json::Value::from(ids.clone()).to_string(), ids };
        let rows: Vec<Row<Record>> = on_conn!(self, |c| (&query).load(c).await?);
        let mut rows = Row::all(rows);
        let place = |record: &Record| query.ids.iter().position(|id| *id == record.id.0);
        rows.sort_by_key(place);
        Ok(rows)
    }

    /// How many records of a type there are, of all owners; at most this many are counted.
    pub async fn record_count(&mut self, type_id: ResourceTypeId, most: u64) -> Result<u64> {
        let ids: Vec<i64> = on_conn!(self, |c| records::table
            .filter(records::type_id.eq(Bind(type_id)))
            .limit(i64::try_from(most).unwrap_or(i64::MAX))
            .select(records::id)
            .load(c)
            .await?);
        Ok(ids.len() as u64)
    }

    /// Some records of a type, of all owners, in the order of creation from behind `after`, with whose they
    /// are.
    pub async fn record_each(
        &mut self,
        type_id: ResourceTypeId,
        after: RecordId,
        limit: u32,
    ) -> Result<Vec<(Owner, Record)>> {
        let rows: Vec<((Bind<_>, Bind<_>), Row<Record>)> = on_conn!(self, |c| records::table
            .filter(records::type_id.eq(Bind(type_id)))
            .filter(records::id.gt(Bind(after)))
            .order(records::id)
            .limit(limit.into())
            .select(((records::workspace_id, records::environment), Row::<Record>::as_select()))
            .load(c)
            .await?);
        let owned = rows.into_iter().map(|((Bind(workspace_id), Bind(environment)), Row(record))| {
            (Owner::new(workspace_id, environment), record)
        });
        Ok(owned.collect())
    }

    /// Lets the records of a type be found by their columns alone, as before they are found by something
    /// else: takes at most `limit` of their keys and as many of their items away; how many of those that
    /// there were more of.
    pub async fn record_unmark_some(&mut self, type_id: ResourceTypeId, limit: u32) -> Result<usize> {
        const KEY: &str = "type_id, field_number, workspace_id, environment, value";
        const ITEM: &str = "type_id, field_number, workspace_id, environment, value, record_id";
        let mut most = 0;
        for (table, key) in [("record_keys", KEY), ("record_items", ITEM)] {
            // What is put into the text are numbers and words of this program.
            let some = format!("SELECT {key} FROM {table} WHERE type_id = {} LIMIT {limit}", type_id.0);
            let delete = format!("DELETE FROM {table} WHERE ({key}) IN ({some})");
            most = most.max(on_conn!(self, |c| diesel::sql_query(&delete).execute(c).await?));
        }
        Ok(most)
    }
}

/// Records by their numeric ids, however many by one statement.
#[derive(Debug)]
struct ById {
    ids: Vec<i64>,
    json: String,
}

const SELECT: &str = "SELECT id, public_id, created_at, updated_at, data FROM records WHERE id ";

impl QueryFragment<Sqlite> for ById {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(SELECT);
        out.push_sql("IN (SELECT j.value FROM json_each(");
        out.push_bind_param::<Text, _>(&self.json)?;
        out.push_sql(") j)");
        Ok(())
    }
}

impl QueryFragment<Pg> for ById {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(SELECT);
        out.push_sql("= ANY(");
        out.push_bind_param::<Array<BigInt>, _>(&self.ids)?;
        out.push_sql(")");
        Ok(())
    }
}

impl QueryId for ById {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for ById {
    type SqlType =
        (crate::types::Id, Text, crate::types::Instant, crate::types::Instant, crate::types::JsonKept);
}
