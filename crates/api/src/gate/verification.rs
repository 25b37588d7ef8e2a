//! `/api-keys/verify` and `/auth`: deciding about keys for somebody else's API.

use actix_web::{HttpMessage, HttpRequest, HttpResponse, http::Method, web};
use gatepost_app::keys::verification;
use gatepost_contract::{ApiError, Plain};
use gatepost_gate::{Admitted, Principal, Via};
use gatepost_kernel::Error;
use gatepost_macros::operation;

use crate::{
    State,
    answer::Answer,
    call::{Call, authenticate_and_count, count_anonymous},
    client::Preflight,
    gate::{
        auth_query::AuthQuery,
        verification_wire::{VerificationView, VerifyApiKeyBody},
    },
    keys::API_KEYS,
    operation::{Input, Operation, Shape, ShapeOf},
    paths::FORWARD_AUTH,
    query::NoQuery,
    scopes::ApiKeysVerify,
    shown::Shown,
};

/// Verify an API key
///
/// Decides over status, address, scopes, limits and, if a feature is named, the workspace's entitlement in
/// one step, and counts; nothing is counted when any part refuses. The answer is 200 either way: look at
/// `valid`. Keys of the root workspace verify the keys of all workspaces, or of the one that
/// `{acting_workspace}` names.
#[operation(post "/api-keys/verify", tag = API_KEYS, ok = "Decision on the API key", decides)]
async fn verify_api_key(
    call: Call<ApiKeysVerify, NoQuery, VerifyApiKeyBody>,
) -> Answer<Plain<VerificationView>> {
    let (body, call) = call.into_body();
    let verified = verification::verify(call.app(), call.caller(), body?.into()).await?;
    call.plain(&VerificationView::new(verified, Shown::now(call.app())))
}

/// Forward auth, which takes any method and any path below. What the document says of it stands for all of
/// them.
pub const FORWARD_AUTH_OPERATION: Operation = Operation {
    id: "forward_auth",
    method: Method::GET,
    path: FORWARD_AUTH,
    tag: API_KEYS,
    about: "Forward auth\n\n\
        For `auth_request` of nginx, `forward_auth` of Caddy, and the like: 204 with the limit headers, the workspace, the \
        environment, the id, the scopes and the external id of the key, or 401, 403 or 429. Takes any method but TRACE, and any path below. The key \
        is the request's own, in `Authorization`. A parameter that is not known is a {status 422}: a slip of the pen must not open a route.",
    answer: (204, "The request may pass, and was counted"),
    changes: false,
    heeds_version: false,
    acts_on_workspace: false,
    alias_of: None,
    sentence: None,
    shape: ShapeOf::Types(|contract, _| Shape {
        input: Input { scope: None, needs_key: true, query: AuthQuery::parameters(), body: None },
        path: Vec::new(),
        answer: None,
        is_page: false,
        headers: Some(contract.key_headers()),
        refusal: None,
    }),
    register: |config| {
        let below = format!("{FORWARD_AUTH}/{{rest:.*}}");
        config.service(web::resource([FORWARD_AUTH, below.as_str()]).to(forward_auth));
    },
};

async fn forward_auth(req: HttpRequest) -> Result<HttpResponse, ApiError> {
    if req.method() == Method::TRACE {
        let allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS".to_owned();
        return Err(ApiError::MethodNotAllowed { method: req.method().to_string(), allow });
    }
    let state =
        req.app_data::<State>().ok_or_else(|| Error::internal("the state is not part of the application"))?;
    let query = AuthQuery::read(req.query_string(), state.contract().scope_order).inspect_err(|error| {
        // The proxy makes something else of it, so this is where the operator learns what is wrong.
        let Error::Validation(errors) = error else { return };
        for (parameter, errors) in errors.iter() {
            let message = errors.first().map(String::as_str);
            tracing::warn!(
                parameter,
                message,
                "forward auth is asked in a way that it does not know; the request is refused"
            );
        }
    })?;
    decide(&req, state, &query).await.map_err(|error| match error {
        limited @ ApiError::UseCase(Error::RateLimited { .. }) if query.deny_by_403 => {
            ApiError::Denied(Box::new(limited))
        }
        error => error,
    })
}

async fn decide(req: &HttpRequest, state: &State, query: &AuthQuery) -> Result<HttpResponse, ApiError> {
    if query.lets_preflights_pass && req.extensions().get::<Preflight>().is_some() {
        count_anonymous(req, state)?;
        return Ok(HttpResponse::NoContent().finish());
    }
    let may = |principal: &Principal| {
        principal.is_of(query.environment)?;
        query.scopes.iter().try_for_each(|scope| principal.may(scope))
    };
    let Admitted { principal, .. } =
        authenticate_and_count(req, state, Via::Auth, &query.scopes, may).await?;
    let mut response = HttpResponse::NoContent().finish();
    let (key, environment) = (principal.key_id(), principal.environment());
    let external_id = principal.profile().external_id();
    state.contract().add_key(response.headers_mut(), key, environment, principal.scope_list(), external_id);
    Ok(response)
}
