//! What members of bodies and parameters of queries can be: for each its schema, and how it is read. Those of
//! one wing alone stand in that wing.

use std::{marker::PhantomData, ops::RangeInclusive};

use gatepost_gate::Code;
use gatepost_kernel::{
    ApiKeyId, Environment, EnvironmentFilter, ExternalId, JsonObject, MemberId, SeoReportId, Timestamp,
    describe::{Described, Schemas},
    text,
};
use gatepost_keys::{IpAllowlist, KeyStatus, ScopeSet};
use gatepost_seo::Severity;
use gatepost_webhooks::DeliveryStatus;
use serde_json::{Value, json, value::RawValue};

use crate::{
    body::{Fields, Member, ReadBody},
    query::{Param, Parameters},
};

/// No control characters.
const TEXT_PATTERN: &str = "^[^\\u0000-\\u001F\\u007F-\\u009F]*$";
/// Those, and what is invisible: for a class of characters that a name has none of.
pub const NOT_IN_NAMES: &str =
    "\\u0000-\\u001F\\u007F-\\u009F\\u200B\\u200E\\u200F\\u202A-\\u202E\\u2060-\\u2069\\uFEFF";
/// The most characters of a description.
const MAX_DESCRIPTION: usize = 255;

/// Declares what comes in as members: what is made of it, its schema, and how it is read.
macro_rules! members {
    ($($(#[$about:meta])* $name:ident($value:ty) = $schema:tt, $read:expr;)*) => {$(
        $(#[$about])*
        pub struct $name;

        impl gatepost_kernel::describe::Described for $name {
            fn schema(_: &mut gatepost_kernel::describe::Schemas) -> serde_json::Value {
                serde_json::json!($schema)
            }
        }

        impl $crate::body::Member for $name {
            type Value = $value;

            fn read<'b>(
                fields: &mut $crate::body::Fields<'b>,
                name: &'static str,
                value: &'b serde_json::value::RawValue,
            ) -> Option<$value> {
                let read: fn(&mut $crate::body::Fields<'b>, &'static str, &'b serde_json::value::RawValue) -> Option<$value> = $read;
                read(fields, name, value)
            }
        }
    )*};
}
pub(crate) use members;

/// The same for texts, with the rule that says what is made of one, or why not.
macro_rules! texts {
    ($($(#[$about:meta])* $name:ident($value:ty) = $schema:tt, $rule:expr;)*) => {
        $crate::values::members! {
            $($(#[$about])* $name($value) = $schema, |fields, name, value| fields.text(name, value, $rule);)*
        }
    };
}
pub(crate) use texts;

/// Any object, as a schema.
pub fn any_object() -> Value {
    json!({ "type": "object", "propertyNames": { "type": "string" }, "additionalProperties": {} })
}

/// Declares texts that come in as parameters: what is made of one, its schema, what an error calls it, and
/// how it is read.
macro_rules! text_parameters {
    ($($(#[$about:meta])* $name:ident($value:ty) = $schema:tt, $form:expr, $read:expr;)*) => {$(
        $(#[$about])*
        pub struct $name;

        impl $crate::query::Param for $name {
            type Value = $value;

            fn schema() -> serde_json::Value {
                serde_json::json!($schema)
            }

            fn read(parameters: &mut $crate::query::Parameters, name: &'static str) -> Option<$value> {
                parameters.text(name, $read, $form)
            }
        }
    )*};
}
pub(crate) use text_parameters;

texts! {
    /// A name for people.
    Name(String) = {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": format!("^[^{NOT_IN_NAMES}]*[^\\s{NOT_IN_NAMES}][^{NOT_IN_NAMES}]*$"),
    }, |text| text::name("name", text);
    /// A description for people.
    DescriptionText(String) = { "type": "string", "maxLength": MAX_DESCRIPTION, "pattern": TEXT_PATTERN }, |text| {
        match text.chars().count() > MAX_DESCRIPTION || text.chars().any(char::is_control) {
            true => Err("The description may not have more than 255 characters, and no control characters.".to_owned()),
            false => Ok(text.to_owned()),
        }
    };
    /// Any text, which is checked later.
    AnyText(String) = { "type": "string" }, |text| Ok(text.to_owned());
}

members! {
    /// An object of the caller's own, as it came.
    AnyObject(JsonObject) = (any_object()), |fields, name, value| fields.json_members(name, value);
}

/// A whole number of a range.
pub struct Whole<T, const LOW: i64, const HIGH: i64>(PhantomData<T>);

impl<T: Described, const LOW: i64, const HIGH: i64> Described for Whole<T, LOW, HIGH> {
    fn schema(schemas: &mut Schemas) -> Value {
        let mut schema = T::schema(schemas);
        schema["minimum"] = json!(LOW);
        schema["maximum"] = json!(HIGH);
        schema
    }
}

impl<T: Described + TryFrom<i64>, const LOW: i64, const HIGH: i64> Member for Whole<T, LOW, HIGH> {
    type Value = T;

    fn read<'b>(fields: &mut Fields<'b>, name: &'static str, value: &'b RawValue) -> Option<T> {
        fields.integer(name, value, LOW..=HIGH).and_then(|number| T::try_from(number).ok())
    }
}

impl<T: Described + TryFrom<i64>, const LOW: i64, const HIGH: i64> Param for Whole<T, LOW, HIGH> {
    type Value = T;

    fn schema() -> Value {
        <Self as Described>::schema(&mut Schemas::default())
    }

    fn read(parameters: &mut Parameters, name: &'static str) -> Option<T> {
        whole(parameters, name, LOW..=HIGH).and_then(|number| T::try_from(number).ok())
    }
}

/// A whole number of a range that is known only when the program runs.
pub fn whole(parameters: &mut Parameters, name: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
    let (low, high) = (range.start(), range.end());
    let number = |text: &str| text.parse().ok().filter(|number| range.contains(number));
    parameters.text(name, number, &format!("an integer between {low} and {high}"))
}

/// A list of bodies.
pub struct ListOf<B, const LOW: usize, const HIGH: usize>(PhantomData<B>);

impl<B: Described, const LOW: usize, const HIGH: usize> Described for ListOf<B, LOW, HIGH> {
    fn schema(schemas: &mut Schemas) -> Value {
        let mut schema = Vec::<B>::schema(schemas);
        schema["maxItems"] = json!(HIGH);
        if LOW > 0 {
            schema["minItems"] = json!(LOW);
        }
        schema
    }
}

impl<B: ReadBody, const LOW: usize, const HIGH: usize> Member for ListOf<B, LOW, HIGH> {
    type Value = Vec<B>;

    fn read<'b>(fields: &mut Fields<'b>, name: &'static str, value: &'b RawValue) -> Option<Vec<B>> {
        fields.list(name, value, LOW..=HIGH)
    }
}

impl Member for ScopeSet {
    type Value = Self;

    fn read<'b>(fields: &mut Fields<'b>, name: &'static str, value: &'b RawValue) -> Option<Self> {
        let order = fields.scope_order();
        fields.texts(name, value, |texts| Self::parse_in(order, texts))
    }
}

impl Member for IpAllowlist {
    type Value = Self;

    fn read<'b>(fields: &mut Fields<'b>, name: &'static str, value: &'b RawValue) -> Option<Self> {
        fields.texts(name, value, Self::parse)
    }
}

/// What is wrong with a text that is no [`ExternalId`].
const EXTERNAL_ID: &str = "1 to 255 visible ASCII characters, without blanks";

impl Member for ExternalId {
    type Value = Self;

    fn read<'b>(fields: &mut Fields<'b>, name: &'static str, value: &'b RawValue) -> Option<Self> {
        fields.text(name, value, |text| {
            Self::parse(text).ok_or_else(|| format!("The {} must be {EXTERNAL_ID}.", name.replace('_', " ")))
        })
    }
}

impl Param for ExternalId {
    type Value = Self;

    fn schema() -> Value {
        <Self as Described>::schema(&mut Schemas::default())
    }

    fn read(parameters: &mut Parameters, name: &'static str) -> Option<Self> {
        parameters.text(name, Self::parse, EXTERNAL_ID)
    }
}

impl Member for bool {
    type Value = Self;

    fn read<'b>(fields: &mut Fields<'b>, name: &'static str, value: &'b RawValue) -> Option<Self> {
        fields.boolean(name, value)
    }
}

impl Member for Timestamp {
    type Value = Self;

    fn read<'b>(fields: &mut Fields<'b>, name: &'static str, value: &'b RawValue) -> Option<Self> {
        fields.text(name, value, |text| {
            let name = name.replace('_', " ");
            Self::parse(text).ok_or_else(|| format!("The {name} must be an ISO 8601 date."))
        })
    }
}

/// Lets enumerations come in as the words that they are.
macro_rules! words {
    ($($of:ty),+ $(,)?) => {$(
        impl $crate::body::Member for $of {
            type Value = Self;

            fn read<'b>(
                fields: &mut $crate::body::Fields<'b>,
                name: &'static str,
                value: &'b serde_json::value::RawValue,
            ) -> Option<Self> {
                fields.text(name, value, |text| {
                    <$of>::parse(text).ok_or_else(|| {
                        let words = <$of>::NAMES.join(", ");
                        format!("The selected {name} is invalid. It must be one of: {words}.")
                    })
                })
            }
        }

        impl $crate::query::Param for $of {
            type Value = Self;

            fn schema() -> serde_json::Value {
                serde_json::json!({ "type": "string", "enum": <$of>::NAMES })
            }

            fn read(parameters: &mut $crate::query::Parameters, name: &'static str) -> Option<Self> {
                parameters.choice(name, &<$of>::NAMES, <$of>::parse)
            }
        }
    )+};
}
pub(crate) use words;

words!(Environment, EnvironmentFilter, KeyStatus, DeliveryStatus, Severity, Code);

/// Declares numeric ids that come in.
macro_rules! ids {
    ($($id:ident),+) => {$(
        impl Param for $id {
            type Value = Self;

            fn schema() -> Value {
                let mut schema = <Self as Described>::schema(&mut Schemas::default());
                schema["minimum"] = json!(1);
                schema
            }

            fn read(parameters: &mut Parameters, name: &'static str) -> Option<Self> {
                parameters.text(name, |text| positive_id(text).map(Self), "a positive integer")
            }
        }
    )+};
}

ids!(ApiKeyId, MemberId, SeoReportId, AuditTargetId);

/// Numeric id of what an entry of the audit log is about, of whatever kind.
#[derive(Debug, Clone, Copy)]
pub struct AuditTargetId(pub i64);

impl Described for AuditTargetId {
    fn schema(schemas: &mut Schemas) -> Value {
        i64::schema(schemas)
    }
}

/// A numeric id as a text.
pub fn positive_id(text: &str) -> Option<i64> {
    // `parse` alone would also take `+1`.
    text.parse().ok().filter(|id| *id > 0 && text.bytes().all(|b| b.is_ascii_digit()))
}
