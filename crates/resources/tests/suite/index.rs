//! Under what records are found.

use gatepost_resources::{Column, FieldPlace, Kind, Layout, ResourceType, SEARCH_FIELD, search_words};
use proptest::prelude::*;

use crate::{example, object};

fn layout(of: &ResourceType) -> Layout {
    Layout::assign(of, &[]).expect("there are columns")
}

#[test]
fn a_record_is_found_by_its_fields() {
    let lead = example("lead");
    let layout = layout(&lead);
    let number = |field: &str| layout.place(field).expect("a place").number;
    let data = object(
        r#"{"name":"Ada Byron","email":"Ada@X.test","company":"ACME","status":"new","tags":["vip","eu"]}"#,
    );
    let (slots, marks) = (layout.slots(&lead, &data), layout.marks(&lead, &data));
    let column = |field: &str| layout.place(field).and_then(|place| place.column).map(|(_, at)| at);
    assert_eq!(slots.texts[column("name").expect("sorted")].as_deref(), Some("Ada Byron"));
    assert_eq!(slots.texts[column("status").expect("filtered")].as_deref(), Some("new"));
    assert_eq!(slots.numbers[column("score").expect("sorted")], Some(i64::MAX), "what has none comes last");
    assert_eq!(slots.texts[column("collection_id").expect("a reference")], None);
    assert_eq!((column("email"), column("company"), column("tags")), (None, None, None));
    assert_eq!(marks.keys.into_iter().collect::<Vec<_>>(), [(number("email"), "ada@x.test".to_owned())]);
    let items: Vec<_> = marks.items.iter().map(|(of, text)| (*of, text.as_str())).collect();
    let words = ["acme", "ada", "byron", "test", "x"].map(|word| (SEARCH_FIELD, word));
    let tags = ["eu", "vip"].map(|tag| (number("tags"), tag));
    assert_eq!(items, [&words[..], &tags].concat());

    let post = example("post");
    let data = object(r#"{"title":"Hello","publish_at":"1970-01-01T00:00:01Z"}"#);
    let slots = self::layout(&post).slots(&post, &data);
    assert!(slots.numbers.contains(&Some(1_000_000)) && slots.numbers.contains(&Some(i64::MAX)));
}

#[test]
fn long_words_are_cut_the_same_way_on_both_sides() {
    let long = "a".repeat(100);
    assert_eq!(search_words(&format!("{long} b {long}")), ["a".repeat(64), "b".to_owned()]);
}

#[test]
fn a_field_that_holds_something_else_gets_another_column() {
    let lead = example("lead");
    let known = layout(&lead).places().to_vec();
    let mut other = lead.clone();
    for field in &mut other.fields {
        if field.name == "name" {
            field.kind = Kind::Integer { min: 0, max: 9 };
        }
    }
    let after = Layout::assign(&other, &known).expect("there are columns");
    let place = |layout: &[FieldPlace], name: &str| {
        layout.iter().find(|place| place.name == name).cloned().expect("a place")
    };
    let (name, score) = (place(after.places(), "name"), place(after.places(), "score"));
    assert_eq!(name.number, place(&known, "name").number);
    assert_eq!(score, place(&known, "score"));
    assert!(matches!(name.column, Some((Column::Number, _))) && name.column != score.column);
}

proptest! {
    /// Whatever fields come and go, none gets the number or the column of another.
    #[test]
    fn places_are_never_used_again(steps in proptest::collection::vec(proptest::collection::vec(any::<bool>(), 6), 1..8)) {
        let whole = example("lead");
        let mut known: Vec<FieldPlace> = Vec::new();
        for kept in steps {
            let mut declared = whole.clone();
            let mut kept = kept.into_iter().cycle();
            declared.fields.retain(|_| kept.next().unwrap_or(true));
            let layout = Layout::assign(&declared, &known).expect("there are columns");
            for place in layout.places() {
                match known.iter().find(|old| old.name == place.name) {
                    Some(old) => prop_assert_eq!(old, place),
                    None => known.push(place.clone()),
                }
            }
            for (at, place) in known.iter().enumerate() {
                let same = |other: &FieldPlace| {
                    other.number == place.number || (other.column.is_some() && other.column == place.column)
                };
                prop_assert!(!known[..at].iter().any(same), "{:?}", known);
            }
        }
    }
}
