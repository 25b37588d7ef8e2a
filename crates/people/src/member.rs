//! Who people are, and where they belong.

use gatepost_kernel::{MemberId, Timestamp, WorkspaceId};
use gatepost_macros::Fields;

use crate::{Email, Role};

/// Somebody who can sign in. One account may belong to several workspaces.
#[derive(Debug, Clone, PartialEq, Eq, Fields)]
pub struct Member {
    /// Numeric id of the member.
    pub id: MemberId,
    /// E-mail address, by which the member signs in.
    pub email: Email,
    /// What people call the member.
    pub name: String,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When the account was last changed.
    pub updated_at: Timestamp,
    /// When the member last used the dashboard, to the minute.
    pub last_seen_at: Option<Timestamp>,
    /// Since when the member proves with a second factor who they are.
    pub second_factor_at: Option<Timestamp>,
    /// Since when the account is disabled.
    pub disabled_at: Option<Timestamp>,
}

/// What a member may do in a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Fields)]
pub struct Membership {
    /// Numeric id of the member.
    pub member_id: MemberId,
    /// Numeric id of the workspace.
    pub workspace_id: WorkspaceId,
    /// Role there.
    pub role: Role,
    /// When the member joined.
    pub created_at: Timestamp,
}
