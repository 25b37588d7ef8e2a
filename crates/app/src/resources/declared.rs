//! The declared types, each with where its records are found in this database.

use std::sync::Arc;

use gatepost_kernel::{Error, Owner, ResourceTypeId, Result};
use gatepost_resources::{Declarations, Field, Kind, Layout, ResourceType, is_id};
use gatepost_storage::{CountedBy, RecordFilter, RecordSet, SortKey, record_sort};

/// A declared type, and where its records are found.
#[derive(Debug)]
pub struct Resource {
    /// The type.
    pub declared: ResourceType,
    /// Numeric id of the type in this database.
    pub(super) id: ResourceTypeId,
    /// Where its fields are found.
    pub(super) layout: Layout,
}

impl Resource {
    /// All records of the type that belong to one owner.
    pub(super) fn set(&self, owner: Owner) -> RecordSet {
        RecordSet { type_id: self.id, owner }
    }

    /// Refuses what cannot be the id of a record: it is not found, like one that nobody has.
    pub(super) fn check_id(&self, id: &str) -> Result<()> {
        is_id(self.declared.id_prefix, id).then_some(()).ok_or(Error::NotFound)
    }

    /// Records of which a field, or an item of its list, is one of these; none if it cannot be found by.
    pub fn any_of(&self, field: &Field, texts: &[String]) -> Option<RecordFilter> {
        let place = self.layout.place(field.name)?;
        let texts = texts.iter().map(|text| field.kind.found(text)).collect();
        Some(match (&field.kind, place.column) {
            (Kind::Texts { .. }, _) => RecordFilter::Item(place.number, texts),
            _ if field.unique => RecordFilter::Key(place.number, texts),
            (_, Some((_, at))) => RecordFilter::Text(at, texts),
            (_, None) => return None,
        })
    }

    /// Records that refer to one by a field. Without this filter they would be everybody's.
    pub(super) fn referring(&self, field: &Field, id: &str) -> Result<RecordFilter> {
        let found = self.any_of(field, &[id.to_owned()]);
        found.ok_or_else(|| Error::internal(format!("{} is not found by {}", self.declared.name, field.name)))
    }

    /// Records that belong to a parent.
    pub(super) fn of_parent(&self, parent_id: &str) -> Result<RecordFilter> {
        match self.declared.fields.first() {
            Some(field) if self.declared.parent.is_some() => self.referring(field, parent_id),
            _ => Err(Error::internal(format!("{} has no parent", self.declared.name))),
        }
    }

    /// Records of which a field is a number from one to another; none if it cannot be found by.
    pub fn between(&self, field: &Field, from: Option<i64>, to: Option<i64>) -> Option<RecordFilter> {
        let (_, at) = self.layout.place(field.name)?.column?;
        Some(RecordFilter::Number(at, from, to))
    }

    /// How its records are counted by time, in groups by a field if one is given that can be grouped by.
    pub fn counted_by(&self, group: Option<&Field>) -> CountedBy {
        let place = group.and_then(|field| self.layout.place(field.name));
        CountedBy::Records { type_id: self.id, group: place.and_then(|place| place.column).map(|(_, at)| at) }
    }

    /// What its lists can be sorted by.
    pub fn sorts(&self) -> Vec<SortKey> {
        let fields = self.declared.fields.iter().filter(|field| field.sort);
        let column = |field: &Field| self.layout.place(field.name).and_then(|place| place.column);
        let own = fields.map(|field| record_sort(field.name, column(field)));
        std::iter::once(record_sort("created_at", None)).chain(own).collect()
    }
}

/// All declared types.
#[derive(Debug, Clone, Default)]
pub struct Resources {
    declarations: Declarations,
    all: Vec<Arc<Resource>>,
}

impl Resources {
    pub(super) fn new(declarations: Declarations, places: Vec<(ResourceTypeId, Layout)>) -> Self {
        let all = declarations.iter().cloned().zip(places);
        let all = all.map(|(declared, (id, layout))| Arc::new(Resource { declared, id, layout })).collect();
        Self { declarations, all }
    }

    /// These declarations, as if no record had ever been kept: for what is said about them without a
    /// database.
    pub fn unstored(declarations: Declarations) -> Self {
        let places = declarations.iter().enumerate().map(|(index, declared)| {
            // Declarations that have no room for their fields are refused when they are read.
            let layout = Layout::assign(declared, &[]).unwrap_or_default();
            (ResourceTypeId(i64::try_from(index).unwrap_or(i64::MAX)), layout)
        });
        let places = places.collect();
        Self::new(declarations, places)
    }

    /// The declarations.
    pub fn declarations(&self) -> &Declarations {
        &self.declarations
    }

    /// The types, in the order of their declaration.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.all.iter()
    }

    /// The type of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Resource>> {
        self.iter().find(|resource| resource.declared.name == name)
    }

    /// The type that records of another belong to one of.
    pub fn parent_of(&self, resource: &Resource) -> Option<&Arc<Resource>> {
        resource.declared.parent.and_then(|parent| self.get(parent))
    }

    /// Whether records count as this feature: then nobody else counts it.
    pub fn count(&self, feature: &str) -> bool {
        self.declarations.iter().any(|declared| declared.count == Some(feature))
    }
}
