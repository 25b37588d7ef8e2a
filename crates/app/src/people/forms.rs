//! Forms that show a secret once: a reload of the page that shows it shows the same again, for ten minutes, and
//! does nothing more.
//!
//! What such a form came to is sealed with a key derived from the form's random id, of which only a digest is
//! kept: the database alone opens nothing.

use std::time::Duration;

use gatepost_kernel::{Error, Result, Secret, random};
use gatepost_people::{OpaqueToken, SecretDigest};
use gatepost_sealing::{ChaCha20Poly1305, Cipher};
use gatepost_storage::Op;
use hkdf::Hkdf;
use sha2::{Digest, Sha256};

use crate::{App, Caller, UnitOfWork};

/// For how long a reload shows the secret again.
pub const SHOWN_FOR: Duration = Duration::from_mins(10);

/// A form that somebody sends, with what they filled in.
#[derive(Debug, Clone)]
pub struct Submission {
    id: OpaqueToken,
    fields: [u8; 32],
}

impl Submission {
    /// The form with this random id, filled in like this. The same form filled in otherwise is another.
    pub fn new<'f>(id: OpaqueToken, fields: impl Iterator<Item = (&'f str, &'f str)>) -> Self {
        let mut digest = Sha256::new();
        for part in fields.flat_map(|(name, value)| [name, value]) {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Self { id, fields: digest.finalize().into() }
    }

    fn digest(&self, member: i64) -> SecretDigest {
        let mut digest = Sha256::new_with_prefix(member.to_be_bytes());
        digest.update(self.fields);
        digest.update(self.id.expose());
        SecretDigest(digest.finalize().into())
    }

    fn cipher(&self) -> Result<Cipher<ChaCha20Poly1305>> {
        let mut key = [0u8; 32];
        Hkdf::<Sha256>::new(Some(b"gatepost form"), self.id.expose().as_bytes())
            .expand(&self.fields, &mut key)
            .map_err(Error::failed("deriving a key"))?;
        Ok(Cipher::new(&key))
    }
}

impl App {
    /// Runs a use-case of a member that ends in a text with a secret, once for each submission: a repetition
    /// gets the same text.
    ///
    /// # Errors
    /// As [`App::transact`]; [`Error::Unauthorized`] for a caller who is no member; [`Error::Conflict`] if the
    /// secret was shown for as long as it may be.
    pub async fn submit<F>(&self, caller: &Caller, submission: Submission, body: F) -> Result<Secret>
    where
        for<'u, 'c> F: AsyncFnOnce(&'u mut UnitOfWork<'c>) -> Result<Secret>
            + Op<&'u mut UnitOfWork<'c>, Result<Secret>, Fut: Send>
            + Send
            + 'static,
    {
        let member = caller.acting().map(|acting| acting.member_id).ok_or(Error::Unauthorized)?;
        self.transact(caller, async move |unit: &mut UnitOfWork<'_>| {
            let (digest, cipher, now) = (submission.digest(member.0), submission.cipher()?, unit.now);
            if unit.tx.form_submission_claim(digest, member, now.plus(SHOWN_FOR)).await? {
                let shown = body(unit).await?;
                let sealed = cipher.seal(&mut random::rng(), shown.expose().as_bytes(), b"");
                let sealed = sealed.map_err(Error::failed("sealing what a form came to"))?;
                unit.tx.form_submission_set_outcome(digest, &sealed).await?;
                return Ok(shown);
            }
            let too_late = || {
                Error::Conflict("This form was sent already, and what it made is shown no more.".to_owned())
            };
            let sealed = unit.tx.form_submission_get(digest, now).await?.ok_or_else(too_late)?;
            let shown = cipher.open(&sealed, b"").and_then(|text| String::from_utf8(text).ok());
            shown.map(Secret::new).ok_or_else(|| Error::internal("what a form came to cannot be opened"))
        })
        .await
    }
}
