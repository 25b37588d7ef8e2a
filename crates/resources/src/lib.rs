//! Resources that an operator declares: what a type of them is, what a record can hold, and what becomes of a
//! record.
//!
//! A [`ResourceSettings`] is what stands in the configuration; [`Declarations`] are all of them, checked
//! against each other and against what the platform has already. A record is a
//! [`JsonObject`](gatepost_kernel::JsonObject) of its fields. [`ResourceType::create`],
//! [`ResourceType::update`] and [`ResourceType::act`] say what a record holds then and which events happened;
//! [`Layout`] says under what it is found again. Nothing here knows HTTP or SQL.

mod check;
mod column;
mod declaration;
mod index;
mod kind;
mod record;
mod settings;

pub use column::{Column, NUMBERS, TEXTS};
pub use declaration::{Action, Conditions, Declarations, Enter, Field, ResourceType, Setting};
pub use index::{FieldPlace, Layout, Marks, NO_TEXT, SEARCH_FIELD, Slots, search_words};
pub use kind::{Kind, OnDelete, is_id, new_id};
pub use record::{Change, Record, Refusal};
pub use settings::{
    ActionSettings, EnterSettings, FieldSettings, ResourceSettings, Scalar, SettingError, Taken,
};
