//! `docs/CONFIGURATION.md`: the tables of the configuration file come from the structs that are read: what a
//! setting means from its comment, what it is by default from what the binary prints.

use std::{fmt::Write, fs};

use serde_json::{Map, Value};
use syn::{Attribute, Expr, Field, Fields, Item, Lit, Meta, Type, punctuated::Punctuated, token::Comma};

use crate::{Failure, dashboard, events, files, integrate, metrics, openapi::gatepost};

/// Where the sections are declared, in the order of the page.
const SOURCES: [&str; 11] = [
    "crates/api/src/settings.rs",
    "crates/storage/src/engine/url.rs",
    "crates/server/src/config/file.rs",
    "crates/delivery/src/settings.rs",
    "crates/egress/src/lib.rs",
    "crates/gate/src/settings.rs",
    "crates/entitlements/src",
    "crates/app/src/settings.rs",
    "crates/mcp/src/settings.rs",
    "crates/contract/src/settings.rs",
    "crates/resources/src/settings.rs",
];
const INTRODUCTION: &str = include_str!("configuration.md");

/// Writes or checks all pages that are made.
pub fn all(check: bool) -> Result<(), Failure> {
    run(check)?;
    events::run(check)?;
    metrics::run(check)?;
    dashboard::run(check)?;
    integrate::run(check)
}

/// Writes or checks the page.
fn run(check: bool) -> Result<(), Failure> {
    let defaults: Map<String, Value> = serde_json::from_str(&gatepost(&["config", "defaults"])?)?;
    let mut page = INTRODUCTION.to_owned();
    let mut told = 0;
    for item in items()? {
        let Item::Struct(section) = item else { continue };
        let about = comment(&section.attrs);
        let Some((name, about)) = about.strip_prefix("`[").and_then(|about| about.split_once("]`: ")) else {
            continue;
        };
        let Fields::Named(fields) = section.fields else { continue };
        let defaults = defaults.get(name).and_then(Value::as_object);
        let defaults =
            defaults.ok_or_else(|| format!("`gatepost config defaults` does not print [{name}]"))?;
        writeln!(page, "\n## `[{name}]`\n\n{about}\n\n| key | meaning | default |\n|---|---|---|")?;
        let of_all = has(&section.attrs, "serde", "default");
        table(&mut page, &fields.named, of_all, defaults).map_err(|error| format!("[{name}] {error}"))?;
        told += 1;
    }
    if told != defaults.len() {
        return Err(format!("{told} sections are declared, and {} have defaults", defaults.len()).into());
    }
    page.push_str("\nAn example with every section: [gatepost.example.toml](gatepost.example.toml).\n");
    files::write_or_check("docs/CONFIGURATION.md", &page, check, "docs")
}

/// Everything that is declared there.
fn items() -> Result<Vec<Item>, Failure> {
    let mut items = Vec::new();
    for source in SOURCES {
        let source = files::root().join(source);
        let mut files = match source.is_dir() {
            true => {
                fs::read_dir(&source)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, Failure>>()?
            }
            false => vec![source],
        };
        files.sort();
        for file in files {
            items.extend(syn::parse_file(&fs::read_to_string(file)?)?.items);
        }
    }
    Ok(items)
}

/// A row for each setting of a section. Where `of_all`, every setting has a default.
fn table(
    page: &mut String,
    fields: &Punctuated<Field, Comma>,
    of_all: bool,
    defaults: &Map<String, Value>,
) -> Result<(), Failure> {
    for field in fields {
        if has(&field.attrs, "serde", "skip") {
            continue;
        }
        let ident = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
        let renamed = value(&field.attrs, "rename");
        let key = renamed.as_deref().unwrap_or_else(|| ident.trim_start_matches("r#"));
        let value = defaults.get(key).ok_or_else(|| format!("`{key}` has no default"))?;
        // What holds where there is no value is for words to say.
        let (meaning, words) = match comment(&field.attrs) {
            told if told.contains(" Default: ") => {
                let (meaning, words) = told.split_once(" Default: ").unwrap_or_default();
                (meaning.to_owned(), Some(words.trim_end_matches('.').to_owned()))
            }
            told => (told, None),
        };
        let must_be_given = !of_all && !has(&field.attrs, "serde", "default") && !is_option(&field.ty);
        let default = match (must_be_given, value, words) {
            (true, _, None) => "must be given".to_owned(),
            (false, Value::Null, words) => words.unwrap_or_else(|| "none".to_owned()),
            (false, value, None) => format!("`{}`", literal(value)),
            _ => {
                return Err(
                    format!("`{key}` has a default in code, so its comment must not name another").into()
                );
            }
        };
        writeln!(page, "| `{key}` | {meaning} | {default} |")?;
    }
    Ok(())
}

/// A value as TOML writes it.
fn literal(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        value => value.to_string(),
    }
}

fn is_option(of: &Type) -> bool {
    matches!(of, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Option"))
}

/// Whether an attribute has this word in it, as `#[serde(skip)]` has.
fn has(attributes: &[Attribute], name: &str, word: &str) -> bool {
    let mut found = false;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident(name)) {
        // What cannot be read here is read by the compiler.
        let _ = attribute.parse_nested_meta(|meta| {
            found |= meta.path.is_ident(word);
            if let Ok(value) = meta.value() {
                value.parse::<Lit>()?;
            }
            Ok(())
        });
    }
    found
}

/// The text that serde's attribute gives a word.
fn value(attributes: &[Attribute], word: &str) -> Option<String> {
    let mut found = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        let _ = attribute.parse_nested_meta(|meta| {
            let Ok(value) = meta.value() else { return Ok(()) };
            let value = value.parse::<Lit>()?;
            if let (true, Lit::Str(text)) = (meta.path.is_ident(word), value) {
                found = Some(text.value());
            }
            Ok(())
        });
    }
    found
}

/// The doc comment in one line.
fn comment(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
