//! Gatepost as an MCP server, for clients that speak HTTP and JSON-RPC by the letter.

use gatepost_test_support::Engine;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{mcp::start, running::Installation};

const BOTH: &str = "application/json, text/event-stream";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_accepts_json_is_answered() {
    let installation = Installation::start(Engine::Sqlite).await;
    let (server, key) = start(&installation, "").await;
    let client = gatepost_test_support::http_client(None);
    let send = async |accept: Option<&str>, kind: &str, body: &str| {
        let request = client.request(Method::POST, server.url("/mcp")).bearer_auth(&key);
        let request = request.header("Content-Type", kind.to_owned()).body(body.to_owned());
        let request = match accept {
            Some(accept) => request.header("Accept", accept.to_owned()),
            None => request,
        };
        let reply = request.send().await.expect("an answer");
        let kind = reply.headers().get("content-type").map(|kind| kind.to_str().expect("text").to_owned());
        let (status, body) = (reply.status().as_u16(), reply.text().await.expect("text"));
        (status, kind.unwrap_or_default(), serde_json::from_str::<Value>(&body).unwrap_or(body.into()))
    };
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    for accept in [
        None,
        Some("*/*"),
        Some("application/*"),
        Some("application/json"),
        Some("text/html, */*;q=0.8"),
        Some("application/json; q=0.5"),
        Some(BOTH),
    ] {
        let (status, kind, body) = send(accept, "application/json", ping).await;
        assert_eq!(
            (status, kind.as_str(), &body["id"]),
            (200, "application/json", &json!(1)),
            "{accept:?}: {body}"
        );
        assert_eq!(body["result"], json!({}), "{accept:?}");
    }
    for accept in ["text/html", "application/json;q=0"] {
        let (status, kind, body) = send(Some(accept), "application/json", ping).await;
        assert_eq!((status, kind.as_str()), (406, "application/json"), "{accept}");
        assert_eq!((&body["jsonrpc"], &body["error"]["code"]), (&json!("2.0"), &json!(-32600)));
    }
    let (status, kind, body) = send(None, "text/plain", ping).await;
    assert_eq!((status, kind.as_str(), &body["error"]["code"]), (415, "application/json", &json!(-32600)));

    // A large message is answered like a small one, elsewhere; a compressed one is none.
    let filler = " ".repeat(1_900_000);
    let (status, _, body) = send(None, "application/json", &format!("{filler}{ping}")).await;
    assert_eq!((status, &body["id"]), (200, &json!(1)), "{body}");
    let (status, ..) = send(None, "application/json", &format!("{filler}{filler}{ping}")).await;
    assert_eq!(status, 413);
    let compressed = client.request(Method::POST, server.url("/mcp")).bearer_auth(&key);
    let compressed = compressed.header("Content-Encoding", "gzip").header("Content-Type", "application/json");
    let reply = compressed.body(ping).send().await.expect("an answer");
    assert_eq!(reply.status(), 415);
    assert_eq!(reply.headers()["cache-control"], "no-store");

    // What is no message is refused in the protocol's form.
    for (body, code) in [
        ("{", -32700),
        ("", -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":NaN}"#, -32700),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600),
        ("[]", -32600),
        ("7", -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32600),
    ] {
        for accept in [Some(BOTH), Some("*/*"), None] {
            let (status, kind, answer) = send(accept, "application/json", body).await;
            assert_eq!((status, kind.as_str()), (400, "application/json"), "{body}: {answer}");
            assert_eq!(
                (&answer["jsonrpc"], &answer["id"], &answer["error"]["code"]),
                (&json!("2.0"), &Value::Null, &json!(code)),
                "{body}"
            );
            assert!(answer["error"]["message"].as_str().is_some_and(|text| !text.is_empty()));
        }
    }

    // Methods that are not there, and parameters that do not fit.
    for (method, code, message) in [
        ("foo/bar", -32601, "Method not found"),
        ("prompts/get", -32601, "Method not found"),
        ("resources/subscribe", -32601, "Method not found"),
        ("tools/call", -32602, "Invalid params"),
    ] {
        let body = json!({ "jsonrpc": "2.0", "id": "a", "method": method }).to_string();
        let (_, kind, answer) = send(Some("*/*"), "application/json", &body).await;
        assert_eq!((kind.as_str(), &answer["id"]), ("application/json", &json!("a")), "{method}: {answer}");
        assert_eq!(
            (&answer["error"]["code"], &answer["error"]["message"]),
            (&json!(code), &json!(message)),
            "{method}"
        );
    }
    // A notification is taken, and not answered.
    let (status, _, body) =
        send(Some("*/*"), "application/json", r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
            .await;
    assert_eq!((status, body), (202, json!("")));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_keep_their_digits_on_the_way_to_a_tool() {
    let installation = Installation::start(Engine::Sqlite).await;
    let (server, key) = start(&installation, "").await;
    let client = gatepost_test_support::http_client(None);
    let data = r#"{"price":19.90,"big":184467440737095516150,"a":{"z":1.0,"y":2}}"#;
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"create_event","arguments":{{"id":"evt_digits","type":"a.b","data":{data}}}}}}}"#
    );
    let request =
        client.post(server.url("/mcp")).bearer_auth(&key).header("Content-Type", "application/json");
    let answer: Value = request.body(call).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(answer["result"]["structuredContent"]["id"], "evt_digits", "{answer}");
    let stored = server.get("/api/v1/events/evt_digits", &key).await.text().await.expect("text");
    assert!(stored.contains(data), "{stored}");
    // Arguments of 16 levels are taken, and no deeper ones.
    for (levels, code) in [(15, Value::Null), (16, json!(-32602))] {
        let data = (1..levels).fold(json!({}), |value, _| json!([value]));
        let arguments = json!({ "type": "a.b", "data": data });
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "create_event", "arguments": arguments } });
        let request =
            client.post(server.url("/mcp")).bearer_auth(&key).header("Content-Type", "application/json");
        let answer = request.body(call.to_string()).send().await.expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        assert_eq!(answer["error"]["code"], code, "{answer}");
        assert_eq!(answer["error"]["data"]["errors"]["arguments"].is_array(), levels == 16, "{answer}");
    }
    server.stop().await;
}
