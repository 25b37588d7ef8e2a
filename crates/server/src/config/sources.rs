//! The texts that the configuration is made of, a preset and the operator's file, as one: what stands in the
//! latter takes the place of what stands in the former.

use std::{fmt, fs, ops::Range, path::Path};

use serde::{Deserialize, de::DeserializeOwned};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    errors::{ConfigErrors, with_likely},
    presets,
};
use crate::Failure;

/// Tables whose entries are taken whole, by name: half of one plan and half of another would be neither.
const BY_NAME: [&[&str]; 4] = [&["plans"], &["features"], &["mcp", "servers"], &["resources"]];

/// A text, and where it came from.
struct Source {
    name: String,
    /// The preset, if it is one.
    preset: Option<String>,
    text: String,
    /// Where it begins, if all texts stood one behind the other.
    offset: usize,
}

/// All of them, the one that yields first.
#[derive(Default)]
pub struct Sources(Vec<Source>);

impl fmt::Debug for Sources {
    /// Not the texts: they can hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|source| &source.name)).finish()
    }
}

impl Sources {
    /// What is read for this file, and for this preset or the one that the file names.
    ///
    /// # Errors
    /// If the file cannot be read, or there is no such preset.
    pub fn read(file: Option<&Path>, preset: Option<&str>) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        struct Named {
            preset: Option<Spanned<String>>,
        }
        let mut sources = Self::default();
        if let Some(path) = file {
            let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            // A byte-order mark is no part of the text, least of all in its middle.
            let text = text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned);
            sources.add(path.display().to_string(), None, text);
        }
        // A file that cannot be read as a whole is told of later, with its line.
        let named = sources.0.first().and_then(|file| toml::from_str::<Named>(&file.text).ok());
        let preset = match (preset, named.and_then(|named| named.preset)) {
            (Some(name), _) => Some(presets::text(name).map(|text| (name.to_owned(), text))?),
            (None, Some(name)) => {
                let found = presets::text(name.get_ref());
                let text =
                    found.map_err(|message| format!("{}: {message}", sources.at(name.span().start)))?;
                Some((name.into_inner(), text))
            }
            (None, None) => None,
        };
        if let Some((name, text)) = preset {
            let file = std::mem::take(&mut sources.0);
            sources.add(format!("preset {name}"), Some(name), text.to_owned());
            file.into_iter().for_each(|file| sources.add(file.name, None, file.text));
        }
        Ok(sources)
    }

    /// The name of the preset, if there is one.
    pub fn preset(&self) -> Option<&str> {
        self.0.iter().find_map(|source| source.preset.as_deref())
    }

    /// Whether a setting stands in the preset.
    pub fn is_of_preset(&self, setting: &[&str]) -> bool {
        let offset = self.offset(setting);
        let source = self.0.iter().rev().find(|source| source.offset <= offset);
        source.is_some_and(|source| source.preset.is_some())
    }

    /// The file and the line where a setting is, by the names that lead to it; an item of a list by its
    /// index.
    pub fn at_setting<T: AsRef<str>>(&self, setting: &[T]) -> String {
        self.at(self.offset(setting))
    }

    /// The file and the line where a setting is, if it is in one.
    pub fn found<T: AsRef<str>>(&self, setting: &[T]) -> Option<String> {
        let (offset, is_there) = self.look(setting);
        is_there.then(|| self.at(offset))
    }

    /// Where a setting begins, or else the last of the tables that lead to it.
    fn offset<T: AsRef<str>>(&self, setting: &[T]) -> usize {
        self.look(setting).0
    }

    /// The same, and whether it is there.
    fn look<T: AsRef<str>>(&self, setting: &[T]) -> (usize, bool) {
        let texts = self.texts();
        let Ok(Some(whole)) = overlaid(&texts) else { return (0, false) };
        let (mut offset, mut table) = (whole.span().start, Some(whole.get_ref()));
        let mut value: Option<&Spanned<DeValue<'_>>> = None;
        for name in setting {
            let name = name.as_ref();
            value = match (value.map(Spanned::get_ref), table.take()) {
                (None, Some(table)) | (Some(DeValue::Table(table)), _) => table.get(name),
                (Some(DeValue::Array(items)), _) => name.parse::<usize>().ok().and_then(|i| items.get(i)),
                _ => None,
            };
            let Some(value) = value else { return (offset, false) };
            offset = value.span().start;
        }
        (offset, true)
    }

    fn add(&mut self, name: String, preset: Option<String>, text: String) {
        let offset = self.0.last().map_or(0, |last| last.offset + last.text.len() + 1);
        self.0.push(Source { name, preset, text, offset });
    }

    /// The file and the line where something is.
    pub fn at(&self, offset: usize) -> String {
        let Some(source) = self.0.iter().rev().find(|source| source.offset <= offset) else {
            return "the configuration".to_owned();
        };
        format!("{}: {}", source.name, position(&source.text, offset - source.offset))
    }

    /// Each text behind as much space as all texts before it take, so that a place is one of all of them.
    fn texts(&self) -> Vec<String> {
        self.0.iter().map(|source| " ".repeat(source.offset) + &source.text).collect()
    }

    /// The settings in them.
    ///
    /// # Errors
    /// All that is wrong, each with its line and what is accepted there.
    pub fn settings<T: DeserializeOwned + Default>(&self) -> Result<T, Failure> {
        // Not the error's own words: they repeat the line, which can hold a password.
        let told = |error: &toml::de::Error| {
            let at = self.at(error.span().map_or(0, |span| span.start));
            format!("{at}: {}", with_likely(&without_text(error.message())))
        };
        let texts = self.texts();
        let Some(mut whole) = overlaid(&texts).map_err(|error| told(&error))? else {
            return Ok(T::default());
        };
        let (mut errors, mut taken_out) = (Vec::new(), Vec::new());
        loop {
            match T::deserialize(toml::Deserializer::from(whole.clone())) {
                Ok(settings) if errors.is_empty() => return Ok(settings),
                Ok(_) => return Err(ConfigErrors::of(errors).into()),
                Err(error) => {
                    let missing = error.message().strip_prefix("missing field `");
                    let missing = missing.and_then(|rest| rest.strip_suffix('`'));
                    // What was taken out is missing for that alone.
                    if !missing.is_some_and(|name| taken_out.iter().any(|taken| taken == name)) {
                        errors.push(told(&error));
                    }
                    // What is behind it is found once it is out of the way.
                    match error.span().and_then(|span| take_out(whole.get_mut(), &span)) {
                        Some(name) => taken_out.push(name),
                        None => return Err(ConfigErrors::of(errors).into()),
                    }
                }
            }
        }
    }

    /// All that is written, as JSON.
    ///
    /// # Errors
    /// If it is no TOML.
    pub fn json(&self) -> Result<serde_json::Value, Failure> {
        let texts = self.texts();
        match overlaid(&texts)? {
            None => Ok(serde_json::json!({})),
            Some(whole) => Ok(Deserialize::deserialize(toml::Deserializer::from(whole))?),
        }
    }
}

/// A message of `serde` without the text that it was about, which can be a secret in the wrong place.
fn without_text(message: &str) -> String {
    let Some((before, text)) = message.split_once("string \"") else { return message.to_owned() };
    let mut escaped = false;
    let end = text.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    format!("{before}string{}", end.map_or("", |end| &text[end + 1..]))
}

/// Takes the innermost setting out that an error is about; its name, if there is one.
fn take_out(table: &mut DeTable<'_>, span: &Range<usize>) -> Option<String> {
    let holds =
        |place: Range<usize>| place.start <= span.start && span.start < place.end.max(place.start + 1);
    for (_, value) in table.iter_mut() {
        if let DeValue::Table(inner) = value.get_mut()
            && let Some(name) = take_out(inner, span)
        {
            return Some(name);
        }
    }
    let about = table.iter().find(|(key, value)| holds(key.span()) || holds(value.span()));
    let key = about.map(|(key, _)| key.get_ref().to_string())?;
    table.remove(key.as_str()).map(|_| key)
}

/// All texts as one table.
fn overlaid(texts: &[String]) -> Result<Option<Spanned<DeTable<'_>>>, toml::de::Error> {
    let mut whole: Option<Spanned<DeTable<'_>>> = None;
    for text in texts {
        let table = DeTable::parse(text)?;
        match &mut whole {
            None => whole = Some(table),
            Some(whole) => overlay(whole.get_mut(), table.into_inner(), &mut Vec::new()),
        }
    }
    Ok(whole)
}

/// Puts a table over another.
fn overlay<'t>(below: &mut DeTable<'t>, above: DeTable<'t>, path: &mut Vec<String>) {
    for (key, value) in above {
        path.push(key.get_ref().to_string());
        let by_name =
            BY_NAME.iter().any(|table| path.len() == table.len() + 1 && path.starts_with(&owned(table)));
        match (below.get_mut(key.get_ref().as_ref()).map(Spanned::get_mut), value) {
            (Some(DeValue::Table(below)), value) if !by_name && value.get_ref().is_table() => {
                if let DeValue::Table(above) = value.into_inner() {
                    overlay(below, above, path);
                }
            }
            (_, value) => drop(below.insert(key, value)),
        }
        path.pop();
    }
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|name| (*name).to_owned()).collect()
}

/// Where in a text something is.
fn position(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or_default();
    let column = before.rsplit('\n').next().map_or(1, |line| line.chars().count() + 1);
    format!("line {}, column {column}", before.matches('\n').count() + 1)
}
