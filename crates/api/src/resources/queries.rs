//! What can be asked of records.

use gatepost_app::{
    Caller,
    resources::{RecordFilter, Resource, Resources},
};
use gatepost_kernel::{Timestamp, intern};
use gatepost_resources::{Field, Kind, ResourceType, search_words};
use serde_json::{Value, json};

use super::{schemas, words::listed};
use crate::{
    lists::{Asked, AsksList, Description, Include, Options, Shape, instant, last_instant},
    query::{Parameter, Parameters, Query, parameter},
    scopes,
    values::whole,
};

/// A field with more than this may be large; texts of the usual length and addresses are not.
const LARGE_BYTES: u64 = 2_048;
/// How many values of one field can be asked for.
const MAX_VALUES: usize = 50;

/// What can be asked of the records of a type. Names live as long as the program.
pub fn options(resources: &Resources, resource: &Resource) -> Options {
    let declared = &resource.declared;
    let searched: Vec<String> = declared.search.iter().map(|name| name.replace('_', " ")).collect();
    let include = |(name, field): (&'static str, &Field)| {
        let Kind::Ref { to, .. } = field.kind else { return None };
        let referred = resources.get(to)?;
        let owner = resources.declarations().scope_owner(&referred.declared);
        let scope = scopes::of(owner.plural, "read");
        let about = format!("the {}, which takes `{{scope {}}}`", referred.declared.label(), scope.as_str());
        Some(Include { name, scope, about: intern(&about) })
    };
    let most_bytes = declared.fields.iter().map(|field| field.kind.most_bytes());
    let row_bytes = most_bytes.filter(|bytes| *bytes > LARGE_BYTES).sum();
    let list = Description {
        sorts: Vec::leak(resource.sorts()),
        default_sort: "created_at",
        has_updated_at: true,
        searched: (!searched.is_empty()).then(|| intern(&listed(&searched, "and"))),
        content: None,
        row_bytes,
        is_log: declared.is_log,
    };
    let includes = declared.includes().filter_map(include).collect();
    Options { members: Vec::leak(declared.members().collect()), includes, list }
}

/// The query of a list of records.
pub struct RecordsQuery {
    /// What the records must be.
    pub filters: Vec<RecordFilter>,
    asked: Asked,
}

impl RecordsQuery {
    /// What a query says.
    pub fn read(parameters: &mut Parameters, resource: &Resource, options: &Options) -> Option<Self> {
        let (mut filters, asked) =
            Asked::read(parameters, options, |parameters| Some(filters(parameters, resource)))?;
        if let Some(words) = &asked.request().search {
            filters.push(RecordFilter::Words(search_words(&words.join(" "))));
        }
        Some(Self { filters, asked })
    }
}

impl AsksList for RecordsQuery {
    fn asked(&self) -> &Asked {
        &self.asked
    }
}

impl Query for RecordsQuery {
    fn check(&self, caller: &Caller) -> gatepost_kernel::Result<()> {
        self.asked.check(caller)
    }

    fn most_bytes(&self) -> u64 {
        self.asked.most_bytes()
    }
}

/// The query of one record.
pub struct RecordQuery(pub Shape);

impl Query for RecordQuery {
    fn check(&self, caller: &Caller) -> gatepost_kernel::Result<()> {
        self.0.check(caller)
    }

    fn most_bytes(&self) -> u64 {
        self.0.most_bytes(1)
    }
}

/// The fields that a list can be filtered by. The parent stands in the path.
fn filtered(declared: &ResourceType) -> impl Iterator<Item = &Field> {
    declared.fields.iter().filter(|field| field.filter && declared.parent_field() != Some(field.name))
}

/// How the document describes the parameters by which a list is filtered.
pub fn filter_parameters(declared: &ResourceType) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    for field in filtered(declared) {
        let label = field.label();
        let one_value = schemas::value(declared, field);
        let several = |schema: Value| json!({ "type": "array", "items": schema, "maxItems": MAX_VALUES });
        for name in field.parameters() {
            let (about, schema) = match (&field.kind, name.strip_prefix(field.name).unwrap_or_default()) {
                (_, "_min") => {
                    (format!("Return only items whose {label} is at least this"), one_value.clone())
                }
                (_, "_max") => {
                    (format!("Return only items whose {label} is at most this"), one_value.clone())
                }
                (_, "_after") => (
                    format!(
                        "Return only items whose {label} is at or after this time; a date alone means all of its day"
                    ),
                    json!({ "type": "string", "format": "date-time" }),
                ),
                (_, "_before") => (
                    format!(
                        "Return only items whose {label} is at or before this time; a date alone means all of its day"
                    ),
                    json!({ "type": "string", "format": "date-time" }),
                ),
                (Kind::Integer { .. } | Kind::Boolean, _) => {
                    (format!("Return only items whose {label} is this"), one_value.clone())
                }
                (Kind::Texts { .. }, _) => {
                    let about = format!("Return only items whose {label} hold this, or one of several");
                    (about, several(one_value["items"].clone()))
                }
                _ => (
                    format!("Return only items whose {label} is this, or one of several"),
                    several(one_value.clone()),
                ),
            };
            parameters.push(parameter(&name, &about, schema, false));
        }
    }
    parameters
}

/// What a query says of filters.
fn filters(parameters: &mut Parameters, resource: &Resource) -> Vec<RecordFilter> {
    let mut filters = Vec::new();
    for field in filtered(&resource.declared) {
        match filter(parameters, resource, field) {
            None => {}
            Some(Some(filter)) => filters.push(filter),
            // Rather none than everything: a filter that is left out without a word shows what was not asked
            // for.
            Some(None) => parameters.error(field.name, format!("Nothing is found by {}.", field.label())),
        }
    }
    filters
}

/// What is asked of a field, if something is; the filter is none where records are not found by it.
fn filter(parameters: &mut Parameters, resource: &Resource, field: &Field) -> Option<Option<RecordFilter>> {
    let bound = |end: &str| intern(&format!("{}{end}", field.name));
    match &field.kind {
        Kind::Integer { min, max } => {
            let exactly = whole(parameters, field.name, *min..=*max);
            let (from, to) = (
                whole(parameters, bound("_min"), *min..=*max),
                whole(parameters, bound("_max"), *min..=*max),
            );
            let (from, to) = (exactly.into_iter().chain(from).max(), exactly.into_iter().chain(to).min());
            from.or(to).map(|_| resource.between(field, from, to))
        }
        Kind::Boolean => {
            let is = |text: &str| match text {
                "true" => Some(1),
                "false" => Some(0),
                _ => None,
            };
            let value = parameters.choice(field.name, &["true", "false"], is)?;
            Some(resource.between(field, Some(value), Some(value)))
        }
        Kind::Time => {
            let from = instant(parameters, bound("_after")).map(Timestamp::as_micros);
            let to = last_instant(parameters, bound("_before")).map(Timestamp::as_micros);
            from.or(to).map(|_| resource.between(field, from, to))
        }
        kind => {
            let given = parameters.all(field.name);
            if given.is_empty() {
                return None;
            }
            if given.len() > MAX_VALUES {
                let error = format!("The {} may not be given more than {MAX_VALUES} times.", field.label());
                parameters.error(field.name, error);
                return None;
            }
            let mut texts = Vec::with_capacity(given.len());
            for text in given {
                match kind.text(field.name, &text) {
                    Ok(text) => texts.push(text),
                    Err(error) => parameters.error(field.name, error),
                }
            }
            Some(resource.any_of(field, &texts))
        }
    }
}
