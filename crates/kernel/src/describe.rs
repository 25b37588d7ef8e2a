//! What JSON looks like, said by the types that are written as it or read from it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json, value::RawValue};

use crate::{CalendarTime, Json, JsonObject, Timestamp};

/// A type that is written as JSON, or read from it.
pub trait Described {
    /// Its schema, or a reference to it where it has a name; those that it refers to are added to `schemas`.
    fn schema(schemas: &mut Schemas) -> Value;
}

/// A type that is an object of members.
pub trait DescribedObject: Described {
    /// What it looks like, without its name.
    fn object(schemas: &mut Schemas) -> Object;
}

/// The schemas that have names.
#[derive(Debug, Default)]
pub struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// The schema of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// All of them.
    pub fn into_map(self) -> BTreeMap<String, Value> {
        self.0
    }

    /// The schema that a reference leads to, with those that it leads to in turn in their places.
    pub fn resolved(&self, mut schema: Value) -> Value {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            let mut named = self.0.get(name).cloned().unwrap_or_default();
            if let Some(about) = schema.get("description") {
                named["description"] = about.clone();
            }
            schema = named;
        }
        match &mut schema {
            Value::Object(members) => {
                members.values_mut().for_each(|member| *member = self.resolved(member.take()))
            }
            Value::Array(items) => items.iter_mut().for_each(|item| *item = self.resolved(item.take())),
            _ => {}
        }
        schema
    }

    /// A reference to the schema of this name. `describe` makes it where there is none.
    pub fn named(&mut self, name: &str, describe: impl FnOnce(&mut Self) -> Value) -> Value {
        if !self.0.contains_key(name) {
            // First, since it may lead back to itself.
            self.0.insert(name.to_owned(), Value::Null);
            let schema = describe(self);
            self.0.insert(name.to_owned(), schema);
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }
}

/// An object on its way to its schema.
#[derive(Debug)]
pub struct Object {
    about: &'static str,
    properties: Map<String, Value>,
    required: Vec<String>,
    parts: Vec<Value>,
    closed: bool,
    requirements: BTreeMap<&'static str, Vec<&'static str>>,
}

impl Object {
    /// An object without members.
    pub fn new(about: &'static str) -> Self {
        let (properties, required, parts) = (Map::new(), Vec::new(), Vec::new());
        Self { about, properties, required, parts, closed: false, requirements: BTreeMap::new() }
    }

    /// Nothing but its members may be there.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Where one member is, another has to be too.
    pub fn requires(&mut self, name: &'static str, other: &'static str) {
        self.requirements.entry(name).or_default().push(other);
    }

    /// Takes the members of another object in as its own.
    pub fn take_in(&mut self, other: Self) {
        self.properties.extend(other.properties);
        self.required.extend(other.required);
    }

    /// Takes the members of another object in as its own; they may be left out.
    pub fn take_in_optional(&mut self, other: Self) {
        self.properties.extend(other.properties);
    }

    /// Takes the members of an object in whose schema is known.
    pub fn take_in_schema(&mut self, schema: &Value) {
        let properties = schema["properties"].as_object().into_iter().flatten();
        self.properties.extend(properties.map(|(name, member)| (name.clone(), member.clone())));
        let required = schema["required"].as_array().into_iter().flatten();
        self.required.extend(required.filter_map(|name| name.as_str().map(str::to_owned)));
    }

    /// Adds a member, which has to be there unless something else is said of it.
    pub fn member<T: Described>(
        &mut self,
        schemas: &mut Schemas,
        name: &'static str,
        about: &'static str,
    ) -> Member<'_> {
        let mut schema = T::schema(schemas);
        // What is said of a reference stands beside it.
        match schema.get_mut("oneOf").and_then(|choice| choice.get_mut(0)) {
            Some(reference) => reference["description"] = json!(about),
            None => schema["description"] = json!(about),
        }
        self.required.push(name.to_owned());
        Member { object: self, name, schema }
    }

    /// Takes all members of another object in.
    pub fn flatten<T: Described>(&mut self, schemas: &mut Schemas, about: &'static str) {
        let mut part = T::schema(schemas);
        if !about.is_empty() {
            part["description"] = json!(about);
        }
        self.parts.push(part);
    }

    /// Gives members the examples of this one.
    pub fn examples(&mut self, example: Value) {
        let Value::Object(examples) = example else { return };
        for (name, example) in examples {
            if let Some(property) = self.properties.get_mut(&name) {
                property["example"] = example;
            }
        }
    }

    /// The schema.
    pub fn into_schema(self) -> Value {
        let Self { about, properties, required, mut parts, closed, requirements } = self;
        let mut own = json!({ "type": "object", "properties": properties });
        if closed {
            own["additionalProperties"] = json!(false);
        }
        if !requirements.is_empty() {
            own["dependentRequired"] = json!(requirements);
        }
        if !required.is_empty() {
            own["required"] = json!(required);
        }
        if !parts.is_empty() {
            parts.push(own);
            own = json!({ "allOf": parts });
        }
        own["description"] = json!(about);
        own
    }
}

/// A member on its way into its object.
#[derive(Debug)]
pub struct Member<'o> {
    object: &'o mut Object,
    name: &'static str,
    schema: Value,
}

impl Member<'_> {
    /// It is always there.
    pub fn required(self) -> Self {
        self
    }

    /// It may be left out, but not be `null`.
    pub fn optional(self) -> Self {
        self.object.required.pop();
        self.without_null()
    }

    /// It may be left out, or be `null`.
    pub fn nullable(mut self) -> Self {
        self.object.required.pop();
        let about = self.schema.as_object_mut().and_then(|schema| schema.remove("description"));
        self.schema = nullable(std::mem::take(&mut self.schema));
        if let Some(about) = about {
            match self.schema.get_mut("oneOf").and_then(|choice| choice.get_mut(0)) {
                Some(reference) => reference["description"] = about,
                None => self.schema["description"] = about,
            }
        }
        self
    }

    /// It is there only if it is asked for.
    pub fn included(self) -> Self {
        self.optional()
    }

    /// A rule, by its keyword.
    pub fn rule(mut self, keyword: &str, value: Value) -> Self {
        self.schema[keyword] = value;
        self
    }

    fn without_null(mut self) -> Self {
        if let Some(kinds) = self.schema["type"].as_array() {
            self.schema["type"] = kinds.first().cloned().unwrap_or_default();
        } else if let Some(reference) = self.schema["oneOf"].get(0).cloned() {
            self.schema = reference;
        }
        self
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        let schema = std::mem::take(&mut self.schema);
        self.object.properties.insert(self.name.to_owned(), schema);
    }
}

/// What is nullable of a schema.
fn nullable(mut schema: Value) -> Value {
    match schema["type"].as_str().map(str::to_owned) {
        Some(kind) => schema["type"] = json!([kind, "null"]),
        // What may be anything may be null.
        None if schema.as_object().is_some_and(Map::is_empty) => {}
        None => schema = json!({ "oneOf": [schema, { "type": "null" }] }),
    }
    schema
}

impl<T: Described> Described for Option<T> {
    fn schema(schemas: &mut Schemas) -> Value {
        nullable(T::schema(schemas))
    }
}

impl<T: Described> Described for Vec<T> {
    fn schema(schemas: &mut Schemas) -> Value {
        json!({ "type": "array", "items": T::schema(schemas) })
    }
}

impl<T: Described> Described for BTreeMap<String, T> {
    fn schema(schemas: &mut Schemas) -> Value {
        json!({
            "type": "object",
            "propertyNames": { "type": "string" },
            "additionalProperties": T::schema(schemas),
        })
    }
}

/// Declares the schemas of types that have no names there.
macro_rules! described {
    ($($($name:ty),+ => $schema:tt;)*) => {$($(
        impl Described for $name {
            fn schema(_: &mut Schemas) -> Value {
                json!($schema)
            }
        }
    )+)*};
}

described! {
    String, &'static str => { "type": "string" };
    bool => { "type": "boolean" };
    f64 => { "type": "number", "format": "double" };
    u8, u16, u32 => { "type": "integer", "format": "int32", "minimum": 0 };
    u64 => { "type": "integer", "format": "int64", "minimum": 0 };
    i64 => { "type": "integer", "format": "int64" };
    usize => { "type": "integer", "minimum": 0 };
    Timestamp, CalendarTime => { "type": "string", "format": "date-time" };
    Value, Json, Box<RawValue> => {};
    JsonObject, Map<String, Value>
        => { "type": "object", "propertyNames": { "type": "string" }, "additionalProperties": {} };
}

/// Says that a type is one of some words, under a name of its own.
#[macro_export]
macro_rules! described_words {
    ($type:ty, $name:literal, $about:literal, $words:expr) => {
        impl $crate::describe::Described for $type {
            fn schema(schemas: &mut $crate::describe::Schemas) -> $crate::serde_json::Value {
                schemas.named($name, |_| {
                    $crate::serde_json::json!({ "type": "string", "description": $about, "enum": $words })
                })
            }
        }
    };
}
