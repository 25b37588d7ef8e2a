//! `/api-keys/verify` and `/auth`: deciding about keys for somebody else's API.

use actix_web::{HttpMessage, HttpRequest, HttpResponse, http::Method, post, web};
use gatepost_app::{Principal, gate::verification};
use gatepost_contract::ApiError;
use gatepost_kernel::Error;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::{
    State,
    call::{Call, authenticate_and_count, count_anonymous},
    client::Preflight,
    closed_sets::EnvironmentChoice,
    gate::{
        auth_query::AuthQuery,
        verification_wire::{VerificationView, VerifyApiKeyBody},
    },
    paths::BASE_PATH,
    query::NoQuery,
    scopes::ApiKeysVerify,
};

pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(verify_api_key);
}

/// Forward auth takes any method, which the document cannot say; it is registered beside the documented operations.
pub fn configure_forward_auth(config: &mut web::ServiceConfig) {
    let paths = [format!("{BASE_PATH}/auth"), format!("{BASE_PATH}/auth/{{rest:.*}}")];
    config.service(web::resource(paths).to(forward_auth));
}

/// Verify an API key
///
/// Decides over status, address, scopes, limits and, if a feature is named, the workspace's entitlement in one step, and
/// counts; nothing is counted when any part refuses. The answer is 200 either way: look at `valid`. Keys of the root workspace verify the keys of all
/// workspaces, or of the one that `X-Workspace-ID` names.
#[utoipa::path(
    tag = "API keys", operation_id = "verify_api_key", request_body = VerifyApiKeyBody,
    extensions(("x-required-scope" = json!("api-keys:verify"))),
    responses((status = 200, description = "Decision on the API key", body = VerificationView))
)]
#[post("/api-keys/verify")]
async fn verify_api_key(
    call: Call<ApiKeysVerify, NoQuery, VerifyApiKeyBody>,
) -> Result<HttpResponse, ApiError> {
    let (body, call) = call.into_body();
    let verified = verification::verify(call.app(), call.caller(), body?.into()).await?;
    call.plain(&VerificationView::new(verified, call.app().now()))
}

/// Forward auth
///
/// For `auth_request` of nginx, `forward_auth` of Caddy, and the like: 204 with the limit headers, the workspace, the environment,
/// the id and the scopes of the key, or 401, 403 or 429. Takes any method but TRACE, and any path below. The key is the request's
/// own, in `Authorization`. A parameter that is not known is a 422: a slip of the pen must not open a route.
#[utoipa::path(
    get, path = "/api/v1/auth", tag = "API keys", operation_id = "forward_auth",
    params(
        ("scope" = Option<String>, Query, description = "Scopes the route requires, all of them: separated by commas, or given several times"),
        ("environment" = Option<EnvironmentChoice>, Query, description = "Environment the key must be of; `live` if not given"),
        ("deny" = Option<String>, Query, description = "`403` answers 403 instead of 429, which nginx does not know"),
        ("preflight" = Option<String>, Query, description = "`allow` lets CORS preflights pass, which never carry a key: by the request's method, or by `X-Forwarded-Method`"),
    ),
    responses((status = 204, description = "The request may pass, and was counted", headers(
        ("X-Gatepost-Environment" = String, description = "Environment the key belongs to."),
        ("X-Gatepost-Key-Id" = i64, description = "Numeric id of the key."),
        ("X-Gatepost-Scopes" = String, description = "Scopes of the key, separated by blanks; left out beyond 4,096 bytes."),
    )))
)]
pub async fn forward_auth(req: HttpRequest) -> Result<HttpResponse, ApiError> {
    if req.method() == Method::TRACE {
        let allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS".to_owned();
        return Err(ApiError::MethodNotAllowed { method: req.method().to_string(), allow });
    }
    let query = AuthQuery::read(req.query_string()).inspect_err(|error| {
        // The proxy makes something else of it, so this is where the operator learns what is wrong.
        let Error::Validation(faults) = error else { return };
        for (parameter, faults) in faults.iter() {
            let fault = faults.first().map(String::as_str);
            tracing::warn!(
                parameter,
                fault,
                "forward auth is asked in a way that it does not know; the request is refused"
            );
        }
    })?;
    decide(&req, &query).await.map_err(|error| match error {
        limited @ ApiError::UseCase(Error::RateLimited { .. }) if query.deny_by_403 => {
            ApiError::Denied(Box::new(limited))
        }
        error => error,
    })
}

async fn decide(req: &HttpRequest, query: &AuthQuery) -> Result<HttpResponse, ApiError> {
    let state =
        req.app_data::<State>().ok_or_else(|| Error::internal("the state is not part of the application"))?;
    if query.lets_preflights_pass && req.extensions().get::<Preflight>().is_some() {
        count_anonymous(req, state)?;
        return Ok(HttpResponse::NoContent().finish());
    }
    let may = |principal: &Principal| {
        principal.is_of(query.environment)?;
        query.scopes.iter().try_for_each(|scope| principal.may(scope))
    };
    let (principal, _) = authenticate_and_count(req, state, may).await?;
    let mut response = HttpResponse::NoContent().finish();
    let (key, environment) = (principal.key_id(), principal.environment());
    state.contract().add_key(response.headers_mut(), key, environment, principal.scope_list());
    Ok(response)
}
