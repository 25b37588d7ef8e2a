//! Bringing the records that there are in line with what is declared now, when a server starts.
//!
//! Nothing is ever dropped: a type or a field that is declared no more is kept where it is, unseen. A declaration that records break is
//! refused before anything is changed.

use std::{collections::HashMap, sync::Arc};

use gatepost_kernel::{Error, Owner, RecordId, ResourceTypeId, Result};
use gatepost_resources::{Declarations, Kind, Layout, Record, ResourceType, is_id};
use gatepost_storage::{KnownType, RecordSet, Storage, Tx};
use serde::{Deserialize, Serialize};

use super::Resources;

/// How many records are looked at in one transaction.
const BATCH: u32 = 500;
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
///
/// # Errors
/// [`Error::Conflict`] if records break a declaration, saying how many and which; [`Error::Unavailable`].
pub async fn reconcile(storage: &Storage, declarations: Declarations) -> Result<Resources> {
    let known = async move |mut tx: Tx<'_>| Ok::<_, Error>(tx.resource_type_all().await?);
    let known: Arc<Vec<KnownType>> = Arc::new(storage.read_snapshot(known).await?);
    let of = |declared: &ResourceType| known.iter().find(|known| known.name == declared.name);
    let mut layouts = Vec::new();
    for declared in declarations.iter() {
        let places = of(declared).map(|known| known.places.as_slice()).unwrap_or_default();
        let layout = Layout::assign(declared, places).map_err(|field| {
            let text = "there is no room left to find it by: fields that are declared no more keep theirs";
            Error::Conflict(format!("resources.{}.fields.{field}: {text}.", declared.name))
        });
        layouts.push(layout?);
        if let Some(known_as) = of(declared)
            && Remembered::before(Some(known_as)) != Remembered::now(declared)
        {
            check(storage, declared, known_as, known.clone()).await?;
        }
    }
    let mut places = Vec::new();
    for (declared, layout) in declarations.iter().zip(layouts) {
        let id = bring_in_line(storage, declared, of(declared), layout.clone()).await?;
        places.push((id, layout));
    }
    Ok(Resources::new(declarations, places))
}

/// Refuses a declaration that records break.
async fn check(
    storage: &Storage,
    declared: &ResourceType,
    known_as: &KnownType,
    known: Arc<Vec<KnownType>>,
) -> Result<()> {
    let (mut after, mut all, mut broken, mut named) = (RecordId(0), 0, 0, Vec::new());
    loop {
        let (id, declared, known) = (known_as.id, declared.clone(), known.clone());
        let look = async move |mut tx: Tx<'_>| {
            let types = known.iter().map(|known| (known.name.as_str(), known.id)).collect();
            let records = tx.record_each(id, after, BATCH).await?;
            let mut faults = Vec::new();
            for (owner, record) in &records {
                if let Some(fault) = fault(&mut tx, &declared, &types, *owner, record).await? {
                    faults.push(format!("{} ({})", record.public_id, fault.trim_end_matches('.')));
                }
            }
            Ok::<_, Error>((records.len(), records.last().map(|(_, record)| record.id), faults))
        };
        let (read, last, faults) = storage.read_snapshot(look).await?;
        (all, broken) = (all + read, broken + faults.len());
        named.extend(faults.into_iter().take(NAMED - named.len()));
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

/// What is wrong with a record by a declaration; none if nothing is.
async fn fault(
    tx: &mut Tx<'_>,
    declared: &ResourceType,
    types: &HashMap<&str, ResourceTypeId>,
    owner: Owner,
    record: &Record,
) -> Result<Option<String>> {
    if !is_id(declared.id_prefix, &record.public_id) {
        return Ok(Some(format!("The id does not begin with {}.", declared.id_prefix)));
    }
    if let Some(fault) = declared.fault(&record.data) {
        return Ok(Some(fault));
    }
    for field in &declared.fields {
        let Kind::Ref { to, .. } = field.kind else { continue };
        let Some(id) = record.data.text(field.name) else { continue };
        let found = match types.get(to) {
            Some(type_id) => tx.record_get(RecordSet { type_id: *type_id, owner }, &id).await?,
            None => None,
        };
        if found.is_none() {
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
    // Until all are found by the new values, the records are in line with no declaration: a start that is cut short begins again.
    let noted = if is_found_anew { String::new() } else { text.clone() };
    let note = async move |mut tx: Tx<'_>| {
        let id = match is_known {
            Some(id) => id,
            None => tx.resource_type_insert(name).await?,
        };
        if is_found_anew {
            tx.record_unmark_all(id).await?;
        }
        tx.resource_type_set(id, &noted, &places).await?;
        Ok::<_, Error>(id)
    };
    let id = storage.transaction(note).await?;
    if is_found_anew {
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
            let records = tx.record_each(id, after, BATCH).await?;
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
            (read, Some(last)) if read == BATCH as usize => after = last,
            _ => return Ok(()),
        }
    }
}
