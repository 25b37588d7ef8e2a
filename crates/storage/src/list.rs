//! What all lists have in common: their order, the time of their rows, searching, and the part that is asked
//! for.
//!
//! The rows of a page are chosen by number first: that is read from an index alone, however far into the list
//! the page is.

use std::marker::PhantomData;

use diesel::{
    Expression, QueryResult,
    backend::Backend,
    expression::{AppearsOnTable, SelectableExpression, TypedExpressionType, ValidGrouping, is_aggregate},
    pg::Pg,
    query_builder::{AstPass, QueryFragment, QueryId},
    serialize::ToSql,
    sql_types::{BigInt, Bool, HasSqlType, Text},
    sqlite::Sqlite,
};
use gatepost_kernel::{Position, TimeRange, Window, WorkspaceId};

use crate::search_words::Searched;

/// Something that a list can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortKey {
    /// Its name on the wire.
    pub name: &'static str,
    /// The column, with its table.
    column: &'static str,
    /// Whether rows may have none; those come last.
    nullable: bool,
}

impl SortKey {
    pub(crate) const fn new(name: &'static str, column: &'static str) -> Self {
        Self { name, column, nullable: false }
    }

    pub(crate) const fn nullable(name: &'static str, column: &'static str) -> Self {
        Self { name, column, nullable: true }
    }
}

/// In which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The least first.
    Ascending,
    /// The greatest first.
    Descending,
}

/// What is asked of a list beside what is its own.
#[derive(Debug, Clone, Default)]
pub struct ListRequest {
    /// By what it is sorted; rows that are alike in that are sorted by number.
    pub order: Vec<(SortKey, Direction)>,
    /// When the rows were made.
    pub created: TimeRange,
    /// When they were last changed.
    pub updated: TimeRange,
    /// Words that the row holds, each at least as the beginning of a word.
    pub search: Option<Vec<String>>,
    /// Which part.
    pub window: Window,
    /// What becomes of what is too much at once.
    pub size: Size,
    /// Whether rows are read without what can be large in them, which is then empty.
    pub without_content: bool,
}

/// What becomes of a part of a list that holds more than [`MAX_PAGE_BYTES`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Size {
    /// All that was asked for is read.
    #[default]
    Whole,
    /// As many rows as fit are read.
    Cut,
    /// None is read; the page says how many would have fitted.
    Refused,
}

/// How much the rows of a page may hold together; one row is always shown.
pub const MAX_PAGE_BYTES: u64 = 4 << 20;

/// Up to so many rows are found first and sorted then.
pub(crate) const FEW: i64 = 5_000;
/// A sort and conditions of a list whose statement is kept prepared.
const MAX_COMMON: usize = 2;

/// How many rows fit, from the first on; none if all do, or need not.
pub(crate) fn fitting(size: Size, sizes: impl IntoIterator<Item = i64>) -> Option<u32> {
    if size == Size::Whole {
        return None;
    }
    let (mut bytes, mut rows) = (0u64, 0u32);
    for size in sizes {
        bytes += size.unsigned_abs();
        if bytes > MAX_PAGE_BYTES && rows > 0 {
            return Some(rows);
        }
        rows += 1;
    }
    None
}

impl ListRequest {
    /// A part of the list in its simplest order.
    pub fn of(window: Window) -> Self {
        Self { window, ..Self::default() }
    }

    /// The order in SQL, ending in the number, so that no two rows are alike. The last direction counts for
    /// the number too: an index that has both can be read from either end.
    pub(crate) fn order_sql(&self, id: &str) -> String {
        let mut sql = String::new();
        let mut last = Direction::Ascending;
        for (key, direction) in &self.order {
            let word = if *direction == Direction::Descending { " DESC" } else { "" };
            let nulls = if key.nullable { " NULLS LAST" } else { "" };
            sql.push_str(&format!("{}{word}{nulls}, ", key.column));
            last = *direction;
        }
        sql.push_str(id);
        if last == Direction::Descending {
            sql.push_str(" DESC");
        }
        sql
    }

    /// The order as an expression, for a statement with so many conditions.
    pub(crate) fn order_by(&self, id: &str, conditions: usize) -> KeptSql<BigInt> {
        KeptSql::new(self.order_sql(id), self.is_common(conditions))
    }

    /// Whether the rows that match are found first and sorted then; `total` is how many those are, if they
    /// were counted.
    pub(crate) fn finds_first(&self, total: Option<i64>, conditions: usize) -> bool {
        total.is_some_and(|total| total <= FEW) && self.is_led_astray(conditions)
    }

    /// Whether so little was asked for that many will ask for the same: the statement is kept prepared then.
    /// One client could fill the memory of every connection with all others.
    pub(crate) fn is_common(&self, conditions: usize) -> bool {
        // Each word has its own part in the text of the statement.
        let words = self.search.as_ref().map_or(0, |words| words.len().saturating_sub(1));
        self.order.len() <= 1 && self.order.len() + conditions + words <= MAX_COMMON
    }

    /// Whether an engine may look for rows in a way that suits other tenants.
    fn is_led_astray(&self, conditions: usize) -> bool {
        // An index has the rows of each tenant in this order; to find few of them by walking it takes what
        // counting them took.
        let natural = self.order.iter().all(|(key, _)| ["id", "created_at"].contains(&key.name));
        self.search.is_some() || (conditions > 0 && !natural)
    }

    /// The columns that it is sorted by, but for the number.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.order.iter().map(|(key, _)| key.column)
    }

    pub(crate) fn limit(&self) -> i64 {
        match self.window {
            Window::Page(page) => i64::from(page.per_page),
            // One more, to know whether there is more.
            Window::After { per_page, .. } => i64::from(per_page) + 1,
        }
    }

    pub(crate) fn offset(&self) -> i64 {
        match self.window {
            Window::Page(page) => i64::try_from(page.offset).unwrap_or(i64::MAX),
            Window::After { .. } => 0,
        }
    }

    /// The row that a page of a log begins after, and whether the log goes back in time.
    pub(crate) fn after(&self) -> Option<(Position, bool)> {
        match self.window {
            Window::Page(_) => None,
            Window::After { position, .. } => {
                let back =
                    self.order.last().is_some_and(|(_, direction)| *direction == Direction::Descending);
                Some((position, back))
            }
        }
    }
}

/// Whether a row holds words. Each engine keeps an index of words for it: a table beside it on SQLite, an
/// expression on PostgreSQL.
#[derive(Debug)]
pub(crate) struct HoldsWords {
    searched: Searched,
    /// What the words are taken from, on PostgreSQL.
    columns: &'static str,
    /// Whose rows they are; none for everybody's.
    owner: Option<i64>,
    /// In lower case; each with the end of what begins with it.
    words: Vec<(String, String)>,
    postgres_query: String,
}

impl HoldsWords {
    pub(crate) fn new(
        searched: Searched,
        columns: &'static str,
        owner: Option<WorkspaceId>,
        words: &[String],
    ) -> Self {
        let postgres_query = words.join(" ");
        let words = words.iter().map(|word| (word.clone(), format!("{word}{}", char::MAX))).collect();
        Self { searched, columns, owner: owner.map(|owner| owner.0), words, postgres_query }
    }
}

impl Expression for HoldsWords {
    type SqlType = Bool;
}

impl<QS> AppearsOnTable<QS> for HoldsWords {}
impl<QS> SelectableExpression<QS> for HoldsWords {}

impl ValidGrouping<()> for HoldsWords {
    type IsAggregate = is_aggregate::Never;
}

impl QueryId for HoldsWords {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Sqlite> for HoldsWords {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        // Nothing holds no words.
        out.push_sql(if self.words.is_empty() { "1 = 0" } else { "1 = 1" });
        let table = self.searched.table();
        for (word, end) in &self.words {
            out.push_sql(&format!(" AND {table}.id IN (SELECT id FROM {table}_search_words WHERE word >= "));
            out.push_bind_param::<Text, _>(word)?;
            out.push_sql(" AND word < ");
            out.push_bind_param::<Text, _>(end)?;
            if let Some(owner) = &self.owner {
                out.push_sql(" AND owner = ");
                out.push_bind_param::<BigInt, _>(owner)?;
            }
            out.push_sql(")");
        }
        Ok(())
    }
}

impl QueryFragment<Pg> for HoldsWords {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(&format!("gatepost_words({}) @@ gatepost_words_query(", self.columns));
        out.push_bind_param::<Text, _>(&self.postgres_query)?;
        out.push_sql(")");
        Ok(())
    }
}

/// The first rows that belong to each of several others, by number: for what is shown beside a page.
#[derive(Debug)]
pub(crate) struct FirstOfEach {
    /// The table, and its column that says to whom a row belongs.
    pub table: &'static str,
    pub owner: &'static str,
    /// What else they must be; text of this program.
    pub condition: &'static str,
    /// `id`, or `id DESC`.
    pub order: &'static str,
    pub limit: u32,
    /// The numbers of the owners, as JSON and as an array: each engine unrolls one of them.
    owners: Vec<i64>,
    owners_json: String,
}

impl FirstOfEach {
    pub(crate) fn new(
        (table, owner): (&'static str, &'static str),
        condition: &'static str,
        order: &'static str,
        limit: u32,
        owners: Vec<i64>,
    ) -> Self {
        let owners_json = serde_json::Value::from(owners.clone()).to_string();
        Self { table, owner, condition, order, limit, owners, owners_json }
    }

    fn chosen(&self, of: &str) -> String {
        let Self { table, owner, condition, order, limit, .. } = self;
        format!("SELECT id FROM {table} WHERE {owner} = {of} AND {condition} ORDER BY {order} LIMIT {limit}")
    }
}

impl QueryFragment<Sqlite> for FirstOfEach {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let chosen = self.chosen("o.value");
        out.push_sql("SELECT r.id FROM json_each(");
        out.push_bind_param::<Text, _>(&self.owners_json)?;
        out.push_sql(&format!(") o CROSS JOIN {} r WHERE r.id IN ({chosen})", self.table));
        Ok(())
    }
}

impl QueryFragment<Pg> for FirstOfEach {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT r.id FROM unnest(");
        out.push_bind_param::<diesel::sql_types::Array<BigInt>, _>(&self.owners)?;
        out.push_sql(&format!(") o (value) CROSS JOIN LATERAL ({}) r", self.chosen("o.value")));
        Ok(())
    }
}

impl QueryId for FirstOfEach {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl diesel::query_builder::Query for FirstOfEach {
    type SqlType = BigInt;
}

/// A query for the rows of a list, and how many of its conditions were asked for.
pub(crate) struct Narrowed<Q> {
    pub query: Q,
    /// Those that every request of the list has are not counted.
    pub conditions: usize,
}

impl<Q> Narrowed<Q> {
    pub(crate) fn new(query: Q) -> Self {
        Self { query, conditions: 0 }
    }

    /// With a condition, if a value for it was asked for.
    pub(crate) fn when<T>(self, asked: Option<T>, condition: impl FnOnce(Q, T) -> Q) -> Self {
        match asked {
            None => self,
            Some(value) => Self { query: condition(self.query, value), conditions: self.conditions + 1 },
        }
    }
}

/// SQL of this program as an expression. Unlike diesel's own it may be kept prepared.
#[derive(Debug, Clone)]
pub(crate) struct KeptSql<ST> {
    sql: String,
    kept: bool,
    sql_type: PhantomData<ST>,
}

impl<ST> KeptSql<ST> {
    /// Kept prepared if so.
    pub(crate) fn new(sql: impl Into<String>, kept: bool) -> Self {
        Self { sql: sql.into(), kept, sql_type: PhantomData }
    }
}

impl<ST: TypedExpressionType> Expression for KeptSql<ST> {
    type SqlType = ST;
}

impl<ST: TypedExpressionType, QS> AppearsOnTable<QS> for KeptSql<ST> {}
impl<ST: TypedExpressionType, QS> SelectableExpression<QS> for KeptSql<ST> {}

impl<ST> ValidGrouping<()> for KeptSql<ST> {
    type IsAggregate = is_aggregate::Never;
}

impl<ST> QueryId for KeptSql<ST> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<ST, DB: Backend> QueryFragment<DB> for KeptSql<ST> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(&self.sql);
        if !self.kept {
            out.unsafe_to_cache_prepared();
        }
        Ok(())
    }
}

/// Whether a row is one of a page.
///
/// An engine judges a condition by how common its value is among all tenants, and may walk all rows of one in
/// the order of the list, to find the few that match. So where few match, they are found first and sorted
/// then; the list is counted before anyway.
#[derive(Debug)]
pub(crate) struct OnPage<Q> {
    /// Selects the id, and if rows are found first what they are sorted by.
    matching: Q,
    id: &'static str,
    order: String,
    found_first: bool,
    limit: i64,
    offset: i64,
}

impl<Q> OnPage<Q> {
    /// `total` is how many rows match, if they were counted.
    pub(crate) fn new<M>(
        request: &ListRequest,
        id: &'static str,
        total: Option<i64>,
        Narrowed { query, conditions }: Narrowed<M>,
        select: impl FnOnce(M, KeptSql<BigInt>) -> Q,
    ) -> Self {
        let found_first = request.finds_first(total, conditions);
        let mut columns = vec![id];
        if found_first {
            columns.extend(request.columns().filter(|column| *column != id));
        }
        let columns = KeptSql::new(columns.join(", "), request.is_common(conditions));
        Self {
            matching: select(query, columns),
            id,
            order: request.order_sql(id),
            found_first,
            limit: request.limit(),
            offset: request.offset(),
        }
    }
}

impl<Q> Expression for OnPage<Q> {
    type SqlType = Bool;
}

impl<Q, QS> AppearsOnTable<QS> for OnPage<Q> {}
impl<Q, QS> SelectableExpression<QS> for OnPage<Q> {}

impl<Q> ValidGrouping<()> for OnPage<Q> {
    type IsAggregate = is_aggregate::Never;
}

impl<Q> QueryId for OnPage<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q, DB> QueryFragment<DB> for OnPage<Q>
where
    Q: QueryFragment<DB>,
    DB: Backend + HasSqlType<BigInt>,
    i64: ToSql<BigInt, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(&format!("{} IN (", self.id));
        if self.found_first {
            out.push_sql("WITH m AS MATERIALIZED (");
            self.matching.walk_ast(out.reborrow())?;
            let (table, column) = self.id.split_once('.').unwrap_or(("", self.id));
            let order = self.order.replace(&format!("{table}."), "m.");
            out.push_sql(&format!(") SELECT m.{column} FROM m ORDER BY {order} LIMIT "));
        } else {
            self.matching.walk_ast(out.reborrow())?;
            out.push_sql(&format!(" ORDER BY {} LIMIT ", self.order));
        }
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(" OFFSET ");
        out.push_bind_param::<BigInt, _>(&self.offset)?;
        out.push_sql(")");
        Ok(())
    }
}

/// Narrows a query to what a [`ListRequest`] asks of the time of its rows, and to what follows a row of a
/// log.
macro_rules! narrow {
    ($matching:expr, $request:ident, $created:expr) => {
        $matching
            .when($request.created.from, |query, from| query.filter($created.ge($crate::types::Bind(from))))
            .when($request.created.to, |query, to| query.filter($created.le($crate::types::Bind(to))))
    };
    ($matching:expr, $request:ident, $created:expr, updated $updated:expr) => {
        $crate::list::narrow!($matching, $request, $created)
            .when($request.updated.from, |query, from| query.filter($updated.ge($crate::types::Bind(from))))
            .when($request.updated.to, |query, to| query.filter($updated.le($crate::types::Bind(to))))
    };
    ($matching:expr, $request:ident, $created:expr, log $id:expr) => {
        $crate::list::narrow!($matching, $request, $created).when(
            $request.after(),
            |query, (position, back)| {
                let (at, id) = ($crate::types::Bind(position.at), $crate::types::Bind(position.id));
                // The first condition lets the index be entered in the right place.
                match back {
                    true => query.filter($created.le(at)).filter($created.lt(at).or($id.lt(id))),
                    false => query.filter($created.ge(at)).filter($created.gt(at).or($id.gt(id))),
                }
            },
        )
    };
}
pub(crate) use narrow;

/// Counts and loads what `$matching` finds, a closure that makes a [`Narrowed`], as a [`ListRequest`] asks;
/// how many rows fit too. Rows that hold something large are loaded by what `$select` makes of the SQL of it,
/// and measured before they are read.
macro_rules! load_list {
    ($c:ident, $request:ident, $table:ident . $id:ident, $row:ty, $sql:ty, large $large:literal else $none:literal, $select:expr, $matching:expr) => {{
        let matching = $matching;
        let total = $crate::list::load_list!(total of $c, $request, matching);
        let (content, size) = match $request.without_content {
            true => ($none, "CAST(0 AS BIGINT)"),
            false => (
                concat!(stringify!($table), ".", $large),
                concat!("CAST(octet_length(", stringify!($table), ".", $large, ") AS BIGINT)"),
            ),
        };
        let size = $crate::list::KeptSql::<diesel::sql_types::BigInt>::new(size, true);
        let $crate::list::Narrowed { query, conditions } = matching();
        let chosen: Vec<(i64, i64)> = match $request.finds_first(total, conditions) {
            true => $crate::list::load_list!(
                page of $c, $request, $table . $id, total, matching, ($table::$id, size)
            ),
            // Read in the order of an index. What is sorted is carried along as a whole, so that measuring it
            // would hold it all.
            false => {
                query
                    .order($request.order_by(concat!(stringify!($table), ".", stringify!($id)), conditions))
                    .limit($request.limit())
                    .offset($request.offset())
                    .select(($table::$id, size))
                    .load($c)
                    .await?
            }
        };
        let fitting = $crate::list::fitting($request.size, chosen.iter().map(|(_, size)| *size));
        let read = match fitting {
            None => chosen.len(),
            Some(_) if $request.size == $crate::list::Size::Refused => 0,
            Some(rows) => rows as usize,
        };
        let chosen = chosen.into_iter().take(read).map(|(id, _)| id);
        let select = $select;
        let rows: Vec<$row> = match read {
            0 => Vec::new(),
            _ => {
                $table::table
                    .filter($table::$id.eq_any(chosen.map($crate::types::Bind).collect::<Vec<_>>()))
                    .order($request.order_by(concat!(stringify!($table), ".", stringify!($id)), 0))
                    .select(select($crate::list::KeptSql::<$sql>::new(content, true)))
                    .load($c)
                    .await?
            }
        };
        (rows, total, fitting)
    }};
    ($c:ident, $request:ident, $table:ident . $id:ident, $row:ty, $matching:expr) => {{
        let matching = $matching;
        let total = $crate::list::load_list!(total of $c, $request, matching);
        let rows: Vec<$row> = $crate::list::load_list!(
            page of $c, $request, $table . $id, total, matching, <$row>::as_select()
        );
        (rows, total, None)
    }};
    (total of $c:ident, $request:ident, $matching:ident) => {{
        let total: Option<i64> = match $request.window {
            gatepost_kernel::Window::Page(_) => {
                let $crate::list::Narrowed { query, conditions } = $matching();
                let kept = $request.is_common(conditions);
                let count = $crate::list::KeptSql::<diesel::sql_types::BigInt>::new("count(*)", kept);
                Some(query.select(count).get_result($c).await?)
            }
            gatepost_kernel::Window::After { .. } => None,
        };
        total
    }};
    (page of $c:ident, $request:ident, $table:ident . $id:ident, $total:ident, $matching:ident, $select:expr) => {{
        let id = concat!(stringify!($table), ".", stringify!($id));
        match $total {
            Some(0) => Vec::new(),
            _ => {
                let page = $crate::list::OnPage::new(
                    $request, id, $total, $matching(), |query, columns| query.select(columns),
                );
                $table::table.filter(page).order($request.order_by(id, 0)).select($select).load($c).await?
            }
        }
    }};
}
pub(crate) use load_list;

/// Makes a page of rows; `position` is that of a row in a log.
pub(crate) fn page<T>(
    mut items: Vec<T>,
    (total, fitting): (Option<i64>, Option<u32>),
    request: &ListRequest,
    position: impl Fn(&T) -> Option<Position>,
) -> gatepost_kernel::Page<T> {
    let total = total.map(i64::unsigned_abs);
    let more = match (request.window, total) {
        _ if fitting.is_some() => true,
        (Window::Page(page), Some(total)) => page.offset + (items.len() as u64) < total,
        (window, _) => items.len() > window.per_page() as usize,
    };
    items.truncate(request.window.per_page() as usize);
    let next = items.last().filter(|_| more).and_then(position);
    // That the row did not fit which is read to know whether there is more is no matter.
    let fitting = fitting.filter(|rows| *rows < request.window.per_page());
    gatepost_kernel::Page { items, window: request.window, total, next, fitting }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_ends_in_the_number() {
        let (name, used) = (SortKey::new("name", "t.name"), SortKey::nullable("used", "t.used"));
        let order = |order| ListRequest { order, ..ListRequest::default() }.order_sql("t.id");
        assert_eq!(order(vec![]), "t.id");
        assert_eq!(order(vec![(name, Direction::Ascending)]), "t.name, t.id");
        assert_eq!(
            order(vec![(name, Direction::Ascending), (used, Direction::Descending)]),
            "t.name, t.used DESC NULLS LAST, t.id DESC"
        );
    }
}
