//! Whose a row is.

use crate::{Environment, WorkspaceId};

/// A workspace in one of its environments, which rows belong to: what is loaded by its owner cannot be
/// somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The environment.
    pub environment: Environment,
}

impl Owner {
    /// The owner of what belongs to a workspace in this environment.
    pub const fn new(workspace_id: WorkspaceId, environment: Environment) -> Self {
        Self { workspace_id, environment }
    }
}
