//! What those who handle a request leave in it, or in its answer, for those who come after.

use std::sync::{Arc, OnceLock};

use gatepost_gate::Principal;
use gatepost_kernel::EventId;
use gatepost_limits::Verdict;

/// Left in a request by whoever authenticated it.
#[derive(Debug, Clone)]
pub struct Authenticated(pub Principal);

/// Left in a request by whoever held it against a limit.
#[derive(Debug, Clone, Copy)]
pub struct Limited(pub Verdict);

/// Left in a request whose path says more than the pattern that took it.
#[derive(Debug, Clone)]
pub struct Route(pub String);

/// Left in a request: the id of the event that it publishes, once it is stored.
#[derive(Debug, Clone, Default)]
pub struct AcceptedEvent(pub Arc<OnceLock<EventId>>);

/// Left in an answer that was rendered already, as a refusal that is given again was.
#[derive(Debug, Clone, Copy)]
pub struct Rendered;
