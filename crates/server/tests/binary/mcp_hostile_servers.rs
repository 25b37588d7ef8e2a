//! MCP servers that say what the protocol does not foresee. One bad item costs nothing but itself, over every
//! transport.

use std::{fmt::Write, process::Stdio};

use gatepost_test_support::Engine;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::{
    mcp::{call, make_key, root, start, wait_for},
    running::{Installation, Running},
};

/// How a server is reached: by its lines, by answers over HTTP, by events over HTTP. Its id is the same word.
const TRANSPORTS: [&str; 3] = ["lines", "http", "stream"];
const UNREADABLE: &str = "The answer of the MCP server could not be read.";

/// A gatepost before stubs, which end with it.
struct Stubs {
    server: Running,
    key: String,
    _place: Installation,
    _programs: Vec<Child>,
}

impl Stubs {
    /// Stubs by their ids and arguments; one is over HTTP if its id is that of such a transport.
    async fn start(stubs: &[(&str, Vec<String>)]) -> Self {
        let mut config = String::from("[egress]\nallow = [\"127.0.0.1/32\"]\n");
        let mut programs = Vec::new();
        let stub = root().join("clients/mcp/stub.py").display().to_string();
        for (id, arguments) in stubs {
            let settings = match *id {
                "http" | "stream" => {
                    let mut program = Command::new("python3");
                    program.arg(&stub).arg(format!("--{id}")).args(arguments);
                    let program = program.stdout(Stdio::piped()).kill_on_drop(true).spawn();
                    let mut program = program.expect("the stub");
                    let mut lines = BufReader::new(program.stdout.take().expect("its output")).lines();
                    let address = lines.next_line().await.expect("a line").expect("its address");
                    programs.push(program);
                    format!("url = \"{address}\"")
                }
                _ => {
                    let arguments: Vec<&String> = [&stub].into_iter().chain(arguments).collect();
                    // A list of texts is the same in JSON and in TOML.
                    format!("command = \"python3\"\nargs = {}", json!(arguments))
                }
            };
            // What is only answered in time by a call that times out fails the test by its words.
            write!(config, "[mcp.servers.{id}]\ncall_timeout = \"20s\"\n{settings}\n").expect("text");
        }
        let installation = Installation::start(Engine::Sqlite).await;
        let (server, key) = start(&installation, &config).await;
        let stubs_are_up = stubs.iter().map(async |(id, _)| wait_for(&server, &key, id, "up").await);
        futures_util::future::join_all(stubs_are_up).await;
        Self { server, key, _place: installation, _programs: programs }
    }

    /// The same stub over each transport.
    async fn everywhere(arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self::start(&TRANSPORTS.map(|id| (id, arguments.clone()))).await
    }

    async fn call(&self, on: &str, tool: &str) -> (u16, Value) {
        self.call_with(on, tool, json!({})).await
    }

    async fn call_with(&self, on: &str, tool: &str, arguments: Value) -> (u16, Value) {
        let (status, body, _) = call(&self.server, &self.key, on, tool, arguments).await;
        (status, body)
    }

    /// What a tool says that never fails.
    async fn says(&self, on: &str, tool: &str) -> String {
        let (status, body) = self.call(on, tool).await;
        assert_eq!(status, 200, "{on} {tool}: {body}");
        body["result"]["content"].as_str().expect("a text").to_owned()
    }

    async fn status(&self, id: &str) -> Value {
        let body: Value = self.get(&format!("/api/v1/mcp/servers/{id}")).await.1;
        body["data"].clone()
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let reply = self.server.get(path, &self.key).await;
        (reply.status().as_u16(), reply.json().await.expect("JSON"))
    }
}

fn tool(name: &str) -> Value {
    json!({ "name": name, "inputSchema": { "type": "object" } })
}

/// Tools for [`Stubs::says`], and others.
fn tools(others: &[Value]) -> String {
    let own = ["good", "asked", "wait", "waiting"].map(tool);
    Value::from([&own, others].concat()).to_string()
}

fn problems(status: &Value) -> Vec<(Value, Value, String)> {
    let problems = status["problems"].as_array().expect("problems");
    let message = |problem: &Value| problem["message"].as_str().expect("a message").to_owned();
    problems
        .iter()
        .map(|problem| (problem["tool"].clone(), problem["keyword"].clone(), message(problem)))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_tool_is_left_out_and_named() {
    let schema = json!({ "type": "object" });
    let bad = [
        json!({ "name": "none", "description": "no schema" }),
        json!({ "name": "null", "inputSchema": null }),
        json!({ "name": "list", "inputSchema": [] }),
        json!({ "name": "true", "inputSchema": true }),
        json!({ "inputSchema": schema }),
        json!({ "name": 7, "inputSchema": schema }),
        json!("a text"),
        json!({ "name": "good", "inputSchema": schema }),
        // Nothing is wrong with these.
        json!({
            "name": "odd", "inputSchema": { "type": "object", "properties": { "p": 7 } }, "description": null,
            "annotations": null, "outputSchema": null, "title": null, "icons": null, "other": [1],
        }),
        // Python writes what is no number as no JSON.
        json!({ "name": "last", "inputSchema": { "type": "object", "properties": { "n": { "default": "NAN" } } } }),
    ];
    let templates = json!([{ "name": "m" }, { "uriTemplate": "a://{" }, 7, { "uriTemplate": "a://x/{id}", "icons": null }]);
    let resources = json!([{ "name": "m" }, { "uri": null }, { "uri": "a://y", "size": "big" }]);
    let stubs = Stubs::everywhere(&[
        &tools(&bad).replace("\"NAN\"", "NaN"),
        r#"{"content":[]}"#,
        "null",
        &templates.to_string(),
        &resources.to_string(),
    ])
    .await;
    for id in TRANSPORTS {
        let status = stubs.status(id).await;
        assert_eq!((&status["status"], &status["stale"]), (&json!("up"), &json!(false)));
        assert_eq!(status["tools"], json!(["good", "asked", "wait", "waiting", "odd", "last"]), "{id}");
        let problems = problems(&status);
        let named: Vec<_> =
            problems.iter().map(|(tool, keyword, _)| (tool.clone(), keyword.clone())).collect();
        let left_out = |tool: Value| (tool, Value::Null);
        let mut expected = ["none", "null", "list", "true"].map(|name| left_out(name.into())).to_vec();
        expected.extend([Value::Null, Value::Null, Value::Null, "good".into()].map(left_out));
        expected.push(("odd".into(), "/properties/p".into()));
        // Two resources and three templates.
        expected.extend(std::iter::repeat_n(left_out(Value::Null), 5));
        assert_eq!(named, expected, "{id}");
        assert_eq!(problems[0].2, "Left out, tool 5 of the list: its inputSchema is not an object.");
        assert_eq!(stubs.says(id, "good").await, "ok");
        for tool in ["odd", "last"] {
            assert_eq!(stubs.call(id, tool).await.0, 200, "{id} {tool}");
        }
        assert_eq!(stubs.call(id, "none").await.0, 404);
        for uri in ["a://x/1", "a://y"] {
            assert_eq!(stubs.get(&format!("/api/v1/mcp/resources/{uri}?server={id}")).await.0, 200, "{uri}");
        }
    }
    stubs.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_no_known_kind_costs_nobody_anything() {
    let video = r#"{"type":"video","n": 1E400,"url":"x","a":19.90}"#;
    let result = format!(
        r#"{{"content":[{video},{{"type":"text","text":"after"}}],"structuredContent":{{"b":1.10,"a":1}},"other":7}}"#
    );
    let stubs = Stubs::everywhere(&[&tools(&[tool("bad")]), &result]).await;
    for id in TRANSPORTS {
        assert_eq!(stubs.says(id, "good").await, "ok");
        // Somebody else's call is in flight meanwhile, and is answered.
        let bad = async {
            while stubs.says(id, "waiting").await != "1" {}
            let body = json!({ "server": id, "tool": "bad" });
            stubs.server.post("/api/v1/mcp/tools/call", &stubs.key, body).await.text().await.expect("text")
        };
        let (waited, text) = tokio::join!(stubs.says(id, "wait"), bad);
        assert_eq!(waited, "ok");
        // What nobody knows is passed on as it came.
        assert!(text.contains(video) && text.contains(r#"{"b":1.10,"a":1}"#), "{text}");
        let body: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            (&body["result"]["content"], &body["result"]["is_error"]),
            (&json!("after"), &json!(false))
        );
        assert_eq!(stubs.says(id, "good").await, "ok");
        assert_eq!(stubs.status(id).await["status"], "up");
        assert_eq!(stubs.says(id, "asked").await, "1", "{id} was not started anew");
    }
    let log = stubs.server.stop().await;
    assert!(!log.contains("an MCP server is down"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_no_json_ends_its_own_call_at_once() {
    for result in [
        r#"{"content":[],"structuredContent":{"n":NaN}}"#,
        r#"{"content":[{"type":"text","text":"x"}],"structuredContent":{"n":-Infinity}}"#,
        r#"{"content":[{"type":"text","text":"\x"}]}"#,
        "7",
        r#"{"resultType":"input_required","inputRequests":{"a":{}}}"#,
    ] {
        let stubs = Stubs::everywhere(&[&tools(&[tool("bad")]), result]).await;
        for id in TRANSPORTS {
            let bad = async {
                while stubs.says(id, "waiting").await != "1" {}
                stubs.call(id, "bad").await
            };
            let (waited, (status, body)) = tokio::join!(stubs.says(id, "wait"), bad);
            assert_eq!((status, &body["message"]), (503, &json!(UNREADABLE)), "{id} {result}");
            assert_eq!(waited, "ok");
            for _ in 0..3 {
                assert_eq!(stubs.call(id, "bad").await.1["message"], UNREADABLE);
            }
            assert_eq!(stubs.says(id, "asked").await, "1", "{id} was not started anew");
        }
        let log = stubs.server.stop().await;
        assert!(log.contains("an answer of an MCP server cannot be read"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_of_one_call_costs_the_others_theirs() {
    const LOST: &str = "The connection to the MCP server was lost before it answered.";
    for (result, transports, message) in [
        ("!500", &TRANSPORTS[1..], UNREADABLE),
        ("!html", &TRANSPORTS[1..], UNREADABLE),
        ("!cut", &TRANSPORTS[1..], LOST),
        (r#"{"content":[{"type":"text","text":"BIG"}]}"#, &TRANSPORTS, UNREADABLE),
    ] {
        let stubs = Stubs::everywhere(&[&tools(&[tool("bad")]), result]).await;
        for id in transports {
            let bad = async {
                while stubs.says(id, "waiting").await != "1" {}
                stubs.call(id, "bad").await
            };
            let (waited, (status, body)) = tokio::join!(stubs.says(id, "wait"), bad);
            assert_eq!((status, &body["message"]), (503, &json!(message)), "{id} {result}");
            assert_eq!(waited, "ok");
            assert_eq!(stubs.says(id, "asked").await, "1", "{id} was not started anew");
        }
        stubs.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_character_becomes_the_replacement_character() {
    let result = r#"{"content":[{"type":"text","text":"cut \ud83d"},{"type":"x","t":"\ude00 \ud83d\ude00"}],"structuredContent":"\ud83d"}"#;
    let stubs = Stubs::everywhere(&[&tools(&[tool("bad")]), result]).await;
    for id in TRANSPORTS {
        let (status, body) = stubs.call(id, "bad").await;
        assert_eq!((status, &body["result"]["content"]), (200, &json!("cut \u{fffd}")), "{id}: {body}");
        assert_eq!(body["result"]["blocks"][0]["t"], "\u{fffd} 😀");
        assert_eq!(body["result"]["structured_content"], "\u{fffd}");
    }
    stubs.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_of_any_dialect_keeps_no_tool_away() {
    let tuple = json!({ "type": "array", "items": [{ "type": "string" }, { "type": "number" }] });
    let schemas = [
        ("tuple", json!({ "properties": { "p": tuple } }), None),
        (
            "unknown",
            json!({ "$schema": "https://example.com/my-schema", "properties": { "p": tuple } }),
            None,
        ),
        (
            "draft4",
            json!({ "$schema": "http://json-schema.org/draft-04/schema#", "properties": { "p": tuple } }),
            None,
        ),
        (
            "nested",
            json!({ "properties": { "p": { "$ref": "#/$defs/t", "$defs": { "t": { "type": "array" } } } } }),
            None,
        ),
        (
            "named",
            json!({ "properties": { "required": { "type": "boolean" }, "p": { "type": "array" } } }),
            None,
        ),
        (
            "strng",
            json!({ "properties": { "p": { "type": "array", "items": { "type": "strng" } } } }),
            Some("/properties/p/items/type"),
        ),
        (
            "any",
            json!({ "properties": { "p": { "type": "array" }, "q": { "type": "any" } } }),
            Some("/properties/q/type"),
        ),
        (
            "draft3",
            json!({ "properties": { "p": { "type": "array", "required": true } } }),
            Some("/properties/p/required"),
        ),
        (
            "outwards",
            json!({ "properties": { "p": { "type": "array" }, "q": { "$ref": "https://example.com/q.json" } } }),
            Some("/properties/q/$ref"),
        ),
        (
            "lookahead",
            json!({ "properties": { "p": { "type": "array" }, "q": { "pattern": "^(?!x)" } } }),
            Some("/properties/q/pattern"),
        ),
    ];
    let listed: Vec<Value> =
        schemas.iter().map(|(name, schema, _)| json!({ "name": name, "inputSchema": schema })).collect();
    let done = r#"{"content":[{"type":"text","text":"done"}]}"#;
    let arguments = vec![Value::from(listed).to_string(), done.to_owned()];
    let stubs = Stubs::start(&[("lines", arguments)]).await;
    let (_, listed) = stubs.get("/api/v1/mcp/servers/lines/tools?per_page=100").await;
    let problems = problems(&stubs.status("lines").await);
    for (name, _, unchecked) in &schemas {
        let (status, body) = stubs.call_with("lines", name, json!({ "p": ["x", 1] })).await;
        assert_eq!((status, &body["result"]["content"]), (200, &json!("done")), "{name}: {body}");
        // What can be checked is.
        let (status, body) = stubs.call_with("lines", name, json!({ "p": 7 })).await;
        assert_eq!(status, 422, "{name}");
        assert!(body["errors"]["arguments.p"].is_array(), "{name}: {body}");
        // What cannot is said before anybody calls.
        let tool = listed["data"].as_array().expect("tools").iter().find(|tool| tool["name"] == *name);
        let unchecked: Vec<&str> = unchecked.iter().copied().collect();
        assert_eq!(tool.expect("the tool")["unchecked"], json!(unchecked), "{name}");
        let of_tool = problems.iter().filter(|(tool, ..)| tool == name);
        let named: Vec<_> = of_tool.map(|(_, keyword, message)| (keyword, message)).collect();
        assert_eq!(named.iter().map(|(keyword, _)| *keyword).collect::<Vec<_>>(), unchecked, "{name}");
        assert!(named.iter().all(|(_, message)| message.starts_with("Not checked: ")), "{named:?}");
    }
    stubs.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_whose_cursor_does_not_advance_has_ended() {
    let own = tools(&[]);
    let stub = |cursor: &str| vec![own.clone(), r#"{"content":[]}"#.to_owned(), cursor.to_owned()];
    let stubs = Stubs::start(&[
        ("empty", stub(r#""""#)),
        ("null", stub("null")),
        ("number", stub("7")),
        ("same", stub(r#""same""#)),
        ("circle", stub(r#"["a","b","a"]"#)),
        ("http", stub(r#""""#)),
    ])
    .await;
    for (id, times) in [("empty", 1), ("null", 1), ("number", 1), ("same", 2), ("circle", 3), ("http", 1)] {
        assert_eq!(stubs.says(id, "asked").await, times.to_string(), "{id}");
        let status = stubs.status(id).await;
        assert_eq!(status["tools"], json!(["good", "asked", "wait", "waiting"]), "{id}");
        let (_, listed) = stubs.get(&format!("/api/v1/mcp/servers/{id}/tools")).await;
        assert_eq!(listed["meta"]["total"], 4, "{id}");
    }
    assert!(problems(&stubs.status("empty").await).is_empty());
    stubs.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_of_any_name_can_be_granted() {
    let names = [
        ("New Tool", "New%20Tool"),
        ("colon:name", "colon%3Aname"),
        ("ünïcode", "%C3%BCn%C3%AFcode"),
        ("*", "%2A"),
    ];
    let listed = names.map(|(name, _)| tool(name));
    let arguments = vec![tools(&listed), r#"{"content":[]}"#.to_owned()];
    let stubs = Stubs::start(&[("std", arguments)]).await;
    for (name, escaped) in names {
        for scope in [format!("mcp:std:{escaped}"), format!("mcp:std:{}", escaped.replace("%C3", "%c3"))] {
            let key = make_key(&stubs.server, &stubs.key, json!([scope])).await;
            assert_eq!(call(&stubs.server, &key, "std", name, json!({})).await.0, 200, "{scope}");
            // And no other.
            for (other, escaped) in names.iter().filter(|(other, _)| *other != name) {
                let (status, body, _) = call(&stubs.server, &key, "std", other, json!({})).await;
                let message = format!("Insufficient permissions. Required scope: mcp:std:{escaped}");
                assert_eq!((status, &body["message"]), (403, &json!(message)), "{scope} {other}");
            }
            // Nor can it hand out more than it holds.
            assert_eq!(call(&stubs.server, &key, "std", "good", json!({})).await.0, 403);
        }
    }
    for scope in ["mcp:std:New Tool", "mcp:std:colon:name", "mcp:std:ünïcode", "mcp:std:50%"] {
        let body = json!({ "name": "x", "scopes": [scope] });
        let reply = stubs.server.post("/api/v1/api-keys", &stubs.key, body).await;
        assert_eq!(reply.status(), 422, "{scope}");
        let body: Value = reply.json().await.expect("JSON");
        assert!(
            body["errors"]["scopes.0"][0].as_str().is_some_and(|text| text.contains("percent-encoded")),
            "{body}"
        );
    }
    stubs.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_is_found_by_every_spelling_of_its_address() {
    let templates = json!([
        { "uriTemplate": "file:///my docs/{name}", "name": "blank" },
        { "uriTemplate": "file:///stra%c3%9fe/{name}", "name": "escaped" },
        { "uriTemplate": "file:///whole/{+path}", "name": "path" },
    ]);
    let resources = json!([{ "uri": "file:///one note", "name": "listed" }]);
    let arguments = ["[]", "{}", "null", &templates.to_string(), &resources.to_string()];
    let stubs = Stubs::start(&[("std", arguments.map(str::to_owned).to_vec())]).await;
    // `%25` is the sign itself behind the escaping of our own path.
    for (path, asked) in [
        ("file%3A%2F%2F%2Fmy%2520docs%2Fx", "file:///my%20docs/x"),
        ("file%3A%2F%2F%2Fmy%20docs%2Fx", "file:///my docs/x"),
        ("file%3A%2F%2F%2Fstra%C3%9Fe%2Fx", "file:///straße/x"),
        ("file%3A%2F%2F%2Fstra%25C3%259Fe%2Fx%2520y", "file:///stra%C3%9Fe/x%20y"),
        ("file%3A%2F%2F%2Fwhole%2Fa%2Fb", "file:///whole/a/b"),
        // One that it lists is asked for in its own words.
        ("file%3A%2F%2F%2Fone%2520note", "file:///one note"),
    ] {
        let (status, body) = stubs.get(&format!("/api/v1/mcp/resources/{path}?server=std")).await;
        assert_eq!((status, &body["data"]["contents"][0]["uri"]), (200, &json!(asked)), "{path}: {body}");
    }
    for path in [
        "file%3A%2F%2F%2Fmy%2520docs%2Fx%252Fy",
        "file%3A%2F%2F%2Fmy%2520docs%2Fx%252fy",
        "file%3A%2F%2F%2Fmy%2520docs%2Fx%255Cy",
        "file%3A%2F%2F%2Fmy%2520docs%2F%2500",
        "file%3A%2F%2F%2Fmy%2520docs%2F..%252Fx",
        "file%3A%2F%2F%2Fmy+docs%2Fx",
    ] {
        let (status, _) = stubs.get(&format!("/api/v1/mcp/resources/{path}?server=std")).await;
        assert_eq!(status, 404, "{path}");
    }
    stubs.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_reach_a_server_as_they_are_written() {
    let result = r#"{"content":[{"type":"text","text":"ARGS"}]}"#;
    let schema = json!({ "type": "object", "properties": { "price": { "type": "number" }, "big": { "type": "integer" } } });
    let echo = json!([{ "name": "echo", "inputSchema": schema }]).to_string();
    let stubs = Stubs::everywhere(&[&echo, result]).await;
    let written = "{ \"price\":19.90,\n\t\"big\": 184467440737095516150, \"a\": 1E400, \"-\": [-0.0, 1e+2],\
                   \"text\": \"\\u00e9\\/ \\ud83d\\ude00\", \"A\": {\"z\": 1.0, \"y\": null} }";
    for id in TRANSPORTS {
        let client = gatepost_test_support::http_client(None);
        let send = async |arguments: &str| {
            let body = format!(r#"{{"tool":"echo","arguments": {arguments} ,"server":"{id}"}}"#);
            let request = client.post(stubs.server.url("/api/v1/mcp/tools/call")).bearer_auth(&stubs.key);
            let request = request.header("Content-Type", "application/json").body(body);
            let body: Value = request.send().await.expect("an answer").json().await.expect("JSON");
            body["result"]["content"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
        };
        // A line break between two values is a blank on a line of its own.
        assert_eq!(send(written).await, written.replace('\n', " "), "{id}");
        // What is checked is what is sent.
        assert_eq!(send(r#"{"price":"x","price":1.50,"b":1}"#).await, r#"{"price":1.50,"b":1}"#, "{id}");
        assert_eq!(stubs.call_with(id, "echo", json!({ "price": "x" })).await.0, 422);
    }
    stubs.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_with_too_many_paths_is_checked_without_them() {
    let branch = json!({ "properties": { "a": { "$ref": "#/$defs/n" } } });
    let recursive = json!({
        "properties": { "n": { "$ref": "#/$defs/n" }, "p": { "type": "string" } },
        "$defs": { "n": { "anyOf": [branch, branch, branch, branch], "required": ["b"] } },
    });
    let filter = json!({
        "properties": { "n": { "$ref": "#/$defs/n" } },
        "$defs": { "n": { "oneOf": [
            { "type": "string" },
            { "type": "object", "required": ["not"], "properties": { "not": { "$ref": "#/$defs/n" } } },
            { "type": "object", "required": ["and"], "properties": { "and": { "type": "array", "items": { "$ref": "#/$defs/n" } } } },
        ] } },
    });
    let twice = json!({ "$defs": { "n": { "anyOf": [branch, branch] } }, "properties": { "n": { "items": { "$ref": "#/$defs/n" } } } });
    let listed = json!([
        { "name": "recursive", "inputSchema": recursive },
        { "name": "filter", "inputSchema": filter },
        { "name": "twice", "inputSchema": twice },
    ]);
    let done = r#"{"content":[{"type":"text","text":"done"}]}"#;
    let stubs = Stubs::start(&[("lines", vec![listed.to_string(), done.to_owned()])]).await;

    // What is skipped is said, and the rest is checked.
    let skipped = ["/properties/n/$ref", "/$defs/n/anyOf"];
    let (_, listed) = stubs.get("/api/v1/mcp/servers/lines/tools").await;
    assert_eq!(listed["data"][0]["unchecked"], json!(skipped));
    assert_eq!((&listed["data"][1]["unchecked"], &listed["data"][2]["unchecked"]), (&json!([]), &json!([])));
    for ((tool, keyword, message), skipped) in problems(&stubs.status("lines").await).iter().zip(skipped) {
        assert_eq!((tool, keyword), (&json!("recursive"), &json!(skipped)));
        let why = "Not checked: The schema leads on more than 100000 paths to a value of 16 levels.";
        assert_eq!(message, why);
    }
    let nested =
        |levels: usize, innermost: Value| (0..levels).fold(innermost, |value, _| json!({ "a": value }));
    let deep = json!({ "n": nested(14, json!({})) });
    let calls = (0..8).map(|_| stubs.call_with("lines", "recursive", deep.clone()));
    for (status, body) in futures_util::future::join_all(calls).await {
        assert_eq!((status, &body["result"]["content"]), (200, &json!("done")), "{body}");
    }
    let (status, body) = stubs.call_with("lines", "recursive", json!({ "n": deep["n"], "p": 1 })).await;
    assert_eq!(status, 422);
    assert!(body["errors"]["arguments.p"].is_array(), "{body}");

    // Recursion alone is no reason.
    assert_eq!(
        stubs.call_with("lines", "filter", json!({ "n": { "and": ["x", { "not": "y" }] } })).await.0,
        200
    );
    assert_eq!(stubs.call_with("lines", "filter", json!({ "n": { "and": [{ "not": 7 }] } })).await.0, 422);
    // Nor are two paths for each level, unless many values lie at their end.
    let pair = json!({ "n": [nested(12, json!({}))] });
    assert_eq!(stubs.call_with("lines", "twice", pair).await.0, 200);
    let many = json!({ "n": vec![nested(12, json!({})); 2_000] });
    let (status, body) = stubs.call_with("lines", "twice", many).await;
    let too_large = "The arguments field is too large to be checked by the schema of this tool.";
    assert_eq!((status, &body["errors"]["arguments"][0]), (422, &json!(too_large)));

    // No schema is asked about what is nested more deeply.
    let (status, body) = stubs.call_with("lines", "recursive", json!({ "n": nested(15, json!({})) })).await;
    let too_deep = "The arguments field must not be nested more than 16 levels deep.";
    assert_eq!((status, &body["errors"]["arguments"][0]), (422, &json!(too_deep)));
    stubs.server.stop().await;
}
