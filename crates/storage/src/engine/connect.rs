//! Opens connections to PostgreSQL over a stream that notes the states of errors.
//!
//! The driver takes a stream of one's own only where one connects it oneself, so what its settings say about
//! where and how to connect is heeded here: several hosts in turn, addresses for names, keepalives,
//! time-outs, and who may be written to.

use std::{io, net::IpAddr, sync::Arc};

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use rand::seq::SliceRandom;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    task::AbortHandle,
    time::timeout,
};
use tokio_postgres::{
    Client, Config, NoTls, SimpleQueryMessage,
    config::{Host, LoadBalanceHosts, TargetSessionAttrs},
};

use super::sql_state::{LastState, Noting};
use crate::metrics::StorageMetrics;

/// The port of a server that names none.
const PORT: u16 = 5432;

/// The task that moves a connection's bytes, which ends when this is dropped. What the server is still doing
/// for it is undone there.
struct Driver {
    task: AbortHandle,
    last: LastState,
}

impl Driver {
    fn statement_begins(&self) {
        self.last.forget();
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A connection to the first host that takes one.
pub(super) async fn connect(
    config: &Config,
    metrics: Arc<StorageMetrics>,
) -> ConnectionResult<AsyncPgConnection> {
    let (client, driver) = client(config).await.map_err(refused)?;
    let mut conn = AsyncPgConnection::try_from(client).await?;
    // The connection has no other place for what is to end with it.
    conn.set_instrumentation(metrics.instrumentation(move || driver.statement_begins()));
    Ok(conn)
}

fn refused(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ConnectionError {
    ConnectionError::CouldntSetupConfiguration(diesel::result::Error::QueryBuilderError(error.into()))
}

async fn client(config: &Config) -> io::Result<(Client, Driver)> {
    let mut failed = io::Error::other("the database URL names no host");
    let mut places = places(config)?;
    let is_random = config.get_load_balance_hosts() == LoadBalanceHosts::Random;
    if is_random {
        places.shuffle(&mut gatepost_kernel::random::rng());
    }
    for (place, port) in places {
        match at_place(config, &place, port, is_random).await {
            Ok(client) => return Ok(client),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Where there may be a server. Where a name and an address are given, the address is what is connected to.
fn places(config: &Config) -> io::Result<Vec<(Host, u16)>> {
    let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let of_addresses = addresses.iter().map(IpAddr::to_string).map(Host::Tcp);
    let places: Vec<Host> = match addresses {
        [] => hosts.to_vec(),
        _ if hosts.is_empty() || hosts.len() == addresses.len() => of_addresses.collect(),
        _ => return Err(io::Error::other("the database URL has not as many addresses as hosts")),
    };
    if ports.len() > 1 && ports.len() != places.len() {
        return Err(io::Error::other("the database URL has not as many ports as hosts"));
    }
    let port = |place: usize| ports.get(place).or(ports.first()).copied().unwrap_or(PORT);
    Ok(places.into_iter().enumerate().map(|(place, host)| (host, port(place))).collect())
}

async fn at_place(config: &Config, host: &Host, port: u16, is_random: bool) -> io::Result<(Client, Driver)> {
    match host {
        Host::Tcp(name) => {
            let mut addresses: Vec<_> = lookup_host((name.as_str(), port)).await?.collect();
            if is_random {
                addresses.shuffle(&mut gatepost_kernel::random::rng());
            }
            let mut failed = io::Error::other(format!("{name} has no address"));
            for address in addresses {
                let connected = async {
                    let stream = in_time(config, TcpStream::connect(address)).await?;
                    keep_alive(config, &stream)?;
                    over(config, stream).await
                };
                match connected.await {
                    Ok(client) => return Ok(client),
                    Err(error) => failed = error,
                }
            }
            Err(failed)
        }
        #[cfg(unix)]
        Host::Unix(directory) => {
            let socket = directory.join(format!(".s.PGSQL.{port}"));
            over(config, in_time(config, tokio::net::UnixStream::connect(socket)).await?).await
        }
    }
}

async fn in_time<S>(config: &Config, connecting: impl Future<Output = io::Result<S>>) -> io::Result<S> {
    match config.get_connect_timeout() {
        Some(limit) => timeout(*limit, connecting).await.map_err(|_| io::ErrorKind::TimedOut)?,
        None => connecting.await,
    }
}

fn keep_alive(config: &Config, stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    #[cfg(target_os = "linux")]
    if let Some(limit) = config.get_tcp_user_timeout() {
        socket.set_tcp_user_timeout(Some(*limit))?;
    }
    if config.get_keepalives() {
        let mut keepalive = TcpKeepalive::new().with_time(config.get_keepalives_idle());
        if let Some(interval) = config.get_keepalives_interval() {
            keepalive = keepalive.with_interval(interval);
        }
        if let Some(retries) = config.get_keepalives_retries() {
            keepalive = keepalive.with_retries(retries);
        }
        socket.set_tcp_keepalive(&keepalive)?;
    }
    Ok(())
}

/// Logs in over a stream.
async fn over<S>(config: &Config, stream: S) -> io::Result<(Client, Driver)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let last = LastState::default();
    let stream = Noting::new(stream, last.clone());
    let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(io::Error::other)?;
    // What ends it, whoever waits for an answer hears.
    let task = tokio::spawn(async move { drop(connection.await) }).abort_handle();
    let driver = Driver { task, last };
    let wanted = match config.get_target_session_attrs() {
        TargetSessionAttrs::ReadWrite => Some("off"),
        TargetSessionAttrs::ReadOnly => Some("on"),
        _ => None,
    };
    if let Some(wanted) = wanted {
        let shown = client.simple_query("SHOW transaction_read_only").await.map_err(io::Error::other)?;
        let is_wanted = shown.iter().any(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0) == Some(wanted),
            _ => false,
        });
        if !is_wanted {
            return Err(io::Error::other(
                "the server is not one that target_session_attrs of the database URL asks for",
            ));
        }
    }
    Ok((client, driver))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(url: &str) -> Option<Vec<(Host, u16)>> {
        places(&url.parse().expect("a URL")).ok()
    }

    #[test]
    fn hosts_addresses_and_ports_belong_together() {
        let tcp = |host: &str| Host::Tcp(host.to_owned());
        assert_eq!(placed("postgres://a,b/x"), Some(vec![(tcp("a"), PORT), (tcp("b"), PORT)]));
        assert_eq!(placed("postgres://a:1,b:2/x"), Some(vec![(tcp("a"), 1), (tcp("b"), 2)]));
        assert_eq!(placed("postgres://a:1/x?hostaddr=192.0.2.1"), Some(vec![(tcp("192.0.2.1"), 1)]));
        assert_eq!(placed("postgres:///x?hostaddr=192.0.2.1,192.0.2.2&port=7"), {
            Some(vec![(tcp("192.0.2.1"), 7), (tcp("192.0.2.2"), 7)])
        });
        assert_eq!(placed("postgres://a,b/x?hostaddr=192.0.2.1"), None);
        assert_eq!(placed("postgres://%2Frun%2Fpg/x"), Some(vec![(Host::Unix("/run/pg".into()), PORT)]));
    }
}
