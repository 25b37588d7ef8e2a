//! Rows of declared resources: the types, where their fields are found, and the records.

mod marks;
mod purges;
mod query;
mod records;
mod resource_types;

pub use purges::RecordPurge;
pub(crate) use query::text_or_empty;
pub use query::{Beyond, RecordFilter, RecordSet, record_sort};
pub use records::NewRecord;
pub use resource_types::KnownType;
