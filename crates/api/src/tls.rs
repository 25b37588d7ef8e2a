//! The certificate that the server shows, and what becomes of requests that come without TLS.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// A certificate with its key, ready to serve.
#[derive(Debug, Clone)]
pub struct TlsIdentity {
    config: ServerConfig,
    certificate: CertificateDer<'static>,
}

impl TlsIdentity {
    /// The server's own certificate, in DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Reads a certificate chain, the server's own first, and its private key, both in PEM. TLS 1.2 and 1.3.
    ///
    /// # Errors
    /// A sentence that says which of the two cannot be used, and repeats nothing of either.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, String> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|_| "the certificate is not PEM".to_owned())?;
        let certificate = chain.first().cloned().ok_or("there is no certificate in it")?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| "there is no private key in PEM in it".to_owned())?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
        let with_http = |mut config: ServerConfig| {
            config.alpn_protocols = vec![HTTP_1_1.to_vec()];
            Self { config, certificate }
        };
        config.map(with_http).map_err(|error| format!("certificate and key do not work together: {error}"))
    }
}

/// A certificate that can be replaced while it is served: connections that are made from then on are shown
/// the new one, and those that are there stay. Cloning is cheap; all clones are one.
#[derive(Debug, Clone)]
pub struct ServedCertificate(Arc<RwLock<Arc<ServerConfig>>>);

impl ServedCertificate {
    /// Shows another certificate from now on.
    pub fn replace(&self, identity: TlsIdentity) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(identity.config);
    }

    /// What a connection is made with now.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl From<TlsIdentity> for ServedCertificate {
    fn from(identity: TlsIdentity) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(identity.config))))
    }
}

/// What is spoken, as a handshake names it.
const HTTP_1_1: &[u8] = b"http/1.1";

gatepost_kernel::words! {
    /// What becomes of requests that come without TLS, the probes' excepted.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub enum PlainHttp {
        /// They are answered like any other.
        #[default]
        Allow = "allow",
        /// 403; their keys are not looked at.
        Reject = "reject",
        /// 301 to the same address with `https`.
        Redirect = "redirect",
    }
}
gatepost_kernel::read_as_word!(PlainHttp);
