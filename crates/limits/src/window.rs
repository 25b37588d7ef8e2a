//! The sliding minute.
//!
//! Requests are counted in slots of one second. Any 60 seconds touch at most 61 slots, and all of them are
//! counted whole, so the bound holds for every sliding window whatever the arrival pattern: a request counts
//! for 60 seconds at least and 61 at most. The instant of the last request is kept: 60 seconds after it
//! nothing counts any more, so whoever is told to wait waits for a minute at most. A window is 61 counters of
//! one byte, in place; only a key that makes more than 255 requests within one second gets larger counters,
//! beside it.

use std::time::Duration;

use gatepost_kernel::Timestamp;

/// The slots that any 60 seconds can touch.
const SLOTS: u32 = 61;
/// The length of the window.
const MINUTE: Duration = Duration::from_secs(60);

/// What one key has used in the last minute.
#[derive(Debug, Clone)]
pub struct MinuteWindow {
    /// The second of the newest slot; slots of seconds behind it by 61 or more are forgotten.
    newest: u32,
    /// The second of the oldest slot that holds something; means nothing while the sum is 0.
    oldest: u32,
    sum: u64,
    /// When the last request was counted; means nothing while the sum is 0.
    last: Timestamp,
    slots: Slots,
}

#[derive(Debug, Clone)]
enum Slots {
    Small([u8; SLOTS as usize]),
    Large(Box<[u64; SLOTS as usize]>),
}

impl Slots {
    fn get(&self, second: u32) -> u64 {
        match self {
            Self::Small(slots) => slots[slot_of(second)].into(),
            Self::Large(slots) => slots[slot_of(second)],
        }
    }

    fn clear(&mut self, second: u32) {
        match self {
            Self::Small(slots) => slots[slot_of(second)] = 0,
            Self::Large(slots) => slots[slot_of(second)] = 0,
        }
    }

    fn take(&mut self, second: u32, count: u64) {
        match self {
            // What is taken was counted, so it fits.
            Self::Small(slots) => slots[slot_of(second)] -= u8::try_from(count).unwrap_or(0),
            Self::Large(slots) => slots[slot_of(second)] -= count,
        }
    }

    fn add(&mut self, second: u32, count: u64) {
        if let Self::Small(slots) = self {
            let slot = &mut slots[slot_of(second)];
            if let Some(sum) = u8::try_from(count).ok().and_then(|count| slot.checked_add(count)) {
                *slot = sum;
                return;
            }
            *self = Self::Large(Box::new(slots.map(u64::from)));
        }
        if let Self::Large(slots) = self {
            slots[slot_of(second)] += count;
        }
    }
}

fn slot_of(second: u32) -> usize {
    (second % SLOTS) as usize
}

impl MinuteWindow {
    /// A window in which nothing was used.
    pub const fn new() -> Self {
        let slots = Slots::Small([0; SLOTS as usize]);
        Self { newest: 0, oldest: 0, sum: 0, last: Timestamp::from_micros(0), slots }
    }

    /// How many requests count at `now`.
    pub fn used(&mut self, now: Timestamp) -> u64 {
        self.advance(now);
        self.sum
    }

    /// Counts `cost` requests at `now`. The caller has checked the cap.
    pub fn add(&mut self, now: Timestamp, cost: u64) {
        self.advance(now);
        if cost == 0 {
            return;
        }
        if self.sum == 0 {
            self.oldest = self.newest;
        }
        self.slots.add(self.newest, cost);
        self.sum += cost;
        // A clock that has gone back stands still until it has caught up.
        self.last = now.max(seconds(self.newest));
    }

    /// Takes back `cost` requests that were counted at `then`: what they were for did not happen.
    pub fn give_back(&mut self, then: Timestamp, now: Timestamp, cost: u64) {
        self.advance(now);
        let second = second_of(then);
        if cost == 0 || self.sum == 0 || !(self.oldest..=self.newest).contains(&second) {
            return;
        }
        let count = self.slots.get(second).min(cost);
        self.slots.take(second, count);
        self.sum -= count;
        while self.sum > 0 && self.slots.get(self.oldest) == 0 {
            self.oldest += 1;
        }
    }

    /// Counts here too what counts there at `now`, each in its own second.
    pub fn add_all(&mut self, other: &mut Self, now: Timestamp) {
        self.advance(now);
        other.advance(now);
        // Of two clocks, one may have been ahead.
        let newest = seconds(self.newest.max(other.newest));
        self.advance(newest);
        other.advance(newest);
        if other.sum == 0 {
            return;
        }
        for second in other.oldest..=other.newest {
            let count = other.slots.get(second);
            if count > 0 {
                self.slots.add(second, count);
            }
        }
        (self.oldest, self.last) = match self.sum {
            0 => (other.oldest, other.last),
            _ => (self.oldest.min(other.oldest), self.last.max(other.last)),
        };
        self.sum += other.sum;
    }

    /// When the oldest request that counts at `now` stops counting; `now`'s own second if there is none.
    pub fn reset_at(&mut self, now: Timestamp) -> Timestamp {
        self.advance(now);
        if self.sum == 0 { seconds(self.newest) } else { self.end_of(self.oldest) }
    }

    /// When what was counted in a second stops counting.
    fn end_of(&self, second: u32) -> Timestamp {
        match second == second_of(self.last) {
            true => self.last.plus(MINUTE),
            false => seconds(second.saturating_add(SLOTS)),
        }
    }

    /// When, if nothing more comes, at least `cost` of the requests that count at `now` have stopped
    /// counting.
    pub fn frees_at(&mut self, now: Timestamp, cost: u64) -> Timestamp {
        self.advance(now);
        if self.sum == 0 {
            return seconds(self.newest);
        }
        let mut freed = 0;
        for second in self.oldest..=self.newest {
            freed += self.slots.get(second);
            if freed >= cost && freed > 0 {
                return self.end_of(second);
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
        if self.sum > 0 && now >= self.last.plus(MINUTE) {
            *self = Self { newest: self.newest, ..Self::new() };
        }
        let second = second_of(now);
        if second <= self.newest {
            return;
        }
        self.newest = second;
        let first_kept = second.saturating_sub(SLOTS - 1);
        if self.sum == 0 || self.oldest >= first_kept {
            return;
        }
        if second - self.oldest >= 2 * SLOTS {
            // Nothing newer than 60 seconds after the oldest can be there.
            *self = Self { newest: second, ..Self::new() };
            return;
        }
        while self.oldest < first_kept && self.sum > 0 {
            self.sum -= self.slots.get(self.oldest);
            self.slots.clear(self.oldest);
            self.oldest += 1;
        }
        while self.sum > 0 && self.slots.get(self.oldest) == 0 {
            self.oldest += 1;
        }
        if self.sum == 0 {
            self.slots = Slots::Small([0; SLOTS as usize]);
        }
    }
}

impl Default for MinuteWindow {
    fn default() -> Self {
        Self::new()
    }
}

fn second_of(at: Timestamp) -> u32 {
    u32::try_from(at.as_seconds().max(0)).unwrap_or(u32::MAX)
}

fn seconds(second: u32) -> Timestamp {
    Timestamp::from_micros(i64::from(second) * 1_000_000)
}
