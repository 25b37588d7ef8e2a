//! Name look-ups whose answers are filtered before anything connects to them. The very addresses that were judged are
//! those that are connected to, so a name server that answers differently the second time gains nothing.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use reqwest::dns::{Addrs, Name, Resolving};

use crate::{Rules, addresses::may_reach};

/// How long a look-up may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A look-up that stands in for the system's.
#[derive(Clone)]
pub struct Resolve(Arc<dyn Fn(String) -> Lookup + Send + Sync>);

/// A look-up in progress.
type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

impl Resolve {
    /// Looks names up by calling `look_up`.
    pub fn with<F>(look_up: impl Fn(String) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static,
    {
        Self(Arc::new(move |name| Box::pin(look_up(name))))
    }
}

impl std::fmt::Debug for Resolve {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolve(…)")
    }
}

/// The addresses of a name.
pub async fn look_up(name: &str, rules: &Rules) -> io::Result<Vec<IpAddr>> {
    let answer = async {
        match &rules.resolve {
            Some(Resolve(look_up)) => look_up(name.to_owned()).await,
            None => Ok(tokio::net::lookup_host((name, 0)).await?.map(|socket| socket.ip()).collect()),
        }
    };
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the name was not resolved in time");
    tokio::time::timeout(TIMEOUT, answer).await.map_err(late)?
}

/// One bad address spoils the answer: whoever mixes them wants the bad one reached.
pub fn all_allowed(addresses: &[IpAddr], rules: &Rules) -> bool {
    addresses.iter().all(|address| may_reach(*address, rules))
}

/// A name leads to an address that may not be reached.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to an address that is not public")]
pub struct NotPublic;

/// The addresses of a name that may be connected to.
pub async fn reachable(
    name: &str,
    rules: &Rules,
) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    let addresses = look_up(name, rules).await?;
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into());
    }
    if !all_allowed(&addresses, rules) {
        return Err(NotPublic.into());
    }
    Ok(addresses.into_iter().map(|address| SocketAddr::new(address, 0)).collect())
}

/// What the HTTP client asks.
pub struct FilteringResolver {
    rules: Arc<Rules>,
}

impl FilteringResolver {
    pub fn new(rules: Arc<Rules>) -> Self {
        Self { rules }
    }
}

impl reqwest::dns::Resolve for FilteringResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = self.rules.clone();
        Box::pin(async move {
            let sockets = reachable(name.as_str(), &rules).await?;
            Ok(Box::new(sockets.into_iter()) as Addrs)
        })
    }
}
