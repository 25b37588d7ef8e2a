//! The door for pages that are served beside the API, and what they hear of those who ask.

use std::net::{IpAddr, SocketAddr};

use actix_web::{HttpRequest, web::ServiceConfig};

use crate::{State, client, server::Connection};

/// Pages for people, which bring their own routes. Their answers carry [`Rendered`](crate::Rendered), or the
/// API's words for errors replace them.
pub trait Pages: Send + Sync + 'static {
    /// Where a browser is led that asks for `/`.
    fn start(&self) -> &'static str;

    /// Registers the routes.
    fn configure(&self, config: &mut ServiceConfig);
}

/// Who sent a request, and how it reached the server.
#[derive(Debug, Clone)]
pub struct Sender {
    /// Address of the client; none if a trusted proxy sent something that is not one.
    pub address: Option<IpAddr>,
    /// The host that the client asked for, with its port.
    pub host: String,
    /// Whether the client came with TLS.
    pub is_secure: bool,
    /// The address of the server's own that the connection reached; none in tests without one.
    pub reached: Option<SocketAddr>,
}

impl Sender {
    /// The sender of a request.
    pub fn of(req: &HttpRequest, state: &State) -> Self {
        Self {
            address: client::address(req, state),
            host: client::host(req).into_owned(),
            is_secure: client::came_with_tls(req, state),
            reached: req.conn_data::<Connection>().map(|connection| connection.local),
        }
    }

    /// `https://host`, as links to this server begin for the sender.
    pub fn base_url(req: &HttpRequest, state: &State) -> String {
        client::base_url(req, state)
    }
}
