//! Asking a server something.

use rmcp::{
    Peer, RoleClient,
    model::{CancelledNotificationParam, ClientRequest, RequestId},
    service::{PeerRequestOptions, ServiceError},
};
use tokio::runtime::Handle;

use crate::message::Reply;

/// Sends a request and waits for its answer; if nobody waits any more, the server is told so.
pub(crate) async fn ask(peer: &Peer<RoleClient>, request: ClientRequest) -> Result<Reply, ServiceError> {
    let handle = peer.send_cancellable_request(request, PeerRequestOptions::no_options()).await?;
    let mut waiting = Waiting { peer, id: Some(handle.id.clone()) };
    let answer = handle.await_response().await;
    waiting.id = None;
    answer.map(Reply::of)
}

/// A request whose answer is waited for.
struct Waiting<'a> {
    peer: &'a Peer<RoleClient>,
    id: Option<RequestId>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take()
            && let Ok(runtime) = Handle::try_current()
        {
            let peer = self.peer.clone();
            runtime.spawn(async move {
                let given_up = CancelledNotificationParam::new(Some(id), Some("given up".to_owned()));
                // A server that is gone need not be told.
                let _ = peer.notify_cancelled(given_up).await;
            });
        }
    }
}
