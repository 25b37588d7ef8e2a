//! What views of keys need beside the keys: when they are shown, and how scopes are written.

use gatepost_app::App;
use gatepost_kernel::Timestamp;
use gatepost_keys::ScopeOrder;

/// How keys are shown.
#[derive(Clone, Copy)]
pub struct Shown {
    /// The instant at which they stand so.
    pub now: Timestamp,
    /// How their scopes are written.
    pub scopes: ScopeOrder,
}

impl Shown {
    /// As they stand now.
    pub fn now(app: &App) -> Self {
        Self { now: app.now(), scopes: app.scope_order() }
    }
}
