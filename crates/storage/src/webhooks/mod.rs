//! Rows of events, webhook endpoints and deliveries.

mod deliveries;
mod endpoints;
mod events;
mod queue;

pub use deliveries::{WEBHOOK_DELIVERY_SORTS, WebhookDeliveryFilter};
pub use endpoints::{NewWebhookEndpoint, WEBHOOK_SORTS, WebhookEndpointChanges};
pub use events::{EVENT_SORTS, NewEvent, StoredEvent};
pub use queue::{
    ClaimedDelivery, DeliveryResult, EndpointTally, NewWebhookDelivery, PostponedDelivery, QueueDepth,
};
