//! The one door for work that requests of many callers share a transaction for.
//!
//! A use-case says with [`Combinable`] how it is done together with others and how alone, and with
//! [`GroupWork`] what one transaction does for a whole group. Which of the two a request takes is decided
//! here: one that can be repeated by its idempotency key is done alone, because its effect and the kept
//! answer must become true together.

use std::{future::ready, sync::Arc};

use gatepost_delivery::Handovers;
use gatepost_kernel::{Error, Result, WireAnswer};
use gatepost_storage::Tx;

use crate::{
    App, Caller, UnitOfWork,
    combiner::{Combiner, each_alone},
};

/// A use-case that is done together with those of other callers, unless its request can be repeated.
pub trait Combinable: Sized + Send + 'static {
    /// What it ends in.
    type Output: Send + 'static;

    /// Whether it has an idempotency key of its own, by which a repetition has no second effect.
    fn has_own_key(&self) -> bool {
        false
    }

    /// Does it in one transaction with those of others who ask at the same time.
    fn together(self, app: &App, caller: &Caller) -> impl Future<Output = Result<Self::Output>> + Send;

    /// Does it in a unit of work, which an error undoes.
    fn alone(self, unit: &mut UnitOfWork<'_>) -> impl Future<Output = Result<Self::Output>> + Send;
}

/// What one transaction does for the requests of many callers.
pub(crate) trait GroupWork: Clone + Send + Sync + 'static {
    type Request: Clone + Send + Sync + 'static;
    type Answer: Send + 'static;
    /// What this process knows once the transaction is committed.
    type Learned: Send + 'static;

    /// Does all of it in one statement, without a transaction, where that is enough; none where it is not.
    fn in_one_statement(
        &self,
        _requests: &[Self::Request],
    ) -> impl Future<Output = Result<Option<Vec<Result<Self::Answer>>>>> + Send {
        ready(Ok(None))
    }

    /// Does it in this transaction. An error undoes the whole group; that of one request is its answer.
    fn attempt(
        &self,
        tx: Tx<'_>,
        requests: &[Self::Request],
    ) -> impl Future<Output = Result<Attempt<Self::Answer, Self::Learned>>> + Send;

    /// Remembers what was learned, after the commit.
    fn learn(&self, learned: Self::Learned);
}

/// What came of a transaction that is not committed yet.
pub(crate) struct Attempt<A, L> {
    /// What each request is told, in their order.
    pub answers: Vec<Result<A>>,
    /// What is to be sent.
    pub handovers: Handovers,
    /// What is to be remembered.
    pub learned: L,
}

impl Caller {
    /// The same caller, who does this work: where it has an idempotency key of its own, that of the request
    /// counts for nothing.
    pub fn doing<W: Combinable>(self, work: &Result<W>) -> Self {
        if work.as_ref().is_ok_and(W::has_own_key) { self.without_idempotency() } else { self }
    }
}

impl App {
    /// Runs a use-case together with those of others, or, where the caller's request can be repeated, in a
    /// unit of work of its own; ends in what `answer` makes of it, as [`App::answer`] does.
    ///
    /// # Errors
    /// Those of the use-case, and of [`App::answer`].
    pub async fn answer_combined<W: Combinable>(
        &self,
        caller: &Caller,
        work: Result<W>,
        answer: impl FnOnce(W::Output) -> Result<WireAnswer> + Send + 'static,
    ) -> Result<WireAnswer> {
        match caller.idempotency() {
            // Its errors are told inside, where a repetition gets the first answer.
            Some(_) => {
                let alone = async move |unit: &mut UnitOfWork<'_>| answer(work?.alone(unit).await?);
                self.answer(caller, alone).await
            }
            None => answer(work?.together(self, caller).await?),
        }
    }

    /// Puts a request into the next transaction of its kind.
    pub(crate) async fn combine<W: GroupWork>(
        &self,
        combiner: &Arc<Combiner<W::Request, W::Answer>>,
        request: W::Request,
        work: W,
    ) -> Result<W::Answer> {
        let app = self.clone();
        let run = move |requests| {
            let (app, work) = (app.clone(), work.clone());
            async move { each_alone(requests, |requests| try_group(&app, &work, requests)).await }
        };
        combiner.submit(self.runtime(), request, run).await
    }
}

/// One transaction; what each request is told.
async fn try_group<W: GroupWork>(
    app: &App,
    work: &W,
    requests: Vec<W::Request>,
) -> Result<Vec<Result<W::Answer>>> {
    if let Some(answers) = work.in_one_statement(&requests).await? {
        return Ok(answers);
    }
    let inside = {
        let work = work.clone();
        async move |tx: Tx<'_>| work.attempt(tx, &requests).await
    };
    let Attempt { answers, handovers, learned } = app.storage().transaction::<_, Error, _>(inside).await?;
    work.learn(learned);
    app.hand_over(handovers);
    Ok(answers)
}
