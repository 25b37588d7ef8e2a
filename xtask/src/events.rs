//! `docs/EVENTS.md`: all types of events that the platform sends, with what each says, from the documents in
//! `openapi/`.

use std::{collections::BTreeSet, fmt::Write, fs};

use serde_json::Value;

use crate::{Failure, files};

const INTRODUCTION: &str = "\
# Events

Every event that the platform sends to webhook endpoints ([WEBHOOKS.md](WEBHOOKS.md)), with what its `data` says. Around it stands the same in
all of them: `id`, `type`, `created_at`, `workspace_id`, `environment` and `data`. Events that a tenant publishes have the types and the
data that the tenant gave them. What a server sends beside these, for resources that its operator declares, its own document says
(`/openapi.json`, `webhooks`).

Do not edit: `cargo xtask docs` writes it.
";
/// The documents, and whose events stand in each.
const DOCUMENTS: [(&str, &str); 4] = [
    ("openapi/openapi.json", "Of the platform"),
    ("openapi/anvil.json", "Of the records of the preset `anvil`"),
    ("openapi/anthyx.json", "Of the records of the preset `anthyx`"),
    ("openapi/workspace-api.json", "Of the records of the preset `workspace-api`"),
];

/// Writes or checks the page.
pub fn run(check: bool) -> Result<(), Failure> {
    let mut page = INTRODUCTION.to_owned();
    let mut told = BTreeSet::new();
    for (file, title) in DOCUMENTS {
        let document: Value = serde_json::from_str(&fs::read_to_string(files::root().join(file))?)?;
        let mut sections: Vec<(String, Vec<(String, String)>)> = Vec::new();
        for (event_type, webhook) in document["webhooks"].as_object().into_iter().flatten() {
            if event_type == "published" || !told.insert(event_type.clone()) {
                continue;
            }
            let request = &webhook["post"]["requestBody"]["content"]["application/json"]["schema"];
            let event = schema(&document, request).0;
            let (_, data) = schema(&document, &event["properties"]["data"]);
            let about = webhook["post"]["summary"].as_str().unwrap_or_default().to_owned();
            match sections.iter_mut().find(|(known, _)| *known == data) {
                Some((_, types)) => types.push((event_type.clone(), about)),
                None => sections.push((data, vec![(event_type.clone(), about)])),
            }
        }
        if sections.is_empty() {
            continue;
        }
        writeln!(page, "\n## {title}")?;
        for (data, types) in sections {
            writeln!(page, "\n| type | when |\n|---|---|")?;
            for (event_type, about) in types {
                writeln!(page, "| `{event_type}` | {about}. |")?;
            }
            writeln!(page, "\n| `data` | | |\n|---|---|---|")?;
            for (name, member) in
                document["components"]["schemas"][&data]["properties"].as_object().into_iter().flatten()
            {
                // What is there only if it is asked for is in no event.
                if member.get("oneOf").is_some() && member["oneOf"].to_string().contains("only if included") {
                    continue;
                }
                let about = member["description"].as_str().unwrap_or_default().replace('|', "\\|");
                writeln!(page, "| `{name}` | {} | {about} |", kind(&document, member))?;
            }
        }
    }
    files::write_or_check("docs/EVENTS.md", &page, check, "docs")
}

/// What a reference leads to, with its name; what is no reference is itself.
fn schema<'d>(document: &'d Value, schema: &'d Value) -> (&'d Value, String) {
    let name = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
    match name {
        Some(name) => (&document["components"]["schemas"][name], name.to_owned()),
        None => (schema, String::new()),
    }
}

/// The type of a member, in words.
fn kind(document: &Value, member: &Value) -> String {
    if let Some(choice) = member["oneOf"].as_array() {
        return choice.iter().map(|one| kind(document, one)).collect::<Vec<_>>().join(" or ");
    }
    let (of, _) = schema(document, member);
    let words = match &of["type"] {
        Value::String(kind) => vec![kind.as_str()],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => vec!["any JSON"],
    };
    words.join(" or ")
}
