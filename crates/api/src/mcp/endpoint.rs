//! `/mcp`: Gatepost as an MCP server, by streamable HTTP. Each request stands for itself and shows its own
//! key; it is counted like any other. The protocol's own library reads and answers it; what it would refuse
//! in other words than the protocol's is refused here.

use std::time::Duration;

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::{Method, StatusCode, header},
    web,
};
use gatepost_app::Caller;
use gatepost_contract::ApiError;
use gatepost_gate::Via;
use gatepost_kernel::{Error, RequestId};
use http_body_util::{BodyExt, Full};

use crate::{
    State,
    call::{acting_as_asked, authenticate_and_count, take_in},
    client,
    extensions::Rendered,
    mcp::server::{
        McpEndpoint, WrittenArguments,
        envelope::{self, Refusal},
    },
    paths::MCP,
    workers::{MOST_BYTES_ON_A_WORKER, off_the_workers},
};

/// The largest message.
const MAX_BYTES: usize = 2 << 20;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Headers that mean something between two hops only, or are ours to write.
const NOT_HANDED_ON: [&str; 4] = ["connection", "transfer-encoding", "content-length", "authorization"];
/// What the library asks a client to accept.
const BOTH: &str = "application/json, text/event-stream";
const JSON: &str = "application/json";

pub fn configure(config: &mut web::ServiceConfig) {
    config.service(web::resource(MCP).to(endpoint));
}

async fn endpoint(req: HttpRequest, body: web::Payload) -> Result<HttpResponse, ApiError> {
    let missing = || Error::internal("the state is not part of the application");
    let state = req.app_data::<State>().cloned().ok_or_else(missing)?;
    let request_id = req.extensions().get::<RequestId>().cloned().ok_or_else(missing)?;
    let admitted = authenticate_and_count(&req, &state, Via::Api, None, |_| Ok(())).await?;
    let caller = Caller::key(admitted, None, request_id, client::address(&req, &state));
    let caller = acting_as_asked(caller, &req, &state).await?;
    let body = take_in(&req, body.into_inner(), &state, MAX_BYTES).await?;
    let caller = caller.confirmed(state.app()).await?;

    let is_large = body.len > MOST_BYTES_ON_A_WORKER;
    let is_message = req.method() == Method::POST
        && req.content_type().eq_ignore_ascii_case(JSON)
        && envelope::accepts_json(req.headers());
    let (head, endpoint) = (handed_on(&req), state.mcp_endpoint().clone());
    let answer = async move { answer(&endpoint, head, body.into_bytes(), caller, is_message).await };
    let (status, headers, body) = match is_large {
        // To read it takes long enough that others would notice.
        true => {
            let runtime = tokio::runtime::Handle::current();
            off_the_workers("answering a large message", move || runtime.block_on(answer)).await??
        }
        false => answer.await?,
    };
    let mut response = HttpResponse::build(status);
    for (name, value) in headers.iter().filter(|(name, _)| !NOT_HANDED_ON.contains(&name.as_str())) {
        response.append_header((name.as_str(), value.as_bytes()));
    }
    Ok(rendered(response.body(body)))
}

type Answer = (StatusCode, http::HeaderMap, Vec<u8>);

/// What the protocol's library answers to a request, or what is said in place of it.
async fn answer(
    endpoint: &McpEndpoint,
    head: http::request::Builder,
    body: web::Bytes,
    caller: Caller,
    is_message: bool,
) -> Result<Answer, Error> {
    if is_message && let Err(refusal) = envelope::check(&body) {
        return refused(StatusCode::BAD_REQUEST, &refusal);
    }
    let arguments = envelope::arguments(&body).map(|arguments| WrittenArguments(body.slice_ref(arguments)));
    let head = match arguments {
        Some(arguments) => head.extension(arguments),
        None => head,
    };
    let request = head.extension(caller).body(Full::new(body));
    let request = request.map_err(Error::failed("handing a request on"))?;
    let is_post = request.method() == http::Method::POST;
    let answered = tokio::time::timeout(PATIENCE, async {
        let (parts, body) = endpoint.handle(request).await.into_parts();
        (parts, body.collect().await)
    });
    let (parts, body) =
        answered.await.map_err(|_| Error::unavailable("the MCP endpoint did not answer in time"))?;
    let Ok(body) = body;
    let body = body.to_bytes().to_vec();
    let status = StatusCode::from_u16(parts.status.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let is_json =
        parts.headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(JSON.as_bytes()));
    if is_post && !is_json && (status.is_client_error() || status.is_server_error()) {
        return refused(status, &Refusal::invalid(String::from_utf8_lossy(&body)));
    }
    Ok((status, parts.headers, if is_json { envelope::worded(body) } else { body }))
}

/// An error in the protocol's form.
fn refused(status: StatusCode, refusal: &Refusal) -> Result<Answer, Error> {
    let body = serde_json::to_vec(refusal).map_err(Error::failed("writing an error of the protocol"))?;
    let headers = [(http::header::CONTENT_TYPE, http::HeaderValue::from_static(JSON))];
    Ok((status, headers.into_iter().collect(), body))
}

/// The protocol has errors of its own.
fn rendered(mut response: HttpResponse) -> HttpResponse {
    response.extensions_mut().insert(Rendered);
    response
}

/// The head of a request in the words of the protocol's library.
fn handed_on(req: &HttpRequest) -> http::request::Builder {
    let mut request = http::Request::builder().method(req.method().as_str()).uri(MCP);
    let accepts_json = req.method() == Method::POST && envelope::accepts_json(req.headers());
    let skipped =
        |name: &str| NOT_HANDED_ON.contains(&name) || (accepts_json && name == header::ACCEPT.as_str());
    for (name, value) in req.headers().iter().filter(|(name, _)| !skipped(name.as_str())) {
        request = request.header(name.as_str(), value.as_bytes());
    }
    if accepts_json {
        request = request.header("accept", BOTH);
    }
    request
}
