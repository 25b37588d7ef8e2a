//! Where a request comes from, and how its sender reached us.
//!
//! The address is the socket's peer. Only when that is one of the trusted proxies is `X-Forwarded-For` read, from
//! the right, and the first address that is not itself a trusted proxy is the client's; anybody can write
//! whatever they like further left.

use std::net::IpAddr;

use actix_web::{HttpRequest, http::header};
use gatepost_keys::normalize_address;
use ipnet::IpNet;

use crate::State;

/// The client's address; `None` if a trusted proxy sent something that is not one.
pub fn address(req: &HttpRequest, state: &State) -> Option<IpAddr> {
    let peer = req.peer_addr().map(|peer| normalize_address(peer.ip()));
    if state.settings().trusted_proxies.is_empty() {
        return peer;
    }
    let forwarded = req.headers().get_all("x-forwarded-for").map(|value| value.to_str().unwrap_or("?"));
    behind_proxies(peer, forwarded, &state.settings().trusted_proxies)
}

/// `https://host`, as links begin: from the settings, else as the client reached us.
pub fn base_url(req: &HttpRequest, state: &State) -> String {
    if let Some(url) = &state.settings().public_url {
        return url.trim_end_matches('/').to_owned();
    }
    format!("{}://{}", if is_secure(req, state) { "https" } else { "http" }, host(req))
}

/// Whether the client came with TLS: by the word of a trusted proxy, else by the socket.
pub fn is_secure(req: &HttpRequest, state: &State) -> bool {
    let from_proxy =
        req.peer_addr().is_some_and(|peer| is_trusted(peer.ip(), &state.settings().trusted_proxies));
    let forwarded = req.headers().get("x-forwarded-proto").filter(|_| from_proxy);
    forwarded.map_or(req.app_config().secure(), |scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"))
}

/// The host that the client asked for, if it is written like one.
pub fn host(req: &HttpRequest) -> &str {
    let host = req.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| req.uri().authority().map(|authority| authority.as_str()));
    let plain = |host: &&str| {
        !host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']'))
    };
    host.filter(plain).unwrap_or(req.app_config().host())
}

fn is_trusted(address: IpAddr, proxies: &[IpNet]) -> bool {
    let address = normalize_address(address);
    proxies.iter().any(|network| network.contains(&address))
}

fn behind_proxies<'a>(
    peer: Option<IpAddr>,
    forwarded: impl DoubleEndedIterator<Item = &'a str>,
    proxies: &[IpNet],
) -> Option<IpAddr> {
    let mut client = peer?;
    for hop in forwarded.rev().flat_map(|line| line.rsplit(',')) {
        if !is_trusted(client, proxies) {
            break;
        }
        let hop = hop.trim();
        let address =
            hop.parse().ok().or_else(|| hop.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip()));
        client = normalize_address(address?);
    }
    Some(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str], proxies: &[&str]) -> Option<String> {
        let proxies: Vec<IpNet> = proxies.iter().map(|p| p.parse().expect("a network")).collect();
        let peer = Some(normalize_address(peer.parse().expect("an address")));
        behind_proxies(peer, forwarded.iter().copied(), &proxies).map(|ip| ip.to_string())
    }

    #[test]
    fn forwarded_addresses_count_only_behind_trusted_proxies() {
        let proxies = ["10.0.0.0/8"];
        for (peer, forwarded, trusted, expected) in [
            ("203.0.113.9", &["198.51.100.1"][..], &[][..], Some("203.0.113.9")),
            ("203.0.113.9", &["198.51.100.1"], &proxies, Some("203.0.113.9")),
            ("10.0.0.1", &["198.51.100.1"], &proxies, Some("198.51.100.1")),
            ("::ffff:10.0.0.1", &["::ffff:198.51.100.1"], &proxies, Some("198.51.100.1")),
            ("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.0.0.2"], &proxies, Some("198.51.100.1")),
            ("10.0.0.1", &["1.1.1.1", "198.51.100.1", "10.0.0.2"], &proxies, Some("198.51.100.1")),
            ("10.0.0.1", &["10.0.0.3"], &proxies, Some("10.0.0.3")),
            ("10.0.0.1", &[], &proxies, Some("10.0.0.1")),
            ("10.0.0.1", &["nonsense"], &proxies, None),
            ("10.0.0.1", &["198.51.100.1:4711"], &proxies, Some("198.51.100.1")),
        ] {
            assert_eq!(client(peer, forwarded, trusted).as_deref(), expected, "{peer} {forwarded:?}");
        }
    }
}
