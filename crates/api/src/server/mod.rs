//! The listening server: HTTP/1.1, with and without TLS.
//!
//! HTTP/2 is left out: the framework exposes none of its bounds, so that one connection could take the memory
//! of all.

mod connection;

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use actix_http::{Extensions, HttpService, error::DispatchError};
use actix_server::{GracefulShutdownSignal, Server, ServerBuilder, ServerHandle};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::{
    App,
    dev::AppConfig,
    middleware::{Condition, from_fn},
    rt::net::TcpStream,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

pub use self::connection::Connection;
use self::connection::{Paced, Seats};
use crate::{
    State, configure, cors::cors, gate::ForwardAuthGate, respond, sending::send, tls::ServedCertificate,
};

/// How long answers in progress may take after the server was told to stop.
const SHUTDOWN_SECONDS: u64 = 6;
/// How long a client may take to send the head of a request, and for a handshake.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to close its side.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Stops a running server. Cloning is cheap.
#[derive(Clone)]
pub struct Stopper {
    handle: ServerHandle,
    state: State,
}

impl Stopper {
    /// Lets `/readyz` say that no more requests should be sent here, and every answer end its connection, while
    /// all that comes is still answered.
    pub fn drain(&self) {
        self.state.start_draining();
    }

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
    /// For HTTPS.
    pub tls: Option<(TcpListener, ServedCertificate)>,
    /// For HTTP, and there alone for metrics, the probes and the documentation.
    pub admin: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(plain: TcpListener) -> Self {
        Self { plain: Some(plain), ..Self::default() }
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
    let Listeners { plain, tls, admin } = listeners.into();
    let seats = Seats::new(state.settings().server.trusted_proxies.clone());
    let mut builder =
        Server::build().workers(workers.max(1)).shutdown_timeout(SHUTDOWN_SECONDS).disable_signals();
    if let Some(listener) = plain {
        builder = listen_plain(builder, ("http", listener), &state, &seats)?;
    }
    if let Some(listener) = admin {
        builder = listen_plain(builder, (ADMIN, listener), &state, &seats)?;
    }
    if let Some((listener, certificate)) = tls {
        builder = listen_tls(builder, listener, certificate, &state, &seats)?;
    }
    let server = builder.run();
    let stopper = Stopper { handle: server.handle(), state };
    Ok((server, stopper))
}

/// The name of the service for operators.
const ADMIN: &str = "admin";

fn listen_plain(
    builder: ServerBuilder,
    (name, listener): (&str, TcpListener),
    state: &State,
    seats: &Seats,
) -> io::Result<ServerBuilder> {
    let connection = Connection { secure: false, admin: name == ADMIN, local: listener.local_addr()? };
    let (stopping, state, seats) = (builder.graceful_shutdown_signal(), state.clone(), seats.clone());
    builder.listen(name, listener, move || {
        let seats = seats.clone();
        let accept = fn_service(move |socket: TcpStream| {
            let accepted = seats.take(&socket).map(|(seat, peer)| (Paced::new(socket, seat), Some(peer)));
            async { accepted.map_err(DispatchError::Io) }
        });
        accept.and_then(http(&state, connection, stopping.clone()))
    })
}

fn listen_tls(
    builder: ServerBuilder,
    listener: TcpListener,
    certificate: ServedCertificate,
    state: &State,
    seats: &Seats,
) -> io::Result<ServerBuilder> {
    let connection = Connection { secure: true, admin: false, local: listener.local_addr()? };
    let (stopping, state, seats) = (builder.graceful_shutdown_signal(), state.clone(), seats.clone());
    builder.listen("https", listener, move || {
        let (seats, certificate) = (seats.clone(), certificate.clone());
        let accept = fn_service(move |socket: TcpStream| {
            let (taken, acceptor) = (seats.take(&socket), TlsAcceptor::from(certificate.config()));
            async move {
                let (seat, peer) = taken.map_err(DispatchError::Io)?;
                let handshake = timeout(HEAD_TIMEOUT, acceptor.accept(socket)).await;
                let stream = handshake.map_err(io::Error::from).flatten().map_err(DispatchError::Io)?;
                Ok((Paced::new(stream, seat), Some(peer)))
            }
        });
        accept.and_then(http(&state, connection, stopping.clone()))
    })
}

/// What answers the requests of one worker's connections.
fn http<T: AsyncRead + AsyncWrite + Unpin + 'static>(
    state: &State,
    connection: Connection,
    stopping: GracefulShutdownSignal,
) -> impl ServiceFactory<
    (T, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
    Service: Service<(T, Option<SocketAddr>), Future: 'static>,
> + use<T> {
    // Each worker makes its own, on its own thread.
    gatepost_threads::wake_at_once();
    let origins = &state.settings().server.cors_origins;
    let app = App::new()
        .wrap(Condition::new(!origins.is_empty(), cors(origins, state.operations(), state.contract())))
        .wrap(from_fn(send))
        .wrap(from_fn(respond))
        .configure(|config| configure(config, state, connection));
    let gate = ForwardAuthGate { state: state.clone(), connection, behind: app.into_factory() };
    let gate = gate.map_err(|error: actix_web::Error| error.error_response());
    HttpService::build()
        .graceful_shutdown_signal(move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        })
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .on_connect_ext(move |_: &T, extensions: &mut Extensions| {
            extensions.insert(connection);
        })
        .h1(map_config(gate, |()| AppConfig::default()))
}
