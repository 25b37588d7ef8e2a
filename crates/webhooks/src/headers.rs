//! Headers that a tenant adds to its deliveries: none that could replace ours, break the framing, or name
//! another host.

use serde_json::Value;

const MAX_VALUE: usize = 4_096;

/// One header of a tenant's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomHeader {
    name: String,
    value: String,
}

/// Why a header is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The name has a character that no header has.
    #[error("is not the name of a header")]
    Name,
    /// It is set by the delivery itself, or decides how the request is read.
    #[error("may not be set")]
    Reserved,
    /// The value has a line break or another control character, or is too long.
    #[error("must be at most 4096 printable characters")]
    Value,
}

/// With `-` alone: many servers hand `_` to programs as the same.
const RESERVED: [&str; 37] = [
    "accept-encoding",
    "cf-connecting-ip",
    "client-ip",
    "connection",
    "cookie",
    "date",
    "expect",
    "fastly-client-ip",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "remote-addr",
    "te",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "user-agent",
    "via",
    "x-appengine-user-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-url",
    "x-real-ip",
    "x-remote-addr",
    "x-remote-ip",
    "x-rewrite-url",
];
const RESERVED_PREFIXES: [&str; 6] =
    ["content-", "webhook-", "x-webhook-", "x-gatepost-", "x-forwarded-", ":"];

impl CustomHeader {
    /// Checks a header.
    ///
    /// # Errors
    /// [`HeaderError`].
    pub fn new(name: &str, value: &str) -> Result<Self, HeaderError> {
        let in_name = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || name.len() > 100 || !name.bytes().all(in_name) {
            return Err(HeaderError::Name);
        }
        let canonical = Self::canonical_name(name);
        if RESERVED.contains(&canonical.as_str())
            || RESERVED_PREFIXES.iter().any(|prefix| canonical.starts_with(prefix))
        {
            return Err(HeaderError::Reserved);
        }
        let printable = value.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b));
        if value.len() > MAX_VALUE || !printable || value.trim() != value {
            return Err(HeaderError::Value);
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }

    /// The name by which two headers are the same to whoever reads them.
    pub fn canonical_name(name: &str) -> String {
        name.to_ascii_lowercase().replace('_', "-")
    }

    /// Headers as one text, to be sealed: a JSON object; empty without any.
    pub fn write_all(headers: &[Self]) -> String {
        if headers.is_empty() {
            return String::new();
        }
        let pairs = headers.iter().map(|header| (header.name.clone(), Value::from(header.value.as_str())));
        Value::Object(pairs.collect()).to_string()
    }

    /// The names and values of such a text.
    pub fn read_all(text: &str) -> Vec<(String, String)> {
        let Ok(Value::Object(pairs)) = serde_json::from_str(text) else { return Vec::new() };
        let pair = |(name, value): (String, Value)| Some((name, value.as_str()?.to_owned()));
        pairs.into_iter().filter_map(pair).collect()
    }

    /// The names alone, which are all that is shown of headers.
    pub fn read_names(text: &str) -> Vec<String> {
        Self::read_all(text).into_iter().map(|(name, _)| name).collect()
    }

    /// Its name, in the spelling in which it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value.
    pub fn value(&self) -> &str {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_cannot_replace_what_is_ours() {
        for (name, value, expected) in [
            ("Authorization", "Bearer abc", Ok(())),
            ("X-Team", "", Ok(())),
            ("Host", "x", Err(HeaderError::Reserved)),
            ("Content-Length", "0", Err(HeaderError::Reserved)),
            ("WEBHOOK-Signature", "v1,x", Err(HeaderError::Reserved)),
            ("x-webhook-id", "x", Err(HeaderError::Reserved)),
            ("Transfer-Encoding", "chunked", Err(HeaderError::Reserved)),
            ("Content_Type", "text/plain", Err(HeaderError::Reserved)),
            ("X_Webhook-Signature", "x", Err(HeaderError::Reserved)),
            ("X-Real-IP", "127.0.0.1", Err(HeaderError::Reserved)),
            ("x_forwarded_for", "127.0.0.1", Err(HeaderError::Reserved)),
            ("X-HTTP-Method-Override", "DELETE", Err(HeaderError::Reserved)),
            ("X-Original-URL", "/admin", Err(HeaderError::Reserved)),
            ("X_Team", "", Ok(())),
            ("", "x", Err(HeaderError::Name)),
            ("a b", "x", Err(HeaderError::Name)),
            ("a:", "x", Err(HeaderError::Name)),
            ("é", "x", Err(HeaderError::Name)),
            ("X-A", "a\r\nHost: b", Err(HeaderError::Value)),
            ("X-A", "a\0", Err(HeaderError::Value)),
            ("X-A", " a", Err(HeaderError::Value)),
            ("X-A", &"a".repeat(4_097), Err(HeaderError::Value)),
        ] {
            assert_eq!(CustomHeader::new(name, value).map(|_| ()), expected, "{name}: {value:?}");
        }
    }
}
