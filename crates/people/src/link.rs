//! Links that let somebody choose a password. Each works once, and not for long.

use std::time::Duration;

use gatepost_kernel::{InvitationId, MemberId, Timestamp, WorkspaceId};
use gatepost_macros::Fields;

use crate::{Email, Role};

gatepost_kernel::words! {
    /// What a link is for.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum LinkKind {
        /// Makes the first owner of the root workspace; whoever opens it says who they are.
        Setup = "setup",
        /// Takes somebody into a workspace.
        Invitation = "invitation",
        /// Lets a member choose another password.
        Reset = "reset",
    }
}

impl LinkKind {
    /// How long it works.
    pub const fn lifetime(self) -> Duration {
        match self {
            Self::Setup => Duration::from_hours(1),
            Self::Invitation => Duration::from_hours(7 * 24),
            Self::Reset => Duration::from_mins(30),
        }
    }
}

/// Somebody was asked to join a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Fields)]
pub struct Invitation {
    /// Numeric id of the invitation.
    pub id: InvitationId,
    /// Numeric id of the workspace.
    pub workspace_id: WorkspaceId,
    /// Who is asked; none where whoever opens the link says who they are.
    pub email: Option<Email>,
    /// Role in the workspace.
    pub role: Role,
    /// The member who asked; none if a key or the operator did.
    pub invited_by: Option<MemberId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when the link works.
    pub expires_at: Timestamp,
    /// When it was accepted.
    pub accepted_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

gatepost_kernel::words! {
    /// What became of an invitation.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum InvitationStatus {
        /// Its link works.
        Pending = "pending",
        /// Somebody joined by it.
        Accepted = "accepted",
        /// It was taken back.
        Revoked = "revoked",
        /// Nobody used it in time.
        Expired = "expired",
    }
    described as "InvitationStatus": "Status of an invitation."
}

impl Invitation {
    /// What has become of it by `now`.
    pub fn status(&self, now: Timestamp) -> InvitationStatus {
        if self.accepted_at.is_some() {
            InvitationStatus::Accepted
        } else if self.revoked_at.is_some() {
            InvitationStatus::Revoked
        } else if now >= self.expires_at {
            InvitationStatus::Expired
        } else {
            InvitationStatus::Pending
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_works_once_and_not_for_long() {
        let made = Timestamp::from_micros(1_800_000_000_000_000);
        let expires_at = made.plus(LinkKind::Invitation.lifetime());
        let open = Invitation {
            id: InvitationId(1),
            workspace_id: WorkspaceId(2),
            email: Email::parse("ada@example.com"),
            role: Role::Viewer,
            invited_by: None,
            created_at: made,
            expires_at,
            accepted_at: None,
            revoked_at: None,
        };
        let just_before = expires_at.minus(Duration::from_micros(1));
        assert_eq!(open.status(just_before), InvitationStatus::Pending);
        assert_eq!(open.status(expires_at), InvitationStatus::Expired);
        let accepted = Invitation { accepted_at: Some(made), ..open.clone() };
        assert_eq!(accepted.status(expires_at), InvitationStatus::Accepted);
        let revoked = Invitation { revoked_at: Some(made), ..open };
        assert_eq!(revoked.status(made), InvitationStatus::Revoked);
    }
}
