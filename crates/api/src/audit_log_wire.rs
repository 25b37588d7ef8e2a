//! The audit log on the wire.

use gatepost_app::{Actor, AuditEntry, lists::AUDIT_SORTS};
use gatepost_kernel::{AuditEntryId, Environment, Timestamp};
use gatepost_macros::{query, view};
use serde_json::{Map, Value};

use crate::{
    lists::{Description, Listed},
    values::{AuditTargetId, text_parameters},
};

/// The actor of a change.
#[view(example = {"id": 1, "workspace_id": 1})]
pub struct AuditActorView {
    /// Kind of actor: an API key, a member who has signed in, somebody who is not known, or the operator at the
    /// server's command line; to a tenant, `platform` for all of the operator's.
    #[member(like = Actor)]
    r#type: &'static str,
    /// Numeric id of the API key or member.
    id: Option<i64>,
    /// Numeric id of the workspace the API key belongs to, or the member acts for.
    workspace_id: Option<i64>,
}

/// The resource that was changed.
#[view(example = {"type": "api_key", "id": 2})]
pub struct AuditTargetView {
    /// Kind of resource: `api_key`, `workspace`, `webhook`, `mcp_server`, `member` or `invitation`.
    r#type: String,
    /// Numeric id of the resource.
    id: i64,
}

/// One change in the audit log.
#[view(from = AuditEntry, example = {
    "id": 1, "action": "api_key.created", "request_id": "req_abc123def456", "ip_address": "192.0.2.7", "details": {},
    "created_at": "2026-01-15T10:30:00Z",
})]
pub struct AuditEntryView {
    /// Numeric id of the entry.
    id: AuditEntryId,
    /// Action that was performed.
    action: String,
    /// Actor who performed the action.
    actor: AuditActorView,
    /// Resource the action was performed on.
    #[member(from = AuditTargetView { r#type: source.target_type, id: source.target_id })]
    target: AuditTargetView,
    /// Environment the action happened in.
    environment: Environment,
    /// Id of the request that performed the action; to a tenant, null for the platform's.
    request_id: Option<String>,
    /// Address the request came from; to a tenant, null for the platform's.
    ip_address: Option<String>,
    /// Further details of the change.
    details: Map<String, Value>,
    /// Time of the change.
    created_at: Timestamp,
}

impl From<Actor> for AuditActorView {
    fn from(actor: Actor) -> Self {
        let (id, workspace_id) = match actor {
            Actor::ApiKey(id, workspace) => (Some(id.0), Some(workspace.0)),
            Actor::Member(id, workspace) => (Some(id.0), Some(workspace.0)),
            Actor::Anonymous | Actor::CommandLine | Actor::Platform => (None, None),
        };
        Self { r#type: actor.kind(), id, workspace_id }
    }
}

text_parameters! {
    /// An action of the audit log.
    Action(String) = { "type": "string", "pattern": "^[a-z_]+(\\.[a-z_]+)*$", "maxLength": MAX_WORD },
        "an action such as api_key.created",
        |text| (text.len() <= MAX_WORD && text.split('.').all(is_word)).then(|| text.to_owned());
    /// A kind of resource.
    TargetType(String) = { "type": "string", "pattern": "^[a-z_]+$", "maxLength": MAX_WORD },
        "a kind of thing such as api_key",
        |text| (text.len() <= MAX_WORD && is_word(text)).then(|| text.to_owned());
    /// The id of a request, as its answer says it.
    RequestIdText(String) = { "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" },
        "the id of a request, as its answer says it",
        |text| {
            let is_of_id = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            ((1..=64).contains(&text.len()) && text.bytes().all(is_of_id)).then(|| text.to_owned())
        };
}

/// What the audit log can be filtered by.
#[query]
pub struct AuditFilters {
    /// Return only entries with this action
    #[member(like = Action)]
    pub action: Option<String>,
    /// Return only entries about this kind of resource
    #[member(like = TargetType)]
    pub target_type: Option<String>,
    /// Return only entries about resources with this id
    pub target_id: Option<AuditTargetId>,
    /// Return only entries of the request with this id
    #[member(like = RequestIdText)]
    pub request_id: Option<String>,
}

impl Listed for AuditEntryView {
    type Filters = AuditFilters;

    const LIST: Description = Description::of_log(AUDIT_SORTS);
}

/// The most characters of an action, or of a kind of resource.
const MAX_WORD: usize = 128;

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}
