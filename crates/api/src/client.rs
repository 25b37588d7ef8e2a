//! Where a request comes from, and how its sender reached us.
//!
//! The address is the socket's peer. Only when that is one of the trusted proxies is `X-Forwarded-For` read, from
//! the right, and the first address that is not itself a trusted proxy is the client's; anybody can write
//! whatever they like further left.

use std::net::IpAddr;

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderMap},
};
use gatepost_app::presented;

use crate::State;

/// The client's address; `None` if a trusted proxy sent something that is not one.
pub fn address(req: &HttpRequest, state: &State) -> Option<IpAddr> {
    let forwarded = req.headers().get_all("x-forwarded-for").map(|value| value.to_str().unwrap_or("?"));
    let peer = req.peer_addr().map(|peer| peer.ip());
    presented::client_address(peer, forwarded, &state.settings().trusted_proxies)
}

/// `https://host`, as links begin: from the settings, else as the client reached us.
pub fn base_url(req: &HttpRequest, state: &State) -> String {
    if let Some(url) = &state.settings().public_url {
        return url.trim_end_matches('/').to_owned();
    }
    format!("{}://{}", if came_with_tls(req, state) { "https" } else { "http" }, host(req))
}

/// Whether the client came with TLS: by the word of a trusted proxy, else by the socket.
pub fn came_with_tls(req: &HttpRequest, state: &State) -> bool {
    let peer = req.peer_addr().map(|peer| peer.ip());
    is_secure(req.headers(), peer, req.app_config().secure(), state)
}

/// The same, of a request that the framework has not taken yet.
pub fn is_secure(headers: &HeaderMap, peer: Option<IpAddr>, socket: bool, state: &State) -> bool {
    let proxies = &state.settings().trusted_proxies;
    let forwarded = headers
        .get("x-forwarded-proto")
        .filter(|_| peer.is_some_and(|peer| presented::is_trusted(peer, proxies)));
    forwarded.map_or(socket, |scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"))
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
