//! A message of JSON-RPC taken apart: its members as the text that they came as, whoever sent it and whatever
//! is in them.

use rmcp::model::RequestId;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The members of a message; one that is null is not there, but for the `id`, which must not be null.
#[derive(Debug, Deserialize)]
pub struct Envelope<'a> {
    /// The version of the protocol.
    #[serde(borrow)]
    pub jsonrpc: Option<&'a RawValue>,
    /// Which request it is, or answers.
    #[serde(borrow, default, deserialize_with = "present")]
    pub id: Option<&'a RawValue>,
    /// What is asked for.
    #[serde(borrow)]
    pub method: Option<&'a RawValue>,
    /// With what.
    #[serde(borrow)]
    pub params: Option<&'a RawValue>,
    /// The answer.
    #[serde(borrow)]
    pub result: Option<&'a RawValue>,
    /// Why there is none.
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
}

/// `null` is there too.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Envelope<'a> {
    /// Takes a text apart that holds one JSON object.
    ///
    /// # Errors
    /// If it does not, or names a member twice.
    pub fn read(text: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// The `id`, if it is one by the protocol: a string or an integer.
    pub fn request_id(&self) -> Option<RequestId> {
        serde_json::from_str(self.id?.get()).ok()
    }
}
