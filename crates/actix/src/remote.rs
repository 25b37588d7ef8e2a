//! Decisions by another process, which verifies keys by its API.

use std::{net::IpAddr, sync::Arc, time::Duration};

use gatepost_contract::Contract;
use gatepost_kernel::{
    ApiKeyId, Cause, Clock, Environment, Error, ExternalId, Fate, Secret, SystemClock, Timestamp, WorkspaceId,
};
use gatepost_keys::{Scope, Token};
use gatepost_limits::{Refusal as Limited, Standing, Standings, Verdict};
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::json;

use crate::{
    decision::{Admitted, VerifiedKey, Wanted},
    memory::{Memory, Question},
    refusal::Refusal,
};

/// How long a decision may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The Gatepost that is asked.
pub struct Remote {
    client: Client,
    url: Url,
    service_key: Secret,
    memory: Memory,
    clock: Arc<dyn Clock>,
    contract: Arc<Contract>,
}

/// Why a Gatepost cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It is not an address that requests can be sent to.
    #[error("expected https://HOST, without a path")]
    Url,
    /// Keys would cross a network where others can read them.
    #[error(
        "http:// is for this machine alone; give https://, or allow_plain_http(true) on a network that is trusted"
    )]
    PlainHttp,
    /// There is no HTTP client here.
    #[error("no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

#[derive(Deserialize)]
struct Decision {
    valid: bool,
    code: String,
    key_id: Option<i64>,
    workspace_id: Option<i64>,
    environment: Option<String>,
    scopes: Option<Vec<String>>,
    external_id: Option<String>,
    rate_limit: Option<RateLimit>,
}

#[derive(Deserialize)]
struct RateLimit {
    minute: Option<Limit>,
    day: Option<Limit>,
    workspace_minute: Option<Limit>,
    workspace_day: Option<Limit>,
    retry_after: Option<u64>,
}

#[derive(Deserialize)]
struct Limit {
    limit: u64,
    remaining: u64,
    reset_at: String,
}

impl RateLimit {
    /// What Gatepost has decided, as it decides it for itself.
    fn verdict(&self, now: Timestamp) -> Verdict {
        let standing = |limit: &Option<Limit>| {
            let Limit { limit, remaining, reset_at } = limit.as_ref()?;
            Some(Standing { limit: *limit, remaining: *remaining, reset_at: Timestamp::parse(reset_at)? })
        };
        let (minute, day) = (standing(&self.minute), standing(&self.day));
        let workspace =
            Standings { minute: standing(&self.workspace_minute), day: standing(&self.workspace_day) };
        // Of several that are used up, the longest refuses.
        let spent = [
            (day, Limited::Day),
            (workspace.day, Limited::WorkspaceDay),
            (minute, Limited::Minute),
            (workspace.minute, Limited::WorkspaceMinute),
        ];
        let is_spent = |standing: Option<Standing>| standing.is_some_and(|standing| standing.remaining == 0);
        let refusal = spent.into_iter().find(|(standing, _)| is_spent(*standing)).map(|(_, refusal)| refusal);
        Verdict {
            refusal: refusal.filter(|_| self.retry_after.is_some()),
            minute,
            day,
            workspace,
            retry_at: self.retry_after.map(|seconds| now.plus(Duration::from_secs(seconds))),
            lease_soon: false,
            lease_workspace_soon: false,
        }
    }
}

impl Remote {
    pub fn new(
        url: &str,
        service_key: Secret,
        allow_plain_http: bool,
        contract: Arc<Contract>,
    ) -> Result<Self, RemoteError> {
        let url = Url::parse(url).map_err(|_| RemoteError::Url)?;
        if !matches!(url.scheme(), "http" | "https") || url.path() != "/" {
            return Err(RemoteError::Url);
        }
        if url.scheme() == "http" && !allow_plain_http && !is_this_machine(&url) {
            return Err(RemoteError::PlainHttp);
        }
        // Whoever comes second finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            // What the environment says about proxies is not said for keys.
            .no_proxy()
            .build()?;
        let path = format!("{}/api-keys/verify", contract.base_path);
        let url = url.join(&path).map_err(|_| RemoteError::Url)?;
        let clock = Arc::new(SystemClock);
        Ok(Self { client, url, service_key, memory: Memory::new(clock.clone()), clock, contract })
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub async fn decide(
        &self,
        token: &Token,
        wanted: &Arc<Wanted>,
        address: Option<IpAddr>,
    ) -> Result<Admitted, Refusal> {
        let question = Question { token: token.digest(), wanted: wanted.clone(), address };
        if let Some(refusal) = self.memory.refusal(&question) {
            return Err(refusal);
        }
        let (mut turn, mut call) = (None, None);
        if !self.memory.knows(&question.token) {
            turn = tokio::time::timeout(TIMEOUT, self.memory.turn(address))
                .await
                .map_err(|_| Error::unavailable("too many tokens of one address wait to be verified"))?;
            // Who came before may have asked the same.
            if let Some(refusal) = self.memory.refusal(&question) {
                return Err(refusal);
            }
            if !self.memory.knows(&question.token) {
                call = Some(self.memory.call(address)?);
            }
        }
        let decided = self.ask(token, wanted, address).await;
        drop(turn);
        match &decided {
            Ok(_) => self.memory.let_in(question.token),
            Err(refusal) if refusal.is_a_decision() => {
                self.memory.refuse(question, refusal.clone());
                return decided;
            }
            Err(_) => {}
        }
        if let Some(call) = &call {
            self.memory.give_back(call);
        }
        decided
    }

    async fn ask(
        &self,
        token: &Token,
        wanted: &Wanted,
        address: Option<IpAddr>,
    ) -> Result<Admitted, Refusal> {
        let order = self.contract.scope_order;
        let scopes: Vec<_> = wanted.scopes.iter().map(|scope| order.spell(scope)).collect();
        let body = json!({
            "key": token.secret().expose(), "scopes": scopes, "client_ip": address, "environment": wanted.environment.as_str(),
        });
        let request = self.client.post(self.url.clone()).bearer_auth(self.service_key.expose()).json(&body);
        // The error's own words name the address, never the body.
        let unavailable = |error: reqwest::Error| Error::Unavailable {
            fate: Fate::Undone,
            cause: Cause::by("asking Gatepost", error),
        };
        let answer = request.send().await.map_err(unavailable)?;
        if !answer.status().is_success() {
            let status = answer.status();
            return Err(Error::unavailable(format!("Gatepost answers the service key with {status}")).into());
        }
        let answer = answer.bytes().await.map_err(unavailable)?;
        let decision: Decision = self.contract.read_plain(&answer).map_err(|error| Error::Unavailable {
            fate: Fate::Undone,
            cause: Cause::by("reading what Gatepost has decided", error),
        })?;
        decision.judge(&wanted.scopes, self.now())
    }
}

/// Whether an address is that of this machine, where nobody is on the way.
fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Decision {
    fn judge(self, scopes: &[Scope], now: Timestamp) -> Result<Admitted, Refusal> {
        let verdict = self.rate_limit.as_ref().map(|limits| limits.verdict(now));
        let key = self.key_id.zip(self.workspace_id).zip(self.environment.as_deref());
        let error = match (self.valid, self.code.as_str(), key) {
            (true, _, Some(((key_id, workspace_id), environment))) => {
                let environment: Environment = environment
                    .parse()
                    .map_err(|_| Error::unavailable("Gatepost names an unknown environment"))?;
                let key = VerifiedKey {
                    key_id: ApiKeyId(key_id),
                    workspace_id: WorkspaceId(workspace_id),
                    environment,
                    scopes: self.scopes.unwrap_or_default(),
                    external_id: self.external_id.map(ExternalId::from_stored),
                };
                return Ok(Admitted { key, verdict, count: None });
            }
            (_, "NOT_FOUND", _) => Error::Unauthorized,
            (_, "REVOKED", _) => Error::KeyRevoked,
            (_, "EXPIRED", _) => Error::KeyExpired,
            (_, "DISABLED", _) => Error::KeyDisabled,
            (_, "IP_NOT_ALLOWED", _) => Error::IpNotAllowed,
            (_, "WRONG_ENVIRONMENT", Some((_, environment))) => match environment.parse() {
                Ok(environment) => Error::WrongEnvironment(environment),
                Err(_) => Error::unavailable("Gatepost names an unknown environment"),
            },
            (_, "INSUFFICIENT_SCOPE", _) => {
                Error::MissingScope(scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(", "))
            }
            (_, "RATE_LIMITED", _) => {
                let refused = verdict.as_ref().and_then(|verdict| verdict.error(now));
                // It is a refusal also where Gatepost, perhaps a newer one, names no limit that is used up.
                refused.unwrap_or_else(|| {
                    let seconds = self.rate_limit.as_ref().and_then(|limits| limits.retry_after).unwrap_or(1);
                    Error::RateLimited {
                        retry_after_seconds: seconds,
                        limit: verdict.as_ref().and_then(Verdict::shown).map_or(0, |shown| shown.limit),
                        reset_at: now.plus(Duration::from_secs(seconds)).rounded_up(),
                    }
                })
            }
            (_, other, _) => Error::unavailable(format!("Gatepost answers {other}")),
        };
        Err(Refusal::from(error).with_verdict(verdict))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_not_named_refuses_all_the_same() {
        let now = Timestamp::from_micros(1_768_473_000_000_000);
        let judged = |limits: serde_json::Value| {
            let decision = json!({ "valid": false, "code": "RATE_LIMITED", "rate_limit": limits });
            let decision: Decision = serde_json::from_value(decision).expect("a decision");
            decision.judge(&[], now).err().expect("a refusal").status()
        };
        let left = json!({ "limit": 60, "remaining": 7, "reset_at": "2026-01-15T10:31:00Z" });
        assert_eq!(judged(json!({ "minute": left, "retry_after": 9 })), 429);
        assert_eq!(judged(json!({ "retry_after": 9 })), 429);
        assert_eq!(judged(serde_json::Value::Null), 429);
    }

    #[test]
    fn keys_cross_no_network_in_the_clear_unless_that_is_allowed() {
        let made = |url: &str, allow| {
            Remote::new(url, Secret::new("key".to_owned()), allow, Arc::new(Contract::core())).map(|_| ())
        };
        for url in
            ["https://gatepost.example.com", "http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost"]
        {
            assert!(made(url, false).is_ok(), "{url}");
        }
        for url in ["http://gatepost.example.com", "http://10.0.0.1", "http://localhost.example.com"] {
            assert!(matches!(made(url, false), Err(RemoteError::PlainHttp)), "{url}");
            assert!(made(url, true).is_ok(), "{url}");
        }
        for url in ["ftp://gatepost.example.com", "https://gatepost.example.com/v1", "gatepost"] {
            assert!(matches!(made(url, true), Err(RemoteError::Url)), "{url}");
        }
    }
}
