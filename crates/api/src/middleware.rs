//! What every answer has in common: a request id, the rendered error, the headers, one log line, the
//! counters.

use std::time::Instant;

use actix_http::ConnectionType;
use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    middleware::Next,
};
use gatepost_app::people::links::DASHBOARD;
use gatepost_contract::{ApiError, ErrorFormat, REQUEST_ID};
use gatepost_kernel::{Error as UseCaseError, RequestId, random};

use crate::{
    PlainHttp, State, access_log,
    client::{self, token},
    cors,
    extensions::{Authenticated, Limited, Rendered, Route},
    paths::{MCP, PROBES, is_forward_auth},
    server::Connection,
};

/// The largest body of a refusal that is repeated in a header: proxies take no more than a few kilobytes of
/// headers.
const MAX_BODY_IN_HEADER: usize = 2_048;

/// Counts a request as in flight until it is dropped, answered or not.
struct InFlight {
    state: State,
    ended: bool,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if !self.ended {
            self.state.metrics().request_abandoned();
        }
    }
}

/// Wraps every request of the server; see the module.
///
/// # Errors
/// Those of the services below that are not answers; there are none.
pub async fn respond<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let Some(state) = req.app_data::<State>().cloned() else {
        return next.call(req).await.map(ServiceResponse::map_into_left_body);
    };
    let started = Instant::now();
    let inbound = req.headers().get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    let inbound =
        inbound.and_then(|id| RequestId::from_caller(id, |text| state.contract().tokens.begins(text)));
    let request_id = inbound.unwrap_or_else(|| RequestId::generate(&mut random::rng()));
    req.extensions_mut().insert(request_id.clone());
    state.metrics().request_started();
    let mut in_flight = InFlight { state: state.clone(), ended: false };

    let mut req = req;
    if is_forward_auth(state.contract(), req.match_info().as_str()) {
        if client::is_about_preflight(req.method(), req.headers()) {
            req.extensions_mut().insert(client::Preflight);
        }
        // What a proxy asks about is none of the browser's business: a preflight would be let through unseen.
        for name in [header::ORIGIN, header::ACCESS_CONTROL_REQUEST_METHOD] {
            req.headers_mut().remove(name);
        }
    }
    let early = wrong_way(&req, &state).or_else(|| state.for_any_page().preflight(&req));
    let response = match early {
        Some(answer) => ServiceResponse::new(req.into_parts().0, answer).map_into_right_body(),
        None => next.call(req).await?.map_into_left_body(),
    };
    let error = api_error(&response);
    let mut response = match &error {
        Some(error) => render(response, error, &state, &request_id),
        None => response,
    };
    add_headers(&mut response, &state, &request_id);
    if state.is_draining() {
        // Whoever keeps the connection would find it closed in the midst of its next request.
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }

    in_flight.ended = true;
    let route = response.request().extensions().get::<Route>().map(|Route(path)| path.clone());
    let route = route.or_else(|| response.request().match_pattern());
    let route = route.unwrap_or_else(|| "unmatched".to_owned());
    let (method, status) = (response.request().method().as_str(), response.status().as_u16());
    if let Some(Authenticated(principal)) = response.request().extensions().get::<Authenticated>() {
        state.app().gate().record_use(principal, status);
    }
    let took = started.elapsed();
    state.metrics().request_ended(method, &route, status, took);
    access_log::answered(&response, error.as_ref(), &state, &request_id, &route, took);
    Ok(response)
}

/// Whether a request came by the address for operators.
fn is_admin(req: &ServiceRequest) -> bool {
    req.request().conn_data::<Connection>().is_some_and(|connection| connection.admin)
}

/// What a request is told that comes without TLS where that is not allowed. Its key is not looked at, except
/// to warn the operator.
fn wrong_way(req: &ServiceRequest, state: &State) -> Option<HttpResponse> {
    let allowed = state.settings().server.plain_http == PlainHttp::Allow
        || PROBES.contains(&req.path())
        || is_admin(req)
        || client::came_with_tls(req.request(), state);
    if allowed {
        return None;
    }
    if let Some(token) = token(req.headers()) {
        state.exposed_keys().tell(state.app().token_format(), &token);
    }
    if state.settings().server.plain_http == PlainHttp::Redirect {
        let path = req.uri().path_and_query().map_or("/", |path| path.as_str());
        let location = match &state.settings().server.public_url {
            Some(url) if url.starts_with("https://") => format!("{}{path}", url.trim_end_matches('/')),
            _ => format!("https://{}{path}", client::host(req.request())),
        };
        return Some(HttpResponse::MovedPermanently().insert_header((header::LOCATION, location)).finish());
    }
    let refusal = UseCaseError::AccessDenied("Requests must be made over HTTPS.".to_owned());
    Some(HttpResponse::from_error(ApiError::from(refusal)))
}

/// The error that the answer stands for. The framework's own refusals become ours.
fn api_error<B>(response: &ServiceResponse<B>) -> Option<ApiError> {
    if let Some(error) = response.response().error().and_then(|error| error.as_error::<ApiError>()) {
        return Some(error.clone());
    }
    let status = response.status();
    let ours = response.response().extensions().get::<Rendered>().is_some();
    if ours || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    Some(match status {
        StatusCode::NOT_FOUND => UseCaseError::NotFound.into(),
        StatusCode::METHOD_NOT_ALLOWED => {
            let method = response.request().method().to_string();
            ApiError::MethodNotAllowed { method, allow: "GET".to_owned() }
        }
        status if status.is_client_error() => ApiError::BadRequest("The request cannot be read.".to_owned()),
        _ => {
            let said = response.response().error().map(ToString::to_string);
            UseCaseError::internal(said.unwrap_or_default()).into()
        }
    })
}

fn render<B>(
    response: ServiceResponse<EitherBody<B, BoxBody>>,
    error: &ApiError,
    state: &State,
    request_id: &RequestId,
) -> ServiceResponse<EitherBody<B, BoxBody>> {
    let format = ErrorFormat::of(response.request().headers());
    let rendered = state.contract().error(error, format, request_id);
    let of_forward_auth = is_forward_auth(state.contract(), response.request().match_info().as_str());
    let mut response = response.map_body(|_, _| ());
    *response.response_mut().status_mut() = state.contract().status(error);
    let headers = response.headers_mut();
    state.contract().add_error(headers, error);
    let (content_type, body) = rendered.unwrap_or(("application/json", Vec::new()));
    if of_forward_auth {
        let contract = state.contract();
        let of_body = Some(HeaderValue::from_bytes(&body)).filter(|_| body.len() <= MAX_BODY_IN_HEADER);
        let said = [
            (&contract.headers.error, HeaderValue::from_str(&contract.code(error)).ok()),
            (&contract.headers.message, HeaderValue::from_str(&contract.message(error)).ok()),
            (&contract.headers.body, of_body.and_then(Result::ok)),
        ];
        for (header, value) in said {
            // A sentence beyond ASCII is in the body.
            if let Some(value) = value {
                headers.insert(header.name.clone(), value);
            }
        }
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.map_body(|_, ()| EitherBody::right(BoxBody::new(body)))
}

/// Whether a path is one of the pages for people.
fn is_page(path: &str) -> bool {
    path.strip_prefix(DASHBOARD).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn add_headers<B>(response: &mut ServiceResponse<B>, state: &State, request_id: &RequestId) {
    let workspace = response.request().extensions().get::<Authenticated>().map(|a| a.0.workspace_id());
    let limited = response.request().extensions().get::<Limited>().copied();
    let path = response.request().match_info().as_str();
    let is_private = path.starts_with(state.contract().base_path.as_ref()) || path == MCP;
    let request = response.request().clone();
    let has_content = response.status() != StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    if has_content {
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    state.add_security_headers(headers, || client::came_with_tls(&request, state));
    if let Ok(value) = HeaderValue::from_str(request_id.as_str()) {
        headers.insert(REQUEST_ID, value);
    }
    if let Some(Limited(verdict)) = limited {
        state.contract().add_limits(headers, &verdict, state.app().now(), None);
    }
    if state.for_any_page().has(request.path()) {
        cors::let_any_page_read(headers);
    }
    if is_page(request.path()) {
        // Whoever may call the API from a page of theirs may not read the pages of ours.
        cors::let_no_page_read(headers);
    }
    if is_private {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Some(workspace) = workspace {
        headers.insert(state.contract().headers.workspace.name.clone(), workspace.0.into());
    }
}
