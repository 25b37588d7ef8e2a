//! How many requests may be in flight: over all, for each workspace, and to each endpoint.
//!
//! A workspace that is alone may have all of them. Once another comes, it gets no more while it has half or
//! more and the other waits; and what it has beyond its half does not count against the other, which begins
//! at once instead of waiting until something ends that may take as long as an attempt. So for that long
//! there may be half as many again.
//!
//! What an endpoint may have follows what it does with it: an answer gives it one more, up to a limit, and
//! silence halves it, down to one. So one that answers fast is served fast, and however many never answer,
//! each of them soon holds one slot.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use gatepost_kernel::{LockAnyway, WebhookEndpointId, WorkspaceId};
use tokio::sync::Notify;

/// What an endpoint may have before anything is known of it.
const AT_FIRST: usize = 16;
/// Of how many endpoints it is remembered what they may have.
const REMEMBERED: usize = 10_000;
/// For how long a workspace waits that got no slot, unless it asks again.
const WAITS: Duration = Duration::from_secs(1);

/// The slots of one process.
#[derive(Debug)]
pub struct Slots {
    most: usize,
    most_per_endpoint: usize,
    taken: Mutex<Taken>,
    /// Told whenever a slot is free again.
    freed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// The same without what workspaces have beyond their half.
    within_halves: usize,
    workspaces: HashMap<WorkspaceId, usize>,
    /// Who got no slot, and when it asked last.
    waiting: HashMap<WorkspaceId, Instant>,
    lanes: HashMap<WebhookEndpointId, Lane>,
}

#[derive(Debug)]
struct Lane {
    taken: usize,
    allowed: usize,
}

/// One request that may be in flight; free again when dropped.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<Slots>,
    workspace: WorkspaceId,
    endpoint: WebhookEndpointId,
}

impl Slots {
    pub fn new(most: usize, most_per_endpoint: usize, freed: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self { most, most_per_endpoint, taken: Mutex::default(), freed })
    }

    /// Takes a slot, if there is one.
    pub fn take(self: &Arc<Self>, workspace: WorkspaceId, endpoint: WebhookEndpointId) -> Option<Slot> {
        self.take_at(workspace, endpoint, Instant::now())
    }

    fn take_at(
        self: &Arc<Self>,
        workspace: WorkspaceId,
        endpoint: WebhookEndpointId,
        now: Instant,
    ) -> Option<Slot> {
        let mut guard = self.lock();
        let taken = &mut *guard;
        if taken.lanes.len() >= REMEMBERED {
            taken.lanes.retain(|_, lane| lane.taken > 0);
        }
        let first = AT_FIRST.min(self.most_per_endpoint);
        let lane = taken.lanes.entry(endpoint).or_insert(Lane { taken: 0, allowed: first });
        if lane.taken >= lane.allowed {
            return None;
        }
        let own = taken.workspaces.get(&workspace).copied().unwrap_or_default();
        let has_its_half = own >= self.half();
        let others_wait =
            || taken.waiting.iter().any(|(id, at)| *id != workspace && now.duration_since(*at) < WAITS);
        let room = match has_its_half {
            true => taken.all < self.most && (taken.waiting.is_empty() || !others_wait()),
            false => taken.within_halves < self.most,
        };
        if !room {
            // Whoever has its half waits for nobody.
            if !has_its_half && self.most > 0 {
                taken.waiting.insert(workspace, now);
            }
            return None;
        }
        if !taken.waiting.is_empty() {
            taken.waiting.retain(|id, at| *id != workspace && now.duration_since(*at) < WAITS);
        }
        lane.taken += 1;
        taken.all += 1;
        taken.within_halves += usize::from(!has_its_half);
        *taken.workspaces.entry(workspace).or_default() += 1;
        drop(guard);
        Some(Slot { slots: self.clone(), workspace, endpoint })
    }

    /// What a workspace may have while another waits.
    fn half(&self) -> usize {
        (self.most / 2).max(1)
    }

    /// How many are in flight.
    pub fn taken(&self) -> usize {
        self.lock().all
    }

    /// Those of `endpoints` that at least half of what they may have is free for, in the same order: asking
    /// the database for each slot as it comes free would cost as much as asking for many.
    pub fn roomy(&self, endpoints: impl Iterator<Item = WebhookEndpointId>) -> Vec<WebhookEndpointId> {
        let taken = self.lock();
        if taken.within_halves >= self.most {
            return Vec::new();
        }
        endpoints.filter(|id| taken.lanes.get(id).is_none_or(|lane| lane.taken <= lane.allowed / 2)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock_anyway()
    }
}

impl Slot {
    /// Learns from what the endpoint did: whether it answered.
    pub fn learn(&self, answered: bool) {
        let mut taken = self.slots.lock();
        if let Some(lane) = taken.lanes.get_mut(&self.endpoint) {
            lane.allowed = match answered {
                true => (lane.allowed + 1).min(self.slots.most_per_endpoint),
                false => (lane.allowed / 2).max(1),
            };
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        taken.all -= 1;
        let half = self.slots.half();
        let left = taken.workspaces.get_mut(&self.workspace).map_or(0, |own| {
            *own -= 1;
            *own
        });
        taken.within_halves -= usize::from(left < half);
        if left == 0 {
            taken.workspaces.remove(&self.workspace);
        }
        if let Some(lane) = taken.lanes.get_mut(&self.endpoint) {
            lane.taken -= 1;
        }
        drop(taken);
        self.slots.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SLOW: WebhookEndpointId = WebhookEndpointId(1);
    const OWN: WorkspaceId = WorkspaceId(1);
    const OTHER: WorkspaceId = WorkspaceId(2);

    fn all(slots: &Arc<Slots>, endpoint: WebhookEndpointId) -> Vec<Slot> {
        std::iter::from_fn(|| slots.take(OWN, endpoint)).collect()
    }

    proptest! {
        /// Whoever is alone may have all; whoever comes gets its half at once; and with half or more nobody
        /// gets more while another waits.
        #[test]
        fn a_workspace_costs_another_no_slot(
            most in 2usize..40,
            steps in proptest::collection::vec((0..4i64, any::<bool>(), 0..400u64), 1..300),
        ) {
            let slots = Slots::new(most, most, Arc::default());
            let (half, mut now) = (most / 2, Instant::now());
            let mut held: [Vec<Slot>; 4] = Default::default();
            let mut waiting: [Option<Instant>; 4] = [None; 4];
            let mut next = 0;
            for (workspace, takes, gap) in steps {
                now += Duration::from_millis(gap);
                let own = usize::try_from(workspace).expect("small");
                if !takes {
                    held[own].pop();
                    continue;
                }
                next += 1;
                let waits = |other: usize| waiting[other].is_some_and(|at| now.duration_since(at) < WAITS);
                let another_waits = (0..4).any(|other| other != own && waits(other));
                let others: usize = (0..4).filter(|other| *other != own).map(|other| held[other].len().min(half)).sum();
                let (mine, taken): (usize, usize) = (held[own].len(), held.iter().map(Vec::len).sum());
                match slots.take_at(WorkspaceId(workspace), WebhookEndpointId(next), now) {
                    Some(slot) => {
                        prop_assert!(mine < half || !another_waits);
                        held[own].push(slot);
                        waiting[own] = None;
                        prop_assert!(taken < most + most.div_ceil(2));
                    }
                    None if mine >= half => prop_assert!(taken >= most || another_waits),
                    None => {
                        prop_assert!(mine + others >= most, "refused although there was room");
                        waiting[own] = Some(now);
                    }
                }
            }
            drop(held);
            let taken = slots.lock();
            prop_assert_eq!((taken.all, taken.within_halves, taken.workspaces.len()), (0, 0, 0));
        }
    }

    #[test]
    fn whoever_comes_begins_at_once() {
        let slots = Slots::new(10, 1, Arc::default());
        let take = |workspace, id| slots.take(workspace, WebhookEndpointId(id));
        let alone: Vec<_> = (0..20).filter_map(|id| take(OWN, id)).collect();
        assert_eq!(alone.len(), 10);
        let others: Vec<_> = (20..40).filter_map(|id| take(OTHER, id)).collect();
        assert_eq!(others.len(), 5, "its half, although all are taken");
        assert!(take(OWN, 50).is_none());
        drop(alone);
        let more: Vec<_> = (40..60).filter_map(|id| take(OTHER, id)).collect();
        assert_eq!(others.len() + more.len(), 10, "and all that there are");
    }

    #[test]
    fn an_endpoint_holds_its_own_slots_and_no_more() {
        let slots = Slots::new(5, 2, Arc::default());
        let held = all(&slots, SLOW);
        assert_eq!((held.len(), slots.taken()), (2, 2));
        let others: Vec<_> = (0..10).filter_map(|id| slots.take(OWN, WebhookEndpointId(10 + id))).collect();
        assert_eq!(others.len(), 3, "and all of them together no more than there are");
        assert!(slots.take(OWN, WebhookEndpointId(2)).is_none());
        drop((held, others));
        assert_eq!(slots.taken(), 0);
    }

    #[test]
    fn silence_halves_what_an_endpoint_may_have_and_answers_give_it_back() {
        let slots = Slots::new(1_000, 64, Arc::default());
        let held = all(&slots, SLOW);
        assert_eq!(held.len(), AT_FIRST);
        held.iter().for_each(|slot| slot.learn(false));
        drop(held);
        let held = all(&slots, SLOW);
        assert_eq!(held.len(), 1, "it still has one, to show that it is back");
        (0..100).for_each(|_| held[0].learn(true));
        drop(held);
        assert_eq!(all(&slots, SLOW).len(), 64);
    }

    #[test]
    fn work_is_looked_for_once_half_of_the_slots_are_free() {
        let slots = Slots::new(1_000, 4, Arc::default());
        let mut held = all(&slots, SLOW);
        let roomy = || slots.roomy([SLOW].into_iter());
        held.pop();
        assert!(roomy().is_empty());
        held.pop();
        assert_eq!(roomy(), [SLOW]);
    }
}
