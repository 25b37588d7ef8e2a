//! The sliding minute.
//!
//! Requests are counted in slots of one second. Any 60 seconds touch at most 61 slots, and all of them are counted
//! whole, so the bound holds for every sliding window whatever the arrival pattern: a request counts for 60 seconds at
//! least and 61 at most. A window is 61 counters of two bytes; only a key that may do more than 65,535 requests in a
//! minute has counters of four.

use gatepost_kernel::Timestamp;

/// The slots that any 60 seconds can touch.
const SLOTS: usize = 61;

/// What one key has used in the last minute.
#[derive(Debug, Clone)]
pub struct MinuteWindow {
    /// The second of the newest slot; slots of seconds behind it by 61 or more are forgotten.
    newest: i64,
    sum: u64,
    slots: Slots,
}

#[derive(Debug, Clone)]
enum Slots {
    Small([u16; SLOTS]),
    Large(Box<[u64; SLOTS]>),
}

impl Slots {
    fn get(&self, second: i64) -> u64 {
        let place = place(second);
        match self {
            Self::Small(slots) => slots[place].into(),
            Self::Large(slots) => slots[place],
        }
    }

    fn clear(&mut self, second: i64) {
        let place = place(second);
        match self {
            Self::Small(slots) => slots[place] = 0,
            Self::Large(slots) => slots[place] = 0,
        }
    }

    fn add(&mut self, second: i64, count: u64) {
        let place = place(second);
        if let Self::Small(slots) = self {
            if let Some(sum) = u16::try_from(count).ok().and_then(|count| slots[place].checked_add(count)) {
                slots[place] = sum;
                return;
            }
            *self = Self::Large(Box::new(slots.map(u64::from)));
        }
        if let Self::Large(slots) = self {
            slots[place] += count;
        }
    }
}

fn place(second: i64) -> usize {
    usize::try_from(second.rem_euclid(SLOTS as i64)).unwrap_or(0)
}

impl MinuteWindow {
    /// A window in which nothing was used.
    pub const fn new() -> Self {
        Self { newest: i64::MIN, sum: 0, slots: Slots::Small([0; SLOTS]) }
    }

    /// How many requests count at `now`.
    pub fn used(&mut self, now: Timestamp) -> u64 {
        self.advance(now);
        self.sum
    }

    /// Counts `cost` requests at `now`. The caller has checked the cap.
    pub fn add(&mut self, now: Timestamp, cost: u64) {
        self.advance(now);
        self.slots.add(self.newest, cost);
        self.sum += cost;
    }

    /// When the oldest request that counts at `now` stops counting; `now`'s own second if there is none.
    pub fn reset_at(&mut self, now: Timestamp) -> Timestamp {
        self.frees_at(now, 1)
    }

    /// When, if nothing more comes, at least `cost` of the requests that count at `now` have stopped counting.
    pub fn frees_at(&mut self, now: Timestamp, cost: u64) -> Timestamp {
        self.advance(now);
        let mut freed = 0;
        let oldest = self.newest - (SLOTS as i64 - 1);
        for second in oldest..=self.newest {
            freed += self.slots.get(second);
            if freed >= cost && freed > 0 {
                return seconds(second + SLOTS as i64);
            }
        }
        seconds(self.newest)
    }

    /// Whether nothing counts at `now`, so that the window can be dropped.
    pub fn is_idle(&mut self, now: Timestamp) -> bool {
        self.used(now) == 0
    }

    /// Forgets what is too old. A clock that goes back does not bring back what was used: time stands still
    /// until it has caught up.
    fn advance(&mut self, now: Timestamp) {
        let second = now.as_seconds();
        if second <= self.newest {
            return;
        }
        if self.sum > 0 {
            if second - self.newest >= SLOTS as i64 {
                self.slots = Slots::Small([0; SLOTS]);
                self.sum = 0;
            } else {
                for passed in self.newest + 1..=second {
                    self.sum -= self.slots.get(passed);
                    self.slots.clear(passed);
                }
            }
        }
        self.newest = second;
    }
}

impl Default for MinuteWindow {
    fn default() -> Self {
        Self::new()
    }
}

fn seconds(second: i64) -> Timestamp {
    Timestamp::from_micros(second.saturating_mul(1_000_000))
}
