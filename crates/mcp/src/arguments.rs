//! The arguments of a tool: what they are, for people and programs, and whether some fit.

use std::sync::Arc;

use gatepost_kernel::{
    FieldErrors, Json,
    text::{brief, required},
};
use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value, value::RawValue};

use crate::{
    message::Written,
    paths,
    schema::{self, Prepared, Unchecked},
};

/// How many schemas are tried for one call, at most: a second or two of one processor.
const MAX_STEPS: u64 = 20_000_000;
/// Up to how many every error is named; each that is tried in vain is kept until then.
const MAX_NAMED_STEPS: u64 = 100_000;

/// What a tool is called with.
#[derive(Debug, Clone, Default)]
pub struct Arguments {
    members: Arc<Map<String, Value>>,
    written: Option<Arc<RawValue>>,
}

impl Arguments {
    /// How deeply the arguments of a tool may be nested; the object that they are is the first level.
    pub const MAX_DEPTH: usize = paths::MAX_DEPTH;

    /// Looks at the text of arguments before they are read.
    ///
    /// # Errors
    /// If they are nested too deeply.
    pub fn check_depth(text: &str) -> Result<(), FieldErrors> {
        if Json::depth_of(text) <= Self::MAX_DEPTH { Ok(()) } else { Err(too_deep()) }
    }

    /// The members of an object, and the text that they were read from, which the server is sent byte for
    /// byte. Where that names a member twice, the server is sent what was read: the last of each.
    pub fn new(members: Map<String, Value>, text: Option<&RawValue>) -> Self {
        let is_plain = |text: &&RawValue| {
            members_in(text.get()) == members.values().map(count).sum::<usize>() + members.len()
        };
        let written = text.filter(is_plain).map(|text| Arc::from(text.to_owned()));
        Self { members: Arc::new(members), written }
    }

    /// Each by its name.
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    pub(crate) fn into_parts(self) -> (Map<String, Value>, Option<Written>) {
        (Arc::unwrap_or_clone(self.members), self.written.map(Written))
    }
}

impl std::fmt::Display for Arguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.written {
            Some(text) => f.write_str(text.get()),
            None => f.write_str(&serde_json::to_string(&*self.members).map_err(|_| std::fmt::Error)?),
        }
    }
}

fn too_deep() -> FieldErrors {
    error(format!("The arguments field must not be nested more than {} levels deep.", paths::MAX_DEPTH))
}

/// An error of the arguments as a whole.
fn error(message: String) -> FieldErrors {
    let mut errors = FieldErrors::default();
    errors.add("arguments", message);
    errors
}

/// How many members the objects in a value have.
fn count(value: &Value) -> usize {
    match value {
        Value::Object(members) => members.len() + members.values().map(count).sum::<usize>(),
        Value::Array(items) => items.iter().map(count).sum(),
        _ => 0,
    }
}

/// How many members the objects in a text have, those included that are there twice.
fn members_in(text: &str) -> usize {
    let (mut count, mut in_string, mut escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b':' if !in_string => count += 1,
            _ => {}
        }
    }
    count
}

/// One argument of a tool, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// The JSON type, several with ` | ` between; `any` if the schema names none.
    pub kind: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether it must be there.
    pub required: bool,
}

/// Checks arguments by a schema, as far as that can be checked.
#[derive(Clone)]
pub(crate) struct Checker(Option<Arc<Prepared>>);

impl Checker {
    /// Prepares a schema; what of it is not checked is answered too.
    pub fn new(schema: &Map<String, Value>) -> (Self, Vec<Unchecked>) {
        let (prepared, unchecked) = schema::compile(schema);
        (Self(prepared.map(Arc::new)), unchecked)
    }

    /// Checks nothing.
    pub fn none() -> Self {
        Self(None)
    }

    /// Names every error, by the argument that it is in. Takes as long as the schema and the arguments make
    /// it take, within bounds: not for a thread that others wait for.
    pub fn check(&self, arguments: &Map<String, Value>) -> Result<(), FieldErrors> {
        let levels = paths::levels(arguments).ok_or_else(too_deep)?;
        let Some(prepared) = &self.0 else { return Ok(()) };
        let steps = prepared.paths.steps(&levels);
        if steps > MAX_STEPS {
            return Err(error(
                "The arguments field is too large to be checked by the schema of this tool.".to_owned(),
            ));
        }
        let Prepared { validator, .. } = prepared.as_ref();
        let arguments = Value::Object(arguments.clone());
        if steps > MAX_NAMED_STEPS {
            let fits = validator.is_valid(&arguments);
            let no_fit = || error("The arguments field does not fit the schema of this tool.".to_owned());
            return if fits { Ok(()) } else { Err(no_fit()) };
        }
        let mut errors = FieldErrors::default();
        for error in validator.iter_errors(&arguments).take(FieldErrors::MAX_FIELDS) {
            let place: String = error.instance_path().as_str().replace('/', ".");
            match error.kind() {
                ValidationErrorKind::Required { property } => {
                    let name = property.as_str().unwrap_or_default();
                    errors.add(format!("arguments{place}.{name}"), required(&brief(name)));
                }
                ValidationErrorKind::AdditionalProperties { unexpected }
                | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                    for name in unexpected {
                        errors.add(
                            format!("arguments{place}.{name}"),
                            format!("The {} field is not known.", brief(name)),
                        );
                    }
                }
                // Its words repeat the value, which may be long or nobody's business.
                _ => {
                    errors.add(format!("arguments{place}"), error.masked_with("The value").to_string() + ".")
                }
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// The arguments that a schema names, in short.
pub(crate) fn parameters(schema: &Map<String, Value>) -> Vec<Parameter> {
    let required = schema.get("required").and_then(Value::as_array);
    let is_required =
        |name: &str| required.is_some_and(|names| names.iter().any(|required| required == name));
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let parameter = |(name, schema): (&String, &Value)| Parameter {
        name: name.clone(),
        kind: kind(schema),
        description: schema.get("description").and_then(Value::as_str).map(str::to_owned),
        required: is_required(name),
    };
    properties.map(parameter).collect()
}

fn kind(schema: &Value) -> String {
    match schema.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" | "),
        _ if schema.get("enum").is_some() => "string".to_owned(),
        _ => "any".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    fn errors(schema: Value, arguments: Value) -> Vec<String> {
        match Checker::new(&object(schema)).0.check(&object(arguments)) {
            Ok(()) => Vec::new(),
            Err(errors) => errors.iter().map(|(field, _)| field.to_owned()).collect(),
        }
    }

    #[test]
    fn every_error_is_named() {
        let schema = json!({
            "type": "object", "required": ["path", "mode"], "additionalProperties": false,
            "properties": {
                "path": { "type": "string", "minLength": 1 },
                "mode": { "enum": ["a", "b"] },
                "lines": { "type": "array", "items": { "type": "integer" } },
            },
        });
        assert!(errors(schema.clone(), json!({ "path": "x", "mode": "a", "lines": [1, 2] })).is_empty());
        let mut found = errors(schema.clone(), json!({ "path": "", "lines": [1, "x"], "depth": 3 }));
        found.sort();
        assert_eq!(found, ["arguments.depth", "arguments.lines.1", "arguments.mode", "arguments.path"]);
        let secret = json!({ "path": "x", "mode": "hunter2" });
        let Err(errors) = Checker::new(&object(schema)).0.check(&object(secret)) else { panic!("an error") };
        assert!(errors.iter().all(|(_, texts)| !texts[0].contains("hunter2")), "{errors:?}");
    }

    #[test]
    fn what_takes_long_is_refused_whole() {
        let branch = json!({ "properties": { "a": { "$ref": "#/$defs/n" } }, "type": "object" });
        let schema = json!({ "$defs": { "n": { "anyOf": [branch, branch] } }, "items": { "$ref": "#/$defs/n" },
            "properties": { "n": { "items": { "$ref": "#/$defs/n" } } } });
        let nested = |innermost: Value| (0..10).fold(innermost, |value, _| json!({ "a": value }));
        let many = |count: usize, innermost: Value| json!({ "n": vec![nested(innermost); count] });
        let named = errors(schema.clone(), many(1, json!(7)));
        assert_eq!(named, ["arguments.n.0"]);
        assert!(errors(schema.clone(), many(100, json!({}))).is_empty());
        assert_eq!(errors(schema.clone(), many(100, json!(7))), ["arguments"]);
        assert_eq!(errors(schema, many(10_000, json!({}))), ["arguments"]);
    }

    #[test]
    fn what_cannot_be_checked_is_let_through() {
        let schema =
            json!({ "$ref": "http://127.0.0.1:1/schema.json", "properties": { "a": { "type": "string" } } });
        let (checker, unchecked) = Checker::new(&object(schema));
        assert_eq!(unchecked.iter().map(|u| u.keyword.as_str()).collect::<Vec<_>>(), ["/$ref"]);
        assert!(checker.check(&object(json!({ "a": "x" }))).is_ok());
        assert!(checker.check(&object(json!({ "a": 1 }))).is_err());
    }

    #[test]
    fn numbers_of_any_size_are_checked() {
        let read = |text: &str| serde_json::from_str::<Map<String, Value>>(text).expect("an object");
        let (checker, _) = Checker::new(&object(json!({
            "properties": { "n": { "type": "number", "minimum": 0 }, "i": { "type": "integer" }, "m": { "multipleOf": 0.1 } },
        })));
        for (text, fits) in [
            (r#"{"n":1E400,"i":184467440737095516150,"m":19.90}"#, true),
            (r#"{"n":-1E400}"#, false),
            (r#"{"i":1.5}"#, false),
            (r#"{"i":"1"}"#, false),
            (r#"{"n":1E400000000000000000000,"i":0}"#, true),
            (r#"{"n":1E-400000000000000000000,"m":0.3}"#, true),
            (r#"{"m":0.35}"#, false),
        ] {
            assert_eq!(checker.check(&read(text)).is_ok(), fits, "{text}");
        }
    }

    #[test]
    fn a_text_is_kept_unless_it_says_something_twice() {
        for (text, sent) in [
            (r#"{ "b": 19.90, "a": {"x":[{"y":"\":"}]} }"#, None),
            (r#"{"a":1,"a":2}"#, Some(r#"{"a":2}"#)),
            (r#"{"a":[{"b":1, "b":{"c":2}}]}"#, Some(r#"{"a":[{"b":{"c":2}}]}"#)),
        ] {
            let raw: &RawValue = serde_json::from_str(text).expect("JSON");
            let arguments = Arguments::new(serde_json::from_str(text).expect("an object"), Some(raw));
            assert_eq!(arguments.to_string(), sent.unwrap_or(text));
        }
    }

    #[test]
    fn parameters_in_short() {
        let schema = json!({
            "required": ["path"],
            "properties": {
                "path": { "type": "string", "description": "File path to read" },
                "head": { "type": ["number", "null"] },
                "any": {},
            },
        });
        let find = |name: &str| {
            parameters(&object(schema.clone())).into_iter().find(|p| p.name == name).expect(name)
        };
        let path = find("path");
        assert_eq!(
            (path.kind.as_str(), path.description.as_deref(), path.required),
            ("string", Some("File path to read"), true)
        );
        assert_eq!((find("head").kind.as_str(), find("head").required), ("number | null", false));
        assert_eq!(find("any").kind, "any");
    }
}
