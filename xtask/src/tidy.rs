//! The invariants of `docs/ARCHITECTURE.md` that a program can check.

use std::{collections::BTreeSet, fs, path::Path};

use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::{Failure, circles, descriptions, files, say};

/// From the outermost to the innermost: a crate may use what lies in a later row.
const LAYERS: [&[&str]; 10] = [
    &["server"],
    &["dashboard"],
    &["api", "actix"],
    &["app"],
    &["delivery", "mcp", "gate"],
    &["storage", "egress"],
    &["contract"],
    &RULES,
    &["kernel", "threads", "metrics"],
    &["macros"],
];

/// Crates that stand beside the layers: they do not ship, and only tests and commands use them.
const TOOLS: [&str; 3] = ["gatepost-test-support", "gatepost-bench", "xtask"];

/// Who may name a framework. Tests may name any.
const FRAMEWORKS: [(&str, &[&str]); 23] = [
    ("actix-http", &["api"]),
    ("actix-service", &["api"]),
    ("actix-web", &["contract", "api", "actix", "dashboard"]),
    ("askama", &["dashboard"]),
    ("utoipa", &["api"]),
    ("utoipa-swagger-ui", &["api"]),
    ("diesel", &["storage"]),
    ("diesel-async", &["storage"]),
    ("diesel_migrations", &["storage"]),
    ("libsqlite3-sys", &["storage"]),
    ("tokio-postgres", &["storage"]),
    ("reqwest", &["egress", "actix"]),
    ("hyper", &["egress"]),
    ("hyper-rustls", &["egress"]),
    ("hyper-util", &["egress"]),
    ("rustls-platform-verifier", &["egress"]),
    ("libc", &["threads"]),
    ("prometheus-client", &["metrics", "api"]),
    ("procfs", &["metrics"]),
    ("rmcp", &["mcp", "api"]),
    ("jsonschema", &["mcp"]),
    ("clap", &["server"]),
    ("toml", &["server"]),
];

/// A dependency, a feature that it must be used with, and what happens without.
const NEEDED_FEATURES: [(&str, &str, &str); 1] =
    [("utoipa-swagger-ui", "vendored", "its build script downloads the page")];

/// Crates of rules. Like the kernel they do no input or output, and so need no runtime.
const RULES: [&str; 10] = [
    "keys",
    "limits",
    "entitlements",
    "webhooks",
    "seo",
    "pixel",
    "analytics",
    "resources",
    "sealing",
    "people",
];
const IMPURE: [&str; 3] = ["tokio", "futures-util", "tracing"];

/// How many characters a line may have that is a comment.
const MAX_COMMENT_WIDTH: usize = 120;
const MAX_LINES_OF_CODE: usize = 600;

/// Checks everything and names each error.
pub fn run() -> Result<(), Failure> {
    let mut errors = Vec::new();
    dependencies(&mut errors)?;
    sources(&mut errors)?;
    words(&mut errors)?;
    operations(&mut errors)?;
    migrations(&mut errors)?;
    circles::check(&mut errors)?;
    descriptions::check(&mut errors)?;
    if errors.is_empty() {
        say("tidy");
        return Ok(());
    }
    for error in &errors {
        say(error);
    }
    Err(format!("{} errors", errors.len()).into())
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|names| names.contains(&name))
}

fn dependencies(errors: &mut Vec<String>) -> Result<(), Failure> {
    let metadata = MetadataCommand::new().current_dir(files::root()).no_deps().exec()?;
    let packages = metadata.workspace_packages();
    let unpublished: BTreeSet<_> = packages
        .iter()
        .filter(|package| package.publish.is_some())
        .map(|package| package.name.as_str())
        .collect();
    for package in &packages {
        let full_name = package.name.as_str();
        let is_tool = TOOLS.contains(&full_name);
        let name = full_name.strip_prefix("gatepost-").unwrap_or(full_name);
        let Some(own) = layer(name).or(is_tool.then_some(0)) else {
            errors.push(format!("{full_name}: not in the layers of the architecture"));
            continue;
        };
        for dependency in &package.dependencies {
            let in_tests = dependency.kind == DependencyKind::Development;
            let used = dependency.name.as_str();
            if unpublished.contains(used) && package.publish.is_none() && !in_tests {
                errors
                    .push(format!("{full_name} is published, so it may not depend on {used}, which is not"));
            }
            if let Some(other) = used.strip_prefix("gatepost-") {
                let allowed = match (layer(other), TOOLS.contains(&used)) {
                    (Some(other), _) => is_tool || in_tests || other > own,
                    (None, tool) => tool && (is_tool || in_tests),
                };
                if !allowed {
                    errors.push(format!("{full_name} may not depend on {used}"));
                }
            }
            let framework = FRAMEWORKS.iter().find(|(framework, _)| *framework == used);
            if let Some((_, users)) = framework
                && !(users.contains(&name) || is_tool || in_tests)
            {
                errors.push(format!("{full_name} may not name {used}; only {} may", users.join(", ")));
            }
            for (needing, feature, otherwise) in NEEDED_FEATURES {
                if used == needing && !dependency.features.iter().any(|given| given == feature) {
                    errors.push(format!(
                        "{full_name} must use {used} with `{feature}`: without it {otherwise}"
                    ));
                }
            }
            if (name == "kernel" || RULES.contains(&name)) && IMPURE.contains(&used) && !in_tests {
                errors.push(format!("{full_name} holds rules only and may not use {used}"));
            }
        }
    }
    Ok(())
}

fn sources(errors: &mut Vec<String>) -> Result<(), Failure> {
    // Put together, so that this file does not find itself.
    let banned = [
        (["TO", "DO"].concat(), "finish it, or write it into an issue"),
        (["FIX", "ME"].concat(), "mend it, or write it into an issue"),
        (["#[ig", "nore"].concat(), "a test that does not run is none"),
        (["#[al", "low("].concat(), "use #[expect(…, reason = …)], which says when it is no longer needed"),
        (["#![al", "low("].concat(), "use #[expect(…, reason = …)] at the one place"),
    ];
    for path in files::rust_files()? {
        let text = fs::read_to_string(&path)?;
        let name = path.strip_prefix(files::root()).unwrap_or(&path).display().to_string();
        if !text.starts_with("//!") && !text.starts_with("#![doc = include_str!(") {
            errors.push(format!("{name}: begins without a `//!` that says what it is for"));
        }
        let code =
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count();
        if code > MAX_LINES_OF_CODE {
            errors.push(format!(
                "{name}: {code} lines of code; more than {MAX_LINES_OF_CODE} are several files"
            ));
        }
        for (index, line) in text.lines().enumerate() {
            // What cannot be broken, such as an example, may be a little longer than code.
            if line.trim_start().starts_with("//") && line.chars().count() > MAX_COMMENT_WIDTH {
                errors.push(format!("{name}:{}: a comment wider than {MAX_COMMENT_WIDTH}", index + 1));
            }
            for (word, advice) in &banned {
                if line.contains(word.as_str()) {
                    errors.push(format!("{name}:{}: {word}: {advice}", index + 1));
                }
            }
        }
    }
    Ok(())
}

/// Words that the glossary does not use, in what people read.
fn words(errors: &mut Vec<String>) -> Result<(), Failure> {
    const GLOSSARY: &str = "docs/GLOSSARY.md";
    let glossary = fs::read_to_string(files::root().join(GLOSSARY))?;
    let table =
        glossary.split("## Words that are not used").nth(1).ok_or("the glossary has no list of words")?;
    let rows = table.lines().filter(|row| row.starts_with("| `")).filter_map(|row| row.split('|').nth(1));
    let banned: BTreeSet<&str> = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    if banned.is_empty() {
        return Err("the glossary's list of words cannot be read".into());
    }
    let documents = files::documents()?.into_iter().filter(|path| !path.ends_with(GLOSSARY));
    for path in files::rust_files()?.into_iter().chain(documents) {
        let text = fs::read_to_string(&path)?;
        for (index, line) in text.lines().enumerate() {
            let words = line.split(|c: char| !c.is_alphanumeric());
            for word in words.filter(|word| banned.contains(word)) {
                let name = path.strip_prefix(files::root()).unwrap_or(&path).display();
                errors.push(format!("{name}:{}: {word}: the glossary says another word", index + 1));
            }
        }
    }
    Ok(())
}

/// Every handler is an operation, which is in the OpenAPI document, and no two schemas share a name: the
/// second would be lost.
fn operations(errors: &mut Vec<String>) -> Result<(), Failure> {
    const HANDLERS: [&str; 5] = ["\n#[get(", "\n#[post(", "\n#[put(", "\n#[patch(", "\n#[delete("];
    const SCHEMAS: [&str; 3] = ["\n#[view", "\n#[body", "\n#[described"];
    let mut schemas = BTreeSet::new();
    for path in files::rust_files()? {
        let name = path.strip_prefix(files::root()).unwrap_or(&path).display().to_string();
        let text = fs::read_to_string(&path)?;
        if name.starts_with("crates/api/src/") && HANDLERS.iter().any(|handler| text.contains(handler)) {
            errors.push(format!("{name}: a handler without #[operation] is served but not documented"));
        }
        let described = SCHEMAS.iter().flat_map(|attribute| text.split(attribute).skip(1));
        let names = described
            .filter_map(|rest| rest.split("\npub struct ").nth(1)?.split([' ', '(', '{', '<']).next());
        for schema in names {
            if !schemas.insert(schema.to_owned()) {
                errors.push(format!("{name}: there are two schemas with the name {schema}"));
            }
        }
    }
    Ok(())
}

fn migrations(errors: &mut Vec<String>) -> Result<(), Failure> {
    let names = |engine: &str| -> Result<BTreeSet<_>, Failure> {
        let tree = files::root().join("migrations").join(engine);
        let names = fs::read_dir(tree)?.map(|entry| entry.map(|entry| entry.file_name()));
        Ok(names.collect::<Result<_, _>>()?)
    };
    let (sqlite, postgres) = (names("sqlite")?, names("postgres")?);
    for name in sqlite.symmetric_difference(&postgres) {
        errors.push(format!("migration {} is in one tree only", Path::new(name).display()));
    }
    for (engine, name) in
        sqlite.iter().map(|name| ("sqlite", name)).chain(postgres.iter().map(|name| ("postgres", name)))
    {
        let path = files::root().join("migrations").join(engine).join(name).join("up.sql");
        let text = fs::read_to_string(&path)?;
        if let Some(statement) = contracts(&text).filter(|_| !text.starts_with("-- contract: ")) {
            errors.push(format!(
                "migrations/{engine}/{}: `{statement}` takes something away; begin with `-- contract: ` and why the previous \
                 release can live with it (migrations/README.md)",
                Path::new(name).display()
            ));
        }
    }
    Ok(())
}

/// The first statement of a migration that a release may not expect which knows nothing of it.
fn contracts(sql: &str) -> Option<String> {
    let code: Vec<&str> = sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
    let words = |statement: &str| statement.split_whitespace().collect::<Vec<_>>().join(" ");
    let statements = code.join("\n");
    statements.split(';').map(words).find(|statement| {
        let upper = statement.to_uppercase();
        let has = |word: &str| upper.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == word);
        let adds_unfilled = upper
            .split("ADD COLUMN")
            .skip(1)
            .any(|column| column.contains("NOT NULL") && !column.contains("DEFAULT"));
        has("DROP") || has("RENAME") || upper.contains("SET NOT NULL") || adds_unfilled
    })
}

#[cfg(test)]
mod tests {
    use super::contracts;

    #[test]
    fn what_takes_something_away_is_told_from_what_adds() {
        for sql in [
            "CREATE TABLE a (b TEXT);\nDROP TABLE c;",
            "ALTER TABLE a RENAME COLUMN b TO c;",
            "ALTER TABLE a\n    ALTER COLUMN b SET NOT NULL;",
            "ALTER TABLE a ADD COLUMN b TEXT NOT NULL;",
            "ALTER TABLE a ADD COLUMN b TEXT DEFAULT '', ADD COLUMN c TEXT NOT NULL;",
            "drop index a;",
        ] {
            assert!(contracts(sql).is_some(), "{sql}");
        }
        for sql in [
            "-- DROP what?\nCREATE TABLE a (b TEXT NOT NULL);",
            "ALTER TABLE a ADD COLUMN b TEXT NOT NULL DEFAULT 'add';",
            "CREATE INDEX dropped_at ON a (dropped);",
        ] {
            assert_eq!(contracts(sql), None, "{sql}");
        }
    }
}
