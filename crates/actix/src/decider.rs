//! Who decides about a request.

use std::{net::IpAddr, sync::Arc};

use gatepost_kernel::Timestamp;
use gatepost_keys::Token;

#[cfg(feature = "in-process")]
use crate::in_process;
#[cfg(feature = "remote")]
use crate::remote::Remote;
use crate::{
    decision::{Admitted, Wanted},
    refusal::Refusal,
};

/// Who decides.
pub enum Decider {
    #[cfg(feature = "in-process")]
    InProcess(gatepost_gate::Gate),
    #[cfg(feature = "remote")]
    Remote(Box<Remote>),
}

impl Decider {
    /// The present instant, by the clock of who decides.
    pub fn now(&self) -> Timestamp {
        match self {
            #[cfg(feature = "in-process")]
            Self::InProcess(gate) => gate.now(),
            #[cfg(feature = "remote")]
            Self::Remote(remote) => remote.now(),
        }
    }

    pub async fn decide(
        &self,
        token: Option<Token>,
        wanted: &Arc<Wanted>,
        address: Option<IpAddr>,
    ) -> Result<Admitted, Refusal> {
        match self {
            #[cfg(feature = "in-process")]
            Self::InProcess(gate) => in_process::decide(gate, token, wanted, address).await,
            #[cfg(feature = "remote")]
            Self::Remote(remote) => match token {
                Some(token) => remote.decide(&token, wanted, address).await,
                None => Err(Refusal::from(gatepost_kernel::Error::Unauthorized)),
            },
        }
    }
}
