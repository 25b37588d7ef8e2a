//! Instants to the microsecond, and where they come from.
//!
//! Everything below the edge takes `now: Timestamp`. Both databases store microseconds, so an instant is
//! rounded down to them as it is made, and compares equal after it was stored and read.

use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime},
};

#[cfg(feature = "rfc3339")]
use ::time::{
    OffsetDateTime, PrimitiveDateTime, format_description::well_known::Rfc3339, macros::format_description,
};
#[cfg(feature = "rfc3339")]
use serde::{Serialize, Serializer};

/// Microseconds since 1970-01-01T00:00:00Z; on the wire RFC 3339 in UTC with `Z` and always six digits behind
/// the second, so that texts sort like instants. For what is no measured instant there is [`CalendarTime`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The latest instant that is accepted and can be written, 9999-12-31T23:59:59.999999Z.
    pub const MAX: Self = Self(253_402_300_799_999_999);

    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The whole second that this is, or the next one: for those who are told seconds and must not come too
    /// early.
    pub const fn rounded_up(self) -> Self {
        Self((self.0 + 999_999).div_euclid(1_000_000) * 1_000_000)
    }

    /// This much later, at most [`Timestamp::MAX`].
    pub fn plus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros)).min(Self::MAX)
    }

    /// This much earlier.
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads an RFC 3339 date-time with any offset, an ISO 8601 one without (UTC is meant), or a date alone
    /// (midnight UTC). Years 1–9999.
    #[cfg(feature = "rfc3339")]
    pub fn parse(text: &str) -> Option<Self> {
        let local =
            format_description!("[year]-[month]-[day]T[hour]:[minute]:[second][optional [.[subsecond]]]");
        let date = format_description!("[year]-[month]-[day]");
        let instant = if let Ok(instant) = OffsetDateTime::parse(text, &Rfc3339) {
            instant
        } else if let Ok(local) = PrimitiveDateTime::parse(text, local) {
            local.assume_utc()
        } else {
            ::time::Date::parse(text, date).ok()?.midnight().assume_utc()
        };
        let timestamp = Self(i64::try_from(instant.unix_timestamp_nanos().div_euclid(1_000)).ok()?);
        (-62_135_596_800_000_000..=Self::MAX.0).contains(&timestamp.0).then_some(timestamp)
    }
}

#[cfg(feature = "rfc3339")]
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        write_seconds(&mut text, *self)?;
        write_digits(&mut text[20..26], self.0.rem_euclid(1_000_000));
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// The date and the time of day down to the second, into a text that has everything but the digits: the
/// formatting machinery would be most of the cost.
#[cfg(feature = "rfc3339")]
fn write_seconds(text: &mut [u8], instant: Timestamp) -> fmt::Result {
    let instant = OffsetDateTime::from_unix_timestamp(instant.as_seconds()).map_err(|_| fmt::Error)?;
    let ((year, month, day), (hour, minute, second)) = (instant.to_calendar_date(), instant.to_hms());
    let parts = [(5, u8::from(month)), (8, day), (11, hour), (14, minute), (17, second)];
    write_digits(&mut text[..4], year.into());
    for (index, number) in parts {
        write_digits(&mut text[index..index + 2], number.into());
    }
    Ok(())
}

/// A number that is not below zero, with as many digits as there is room for.
#[cfg(feature = "rfc3339")]
fn write_digits(room: &mut [u8], mut number: i64) {
    for digit in room.iter_mut().rev() {
        *digit = b'0' + (number % 10).unsigned_abs() as u8;
        number /= 10;
    }
}

/// An instant that somebody chose or a calendar sets, such as the end of a key or of a month: without a
/// fraction on the wire where it is whole.
#[cfg(feature = "rfc3339")]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CalendarTime(pub Timestamp);

#[cfg(feature = "rfc3339")]
impl From<Timestamp> for CalendarTime {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp)
    }
}

#[cfg(feature = "rfc3339")]
impl fmt::Display for CalendarTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.0.rem_euclid(1_000_000) > 0 {
            return fmt::Display::fmt(&self.0, f);
        }
        let mut text = *b"0000-00-00T00:00:00Z";
        write_seconds(&mut text, self.0)?;
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

#[cfg(feature = "rfc3339")]
impl fmt::Debug for CalendarTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "rfc3339")]
impl Serialize for CalendarTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "rfc3339")]
impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(not(feature = "rfc3339"))]
impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} µs since 1970", self.0)
    }
}

#[cfg(feature = "rfc3339")]
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where the edge gets `now` from.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

impl From<SystemTime> for Timestamp {
    /// To the microsecond, at most [`Timestamp::MAX`]. What is before 1970 becomes the epoch: a clock that
    /// says so is not set, and any other instant is as wrong.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)).min(Self::MAX)
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that the ban points to")]
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// The machine's clock, put right by an offset: that of the database, by which several machines agree.
#[derive(Debug, Default)]
pub struct AdjustedClock {
    ahead_micros: AtomicI64,
}

impl AdjustedClock {
    /// Sets by how many microseconds it is ahead of the machine's clock.
    pub fn adjust(&self, ahead_micros: i64) {
        self.ahead_micros.store(ahead_micros, Ordering::Relaxed);
    }
}

impl Clock for AdjustedClock {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0.saturating_add(self.ahead_micros.load(Ordering::Relaxed)))
    }
}

/// A clock that stands still until it is told to move; for tests.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.0))
    }

    /// Moves on.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap_or(0), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_iso_8601_users_write() {
        for (text, written) in [
            ("2027-01-01T00:00:00Z", "2027-01-01T00:00:00.000000Z"),
            ("2027-01-01T02:00:00+02:00", "2027-01-01T00:00:00.000000Z"),
            ("2027-01-01T00:00:00.1234567Z", "2027-01-01T00:00:00.123456Z"),
            ("2027-01-01T12:30:00", "2027-01-01T12:30:00.000000Z"),
            ("2027-01-01", "2027-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(Timestamp::parse(text).map(|t| t.to_string()).as_deref(), Some(written), "{text}");
        }
        for bad in ["", "soon", "2027-13-01", "2027-02-30", "1700000000", "2027-01-01T25:00:00Z"] {
            assert_eq!(Timestamp::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_a_calendar_sets_is_whole() {
        let written = |text| Timestamp::parse(text).map(|at| CalendarTime(at).to_string());
        assert_eq!(written("2027-01-01").as_deref(), Some("2027-01-01T00:00:00Z"));
        assert_eq!(written("2027-01-01T00:00:00.5Z").as_deref(), Some("2027-01-01T00:00:00.500000Z"));
        assert_eq!(written("0001-01-01").as_deref(), Some("0001-01-01T00:00:00Z"));
    }

    proptest! {
        #[test]
        fn texts_sort_like_instants(a in 0..Timestamp::MAX.0, b in 0..Timestamp::MAX.0) {
            let (a, b) = (Timestamp(a), Timestamp(b));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn what_is_written_is_read_back(micros in 0..Timestamp::MAX.0) {
            let instant = Timestamp(micros);
            prop_assert_eq!(Timestamp::parse(&instant.to_string()), Some(instant));
        }
    }
}
