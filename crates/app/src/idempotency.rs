//! Repeating a request safely: the first answer is kept for 24 hours and given again.
//!
//! A key of a caller is claimed for the length of the transaction, so of many identical requests at once one
//! has its effect and the others are told that it is in progress, or get its answer. What is stored is bound to the caller's token: an
//! answer that holds a secret is encrypted with a key derived from it and the header value, and the fingerprint of a request is an HMAC
//! by it. The database alone neither opens the one nor lets bodies be guessed by the other.

use std::{sync::Arc, time::Duration};

use chacha20poly1305::{
    ChaCha20Poly1305, Nonce,
    aead::{Aead, KeyInit},
};
use gatepost_kernel::{Error, Result, Secret, random};
use gatepost_storage::IdempotencyRecord;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use rand::Rng;
use sha2::Sha256;

use crate::{App, Caller, Principal, UnitOfWork};

const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// The status of a request that is held and not answered yet.
const UNANSWERED: u16 = 0;
const NONCE_LEN: usize = 12;
const MAX_KEY_LEN: usize = 255;

/// An answer as it goes over the wire.
#[derive(Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The media type of the body; empty when there is none.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the body holds a secret.
    pub holds_secret: bool,
    /// Whether this is a kept answer, given again.
    pub replayed: bool,
}

/// The key of a request, and what it was used for.
#[derive(Debug)]
pub struct IdempotencyRequest {
    pub(crate) key: String,
    fingerprint: [u8; 32],
}

impl IdempotencyRequest {
    /// Reads the header's value, bare or quoted (both spellings are the same key), for a request with this token and these parts:
    /// method, path, workspace and body.
    ///
    /// # Errors
    /// [`Error::Validation`] if it is not 1–255 visible ASCII characters; [`Error::Internal`] if there is no fingerprint.
    pub(crate) fn new(value: &[u8], token: &Secret, parts: [&[u8]; 4]) -> Result<Self> {
        let text = std::str::from_utf8(value).unwrap_or_default().trim();
        let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        if !(1..=MAX_KEY_LEN).contains(&bare.len())
            || !bare.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
        {
            let message = "The Idempotency-Key must be 1 to 255 visible ASCII characters.";
            return Err(Error::invalid("Idempotency-Key", message));
        }
        let mut fingerprint = Hmac::<Sha256>::new_from_slice(token.expose().as_bytes())
            .map_err(|e| Error::Internal(format!("a fingerprint: {e}")))?;
        for part in parts {
            fingerprint.update(&(part.len() as u64).to_be_bytes());
            fingerprint.update(part);
        }
        Ok(Self { key: bare.to_owned(), fingerprint: fingerprint.finalize().into_bytes().into() })
    }
}

pub(crate) enum Begun {
    /// The request is new, and no other with its key can run until this transaction ends.
    Fresh,
    /// It was answered before.
    Replay(Answer),
}

pub(crate) async fn begin(unit: &mut UnitOfWork<'_>, request: &IdempotencyRequest) -> Result<Begun> {
    let caller = unit.caller();
    let (Some(key_id), Some(token)) = (caller.principal().map(Principal::key_id), caller.token().cloned())
    else {
        return Ok(Begun::Fresh);
    };
    if !unit.tx.idempotency_try_lock(key_id, &request.key).await? {
        return Err(Error::IdempotencyInProgress);
    }
    let Some(record) = unit.tx.idempotency_get(key_id, &request.key, unit.now).await? else {
        return Ok(Begun::Fresh);
    };
    if record.fingerprint != request.fingerprint {
        return Err(Error::IdempotencyKeyReused);
    }
    if record.status == UNANSWERED {
        return Err(Error::IdempotencyInProgress);
    }
    let body = if record.sealed { open(&token, &request.key, &record.body)? } else { record.body };
    Ok(Begun::Replay(Answer {
        status: record.status,
        content_type: record.content_type,
        body,
        holds_secret: record.sealed,
        replayed: true,
    }))
}

pub(crate) async fn keep(
    unit: &mut UnitOfWork<'_>,
    request: &IdempotencyRequest,
    answer: &Answer,
) -> Result<()> {
    let (Some(principal), Some(token)) = (unit.caller().principal(), unit.caller().token()) else {
        return Ok(());
    };
    let body =
        if answer.holds_secret { seal(token, &request.key, &answer.body)? } else { answer.body.clone() };
    let record = IdempotencyRecord {
        api_key_id: principal.key_id(),
        idempotency_key: request.key.clone(),
        workspace_id: unit.caller().workspace_id(),
        environment: unit.caller().environment(),
        fingerprint: request.fingerprint,
        status: answer.status,
        sealed: answer.holds_secret,
        content_type: answer.content_type.clone(),
        body,
        created_at: unit.now,
        expires_at: unit.now.plus(KEPT_FOR),
    };
    Ok(unit.tx.idempotency_insert(record).await?)
}

/// Holds the key of a request whose effect is no part of the transaction, before the effect: whoever repeats it is told that it
/// is in progress until it is answered by [`keep`], or [`release`]d. If that never happens, because this process ended in
/// between, nobody knows whether there was an effect, and there will be no second one.
pub(crate) async fn hold(unit: &mut UnitOfWork<'_>, request: &IdempotencyRequest) -> Result<()> {
    let (content_type, body) = (String::new(), Vec::new());
    let unanswered = Answer { status: UNANSWERED, content_type, body, holds_secret: false, replayed: false };
    keep(unit, request, &unanswered).await
}

/// Holds the key of a request whose effect is no part of the transaction, if it has one; or what the same request was answered before.
pub(crate) async fn claim(
    unit: &mut UnitOfWork<'_>,
    request: Option<&IdempotencyRequest>,
) -> Result<Option<Answer>> {
    let Some(request) = request else { return Ok(None) };
    match begin(unit, request).await? {
        Begun::Replay(answer) => Ok(Some(answer)),
        Begun::Fresh => hold(unit, request).await.map(|()| None),
    }
}

/// Ends what [`claim`] began: keeps the answer for a repetition, or, if nothing was done, lets the request be made anew.
pub(crate) async fn settle(
    app: &App,
    caller: &Caller,
    request: Option<Arc<IdempotencyRequest>>,
    answer: Option<Answer>,
    nothing_was_done: bool,
) {
    let Some(request) = request else { return };
    let settled = app.transact(caller, async move |unit: &mut UnitOfWork<'_>| match answer {
        _ if nothing_was_done => release(unit, &request).await,
        Some(answer) => keep(unit, &request, &answer).await,
        None => Ok(()),
    });
    if let Err(error) = settled.await {
        // It is done; a repetition is told that it is in progress.
        let context = error.internal_context().map_or_else(|| error.to_string(), str::to_owned);
        tracing::warn!(error = context, "an answer was not kept for a repetition");
    }
}

/// Lets the key of a request be used anew that is held and has had no effect.
pub(crate) async fn release(unit: &mut UnitOfWork<'_>, request: &IdempotencyRequest) -> Result<()> {
    match unit.caller().principal().map(Principal::key_id) {
        Some(key_id) => Ok(unit.tx.idempotency_delete(key_id, &request.key).await?),
        None => Ok(()),
    }
}

fn cipher(token: &Secret, idempotency_key: &str) -> Result<ChaCha20Poly1305> {
    let mut key = [0u8; 32];
    Hkdf::<Sha256>::new(Some(b"gatepost idempotency"), token.expose().as_bytes())
        .expand(idempotency_key.as_bytes(), &mut key)
        .map_err(|e| Error::Internal(format!("deriving a key: {e}")))?;
    ChaCha20Poly1305::new_from_slice(&key).map_err(|e| Error::Internal(format!("using a derived key: {e}")))
}

fn seal(token: &Secret, idempotency_key: &str, body: &[u8]) -> Result<Vec<u8>> {
    let mut nonce = [0u8; NONCE_LEN];
    random::rng().fill_bytes(&mut nonce);
    let sealed = cipher(token, idempotency_key)?
        .encrypt(&Nonce::from(nonce), body)
        .map_err(|e| Error::Internal(format!("sealing an answer: {e}")))?;
    Ok([nonce.as_slice(), &sealed].concat())
}

fn open(token: &Secret, idempotency_key: &str, sealed: &[u8]) -> Result<Vec<u8>> {
    let broken = || Error::Internal("a sealed answer cannot be opened".to_owned());
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(broken)?;
    cipher(token, idempotency_key)?.decrypt(&Nonce::from(*nonce), sealed).map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn only_the_same_token_and_key_open_a_sealed_answer() {
        let sealed = seal(&secret("token"), "key", b"body").expect("sealed");
        assert!(!sealed.windows(4).any(|w| w == b"body"));
        assert_eq!(open(&secret("token"), "key", &sealed).ok().as_deref(), Some(&b"body"[..]));
        assert!(open(&secret("other"), "key", &sealed).is_err());
        assert!(open(&secret("token"), "other", &sealed).is_err());
        assert!(open(&secret("token"), "key", &sealed[..11]).is_err());
    }

    #[test]
    fn quoted_and_bare_are_the_same_key_and_bad_ones_are_refused() {
        let new = |value: &[u8]| IdempotencyRequest::new(value, &secret("token"), [b"POST", b"/", b"1", b""]);
        assert_eq!(new(b"abc").map(|r| r.key).ok(), new(b"\"abc\"").map(|r| r.key).ok());
        for bad in [&b""[..], b"\"\"", b"a\tb", b"\xff", &[b'x'; 256]] {
            assert!(new(bad).is_err());
        }
    }

    #[test]
    fn the_fingerprint_covers_every_part_and_the_token() {
        let print = |token: &str, parts: [&[u8]; 4]| {
            IdempotencyRequest::new(b"k", &secret(token), parts).expect("a request").fingerprint
        };
        let base = print("token", [b"POST", b"/a", b"1", b"x"]);
        let others = [
            print("other", [b"POST", b"/a", b"1", b"x"]),
            print("token", [b"PUT", b"/a", b"1", b"x"]),
            print("token", [b"POST", b"/b", b"1", b"x"]),
            print("token", [b"POST", b"/a", b"2", b"x"]),
            print("token", [b"POST", b"/a", b"1", b"y"]),
            print("token", [b"POST", b"/", b"a1", b"x"]),
        ];
        assert!(others.iter().all(|other| *other != base));
    }
}
