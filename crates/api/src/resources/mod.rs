//! Records of declared resources over HTTP. Nothing is registered for a type: behind the routes of all other
//! operations stands one set of patterns, whose requests are looked up among the operations that were made of
//! the declarations.

mod analytics;
mod operations;
mod queries;
mod records;
mod resource_types;
mod resource_types_wire;
mod schemas;
mod taken;
mod verb;
mod words;

use crate::operation::Operation;

pub use operations::RecordOperations;
pub use records::configure;
pub use schemas::record_events;
pub use taken::taken;

/// The operations that are there whatever is declared.
pub const OPERATIONS: &[Operation] = &[resource_types::LIST_RESOURCE_TYPES];
