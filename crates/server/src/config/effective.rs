//! What is in force, setting by setting, and where each came from.

use gatepost_kernel::Secret;
use gatepost_storage::DatabaseUrl;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Config, Sources, Written, defaults, environment};
use crate::Failure;

/// A setting that is in force.
pub struct Effective {
    /// Its name with those of the tables that lead to it, such as `server.bind`.
    pub name: String,
    /// What it is, secrets included; [`Effective::shown`] leaves them out.
    pub value: Value,
    /// Where it stands: a flag, a variable, a file and its line, or nowhere, so that it is the default.
    pub from: String,
}

/// What stands for a secret.
const HIDDEN: &str = "(hidden)";
/// Where a setting comes from that stands nowhere.
const DEFAULT: &str = "default";

impl Config {
    /// All settings, and where each came from.
    ///
    /// # Errors
    /// Those of rendering them.
    pub fn effective(&self) -> Result<Vec<Effective>, Failure> {
        let Written { sources, arguments, .. } = &self.written;
        let (defaults, written) = (defaults()?, sources.json()?);
        let mut found = Found { sources, settings: Vec::new() };
        if let Some(preset) = &self.preset {
            let from = match &arguments.0.preset {
                Some(_) => environment::origin("GATEPOST_PRESET", "--preset")?,
                None => found.origin(&["preset".to_owned()]),
            };
            found.add("preset", json!(preset), from);
        }
        for (section, of_section) in defaults.as_object().into_iter().flatten() {
            // What is declared by name follows below.
            if !section.contains('.') {
                found.tables(section, of_section, &written[section]);
            }
        }
        for plan in self.catalog.plans() {
            found.named("plans", &plan.name, &read(plan)?);
        }
        for (name, feature) in self.catalog.features() {
            found.named("features", name, &read(feature)?);
        }
        for (name, server) in written["mcp"]["servers"].as_object().into_iter().flatten() {
            found.named("mcp.servers", name, &over(&defaults["mcp.servers.NAME"], server));
        }
        for (name, resource) in written["resources"].as_object().into_iter().flatten() {
            found.named("resources", name, &over(&Value::Null, resource));
        }
        let mut settings = found.settings;
        overrides(self, &mut settings)?;
        Ok(settings)
    }
}

/// What flags and variables say, and what only they can.
fn overrides(config: &Config, settings: &mut Vec<Effective>) -> Result<(), Failure> {
    let Written { arguments: (_, serve), database_url, secret_keys, .. } = &config.written;
    let mut set = |name: &str, value: Value, from: String| {
        let setting = Effective { name: name.to_owned(), value, from };
        match settings.iter_mut().find(|known| known.name == name) {
            Some(known) => *known = setting,
            None => settings.push(setting),
        }
    };
    if serve.bind.is_some() {
        set("server.bind", json!(config.server.bind), environment::origin("GATEPOST_BIND", "--bind")?);
    }
    if let (url, Some(from)) = database_url {
        set("database.url", json!(url.expose()), (*from).to_owned());
    }
    for (name, secret) in
        [("GATEPOST_SECRET_KEY", secret_keys), ("GATEPOST_BOOTSTRAP_KEY", &config.bootstrap_key)]
    {
        set(name, json!(secret.as_ref().map(Secret::expose)), "environment".to_owned());
    }
    let roles: Vec<String> = config.roles.iter().map(|role| format!("{role:?}").to_lowercase()).collect();
    let of_flag = |given: bool, flag: &str| if given { flag.to_owned() } else { DEFAULT.to_owned() };
    set("roles", json!(roles), of_flag(!serve.roles.is_empty(), "--roles"));
    set("data_dir", json!(config.data_dir), of_flag(serve.data_dir.is_some(), "--data-dir"));
    set("migrate", json!(config.migrates), of_flag(serve.no_migrate, "--no-migrate"));
    Ok(())
}

impl Effective {
    /// What it is, without what nobody should read.
    pub fn shown(&self) -> Value {
        let path: Vec<&str> = self.name.split('.').collect();
        let text = self.value.as_str();
        let is_empty = self.value.as_array().is_some_and(Vec::is_empty);
        match path.as_slice() {
            ["database", "url"] => match text.map(str::parse::<DatabaseUrl>) {
                Some(Ok(url)) => json!(url.to_string()),
                _ => json!(HIDDEN),
            },
            ["GATEPOST_SECRET_KEY" | "GATEPOST_BOOTSTRAP_KEY"] => json!(text.map_or("(not set)", |_| HIDDEN)),
            ["mcp", "servers", _, "env" | "headers", ..] => json!(HIDDEN),
            ["mcp", "servers", _, "args"] if !is_empty => json!(HIDDEN),
            ["mcp", "servers", _, "url"] => match text.and_then(|url| url.split_once('?')) {
                Some((shown, _)) => json!(format!("{shown}?{HIDDEN}")),
                None => self.value.clone(),
            },
            _ => self.value.clone(),
        }
    }
}

/// What is written, and else the defaults.
fn over(defaults: &Value, written: &Value) -> Map<String, Value> {
    let mut both = defaults.as_object().cloned().unwrap_or_default();
    for (name, value) in written.as_object().into_iter().flatten() {
        both.insert(name.clone(), value.clone());
    }
    both
}

/// Something as it was read.
fn read(value: impl Serialize) -> Result<Map<String, Value>, Failure> {
    Ok(serde_json::from_value(serde_json::to_value(value)?)?)
}

/// Settings on their way.
struct Found<'s> {
    sources: &'s Sources,
    settings: Vec<Effective>,
}

impl Found<'_> {
    fn add(&mut self, name: &str, value: Value, from: String) {
        self.settings.push(Effective { name: name.to_owned(), value, from });
    }

    fn origin(&self, path: &[String]) -> String {
        self.sources.found(path).unwrap_or_else(|| DEFAULT.to_owned())
    }

    /// A section: what is written, and else the defaults.
    fn tables(&mut self, section: &str, defaults: &Value, written: &Value) {
        let mut both = over(defaults, written);
        if section == "mcp" {
            // They follow, each by its name.
            both.remove("servers");
        }
        self.leaves(&mut vec![section.to_owned()], &both);
    }

    /// Something that is declared by name.
    fn named(&mut self, table: &str, name: &str, settings: &Map<String, Value>) {
        let mut path: Vec<String> = table.split('.').map(str::to_owned).collect();
        path.push(name.to_owned());
        self.leaves(&mut path, settings);
    }

    fn leaves(&mut self, path: &mut Vec<String>, table: &Map<String, Value>) {
        for (name, value) in table {
            path.push(name.clone());
            match value {
                Value::Object(inner) if !inner.is_empty() => self.leaves(path, inner),
                value => {
                    let from = self.origin(path);
                    self.add(&path.join("."), value.clone(), from);
                }
            }
            path.pop();
        }
    }
}
