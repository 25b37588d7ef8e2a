//! Reading JSON bodies so that a caller hears of every fault at once, each under the name of its member.
//!
//! `serde` stops at the first fault, so bodies are read member by member from a [`serde_json::Value`].

use std::ops::RangeInclusive;

use gatepost_entitlements::Catalog;
use gatepost_kernel::{FieldErrors, Timestamp};
use serde_json::{Map, Value};

/// The largest integer of those that a floating-point number holds without a gap.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

/// What the reading of a body may depend on.
pub struct Context<'a> {
    /// The present instant.
    pub now: Timestamp,
    /// The plans and features.
    pub catalog: &'a Catalog,
}

/// A body that an operation takes.
pub trait ReadBody: Sized + 'static {
    /// The largest size in bytes.
    const LIMIT_BYTES: usize = 1 << 20;
    /// Whether the operation takes a body at all.
    const TAKEN: bool = true;
    /// Whether a request without a body is the same as one with `{}`.
    const OPTIONAL: bool = false;

    /// Reads the members; faults go to `fields`. The answer counts only if there was none.
    fn read(fields: &mut Fields, context: &Context<'_>) -> Option<Self>;
}

/// No body; one that is sent is ignored.
pub struct NoBody;

impl ReadBody for NoBody {
    const TAKEN: bool = false;

    fn read(_: &mut Fields, _: &Context<'_>) -> Option<Self> {
        Some(Self)
    }
}

/// What `null` means in a member.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Null {
    /// The same as leaving it out.
    IsAbsent,
    /// A fault.
    IsWrong,
}

/// The members of a JSON object, taken one by one.
pub struct Fields {
    members: Map<String, Value>,
    known: Vec<&'static str>,
    errors: FieldErrors,
}

impl Fields {
    /// Takes an object apart.
    pub fn new(members: Map<String, Value>) -> Self {
        Self { members, known: Vec::new(), errors: FieldErrors::default() }
    }

    /// Notes a fault.
    pub fn fault(&mut self, name: &str, message: impl Into<String>) {
        self.errors.add(name, message);
    }

    /// A text that must be there.
    pub fn required_text<T>(
        &mut self,
        name: &'static str,
        rule: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match self.take(name) {
            None | Some(Value::Null) => {
                self.errors.add(name, format!("The {} field is required.", label(name)));
                None
            }
            Some(value) => self.text_value(name, value, rule),
        }
    }

    /// A text that may be left out.
    pub fn text<T>(
        &mut self,
        name: &'static str,
        null: Null,
        rule: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.present(name, null)?;
        self.text_value(name, value, rule)
    }

    /// A text that may be left out, or `null` for none: `Some(None)`.
    pub fn nullable_text<T>(
        &mut self,
        name: &'static str,
        rule: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        match self.take(name)? {
            Value::Null => Some(None),
            value => self.text_value(name, value, rule).map(Some),
        }
    }

    /// A list of texts that may be left out. The rule says of each fault which item it is in, if in one.
    pub fn texts<T>(
        &mut self,
        name: &'static str,
        null: Null,
        rule: impl FnOnce(&[&str]) -> Result<T, Vec<(Option<usize>, String)>>,
    ) -> Option<T> {
        let value = self.present(name, null)?;
        self.texts_value(name, &value, rule)
    }

    /// A list of texts that may be left out, or `null` for none: `Some(None)`.
    pub fn nullable_texts<T>(
        &mut self,
        name: &'static str,
        rule: impl FnOnce(&[&str]) -> Result<T, Vec<(Option<usize>, String)>>,
    ) -> Option<Option<T>> {
        match self.take(name)? {
            Value::Null => Some(None),
            value => self.texts_value(name, &value, rule).map(Some),
        }
    }

    /// A whole number that may be left out.
    pub fn integer(&mut self, name: &'static str, null: Null, range: RangeInclusive<i64>) -> Option<i64> {
        let value = self.present(name, null)?;
        // `24.0` is the integer 24, as JSON Schema has it; beyond 2^53 nobody knows which integer was meant.
        let whole =
            |number: f64| (number.fract() == 0.0 && number.abs() <= MAX_EXACT).then_some(number as i64);
        let number = value.as_i64().or_else(|| value.as_f64().filter(|_| value.is_f64()).and_then(whole));
        if number.is_none() && !value.is_u64() {
            self.errors.add(name, format!("The {} must be an integer.", label(name)));
            return None;
        }
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let (low, high) = range.into_inner();
            self.errors.add(name, format!("The {} must be between {low} and {high}.", label(name)));
        }
        number
    }

    /// Notes faults that were found elsewhere, of members below `prefix`.
    pub fn faults(&mut self, prefix: &str, faults: &FieldErrors) {
        for (field, messages) in faults.iter() {
            for message in messages {
                self.errors.add(format!("{prefix}{field}"), message);
            }
        }
    }

    /// Notes that a member is missing, unless something was said about it already.
    pub fn require(&mut self, name: &'static str) {
        let about =
            |field: &str| field == name || field.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        if !self.errors.iter().any(|(field, _)| about(field)) {
            self.errors.add(name, format!("The {} field is required.", label(name)));
        }
    }

    /// A yes or no that may be left out.
    pub fn boolean(&mut self, name: &'static str, null: Null) -> Option<bool> {
        let value = self.present(name, null)?;
        let boolean = value.as_bool();
        if boolean.is_none() {
            self.errors.add(name, format!("The {} must be true or false.", label(name)));
        }
        boolean
    }

    /// Any JSON that must be there; `null` counts.
    pub fn any(&mut self, name: &'static str) -> Option<Value> {
        let value = self.take(name);
        if value.is_none() {
            self.require(name);
        }
        value
    }

    /// A list of objects that must be there, with so many items.
    pub fn objects(
        &mut self,
        name: &'static str,
        lengths: RangeInclusive<usize>,
    ) -> Option<Vec<Map<String, Value>>> {
        match self.take(name) {
            None | Some(Value::Null) => {
                self.require(name);
                None
            }
            Some(value) => self.objects_value(name, value, lengths),
        }
    }

    /// A list of objects that may be left out, with at most so many items.
    pub fn optional_objects(
        &mut self,
        name: &'static str,
        null: Null,
        most: usize,
    ) -> Option<Vec<Map<String, Value>>> {
        let value = self.present(name, null)?;
        self.objects_value(name, value, 0..=most)
    }

    /// All members that were not asked for, whatever they are.
    pub fn rest(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.members)
    }

    fn objects_value(
        &mut self,
        name: &'static str,
        value: Value,
        lengths: RangeInclusive<usize>,
    ) -> Option<Vec<Map<String, Value>>> {
        let Value::Array(items) = value else {
            self.errors.add(name, format!("The {} must be an array.", label(name)));
            return None;
        };
        if !lengths.contains(&items.len()) {
            let (low, high) = lengths.into_inner();
            self.errors.add(name, format!("The {} must have between {low} and {high} items.", label(name)));
            return None;
        }
        let mut objects = Vec::with_capacity(items.len());
        for (place, item) in items.into_iter().enumerate() {
            match item {
                Value::Object(members) => objects.push(members),
                _ => {
                    self.errors.add(
                        format!("{name}.{place}"),
                        format!("The {}.{place} must be an object.", label(name)),
                    );
                }
            }
        }
        Some(objects)
    }

    /// An object that may be left out.
    pub fn object(&mut self, name: &'static str, null: Null) -> Option<Map<String, Value>> {
        match self.present(name, null)? {
            Value::Object(members) => Some(members),
            _ => {
                self.errors.add(name, format!("The {} must be an object.", label(name)));
                None
            }
        }
    }

    /// An instant in a text.
    pub fn instant(text: &str, name: &str) -> Result<Timestamp, String> {
        Timestamp::parse(text).ok_or_else(|| format!("The {} must be an ISO 8601 date.", label(name)))
    }

    /// All faults, those of members that nobody asked for included.
    pub fn into_errors(mut self) -> FieldErrors {
        for name in self.members.keys().take(FieldErrors::MAX_FIELDS) {
            let message = if self.known.is_empty() {
                format!("The {name} field is not known; this request takes no fields.")
            } else {
                format!("The {name} field is not known. Known fields: {}.", self.known.join(", "))
            };
            self.errors.add(name, message);
        }
        self.errors
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.members.remove(name)
    }

    fn present(&mut self, name: &'static str, null: Null) -> Option<Value> {
        self.take(name).filter(|value| !(value.is_null() && null == Null::IsAbsent))
    }

    fn texts_value<T>(
        &mut self,
        name: &'static str,
        value: &Value,
        rule: impl FnOnce(&[&str]) -> Result<T, Vec<(Option<usize>, String)>>,
    ) -> Option<T> {
        let Value::Array(items) = value else {
            self.errors.add(name, format!("The {} must be an array.", label(name)));
            return None;
        };
        let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
        if texts.len() < items.len() {
            for (place, _) in
                items.iter().enumerate().filter(|(_, item)| !item.is_string()).take(FieldErrors::MAX_FIELDS)
            {
                self.errors
                    .add(format!("{name}.{place}"), format!("The {}.{place} must be a string.", label(name)));
            }
            return None;
        }
        match rule(&texts) {
            Ok(value) => Some(value),
            Err(faults) => {
                for (place, fault) in faults {
                    self.errors.add(place.map_or(name.to_owned(), |place| format!("{name}.{place}")), fault);
                }
                None
            }
        }
    }

    fn text_value<T>(
        &mut self,
        name: &'static str,
        value: Value,
        rule: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Value::String(text) = value else {
            self.errors.add(name, format!("The {} must be a string.", label(name)));
            return None;
        };
        rule(&text).map_err(|fault| self.errors.add(name, fault)).ok()
    }
}

/// The name of a member as messages say it: `expires at`.
fn label(name: &str) -> String {
    name.replace('_', " ")
}
