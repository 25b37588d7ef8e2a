//! Rows of workspaces.

mod workspaces;

pub use workspaces::{NewWorkspace, WORKSPACE_SORTS, WorkspaceChanges, WorkspaceFilter};
