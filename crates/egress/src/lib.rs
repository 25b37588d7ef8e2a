#![doc = include_str!("../README.md")]

mod addresses;
mod post;
mod resolver;
mod target;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use gatepost_kernel::settings;
use http::HeaderMap;
use ipnet::IpNet;
use reqwest::redirect::Policy;
use serde::{Deserialize, Serialize};

pub use addresses::is_public;
pub use gatepost_kernel::WorkspaceId;
pub use post::{PostError, Reply};
pub use reqwest::{Client, Error as RequestError, Response, StatusCode, header};
pub use target::{Target, TargetError};

use crate::{
    post::Poster,
    resolver::{FilteringResolver, Resolver},
};

/// How long a connection that nobody uses is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection, with its TLS, may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Which addresses may be reached, and the clients that reach them. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Egress {
    rules: Arc<Rules>,
    resolver: Arc<Resolver>,
    /// For receivers that tenants choose.
    poster: Poster,
    /// For servers that the operator chooses.
    client: Client,
}

/// `[egress]`: What outgoing requests may reach.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Targets that outgoing requests may reach whatever the other rules say, private ones included, by address
    /// or CIDR.
    #[serde(deserialize_with = "settings::networks")]
    pub allow: Vec<IpNet>,
    /// Public targets that they may not reach, by address or CIDR.
    #[serde(deserialize_with = "settings::networks")]
    pub deny: Vec<IpNet>,
    /// The ports that they may reach. Default: 80, 443, and those above 1023 that browsers send HTTP to.
    pub allow_ports: Option<Vec<u16>>,
    /// Whether `http://` may be used.
    #[serde(skip)]
    pub allow_http: bool,
    /// Who asks, as the `User-Agent` says before the version; by default Gatepost.
    #[serde(skip)]
    pub agent: Option<String>,
    /// Name servers to ask instead of the system's, for tests that need a hostile one.
    #[serde(skip)]
    pub resolve: Option<Resolve>,
}

impl Rules {
    fn user_agent(&self) -> String {
        format!("{}/{}", self.agent.as_deref().unwrap_or("Gatepost"), env!("CARGO_PKG_VERSION"))
    }
}

/// Looks a name up: answers its addresses.
pub type Resolve = resolver::Resolve;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// Of that for servers that the operator chooses.
    #[error("no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// Of that for receivers that tenants choose.
    #[error("no HTTP client: {0}")]
    Poster(#[from] rustls::Error),
}

impl Egress {
    /// Makes the clients: they follow no redirect, use no proxy, and keep connections.
    ///
    /// # Errors
    /// [`EgressError`] if there is no store of certificates.
    pub fn new(rules: Rules) -> Result<Self, EgressError> {
        // Whoever comes second finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let rules = Arc::new(rules);
        let resolver = Arc::new(Resolver::new(rules.clone()));
        let client = Client::builder()
            .dns_resolver(FilteringResolver(resolver.clone()))
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(rules.user_agent())
            // As many as may be in flight: making a connection anew costs more than all the rest of a
            // request.
            .pool_max_idle_per_host(1024)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build()?;
        Ok(Self { poster: Poster::new(resolver.clone(), &rules.user_agent())?, rules, resolver, client })
    }

    /// Checks an address as it is written, without looking any name up.
    ///
    /// # Errors
    /// [`TargetError`].
    pub fn check(&self, url: &str) -> Result<Target, TargetError> {
        Target::parse(url, &self.rules)
    }

    /// Checks an address, and what its name resolves to now, for a workspace or, without one, for the
    /// operator. A name that does not resolve is accepted: it may tomorrow. Whether it does is said too.
    ///
    /// # Errors
    /// [`TargetError`].
    pub async fn check_resolved(
        &self,
        url: &str,
        owner: Option<WorkspaceId>,
    ) -> Result<(Target, bool), TargetError> {
        let target = self.check(url)?;
        let Some(name) = target.name() else { return Ok((target, true)) };
        match self.resolver.look_up(name, owner).await {
            Ok(addresses) if !resolver::all_allowed(&addresses, &self.rules) => Err(TargetError::Private),
            Ok(addresses) => Ok((target, !addresses.is_empty())),
            Err(_) => Ok((target, false)),
        }
    }

    /// The client itself, for what speaks a protocol of its own over HTTP. Each address must have been
    /// checked; what its name resolves to is judged when a connection is made, and no redirect is followed.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Posts `body` to a receiver of `owner`'s, over HTTP/1.1, and waits for the head of the answer. The
    /// target is judged once more when the connection is made.
    ///
    /// # Errors
    /// [`PostError`].
    pub async fn post(
        &self,
        target: &Target,
        owner: WorkspaceId,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Reply, PostError> {
        self.poster.post(target, owner, headers, body).await
    }
}
