//! The table.

use std::fmt::Write;

/// One row of the table.
pub struct Row {
    /// Number in the list of figures to reach.
    pub number: u32,
    /// What was measured.
    pub what: &'static str,
    /// What it was compared with.
    pub against: &'static str,
    /// What to reach.
    pub reach: &'static str,
    /// What came out, the median of the rounds first.
    pub measured: String,
    /// From the lowest to the highest round.
    pub spread: String,
    /// Whether it was reached.
    pub reached: bool,
}

/// A ratio of each round's two sides.
pub struct Ratios(Vec<f64>);

impl Ratios {
    /// From each round's ratio.
    pub fn new(mut rounds: Vec<f64>) -> Self {
        rounds.sort_by(f64::total_cmp);
        Self(rounds)
    }

    /// The one in the middle.
    pub fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// From the lowest to the highest.
    pub fn spread(&self) -> String {
        match (self.0.first(), self.0.last()) {
            (Some(low), Some(high)) => format!("{low:.2}–{high:.2}"),
            _ => String::new(),
        }
    }
}

/// The whole table in Markdown.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| # | what | against, in the same run | reach | measured | spread | |\n|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let mark = if row.reached { "reached" } else { "short" };
        let Row { number, what, against, reach, measured, spread, .. } = row;
        // Writing to a text does not fail.
        let _ =
            writeln!(text, "| {number} | {what} | {against} | {reach} | {measured} | {spread} | {mark} |");
    }
    text
}
