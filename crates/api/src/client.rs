//! Where a request comes from, and how its sender reached us.
//!
//! The address is the socket's peer. Only when that is one of the trusted proxies is `X-Forwarded-For` read,
//! from the right, and the first address that is not itself a trusted proxy is the client's; anybody can
//! write whatever they like further left.

use std::{borrow::Cow, net::IpAddr};

use actix_web::{
    HttpRequest,
    http::{
        Method,
        header::{self, HeaderMap, HeaderName},
    },
};
use gatepost_keys::presented;

use crate::{State, server::Connection};

/// The token that the request presents, where it stands if nothing has to be decoded.
pub fn token(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    presented::token(headers.get_all(header::AUTHORIZATION).map(header::HeaderValue::as_bytes))
}

/// The client's address; `None` if a trusted proxy sent something that is not one.
pub fn address(req: &HttpRequest, state: &State) -> Option<IpAddr> {
    let forwarded = req.headers().get_all("x-forwarded-for").map(|value| value.to_str().unwrap_or("?"));
    let peer = req.peer_addr().map(|peer| peer.ip());
    presented::client_address(peer, forwarded, &state.settings().server.trusted_proxies)
}

/// `https://host`, as links begin: from the settings, else as the client reached us.
pub fn base_url(req: &HttpRequest, state: &State) -> String {
    if let Some(url) = &state.settings().server.public_url {
        return url.trim_end_matches('/').to_owned();
    }
    format!("{}://{}", if came_with_tls(req, state) { "https" } else { "http" }, host(req))
}

/// Whether the client came with TLS: by the word of a trusted proxy, else by the socket.
pub fn came_with_tls(req: &HttpRequest, state: &State) -> bool {
    let peer = req.peer_addr().map(|peer| peer.ip());
    let socket = req.conn_data::<Connection>().is_some_and(|connection| connection.secure);
    is_secure(req.headers(), peer, socket, state)
}

/// The same, of a request that the framework has not taken yet.
pub fn is_secure(headers: &HeaderMap, peer: Option<IpAddr>, socket: bool, state: &State) -> bool {
    let proxies = &state.settings().server.trusted_proxies;
    if proxies.is_empty() {
        return socket;
    }
    let lines = |name: &str| headers.get_all(name).map(|value| value.to_str().unwrap_or("?"));
    let (protocols, forwarded) = (lines("x-forwarded-proto"), lines("x-forwarded-for"));
    presented::came_with_tls(peer, protocols, forwarded, proxies).unwrap_or(socket)
}

/// Left in a request of forward auth that a proxy makes about a preflight of a browser (the Fetch standard,
/// 3.3.2).
#[derive(Debug, Clone, Copy)]
pub struct Preflight;

/// Whether a request of forward auth is about a preflight: by the method that the proxy says the client used,
/// or by its own.
pub fn is_about_preflight(method: &Method, headers: &HeaderMap) -> bool {
    const FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
    let mut said = headers.get_all(&FORWARDED_METHOD);
    let is_options = match (said.next(), said.next()) {
        (None, _) => method == Method::OPTIONS,
        (Some(one), None) => one.as_bytes() == b"OPTIONS",
        // Nobody knows whose is whose.
        (Some(_), Some(_)) => false,
    };
    is_options
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The host that the client asked for, if it is written like one; else the address that it reached.
pub fn host(req: &HttpRequest) -> Cow<'_, str> {
    let host = req.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| req.uri().authority().map(|authority| authority.as_str()));
    let plain = |host: &&str| {
        !host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']'))
    };
    let reached = || req.conn_data::<Connection>().map(|connection| connection.local.to_string());
    host.filter(plain).map_or_else(|| reached().unwrap_or_default().into(), Cow::Borrowed)
}
