//! All servers of the operator's.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use gatepost_egress::Egress;
use gatepost_kernel::LockAnyway;
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use crate::{Server, ServerConfig, supervisor::supervise};

/// All servers. Cloning is cheap.
#[derive(Clone)]
pub struct McpServers(Arc<Inner>);

struct Inner {
    servers: Vec<Arc<Server>>,
    supervisors: Mutex<Vec<JoinHandle<()>>>,
    stop: watch::Sender<bool>,
}

impl McpServers {
    /// Starts to keep servers there, in the order of their ids. Those over HTTP are reached through `egress`.
    /// Must be called on the runtime that outlives the requests.
    pub fn start(mut configs: Vec<ServerConfig>, egress: &Egress) -> Self {
        configs.sort_by(|a, b| a.id.cmp(&b.id));
        let (stop, stopped) = watch::channel(false);
        let servers: Vec<_> = configs.into_iter().map(|config| Arc::new(Server::new(config))).collect();
        let supervise =
            |server: &Arc<Server>| tokio::spawn(supervise(server.clone(), egress.clone(), stopped.clone()));
        let supervisors = Mutex::new(servers.iter().map(supervise).collect());
        Self(Arc::new(Inner { servers, supervisors, stop }))
    }

    /// Every server.
    pub fn all(&self) -> &[Arc<Server>] {
        &self.0.servers
    }

    /// The server of this id.
    pub fn get(&self, id: &str) -> Option<&Arc<Server>> {
        self.0.servers.iter().find(|server| server.config().id == id)
    }

    /// Ends all servers that were started here; what has not ended by itself within `patience` is killed.
    pub async fn stop(&self, patience: Duration) {
        // Nobody may be left to hear it.
        let _ = self.0.stop.send(true);
        let supervisors = std::mem::take(&mut *self.0.supervisors.lock_anyway());
        let all = async {
            for supervisor in supervisors {
                // One that panicked has dropped what it held.
                let _ = supervisor.await;
            }
        };
        // What is not done by then is dropped with the runtime, and its processes with it.
        let _ = timeout(patience, all).await;
    }
}
