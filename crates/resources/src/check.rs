//! What cannot be declared: the way from the sections of a configuration file to the types.

use std::collections::BTreeSet;

use gatepost_kernel::{Json, intern};
use indexmap::IndexMap;
use serde_spanned::Spanned;

use crate::{
    Action, ActionSettings, Conditions, Declarations, Enter, EnterSettings, Field, FieldSettings, Kind,
    Layout, NUMBERS, OnDelete, ResourceSettings, ResourceType, Scalar, Setting, SettingError, TEXTS, Taken,
    settings::{Words, WordsByField},
};

/// Words that are paths of the platform, or will be.
const RESERVED: [&str; 15] = [
    "members",
    "invitations",
    "sessions",
    "team",
    "portal",
    "billing",
    "oauth",
    "credentials",
    "secret-scanning",
    "me",
    "nodes",
    "jobs",
    "requests",
    "resource-types",
    "event-types",
];
/// Actions of scopes, which nobody could tell from a resource.
const ACTIONS: [&str; 4] = ["read", "write", "delete", "admin"];
/// Words below `/analytics` that are its own.
const RESERVED_OF_ANALYTICS: [&str; 2] = ["api", "pixel"];
/// What every record has, and what queries have for all lists.
const RESERVED_FIELDS: [&str; 16] = [
    "id",
    "created_at",
    "updated_at",
    "page",
    "per_page",
    "limit",
    "offset",
    "cursor",
    "sort",
    "fields",
    "include",
    "search",
    "created_after",
    "created_before",
    "updated_after",
    "updated_before",
];
/// What ids of the platform begin with.
const RESERVED_IDS: [&str; 4] = ["evt_", "req_", "whsec_", "sk_"];
const MAX_NAME: usize = 40;
const MAX_DESCRIPTION: usize = 300;
const MAX_VALUES: usize = 100;
const MAX_ITEMS: i64 = 1_000;
const MAX_BYTES: i64 = 65_536;

impl Declarations {
    /// The types that these sections declare.
    ///
    /// # Errors
    /// The first error.
    pub fn of(
        sections: &IndexMap<Spanned<String>, ResourceSettings>,
        taken: &Taken,
    ) -> Result<Self, SettingError> {
        let all = Sections(sections);
        let mut types = Vec::with_capacity(sections.len());
        for (name, section) in sections {
            types.push(all.resource(name, section, taken)?);
        }
        let declared = Self(types);
        all.check_names(&declared, taken)?;
        Ok(declared)
    }
}

/// All sections, which refer to each other.
struct Sections<'s>(&'s IndexMap<Spanned<String>, ResourceSettings>);

impl Sections<'_> {
    fn get(&self, name: &str) -> Option<&ResourceSettings> {
        self.0.iter().find(|(known, _)| known.get_ref() == name).map(|(_, section)| section)
    }

    fn names(&self) -> String {
        self.0.keys().map(|name| name.get_ref().as_str()).collect::<Vec<_>>().join(", ")
    }

    fn resource(
        &self,
        name: &Spanned<String>,
        section: &ResourceSettings,
        taken: &Taken,
    ) -> Result<ResourceType, SettingError> {
        let own = word(name)?;
        let plural = match &section.plural {
            Some(plural) => word(plural)?,
            None => intern(&format!("{own}s")),
        };
        let parent = section.parent.as_ref().map(|parent| self.parent(own, parent)).transpose()?;
        let is_log = *section.log.get_ref();
        let mut fields = Vec::with_capacity(section.fields.len() + 1);
        if let Some(parent) = parent {
            let (to, id_prefix) = (parent, self.id_prefix(parent));
            let kind = Kind::Ref { to, id_prefix, on_delete: OnDelete::Cascade };
            let mut field = Field::new(intern(&format!("{parent}_id")), kind);
            (field.required, field.filter) = (true, true);
            fields.push(field);
        }
        for (name, field) in &section.fields {
            if let Some(sort) = Some(&field.sort).filter(|sort| is_log && *sort.get_ref()) {
                let error = "records of a log come in the order in which they were added, and in no other";
                return Err((sort.span().start, error.to_owned()));
            }
            let field = self.field(name, field)?;
            if fields.iter().any(|other: &Field| other.name == field.name) {
                return Err((name.span().start, format!("{} is the reference to the parent", field.name)));
            }
            fields.push(field);
        }
        let declared = ResourceType {
            name: own,
            plural,
            id_prefix: id_prefix(&section.ids)?,
            parent,
            is_log,
            when: Vec::new(),
            search: Vec::new(),
            count: None,
            fields,
            actions: Vec::new(),
            enters: Vec::new(),
        };
        check_parameters(name, &declared)?;
        if let Err(field) = Layout::assign(&declared, &[]) {
            let at = section.fields.keys().find(|name| name.get_ref() == field).unwrap_or(name);
            let error =
                format!("no more than {TEXTS} texts and {NUMBERS} numbers can be filtered or sorted by");
            return Err((at.span().start, error));
        }
        self.rest(declared, section, taken)
    }

    /// What refers to the fields.
    fn rest(
        &self,
        mut declared: ResourceType,
        section: &ResourceSettings,
        taken: &Taken,
    ) -> Result<ResourceType, SettingError> {
        for name in &section.search {
            let is_text = |field: &&Field| matches!(field.kind, Kind::Text { .. } | Kind::Email | Kind::Url);
            let field = field_of(&declared, name)?;
            Some(field)
                .filter(is_text)
                .ok_or_else(|| (name.span().start, "only texts can be searched".to_owned()))?;
            declared.search.push(field.name);
        }
        if let Some(count) = &section.count {
            if !taken.features.contains(count.get_ref()) {
                return Err((
                    count.span().start,
                    "no plan lists this as a feature that is counted".to_owned(),
                ));
            }
            declared.count = Some(intern(count.get_ref()));
        }
        if let (true, None) = (!section.when.is_empty(), declared.parent) {
            let at = section.when.keys().next().map_or(0, |name| name.span().start);
            return Err((at, "takes a parent, which it is about".to_owned()));
        }
        if let Some(parent) = declared.parent.and_then(|parent| self.get(parent)) {
            let fields = parent.fields.iter().map(|(name, field)| self.field(name, field));
            let fields = fields.collect::<Result<Vec<_>, _>>()?;
            declared.when = conditions(&section.when, &fields)?;
        }
        for (name, action) in &section.actions {
            if declared.is_log {
                return Err((name.span().start, "records of a log do not change".to_owned()));
            }
            declared.actions.push(self::action(&declared, name, action)?);
        }
        for (value, enter) in &section.enter {
            declared.enters.push(self::enter(&declared, value, enter)?);
        }
        let blocked = |field: &&Field| {
            field.required
                && field.set_by_actions
                && field.default.is_none()
                && declared.parent_field() != Some(field.name)
        };
        if let Some(field) = declared.fields.iter().find(blocked) {
            let at = section.fields.keys().find(|name| name.get_ref() == field.name);
            let error = "takes a default: no record could be made, since actions alone set it".to_owned();
            return Err((at.map_or(0, |name| name.span().start), error));
        }
        Ok(declared)
    }

    /// The type that records belong to one of.
    fn parent(&self, own: &str, parent: &Spanned<String>) -> Result<&'static str, SettingError> {
        let error = |error: String| Err((parent.span().start, error));
        let Some(section) = self.get(parent.get_ref()) else {
            return error(format!("unknown resource; known are: {}", self.names()));
        };
        match &section.parent {
            _ if parent.get_ref() == own => error("a resource cannot be its own parent".to_owned()),
            Some(_) => error("the parent belongs to another resource itself".to_owned()),
            None if *section.log.get_ref() => error("records of a log have no children".to_owned()),
            None => Ok(intern(parent.get_ref())),
        }
    }

    fn id_prefix(&self, name: &str) -> &'static str {
        self.get(name).map_or("", |section| intern(section.ids.get_ref()))
    }

    fn field(&self, name: &Spanned<String>, section: &FieldSettings) -> Result<Field, SettingError> {
        let own = word(name)?;
        if RESERVED_FIELDS.contains(&own) {
            let error = format!("{own} is a member or a parameter that every resource has");
            return Err((name.span().start, error));
        }
        let kind = self.kind(section)?;
        check_options(&kind, section)?;
        let is = |option: &Spanned<bool>| *option.get_ref();
        let mut field = Field::new(own, kind);
        if let Some(description) = &section.description {
            let text = description.get_ref();
            if text.is_empty() || text.len() > MAX_DESCRIPTION || text.contains(char::is_control) {
                let error = format!("expected one line of 1 to {MAX_DESCRIPTION} characters");
                return Err((description.span().start, error));
            }
            field.description = Some(intern(text));
        }
        field.required = section.required;
        (field.unique, field.filter, field.sort) =
            (is(&section.unique), is(&section.filter), is(&section.sort));
        check_found(&field, section)?;
        if let Some(set_by) = &section.set_by {
            if set_by.get_ref() != "actions" {
                return Err((set_by.span().start, "expected \"actions\"".to_owned()));
            }
            field.set_by_actions = true;
        }
        if let Some(default) = &section.default {
            field.default = Some(value(&field, default)?);
        }
        for (from, to) in &section.moves {
            let from = value_of(&field, from)?;
            let to = to.iter().map(|to| value_of(&field, to)).collect::<Result<_, _>>()?;
            field.moves.push((from, to));
        }
        Ok(field)
    }

    fn kind(&self, section: &FieldSettings) -> Result<Kind, SettingError> {
        let at = section.r#type.span().start;
        let bounded = |number: &Option<Spanned<i64>>, default: i64, most: i64| match number {
            Some(number) if !(1..=most).contains(number.get_ref()) => {
                Err((number.span().start, format!("expected a number from 1 to {most}")))
            }
            number => Ok(number.as_ref().map_or(default, |number| *number.get_ref()).unsigned_abs()),
        };
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let most_text = Kind::MAX_TEXT.cast_signed() as i64;
        Ok(match section.r#type.get_ref().as_str() {
            "text" => Kind::Text { max: size(bounded(&section.max, 255, most_text)?) },
            "email" => Kind::Email,
            "url" => Kind::Url,
            "boolean" => Kind::Boolean,
            "time" => Kind::Time,
            "json" => Kind::Json { max_bytes: size(bounded(&section.max_bytes, 16_384, MAX_BYTES)?) },
            "text[]" => Kind::Texts {
                max: size(bounded(&section.max, 40, Kind::MAX_INDEXED.cast_signed() as i64)?),
                max_items: size(bounded(&section.max_items, 50, MAX_ITEMS)?),
            },
            "integer" => {
                let of = |number: &Option<Spanned<i64>>, default| {
                    number.as_ref().map_or(default, |n| *n.get_ref())
                };
                // What every reader of JSON keeps whole.
                const MOST: i64 = 9_007_199_254_740_991;
                let (min, max) = (of(&section.min, -MOST), of(&section.max, MOST));
                if min > max || min < -MOST || max > MOST {
                    return Err((at, format!("expected min ≤ max, from -{MOST} to {MOST}")));
                }
                Kind::Integer { min, max }
            }
            "enum" => {
                let Some(given) = &section.values else { return Err((at, "takes values".to_owned())) };
                let mut values = Vec::new();
                for value in given.get_ref() {
                    let text = value.get_ref();
                    let sound = (1..=MAX_NAME).contains(&text.len())
                        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
                    if !sound || values.contains(&text.as_str()) {
                        let error =
                            format!("expected words of 1 to {MAX_NAME} letters, digits, _ and -, each once");
                        return Err((value.span().start, error));
                    }
                    values.push(intern(text));
                }
                if !(1..=MAX_VALUES).contains(&values.len()) {
                    return Err((given.span().start, format!("expected 1 to {MAX_VALUES} values")));
                }
                Kind::Enum { values }
            }
            "ref" => {
                let Some(to) = &section.to else {
                    return Err((at, "takes the resource that it leads to".to_owned()));
                };
                match self.get(to.get_ref()) {
                    Some(of) if of.parent.is_none() => {}
                    Some(_) => {
                        return Err((
                            to.span().start,
                            "records of this resource belong to others".to_owned(),
                        ));
                    }
                    None => {
                        return Err((
                            to.span().start,
                            format!("unknown resource; known are: {}", self.names()),
                        ));
                    }
                }
                let Some(on_delete) = &section.on_delete else {
                    let words = OnDelete::NAMES.join(", ");
                    return Err((at, format!("takes on_delete, one of: {words}")));
                };
                let then: OnDelete =
                    on_delete.get_ref().parse().map_err(|error| (on_delete.span().start, error))?;
                if then == OnDelete::Unset && section.required {
                    return Err((on_delete.span().start, "the field is required".to_owned()));
                }
                Kind::Ref {
                    to: intern(to.get_ref()),
                    id_prefix: self.id_prefix(to.get_ref()),
                    on_delete: then,
                }
            }
            _ => return Err((at, format!("unknown type; known are: {}", Kind::NAMES.join(", ")))),
        })
    }

    /// Names that may not be twice, or that the platform has already.
    fn check_names(&self, declared: &Declarations, taken: &Taken) -> Result<(), SettingError> {
        let mut taken = taken.clone();
        let mut prefixes = BTreeSet::new();
        let mut paths = BTreeSet::new();
        for ((name, section), resource) in self.0.iter().zip(declared.iter()) {
            let at = name.span().start;
            let plural = section.plural.as_ref().map_or(at, |plural| plural.span().start);
            let path = resource.plural;
            if ACTIONS.contains(&path) {
                return Err((plural, format!("{path} is the action of a scope; say plural = \"…\"")));
            }
            let reserved = RESERVED.contains(&path) || RESERVED_OF_ANALYTICS.contains(&path);
            if resource.parent.is_none() && (reserved || taken.paths.contains(path)) {
                return Err((plural, format!("/{path} is a path of the platform; say plural = \"…\"")));
            }
            if !paths.insert((resource.parent, path)) {
                return Err((plural, format!("another resource has the plural {path}")));
            }
            let parent = resource.parent.and_then(|parent| declared.get(parent));
            if parent.is_some_and(|parent| parent.action(path).is_some()) {
                return Err((plural, format!("{path} is an action of the parent")));
            }
            if taken.events.contains(resource.name) {
                return Err((at, format!("{}.* are events of the platform", resource.name)));
            }
            if !prefixes.insert(resource.id_prefix) {
                return Err((section.ids.span().start, "another resource has these ids".to_owned()));
            }
            for operation in resource.operation_ids() {
                if !taken.operations.insert(operation.clone()) {
                    return Err((at, format!("there is an operation {operation} already")));
                }
            }
            for schema in resource.schema_names() {
                if !taken.schemas.insert(schema.clone()) {
                    return Err((at, format!("there is a schema {schema} already")));
                }
            }
        }
        Ok(())
    }
}

/// A name: `a-z`, then `a-z`, `0-9` and `_`.
fn word(word: &Spanned<String>) -> Result<&'static str, SettingError> {
    let text = word.get_ref();
    let sound = text.len() <= MAX_NAME
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !text.ends_with('_');
    let error = || format!("expected a name of 1 to {MAX_NAME} of a-z, 0-9 and _, with a letter first");
    sound.then(|| intern(text)).ok_or_else(|| (word.span().start, error()))
}

fn id_prefix(ids: &Spanned<String>) -> Result<&'static str, SettingError> {
    let text = ids.get_ref();
    let error = |error: &str| Err((ids.span().start, error.to_owned()));
    let letters = text.strip_suffix('_').unwrap_or_default();
    let sound = (1..=10).contains(&letters.len())
        && letters.starts_with(|c: char| c.is_ascii_lowercase())
        && letters.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    match sound {
        false => error("expected 1 to 10 of a-z and 0-9 and a _, such as lead_"),
        true if RESERVED_IDS.contains(&text.as_str()) => error("ids of the platform begin with this"),
        true => Ok(intern(text)),
    }
}

/// Refuses options that a kind of field does not have.
fn check_options(kind: &Kind, section: &FieldSettings) -> Result<(), SettingError> {
    let name = kind.name();
    let start = |option: Option<usize>, of: &'static str, takes: &[&str]| match option {
        Some(at) if !takes.contains(&name) => {
            Err((at, format!("{of} is an option of {}, not of {name}", takes.join(" and "))))
        }
        _ => Ok(()),
    };
    fn at<T>(option: &Option<Spanned<T>>) -> Option<usize> {
        option.as_ref().map(|option| option.span().start)
    }
    start(at(&section.max), "max", &["text", "text[]", "integer"])?;
    start(at(&section.min), "min", &["integer"])?;
    start(at(&section.max_items), "max_items", &["text[]"])?;
    start(at(&section.max_bytes), "max_bytes", &["json"])?;
    start(at(&section.values), "values", &["enum"])?;
    start(at(&section.to), "to", &["ref"])?;
    start(at(&section.on_delete), "on_delete", &["ref"])?;
    let moves = section.moves.keys().next().map(|from| from.span().start);
    start(moves, "moves", &["enum"])?;
    start(at(&section.default), "default", &["text", "enum", "integer", "boolean"])
}

/// Refuses to find records by what has no index.
fn check_found(field: &Field, section: &FieldSettings) -> Result<(), SettingError> {
    let options = [
        ("filter", field.filter, &section.filter),
        ("sort", field.sort, &section.sort),
        ("unique", field.unique, &section.unique),
    ];
    for (name, is, option) in options {
        if !is {
            continue;
        }
        let error = |error: String| Err((option.span().start, error));
        let possible = match name {
            "filter" => field.kind.column().is_some() || matches!(field.kind, Kind::Texts { .. }),
            "sort" => field.kind.column().is_some() && !matches!(field.kind, Kind::Ref { .. }),
            _ => matches!(field.kind, Kind::Text { .. } | Kind::Email),
        };
        if !possible {
            return error(format!("{} cannot have {name}", field.kind.name()));
        }
        if matches!(field.kind, Kind::Text { max } if max > Kind::MAX_INDEXED) {
            return error(format!("takes max = {} or less", Kind::MAX_INDEXED));
        }
    }
    Ok(())
}

/// Refuses two fields that would give one parameter.
fn check_parameters(name: &Spanned<String>, declared: &ResourceType) -> Result<(), SettingError> {
    let mut seen = BTreeSet::new();
    for parameter in declared.parameters() {
        if !seen.insert(parameter.clone()) {
            return Err((name.span().start, format!("two fields would have the parameter {parameter}")));
        }
    }
    Ok(())
}

fn field_of<'d>(declared: &'d ResourceType, name: &Spanned<String>) -> Result<&'d Field, SettingError> {
    declared.field(name.get_ref()).ok_or_else(|| {
        let known: Vec<_> = declared.fields.iter().map(|field| field.name).collect();
        (name.span().start, format!("unknown field; known are: {}", known.join(", ")))
    })
}

/// A word of an enumeration.
fn value_of(field: &Field, value: &Spanned<String>) -> Result<&'static str, SettingError> {
    let error = |error: String| (value.span().start, error);
    let Kind::Enum { values } = &field.kind else { return Err(error(format!("{} is no enum", field.name))) };
    let known = values.iter().find(|known| *known == value.get_ref());
    known.copied().ok_or_else(|| error(format!("unknown value; known are: {}", values.join(", "))))
}

/// A value of a field.
fn value(field: &Field, given: &Spanned<Scalar>) -> Result<Json, SettingError> {
    let error = |error: String| (given.span().start, error);
    let json = match (given.get_ref(), &field.kind) {
        (Scalar::Boolean(value), Kind::Boolean) => Json::written(value),
        (Scalar::Integer(value), Kind::Integer { .. }) => Json::written(value),
        (Scalar::Text(text), kind)
            if !matches!(kind, Kind::Boolean | Kind::Integer { .. } | Kind::Texts { .. }) =>
        {
            Json::written(&kind.text(field.name, text).map_err(error)?)
        }
        (_, kind) => return Err(error(format!("expected a value of {}", kind.name()))),
    };
    field.kind.error(field.name, &json).map_or(Ok(json), |wrong| Err(error(wrong)))
}

fn conditions(given: &WordsByField, fields: &[Field]) -> Result<Conditions, SettingError> {
    let mut conditions = Vec::new();
    for (name, values) in given {
        let Some(field) = fields.iter().find(|field| field.name == name.get_ref()) else {
            let known: Vec<_> = fields.iter().map(|field| field.name).collect();
            return Err((name.span().start, format!("unknown field; known are: {}", known.join(", "))));
        };
        let values = values.iter().map(|value| value_of(field, value)).collect::<Result<_, _>>()?;
        conditions.push((field.name, values));
    }
    Ok(conditions)
}

type Set = Vec<(&'static str, Setting)>;

fn set(
    declared: &ResourceType,
    given: &IndexMap<Spanned<String>, Spanned<Scalar>>,
) -> Result<Set, SettingError> {
    let mut set = Vec::new();
    for (name, given) in given {
        let field = field_of(declared, name)?;
        let setting = match (given.get_ref(), &field.kind) {
            (Scalar::Text(now), Kind::Time) if now == "now" => Setting::Now,
            _ => Setting::Value(value(field, given)?),
        };
        set.push((field.name, setting));
    }
    Ok(set)
}

fn names(declared: &ResourceType, given: &Words) -> Result<Vec<&'static str>, SettingError> {
    given.iter().map(|name| field_of(declared, name).map(|field| field.name)).collect()
}

fn event(declared: &ResourceType, event: &Spanned<String>) -> Result<&'static str, SettingError> {
    let what = event.get_ref().strip_prefix(declared.name).and_then(|rest| rest.strip_prefix('.'));
    let sound = what.is_some_and(|what| {
        !what.is_empty()
            && what.len() <= MAX_NAME
            && what.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    });
    let error = || format!("expected {}. and a word of a-z and _", declared.name);
    sound.then(|| intern(event.get_ref())).ok_or_else(|| (event.span().start, error()))
}

fn action(
    declared: &ResourceType,
    name: &Spanned<String>,
    section: &ActionSettings,
) -> Result<Action, SettingError> {
    let own = word(name)?;
    let action = Action {
        name: own,
        from: conditions(&section.from, &declared.fields)?,
        input: names(declared, &section.input)?,
        optional: names(declared, &section.optional)?,
        set: set(declared, &section.set)?,
        unset: names(declared, &section.unset)?,
        add: names(declared, &section.add)?,
        remove: names(declared, &section.remove)?,
        event: match &section.event {
            Some(event) => self::event(declared, event)?,
            None => declared.event_type("updated"),
        },
    };
    for (given, listed) in [(&section.add, &action.add), (&section.remove, &action.remove)] {
        for (given, name) in given.iter().zip(listed) {
            let is_list = declared.field(name).is_some_and(|field| matches!(field.kind, Kind::Texts { .. }));
            if !is_list || !action.fields().any(|field| field == *name) {
                return Err((given.span().start, "expected a list that the body holds".to_owned()));
            }
        }
    }
    let required = |name: &&&str| declared.field(name).is_some_and(|field| field.required);
    if let Some(name) = action.unset.iter().find(required) {
        return Err((name_start(&section.unset, name), format!("{name} is required")));
    }
    Ok(action)
}

fn name_start(words: &Words, name: &str) -> usize {
    words.iter().find(|word| word.get_ref() == name).map_or(0, |word| word.span().start)
}

fn enter(
    declared: &ResourceType,
    value: &Spanned<String>,
    section: &EnterSettings,
) -> Result<Enter, SettingError> {
    let field = field_of(declared, &section.field)?;
    let value = value_of(field, value)?;
    let enter = Enter {
        field: field.name,
        value,
        set: set(declared, &section.set)?,
        unset: names(declared, &section.unset)?,
        event: section.event.as_ref().map(|event| self::event(declared, event)).transpose()?,
    };
    let required = |name: &&&str| declared.field(name).is_some_and(|field| field.required);
    match enter.unset.iter().find(required) {
        Some(name) => Err((name_start(&section.unset, name), format!("{name} is required"))),
        None => Ok(enter),
    }
}
