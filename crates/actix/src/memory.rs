//! What the gate knows of earlier answers, so that nobody makes it ask Gatepost again and again.
//!
//! A refusal holds for a second. An address has so many calls a minute for tokens that were not let in
//! lately, a few at a time; those that were are asked about whatever else comes from there.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use gatepost_kernel::{Clock, Error, LockAnyway, Timestamp};
use gatepost_keys::TokenDigest;
use gatepost_keys::presented::network_of;
use gatepost_limits::MinuteWindow;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{decision::Wanted, refusal::Refusal};

/// For how long a refusal is given again.
const REFUSED_FOR: Duration = Duration::from_secs(1);
/// For how long a token that was let in is not held against its address.
const KNOWN_FOR: Duration = Duration::from_secs(60);
/// How many calls an address has a minute.
const CALLS_PER_MINUTE: u64 = 60;
/// How many of them at a time.
const CALLS_AT_ONCE: usize = 8;
/// How much of each kind is remembered.
const MAX_REMEMBERED: usize = 10_000;

/// What Gatepost is asked.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Question {
    pub token: TokenDigest,
    pub wanted: Arc<Wanted>,
    pub address: Option<IpAddr>,
}

/// What is remembered.
pub struct Memory {
    clock: Arc<dyn Clock>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    refusals: HashMap<Question, (Refusal, Timestamp)>,
    known: HashMap<TokenDigest, Timestamp>,
    addresses: HashMap<IpAddr, Address>,
}

struct Address {
    turns: Arc<Semaphore>,
    calls: MinuteWindow,
}

impl Default for Address {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(CALLS_AT_ONCE)), calls: MinuteWindow::new() }
    }
}

/// A call that is held against an address.
pub struct Call {
    network: IpAddr,
    at: Timestamp,
}

impl Memory {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, book: Mutex::default() }
    }

    /// The refusal that this question was answered with a moment ago.
    pub fn refusal(&self, question: &Question) -> Option<Refusal> {
        let now = self.clock.now();
        let book = self.lock();
        book.refusals.get(question).filter(|(_, until)| now < *until).map(|(refusal, _)| refusal.clone())
    }

    /// Whether the token was let in lately.
    pub fn knows(&self, token: &TokenDigest) -> bool {
        let now = self.clock.now();
        self.lock().known.get(token).is_some_and(|until| now < *until)
    }

    /// Waits until an address may make one more call. The turn ends when it is dropped.
    pub async fn turn(&self, address: Option<IpAddr>) -> Option<OwnedSemaphorePermit> {
        let turns = {
            let (now, mut book) = (self.clock.now(), self.lock());
            make_room(&mut book.addresses, |address| {
                Arc::strong_count(&address.turns) > 1 || !address.calls.is_idle(now)
            });
            book.addresses.entry(network_of(address)).or_default().turns.clone()
        };
        turns.acquire_owned().await.ok()
    }

    /// Counts a call for an address.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if it had all of them.
    pub fn call(&self, address: Option<IpAddr>) -> Result<Call, Error> {
        let (now, network) = (self.clock.now(), network_of(address));
        let mut book = self.lock();
        let calls = &mut book.addresses.entry(network).or_default().calls;
        if calls.used(now) < CALLS_PER_MINUTE {
            calls.add(now, 1);
            return Ok(Call { network, at: now });
        }
        let retry_at = calls.frees_at(now, 1);
        let wait = retry_at.since(now).as_micros().div_ceil(1_000_000);
        Err(Error::RateLimited {
            retry_after_seconds: u64::try_from(wait).unwrap_or(u64::MAX).max(1),
            limit: CALLS_PER_MINUTE,
            reset_at: retry_at.rounded_up(),
        })
    }

    /// Takes a call back that told of nobody's bad token.
    pub fn give_back(&self, call: &Call) {
        let now = self.clock.now();
        if let Some(address) = self.lock().addresses.get_mut(&call.network) {
            address.calls.give_back(call.at, now, 1);
        }
    }

    /// Notes that a token was let in.
    pub fn let_in(&self, token: TokenDigest) {
        let (now, mut book) = (self.clock.now(), self.lock());
        make_room(&mut book.known, |until| now < *until);
        book.known.insert(token, now.plus(KNOWN_FOR));
    }

    /// Notes that a question was answered with a refusal.
    pub fn refuse(&self, question: Question, refusal: Refusal) {
        let (now, mut book) = (self.clock.now(), self.lock());
        make_room(&mut book.refusals, |(_, until)| now < *until);
        book.refusals.insert(question, (refusal, now.plus(REFUSED_FOR)));
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock_anyway()
    }
}

/// Drops from a full map what is not in use any more, or all of it.
fn make_room<K: Hash + Eq, V>(map: &mut HashMap<K, V>, mut is_in_use: impl FnMut(&mut V) -> bool) {
    if map.len() >= MAX_REMEMBERED {
        map.retain(|_, value| is_in_use(value));
    }
    if map.len() >= MAX_REMEMBERED {
        map.clear();
    }
}
