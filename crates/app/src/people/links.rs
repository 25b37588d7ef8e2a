//! Where the links lead that are made for people: to pages of the dashboard.

use gatepost_kernel::{Error, Result, Timestamp};
use gatepost_people::{LinkKind, OpaqueToken};

use crate::App;

/// Where the dashboard begins.
pub const DASHBOARD: &str = "/dashboard";

/// A link as it is shown, once, to whoever made it.
#[derive(Debug, Clone)]
pub struct Link {
    /// Path of the page on the server, with the token in it.
    pub path: String,
    /// Time at which the link stops working.
    pub expires_at: Timestamp,
}

impl Link {
    /// The link of a token.
    pub fn new(kind: LinkKind, token: &OpaqueToken, expires_at: Timestamp) -> Self {
        Self { path: format!("{}/{}", page(kind), token.expose()), expires_at }
    }

    /// The whole address. `base` is that of the server, such as `https://api.example.com`.
    pub fn url(&self, base: &str) -> String {
        format!("{}{}", base.trim_end_matches('/'), self.path)
    }
}

/// Path of the page that links of a kind lead to, without the token.
pub fn page(kind: LinkKind) -> String {
    let page = match kind {
        LinkKind::Setup => "setup",
        LinkKind::Invitation => "invite",
        LinkKind::Reset => "reset",
    };
    format!("{DASHBOARD}/{page}")
}

/// Refuses to make a link where no page would open it.
///
/// # Errors
/// [`Error::Conflict`] where the dashboard is switched off.
pub(super) fn require_dashboard(app: &App) -> Result<()> {
    match app.settings().dashboard.enabled {
        true => Ok(()),
        false => Err(Error::Conflict(
            "The dashboard is switched off on this server, so the link would lead nowhere.".to_owned(),
        )),
    }
}
