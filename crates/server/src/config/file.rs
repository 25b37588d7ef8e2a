//! The configuration file: which section is whose.

use gatepost_api::ServerSettings;
use gatepost_app::{DashboardSettings, EntitlementSettings, PixelSettings, RetentionSettings};
use gatepost_contract::{BrandSettings, ContractSettings};
use gatepost_delivery::WebhookSettings;
use gatepost_egress::Rules;
use gatepost_entitlements::{Catalog, Feature, FeatureKind, OwnFeature, Plan, WorkspaceSettings};
use gatepost_gate::LimitSettings;
use gatepost_mcp::McpSettings;
use gatepost_resources::ResourceSettings;
use gatepost_storage::DatabaseSettings;
use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use toml::Spanned;

use super::sources::Sources;
use crate::Failure;

/// The whole file. Every section and every key may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigFile {
    /// The preset that this file is laid over; `--preset` and `GATEPOST_PRESET` come before it.
    pub preset: Option<String>,
    pub server: ServerSettings,
    pub database: DatabaseSettings,
    pub redis: RedisSettings,
    pub webhooks: WebhookSettings,
    pub egress: Rules,
    pub limits: LimitSettings,
    plans: IndexMap<String, Plan>,
    features: IndexMap<String, Feature>,
    pub entitlements: EntitlementSettings,
    pub pixel: PixelSettings,
    pub mcp: McpSettings,
    pub dashboard: DashboardSettings,
    pub retention: RetentionSettings,
    pub contract: ContractSettings,
    workspaces: WorkspaceSettings,
    pub brand: BrandSettings,
    pub resources: IndexMap<Spanned<String>, ResourceSettings>,
}

/// `[redis]`: Limits that several nodes count together, in a later version.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisSettings {
    /// Redis or Valkey, for exact limits on several nodes; it stops the start, since this version uses none.
    #[serde(deserialize_with = "no_redis")]
    url: Option<String>,
}

fn no_redis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    // The address itself is not repeated: it can hold a password.
    let url = String::deserialize(deserializer)?;
    Err(D::Error::custom(match url.starts_with("redis://") || url.starts_with("rediss://") {
        true => "a Redis has no effect, since this version uses none; leave it out",
        false => "expected a URL that begins with redis:// or rediss://",
    }))
}

impl ConfigFile {
    /// Refuses what has no effect on a feature.
    fn check_declared(&self, sources: &Sources) -> Result<(), Failure> {
        for (name, feature) in &self.features {
            let reset = sources.found(&["features", name, "reset"]);
            if let Some(at) = reset.filter(|_| feature.kind != FeatureKind::Metered) {
                return Err(format!("{at}: reset has an effect on features of type \"metered\" alone").into());
            }
        }
        Ok(())
    }

    /// The plans and features: with a preset those that are named alone, without one they are laid over the
    /// built-in ones.
    ///
    /// # Errors
    /// A sentence with the line and what is accepted there.
    pub fn catalog(&self, sources: &Sources) -> Result<Catalog, Failure> {
        self.check_declared(sources)?;
        let mut plans: IndexMap<String, Plan> = IndexMap::new();
        let mut features: IndexMap<String, Feature> = IndexMap::new();
        if sources.preset().is_none() {
            let built_in = Catalog::built_in();
            plans.extend(built_in.plans().map(|plan| (plan.name.clone(), plan.clone())));
            features.extend(built_in.features().map(|(name, feature)| (name.to_owned(), feature.clone())));
        }
        plans.extend(
            self.plans.iter().map(|(name, plan)| (name.clone(), Plan { name: name.clone(), ..plan.clone() })),
        );
        features.extend(self.features.iter().map(|(name, feature)| (name.clone(), feature.clone())));
        let catalog = Catalog::of(plans.into_values(), features, self.workspaces.clone());
        let catalog = catalog.map_err(|error| format!("{}: {error}", sources.at_setting(&error.path())))?;
        if let Some(name) = &self.entitlements.meter_requests {
            let message = match catalog.feature(name) {
                None => {
                    let known: Vec<_> = catalog.features().map(|(name, _)| name).collect();
                    format!("unknown feature; known are: {}", known.join(", "))
                }
                Some(feature)
                    if feature.kind == FeatureKind::Boolean || OwnFeature::parse(name).is_some() =>
                {
                    "requests can only be counted as a limit or metered feature".to_owned()
                }
                Some(_) => return Ok(catalog),
            };
            return Err(
                format!("{}: {message}", sources.at_setting(&["entitlements", "meter_requests"])).into()
            );
        }
        Ok(catalog)
    }
}
