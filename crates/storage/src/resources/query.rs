//! Looking for records: which, in which order, and by which plan.
//!
//! The engines judge a filter by how common its value is over all types and tenants, which says little of one
//! of them. So where a list has another order than its filter's index gives, and few records match, these are
//! found first and sorted then; the list is counted before anyway.

use diesel::{
    QueryResult,
    backend::Backend,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Array, BigInt, Text},
    sqlite::Sqlite,
};
use gatepost_kernel::{Owner, ResourceTypeId};
use gatepost_resources::{Column, NO_TEXT, SEARCH_FIELD};

use crate::list::{FEW, ListRequest, SortKey};

const TEXTS: [&str; gatepost_resources::TEXTS] = [
    "records.t1",
    "records.t2",
    "records.t3",
    "records.t4",
    "records.t5",
    "records.t6",
    "records.t7",
    "records.t8",
];
const NUMBERS: [&str; gatepost_resources::NUMBERS] = [
    "records.n1",
    "records.n2",
    "records.n3",
    "records.n4",
    "records.n5",
    "records.n6",
    "records.n7",
    "records.n8",
];
const ID: &str = "records.id";

/// All records of a type that belong to one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordSet {
    /// The type.
    pub type_id: ResourceTypeId,
    /// Whose they are.
    pub owner: Owner,
}

/// What records must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordFilter {
    /// A column for texts, counted from 0, holds one of these.
    Text(usize, Vec<String>),
    /// A column for numbers, counted from 0, holds one that is not less and not more.
    Number(usize, Option<i64>, Option<i64>),
    /// The unique field with this number is one of these.
    Key(i64, Vec<String>),
    /// The list in the field with this number holds one of these.
    Item(i64, Vec<String>),
    /// What is searched holds words that begin with these.
    Words(Vec<String>),
    /// They were made before the one with this id, or after it.
    Beyond(i64, Beyond),
}

/// On which side of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// Made earlier.
    Before,
    /// Made later.
    After,
}

/// What a list is sorted by under this name: a column, or the order of creation.
pub fn record_sort(name: &'static str, column: Option<(Column, usize)>) -> SortKey {
    SortKey::new(name, column.map_or(ID, column_name))
}

/// What a column for texts holds, as an expression; an empty text where it holds none.
pub(crate) fn text_or_empty(at: usize) -> String {
    let column = column_name((Column::Text, at));
    // What is sorted has this where it has no value.
    format!("COALESCE(NULLIF({column}, '{NO_TEXT}'), '')")
}

fn column_name((column, at): (Column, usize)) -> &'static str {
    let names: &[&str] = match column {
        Column::Text => &TEXTS,
        Column::Number => &NUMBERS,
    };
    // Layouts have no other.
    names.get(at).copied().unwrap_or(ID)
}

/// What is asked of the records.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Count,
    /// Ids and sizes of a page; those that match are found first if so.
    Page {
        found_first: bool,
    },
}

/// A statement about records.
#[derive(Debug)]
pub(super) struct RecordQuery<'q> {
    set: RecordSet,
    environment: &'static str,
    filters: &'q [RecordFilter],
    created: [Option<i64>; 2],
    updated: [Option<i64>; 2],
    order: String,
    /// The columns of the order, which must hold something to be found in their index.
    sorted: Vec<&'static str>,
    limit: i64,
    offset: i64,
    asked: Asked,
    /// Whether the statement may be kept prepared.
    kept: bool,
    /// The ends of what begins with the words.
    ends: Vec<String>,
    /// What is looked for in each filter, as SQLite takes it.
    json: Vec<String>,
}

impl<'q> RecordQuery<'q> {
    pub(super) fn count(set: RecordSet, filters: &'q [RecordFilter], request: &ListRequest) -> Self {
        let range = |range: gatepost_kernel::TimeRange| {
            [range.from, range.to].map(|at| at.map(gatepost_kernel::Timestamp::as_micros))
        };
        let words = filters.iter().filter_map(|filter| match filter {
            RecordFilter::Words(words) => Some(words),
            _ => None,
        });
        let created = range(request.created);
        let updated = range(request.updated);
        let ends: Vec<String> = words.flatten().map(|word| format!("{word}{}", char::MAX)).collect();
        let bounds = created.iter().chain(&updated).flatten().count();
        let kept = request.is_common(filters.len() + ends.len() + bounds);
        let json = filters.iter().map(|filter| match filter {
            RecordFilter::Text(_, any) | RecordFilter::Key(_, any) | RecordFilter::Item(_, any) => {
                serde_json::Value::from(any.clone()).to_string()
            }
            _ => String::new(),
        });
        Self {
            set,
            environment: set.owner.environment.as_str(),
            filters,
            created,
            updated,
            order: request.order_sql(ID),
            sorted: request.columns().filter(|column| *column != ID).collect(),
            limit: request.limit(),
            offset: request.offset(),
            asked: Asked::Count,
            ends,
            kept,
            json: json.collect(),
        }
    }

    /// The ids and the sizes of a page, where so many records match; none if they were not counted.
    pub(super) fn page(self, total: Option<i64>) -> Self {
        let found_first = total.is_some_and(|total| self.is_found_first(total));
        Self { asked: Asked::Page { found_first }, ..self }
    }

    fn is_found_first(&self, total: i64) -> bool {
        let by_creation = self.sorted.is_empty();
        let in_order = |filter: &RecordFilter| match filter {
            // An index that has the value first has the rest in the order of creation, and in no other.
            RecordFilter::Text(at, any) => {
                any.len() == 1 && (by_creation || self.sorted == [column_name((Column::Text, *at))])
            }
            RecordFilter::Number(at, ..) => self.sorted == [column_name((Column::Number, *at))],
            RecordFilter::Key(..) | RecordFilter::Beyond(..) => true,
            RecordFilter::Item(..) | RecordFilter::Words(_) => false,
        };
        // Else the engine may walk all records of everybody backwards, to find those of a range by and by.
        let range = |filter: &RecordFilter| by_creation && matches!(filter, RecordFilter::Number(..));
        self.filters.iter().any(range)
            || (total <= FEW && !(self.filters.len() <= 1 && self.filters.iter().all(in_order)))
    }
}

/// A filter's way into an index of marks.
fn marked(table: &str) -> String {
    format!(" AND records.id IN (SELECT record_id FROM {table} WHERE type_id = ")
}

/// What each engine says in its own way.
trait Dialect: Backend + Sized {
    /// How many bytes a record holds.
    const SIZE: &'static str;

    /// Is one of these, which are there twice: as an array, and as JSON.
    fn any_of<'b>(out: &mut AstPass<'_, 'b, Self>, any: &'b [String], json: &'b str) -> QueryResult<()>;

    /// An instant of so many microseconds.
    fn instant<'b>(out: &mut AstPass<'_, 'b, Self>, micros: &'b i64) -> QueryResult<()>;

    fn number<'b>(out: &mut AstPass<'_, 'b, Self>, number: &'b i64) -> QueryResult<()>;

    fn text<'b>(out: &mut AstPass<'_, 'b, Self>, text: &'b str) -> QueryResult<()>;
}

impl Dialect for Sqlite {
    // Of a column itself, and of nothing that is made of it, this is known without reading it.
    const SIZE: &'static str = "octet_length(records.data)";

    fn any_of<'b>(out: &mut AstPass<'_, 'b, Self>, _: &'b [String], json: &'b str) -> QueryResult<()> {
        out.push_sql(" IN (SELECT j.value FROM json_each(");
        out.push_bind_param::<Text, _>(json)?;
        out.push_sql(") j)");
        Ok(())
    }

    fn instant<'b>(out: &mut AstPass<'_, 'b, Self>, micros: &'b i64) -> QueryResult<()> {
        out.push_bind_param::<BigInt, _>(micros)
    }

    fn number<'b>(out: &mut AstPass<'_, 'b, Self>, number: &'b i64) -> QueryResult<()> {
        out.push_bind_param::<BigInt, _>(number)
    }

    fn text<'b>(out: &mut AstPass<'_, 'b, Self>, text: &'b str) -> QueryResult<()> {
        out.push_bind_param::<Text, _>(text)
    }
}

impl Dialect for Pg {
    const SIZE: &'static str = "CAST(octet_length(CAST(records.data AS TEXT)) AS BIGINT)";

    fn any_of<'b>(out: &mut AstPass<'_, 'b, Self>, any: &'b [String], _: &'b str) -> QueryResult<()> {
        out.push_sql(" = ANY(");
        out.push_bind_param::<Array<Text>, _>(any)?;
        out.push_sql(")");
        Ok(())
    }

    fn instant<'b>(out: &mut AstPass<'_, 'b, Self>, micros: &'b i64) -> QueryResult<()> {
        // Whole microseconds, which a division would not keep.
        out.push_sql("('epoch'::timestamptz + ");
        out.push_bind_param::<BigInt, _>(micros)?;
        out.push_sql(" * interval '1 microsecond')");
        Ok(())
    }

    fn number<'b>(out: &mut AstPass<'_, 'b, Self>, number: &'b i64) -> QueryResult<()> {
        out.push_bind_param::<BigInt, _>(number)
    }

    fn text<'b>(out: &mut AstPass<'_, 'b, Self>, text: &'b str) -> QueryResult<()> {
        out.push_bind_param::<Text, _>(text)
    }
}

impl RecordQuery<'_> {
    /// `SELECT` and what is selected stand before.
    fn walk_matching<'b, DB: Dialect>(&'b self, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(" FROM records WHERE records.type_id = ");
        DB::number(out, &self.set.type_id.0)?;
        out.push_sql(" AND records.workspace_id = ");
        DB::number(out, &self.set.owner.workspace_id.0)?;
        out.push_sql(" AND records.environment = ");
        DB::text(out, self.environment)?;
        // It always is; an engine that is to count would only be led to the index of the order, and from
        // there to each record.
        let sorted = if matches!(self.asked, Asked::Count) { &[][..] } else { &self.sorted };
        for column in sorted {
            out.push_sql(&format!(" AND {column} IS NOT NULL"));
        }
        for (column, range) in [("created_at", &self.created), ("updated_at", &self.updated)] {
            for (bound, sign) in range.iter().zip([">=", "<="]) {
                let Some(bound) = bound else { continue };
                out.push_sql(&format!(" AND records.{column} {sign} "));
                DB::instant(out, bound)?;
            }
        }
        let mut ends = self.ends.iter();
        for (filter, json) in self.filters.iter().zip(&self.json) {
            match filter {
                RecordFilter::Text(at, any) if any.len() == 1 => {
                    out.push_sql(&format!(" AND {} = ", column_name((Column::Text, *at))));
                    DB::text(out, &any[0])?;
                }
                RecordFilter::Text(at, any) => {
                    out.push_sql(&format!(" AND {}", column_name((Column::Text, *at))));
                    DB::any_of(out, any, json)?;
                }
                RecordFilter::Number(at, from, to) => {
                    let column = column_name((Column::Number, *at));
                    for (bound, sign) in [(from, ">="), (to, "<=")] {
                        let Some(bound) = bound else { continue };
                        out.push_sql(&format!(" AND {column} {sign} "));
                        DB::number(out, bound)?;
                    }
                    if to.is_none() {
                        // What has none stands behind all others.
                        out.push_sql(&format!(" AND {column} < 9223372036854775807"));
                    }
                }
                RecordFilter::Key(number, any) => {
                    self.walk_marked(out, "record_keys", number)?;
                    out.push_sql(" AND value");
                    DB::any_of(out, any, json)?;
                    out.push_sql(")");
                }
                RecordFilter::Item(number, any) => {
                    self.walk_marked(out, "record_items", number)?;
                    out.push_sql(" AND value");
                    DB::any_of(out, any, json)?;
                    out.push_sql(")");
                }
                // Nothing holds no words.
                RecordFilter::Words(words) if words.is_empty() => out.push_sql(" AND 1 = 0"),
                RecordFilter::Words(words) => {
                    for (word, end) in words.iter().zip(&mut ends) {
                        self.walk_marked(out, "record_items", &SEARCH_FIELD)?;
                        out.push_sql(" AND value >= ");
                        DB::text(out, word)?;
                        out.push_sql(" AND value < ");
                        DB::text(out, end)?;
                        out.push_sql(")");
                    }
                }
                RecordFilter::Beyond(id, side) => {
                    out.push_sql(if *side == Beyond::Before {
                        " AND records.id < "
                    } else {
                        " AND records.id > "
                    });
                    DB::number(out, id)?;
                }
            }
        }
        Ok(())
    }

    fn walk_marked<'b, DB: Dialect>(
        &'b self,
        out: &mut AstPass<'_, 'b, DB>,
        table: &str,
        number: &'b i64,
    ) -> QueryResult<()> {
        out.push_sql(&marked(table));
        DB::number(out, &self.set.type_id.0)?;
        out.push_sql(" AND field_number = ");
        DB::number(out, number)?;
        out.push_sql(" AND workspace_id = ");
        DB::number(out, &self.set.owner.workspace_id.0)?;
        out.push_sql(" AND environment = ");
        DB::text(out, self.environment)
    }
}

impl<DB: Dialect> QueryFragment<DB> for RecordQuery<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        if !self.kept {
            out.unsafe_to_cache_prepared();
        }
        let Asked::Page { found_first } = self.asked else {
            // The second column is for rows of the same form as those of a page.
            out.push_sql("SELECT count(*), CAST(0 AS BIGINT)");
            return self.walk_matching(&mut out);
        };
        let columns: String = self.sorted.iter().map(|column| format!(", {column}")).collect();
        match found_first {
            true => {
                out.push_sql(&format!("WITH m AS MATERIALIZED (SELECT records.id{columns}"));
                self.walk_matching(&mut out)?;
                let order = self.order.replace("records.", "m.");
                out.push_sql(&format!("), o AS (SELECT m.* FROM m ORDER BY {order} LIMIT "));
            }
            false => {
                out.push_sql(&format!("WITH o AS (SELECT records.id{columns}"));
                self.walk_matching(&mut out)?;
                out.push_sql(&format!(" ORDER BY {} LIMIT ", self.order));
            }
        }
        DB::number(&mut out, &self.limit)?;
        out.push_sql(" OFFSET ");
        DB::number(&mut out, &self.offset)?;
        // What is sorted is carried along as a whole, so each record is measured by itself.
        out.push_sql(&format!(
            ") SELECT o.id, (SELECT {} FROM records WHERE records.id = o.id) FROM o ORDER BY {}",
            DB::SIZE,
            self.order.replace("records.", "o.")
        ));
        Ok(())
    }
}

impl QueryId for RecordQuery<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for RecordQuery<'_> {
    type SqlType = (BigInt, BigInt);
}
