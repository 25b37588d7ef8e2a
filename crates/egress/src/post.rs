//! Posting to receivers that tenants choose.
//!
//! What a receiver sends back is theirs to choose too, so it is bounded here, below what reads it: the bytes
//! that it may send before it is asked again, the size of a head, and how many interim responses come before
//! the answer. Over HTTP/1.1 alone, where all of that can be bounded.

use std::{
    error::Error as StdError,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::legacy::{
        Client, Error as ClientError,
        connect::{Connected, Connection, HttpConnector, dns::Name},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
};
use tower_service::Service;

use gatepost_kernel::WorkspaceId;

use crate::{
    CONNECT_TIMEOUT, IDLE_TIMEOUT, Target,
    resolver::{NotPublic, Resolver},
};

/// How many bytes a receiver may send, TLS included, before it is written to again.
const MAX_BYTES: usize = 128 << 10;
/// How long a head may be.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// How many interim responses may come before the answer.
const MAX_INTERIM: usize = 8;
/// How long what was sent may go unacknowledged, and how long a connection may be silent before it is tried.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
const KEEP_ALIVE: Duration = Duration::from_secs(15);

type BoxError = Box<dyn StdError + Send + Sync>;

tokio::task_local! {
    /// The workspace that a connection is made for, if one has to be: the client asks for addresses while it
    /// is first polled.
    static OWNER: WorkspaceId;
}

/// The client. Cloning is cheap and shares the connections.
#[derive(Clone)]
pub struct Poster {
    client: Client<Timely, Full<Bytes>>,
    user_agent: HeaderValue,
}

/// An answer: its head, and a body that is read as far as it is wanted.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    body: Incoming,
}

/// Why there is no answer. `Display` is a sentence for whoever owns the receiver; it names no address of
/// ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// The name leads to an address that may not be reached.
    #[error("The url leads to an address that is not public.")]
    NotPublic,
    /// It cannot be written in a request.
    #[error("The url cannot be requested.")]
    Url,
    /// This machine has no file or no memory to spare.
    #[error("The server has no connection to spare.")]
    Exhausted,
    /// Nobody listens there.
    #[error("The connection was refused.")]
    Refused,
    /// The name has no address.
    #[error("The host has no address.")]
    NoAddress,
    /// Connecting took too long.
    #[error("No connection in time.")]
    ConnectTimeout,
    /// There is no connection, for example because the certificate is not believed.
    #[error("No connection could be made.")]
    NotConnected,
    /// More interim responses came than are waited for.
    #[error("The endpoint sent more than {MAX_INTERIM} interim responses.")]
    TooManyInterim,
    /// What came is not the head of an answer, or too long for one.
    #[error("The endpoint's answer is not HTTP/1.1, or has too many headers.")]
    Unreadable,
    /// The connection ended early.
    #[error("The connection broke off before an answer came.")]
    BrokenOff,
}

impl std::fmt::Debug for Poster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Poster(…)")
    }
}

impl Poster {
    /// Makes the client, which connects to those addresses alone that `resolver` answers.
    ///
    /// # Errors
    /// If there is no store of certificates.
    pub fn new(resolver: Arc<Resolver>, user_agent: &str) -> Result<Self, rustls::Error> {
        let mut tcp = HttpConnector::new_with_resolver(Filter(resolver));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEP_ALIVE));
        tcp.set_keepalive_interval(Some(KEEP_ALIVE));
        tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        let tls = ClientConfig::builder().with_platform_verifier()?.with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(Tcp(tcp));
        let client = Client::builder(TokioExecutor::new())
            // As many as may be in flight: making a connection anew costs more than all the rest of a
            // request.
            .pool_max_idle_per_host(1024)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .http1_max_buf_size(MAX_HEAD_BYTES)
            .build(Timely(connector));
        let user_agent =
            HeaderValue::from_str(user_agent).unwrap_or_else(|_| HeaderValue::from_static("Gatepost"));
        Ok(Self { client, user_agent })
    }

    /// Posts for a workspace, and waits for the head of the answer.
    ///
    /// # Errors
    /// [`PostError`].
    pub async fn post(
        &self,
        target: &Target,
        owner: WorkspaceId,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Reply, PostError> {
        headers.insert(header::USER_AGENT, self.user_agent.clone());
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        let uri: Uri = target.url().as_str().parse().map_err(|_| PostError::Url)?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let interim = Arc::<Interim>::default();
        let count = interim.clone();
        hyper::ext::on_informational(&mut request, move |_| count.came());
        let answer = tokio::select! {
            answer = OWNER.scope(owner, self.client.request(request)) => answer,
            () = interim.too_many.notified() => return Err(PostError::TooManyInterim),
        };
        let (head, body) = match answer {
            Ok(answer) => answer.into_parts(),
            // Many come in one piece.
            Err(_) if interim.are_too_many() => return Err(PostError::TooManyInterim),
            Err(error) => return Err(explain(&error)),
        };
        Ok(Reply { status: head.status, headers: head.headers, body })
    }
}

impl Reply {
    /// The next piece of the body; none at its end.
    ///
    /// # Errors
    /// [`PostError::BrokenOff`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, PostError> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(_)) => return Err(PostError::BrokenOff),
                // Trailers say nothing that anybody asks for.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

/// The interim responses of one request.
#[derive(Default)]
struct Interim {
    seen: AtomicUsize,
    too_many: Notify,
}

impl Interim {
    fn came(&self) {
        if self.seen.fetch_add(1, Ordering::Relaxed) == MAX_INTERIM {
            self.too_many.notify_one();
        }
    }

    fn are_too_many(&self) -> bool {
        self.seen.load(Ordering::Relaxed) > MAX_INTERIM
    }
}

/// What a failed request means.
fn explain(error: &ClientError) -> PostError {
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.is::<NotPublic>() {
            return PostError::NotPublic;
        }
        if cause.is::<TooLate>() {
            return PostError::ConnectTimeout;
        }
        if cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            return PostError::Unreadable;
        }
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            match io.kind() {
                io::ErrorKind::ConnectionRefused => return PostError::Refused,
                io::ErrorKind::NotFound => return PostError::NoAddress,
                kind if is_ours(kind, io.raw_os_error()) => return PostError::Exhausted,
                _ if io.get_ref().is_some_and(|inner| inner.is::<TooMuch>()) => return PostError::Unreadable,
                _ => {}
            }
        }
        source = cause.source();
    }
    if error.is_connect() { PostError::NotConnected } else { PostError::BrokenOff }
}

/// Whether this machine could not even begin to connect: it had no file or no memory to spare.
fn is_ours(kind: io::ErrorKind, code: Option<i32>) -> bool {
    // The standard library has no word for "too many open files", of this process or of the whole system.
    const TOO_MANY_FILES: [i32; 2] = [24, 23];
    kind == io::ErrorKind::OutOfMemory || code.is_some_and(|code| TOO_MANY_FILES.contains(&code))
}

/// A connection was not made in time.
#[derive(Debug, thiserror::Error)]
#[error("the connection took too long to be made")]
struct TooLate;

/// A receiver sent more than it may before it was written to again.
#[derive(Debug, thiserror::Error)]
#[error("the answer goes on for too long")]
struct TooMuch;

/// Looks names up, and answers no address that may not be reached.
#[derive(Clone)]
struct Filter(Arc<Resolver>);

impl Service<Name> for Filter {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (resolver, owner) = (self.0.clone(), OWNER.try_with(|owner| *owner).ok());
        Box::pin(async move { resolver.reachable(name.as_str(), owner).await.map(Vec::into_iter) })
    }
}

/// Makes connections that are bounded.
#[derive(Clone)]
struct Tcp(HttpConnector<Filter>);

impl Service<Uri> for Tcp {
    type Response = TokioIo<Bounded>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move {
            let stream = connecting.await?.into_inner();
            Ok(TokioIo::new(Bounded { stream, left: MAX_BYTES }))
        })
    }
}

/// Makes connections, with their TLS, in time.
#[derive(Clone)]
struct Timely(HttpsConnector<Tcp>);

impl Service<Uri> for Timely {
    type Response = MaybeHttpsStream<TokioIo<Bounded>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move {
            tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or_else(|_| Err(TooLate.into()))
        })
    }
}

/// A connection on which the other side may send only so much before it is written to again.
struct Bounded {
    stream: TcpStream,
    left: usize,
}

impl Connection for Bounded {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other(TooMuch)));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.left = self.left.saturating_sub(buffer.filled().len() - before);
        read
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.left = MAX_BYTES;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.left = MAX_BYTES;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_machine_lacks_is_not_the_receivers_error() {
        for (code, ours) in [(24, true), (23, true), (12, true), (111, false), (104, false)] {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(is_ours(error.kind(), error.raw_os_error()), ours, "{error}");
        }
    }
}
