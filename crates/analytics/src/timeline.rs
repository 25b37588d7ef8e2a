//! The hours, days, weeks or months of a time zone, as runs of slots.
//!
//! Between two changes of the clocks an hour or a day is found by a division, which a database can do while
//! it adds up. So a timeline is cut into segments of one offset each; there are few. A day on which the
//! clocks change lies in two of them and is one period; an hour that the clocks go through twice is two.
//! Weeks and months are put together from days.

use std::collections::HashMap;

use gatepost_kernel::Timestamp;
use jiff::{
    Span, ToSpan,
    civil::Date,
    tz::{Disambiguation, Offset, TimeZone},
};

use crate::QuarterHour;

/// Slots of an hour.
const HOUR: i64 = 4;
/// Slots of a day on which the clocks do not change.
const DAY: i64 = 24 * HOUR;

gatepost_kernel::words! {
    /// The length of a period.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Interval {
        /// An hour of the clock.
        Hour = "hour",
        /// A day of the calendar.
        Day = "day",
        /// A week of the calendar, from Monday on.
        Week = "week",
        /// A month of the calendar.
        Month = "month",
    }
    described as "AnalyticsInterval": "Length of a period."
}

impl Interval {
    /// The most of them in one timeline.
    pub fn max_periods(self) -> usize {
        match self {
            Self::Hour => 31 * 24 + 2,
            Self::Day => 400,
            Self::Week => 58,
            Self::Month => 14,
        }
    }

    /// About how many slots make a period.
    fn slots(self) -> i64 {
        match self {
            Self::Hour => HOUR,
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            Self::Month => 31 * DAY,
        }
    }

    /// How many slots are added up as one; a period is one or several of those.
    fn slots_together(self) -> i64 {
        match self {
            Self::Hour => HOUR,
            Self::Day | Self::Week | Self::Month => DAY,
        }
    }

    /// The period that an hour or a day lies in, each counted from 1970 on.
    fn period(self, number: i64) -> i64 {
        match self {
            Self::Hour | Self::Day => number,
            // The first day was a Thursday.
            Self::Week => (number + 3).div_euclid(7),
            Self::Month => {
                let date = Date::constant(1970, 1, 1).saturating_add(number.days());
                i64::from(date.year()) * 12 + i64::from(date.month())
            }
        }
    }

    /// How long before its end a timeline begins, if nothing else is said: a day of hours, 30 days, 12 weeks
    /// or 12 months.
    fn usual(self) -> Span {
        match self {
            Self::Hour => 23.hours(),
            Self::Day => 29.days(),
            Self::Week => 11.weeks(),
            Self::Month => 11.months(),
        }
    }
}

/// Where a timeline begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// In the period of an instant.
    At(Timestamp),
    /// On a day, whatever the time zone is: with its beginning, or its end.
    On(Date),
}

impl Moment {
    /// Reads a date, or a date-time with any offset.
    pub fn parse(text: &str) -> Option<Self> {
        match text.contains(['T', 't']) {
            true => Timestamp::parse(text).map(Self::At),
            false => Timestamp::parse(text).and(text.parse().ok()).map(Self::On),
        }
    }

    fn first(self, zone: &TimeZone) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::On(date) => midnight(date, zone).start(),
        }
    }

    fn last(self, zone: &TimeZone) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::On(date) => QuarterHour(midnight(date.saturating_add(1.day()), zone).0 - 1).start(),
        }
    }

    /// So much earlier, for where a timeline begins that has an end only.
    fn minus(self, span: Span, zone: &TimeZone) -> Self {
        match self {
            Self::At(at) => {
                let earlier = instant(at).to_zoned(zone.clone()).saturating_sub(span);
                Self::At(Timestamp::from_micros(earlier.timestamp().as_microsecond()))
            }
            // The first hour of a day is hours before its last.
            Self::On(date) if span.get_hours() > 0 => Self::On(date),
            Self::On(date) => Self::On(date.saturating_sub(span)),
        }
    }
}

/// Slots between which the clocks do not change. The hour or the day of a slot is `(slot + shift) /
/// slots_together`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// The first slot.
    pub first: QuarterHour,
    /// The first slot behind it.
    pub end: QuarterHour,
    /// How many slots the clocks are ahead of UTC.
    pub shift: i64,
    /// How many slots make an hour or a day.
    pub slots_together: i64,
}

impl Segment {
    /// The number of the hour or the day of a slot.
    pub fn number(&self, slot: QuarterHour) -> i64 {
        (slot.0 + self.shift).div_euclid(self.slots_together)
    }
}

/// Periods, one after the other.
#[derive(Debug, Clone)]
pub struct Timeline {
    segments: Vec<Segment>,
    starts: Vec<Timestamp>,
    /// Place by segment and number.
    places: HashMap<(usize, i64), usize>,
}

impl Timeline {
    /// The periods from the one that `from` lies in to the one that `to` lies in, both whole, by the clocks
    /// of a time zone; UTC if there is none of this IANA name. Without `from`: 24 hours, 30 days, 12 weeks or
    /// 12 months.
    ///
    /// # Errors
    /// How many there would be, if more than [`Interval::max_periods`].
    pub fn new(
        interval: Interval,
        from: Option<Moment>,
        to: Moment,
        time_zone: Option<&str>,
    ) -> Result<Self, usize> {
        let zone = time_zone.and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC);
        let from = from.unwrap_or_else(|| to.minus(interval.usual(), &zone));
        let first = start_of(interval, from.first(&zone), &zone);
        let end = end_of(interval, to.last(&zone), &zone);
        let rough = usize::try_from((end.0 - first.0).max(0) / interval.slots()).unwrap_or(usize::MAX);
        if rough > interval.max_periods() + 1 {
            return Err(rough);
        }
        let mut timeline = Self { segments: Vec::new(), starts: Vec::new(), places: HashMap::new() };
        let mut next = first;
        while next < end {
            let at = instant(next.start());
            let change = zone.following(at).map(|change| slot(change.timestamp())).find(|slot| *slot > next);
            let segment_end = change.map_or(end, |change| change.min(end));
            timeline.add(interval, next, segment_end, shift(zone.to_offset(at)));
            next = segment_end;
        }
        match timeline.starts.len() {
            fits if fits <= interval.max_periods() => Ok(timeline),
            many => Err(many),
        }
    }

    fn add(&mut self, interval: Interval, first: QuarterHour, end: QuarterHour, shift: i64) {
        let segment = Segment { first, end, shift, slots_together: interval.slots_together() };
        let continues = self.segments.last().is_some_and(|last| last.shift == shift);
        // A day goes on while its date does, whatever the clocks do; an hour does not.
        let goes_on = continues || interval != Interval::Hour;
        let last = self.segments.last().filter(|_| goes_on);
        let mut last_period = last.map(|last| interval.period(last.number(QuarterHour(first.0 - 1))));
        let place = self.segments.len();
        self.segments.push(segment);
        for number in segment.number(first)..=segment.number(QuarterHour(end.0 - 1)) {
            let period = Some(interval.period(number));
            if period != last_period {
                let start = (number * segment.slots_together - shift).max(first.0);
                self.starts.push(QuarterHour(start).start());
                last_period = period;
            }
            self.places.insert((place, number), self.starts.len() - 1);
        }
    }

    /// What is to be added up, segment by segment.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The first instants of the periods.
    pub fn starts(&self) -> &[Timestamp] {
        &self.starts
    }

    /// Which period a number in a segment stands for.
    pub fn place(&self, segment: usize, number: i64) -> Option<usize> {
        self.places.get(&(segment, number)).copied()
    }

    /// The first slot, and the first behind the last.
    pub fn slots(&self) -> (QuarterHour, QuarterHour) {
        let first = self.segments.first().map_or(QuarterHour(0), |segment| segment.first);
        (first, self.segments.last().map_or(first, |segment| segment.end))
    }
}

fn instant(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or_default()
}

fn slot(at: jiff::Timestamp) -> QuarterHour {
    QuarterHour::of(Timestamp::from_micros(at.as_microsecond()))
}

fn shift(offset: Offset) -> i64 {
    i64::from(offset.seconds()).div_euclid(900)
}

fn start_of(interval: Interval, at: Timestamp, zone: &TimeZone) -> QuarterHour {
    let date = zone.to_datetime(instant(at)).date();
    match interval {
        Interval::Month => midnight(date.first_of_month(), zone),
        Interval::Week => midnight(monday(date), zone),
        Interval::Day => midnight(date, zone),
        Interval::Hour => {
            let shift = shift(zone.to_offset(instant(at)));
            QuarterHour((QuarterHour::of(at).0 + shift).div_euclid(HOUR) * HOUR - shift)
        }
    }
}

/// The first slot behind the period.
fn end_of(interval: Interval, at: Timestamp, zone: &TimeZone) -> QuarterHour {
    let date = zone.to_datetime(instant(at)).date();
    let next = match interval {
        Interval::Month => date.last_of_month().tomorrow(),
        Interval::Week => monday(date).checked_add(1.week()),
        Interval::Day => date.tomorrow(),
        Interval::Hour => return QuarterHour(start_of(interval, at, zone).0 + HOUR),
    };
    next.map_or(QuarterHour::of(at), |next| midnight(next, zone))
}

fn monday(of: Date) -> Date {
    of.saturating_sub(i64::from(of.weekday().to_monday_zero_offset()).days())
}

/// The first slot of a day: where the clocks skip midnight, where they go on.
fn midnight(of: Date, zone: &TimeZone) -> QuarterHour {
    let at = zone.to_ambiguous_timestamp(of.at(0, 0, 0, 0)).disambiguate(Disambiguation::Compatible);
    at.map_or(QuarterHour(0), slot)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("an instant")
    }

    fn moment(text: &str) -> Moment {
        Moment::parse(text).expect("a moment")
    }

    fn timeline(interval: Interval, from: &str, to: &str, zone: &str) -> Timeline {
        Timeline::new(interval, Some(moment(from)), moment(to), Some(zone)).expect("not too long")
    }

    fn place_of(timeline: &Timeline, slot: QuarterHour) -> Option<usize> {
        let segment = timeline.segments().iter().position(|s| s.first <= slot && slot < s.end)?;
        timeline.place(segment, timeline.segments()[segment].number(slot))
    }

    #[test]
    fn days_of_a_time_zone_with_daylight_saving() {
        let days = timeline(Interval::Day, "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z", "Europe/London");
        let starts = ["2026-03-28T00:00:00Z", "2026-03-29T00:00:00Z", "2026-03-29T23:00:00Z"];
        assert_eq!(days.starts(), starts.map(at));
        assert_eq!(days.segments().len(), 2, "one before the change of the clocks, one behind it");
        assert_eq!(
            days.slots(),
            (QuarterHour::of(at("2026-03-28")), QuarterHour::of(at("2026-03-30T23:00:00Z")))
        );
        let last_of_the_short_day = QuarterHour::of(at("2026-03-29T22:59:59Z"));
        assert_eq!(place_of(&days, last_of_the_short_day), Some(1));
    }

    #[test]
    fn an_hour_that_comes_twice_is_two() {
        let hours = timeline(Interval::Hour, "2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z", "Europe/London");
        let starts = ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"];
        assert_eq!(hours.starts(), starts.map(at));
    }

    #[test]
    fn offsets_of_quarter_hours() {
        let hours =
            timeline(Interval::Hour, "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", "Asia/Kathmandu");
        assert_eq!(hours.starts()[0], at("2025-12-31T23:15:00Z"));
        let days =
            timeline(Interval::Day, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "Australia/Lord_Howe");
        assert_eq!(days.starts(), [at("2025-12-31T13:00:00Z")]);
    }

    #[test]
    fn a_date_is_a_day_of_the_time_zone() {
        let days = timeline(Interval::Day, "2026-01-01", "2026-01-02", "America/New_York");
        assert_eq!(days.starts(), [at("2026-01-01T05:00:00Z"), at("2026-01-02T05:00:00Z")]);
        let hours = timeline(Interval::Hour, "2026-01-01", "2026-01-01", "America/New_York");
        assert_eq!((hours.starts().len(), hours.starts()[0]), (24, at("2026-01-01T05:00:00Z")));
        assert_eq!(Moment::parse("2026-02-30"), None);
        assert_eq!(Moment::parse("2026-01-01T00:00:00+02:00"), Some(Moment::At(at("2025-12-31T22:00:00Z"))));
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        let weeks = timeline(Interval::Week, "2026-03-25", "2026-04-06", "Europe/London");
        let starts = ["2026-03-23T00:00:00Z", "2026-03-29T23:00:00Z", "2026-04-05T23:00:00Z"];
        assert_eq!(weeks.starts(), starts.map(at));
        assert_eq!(weeks.slots().1, QuarterHour::of(at("2026-04-12T23:00:00Z")));
        let months = timeline(Interval::Month, "2025-12-31", "2026-02-01", "America/New_York");
        let starts = ["2025-12-01T05:00:00Z", "2026-01-01T05:00:00Z", "2026-02-01T05:00:00Z"];
        assert_eq!(months.starts(), starts.map(at));
        // The clocks change within this one.
        let march = timeline(Interval::Month, "2026-03-10", "2026-03-10", "Europe/London");
        assert_eq!((march.starts().len(), march.segments().len()), (1, 2));
        assert_eq!(place_of(&march, QuarterHour::of(at("2026-03-31T22:59:59Z"))), Some(0));
    }

    #[test]
    fn without_a_beginning_there_are_as_many_as_usual() {
        let usual = |interval, to: &str, zone| {
            Timeline::new(interval, None, moment(to), Some(zone)).expect("not too long").starts().len()
        };
        for to in [
            "2026-03-31T23:30:00Z",
            "2026-03-01",
            "2024-02-29T12:00:00Z",
            "2026-02-28T22:30:00Z",
            "2026-10-25",
        ] {
            for zone in ["UTC", "Europe/London", "Asia/Kathmandu", "America/New_York"] {
                let all = [Interval::Day, Interval::Week, Interval::Month]
                    .map(|interval| usual(interval, to, zone));
                assert_eq!(all, [30, 12, 12], "{to} {zone}");
            }
        }
        for to in ["2026-03-31T23:30:00Z", "2026-03-01"] {
            assert_eq!(usual(Interval::Hour, to, "UTC"), 24, "{to}");
        }
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let of = |interval, from: &str, to: &str, zone| {
            Timeline::new(interval, Some(moment(from)), moment(to), zone)
        };
        assert!(of(Interval::Hour, "2026-01-01", "2027-01-01", None).is_err_and(|many| many > 8_000));
        for interval in [Interval::Day, Interval::Week, Interval::Month] {
            assert!(of(interval, "0001-01-01", "9999-12-31", Some("Asia/Tokyo")).is_err());
            assert!(of(interval, "9999-12-31", "9999-12-31", Some("Asia/Tokyo")).is_ok());
            assert!(of(interval, "0001-01-01", "0001-01-01", Some("Asia/Tokyo")).is_ok());
        }
        assert!(
            of(Interval::Month, "2025-01-31", "2026-02-01", None).is_ok_and(|all| all.starts().len() == 14)
        );
        assert!(of(Interval::Month, "2025-01-31", "2026-03-01", None).is_err_and(|many| many == 15));
        assert!(of(Interval::Week, "2025-01-31", "2027-03-01", None).is_err_and(|many| many > 100));
        let backwards = of(Interval::Day, "2026-01-02", "2026-01-01", None);
        assert!(backwards.is_ok_and(|timeline| timeline.starts().is_empty()));
    }

    proptest! {
        /// Every slot lies in the period that begins last before it, and none is left out or counted twice.
        #[test]
        fn every_slot_lies_in_one_period(
            day in 0i64..3_650, minutes in 0i64..1_440, length in 1i64..20,
            interval in prop::sample::select(vec![Interval::Hour, Interval::Day, Interval::Week, Interval::Month]),
            zone in prop::sample::select(vec!["UTC", "Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo"]),
        ) {
            let from = Timestamp::from_micros((1_767_225_600 + day * 86_400 + minutes * 60) * 1_000_000);
            let to = from.plus(Duration::from_secs(length as u64 * 86_400));
            let timeline = Timeline::new(interval, Some(Moment::At(from)), Moment::At(to), Some(zone)).expect("not too long");
            let starts = timeline.starts();
            prop_assert!(starts.windows(2).all(|pair| pair[0] < pair[1]));
            let (first, end) = timeline.slots();
            prop_assert!(first.start() <= from && to < end.start());
            prop_assert_eq!(starts[0], first.start());
            for slot in (first.0..end.0).map(QuarterHour) {
                let expected = starts.partition_point(|start| *start <= slot.start()) - 1;
                prop_assert_eq!(place_of(&timeline, slot), Some(expected));
            }
            let local = |start: &Timestamp| TimeZone::get(zone).expect("a zone").to_datetime(instant(*start));
            // Whole hours and midnights, but for those that the clocks skip.
            let odd = starts.iter().filter(|start| {
                local(start).minute() != 0 || (interval != Interval::Hour && local(start).hour() != 0)
            });
            prop_assert!(odd.count() <= 1);
            let of_calendar = starts.iter().all(|start| match interval {
                Interval::Hour | Interval::Day => true,
                Interval::Week => local(start).weekday() == jiff::civil::Weekday::Monday,
                Interval::Month => local(start).day() == 1,
            });
            prop_assert!(of_calendar);
        }
    }
}
