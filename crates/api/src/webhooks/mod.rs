//! Webhook endpoints, deliveries and events over HTTP.

mod endpoints;
pub mod endpoints_wire;
mod events;
pub mod events_wire;

use crate::operation::Operation;

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    events::LIST_EVENTS,
    events::CREATE_EVENT,
    events::CREATE_EVENT_BATCH,
    events::GET_EVENT,
    endpoints::LIST_WEBHOOKS,
    endpoints::CREATE_WEBHOOK,
    endpoints::GET_WEBHOOK,
    endpoints::UPDATE_WEBHOOK,
    endpoints::DELETE_WEBHOOK,
    endpoints::ROTATE_WEBHOOK_SECRET,
    endpoints::TEST_WEBHOOK,
    endpoints::LIST_WEBHOOK_DELIVERIES,
    endpoints::GET_WEBHOOK_DELIVERY,
    endpoints::RETRY_WEBHOOK_DELIVERY,
];
