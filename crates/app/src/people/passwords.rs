//! Work on passwords: one at a time, on a thread of its own that yields to all others. Each piece takes tens
//! of milliseconds and 19 MiB, and must cost nothing to those who ask about keys.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        OnceLock,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use gatepost_kernel::{Cause, Error, Fate, Result, Secret, random};
use gatepost_people::{PasswordHash, check_password};
use tokio::sync::oneshot;

/// How many may wait; whoever comes then is asked to come again.
const MOST_WAITING: usize = 32;

type Job = Box<dyn FnOnce() + Send>;

/// The thread, which starts with the first password.
#[derive(Default)]
pub(crate) struct Passwords(OnceLock<SyncSender<Job>>);

impl Passwords {
    /// What is kept of a password.
    pub(crate) async fn hash(&self, password: Secret) -> Result<PasswordHash> {
        self.run(move || PasswordHash::new(&password, &mut random::rng())).await
    }

    /// Whether a password is the one of an account; if there is no account, it takes as long to say no.
    pub(crate) async fn is_of(&self, hash: Option<PasswordHash>, password: Secret) -> Result<bool> {
        self.run(move || match hash {
            Some(hash) => hash.is_of(&password),
            None => {
                PasswordHash::compare_with_nobodys(&password);
                false
            }
        })
        .await
    }

    /// Refuses a password that is easily guessed by whoever knows these words.
    pub(crate) async fn check(&self, password: Secret, known: Vec<String>) -> Result<()> {
        let checked = self.run(move || {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            check_password(password.expose(), &known)
        });
        checked.await?.map_err(|error| Error::invalid("password", error))
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (done, result) = oneshot::channel();
        let job = Box::new(move || {
            // Nobody waits any more if the request has ended.
            let _ = done.send(work());
        });
        let jobs = self.0.get_or_init(start);
        jobs.try_send(job).map_err(|_| Error::Unavailable {
            fate: Fate::Undone,
            cause: Cause::new("too many passwords wait to be checked"),
        })?;
        result.await.map_err(|_| Error::internal("the work on a password has failed"))
    }
}

fn start() -> SyncSender<Job> {
    let (jobs, waiting): (SyncSender<Job>, Receiver<Job>) = sync_channel(MOST_WAITING);
    let work = move || {
        gatepost_threads::yield_to_others();
        for job in waiting {
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("the work on a password has panicked");
            }
        }
    };
    let started = thread::Builder::new().name("gatepost-password".to_owned()).spawn(work);
    if let Err(error) = started {
        // The channel is closed, so each is told that it is not possible now.
        tracing::error!(%error, "the thread for passwords did not start");
    }
    jobs
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_checked_against_its_hash_or_nobodys() {
        let passwords = Passwords::default();
        let hash = passwords.hash(secret("ochre tunnel parsnip")).await.expect("a hash");
        for (hash, password, expected) in [
            (Some(hash.clone()), "ochre tunnel parsnip", true),
            (Some(hash), "ochre tunnel parsnips", false),
            (None, "ochre tunnel parsnip", false),
        ] {
            assert_eq!(passwords.is_of(hash, secret(password)).await.expect("an answer"), expected);
        }
        let weak = passwords.check(secret("password1234"), Vec::new()).await;
        assert!(matches!(weak, Err(Error::Validation(_))), "{weak:?}");
    }

    #[tokio::test]
    async fn whoever_comes_when_too_many_wait_is_asked_to_come_again() {
        let passwords = Passwords::default();
        let (go, wait) = mpsc::channel::<()>();
        let (begun, begins) = mpsc::channel::<()>();
        let first = passwords.run(move || {
            let _ = begun.send(());
            let _ = wait.recv();
        });
        let mut first = std::pin::pin!(first);
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        begins.recv().expect("the first has begun");
        let mut waiting: Vec<_> = (0..MOST_WAITING).map(|_| Box::pin(passwords.run(|| ()))).collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one.as_mut()).is_pending());
        }
        let refused = passwords.run(|| ()).await;
        assert!(matches!(refused, Err(Error::Unavailable { fate: Fate::Undone, .. })), "{refused:?}");
        go.send(()).expect("the thread waits");
        first.await.expect("the first");
        for one in waiting {
            one.await.expect("each in turn");
        }
    }

    #[tokio::test]
    async fn work_that_panics_ends_for_its_caller_alone() {
        let passwords = Passwords::default();
        let failed = passwords.run(|| panic!("as a library might")).await;
        assert!(matches!(failed, Err(Error::Internal(_))), "{failed:?}");
        passwords.run(|| ()).await.expect("the next");
    }
}
