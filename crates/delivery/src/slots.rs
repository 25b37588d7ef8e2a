//! How many requests may be in flight: over all, and to each endpoint.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use gatepost_kernel::WebhookEndpointId;
use tokio::sync::Notify;

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
    by_endpoint: HashMap<WebhookEndpointId, usize>,
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
        let of_endpoint = taken.by_endpoint.entry(endpoint).or_default();
        if *of_endpoint >= self.most_per_endpoint {
            return None;
        }
        *of_endpoint += 1;
        taken.all += 1;
        Some(Slot { slots: self.clone(), endpoint })
    }

    /// How many more requests may be in flight over all.
    pub fn free(&self) -> usize {
        self.most.saturating_sub(self.lock().all)
    }

    /// How many are in flight.
    pub fn taken(&self) -> usize {
        self.lock().all
    }

    /// Endpoints that have all that they may have.
    pub fn full(&self) -> Vec<WebhookEndpointId> {
        let taken = self.lock();
        let full = taken.by_endpoint.iter().filter(|(_, count)| **count >= self.most_per_endpoint);
        full.map(|(endpoint, _)| *endpoint).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        taken.all -= 1;
        if let Some(count) = taken.by_endpoint.get_mut(&self.endpoint) {
            *count -= 1;
            if *count == 0 {
                taken.by_endpoint.remove(&self.endpoint);
            }
        }
        drop(taken);
        self.slots.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_holds_its_own_slots_and_no_more() {
        let slots = Slots::new(5, 2, Arc::default());
        let (slow, fast) = (WebhookEndpointId(1), WebhookEndpointId(2));
        let held: Vec<_> = (0..10).filter_map(|_| slots.take(slow)).collect();
        assert_eq!((held.len(), slots.full(), slots.free()), (2, vec![slow], 3));
        let others: Vec<_> = (0..10).filter_map(|id| slots.take(WebhookEndpointId(10 + id))).collect();
        assert_eq!(others.len(), 3, "and all of them together no more than there are");
        assert!(slots.take(fast).is_none());
        drop((held, others));
        assert_eq!((slots.taken(), slots.full()), (0, vec![]));
    }
}
