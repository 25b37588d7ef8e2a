//! What becomes of an answer on its way out: it is compressed where that is worth it and costs little, by
//! gzip alone, and held against the budget of bytes in flight until it is sent. Above 64 KiB nothing is
//! compressed on a worker, which answers everybody.

use gatepost_contract::ApiError;
use std::{
    cell::RefCell,
    convert::Infallible,
    io::{self, Write},
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    Error, HttpMessage, HttpRequest, HttpResponse,
    body::{BodySize, BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderMap, HeaderValue},
    middleware::Next,
    web::Bytes,
};
use flate2::{Compression, write::GzEncoder};

use crate::{
    State,
    budget::{self, Share},
    extensions::Authenticated,
    workers::{MOST_BYTES_ON_A_WORKER, off_the_workers},
};

/// Below this, the packets are as many.
const LEAST_BYTES: u64 = 1_024;
/// Above this it costs too much for one request.
const MOST_BYTES: u64 = 256 * 1_024;
/// How much of an answer is handed to the connection at once.
const SLICE_BYTES: usize = 64 * 1_024;
/// The name of the coding.
pub const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// Wraps every request of the server; see the module.
///
/// # Errors
/// Those of the services below that are not answers; there are none.
pub async fn send<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let takes_gzip = takes_gzip(req.headers());
    let response = next.call(req).await?;
    let BodySize::Sized(size) = response.response().body().size() else {
        return Ok(response.map_into_left_body());
    };
    let is_shared = response.response().extensions().get::<Shared>().is_some();
    let is_worth_it = (LEAST_BYTES..=MOST_BYTES).contains(&size) && is_worth_it(response.headers());
    let is_counted = size >= budget::LEAST_BYTES && !is_shared;
    if !is_worth_it && !is_counted {
        return Ok(response.map_into_left_body());
    }
    let (req, response) = response.into_parts();
    let (mut response, body) = response.into_parts();
    let mut bytes = match body.try_into_bytes() {
        Ok(bytes) => bytes,
        Err(body) => return Ok(ServiceResponse::new(req, response.set_body(EitherBody::left(body)))),
    };
    if is_worth_it {
        response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
        if takes_gzip && let Some(gzipped) = compressed(&bytes).await {
            tag_as_gzip(response.headers_mut());
            bytes = gzipped;
        }
    }
    let share = match is_counted {
        true => match share_of(&req, bytes.len() as u64).await {
            Ok(share) => Some(share),
            // What was done is told, whatever it takes: who is told to come again would do it twice.
            Err(_) if !req.method().is_safe() => None,
            Err(error) => {
                let refused = HttpResponse::from_error(ApiError::from(error));
                return Ok(ServiceResponse::new(req, refused.map_into_right_body()));
            }
        },
        false => None,
    };
    let body = BoxBody::new(Sliced { bytes, _share: share });
    Ok(ServiceResponse::new(req, response.set_body(EitherBody::right(body))))
}

/// Left in an answer whose bytes others send too: they take no room of their own.
#[derive(Debug, Clone, Copy)]
pub struct Shared;

/// Left in a request that has taken its part of the budget already, for an answer of a size that it could not
/// know.
pub struct Reserved(RefCell<Option<Share>>);

/// Takes as much of the budget as the answer to a request may need, before it is made.
///
/// # Errors
/// [`gatepost_kernel::Error::Unavailable`].
pub async fn reserve(req: &HttpRequest, state: &State, bytes: u64) -> gatepost_kernel::Result<()> {
    if bytes >= budget::LEAST_BYTES {
        let share = state.budget().take(owner(req), bytes).await?;
        req.extensions_mut().insert(Reserved(RefCell::new(Some(share))));
    }
    Ok(())
}

/// Whose bytes a request's are.
pub fn owner(req: &HttpRequest) -> budget::Owner {
    req.extensions().get::<Authenticated>().map(|authenticated| authenticated.0.workspace_id())
}

async fn share_of(req: &HttpRequest, bytes: u64) -> gatepost_kernel::Result<Share> {
    let reserved = req.extensions().get::<Reserved>().and_then(|reserved| reserved.0.take());
    if let Some(mut share) = reserved.filter(|share| share.bytes() >= bytes) {
        share.shrink(bytes);
        return Ok(share);
    }
    let state = req.app_data::<State>().cloned().ok_or(gatepost_kernel::Error::NotFound)?;
    state.budget().take(owner(req), bytes).await
}

/// The bytes of an answer, handed over piece by piece, so that the connection does not hold all of them once
/// more.
struct Sliced {
    bytes: Bytes,
    _share: Option<Share>,
}

impl MessageBody for Sliced {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.bytes.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let piece = self.bytes.len().min(SLICE_BYTES);
        Poll::Ready((piece > 0).then(|| Ok(self.bytes.split_to(piece))))
    }
}

/// The bytes, compressed; none if that failed, since they are as good without.
async fn compressed(plain: &Bytes) -> Option<Bytes> {
    if plain.len() <= MOST_BYTES_ON_A_WORKER {
        return gzip(plain, Compression::fast()).ok();
    }
    let plain = plain.clone();
    off_the_workers("compressing", move || gzip(&plain, Compression::fast())).await.ok()?.ok()
}

/// The bytes, compressed.
///
/// # Errors
/// None that memory gives; the writer's signature has them.
pub fn gzip(plain: &[u8], level: Compression) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), level);
    encoder.write_all(plain)?;
    encoder.finish().map(Bytes::from)
}

/// Says that the body is compressed, and gives it an entity tag of its own: a strong one stands for the bytes
/// (RFC 9110, 8.8.3.3).
pub fn tag_as_gzip(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_ENCODING, GZIP);
    let bare = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()?.strip_suffix('"'));
    if let Some(tag) = bare.and_then(|bare| HeaderValue::from_str(&format!("{bare}-gzip\"")).ok()) {
        headers.insert(header::ETAG, tag);
    }
}

/// Whether the caller takes gzip, and does not want the plain bytes more (RFC 9110, 12.5.3).
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT_ENCODING).filter_map(|value| value.to_str().ok());
    let (mut gzip, mut any, mut identity) = (None, None, None);
    for coding in lines.flat_map(|line| line.split(',')) {
        let mut parts = coding.split(';').map(str::trim);
        let place = match parts.next() {
            Some(name) if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
                &mut gzip
            }
            Some(name) if name.eq_ignore_ascii_case("identity") => &mut identity,
            Some("*") => &mut any,
            _ => continue,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        *place = Some(weight.map_or(1.0f32, |weight| weight.parse().unwrap_or(0.0)));
    }
    let weight = gzip.or(any).unwrap_or(0.0);
    weight > 0.0 && weight >= identity.unwrap_or(0.0)
}

/// Whether the content is text, and is not compressed already.
fn is_worth_it(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let is_text = essence.starts_with("text/") || essence.ends_with("json") || essence.ends_with("xml");
    is_text && essence != "text/event-stream" && !headers.contains_key(header::CONTENT_ENCODING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_who_takes_it() {
        for (accepted, taken) in [
            ("gzip", true),
            ("br, gzip", true),
            ("GZIP;q=0.5", true),
            ("x-gzip", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0, *", false),
            ("gzip;q=0.2, identity;q=0.5", false),
            ("gzip;q=0.5, identity;q=0.5", true),
            ("br", false),
            ("identity", false),
            ("gzip;q=nonsense", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted));
            assert_eq!(takes_gzip(&headers), taken, "{accepted}");
        }
        assert!(!takes_gzip(&HeaderMap::new()), "who says nothing gets what everybody reads");
    }
}
