//! The bytes of large bodies and answers that are in flight, of all clients together.
//!
//! Whoever does not fit waits for others to finish. While anybody else waits, a workspace has at most half of
//! it, so that one which fills it cannot shut the others out.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use gatepost_kernel::{Error, LockAnyway, Result, WorkspaceId};
use tokio::{sync::oneshot, time::timeout};

/// How much there is.
const TOTAL_BYTES: u64 = 48 << 20;
/// What a body counts as at most. The largest would be all there is, and could not come in while anybody else
/// holds a part.
pub const MOST_FOR_A_BODY: u64 = TOTAL_BYTES / 3 * 2;
/// How long anybody waits for their part.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is smaller is not counted.
pub const LEAST_BYTES: u64 = 16 << 10;

/// Whose bytes they are; those of who shows no key are nobody's, and count together.
pub type Owner = Option<WorkspaceId>;

/// What is left, and who waits. Cloning is cheap.
#[derive(Clone, Default)]
pub struct Budget(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    taken: u64,
    by_owner: HashMap<Owner, u64>,
    waiting: VecDeque<Waiter>,
}

struct Waiter {
    owner: Owner,
    bytes: u64,
    granted: oneshot::Sender<Share>,
}

/// A part of the budget, given back when it is dropped.
pub struct Share {
    budget: Budget,
    owner: Owner,
    bytes: u64,
}

impl Budget {
    /// How much is taken.
    pub fn taken_bytes(&self) -> u64 {
        self.0.lock_anyway().taken
    }

    /// Takes `bytes` for `owner`; more than there is counts as all of it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if there is no room in time.
    pub async fn take(&self, owner: Owner, bytes: u64) -> Result<Share> {
        let bytes = bytes.min(TOTAL_BYTES);
        let mut waiting = {
            let mut book = self.lock();
            if book.has_room(owner, bytes) {
                book.grant(owner, bytes);
                return Ok(Share { budget: self.clone(), owner, bytes });
            }
            let (granted, waiting) = oneshot::channel();
            book.waiting.push_back(Waiter { owner, bytes, granted });
            waiting
        };
        // Others may fit that did before: from now on somebody waits, or nobody of another owner does.
        match timeout(PATIENCE, &mut waiting).await {
            Ok(Ok(share)) => Ok(share),
            _ => {
                // One that was granted a moment ago is given back by being dropped.
                waiting.close();
                self.serve();
                Err(Error::unavailable("too many bytes of requests and answers are in flight"))
            }
        }
    }

    /// Grants what fits to those who wait, in their order.
    fn serve(&self) {
        let mut shares = Vec::new();
        let mut book = self.lock();
        book.waiting.retain(|waiter| !waiter.granted.is_closed());
        let mut index = 0;
        while let Some(waiter) = book.waiting.get(index) {
            let (owner, bytes) = (waiter.owner, waiter.bytes);
            if !book.has_room_for_waiting(owner, bytes) {
                index += 1;
                continue;
            }
            book.grant(owner, bytes);
            if let Some(waiter) = book.waiting.remove(index) {
                shares.push((waiter.granted, Share { budget: self.clone(), owner, bytes }));
            }
            index = 0;
        }
        drop(book);
        for (granted, share) in shares {
            // Who has gone away gives it back by dropping it.
            drop(granted.send(share));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock_anyway()
    }
}

impl Book {
    /// Whether one who has just come may have so much: there is room, and nobody is passed by who could use
    /// it.
    fn has_room(&self, owner: Owner, bytes: u64) -> bool {
        let waits = |waiter: &Waiter| waiter.owner == owner && !waiter.granted.is_closed();
        !self.waiting.iter().any(waits) && self.has_room_for_waiting(owner, bytes)
    }

    fn has_room_for_waiting(&self, owner: Owner, bytes: u64) -> bool {
        let has = self.by_owner.get(&owner).copied().unwrap_or(0);
        let others_wait =
            self.waiting.iter().any(|waiter| waiter.owner != owner && !waiter.granted.is_closed());
        // Who has nothing may have one thing of any size.
        let is_fair = !others_wait || has == 0 || has + bytes <= TOTAL_BYTES / 2;
        self.taken + bytes <= TOTAL_BYTES && is_fair
    }

    fn grant(&mut self, owner: Owner, bytes: u64) {
        self.taken += bytes;
        *self.by_owner.entry(owner).or_default() += bytes;
    }
}

impl Share {
    /// How much it is.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// This and another of the same owner, as one.
    pub fn and(mut self, mut other: Self) -> Self {
        debug_assert_eq!(self.owner, other.owner);
        self.bytes += std::mem::take(&mut other.bytes);
        self
    }

    /// Gives back what is more than `bytes`.
    pub fn shrink(&mut self, bytes: u64) {
        let less = self.bytes.saturating_sub(bytes);
        if less == 0 {
            return;
        }
        self.bytes -= less;
        {
            let mut book = self.budget.lock();
            book.taken -= less;
            if let Some(has) = book.by_owner.get_mut(&self.owner) {
                *has -= less;
                if *has == 0 {
                    book.by_owner.remove(&self.owner);
                }
            }
        }
        self.budget.serve();
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;

    const HALF: u64 = TOTAL_BYTES / 2;
    const A: Owner = Some(WorkspaceId(1));
    const B: Owner = Some(WorkspaceId(2));

    #[tokio::test]
    async fn one_alone_may_have_all_and_half_while_another_waits() {
        let budget = Budget::default();
        let mut held =
            vec![budget.take(A, HALF).await.expect("room"), budget.take(A, HALF).await.expect("room")];
        let mut other = Box::pin(budget.take(B, 1 << 20));
        assert!(other.as_mut().now_or_never().is_none(), "nothing is left");
        let mut more = Box::pin(budget.take(A, 1 << 20));
        assert!(more.as_mut().now_or_never().is_none());
        drop(held.pop());
        let other = other.now_or_never().expect("a part").expect("room");
        let more = more.now_or_never().expect("nobody else waits now").expect("room");
        assert_eq!((other.bytes(), more.bytes()), (1 << 20, 1 << 20));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_told_so_and_keeps_nobody_out() {
        let budget = Budget::default();
        let held = budget.take(A, TOTAL_BYTES).await.expect("room");
        let refused = budget.take(B, 1).await;
        assert!(matches!(refused, Err(Error::Unavailable { .. })));
        drop(held);
        budget.take(A, 3 * TOTAL_BYTES).await.expect("nobody waits any more, and more than all is all");
        let book = budget.lock();
        assert_eq!((book.taken, book.by_owner.len()), (0, 0), "all is given back");
    }

    #[tokio::test]
    async fn what_turns_out_smaller_makes_room() {
        let budget = Budget::default();
        let mut share = budget.take(A, TOTAL_BYTES).await.expect("room");
        let mut waiting = Box::pin(budget.take(B, HALF));
        assert!(waiting.as_mut().now_or_never().is_none());
        share.shrink(1_000);
        waiting.now_or_never().expect("a part").expect("room");
        let both = share.and(budget.take(A, 500).await.expect("room"));
        assert_eq!((both.bytes(), budget.lock().taken), (1_500, 1_500));
    }

    proptest! {
        /// Whoever comes and goes in whichever order: there is never more than there is, and what is held is
        /// what was granted.
        #[test]
        fn nothing_is_granted_twice_or_lost(steps in prop::collection::vec((0..3i64, 1..=HALF, any::<bool>()), 1..80)) {
            let budget = Budget::default();
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
            let _context = runtime.enter();
            let (mut held, mut waiting) = (Vec::new(), Vec::new());
            for (owner, bytes, comes) in steps {
                let owner = (owner > 0).then_some(WorkspaceId(owner));
                if comes || held.is_empty() {
                    let budget = budget.clone();
                    waiting.push(Box::pin(async move { budget.take(owner, bytes).await }));
                } else {
                    held.swap_remove(usize::try_from(bytes).unwrap_or(0) % held.len());
                }
                waiting.retain_mut(|take| match take.as_mut().now_or_never() {
                    Some(share) => {
                        held.push(share.expect("in time"));
                        false
                    }
                    None => true,
                });
                let book = budget.lock();
                prop_assert_eq!(book.taken, held.iter().map(Share::bytes).sum::<u64>());
                prop_assert_eq!(book.taken, book.by_owner.values().sum::<u64>());
                prop_assert!(book.taken <= TOTAL_BYTES);
            }
        }
    }
}
