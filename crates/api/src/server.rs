//! The listening server.

use std::{future::Future, io, net::TcpListener, time::Duration};

use actix_service::IntoServiceFactory;
use actix_web::{
    App, HttpServer,
    dev::ServerHandle,
    middleware::{Compress, Condition, from_fn},
};

use crate::{State, configure, cors::cors, gate::ForwardAuthGate, respond, tls::TlsIdentity};

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

/// Where to listen.
#[derive(Debug, Default)]
pub struct Listeners {
    /// For HTTP.
    pub plain: Option<TcpListener>,
    /// For HTTPS, HTTP/2 included.
    pub tls: Option<(TcpListener, TlsIdentity)>,
}

impl From<TcpListener> for Listeners {
    fn from(plain: TcpListener) -> Self {
        Self { plain: Some(plain), tls: None }
    }
}

/// Serves on `listeners`. The future runs until the server is stopped; signals are the caller's business.
///
/// # Errors
/// If the listener cannot be used.
pub fn serve(
    listeners: impl Into<Listeners>,
    state: State,
    workers: usize,
) -> io::Result<(impl Future<Output = io::Result<()>> + Send, Stopper)> {
    let for_workers = state.clone();
    let mut server = HttpServer::new(move || {
        let state = for_workers.clone();
        let origins = &state.settings().cors_origins;
        let app = App::new()
            .wrap(Condition::new(!origins.is_empty(), cors(origins)))
            .wrap(from_fn(respond))
            .wrap(Compress::default())
            .configure(|config| configure(config, &state));
        ForwardAuthGate { state, behind: app.into_factory() }
    })
    .workers(workers.max(1))
    .client_request_timeout(HEAD_TIMEOUT)
    .tls_handshake_timeout(HEAD_TIMEOUT)
    .shutdown_timeout(SHUTDOWN_SECONDS)
    .disable_signals();
    let Listeners { plain, tls } = listeners.into();
    if let Some(listener) = plain {
        server = server.listen(listener)?;
    }
    if let Some((listener, TlsIdentity(config))) = tls {
        server = server.listen_rustls_0_23(listener, config)?;
    }
    let server = server.run();
    let stopper = Stopper { handle: server.handle(), state };
    Ok((server, stopper))
}
