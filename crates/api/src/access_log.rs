//! One line of the log for each answer, under a name of its own, so that the lines of those that went well can
//! be turned down alone.

use std::{cell::Cell, time::Duration};

use actix_web::{HttpMessage, dev::ServiceResponse, http::Method};
use gatepost_contract::ApiError;
use gatepost_gate::Passed;
use gatepost_kernel::{EventId, RequestId};

use crate::{
    State, client,
    extensions::{AcceptedEvent, Authenticated},
    paths::{FORWARD_AUTH, PROBES},
};

/// Logs an answer, at a level by its status; what the probes are told is for debugging.
pub fn answered<B>(
    response: &ServiceResponse<B>,
    error: Option<&ApiError>,
    state: &State,
    request_id: &RequestId,
    route: &str,
    took: Duration,
) {
    let duration_ms = took.as_secs_f64() * 1_000.0;
    let request = response.request();
    let authenticated = request.extensions().get::<Authenticated>().cloned();
    let (request_id, method, status) = (request_id.as_str(), request.method(), response.status().as_u16());
    let client = client::address(request, state).map(tracing::field::display);
    let key = authenticated.as_ref().map(|a| a.0.key_id().0);
    let workspace = authenticated.as_ref().map(|a| a.0.workspace_id().0);
    let event = request.extensions().get::<AcceptedEvent>().cloned();
    let event = event.as_ref().and_then(|event| event.0.get()).map(EventId::as_str);
    let code = error.map(ApiError::code);
    // The route and not the path: a path is whatever a client writes, a pasted key included.
    macro_rules! line {
        ($level:ident, $message:literal $(, $($more:tt)+)?) => {
            tracing::$level!(
                target: "gatepost::access",
                {
                    request.id = request_id, http.method = %method, http.route = route, http.status = status,
                    duration_ms, client.address = client, key.id = key, workspace.id = workspace,
                    event.id = event, error.code = code $(, $($more)+)?
                },
                $message
            )
        };
    }
    match error.filter(|error| error.cause().is_some()) {
        Some(error) => line!(error, "request failed", error = %error.for_log()),
        None if status >= 500 => line!(warn, "request"),
        None if PROBES.contains(&route) => line!(debug, "request"),
        None => line!(info, "request"),
    }
}

thread_local! {
    /// How many requests were let in from memory since one was logged.
    static UNLOGGED: Cell<u32> = const { Cell::new(0) };
}

/// Logs one in `one_in` requests that forward auth lets in from memory.
pub fn passed(method: &Method, passed: &Passed, base_path: &str, one_in: u32) {
    if one_in == 0 {
        return;
    }
    let unlogged = UNLOGGED.get() + 1;
    UNLOGGED.set(unlogged % one_in);
    if unlogged >= one_in {
        tracing::info!(
            target: "gatepost::access",
            {
                http.method = %method, http.route = %format_args!("{base_path}{FORWARD_AUTH}"), http.status = 204, key.id = passed.key_id.0,
                workspace.id = passed.workspace_id.0, one_in
            },
            "request"
        );
    }
}
