//! The configuration file, one struct per section. The comments of these fields are the reference in
//! `docs/CONFIGURATION.md`.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use gatepost_api::{PlainHttp, TlsIdentity};
use gatepost_contract::{BrandSection, ContractSection};
use gatepost_entitlements::{
    Anchor, Catalog, CatalogError, DEFAULT_THRESHOLDS, Feature, FeatureKind, OwnFeature, Plan, Reset,
};
use gatepost_kernel::{Secret, WorkspaceId};
use gatepost_keys::{Scope, ScopeOrder, ScopeRef};
use gatepost_mcp::{Access, ServerConfig, Transport};
use gatepost_resources::ResourceSection;
use indexmap::IndexMap;
use ipnet::IpNet;
use serde::Deserialize;
use toml::Spanned;

use super::{
    sources::Sources,
    values::{
        AccessSetting, AtLeastOne, AttemptTimeout, CallTimeout, CorsOrigin, DatabaseUrlSetting,
        EnvironmentSetting, FeatureSetting, Lifetime, LimitMode, Percent, PlainHttpSetting, PublicUrl,
        RedisUrlSetting, ResetSetting, SecretText, ThresholdSetting,
    },
};
use crate::Failure;

/// The whole file. Every section and every key may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigFile {
    /// The preset that this file is laid over; `--preset` and `GATEPOST_PRESET` come before it. Default: none.
    pub preset: Option<Spanned<String>>,
    pub server: ServerSection,
    pub database: DatabaseSection,
    pub redis: RedisSection,
    pub webhooks: WebhooksSection,
    pub egress: EgressSection,
    pub limits: LimitsSection,
    pub plans: IndexMap<String, PlanSection>,
    pub features: IndexMap<String, FeatureSection>,
    pub entitlements: EntitlementsSection,
    pub pixel: PixelSection,
    pub mcp: McpSection,
    pub retention: RetentionSection,
    pub contract: ContractSection,
    pub workspaces: WorkspacesSection,
    pub brand: BrandSection,
    pub resources: IndexMap<Spanned<String>, ResourceSection>,
}

/// `[server]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSection {
    /// Where to listen. Default `"127.0.0.1:8080"`.
    pub bind: Option<SocketAddr>,
    /// The address that links in answers begin with, e.g. `"https://api.example.com"`. Default: what the client used.
    pub public_url: Option<PublicUrl>,
    /// CIDRs of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. Default `[]`.
    pub trusted_proxies: Vec<IpNet>,
    /// The origins whose pages may call the API from a browser, as browsers write them, e.g. `["https://app.example.com"]`, or
    /// `["*"]` for all. Default `[]`.
    pub cors_origins: Vec<CorsOrigin>,
    /// Whether `/docs` shows the documentation of the API. Default `true`.
    pub docs: Option<bool>,
    /// What happens to requests without TLS, the probes' excepted: `"allow"`, `"reject"` (403) or `"redirect"` (301). The
    /// last two need `tls_cert`, or a TLS proxy in `trusted_proxies` that sends `X-Forwarded-Proto`. Default `"allow"`.
    pub plain_http: Option<Spanned<PlainHttpSetting>>,
    /// The certificate chain in PEM, the server's own first; `bind` then takes HTTPS. `"self-signed"` makes one for `localhost`, which
    /// is kept beside the database. Default: none; a preset that refuses plain HTTP makes one on a loopback address.
    pub tls_cert: Option<Spanned<PathBuf>>,
    /// The certificate's private key in PEM. Default: none.
    pub tls_key: Option<Spanned<PathBuf>>,
    /// With a certificate: a second address that takes requests without TLS, to which `plain_http` applies. Default: none.
    pub plain_bind: Option<Spanned<SocketAddr>>,
}

/// `[database]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseSection {
    /// The database: `sqlite://PATH` or `postgres://USER:PASSWORD@HOST/NAME`. Default `"sqlite://gatepost.db"`.
    pub url: Option<DatabaseUrlSetting>,
}

/// `[redis]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisSection {
    /// Redis or Valkey, for exact limits on several nodes; it stops the start, since this version uses none. Default: none.
    pub url: Option<RedisUrlSetting>,
}

/// `[webhooks]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhooksSection {
    /// Whether endpoints may have `http://` addresses. Default `false`.
    pub allow_http: bool,
    /// How long a whole attempt may take, the answer's body included: `"1s"` to `"30s"`. Default `"15s"`.
    pub timeout: Option<AttemptTimeout>,
    /// How long to wait before each further attempt. Default
    /// `["5s", "1m", "5m", "30m", "2h", "5h", "10h", "14h"]`.
    pub retry_schedule: Option<Vec<Lifetime>>,
}

/// `[egress]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EgressSection {
    /// Targets that outgoing requests may reach whatever the other rules say, private ones included, by CIDR. Default `[]`.
    pub allow: Vec<IpNet>,
    /// Public targets that they may not reach, by CIDR. Default `[]`.
    pub deny: Vec<IpNet>,
    /// The ports that they may reach. Default: 80, 443, and those above 1023 that browsers send HTTP to.
    pub allow_ports: Option<Vec<u16>>,
}

/// `[limits]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSection {
    /// Where requests are counted: `"local"`, in each process. `"exact"` and `"leased"` stop the start, since this version has
    /// neither. Default `"local"`.
    pub mode: LimitMode,
    /// Requests per minute and address without a valid key. Default `300`.
    pub anonymous_per_minute: Option<AtLeastOne>,
}

/// `[plans.NAME]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlanSection {
    /// Requests per minute and key. Default: unlimited.
    pub requests_per_minute: Option<AtLeastOne>,
    /// How far above it a key may go, in percent, 0 to 1000. Default `0`.
    pub burst_percent: Percent,
    /// Requests per UTC day and key. Default: unlimited.
    pub requests_per_day: Option<AtLeastOne>,
    /// Requests per minute of all keys of a workspace together, without a burst. Default: unlimited.
    pub requests_per_minute_workspace: Option<AtLeastOne>,
    /// Requests per UTC day of all keys of a workspace together. Default: unlimited.
    pub requests_per_day_workspace: Option<AtLeastOne>,
    /// MiB per minute that a workspace's deliveries may send; above it they wait. Default: unlimited.
    pub egress_mib_per_minute: Option<AtLeastOne>,
    /// How many keys a workspace can have. Default: unlimited.
    pub max_keys: Option<u64>,
    /// The widest access of its keys: `"read"`, `"write"` or `"admin"`. Default `"write"`.
    pub access: AccessSetting,
    /// Features with `true`, `false`, a number or `"unlimited"`. What is not listed is not in the plan.
    pub features: IndexMap<String, Spanned<FeatureSetting>>,
}

/// `[features.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSection {
    /// `"boolean"`, `"limit"` or `"metered"`.
    pub r#type: FeatureTypeSetting,
    /// What it is called in messages, e.g. `"Post"`. Default: its name as words.
    #[serde(default)]
    pub label: Option<String>,
    /// Whether anybody may use it. Default `true`.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// `"never"`, `"monthly"`, `"yearly"`, `"every N days"` or `"rolling N days"`. Default `"never"`.
    #[serde(default)]
    pub reset: ResetSetting,
    /// What periods are counted from: `"calendar"` or `"workspace"`, the instant in which it was made. Default `"calendar"`.
    #[serde(default)]
    pub anchor: AnchorSetting,
    /// Whether use beyond the limit is recorded instead of refused. Default `false`.
    #[serde(default)]
    pub soft: bool,
    /// What is counted, e.g. `"bytes"`. Default: none.
    #[serde(default)]
    pub unit: Option<String>,
    /// At which percentages of a limit `entitlement.threshold_reached` is sent, 1 to 1000. Default `[80, 90, 100]`.
    #[serde(default)]
    pub thresholds: Option<Vec<ThresholdSetting>>,
}

/// What the periods of a feature are counted from.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnchorSetting {
    #[default]
    Calendar,
    Workspace,
}

/// How a feature is counted.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureTypeSetting {
    Boolean,
    Limit,
    Metered,
}

/// `[entitlements]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EntitlementsSection {
    /// Where a refused caller is sent to buy more. Default: none.
    pub upgrade_url: Option<PublicUrl>,
    /// The feature that one's own API requests count as. Default: none.
    pub meter_requests: Option<Spanned<String>>,
}

/// `[pixel]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PixelSection {
    /// Requests per minute and address of visitors. Default `300`.
    pub requests_per_minute: Option<AtLeastOne>,
    /// How many events may wait to be stored; beyond that the answer is 503. Default `10000`.
    pub queue: Option<AtLeastOne>,
}

/// `[mcp]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct McpSection {
    /// How long a call of a tool may take: `"1s"` to `"10m"`. Default `"30s"`.
    pub call_timeout: Option<CallTimeout>,
    /// The servers, each in a section of its own, `[mcp.servers.NAME]`.
    pub servers: IndexMap<String, Spanned<McpServerSection>>,
}

/// `[mcp.servers.NAME]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct McpServerSection {
    /// A name for people. Default: what the server calls itself.
    pub name: Option<String>,
    /// What it is for. Default: what the server says of itself.
    pub description: Option<String>,
    /// The program to start, a path or a name; it is trusted like Gatepost itself. Either this or `url`.
    pub command: Option<String>,
    /// Its arguments. Default `[]`.
    pub args: Vec<String>,
    /// Its environment; beside this it gets `PATH` alone. Default `{}`.
    pub env: IndexMap<String, SecretText>,
    /// Where it runs. Default: the directory of this file.
    pub directory: Option<PathBuf>,
    /// The address of a server over streamable HTTP. Private ones must be in `[egress] allow`. Either this or `command`.
    pub url: Option<String>,
    /// Headers of every request to it, such as a token. Default `{}`.
    pub headers: IndexMap<String, SecretText>,
    /// Only keys of these environments may use it: `"live"`, `"test"`. Default `["live"]`.
    pub environments: Option<Vec<EnvironmentSetting>>,
    /// Only these workspaces may use it, by number. Default: all.
    pub workspaces: Option<Vec<AtLeastOne>>,
    /// Only keys with all of these scopes may use it. Default `[]`.
    pub scopes: Vec<Spanned<String>>,
    /// How long a call of a tool may take. Default: that of `[mcp]`.
    pub call_timeout: Option<CallTimeout>,
}

/// `[retention]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSection {
    /// How long events are kept. Default `"30d"`.
    pub events: Option<Lifetime>,
    /// How long deliveries are kept. Default `"30d"`.
    pub deliveries: Option<Lifetime>,
    /// How long pixel events are kept; their counts are part of `analytics`. Default `"30d"`.
    pub pixel_events: Option<Lifetime>,
    /// How long the counts are kept that `/analytics` shows. Default `"400d"`.
    pub analytics: Option<Lifetime>,
    /// How long SEO reports are kept. Default `"400d"`.
    pub seo_reports: Option<Lifetime>,
}

/// `[workspaces]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkspacesSection {
    /// The plan of a new workspace that names none. Default `"free"`.
    pub default_plan: Option<Spanned<String>>,
    /// The plan of the root workspace. Default `"enterprise"`.
    pub root_plan: Option<Spanned<String>>,
}

impl ConfigFile {
    /// The plans and features: with a preset those that are named alone, without one they are laid over the built-in ones.
    ///
    /// # Errors
    /// A sentence with the line and what is accepted there.
    pub fn catalog(&self, sources: &Sources) -> Result<Catalog, Failure> {
        let mut plans: IndexMap<String, Plan> = IndexMap::new();
        let mut features: IndexMap<String, Feature> = IndexMap::new();
        if sources.preset().is_none() {
            let built_in = Catalog::built_in();
            plans.extend(built_in.plans().map(|plan| (plan.name.clone(), plan.clone())));
            features.extend(built_in.features().map(|(name, feature)| (name.to_owned(), feature.clone())));
        }
        plans.extend(self.plans.iter().map(|(name, section)| (name.clone(), section.plan(name))));
        features.extend(self.features.iter().map(|(name, section)| (name.clone(), section.feature())));
        let named = |given: &Option<Spanned<String>>, usual: &str| {
            given.as_ref().map_or_else(|| usual.to_owned(), |name| name.get_ref().clone())
        };
        let WorkspacesSection { default_plan, root_plan } = &self.workspaces;
        let catalog = Catalog::of(
            plans.into_values(),
            features,
            &named(default_plan, Catalog::DEFAULT_PLAN),
            &named(root_plan, Catalog::ROOT_PLAN),
        );
        let catalog = catalog.map_err(|error| {
            let place = match &error {
                CatalogError::Feature { plan, feature, .. } => {
                    self.plans.get(plan).and_then(|plan| plan.features.get(feature)).map(Spanned::span)
                }
                CatalogError::UnknownPlan { name, .. } => {
                    let given = [default_plan, root_plan].into_iter().flatten();
                    given.into_iter().find(|given| given.get_ref() == name).map(Spanned::span)
                }
            };
            format!("{}: {error}", sources.at(place.map_or(0, |place| place.start)))
        })?;
        if let Some(name) = &self.entitlements.meter_requests {
            let place = sources.at(name.span().start);
            let Some(feature) = catalog.feature(name.get_ref()) else {
                let known: Vec<_> = catalog.features().map(|(name, _)| name).collect();
                return Err(format!("{place}: unknown feature; known are: {}", known.join(", ")).into());
            };
            if feature.kind == FeatureKind::Boolean || OwnFeature::parse(name.get_ref()).is_some() {
                return Err(
                    format!("{place}: requests can only be counted as a limit or metered feature").into()
                );
            }
        }
        Ok(catalog)
    }
}

impl McpSection {
    /// How long a call may take that says nothing else.
    const CALL_TIMEOUT: Duration = Duration::from_secs(30);

    /// The servers. Relative paths begin at `directory`; `path` is where programs are looked for.
    ///
    /// # Errors
    /// A sentence with the line, and what is missing or too much.
    pub fn servers(
        &self,
        sources: &Sources,
        directory: &Path,
        path: Option<&str>,
        scope_order: ScopeOrder,
    ) -> Result<Vec<ServerConfig>, Failure> {
        let usual = self.call_timeout.map_or(Self::CALL_TIMEOUT, |timeout| timeout.0);
        let server = |(name, section): (&String, &Spanned<McpServerSection>)| {
            let (place, section) = (section.span().start, section.get_ref());
            let scopes = section.scopes.iter().map(|scope| {
                let read = ScopeRef::parse_in(scope_order, scope.get_ref()).map(Scope::from);
                read.map_err(|fault| format!("{}: {fault}", sources.at(scope.span().start)))
            });
            let scopes = scopes.collect::<Result<Vec<_>, _>>()?;
            let server = section.server(name, directory, path, usual, scopes);
            server.map_err(|fault| format!("{}: mcp.servers.{name}: {fault}", sources.at(place)).into())
        };
        self.servers.iter().map(server).collect()
    }
}

impl McpServerSection {
    fn server(
        &self,
        id: &str,
        directory: &Path,
        path: Option<&str>,
        usual_timeout: Duration,
        scopes: Vec<Scope>,
    ) -> Result<ServerConfig, String> {
        let sound = id.starts_with(|c: char| c.is_ascii_lowercase())
            && id.len() <= 64
            && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
        if !sound {
            return Err(
                "a name begins with a lower-case letter and has up to 64 of those, digits, - and _".into()
            );
        }
        let secrets = |texts: &IndexMap<String, SecretText>| -> Vec<(String, Secret)> {
            texts.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect()
        };
        let of_programs = !self.args.is_empty() || !self.env.is_empty() || self.directory.is_some();
        let transport = match (&self.command, &self.url) {
            (Some(command), None) if self.headers.is_empty() => {
                let mut env = secrets(&self.env);
                if let Some(path) = path.filter(|_| !self.env.contains_key("PATH")) {
                    env.push(("PATH".to_owned(), Secret::new(path.to_owned())));
                }
                let directory = directory.join(self.directory.as_deref().unwrap_or(Path::new("")));
                let directory = std::path::absolute(&directory).unwrap_or(directory);
                Transport::Stdio { command: command.clone(), args: self.args.clone(), env, directory }
            }
            (None, Some(url)) if !of_programs => {
                Transport::Http { url: url.clone(), headers: secrets(&self.headers) }
            }
            (Some(_), None) => return Err("headers are for servers with a url".into()),
            (None, Some(_)) => return Err("args, env and directory are for servers with a command".into()),
            _ => return Err("expected either command or url".into()),
        };
        let workspaces = self.workspaces.as_ref().map(|workspaces| {
            workspaces.iter().map(|id| WorkspaceId(i64::try_from(id.0).unwrap_or(i64::MAX))).collect()
        });
        let environments = match &self.environments {
            Some(environments) => environments.iter().map(|environment| environment.0).collect(),
            None => Access::default().environments,
        };
        Ok(ServerConfig {
            id: id.to_owned(),
            name: self.name.clone(),
            description: self.description.clone(),
            transport,
            access: Access { environments, workspaces, scopes },
            call_timeout: self.call_timeout.map_or(usual_timeout, |timeout| timeout.0),
        })
    }
}

impl ServerSection {
    /// The certificate with its key, if the server is to show one. Relative paths begin at `directory`; `bind` is where it listens.
    ///
    /// # Errors
    /// A sentence with the line, and what is missing or cannot be used.
    pub fn tls(&self, sources: &Sources, directory: &Path, bind: SocketAddr) -> Result<Tls, Failure> {
        let fail = |offset: usize, fault: String| Err(format!("{}: {fault}", sources.at(offset)).into());
        let is_self_signed = |cert: &Spanned<PathBuf>| cert.get_ref() == Path::new(SELF_SIGNED);
        let (cert, key) = match (&self.tls_cert, &self.tls_key) {
            (Some(cert), None) if is_self_signed(cert) => return Ok(Tls::SelfSigned),
            (Some(cert), Some(key)) if is_self_signed(cert) => {
                return fail(key.span().start, "a self-signed certificate makes its own key".to_owned());
            }
            (Some(cert), Some(key)) => (cert, key),
            (Some(one), None) => {
                return fail(one.span().start, "tls_cert needs tls_key beside it".to_owned());
            }
            (None, Some(one)) => {
                return fail(one.span().start, "tls_key needs tls_cert beside it".to_owned());
            }
            (None, None) => {
                let refuses = self.plain_http.as_ref().filter(|setting| {
                    PlainHttp::from(*setting.get_ref()) != PlainHttp::Allow && self.trusted_proxies.is_empty()
                });
                // A preset alone starts: whoever tries it has neither a certificate nor a proxy.
                let tries = refuses.is_some_and(|setting| sources.is_of_preset(setting.span().start));
                if tries && bind.ip().is_loopback() {
                    return Ok(Tls::SelfSigned);
                }
                if let Some(bind) = &self.plain_bind {
                    return fail(
                        bind.span().start,
                        "plain_bind needs tls_cert; without it, bind is plain".to_owned(),
                    );
                }
                if let Some(setting) = refuses {
                    let fault = "would refuse every request: it needs TLS by tls_cert and tls_key, or a TLS proxy \
                                 listed in trusted_proxies";
                    return fail(setting.span().start, fault.to_owned());
                }
                return Ok(Tls::None);
            }
        };
        let read = |file: &Spanned<PathBuf>| {
            let path = directory.join(file.get_ref());
            fs::read(&path)
                .map_err(|error| format!("{}: {}: {error}", sources.at(file.span().start), path.display()))
        };
        match TlsIdentity::from_pem(&read(cert)?, &read(key)?) {
            Ok(identity) => Ok(Tls::Given(Box::new(identity))),
            Err(fault) => fail(cert.span().start, fault),
        }
    }
}

/// The word that stands for a certificate that is made.
const SELF_SIGNED: &str = "self-signed";

/// How connections are encrypted.
#[derive(Debug, Clone)]
pub enum Tls {
    /// Not by this server.
    None,
    /// By a certificate of the operator's.
    Given(Box<TlsIdentity>),
    /// By one for `localhost` that the server makes.
    SelfSigned,
}

impl PlanSection {
    fn plan(&self, name: &str) -> Plan {
        Plan {
            name: name.to_owned(),
            requests_per_minute: self.requests_per_minute.map(|n| n.0),
            burst_percent: self.burst_percent.0,
            requests_per_day: self.requests_per_day.map(|n| n.0),
            requests_per_minute_workspace: self.requests_per_minute_workspace.map(|n| n.0),
            requests_per_day_workspace: self.requests_per_day_workspace.map(|n| n.0),
            egress_mib_per_minute: self.egress_mib_per_minute.map(|n| n.0),
            max_keys: self.max_keys,
            access: self.access.0,
            features: self.features.iter().map(|(name, value)| (name.clone(), value.get_ref().0)).collect(),
        }
    }
}

impl FeatureSection {
    fn feature(&self) -> Feature {
        let kind = match self.r#type {
            FeatureTypeSetting::Boolean => FeatureKind::Boolean,
            FeatureTypeSetting::Limit => FeatureKind::Limit,
            FeatureTypeSetting::Metered => FeatureKind::Metered,
        };
        let reset: Reset = self.reset.0;
        let anchor = match self.anchor {
            AnchorSetting::Calendar => Anchor::Calendar,
            AnchorSetting::Workspace => Anchor::Workspace,
        };
        let mut thresholds = match &self.thresholds {
            Some(thresholds) => thresholds.iter().map(|percent| percent.0).collect(),
            None => DEFAULT_THRESHOLDS.to_vec(),
        };
        thresholds.sort_unstable();
        thresholds.dedup();
        Feature {
            kind,
            label: self.label.clone(),
            enabled: self.enabled.unwrap_or(true),
            reset,
            anchor,
            soft: self.soft,
            unit: self.unit.clone(),
            thresholds,
        }
    }
}
