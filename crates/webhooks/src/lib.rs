#![doc = include_str!("../README.md")]

#[cfg(feature = "send")]
mod delivery;
#[cfg(feature = "send")]
mod endpoint;
#[cfg(feature = "send")]
mod event_type;
#[cfg(feature = "send")]
mod headers;
#[cfg(feature = "send")]
mod payload;
mod retry;
mod secret;
mod signature;
#[cfg(feature = "verify")]
mod verifier;

#[cfg(feature = "send")]
pub use delivery::{
    AttemptOutcome, AttemptVerdict, DeliveryStatus, NOT_SENT_WAIT, WebhookAttempt, WebhookDelivery, judge,
};
#[cfg(feature = "send")]
pub use endpoint::{PreviousSecret, WebhookEndpoint};
#[cfg(feature = "send")]
pub use event_type::{EventType, RESERVED as RESERVED_EVENT_TYPES, Subscription};
#[cfg(feature = "send")]
pub use headers::{CustomHeader, HeaderError};
#[cfg(feature = "send")]
pub use payload::{event_data, event_payload};
pub use retry::RetrySchedule;
pub use secret::{EndpointSecret, SecretError};
pub use signature::{Signatures, sign};
#[cfg(feature = "verify")]
pub use verifier::{Headers, Verifier, VerifyError};

#[cfg(feature = "send")]
pub use gatepost_kernel::{
    Environment, EventId, Json, Owner, WebhookDeliveryId, WebhookEndpointId, WorkspaceId,
};
pub use gatepost_kernel::{Secret, Timestamp};
