//! What is wrong in a configuration: all of it, not the first alone.

use std::{collections::BTreeSet, fmt};

use crate::Failure;

/// What is wrong, a sentence each.
#[derive(Debug, Default)]
pub struct ConfigErrors(Vec<String>);

impl ConfigErrors {
    /// These sentences.
    pub fn of(sentences: Vec<String>) -> Self {
        Self(sentences)
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was read, if nothing is wrong with it.
    pub fn keep<T>(&mut self, read: Result<T, Failure>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(error) => {
                match error.downcast::<Self>() {
                    Ok(errors) => self.0.extend(errors.0),
                    Err(error) => self.0.push(error.to_string()),
                }
                None
            }
        }
    }

    /// All of it, each once.
    pub fn sentences(&self) -> impl Iterator<Item = &str> {
        let mut said = BTreeSet::new();
        self.0.iter().map(String::as_str).filter(move |sentence| said.insert(*sentence))
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentences().collect::<Vec<_>>().join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}

/// The name that somebody most likely meant who wrote `name`.
pub fn likely<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let distance = |known: &&str| strsim::damerau_levenshtein(name, known);
    // A third of it may be wrong: beyond that, anything would be like anything.
    let near = |known: &&str| distance(known) <= (name.chars().count() / 3).max(1);
    known.into_iter().filter(near).min_by_key(distance)
}

/// An error of `serde` about a name that is not known, with the one that was most likely meant.
pub fn with_likely(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let likely = match quoted.next() {
        Some(name) if message.starts_with("unknown ") => likely(name, quoted),
        _ => None,
    };
    match likely {
        Some(likely) => format!("{message}; did you mean `{likely}`?"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_are_told_what_was_meant() {
        for (name, expected) in [
            ("bnid", Some("bind")),
            ("bind_address", None),
            ("trusted_proxys", Some("trusted_proxies")),
            ("dcs", Some("docs")),
            ("x", None),
        ] {
            assert_eq!(likely(name, ["bind", "docs", "trusted_proxies"]), expected, "{name}");
        }
        let told = with_likely("unknown field `bnid`, expected one of `bind`, `docs`");
        assert_eq!(told, "unknown field `bnid`, expected one of `bind`, `docs`; did you mean `bind`?");
        assert_eq!(with_likely("invalid type: `a`"), "invalid type: `a`");
    }
}
