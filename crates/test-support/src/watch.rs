//! Watching over what tests must never show: keys in what is printed, and panics of the server.

use std::sync::{
    Once,
    atomic::{AtomicUsize, Ordering},
};

use gatepost_keys::Token;
use tracing_subscriber::EnvFilter;

/// The length of a token.
const TOKEN_LEN: usize = 44;

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// How many real tokens are in `text`: with the right form and the right checksum.
pub fn count_keys(text: &[u8]) -> usize {
    text.windows(TOKEN_LEN)
        .filter(|window| window.starts_with(b"sk_"))
        .filter_map(|window| std::str::from_utf8(window).ok())
        .filter(|window| Token::parse(window).is_some())
        .count()
}

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

#[cfg(test)]
mod tests {
    use super::count_keys;

    #[test]
    fn a_key_is_found_and_what_only_looks_like_one_is_not() {
        // Not a key of any database, but with the right checksum; in pieces, so that this file holds none.
        let key = ["sk_live_", &"0".repeat(30), "1yMVfD"].concat();
        assert_eq!(count_keys(format!("log: {key} and {key}.").as_bytes()), 2);
        let wrong = ["sk_live_", &"0".repeat(30), "000000"].concat();
        assert_eq!(count_keys(wrong.as_bytes()), 0);
        assert_eq!(count_keys(b"sk_live_abc123def456ghi789..."), 0);
    }
}
