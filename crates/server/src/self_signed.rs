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

/// The certificate with its key, which are kept in one file beside the database and made if there is none
/// yet; and where it is, for clients that are to believe it.
///
/// # Errors
/// If the file cannot be read or written.
pub fn identity(config: &Config) -> Result<(TlsIdentity, PathBuf), Failure> {
    let directory = match &config.database_url {
        DatabaseUrl::Sqlite(path) => path.parent().unwrap_or(Path::new("")).to_owned(),
        DatabaseUrl::Postgres(_) => config.data_dir.clone(),
    };
    let file = directory.join("gatepost-localhost.pem");
    let failed = |error: io::Error| format!("the self-signed certificate: {}: {error}", file.display());
    if !file.exists() {
        let made = rcgen::generate_simple_self_signed(NAMES.map(str::to_owned))?;
        let text = format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem());
        make(&file, &text).map_err(failed)?;
    }
    let text = fs::read(&file).map_err(failed)?;
    let identity = TlsIdentity::from_pem(&text, &text)
        .map_err(|message| format!("{}: {message}; delete it, and a new one is made", file.display()))?;
    Ok((identity, file))
}

/// Makes a file that only its owner reads, whole or not at all; of several that make it at once, the first
/// has made it.
fn make(file: &Path, text: &str) -> io::Result<()> {
    let begun = file.with_extension(format!("pem.{}", std::process::id()));
    let mut writing = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&begun)?;
    writing.write_all(text.as_bytes())?;
    let made = match fs::hard_link(&begun, file) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    };
    fs::remove_file(&begun)?;
    made
}
