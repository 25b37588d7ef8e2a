//! Which addresses are the public Internet's.
//!
//! Sources: IANA's registries of special-purpose addresses, and 168.63.129.16, which clouds of Azure serve
//! their machines' secrets on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gatepost_keys::normalize_address;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::Rules;

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

const BLOCKED_V4: [Ipv4Net; 16] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(168, 63, 129, 16, 32),
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
];

/// What is given out to the public Internet. All else of IPv6 is reserved, local, or leads to IPv4 by a
/// translation.
const UNICAST_V6: Ipv6Net = v6(0x2000, 0, 0, 3);

/// What is not public in it.
const BLOCKED_V6: [Ipv6Net; 4] =
    [v6(0x2001, 0, 0, 23), v6(0x2001, 0xdb8, 0, 32), v6(0x2002, 0, 0, 16), v6(0x3fff, 0, 0, 20)];

/// Whether an address leads through a tunnel to the IPv4 address in its last four bytes (ISATAP, RFC 5214,
/// 6.1).
fn is_isatap(address: Ipv6Addr) -> bool {
    let [.., high, low, _, _] = address.segments();
    matches!(high, 0x0000 | 0x0200) && low == 0x5efe
}

/// Whether the address is one of the public Internet.
pub fn is_public(address: IpAddr) -> bool {
    match normalize_address(address) {
        IpAddr::V4(v4) => !BLOCKED_V4.iter().any(|network| network.contains(&v4)),
        IpAddr::V6(v6) => {
            let is_blocked = BLOCKED_V6.iter().any(|network| network.contains(&v6));
            UNICAST_V6.contains(&v6) && !is_blocked && !is_isatap(v6)
        }
    }
}

/// Whether it may be reached: a public one that the operator does not deny, or one that the operator allows.
pub fn may_reach(address: IpAddr, rules: &Rules) -> bool {
    let denied = || contain(&rules.deny, address);
    is_allowed(address, rules) || (is_public(address) && !denied())
}

/// Whether the operator allows it by CIDR, which counts more than any other rule.
pub fn is_allowed(address: IpAddr, rules: &Rules) -> bool {
    contain(&rules.allow, address)
}

fn contain(networks: &[IpNet], address: IpAddr) -> bool {
    let address = normalize_address(address);
    networks.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_public_is_known() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:a9fe:a9fe",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "1fff::1",
            "4000::1",
            "64:ff9b:2::1",
            "2606:4700::5efe:10.0.0.1",
            "2606:4700::200:5efe:127.0.0.1",
            "2001:0:7f00:1::",
        ] {
            assert!(!is_public(text.parse().expect(text)), "{text}");
        }
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "168.63.129.17",
            "192.0.1.1",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "2003::1",
        ] {
            assert!(is_public(text.parse().expect(text)), "{text}");
        }
    }

    #[test]
    fn the_operator_allows_and_denies_by_cidr() {
        let network = |text: &str| text.parse::<IpNet>().expect("a network");
        let rules = Rules {
            allow: vec![network("127.0.0.1/32"), network("8.8.8.8/32")],
            deny: vec![network("8.8.0.0/16"), network("2606:4700::/32")],
            ..Rules::default()
        };
        for (address, may) in [
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("127.0.0.2", false),
            ("8.8.8.8", true),
            ("8.8.4.4", false),
            ("::ffff:8.8.4.4", false),
            ("2606:4700:4700::1111", false),
            ("1.1.1.1", true),
        ] {
            assert_eq!(may_reach(address.parse().expect("an address"), &rules), may, "{address}");
        }
    }
}
