//! Reading JSON bodies so that a caller hears of every error at once, each under the name of its member.
//!
//! `serde` stops at the first error, so a body is taken apart into its members, each still the text that
//! came, and each is read by itself. What belongs to the caller alone, such as the data of an event, is never
//! read at all: it stays that text. A body is declared by `#[body]`, as a struct whose members are
//! [`Member`]s.

use std::{borrow::Cow, fmt, ops::RangeInclusive};

use gatepost_kernel::{
    FieldErrors, ItemError, Json, JsonObject, ListErrors,
    describe::{Described, DescribedObject, Object, Schemas},
    text::{brief, required},
};
use gatepost_keys::ScopeOrder;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::{Map, Number, Value, value::RawValue};

/// The largest integer of those that a floating-point number holds without a gap.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

/// A body that an operation takes.
pub trait ReadBody: DescribedObject + Sized + Send + 'static {
    /// The largest size in bytes.
    const LIMIT_BYTES: usize = 1 << 20;
    /// Whether the operation takes a body at all.
    const TAKEN: bool = true;
    /// Whether a request without a body is the same as one with `{}`.
    const OPTIONAL: bool = false;
    /// What the body may call itself; it is JSON all the same.
    const MEDIA_TYPES: &'static [&'static str] = &["application/json"];

    /// Reads the members; errors go to `fields`. The answer counts only if there was none.
    fn read(fields: &mut Fields<'_>) -> Option<Self>;
}

/// What a body may be, and how it is read.
pub struct BodyForm<F> {
    /// The largest size in bytes.
    pub limit_bytes: usize,
    /// Whether there is a body at all.
    pub is_taken: bool,
    /// Whether a request without a body is the same as one with `{}`.
    pub is_optional: bool,
    /// What the body may call itself.
    pub media_types: &'static [&'static str],
    /// Reads the members.
    pub read: F,
}

impl BodyForm<()> {
    /// The form that a type of body says of itself.
    pub fn of<B: ReadBody>() -> BodyForm<fn(&mut Fields<'_>) -> Option<B>> {
        BodyForm {
            limit_bytes: B::LIMIT_BYTES,
            is_taken: B::TAKEN,
            is_optional: B::OPTIONAL,
            media_types: B::MEDIA_TYPES,
            read: B::read,
        }
    }
}

/// What a member of a body can be: how it is described and read.
pub trait Member: Described {
    /// What is made of it.
    type Value;

    /// Whether `null` is a value like any other.
    const TAKES_NULL: bool = false;

    /// Reads what is there; errors go to `fields`, under `name`.
    fn read<'b>(fields: &mut Fields<'b>, name: &'static str, value: &'b RawValue) -> Option<Self::Value>;
}

/// No body; one that is sent is ignored.
pub struct NoBody;

impl Described for NoBody {
    fn schema(_: &mut Schemas) -> Value {
        Value::Null
    }
}

impl DescribedObject for NoBody {
    fn object(_: &mut Schemas) -> Object {
        Object::new("")
    }
}

impl ReadBody for NoBody {
    const TAKEN: bool = false;

    fn read(_: &mut Fields<'_>) -> Option<Self> {
        Some(Self)
    }
}

/// What `null` means in a member.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Null {
    /// The same as leaving it out.
    IsAbsent,
    /// An error.
    IsWrong,
}

/// The members of a JSON object in their order, each as the text that came.
#[derive(Debug, Default)]
pub struct Members<'b>(Vec<(Cow<'b, str>, &'b RawValue)>);

impl<'b> Members<'b> {
    /// Keeps those whose names `kept` wants.
    pub fn retain(&mut self, kept: impl Fn(&str) -> bool) {
        self.0.retain(|(name, _)| kept(name));
    }

    /// The object that they make, as they came.
    fn into_json(self) -> Option<Json> {
        Json::new(&serde_json::value::to_raw_value(&self).ok()?)
    }
}

impl<'de: 'b, 'b> Deserialize<'de> for Members<'b> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        #[derive(Deserialize)]
        struct Name<'b>(#[serde(borrow)] Cow<'b, str>);

        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Read)
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The members of a JSON object, taken one by one.
pub struct Fields<'b> {
    members: Members<'b>,
    scope_order: ScopeOrder,
    known: Vec<&'static str>,
    errors: FieldErrors,
}

impl<'b> Fields<'b> {
    /// Takes an object apart, in which scopes are written in this order.
    pub fn new(members: Members<'b>, scope_order: ScopeOrder) -> Self {
        Self { members, scope_order, known: Vec::new(), errors: FieldErrors::default() }
    }

    /// How scopes are written.
    pub fn scope_order(&self) -> ScopeOrder {
        self.scope_order
    }

    /// Notes an error.
    pub fn error(&mut self, name: &str, message: impl Into<String>) {
        self.errors.add(name, message);
    }

    /// A member that must be there.
    pub fn required<M: Member>(&mut self, name: &'static str) -> Option<M::Value> {
        match self.take(name).filter(|value| M::TAKES_NULL || !is_null(value)) {
            None => {
                self.require(name);
                None
            }
            Some(value) => M::read(self, name, value),
        }
    }

    /// A member that may be left out.
    pub fn optional<M: Member>(&mut self, name: &'static str, null: Null) -> Option<M::Value> {
        let value = self.take(name).filter(|value| !(is_null(value) && null == Null::IsAbsent))?;
        M::read(self, name, value)
    }

    /// A member that may be left out, or `null` for none: `Some(None)`.
    pub fn nullable<M: Member>(&mut self, name: &'static str) -> Option<Option<M::Value>> {
        self.nullable_by(name, |fields, value| M::read(fields, name, value))
    }

    /// A member that may be left out, or `null` for none: `Some(None)`; anything else is what `read` makes of
    /// it.
    pub fn nullable_by<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self, &'b RawValue) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.take(name)? {
            value if is_null(value) => Some(None),
            value => read(self, value).map(Some),
        }
    }

    /// A member that may be left out, and that is part of the [`rest`](Self::rest) too.
    pub fn kept<M: Member>(&mut self, name: &'static str) -> Option<M::Value> {
        let (_, value) = self.members.0.iter().find(|(member, _)| member == name)?;
        M::read(self, name, value)
    }

    /// An object of all members that were not asked for, whatever they are.
    pub fn rest(&mut self) -> Option<Json> {
        let json = std::mem::take(&mut self.members).into_json();
        if json.is_none() {
            self.errors.add("", too_deep("object"));
        }
        json
    }

    /// Notes errors that were found elsewhere, of members below `prefix`.
    pub fn errors(&mut self, prefix: &str, errors: &FieldErrors) {
        self.errors.add_below(prefix, errors);
    }

    /// Notes that a member is missing, unless something was said about it already.
    pub fn require(&mut self, name: &'static str) {
        let about =
            |field: &str| field == name || field.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        if !self.errors.iter().any(|(field, _)| about(field)) {
            self.errors.add(name, required(&label(name)));
        }
    }

    /// All errors, those of members that nobody asked for included.
    pub fn into_errors(mut self) -> FieldErrors {
        for (name, _) in self.members.0.iter().take(FieldErrors::MAX_FIELDS) {
            let known = self.known.join(", ");
            let shown = brief(name);
            let message = if known.is_empty() {
                format!("The {shown} field is not known; this request takes no fields.")
            } else {
                format!("The {shown} field is not known. Known fields: {known}.")
            };
            self.errors.add(name.as_ref(), message);
        }
        self.errors
    }

    /// The value of a member. Of two, nobody knows which one was meant.
    fn take(&mut self, name: &'static str) -> Option<&'b RawValue> {
        self.known.push(name);
        let members = &mut self.members.0;
        let index = members.iter().position(|(member, _)| member == name)?;
        let (_, value) = members.remove(index);
        if members[index..].iter().any(|(member, _)| member == name) {
            members.retain(|(member, _)| member != name);
            self.errors.add(name, format!("The {} may be given only once.", label(name)));
            return None;
        }
        Some(value)
    }

    /// What `rule` makes of a text, or its error.
    pub fn text<T>(
        &mut self,
        name: &'static str,
        value: &'b RawValue,
        rule: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Some(text) = text(value) else {
            self.errors.add(name, not_a_text(&label(name), value));
            return None;
        };
        rule(&text).map_err(|error| self.errors.add(name, error)).ok()
    }

    /// What `rule` makes of a list of texts. It says of each error which item it is in, if in one.
    pub fn texts<T>(
        &mut self,
        name: &str,
        value: &'b RawValue,
        rule: impl FnOnce(&[&str]) -> Result<T, ListErrors>,
    ) -> Option<T> {
        let Some(items) = read::<Vec<&RawValue>>(value) else {
            self.errors.add(name, format!("The {} must be an array.", label(name)));
            return None;
        };
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match text(item) {
                Some(text) => texts.push(text),
                None => {
                    let field = format!("{name}.{index}");
                    let error = not_a_text(&format!("{}.{index}", label(name)), item);
                    self.errors.add(field, error);
                }
            }
        }
        if texts.len() < items.len() {
            return None;
        }
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        match rule(&texts) {
            Ok(value) => Some(value),
            Err(errors) => {
                for ItemError { index, text } in errors {
                    self.errors.add(index.map_or(name.to_owned(), |index| format!("{name}.{index}")), text);
                }
                None
            }
        }
    }

    /// A whole number.
    pub fn integer(
        &mut self,
        name: &'static str,
        value: &'b RawValue,
        range: RangeInclusive<i64>,
    ) -> Option<i64> {
        // `24.0` is the integer 24, as JSON Schema has it; beyond 2^53 nobody knows which integer was meant.
        let whole =
            |number: f64| (number.fract() == 0.0 && number.abs() <= MAX_EXACT).then_some(number as i64);
        let given: Option<Number> = read(value);
        let number = given.as_ref().and_then(|number| {
            number.as_i64().or_else(|| number.as_f64().filter(|_| number.is_f64()).and_then(whole))
        });
        if number.is_none() && !given.is_some_and(|number| number.is_u64()) {
            self.errors.add(name, format!("The {} must be an integer.", label(name)));
            return None;
        }
        self.within(name, number, range)
    }

    /// A number.
    pub fn number(
        &mut self,
        name: &'static str,
        value: &'b RawValue,
        range: RangeInclusive<f64>,
    ) -> Option<f64> {
        let Some(given) = read::<Number>(value) else {
            self.errors.add(name, format!("The {} must be a number.", label(name)));
            return None;
        };
        self.within(name, given.as_f64(), range)
    }

    fn within<N: PartialOrd + fmt::Display>(
        &mut self,
        name: &str,
        number: Option<N>,
        range: RangeInclusive<N>,
    ) -> Option<N> {
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let (low, high) = range.into_inner();
            self.errors.add(name, format!("The {} must be between {low} and {high}.", label(name)));
        }
        number
    }

    /// A yes or no.
    pub fn boolean(&mut self, name: &'static str, value: &'b RawValue) -> Option<bool> {
        let boolean = read(value);
        if boolean.is_none() {
            self.errors.add(name, format!("The {} must be true or false.", label(name)));
        }
        boolean
    }

    /// Any JSON, as it came.
    pub fn json(&mut self, name: &'static str, value: &'b RawValue) -> Option<Json> {
        let json = Json::new(value);
        if json.is_none() {
            self.errors.add(name, too_deep(name));
        }
        json
    }

    /// An object, as it came.
    pub fn json_object(&mut self, name: &'static str, value: &'b RawValue) -> Option<Json> {
        if value.get().starts_with('{') { self.json(name, value) } else { self.not_an_object(name) }
    }

    /// The members of an object, each as it came.
    pub fn json_members(&mut self, name: &'static str, value: &'b RawValue) -> Option<JsonObject> {
        let Some(Members(members)) = read(value) else { return self.not_an_object(name) };
        let members = members.into_iter().map(|(name, value)| Some((name.into_owned(), Json::new(value)?)));
        let members: Option<JsonObject> = members.collect();
        if members.is_none() {
            self.errors.add(name, too_deep(name));
        }
        members
    }

    /// The members of an object. Of those with one name, the last one counts.
    pub fn object(&mut self, name: &'static str, value: &'b RawValue) -> Option<Map<String, Value>> {
        if !value.get().starts_with('{') {
            return self.not_an_object(name);
        }
        let members = serde_json::from_str(value.get());
        members.map_err(|_| self.errors.add(name, unreadable(name))).ok()
    }

    /// A body within this one.
    pub fn nested<B: ReadBody>(&mut self, name: &'static str, value: &'b RawValue) -> Option<B> {
        let Some(members) = read(value) else { return self.not_an_object(name) };
        let inner = read_whole(members, self.scope_order);
        inner.map_err(|errors| self.errors(&format!("{name}."), &errors)).ok()
    }

    /// A list of bodies.
    pub fn list<B: ReadBody>(
        &mut self,
        name: &'static str,
        value: &'b RawValue,
        lengths: RangeInclusive<usize>,
    ) -> Option<Vec<B>> {
        let items = self.items(name, value, lengths)?;
        let mut bodies = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            match read(item).map(|members| read_whole(members, self.scope_order)) {
                Some(Ok(body)) => bodies.push(body),
                Some(Err(errors)) => self.errors(&format!("{name}.{index}."), &errors),
                None => {
                    let error = format!("The {}.{index} must be an object.", label(name));
                    self.errors.add(format!("{name}.{index}"), error);
                }
            }
        }
        Some(bodies)
    }

    /// The items of a list, each as it came.
    pub fn items(
        &mut self,
        name: &'static str,
        value: &'b RawValue,
        lengths: RangeInclusive<usize>,
    ) -> Option<Vec<&'b RawValue>> {
        let Some(items) = read::<Vec<&RawValue>>(value) else {
            self.errors.add(name, format!("The {} must be an array.", label(name)));
            return None;
        };
        if !lengths.contains(&items.len()) {
            let (low, high) = lengths.into_inner();
            self.errors.add(name, format!("The {} must have between {low} and {high} items.", label(name)));
            return None;
        }
        Some(items)
    }

    fn not_an_object<T>(&mut self, name: &'static str) -> Option<T> {
        self.errors.add(name, format!("The {} must be an object.", label(name)));
        None
    }
}

/// Reads a body of these members, or all its errors; scopes in it are written in this order.
///
/// # Errors
/// The errors by the names of members.
pub fn read_whole<B: ReadBody>(members: Members<'_>, scope_order: ScopeOrder) -> Result<B, FieldErrors> {
    read_by(members, scope_order, B::read)
}

/// The same, as `read` makes it of the members.
///
/// # Errors
/// The errors by the names of members.
pub fn read_by<B>(
    members: Members<'_>,
    scope_order: ScopeOrder,
    read: impl FnOnce(&mut Fields<'_>) -> Option<B>,
) -> Result<B, FieldErrors> {
    let mut fields = Fields::new(members, scope_order);
    let body = read(&mut fields);
    let errors = fields.into_errors();
    body.filter(|_| errors.is_empty()).ok_or(errors)
}

/// A text, where it stands if it holds no escapes, which a text on its way here seldom does.
fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    let inside = value.get().strip_prefix('"')?.strip_suffix('"')?;
    match inside.bytes().any(|byte| byte == b'\\') {
        true => read::<String>(value).map(Cow::Owned),
        false => Some(Cow::Borrowed(inside)),
    }
}

/// A value as what it should be; none if it is something else.
fn read<'b, T: Deserialize<'b>>(value: &'b RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}

fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// What is wrong with what should be a text: half of a surrogate pair is JSON, but no text.
fn not_a_text(label: &str, value: &RawValue) -> String {
    if value.get().starts_with('"') {
        return format!("The {label} contains an escape that is not a Unicode character.");
    }
    format!("The {label} must be a string.")
}

fn unreadable(name: &str) -> String {
    let label = label(name);
    format!("The {label} contains an escape that is not a Unicode character, or is nested too deeply.")
}

fn too_deep(name: &str) -> String {
    format!("The {} may not be nested more than {} levels deep.", label(name), Json::MAX_DEPTH)
}

/// The name of a member as messages say it: `expires at`.
fn label(name: &str) -> String {
    name.replace('_', " ")
}
