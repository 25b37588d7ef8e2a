//! Whether connections are encrypted, and by which certificate.

use std::{fs, path::Path};

use gatepost_api::{PlainHttp, ServerSettings, TlsIdentity};

use super::sources::Sources;
use crate::Failure;

/// The word that stands for a certificate that is made.
const SELF_SIGNED: &str = "self-signed";

/// How connections are encrypted.
#[derive(Debug, Clone)]
pub enum Tls {
    /// Not by this server.
    None,
    /// By a certificate of the operator's.
    Given(Box<TlsIdentity>),
    /// By one for `localhost` that the server makes.
    SelfSigned,
}

impl Tls {
    /// What the settings say. Relative paths begin at `directory`.
    ///
    /// # Errors
    /// A sentence with the line, and what is missing or cannot be used.
    pub fn read(server: &ServerSettings, sources: &Sources, directory: &Path) -> Result<Self, Failure> {
        let at = |setting: &str| sources.at_setting(&["server", setting]);
        let fail = |setting: &str, message: &str| Err(format!("{}: {message}", at(setting)).into());
        let is_self_signed = |cert: &Path| cert == Path::new(SELF_SIGNED);
        match (&server.tls_cert, &server.tls_key) {
            (Some(cert), None) if is_self_signed(cert) => Ok(Self::SelfSigned),
            (Some(cert), Some(_)) if is_self_signed(cert) => {
                fail("tls_key", "a self-signed certificate makes its own key")
            }
            (Some(cert), Some(key)) => {
                let read = |setting: &str, file: &Path| {
                    let path = directory.join(file);
                    fs::read(&path).map_err(|error| format!("{}: {}: {error}", at(setting), path.display()))
                };
                match TlsIdentity::from_pem(&read("tls_cert", cert)?, &read("tls_key", key)?) {
                    Ok(identity) => Ok(Self::Given(Box::new(identity))),
                    Err(message) => fail("tls_cert", &message),
                }
            }
            (Some(_), None) => fail("tls_cert", "tls_cert needs tls_key beside it"),
            (None, Some(_)) => fail("tls_key", "tls_key needs tls_cert beside it"),
            (None, None) => {
                let refuses_all = server.plain_http != PlainHttp::Allow && server.trusted_proxies.is_empty();
                // A preset alone starts: whoever tries it has neither a certificate nor a proxy.
                let is_tried = refuses_all && sources.is_of_preset(&["server", "plain_http"]);
                if is_tried && server.bind.ip().is_loopback() {
                    Ok(Self::SelfSigned)
                } else if server.plain_bind.is_some() {
                    fail("plain_bind", "plain_bind needs tls_cert; without it, bind is plain")
                } else if refuses_all {
                    let message = "would refuse every request: it needs TLS by tls_cert and tls_key, or a TLS proxy \
                                 listed in trusted_proxies";
                    fail("plain_http", message)
                } else {
                    Ok(Self::None)
                }
            }
        }
    }
}
