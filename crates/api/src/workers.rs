//! What the workers, which answer everybody, leave to threads that nobody else waits for.

use actix_web::web;
use gatepost_kernel::Error;

/// Larger bodies are read, and larger answers rendered and compressed, elsewhere.
pub const MOST_BYTES_ON_A_WORKER: usize = 64 * 1_024;

/// Does `work` on a thread that runs when the workers leave a core to it.
///
/// # Errors
/// [`Error::Internal`] with `name` if it panicked.
pub async fn off_the_workers<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let done = web::block(move || {
        gatepost_threads::yield_to_others();
        work()
    });
    done.await.map_err(Error::failed(name))
}
