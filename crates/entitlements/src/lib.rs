#![doc = include_str!("../README.md")]

mod catalog;
mod evaluation;
mod feature;
mod own_feature;
mod period;
mod plan;
mod time_zone;

pub use catalog::{Catalog, CatalogError, WorkspaceSettings};
pub use evaluation::{Grant, Operation, Reason, crossed};
pub use feature::{Feature, FeatureKind, FeatureValue, Reset};
pub use own_feature::OwnFeature;
pub use period::{Anchor, Cycle, Period};
pub use plan::{Access, Plan};
pub use time_zone::is_time_zone;

pub use gatepost_kernel::Timestamp;
