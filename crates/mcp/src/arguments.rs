//! The arguments of a tool: what they are, for people and programs, and whether some fit.

use std::sync::Arc;

use gatepost_kernel::FieldErrors;
use jsonschema::{PatternOptions, Validator, error::ValidationErrorKind};
use serde_json::{Map, Value};

/// The largest schema that is looked at, as JSON.
const MAX_SCHEMA_BYTES: usize = 256 << 10;

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

/// Checks arguments by a schema.
#[derive(Clone)]
pub(crate) struct Checker(Result<Arc<Validator>, String>);

impl Checker {
    /// Prepares a schema. What it refers to must be in it: nothing is fetched.
    pub fn new(schema: &Map<String, Value>) -> Self {
        let schema = Value::Object(schema.clone());
        if schema.to_string().len() > MAX_SCHEMA_BYTES {
            return Self(Err(format!("larger than {MAX_SCHEMA_BYTES} bytes")));
        }
        // The engine that takes no longer for a hostile pattern than for another.
        let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
        Self(options.build(&schema).map(Arc::new).map_err(|error| error.to_string()))
    }

    /// Names every fault, by the argument that it is in.
    ///
    /// # Errors
    /// `Err(Ok(…))` the faults; `Err(Err(…))` why the schema cannot be used.
    pub fn check(&self, arguments: &Map<String, Value>) -> Result<(), Result<FieldErrors, String>> {
        let validator = self.0.as_ref().map_err(|fault| Err(fault.clone()))?;
        let arguments = Value::Object(arguments.clone());
        let mut errors = FieldErrors::default();
        for error in validator.iter_errors(&arguments).take(FieldErrors::MAX_FIELDS) {
            let place: String = error.instance_path().as_str().replace('/', ".");
            match error.kind() {
                ValidationErrorKind::Required { property } => {
                    let name = property.as_str().unwrap_or_default();
                    errors.add(format!("arguments{place}.{name}"), format!("The {name} field is required."));
                }
                ValidationErrorKind::AdditionalProperties { unexpected }
                | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                    for name in unexpected {
                        errors.add(
                            format!("arguments{place}.{name}"),
                            format!("The {name} field is not known."),
                        );
                    }
                }
                // Its words repeat the value, which may be long or nobody's business.
                _ => {
                    errors.add(format!("arguments{place}"), error.masked_with("The value").to_string() + ".")
                }
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(Ok(errors)) }
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

    fn faults(schema: Value, arguments: Value) -> Vec<String> {
        match Checker::new(&object(schema)).check(&object(arguments)) {
            Ok(()) => Vec::new(),
            Err(Ok(errors)) => errors.iter().map(|(field, _)| field.to_owned()).collect(),
            Err(Err(fault)) => panic!("{fault}"),
        }
    }

    #[test]
    fn every_fault_is_named() {
        let schema = json!({
            "type": "object", "required": ["path", "mode"], "additionalProperties": false,
            "properties": {
                "path": { "type": "string", "minLength": 1 },
                "mode": { "enum": ["a", "b"] },
                "lines": { "type": "array", "items": { "type": "integer" } },
            },
        });
        assert!(faults(schema.clone(), json!({ "path": "x", "mode": "a", "lines": [1, 2] })).is_empty());
        let mut found = faults(schema.clone(), json!({ "path": "", "lines": [1, "x"], "depth": 3 }));
        found.sort();
        assert_eq!(found, ["arguments.depth", "arguments.lines.1", "arguments.mode", "arguments.path"]);
        let secret = json!({ "path": "x", "mode": "hunter2" });
        let Err(Ok(errors)) = Checker::new(&object(schema)).check(&object(secret)) else { panic!("a fault") };
        assert!(errors.iter().all(|(_, texts)| !texts[0].contains("hunter2")), "{errors:?}");
    }

    #[test]
    fn nothing_is_fetched_for_a_schema() {
        for schema in [
            json!({ "$ref": "http://127.0.0.1:1/schema.json" }),
            json!({ "properties": { "a": { "$ref": "file:///etc/passwd" } } }),
            json!({ "type": "nonsense" }),
        ] {
            assert!(matches!(Checker::new(&object(schema)).check(&Map::new()), Err(Err(_))));
        }
        let local =
            json!({ "$defs": { "s": { "type": "string" } }, "properties": { "a": { "$ref": "#/$defs/s" } } });
        assert_eq!(faults(local, json!({ "a": 1 })), ["arguments.a"]);
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
