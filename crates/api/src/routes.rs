//! Which paths are served, and by which methods.

use std::collections::BTreeMap;

use crate::{Part, State, paths::PROBES};

/// The methods of operations, in the order in which they are named.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// The paths with their methods.
pub struct RouteTable(Vec<(Vec<String>, String)>);

impl RouteTable {
    /// Those of a part of what `state` serves.
    pub fn of(part: Part, state: &State) -> Self {
        let mut paths = BTreeMap::<Vec<String>, Vec<&str>>::new();
        for operation in state.operations().filter(|_| part.api) {
            paths
                .entry(segments(&operation.full_path(state.contract())))
                .or_default()
                .push(operation.method.as_str());
        }
        let operations = paths.into_iter().map(|(path, taken)| {
            let mut methods: Vec<_> = METHODS.into_iter().filter(|method| taken.contains(method)).collect();
            if methods.contains(&"GET") {
                methods.push("HEAD");
            }
            methods.push("OPTIONS");
            (path, methods.join(", "))
        });
        let probes = PROBES.into_iter().filter(|_| part.probes);
        Self(operations.chain(probes.chain(state.documents().paths(part)).map(readable)).collect())
    }

    /// The methods of a path that is one by itself, and not one of a thing that is called so.
    pub fn allow_exactly(&self, path: &str) -> Option<&str> {
        let is = |segments: &[String]| segments.iter().map(String::as_str).eq(path.split('/'));
        self.0.iter().find(|(segments, _)| is(segments)).map(|(_, allow)| allow.as_str())
    }

    /// The methods of the path, separated by commas.
    pub fn allow(&self, path: &str) -> Option<&str> {
        let asked: Vec<&str> = path.split('/').collect();
        let fits = |segments: &[String]| {
            // What is behind an address can be one with slashes.
            let has_rest =
                segments.last().is_some_and(|last| last == "{uri}") && asked.len() > segments.len();
            (segments.len() == asked.len() || has_rest)
                && segments
                    .iter()
                    .zip(&asked)
                    .all(|(s, a)| if s.starts_with('{') { !a.is_empty() } else { s == a })
        };
        self.0.iter().find(|(segments, _)| fits(segments)).map(|(_, allow)| allow.as_str())
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split('/').map(str::to_owned).collect()
}

/// What can only be read.
fn readable(path: &str) -> (Vec<String>, String) {
    (segments(path), "GET, HEAD, OPTIONS".to_owned())
}
