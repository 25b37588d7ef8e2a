//! The four scores of a report.

use gatepost_kernel::describe::{Described, Object, Schemas};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// The names of the scores, in the order in which [`Scores`] holds them.
pub const SCORES: [&str; 4] = ["performance", "accessibility", "best_practices", "seo"];
/// The best score.
pub const MAX_SCORE: u8 = 100;
/// By how many points a score must fall to be told of.
const DROP: u8 = 10;

/// The scores of a page, 0 to [`MAX_SCORE`] each, in the order of [`SCORES`]; none for one that could not be
/// computed, or was not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scores(pub [Option<u8>; 4]);

impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(SCORES.into_iter().zip(self.0))
    }
}

impl Described for Scores {
    fn schema(schemas: &mut Schemas) -> Value {
        const ABOUT: [&str; 4] = [
            "Score for performance, 0 to 100.",
            "Score for accessibility, 0 to 100.",
            "Score for best practices, 0 to 100.",
            "Score for search engine optimisation, 0 to 100.",
        ];
        schemas.named("SeoScoresView", |schemas| {
            let about = "Scores of a page; null for those that could not be computed or were not requested.";
            let mut scores = Object::new(about);
            for (name, about) in SCORES.into_iter().zip(ABOUT) {
                scores.member::<Option<u8>>(schemas, name, about).rule("maximum", json!(MAX_SCORE));
            }
            scores
                .examples(json!({ "performance": 85, "accessibility": 92, "best_practices": 88, "seo": 95 }));
            scores.into_schema()
        })
    }
}

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
    /// Which scores are 10 points or more below what they were; those that are missing in either report are
    /// passed over.
    pub fn dropped(self, before: Self) -> Vec<Dropped> {
        let pairs = SCORES.into_iter().zip(before.0.into_iter().zip(self.0));
        pairs
            .filter_map(|(score, (from, to))| Some(Dropped { score, from: from?, to: to? }))
            .filter(|Dropped { from, to, .. }| from.saturating_sub(*to) >= DROP)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ten_points_are_a_drop() {
        let before = Scores([85, 92, 88, 95].map(Some));
        let dropped = Scores([75, 83, 100, 0].map(Some)).dropped(before);
        assert_eq!(
            dropped,
            [Dropped { score: "performance", from: 85, to: 75 }, Dropped { score: "seo", from: 95, to: 0 }]
        );
        assert!(before.dropped(before).is_empty());
    }

    #[test]
    fn what_is_missing_has_not_dropped() {
        let before = Scores([Some(85), None, Some(88), Some(95)]);
        let now = Scores([None, Some(10), Some(88), Some(85)]);
        assert_eq!(now.dropped(before), [Dropped { score: "seo", from: 95, to: 85 }]);
    }

    proptest! {
        #[test]
        fn only_what_falls_is_told(before: [Option<u8>; 4], now: [Option<u8>; 4]) {
            for Dropped { from, to, .. } in Scores(now).dropped(Scores(before)) {
                prop_assert!(from >= to + 10);
            }
            prop_assert!(Scores(now).dropped(Scores([Some(0); 4])).is_empty());
        }
    }
}
