//! Workspaces, and the first start of an installation.

pub mod first_start;
mod settings;
pub mod tiers;
pub mod workspaces;

pub use settings::{MAX_SETTINGS_BYTES, WorkspaceSettings};
pub(crate) use settings::{billing_url, pixel, that_counting_reads, time_zone};
