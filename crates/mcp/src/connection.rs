//! Making a connection to a server.

use std::{collections::HashMap, pin::Pin, sync::Arc, time::Duration};

use ::http::{HeaderName, HeaderValue};
use gatepost_egress::Egress;
use gatepost_kernel::Secret;
use rmcp::{
    Peer, RoleClient,
    model::ProtocolVersion,
    service::{ClientLifecycleMode, ClientServiceExt, RunningService, RunningServiceCancellationToken},
    transport::{
        StreamableHttpClientTransport, common::http_header::HEADER_LAST_EVENT_ID,
        common::http_header::HEADER_SESSION_ID, streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use tokio::{sync::Notify, time::timeout};

use crate::{
    client::Bridge,
    config::{ServerConfig, Transport},
    http::Http,
    process::Process,
    stdio::Lines,
};

/// How long the handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long the end of a connection may take.
const CLOSING: Duration = Duration::from_secs(3);
/// The largest message that is taken from a server.
const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// Requests that one server answers at the same time.
pub(crate) const MAX_CALLS: usize = 64;

/// A connection, and the program behind it, if it is one.
pub(crate) struct Connection {
    pub peer: Peer<RoleClient>,
    /// Done when the connection has ended; none from then on.
    ended: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    cancel: Option<RunningServiceCancellationToken>,
    process: Option<Process>,
}

impl Connection {
    fn new(service: RunningService<RoleClient, Bridge>, process: Option<Process>) -> Self {
        let (peer, cancel) = (service.peer().clone(), Some(service.cancellation_token()));
        let ended = async move {
            // However it ended, it has.
            let _ = service.waiting().await;
        };
        Self { peer, ended: Some(Box::pin(ended)), cancel, process }
    }

    /// Waits until the other side ends it.
    pub async fn ended(&mut self) {
        if let Some(ended) = &mut self.ended {
            ended.await;
            self.ended = None;
        }
    }

    /// Ends it, and the program behind it with all that it has started.
    pub async fn close(mut self) {
        if let Some(cancel) = self.cancel.take() {
            cancel.cancel();
        }
        // Its input ends with this; whatever is left of it ends with the process.
        let _ = timeout(CLOSING, self.ended()).await;
        if let Some(process) = self.process.take() {
            process.end().await;
        }
    }
}

/// Which generation of the protocol is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generation {
    /// The one without a handshake, and, if the server knows nothing of that, the one with it.
    Either,
    /// The one with a handshake alone: for servers that leave a question unanswered which they do not know.
    Legacy,
}

impl Generation {
    fn lifecycle(self) -> ClientLifecycleMode {
        match self {
            Self::Either => ClientLifecycleMode::Auto {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
                legacy_version: None,
            },
            Self::Legacy => ClientLifecycleMode::Initialize,
        }
    }
}

/// Connects to a server.
///
/// # Errors
/// What went wrong, for the log.
pub(crate) async fn connect(
    config: &ServerConfig,
    egress: &Egress,
    generation: Generation,
    changed: Arc<Notify>,
) -> Result<Connection, String> {
    let (bridge, lifecycle) = (Bridge { changed }, generation.lifecycle());
    let late = |_| format!("no handshake within {} s", HANDSHAKE.as_secs());
    if let Transport::Http { url, headers } = &config.transport {
        let (target, _) = egress.check_resolved(url, None).await.map_err(|message| message.to_string())?;
        let mut settings = StreamableHttpClientTransportConfig::with_uri(target.url().as_str());
        settings.max_sse_event_size = MAX_MESSAGE_BYTES;
        settings.max_json_response_size = MAX_MESSAGE_BYTES;
        settings.max_concurrent_requests = MAX_CALLS;
        settings.custom_headers = read_headers(headers)?;
        let transport = StreamableHttpClientTransport::with_client(Http(egress.client()), settings);
        let service = timeout(HANDSHAKE, bridge.serve_with_lifecycle(transport, lifecycle)).await;
        let service = service.map_err(late)?.map_err(|error| error.to_string())?;
        return Ok(Connection::new(service, None));
    }
    let started = Process::start(config).map_err(|error| format!("it cannot be started: {error}"))?;
    let (process, stdout, stdin) = started.ok_or("it is neither a program nor a server")?;
    let transport = Lines::new(stdout, stdin, MAX_MESSAGE_BYTES);
    let service = timeout(HANDSHAKE, bridge.serve_with_lifecycle(transport, lifecycle)).await;
    let service = service.map_err(late)?.map_err(|error| error.to_string())?;
    Ok(Connection::new(service, Some(process)))
}

fn read_headers(headers: &[(String, Secret)]) -> Result<HashMap<HeaderName, HeaderValue>, String> {
    let read = |(name, value): &(String, Secret)| {
        let error = || format!("the header {name} cannot be sent");
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| error())?;
        value.set_sensitive(true);
        let name = name.parse::<HeaderName>().map_err(|_| error())?;
        // These are the protocol's own.
        let reserved = ["accept", HEADER_SESSION_ID, HEADER_LAST_EVENT_ID];
        match reserved.iter().any(|reserved| name.as_str().eq_ignore_ascii_case(reserved)) {
            true => Err(error()),
            false => Ok((name, value)),
        }
    };
    headers.iter().map(read).collect()
}
