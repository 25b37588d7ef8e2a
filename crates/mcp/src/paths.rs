//! How much work a schema can make of a value. Every branch of `anyOf` and its like is tried, so one that
//! leads back to itself on several paths takes twice as long for every level of the value, or worse: two
//! hundred bytes are enough for minutes, and a check that runs cannot be stopped. So the paths are counted
//! when a schema is loaded, and one that has too many loses those keywords.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::schema::{Unchecked, escaped, unescaped};

/// How deep arguments may be: the object itself is the first level.
pub(crate) const MAX_DEPTH: usize = 16;
/// The most paths on which a schema may lead to one value of that depth.
const MAX_PATHS: u64 = 100_000;
/// How much is looked at to count them; a schema that takes more has too many.
const MAX_STEPS: usize = 2_000_000;
/// How many branches may lie in each other without a step to a value below; more are a circle.
const MAX_IN_PLACE: usize = 500;
/// What stands for more paths than anybody counts.
const MANY: u64 = 10 * MAX_PATHS;

/// Keywords that check the same value by further schemas, the references among them.
const BRANCHES: [&str; 8] = ["allOf", "anyOf", "oneOf", "not", "if", "$ref", "$dynamicRef", "$recursiveRef"];
/// Keywords that ask what the others have looked at, and check by them once more to know.
const REST: [&str; 2] = ["unevaluatedProperties", "unevaluatedItems"];
/// Keywords beside which names stand, with a schema for each.
const NAMED: [&str; 6] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"];
/// The other keywords with schemas.
const OTHER: [&str; 10] = [
    "items",
    "prefixItems",
    "additionalItems",
    "additionalProperties",
    "contains",
    "propertyNames",
    "then",
    "else",
    "unevaluatedProperties",
    "unevaluatedItems",
];

/// On how many paths a schema leads to one value, at most, by the level of the value; the arguments
/// themselves are the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paths([u64; MAX_DEPTH]);

impl Paths {
    /// Counts them.
    pub fn of(schema: &Value) -> Self {
        let mut count = Count::new(schema);
        Self(std::array::from_fn(|below| count.paths(schema, below)))
    }

    /// How many schemas are tried, at most, to check a value that has so many values on each of its levels.
    pub fn steps(&self, levels: &[u64; MAX_DEPTH]) -> u64 {
        let steps = self.0.iter().zip(levels).map(|(paths, values)| paths.saturating_mul(*values));
        steps.fold(0, u64::saturating_add)
    }

    fn are_too_many(&self) -> bool {
        self.0.iter().any(|paths| *paths > MAX_PATHS)
    }
}

/// Takes the branches out of a schema that has too many paths, and what depends on them; which ones.
pub(crate) fn bound(schema: &mut Value) -> Vec<Unchecked> {
    let mut taken = Vec::new();
    if Paths::of(schema).are_too_many() {
        take_branches(schema, &mut String::new(), &mut taken);
    }
    taken
}

fn take_branches(schema: &mut Value, pointer: &mut String, taken: &mut Vec<Unchecked>) {
    let length = pointer.len();
    let Value::Object(members) = schema else { return };
    for name in BRANCHES.into_iter().chain(REST) {
        if members.shift_remove(name).is_some() {
            taken.push(Unchecked {
                keyword: format!("{pointer}/{name}"),
                reason: format!(
                    "The schema leads on more than {MAX_PATHS} paths to a value of {MAX_DEPTH} levels."
                ),
            });
        }
    }
    let mut within = |member: &mut Value, place: &str| {
        pointer.push_str(place);
        take_branches(member, pointer, taken);
        pointer.truncate(length);
    };
    for (name, member) in members {
        let keyword = format!("/{}", escaped(name));
        match member {
            Value::Object(schemas) if NAMED.contains(&name.as_str()) => {
                for (name, schema) in schemas {
                    within(schema, &format!("{keyword}/{}", escaped(name)));
                }
            }
            Value::Array(schemas) if OTHER.contains(&name.as_str()) => {
                for (place, schema) in schemas.iter_mut().enumerate() {
                    within(schema, &format!("{keyword}/{place}"));
                }
            }
            schema if OTHER.contains(&name.as_str()) => within(schema, &keyword),
            _ => {}
        }
    }
}

/// The paths below a value, by the member or item that they lead to.
#[derive(Default)]
struct Below<'s> {
    /// To every member, …
    any_name: i128,
    /// … to one that no `properties` names, …
    other_name: i128,
    /// … and to one that is named: how many more than to one that is not.
    names: HashMap<&'s str, i128>,
    /// The same for items.
    any_item: i128,
    other_item: i128,
    items: HashMap<usize, i128>,
}

impl Below<'_> {
    /// The most that lead to one member or item.
    fn most(&self) -> u64 {
        let named = self.names.values().copied().max().unwrap_or_default().max(0);
        let placed = self.items.values().copied().max().unwrap_or_default().max(0);
        let most = (self.any_name + self.other_name + named).max(self.any_item + self.other_item + placed);
        u64::try_from(most).unwrap_or(MANY).min(MANY)
    }
}

/// Counts the paths of one schema.
struct Count<'s> {
    /// The schema, and the resources within it that have an address of their own.
    documents: Vec<(&'s str, &'s Value)>,
    /// What has a name of its own.
    anchors: HashMap<&'s str, Vec<&'s Value>>,
    /// What was counted, by where a schema lies in memory and how many levels are below it.
    counted: HashMap<(*const Value, usize), u64>,
    steps: usize,
}

impl<'s> Count<'s> {
    fn new(schema: &'s Value) -> Self {
        let mut count = Self {
            documents: vec![("", schema)],
            anchors: HashMap::new(),
            counted: HashMap::new(),
            steps: 0,
        };
        count.find_names(schema);
        count
    }

    fn find_names(&mut self, value: &'s Value) {
        match value {
            Value::Object(members) => {
                for name in ["$id", "id", "$anchor", "$dynamicAnchor"] {
                    let Some(Value::String(own)) = members.get(name) else { continue };
                    match own.strip_prefix('#') {
                        Some(anchor) => self.anchors.entry(anchor).or_default().push(value),
                        None if name.ends_with("nchor") => self.anchors.entry(own).or_default().push(value),
                        None => self.documents.push((own.trim_end_matches('#'), value)),
                    }
                }
                members.values().for_each(|member| self.find_names(member));
            }
            Value::Array(items) => items.iter().for_each(|item| self.find_names(item)),
            _ => {}
        }
    }

    /// The most paths on which a schema leads to one value, of itself and of what is up to so many levels
    /// below it.
    fn paths(&mut self, schema: &'s Value, below: usize) -> u64 {
        let place = (std::ptr::from_ref(schema), below);
        if let Some(paths) = self.counted.get(&place) {
            return *paths;
        }
        let paths = self.count(schema, below);
        self.counted.insert(place, paths);
        paths
    }

    fn count(&mut self, schema: &'s Value, below: usize) -> u64 {
        let (mut own, mut further) = (0u64, Below::default());
        let (mut waiting, mut branches) = (vec![(schema, 1u64, 0)], Vec::new());
        while let Some((schema, times, in_place)) = waiting.pop() {
            self.steps += 1;
            if self.steps > MAX_STEPS || own > MAX_PATHS || in_place > MAX_IN_PLACE {
                return MANY;
            }
            let Value::Object(members) = schema else {
                own = own.saturating_add(times);
                continue;
            };
            let times = match REST.iter().any(|keyword| members.contains_key(*keyword)) {
                true => times.saturating_mul(2),
                false => times,
            };
            if times > MAX_PATHS {
                return MANY;
            }
            self.branches(members, &mut branches);
            if branches.is_empty() {
                own = own.saturating_add(times);
            }
            waiting.extend(branches.drain(..).map(|branch| (branch, times, in_place + 1)));
            if let Some(below) = below.checked_sub(1) {
                self.below(members, times, below, &mut further);
            }
        }
        own.max(further.most())
    }

    /// The schemas that check the same value.
    fn branches(&self, members: &'s Map<String, Value>, branches: &mut Vec<&'s Value>) {
        for (name, member) in members {
            match (name.as_str(), member) {
                ("allOf" | "anyOf" | "oneOf", Value::Array(schemas)) => branches.extend(schemas),
                ("not" | "if" | "then" | "else", schema) => branches.push(schema),
                ("dependentSchemas" | "dependencies", Value::Object(schemas)) => {
                    branches.extend(schemas.values().filter(|schema| schema.is_object()));
                }
                ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(target)) => {
                    self.resolve(target, branches);
                }
                _ => {}
            }
        }
    }

    /// Whatever a reference may lead to. Which of several documents it is in, only the whole way to it says.
    fn resolve(&self, target: &str, found: &mut Vec<&'s Value>) {
        let (document, fragment) = target.split_once('#').unwrap_or((target, ""));
        let documents =
            self.documents.iter().filter(|(own, _)| document.is_empty() || own.ends_with(document));
        if !fragment.is_empty() && !fragment.starts_with('/') {
            found.extend(self.anchors.get(fragment).into_iter().flatten());
            return;
        }
        let (pointer, before) = (unescaped(fragment), found.len());
        for schema in documents.filter_map(|(_, document)| document.pointer(&pointer)) {
            if !found[before..].iter().any(|other| std::ptr::eq(*other, schema)) {
                found.push(schema);
            }
        }
    }

    /// Adds what leads from a schema to the members and items of a value.
    fn below(&mut self, members: &'s Map<String, Value>, times: u64, below: usize, to: &mut Below<'s>) {
        let mut paths = |schema: &'s Value| i128::from(times) * i128::from(self.paths(schema, below));
        for keyword in ["propertyNames", "unevaluatedProperties"] {
            to.any_name += members.get(keyword).map_or(0, &mut paths);
        }
        if let Some(Value::Object(patterns)) = members.get("patternProperties") {
            to.any_name += patterns.values().map(&mut paths).sum::<i128>();
        }
        let other = members.get("additionalProperties").map_or(0, &mut paths);
        to.other_name += other;
        if let Some(Value::Object(properties)) = members.get("properties") {
            for (name, schema) in properties {
                *to.names.entry(name).or_default() += paths(schema) - other;
            }
        }
        for keyword in ["contains", "unevaluatedItems"] {
            to.any_item += members.get(keyword).map_or(0, &mut paths);
        }
        // The first few of a list have schemas of their own, by either generation's keyword.
        let (first, other) = match members.get("items") {
            Some(Value::Array(first)) => (Some(first), members.get("additionalItems")),
            others => (members.get("prefixItems").and_then(Value::as_array), others),
        };
        let other = other.map_or(0, &mut paths);
        to.other_item += other;
        for (place, schema) in first.into_iter().flatten().enumerate() {
            *to.items.entry(place).or_default() += paths(schema) - other;
        }
    }
}

/// How many values there are on each level of an object, itself included; none if it has more than
/// [`MAX_DEPTH`].
pub(crate) fn levels(members: &Map<String, Value>) -> Option<[u64; MAX_DEPTH]> {
    fn within<'v>(
        values: impl Iterator<Item = &'v Value>,
        level: usize,
        counts: &mut [u64; MAX_DEPTH],
    ) -> Option<()> {
        for value in values {
            // What holds nothing may be one level deeper, and is counted with the last.
            counts[level.min(MAX_DEPTH - 1)] += 1;
            match value {
                Value::Object(_) | Value::Array(_) if level >= MAX_DEPTH => return None,
                Value::Object(members) => within(members.values(), level + 1, counts)?,
                Value::Array(items) => within(items.iter(), level + 1, counts)?,
                _ => {}
            }
        }
        Some(())
    }
    let mut counts = [0; MAX_DEPTH];
    counts[0] = 1;
    within(members.values(), 1, &mut counts)?;
    Some(counts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// A schema with `branches` by `keyword`, each of which leads back to itself by the member `a`.
    fn recursive(keyword: &str, branches: usize) -> Value {
        let branch = json!({ "properties": { "a": { "$ref": "#/$defs/n" } } });
        json!({ "$ref": "#/$defs/n", "$defs": { "n": { keyword: vec![branch; branches] } } })
    }

    #[test]
    fn paths_are_counted_by_level() {
        for keyword in ["anyOf", "oneOf", "allOf"] {
            let twice = Paths::of(&recursive(keyword, 2));
            assert_eq!(twice.0, std::array::from_fn(|level| 2 << level), "{keyword}");
            assert!(!twice.are_too_many());
            assert!(Paths::of(&recursive(keyword, 3)).are_too_many(), "{keyword}");
        }
        // A value has members in any number, but each is looked at by itself.
        let tree = json!({ "properties": {
            "and": { "items": { "$ref": "#" } }, "or": { "items": { "$ref": "#" } }, "not": { "$ref": "#" },
        } });
        assert_eq!(Paths::of(&tree).0, [1; MAX_DEPTH]);
        let in_branches = json!({ "oneOf": [
            { "properties": { "and": { "items": { "$ref": "#" } } } },
            { "properties": { "or": { "items": { "$ref": "#" } } } },
            { "properties": { "not": { "$ref": "#" } } },
            { "type": "string" },
        ] });
        assert_eq!(Paths::of(&in_branches).0, [4; MAX_DEPTH]);
        for plain in [json!(true), json!({}), json!({ "properties": { "anyOf": { "type": "string" } } })] {
            assert_eq!(Paths::of(&plain).0, [1; MAX_DEPTH], "{plain}");
        }
        // By either of these, a member is checked by more than one.
        let overlapping = json!({ "patternProperties": { "^a": { "$ref": "#" }, "b$": { "$ref": "#" } } });
        assert_eq!(Paths::of(&overlapping).0[3], 8);
        let once_more =
            json!({ "allOf": [{ "properties": { "a": { "$ref": "#" } } }], "unevaluatedProperties": false });
        assert!(Paths::of(&once_more).0[3] >= 16);
        // However a reference names the whole, it is one path.
        let named = json!({ "$id": "https://example.com/s", "properties": { "a": { "$ref": "#" }, "b": { "$ref": "s" } } });
        assert_eq!(Paths::of(&named).0, [1; MAX_DEPTH]);
    }

    #[test]
    fn what_never_ends_has_too_many() {
        for schema in [
            json!({ "$ref": "#" }),
            json!({ "$anchor": "a", "not": { "$ref": "#a" } }),
            json!({ "$dynamicAnchor": "a", "anyOf": [{ "$dynamicRef": "#a" }, {}] }),
            json!({ "$recursiveAnchor": true, "allOf": [{ "$recursiveRef": "#" }] }),
            json!({ "$id": "https://example.com/a.json", "if": { "$ref": "a.json" } }),
        ] {
            assert!(Paths::of(&schema).are_too_many(), "{schema}");
        }
        // Nothing leads back here, but each of thirty has two ways to the next.
        let defs = (0..30).map(|n| {
            let next = json!({ "$ref": format!("#/$defs/d{}", n + 1) });
            (format!("d{n}"), json!({ "allOf": [next, next] }))
        });
        let defs: Map<String, Value> = defs.chain([("d30".to_owned(), json!({}))]).collect();
        assert!(Paths::of(&json!({ "$ref": "#/$defs/d0", "$defs": defs })).are_too_many());
    }

    #[test]
    fn branches_are_taken_where_they_are_keywords() {
        let mut schema = recursive("anyOf", 3);
        schema["properties"] =
            json!({ "not": { "type": "string", "if": {} }, "list": { "items": [{ "not": {} }] } });
        schema["unevaluatedProperties"] = json!(false);
        let taken: Vec<String> = bound(&mut schema).into_iter().map(|unchecked| unchecked.keyword).collect();
        assert_eq!(
            taken,
            [
                "/$ref",
                "/unevaluatedProperties",
                "/$defs/n/anyOf",
                "/properties/not/if",
                "/properties/list/items/0/not"
            ]
        );
        let rest = json!({
            "$defs": { "n": {} },
            "properties": { "not": { "type": "string" }, "list": { "items": [{}] } },
        });
        assert_eq!(schema, rest);
        assert!(bound(&mut schema).is_empty());
        assert!(bound(&mut recursive("anyOf", 2)).is_empty());
    }

    #[test]
    fn levels_are_those_of_the_value() {
        let nested = |deep: usize| {
            let value = (1..deep).fold(json!({}), |value, level| {
                if level % 2 == 0 { json!([value]) } else { json!({ "a": value }) }
            });
            levels(json!({ "a": value }).as_object().expect("an object"))
        };
        assert_eq!(nested(MAX_DEPTH - 1), Some([1; MAX_DEPTH]));
        assert_eq!(nested(MAX_DEPTH), None);
        let wide = json!({ "a": [1, 2, { "b": null }], "c": "x" });
        assert_eq!(levels(wide.as_object().expect("an object")).expect("few")[..5], [1, 2, 3, 1, 0]);
    }

    /// Schemas that lead to each other by one member.
    fn graph() -> impl Strategy<Value = Vec<Vec<(usize, bool)>>> {
        let branch = (0usize..4, any::<bool>());
        prop::collection::vec(prop::collection::vec(branch, 0..4), 4)
    }

    /// How many paths end exactly so many levels below, by trying each; none if some go in a circle without a
    /// step downwards.
    fn tried(graph: &[Vec<(usize, bool)>], node: usize, below: usize, in_place: usize) -> Option<u64> {
        if in_place > graph.len() {
            return None;
        }
        let mut sum = u64::from(below == 0 && graph[node].is_empty());
        for (to, down) in &graph[node] {
            sum += match (down, below) {
                (false, _) => tried(graph, *to, below, in_place + 1)?,
                (true, 0) => 1,
                (true, _) => tried(graph, *to, below - 1, 0)?,
            };
        }
        Some(sum)
    }

    proptest! {
        #[test]
        fn no_path_is_forgotten(graph in graph(), below in 0usize..4) {
            let branch = |(to, down): &(usize, bool)| {
                let reference = json!({ "$ref": format!("#/$defs/{to}") });
                if *down { json!({ "additionalProperties": reference }) } else { reference }
            };
            let schema = |branches: &Vec<(usize, bool)>| json!({ "allOf": branches.iter().map(branch).collect::<Vec<_>>() });
            let defs: Map<String, Value> = graph.iter().enumerate().map(|(n, branches)| (n.to_string(), schema(branches))).collect();
            let counted = Paths::of(&json!({ "$ref": "#/$defs/0", "$defs": defs })).0[below];
            match tried(&graph, 0, below, 0) {
                Some(paths) => prop_assert!(counted >= paths, "{} < {}", counted, paths),
                None => prop_assert!(counted > MAX_PATHS),
            }
        }

        #[test]
        fn what_is_bound_stays_so(branches in 0usize..6, keyword in "(anyOf|oneOf|allOf)") {
            let mut schema = recursive(&keyword, branches);
            let taken = bound(&mut schema);
            prop_assert_eq!(taken.is_empty(), branches <= 2);
            prop_assert!(!Paths::of(&schema).are_too_many());
        }
    }
}
