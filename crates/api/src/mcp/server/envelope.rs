//! What JSON-RPC says of messages and errors, where the protocol's library answers with less: broken
//! messages, media types, and the words of an error.

use actix_web::http::header::{ACCEPT, HeaderMap};
use gatepost_app::mcp::Envelope;
use rmcp::model::{ErrorCode, JsonRpcVersion2_0, RequestId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Methods that the library knows; what it does not recognise as one of them for its parameters.
const KNOWN_METHODS: [&str; 5] = ["initialize", "ping", "server/discover", "tools/list", "tools/call"];
const METHOD_NOT_FOUND: &str = "Method not found";

/// An error of JSON-RPC. Its `id` is null where that of the request cannot be told.
#[derive(Debug, Serialize)]
pub struct Refusal {
    jsonrpc: JsonRpcVersion2_0,
    id: Option<RequestId>,
    error: Fault,
}

#[derive(Debug, Serialize)]
struct Fault {
    code: ErrorCode,
    message: String,
}

impl Refusal {
    /// A message that is no request: its author is told in the status too.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::INVALID_REQUEST, message)
    }

    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let error = Fault { code, message: message.into() };
        Self { jsonrpc: JsonRpcVersion2_0, id: None, error }
    }
}

/// What is wrong with a body that is no message of the protocol.
pub fn check(body: &[u8]) -> Result<(), Refusal> {
    let value: &RawValue = serde_json::from_slice(body).map_err(|error| {
        let at = format!("line {}, column {}", error.line(), error.column());
        Refusal::new(ErrorCode::PARSE_ERROR, format!("Parse error: the body is not valid JSON ({at})."))
    })?;
    match value.get().as_bytes().first() {
        Some(b'{') => {}
        Some(b'[') => return Err(Refusal::invalid("Invalid request: batches are not part of the protocol.")),
        _ => return Err(Refusal::invalid("Invalid request: a message is an object.")),
    }
    let message = Envelope::read(value.get())
        .map_err(|_| Refusal::invalid("Invalid request: a member of the message is there twice."))?;
    let starts = |value: &RawValue, with: &str| value.get().starts_with(with);
    if message.jsonrpc.is_none_or(|version| version.get() != "\"2.0\"") {
        return Err(Refusal::invalid("Invalid request: jsonrpc must be \"2.0\"."));
    }
    if message.id.is_some() && message.request_id().is_none() {
        return Err(Refusal::invalid("Invalid request: id must be a string or an integer."));
    }
    match message.method {
        Some(method) if starts(method, "\"") => Ok(()),
        Some(_) => Err(Refusal::invalid("Invalid request: method must be a string.")),
        None if message.id.is_some() && (message.result.is_some() || message.error.is_some()) => Ok(()),
        None => Err(Refusal::invalid("Invalid request: method is missing.")),
    }
}

/// The arguments of a call of a tool, as they were written.
pub fn arguments(body: &[u8]) -> Option<&[u8]> {
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow)]
        arguments: Option<&'a RawValue>,
    }
    let call = Envelope::read(std::str::from_utf8(body).ok()?).ok()?;
    let params: Params<'_> = serde_json::from_str(call.params?.get()).ok()?;
    Some(params.arguments?.get().as_bytes())
}

/// Whether an answer in JSON is acceptable (RFC 9110 12.5.1); the library asks for both types by name, but
/// answers in JSON alone.
pub fn accepts_json(headers: &HeaderMap) -> bool {
    let (mut best, mut any) = (None::<(usize, bool)>, false);
    let values = headers.get_all(ACCEPT).filter_map(|value| value.to_str().ok());
    for range in values.flat_map(|value| value.split(',')) {
        any |= !range.trim().is_empty();
        let mut parts = range.split(';').map(|part| part.trim().to_ascii_lowercase());
        let exactness = match parts.next().as_deref() {
            Some("application/json") => 2,
            Some("application/*") => 1,
            Some("*/*") => 0,
            _ => continue,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=").map(str::to_owned));
        let wanted = weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0));
        if best.is_none_or(|(exactest, _)| exactness > exactest) {
            best = Some((exactness, wanted));
        }
    }
    best.map_or(!any, |(_, wanted)| wanted)
}

/// The error for a method that the library has not recognised.
pub fn unknown_method(method: &str) -> rmcp::ErrorData {
    match KNOWN_METHODS.contains(&method) {
        true => rmcp::ErrorData::invalid_params("Invalid params", None),
        false => rmcp::ErrorData::new(ErrorCode::METHOD_NOT_FOUND, METHOD_NOT_FOUND, None),
    }
}

/// An answer of the library's with the protocol's words for a method that is not there, in place of the
/// method's name.
pub fn worded(body: Vec<u8>) -> Vec<u8> {
    let code = ErrorCode::METHOD_NOT_FOUND.0;
    if !body.windows(6).any(|part| part == b"-32601") {
        return body;
    }
    let Ok(mut answer) = serde_json::from_slice::<serde_json::Value>(&body) else { return body };
    if answer["error"]["code"].as_i64() != Some(code.into()) {
        return body;
    }
    answer["error"]["message"] = METHOD_NOT_FOUND.into();
    serde_json::to_vec(&answer).unwrap_or(body)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn what_is_no_message_is_refused() {
        for good in [
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
            r#" {"jsonrpc":"2.0","id":"a","method":"x","params":{"n":1E400}} "#,
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        ] {
            assert!(check(good.as_bytes()).is_ok(), "{good}");
        }
        for (bad, code) in [
            ("{", -32700),
            ("", -32700),
            ("{\"a\":NaN}", -32700),
            ("[]", -32600),
            (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600),
            ("7", -32600),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":[],"method":"ping"}"#, -32600),
            (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
            (r#"{"id":1,"method":"ping"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#, -32600),
        ] {
            assert_eq!(check(bad.as_bytes()).expect_err(bad).error.code.0, code, "{bad}");
        }
    }

    #[test]
    fn json_is_acceptable_in_every_way_to_say_so() {
        let accepts = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(ACCEPT, HeaderValue::from_static(value));
            }
            accepts_json(&headers)
        };
        for good in [
            &[][..],
            &[""],
            &["*/*"],
            &["application/*"],
            &["Application/JSON"],
            &["application/json, text/event-stream"],
            &["text/html, */*;q=0.1"],
            &["text/html", "application/json; q=0.5"],
        ] {
            assert!(accepts(good), "{good:?}");
        }
        for bad in [&["text/html"][..], &["text/event-stream"], &["*/*, application/json;q=0"], &["*/*;q=0"]]
        {
            assert!(!accepts(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_method_that_is_not_there_is_said_to_be_so() {
        let answer = br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"prompts/list"}}"#.to_vec();
        let worded = String::from_utf8(worded(answer)).expect("text");
        assert_eq!(
            worded,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}"#
        );
        let other = br#"{"jsonrpc":"2.0","id":1,"result":"-32601"}"#.to_vec();
        assert_eq!(super::worded(other.clone()), other);
    }
}
