//! Requests by day, as a picture with its numbers as a table.

use askama::{Template, filters::HtmlSafe};
use gatepost_app::{DayUsage, RequestCounts, keys::usage::day_start};

/// A bar of the picture.
struct Bar {
    x: u64,
    y: u64,
    height: u64,
}

/// A row of the table.
struct Row {
    day: String,
    counts: RequestCounts,
}

/// The chart of so many days.
#[derive(Template)]
#[template(path = "chart.html")]
pub struct Chart {
    days: u64,
    total: u64,
    most: u64,
    bars: Vec<Bar>,
    rows: Vec<Row>,
}

// Its template escapes what is no number.
impl HtmlSafe for Chart {}

/// All requests of a count.
pub fn total(counts: &RequestCounts) -> u64 {
    counts.successes + counts.redirects + counts.refusals + counts.failures
}

impl Chart {
    /// The width of a day, and the height of the picture.
    const WIDTH: u64 = 10;
    const HEIGHT: u64 = 100;

    /// The chart of the `days` that end with `today`, with what is known of them.
    pub fn new(used: &[DayUsage], today: i64, days: u32) -> Self {
        let of_day = |day: i64| used.iter().find(|one| one.day == day).map_or(0, |one| total(&one.counts));
        let first = today - i64::from(days) + 1;
        let counts: Vec<u64> = (first..=today).map(of_day).collect();
        let most = counts.iter().copied().max().unwrap_or_default();
        // The least that is shown is a line: something is not nothing.
        let height = |count: u64| match count {
            0 => 0,
            count => (count * Self::HEIGHT / most.max(1)).max(2),
        };
        let bars = counts.iter().zip(0..).map(|(count, place)| Bar {
            x: place * Self::WIDTH + 1,
            y: Self::HEIGHT - height(*count),
            height: height(*count),
        });
        let rows = used.iter().map(|one| Row {
            day: day_start(one.day).to_string().chars().take("2026-01-15".len()).collect(),
            counts: one.counts,
        });
        Self {
            days: days.into(),
            total: counts.iter().sum(),
            most,
            bars: bars.filter(|bar| bar.height > 0).collect(),
            rows: rows.collect(),
        }
    }

    fn width(&self) -> u64 {
        self.days * Self::WIDTH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tallest_day_fills_the_picture_and_one_request_is_seen() {
        let day =
            |day, successes| DayUsage { day, counts: RequestCounts { successes, ..Default::default() } };
        let chart = Chart::new(&[day(10, 1_000), day(9, 1)], 10, 3);
        assert_eq!((chart.total, chart.most, chart.bars.len()), (1_001, 1_000, 2));
        assert_eq!(chart.bars.iter().map(|bar| (bar.y, bar.height)).collect::<Vec<_>>(), [(98, 2), (0, 100)]);
        assert_eq!(Chart::new(&[], 10, 30).bars.len(), 0);
    }
}
