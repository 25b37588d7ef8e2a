//! How many requests may be in flight: over all, and to each endpoint.
//!
//! What an endpoint may have follows what it does with it: an answer gives it one more, up to a limit, and silence halves it,
//! down to one. So one that answers fast is served fast, and however many never answer, each of them soon holds one slot.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use gatepost_kernel::WebhookEndpointId;
use tokio::sync::Notify;

/// What an endpoint may have before anything is known of it.
const AT_FIRST: usize = 16;
/// Of how many endpoints it is remembered what they may have.
const REMEMBERED: usize = 10_000;

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
    endpoint: WebhookEndpointId,
}

impl Slots {
    pub fn new(most: usize, most_per_endpoint: usize, freed: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self { most, most_per_endpoint, taken: Mutex::default(), freed })
    }

    /// Takes a slot, if there is one.
    pub fn take(self: &Arc<Self>, endpoint: WebhookEndpointId) -> Option<Slot> {
        let mut taken = self.lock();
        if taken.all >= self.most {
            return None;
        }
        if taken.lanes.len() >= REMEMBERED {
            taken.lanes.retain(|_, lane| lane.taken > 0);
        }
        let first = AT_FIRST.min(self.most_per_endpoint);
        let lane = taken.lanes.entry(endpoint).or_insert(Lane { taken: 0, allowed: first });
        if lane.taken >= lane.allowed {
            return None;
        }
        lane.taken += 1;
        taken.all += 1;
        Some(Slot { slots: self.clone(), endpoint })
    }

    /// How many are in flight.
    pub fn taken(&self) -> usize {
        self.lock().all
    }

    /// Those of `endpoints` that at least half of what they may have is free for, in the same order: asking the database for
    /// each slot as it comes free would cost as much as asking for many.
    pub fn roomy(&self, endpoints: impl Iterator<Item = WebhookEndpointId>) -> Vec<WebhookEndpointId> {
        let taken = self.lock();
        if taken.all >= self.most {
            return Vec::new();
        }
        endpoints.filter(|id| taken.lanes.get(id).is_none_or(|lane| lane.taken <= lane.allowed / 2)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
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
        if let Some(lane) = taken.lanes.get_mut(&self.endpoint) {
            lane.taken -= 1;
        }
        drop(taken);
        self.slots.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: WebhookEndpointId = WebhookEndpointId(1);

    fn all(slots: &Arc<Slots>, endpoint: WebhookEndpointId) -> Vec<Slot> {
        std::iter::from_fn(|| slots.take(endpoint)).collect()
    }

    #[test]
    fn an_endpoint_holds_its_own_slots_and_no_more() {
        let slots = Slots::new(5, 2, Arc::default());
        let held = all(&slots, SLOW);
        assert_eq!((held.len(), slots.taken()), (2, 2));
        let others: Vec<_> = (0..10).filter_map(|id| slots.take(WebhookEndpointId(10 + id))).collect();
        assert_eq!(others.len(), 3, "and all of them together no more than there are");
        assert!(slots.take(WebhookEndpointId(2)).is_none());
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
