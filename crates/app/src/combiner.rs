//! Many callers, one transaction, and to each its own answer.
//!
//! Whoever comes while a transaction is under way waits, with all others who do, for the next one. An idle
//! server answers the first at once; a busy one has the more to gain. The transaction runs in a task of its
//! own, so a caller that goes away takes nothing from the others.

use std::{
    collections::VecDeque,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard},
};

use futures_util::FutureExt;
use gatepost_kernel::{Cause, Error, Fate, LockAnyway, Result};
use gatepost_metrics::Histogram;
use tokio::{runtime::Handle, sync::oneshot};

/// How many may usually wait; beyond that the database is far behind.
pub(crate) const MAX_WAITING: usize = 4_096;

/// What the transactions of one kind have in common.
pub(crate) struct Combiner<R, A> {
    queue: Mutex<Queue<R, A>>,
    limits: Limits<R>,
    /// How many requests went into each transaction.
    sizes: Histogram,
}

/// How much goes into one transaction, and how many run at a time.
pub(crate) struct Limits<R> {
    /// How many may wait; whoever comes then is sent away.
    pub waiting: usize,
    /// The sum of the weights of those who wait; a single one may weigh more.
    pub waiting_weight: usize,
    /// Transactions at a time.
    pub lanes: usize,
    /// Requests in one.
    pub requests: usize,
    /// The sum of the requests' weights in one; a single one may weigh more.
    pub weight: usize,
    /// What a request weighs.
    pub weigh: fn(&R) -> usize,
}

type Reply<A> = oneshot::Sender<Result<A>>;

struct Queue<R, A> {
    waiting: VecDeque<(R, Reply<A>)>,
    /// What those weigh.
    weight: usize,
    running: usize,
}

impl<R: Send + 'static, A: Send + 'static> Combiner<R, A> {
    pub(crate) fn new(limits: Limits<R>, sizes: Histogram) -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::new(Queue { waiting: VecDeque::new(), weight: 0, running: 0 }),
            limits,
            sizes,
        })
    }

    /// Puts a request into the next transaction. `work` runs transactions, if none is running that would take
    /// the request along; it answers each of its requests, in their order.
    pub(crate) async fn submit<W, F>(self: &Arc<Self>, runtime: &Handle, request: R, work: W) -> Result<A>
    where
        W: Fn(Vec<R>) -> F + Send + 'static,
        F: Future<Output = Vec<Result<A>>> + Send,
    {
        let (reply, answer) = oneshot::channel();
        let start = {
            let mut queue = self.queue();
            let weight = queue.weight.saturating_add((self.limits.weigh)(&request));
            let is_too_much = weight > self.limits.waiting_weight && !queue.waiting.is_empty();
            if queue.waiting.len() >= self.limits.waiting || is_too_much {
                return Err(Error::unavailable("too many requests are waiting for the database"));
            }
            queue.weight = weight;
            queue.waiting.push_back((request, reply));
            let start = queue.running < self.limits.lanes;
            queue.running += usize::from(start);
            start
        };
        if start {
            let combiner = self.clone();
            runtime.spawn(async move {
                while let Some((requests, replies)) = combiner.next() {
                    combiner.sizes.observe(requests.len() as f64);
                    // Whoever waits behind a group that panics is not to wait for ever.
                    let Ok(answers) = AssertUnwindSafe(work(requests)).catch_unwind().await else { continue };
                    let mut answers = answers.into_iter();
                    for reply in replies {
                        let answer = answers
                            .next()
                            .unwrap_or_else(|| Err(Error::internal("a request was not answered")));
                        // Who has gone away needs no answer.
                        let _ = reply.send(answer);
                    }
                }
            });
        }
        let lost = || Error::Unavailable {
            fate: Fate::Unknown,
            cause: Cause::new("a group of requests was given up"),
        };
        answer.await.map_err(|_| lost())?
    }

    /// What goes into the next transaction; nothing if nobody waits, and then another lane may run: whoever
    /// comes from now on starts one.
    fn next(&self) -> Option<(Vec<R>, Vec<Reply<A>>)> {
        let mut queue = self.queue();
        let (mut requests, mut replies, mut weight) = (Vec::new(), Vec::new(), 0);
        while let Some((request, _)) = queue.waiting.front() {
            let own = (self.limits.weigh)(request);
            weight += own;
            if !requests.is_empty() && (requests.len() >= self.limits.requests || weight > self.limits.weight)
            {
                break;
            }
            let Some((request, reply)) = queue.waiting.pop_front() else { break };
            queue.weight -= own;
            // Who has gone away has not asked for anything that was begun.
            if !reply.is_closed() {
                requests.push(request);
                replies.push(reply);
            }
        }
        if requests.is_empty() {
            queue.running -= 1;
            return None;
        }
        Some((requests, replies))
    }

    fn queue(&self) -> MutexGuard<'_, Queue<R, A>> {
        self.queue.lock_anyway()
    }
}

/// Tries all requests in one transaction. If that is undone by one of them, each is tried alone, so that the
/// others do not suffer for it; also one that was alone, since whatever it ran into in another transaction is
/// committed by now.
pub(crate) async fn each_alone<R: Clone, A, F>(
    requests: Vec<R>,
    attempt: impl Fn(Vec<R>) -> F,
) -> Vec<Result<A>>
where
    F: Future<Output = Result<Vec<Result<A>>>>,
{
    match attempt(requests.clone()).await {
        Ok(answers) => answers,
        // The same again would have the same end, or was done already for all that is known.
        Err(error @ Error::Unavailable { fate: Fate::Undone | Fate::Unknown, .. }) => {
            requests.iter().map(|_| Err(error.clone())).collect()
        }
        Err(_) => {
            let mut answers = Vec::with_capacity(requests.len());
            for request in requests {
                answers.push(attempt(vec![request]).await.and_then(|mut answers| answers.remove(0)));
            }
            answers
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;

    use super::*;

    fn combiner(lanes: usize) -> Arc<Combiner<usize, usize>> {
        Combiner::new(
            Limits {
                waiting: MAX_WAITING,
                waiting_weight: 200,
                lanes,
                requests: 10,
                weight: 100,
                weigh: |request| *request,
            },
            gatepost_metrics::sizes(),
        )
    }

    #[tokio::test]
    async fn those_who_come_meanwhile_go_together_and_each_gets_its_own_answer() {
        let (combiner, gate, groups) =
            (combiner(1), Arc::new(Notify::new()), Arc::new(Mutex::new(Vec::new())));
        let submit = |request: usize| {
            let (combiner, gate, groups) = (combiner.clone(), gate.clone(), groups.clone());
            tokio::spawn(async move {
                let work = move |requests: Vec<usize>| {
                    let (gate, groups) = (gate.clone(), groups.clone());
                    async move {
                        groups.lock().expect("no panic").push(requests.clone());
                        gate.notified().await;
                        requests.into_iter().map(|request| Ok(request * 2)).collect()
                    }
                };
                combiner.submit(&Handle::current(), request, work).await
            })
        };
        let first = submit(1);
        while groups.lock().expect("no panic").is_empty() {
            tokio::task::yield_now().await;
        }
        let others: Vec<_> = [2, 3, 90, 90, 1].into_iter().map(submit).collect();
        while combiner.queue().waiting.len() < 5 {
            tokio::task::yield_now().await;
        }
        let opener = tokio::spawn(async move {
            loop {
                gate.notify_one();
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(first.await.expect("no panic").ok(), Some(2));
        for (other, expected) in others.into_iter().zip([4, 6, 180, 180, 2]) {
            assert_eq!(other.await.expect("no panic").ok(), Some(expected));
        }
        opener.abort();
        assert_eq!(*groups.lock().expect("no panic"), [vec![1], vec![2, 3, 90], vec![90, 1]]);
    }

    #[tokio::test]
    async fn those_who_wait_are_bounded_by_what_they_weigh() {
        let (combiner, gate) = (combiner(1), Arc::new(Notify::new()));
        let submit = |request: usize| {
            let (combiner, gate) = (combiner.clone(), gate.clone());
            tokio::spawn(async move {
                let work = move |requests: Vec<usize>| {
                    let gate = gate.clone();
                    async move {
                        gate.notified().await;
                        requests.into_iter().map(Ok).collect()
                    }
                };
                combiner.submit(&Handle::current(), request, work).await
            })
        };
        let wait_for = async |waiting: usize| {
            while combiner.queue().waiting.len() != waiting || combiner.queue().running == 0 {
                tokio::task::yield_now().await;
            }
        };
        // The first is under way and waits no more; one alone may weigh what it likes.
        let mut fine = vec![submit(1)];
        wait_for(0).await;
        fine.push(submit(300));
        wait_for(1).await;
        assert!(matches!(submit(1).await.expect("no panic"), Err(Error::Unavailable { .. })));
        gate.notify_one();
        wait_for(0).await;
        fine.extend([submit(150), submit(50)]);
        wait_for(2).await;
        assert!(matches!(submit(1).await.expect("no panic"), Err(Error::Unavailable { .. })));
        let opener = tokio::spawn(async move {
            loop {
                gate.notify_one();
                tokio::task::yield_now().await;
            }
        });
        for fine in fine {
            assert!(fine.await.expect("no panic").is_ok());
        }
        opener.abort();
        assert_eq!(combiner.queue().weight, 0);
    }

    #[tokio::test]
    async fn a_group_that_panics_fails_alone() {
        let combiner = combiner(1);
        let handle = Handle::current();
        let work = async |all: Vec<usize>| match all[0] {
            0 => panic!("as planned"),
            _ => all.into_iter().map(Ok).collect(),
        };
        // The second waits behind the first, and is answered although nobody comes after it.
        let (failed, fine) =
            tokio::join!(combiner.submit(&handle, 0, work), combiner.submit(&handle, 101, work));
        assert!(matches!(failed, Err(Error::Unavailable { .. })));
        assert_eq!(fine.ok(), Some(101), "it weighs too much to go along");
        assert_eq!(combiner.queue().running, 0);
    }
}
