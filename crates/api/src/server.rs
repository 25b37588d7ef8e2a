//! The listening server.

use std::{future::Future, io, net::TcpListener, time::Duration};

use actix_web::{App, HttpServer, dev::ServerHandle, middleware::from_fn};

use crate::{State, configure, respond};

/// How long answers in progress may take after the server was told to stop.
const SHUTDOWN_SECONDS: u64 = 6;
/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Stops a running server. Cloning is cheap.
#[derive(Clone)]
pub struct Stopper {
    handle: ServerHandle,
    state: State,
}

impl Stopper {
    /// Takes no more connections, finishes what is being answered, and lets the server's future end.
    pub async fn stop(&self) {
        self.state.start_draining();
        self.handle.stop(true).await;
    }
}

/// Serves on `listener`. The future runs until the server is stopped; signals are the caller's business.
///
/// # Errors
/// If the listener cannot be used.
pub fn serve(
    listener: TcpListener,
    state: State,
    workers: usize,
) -> io::Result<(impl Future<Output = io::Result<()>> + Send, Stopper)> {
    let for_workers = state.clone();
    let server = HttpServer::new(move || {
        let state = for_workers.clone();
        App::new().wrap(from_fn(respond)).configure(|config| configure(config, &state))
    })
    .workers(workers.max(1))
    .client_request_timeout(HEAD_TIMEOUT)
    .shutdown_timeout(SHUTDOWN_SECONDS)
    .disable_signals()
    .listen(listener)?
    .run();
    let stopper = Stopper { handle: server.handle(), state };
    Ok((server, stopper))
}
