//! What was declared once: the types, and the number and the column of each of their fields, which no other
//! field ever gets.

use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;
use gatepost_kernel::ResourceTypeId;
use gatepost_resources::{Column, FieldPlace};

use crate::{
    Result, StorageError, Tx,
    schema::{resource_fields, resource_types},
    types::Bind,
};

/// A type that was declared once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownType {
    /// Numeric id of the type.
    pub id: ResourceTypeId,
    /// Name of the type.
    pub name: String,
    /// How it was declared when its records were last brought in line with it; empty if they never were.
    pub declaration: String,
    /// Where its fields are found, those that are declared no more included.
    pub places: Vec<FieldPlace>,
}

impl Tx<'_> {
    /// All types that were declared once.
    pub async fn resource_type_all(&mut self) -> Result<Vec<KnownType>> {
        let types: Vec<(ResourceTypeId, String, String)> =
            on_conn!(self, |c| resource_types::table.order(resource_types::id).load(c).await?);
        let mut known: Vec<KnownType> = types
            .into_iter()
            .map(|(id, name, declaration)| KnownType { id, name, declaration, places: Vec::new() })
            .collect();
        let fields: Vec<(ResourceTypeId, i64, String, Option<String>)> = on_conn!(self, |c| {
            resource_fields::table.order((resource_fields::type_id, resource_fields::number)).load(c).await?
        });
        for (type_id, number, name, place) in fields {
            let column = place.as_deref().map(column_of).transpose()?;
            if let Some(of) = known.iter_mut().find(|known| known.id == type_id) {
                of.places.push(FieldPlace { name, number, column });
            }
        }
        Ok(known)
    }

    /// Notes a type for the first time.
    pub async fn resource_type_insert(&mut self, name: &str) -> Result<ResourceTypeId> {
        Ok(on_conn!(self, |c| diesel::insert_into(resource_types::table)
            .values((resource_types::name.eq(name), resource_types::declaration.eq("")))
            .returning(resource_types::id)
            .get_result(c)
            .await?))
    }

    /// Notes how a type is declared, and where its fields are found.
    pub async fn resource_type_set(
        &mut self,
        id: ResourceTypeId,
        declaration: &str,
        places: &[FieldPlace],
    ) -> Result<()> {
        on_conn!(self, |c| {
            diesel::update(resource_types::table.find(Bind(id)))
                .set(resource_types::declaration.eq(declaration))
                .execute(c)
                .await?;
            for FieldPlace { name, number, column } in places {
                let place = column.map(|(column, at)| format!("{}{}", letter(column), at + 1));
                diesel::insert_into(resource_fields::table)
                    .values((
                        resource_fields::type_id.eq(Bind(id)),
                        resource_fields::number.eq(number),
                        resource_fields::name.eq(name),
                        resource_fields::place.eq(&place),
                    ))
                    .on_conflict((resource_fields::type_id, resource_fields::number))
                    .do_update()
                    .set(resource_fields::place.eq(&place))
                    .execute(c)
                    .await?;
            }
        });
        Ok(())
    }
}

/// What the names of columns of a kind begin with.
fn letter(column: Column) -> char {
    match column {
        Column::Text => 't',
        Column::Number => 'n',
    }
}

/// The column that is called so.
fn column_of(name: &str) -> Result<(Column, usize)> {
    let kinds = [Column::Text, Column::Number];
    let found = kinds.into_iter().find_map(|kind| {
        let at: usize = name.strip_prefix(letter(kind))?.parse().ok()?;
        Some((kind, at.checked_sub(1)?))
    });
    found.ok_or_else(|| StorageError::corrupt(format!("there is no column {name}")))
}
