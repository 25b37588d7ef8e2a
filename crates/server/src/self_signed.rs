//! A certificate for `localhost` that the server makes for itself, for those who try it on their own machine.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use gatepost_api::TlsIdentity;
use gatepost_storage::DatabaseUrl;

use crate::{Failure, config::Config};

/// Names that the certificate is good for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The certificate, which is kept beside the database and made if there is none yet; and where it is, for clients that are to believe it.
///
/// # Errors
/// If the files cannot be read or written.
pub fn identity(config: &Config) -> Result<(TlsIdentity, PathBuf), Failure> {
    let directory = match &config.database_url {
        DatabaseUrl::Sqlite(path) => path.parent().unwrap_or(Path::new("")).to_owned(),
        DatabaseUrl::Postgres(_) => config.data_dir.clone(),
    };
    let (cert, key) = (directory.join("gatepost-localhost.pem"), directory.join("gatepost-localhost.key"));
    let failed = |file: &Path| {
        let file = file.display().to_string();
        move |error: io::Error| format!("the self-signed certificate: {file}: {error}")
    };
    if !cert.exists() || !key.exists() {
        let made = rcgen::generate_simple_self_signed(NAMES.map(str::to_owned))?;
        write(&key, &made.signing_key.serialize_pem()).map_err(failed(&key))?;
        write(&cert, &made.cert.pem()).map_err(failed(&cert))?;
    }
    let read = |file: &Path| fs::read(file).map_err(failed(file));
    let identity = TlsIdentity::from_pem(&read(&cert)?, &read(&key)?)
        .map_err(|fault| format!("{}: {fault}; delete it, and a new one is made", cert.display()))?;
    Ok((identity, cert))
}

/// Writes a file that only its owner reads.
fn write(file: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    file.write_all(text.as_bytes())
}
