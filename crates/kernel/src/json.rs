//! JSON that somebody else wrote: kept, shown and passed on as the text that it came as.
//!
//! Reading it into numbers and maps and writing it anew would round its numbers, sort its members and drop
//! what it holds twice. Whoever signs an amount wants the receiver to see the digits that were signed.

use indexmap::IndexMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, value::RawValue};

/// A JSON value, byte for byte as it came, without blanks around it. Well-formed; numbers of any size,
/// duplicate members and lone surrogates are part of it.
#[derive(Debug, Clone)]
pub struct Json(Box<RawValue>);

impl Json {
    /// What a type writes of itself that can always be written: its keys are texts, and it is nested as deep
    /// as its type alone.
    pub fn written<T: Serialize>(value: &T) -> Self {
        Self(serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }

    /// How deeply arrays and objects may lie in each other.
    pub const MAX_DEPTH: usize = 128;

    /// Takes a value that was told apart from the text around it; none if it is deeper than
    /// [`Json::MAX_DEPTH`], which readers of JSON refuse or break on.
    pub fn new(raw: &RawValue) -> Option<Self> {
        (Self::depth_of(raw.get()) <= Self::MAX_DEPTH).then(|| Self(raw.to_owned()))
    }

    /// How deeply arrays and objects lie in each other in a well-formed text.
    pub fn depth_of(json: &str) -> usize {
        let (mut depth, mut deepest, mut in_text, mut escaped) = (0usize, 0usize, false, false);
        for byte in json.bytes() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_text => escaped = true,
                b'"' => in_text = !in_text,
                b'[' | b'{' if !in_text => {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        deepest
    }

    /// Takes a text that holds one JSON value.
    ///
    /// # Errors
    /// If it does not.
    pub fn from_text(text: String) -> serde_json::Result<Self> {
        RawValue::from_string(text).map(Self)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        self.as_str() == "null"
    }

    /// The text inside, if it is a string of Unicode characters.
    pub fn text(&self) -> Option<String> {
        serde_json::from_str(self.as_str()).ok()
    }

    /// What it says, for those who look inside; none if it holds half a character.
    pub fn read(&self) -> Option<Value> {
        serde_json::from_str(self.as_str()).ok()
    }
}

impl From<&Value> for Json {
    fn from(value: &Value) -> Self {
        Self::written(value)
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The members of a JSON object in their order, each as it came. Of members with one name, the last one
/// counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JsonObject(IndexMap<String, Json>);

impl JsonObject {
    /// Takes a text apart that holds one JSON object.
    ///
    /// # Errors
    /// If it does not.
    pub fn from_text(text: &str) -> serde_json::Result<Self> {
        let members: IndexMap<String, Box<RawValue>> = serde_json::from_str(text)?;
        Ok(Self(members.into_iter().map(|(name, value)| (name, Json(value))).collect()))
    }

    /// A member.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.get(name)
    }

    /// A member, if it is a text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(Json::text)
    }

    /// All members in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Puts a member in, in the place of one with its name, or behind all others.
    pub fn set(&mut self, name: &str, value: Json) {
        self.0.insert(name.to_owned(), value);
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) -> Option<Json> {
        self.0.shift_remove(name)
    }

    /// Takes the members of `changes` over; those that are null, here or there, are removed.
    pub fn merge(&mut self, changes: Self) {
        self.0.extend(changes.0);
        self.0.retain(|_, value| !value.is_null());
    }
}

impl FromIterator<(String, Json)> for JsonObject {
    fn from_iter<I: IntoIterator<Item = (String, Json)>>(members: I) -> Self {
        Self(members.into_iter().collect())
    }
}

impl Serialize for JsonObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(text: &str) -> Option<String> {
        Json::new(serde_json::from_str(text).ok()?).map(|json| json.as_str().to_owned())
    }

    #[test]
    fn a_value_is_kept_as_it_came() {
        for text in [
            "184467440737095516150",
            "19.90",
            "1E400",
            "-0.0",
            "{ \"b\": 1,\n  \"a\": 2 }",
            "{\"a\":1,\"a\":2}",
            "\"\\ud83d\"",
            "\"\\u00e9\\/é\"",
            "null",
        ] {
            assert_eq!(json(text).as_deref(), Some(text));
        }
        assert_eq!(json(" [1] ").as_deref(), Some("[1]"));
        for bad in ["", "NaN", "01", "[1", "\"\\x\"", "{a:1}"] {
            assert_eq!(json(bad), None, "{bad}");
            assert!(Json::from_text(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn objects_are_merged_one_level_deep() {
        let object = |text| JsonObject::from_text(text).expect("an object");
        let mut settings = object(r#"{"z":19.90,"a":{"b":1},"c":null}"#);
        settings.merge(object(r#"{"a":{"d":2},"e":1E400,"z":1.0,"z":1.50}"#));
        assert_eq!(serde_json::to_string(&settings).expect("JSON"), r#"{"z":1.50,"a":{"d":2},"e":1E400}"#);
        settings.merge(object(r#"{"a":null}"#));
        assert_eq!(settings.get("a"), None);
        assert_eq!(object(r#"{"a":"\u00e9","b":"\ud83d","c":1}"#).text("a").as_deref(), Some("é"));
        assert!(JsonObject::from_text("[]").is_err());
    }

    #[test]
    fn brackets_in_texts_are_no_depth() {
        assert_eq!(Json::depth_of("\"[[[\""), 0);
        assert_eq!(Json::depth_of("[\"\\\"[\", {\"[\": []}]"), 3);
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(json(&nested(Json::MAX_DEPTH)).is_some());
        assert_eq!(json(&nested(Json::MAX_DEPTH + 1)), None);
    }

    proptest! {
        #[test]
        fn the_depth_is_that_of_the_value(levels in 0usize..20, text in "[\\[\\]{}\"\\\\a]{0,8}") {
            let mut value = Value::from(text.clone());
            for level in 0..levels {
                value = if level % 2 == 0 { serde_json::json!([1, value]) } else { serde_json::json!({ text.as_str(): value }) };
            }
            prop_assert_eq!(Json::depth_of(&value.to_string()), levels);
        }
    }
}
