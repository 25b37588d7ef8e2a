//! `/api-keys/verify` and `/auth`: deciding about keys for somebody else's API.

use actix_web::{HttpRequest, HttpResponse, http::Method, post, web};
use gatepost_app::verification;
use gatepost_kernel::Error;
use gatepost_keys::Scope;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::{
    BASE_PATH, State,
    call::{Call, authenticate_and_count},
    error::ApiError,
    query::NoQuery,
    scopes::ApiKeysVerify,
    wire::verification::{VerificationView, VerifyApiKeyBody},
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
    responses((status = 200, description = "The decision", body = VerificationView))
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
/// For `auth_request` of nginx, `forward_auth` of Caddy, and the like: 204 with the limit headers, or 401, 403 or 429.
/// Takes any method but TRACE, and any path below. The key is the request's own, in `Authorization`.
#[utoipa::path(
    get, path = "/api/v1/auth", tag = "API keys", operation_id = "forward_auth",
    params(
        ("scope" = Option<String>, Query, description = "What the route needs; several separated by commas"),
        ("deny" = Option<String>, Query, description = "`403` answers 403 instead of 429, which nginx does not know"),
    ),
    responses((status = 204, description = "The request may pass, and was counted"))
)]
pub async fn forward_auth(req: HttpRequest) -> Result<HttpResponse, ApiError> {
    if req.method() == Method::TRACE {
        let allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS".to_owned();
        return Err(ApiError::MethodNotAllowed { method: req.method().to_string(), allow });
    }
    let deny_by_403 = parameter(&req, "deny").is_some_and(|value| value == "403");
    decide(&req).await.map_err(|error| match error {
        limited @ ApiError::UseCase(Error::RateLimited { .. }) if deny_by_403 => {
            ApiError::Denied(Box::new(limited))
        }
        error => error,
    })
}

async fn decide(req: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let state = req
        .app_data::<State>()
        .ok_or_else(|| Error::Internal("the state is not part of the application".to_owned()))?;
    let scopes: Vec<Scope> = parameter(req, "scope")
        .iter()
        .flat_map(|scopes| scopes.split(','))
        .map(|scope| scope.trim().parse().map_err(|fault: String| Error::invalid("scope", fault)))
        .collect::<Result<_, _>>()?;
    authenticate_and_count(req, state, |principal| scopes.iter().try_for_each(|scope| principal.may(scope)))
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A parameter of the query; what else is there belongs to somebody else.
fn parameter(req: &HttpRequest, name: &str) -> Option<String> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(req.query_string()).ok()?;
    pairs.into_inner().into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}
