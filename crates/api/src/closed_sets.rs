//! The sets of words that members and parameters are taken from, as schemas of their own, so that generated clients have them as
//! types. Each is made from the words that the rules have: a new one there is a new one here.

use gatepost_app::{Actor, gate::verification, mcp};
use gatepost_entitlements::{FeatureKind, Reason};
use gatepost_kernel::{Environment, EnvironmentFilter};
use gatepost_keys::KeyStatus;
use gatepost_seo::Severity;
use gatepost_webhooks::DeliveryStatus;

/// Declares sets of words as schemas with names of their own, and which enumerations are written as them.
macro_rules! closed_sets {
    ($($(#[doc = $about:literal])* $name:ident($words:expr) $(for $written:ty)?;)*) => {$(
        $(#[doc = $about])*
        pub struct $name;

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let (words, about) = ($words, concat!($($about),*).trim());
                let schema = utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::Type::String);
                schema.description(Some(about)).enum_values(Some(words)).build().into()
            }
        }

        impl $crate::describe::Described for $name {
            fn schema(schemas: &mut $crate::describe::Schemas) -> serde_json::Value {
                schemas.named(stringify!($name), |_| {
                    serde_json::to_value(<Self as utoipa::PartialSchema>::schema()).unwrap_or_default()
                })
            }
        }

        $(impl $crate::describe::Described for $written {
            fn schema(schemas: &mut $crate::describe::Schemas) -> serde_json::Value {
                <$name as $crate::describe::Described>::schema(schemas)
            }
        })?

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                std::borrow::Cow::Borrowed(stringify!($name))
            }
        }
    )*};
}

pub(crate) use closed_sets;

closed_sets! {
    /// Environment something belongs to.
    EnvironmentWord(Environment::NAMES) for Environment;
    /// Environment an API key must be of.
    EnvironmentChoice(EnvironmentFilter::NAMES);
    /// Whether an API key can be used.
    ApiKeyStatus(KeyStatus::NAMES) for KeyStatus;
    /// Code of a decision on an API key.
    VerificationCode(verification::Code::NAMES) for verification::Code;
    /// State of a delivery.
    WebhookDeliveryStatus(DeliveryStatus::NAMES) for DeliveryStatus;
    /// Severity of an issue.
    SeoSeverity(Severity::NAMES) for Severity;
    /// How a feature is counted.
    EntitlementType(FeatureKind::NAMES) for FeatureKind;
    /// Reason for which a feature is not allowed.
    EntitlementReason(Reason::NAMES) for Reason;
    /// Kind of source that grants a feature.
    EntitlementSourceKind(["plan"]);
    /// State of the connection to an MCP server; `starting` until it was connected once.
    McpServerStatus(mcp::Status::NAMES) for mcp::Status;
    /// Kind of actor of a change.
    AuditActorType(Actor::NAMES);
}
