//! How many pages and referrers are counted apart. Anybody can name any page of a site, and each would be a
//! row for ever: so a quarter hour of a workspace counts so many of each, and all others together.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard},
};

use gatepost_analytics::QuarterHour;
use gatepost_kernel::{LockAnyway, Result};
use gatepost_storage::{CountedValues, NewPixelEvent, PixelDimension, Tx};

/// How many of each.
pub(crate) const MAX_VALUES: usize = 1_000;
/// As what all others are counted.
pub(crate) const OTHER: &str = "other";
/// How many values are remembered, of all workspaces together; then all are forgotten, and the database is
/// asked.
const MAX_REMEMBERED: usize = 1_000_000;

/// The values that are counted already, as far as this process knows. By their hashes: one that is taken for
/// another is one more.
#[derive(Default)]
pub(crate) struct PixelValues {
    hasher: RandomState,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    values: HashMap<CountedValues, HashSet<u64>>,
    remembered: usize,
}

/// What was learned in a transaction, and is true once it is committed.
pub(crate) type LearnedValues = BTreeMap<CountedValues, HashSet<u64>>;

impl PixelValues {
    fn hash(&self, value: &str) -> u64 {
        self.hasher.hash_one(value)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock_anyway()
    }

    /// Remembers what was learned, and forgets the quarter hours before.
    pub(crate) fn learn(&self, learned: LearnedValues) {
        let Some(newest) = learned.keys().map(|key| key.slot).max() else { return };
        let mut known = self.lock();
        for (key, hashes) in learned {
            let values = known.values.entry(key).or_default();
            let before = values.len();
            values.extend(hashes);
            let more = values.len() - before;
            known.remembered += more;
        }
        if known.remembered > MAX_REMEMBERED {
            known.values.retain(|key, _| key.slot >= newest);
            known.remembered = known.values.values().map(HashSet::len).sum();
        }
        if known.remembered > MAX_REMEMBERED {
            *known = Known::default();
        }
    }

    /// Lets events that are about to be counted name pages and referrers that are counted apart, and
    /// [`OTHER`] in the place of all others.
    pub(crate) async fn bound(
        &self,
        tx: &mut Tx<'_>,
        events: &mut [Cow<'_, NewPixelEvent>],
    ) -> Result<LearnedValues> {
        let unknown = self.look_through(events);
        let mut learned = LearnedValues::new();
        // In one order everywhere, so that two transactions do not wait for each other.
        for (key, new) in unknown {
            tx.pixel_values_lock(key.workspace_id).await?;
            let stored = tx.pixel_values(&key).await?;
            let apart = stored.iter().filter(|value| !matches!(value.as_str(), "" | OTHER));
            let mut counted: HashSet<u64> = apart.map(|value| self.hash(value)).collect();
            for (at, hash) in new {
                if counted.len() < MAX_VALUES {
                    counted.insert(hash);
                } else if !counted.contains(&hash) {
                    count_as_other(&mut events[at], key.dimension);
                }
            }
            learned.insert(key, counted);
        }
        Ok(learned)
    }

    /// Counts as [`OTHER`] what there is no room for; answers the places of what nobody here has seen yet,
    /// with their hashes.
    fn look_through(
        &self,
        events: &mut [Cow<'_, NewPixelEvent>],
    ) -> BTreeMap<CountedValues, Vec<(usize, u64)>> {
        let known = self.lock();
        let mut unknown: BTreeMap<CountedValues, Vec<(usize, u64)>> = BTreeMap::new();
        for (at, event) in events.iter_mut().enumerate() {
            for dimension in PixelDimension::ALL {
                let Some(value) = value_of(event, dimension) else { continue };
                let (hash, key) = (self.hash(value), key_of(event, dimension));
                match known.values.get(&key) {
                    Some(values) if values.contains(&hash) => {}
                    Some(values) if values.len() >= MAX_VALUES => count_as_other(event, dimension),
                    _ => unknown.entry(key).or_default().push((at, hash)),
                }
            }
        }
        unknown
    }
}

fn key_of(event: &NewPixelEvent, dimension: PixelDimension) -> CountedValues {
    let NewPixelEvent { workspace_id, environment, .. } = *event;
    CountedValues { workspace_id, environment, dimension, slot: QuarterHour::of(event.created_at) }
}

/// What an event is counted by, if it is.
fn value_of(event: &NewPixelEvent, dimension: PixelDimension) -> Option<&str> {
    match dimension {
        PixelDimension::Page => Some(&event.page),
        PixelDimension::Referrer => event.referring_site.as_deref(),
    }
}

fn count_as_other(event: &mut Cow<'_, NewPixelEvent>, dimension: PixelDimension) {
    match dimension {
        PixelDimension::Page => event.to_mut().page = OTHER.to_owned(),
        PixelDimension::Referrer => event.to_mut().referring_site = Some(OTHER.to_owned()),
    }
}
