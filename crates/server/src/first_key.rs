//! Where the first key goes, and the link to the dashboard with it: onto the terminal of whoever starts the
//! server, else into a file, since what is printed elsewhere ends up in logs.
//!
//! The file is written before the key is committed, so that no key is made that nobody knows. One that is
//! there already may hold the only copy of another database's key: it is moved aside and never overwritten.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use gatepost_app::{
    App,
    tenants::first_start::{self, FirstStart},
};
use gatepost_kernel::{Environment, Error, random};
use gatepost_keys::Token;

use crate::{
    Failure,
    config::{Config, read_bootstrap_key},
    keys::explain,
    output,
};

const FILE_NAME: &str = "gatepost.first-key";

/// Makes the root workspace and its first key, if it never had one, and hands the key over. `url` is where
/// the server is reached.
pub async fn make(app: &App, config: &Config, url: &str) -> Result<(), Failure> {
    if let Some(text) = &config.bootstrap_key {
        return with_given_key(app, read_bootstrap_key(text, app.token_format())?).await;
    }
    let token = Token::generate(app.token_format(), Environment::Live, &mut random::rng());
    if io::stdout().is_terminal() {
        let made = first_start::with_this_key(app, token, true, |_| Ok(())).await;
        if let Some(made) = made.map_err(|e| failure(&e))? {
            greet(&made, url, &config.contract.base_path)?;
        }
        return Ok(());
    }
    let path = config.data_dir.join(FILE_NAME);
    let path = std::path::absolute(&path).unwrap_or(path);
    let (target, made, url) = (path.clone(), token.clone(), url.to_owned());
    let keep = move |made: &FirstStart| {
        let what = format!("the first API key cannot be kept in {}", target.display());
        write(&target, made, &url).map_err(Error::failed(what))
    };
    match first_start::with_this_key(app, token, true, keep).await {
        Ok(Some(_)) => {
            tracing::info!(first_key.path = %path.display(), "this database was empty; its first API key is in a file");
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(error) => {
            // Only where it is certain that there is no such key; otherwise the file may be the one place
            // that has it.
            if holds(&path, &made) && first_start::is_known(app, &made).await.is_ok_and(|known| !known) {
                let _ = fs::remove_file(&path);
            }
            Err(failure(&error))
        }
    }
}

async fn with_given_key(app: &App, token: Token) -> Result<(), Failure> {
    let made =
        first_start::with_this_key(app, token.clone(), false, |_| Ok(())).await.map_err(|e| failure(&e))?;
    if made.is_some() {
        tracing::info!("this database was empty; its first API key is GATEPOST_BOOTSTRAP_KEY");
    } else if !first_start::is_known(app, &token).await.map_err(|e| failure(&e))? {
        tracing::warn!(
            "GATEPOST_BOOTSTRAP_KEY is none of this database's keys; it has an effect only on an empty database"
        );
    }
    Ok(())
}

fn failure(error: &Error) -> Failure {
    explain(error, "workspace", 1)
}

/// Writes the key into the first line of a file that only its owner can read, and the link to the dashboard into
/// the second; waits until they are on the disk.
fn write(path: &Path, made: &FirstStart, url: &str) -> io::Result<()> {
    move_aside(path)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{}", made.key.expose())?;
    if let Some(link) = &made.setup {
        writeln!(file, "# Set up the dashboard within an hour: {}", link.url(url))?;
    }
    file.sync_all()?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

fn move_aside(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    for number in 1.. {
        let aside = PathBuf::from(format!("{}.{number}", path.display()));
        if fs::symlink_metadata(&aside).is_err() {
            fs::rename(path, &aside)?;
            tracing::warn!(from = %path.display(), to = %aside.display(), "an older first key was moved aside");
            break;
        }
    }
    Ok(())
}

fn holds(path: &Path, token: &Token) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.lines().next() == Some(token.secret().expose()))
}

fn greet(made: &FirstStart, url: &str, base_path: &str) -> io::Result<()> {
    output::line(&format!(
        "This database was empty. Here is the first API key; it can do everything and is shown only now:\n\n\
         export GATEPOST_KEY={}\n\n\
         Try it:\n\n\
         curl -H \"Authorization: Bearer $GATEPOST_KEY\" {url}{base_path}/workspaces\n",
        made.key.expose()
    ))?;
    match &made.setup {
        Some(link) => output::line(&format!("Set up the dashboard within an hour: {}\n", link.url(url))),
        None => Ok(()),
    }
}
