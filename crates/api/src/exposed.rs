//! Keys that were sent without TLS where that is not allowed: whoever was on the way has read them, so the
//! operator is told, once for each.

use std::{collections::HashSet, sync::Mutex};

use gatepost_kernel::LockAnyway;
use gatepost_keys::{Token, TokenDigest, TokenFormat};

/// How many keys are remembered; then all are forgotten, and told again.
const MAX_REMEMBERED: usize = 10_000;

/// The keys that the log has.
#[derive(Default)]
pub struct ExposedKeys(Mutex<HashSet<TokenDigest>>);

impl ExposedKeys {
    /// Tells of the key in a request, if it has the form of one.
    pub fn tell(&self, format: &TokenFormat, token: &str) {
        let Some(token) = Token::parse(format, token) else { return };
        let is_new = {
            let mut told = self.0.lock_anyway();
            if told.len() >= MAX_REMEMBERED {
                told.clear();
            }
            told.insert(token.digest())
        };
        if is_new {
            tracing::warn!(
                key.prefix = token.prefix(),
                "a key was sent without TLS, where others can read it; rotate it, and give its owner an https:// address"
            );
        }
    }
}
