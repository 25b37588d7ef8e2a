//! `/requests`

use std::sync::Arc;

use gatepost_app::keys::refusals::{self, ListRefusals};
use gatepost_gate::{Code, RefusedRequest};
use gatepost_kernel::{ApiKeyId, Environment, Timestamp};
use gatepost_macros::{operation, query, view};
use gatepost_metrics::Label;

use crate::{
    answer::{Answer, SliceOf},
    audit_log_wire::RequestIdText,
    call::Call,
    keys::API_KEYS,
    lists::PageQuery,
    scopes::RequestsRead,
};

/// List refused requests
///
/// Requests that the API, forward auth and verification have refused although they know the API key, the last
/// first. At most the last 1,000 of the workspace within 24 hours, fewer where many workspaces have some, and
/// only those that the answering process has refused itself, since its start. A key that does not exist
/// belongs to no workspace and is not listed.
#[operation(get "/requests", tag = API_KEYS, ok = "One page of refused requests")]
async fn list_refused_requests(
    call: Call<RequestsRead, PageQuery<RefusedRequestFilters>>,
) -> Answer<SliceOf<RefusedRequestView>> {
    let RefusedRequestFilters { code, api_key_id, request_id } = &call.query().filters;
    let query = ListRefusals { code: *code, key_id: *api_key_id, request_id: request_id.clone() };
    let refused = refusals::list(call.app(), call.caller(), &query);
    call.slice(refused, |refused| RefusedRequestView::from(Arc::unwrap_or_clone(refused)))
}

/// What refused requests can be filtered by.
#[query]
pub struct RefusedRequestFilters {
    /// Return only requests refused with this code
    pub code: Option<Code>,
    /// Return only requests with this API key
    pub api_key_id: Option<ApiKeyId>,
    /// Return only the request with this id
    #[member(like = RequestIdText)]
    pub request_id: Option<String>,
}

/// By which way a request came.
pub struct WayIn;

gatepost_kernel::described_words!(
    WayIn,
    "WayIn",
    "Way a request came: to the API itself, by forward auth, or by a service that verifies.",
    ["api", "auth", "verify"]
);

/// A request that was refused.
#[view(from = RefusedRequest, example = {
    "api_key_id": 2, "code": "INSUFFICIENT_SCOPE", "via": "api", "scopes": ["{scope posts:write}"],
    "ip_address": "192.0.2.7", "request_id": "req_abc123def456", "created_at": "2026-01-15T10:30:00Z",
})]
pub struct RefusedRequestView {
    /// Numeric id of the API key that was presented.
    #[member(from = source.key_id)]
    api_key_id: ApiKeyId,
    /// Environment of the API key.
    environment: Environment,
    /// Code of the decision.
    code: Code,
    /// Way the request came.
    #[member(like = WayIn, from = source.via.as_str())]
    via: &'static str,
    /// Scopes that the request needed; cut after 512 characters.
    #[member(from = source.scopes.split_terminator(' ').map(str::to_owned).collect())]
    scopes: Vec<String>,
    /// Address the API key was presented from; null if it is not known.
    #[member(from = source.address.map(|address| address.to_string()))]
    ip_address: Option<String>,
    /// Id of the request that was refused, or that asked.
    #[member(from = source.request_id.map(|id| id.as_str().to_owned()))]
    request_id: Option<String>,
    /// Time of the decision.
    #[member(from = source.at)]
    created_at: Timestamp,
}
