//! Webhooks without HTTP or SQL: which events an endpoint wants, how a payload is signed and verified, when a failed
//! delivery is tried again, and how its life ends.
//!
//! A receiver can use this crate alone:
//!
//! ```
//! use gatepost_webhooks::{EndpointSecret, Verifier};
//! # use gatepost_kernel::Timestamp;
//! # let secret = EndpointSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
//! # let now = Timestamp::from_micros(1_614_265_330_000_000);
//! let headers = [
//!     ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
//!     ("webhook-timestamp", "1614265330"),
//!     ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
//! ];
//! Verifier::new(secret).verify(&headers, b"{\"test\": 2432232314}", now)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
pub use headers::{CustomHeader, HeaderFault};
pub use payload::{event_data, event_payload};
pub use retry::RetrySchedule;
pub use secret::{EndpointSecret, SecretFault};
pub use signature::{Signatures, sign};
pub use verifier::{Headers, Verifier, VerifyError};
