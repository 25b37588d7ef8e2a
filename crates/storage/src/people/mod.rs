//! Rows of people: accounts and what proves who somebody is, where they belong, links and sessions.

mod forms;
mod invitations;
mod members;
mod memberships;
mod second_factor;
mod sessions;
mod sign_in;

pub use invitations::{INVITATION_SORTS, InvitationFilter, NewInvitation};
pub use members::{Credentials, MemberChanges, NewMember};
pub use memberships::{MEMBERSHIP_SORTS, MembershipFilter};
pub use sessions::{NewSession, SESSION_SORTS, SessionFilter, SessionUse};
