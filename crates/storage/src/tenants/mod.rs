//! Rows of workspaces.

mod workspaces;

pub use workspaces::{NewWorkspace, TierUse, WORKSPACE_SORTS, WorkspaceChanges, WorkspaceFilter};
