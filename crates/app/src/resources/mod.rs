//! Records of the resources that an operator declares: what becomes of them, and the types that they are of.

mod declared;
mod deletion;
mod reconcile;
pub mod records;

pub use declared::{Resource, Resources};
pub use deletion::delete;
pub(crate) use deletion::purge;
pub use gatepost_storage::RecordFilter;
pub use reconcile::{foresee, reconcile};
