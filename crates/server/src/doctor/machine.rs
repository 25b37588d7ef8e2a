//! What the machine must give: the address, directories, a certificate that is in force, programs.

use std::{
    env,
    fs::{self, File},
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use gatepost_kernel::Timestamp;
use gatepost_mcp::Transport;
use gatepost_storage::DatabaseUrl;
use nix::unistd::{AccessFlags, access};
use x509_parser::parse_x509_certificate;

use super::finding::{Finding, Grade};
use crate::{
    config::{Config, Tls},
    healthcheck::on_this_machine,
};

/// How long somebody at the address may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(1);
/// A certificate that ends sooner is worth a word.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// Looks at all of it, as it is at `now`.
pub fn look(config: &Config, now: Timestamp, findings: &mut Vec<Finding>) {
    addresses(config, findings);
    look_beside_addresses(config, now, findings);
}

/// The same but for the addresses, which a server that runs has taken itself.
pub fn look_beside_addresses(config: &Config, now: Timestamp, findings: &mut Vec<Finding>) {
    directories(config, findings);
    certificate(config, now, findings);
    programs(config, findings);
}

fn addresses(config: &Config, findings: &mut Vec<Finding>) {
    let mut say = |grade, text| findings.push(Finding { grade, subject: "network", text });
    let is_plain = matches!(config.tls, Tls::None);
    for (address, is_plain) in std::iter::once((config.server.bind, is_plain))
        .chain(config.server.plain_bind.map(|plain| (plain, true)))
        .chain(config.server.admin_bind.map(|admin| (admin, true)))
    {
        let Err(error) = TcpListener::bind(address) else { continue };
        match error.kind() {
            io::ErrorKind::AddrInUse if is_plain && is_gatepost(address) => {
                say(Grade::Ok, format!("a Gatepost answers at {address}"));
            }
            io::ErrorKind::AddrInUse => {
                let text = format!(
                    "{address} is taken, by a server that runs or by another program: `ss -ltnp` names it; --bind chooses \
                     another address"
                );
                say(Grade::Warn, text);
            }
            io::ErrorKind::AddrNotAvailable => {
                say(
                    Grade::Fail,
                    format!("{address} is no address of this machine; `ip address` lists those"),
                );
            }
            io::ErrorKind::PermissionDenied => {
                let text = format!(
                    "{address} may not be listened on: ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher one, or \
                     give it to the unit by AmbientCapabilities"
                );
                say(Grade::Fail, text);
            }
            _ => say(Grade::Fail, format!("{address} cannot be listened on: {error}")),
        }
    }
}

/// Whether who listens there answers as our probe does.
fn is_gatepost(address: SocketAddr) -> bool {
    let address = on_this_machine(address);
    let ask = || -> io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET /healthz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        // No more of it than ours has: somebody else's may have no end.
        stream.take(4_096).read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nok\n"))
    };
    ask().unwrap_or(false)
}

fn directories(config: &Config, findings: &mut Vec<Finding>) {
    let mut say = |grade, text| findings.push(Finding { grade, subject: "directory", text });
    let here = |path: &Path| if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_owned() };
    let of_database = match &config.database_url {
        DatabaseUrl::Sqlite(path) => path.parent().map(|path| (here(path), Grade::Fail, "the database")),
        DatabaseUrl::Postgres(_) => None,
    };
    // A server whose database has a key already never writes there.
    let of_key = (here(&config.data_dir), Grade::Warn, "the file with the first key of an empty database");
    for (directory, grade, what) in of_database.into_iter().chain([of_key]) {
        let shown = directory.display();
        if !directory.is_dir() {
            say(grade, format!("{shown}, for {what}, does not exist; `mkdir -p {shown}` makes it"));
        } else if let Err(error) = write_into(&directory) {
            let text = format!(
                "{shown}, for {what}, cannot be written to by this user ({error}); `chown` it to the one that serves"
            );
            say(grade, text);
        }
    }
}

/// Whether a file can be made there: tried, since permissions alone do not tell.
fn write_into(directory: &Path) -> io::Result<()> {
    let file = directory.join(format!(".gatepost-doctor-{}", std::process::id()));
    match File::create_new(&file) {
        // Of a process of the same number that was killed in the midst of this.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => drop(made?),
    }
    fs::remove_file(&file)
}

fn certificate(config: &Config, now: Timestamp, findings: &mut Vec<Finding>) {
    let Tls::Given(identity) = &config.tls else { return };
    let mut say = |grade, text| findings.push(Finding { grade, subject: "certificate", text });
    let Ok((_, certificate)) = parse_x509_certificate(identity.certificate()) else {
        return say(Grade::Warn, "it cannot be read, so nobody knows when it ends".to_owned());
    };
    let instant =
        |at: x509_parser::time::ASN1Time| Timestamp::from_micros(at.timestamp().saturating_mul(1_000_000));
    let validity = certificate.validity();
    let (begins, ends) = (instant(validity.not_before), instant(validity.not_after));
    let renew = "renew it, and send the server SIGHUP";
    if ends <= now {
        say(Grade::Fail, format!("it has expired on {}; {renew}", validity.not_after));
    } else if begins > now {
        say(
            Grade::Fail,
            format!("it is in force from {} on only; is this machine's clock right?", validity.not_before),
        );
    } else if ends < now.plus(SOON) {
        say(Grade::Warn, format!("it expires on {}; {renew}", validity.not_after));
    } else {
        say(Grade::Ok, format!("it is in force until {}", validity.not_after));
    }
}

fn programs(config: &Config, findings: &mut Vec<Finding>) {
    for server in &config.mcp_servers {
        let Transport::Stdio { command, env, directory, .. } = &server.transport else { continue };
        let own = env.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.expose().into());
        let path = own.or_else(|| env::var_os("PATH")).unwrap_or_default();
        let is_program = |file: &Path| file.is_file() && access(file, AccessFlags::X_OK).is_ok();
        let found = match command.contains('/') {
            true => is_program(&directory.join(command)),
            false => env::split_paths(&path).any(|folder| is_program(&folder.join(command))),
        };
        if !found {
            let text = format!(
                "the program {command} of [mcp.servers.{}] is not there, or cannot be run; install it, or name it with its path",
                server.id
            );
            findings.push(Finding { grade: Grade::Fail, subject: "mcp", text });
        }
    }
}
