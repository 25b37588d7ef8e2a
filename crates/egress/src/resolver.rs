//! Name look-ups whose answers are filtered before anything connects to them. The very addresses that were
//! judged are those that are connected to, so a name server that answers differently the second time gains
//! nothing.
//!
//! A look-up can hold a thread for as long as a name server likes. So a workspace has a few at a time, and
//! its others wait for those.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use gatepost_kernel::{LockAnyway, WorkspaceId};
use reqwest::dns::{Addrs, Name, Resolving};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Rules, addresses::may_reach};

/// How long a look-up may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How many a workspace makes at a time.
const AT_ONCE: usize = 4;

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

/// Looks names up.
#[derive(Debug)]
pub struct Resolver {
    rules: Arc<Rules>,
    turns: Mutex<HashMap<WorkspaceId, Arc<Semaphore>>>,
}

impl Resolver {
    pub fn new(rules: Arc<Rules>) -> Self {
        Self { rules, turns: Mutex::default() }
    }

    /// The addresses of a name, for a workspace or, without one, for the operator.
    pub async fn look_up(&self, name: &str, owner: Option<WorkspaceId>) -> io::Result<Vec<IpAddr>> {
        let answer = async {
            let turn = match owner {
                Some(owner) => self.turn(owner).await,
                None => None,
            };
            match &self.rules.resolve {
                Some(Resolve(look_up)) => {
                    let answer = look_up(name.to_owned()).await;
                    drop(turn);
                    answer
                }
                None => ask_the_system(name.to_owned(), turn).await,
            }
        };
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the name was not resolved in time");
        tokio::time::timeout(TIMEOUT, answer).await.map_err(late)?
    }

    /// The addresses of a name that may be connected to.
    pub async fn reachable(
        &self,
        name: &str,
        owner: Option<WorkspaceId>,
    ) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let addresses = self.look_up(name, owner).await?;
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into());
        }
        if !all_allowed(&addresses, &self.rules) {
            return Err(NotPublic.into());
        }
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, 0)).collect())
    }

    /// Waits until a workspace may make one more look-up.
    async fn turn(&self, owner: WorkspaceId) -> Option<OwnedSemaphorePermit> {
        let turns = {
            let mut all = self.turns.lock_anyway();
            // Only those who look something up, or wait to, are remembered.
            all.retain(|_, turns| Arc::strong_count(turns) > 1);
            all.entry(owner).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))).clone()
        };
        turns.acquire_owned().await.ok()
    }
}

/// Asks the system, on a thread that it holds until it has answered, whoever still waits for that.
async fn ask_the_system(name: String, turn: Option<OwnedSemaphorePermit>) -> io::Result<Vec<IpAddr>> {
    let ask = move || {
        let answer = (name.as_str(), 0).to_socket_addrs();
        drop(turn);
        answer.map(|sockets| sockets.map(|socket| socket.ip()).collect())
    };
    tokio::task::spawn_blocking(ask).await.map_err(io::Error::other)?
}

/// One bad address spoils the answer: whoever mixes them wants the bad one reached.
pub fn all_allowed(addresses: &[IpAddr], rules: &Rules) -> bool {
    addresses.iter().all(|address| may_reach(*address, rules))
}

/// A name leads to an address that may not be reached.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to an address that is not public")]
pub struct NotPublic;

/// What the client for servers of the operator's asks.
pub struct FilteringResolver(pub Arc<Resolver>);

impl reqwest::dns::Resolve for FilteringResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.0.clone();
        Box::pin(async move {
            let sockets = resolver.reachable(name.as_str(), None).await?;
            Ok(Box::new(sockets.into_iter()) as Addrs)
        })
    }
}
