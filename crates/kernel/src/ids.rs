//! The registry of typed ids: one line for each kind, never reused for another.

use std::fmt;

#[cfg(feature = "random")]
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
#[cfg(feature = "json")]
use serde_json::Value;

#[cfg(feature = "json")]
use crate::describe::{Described, Schemas};
#[cfg(feature = "random")]
use crate::random;

/// A numeric id.
pub trait NumericId: Copy {
    /// What it is, for those who are asked for one.
    const ABOUT: &'static str;

    /// The id with this number.
    fn of(number: i64) -> Self;
}

macro_rules! integer_ids {
    ($($(#[$doc:meta])* $name:ident = $about:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl NumericId for $name {
            const ABOUT: &'static str = $about;

            fn of(number: i64) -> Self {
                Self(number)
            }
        }

        #[cfg(feature = "json")]
        impl Described for $name {
            fn schema(schemas: &mut Schemas) -> Value {
                i64::schema(schemas)
            }
        }
    )*};
}

integer_ids! {
    /// A tenant.
    WorkspaceId = "Numeric id of the workspace";
    /// An API key (not its secret).
    ApiKeyId = "Numeric id of the API key";
    /// A row of the audit log.
    AuditEntryId = "Numeric id of the entry";
    /// Where a tenant wants to hear of its events.
    WebhookEndpointId = "Numeric id of the endpoint";
    /// One event on its way to one endpoint.
    WebhookDeliveryId = "Numeric id of the delivery";
    /// One worker's hold on deliveries.
    ClaimId = "Numeric id of the claim";
    /// A place in the change feed; grows in the order of commits.
    ChangeId = "Numeric id of the change";
    /// What was found out about a page.
    SeoReportId = "Numeric id of the report";
    /// One thing of it.
    SeoIssueId = "Numeric id of the issue";
    /// A type of declared resource.
    ResourceTypeId = "Numeric id of the type of resource";
    /// A record of one, in the order of creation; callers know it by another id.
    RecordId = "Numeric id of the record";
    /// Somebody who can sign in.
    MemberId = "Numeric id of the member";
    /// Somebody was asked to join a workspace.
    InvitationId = "Numeric id of the invitation";
    /// A browser in which somebody has signed in.
    SessionId = "Numeric id of the session";
}

impl WorkspaceId {
    /// The platform's own workspace, made at the first start.
    pub const ROOT: Self = Self(1);

    /// Whether this is the platform's own workspace.
    pub fn is_root(self) -> bool {
        self == Self::ROOT
    }
}

/// An event: `evt_` and 1–60 of `[A-Za-z0-9_-]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct EventId(String);

#[cfg(feature = "json")]
impl Described for EventId {
    fn schema(schemas: &mut Schemas) -> Value {
        String::schema(schemas)
    }
}

impl EventId {
    /// A fresh id with 142 random bits.
    #[cfg(feature = "random")]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(format!("evt_{}", random::base62(rng, 24)))
    }

    /// An id that somebody else chose; `None` if it has another form.
    pub fn parse(id: &str) -> Option<Self> {
        let rest = id.strip_prefix("evt_")?;
        let sound = (1..=60).contains(&rest.len())
            && rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        sound.then(|| Self(id.to_owned()))
    }

    /// An id read back from where it was stored.
    pub fn from_stored(id: String) -> Self {
        Self(id)
    }

    /// The id as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What ties an answer, its log lines and its audit rows together: `req_…`, or the caller's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct RequestId(String);

impl RequestId {
    /// A fresh id with 132 random bits.
    #[cfg(feature = "random")]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(String::from_utf8_lossy(&Self::generate_bytes(rng)).into_owned())
    }

    /// The bytes of a fresh id, for whoever needs no more.
    #[cfg(feature = "random")]
    pub fn generate_bytes(rng: &mut impl CryptoRng) -> [u8; 26] {
        let mut id = *b"req_0123456789012345678901";
        id[4..].copy_from_slice(&random::base64url::<22>(rng));
        id
    }

    /// The caller's own id, if it is 1–64 of `[A-Za-z0-9_-]` and does not look like a secret of ours.
    /// `begins_token` tells whether a text begins as an API key does.
    pub fn from_caller(id: &str, begins_token: impl Fn(&str) -> bool) -> Option<Self> {
        Self::is_harmless(id, begins_token).then(|| Self(id.to_owned()))
    }

    /// Whether a caller's own id can be kept.
    pub fn is_harmless(id: &str, begins_token: impl Fn(&str) -> bool) -> bool {
        let sound = (1..=64).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        // It is echoed and logged, so a key pasted into the wrong header must not be kept.
        sound && !id.starts_with("whsec_") && !begins_token(id)
    }

    /// The id as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_request_id_is_kept_only_when_it_is_harmless() {
        let kept = |id: &str| RequestId::from_caller(id, |text| text.starts_with("sk_live_"));
        for good in ["a-B_9", "load_test_1", "go_live_2"] {
            assert_eq!(kept(good).as_ref().map(RequestId::as_str), Some(good));
        }
        for bad in ["", "a b", "a\nb", "é", &"x".repeat(65), "sk_live_abc", "whsec_abc"] {
            assert_eq!(kept(bad), None, "{bad:?}");
        }
    }
}
