//! Which requests may reach a page: those for the dashboard's own host, over TLS or within the machine, and,
//! where something is changed, those that a page of the dashboard itself sends.
//!
//! A name of an attacker's that resolves to this server (DNS rebinding) has an `Origin` that equals its `Host`,
//! so the host is looked at first. Then `Sec-Fetch-Site`, which browsers send and no page can forge, and where
//! it is missing, since the page came without TLS by a name, `Origin`.

use std::net::{IpAddr, SocketAddr};

use url::Url;

/// Where the dashboard is served.
#[derive(Debug, Clone)]
pub struct Home {
    /// `[server] public_url`, if it is set.
    pub public_url: Option<String>,
}

/// What a request says of where it comes from and where it goes.
#[derive(Debug, Clone, Copy)]
pub struct Claims<'r> {
    /// The `Host` header.
    pub host: &'r str,
    /// Whether it came with TLS.
    pub is_secure: bool,
    /// The address that the connection reached.
    pub reached: Option<SocketAddr>,
    /// The `Sec-Fetch-Site` header.
    pub fetch_site: Option<&'r str>,
    /// The `Origin` header.
    pub origin: Option<&'r str>,
}

/// Why a request does not reach a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is for another host.
    #[error("The dashboard is not at this address.")]
    OtherHost,
    /// It came without TLS from another machine.
    #[error("The dashboard takes HTTPS only.")]
    Plain,
    /// Another page has sent it.
    #[error("This form was sent by another page.")]
    OtherPage,
}

impl Home {
    /// Whether a request may read a page.
    ///
    /// # Errors
    /// Why it may not.
    pub fn check(&self, claims: &Claims<'_>) -> Result<(), Refusal> {
        let is_ours = match &self.public_url {
            Some(url) => authority(url).is_some_and(|own| is_same_host(&own, claims.host, claims.is_secure)),
            None => is_loopback(claims.host) && has_port_of(claims),
        };
        if !is_ours {
            return Err(Refusal::OtherHost);
        }
        if claims.is_secure || is_loopback(claims.host) { Ok(()) } else { Err(Refusal::Plain) }
    }

    /// Whether a request that passed [`check`](Self::check) may change something.
    ///
    /// # Errors
    /// [`Refusal::OtherPage`].
    pub fn check_change(&self, claims: &Claims<'_>) -> Result<(), Refusal> {
        let scheme = if claims.is_secure { "https" } else { "http" };
        let is_own = match (claims.fetch_site, claims.origin) {
            (Some(site), _) => site == "same-origin",
            (None, Some(origin)) => origin.eq_ignore_ascii_case(&format!("{scheme}://{}", claims.host)),
            (None, None) => false,
        };
        if is_own { Ok(()) } else { Err(Refusal::OtherPage) }
    }
}

/// The host of a URL, with the port where it is not the scheme's.
fn authority(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

fn is_same_host(own: &str, host: &str, is_secure: bool) -> bool {
    let default = if is_secure { ":443" } else { ":80" };
    own.eq_ignore_ascii_case(host.strip_suffix(default).unwrap_or(host))
}

/// Whether a host is the machine itself, whatever the port.
fn is_loopback(host: &str) -> bool {
    let name = name_of(host);
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

fn name_of(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

/// Whether the host names the port that was reached.
fn has_port_of(claims: &Claims<'_>) -> bool {
    let after = claims.host.rsplit_once(']').map_or(claims.host, |(_, after)| after);
    let named = after.rsplit_once(':').map(|(_, port)| port);
    let port = match named {
        Some(port) => port.parse().ok(),
        None => Some(if claims.is_secure { 443 } else { 80 }),
    };
    claims.reached.is_some_and(|reached| Some(reached.port()) == port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(host: &str) -> Claims<'_> {
        Claims {
            host,
            is_secure: false,
            reached: Some("127.0.0.1:8080".parse().expect("an address")),
            fetch_site: None,
            origin: None,
        }
    }

    fn local() -> Home {
        Home { public_url: None }
    }

    fn public(url: &str) -> Home {
        Home { public_url: Some(url.to_owned()) }
    }

    #[test]
    fn without_a_public_url_only_the_machine_itself_is_served() {
        for host in ["127.0.0.1:8080", "localhost:8080", "LocalHost:8080", "[::1]:8080"] {
            assert_eq!(local().check(&claims(host)), Ok(()), "{host}");
        }
        for host in [
            "127.0.0.1",
            "127.0.0.1:8081",
            "evil.test:8080",
            "localhost.evil.test:8080",
            "127.0.0.1.evil.test:8080",
            "192.0.2.1:8080",
            "",
            "[::1]",
            "[::1]8080",
        ] {
            assert_eq!(local().check(&claims(host)), Err(Refusal::OtherHost), "{host}");
        }
    }

    #[test]
    fn with_a_public_url_its_host_alone_is_served_and_with_tls() {
        let home = public("https://keys.example.com/");
        let secure = |host| Claims { is_secure: true, ..claims(host) };
        for host in ["keys.example.com", "KEYS.example.com", "keys.example.com:443"] {
            assert_eq!(home.check(&secure(host)), Ok(()), "{host}");
        }
        for host in ["127.0.0.1:8080", "keys.example.com:8443", "evil.test"] {
            assert_eq!(home.check(&secure(host)), Err(Refusal::OtherHost), "{host}");
        }
        assert_eq!(home.check(&claims("keys.example.com")), Err(Refusal::Plain));
        assert_eq!(public("http://localhost:9000").check(&claims("localhost:9000")), Ok(()));
    }

    #[test]
    fn only_the_dashboards_own_pages_change_something() {
        let own = claims("127.0.0.1:8080");
        let with = |fetch_site, origin| Claims { fetch_site, origin, ..own };
        let passes = |claims: Claims<'_>| local().check_change(&claims).is_ok();
        assert!(passes(with(Some("same-origin"), Some("http://127.0.0.1:8080"))));
        // A page of ours under `no-referrer` would send this.
        assert!(passes(with(Some("same-origin"), Some("null"))));
        assert!(passes(with(None, Some("http://127.0.0.1:8080"))));
        for (site, origin) in [
            (Some("cross-site"), Some("http://127.0.0.1:8080")),
            (Some("same-site"), Some("http://127.0.0.1:8081")),
            (Some("none"), None),
            (Some(""), Some("http://127.0.0.1:8080")),
            (None, Some("http://127.0.0.1:8081")),
            (None, Some("https://127.0.0.1:8080")),
            (None, Some("http://evil.test")),
            (None, Some("null")),
            (None, None),
        ] {
            assert!(!passes(with(site, origin)), "{site:?} {origin:?}");
        }
    }
}
