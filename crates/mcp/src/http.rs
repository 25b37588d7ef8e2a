//! Messages of a server over HTTP. The protocol's library keeps sessions, versions and streams; what is sent
//! and received passes here, so that an answer that cannot be read ends its own call alone.

use std::{
    collections::HashMap,
    io::{self, Cursor},
    sync::Arc,
};

use ::http::{HeaderName, HeaderValue};
use futures_util::{Stream, StreamExt, stream};
use gatepost_egress::{Client, RequestError, Response, StatusCode, header};
use rmcp::{
    model::{
        ClientJsonRpcMessage, ClientRequest, ErrorData, JsonRpcMessage, RequestId, ServerJsonRpcMessage,
    },
    transport::{
        common::http_header::{
            EVENT_STREAM_MIME_TYPE, HEADER_LAST_EVENT_ID, HEADER_SESSION_ID, JSON_MIME_TYPE,
        },
        streamable_http_client::{
            SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
            StreamableHttpResponseLimits,
        },
    },
};
use sse_stream::{Sse, SseStream};

use crate::message::{self, Asked};

const BOTH: &str = "application/json, text/event-stream";

type Fault = StreamableHttpError<RequestError>;
type Headers = HashMap<HeaderName, HeaderValue>;
type Events = stream::BoxStream<'static, Result<Sse, SseError>>;

/// What speaks HTTP with a server.
#[derive(Clone)]
pub(crate) struct Http(pub Client);

/// A request that waits for its answer.
#[derive(Clone)]
struct Waiting {
    id: RequestId,
    asked: Asked,
    is_discovery: bool,
    has_session: bool,
}

impl Waiting {
    fn of(message: &ClientJsonRpcMessage, has_session: bool) -> Option<Self> {
        let JsonRpcMessage::Request(request) = message else { return None };
        let is_discovery = matches!(request.request, ClientRequest::DiscoverRequest(_));
        let asked = Asked::by(&request.request);
        Some(Self { id: request.id.clone(), asked, is_discovery, has_session })
    }

    fn asked(&self, id: &RequestId) -> Asked {
        if *id == self.id { self.asked } else { Asked::Other }
    }

    /// An answer that cannot be read: the end of this request, and of the whole connection only while that is
    /// being made.
    fn unreadable(&self, why: String) -> Result<ServerJsonRpcMessage, Fault> {
        match self.asked {
            Asked::Lifecycle => Err(Fault::UnexpectedServerResponse(why.into())),
            _ => Ok(message::unreadable(self.id.clone(), &why)),
        }
    }

    /// The answer in the body of a response that is no stream.
    fn read(&self, body: &[u8]) -> Result<ServerJsonRpcMessage, Fault> {
        match message::read(body, |id| self.asked(id)) {
            Ok(JsonRpcMessage::Error(error)) if error.id.is_none() => {
                Ok(ServerJsonRpcMessage::error(error.error, Some(self.id.clone())))
            }
            Ok(JsonRpcMessage::Response(response)) if response.id != self.id => {
                self.unreadable("it answers another request".to_owned())
            }
            Ok(message) => Ok(message),
            Err(why) => self.unreadable(why),
        }
    }

    /// What a status other than success means for the request.
    fn refused(&self, status: StatusCode, body: &[u8]) -> Result<ServerJsonRpcMessage, Fault> {
        let gone = || Fault::UnexpectedServerResponse(format!("HTTP {status}").into());
        let is_forbidden = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        let is_gone = matches!(
            status,
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
        );
        let own = match message::read(body, |_| Asked::Other) {
            Ok(JsonRpcMessage::Error(error)) => Some(error),
            _ => None,
        };
        if self.is_discovery && status.is_client_error() && !is_forbidden && !self.has_session {
            // A server of the older generation, which may not even read the request's id.
            let error = own.map(|own| own.error);
            let error = error.unwrap_or_else(|| ErrorData::invalid_request(format!("HTTP {status}"), None));
            return Ok(ServerJsonRpcMessage::error(error, Some(self.id.clone())));
        }
        match own {
            Some(error) if error.id.as_ref() == Some(&self.id) => {
                Ok(ServerJsonRpcMessage::error(error.error, error.id))
            }
            // Whatever it refuses without having read the request: a session that it has forgotten, most
            // often.
            Some(_) if self.has_session => Err(gone()),
            _ if is_gone => Err(gone()),
            _ => self.unreadable(format!("HTTP {status}")),
        }
    }
}

impl StreamableHttpClient for Http {
    type Error = RequestError;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        token: Option<String>,
        headers: Headers,
    ) -> Result<StreamableHttpPostResponse, Fault> {
        let limits = StreamableHttpResponseLimits::default();
        self.post_message_with_response_limits(uri, message, session, token, headers, limits).await
    }

    async fn post_message_with_response_limits(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        token: Option<String>,
        headers: Headers,
        limits: StreamableHttpResponseLimits,
    ) -> Result<StreamableHttpPostResponse, Fault> {
        let waiting = Waiting::of(&message, session.is_some());
        let mut request = self.0.post(&*uri).header(header::CONTENT_TYPE, JSON_MIME_TYPE);
        request = request.header(header::ACCEPT, BOTH).body(message::write(&message)?);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(session) = &session {
            request = request.header(HEADER_SESSION_ID, &**session);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.send().await?;
        let (status, kind) = (response.status(), kind(&response));
        if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        if status == StatusCode::NOT_FOUND && session.is_some() {
            return Err(Fault::SessionExpired);
        }
        let new_session = response.headers().get(HEADER_SESSION_ID).and_then(|value| value.to_str().ok());
        let new_session = new_session.map(str::to_owned);
        if status.is_success() && kind == EVENT_STREAM_MIME_TYPE {
            let events = events(response, limits.max_sse_event_size, waiting);
            return Ok(StreamableHttpPostResponse::Sse(events, new_session));
        }
        let Some(waiting) = waiting else {
            return match status.is_success() {
                // Nothing is expected, so nothing is read.
                true => Ok(StreamableHttpPostResponse::Accepted),
                false => Err(Fault::UnexpectedServerResponse(format!("HTTP {status}").into())),
            };
        };
        let body = body(response, limits.max_json_response_size).await?;
        let message = match body {
            _ if !status.is_success() => waiting.refused(status, body.as_deref().unwrap_or_default()),
            None => waiting.unreadable(format!("it has more than {} bytes", limits.max_json_response_size)),
            Some(_) if kind != JSON_MIME_TYPE => {
                waiting.unreadable(format!("its type is {:?}", message::short(&kind)))
            }
            Some(body) => waiting.read(&body),
        };
        Ok(StreamableHttpPostResponse::Json(message?, new_session))
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        token: Option<String>,
        headers: Headers,
    ) -> Result<(), Fault> {
        self.0.delete_session(uri, session, token, headers).await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        token: Option<String>,
        headers: Headers,
    ) -> Result<Events, Fault> {
        let max_bytes = StreamableHttpResponseLimits::default().max_sse_event_size;
        self.get_stream_with_max_sse_event_size(uri, session, last_event, token, headers, max_bytes).await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        token: Option<String>,
        headers: Headers,
        max_bytes: usize,
    ) -> Result<Events, Fault> {
        let mut request = self.0.get(&*uri).header(header::ACCEPT, BOTH);
        if let Some(session) = session {
            request = request.header(HEADER_SESSION_ID, &*session);
        }
        if let Some(last_event) = last_event {
            request = request.header(HEADER_LAST_EVENT_ID, last_event);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.send().await?;
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            return Err(Fault::ServerDoesNotSupportSse);
        }
        let response = response.error_for_status()?;
        match kind(&response) {
            kind if kind == EVENT_STREAM_MIME_TYPE => Ok(events(response, max_bytes, None)),
            kind => Err(Fault::UnexpectedContentType(Some(kind))),
        }
    }
}

/// The media type of a response, without its parameters.
fn kind(response: &Response) -> String {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

/// The body of a response; none if it has more than `max_bytes`.
async fn body(mut response: Response, max_bytes: usize) -> Result<Option<Vec<u8>>, RequestError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if chunk.len() > max_bytes - body.len() {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// The events of a stream, each with a message that the library can read.
fn events(response: Response, max_bytes: usize, waiting: Option<Waiting>) -> Events {
    let asked = {
        let waiting = waiting.clone();
        move |id: &RequestId| waiting.as_ref().map_or(Asked::Other, |waiting| waiting.asked(id))
    };
    let mended = move |event: Result<Sse, SseError>| {
        let mut event = event?;
        let Some(data) = event.data.as_deref().filter(|data| !data.trim().is_empty()) else {
            return Ok(event);
        };
        let message = match (message::read(data.as_bytes(), &asked), &waiting) {
            (Ok(message), _) => Some(message),
            // What does not say which request it is about is most likely meant for the one that the stream
            // belongs to.
            (Err(why), Some(waiting)) if data.trim_start().starts_with('{') => {
                Some(message::unreadable(waiting.id.clone(), &why))
            }
            (Err(_), _) => None,
        };
        if let Some(message) = message.and_then(|message| serde_json::to_string(&message).ok()) {
            event.data = Some(message);
        }
        Ok(event)
    };
    SseStream::from_bytes_stream(bounded(response, max_bytes)).map(mended).boxed()
}

/// The bytes of a stream, up to an event that is larger than `max_bytes`: the stream ends in the middle of
/// that one.
fn bounded(
    response: Response,
    max_bytes: usize,
) -> impl Stream<Item = io::Result<Cursor<Vec<u8>>>> + Send + 'static {
    stream::unfold((Some(response), EventSize::default()), move |(response, mut size)| async move {
        let mut response = response?;
        match response.chunk().await {
            Ok(Some(chunk)) if size.largest_in(&chunk) <= max_bytes => {
                Some((Ok(Cursor::new(chunk.to_vec())), (Some(response), size)))
            }
            Ok(Some(_)) => Some((Ok(Cursor::new(b"\n\n".to_vec())), (None, size))),
            Ok(None) => None,
            Err(error) => Some((Err(io::Error::other(error)), (None, size))),
        }
    })
}

/// How large the event is that a stream is in the middle of.
#[derive(Default)]
struct EventSize {
    bytes: usize,
    line_is_empty: bool,
}

impl EventSize {
    /// The largest size of an event within a chunk.
    fn largest_in(&mut self, chunk: &[u8]) -> usize {
        let mut largest = 0;
        for byte in chunk {
            match byte {
                b'\r' => {}
                b'\n' if self.line_is_empty => self.bytes = 0,
                b'\n' => self.line_is_empty = true,
                _ => {
                    self.line_is_empty = false;
                    self.bytes += 1;
                    largest = largest.max(self.bytes);
                }
            }
        }
        largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_ends_with_an_empty_line() {
        let mut size = EventSize::default();
        assert_eq!(size.largest_in(b"data: 12\n"), 8);
        assert_eq!(size.largest_in(b"data: 12\r\n"), 16);
        assert_eq!(size.largest_in(b"\r\ndata: 1\n\n"), 7);
        assert_eq!(size.largest_in(b"data"), 4);
    }
}
