//! The life of a key: active until it is revoked, until it expires, or until its grace after a rotation is
//! over; meanwhile it can be disabled and enabled.

use std::time::Duration;

use gatepost_kernel::{ApiKeyId, Environment, Error, ExternalId, Timestamp, WorkspaceId};

use crate::{IpAllowlist, Metadata, ScopeSet};

/// An API key without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(gatepost_macros::Fields))]
pub struct ApiKey {
    /// Numeric id of the API key.
    pub id: ApiKeyId,
    /// The tenant it belongs to.
    pub workspace_id: WorkspaceId,
    /// The environment that it belongs to.
    pub environment: Environment,
    /// A label for people.
    pub name: String,
    /// The part of the token that may be shown.
    pub prefix: String,
    /// What it may do.
    pub scopes: ScopeSet,
    /// The plan that governs its limits; `None` follows the workspace's.
    pub rate_limit_tier: Option<String>,
    /// From where it may be used.
    pub allowed_ips: IpAllowlist,
    /// Its own end; `None` is never.
    pub expires_at: Option<Timestamp>,
    /// When a request last used it, as far as was written down.
    pub last_used_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// The key that this one replaced.
    pub rotated_from_id: Option<ApiKeyId>,
    /// The key that replaced this one.
    pub rotated_to_id: Option<ApiKeyId>,
    /// Until when it works beside its replacement.
    pub grace_period_ends_at: Option<Timestamp>,
    /// Whose it is in the system of those who made it.
    pub external_id: Option<ExternalId>,
    /// What those who made it keep with it.
    pub metadata: Metadata,
    /// Since when it is switched off; `None` while it is on.
    pub disabled_at: Option<Timestamp>,
}

gatepost_kernel::words! {
    /// Whether a key can be used.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum KeyStatus {
        /// It can.
        Active = "active",
        /// It is switched off, and can be switched on again.
        Disabled = "disabled",
        /// Its end has come, by its own expiry or by the end of a rotation's grace.
        Expired = "expired",
        /// It was revoked.
        Revoked = "revoked",
    }
    described as "ApiKeyStatus": "Whether an API key can be used."
}

impl KeyStatus {
    /// What a request with such a key is told.
    ///
    /// # Errors
    /// [`Error::KeyRevoked`], [`Error::KeyExpired`] or [`Error::KeyDisabled`].
    pub fn usable(self) -> Result<(), Error> {
        match self {
            Self::Active => Ok(()),
            Self::Disabled => Err(Error::KeyDisabled),
            Self::Expired => Err(Error::KeyExpired),
            Self::Revoked => Err(Error::KeyRevoked),
        }
    }
}

impl ApiKey {
    /// When the key stops working by itself: the earlier of its expiry and the end of its grace.
    pub fn ends_at(&self) -> Option<Timestamp> {
        [self.expires_at, self.grace_period_ends_at].into_iter().flatten().min()
    }

    /// Whether it can be used at `now`.
    pub fn status(&self, now: Timestamp) -> KeyStatus {
        if self.revoked_at.is_some() {
            KeyStatus::Revoked
        } else if self.ends_at().is_some_and(|end| end <= now) {
            KeyStatus::Expired
        } else if self.disabled_at.is_some() {
            KeyStatus::Disabled
        } else {
            KeyStatus::Active
        }
    }

    /// Refuses an end of another key that this one may not give it: one that is later than its own.
    ///
    /// # Errors
    /// [`Error::AccessDenied`].
    pub fn may_give_end(&self, end: Option<Timestamp>) -> Result<(), Error> {
        let is_within = match (self.ends_at(), end) {
            (None, _) => true,
            (Some(own), Some(end)) => end <= own,
            (Some(_), None) => false,
        };
        match is_within {
            true => Ok(()),
            false => {
                Err(Error::AccessDenied("This API key may not give a later end than its own.".to_owned()))
            }
        }
    }

    /// Refuses addresses for another key that this one may not be used from.
    ///
    /// # Errors
    /// [`Error::AccessDenied`].
    pub fn may_give_addresses(&self, addresses: &IpAllowlist) -> Result<(), Error> {
        match addresses.is_within(&self.allowed_ips) {
            true => Ok(()),
            false => {
                Err(Error::AccessDenied("This API key may not allow more addresses than its own.".to_owned()))
            }
        }
    }

    /// Whether it can be replaced at `now`.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it is revoked, expired, disabled, or was replaced already.
    pub fn rotatable(&self, now: Timestamp) -> Result<(), Error> {
        let reason = match self.status(now) {
            _ if self.rotated_to_id.is_some() => "This API key was already rotated.",
            KeyStatus::Active => return Ok(()),
            KeyStatus::Disabled => "This API key is disabled. Enable it before you rotate it.",
            KeyStatus::Expired => "This API key has expired and cannot be rotated.",
            KeyStatus::Revoked => "This API key is revoked and cannot be rotated.",
        };
        Err(Error::Conflict(reason.to_owned()))
    }
}

/// When the old key of a rotation ends: after the grace, but never later than it would have ended by itself.
pub fn grace_end(now: Timestamp, grace: Duration, own_end: Option<Timestamp>) -> Timestamp {
    let end = now.plus(grace);
    own_end.map_or(end, |own| own.min(end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_grace_never_lengthens_a_life(now in 0..1_000_000i64, hours in 0..=168u64, own in proptest::option::of(0..10_000_000_000_000i64)) {
            let now = Timestamp::from_micros(now);
            let own = own.map(Timestamp::from_micros);
            let end = grace_end(now, Duration::from_secs(hours * 3600), own);
            prop_assert!(own.is_none_or(|own| end <= own));
            prop_assert!(end <= now.plus(Duration::from_secs(hours * 3600)));
        }
    }
}
