//! `[server]` of a configuration file.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use gatepost_kernel::settings;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use crate::PlainHttp;

/// `[server]`: Where requests come in, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSettings {
    /// Where to listen: an address, or the name of a host, with a port.
    #[serde(deserialize_with = "settings::listen")]
    pub bind: SocketAddr,
    /// The address that links in answers begin with, e.g. `"https://api.example.com"`. Default: what the
    /// client used.
    #[serde(deserialize_with = "settings::base_url_or_none")]
    pub public_url: Option<String>,
    /// Addresses and CIDRs of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    #[serde(deserialize_with = "settings::networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// The origins whose pages may call the API from a browser, as browsers write them, e.g.
    /// `["https://app.example.com"]`, or `["*"]` for all.
    #[serde(deserialize_with = "origins")]
    pub cors_origins: Vec<String>,
    /// Whether `/docs` shows the documentation of the API.
    pub docs: bool,
    /// Of the requests that forward auth lets in from memory, one in so many is logged; none if it is 0. All
    /// that it refuses are.
    pub forward_auth_log_one_in: u32,
    /// What happens to requests without TLS, the probes' excepted: `"allow"`, `"reject"` (403) or
    /// `"redirect"` (301). The last two need `tls_cert`, or a TLS proxy in `trusted_proxies` that sends
    /// `X-Forwarded-Proto`.
    pub plain_http: PlainHttp,
    /// The certificate chain in PEM, the server's own first; `bind` then takes HTTPS. `"self-signed"` makes
    /// one for `localhost`, which is kept beside the database. Default: none; a preset that refuses plain
    /// HTTP makes one on a loopback address.
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key in PEM.
    pub tls_key: Option<PathBuf>,
    /// With a certificate: a second address that takes requests without TLS, to which `plain_http` applies.
    #[serde(deserialize_with = "settings::listen_or_none")]
    pub plain_bind: Option<SocketAddr>,
    /// A second address, without TLS, that alone has `/metrics`, the probes and the documentation. Default:
    /// `bind` has them too.
    #[serde(deserialize_with = "settings::listen_or_none")]
    pub admin_bind: Option<SocketAddr>,
    /// How long requests are still taken once the process is told to end by SIGTERM, while `/readyz` answers
    /// 503 and every answer ends its connection; as long as load balancers need to see that. Default: not at
    /// all.
    #[serde(
        serialize_with = "settings::show_duration_or_none",
        deserialize_with = "settings::duration_within_or_none::<_, 1, 600>"
    )]
    pub drain: Option<Duration>,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            public_url: None,
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            docs: true,
            forward_auth_log_one_in: 0,
            plain_http: PlainHttp::default(),
            tls_cert: None,
            tls_key: None,
            plain_bind: None,
            admin_bind: None,
            drain: None,
        }
    }
}

fn origins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    struct Origin(#[serde(deserialize_with = "origin")] String);
    let origins = Vec::<Origin>::deserialize(deserializer)?;
    Ok(origins.into_iter().map(|Origin(origin)| origin).collect())
}

/// `scheme://host`, perhaps with a port, as browsers write an origin; or `*`.
fn origin<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "*" {
        return Ok(text);
    }
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let in_host = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:[]".contains(&b);
    if !matches!(scheme, "http" | "https") || rest.is_empty() || !rest.bytes().all(in_host) {
        return Err(D::Error::custom("expected an origin such as https://app.example.com, or *"));
    }
    // Colons in brackets are part of an address.
    if let Some((host, port)) = rest.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
        let default = if scheme == "https" { "443" } else { "80" };
        if port == default {
            return Err(D::Error::custom(format!(
                "browsers leave out the default port, so this would match nothing; write {scheme}://{host}"
            )));
        }
        if port.starts_with('0') || port.parse::<u16>().is_err() {
            return Err(D::Error::custom("expected a port of 1 to 65535, as browsers write it"));
        }
    }
    Ok(text)
}
