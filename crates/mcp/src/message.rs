//! Messages of the protocol as they travel: written with the caller's own digits, and read so that one that
//! is malformed ends nothing but the call it belongs to.
//!
//! The protocol's library reads a result as the first of its types that fits, and drops a message that it
//! cannot read. Here a result stays the text that it came as, and whoever asked reads it item by item. A text
//! that is no JSON is answered in its server's place, as long as it says which request it is about.

use std::{borrow::Cow, sync::Arc};

use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, CustomResult, ErrorCode, ErrorData, JsonRpcMessage, ListToolsResult,
    RequestId, ServerJsonRpcMessage, ServerResult,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use crate::envelope::Envelope;

/// The most characters of a server's own words in a sentence of ours.
const MAX_WORDS: usize = 200;
/// Where the text of a list is, in what the library is given of it.
const WHOLE: &str = "gatepost/whole";

/// The arguments of a call as their author wrote them; they take the place of those in the message, which
/// mean the same.
#[derive(Debug, Clone)]
pub(crate) struct Written(pub Arc<RawValue>);

/// What a request is about, as far as it decides how its result is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Who the server is: for the library, which reads it by type.
    Lifecycle,
    /// The tools: the library remembers which arguments travel as headers.
    Tools,
    /// Another list.
    List,
    /// Anything else: for us alone.
    Other,
}

impl Asked {
    pub fn by(request: &ClientRequest) -> Self {
        match request {
            ClientRequest::InitializeRequest(_) | ClientRequest::DiscoverRequest(_) => Self::Lifecycle,
            ClientRequest::ListToolsRequest(_) => Self::Tools,
            ClientRequest::ListResourcesRequest(_) | ClientRequest::ListResourceTemplatesRequest(_) => {
                Self::List
            }
            _ => Self::Other,
        }
    }
}

/// What a server answered to a request of ours.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A result, as it came.
    Result {
        text: Box<RawValue>,
        /// For a list of tools over HTTP: which of them the library can call.
        callable: Option<Vec<String>>,
    },
    /// Something that cannot be read, and why.
    Unreadable(String),
}

impl Reply {
    /// Takes out what [`read`] has put in.
    pub fn of(result: ServerResult) -> Self {
        match result {
            ServerResult::CustomResult(CustomResult(Value::String(text))) => match text.strip_prefix('=') {
                Some(text) => Self::whole(text, None),
                None => Self::Unreadable(text.trim_start_matches('!').to_owned()),
            },
            ServerResult::ListToolsResult(list) => {
                let text = list.meta.as_ref().and_then(|meta| meta.0.get(WHOLE)).and_then(Value::as_str);
                let callable = list.tools.iter().map(|tool| tool.name.to_string()).collect();
                Self::whole(text.unwrap_or_default(), Some(callable))
            }
            _ => Self::Unreadable("it is not the result of a request".to_owned()),
        }
    }

    fn whole(text: &str, callable: Option<Vec<String>>) -> Self {
        match RawValue::from_string(text.to_owned()) {
            Ok(text) => Self::Result { text, callable },
            Err(error) => Self::Unreadable(error.to_string()),
        }
    }
}

/// Writes a message for a server.
pub(crate) fn write(message: &ClientJsonRpcMessage) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Call<'a> {
        jsonrpc: &'a str,
        id: &'a RequestId,
        method: &'a str,
        params: Params<'a>,
    }
    #[derive(Serialize)]
    struct Params<'a> {
        arguments: &'a RawValue,
        #[serde(flatten)]
        others: Map<String, Value>,
    }
    if let JsonRpcMessage::Request(request) = message
        && let ClientRequest::CallToolRequest(call) = &request.request
        && let Some(Written(arguments)) = call.extensions.get::<Written>()
        && let Value::Object(mut whole) = serde_json::to_value(message)?
        && let Some(Value::Object(mut others)) = whole.remove("params")
    {
        others.shift_remove("arguments");
        let params = Params { arguments, others };
        let call = Call { jsonrpc: "2.0", id: &request.id, method: request.request.method(), params };
        let mut line = serde_json::to_vec(&call)?;
        // In JSON a line break is a blank between two values; a text has it escaped.
        for byte in &mut line {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        return Ok(line);
    }
    serde_json::to_vec(message)
}

/// Reads a message of a server's. `asked` says what a request of ours was about.
///
/// # Errors
/// Why it cannot be read, if it does not even say which request it is about.
pub(crate) fn read(
    bytes: &[u8],
    asked: impl Fn(&RequestId) -> Asked,
) -> Result<ServerJsonRpcMessage, String> {
    let text = String::from_utf8_lossy(bytes);
    let mut text = whole_characters(text.trim_start_matches('\u{feff}'));
    if let Err(error) = serde_json::from_str::<&RawValue>(&text) {
        let Some(id) = id_of(&text) else { return Err(error.to_string()) };
        let why = error.to_string();
        // In a list it is one of many items that holds what is no number.
        match asked(&id) {
            Asked::Tools | Asked::List => text = Cow::Owned(without_odd_numbers(&text)),
            _ => return Ok(unreadable(id, &why)),
        }
    }
    let message = match Envelope::read(&text) {
        Ok(message) => message,
        Err(error) => {
            let why = error.to_string();
            return id_of(&text).map(|id| unreadable(id, &why)).ok_or(why);
        }
    };
    match (message.request_id(), message.method, message.result, message.error) {
        (Some(id), None, Some(result), None) => match asked(&id) {
            Asked::Lifecycle => {
                Ok(serde_json::from_str(&text).unwrap_or_else(|error| unreadable(id, &error.to_string())))
            }
            Asked::Tools => Ok(ServerJsonRpcMessage::response(tools(result), id)),
            Asked::List | Asked::Other => Ok(ServerJsonRpcMessage::response(as_text('=', result.get()), id)),
        },
        (id @ Some(_), None, None, Some(error)) => Ok(ServerJsonRpcMessage::error(refusal(error), id)),
        (Some(id), None, ..) => Ok(unreadable(id, "it has neither a result nor an error, or both")),
        // A request, a notification, or an error that belongs to no request.
        _ => serde_json::from_str(&text).map_err(|error| error.to_string()),
    }
}

/// What stands in the place of an answer that cannot be read.
pub(crate) fn unreadable(id: RequestId, why: &str) -> ServerJsonRpcMessage {
    ServerJsonRpcMessage::response(as_text('!', why), id)
}

/// A result that no type of the library's fits but its last, which takes anything.
fn as_text(mark: char, text: &str) -> ServerResult {
    ServerResult::CustomResult(CustomResult(Value::String(format!("{mark}{text}"))))
}

/// A list of tools for the library, of those that it can read; the whole is beside.
fn tools(result: &RawValue) -> ServerResult {
    #[derive(Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        tools: Vec<&'a RawValue>,
    }
    let Ok(page) = serde_json::from_str::<Page<'_>>(result.get()) else {
        return as_text('=', result.get());
    };
    let known = page.tools.iter().filter_map(|tool| {
        let tool: Value = serde_json::from_str(tool.get()).ok()?;
        let (name, schema) = (tool.get("name")?.as_str()?, tool.get("inputSchema")?.as_object()?);
        Some(rmcp::model::Tool::new(name.to_owned(), "", Arc::new(schema.clone())))
    });
    let mut list = ListToolsResult::with_all_items(known.collect());
    list.meta.get_or_insert_default().0.insert(WHOLE.to_owned(), result.get().into());
    ServerResult::ListToolsResult(list)
}

/// A server's refusal, whatever it says it with.
fn refusal(error: &RawValue) -> ErrorData {
    let error: Value = serde_json::from_str(error.get()).unwrap_or_default();
    let code = error["code"].as_i64().and_then(|code| code.try_into().ok());
    let code = code.map_or(ErrorCode::INTERNAL_ERROR, ErrorCode);
    let message = match &error["message"] {
        Value::String(message) => message.clone(),
        _ => short(&error.to_string()),
    };
    ErrorData::new(code, message, error.get("data").cloned())
}

pub(crate) fn short(text: &str) -> String {
    text.chars().take(MAX_WORDS).collect()
}

/// The text with U+FFFD for every half of a pair of surrogates that stands alone. What cuts texts between the
/// two writes `\ud83d`, which is JSON by its grammar, but no character.
fn whole_characters(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let unit = |at: usize| {
        let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let (mut mended, mut copied, mut at) = (String::new(), 0, 0);
    while let Some(found) = text[at..].find('\\') {
        at += found;
        match unit(at) {
            Some(0xd800..=0xdbff) if matches!(unit(at + 6), Some(0xdc00..=0xdfff)) => at += 12,
            Some(0xd800..=0xdfff) => {
                mended.push_str(&text[copied..at]);
                mended.push_str("\\ufffd");
                at += 6;
                copied = at;
            }
            Some(_) => at += 6,
            // Whatever is escaped, it begins no other escape; it may be a character of several bytes.
            None => at += 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8),
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    mended.push_str(&text[copied..]);
    Cow::Owned(mended)
}

/// The text with null for what some writers of JSON make of a number that is none.
fn without_odd_numbers(text: &str) -> String {
    let (mut mended, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = rest.find(['"', 'N', 'I', '-']) {
        let (before, behind) = rest.split_at(start);
        mended.push_str(before);
        let odd = ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| behind.starts_with(word));
        let length = match (odd, end_of_string(&behind[1..])) {
            (Some(word), _) => {
                mended.push_str("null");
                word.len()
            }
            (None, Some(end)) if behind.starts_with('"') => end + 2,
            _ => 1,
        };
        if odd.is_none() {
            mended.push_str(&behind[..length]);
        }
        rest = &behind[length..];
    }
    mended + rest
}

/// The `id` of a message that is no JSON, or only the beginning of one; none if it is no response.
pub(crate) fn id_of(text: &str) -> Option<RequestId> {
    let (mut depth, mut rest, mut id) = (0usize, text.trim_start(), None);
    if !rest.starts_with('{') {
        return None;
    }
    while let Some(character) = rest.chars().next() {
        let mut behind = &rest[character.len_utf8()..];
        match character {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            '"' => {
                let Some(end) = end_of_string(behind) else { break };
                let name = &behind[..end];
                behind = &behind[end + 1..];
                if depth == 1
                    && let Some(value) = behind.trim_start().strip_prefix(':')
                {
                    match name {
                        // Whoever sends a request or a notification waits for no answer of its own.
                        "method" => return None,
                        "id" if id.is_none() => id = Some(value.trim_start()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        rest = behind;
    }
    let mut values = serde_json::Deserializer::from_str(id?).into_iter::<RequestId>();
    values.next()?.ok()
}

/// How long a string is that begins here, behind its quotation mark.
fn end_of_string(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rmcp::model::{CallToolRequest, CallToolRequestParams};
    use serde_json::json;

    use super::*;

    fn other(_: &RequestId) -> Asked {
        Asked::Other
    }

    fn reply(text: &str) -> Reply {
        match read(text.as_bytes(), other) {
            Ok(ServerJsonRpcMessage::Response(response)) => Reply::of(response.result),
            read => panic!("{read:?}"),
        }
    }

    #[test]
    fn a_result_stays_as_it_came() {
        let Reply::Result { text, callable } =
            reply(r#"{"result": {"b": 1E400,"a": 19.90}, "jsonrpc": "2.0", "id": 7}"#)
        else {
            panic!("a result")
        };
        assert_eq!((text.get(), callable), (r#"{"b": 1E400,"a": 19.90}"#, None));
    }

    #[test]
    fn halves_of_pairs_become_the_replacement_character() {
        for (text, mended) in [
            (r"cut \ud83d", r"cut \ufffd"),
            (r"\ud83d\ude00", r"\ud83d\ude00"),
            (r"\ude00\ud83d", r"\ufffd\ufffd"),
            (r"\ud83d\ud83d\ude00", r"\ufffd\ud83d\ude00"),
            (r"\\ud83d \u00e9 \n", r"\\ud83d \u00e9 \n"),
            (r"\\\uD83Dx", r"\\\ufffdx"),
            ("\\é \\", "\\é \\"),
        ] {
            assert_eq!(whole_characters(text), mended);
        }
    }

    #[test]
    fn what_is_no_json_is_answered_for() {
        for text in [
            r#"{"jsonrpc":"2.0","id":7,"result":{"content":[],"structuredContent":{"n":NaN}}}"#,
            r#"{"result":{"n":-Infinity,"id":1,"s":"\"id\":2"},"id":7}"#,
            r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"text":"cut"#,
            r#"{"jsonrpc":"2.0","id":7}"#,
            r#"{"id":7,"result":1,"result":2}"#,
            r#"{"id":7,"result":1,"error":2}"#,
        ] {
            let Ok(ServerJsonRpcMessage::Response(response)) = read(text.as_bytes(), other) else {
                panic!("{text}")
            };
            assert_eq!(response.id, RequestId::Number(7), "{text}");
            assert!(matches!(Reply::of(response.result), Reply::Unreadable(_)), "{text}");
        }
        for text in
            ["not json", "", r#"{"neither":"a message"}"#, r#"{"id":1,"method":"x","params":NaN}"#, "[NaN]"]
        {
            assert!(read(text.as_bytes(), other).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_is_read_in_spite_of_what_is_no_number() {
        let text =
            r#"{"id":1,"result":{"resources":[{"uri":"NaN \"Infinity","n":NaN},{"n":-Infinity,"m":-1}]}}"#;
        let Ok(ServerJsonRpcMessage::Response(response)) = read(text.as_bytes(), |_| Asked::List) else {
            panic!("a response")
        };
        let Reply::Result { text, .. } = Reply::of(response.result) else { panic!("a result") };
        assert_eq!(text.get(), r#"{"resources":[{"uri":"NaN \"Infinity","n":null},{"n":null,"m":-1}]}"#);
        let cut = read(br#"{"id":1,"result":{"tools":[NaN"#, |_| Asked::Tools);
        assert!(matches!(cut, Ok(ServerJsonRpcMessage::Response(_))));
    }

    #[test]
    fn a_refusal_is_read_whatever_it_says() {
        for (error, code, message) in [
            (r#"{"code":-32602,"message":"no"}"#, -32602, "no"),
            (r#"{"code":"E1","message":"no"}"#, -32603, "no"),
            (r#""no""#, -32603, r#""no""#),
        ] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":7,"error":{error}}}"#);
            let Ok(ServerJsonRpcMessage::Error(read)) = read(text.as_bytes(), other) else {
                panic!("{text}")
            };
            assert_eq!((read.error.code.0, &*read.error.message), (code, message));
        }
    }

    #[test]
    fn the_library_gets_the_tools_that_it_can_read() {
        let text = r#"{"id":1,"result":{"tools":[{"name":"a","inputSchema":{}},{"name":"b"},7]}}"#;
        let Ok(message) = read(text.as_bytes(), |_| Asked::Tools) else { panic!("a message") };
        // Over HTTP it travels once more as text.
        let again = serde_json::to_string(&message).and_then(|text| serde_json::from_str(&text));
        let Ok(ServerJsonRpcMessage::Response(response)) = again else { panic!("a response") };
        let Reply::Result { text, callable } = Reply::of(response.result) else { panic!("a result") };
        assert_eq!(callable, Some(vec!["a".to_owned()]));
        assert!(text.get().ends_with(r#"{"name":"b"},7]}"#));
    }

    #[test]
    fn arguments_are_written_as_they_came() {
        let written = "{ \"b\": 19.90,\n \"a\": 1E400, \"n\": 184467440737095516150 }";
        let arguments: Map<String, Value> = serde_json::from_str(written).expect("arguments");
        let mut params = CallToolRequestParams::new("t").with_arguments(arguments);
        params.meta.get_or_insert_default().0.0.insert("k".to_owned(), json!(1));
        let raw = RawValue::from_string(written.to_owned()).expect("JSON");
        let mut call = CallToolRequest::new(params);
        call.extensions.insert(Written(raw.into()));
        let message = ClientJsonRpcMessage::request(call.into(), RequestId::Number(3));
        let line = String::from_utf8(write(&message).expect("a message")).expect("text");
        assert!(line.contains(&written.replace('\n', " ")) && !line.contains('\n'), "{line}");
        let read: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!((&read["method"], &read["params"]["name"]), (&json!("tools/call"), &json!("t")));
        assert_eq!((&read["id"], &read["params"]["_meta"]["k"]), (&json!(3), &json!(1)));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(\\\\u?|[dD]8|\"id\":|[{}\\[\\]\",0-9]|NaN|é|.){0,60}") {
            let _ = read(text.as_bytes(), other);
            let _ = read(text.as_bytes(), |_| Asked::Tools);
            let mended = whole_characters(&text);
            prop_assert_eq!(whole_characters(&mended), mended.as_ref());
        }
    }
}
