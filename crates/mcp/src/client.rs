//! What servers may ask of us: nothing. They may say that what they offer has changed.

use std::sync::Arc;

use rmcp::{
    ClientHandler, RoleClient,
    model::{ClientCapabilities, ClientConfig, Implementation},
    service::NotificationContext,
};
use tokio::sync::Notify;

/// Our side of a connection. It has no capabilities: no sampling, no questions to people, no view of files.
pub(crate) struct Bridge {
    /// Told when what the server offers has changed.
    pub changed: Arc<Notify>,
}

impl ClientHandler for Bridge {
    fn get_info(&self) -> ClientConfig {
        let own = Implementation::new("gatepost", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), own)
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }
}
