//! What people may do in a workspace.

gatepost_kernel::words! {
    /// What somebody may do in a workspace; each role may do all that those before it may.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Role {
        /// Sees everything but the audit log and the data of events.
        Viewer = "viewer",
        /// Also makes and takes away keys, webhooks, events and records, and calls tools.
        Developer = "developer",
        /// Does everything but what concerns owners.
        Admin = "admin",
        /// Does everything.
        Owner = "owner",
    }
    described as "MemberRole": "Role in a workspace."
}

/// What everybody may read.
const VIEWER: [&str; 10] = [
    "analytics:read",
    "api-keys:read",
    "entitlements:read",
    "events:read",
    "mcp:read",
    "requests:read",
    "resource-types:read",
    "seo:read",
    "webhooks:read",
    "workspaces:read",
];

/// What those who build with the API may do beside.
const DEVELOPER: [&str; 9] = [
    "api-keys:delete",
    "api-keys:verify",
    "api-keys:write",
    "events:payload",
    "events:write",
    "mcp:write",
    "seo:write",
    "webhooks:delete",
    "webhooks:write",
];

impl Role {
    /// All roles, from the one that may do least.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Developer, Self::Admin, Self::Owner];

    /// The scopes of the role, where these resources are declared.
    pub fn scopes<'r>(self, declared: impl IntoIterator<Item = &'r str>) -> Vec<String> {
        let may_change = match self {
            Self::Viewer => false,
            Self::Developer => true,
            Self::Admin | Self::Owner => return vec!["*".to_owned()],
        };
        let own = VIEWER.iter().chain(DEVELOPER.iter().filter(|_| may_change));
        let mut scopes: Vec<String> = own.map(|scope| (*scope).to_owned()).collect();
        for resource in declared {
            let actions: &[&str] = if may_change { &["read", "write", "delete"] } else { &["read"] };
            scopes.extend(actions.iter().map(|action| format!("{resource}:{action}")));
        }
        scopes.sort();
        scopes
    }

    /// Whether somebody of this role may make another one this, or take it from them. Only owners decide who
    /// is one.
    pub fn may_grant(self, other: Self) -> bool {
        match other {
            Self::Owner => self == Self::Owner,
            _ => self >= Self::Admin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_grow() {
        let viewer = Role::Viewer.scopes(["leads"]);
        let developer = Role::Developer.scopes(["leads"]);
        assert!(viewer.iter().all(|scope| developer.contains(scope)));
        assert!(viewer.contains(&"leads:read".to_owned()) && !viewer.contains(&"leads:write".to_owned()));
        assert!(developer.contains(&"leads:delete".to_owned()));
        assert!(viewer.iter().all(|scope| scope.ends_with(":read") && scope != "audit:read"));
        for kept in ["audit:read", "billing:admin", "team:admin", "workspaces:write"] {
            assert!(!developer.contains(&kept.to_owned()), "{kept}");
        }
        assert!(Role::ALL.is_sorted());
    }

    #[test]
    fn only_owners_decide_who_is_one() {
        let grants = |role: Role| Role::ALL.map(|other| role.may_grant(other));
        assert_eq!(grants(Role::Viewer), [false; 4]);
        assert_eq!(grants(Role::Developer), [false; 4]);
        assert_eq!(grants(Role::Admin), [true, true, true, false]);
        assert_eq!(grants(Role::Owner), [true; 4]);
    }
}
