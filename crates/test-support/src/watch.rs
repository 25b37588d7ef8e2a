//! Watching over the server inside a test: everything is logged, and panics are counted.

use std::sync::{
    Once,
    atomic::{AtomicUsize, Ordering},
};

use tracing_subscriber::EnvFilter;

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Panics so far in threads that are not a test's own.
pub fn server_panics() -> usize {
    PANICS.load(Ordering::SeqCst)
}

/// Logs everything where the test runner captures it, and counts panics.
pub(crate) fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let filter = EnvFilter::new("trace,h2=off,hyper_util=off,mio=off,polling=off");
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // Tests run in threads that are named by their path.
            let of_a_test = std::thread::current().name().is_some_and(|name| name.contains("::"));
            if !of_a_test {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            before(info);
        }));
    });
}
