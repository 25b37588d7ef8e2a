//! Invitations on the wire.

use gatepost_app::{lists::INVITATION_SORTS, people::invitations::NewLink};
use gatepost_kernel::{InvitationId, MemberId, Timestamp};
use gatepost_macros::{body, query, view};
use gatepost_people::{Email, Invitation, InvitationStatus, Role};

use crate::{
    lists::{Description, Listed},
    values::{texts, words},
};

words!(InvitationStatus);

texts! {
    /// An e-mail address.
    EmailAddress(Email) = { "type": "string", "format": "email", "maxLength": Email::MAX_LEN }, |text| {
        Email::parse(text).ok_or_else(|| "The email must be a valid email address.".to_owned())
    };
}

/// An invitation to a workspace.
#[view(from = (Invitation, Timestamp), of = 0, example = {
    "id": 1, "email": "ada@example.com", "role": "developer", "status": "pending", "invited_by_id": null,
    "created_at": "2026-01-15T10:30:00Z", "expires_at": "2026-01-22T10:30:00Z",
})]
pub struct InvitationView {
    /// Numeric id of the invitation.
    id: InvitationId,
    /// E-mail address of the invited person; null if whoever opens the link enters their own.
    #[member(from = source.0.email.as_ref().map(ToString::to_string))]
    email: Option<String>,
    /// Role of the new member in the workspace.
    role: Role,
    /// Status of the invitation.
    #[member(from = source.0.status(source.1))]
    status: InvitationStatus,
    /// Numeric id of the member who sent it; null if an API key or the operator did.
    #[member(from = source.0.invited_by)]
    invited_by_id: Option<MemberId>,
    /// Time at which the invitation was created.
    created_at: Timestamp,
    /// Time at which the link stops working.
    expires_at: Timestamp,
    /// Time at which the invitation was accepted; null if it was not.
    accepted_at: Option<Timestamp>,
    /// Time at which the invitation was revoked; null if it was not.
    revoked_at: Option<Timestamp>,
}

/// A new invitation, with its link.
#[view(from = (NewLink, String), of = 0.invitation, example = {
    "id": 1, "email": "ada@example.com", "role": "developer",
    "url": "https://api.example.com/dashboard/invite/abc123def456...", "created_at": "2026-01-15T10:30:00Z",
    "expires_at": "2026-01-22T10:30:00Z",
})]
pub struct CreatedInvitationView {
    /// Numeric id of the invitation.
    id: InvitationId,
    /// E-mail address of the invited person.
    #[member(from = source.0.invitation.email.as_ref().map(ToString::to_string))]
    email: Option<String>,
    /// Role of the new member in the workspace.
    role: Role,
    /// The link for the invited person; shown in this response only.
    #[member(from = source.0.link.url(&source.1))]
    url: String,
    /// Time at which the invitation was created.
    created_at: Timestamp,
    /// Time at which the link stops working.
    expires_at: Timestamp,
}

/// What the list of invitations can be filtered by.
#[query]
pub struct InvitationFilters {
    /// Return only invitations with this status
    pub status: Option<InvitationStatus>,
}

impl Listed for InvitationView {
    type Filters = InvitationFilters;

    const LIST: Description =
        Description { has_updated_at: false, ..Description::of_changing(INVITATION_SORTS) };
}

/// Whom to invite.
#[body(example = {"email": "ada@example.com", "role": "developer"})]
pub struct CreateInvitationBody {
    /// E-mail address of the person
    #[member(like = EmailAddress)]
    email: Email,
    /// Role of the new member in the workspace
    role: Role,
}

impl CreateInvitationBody {
    /// Who is invited, and as what.
    pub fn into_parts(self) -> (Email, Role) {
        (self.email, self.role)
    }
}
