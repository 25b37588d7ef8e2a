//! Members on the wire.

use gatepost_app::{
    lists::MEMBERSHIP_SORTS,
    people::{
        links::Link,
        team::{TeamMember, UpdateMember},
    },
};
use gatepost_kernel::{MemberId, Timestamp};
use gatepost_macros::{body, query, view};
use gatepost_people::Role;

use crate::{
    lists::{Description, Listed},
    values::words,
};

words!(Role);

/// A member of a workspace.
#[view(from = TeamMember, of = member, example = {
    "id": 1, "email": "ada@example.com", "name": "Ada Lovelace", "role": "developer", "enabled": true,
    "two_factor_enabled": true, "last_seen_at": "2026-01-15T10:30:00Z", "created_at": "2026-01-01T00:00:00Z",
})]
pub struct MemberView {
    /// Numeric id of the member.
    id: MemberId,
    /// E-mail address the member signs in with.
    #[member(from = source.member.email.to_string())]
    email: String,
    /// Name of the member.
    name: String,
    /// Role of the member in the workspace.
    #[member(from = source.role)]
    role: Role,
    /// Whether the member can sign in.
    #[member(from = source.member.disabled_at.is_none())]
    enabled: bool,
    /// Whether the member signs in with a second factor.
    #[member(from = source.member.second_factor_at.is_some())]
    two_factor_enabled: bool,
    /// Time at which the member last used the dashboard, to the minute; null if never.
    last_seen_at: Option<Timestamp>,
    /// Time at which the member joined the workspace.
    #[member(from = source.joined_at)]
    created_at: Timestamp,
}

/// What the list of members can be filtered by.
#[query]
pub struct MemberFilters {
    /// Return only members with this role
    pub role: Option<Role>,
}

impl Listed for MemberView {
    type Filters = MemberFilters;

    const LIST: Description =
        Description { has_updated_at: false, ..Description::of_changing(MEMBERSHIP_SORTS) };
}

/// Changes to a member; members that are left out stay as they are.
#[body(changes, into = UpdateMember, example = {"role": "developer"})]
pub struct UpdateMemberBody {
    /// Role of the member in the workspace
    role: Option<Role>,
    /// Whether the member can sign in, in any workspace; only a key of the root workspace can set it
    enabled: Option<bool>,
}

/// A link to reset a password.
#[view(example = {
    "url": "https://api.example.com/dashboard/reset/abc123def456...", "expires_at": "2026-01-15T11:00:00Z",
})]
pub struct ResetLinkView {
    /// The link; shown in this response only.
    url: String,
    /// Time at which the link stops working.
    expires_at: Timestamp,
}

impl ResetLinkView {
    /// The link on the server at `base`.
    pub fn new(link: &Link, base: &str) -> Self {
        Self { url: link.url(base), expires_at: link.expires_at }
    }
}
