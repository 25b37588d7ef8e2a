#![doc = include_str!("../README.md")]

#[cfg(not(any(feature = "in-process", feature = "remote")))]
compile_error!("gatepost-actix needs the feature `in-process`, `remote`, or both");

mod decider;
mod decision;
#[cfg(feature = "in-process")]
mod in_process;
#[cfg(feature = "remote")]
mod memory;
mod middleware;
mod refusal;
#[cfg(feature = "remote")]
mod remote;

use std::{net::IpAddr, sync::Arc};

use gatepost_keys::{Scope, ScopeRef, presented};
use ipnet::IpNet;

pub use decision::VerifiedKey;
pub use gatepost_kernel::{ApiKeyId, Environment, EnvironmentFilter, Secret, WorkspaceId};
pub use gatepost_keys::ScopeError;
pub use middleware::{Guarded, Require};
#[cfg(feature = "remote")]
pub use remote::RemoteError;

pub use gatepost_contract::Contract;

use crate::decider::Decider;
#[cfg(feature = "remote")]
use crate::remote::Remote;

/// Who decides, and how client addresses are found. Cloning is cheap.
#[derive(Clone)]
pub struct Gate {
    decider: Arc<Decider>,
    contract: Arc<Contract>,
    trusted_proxies: Arc<[IpNet]>,
}

/// A gate that asks a Gatepost elsewhere, before it is built.
#[cfg(feature = "remote")]
pub struct RemoteGate {
    url: String,
    service_key: Secret,
    allow_plain_http: bool,
    contract: Contract,
}

#[cfg(feature = "remote")]
impl RemoteGate {
    /// Whether an `http://` address may lead beyond this machine: then whoever is on the way reads the keys.
    /// Default: no.
    #[must_use]
    pub fn allow_plain_http(self, allow_plain_http: bool) -> Self {
        Self { allow_plain_http, ..self }
    }

    /// The contract that the Gatepost at the address has, in which refusals are written too. Default: the
    /// core contract.
    #[must_use]
    pub fn contract(self, contract: Contract) -> Self {
        Self { contract, ..self }
    }

    /// Makes the gate.
    ///
    /// # Errors
    /// [`RemoteError`] if the address cannot be used.
    pub fn build(self) -> Result<Gate, RemoteError> {
        let contract = Arc::new(self.contract);
        let remote = Remote::new(&self.url, self.service_key, self.allow_plain_http, contract.clone())?;
        let decider = Decider::Remote(Box::new(remote));
        Ok(Gate { decider: Arc::new(decider), contract, trusted_proxies: Arc::default() })
    }
}

impl Gate {
    /// Decides in this process. Somebody must keep `gate` company, as the crate `gatepost-gate` says.
    #[cfg(feature = "in-process")]
    pub fn in_process(gate: gatepost_gate::Gate) -> Self {
        let (tokens, scope_order) = (gate.token_format().clone(), gate.scope_order());
        let contract = Contract { tokens, scope_order, ..Contract::core() };
        Self::in_contract(gate, contract)
    }

    /// The same, with refusals by another contract than the core's.
    ///
    /// # Panics
    /// If the gate has tokens or scopes of another contract.
    #[cfg(feature = "in-process")]
    pub fn in_contract(gate: gatepost_gate::Gate, contract: Contract) -> Self {
        assert_eq!(gate.token_format(), &contract.tokens, "the gate has tokens of another contract");
        assert_eq!(gate.scope_order(), contract.scope_order, "the gate has scopes of another contract");
        let decider = Arc::new(Decider::InProcess(gate));
        Self { decider, contract: Arc::new(contract), trusted_proxies: Arc::default() }
    }

    /// Asks the Gatepost at `url`, e.g. `https://gatepost.example.com`, with a key that has the scope
    /// `api-keys:verify`. Answers that do not come within five seconds are refusals.
    ///
    /// A refusal holds for a second, and an address has 60 calls a minute for tokens that were not let in
    /// within the last; then it is refused with 429 without asking. Behind a proxy all its clients are one
    /// address, unless [`Gate::trusting`] names it. Proxies that the environment names are not used.
    #[cfg(feature = "remote")]
    pub fn remote(url: &str, service_key: Secret) -> RemoteGate {
        RemoteGate { url: url.to_owned(), service_key, allow_plain_http: false, contract: Contract::core() }
    }

    /// Believes `X-Forwarded-For` of these proxies, from the right, as Gatepost itself does.
    #[must_use]
    pub fn trusting(self, proxies: impl IntoIterator<Item = IpNet>) -> Self {
        Self { trusted_proxies: proxies.into_iter().collect(), ..self }
    }

    /// The middleware for routes that need `scope`, and a live key unless [`Require::environment`] says
    /// otherwise.
    ///
    /// # Errors
    /// [`ScopeError`].
    pub fn require(&self, scope: &str) -> Result<Require, ScopeError> {
        self.require_all(&[scope])
    }

    /// The middleware for routes that need all of `scopes`; none for any valid key.
    ///
    /// # Errors
    /// [`ScopeError`] about the first that is not one.
    pub fn require_all(&self, scopes: &[&str]) -> Result<Require, ScopeError> {
        let order = self.contract.scope_order;
        let scopes = scopes.iter().map(|scope| ScopeRef::parse_in(order, scope).map(Scope::from));
        let scopes = scopes.collect::<Result<Vec<Scope>, ScopeError>>()?;
        Ok(Require::new(self.clone(), scopes))
    }

    fn client_address(&self, peer: Option<IpAddr>, forwarded: &[&str]) -> Option<IpAddr> {
        presented::client_address(peer, forwarded.iter().copied(), &self.trusted_proxies)
    }
}
