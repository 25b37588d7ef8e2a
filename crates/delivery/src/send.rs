//! One attempt: signed, sent, and its answer read as far as it is kept.

use std::time::{Duration, Instant};

use bytestring::ByteString;
use gatepost_egress::{Egress, PostError, Reply, StatusCode, Target, header};
use gatepost_kernel::Timestamp;
use gatepost_sealing::{SealedColumn, Vault};
use gatepost_webhooks::{AttemptOutcome, CustomHeader, EndpointSecret, WebhookEndpoint, sign};

/// How much of an answer is kept; no more is read.
const KEPT_BYTES: usize = 16 * 1024;

const UNREADABLE_SECRET: &str =
    "A secret of the endpoint cannot be decrypted with the server's present keys.";
const UNREADABLE_HEADERS: &str =
    "The headers of the endpoint cannot be decrypted with the server's present keys.";

/// What was sent and what came back.
#[derive(Debug, Clone)]
pub struct Sent {
    /// What it means for a delivery.
    pub outcome: AttemptOutcome,
    /// The answer's HTTP status.
    pub status: Option<u16>,
    /// How the answer begins.
    pub body: Option<String>,
    /// What went wrong, in words.
    pub error: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// Why a request could not even be tried.
struct Unsendable {
    outcome: AttemptOutcome,
    error: String,
}

impl Unsendable {
    /// Of our own side.
    fn ours(error: &str) -> Self {
        Self { outcome: AttemptOutcome::NotSent, error: error.to_owned() }
    }
}

/// Signs `payload` and posts it to `endpoint`; waits no longer than `timeout`, body included.
pub async fn send(
    egress: &Egress,
    vault: &Vault,
    endpoint: &WebhookEndpoint,
    (id, payload): (&str, ByteString),
    now: Timestamp,
    timeout: Duration,
    signature_header: &header::HeaderName,
) -> Sent {
    let began = Instant::now();
    let failed = |outcome, error: String| Sent {
        outcome,
        status: None,
        body: None,
        error: Some(error),
        took: began.elapsed(),
    };
    let request = match prepare(egress, vault, endpoint, (id, &payload), now, signature_header) {
        Ok(request) => request,
        Err(Unsendable { outcome, error }) => return failed(outcome, error),
    };
    let (target, headers) = request;
    let body = payload.into_bytes();
    let exchange = async {
        let mut reply = egress.post(&target, endpoint.workspace_id, headers, body).await?;
        let (status, retry_after) = (reply.status, retry_after(&reply, now));
        Ok::<_, PostError>((status, retry_after, beginning(&mut reply).await))
    };
    match tokio::time::timeout(timeout, exchange).await {
        Err(_) => {
            let seconds = timeout.as_secs_f64();
            failed(AttemptOutcome::NoAnswer, format!("No complete answer within {seconds} s."))
        }
        Ok(Err(error)) => failed(outcome_of(error), error.to_string()),
        Ok(Ok((status, retry_after, (body, message)))) => {
            let outcome = AttemptOutcome::Answered { status: status.as_u16(), retry_after };
            let error =
                (!status.is_success()).then(|| format!("The endpoint answered {}.", status_words(status)));
            // A break behind a head that says success is still success: the receiver has the event.
            Sent {
                outcome,
                status: Some(status.as_u16()),
                body: Some(body),
                error: error.or(message),
                took: began.elapsed(),
            }
        }
    }
}

fn prepare(
    egress: &Egress,
    vault: &Vault,
    endpoint: &WebhookEndpoint,
    (id, payload): (&str, &str),
    now: Timestamp,
    signature_header: &header::HeaderName,
) -> Result<(Target, header::HeaderMap), Unsendable> {
    let target = egress
        .check(&endpoint.url)
        .map_err(|error| Unsendable { outcome: AttemptOutcome::Undeliverable, error: error.to_string() })?;
    let unreadable = |what| move |_| Unsendable::ours(what);
    let in_force = endpoint.previous_secrets.iter().filter(|secret| secret.until > now).map(|s| &s.sealed);
    let (mut secrets, column) = (Vec::new(), SealedColumn::secret(endpoint.workspace_id, endpoint.id));
    for sealed in std::iter::once(&endpoint.sealed_secret).chain(in_force) {
        let secret = vault.open(sealed, column).map_err(unreadable(UNREADABLE_SECRET))?;
        secrets.push(EndpointSecret::from_stored(secret));
    }
    let signatures = sign(&secrets, id, now, payload.as_bytes());
    let mut headers = header::HeaderMap::new();
    let value = |text: &str| {
        header::HeaderValue::from_str(text).map_err(|_| Unsendable::ours("A header cannot be sent."))
    };
    let column = SealedColumn::headers(endpoint.workspace_id, endpoint.id);
    let own = vault.open(&endpoint.sealed_headers, column).map_err(unreadable(UNREADABLE_HEADERS))?;
    for (name, text) in CustomHeader::read_all(own.expose()) {
        let name = header::HeaderName::from_bytes(name.as_bytes());
        let name = name.map_err(|_| Unsendable::ours("A header of the endpoint is malformed."))?;
        headers.insert(name, value(&text)?);
    }
    // Ours come last: whatever else was said before, these are what is sent.
    let seconds = now.as_seconds().to_string();
    for (name, text) in [
        ("content-type", "application/json"),
        ("webhook-id", id),
        ("webhook-timestamp", &seconds),
        ("webhook-signature", &signatures.standard),
        ("x-webhook-id", id),
        ("x-webhook-timestamp", &seconds),
    ] {
        headers.insert(header::HeaderName::from_static(name), value(text)?);
    }
    headers.insert(signature_header, value(&signatures.contract)?);
    Ok((target, headers))
}

/// How the answer begins, and what went wrong while it was read. What lies behind that is not read, and the
/// connection that it would come over is closed.
async fn beginning(reply: &mut Reply) -> (String, Option<String>) {
    let (mut bytes, mut error) = (Vec::new(), None);
    while bytes.len() < KEPT_BYTES {
        match reply.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk[..chunk.len().min(KEPT_BYTES - bytes.len())]),
            Ok(None) => break,
            Err(_) => {
                error = Some("The answer broke off.".to_owned());
                break;
            }
        }
    }
    // PostgreSQL keeps no NUL in a text.
    (String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}"), error)
}

/// `Retry-After` in seconds or as a date; anything else is as good as none.
fn retry_after(reply: &Reply, now: Timestamp) -> Option<Duration> {
    let text = reply.headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let at = Timestamp::from_micros(i64::try_from(at.as_micros()).ok()?);
    Some(at.since(now))
}

fn status_words(status: StatusCode) -> String {
    let reason = status.canonical_reason().map(|reason| format!(" {reason}")).unwrap_or_default();
    format!("{}{reason}", status.as_u16())
}

/// What a failed request means for a delivery.
fn outcome_of(error: PostError) -> AttemptOutcome {
    match error {
        PostError::NotPublic | PostError::Url => AttemptOutcome::Undeliverable,
        // The receiver has no part in it.
        PostError::Exhausted => AttemptOutcome::NotSent,
        PostError::Refused
        | PostError::NoAddress
        | PostError::ConnectTimeout
        | PostError::NotConnected
        | PostError::TooManyInterim
        | PostError::Unreadable
        | PostError::BrokenOff => AttemptOutcome::NoAnswer,
    }
}
