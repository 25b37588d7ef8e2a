//! `docs/CONFIGURATION.md`: the tables of the configuration file come from the comments of the fields that are read.

use std::{fmt::Write, fs};

use syn::{Attribute, Expr, Fields, Item, Lit, Meta};

use crate::{Failure, files};

/// The sections of the file, and those that belong to crates.
const SOURCES: [&str; 3] = [
    "crates/server/src/config/file.rs",
    "crates/contract/src/settings.rs",
    "crates/resources/src/settings.rs",
];
const INTRODUCTION: &str = include_str!("configuration.md");

/// Writes or checks the page.
pub fn run(check: bool) -> Result<(), Failure> {
    let mut items = Vec::new();
    for source in SOURCES {
        items.extend(syn::parse_file(&fs::read_to_string(files::root().join(source))?)?.items);
    }
    let mut page = INTRODUCTION.to_owned();
    for item in items {
        let Item::Struct(section) = item else { continue };
        let title = comment(&section.attrs);
        let (true, Fields::Named(fields)) = (title.starts_with("`["), section.fields) else { continue };
        writeln!(page, "\n## {title}\n\n| key | meaning |\n|---|---|")?;
        for field in fields.named {
            let name = field.ident.map(|name| name.to_string()).unwrap_or_default();
            writeln!(page, "| `{}` | {} |", name.trim_start_matches("r#"), comment(&field.attrs))?;
        }
    }
    page.push_str("\nAn example with every section: [gatepost.example.toml](gatepost.example.toml).\n");
    files::write_or_check("docs/CONFIGURATION.md", &page, check, "docs")
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
