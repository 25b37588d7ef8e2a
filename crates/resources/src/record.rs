//! The life of a record: what it holds after each request, and which events happened.

use gatepost_kernel::{CalendarTime, FieldErrors, Json, JsonObject, RecordId, Timestamp, text::required};
use gatepost_macros::Fields;

use crate::{Action, Conditions, Field, Kind, ResourceType, Setting};

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, Fields)]
pub struct Record {
    /// Numeric id of the record, in the order of creation.
    pub id: RecordId,
    /// Id of the record, as callers know it.
    pub public_id: String,
    /// When the record was made.
    pub created_at: Timestamp,
    /// When the record was last changed.
    pub updated_at: Timestamp,
    /// What it holds.
    pub data: JsonObject,
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it holds now, in the order of the declaration.
    pub data: JsonObject,
    /// The types of the events that happened, in their order.
    pub events: Vec<&'static str>,
}

/// Why a record stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// What was given breaks rules.
    Fields(FieldErrors),
    /// Not in the state that the record is in; a sentence.
    State(String),
}

impl From<FieldErrors> for Refusal {
    fn from(errors: FieldErrors) -> Self {
        Self::Fields(errors)
    }
}

impl ResourceType {
    /// A new record of these fields, each of which was read by its [`Kind`].
    ///
    /// # Errors
    /// The fields that are missing.
    pub fn create(&self, mut given: JsonObject, now: Timestamp) -> Result<Change, FieldErrors> {
        let (mut data, mut errors) = (JsonObject::default(), FieldErrors::default());
        for field in &self.fields {
            let value = given.remove(field.name).filter(|value| !value.is_null());
            match value.or_else(|| field.default.clone()) {
                Some(value) if !is_missing(field, &value) => data.set(field.name, value),
                _ if field.required => errors.add(field.name, required(&field.label())),
                Some(value) => data.set(field.name, value),
                None => {}
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut events = vec![self.event_type("created")];
        self.enter(&JsonObject::default(), &mut data, &mut events, now);
        Ok(Change { data: self.ordered(data), events })
    }

    /// A record with these changes; `null` takes a field away. None if nothing is different.
    ///
    /// # Errors
    /// If a field that must be there is taken away, or a field may not become that value now.
    pub fn update(
        &self,
        before: &JsonObject,
        changes: JsonObject,
        now: Timestamp,
    ) -> Result<Option<Change>, Refusal> {
        let mut errors = FieldErrors::default();
        for field in self.fields.iter().filter(|field| !field.can_be_taken_away()) {
            if changes.get(field.name).is_some_and(|value| value.is_null() || is_missing(field, value)) {
                errors.add(field.name, required(&field.label()));
            }
        }
        if !errors.is_empty() {
            return Err(Refusal::Fields(errors));
        }
        for field in self.fields.iter().filter(|field| !field.moves.is_empty()) {
            let (from, to) = (before.text(field.name), changes.text(field.name));
            let (Some(from), Some(to)) = (from, to) else { continue };
            let next = field.moves.iter().find(|(value, _)| *value == from).map(|(_, next)| next.as_slice());
            if from != to && !next.unwrap_or_default().contains(&to.as_str()) {
                return Err(Refusal::State(self.cannot_move(field, &from, &to, next.unwrap_or_default())));
            }
        }
        let mut data = before.clone();
        data.merge(changes);
        let data = self.ordered(data);
        if data == self.ordered(before.clone()) {
            return Ok(None);
        }
        let mut events = vec![self.event_type("updated")];
        let mut data = data;
        self.enter(before, &mut data, &mut events, now);
        Ok(Some(Change { data: self.ordered(data), events }))
    }

    /// A record after an action with this input.
    ///
    /// # Errors
    /// If the record is not in a state for it, something is missing, or a list would have too many items.
    pub fn act(
        &self,
        action: &Action,
        before: &JsonObject,
        input: JsonObject,
        now: Timestamp,
    ) -> Result<Change, Refusal> {
        if let Some((field, values)) = first_unmet(&action.from, before) {
            let (label, doing) = (self.label(), action.name.replace('_', " "));
            return Err(Refusal::State(format!(
                "The {label} cannot {doing} while its {} is {}; it must be {}.",
                field.replace('_', " "),
                before.text(field).unwrap_or_else(|| "not set".to_owned()),
                values.join(" or "),
            )));
        }
        let mut errors = FieldErrors::default();
        for name in &action.input {
            let given = input.get(name).filter(|value| !value.is_null());
            if given.zip(self.field(name)).is_none_or(|(value, field)| is_missing(field, value)) {
                errors.add(*name, required(&name.replace('_', " ")));
            }
        }
        if !errors.is_empty() {
            return Err(Refusal::Fields(errors));
        }
        let mut data = before.clone();
        for (name, value) in input.iter().filter(|(_, value)| !value.is_null()) {
            let (adds, removes) = (action.add.contains(&name), action.remove.contains(&name));
            let value = match adds || removes {
                true => self.combined(name, before, value, adds)?,
                false => value.clone(),
            };
            data.set(name, value);
        }
        set_all(&mut data, &action.set, &action.unset, now);
        let mut events = vec![action.event];
        self.enter(before, &mut data, &mut events, now);
        Ok(Change { data: self.ordered(data), events })
    }

    /// Why a record may not be added to this parent now; none if it may.
    pub fn refused_by(&self, parent: &ResourceType, data: &JsonObject) -> Option<String> {
        let (field, values) = first_unmet(&self.when, data)?;
        Some(format!(
            "A {} can only be added while the {} of the {} is {}.",
            self.label(),
            field.replace('_', " "),
            parent.label(),
            values.join(" or "),
        ))
    }

    /// A record as callers see it: its id, every field, `null` where it has no value, and when it was made
    /// and changed.
    pub fn shown(&self, record: &Record) -> JsonObject {
        let field = |field: &Field| {
            let value = record.data.get(field.name).cloned();
            (field.name.to_owned(), value.unwrap_or_else(|| Json::written(&())))
        };
        let member = |name: &str, value: Json| (name.to_owned(), value);
        let first = member("id", Json::written(&record.public_id));
        let (created_at, updated_at) = (Json::written(&record.created_at), Json::written(&record.updated_at));
        let last = [member("created_at", created_at), member("updated_at", updated_at)];
        std::iter::once(first).chain(self.fields.iter().map(field)).chain(last).collect()
    }

    /// The members of a record as callers see it, in their order.
    pub fn members(&self) -> impl Iterator<Item = &'static str> {
        let fields = self.fields.iter().map(|field| field.name);
        std::iter::once("id").chain(fields).chain(["created_at", "updated_at"])
    }

    /// The first thing that is wrong with a stored record by the rules of now; none if nothing is.
    pub fn error(&self, data: &JsonObject) -> Option<String> {
        self.fields.iter().find_map(|field| match data.get(field.name) {
            Some(value) => field.kind.error(field.name, value),
            None if field.required => Some(required(&field.label())),
            None => None,
        })
    }

    /// What happens because fields became values.
    fn enter(
        &self,
        before: &JsonObject,
        data: &mut JsonObject,
        events: &mut Vec<&'static str>,
        now: Timestamp,
    ) {
        for enter in &self.enters {
            let is = |data: &JsonObject| data.text(enter.field).is_some_and(|value| value == enter.value);
            if is(data) && !is(before) {
                set_all(data, &enter.set, &enter.unset, now);
                events.extend(enter.event);
            }
        }
    }

    /// A list with the items of another added, or taken away.
    fn combined(&self, name: &str, before: &JsonObject, given: &Json, adds: bool) -> Result<Json, Refusal> {
        let items = |json: Option<&Json>| -> Vec<String> {
            json.and_then(|json| serde_json::from_str(json.as_str()).ok()).unwrap_or_default()
        };
        let (mut all, given) = (items(before.get(name)), items(Some(given)));
        match adds {
            true => given.into_iter().for_each(|item| {
                if !all.contains(&item) {
                    all.push(item);
                }
            }),
            false => all.retain(|item| !given.contains(item)),
        }
        let json = Json::written(&all);
        match self.field(name).and_then(|field| field.kind.error(name, &json)) {
            Some(error) => {
                let mut errors = FieldErrors::default();
                errors.add(name, error);
                Err(Refusal::Fields(errors))
            }
            None => Ok(json),
        }
    }

    /// The same members in the order of the declaration; those of fields that are declared no more come last.
    fn ordered(&self, mut data: JsonObject) -> JsonObject {
        let taken: Vec<(String, Json)> = self
            .fields
            .iter()
            .filter_map(|field| Some((field.name.to_owned(), data.remove(field.name)?)))
            .collect();
        let others = data.iter().map(|(name, value)| (name.to_owned(), value.clone()));
        let others: Vec<_> = others.collect();
        taken.into_iter().chain(others).collect()
    }

    fn cannot_move(&self, field: &Field, from: &str, to: &str, next: &[&str]) -> String {
        let (label, name) = (self.label(), field.label());
        match next.is_empty() {
            true => format!("The {name} of the {label} cannot become {to}: {from} is final."),
            false => format!(
                "The {name} of the {label} cannot become {to}: from {from} it can become {}.",
                next.join(" or ")
            ),
        }
    }
}

/// Whether a value is as good as none where one must be: a text of blanks alone, or an empty list.
fn is_missing(field: &Field, value: &Json) -> bool {
    match field.kind {
        Kind::Text { .. } => value.text().is_some_and(|text| text.chars().all(char::is_whitespace)),
        Kind::Texts { .. } => value.as_str().trim_matches(['[', ']']).trim().is_empty(),
        _ => false,
    }
}

fn set_all(data: &mut JsonObject, set: &[(&'static str, Setting)], unset: &[&'static str], now: Timestamp) {
    for (name, setting) in set {
        let value = match setting {
            Setting::Value(value) => value.clone(),
            Setting::Now => Json::written(&CalendarTime(now)),
        };
        data.set(name, value);
    }
    for name in unset {
        data.remove(name);
    }
}

/// The first field that is not one of the values that it must be, and these.
fn first_unmet<'c>(
    conditions: &'c Conditions,
    data: &JsonObject,
) -> Option<(&'static str, &'c [&'static str])> {
    let unmet = conditions.iter().find(|(field, values)| {
        let value = data.text(field);
        !values.iter().any(|accepted| value.as_deref() == Some(*accepted))
    });
    unmet.map(|(field, values)| (*field, values.as_slice()))
}
