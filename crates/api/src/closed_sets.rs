//! The sets of words that members and parameters are taken from, as schemas of their own, so that generated clients have them as
//! types. Each is made from the words that the rules have: a new one there is a new one here.

use gatepost_app::{Actor, gate::verification, mcp};
use gatepost_entitlements::{FeatureKind, Reason};
use gatepost_kernel::{Environment, EnvironmentFilter};
use gatepost_keys::KeyStatus;
use gatepost_seo::Severity;
use gatepost_webhooks::DeliveryStatus;

/// Gives types schemas with names of their own: the words that they are.
macro_rules! named_words {
    ($($(#[doc = $about:literal])* $name:ident: $of:ty = $words:expr;)*) => {$(
        impl $crate::describe::Described for $of {
            fn schema(schemas: &mut $crate::describe::Schemas) -> serde_json::Value {
                schemas.named(stringify!($name), |_| {
                    let about = concat!($($about),*).trim();
                    serde_json::json!({ "type": "string", "description": about, "enum": $words })
                })
            }
        }
    )*};
}

/// The same for enumerations, which are read as their word, too.
macro_rules! closed_sets {
    ($($(#[doc = $about:literal])* $name:ident: $of:ty;)*) => {
        $crate::closed_sets::named_words! { $($(#[doc = $about])* $name: $of = <$of>::NAMES;)* }

        $(
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
        )*
    };
}

pub(crate) use {closed_sets, named_words};

closed_sets! {
    /// Environment something belongs to.
    EnvironmentWord: Environment;
    /// Environment an API key must be of.
    EnvironmentChoice: EnvironmentFilter;
    /// Whether an API key can be used.
    ApiKeyStatus: KeyStatus;
    /// State of a delivery.
    WebhookDeliveryStatus: DeliveryStatus;
    /// Severity of an issue.
    SeoSeverity: Severity;
}

/// `plan`.
pub struct SourceKind;

named_words! {
    /// Code of a decision on an API key.
    VerificationCode: verification::Code = verification::Code::NAMES;
    /// How a feature is counted.
    EntitlementType: FeatureKind = FeatureKind::NAMES;
    /// Reason for which a feature is not allowed.
    EntitlementReason: Reason = Reason::NAMES;
    /// Kind of source that grants a feature.
    EntitlementSourceKind: SourceKind = ["plan"];
    /// State of the connection to an MCP server; `starting` until it was connected once.
    McpServerStatus: mcp::Status = mcp::Status::NAMES;
    /// Kind of actor of a change.
    AuditActorType: Actor = Actor::NAMES;
}
