//! The middleware before a real listening service, in process and through a real Gatepost.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::Stdio,
};

use actix_web::{App, HttpServer, web};
use gatepost_actix::{EnvironmentFilter, Gate, VerifiedKey};
use gatepost_kernel::{Environment, Secret, random};
use gatepost_keys::{Token, TokenFormat};
use gatepost_test_support::{Engine, Reply, TestApp, both_engines, http_client};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

both_engines! { TestApp: in_process, through_verify, bad_tokens_cost_gatepost_little }

async fn posts(key: VerifiedKey) -> String {
    format!("{} {} {}", key.workspace_id, key.environment, key.scopes.join(","))
}

/// The scopes of the middleware are written in the order of the contract.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_writes_scopes_as_its_contract_does() {
    let app = TestApp::start_as_mirror(Engine::Sqlite).await;
    let (_, key) = app.create_key(&app.root_key, 0, json!({ "scopes": ["posts:read"] })).await;
    let (_, other) = app.create_key(&app.root_key, 0, json!({ "scopes": ["posts:write"] })).await;
    let (_, service) = app.create_key(&app.root_key, 0, json!({ "scopes": ["api-keys:verify"] })).await;
    let url = format!("http://{}", app.address);
    let contract = app.face.contract().clone();
    let remote = Gate::remote(&url, Secret::new(service)).contract(contract.clone()).build().expect("a gate");
    for gate in [Gate::in_contract(app.app.gate().clone(), contract), remote] {
        assert!(gate.require("posts:read").is_err_and(|error| error.to_string().contains("action:resource")));
        let address = serve_with(&gate, "read:posts");
        let passed = get(address, &key).await;
        assert_eq!((passed.status.as_u16(), passed.text.as_str()), (200, "1 live read:posts"));
        let refused = get(address, &other).await;
        assert_eq!(refused.status, 403);
        assert!(refused.text.contains("Required scope: read:posts"), "{}", refused.text);
    }
}

/// A service that needs `posts:read`.
fn serve(gate: &Gate) -> SocketAddr {
    serve_with(gate, "posts:read")
}

fn serve_with(gate: &Gate, scope: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let read = gate.require(scope).expect("a scope");
    let sandbox = read.clone().environment(EnvironmentFilter::Only(Environment::Test));
    let app = move || {
        let broken = web::resource("/ungated").get(posts);
        let sandbox = web::resource("/sandbox").wrap(sandbox.clone()).get(posts);
        App::new()
            .service(web::resource("/posts").wrap(read.clone()).get(posts))
            .service(sandbox)
            .service(broken)
    };
    let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).expect("a server");
    tokio::spawn(server.run());
    address
}

async fn get(address: SocketAddr, token: &str) -> Reply {
    get_path(address, "/posts", token).await
}

async fn get_path(address: SocketAddr, path: &str, token: &str) -> Reply {
    let request = http_client(None).get(format!("http://{address}{path}"));
    let request = if token.is_empty() { request } else { request.bearer_auth(token) };
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.expect("a body");
    Reply { status, headers, json: serde_json::from_str(&text).unwrap_or(Value::Null), text }
}

async fn in_process(app: TestApp) {
    let address = serve(&Gate::in_process(app.app.gate().clone()));
    decides(&app, address).await;
    // Bad keys are counted by address, as before Gatepost's own operations.
    let mut limited = false;
    for _ in 0..310 {
        limited |= get(address, "nonsense").await.status == 429;
    }
    assert!(limited);
    let (_, key) = app.create_key(&app.root_key, 0, json!({ "scopes": ["posts:read"] })).await;
    get(address, &key).await.expect(200);
}

async fn through_verify(app: TestApp) {
    let scopes = json!({ "scopes": ["api-keys:verify"] });
    let (service_id, service_key) = app.create_key(&app.root_key, 0, scopes).await;
    let url = format!("http://{}", app.address);
    let gate = Gate::remote(&url, Secret::new(service_key)).build().expect("a gate");
    let address = serve(&gate);
    decides(&app, address).await;
    // Without a decision nobody passes.
    let (_, key) = app.create_key(&app.root_key, 0, json!({ "scopes": ["posts:read"] })).await;
    get(address, &key).await.expect(200);
    app.delete(&app.root_key, &format!("/api-keys/{service_id}")).await.expect(204);
    let refused = get(address, &key).await;
    assert_eq!(refused.header("retry-after"), "5");
    refused.expect_error(503, "service_unavailable");
}

async fn decides(app: &TestApp, address: SocketAddr) {
    let (id, key) = app.create_key(&app.root_key, 0, json!({ "scopes": ["posts:read"] })).await;
    let passed = get(address, &key).await;
    assert_eq!((passed.status.as_u16(), passed.text.as_str()), (200, "1 live posts:read"));
    assert_eq!(
        (passed.header("x-ratelimit-limit"), passed.header("x-ratelimit-remaining")),
        ("100000", "99999")
    );

    let missing = get(address, "").await;
    same_as_the_api(app, missing, "").await;
    get(address, "sk_live_nonsense").await.expect_error(401, "unauthorized");
    let (_, other) = app
        .create_key(&app.root_key, 0, json!({ "scopes": ["users:*"], "allowed_ips": ["192.0.2.0/24"] }))
        .await;
    same_as_the_api(app, get(address, &other).await, &other).await;

    let (_, narrow) = app.create_key(&app.root_key, 0, json!({ "scopes": ["users:*"] })).await;
    let refused = get(address, &narrow).await.expect_error(403, "access_denied");
    assert_eq!(refused["message"], "Insufficient permissions. Required scope: posts:read");

    let trial = json!({ "scopes": ["posts:read"], "environment": "test" });
    let (_, trial) = app.create_key(&app.root_key, 0, trial).await;
    get(address, &trial).await.expect_error(403, "wrong_environment");
    assert_eq!(get_path(address, "/sandbox", &trial).await.text, "1 test posts:read");
    get_path(address, "/sandbox", &key).await.expect_error(403, "wrong_environment");

    let elsewhere = json!({ "scopes": ["posts:read"], "allowed_ips": ["192.0.2.0/24"] });
    let (_, elsewhere) = app.create_key(&app.root_key, 0, elsewhere).await;
    get(address, &elsewhere).await.expect_error(403, "ip_not_allowed");

    let slow = json!({ "scopes": ["posts:read"], "rate_limit_tier": "free" });
    let (_, slow) = app.create_key(&app.root_key, 0, slow).await;
    for remaining in (0..60).rev() {
        assert_eq!(get(address, &slow).await.header("x-ratelimit-remaining"), remaining.to_string());
    }
    let limited = get(address, &slow).await;
    assert_eq!((limited.header("x-ratelimit-remaining"), limited.header("x-ratelimit-limit")), ("0", "60"));
    assert!(limited.header("retry-after").parse::<u64>().is_ok_and(|seconds| (1..=60).contains(&seconds)));
    limited.expect_error(429, "rate_limit_exceeded");

    app.delete(&app.root_key, &format!("/api-keys/{id}")).await.expect(204);
    get(address, &key).await.expect_error(401, "key_revoked");
    let ungated = http_client(None).get(format!("http://{address}/ungated")).send().await.expect("an answer");
    assert_eq!(ungated.status(), 500, "a handler that no gate stands before says so");
}

/// A refusal has the words and the headers of the API's own, but for what differs from request to request.
async fn same_as_the_api(app: &TestApp, refused: Reply, token: &str) {
    let own = app.get(token, "/webhooks?per_page=1").await;
    let fixed = |mut reply: Reply| {
        let mut body: Value = serde_json::from_str(&reply.text).expect("JSON");
        assert_eq!(body["request_id"], reply.header("x-request-id"));
        body["request_id"] = Value::Null;
        for name in ["date", "x-request-id", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit"] {
            reply.headers.remove(name);
        }
        // Where Gatepost is not asked at all, its limits are not known.
        for name in ["x-ratelimit-limit", "ratelimit-policy"] {
            reply.headers.remove(name);
        }
        (reply.status, reply.headers, body)
    };
    assert_eq!(fixed(refused), fixed(own));
}

/// The example, as its reader runs it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_runs() {
    let tests = std::env::current_exe().expect("this program");
    let example: PathBuf = tests.ancestors().nth(2).expect("the build directory").join("examples/posts");
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = tokio::process::Command::new(example);
    command.current_dir(dir.path()).env_clear().env("BIND", "127.0.0.1:0");
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("the example");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let key = lines.next_line().await.expect("a line").expect("the key");
    let curl = lines.next_line().await.expect("a line").expect("a curl line");
    for (method, expected) in [("GET", "posts of workspace 1\n"), ("POST", "a new post of workspace 1\n")] {
        let script = format!("{key}; {curl} --silent --fail -X {method}");
        let output = tokio::process::Command::new("bash").args(["-c", &script]).output().await.expect("bash");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
    let without = curl.replace("-H \"Authorization: Bearer $GATEPOST_KEY\"", "");
    let output = tokio::process::Command::new("bash")
        .args(["-c", &format!("{without} --silent --output /dev/null --write-out %{{http_code}}")])
        .output()
        .await
        .expect("bash");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "401");
    assert!(dir.path().join("posts.db").exists());
}

/// How often Gatepost was asked by the service key, which asks for nothing else.
async fn asked(app: &TestApp, service_key: &str) -> u64 {
    let standing = app.get(service_key, "/auth").await;
    let left: u64 = standing.header("x-ratelimit-remaining").parse().expect("a number");
    standing.header("x-ratelimit-limit").parse::<u64>().expect("a number") - left
}

async fn bad_tokens_cost_gatepost_little(app: TestApp) {
    let scopes = json!({ "scopes": ["api-keys:verify"] });
    let (_, service_key) = app.create_key(&app.root_key, 0, scopes).await;
    let url = format!("http://{}", app.address);
    let gate = Gate::remote(&url, Secret::new(service_key.clone())).build().expect("a gate");
    let address = serve(&gate);
    let (_, good) = app.create_key(&app.root_key, 0, json!({ "scopes": ["posts:read"] })).await;
    // Many at once that nobody knows yet are many calls of one that is let in.
    let all = futures_util::future::join_all((0..100).map(|_| get(address, &good))).await;
    assert!(all.iter().all(|reply| reply.status == 200));
    let before = asked(&app, &service_key).await;

    // The same one again and again: once a second, whatever the second is.
    let (_, narrow) = app.create_key(&app.root_key, 0, json!({ "scopes": ["users:*"] })).await;
    let all = futures_util::future::join_all((0..50).map(|_| get(address, &narrow))).await;
    assert!(all.iter().all(|reply| reply.status == 403));
    // Others, each of them well-formed: no more than sixty calls.
    let mut refused = 0;
    for _ in 0..100 {
        let unknown = Token::generate(&TokenFormat::default(), Environment::Live, &mut random::rng());
        let reply = get(address, unknown.secret().expose()).await;
        match reply.status.as_u16() {
            401 => {}
            429 => {
                let wait = reply.header("retry-after").parse::<u64>();
                assert!(wait.is_ok_and(|seconds| (1..=60).contains(&seconds)));
                refused += 1;
            }
            other => panic!("{other}: {}", reply.text),
        }
    }
    // What was asked about its own standing is counted too.
    let calls = asked(&app, &service_key).await - before - 1;
    assert!(calls <= 60 && refused >= 40, "{calls} calls, {refused} refused");
    // Whoever was let in a moment ago still is.
    get(address, &good).await.expect(200);
}
