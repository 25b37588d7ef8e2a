//! What a request presents: its token, and the address that it comes from.
//!
//! The address is the socket's peer. Only when that is one of the trusted proxies is `X-Forwarded-For` read,
//! from the right, and the first address that is not itself a trusted proxy is the client's; anybody can
//! write whatever they like further left.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv6Addr},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use ipnet::IpNet;

use crate::normalize_address;

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

/// Whom an address stands for: an IPv6 subscriber has a whole /64. Those without an address count together.
pub fn network_of(address: Option<IpAddr>) -> IpAddr {
    match address.map(normalize_address) {
        Some(IpAddr::V6(v6)) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        Some(v4) => v4,
        None => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// The client's address, from the socket's peer and the lines of `X-Forwarded-For`; none if a trusted proxy
/// sent something that is not one.
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
        client = normalize_address(address_of(hop.trim())?);
    }
    Some(client)
}

/// Whether the client came with TLS, by the word of trusted proxies: the lines of `X-Forwarded-Proto`, and
/// those of `X-Forwarded-For`. None if there are none, or none that are believed.
///
/// Each proxy of a chain can add its own entry, so several lines are one list. If it is as long as the list
/// of addresses, the entry that stands where the client's address does counts; otherwise nobody knows whose
/// entry is whose, and all must be `https`.
pub fn came_with_tls<'a>(
    peer: Option<IpAddr>,
    protocols: impl Iterator<Item = &'a str>,
    forwarded: impl DoubleEndedIterator<Item = &'a str>,
    proxies: &[IpNet],
) -> Option<bool> {
    let protocols: Vec<&str> = protocols.flat_map(|line| line.split(',')).map(str::trim).collect();
    if protocols.is_empty() || !peer.is_some_and(|peer| is_trusted(peer, proxies)) {
        return None;
    }
    let is_https = |protocol: &str| protocol.eq_ignore_ascii_case("https");
    let hops: Vec<&str> = forwarded.rev().flat_map(|line| line.rsplit(',')).map(str::trim).collect();
    if hops.len() != protocols.len() {
        return Some(protocols.into_iter().all(is_https));
    }
    // From the right, the first that is not itself a trusted proxy is the client; if all are, the leftmost.
    let is_proxy = |hop: &&str| address_of(hop).is_some_and(|address| is_trusted(address, proxies));
    let place = hops.iter().take_while(|hop| is_proxy(hop)).count().min(hops.len() - 1);
    protocols.into_iter().rev().nth(place).map(is_https)
}

/// The address in an entry of `X-Forwarded-For`, with or without a port.
fn address_of(hop: &str) -> Option<IpAddr> {
    hop.parse().ok().or_else(|| hop.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_of_the_clients_own_hop_says_whether_it_came_with_tls() {
        let proxies = ["127.0.0.1/32".parse().expect("a network"), "10.0.0.0/8".parse().expect("a network")];
        let came = |peer: &str, protocols: &[&str], forwarded: &[&str]| {
            let peer = Some(peer.parse().expect("an address"));
            came_with_tls(peer, protocols.iter().copied(), forwarded.iter().copied(), &proxies)
        };
        for (protocols, forwarded, expected) in [
            (&["https"][..], &[][..], Some(true)),
            (&["http"], &[], Some(false)),
            (&["HTTPS"], &["203.0.113.7"], Some(true)),
            (&["https,http"], &["203.0.113.7, 127.0.0.1"], Some(true)),
            (&["https", "http"], &["203.0.113.7", "127.0.0.1"], Some(true)),
            (&["http, https"], &["203.0.113.7, 10.0.0.1"], Some(false)),
            // What a client wrote itself stands further left.
            (&["https, http, https"], &["1.1.1.1, 203.0.113.7, 10.0.0.1"], Some(false)),
            (&["https,http"], &["10.0.0.2, 127.0.0.1"], Some(true)),
            (&["https,http"], &[], Some(false)),
            (&["https, https"], &[], Some(true)),
            (&["https, https"], &["203.0.113.7"], Some(true)),
            (&["https,http"], &["203.0.113.7"], Some(false)),
            (&[""], &[], Some(false)),
            (&[], &["203.0.113.7"], None),
        ] {
            assert_eq!(came("127.0.0.1", protocols, forwarded), expected, "{protocols:?} {forwarded:?}");
            assert_eq!(came("203.0.113.9", protocols, forwarded), None, "not a proxy");
        }
    }

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
