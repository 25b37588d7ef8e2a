//! One use-case, one transaction: its rows, its events, its audit entries, its idempotency record and its
//! entries in the change feed become true together, or not at all.
//!
//! A use-case writes its rows at once and says the rest with [`UnitOfWork::changed`],
//! [`UnitOfWork::happened`] and [`UnitOfWork::audit`]; these are written at the end, the change feed last,
//! because appending to it makes other writers wait.

use std::time::Duration;

use gatepost_delivery::Handovers;
use gatepost_delivery::{OwnEvent, own_event};
use gatepost_entitlements::Catalog;
use gatepost_kernel::{Error, EventId, Owner, Result, Timestamp, WorkspaceId, random};
use gatepost_storage::{ChangeSubject, NewAuditEntry, NewEvent, Op, Tx};
use serde_json::{Map, Value};

use crate::{App, Caller, IfMatch};

/// A transaction in progress, with what has to be written at its end.
pub struct UnitOfWork<'c> {
    /// The rows.
    pub(crate) tx: Tx<'c>,
    /// The instant of the whole unit.
    pub(crate) now: Timestamp,
    app: App,
    caller: Caller,
    changes: Vec<ChangeSubject>,
    events: Vec<NewEvent>,
    /// What is to be sent once the transaction is committed.
    pub(crate) handovers: Handovers,
    audit: Vec<NewAuditEntry>,
}

impl<'c> UnitOfWork<'c> {
    fn new(tx: Tx<'c>, now: Timestamp, app: App, caller: Caller) -> Self {
        Self {
            tx,
            now,
            app,
            caller,
            changes: Vec::new(),
            events: Vec::new(),
            handovers: Handovers::default(),
            audit: Vec::new(),
        }
    }

    /// Who calls.
    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Refuses to change a resource that is not what the caller thinks it is: one that was last changed at
    /// another instant.
    pub(crate) fn check_match(&self, updated_at: Timestamp) -> Result<()> {
        match self.caller.if_match() {
            Some(IfMatch::OneOf(known)) if !known.contains(&updated_at) => Err(Error::PreconditionFailed),
            _ => Ok(()),
        }
    }

    /// The instant of a change to a resource that was last changed at `before`: never the same, so that the
    /// two can be told apart.
    pub(crate) fn now_after(&self, before: Timestamp) -> Timestamp {
        self.now.max(before.plus(Duration::from_micros(1)))
    }

    /// The plans and features.
    pub(crate) fn catalog(&self) -> &Catalog {
        self.app.catalog()
    }

    /// Other processes have to forget what they know of `subject`.
    pub(crate) fn changed(&mut self, subject: ChangeSubject) {
        self.changes.push(subject);
    }

    /// Something happened that webhooks may want to hear of.
    pub(crate) fn happened(&mut self, owner: Owner, own: &OwnEvent) {
        let id = EventId::generate(&mut random::rng());
        let event = own_event(id, self.now, owner, own).of_request(self.caller.request_id());
        self.events.push(event);
    }

    /// An event to be stored at the end.
    pub(crate) fn store_later(&mut self, event: NewEvent) {
        self.events.push(event);
    }

    /// Notes in the log of `workspace_id` that the caller did `action` to a thing.
    pub(crate) fn audit(
        &mut self,
        workspace_id: WorkspaceId,
        action: &'static str,
        target: (&'static str, i64),
        details: Map<String, Value>,
    ) {
        self.audit.push(NewAuditEntry {
            workspace_id,
            environment: self.caller.environment(),
            action,
            actor: self.caller.actor(),
            target_type: target.0,
            target_id: target.1,
            request_id: self.caller.request_id().cloned(),
            ip_address: self.caller.address(),
            details,
            created_at: self.now,
        });
    }

    /// The application.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Writes the rest; whether there is something that others must forget, and what is to be sent.
    async fn finish(mut self) -> Result<(bool, Handovers)> {
        let events = std::mem::take(&mut self.events);
        self.store_events(&events).await?;
        for entry in &self.audit {
            self.tx.audit_entry_insert(entry).await?;
        }
        self.tx.change_append(&self.changes, self.now).await?;
        Ok((!self.changes.is_empty(), self.handovers))
    }
}

impl App {
    /// Runs a use-case in one transaction. The caller's key is looked up once more inside, so that one that
    /// was revoked, or lost a scope, while its request was still arriving changes nothing.
    ///
    /// # Errors
    /// Those of `body`, [`gatepost_kernel::Error::KeyRevoked`] and its like, and
    /// [`gatepost_kernel::Error::Unavailable`].
    pub async fn transact<R, F>(&self, caller: &Caller, body: F) -> Result<R>
    where
        for<'u, 'c> F: AsyncFnOnce(&'u mut UnitOfWork<'c>) -> Result<R>
            + Op<&'u mut UnitOfWork<'c>, Result<R>, Fut: Send>
            + Send
            + 'static,
        R: Send + 'static,
    {
        let (app, caller) = (self.clone(), caller.clone());
        let work = async move |tx: Tx<'_>| {
            let mut tx = tx;
            let now = app.now();
            let caller = caller.refreshed(&app, &mut tx, now).await?;
            let mut unit = UnitOfWork::new(tx, now, app, caller);
            let value = body(&mut unit).await?;
            let (others_must_forget, handovers) = unit.finish().await?;
            Ok((value, others_must_forget, handovers))
        };
        let (value, others_must_forget, handovers) = self.storage().transaction::<_, Error, _>(work).await?;
        self.hand_over(handovers);
        if others_must_forget {
            self.gate().learn_own_change().await;
        }
        Ok(value)
    }
}
