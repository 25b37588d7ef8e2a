//! Workspaces, and the first start of an installation.

pub mod first_start;
mod settings;
pub mod workspaces;

pub use settings::{MAX_SETTINGS_BYTES, check_settings};
pub(crate) use settings::{TIME_ZONE, pixel_settings};
