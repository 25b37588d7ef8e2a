//! What is kept with a key for those who made it.

use std::sync::Arc;

#[cfg(feature = "json")]
use gatepost_kernel::{
    JsonObject,
    describe::{Described, Schemas},
};
#[cfg(feature = "json")]
use serde::{Serialize, Serializer, ser::Error as _};
#[cfg(feature = "json")]
use serde_json::{Value, json, value::RawValue};

/// What is kept with a key for those who made it: a JSON object of at most [`Metadata::MAX_BYTES`], as the
/// text that it was written as. Cloning is cheap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata(Option<Arc<str>>);

impl Metadata {
    /// The most bytes of the text.
    pub const MAX_BYTES: usize = 4_096;

    /// The object as JSON.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or("{}")
    }

    /// A text that was such an object before it was stored.
    pub fn from_stored(text: String) -> Self {
        Self((text != "{}").then(|| text.into()))
    }

    /// The same after changes: members are replaced, and those that are `null` go.
    ///
    /// # Errors
    /// The error as a sentence, if there would be more than [`Metadata::MAX_BYTES`].
    #[cfg(feature = "json")]
    pub fn changed(&self, changes: JsonObject) -> Result<Self, String> {
        let too_large = || format!("The metadata may not be greater than {} bytes.", Self::MAX_BYTES);
        let mut object = JsonObject::from_text(self.as_str()).unwrap_or_default();
        object.merge(changes);
        let text = serde_json::to_string(&object).map_err(|_| too_large())?;
        if text.len() > Self::MAX_BYTES { Err(too_large()) } else { Ok(Self::from_stored(text)) }
    }
}

#[cfg(feature = "json")]
impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(self.as_str()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

#[cfg(feature = "json")]
impl Described for Metadata {
    fn schema(_: &mut Schemas) -> Value {
        json!({ "type": "object", "propertyNames": { "type": "string" }, "additionalProperties": {} })
    }
}

#[cfg(all(test, feature = "json"))]
mod tests {
    use super::*;

    #[test]
    fn changes_are_merged_and_bounded() {
        let object = |text| JsonObject::from_text(text).expect("an object");
        let first = Metadata::default().changed(object(r#"{"plan":"pro","amount":19.90,"gone":null}"#));
        let first = first.expect("it fits");
        assert_eq!(first.as_str(), r#"{"plan":"pro","amount":19.90}"#);
        let second = first.changed(object(r#"{"plan":null,"seats":3}"#)).expect("it fits");
        assert_eq!(serde_json::to_string(&second).expect("JSON"), r#"{"amount":19.90,"seats":3}"#);
        let none = second.changed(object(r#"{"amount":null,"seats":null}"#)).expect("it fits");
        assert_eq!(none, Metadata::default());

        let of_bytes = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - r#"{"a":""}"#.len()));
        for (bytes, fits) in [(Metadata::MAX_BYTES, true), (Metadata::MAX_BYTES + 1, false)] {
            let changes = JsonObject::from_text(&of_bytes(bytes)).expect("an object");
            assert_eq!(none.changed(changes).is_ok(), fits, "{bytes}");
        }
    }
}
