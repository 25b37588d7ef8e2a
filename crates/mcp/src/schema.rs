//! The JSON Schema of a tool, whichever dialect it is in. Nobody here can mend a server's schema, so one
//! never keeps a tool away: what can be checked is checked, and what cannot is named.

use jsonschema::{
    Draft, PatternOptions, ValidationError, Validator, draft4, draft6, draft7, draft201909, draft202012,
};
use serde_json::{Map, Value};

use crate::paths::{self, Paths};

/// The largest schema that is looked at, as JSON.
const MAX_BYTES: usize = 256 << 10;
/// How often keywords are taken out of a schema and the rest is tried.
const MAX_ROUNDS: usize = 6;
/// How many keywords are taken out; a schema with more errors is none.
const MAX_UNCHECKED: usize = 50;
/// How many references and how many patterns of a malformed schema are looked at; one that is beyond them is
/// not mended.
const MAX_LOOKED_AT: usize = 500;
/// The most memory that a pattern may take once it is compiled.
const MAX_PATTERN_BYTES: usize = 1 << 20;
/// The dialects; a schema that says nothing is in the newest that it is valid in.
const DIALECTS: [Draft; 5] =
    [Draft::Draft202012, Draft::Draft201909, Draft::Draft7, Draft::Draft6, Draft::Draft4];

/// A keyword of a schema that is not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unchecked {
    /// Where it stands, as a JSON pointer; empty for the whole schema.
    pub keyword: String,
    /// Why.
    pub reason: String,
}

/// What checks a value, and on how many paths it comes to each level of it.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub validator: Validator,
    pub paths: Paths,
}

/// Prepares a schema; what it refers to must be in it, nothing is fetched. None if nothing of it can be
/// checked.
pub(crate) fn compile(schema: &Map<String, Value>) -> (Option<Prepared>, Vec<Unchecked>) {
    let mut schema = Value::Object(schema.clone());
    if schema.to_string().len() > MAX_BYTES {
        return (None, vec![whole(format!("The schema is larger than {MAX_BYTES} bytes."))]);
    }
    let named = Draft::default().detect(&schema);
    if named == Draft::Unknown {
        // Nobody has heard of it; it is most likely close to one that is known.
        take(&mut schema, "/$schema");
    }
    let unchecked = paths::bound(&mut schema);
    let says_nothing = schema.get("$schema").is_none();
    let dialects = DIALECTS.into_iter().filter(|dialect| *dialect == named && !says_nothing);
    let dialects: Vec<Draft> = dialects.chain(DIALECTS).collect();
    // Of those in which it has the fewest errors, the first.
    let mut best: Option<(usize, Draft)> = None;
    for dialect in dialects {
        let errors = errors(dialect, &schema).len();
        if errors == 0
            && let Ok(prepared) = prepare(dialect, &schema)
            && unchecked.len() <= MAX_UNCHECKED
        {
            return (Some(prepared), unchecked);
        }
        if best.is_none_or(|(fewest, _)| errors < fewest) {
            best = Some((errors, dialect));
        }
    }
    let dialect = best.map_or(Draft::Draft202012, |(_, dialect)| dialect);
    reduce(dialect, schema, unchecked)
}

/// Takes out of a schema what cannot be checked, beside what was taken already, until the rest can be.
fn reduce(
    dialect: Draft,
    mut schema: Value,
    mut unchecked: Vec<Unchecked>,
) -> (Option<Prepared>, Vec<Unchecked>) {
    for _ in 0..MAX_ROUNDS {
        if unchecked.len() > MAX_UNCHECKED {
            return (None, vec![whole(format!("More than {MAX_UNCHECKED} keywords are not checked."))]);
        }
        let mut found = errors(dialect, &schema);
        found.extend(references(&mut schema));
        found.extend(patterns(&schema));
        let before = unchecked.len();
        if found.is_empty() {
            // References that were mended may lead in a circle.
            unchecked.extend(paths::bound(&mut schema));
        }
        let error = match found.is_empty() && unchecked.len() == before {
            true => match prepare(dialect, &schema) {
                Ok(prepared) => return (Some(prepared), unchecked),
                Err(error) => error,
            },
            false => String::new(),
        };
        for Unchecked { keyword, reason } in found {
            // One error may have taken out what another is in.
            if let Some(keyword) = take(&mut schema, &keyword) {
                unchecked.push(Unchecked { keyword, reason });
            }
        }
        if unchecked.len() == before {
            return (None, vec![whole(error)]);
        }
    }
    (None, vec![whole("It is still malformed when its malformed keywords are left out.".to_owned())])
}

/// That nothing of a schema is checked.
pub(crate) fn whole(reason: String) -> Unchecked {
    Unchecked { keyword: String::new(), reason }
}

fn prepare(dialect: Draft, schema: &Value) -> Result<Prepared, String> {
    Ok(Prepared { validator: build(dialect, schema)?, paths: Paths::of(schema) })
}

fn build(dialect: Draft, schema: &Value) -> Result<Validator, String> {
    // The engine that takes no longer for a hostile pattern than for another.
    let patterns = PatternOptions::regex().size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_PATTERN_BYTES);
    let options = jsonschema::options().with_draft(dialect).with_pattern_options(patterns).offline();
    options.build(schema).map_err(|error| reason(&error))
}

/// What is wrong with a schema by the rules of a dialect.
fn errors(dialect: Draft, schema: &Value) -> Vec<Unchecked> {
    let validator = match dialect {
        Draft::Draft4 => draft4::meta::validator(),
        Draft::Draft6 => draft6::meta::validator(),
        Draft::Draft7 => draft7::meta::validator(),
        Draft::Draft201909 => draft201909::meta::validator(),
        _ => draft202012::meta::validator(),
    };
    let errors = validator.iter_errors(schema).take(MAX_UNCHECKED + 1);
    let message = |error: ValidationError<'_>| Unchecked {
        keyword: error.instance_path().as_str().to_owned(),
        reason: reason(&error),
    };
    errors.map(message).collect()
}

fn reason(error: &ValidationError<'_>) -> String {
    crate::message::short(&error.to_string())
}

/// The references that lead nowhere. One to definitions that stand nearer than the root is made to lead
/// there.
fn references(schema: &mut Value) -> Vec<Unchecked> {
    let mut places = Vec::new();
    walk(schema, &mut String::new(), &mut |pointer, object| {
        if let Some(Value::String(target)) = object.get("$ref")
            && places.len() < MAX_LOOKED_AT
        {
            places.push((pointer.to_owned(), target.clone()));
        }
    });
    let mut anchors = Vec::new();
    walk(schema, &mut String::new(), &mut |_, object| {
        for name in ["$id", "id", "$anchor", "$dynamicAnchor"] {
            if let Some(Value::String(anchor)) = object.get(name)
                && anchors.len() < MAX_LOOKED_AT
            {
                anchors.push(anchor.trim_start_matches('#').to_owned());
            }
        }
    });
    let mut lost = Vec::new();
    for (place, target) in places {
        let leads_somewhere = match target.split_once('#') {
            Some(("", pointer)) if pointer.is_empty() || pointer.starts_with('/') => {
                schema.pointer(&unescaped(pointer)).is_some()
            }
            Some(("", anchor)) => anchors.iter().any(|own| own == anchor),
            _ => {
                let document = target.split('#').next().unwrap_or_default();
                anchors.iter().any(|own| own.trim_end_matches('#').ends_with(document))
                    || document.contains("json-schema.org/")
            }
        };
        if leads_somewhere {
            continue;
        }
        let nearer = target.strip_prefix('#').filter(|pointer| pointer.starts_with('/'));
        let nearer = nearer.and_then(|pointer| nearest(schema, &place, pointer));
        let keyword = format!("{place}/$ref");
        match (nearer, schema.pointer_mut(&keyword)) {
            (Some(nearer), Some(reference)) => *reference = Value::String(format!("#{nearer}")),
            _ => lost.push(Unchecked {
                keyword,
                reason: format!("{:?} leads nowhere; nothing is fetched.", crate::message::short(&target)),
            }),
        }
    }
    lost
}

/// Where a pointer leads that is meant from a place above `place`, the nearest first.
fn nearest(schema: &Value, place: &str, pointer: &str) -> Option<String> {
    let mut above = place;
    loop {
        let target = format!("{above}{pointer}");
        if schema.pointer(&unescaped(&target)).is_some() {
            return Some(target);
        }
        above = &above[..above.rfind('/')?];
    }
}

/// A pointer out of the fragment of a URI.
pub(crate) fn unescaped(pointer: &str) -> String {
    percent_encoding::percent_decode_str(pointer).decode_utf8_lossy().into_owned()
}

/// The patterns that cannot be compiled: those that look around, refer back, or are no patterns at all.
fn patterns(schema: &Value) -> Vec<Unchecked> {
    let (mut bad, mut looked_at) = (Vec::new(), 0);
    walk(schema, &mut String::new(), &mut |pointer, object| {
        let mut check = |pattern: &str, keyword: String| {
            looked_at += 1;
            if looked_at > MAX_LOOKED_AT {
                return;
            }
            let alone = serde_json::json!({ "pattern": pattern });
            if let Err(reason) = build(Draft::Draft202012, &alone) {
                bad.push(Unchecked { keyword, reason });
            }
        };
        if let Some(Value::String(pattern)) = object.get("pattern") {
            check(pattern, format!("{pointer}/pattern"));
        }
        if let Some(Value::Object(patterns)) = object.get("patternProperties") {
            for pattern in patterns.keys() {
                check(pattern, format!("{pointer}/patternProperties/{}", escaped(pattern)));
            }
        }
    });
    bad
}

/// Visits every object of a schema with its place.
fn walk(value: &Value, pointer: &mut String, visit: &mut impl FnMut(&str, &Map<String, Value>)) {
    let length = pointer.len();
    match value {
        Value::Object(members) => {
            visit(pointer, members);
            for (name, member) in members {
                // These hold what a value may be, not how it is described.
                if !matches!(name.as_str(), "const" | "enum" | "default" | "example" | "examples") {
                    pointer.push('/');
                    pointer.push_str(&escaped(name));
                    walk(member, pointer, visit);
                    pointer.truncate(length);
                }
            }
        }
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                pointer.push('/');
                pointer.push_str(&place.to_string());
                walk(item, pointer, visit);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}

pub(crate) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Takes the keyword out that a pointer leads to, or that an item of a list belongs to; which one it was.
fn take(schema: &mut Value, pointer: &str) -> Option<String> {
    let mut pointer = pointer;
    loop {
        let (above, name) = pointer.rsplit_once('/')?;
        match schema.pointer_mut(above)? {
            Value::Object(members) => {
                members.shift_remove(&name.replace("~1", "/").replace("~0", "~"))?;
                return Some(pointer.to_owned());
            }
            _ => pointer = above,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// What is not checked, and whether the two arguments are valid.
    fn tried(schema: Value, valid: Value, invalid: Value) -> Vec<String> {
        let (validator, unchecked) = compile(schema.as_object().expect("an object"));
        let Prepared { validator, .. } = validator.unwrap_or_else(|| panic!("{schema}: {unchecked:?}"));
        assert!(validator.is_valid(&valid), "{schema} takes {valid}");
        assert!(!validator.is_valid(&invalid), "{schema} does not take {invalid}");
        unchecked.into_iter().map(|unchecked| unchecked.keyword).collect()
    }

    #[test]
    fn every_dialect_is_checked_whole() {
        let tuple = json!({ "properties": { "p": { "type": "array", "items": [{ "type": "string" }, { "type": "number" }] } } });
        let good = json!({ "p": ["x", 1] });
        let bad = json!({ "p": [1, "x"] });
        for dialect in [
            None,
            Some("http://json-schema.org/draft-04/schema#"),
            Some("http://json-schema.org/draft-07/schema#"),
            Some("https://json-schema.org/draft-07/schema"),
            Some("https://json-schema.org/draft/2019-09/schema"),
            // It says so, but it is not.
            Some("https://json-schema.org/draft/2020-12/schema"),
            Some("https://example.com/my-schema"),
        ] {
            let mut schema = tuple.clone();
            if let Some(dialect) = dialect {
                schema["$schema"] = dialect.into();
            }
            assert!(tried(schema, good.clone(), bad.clone()).is_empty(), "{dialect:?}");
        }
        let draft4 = json!({ "properties": { "p": { "minimum": 0, "exclusiveMinimum": true } } });
        assert!(tried(draft4, json!({ "p": 1 }), json!({ "p": 0 })).is_empty());
        let prefix = json!({ "properties": { "p": { "prefixItems": [{ "type": "string" }] } } });
        assert!(tried(prefix, good, bad).is_empty());
    }

    #[test]
    fn what_cannot_be_checked_is_named_and_the_rest_is_checked() {
        let number = json!({ "type": "number" });
        for (keyword, schema) in [
            ("/properties/p/type", json!({ "type": "strng" })),
            ("/properties/p/type", json!({ "type": "any" })),
            ("/properties/p/type", json!({ "type": ["string", "date"] })),
            ("/properties/p/required", json!({ "type": "string", "required": true })),
            ("/properties/p/pattern", json!({ "pattern": "^(?!a)" })),
            ("/properties/p/pattern", json!({ "pattern": "(" })),
            ("/properties/p/patternProperties/(?=~1)", json!({ "patternProperties": { "(?=/)": {} } })),
            ("/properties/p/$ref", json!({ "$ref": "http://127.0.0.1:1/schema.json" })),
            ("/properties/p/$ref", json!({ "$ref": "file:///etc/passwd" })),
            ("/properties/p/$ref", json!({ "$ref": "other.json#/a" })),
            ("/properties/p/$ref", json!({ "$ref": "#/$defs/none" })),
            ("/properties/p/$ref", json!({ "$ref": "#none" })),
            ("/properties/p/minLength", json!({ "minLength": "3" })),
            ("/properties/p", json!("string")),
        ] {
            let schema = json!({ "type": "object", "properties": { "p": schema, "n": number } });
            let unchecked = tried(schema, json!({ "p": "b", "n": 1 }), json!({ "p": "b", "n": "x" }));
            assert_eq!(unchecked, [keyword]);
        }
        // The boolean of an older dialect, where a name is meant.
        let schema = json!({ "properties": { "required": true, "n": number } });
        assert!(tried(schema, json!({ "required": 1 }), json!({ "n": "x" })).is_empty());
        let schema = json!({ "required": true, "properties": { "n": number } });
        assert_eq!(tried(schema, json!({}), json!({ "n": "x" })), ["/required"]);
        let many = json!({ "type": "any", "properties": { "p": { "$ref": "x.json", "pattern": "(?=a)", "type": "strng" }, "n": number } });
        let mut unchecked = tried(many, json!({ "p": 1 }), json!({ "n": "x" }));
        unchecked.sort();
        assert_eq!(unchecked, ["/properties/p/$ref", "/properties/p/pattern", "/properties/p/type", "/type"]);
    }

    #[test]
    fn definitions_within_a_property_are_found() {
        for name in ["$defs", "definitions"] {
            let reference = format!("#/{name}/s");
            let schema =
                json!({ "properties": { "p": { "$ref": reference, name: { "s": { "type": "string" } } } } });
            assert!(tried(schema, json!({ "p": "x" }), json!({ "p": 1 })).is_empty(), "{name}");
            let deeper = json!({ "properties": { "p": {
                name: { "s": { "type": "string" } },
                "items": { "$ref": reference },
            } } });
            assert!(tried(deeper, json!({ "p": ["x"] }), json!({ "p": [1] })).is_empty(), "{name}");
        }
        let recursive = json!({ "$defs": { "n": { "properties": { "n": { "$ref": "#/$defs/n" } }, "type": "object" } }, "$ref": "#/$defs/n" });
        assert!(tried(recursive, json!({ "n": {} }), json!({ "n": 1 })).is_empty());
    }

    #[test]
    fn a_hopeless_schema_is_not_checked_at_all() {
        let huge = json!({ "description": "x".repeat(MAX_BYTES) });
        let broken: Map<String, Value> = (0..200).map(|n| (format!("p{n}"), json!({ "type": n }))).collect();
        for schema in [huge, json!({ "properties": broken })] {
            let (validator, unchecked) = compile(schema.as_object().expect("an object"));
            assert!(validator.is_none());
            assert_eq!(unchecked.iter().map(|u| u.keyword.as_str()).collect::<Vec<_>>(), [""]);
        }
    }

    fn any_schema() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(true)),
            Just(json!(1)),
            Just(json!("string")),
            Just(json!("#/$defs/a")),
            Just(json!("(?=a)")),
            Just(json!(["a", "b"])),
        ];
        leaf.prop_recursive(4, 40, 4, |inner| {
            let name = prop_oneof![
                "(type|required|\\$ref|pattern|items|properties|\\$defs|anyOf|not|\\$id|enum|a|b)",
            ];
            prop_oneof![
                prop::collection::vec((name, inner.clone()), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
                prop::collection::vec(inner, 0..3).prop_map(Value::Array),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_schema_is_taken(schema in any_schema(), value in any_schema()) {
            if let Value::Object(schema) = schema {
                let (validator, unchecked) = compile(&schema);
                prop_assert!(validator.is_some() || !unchecked.is_empty());
                if let Some(prepared) = validator {
                    let _ = prepared.validator.is_valid(&value);
                }
            }
        }
    }
}
