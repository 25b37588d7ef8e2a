//! Where the pages are, what the menu calls them, and the scopes that they take.

use std::sync::LazyLock;

use gatepost_keys::Scope;

macro_rules! scopes {
    ($($name:ident = $text:literal;)*) => {$(
        pub static $name: LazyLock<Scope> =
            LazyLock::new(|| $text.parse().expect("a scope in this list is well-formed"));
    )*};
}

scopes! {
    API_KEYS_READ = "api-keys:read";
    API_KEYS_WRITE = "api-keys:write";
    API_KEYS_DELETE = "api-keys:delete";
    AUDIT_READ = "audit:read";
    BILLING_ADMIN = "billing:admin";
    TEAM_ADMIN = "team:admin";
}

/// The first page.
pub const OVERVIEW: &str = "/dashboard";
/// The list of keys.
pub const API_KEYS: &str = "/dashboard/settings/api-keys";
/// What keys are used for.
pub const USAGE: &str = "/dashboard/settings/api-keys/usage";
/// What the workspace pays for.
pub const PLAN: &str = "/dashboard/settings/plan";
/// Who changed what.
pub const AUDIT_LOG: &str = "/dashboard/settings/audit-log";
/// The people of the workspace.
pub const TEAM: &str = "/dashboard/settings/team";
/// One's own account.
pub const ACCOUNT: &str = "/dashboard/account";
/// Where people sign in.
pub const SIGN_IN: &str = "/dashboard/sign-in";

/// The menu: what a page is called, where it is, and the scope that it takes.
pub const MENU: [(&str, &str, Option<&LazyLock<Scope>>); 6] = [
    ("Overview", OVERVIEW, None),
    ("API Keys", API_KEYS, Some(&API_KEYS_READ)),
    ("Plan", PLAN, Some(&BILLING_ADMIN)),
    ("Team", TEAM, Some(&TEAM_ADMIN)),
    ("Audit log", AUDIT_LOG, Some(&AUDIT_READ)),
    ("Your account", ACCOUNT, None),
];

/// What was done by the form that led here, by the word in the address.
pub fn done(word: &str) -> &'static str {
    match word {
        "key-revoked" => "The key is revoked. It stops working within five seconds.",
        "key-updated" => "The key is updated.",
        "role-changed" => "The role is changed.",
        "member-removed" => "The member is removed.",
        "invitation-revoked" => "The invitation is revoked. Its link works no more.",
        "session-ended" => "The session is ended.",
        "sessions-ended" => "All other sessions are ended.",
        "name-changed" => "Your name is changed.",
        "email-changed" => "Your e-mail address is changed. Sign in with the new one from now on.",
        "password-changed" => "Your password is changed. All other sessions are ended.",
        "second-factor-removed" => "Two-factor sign-in is switched off.",
        "left" => "You have left the workspace.",
        _ => "",
    }
}
