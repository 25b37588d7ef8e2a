//! Deleting records, and what becomes of those that refer to them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use gatepost_entitlements::Operation;
use gatepost_kernel::{Error, Json, JsonObject, Page, PageRequest, RecordId, Result, Window};
use gatepost_resources::{Field, Kind, Marks, OnDelete, Record, ResourceType};
use gatepost_storage::{ListRequest, RecordPurge, Size, Tx};
use serde_json::Map;

use super::{
    Resource, Resources,
    records::{RecordPath, keep, lock, note, tell},
};
use crate::{App, UnitOfWork, audit_log::changed_fields, entitlements::use_records};

/// How many records one request changes or deletes at most, beside the one that it names.
const MAX_AFFECTED: u64 = 1_000;
/// By how many items and words they may be found together: each is a row that goes with them, while other
/// writers wait.
const MAX_MARKS: usize = 100_000;
/// How many records of a log are deleted in one transaction.
const PURGED: u32 = 100;

/// What a deletion comes to.
#[derive(Default)]
struct Plan {
    /// Records that are deleted, the one that is named first.
    deleted: Vec<(Arc<Resource>, Record)>,
    /// Records that refer to one of them, and by which fields.
    referring: BTreeMap<RecordId, (Arc<Resource>, String, BTreeSet<&'static str>)>,
    /// Records of logs whose parent is deleted: there can be any number, and nobody sees them without it.
    purged: Vec<(Arc<Resource>, String)>,
    /// By how many items and words the records are found that are deleted with the one that is named.
    marks: usize,
}

impl Plan {
    fn affected(&self) -> usize {
        self.deleted.len() + self.referring.len()
    }

    fn deletes(&self, id: RecordId) -> bool {
        self.deleted.iter().any(|(_, record)| record.id == id)
    }
}

/// Deletes a record, and what was declared to go with it.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::PreconditionFailed`]; [`Error::InvalidState`] if a record that refers to it
/// does not let it go, or too many go with it.
pub async fn delete(unit: &mut UnitOfWork<'_>, resource: &Arc<Resource>, path: RecordPath) -> Result<()> {
    let resources = unit.app().resources().clone();
    let record = lock(unit, resource, &path).await?;
    let plan = plan(unit, &resources, resource, record).await?;
    // Counters first, as where records are made: nobody waits for another in a circle.
    let mut counted = BTreeMap::<&'static str, u64>::new();
    for (resource, _) in &plan.deleted {
        if let Some(feature) = resource.declared.count.filter(|_| !resource.declared.is_log) {
            *counted.entry(feature).or_default() += 1;
        }
    }
    for (feature, quantity) in counted {
        use_records(unit, feature, Operation::Release, quantity).await?;
    }
    for (id, (resource, public_id, fields)) in &plan.referring {
        if !plan.deletes(*id) {
            unset(unit, resource, public_id, fields).await?;
        }
    }
    let owner = unit.caller().owner();
    let mut by_type = BTreeMap::<&str, (&Arc<Resource>, Vec<(RecordId, Marks)>)>::new();
    for (resource, record) in &plan.deleted {
        let marks = resource.layout.marks(&resource.declared, &record.data);
        let of_type = by_type.entry(resource.declared.name).or_insert_with(|| (resource, Vec::new()));
        of_type.1.push((record.id, marks));
    }
    for (resource, records) in by_type.values() {
        unit.tx.record_delete(resource.set(owner), records).await?;
    }
    for (resource, record) in &plan.deleted {
        let event = resource.declared.event_type("deleted");
        if !resource.declared.is_log {
            tell(unit, resource, record, &[event]);
        }
        note(unit, resource, record, event, Map::new());
    }
    for (resource, parent_id) in &plan.purged {
        unit.tx.record_purge_insert(resource.set(owner), parent_id).await?;
    }
    Ok(())
}

/// What the deletion of a record comes to. All that changes is held.
async fn plan(
    unit: &mut UnitOfWork<'_>,
    resources: &Resources,
    resource: &Arc<Resource>,
    record: Record,
) -> Result<Plan> {
    let name = resource.declared.label();
    let mut plan = Plan::default();
    let mut next = VecDeque::from([(resource.clone(), record)]);
    while let Some((resource, record)) = next.pop_front() {
        for (referring, field) in resources.declarations().references(resource.declared.name) {
            let Some(referring) = resources.get(referring.name) else { continue };
            let Kind::Ref { on_delete, .. } = field.kind else { continue };
            if referring.declared.is_log && referring.declared.parent_field() == Some(field.name) {
                plan.purged.push((referring.clone(), record.public_id.clone()));
                continue;
            }
            let those = Referring { resource: referring, field, to: &record.public_id };
            let count = those.count(unit).await?;
            if on_delete == OnDelete::Restrict && count > 0 {
                return Err(those.keep(&resource.declared, count));
            }
            if count + (plan.affected() + next.len()) as u64 > MAX_AFFECTED {
                return Err(Error::InvalidState(format!(
                    "The {name} cannot be deleted while more than {MAX_AFFECTED} records refer to it. Delete those first."
                )));
            }
            let held = those.hold(unit).await?;
            if on_delete == OnDelete::Cascade {
                let of =
                    |record: &Record| referring.layout.marks(&referring.declared, &record.data).items.len();
                plan.marks += held.iter().flatten().map(of).sum::<usize>();
            }
            let Some(held) = held.filter(|_| plan.marks <= MAX_MARKS) else {
                let several = those.resource.declared.plural_label();
                return Err(Error::InvalidState(format!(
                    "The {name} cannot be deleted while {several} refer to it that are too large to go with it at once. Delete \
                     those first."
                )));
            };
            for held in held {
                if on_delete == OnDelete::Unset {
                    let entry = || (referring.clone(), held.public_id.clone(), BTreeSet::new());
                    plan.referring.entry(held.id).or_insert_with(entry).2.insert(field.name);
                } else if !plan.deletes(held.id) && next.iter().all(|(_, known)| known.id != held.id) {
                    next.push_back((referring.clone(), held));
                }
            }
        }
        plan.deleted.push((resource, record));
    }
    Ok(plan)
}

/// Records that refer to one by a field.
struct Referring<'r> {
    resource: &'r Arc<Resource>,
    field: &'r Field,
    to: &'r String,
}

impl Referring<'_> {
    async fn page(&self, unit: &mut UnitOfWork<'_>, most: u32) -> Result<Page<Record>> {
        let filter = self.resource.referring(self.field, self.to)?;
        let set = self.resource.set(unit.caller().owner());
        let window = Window::Page(PageRequest::of_page(1, most));
        let request = ListRequest { size: Size::Refused, ..ListRequest::of(window) };
        Ok(unit.tx.record_list(set, &[filter], &request).await?)
    }

    async fn count(&self, unit: &mut UnitOfWork<'_>) -> Result<u64> {
        Ok(self.page(unit, 1).await?.total.unwrap_or_default())
    }

    /// All of them, which nobody else changes until the unit ends; none if they are too large to be read at
    /// once. They are read in one go: of those that somebody else is about to change, pages would leave
    /// others out.
    async fn hold(&self, unit: &mut UnitOfWork<'_>) -> Result<Option<Vec<Record>>> {
        let page = self.page(unit, MAX_AFFECTED as u32).await?;
        if page.fitting.is_some() {
            return Ok(None);
        }
        let ids: Vec<String> = page.items.into_iter().map(|record| record.public_id).collect();
        let mut held = unit.tx.record_lock_all(self.resource.set(unit.caller().owner()), &ids).await?;
        held.retain(|record| record.data.text(self.field.name).as_ref() == Some(self.to));
        Ok(Some(held))
    }

    /// Why the record that they refer to stays.
    fn keep(&self, of: &ResourceType, count: u64) -> Error {
        let declared = &self.resource.declared;
        let (several, verb) = match count {
            1 => (declared.label(), "refers"),
            _ => (declared.plural_label(), "refer"),
        };
        let label = of.label();
        Error::InvalidState(format!("The {label} cannot be deleted while {count} {several} {verb} to it."))
    }
}

/// Lets a record refer to nothing in some fields.
async fn unset(
    unit: &mut UnitOfWork<'_>,
    resource: &Arc<Resource>,
    public_id: &str,
    fields: &BTreeSet<&'static str>,
) -> Result<()> {
    let owner = unit.caller().owner();
    let before = unit.tx.record_lock(resource.set(owner), public_id).await?;
    let before = before.ok_or_else(|| Error::internal("a record is gone that was held"))?;
    let changes: JsonObject = fields.iter().map(|name| ((*name).to_owned(), Json::written(&()))).collect();
    let now = unit.now_after(before.updated_at);
    let change = resource.declared.update(&before.data, changes, unit.now);
    let change =
        change.map_err(|refusal| Error::internal(format!("a reference cannot be unset: {refusal:?}")))?;
    let Some(mut change) = change else { return Ok(()) };
    if resource.declared.is_log {
        change.events.clear();
    }
    let record = keep(unit, resource, &before, change, now).await?;
    let names: Vec<(&str, bool)> = fields.iter().map(|name| (*name, true)).collect();
    note(unit, resource, &record, resource.declared.event_type("updated"), changed_fields(&names));
    Ok(())
}

/// Deletes some of the records of logs whose parent is deleted; none if nothing is left to delete.
pub(crate) async fn purge(app: &App) -> Result<usize> {
    let logs = app.resources().iter().filter(|resource| resource.declared.is_log);
    let logs: Vec<Arc<Resource>> = logs.cloned().collect();
    if logs.is_empty() {
        return Ok(0);
    }
    let work = async move |mut tx: Tx<'_>| {
        let types: Vec<_> = logs.iter().map(|log| log.id).collect();
        let Some(RecordPurge { id, set, parent_id }) = tx.record_purge_first(&types).await? else {
            return Ok(0);
        };
        let log = logs.iter().find(|log| log.id == set.type_id);
        let log = log.ok_or_else(|| Error::internal("a purge of no log was found"))?;
        let window = Window::Page(PageRequest::of_page(1, PURGED));
        let request = ListRequest { size: Size::Cut, ..ListRequest::of(window) };
        let page = tx.record_list(set, &[log.of_parent(&parent_id)?], &request).await?;
        let marked = |record: &Record| (record.id, log.layout.marks(&log.declared, &record.data));
        let all: Vec<(RecordId, Marks)> = page.items.iter().map(marked).collect();
        tx.record_delete(set, &all).await?;
        if page.fitting.is_none() && page.items.len() < PURGED as usize {
            tx.record_purge_delete(id).await?;
        }
        Ok::<_, Error>(page.items.len().max(1))
    };
    app.storage().transaction(work).await
}
