//! People over HTTP: members, invitations and sessions.

mod invitations;
mod invitations_wire;
mod members;
mod members_wire;
mod sessions;
mod sessions_wire;

use crate::operation::Operation;

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    members::LIST_MEMBERS,
    members::GET_MEMBER,
    members::UPDATE_MEMBER,
    members::REMOVE_MEMBER,
    members::CREATE_RESET_LINK,
    invitations::LIST_INVITATIONS,
    invitations::CREATE_INVITATION,
    invitations::GET_INVITATION,
    invitations::REVOKE_INVITATION,
    sessions::LIST_SESSIONS,
    sessions::END_SESSION,
];
