//! Why requests were refused.

use std::sync::Arc;

use gatepost_gate::{Code, RefusedRequest};
use gatepost_kernel::ApiKeyId;

use crate::{App, Caller};

/// Which refused requests to list.
#[derive(Debug, Clone, Default)]
pub struct ListRefusals {
    /// Only those refused with this code.
    pub code: Option<Code>,
    /// Only those with this key.
    pub key_id: Option<ApiKeyId>,
    /// Only that of the request with this id.
    pub request_id: Option<String>,
}

/// Requests with keys of the workspace that is acted on, in the caller's environment, that this process has
/// refused, the last first.
pub fn list(app: &App, caller: &Caller, query: &ListRefusals) -> Vec<Arc<RefusedRequest>> {
    let ListRefusals { code, key_id, request_id } = query;
    let is_asked_for = |refused: &RefusedRequest| {
        refused.environment == caller.environment()
            && code.is_none_or(|code| code == refused.code)
            && key_id.is_none_or(|key_id| key_id == refused.key_id)
            && request_id
                .as_deref()
                .is_none_or(|id| refused.request_id.as_ref().is_some_and(|r| r.as_str() == id))
    };
    let mut refused = app.gate().refusals(caller.workspace_id());
    refused.retain(|refused| is_asked_for(refused));
    refused
}
