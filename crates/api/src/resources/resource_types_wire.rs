//! Declared resources on the wire.

use gatepost_contract::Contract;
use gatepost_macros::view;
use gatepost_resources::{Action, Declarations, Field, Kind, ResourceType};

/// A declared resource.
#[view(example = {
    "name": "post", "plural": "posts", "path": "{base_path}/posts", "id_prefix": "post_", "parent": null, "is_log": false,
    "feature": "posts", "search": ["title"], "event_types": ["post.created", "post.updated", "post.deleted", "post.published"],
})]
pub struct ResourceTypeView {
    /// Name of the resource.
    name: String,
    /// Name of several, as used in paths and scopes.
    plural: String,
    /// Path of its records; `{id}` stands for the record that they belong to.
    path: String,
    /// Beginning of the ids of its records.
    id_prefix: String,
    /// Name of the resource that each record belongs to one of; null if to none.
    parent: Option<String>,
    /// Whether records are only ever added.
    is_log: bool,
    /// Feature that each record counts as; null if as none.
    feature: Option<String>,
    /// Names of the fields whose words are searched.
    search: Vec<String>,
    /// Fields of its records.
    fields: Vec<ResourceFieldView>,
    /// Actions that can be done to a record beside changing its fields.
    actions: Vec<ResourceActionView>,
    /// Types of the events that are sent for its records.
    event_types: Vec<String>,
}

/// A field of a declared resource.
#[view(example = {
    "name": "status", "type": "enum", "required": false, "unique": false, "filter": true, "sort": false, "set_by_actions": false,
    "values": ["draft", "published"], "to": null,
})]
pub struct ResourceFieldView {
    /// Name of the field.
    name: String,
    /// Type of its values.
    r#type: String,
    /// Whether every record has a value in it.
    required: bool,
    /// Whether no two records have the same value in it.
    unique: bool,
    /// Whether lists can be filtered by it.
    filter: bool,
    /// Whether lists can be sorted by it.
    sort: bool,
    /// Whether actions alone change it.
    set_by_actions: bool,
    /// Values of an enumeration; empty for other types.
    values: Vec<String>,
    /// Resource that a reference leads to; null for other types.
    to: Option<String>,
}

/// Something that can be done to a record of a declared resource.
#[view(example = { "name": "publish", "input": [], "optional": [], "event_type": "post.published" })]
pub struct ResourceActionView {
    /// Name of the action, the last part of its path.
    name: String,
    /// Fields that the body must hold.
    input: Vec<String>,
    /// Fields that the body may hold beside them.
    optional: Vec<String>,
    /// Type of the event that is sent.
    event_type: String,
}

fn texts(words: impl IntoIterator<Item = &'static str>) -> Vec<String> {
    words.into_iter().map(str::to_owned).collect()
}

impl ResourceTypeView {
    /// One of these declarations.
    pub fn new(declared: &ResourceType, declarations: &Declarations, contract: &Contract) -> Self {
        let base = contract.base_path.as_ref();
        let parent = declared.parent.and_then(|parent| declarations.get(parent));
        let path = match parent {
            Some(parent) => format!("{base}/{}/{{id}}/{}", parent.plural, declared.plural),
            None => format!("{base}/{}", declared.plural),
        };
        Self {
            name: declared.name.to_owned(),
            plural: declared.plural.to_owned(),
            path,
            id_prefix: declared.id_prefix.to_owned(),
            parent: declared.parent.map(str::to_owned),
            is_log: declared.is_log,
            feature: declared.count.map(str::to_owned),
            search: texts(declared.search.iter().copied()),
            fields: declared.fields.iter().map(ResourceFieldView::from).collect(),
            actions: declared.actions.iter().map(ResourceActionView::from).collect(),
            event_types: texts(declared.event_types()),
        }
    }
}

impl From<&Field> for ResourceFieldView {
    fn from(field: &Field) -> Self {
        Self {
            name: field.name.to_owned(),
            r#type: field.kind.name().to_owned(),
            required: field.required,
            unique: field.unique,
            filter: field.filter,
            sort: field.sort,
            set_by_actions: field.set_by_actions,
            values: if let Kind::Enum { values } = &field.kind {
                texts(values.iter().copied())
            } else {
                Vec::new()
            },
            to: if let Kind::Ref { to, .. } = field.kind { Some(to.to_owned()) } else { None },
        }
    }
}

impl From<&Action> for ResourceActionView {
    fn from(action: &Action) -> Self {
        Self {
            name: action.name.to_owned(),
            input: texts(action.input.iter().copied()),
            optional: texts(action.optional.iter().copied()),
            event_type: action.event.to_owned(),
        }
    }
}
