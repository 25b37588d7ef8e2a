//! What every Gatepost crate shares: ids, time, randomness, errors, paging, environments and secrets.
//!
//! Nothing here does input or output. Time and randomness enter as arguments ([`Timestamp`], a random
//! generator), so that every rule built on this crate is a pure function that a test can call; the edge of
//! the program gets them from [`Clock`] and [`random::rng`].

// The derived code names this crate.
extern crate self as gatepost_kernel;

pub mod describe;
mod environment;
mod error;
mod fields;
mod ids;
mod intern;
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
mod workspace;

pub use environment::{Environment, EnvironmentFilter};
pub use error::{Cause, Error, ErrorCode, Fate, FieldErrors, Result, chain};
pub use fields::Fields;
pub use ids::*;
pub use intern::intern;
pub use json::{Json, JsonObject};
pub use list::{Page, PageRequest, Position, TimeRange, Window};
pub use list_errors::{ItemError, ListErrors};
pub use owner::Owner;
pub use secret::Secret;
pub use sync::LockAnyway;
pub use time::{AdjustedClock, CalendarTime, Clock, ManualClock, SystemClock, Timestamp};
pub use wire_answer::WireAnswer;
pub use workspace::Workspace;

#[doc(hidden)]
pub use serde;
#[doc(hidden)]
pub use serde_json;
