//! The scopes that operations need, as types: a handler states its scope in the type of its
//! [`Call`](crate::call::Call) and cannot run without it.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex},
};

use gatepost_app::Requirement;
use gatepost_kernel::LockAnyway;
use gatepost_keys::Scope;

/// What an operation takes, as a type.
pub trait Required: 'static {
    /// What it takes.
    fn requirement() -> Requirement;
}

/// A scope as a type; an operation that names it takes it.
pub trait RequiredScope: 'static {
    /// The scope.
    fn scope() -> &'static Scope;
}

impl<S: RequiredScope> Required for S {
    fn requirement() -> Requirement {
        Requirement { scope: Some(Self::scope()), or_tools: false }
    }
}

/// `mcp:write`, or a scope for the tool that is called.
pub struct McpCall;

impl Required for McpCall {
    fn requirement() -> Requirement {
        Requirement { scope: Some(McpWrite::scope()), or_tools: true }
    }
}

/// Any valid key.
pub struct AnyKey;

impl Required for AnyKey {
    fn requirement() -> Requirement {
        Requirement { scope: None, or_tools: false }
    }
}

/// The scope for an action on a declared resource. It lives as long as the program; the same is kept once.
pub fn of(resource: &str, action: &str) -> &'static Scope {
    static KNOWN: LazyLock<Mutex<HashMap<String, &'static Scope>>> = LazyLock::new(Mutex::default);
    let text = format!("{resource}:{action}");
    let mut known = KNOWN.lock_anyway();
    if let Some(scope) = known.get(&text) {
        return scope;
    }
    let scope: &'static Scope =
        Box::leak(Box::new(text.parse().expect("names of resources are those of scopes")));
    known.insert(text, scope);
    scope
}

macro_rules! required_scopes {
    ($($name:ident = $text:literal;)*) => {$(
        #[doc = concat!("`", $text, "`")]
        pub struct $name;

        impl RequiredScope for $name {
            fn scope() -> &'static Scope {
                static SCOPE: LazyLock<Scope> =
                    LazyLock::new(|| $text.parse().expect("a scope in this list is well-formed"));
                &SCOPE
            }
        }
    )*};
}

required_scopes! {
    WorkspacesRead = "workspaces:read";
    WorkspacesWrite = "workspaces:write";
    WorkspacesDelete = "workspaces:delete";
    ApiKeysRead = "api-keys:read";
    ApiKeysWrite = "api-keys:write";
    ApiKeysDelete = "api-keys:delete";
    ApiKeysVerify = "api-keys:verify";
    AnalyticsRead = "analytics:read";
    AuditRead = "audit:read";
    BillingAdmin = "billing:admin";
    EntitlementsRead = "entitlements:read";
    EntitlementsWrite = "entitlements:write";
    EventsRead = "events:read";
    EventsWrite = "events:write";
    McpRead = "mcp:read";
    McpWrite = "mcp:write";
    RequestsRead = "requests:read";
    ResourceTypesRead = "resource-types:read";
    SeoRead = "seo:read";
    SeoWrite = "seo:write";
    TeamAdmin = "team:admin";
    WebhooksRead = "webhooks:read";
    WebhooksWrite = "webhooks:write";
    WebhooksDelete = "webhooks:delete";
}
