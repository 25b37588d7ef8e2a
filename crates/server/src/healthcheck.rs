//! `gatepost healthcheck`: whether the server that this configuration starts on this machine can do its work.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::{
    Failure,
    config::{Config, Tls},
    output,
};

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// The most of an answer that is read.
const MOST_BYTES: u64 = 4_096;

/// Asks `/readyz`; fails unless it answers 200.
pub async fn run(config: &Config) -> Result<ExitCode, Failure> {
    let server = &config.server;
    let plain = server.admin_bind.or(server.plain_bind);
    let is_plain = plain.is_some() || matches!(config.tls, Tls::None);
    let address = on_this_machine(plain.unwrap_or(server.bind));
    let status = timeout(PATIENCE, ask(address, is_plain)).await;
    let status = status.map_err(|_| format!("{address} does not answer within {} s", PATIENCE.as_secs()))?;
    let status = status.map_err(|error| format!("{address}: {error}"))?;
    if status == "200" {
        output::line("ready")?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(&format!("{address} answers {status}"))?;
    Ok(ExitCode::FAILURE)
}

/// An address to ask at, where one means all of them.
pub fn on_this_machine(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

async fn ask(address: SocketAddr, is_plain: bool) -> Result<String, Failure> {
    let stream = TcpStream::connect(address).await?;
    if is_plain {
        return status(stream, address).await;
    }
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(ring::default_provider())))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost")?;
    status(TlsConnector::from(Arc::new(client)).connect(name, stream).await?, address).await
}

/// The status that `/readyz` has there.
async fn status<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    host: SocketAddr,
) -> Result<String, Failure> {
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.split(' ').next());
    Ok(status.ok_or("the answer is no HTTP")?.to_owned())
}

/// Takes every certificate: it is this machine that is asked, whose name no certificate has, and nothing
/// secret is sent.
#[derive(Debug)]
struct AnyCertificate(CryptoProvider);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
