//! Bringing the records that there are in line with what is declared now, when a server starts.
//!
//! Nothing is ever dropped: a type or a field that is declared no more is kept where it is, unseen. A
//! declaration that records break is refused before anything is changed.

use std::{
    collections::{HashMap, HashSet, hash_map::RandomState},
    hash::BuildHasher,
    sync::Arc,
};

use gatepost_kernel::{Error, Owner, RecordId, ResourceTypeId, Result};
use gatepost_resources::{Declarations, Kind, Layout, Marks, Record, ResourceType, is_id};
use gatepost_storage::{KnownType, RecordSet, Storage, Tx};
use serde::{Deserialize, Serialize};

use super::Resources;

/// How many records are looked at in one transaction.
const BATCH: u32 = 500;
/// How many are indexed in one transaction: each can hold a thousand words.
const INDEXED: u32 = 50;
/// How many keys and items are taken away in one.
const UNMARKED: u32 = 10_000;
/// Beyond so many it is not said how many records are not shown any more.
const MAX_COUNTED: u64 = 10_000;
/// How many of those that break a declaration are named.
const NAMED: usize = 3;

/// What is remembered of the declaration that records were last brought in line with.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    /// What the records are found by.
    found_by: String,
    /// What they may hold.
    rules: String,
    /// The feature that they count as.
    count: Option<String>,
}

impl Remembered {
    fn now(declared: &ResourceType) -> Self {
        let count = declared.count.map(str::to_owned);
        Self { found_by: declared.found_by(), rules: format!("{declared:?}"), count }
    }

    /// Nothing where records never were in line with a declaration, or are not at the moment.
    fn before(known: Option<&KnownType>) -> Self {
        known.and_then(|known| serde_json::from_str(&known.declaration).ok()).unwrap_or_default()
    }
}

/// The declared types with where their records are found, once all records that there are keep to them.
/// Processes that start at once do this one after the other.
///
/// # Errors
/// [`Error::Conflict`] if records break a declaration, saying how many and which; [`Error::Unavailable`].
pub async fn reconcile(storage: &Storage, declarations: Declarations) -> Result<Resources> {
    let _alone = storage.lock_for_reconciling().await?;
    let known = known_types(storage).await?;
    let of = |declared: &ResourceType| known.iter().find(|known| known.name == declared.name);
    let mut layouts = Vec::new();
    for declared in declarations.iter() {
        layouts.push(checked(storage, declared, &known).await?);
    }
    for gone in known.iter().filter(|known| declarations.get(&known.name).is_none()) {
        forget_rules(storage, gone).await?;
    }
    let mut places = Vec::new();
    for (declared, layout) in declarations.iter().zip(layouts) {
        let id = bring_in_line(storage, declared, of(declared), layout.clone()).await?;
        places.push((id, layout));
    }
    Ok(Resources::new(declarations, places))
}

/// What [`reconcile`] would refuse, and which records would not be shown any more: a sentence for each.
/// Nothing is written.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn foresee(storage: &Storage, declarations: &Declarations) -> Result<Vec<String>> {
    let known = known_types(storage).await?;
    let mut foreseen = Vec::new();
    for declared in declarations.iter() {
        match checked(storage, declared, &known).await {
            Ok(_) => {}
            Err(Error::Conflict(refusal)) => {
                foreseen.push(format!(
                    "{} `serve` would not start.",
                    refusal.trim_end_matches(" Nothing was changed.")
                ));
            }
            Err(error) => return Err(error),
        }
    }
    for gone in known.iter().filter(|known| declarations.get(&known.name).is_none()) {
        let id = gone.id;
        let count = async move |mut tx: Tx<'_>| Ok::<_, Error>(tx.record_count(id, MAX_COUNTED + 1).await?);
        let records = storage.read_snapshot(count).await?;
        if records > 0 {
            let (name, records) = (
                &gone.name,
                if records > MAX_COUNTED { format!("more than {MAX_COUNTED}") } else { records.to_string() },
            );
            foreseen.push(format!(
                "resources.{name}: not declared any more; its {records} records are kept, unseen."
            ));
        }
    }
    Ok(foreseen)
}

async fn known_types(storage: &Storage) -> Result<Arc<Vec<KnownType>>> {
    let known = async move |mut tx: Tx<'_>| Ok::<_, Error>(tx.resource_type_all().await?);
    Ok(Arc::new(storage.read_snapshot(known).await?))
}

/// Where the records of a type are found, if none breaks its declaration.
async fn checked(storage: &Storage, declared: &ResourceType, known: &Arc<Vec<KnownType>>) -> Result<Layout> {
    let known_as = known.iter().find(|known| known.name == declared.name);
    let places = known_as.map(|known| known.places.as_slice()).unwrap_or_default();
    let layout = Layout::assign(declared, places).map_err(|field| {
        let text = "there is no room left to find it by: fields that are declared no more keep theirs";
        Error::Conflict(format!("resources.{}.fields.{field}: {text}.", declared.name))
    })?;
    if let Some(known_as) = known_as
        && Remembered::before(Some(known_as)) != Remembered::now(declared)
    {
        check(storage, declared, &layout, known_as, known.clone()).await?;
    }
    Ok(layout)
}

/// Refuses a declaration that records break.
async fn check(
    storage: &Storage,
    declared: &ResourceType,
    layout: &Layout,
    known_as: &KnownType,
    known: Arc<Vec<KnownType>>,
) -> Result<()> {
    let (mut after, mut all, mut broken, mut named) = (RecordId(0), 0, 0, Vec::new());
    let mut unique = Unique::default();
    loop {
        let (id, declared, layout, known) = (known_as.id, declared.clone(), layout.clone(), known.clone());
        let look = async move |mut tx: Tx<'_>| {
            let types = known.iter().map(|known| (known.name.as_str(), known.id)).collect();
            let records = tx.record_each(id, after, BATCH).await?;
            let mut errors = Vec::new();
            for (owner, record) in &records {
                let error = match error(&mut tx, &declared, &types, *owner, record).await? {
                    Some(error) => Some(error),
                    None => unique.error(*owner, &layout, layout.marks(&declared, &record.data)),
                };
                if let Some(error) = error {
                    errors.push(format!("{} ({})", record.public_id, error.trim_end_matches('.')));
                }
            }
            Ok::<_, Error>((records.len(), records.last().map(|(_, record)| record.id), errors, unique))
        };
        let (read, last, errors, seen) = storage.read_snapshot(look).await?;
        unique = seen;
        (all, broken) = (all + read, broken + errors.len());
        named.extend(errors.into_iter().take(NAMED - named.len()));
        match last {
            Some(last) if read == BATCH as usize => after = last,
            _ => break,
        }
    }
    let name = declared.name;
    if broken > 0 {
        let more = if broken > named.len() { ", …" } else { "" };
        return Err(Error::Conflict(format!(
            "resources.{name}: {broken} of {all} records break this declaration: {}{more}. Nothing was changed.",
            named.join(", ")
        )));
    }
    let count = (Remembered::before(Some(known_as)).count, declared.count);
    match count {
        (before, now) if all == 0 || before.as_deref() == now => Ok(()),
        (_, now) => Err(Error::Conflict(format!(
            "resources.{name}: there are {all} records that were not counted as {} when they were made; what they count as cannot be \
             changed. Nothing was changed.",
            now.unwrap_or("nothing"),
        ))),
    }
}

/// The values of unique fields that were seen, each as a hash: there can be as many as records.
#[derive(Default)]
struct Unique {
    seen: HashSet<u64>,
    hasher: RandomState,
}

impl Unique {
    /// What is wrong with a record that has these, if another had one of them.
    fn error(&mut self, owner: Owner, layout: &Layout, marks: Marks) -> Option<String> {
        let number = marks.keys.into_iter().find_map(|key| {
            let is_new = self.seen.insert(self.hasher.hash_one((owner, &key)));
            (!is_new).then_some(key.0)
        })?;
        let place = layout.places().iter().find(|place| place.number == number);
        let field = place.map_or("", |place| place.name.as_str());
        Some(format!("Another record has the same {}.", field.replace('_', " ")))
    }
}

/// Forgets what the records of a type may hold that is declared no more: when it is declared again, they are
/// looked at as if it were another declaration, since what they refer to may be gone by then.
async fn forget_rules(storage: &Storage, gone: &KnownType) -> Result<()> {
    let before = Remembered::before(Some(gone));
    if before.rules.is_empty() {
        return Ok(());
    }
    let text = serde_json::to_string(&Remembered { rules: String::new(), ..before });
    let text = text.map_err(Error::failed("writing a declaration"))?;
    let (id, places) = (gone.id, gone.places.clone());
    let note = async move |mut tx: Tx<'_>| Ok::<_, Error>(tx.resource_type_set(id, &text, &places).await?);
    storage.transaction(note).await
}

/// What is wrong with a record by a declaration; none if nothing is.
async fn error(
    tx: &mut Tx<'_>,
    declared: &ResourceType,
    types: &HashMap<&str, ResourceTypeId>,
    owner: Owner,
    record: &Record,
) -> Result<Option<String>> {
    if !is_id(declared.id_prefix, &record.public_id) {
        return Ok(Some(format!("The id does not begin with {}.", declared.id_prefix)));
    }
    if let Some(error) = declared.error(&record.data) {
        return Ok(Some(error));
    }
    for field in &declared.fields {
        let Kind::Ref { to, .. } = field.kind else { continue };
        let Some(id) = record.data.text(field.name) else { continue };
        let found = match types.get(to) {
            Some(type_id) => tx.record_get(RecordSet { type_id: *type_id, owner }, &id).await?,
            None => None,
        };
        // Those whose parent is deleted are deleted soon.
        let is_purged = declared.is_log && declared.parent_field() == Some(field.name);
        if found.is_none() && !is_purged {
            return Ok(Some(format!("There is no {to} {id}.")));
        }
    }
    Ok(None)
}

/// Notes a declaration, and lets the records be found by what it says.
async fn bring_in_line(
    storage: &Storage,
    declared: &ResourceType,
    known: Option<&KnownType>,
    layout: Layout,
) -> Result<ResourceTypeId> {
    let (before, now) = (Remembered::before(known), Remembered::now(declared));
    let text = serde_json::to_string(&now).map_err(Error::failed("writing a declaration"))?;
    if let Some(known) = known.filter(|_| before == now) {
        return Ok(known.id);
    }
    let (name, is_known, is_found_anew) =
        (declared.name, known.map(|known| known.id), before.found_by != now.found_by);
    let places = layout.places().to_vec();
    // Until all are found by the new values, the records are in line with no declaration: a start that is cut
    // short begins again.
    let between = Remembered { count: now.count.clone(), ..Remembered::default() };
    let between = serde_json::to_string(&between).map_err(Error::failed("writing a declaration"))?;
    let noted = if is_found_anew { between } else { text.clone() };
    let note = async move |mut tx: Tx<'_>| {
        let id = match is_known {
            Some(id) => id,
            None => tx.resource_type_insert(name).await?,
        };
        tx.resource_type_set(id, &noted, &places).await?;
        Ok::<_, Error>(id)
    };
    let id = storage.transaction(note).await?;
    if is_found_anew {
        let unmark =
            || async move |mut tx: Tx<'_>| Ok::<_, Error>(tx.record_unmark_some(id, UNMARKED).await?);
        while storage.transaction(unmark()).await? == UNMARKED as usize {}
        find_anew(storage, id, declared, &layout).await?;
        let places = layout.places().to_vec();
        let note =
            async move |mut tx: Tx<'_>| Ok::<_, Error>(tx.resource_type_set(id, &text, &places).await?);
        storage.transaction(note).await?;
    }
    Ok(id)
}

/// Lets all records of a type be found by the values that they hold.
async fn find_anew(
    storage: &Storage,
    id: ResourceTypeId,
    declared: &ResourceType,
    layout: &Layout,
) -> Result<()> {
    let mut after = RecordId(0);
    loop {
        let (declared, layout) = (declared.clone(), layout.clone());
        let index = async move |mut tx: Tx<'_>| {
            let records = tx.record_each(id, after, INDEXED).await?;
            for (owner, record) in &records {
                let set = RecordSet { type_id: id, owner: *owner };
                let slots = layout.slots(&declared, &record.data);
                let marks = layout.marks(&declared, &record.data);
                if let Err(number) = tx.record_index(set, record.id, &slots, &marks).await? {
                    let place = layout.places().iter().find(|place| place.number == number);
                    let field = place.map_or("", |place| place.name.as_str());
                    return Err(Error::Conflict(format!(
                        "resources.{}.fields.{field}: {} has a value that another record has, so it cannot be unique.",
                        declared.name, record.public_id
                    )));
                }
            }
            Ok((records.len(), records.last().map(|(_, record)| record.id)))
        };
        match storage.transaction(index).await? {
            (read, Some(last)) if read == INDEXED as usize => after = last,
            _ => return Ok(()),
        }
    }
}
