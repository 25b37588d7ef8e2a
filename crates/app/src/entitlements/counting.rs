//! Counting uses, many in one transaction.

use std::{
    collections::{
        HashMap,
        hash_map::{Entry, RandomState},
    },
    hash::BuildHasher,
    sync::{Arc, Mutex},
    time::Duration,
};

use gatepost_delivery::{OwnEvent, ThresholdEventData, own_event};
use gatepost_entitlements::{FeatureKind, Grant, Operation, crossed};
use gatepost_kernel::{
    CalendarTime, Error, EventId, LockAnyway, Owner, Result, Timestamp, Workspace, random,
};
use gatepost_metrics::Histogram;
use gatepost_storage::{EntitlementUse, NewEvent, StorageError, Tx};

use super::standing::{ByCounter, FeatureStanding, FeatureUsage, UseFeature, kept};
use crate::{
    App, UnitOfWork,
    combined::{Attempt, GroupWork},
    combiner::{Combiner, Limits, MAX_WAITING},
    tenants::that_counting_reads,
};

/// How long a decision is kept under its idempotency key.
const KEPT: Duration = Duration::from_secs(32 * 86_400);
/// Transactions at a time; the uses of one counter are always in the same.
const LANES: usize = 4;
const MAX_REQUESTS: usize = 256;
/// Counters that a lane remembers.
const MAX_REMEMBERED: usize = 1_024;

/// A use that waits for the next transaction.
#[derive(Clone)]
pub(crate) struct Request {
    pub owner: Owner,
    pub input: UseFeature,
}

/// Where uses wait, by what they count for.
pub(crate) struct Counters {
    lanes: Vec<Lane>,
    hasher: RandomState,
}

struct Lane {
    combiner: Arc<Combiner<Request, FeatureStanding>>,
    last: Arc<LastCounts>,
}

/// Where counters stood when this process last counted on them. Others may have moved them since: what is
/// decided by it is written only if it still stands there.
#[derive(Default)]
struct LastCounts(Mutex<HashMap<Subject, LastCount>>);

/// What is counted for whom.
type Subject = (Owner, String);

/// What was seen when a counter was counted on.
#[derive(Clone)]
struct LastCount {
    workspace: Workspace,
    period_start: Timestamp,
    used: u64,
}

impl LastCounts {
    fn get(&self, subject: &Subject) -> Option<LastCount> {
        self.0.lock_anyway().get(subject).cloned()
    }

    fn remember(&self, counts: impl IntoIterator<Item = (Subject, LastCount)>) {
        let mut last = self.0.lock_anyway();
        if last.len() > MAX_REMEMBERED {
            last.clear();
        }
        last.extend(counts);
    }
}

impl Request {
    fn subject(&self) -> Subject {
        (self.owner, self.input.feature.clone())
    }
}

pub(crate) fn counters(sizes: &Histogram) -> Counters {
    let lane = || Lane {
        combiner: Combiner::new(
            Limits {
                waiting: MAX_WAITING,
                waiting_weight: usize::MAX,
                lanes: 1,
                requests: MAX_REQUESTS,
                weight: usize::MAX,
                weigh: |_| 1,
            },
            sizes.clone(),
        ),
        last: Arc::default(),
    };
    Counters { lanes: (0..LANES).map(|_| lane()).collect(), hasher: RandomState::new() }
}

/// Counts a use together with those of others, or says why not.
pub(crate) async fn consume(app: &App, owner: Owner, input: UseFeature) -> Result<FeatureStanding> {
    let counters = app.counters();
    let hash = counters.hasher.hash_one((owner, &input.feature));
    let lane = &counters.lanes[usize::try_from(hash % LANES as u64).unwrap_or(0)];
    let work = Consume { app: app.clone(), last: lane.last.clone() };
    app.combine(&lane.combiner, Request { owner, input }, work).await
}

/// Counts the uses of many callers.
#[derive(Clone)]
struct Consume {
    app: App,
    last: Arc<LastCounts>,
}

impl GroupWork for Consume {
    type Request = Request;
    type Answer = FeatureStanding;
    type Learned = Vec<(Subject, LastCount)>;

    /// Decides uses of one counter by where it stood last, and writes them in one statement if it still does.
    /// None if it moved, or if there is more to do than to count: a refusal, a threshold, an idempotency key.
    async fn in_one_statement(&self, requests: &[Request]) -> Result<Option<Vec<Result<FeatureStanding>>>> {
        let Self { app, last: lasts } = self;
        let Some(first) = requests.first() else { return Ok(None) };
        let subject = first.subject();
        let simple = |request: &Request| {
            let UseFeature { operation, idempotency_key, .. } = &request.input;
            *operation == Operation::Add && idempotency_key.is_none() && request.subject() == subject
        };
        let Some(last) = lasts.get(&subject).filter(|_| requests.iter().all(simple)) else {
            return Ok(None);
        };
        let mut group = Group::new(app, requests);
        let usage = |_| {
            FeatureUsage::of(app, &last.workspace, first.owner.environment, &first.input.feature, group.now)
        };
        let usages: Vec<(usize, FeatureUsage<'_>)> =
            (0..requests.len()).filter_map(|number| Some((number, usage(number)?))).collect();
        let Some((_, usage)) = usages.first() else { return Ok(None) };
        if usage.period.start != last.period_start {
            return Ok(None);
        }
        let added = group.decide(&usages, last.used);
        let used = last.used.saturating_add_signed(added);
        if group.uses.len() < requests.len()
            || !crossed(usage.feature, usage.grant, last.used, used).is_empty()
        {
            return Ok(None);
        }
        let Group { answers, uses, .. } = group;
        let (held, as_of) = (last.used, last.workspace.updated_at);
        let write = async move |mut tx: Tx<'_>| tx.entitlement_count(&uses, held, as_of).await;
        if !app.storage().statement::<_, StorageError, _>(write).await? {
            return Ok(None);
        }
        lasts.remember([(subject, LastCount { used, ..last })]);
        Ok(Some(answered(answers)))
    }

    async fn attempt(
        &self,
        mut tx: Tx<'_>,
        requests: &[Request],
    ) -> Result<Attempt<FeatureStanding, Self::Learned>> {
        let mut group = Group::new(&self.app, requests);
        group.decide_all(&mut tx).await?;
        let Group { answers, uses, events, last, .. } = group;
        tx.entitlement_use_insert(&uses).await?;
        let (_, handovers) = self.app.store_events(&mut tx, &events).await?;
        Ok(Attempt { answers: answered(answers), handovers, learned: last })
    }

    fn learn(&self, last: Self::Learned) {
        self.last.remember(last);
    }
}

fn answered(answers: Vec<Option<Result<FeatureStanding>>>) -> Vec<Result<FeatureStanding>> {
    answers.into_iter().map(|answer| answer.unwrap_or_else(unanswered)).collect()
}

/// Counts a use in a unit of work.
pub(super) async fn consume_in(
    unit: &mut UnitOfWork<'_>,
    owner: Owner,
    input: UseFeature,
) -> Result<FeatureStanding> {
    let (app, requests) = (unit.app().clone(), [Request { owner, input }]);
    let (mut answers, events) = consume_all(&mut unit.tx, &app, &requests).await?;
    events.into_iter().for_each(|event| unit.store_later(event));
    answers.pop().unwrap_or_else(unanswered)
}

/// Counts uses in a transaction; what each is told, and the events that are to be stored with them.
pub(crate) async fn consume_all(
    tx: &mut Tx<'_>,
    app: &App,
    requests: &[Request],
) -> Result<(Vec<Result<FeatureStanding>>, Vec<NewEvent>)> {
    let mut group = Group::new(app, requests);
    group.decide_all(tx).await?;
    let Group { answers, uses, events, .. } = group;
    tx.entitlement_use_insert(&uses).await?;
    Ok((answered(answers), events))
}

fn unanswered() -> Result<FeatureStanding> {
    Err(Error::internal("a use was not decided"))
}

/// The requests of one transaction, and what they came to so far.
struct Group<'a> {
    app: &'a App,
    now: Timestamp,
    requests: &'a [Request],
    answers: Vec<Option<Result<FeatureStanding>>>,
    uses: Vec<EntitlementUse>,
    events: Vec<NewEvent>,
    /// What was decided under idempotency keys, before or in this very transaction.
    kept: HashMap<(Owner, String), EntitlementUse>,
    /// Where the counters stand now.
    last: Vec<(Subject, LastCount)>,
}

impl<'a> Group<'a> {
    fn new(app: &'a App, requests: &'a [Request]) -> Self {
        Self {
            app,
            now: app.now(),
            requests,
            answers: requests.iter().map(|_| None).collect(),
            uses: Vec::new(),
            events: Vec::new(),
            kept: HashMap::new(),
            last: Vec::new(),
        }
    }

    async fn decide_all(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        let mut workspaces = HashMap::new();
        for request in self.requests {
            if let Entry::Vacant(entry) = workspaces.entry(request.owner.workspace_id) {
                entry.insert(tx.workspace_get(request.owner.workspace_id).await?);
            }
        }
        let mut counters = ByCounter::new();
        for (index, request) in self.requests.iter().enumerate() {
            let workspace = workspaces.get(&request.owner.workspace_id).and_then(Option::as_ref);
            let feature = &request.input.feature;
            match workspace.and_then(|workspace| {
                FeatureUsage::of(self.app, workspace, request.owner.environment, feature, self.now)
            }) {
                // On or off: there is nothing to count.
                Some(usage) if usage.feature.kind == FeatureKind::Boolean => {
                    let refused = usage.grant.decide(0, 0).err();
                    self.answers[index] = Some(Ok(usage.standing(self.app, 0, refused, 0)));
                }
                Some(usage) => counters.entry(usage.key()).or_default().push((index, usage)),
                None => self.answers[index] = Some(Err(Error::NotFound)),
            }
        }
        for requests in counters.values() {
            let used = self.decide_counter(tx, requests).await?;
            let Some((index, usage)) = requests.first() else { continue };
            // What rolls depends on more than its counter.
            if usage.cycle.rolling_since(usage.feature, usage.period).is_some() {
                continue;
            }
            if let Some(Some(workspace)) = workspaces.get(&usage.owner.workspace_id) {
                let settings = that_counting_reads(&workspace.settings);
                let workspace = Workspace { settings, ..workspace.clone() };
                let last = LastCount { workspace, period_start: usage.period.start, used };
                self.last.push((self.requests[*index].subject(), last));
            }
        }
        Ok(())
    }

    /// Decides all uses of one counter, and writes what the counter holds then, which is the answer.
    async fn decide_counter(
        &mut self,
        tx: &mut Tx<'_>,
        requests: &[(usize, FeatureUsage<'_>)],
    ) -> Result<u64> {
        let Some((_, usage)) = requests.first() else { return Ok(0) };
        let key = usage.key();
        if usage.cycle.rolling_since(usage.feature, usage.period).is_some() {
            // Whoever still counts for yesterday, by a clock that is a little behind, holds that day.
            let period_start = usage.cycle.days_after(key.period_start, -1);
            let yesterday = gatepost_storage::CounterKey { period_start, ..key.clone() };
            tx.entitlement_counter_lock(&yesterday, self.now).await?;
        }
        let held = tx.entitlement_counter_lock(&key, self.now).await?;
        let before = usage.before(tx, &key).await?;
        // Only now: whoever was first with an idempotency key has committed, or waits for us.
        self.learn_kept(tx, requests).await?;
        let from = before.saturating_add(held);
        let added = self.decide(requests, from);
        if added == 0 {
            return Ok(held);
        }
        let held = held.saturating_add_signed(added);
        tx.entitlement_counter_set(&key, held, self.now).await?;
        let to = from.saturating_add_signed(added);
        for threshold in crossed(usage.feature, usage.grant, from, to) {
            if tx.entitlement_alert_insert(&key, threshold).await? {
                self.events.push(threshold_event(usage, OwnEvent::ThresholdReached, threshold, to, self.now));
            }
        }
        for threshold in crossed(usage.feature, usage.grant, to, from) {
            if tx.entitlement_alert_delete(&key, threshold).await? {
                self.events.push(threshold_event(usage, OwnEvent::ThresholdCleared, threshold, to, self.now));
            }
        }
        Ok(held)
    }

    /// Decides uses of one feature of which `from` are used, one after the other; how many are used more
    /// then, or fewer.
    fn decide(&mut self, requests: &[(usize, FeatureUsage<'_>)], from: u64) -> i64 {
        let mut added = 0i64;
        for (number, usage) in requests {
            let Request { owner, input } = &self.requests[*number];
            let by_key = input.idempotency_key.clone().map(|key| (*owner, key));
            if let Some(earlier) = by_key.as_ref().and_then(|key| self.kept.get(key)) {
                let same = earlier.counter.feature == input.feature
                    && earlier.operation == input.operation
                    && earlier.requested == input.quantity;
                self.answers[*number] = Some(match same {
                    true => Ok(kept(self.app, earlier.clone(), usage.upgrade_url(self.app))),
                    false => Err(Error::IdempotencyKeyReused),
                });
                continue;
            }
            let before = from.saturating_add_signed(added);
            let decided = input.operation.apply(usage.grant, before, input.quantity);
            let (used, refused) = decided.map_or_else(|reason| (before, Some(reason)), |used| (used, None));
            let quantity = used.cast_signed().saturating_sub(before.cast_signed());
            added = added.saturating_add(quantity);
            let more = match input.operation {
                Operation::Set => input.quantity.saturating_sub(before),
                _ => input.quantity,
            };
            self.answers[*number] = Some(Ok(usage.standing(self.app, used, refused, more)));
            // A refusal, or a look, without a key leaves no trace: nobody can ask for it again.
            if quantity != 0 || by_key.is_some() {
                let one = EntitlementUse {
                    counter: usage.key(),
                    operation: input.operation,
                    requested: input.quantity,
                    quantity,
                    reset_at: usage.period.end,
                    used,
                    limit: usage.grant.limit(),
                    soft: matches!(usage.grant, Grant::UpTo { soft: true, .. }),
                    plan: usage.plan.to_owned(),
                    reason: refused.map(|reason| reason.as_str().to_owned()),
                    metadata: input.metadata.clone(),
                    idempotency_key: input.idempotency_key.clone(),
                    created_at: self.now,
                };
                if let Some(by_key) = by_key {
                    self.kept.insert(by_key, one.clone());
                }
                self.uses.push(one);
            }
        }
        added
    }

    /// Looks up what was decided under the idempotency keys of these requests.
    async fn learn_kept(&mut self, tx: &mut Tx<'_>, requests: &[(usize, FeatureUsage<'_>)]) -> Result<()> {
        let keys: Vec<String> = requests
            .iter()
            .filter_map(|(number, _)| self.requests[*number].input.idempotency_key.clone())
            .collect();
        let Some((_, usage)) = requests.first().filter(|_| !keys.is_empty()) else { return Ok(()) };
        let owner = usage.owner;
        let too_old = self.now.minus(KEPT);
        let found = tx.entitlement_use_kept(owner, &keys).await?;
        if found.values().any(|one| one.created_at < too_old) {
            tx.entitlement_use_forget_keys(owner, &keys, too_old).await?;
        }
        let found = found.into_iter().filter(|(_, one)| one.created_at >= too_old);
        self.kept.extend(found.map(|(key, one)| ((owner, key), one)));
        Ok(())
    }
}

/// Tells that a threshold of a limit was passed, upwards or downwards.
pub(super) fn threshold_event(
    usage: &FeatureUsage<'_>,
    event: impl FnOnce(ThresholdEventData) -> OwnEvent,
    threshold: u32,
    used: u64,
    now: Timestamp,
) -> NewEvent {
    let data = ThresholdEventData {
        feature: usage.name.to_owned(),
        threshold,
        used,
        limit: usage.grant.limit(),
        percentage: usage.grant.percentage(used),
        period_start: usage.period.end.map(|_| CalendarTime(usage.period.start)),
        period_end: usage.period.end.map(CalendarTime),
    };
    own_event(EventId::generate(&mut random::rng()), now, usage.owner, &event(data))
}
