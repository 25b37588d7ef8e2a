//! How a caller stands against its limits, in the `X-RateLimit-*` headers of the contract and in the IETF's
//! `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use gatepost_kernel::Timestamp;
use gatepost_limits::{Allowance, Refusal, Standing, Standings, Verdict};

use crate::Contract;

/// A limit by its name, with the seconds that it is over.
#[derive(Clone, Copy)]
struct Policy {
    name: &'static str,
    window: u64,
}

const MINUTE: Policy = Policy { name: "minute", window: 60 };
const DAY: Policy = Policy { name: "day", window: 86_400 };
/// The same of all keys of a workspace together.
const WORKSPACE_MINUTE: Policy = Policy { name: "workspace-minute", ..MINUTE };
const WORKSPACE_DAY: Policy = Policy { name: "workspace-day", ..DAY };

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
        let mut text = Text::new();
        policy(&mut text, [MINUTE, DAY], [allowance.per_minute, allowance.per_day]);
        Self { limit, policy: text.into_value() }
    }
}

/// `"minute";q=60;w=60, "day";q=1000;w=86400`
fn policy(text: &mut Text, policies: [Policy; 2], limits: [Option<u64>; 2]) {
    for (Policy { name, window }, limit) in policies.into_iter().zip(limits) {
        if let Some(limit) = limit {
            text.item(name).number(";q=", limit).number(";w=", window);
        }
    }
}

/// `"minute";r=59;t=60, "day";r=999;t=4000`
fn standing(text: &mut Text, policies: [Policy; 2], standings: [Option<Standing>; 2], now: Timestamp) {
    for (Policy { name, .. }, limit) in policies.into_iter().zip(standings) {
        if let Some(limit) = limit {
            text.item(name).number(";r=", limit.remaining).number(";t=", limit.reset_in_seconds(now));
        }
    }
}

/// A number as the value of a header.
pub fn number(number: impl itoa::Integer) -> HeaderValue {
    HeaderValue::from_str(itoa::Buffer::new().format(number)).unwrap_or(HeaderValue::from_static("0"))
}

/// The text of a header, put together in place and without the formatting machinery, which would be most of
/// its cost.
struct Text {
    bytes: [u8; Self::MAX],
    len: usize,
}

impl Text {
    /// Four items with the largest numbers that there are need 276.
    const MAX: usize = 288;

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
    /// Adds the headers; a caller without limits gets none. Where the caller's plan is known, its prepared
    /// values are used.
    pub fn add_limits(
        &self,
        headers: &mut HeaderMap,
        verdict: &Verdict,
        now: Timestamp,
        plan: Option<&PlanHeaders>,
    ) {
        let Some(shown) = verdict.shown() else { return };
        let of_key = verdict.workspace == Standings::default();
        let prepared = plan.filter(|_| of_key && verdict.refusal != Some(Refusal::Day));
        let limit = prepared.and_then(|plan| plan.limit.clone());
        headers.insert(LIMIT, limit.unwrap_or_else(|| number(shown.limit)));
        headers.insert(REMAINING, number(shown.remaining));
        headers.insert(RESET, number(shown.reset_at.rounded_up().as_seconds()));
        let mut text = Text::new();
        standing(&mut text, [MINUTE, DAY], [verdict.minute, verdict.day], now);
        if !of_key {
            let workspace = [verdict.workspace.minute, verdict.workspace.day];
            standing(&mut text, [WORKSPACE_MINUTE, WORKSPACE_DAY], workspace, now);
        }
        if let Some(value) = text.into_value() {
            headers.insert(STANDING, value);
        }
        let value = prepared.and_then(|plan| plan.policy.clone()).or_else(|| {
            let mut text = Text::new();
            let limits =
                |standings: [Option<Standing>; 2]| standings.map(|standing| standing.map(|s| s.limit));
            policy(&mut text, [MINUTE, DAY], limits([verdict.minute, verdict.day]));
            let workspace = [verdict.workspace.minute, verdict.workspace.day];
            policy(&mut text, [WORKSPACE_MINUTE, WORKSPACE_DAY], limits(workspace));
            text.into_value()
        });
        if let Some(value) = value {
            headers.insert(POLICY, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use gatepost_limits::Standing;

    use super::*;

    #[test]
    fn the_largest_numbers_fit() {
        let reset_at = Timestamp::MAX;
        let standing = Some(Standing { limit: u64::MAX, remaining: u64::MAX, reset_at });
        let workspace = Standings { minute: standing, day: standing };
        let verdict = Verdict {
            refusal: None,
            minute: standing,
            day: standing,
            workspace,
            retry_at: None,
            lease_soon: false,
            lease_workspace_soon: false,
        };
        let mut headers = HeaderMap::new();
        Contract::core().add_limits(&mut headers, &verdict, Timestamp::from_micros(0), None);
        let max = u64::MAX;
        let policy = format!(
            "\"minute\";q={max};w=60, \"day\";q={max};w=86400, \
             \"workspace-minute\";q={max};w=60, \"workspace-day\";q={max};w=86400"
        );
        assert_eq!(headers.get(POLICY).map(HeaderValue::as_bytes), Some(policy.as_bytes()));
        assert!(
            headers
                .get(STANDING)
                .is_some_and(|value| value.len() > 200 && value.as_bytes().ends_with(b"800"))
        );
    }
}
