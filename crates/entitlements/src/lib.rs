//! Plans and features: what the operator sells, and what a tenant of a plan may use.
//!
//! Whether a plan allows so much of a feature is decided by [`Grant::decide`], and when its count begins anew by
//! [`Cycle::period`]; both know nothing but their arguments.
//!
//! The seeds call a plan a tier. A [`Catalog`] holds the built-in plans of the core contract, overlaid with
//! those of the configuration file, in the order of declaration.

mod catalog;
mod evaluation;
mod feature;
mod own_feature;
mod period;
mod plan;
mod time_zone;

pub use catalog::{Catalog, CatalogError};
pub use evaluation::{Grant, Operation, Reason, crossed};
pub use feature::{DEFAULT_THRESHOLDS, Feature, FeatureKind, FeatureValue, Reset};
pub use own_feature::OwnFeature;
pub use period::{Anchor, Cycle, Period};
pub use plan::{Access, Plan};
pub use time_zone::is_time_zone;
