//! What every Gatepost crate shares: ids, time, randomness, errors, paging, environments and secrets.
//!
//! Nothing here does input or output. Time and randomness enter as arguments ([`Timestamp`], a random
//! generator), so that every rule built on this crate is a pure function that a test can call; the edge of
//! the program gets them from [`Clock`] and [`random::rng`].

// The derived code names this crate.
extern crate self as gatepost_kernel;

#[cfg(feature = "json")]
pub mod describe;
mod environment;
mod error;
mod external_id;
#[cfg(feature = "json")]
mod fields;
mod ids;
mod intern;
#[cfg(feature = "json")]
mod json;
mod list;
mod list_errors;
mod owner;
#[cfg(feature = "random")]
pub mod random;
mod secret;
#[cfg(feature = "settings")]
pub mod settings;
mod sync;
pub mod text;
mod time;
mod wire_answer;
mod words;
#[cfg(feature = "json")]
mod workspace;

pub use environment::{Environment, EnvironmentFilter};
pub use error::{Cause, Error, ErrorCode, Fate, FieldErrors, Result, chain};
pub use external_id::ExternalId;
#[cfg(feature = "json")]
pub use fields::Fields;
pub use ids::*;
pub use intern::intern;
#[cfg(feature = "json")]
pub use json::{Json, JsonObject};
pub use list::{Page, PageRequest, Position, TimeRange, Window};
pub use list_errors::{ItemError, ListErrors};
pub use owner::Owner;
pub use secret::Secret;
pub use sync::LockAnyway;
#[cfg(feature = "rfc3339")]
pub use time::CalendarTime;
pub use time::{AdjustedClock, Clock, ManualClock, SystemClock, Timestamp};
pub use wire_answer::WireAnswer;
#[cfg(feature = "json")]
pub use workspace::Workspace;

#[doc(hidden)]
pub use serde;
#[cfg(feature = "json")]
#[doc(hidden)]
pub use serde_json;
