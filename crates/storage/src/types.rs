//! What columns hold: SQL types that mean the same on both engines, and the Rust values that travel through
//! them.
//!
//! Each SQL type is this crate's own, so that types of other crates can travel through it as they are: a
//! struct whose fields have such types is a row. Their PostgreSQL OIDs are static, so a connection needs no
//! look-up in the catalogue before its first query.

use std::io::Write;

use diesel::{
    backend::Backend,
    deserialize::{self, FromSql, Queryable},
    expression::{AsExpression, TypedExpressionType},
    internal::derives::as_expression::Bound,
    pg::{Pg, PgValue},
    query_builder::QueryId,
    serialize::{self, IsNull, Output, ToSql},
    sql_types::{BigInt, Binary, Integer, SqlOrd, SqlType, Text, ops},
    sqlite::{Sqlite, SqliteValue},
};
use gatepost_entitlements::Operation;
use gatepost_kernel::{
    ApiKeyId, AuditEntryId, ChangeId, ClaimId, Environment, EventId, ExternalId, Fields, InvitationId, Json,
    JsonObject, MemberId, RecordId, ResourceTypeId, Secret, SeoIssueId, SeoReportId, SessionId, Timestamp,
    WebhookDeliveryId, WebhookEndpointId, WorkspaceId,
};
use gatepost_keys::{IpAllowlist, Metadata, ScopeSet, TokenDigest};
use gatepost_people::{Email, Role};
use gatepost_seo::Severity;
use gatepost_webhooks::{DeliveryStatus, PreviousSecret};
use serde_json::{Map, Value, json};

/// Numeric id: `bigint` on PostgreSQL, `INTEGER` on SQLite.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 20, array_oid = 1016), sqlite_type(name = "Long"))]
pub struct Id;

/// Number that is never below zero, or a rank: as [`Id`].
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 20, array_oid = 1016), sqlite_type(name = "Long"))]
pub struct Count;

/// HTTP status: `integer` on PostgreSQL, `INTEGER` on SQLite.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 23, array_oid = 1007), sqlite_type(name = "Integer"))]
pub struct HttpStatus;

/// Word of a closed set, or an id that is a text: `text` on both.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 25, array_oid = 1009), sqlite_type(name = "Text"))]
pub struct Word;

/// JSON exactly as it came: `text` on both.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 25, array_oid = 1009), sqlite_type(name = "Text"))]
pub struct JsonText;

/// JSON document of this program's own: `jsonb` on PostgreSQL, text on SQLite.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 3802, array_oid = 3807), sqlite_type(name = "Text"))]
pub struct JsonDoc;

/// JSON as it was written, which SQL can look into: `json` on PostgreSQL, text on SQLite.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 114, array_oid = 199), sqlite_type(name = "Text"))]
pub struct JsonKept;

/// SHA-256 digest: `bytea` on PostgreSQL, `BLOB` on SQLite.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 17, array_oid = 1001), sqlite_type(name = "Binary"))]
pub struct Digest;

/// Instant to the microsecond: `timestamptz` on PostgreSQL, microseconds since 1970 in an `INTEGER` on
/// SQLite.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 1184, array_oid = 1185), sqlite_type(name = "Long"))]
pub struct Instant;

impl SqlOrd for Id {}
impl SqlOrd for Count {}
impl SqlOrd for Instant {}

impl ops::Add for Count {
    type Rhs = Self;
    type Output = Self;
}

/// A value in a query. Diesel takes its own types and those of its caller; this lets it take any that can be
/// written as the column's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bind<T>(pub T);

impl<T: Queryable<ST, DB>, ST, DB: Backend> Queryable<ST, DB> for Bind<T> {
    type Row = T::Row;

    fn build(row: Self::Row) -> deserialize::Result<Self> {
        T::build(row).map(Self)
    }
}

impl<T, ST> AsExpression<ST> for Bind<T>
where
    ST: SqlType + TypedExpressionType,
{
    type Expression = Bound<ST, Self>;

    fn as_expression(self) -> Self::Expression {
        Bound::new(self)
    }
}

impl<'a, T, ST> AsExpression<ST> for &'a Bind<T>
where
    ST: SqlType + TypedExpressionType,
{
    type Expression = Bound<ST, &'a Bind<T>>;

    fn as_expression(self) -> Self::Expression {
        Bound::new(self)
    }
}

impl<T: ToSql<ST, DB>, ST, DB: Backend> ToSql<ST, DB> for Bind<T> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.0.to_sql(out)
    }
}

/// Lets a value be a field of a row. Diesel does it for numbers, texts and lists.
macro_rules! loads {
    ($($value:ty),+ => $sql:ty) => {$(
        impl<DB: Backend> Queryable<$sql, DB> for $value
        where
            Self: FromSql<$sql, DB>,
        {
            type Row = Self;

            fn build(row: Self) -> deserialize::Result<Self> {
                Ok(row)
            }
        }
    )+};
}

/// Values that are numbers: how each becomes one, and what may be made of one.
macro_rules! numbers {
    ($sql:ty: $($value:ty = |$one:ident| $number:expr, |$read:ident| $made:expr;)+) => {$(
        impl ToSql<$sql, Pg> for $value {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
                let $one = self;
                let number: i64 = $number;
                out.write_all(&number.to_be_bytes())?;
                Ok(IsNull::No)
            }
        }

        impl ToSql<$sql, Sqlite> for $value {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
                let $one = self;
                let number: i64 = $number;
                out.set_value(number);
                Ok(IsNull::No)
            }
        }

        impl FromSql<$sql, Pg> for $value {
            fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
                let $read = <i64 as FromSql<BigInt, Pg>>::from_sql(value)?;
                $made
            }
        }

        impl FromSql<$sql, Sqlite> for $value {
            fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
                let $read = <i64 as FromSql<BigInt, Sqlite>>::from_sql(value)?;
                $made
            }
        }
    )+};
}

macro_rules! ids {
    ($($id:ident),+) => {
        loads!($($id),+ => Id);
        numbers!(Id: $($id = |id| id.0, |number| Ok(Self(number));)+);
    };
}

ids!(
    WorkspaceId,
    ApiKeyId,
    AuditEntryId,
    WebhookEndpointId,
    WebhookDeliveryId,
    ClaimId,
    ChangeId,
    SeoReportId,
    SeoIssueId,
    RecordId,
    ResourceTypeId,
    MemberId,
    InvitationId,
    SessionId
);

numbers! {
    // An id whose kind another column tells.
    Id: i64 = |number| *number, |number| Ok(number);
}

numbers! {
    Count:
    i64 = |number| *number, |number| Ok(number);
    // No real count is that large.
    u64 = |count| i64::try_from(*count).unwrap_or(i64::MAX), |number| Ok(Self::try_from(number)?);
    u32 = |count| i64::from(*count), |number| Ok(Self::try_from(number)?);
    u16 = |count| i64::from(*count), |number| Ok(Self::try_from(number)?);
    u8 = |count| i64::from(*count), |number| Ok(Self::try_from(number)?);
    Severity = |severity| severity.rank(), |number| Self::of_rank(number).ok_or_else(|| unknown(number));
}

loads!(Severity => Count);

/// What a number or word is that this program does not know; never the value of a secret.
fn unknown(value: impl std::fmt::Display) -> Box<dyn std::error::Error + Send + Sync> {
    format!("{value} means nothing here").into()
}

/// Values that are texts: how each becomes one, and what may be made of one.
macro_rules! texts {
    ($sql:ty: $($value:ty = |$one:ident| $text:expr, |$read:ident| $made:expr;)+) => {$(
        impl ToSql<$sql, Pg> for $value {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
                let $one = self;
                let text: &str = $text;
                out.write_all(text.as_bytes())?;
                Ok(IsNull::No)
            }
        }

        impl ToSql<$sql, Sqlite> for $value {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
                let $one = self;
                let text: &str = $text;
                out.set_value(text.to_owned());
                Ok(IsNull::No)
            }
        }

        impl FromSql<$sql, Pg> for $value {
            fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
                let $read = <String as FromSql<Text, Pg>>::from_sql(value)?;
                $made
            }
        }

        impl FromSql<$sql, Sqlite> for $value {
            fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
                let $read = <String as FromSql<Text, Sqlite>>::from_sql(value)?;
                $made
            }
        }
    )+};
}

texts! {
    Word:
    Environment = |word| word.as_str(), |word| Self::parse(&word).ok_or_else(|| unknown(word));
    DeliveryStatus = |word| word.as_str(), |word| Self::parse(&word).ok_or_else(|| unknown(word));
    Operation = |word| word.as_str(), |word| Self::parse(&word).ok_or_else(|| unknown(word));
    EventId = |id| id.as_str(), |id| Ok(Self::from_stored(id));
    ExternalId = |id| id.as_str(), |id| Ok(Self::from_stored(id));
    Email = |email| email.as_str(), |email| Ok(Self::from_stored(email));
    Role = |word| word.as_str(), |word| Self::parse(&word).ok_or_else(|| unknown(word));
    Secret = |sealed| sealed.expose(), |sealed| Ok(Self::new(sealed));
}

loads!(Environment, DeliveryStatus, Operation, EventId, ExternalId, Email, Role, Secret => Word);

texts! {
    JsonText:
    Json = |json| json.as_str(), |text| Ok(Self::from_text(text)?);
    JsonObject = |object| &serde_json::to_string(object)?, |text| Ok(Self::from_text(&text)?);
    Metadata = |metadata| metadata.as_str(), |text| Ok(Self::from_stored(text));
}

loads!(Json, JsonObject, Metadata => JsonText);

texts! {
    JsonKept:
    JsonObject = |object| &serde_json::to_string(object)?, |text| Ok(Self::from_text(&text)?);
}

loads!(JsonObject => JsonKept);

impl ToSql<HttpStatus, Pg> for u16 {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(&i32::from(*self).to_be_bytes())?;
        Ok(IsNull::No)
    }
}

impl ToSql<HttpStatus, Sqlite> for u16 {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(i32::from(*self));
        Ok(IsNull::No)
    }
}

impl<DB: Backend> FromSql<HttpStatus, DB> for u16
where
    i32: FromSql<Integer, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self::try_from(<i32 as FromSql<Integer, DB>>::from_sql(value)?)?)
    }
}

/// What is kept as a JSON document.
trait Document: Sized {
    fn written(&self) -> Value;
    fn read(document: Value) -> Option<Self>;
}

macro_rules! documents {
    ($($value:ty),+) => {$(
        impl ToSql<JsonDoc, Pg> for $value {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
                // The version of the encoding stands before the text.
                out.write_all(&[1])?;
                serde_json::to_writer(out, &self.written())?;
                Ok(IsNull::No)
            }
        }

        impl ToSql<JsonDoc, Sqlite> for $value {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
                out.set_value(serde_json::to_string(&self.written())?);
                Ok(IsNull::No)
            }
        }

        impl FromSql<JsonDoc, Pg> for $value {
            fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
                match value.as_bytes().split_first() {
                    Some((1, text)) => read_document(text),
                    _ => Err("unknown jsonb encoding".into()),
                }
            }
        }

        impl FromSql<JsonDoc, Sqlite> for $value {
            fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
                read_document(<String as FromSql<Text, Sqlite>>::from_sql(value)?.as_bytes())
            }
        }
    )+};
}

fn read_document<T: Document>(text: &[u8]) -> deserialize::Result<T> {
    let document = serde_json::from_slice(text)?;
    T::read(document).ok_or_else(|| "a JSON document of another form".into())
}

documents!(ScopeSet, IpAllowlist, Vec<String>, Vec<PreviousSecret>, Secret, Map<String, Value>);

loads!(ScopeSet, IpAllowlist, Secret, Map<String, Value> => JsonDoc);

/// The texts of a JSON array.
fn texts_of(document: &Value) -> Option<Vec<&str>> {
    document.as_array()?.iter().map(Value::as_str).collect()
}

impl Document for ScopeSet {
    fn written(&self) -> Value {
        self.iter().map(|scope| Value::from(scope.as_str())).collect()
    }

    fn read(document: Value) -> Option<Self> {
        Self::parse(&texts_of(&document)?).ok()
    }
}

impl Document for IpAllowlist {
    fn written(&self) -> Value {
        self.to_texts().into_iter().map(Value::from).collect()
    }

    fn read(document: Value) -> Option<Self> {
        Self::parse(&texts_of(&document)?).ok()
    }
}

impl Document for Vec<String> {
    fn written(&self) -> Value {
        self.iter().cloned().map(Value::from).collect()
    }

    fn read(document: Value) -> Option<Self> {
        Some(texts_of(&document)?.into_iter().map(str::to_owned).collect())
    }
}

impl Document for Vec<PreviousSecret> {
    fn written(&self) -> Value {
        let object = |secret: &PreviousSecret| {
            let mut members = Map::new();
            members.insert("secret".to_owned(), json!(secret.sealed.expose()));
            if let Some(at) = secret.replaced_at {
                members.insert("replaced".to_owned(), json!(at.as_micros()));
            }
            members.insert("until".to_owned(), json!(secret.until.as_micros()));
            Value::Object(members)
        };
        self.iter().map(object).collect()
    }

    fn read(document: Value) -> Option<Self> {
        let secret = |item: &Value| {
            let (sealed, until) = (item["secret"].as_str()?.to_owned(), item["until"].as_i64()?);
            Some(PreviousSecret {
                sealed: Secret::new(sealed),
                replaced_at: item["replaced"].as_i64().map(Timestamp::from_micros),
                until: Timestamp::from_micros(until),
            })
        };
        document.as_array()?.iter().map(secret).collect()
    }
}

/// What is sealed is a text, and may be empty.
impl Document for Secret {
    fn written(&self) -> Value {
        Value::from(self.expose())
    }

    fn read(document: Value) -> Option<Self> {
        Some(Self::new(document.as_str()?.to_owned()))
    }
}

impl Document for Map<String, Value> {
    fn written(&self) -> Value {
        Value::Object(self.clone())
    }

    fn read(document: Value) -> Option<Self> {
        match document {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }
}

loads!(TokenDigest, gatepost_people::SecretDigest, [u8; 32] => Digest);

macro_rules! digests {
    ($($value:ty = |$one:ident| $bytes:expr, |$read:ident| $made:expr;)+) => {$(
        impl ToSql<Digest, Pg> for $value {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
                let $one = self;
                out.write_all($bytes)?;
                Ok(IsNull::No)
            }
        }

        impl ToSql<Digest, Sqlite> for $value {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
                let $one = self;
                out.set_value($bytes.as_slice());
                Ok(IsNull::No)
            }
        }

        impl<DB: Backend> FromSql<Digest, DB> for $value
        where
            Vec<u8>: FromSql<Binary, DB>,
        {
            fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
                let bytes = <Vec<u8> as FromSql<Binary, DB>>::from_sql(value)?;
                let $read = <[u8; 32]>::try_from(bytes).map_err(|_| "a digest of another length")?;
                Ok($made)
            }
        }
    )+};
}

digests! {
    TokenDigest = |digest| digest.as_bytes(), |bytes| Self::from_bytes(bytes);
    gatepost_people::SecretDigest = |digest| &digest.0, |bytes| Self(bytes);
    [u8; 32] = |bytes| bytes, |bytes| bytes;
}

loads!(Timestamp => Instant);

/// PostgreSQL counts from 2000-01-01.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

impl ToSql<Instant, Pg> for Timestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(&(self.as_micros() - POSTGRES_EPOCH_MICROS).to_be_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<Instant, Pg> for Timestamp {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let micros = i64::from_be_bytes(value.as_bytes().try_into()?);
        Ok(Self::from_micros(micros.checked_add(POSTGRES_EPOCH_MICROS).ok_or("instant out of range")?))
    }
}

impl ToSql<Instant, Sqlite> for Timestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.as_micros());
        Ok(IsNull::No)
    }
}

impl FromSql<Instant, Sqlite> for Timestamp {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        <i64 as FromSql<BigInt, Sqlite>>::from_sql(value).map(Self::from_micros)
    }
}

/// A struct of another crate as a row: its fields are the columns that `rows!` names for it, in the same
/// order.
#[derive(Debug)]
pub(crate) struct Row<T>(pub T);

impl<T> Row<T> {
    /// What rows hold.
    pub(crate) fn all(rows: Vec<Self>) -> Vec<T> {
        rows.into_iter().map(|Self(value)| value).collect()
    }
}

impl<T: Fields, ST, DB: Backend> Queryable<ST, DB> for Row<T>
where
    T::Values: Queryable<ST, DB>,
{
    type Row = <T::Values as Queryable<ST, DB>>::Row;

    fn build(row: Self::Row) -> deserialize::Result<Self> {
        Ok(Self(T::of(T::Values::build(row)?)))
    }
}

/// The columns of a new row, each from the field of its name.
macro_rules! values {
    ($table:ident from $new:expr => $($column:ident),+ $(,)?) => {
        ($($crate::schema::$table::$column.eq($crate::types::Bind(&$new.$column)),)+)
    };
}
pub(crate) use values;

/// What of a row is changed: the columns whose field of the same name is there.
macro_rules! changes {
    ($table:ident from $changes:expr => $($column:ident),+ $(,)?) => {
        ($($changes.$column.as_ref().map(|to| $crate::schema::$table::$column.eq($crate::types::Bind(to))),)+)
    };
}
pub(crate) use changes;

/// Which columns are the fields of a struct.
macro_rules! rows {
    ($($value:ty: $table:ident { $($column:ident $(as $field:ident)?),+ $(,)? })+) => {$(
        impl<DB: ::diesel::backend::Backend> ::diesel::Selectable<DB> for $crate::types::Row<$value> {
            type SelectExpression = ($($crate::schema::$table::$column,)+);

            fn construct_selection() -> Self::SelectExpression {
                ($($crate::schema::$table::$column,)+)
            }
        }

        // Two columns of one type that changed places would otherwise be found by nobody.
        const _: () = assert!(
            $crate::types::same_names(<$value as ::gatepost_kernel::Fields>::NAMES, &[$(rows!(field $column $($field)?)),+]),
            concat!("the columns of ", stringify!($table), " are not the fields of the struct in their order"),
        );
    )+};
    (field $column:ident) => { stringify!($column) };
    (field $column:ident $field:ident) => { stringify!($field) };
}
pub(crate) use rows;

/// Whether two lists hold the same names in the same order.
pub(crate) const fn same_names(left: &[&str], right: &[&str]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut at = 0;
    while at < left.len() {
        let (a, b) = (left[at].as_bytes(), right[at].as_bytes());
        if a.len() != b.len() {
            return false;
        }
        let mut byte = 0;
        while byte < a.len() {
            if a[byte] != b[byte] {
                return false;
            }
            byte += 1;
        }
        at += 1;
    }
    true
}

/// A count on its way into a row; no real one is that large.
pub(crate) fn to_i64(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
