//! Under what a record is found: columns that hold values of its fields, the keys of what is unique, and the
//! items of lists.

use std::collections::BTreeSet;

use gatepost_kernel::{Json, JsonObject, Timestamp, text};

use crate::{Column, Field, Kind, NUMBERS, ResourceType, TEXTS};

/// The number that stands for no field but for the words that are searched.
pub const SEARCH_FIELD: i64 = 0;

/// What stands in a column for texts where a sorted field has no value: greater than any other.
pub const NO_TEXT: &str = "\u{10FFFF}";
/// The same in a column for numbers.
const NO_NUMBER: i64 = i64::MAX;
/// What is searched of a record: so many words, and of each so many characters.
const MAX_WORDS: usize = 1_000;
const MAX_WORD_CHARS: usize = 64;

/// Where the values of a field are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPlace {
    /// Name of the field.
    pub name: String,
    /// Number of the field within its type, from 1; never another field's.
    pub number: i64,
    /// Its column: of which kind, counted from 0 among those; never another field's.
    pub column: Option<(Column, usize)>,
}

/// Where the values of a type's fields are found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// In the order of the type's fields.
    places: Vec<FieldPlace>,
}

/// The columns of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slots {
    /// Texts.
    pub texts: [Option<String>; TEXTS],
    /// Numbers.
    pub numbers: [Option<i64>; NUMBERS],
}

/// What a record is found by beside its columns, each with the number of its field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// What no other record may have.
    pub keys: BTreeSet<(i64, String)>,
    /// Items of lists, and words.
    pub items: BTreeSet<(i64, String)>,
}

impl Layout {
    /// The places of a type's fields: those that are known, and others for those that have none yet. A field
    /// that was declared once keeps its place for ever.
    ///
    /// # Errors
    /// The name of a field for which no column is left.
    pub fn assign(declared: &ResourceType, known: &[FieldPlace]) -> Result<Self, &'static str> {
        let mut next = known.iter().map(|place| place.number).max().unwrap_or(SEARCH_FIELD) + 1;
        let mut taken: Vec<(Column, usize)> = known.iter().filter_map(|place| place.column).collect();
        let mut places = Vec::with_capacity(declared.fields.len());
        for field in &declared.fields {
            let mut place =
                known.iter().find(|place| place.name == field.name).cloned().unwrap_or_else(|| {
                    next += 1;
                    FieldPlace { name: field.name.to_owned(), number: next - 1, column: None }
                });
            // One of the other kind, from when the field held something else, is of no use and stays empty.
            let has = place.column.map(|(column, _)| column);
            if let Some(column) = field.column().filter(|column| has != Some(*column)) {
                let most = if column == Column::Text { TEXTS } else { NUMBERS };
                let free =
                    (0..most).map(|at| (column, at)).find(|free| !taken.contains(free)).ok_or(field.name)?;
                taken.push(free);
                place.column = Some(free);
            }
            places.push(place);
        }
        Ok(Self { places })
    }

    /// The places, in the order of the type's fields.
    pub fn places(&self) -> &[FieldPlace] {
        &self.places
    }

    /// The place of a field.
    pub fn place(&self, name: &str) -> Option<&FieldPlace> {
        self.places.iter().find(|place| place.name == name)
    }

    /// The columns of a record.
    pub fn slots(&self, declared: &ResourceType, data: &JsonObject) -> Slots {
        let mut slots = Slots::default();
        for (field, place) in self.pairs(declared) {
            let Some((column, at)) = place.column.filter(|_| field.column().is_some()) else { continue };
            let value = data.get(field.name);
            match column {
                Column::Text => {
                    let none = || field.sort.then(|| NO_TEXT.to_owned());
                    slots.texts[at] = value.and_then(|json| found_text(field, json)).or_else(none);
                }
                Column::Number => {
                    let none = field.sort.then_some(NO_NUMBER);
                    slots.numbers[at] = value.and_then(|json| found_number(field, json)).or(none);
                }
            }
        }
        slots
    }

    /// What else a record is found by.
    pub fn marks(&self, declared: &ResourceType, data: &JsonObject) -> Marks {
        let mut marks = Marks::default();
        for (field, place) in self.pairs(declared) {
            let Some(value) = data.get(field.name) else { continue };
            if field.unique
                && let Some(key) = found_text(field, value)
            {
                marks.keys.insert((place.number, key));
            }
            if field.filter && matches!(field.kind, Kind::Texts { .. }) {
                let items: Vec<String> = serde_json::from_str(value.as_str()).unwrap_or_default();
                marks.items.extend(items.into_iter().map(|item| (place.number, item)));
            }
        }
        let searched = declared.search.iter().filter_map(|name| data.text(name));
        let words = searched.flat_map(|text| search_words(&text)).take(MAX_WORDS);
        marks.items.extend(words.map(|word| (SEARCH_FIELD, word)));
        marks
    }

    fn pairs<'l>(&'l self, declared: &'l ResourceType) -> impl Iterator<Item = (&'l Field, &'l FieldPlace)> {
        declared.fields.iter().zip(&self.places)
    }
}

/// The words of a text, as they are searched for.
pub fn search_words(text: &str) -> Vec<String> {
    let words = text::words(text).map(|word| word.chars().take(MAX_WORD_CHARS).collect());
    let mut seen = BTreeSet::new();
    words.filter(|word: &String| seen.insert(word.clone())).collect()
}

/// A value as it is found: an address of email whatever the case of its letters.
fn found_text(field: &Field, value: &Json) -> Option<String> {
    let text = value.text()?;
    Some(field.kind.found(&text))
}

impl Kind {
    /// A text as records are found by it.
    pub fn found(&self, text: &str) -> String {
        match self {
            Self::Email => text.to_lowercase(),
            _ => text.to_owned(),
        }
    }
}

fn found_number(field: &Field, value: &Json) -> Option<i64> {
    match field.kind {
        Kind::Boolean => Some(i64::from(value.as_str() == "true")),
        Kind::Time => Timestamp::parse(&value.text()?).map(Timestamp::as_micros),
        _ => value.as_str().parse().ok(),
    }
}
