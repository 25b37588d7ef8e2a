//! When a count begins anew.
//!
//! The n-th boundary is the anchor and n steps, never the boundary before it and one step: otherwise the 31st
//! would become the 28th in February and stay it. Steps are taken on the calendar of a time zone, so a month
//! ends at its midnight there, whatever daylight saving does.

use gatepost_kernel::Timestamp;
use jiff::{
    Span, ToSpan,
    civil::{DateTime, date},
    tz::TimeZone,
};

use crate::{Feature, Reset};

/// A time in which use is counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Its first instant; what it is known by.
    pub start: Timestamp,
    /// The first instant after it; none if it never ends.
    pub end: Option<Timestamp>,
}

gatepost_kernel::words! {
    /// What the periods of a feature are counted from.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub enum Anchor {
        /// The calendar: the first of the month, the first of January, days since 1970-01-01.
        #[default]
        Calendar = "calendar",
        /// The instant in which the workspace was made, to the second.
        Workspace = "workspace",
    }
}
gatepost_kernel::read_as_word!(Anchor);

/// What a workspace says about its periods.
#[derive(Debug, Clone)]
pub struct Cycle {
    zone: TimeZone,
    created_at: Timestamp,
}

impl Cycle {
    /// For a workspace that was made at `created_at` and counts in the time zone of this IANA name; UTC if
    /// there is no such.
    pub fn new(time_zone: Option<&str>, created_at: Timestamp) -> Self {
        let zone = time_zone.and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC);
        Self { zone, created_at }
    }

    /// The period of `feature` that `now` lies in. Of a rolling one, the day: what is counted is this day's
    /// count and those of the days before it, back to [`Cycle::rolling_since`].
    pub fn period(&self, feature: &Feature, now: Timestamp) -> Period {
        let (step, estimate): (fn(i64, i64) -> Span, _) = match feature.reset {
            Reset::Never => return Period { start: Timestamp::from_micros(0), end: None },
            Reset::Monthly => (|n, _| n.months(), Unit::Month),
            Reset::Yearly => (|n, _| (n * 12).months(), Unit::Year),
            Reset::EveryDays(days) => (|n, days| (n * days).days(), Unit::Days(i64::from(days))),
            Reset::RollingDays(_) => (|n, _| n.days(), Unit::Days(1)),
        };
        let days = if let Unit::Days(days) = estimate { days } else { 0 };
        let anchor = match feature.anchor {
            Anchor::Workspace if !matches!(feature.reset, Reset::RollingDays(_)) => {
                self.local(self.created_at)
            }
            _ => date(1970, 1, 1).at(0, 0, 0, 0),
        };
        let boundary = |n: i64| self.instant(anchor.saturating_add(step(n, days)));
        let mut n = estimate.between(anchor, self.local(now));
        while boundary(n) > now {
            n -= 1;
        }
        while boundary(n + 1) <= now {
            n += 1;
        }
        Period { start: boundary(n), end: Some(boundary(n + 1)) }
    }

    /// The first day, by its start, that still counts for a rolling feature in the period `day`; none if it
    /// does not roll.
    pub fn rolling_since(&self, feature: &Feature, day: Period) -> Option<Timestamp> {
        let Reset::RollingDays(days) = feature.reset else { return None };
        // A whole window back from any moment of the day reaches into the day that lies so many days before.
        Some(self.days_after(day.start, -i64::from(days)))
    }

    /// The start of the day that is so many days after the one that starts at `day`.
    pub fn days_after(&self, day: Timestamp, days: i64) -> Timestamp {
        let midnight = self.local(day).date().at(0, 0, 0, 0);
        self.instant(midnight.saturating_add(days.days()))
    }

    /// The wall clock's reading, to the second.
    fn local(&self, at: Timestamp) -> DateTime {
        let at = jiff::Timestamp::from_second(at.as_micros().div_euclid(1_000_000)).unwrap_or_default();
        self.zone.to_datetime(at)
    }

    /// The instant at which the wall clock reads so: the first of two, and where it is put forward over it,
    /// as much later.
    fn instant(&self, at: DateTime) -> Timestamp {
        let at = self.zone.to_timestamp(at).unwrap_or(jiff::Timestamp::MAX);
        Timestamp::from_micros(at.as_microsecond())
    }
}

/// For a first guess, from which it is at most a step.
#[derive(Clone, Copy)]
enum Unit {
    Month,
    Year,
    Days(i64),
}

impl Unit {
    fn between(self, from: DateTime, to: DateTime) -> i64 {
        let years = i64::from(to.year()) - i64::from(from.year());
        match self {
            Self::Year => years,
            Self::Month => years * 12 + i64::from(to.month()) - i64::from(from.month()),
            Self::Days(step) => {
                let days = from.date().until(to.date()).map_or(0, |span| i64::from(span.get_days()));
                days.div_euclid(step)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::FeatureKind;

    fn metered(reset: Reset, anchor: Anchor) -> Feature {
        Feature { reset, anchor, ..Feature::new(FeatureKind::Metered) }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("an instant")
    }

    #[test]
    fn the_last_of_january_is_the_last_of_every_month() {
        let cycle = Cycle::new(None, at("2026-01-31T10:30:00.5Z"));
        let monthly = metered(Reset::Monthly, Anchor::Workspace);
        for (now, start, end) in [
            ("2026-01-31T10:30:00.5Z", "2026-01-31T10:30:00Z", "2026-02-28T10:30:00Z"),
            ("2026-02-28T10:30:00Z", "2026-02-28T10:30:00Z", "2026-03-31T10:30:00Z"),
            ("2026-05-01T00:00:00Z", "2026-04-30T10:30:00Z", "2026-05-31T10:30:00Z"),
            ("2028-02-29T10:29:59Z", "2028-01-31T10:30:00Z", "2028-02-29T10:30:00Z"),
        ] {
            let expected = Period { start: at(start), end: Some(at(end)) };
            assert_eq!(cycle.period(&monthly, at(now)), expected, "{now}");
        }
    }

    #[test]
    fn calendars_follow_the_time_zone() {
        let cycle = Cycle::new(Some("Europe/Berlin"), at("2026-01-31T10:30:00Z"));
        let period = |reset, now| cycle.period(&metered(reset, Anchor::Calendar), at(now));
        assert_eq!(
            period(Reset::Monthly, "2026-03-31T22:30:00Z"),
            Period { start: at("2026-03-31T22:00:00Z"), end: Some(at("2026-04-30T22:00:00Z")) },
            "April has begun there, and summer"
        );
        assert_eq!(period(Reset::Yearly, "2026-12-31T23:00:00Z").start, at("2026-12-31T23:00:00Z"));
        assert_eq!(period(Reset::Never, "2026-12-31T23:00:00Z").end, None);
        let week = period(Reset::EveryDays(7), "2026-11-20T12:00:00Z");
        assert_eq!(week.start, at("2026-11-18T23:00:00Z"), "1970 began on a Thursday");
        let day = period(Reset::RollingDays(30), "2026-11-20T12:00:00Z");
        assert_eq!(day.start, at("2026-11-19T23:00:00Z"));
        let rolling = metered(Reset::RollingDays(30), Anchor::Calendar);
        assert_eq!(cycle.rolling_since(&rolling, day), Some(at("2026-10-20T22:00:00Z")), "in summer");
        let unknown = Cycle::new(Some("Mars/Olympus"), at("2026-01-31T10:30:00Z"));
        let monthly = metered(Reset::Monthly, Anchor::Calendar);
        assert_eq!(unknown.period(&monthly, at("2026-05-01T00:00:00Z")).start, at("2026-05-01T00:00:00Z"));
    }

    const ZONES: [&str; 4] = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"];

    /// Every day of a year as anchor, in three zones with daylight saving, one of them by half an hour: over
    /// 20 years, periods follow each other without gap, and each begins on the anchor's day, or on the last
    /// of a shorter month.
    #[test]
    fn boundaries_over_twenty_years_for_every_anchor_day() {
        for zone in ZONES {
            let tz = TimeZone::get(zone).expect("a zone");
            for anchor_day in 0..366 {
                let anchor = date(2024, 1, 1).at(2, 15, 0, 0).saturating_add(i64::from(anchor_day).days());
                let created_at =
                    Timestamp::from_micros(tz.to_timestamp(anchor).expect("an instant").as_microsecond());
                let cycle = Cycle::new(Some(zone), created_at);
                for (reset, months) in [(Reset::Monthly, 1), (Reset::Yearly, 12)] {
                    let feature = metered(reset, Anchor::Workspace);
                    let mut now = created_at;
                    for n in 0..(240 / months) {
                        let period = cycle.period(&feature, now);
                        assert_eq!(period.start, now, "{zone} {anchor} {n}");
                        let began = cycle.local(period.start).date();
                        let month = date(2024, 1, 1)
                            .saturating_add((i64::from(anchor.month()) - 1 + n * months).months());
                        let last = month.last_of_month().day();
                        assert_eq!((began.month(), began.day()), (month.month(), anchor.day().min(last)));
                        now = period.end.expect("an end");
                        let before = cycle.period(&feature, Timestamp::from_micros(now.as_micros() - 1));
                        assert_eq!(before, period, "the last instant before the end");
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn every_instant_lies_in_its_period(
            micros in 0i64..4_000_000_000_000_000, created in 0i64..2_000_000_000_000_000,
            zone in 0usize..4, days in 1u32..400, kind in 0u8..4, anchored: bool,
        ) {
            let reset = match kind {
                0 => Reset::Monthly,
                1 => Reset::Yearly,
                2 => Reset::EveryDays(days),
                _ => Reset::RollingDays(days),
            };
            let anchor = if anchored { Anchor::Workspace } else { Anchor::Calendar };
            let cycle = Cycle::new(Some(ZONES[zone]), Timestamp::from_micros(created));
            let (feature, now) = (metered(reset, anchor), Timestamp::from_micros(micros));
            let period = cycle.period(&feature, now);
            let end = period.end.expect("an end");
            prop_assert!(period.start <= now && now < end);
            prop_assert_eq!(cycle.period(&feature, end).start, end);
            if let Some(since) = cycle.rolling_since(&feature, period) {
                let window = std::time::Duration::from_secs(u64::from(days) * 86_400);
                // An hour of daylight saving aside, nothing within the window is left out.
                prop_assert!(since <= now.minus(window.saturating_sub(std::time::Duration::from_secs(3_600))));
            }
        }
    }
}
