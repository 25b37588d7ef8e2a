//! Decisions in this process.

use std::net::IpAddr;

use gatepost_gate::{Gate, Principal, Via};
use gatepost_kernel::ExternalId;
use gatepost_keys::Token;

use crate::{
    decision::{Admitted, VerifiedKey, Wanted},
    refusal::Refusal,
};

/// Decides by what the gate knows.
pub async fn decide(
    gate: &Gate,
    token: Option<Token>,
    wanted: &Wanted,
    address: Option<IpAddr>,
) -> Result<Admitted, Refusal> {
    let may = |principal: &Principal| {
        principal.is_of(wanted.environment)?;
        wanted.scopes.iter().try_for_each(|scope| principal.may(scope))
    };
    match gate.admit(Via::Middleware, token, address, may).await {
        Ok(admitted) => {
            let principal = admitted.principal;
            let key = VerifiedKey {
                key_id: principal.key_id(),
                workspace_id: principal.workspace_id(),
                environment: principal.environment(),
                scopes: principal.scopes().texts(gate.scope_order()),
                external_id: principal.profile().external_id().and_then(ExternalId::parse),
            };
            let (verdict, gate) = (Some(admitted.verdict), gate.clone());
            let count = move |status| gate.record_use(&principal, status);
            Ok(Admitted { key, verdict, count: Some(Box::new(count)) })
        }
        Err(refused) => {
            let refused = *refused;
            let refusal = Refusal::from(refused.error);
            if let Some(principal) = &refused.principal {
                gate.record_use(principal, refusal.status());
            }
            Err(refusal.with_verdict(refused.verdict))
        }
    }
}
