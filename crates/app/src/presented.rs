//! What a request presents: its token, and the address that it comes from.
//!
//! The address is the socket's peer. Only when that is one of the trusted proxies is `X-Forwarded-For` read, from
//! the right, and the first address that is not itself a trusted proxy is the client's; anybody can write
//! whatever they like further left.

use std::{borrow::Cow, net::IpAddr};

use base64::{Engine, prelude::BASE64_STANDARD};
use gatepost_keys::normalize_address;
use ipnet::IpNet;

/// The token in the one `Authorization` header: `Bearer KEY`, or Basic with the key as user name.
pub fn token<'a>(authorization: impl IntoIterator<Item = &'a [u8]>) -> Option<Cow<'a, str>> {
    let mut values = authorization.into_iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, credentials) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Cow::Borrowed(credentials));
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8(BASE64_STANDARD.decode(credentials).ok()?).ok()?;
        return pair.split_once(':').map(|(user, _)| Cow::Owned(user.to_owned()));
    }
    None
}

/// Whether `address` is one of the proxies.
pub fn is_trusted(address: IpAddr, proxies: &[IpNet]) -> bool {
    let address = normalize_address(address);
    proxies.iter().any(|network| network.contains(&address))
}

/// The client's address, from the socket's peer and the lines of `X-Forwarded-For`; none if a trusted proxy sent something
/// that is not one.
pub fn client_address<'a>(
    peer: Option<IpAddr>,
    forwarded: impl DoubleEndedIterator<Item = &'a str>,
    proxies: &[IpNet],
) -> Option<IpAddr> {
    let mut client = normalize_address(peer?);
    if proxies.is_empty() {
        return Some(client);
    }
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
        let peer = Some(peer.parse().expect("an address"));
        client_address(peer, forwarded.iter().copied(), &proxies).map(|ip| ip.to_string())
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
