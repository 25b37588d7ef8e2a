//! From which addresses a key may be used.

use gatepost_kernel::ListErrors;
#[cfg(feature = "json")]
use gatepost_kernel::describe::{Described, Schemas};
#[cfg(feature = "json")]
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

const MAX_ENTRIES: usize = 50;

/// Networks in CIDR notation; a bare address is a network of one. Empty: every address is allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct IpAllowlist(Vec<IpNet>);

#[cfg(feature = "json")]
impl Described for IpAllowlist {
    fn schema(_: &mut Schemas) -> Value {
        json!({ "type": "array", "maxItems": MAX_ENTRIES, "items": { "type": "string" } })
    }
}

impl IpAllowlist {
    /// Reads a list of addresses and networks. Host bits are cleared, and IPv4 networks in IPv6 spelling
    /// (`::ffff:10.0.0.0/104`) become IPv4.
    ///
    /// # Errors
    /// What is wrong with which entry, or that there are more than 50.
    pub fn parse(texts: &[&str]) -> Result<Self, ListErrors> {
        if texts.len() > MAX_ENTRIES {
            return Err(ListErrors::of_list(format!(
                "The allowed ips may not have more than {MAX_ENTRIES} items."
            )));
        }
        let (mut networks, mut errors) = (Vec::new(), ListErrors::default());
        for (index, text) in texts.iter().enumerate() {
            match network(text) {
                Some(network) if networks.contains(&network) => {}
                Some(network) => networks.push(network),
                None => errors.add(index, "An allowed IP must be an IPv4 or IPv6 address or CIDR range."),
            }
        }
        errors.none_or(Self(networks))
    }

    /// Whether a caller from `address` may use the key. An unknown address is refused when there is a list.
    pub fn allows(&self, address: Option<IpAddr>) -> bool {
        self.0.is_empty()
            || address.is_some_and(|address| {
                let address = normalize_address(address);
                self.0.iter().any(|network| network.contains(&address))
            })
    }

    /// Whether it allows no address that `other` does not allow. Each network must lie in one of the other's.
    pub fn is_within(&self, other: &Self) -> bool {
        let lies_in = |network: &IpNet| other.0.iter().any(|wider| wider.contains(network));
        other.0.is_empty() || (!self.0.is_empty() && self.0.iter().all(lies_in))
    }

    /// Each entry as it is shown: `192.0.2.7`, `10.0.0.0/8`.
    pub fn to_texts(&self) -> Vec<String> {
        let show = |network: &IpNet| {
            if network.prefix_len() == network.max_prefix_len() {
                network.addr().to_string()
            } else {
                network.to_string()
            }
        };
        self.0.iter().map(show).collect()
    }
}

/// The address as it is compared: an IPv4 address in IPv6 spelling becomes IPv4.
pub fn normalize_address(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

fn network(text: &str) -> Option<IpNet> {
    let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()?;
    let mapped = |v6: Ipv6Addr| v6.to_ipv4_mapped();
    let network = match network {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => match mapped(v6.addr()) {
            Some(v4) => IpNet::V4(Ipv4Net::new(v4, v6.prefix_len() - 96).ok()?),
            None => network,
        },
        _ => network,
    };
    Some(network.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> IpAllowlist {
        IpAllowlist::parse(texts).expect("a list")
    }

    fn allows(list: &IpAllowlist, address: &str) -> bool {
        list.allows(Some(address.parse().expect("an address")))
    }

    #[test]
    fn ranges_of_both_families() {
        let some = list(&["192.0.2.7", "10.1.2.3/8", "2001:db8::/32", "::ffff:172.16.0.0/108"]);
        for inside in ["192.0.2.7", "::ffff:192.0.2.7", "10.255.0.1", "2001:db8:1::1", "172.31.0.1"] {
            assert!(allows(&some, inside), "{inside}");
        }
        for outside in ["192.0.2.8", "11.0.0.1", "2001:db9::1", "::1", "172.32.0.1"] {
            assert!(!allows(&some, outside), "{outside}");
        }
        assert_eq!(some.to_texts(), ["192.0.2.7", "10.0.0.0/8", "2001:db8::/32", "172.16.0.0/12"]);
        assert!(!some.allows(None));
        assert!(list(&[]).allows(None));
    }

    #[test]
    fn what_is_within_allows_nothing_more() {
        let wide = list(&["10.0.0.0/8", "2001:db8::/32"]);
        for within in [&["10.1.2.3"][..], &["10.0.0.0/8"], &["2001:db8:1::/48", "10.128.0.0/9"]] {
            assert!(list(within).is_within(&wide), "{within:?}");
        }
        for beyond in [&[][..], &["10.0.0.0/7"], &["10.0.0.1", "11.0.0.1"], &["::/0"], &["0.0.0.0/0"]] {
            assert!(!list(beyond).is_within(&wide), "{beyond:?}");
        }
        assert!(wide.is_within(&list(&[])) && list(&[]).is_within(&list(&[])));
    }

    #[test]
    fn malformed_entries() {
        for bad in ["", "10.0.0.0/33", "10.0.0", "::/129", "localhost", "10.0.0.1-10.0.0.9", " 10.0.0.1"] {
            assert!(IpAllowlist::parse(&[bad]).is_err(), "{bad:?}");
        }
    }
}
