//! What becomes of records, and reading them.

use std::{collections::BTreeMap, sync::Arc};

use gatepost_entitlements::Operation;
use gatepost_kernel::{
    Error, EventId, FieldErrors, Json, JsonObject, Owner, Page, Result, Timestamp, random,
};
use gatepost_resources::{Action, Change, Field, Kind, Record, Refusal, new_id};
use gatepost_storage::{NewRecord, RecordFilter, Tx};
use serde_json::{Map, json};

use super::{Resource, Resources};
use crate::{
    App, Caller, UnitOfWork,
    audit_log::changed_fields,
    entitlements::use_records,
    lists::{ListRequest, MAX_PAGE_BYTES},
};

/// How many records that others refer to are read at once.
const INCLUDED_AT_ONCE: usize = 8;

/// Which record.
#[derive(Debug, Clone)]
pub struct RecordPath {
    /// Id of the record that it belongs to, if records of its type belong to others.
    pub parent_id: Option<String>,
    /// Id of the record.
    pub id: String,
}

/// Which records to list.
#[derive(Debug, Clone, Default)]
pub struct ListRecords {
    /// Id of the parent that they belong to, if records of their type belong to others.
    pub parent_id: Option<String>,
    /// Conditions that each of them meets.
    pub filters: Vec<RecordFilter>,
    /// The references whose records are to be answered too, by the names under which they are.
    pub include: Vec<&'static str>,
}

/// A record as callers see it, and those that it refers to, by the names under which they were asked for.
#[derive(Debug, Clone)]
pub struct ShownRecord {
    /// Members of the record, in the order in which they are shown.
    pub members: JsonObject,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// One page of the caller's records of a type.
///
/// # Errors
/// [`Error::NotFound`] if there is no such parent; [`Error::Unavailable`].
pub async fn list(
    app: &App,
    caller: &Caller,
    resource: &Arc<Resource>,
    query: ListRecords,
    request: ListRequest,
) -> Result<Page<ShownRecord>> {
    let (owner, resources, resource) = (caller.owner(), app.resources().clone(), resource.clone());
    let ListRecords { parent_id, mut filters, include } = query;
    app.read_snapshot(async move |mut tx| {
        if let Some(parent_id) = parent_id {
            let parent = parent_set(&resources, &resource, owner, &parent_id)?;
            tx.record_get(parent, &parent_id).await?.ok_or(Error::NotFound)?;
            filters.push(resource.of_parent(&parent_id)?);
        }
        let page = tx.record_list(resource.set(owner), &filters, &request).await?;
        let included = included(&mut tx, &resources, &resource, owner, &include, &page.items).await?;
        Ok(page.map(|record| shown(&resource, &record, &include, &included)))
    })
    .await
}

/// One record.
///
/// # Errors
/// [`Error::NotFound`], also if the caller may not see it; [`Error::Unavailable`].
pub async fn get(
    app: &App,
    caller: &Caller,
    resource: &Arc<Resource>,
    path: RecordPath,
    include: Vec<&'static str>,
) -> Result<ShownRecord> {
    resource.check_id(&path.id)?;
    let (owner, resources, resource) = (caller.owner(), app.resources().clone(), resource.clone());
    app.read(async move |mut tx| {
        if let Some(parent_id) = &path.parent_id {
            // What belonged to one that is gone may still wait to be deleted.
            let parent = parent_set(&resources, &resource, owner, parent_id)?;
            tx.record_get(parent, parent_id).await?.ok_or(Error::NotFound)?;
        }
        let record = tx.record_get(resource.set(owner), &path.id).await?;
        let record = of_parent(&resource, record, &path)?;
        let records = std::slice::from_ref(&record);
        let included = included(&mut tx, &resources, &resource, owner, &include, records).await?;
        Ok(shown(&resource, &record, &include, &included))
    })
    .await
}

/// Makes a record of these fields, each of which was read by its kind.
///
/// # Errors
/// [`Error::NotFound`] if there is no such parent; [`Error::Validation`]; [`Error::InvalidState`] if the
/// parent takes no more; [`Error::FeatureLimitReached`].
pub async fn create(
    unit: &mut UnitOfWork<'_>,
    resource: &Arc<Resource>,
    parent_id: Option<String>,
    mut given: JsonObject,
) -> Result<ShownRecord> {
    let (owner, now) = (unit.caller().owner(), unit.now);
    let resources = unit.app().resources().clone();
    if let (Some(parent_id), Some(field)) = (parent_id, resource.declared.parent_field()) {
        let set = parent_set(&resources, resource, owner, &parent_id)?;
        let parent = unit.tx.record_keep(set, &parent_id).await?.ok_or(Error::NotFound)?;
        let parent_type = resources.parent_of(resource).ok_or(Error::NotFound)?;
        if let Some(refusal) = resource.declared.refused_by(&parent_type.declared, &parent.data) {
            return Err(Error::InvalidState(refusal));
        }
        given.set(field, Json::written(&parent_id));
    }
    let Change { data, events } = resource.declared.create(given, now).map_err(Error::Validation)?;
    check_references(unit, &resources, resource, &data).await?;
    if let Some(feature) = resource.declared.count {
        use_records(unit, feature, Operation::Add, 1).await?;
    }
    let new = NewRecord {
        set: resource.set(owner),
        public_id: new_id(&mut random::rng(), resource.declared.id_prefix),
        slots: resource.layout.slots(&resource.declared, &data),
        marks: resource.layout.marks(&resource.declared, &data),
        data,
        created_at: now,
    };
    let record = unit.tx.record_insert(&new).await?.map_err(|number| taken(resource, number))?;
    tell(unit, resource, &record, &events);
    note(unit, resource, &record, resource.declared.event_type("created"), Map::new());
    Ok(shown(resource, &record, &[], &BTreeMap::new()))
}

/// Changes fields of a record; `null` takes one away.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::PreconditionFailed`]; [`Error::Validation`]; [`Error::InvalidState`] if a
/// field may not become that value now.
pub async fn update(
    unit: &mut UnitOfWork<'_>,
    resource: &Arc<Resource>,
    path: RecordPath,
    changes: JsonObject,
) -> Result<ShownRecord> {
    let resources = unit.app().resources().clone();
    check_references(unit, &resources, resource, &changes).await?;
    let before = lock(unit, resource, &path).await?;
    let fields: Vec<(&str, bool)> = changes.iter().map(|(name, _)| (name, true)).collect();
    let details = changed_fields(&fields);
    let now = unit.now_after(before.updated_at);
    let Some(change) = resource.declared.update(&before.data, changes, unit.now).map_err(refused)? else {
        return Ok(shown(resource, &before, &[], &BTreeMap::new()));
    };
    let record = keep(unit, resource, &before, change, now).await?;
    note(unit, resource, &record, resource.declared.event_type("updated"), details);
    Ok(shown(resource, &record, &[], &BTreeMap::new()))
}

/// Does to a record what is declared.
///
/// # Errors
/// As [`update`]; [`Error::InvalidState`] if the record is not in a state for it.
pub async fn act(
    unit: &mut UnitOfWork<'_>,
    resource: &Arc<Resource>,
    action: &Action,
    path: RecordPath,
    input: JsonObject,
) -> Result<ShownRecord> {
    let resources = unit.app().resources().clone();
    check_references(unit, &resources, resource, &input).await?;
    let before = lock(unit, resource, &path).await?;
    let now = unit.now_after(before.updated_at);
    let change = resource.declared.act(action, &before.data, input, unit.now).map_err(refused)?;
    let record = keep(unit, resource, &before, change, now).await?;
    let details = Map::from_iter([("action".to_owned(), json!(action.name))]);
    note(unit, resource, &record, action.event, details);
    Ok(shown(resource, &record, &[], &BTreeMap::new()))
}

/// A record that nobody else changes until the unit ends.
pub(super) async fn lock(
    unit: &mut UnitOfWork<'_>,
    resource: &Arc<Resource>,
    path: &RecordPath,
) -> Result<Record> {
    resource.check_id(&path.id)?;
    let set = resource.set(unit.caller().owner());
    let record = unit.tx.record_lock(set, &path.id).await?;
    let record = of_parent(resource, record, path)?;
    unit.check_match(record.updated_at)?;
    Ok(record)
}

/// Keeps a change to a record, and tells of it.
pub(super) async fn keep(
    unit: &mut UnitOfWork<'_>,
    resource: &Resource,
    before: &Record,
    Change { data, events }: Change,
    now: Timestamp,
) -> Result<Record> {
    let (set, declared, layout) = (resource.set(unit.caller().owner()), &resource.declared, &resource.layout);
    let slots = layout.slots(declared, &data);
    let marks = (&layout.marks(declared, &before.data), &layout.marks(declared, &data));
    let record = unit.tx.record_update(set, before.id, (&data, &slots), marks, now).await?;
    let record = record.map_err(|number| taken(resource, number))?;
    tell(unit, resource, &record, &events);
    Ok(record)
}

/// Tells endpoints that events of these types have happened to a record.
pub(super) fn tell(unit: &mut UnitOfWork<'_>, resource: &Resource, record: &Record, events: &[&'static str]) {
    let (owner, now) = (unit.caller().owner(), unit.now);
    let data = Json::written(&resource.declared.shown(record));
    for event_type in events {
        let id = EventId::generate(&mut random::rng());
        unit.store_later(gatepost_delivery::event(id, event_type, now, owner, &data));
    }
}

/// Notes in the audit log what was done to a record.
pub(super) fn note(
    unit: &mut UnitOfWork<'_>,
    resource: &Resource,
    record: &Record,
    action: &'static str,
    mut details: Map<String, serde_json::Value>,
) {
    details.insert("id".to_owned(), json!(record.public_id));
    let workspace = unit.caller().workspace_id();
    unit.audit(workspace, action, (resource.declared.name, record.id.0), details);
}

/// Where the parents of a type's records are. What cannot be the id of one is not found.
fn parent_set(
    resources: &Resources,
    resource: &Resource,
    owner: Owner,
    parent_id: &str,
) -> Result<gatepost_storage::RecordSet> {
    let parent = resources.parent_of(resource).ok_or(Error::NotFound)?;
    parent.check_id(parent_id)?;
    Ok(parent.set(owner))
}

/// The record, if it is there and belongs to the parent that the path names.
fn of_parent(resource: &Resource, record: Option<Record>, path: &RecordPath) -> Result<Record> {
    let record = record.ok_or(Error::NotFound)?;
    let parent_id = resource.declared.parent_field().and_then(|field| record.data.text(field));
    if parent_id == path.parent_id { Ok(record) } else { Err(Error::NotFound) }
}

/// Refuses references to what there is not, for this caller and in this environment. What is referred to
/// stays until the unit ends.
///
/// This comes before the record itself is held: whoever deletes what it refers to holds that first and then
/// the record.
async fn check_references(
    unit: &mut UnitOfWork<'_>,
    resources: &Resources,
    resource: &Resource,
    given: &JsonObject,
) -> Result<()> {
    let (owner, mut errors) = (unit.caller().owner(), FieldErrors::default());
    for field in &resource.declared.fields {
        let (Kind::Ref { to, .. }, Some(id)) = (&field.kind, given.text(field.name)) else { continue };
        let found = match resources.get(to) {
            Some(referred) if referred.check_id(&id).is_ok() => {
                unit.tx.record_keep(referred.set(owner), &id).await?
            }
            _ => None,
        };
        if found.is_none() {
            let (label, to) = (field.label(), to.replace('_', " "));
            errors.add(field.name, format!("The selected {label} is invalid: there is no such {to}."));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::Validation(errors)) }
}

fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Fields(errors) => Error::Validation(errors),
        Refusal::State(text) => Error::InvalidState(text),
    }
}

/// What is told who gives a unique field a value that another record has.
fn taken(resource: &Resource, number: i64) -> Error {
    let place = resource.layout.places().iter().find(|place| place.number == number);
    let field = place.and_then(|place| resource.declared.field(&place.name));
    let name = field.map_or("", |field| field.name);
    let label = field.map(Field::label).unwrap_or_default();
    Error::invalid(name, format!("The {label} has already been taken."))
}

/// Records that others refer to, by their ids.
type Included = BTreeMap<String, Json>;

/// The records that some refer to in the fields that are to be included.
async fn included(
    tx: &mut Tx<'_>,
    resources: &Resources,
    resource: &Resource,
    owner: Owner,
    include: &[&'static str],
    records: &[Record],
) -> Result<Included> {
    let (mut included, mut bytes) = (Included::new(), 0);
    for (_, field) in resource.declared.includes().filter(|(name, _)| include.contains(name)) {
        let Kind::Ref { to, .. } = field.kind else { continue };
        let Some(referred) = resources.get(to) else { continue };
        let mut ids: Vec<String> = records.iter().filter_map(|record| record.data.text(field.name)).collect();
        ids.sort_unstable();
        ids.dedup();
        // Few at a time: how large they are is known only when they are read.
        for some in ids.chunks(INCLUDED_AT_ONCE) {
            for record in tx.record_get_all(referred.set(owner), some).await? {
                let shown = Json::written(&referred.declared.shown(&record));
                bytes += shown.as_str().len() as u64;
                included.insert(record.public_id, shown);
            }
            if bytes > MAX_PAGE_BYTES {
                let error =
                    format!("What is included is larger than {MAX_PAGE_BYTES} bytes. Ask for fewer items.");
                return Err(Error::invalid("include", error));
            }
        }
    }
    Ok(included)
}

fn shown(resource: &Resource, record: &Record, include: &[&'static str], included: &Included) -> ShownRecord {
    let mut members = resource.declared.shown(record);
    for (name, field) in resource.declared.includes().filter(|(name, _)| include.contains(name)) {
        let referred = record.data.text(field.name).and_then(|id| included.get(&id).cloned());
        members.set(name, referred.unwrap_or_else(|| Json::written(&())));
    }
    ShownRecord { members, updated_at: record.updated_at }
}
