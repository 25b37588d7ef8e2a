//! Workspaces over HTTP.

pub mod views;
mod workspaces;
pub mod workspaces_wire;

use crate::operation::Operation;

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    workspaces::LIST_WORKSPACES,
    workspaces::CREATE_WORKSPACE,
    workspaces::GET_WORKSPACE,
    workspaces::UPDATE_WORKSPACE,
    workspaces::DELETE_WORKSPACE,
];
