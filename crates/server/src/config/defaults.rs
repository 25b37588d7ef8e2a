//! What holds where a configuration says nothing.

use gatepost_api::ServerSettings;
use gatepost_app::{DashboardSettings, EntitlementSettings, PixelSettings, RetentionSettings};
use gatepost_contract::{BrandSettings, ContractSettings};
use gatepost_delivery::WebhookSettings;
use gatepost_egress::Rules;
use gatepost_entitlements::{Feature, FeatureKind, Plan, WorkspaceSettings};
use gatepost_gate::LimitSettings;
use gatepost_mcp::{McpServerSettings, McpSettings};
use gatepost_resources::{ActionSettings, EnterSettings, FieldSettings, ResourceSettings};
use gatepost_storage::DatabaseSettings;
use serde_json::{Value, json};

use super::file::RedisSettings;
use crate::Failure;

/// Every section by its name in the reference, with what each of its settings is where it is left out; `null`
/// where it is nothing.
pub fn defaults() -> Result<Value, Failure> {
    Ok(json!({
        "server": ServerSettings::default(),
        "database": DatabaseSettings::default(),
        "redis": RedisSettings::default(),
        "webhooks": WebhookSettings::default(),
        "egress": Rules::default(),
        "limits": LimitSettings::default(),
        "plans.NAME": Plan::default(),
        "features.NAME": Feature::new(FeatureKind::Boolean),
        "entitlements": EntitlementSettings::default(),
        "dashboard": DashboardSettings::default(),
        "pixel": PixelSettings::default(),
        "mcp": McpSettings::default(),
        "mcp.servers.NAME": McpServerSettings::default(),
        "retention": RetentionSettings::default(),
        "workspaces": WorkspaceSettings::default(),
        "contract": ContractSettings::default(),
        "brand": BrandSettings::default(),
        // These have settings that must be given; what stands for them here is no default, and the reference says so.
        "resources.NAME": toml::from_str::<ResourceSettings>("ids = \"\"")?,
        "resources.NAME.fields.NAME": toml::from_str::<FieldSettings>("type = \"\"")?,
        "resources.NAME.actions.NAME": toml::from_str::<ActionSettings>("")?,
        "resources.NAME.enter.VALUE": toml::from_str::<EnterSettings>("field = \"\"")?,
    }))
}
