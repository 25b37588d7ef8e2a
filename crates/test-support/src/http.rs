//! HTTP clients for tests, and certificates that only they know.

use rcgen::{CertifiedKey, generate_simple_self_signed};

/// A client without proxies that follows no redirect. `root` is a certificate in PEM that it trusts beside
/// the usual ones.
///
/// # Panics
/// If it cannot be made.
pub fn http_client(root: Option<&str>) -> reqwest::Client {
    // Whoever comes second finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    if let Some(pem) = root {
        let root = reqwest::Certificate::from_pem(pem.as_bytes()).expect("a certificate");
        builder = builder.tls_certs_only([root]);
    }
    builder.build().expect("a client")
}

/// A certificate for `localhost` and its private key, both in PEM.
///
/// # Panics
/// If it cannot be made.
pub fn certificate() -> (String, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("a certificate");
    (cert.pem(), signing_key.serialize_pem())
}
