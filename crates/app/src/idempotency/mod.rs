//! Repeating a request safely: the first answer is kept for 24 hours and given again.
//!
//! A key of a caller is claimed for the length of the transaction, so of many identical requests at once one
//! has its effect and the others are told that it is in progress, or get its answer. What is stored is bound
//! to the caller's token: an answer that holds a secret is encrypted with a key derived from it and the
//! header value, and the fingerprint of a request is an HMAC by it. The database alone neither opens the one
//! nor lets bodies be guessed by the other.

mod request;

use std::{sync::Arc, time::Duration};

use gatepost_gate::Principal;
use gatepost_kernel::{Error, Result, Secret, WireAnswer, random};
use gatepost_sealing::{ChaCha20Poly1305, Cipher};
use gatepost_storage::{IdempotencyRecord, Op};
use hkdf::Hkdf;
use sha2::Sha256;

use crate::{App, Caller, UnitOfWork};

pub(crate) use request::IdempotencyRequest;

const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// The status of a request that is held and not answered yet.
const UNANSWERED: u16 = 0;

pub(crate) enum Begun {
    /// The request is new, and no other with its key can run until this transaction ends.
    Fresh,
    /// It was answered before.
    Replay(WireAnswer),
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
    Ok(Begun::Replay(WireAnswer {
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
    answer: &WireAnswer,
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
    Ok(unit.tx.idempotency_insert(&record).await?)
}

/// Holds the key of a request whose effect is no part of the transaction, before the effect: whoever repeats
/// it is told that it is in progress until it is answered by [`keep`], or [`release`]d. If that never
/// happens, because this process ended in between, nobody knows whether there was an effect, and there will
/// be no second one.
pub(crate) async fn hold(unit: &mut UnitOfWork<'_>, request: &IdempotencyRequest) -> Result<()> {
    let (content_type, body) = (String::new(), Vec::new());
    let unanswered =
        WireAnswer { status: UNANSWERED, content_type, body, holds_secret: false, replayed: false };
    keep(unit, request, &unanswered).await
}

/// Holds the key of a request whose effect is no part of the transaction, if it has one; or what the same
/// request was answered before.
pub(crate) async fn claim(
    unit: &mut UnitOfWork<'_>,
    request: Option<&IdempotencyRequest>,
) -> Result<Option<WireAnswer>> {
    let Some(request) = request else { return Ok(None) };
    match begin(unit, request).await? {
        Begun::Replay(answer) => Ok(Some(answer)),
        Begun::Fresh => hold(unit, request).await.map(|()| None),
    }
}

/// Ends what [`claim`] began: keeps the answer for a repetition, or, if nothing was done, lets the request be
/// made anew.
pub(crate) async fn settle(
    app: &App,
    caller: &Caller,
    request: Option<Arc<IdempotencyRequest>>,
    answer: Option<WireAnswer>,
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
        tracing::warn!(error = %error.for_log(), "an answer was not kept for a repetition");
    }
}

/// Lets the key of a request be used anew that is held and has had no effect.
pub(crate) async fn release(unit: &mut UnitOfWork<'_>, request: &IdempotencyRequest) -> Result<()> {
    match unit.caller().principal().map(Principal::key_id) {
        Some(key_id) => Ok(unit.tx.idempotency_delete(key_id, &request.key).await?),
        None => Ok(()),
    }
}

impl App {
    /// Runs a use-case that ends in an answer, at most once for each idempotency key of the caller: a
    /// repetition gets the kept answer, which was written in the transaction of the effect.
    ///
    /// # Errors
    /// As [`App::transact`]; [`gatepost_kernel::Error::IdempotencyInProgress`] and
    /// [`gatepost_kernel::Error::IdempotencyKeyReused`].
    pub async fn answer<F>(&self, caller: &Caller, body: F) -> Result<WireAnswer>
    where
        for<'u, 'c> F: AsyncFnOnce(&'u mut UnitOfWork<'c>) -> Result<WireAnswer>
            + Op<&'u mut UnitOfWork<'c>, Result<WireAnswer>, Fut: Send>
            + Send
            + 'static,
    {
        let idempotency = caller.idempotency().cloned();
        self.transact(caller, async move |unit: &mut UnitOfWork<'_>| {
            let Some(request) = idempotency else { return body(unit).await };
            match begin(unit, &request).await? {
                Begun::Replay(answer) => Ok(answer),
                Begun::Fresh => {
                    let answer = body(unit).await?;
                    keep(unit, &request, &answer).await?;
                    Ok(answer)
                }
            }
        })
        .await
    }

    /// Keeps the answer of a use-case that refused, after its transaction was undone. Answers with it, or
    /// with what another request with the same idempotency key was answered meanwhile.
    ///
    /// # Errors
    /// [`gatepost_kernel::Error::Unavailable`]; also if the caller's key was revoked meanwhile.
    pub async fn keep_refusal(&self, caller: &Caller, answer: WireAnswer) -> Result<WireAnswer> {
        let Some(request) = caller.idempotency().cloned() else { return Ok(answer) };
        self.transact(caller, async move |unit: &mut UnitOfWork<'_>| match begin(unit, &request).await? {
            Begun::Replay(earlier) => Ok(earlier),
            Begun::Fresh => {
                keep(unit, &request, &answer).await?;
                Ok(answer)
            }
        })
        .await
    }
}

fn cipher(token: &Secret, idempotency_key: &str) -> Result<Cipher<ChaCha20Poly1305>> {
    let mut key = [0u8; 32];
    Hkdf::<Sha256>::new(Some(b"gatepost idempotency"), token.expose().as_bytes())
        .expand(idempotency_key.as_bytes(), &mut key)
        .map_err(Error::failed("deriving a key"))?;
    Ok(Cipher::new(&key))
}

fn seal(token: &Secret, idempotency_key: &str, body: &[u8]) -> Result<Vec<u8>> {
    let sealed = cipher(token, idempotency_key)?.seal(&mut random::rng(), body, b"");
    sealed.map_err(Error::failed("sealing an answer"))
}

fn open(token: &Secret, idempotency_key: &str, sealed: &[u8]) -> Result<Vec<u8>> {
    let text = cipher(token, idempotency_key)?.open(sealed, b"");
    text.ok_or_else(|| Error::internal("a sealed answer cannot be opened"))
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
}
