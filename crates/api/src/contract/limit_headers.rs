//! How a caller stands against its limits, in the `X-RateLimit-*` headers of the contract and in the IETF's
//! `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).

use actix_web::{
    http::header::{HeaderMap, HeaderName, HeaderValue},
    web::Bytes,
};
use gatepost_app::{Allowance, Refusal, Standing, Verdict};
use gatepost_kernel::Timestamp;

use super::Contract;

const MINUTE_SECONDS: u64 = 60;
const DAY_SECONDS: u64 = 86_400;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The header values that are the same for every answer to a key of one plan.
#[derive(Debug)]
pub struct PlanHeaders {
    limit: Option<HeaderValue>,
    policy: Option<HeaderValue>,
}

impl PlanHeaders {
    /// The values of a plan with these limits.
    pub fn new(allowance: &Allowance) -> Self {
        let limit = allowance.per_minute.or(allowance.per_day).map(HeaderValue::from);
        Self { limit, policy: policy(allowance.per_minute, allowance.per_day) }
    }
}

/// `"minute";q=60;w=60, "day";q=1000;w=86400`
fn policy(minute: Option<u64>, day: Option<u64>) -> Option<HeaderValue> {
    let mut text = Text::new();
    for (name, limit, window) in [("minute", minute, MINUTE_SECONDS), ("day", day, DAY_SECONDS)] {
        if let Some(limit) = limit {
            text.item(name).number(";q=", limit).number(";w=", window);
        }
    }
    text.into_value()
}

/// The text of a header, put together without the formatting machinery, which would be most of its cost.
struct Text(Vec<u8>);

impl Text {
    fn new() -> Self {
        Self(Vec::with_capacity(80))
    }

    fn item(&mut self, name: &str) -> &mut Self {
        if !self.0.is_empty() {
            self.0.extend_from_slice(b", ");
        }
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(b'"');
        self
    }

    fn number(&mut self, label: &str, number: u64) -> &mut Self {
        self.0.extend_from_slice(label.as_bytes());
        self.0.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        self
    }

    fn into_value(self) -> Option<HeaderValue> {
        if self.0.is_empty() { None } else { HeaderValue::from_maybe_shared(Bytes::from(self.0)).ok() }
    }
}

impl Contract {
    /// Adds the headers; a caller without limits gets none. Where the caller's plan is known, its prepared values are used.
    pub fn add_limits(
        self,
        headers: &mut HeaderMap,
        verdict: &Verdict,
        now: Timestamp,
        plan: Option<&PlanHeaders>,
    ) {
        let by_day = verdict.refusal == Some(Refusal::Day);
        let shown = if by_day { verdict.day } else { verdict.minute.or(verdict.day) };
        let Some(shown) = shown else { return };
        let prepared = plan.filter(|_| !by_day);
        match self {
            Self::Core => {
                let limit = prepared.and_then(|plan| plan.limit.clone());
                headers.insert(LIMIT, limit.unwrap_or_else(|| shown.limit.into()));
                headers.insert(REMAINING, shown.remaining.into());
                headers.insert(RESET, shown.reset_at.as_seconds().into());
            }
        }
        let mut standing = Text::new();
        for (name, limit) in [("minute", verdict.minute), ("day", verdict.day)] {
            if let Some(limit) = limit {
                standing.item(name).number(";r=", limit.remaining).number(";t=", limit.reset_in_seconds(now));
            }
        }
        if let Some(value) = standing.into_value() {
            headers.insert(STANDING, value);
        }
        let limit_of = |standing: Option<Standing>| standing.map(|standing| standing.limit);
        let value = prepared.and_then(|plan| plan.policy.clone());
        if let Some(value) = value.or_else(|| policy(limit_of(verdict.minute), limit_of(verdict.day))) {
            headers.insert(POLICY, value);
        }
    }
}
