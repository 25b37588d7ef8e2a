//! A tenant.

use gatepost_macros::Fields;

use crate::{ExternalId, JsonObject, Timestamp, WorkspaceId};

/// A tenant, whose rows and whose plan are its own.
#[derive(Debug, Clone, PartialEq, Fields)]
pub struct Workspace {
    /// Numeric id of the workspace; 1 is the root.
    pub id: WorkspaceId,
    /// Name for people.
    pub name: String,
    /// Name for URLs; unique among those that are not deleted.
    pub slug: String,
    /// Name of the plan.
    pub tier: String,
    /// The tenant's own settings.
    pub settings: JsonObject,
    /// When the workspace was made.
    pub created_at: Timestamp,
    /// When the workspace was last changed.
    pub updated_at: Timestamp,
    /// Which of its customers it is to the platform; unique among those that are not deleted.
    pub external_id: Option<ExternalId>,
}
