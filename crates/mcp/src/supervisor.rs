//! Keeping a server there: connected, and connected anew when that ends, for ever.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use gatepost_egress::Egress;
use gatepost_kernel::random;
use rand::RngExt;
use tokio::sync::watch;

use crate::{
    Server,
    connection::{Connection, Generation, connect},
    known::Known,
};

/// The wait after the first failure, which doubles with each further one …
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// … up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// At least so long between two tries, however much a server is wanted.
const SHORTEST_WAIT: Duration = Duration::from_millis(250);
/// What ends later than this after its start was sound, and is tried again at once.
const STEADY: Duration = Duration::from_secs(30);
/// How long each question for what a server offers may take.
const LISTING: Duration = Duration::from_secs(10);
/// How often a server is asked what it offers, even if it says nothing.
const RELEARN_EVERY: Duration = Duration::from_secs(300);

/// Why a connection is no more.
enum End {
    Lost,
    Broken,
    Stopped,
}

/// Keeps a server there until `stop` says so.
pub(crate) async fn supervise(server: Arc<Server>, egress: Egress, mut stop: watch::Receiver<bool>) {
    let (mut failures, mut generation) = (0u32, Generation::Either);
    let id = server.config().id.clone();
    while !*stop.borrow() {
        let began = Instant::now();
        let connecting = start(&server, &egress, generation);
        let connected = tokio::select! {
            connected = connecting => connected,
            _ = stop.changed() => break,
        };
        let why = match connected {
            Ok(connection) => {
                tracing::info!(mcp.server = id, mcp.tools = server.tools().len(), "an MCP server is there");
                let (end, connection) = watch(&server, connection, &mut stop).await;
                let why = match end {
                    End::Lost => "the connection has ended",
                    End::Broken => "it does not answer, or cannot be reached",
                    End::Stopped => "this process is stopping",
                };
                server.set_down(why, Instant::now() + FIRST_WAIT);
                connection.close().await;
                if began.elapsed() >= STEADY {
                    failures = 0;
                }
                why.to_owned()
            }
            Err(why) => {
                // One that leaves the newer question unanswered may answer the older.
                generation = match generation {
                    Generation::Either => Generation::Legacy,
                    Generation::Legacy => Generation::Either,
                };
                why
            }
        };
        if *stop.borrow() {
            break;
        }
        failures = failures.saturating_add(1);
        let wait = wait(failures, random::rng().random::<f64>());
        server.set_down(&why, Instant::now() + wait);
        tracing::warn!(
            mcp.server = id,
            error = why,
            retry.in_ms = wait.as_millis() as u64,
            "an MCP server is down"
        );
        let until_wanted = async {
            tokio::time::sleep(SHORTEST_WAIT).await;
            server.wanted.notified().await;
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            // Somebody is waiting for it; but not more often than the wait allows in the long run.
            () = until_wanted, if failures <= 3 => {}
            _ = stop.changed() => {}
        }
    }
}

/// How long to wait after so many failures; `draw` from 0 to 1 takes off up to half, so that servers do not
/// come back in step.
fn wait(failures: u32, draw: f64) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(10));
    doubled.min(LONGEST_WAIT).mul_f64(1.0 - draw / 2.0)
}

async fn start(server: &Server, egress: &Egress, generation: Generation) -> Result<Connection, String> {
    let connection = connect(server.config(), egress, generation, server.changed.clone()).await?;
    let peer = connection.peer.clone();
    match Known::learn(&peer, LISTING).await {
        Ok(known) => {
            server.set_up(peer, known);
            Ok(connection)
        }
        Err(why) => {
            connection.close().await;
            Err(why)
        }
    }
}

/// Waits until a connection ends, and learns anew what the server offers when that changes.
async fn watch(
    server: &Server,
    mut connection: Connection,
    stop: &mut watch::Receiver<bool>,
) -> (End, Connection) {
    let peer = connection.peer.clone();
    let mut relearn = tokio::time::interval(RELEARN_EVERY);
    relearn.tick().await;
    // What was said of the connection before is over.
    tokio::select! {
        biased;
        () = server.broken.notified() => {}
        () = std::future::ready(()) => {}
    }
    loop {
        tokio::select! {
            () = connection.ended() => return (End::Lost, connection),
            () = server.broken.notified() => return (End::Broken, connection),
            _ = stop.changed() => return (End::Stopped, connection),
            () = server.changed.notified() => {}
            _ = relearn.tick() => {}
        }
        // The last good answer stays.
        match Known::learn(&peer, LISTING).await {
            Ok(known) => server.set_known(known),
            Err(error) => {
                tracing::warn!(
                    mcp.server = server.config().id,
                    error,
                    "an MCP server does not say what it offers"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_are_bounded() {
        assert_eq!(wait(1, 0.0), FIRST_WAIT);
        assert_eq!(wait(2, 0.0), FIRST_WAIT * 2);
        assert_eq!(wait(2, 1.0), FIRST_WAIT);
        for failures in [8, 100, u32::MAX] {
            assert_eq!(wait(failures, 0.0), LONGEST_WAIT);
            assert_eq!(wait(failures, 1.0), LONGEST_WAIT / 2);
        }
    }
}
