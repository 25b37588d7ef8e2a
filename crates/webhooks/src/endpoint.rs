//! Where a tenant wants to hear of its events.

use gatepost_kernel::{Environment, Secret, Timestamp, WebhookEndpointId, WorkspaceId};
use gatepost_macros::Fields;

/// An endpoint, with its secrets as they are stored, perhaps sealed.
#[derive(Debug, Clone, Fields)]
pub struct WebhookEndpoint {
    /// Numeric id of the endpoint.
    pub id: WebhookEndpointId,
    /// Workspace that the endpoint belongs to.
    pub workspace_id: WorkspaceId,
    /// Environment: `live` or `test`.
    pub environment: Environment,
    /// URL that deliveries are posted to.
    pub url: String,
    /// Label for people.
    pub description: Option<String>,
    /// Event types that the endpoint subscribes to.
    pub events: Vec<String>,
    /// Headers of the tenant's own, sealed as one; empty without any.
    pub sealed_headers: Secret,
    /// The newest secret as it is stored.
    pub sealed_secret: Secret,
    /// Secrets that still sign beside the newest.
    pub previous_secrets: Vec<PreviousSecret>,
    /// Whether deliveries are sent.
    pub is_active: bool,
    /// Why the server turned the endpoint off; none if it did not.
    pub disabled_reason: Option<String>,
    /// Deliveries that were received.
    pub success_count: u64,
    /// Attempts that failed.
    pub failure_count: u64,
    /// Attempts that failed since the last that did not.
    pub consecutive_failures: u64,
    /// When a delivery was last received.
    pub last_delivery_at: Option<Timestamp>,
    /// When the endpoint was made.
    pub created_at: Timestamp,
    /// When the endpoint was last changed.
    pub updated_at: Timestamp,
    /// When the endpoint was deleted.
    pub deleted_at: Option<Timestamp>,
}

/// A secret that signs beside the newest until a rotation's grace is over; as it is stored, perhaps sealed.
#[derive(Debug, Clone)]
pub struct PreviousSecret {
    /// The secret as it is stored.
    pub sealed: Secret,
    /// When a newer one took its place; none if that was not noted yet.
    pub replaced_at: Option<Timestamp>,
    /// When it stops signing.
    pub until: Timestamp,
}
