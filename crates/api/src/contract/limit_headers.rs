//! How a caller stands against its limits, in the `X-RateLimit-*` headers of the contract and in the IETF's
//! `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use gatepost_app::{Refusal, Verdict};
use gatepost_kernel::Timestamp;

use super::Contract;

const MINUTE_SECONDS: u64 = 60;
const DAY_SECONDS: u64 = 86_400;

impl Contract {
    /// Adds the headers; a caller without limits gets none.
    pub fn add_limits(self, headers: &mut HeaderMap, verdict: &Verdict, now: Timestamp) {
        let by_day = verdict.refusal == Some(Refusal::Day);
        let shown = if by_day { verdict.day } else { verdict.minute.or(verdict.day) };
        let Some(shown) = shown else { return };
        match self {
            Self::Core => {
                headers.insert(HeaderName::from_static("x-ratelimit-limit"), shown.limit.into());
                headers.insert(HeaderName::from_static("x-ratelimit-remaining"), shown.remaining.into());
                headers
                    .insert(HeaderName::from_static("x-ratelimit-reset"), shown.reset_at.as_seconds().into());
            }
        }
        let named = [("minute", verdict.minute, MINUTE_SECONDS), ("day", verdict.day, DAY_SECONDS)];
        let (mut standing, mut policy) = (Vec::new(), Vec::new());
        for (name, limit, window) in named {
            let Some(limit) = limit else { continue };
            let reset = limit.reset_in_seconds(now);
            standing.push(format!("\"{name}\";r={};t={reset}", limit.remaining));
            policy.push(format!("\"{name}\";q={};w={window}", limit.limit));
        }
        for (name, values) in [("ratelimit", standing), ("ratelimit-policy", policy)] {
            if let Ok(value) = HeaderValue::from_str(&values.join(", ")) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}
