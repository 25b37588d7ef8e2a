#![doc = include_str!("../README.md")]

mod delivery;
mod endpoint;
mod event_type;
mod headers;
mod payload;
mod retry;
mod secret;
mod signature;
mod verifier;

pub use delivery::{
    AttemptOutcome, AttemptVerdict, DeliveryStatus, NOT_SENT_WAIT, WebhookAttempt, WebhookDelivery, judge,
};
pub use endpoint::{PreviousSecret, WebhookEndpoint};
pub use event_type::{EventType, RESERVED as RESERVED_EVENT_TYPES, Subscription};
pub use headers::{CustomHeader, HeaderError};
pub use payload::{event_data, event_payload};
pub use retry::RetrySchedule;
pub use secret::{EndpointSecret, SecretError};
pub use signature::{Signatures, sign};
pub use verifier::{Headers, Verifier, VerifyError};

pub use gatepost_kernel::{
    Environment, EventId, Json, Owner, Secret, Timestamp, WebhookDeliveryId, WebhookEndpointId, WorkspaceId,
};
