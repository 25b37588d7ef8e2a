//! Plans and features: what the operator sells, and what a tenant of a plan may use.
//!
//! The seeds call a plan a tier. A [`Catalog`] holds the built-in plans of the core contract, overlaid with
//! those of the configuration file, in the order of declaration.

mod catalog;
mod feature;
mod plan;
mod time_zone;

pub use catalog::{Catalog, CatalogError};
pub use feature::{Feature, FeatureKind, FeatureValue, Reset};
pub use plan::{Access, Plan};
pub use time_zone::is_time_zone;
