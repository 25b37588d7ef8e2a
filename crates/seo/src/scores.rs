//! The four scores of a report.

/// The names of the scores, in the order in which [`Scores`] holds them.
pub const SCORES: [&str; 4] = ["performance", "accessibility", "best_practices", "seo"];
/// The best score.
pub const MAX_SCORE: u8 = 100;
/// By how many points a score must fall to be told of.
const DROP: u8 = 10;

/// The scores of a page, 0 to [`MAX_SCORE`] each, in the order of [`SCORES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scores(pub [u8; 4]);

/// A score that has dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// Which one, of [`SCORES`].
    pub score: &'static str,
    /// What it was.
    pub from: u8,
    /// What it is.
    pub to: u8,
}

impl Scores {
    /// Which scores are 10 points or more below what they were.
    pub fn dropped(self, before: Self) -> Vec<Dropped> {
        let pairs = SCORES.into_iter().zip(before.0.into_iter().zip(self.0));
        pairs
            .filter(|(_, (from, to))| from.saturating_sub(*to) >= DROP)
            .map(|(score, (from, to))| Dropped { score, from, to })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ten_points_are_a_drop() {
        let before = Scores([85, 92, 88, 95]);
        let dropped = Scores([75, 83, 100, 0]).dropped(before);
        assert_eq!(
            dropped,
            [Dropped { score: "performance", from: 85, to: 75 }, Dropped { score: "seo", from: 95, to: 0 }]
        );
        assert!(before.dropped(before).is_empty());
    }

    proptest! {
        #[test]
        fn only_what_falls_is_told(before: [u8; 4], now: [u8; 4]) {
            for Dropped { from, to, .. } in Scores(now).dropped(Scores(before)) {
                prop_assert!(from >= to + 10);
            }
            prop_assert!(Scores(now).dropped(Scores([0; 4])).is_empty());
        }
    }
}
