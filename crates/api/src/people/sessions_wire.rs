//! Sessions on the wire.

use gatepost_app::lists::SESSION_SORTS;
use gatepost_kernel::{MemberId, SessionId, Timestamp};
use gatepost_macros::{query, view};
use gatepost_people::{Session, SessionLimits};

use crate::lists::{Description, Listed};

/// A browser in which a member has signed in.
#[view(from = (Session, SessionLimits), of = 0, example = {
    "id": 1, "member_id": 1, "ip_address": "192.0.2.7", "user_agent": "Mozilla/5.0 (X11; Linux x86_64)",
    "created_at": "2026-01-15T10:00:00Z", "last_used_at": "2026-01-15T10:30:00Z",
    "expires_at": "2026-01-15T11:30:00Z",
})]
pub struct SessionView {
    /// Numeric id of the session.
    id: SessionId,
    /// Numeric id of the member.
    member_id: MemberId,
    /// Address the session was last used from; null if it is not known.
    ip_address: Option<String>,
    /// Browser that the member signed in with, as its `User-Agent` header said; null if it said nothing.
    user_agent: Option<String>,
    /// Time of the sign-in.
    created_at: Timestamp,
    /// Time at which the session was last used, to the minute.
    last_used_at: Timestamp,
    /// Time at which the session ends unless it is used again.
    #[member(from = source.0.ends_at(source.1))]
    expires_at: Timestamp,
}

/// What the list of sessions can be filtered by.
#[query]
pub struct SessionFilters {
    /// Return only sessions of the member with this id
    pub member_id: Option<MemberId>,
}

impl Listed for SessionView {
    type Filters = SessionFilters;

    const LIST: Description =
        Description { has_updated_at: false, ..Description::of_changing(SESSION_SORTS) };
}
