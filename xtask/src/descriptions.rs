//! Whether the descriptions in the OpenAPI document tell a stranger something: a reader of `/docs` sees each
//! of them alone.

use std::fs;

use serde_json::Value;

use crate::{Failure, files};

const LEAST_WORDS: usize = 3;
/// Whoever begins with one of these speaks of something that stands elsewhere, or in half a question.
const POINTING: [&str; 14] =
    ["Its", "It", "It's", "Their", "They", "That", "What", "When", "Where", "Who", "Why", "Of", "On", "By"];
/// Members of which the values are no descriptions.
const NOT_TOLD: [&str; 3] = ["example", "examples", "enum"];

/// Names each description that does not.
pub fn check(errors: &mut Vec<String>) -> Result<(), Failure> {
    let text = fs::read_to_string(files::root().join("openapi/openapi.json"))?;
    look(&serde_json::from_str(&text)?, "", errors);
    Ok(())
}

fn look(value: &Value, place: &str, errors: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter().filter(|(name, _)| !NOT_TOLD.contains(&name.as_str())) {
                match member {
                    Value::String(text) if name == "description" => {
                        errors.extend(
                            error(text).map(|error| format!("openapi.json{place}: {text:?} {error}")),
                        );
                    }
                    member => look(member, &format!("{place}/{name}"), errors),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| look(item, place, errors)),
        _ => {}
    }
}

fn error(text: &str) -> Option<&'static str> {
    let mut words = text.split_whitespace();
    match words.next() {
        Some(first) if POINTING.contains(&first.trim_end_matches([':', ',', '.'])) => {
            Some("begins with a word that points elsewhere; name the thing")
        }
        _ if text.split_whitespace().count() < LEAST_WORDS => Some("says too little; use a phrase"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_description_stands_alone() {
        let document = json!({
            "description": "Its number.",
            "properties": {
                "description": { "description": "The place." },
                "fine": { "description": "Numeric id of the endpoint.", "example": { "description": "x" } },
                "when": [{ "description": "When: never, or always." }],
            },
        });
        let mut errors = Vec::new();
        look(&document, "", &mut errors);
        let places: Vec<_> = errors.iter().map(|error| error.split(':').next().unwrap_or_default()).collect();
        let expected =
            ["openapi.json", "openapi.json/properties/description", "openapi.json/properties/when"];
        assert_eq!(places, expected, "{errors:?}");
    }
}
