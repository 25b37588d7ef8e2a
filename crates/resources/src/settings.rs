//! `[resources]` of a configuration file.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_spanned::Spanned;

/// Where in the file something is wrong, and what is accepted there.
pub type SettingError = (usize, String);

/// Words, each with where it stands.
pub(crate) type Words = Vec<Spanned<String>>;
/// Words by the field that they are values of.
pub(crate) type WordsByField = IndexMap<Spanned<String>, Words>;

/// `[resources.NAME]`: A type of record, kept by Gatepost; see [RESOURCES.md](RESOURCES.md).
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceSettings {
    /// What ids begin with, such as `lead_`.
    pub ids: Spanned<String>,
    /// Name of several, as in paths and scopes. Default: the name with an `s`.
    pub plural: Option<Spanned<String>>,
    /// Fields whose words are searched.
    #[serde(default)]
    pub search: Words,
    /// Feature that each record counts as.
    pub count: Option<Spanned<String>>,
    /// Type that a record belongs to one of.
    pub parent: Option<Spanned<String>>,
    /// Whether records are only ever added.
    #[serde(default = "off")]
    pub log: Spanned<bool>,
    /// What the parent must be for a record to be added.
    #[serde(default)]
    pub when: WordsByField,
    /// The fields.
    #[serde(default)]
    pub fields: IndexMap<Spanned<String>, FieldSettings>,
    /// What can be done to a record beside changing its fields.
    #[serde(default)]
    pub actions: IndexMap<Spanned<String>, ActionSettings>,
    /// What happens when a field becomes a value, by that value.
    #[serde(default)]
    pub enter: IndexMap<Spanned<String>, EnterSettings>,
}

/// `[resources.NAME.fields.NAME]`: A field of a record.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldSettings {
    /// What it holds: `"text"`, `"email"`, `"url"`, `"enum"`, `"integer"`, `"boolean"`, `"time"`, `"ref"`,
    /// `"text[]"` or `"json"`.
    pub r#type: Spanned<String>,
    /// What it is, as a sentence for the document. Default: made of the names.
    pub description: Option<Spanned<String>>,
    /// Whether every record has it.
    #[serde(default)]
    pub required: bool,
    /// Whether no two records have the same value in it.
    #[serde(default = "off")]
    pub unique: Spanned<bool>,
    /// Whether lists can be filtered by it.
    #[serde(default = "off")]
    pub filter: Spanned<bool>,
    /// Whether lists can be sorted by it.
    #[serde(default = "off")]
    pub sort: Spanned<bool>,
    /// The greatest number, or the most characters.
    pub max: Option<Spanned<i64>>,
    /// The least number.
    pub min: Option<Spanned<i64>>,
    /// The most items of a list.
    pub max_items: Option<Spanned<i64>>,
    /// The most bytes of JSON.
    pub max_bytes: Option<Spanned<i64>>,
    /// The words of an enumeration.
    pub values: Option<Spanned<Words>>,
    /// What a new record holds where nothing is said.
    pub default: Option<Spanned<Scalar>>,
    /// Type that a `ref` leads to.
    pub to: Option<Spanned<String>>,
    /// What becomes of the record when the one that it refers to is deleted.
    pub on_delete: Option<Spanned<String>>,
    /// `"actions"` where actions alone change it.
    pub set_by: Option<Spanned<String>>,
    /// Which values may follow which.
    #[serde(default)]
    pub moves: WordsByField,
}

/// `[resources.NAME.actions.NAME]`: What can be done to a record, beside changing its fields.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionSettings {
    /// What a record must be for it.
    #[serde(default)]
    pub from: WordsByField,
    /// The fields that its body must hold.
    #[serde(default)]
    pub input: Words,
    /// The fields that its body may hold beside them.
    #[serde(default)]
    pub optional: Words,
    /// What it sets beside them; `"now"` is the time.
    #[serde(default)]
    pub set: IndexMap<Spanned<String>, Spanned<Scalar>>,
    /// What it takes away.
    #[serde(default)]
    pub unset: Words,
    /// The fields of its input whose items are added.
    #[serde(default)]
    pub add: Words,
    /// The fields of its input whose items are taken away.
    #[serde(default)]
    pub remove: Words,
    /// Type of its event. Default: that of a change.
    pub event: Option<Spanned<String>>,
}

/// `[resources.NAME.enter.VALUE]`: What happens when a field becomes a value.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnterSettings {
    /// The field that becomes the value.
    pub field: Spanned<String>,
    /// What is set then; `"now"` is the time.
    #[serde(default)]
    pub set: IndexMap<Spanned<String>, Spanned<Scalar>>,
    /// What is taken away then.
    #[serde(default)]
    pub unset: Words,
    /// Type of the event that is sent.
    pub event: Option<Spanned<String>>,
}

fn off() -> Spanned<bool> {
    Spanned::new(0..0, false)
}

/// A value in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
}

/// What the platform has already, which a declaration may not take.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    /// First parts of paths below the base path; no plural may be one.
    pub paths: BTreeSet<String>,
    /// First parts of event types; no name may be one.
    pub events: BTreeSet<String>,
    /// Ids of operations.
    pub operations: BTreeSet<String>,
    /// Names of schemas.
    pub schemas: BTreeSet<String>,
    /// Features that a plan lists, for `count`.
    pub features: BTreeSet<String>,
}
