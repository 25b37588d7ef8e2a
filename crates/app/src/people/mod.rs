//! People: who belongs to a workspace and as what, how they are asked to join, how they sign in, and what
//! they change of their own account.

pub mod account;
pub mod forms;
pub mod invitations;
pub mod links;
mod passwords;
mod second_factor;
pub mod sessions;
pub mod sign_in;
pub mod team;

use std::{
    net::IpAddr,
    sync::{Arc, LazyLock},
};

use gatepost_kernel::{Environment, Error, RequestId, Result};
use gatepost_keys::{Scope, ScopeSet};
use gatepost_people::Role;

pub(crate) use passwords::Passwords;

use crate::{Caller, resources::Resources};

/// What it takes to manage who belongs to a workspace.
static TEAM_ADMIN: LazyLock<Scope> =
    LazyLock::new(|| "team:admin".parse().expect("this scope is well-formed"));

/// What each role allows, in their order.
pub(crate) fn role_scopes(resources: &Resources) -> [Arc<ScopeSet>; Role::ALL.len()] {
    Role::ALL.map(|role| {
        let scopes = role.scopes(resources.declarations().iter().map(|declared| declared.plural));
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        Arc::new(ScopeSet::parse(&scopes).expect("names of resources are those of scopes"))
    })
}

/// Refuses a caller who may not manage the people of a workspace. They belong to no environment, so a test key
/// has nothing to do with them.
fn require_team_admin(caller: &Caller) -> Result<()> {
    caller.require(&TEAM_ADMIN)?;
    match caller.environment() {
        Environment::Live => Ok(()),
        Environment::Test => Err(Error::AccessDenied("A test key may not manage people.".to_owned())),
    }
}

const MEMBER: &str = "member";
const INVITATION: &str = "invitation";

/// The browser that a request comes from.
#[derive(Debug, Clone, Default)]
pub struct Browser {
    /// Address of the client.
    pub address: Option<IpAddr>,
    /// Value of its `User-Agent` header.
    pub user_agent: Option<String>,
    /// Id of the request.
    pub request_id: Option<RequestId>,
}

impl Browser {
    /// The start of the `User-Agent`: 255 characters are kept.
    fn kept_user_agent(&self) -> Option<String> {
        const MOST_CHARS: usize = 255;
        self.user_agent.as_ref().map(|agent| agent.chars().take(MOST_CHARS).collect())
    }

    fn kept_address(&self) -> Option<String> {
        self.address.map(|address| address.to_string())
    }
}
