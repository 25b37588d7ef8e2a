//! How a caller stands against its limits, in the `X-RateLimit-*` headers of the contract and in the IETF's
//! `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
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

/// A number as the value of a header.
pub fn number(number: impl itoa::Integer) -> HeaderValue {
    HeaderValue::from_str(itoa::Buffer::new().format(number)).unwrap_or(HeaderValue::from_static("0"))
}

/// The text of a header, put together in place and without the formatting machinery, which would be most of its cost.
struct Text {
    bytes: [u8; Self::MAX],
    len: usize,
}

impl Text {
    /// Two items with the largest numbers that there are need 126.
    const MAX: usize = 160;

    fn new() -> Self {
        Self { bytes: [0; Self::MAX], len: 0 }
    }

    fn push(&mut self, text: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.len..self.len + text.len()) {
            room.copy_from_slice(text);
            self.len += text.len();
        }
    }

    fn item(&mut self, name: &str) -> &mut Self {
        self.push(if self.len == 0 { b"\"" } else { b", \"" });
        self.push(name.as_bytes());
        self.push(b"\"");
        self
    }

    fn number(&mut self, label: &str, number: u64) -> &mut Self {
        self.push(label.as_bytes());
        self.push(itoa::Buffer::new().format(number).as_bytes());
        self
    }

    fn into_value(self) -> Option<HeaderValue> {
        if self.len == 0 { None } else { HeaderValue::from_bytes(&self.bytes[..self.len]).ok() }
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
                headers.insert(LIMIT, limit.unwrap_or_else(|| number(shown.limit)));
                headers.insert(REMAINING, number(shown.remaining));
                headers.insert(RESET, number(shown.reset_at.rounded_up().as_seconds()));
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

#[cfg(test)]
mod tests {
    use gatepost_app::Standing;

    use super::*;

    #[test]
    fn the_largest_numbers_fit() {
        let reset_at = Timestamp::MAX;
        let standing = Some(Standing { limit: u64::MAX, remaining: u64::MAX, reset_at });
        let verdict =
            Verdict { refusal: None, minute: standing, day: standing, retry_at: None, lease_soon: false };
        let mut headers = HeaderMap::new();
        Contract::Core.add_limits(&mut headers, &verdict, Timestamp::from_micros(0), None);
        let max = u64::MAX;
        let policy = format!("\"minute\";q={max};w=60, \"day\";q={max};w=86400");
        assert_eq!(headers.get(POLICY).map(HeaderValue::as_bytes), Some(policy.as_bytes()));
        assert!(
            headers.get(STANDING).is_some_and(|value| value.len() > 80 && value.as_bytes().ends_with(b"800"))
        );
    }
}
