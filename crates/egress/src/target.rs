//! Where a request is to go, checked as it is written.

use std::net::IpAddr;

use reqwest::Url;

use crate::{
    Rules,
    addresses::{is_allowed, may_reach},
};

const MAX_LEN: usize = 2_048;
/// Ports above 1023 that browsers never send HTTP to, because another protocol listens there (the Fetch
/// standard, 2.9).
const BAD_PORTS: [u16; 19] = [
    1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679,
    6697, 10_080,
];

/// An address that may be asked, as far as it can be judged by its spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
}

/// Why an address may not be asked. `Display` is a sentence about "the url".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It is not a URL, or longer than 2,048.
    #[error("The url must be a valid URL.")]
    Malformed,
    /// The scheme is not one that may be used.
    #[error("The url must be an HTTPS URL.")]
    Scheme,
    /// It holds a user name or a password, which logs would then hold too.
    #[error("The url may not hold a user name or a password; use a header instead.")]
    Userinfo,
    /// It has a fragment, which is never sent.
    #[error("The url may not have a fragment.")]
    Fragment,
    /// The port is not one for webhooks.
    #[error("The url may not lead to this port.")]
    Port,
    /// It is, or resolves to, an address that is not public.
    #[error("The url must lead to a public address.")]
    Private,
}

impl Target {
    pub(crate) fn parse(text: &str, rules: &Rules) -> Result<Self, TargetError> {
        // Whoever parses a URL removes these without a word; what is stored should be what is used.
        if text.len() > MAX_LEN || text.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err(TargetError::Malformed);
        }
        let url = Url::parse(text).map_err(|_| TargetError::Malformed)?;
        match url.scheme() {
            "https" => {}
            "http" if rules.allow_http => {}
            _ => return Err(TargetError::Scheme),
        }
        // Whoever parses a URL takes the first part of a path for a host that is missing.
        if text.split_once("://").is_none_or(|(_, rest)| rest.starts_with(['/', '\\'])) {
            return Err(TargetError::Malformed);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::Userinfo);
        }
        if url.fragment().is_some() {
            return Err(TargetError::Fragment);
        }
        let target = Self { url };
        match (target.literal(), target.name()) {
            // Decimal, octal and hexadecimal spellings are addresses by now.
            (Some(address), _) if is_allowed(address, rules) => Ok(target),
            (Some(address), _) if !may_reach(address, rules) => Err(TargetError::Private),
            (None, Some(name)) if is_local_name(name) && !loopback_is_allowed(rules) => {
                Err(TargetError::Private)
            }
            (None, Some(name)) if is_local_name(name) => Ok(target),
            (None, None) => Err(TargetError::Malformed),
            _ if !is_port_allowed(target.url.port_or_known_default(), rules) => Err(TargetError::Port),
            _ => Ok(target),
        }
    }

    /// The whole address.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The host, if it is written as an address.
    fn literal(&self) -> Option<IpAddr> {
        let host = self.url.host_str()?;
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()
    }

    /// The host, if it is a name.
    pub fn name(&self) -> Option<&str> {
        self.url.host_str().filter(|host| !host.is_empty() && self.literal().is_none())
    }
}

fn is_local_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost") || name == "localhost.localdomain"
}

fn is_port_allowed(port: Option<u16>, rules: &Rules) -> bool {
    match (port, &rules.allow_ports) {
        (None, _) => false,
        (Some(port), Some(allowed)) => allowed.contains(&port),
        (Some(port), None) => matches!(port, 80 | 443) || (port > 1_023 && !BAD_PORTS.contains(&port)),
    }
}

fn loopback_is_allowed(rules: &Rules) -> bool {
    let loopback: [IpAddr; 2] = [std::net::Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()];
    loopback.into_iter().any(|address| is_allowed(address, rules))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, allow: &[&str]) -> Result<String, TargetError> {
        let allow = allow.iter().map(|network| network.parse().expect("a network")).collect();
        Target::parse(text, &Rules { allow, ..Rules::default() }).map(|target| target.url.to_string())
    }

    #[test]
    fn addresses_are_judged_by_their_spelling() {
        use TargetError::{Fragment, Malformed, Port, Private, Scheme, Userinfo};
        for (text, error) in [
            ("https://example.com/hooks?x=1", None),
            ("https://8.8.8.8/", None),
            ("https://[2606:4700:4700::1111]:8443/", None),
            ("http://example.com/", Some(Scheme)),
            ("ftp://example.com/", Some(Scheme)),
            ("file:///etc/passwd", Some(Scheme)),
            ("example.com", Some(Malformed)),
            ("https://", Some(Malformed)),
            ("https:///path", Some(Malformed)),
            ("https:\\\\example.com/", Some(Malformed)),
            ("https:example.com", Some(Malformed)),
            ("https://example.com:22/", Some(Port)),
            ("https://example.com:6667/", Some(Port)),
            ("https://8.8.8.8:25/", Some(Port)),
            ("https://example.com:80/", None),
            ("https://example.com:8443/", None),
            ("https://localhost.localdomain/", Some(Private)),
            ("", Some(Malformed)),
            ("https://exa mple.com/", Some(Malformed)),
            ("https://example.com/\n", Some(Malformed)),
            ("https://user@example.com/", Some(Userinfo)),
            ("https://:pass@example.com/", Some(Userinfo)),
            ("https://example.com/#a", Some(Fragment)),
            ("https://127.0.0.1/", Some(Private)),
            ("https://2130706433/", Some(Private)),
            ("https://0x7f000001/", Some(Private)),
            ("https://0177.0.0.1/", Some(Private)),
            ("https://127.1/", Some(Private)),
            ("https://%31%32%37.0.0.1/", Some(Private)),
            ("https://１２７.0.0.1/", Some(Private)),
            ("https://[::1]/", Some(Private)),
            ("https://[::ffff:127.0.0.1]/", Some(Private)),
            ("https://[::ffff:7f00:1]/", Some(Private)),
            ("https://169.254.169.254/latest/meta-data", Some(Private)),
            ("https://localhost/", Some(Private)),
            ("https://LOCALHOST./", Some(Private)),
            ("https://a.localhost/", Some(Private)),
        ] {
            assert_eq!(parse(text, &[]).err(), error, "{text}");
        }
        assert!(parse("https://localhost:1/", &["127.0.0.0/8"]).is_ok());
        assert!(parse("https://127.0.0.1:1/", &["127.0.0.0/8"]).is_ok());
        assert!(
            parse("https://127.0.0.1:22/", &["127.0.0.0/8"]).is_ok(),
            "what is allowed is so at every port"
        );
        assert_eq!(parse("https://10.0.0.1/", &["127.0.0.0/8"]), Err(Private));
        let rules = Rules { allow_ports: Some(vec![443, 22]), ..Rules::default() };
        for (port, error) in [(443, None), (22, None), (8443, Some(Port)), (80, Some(Port))] {
            let parsed = Target::parse(&format!("https://example.com:{port}/"), &rules);
            assert_eq!(parsed.err(), error, "{port}");
        }
    }
}
