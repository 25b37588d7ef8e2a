//! Clients that misbehave cost the others nothing and leave nothing open.

use std::time::Duration;

use gatepost_test_support::{Engine, TestApp, both_engines};
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

both_engines! { TestApp:
    clients_that_reset_mid_request,
    a_key_that_is_revoked_while_its_body_arrives,
    a_key_that_is_narrowed_while_its_body_arrives,
    a_body_that_stalls_keeps_the_largest_from_nobody,
    lists_without_end,
    fifty_writers,
}

/// Ends a connection with a reset instead of a farewell.
fn reset(stream: TcpStream) {
    stream.set_zero_linger().expect("zero linger");
    drop(stream);
}

async fn clients_that_reset_mid_request(app: TestApp) {
    let body = r#"{"name":"Gone","scopes":["*"]}"#;
    let head = |length: usize| {
        format!(
            "POST /api/v1/api-keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n",
            app.root_key
        )
    };
    for round in 0..60 {
        let mut stream = TcpStream::connect(app.address).await.expect("a connection");
        // In the head, in the body, and right behind the body, while the answer is being made.
        let whole = format!("{}{body}", head(body.len()));
        let sent = match round % 3 {
            0 => &whole[..40],
            1 => &whole[..whole.len() - 5],
            _ => &whole[..],
        };
        stream.write_all(sent.as_bytes()).await.expect("some bytes");
        reset(stream);
    }
    app.create_key(&app.root_key, 0, json!({ "scopes": ["*"] })).await;
    app.send(app.request(Method::GET, "/readyz")).await.expect(200);
    let list = app.get(&app.root_key, "/api-keys").await.expect(200);
    let total = list["meta"]["total"].as_u64().expect("a count");
    assert!((2..=22).contains(&total), "whole requests only: {total}");
    assert_no_open_transaction(&app).await;
}

async fn assert_no_open_transaction(app: &TestApp) {
    assert_eq!(gatepost_test_support::server_panics(), 0, "the server has panicked");
    // A new transaction on SQLite's one writer, and on PostgreSQL the server's own word.
    app.create_key(&app.root_key, 0, json!({ "scopes": [] })).await;
    if app.storage.engine() == Engine::Postgres {
        let (client, connection) =
            tokio_postgres::connect(app.database_url(), tokio_postgres::NoTls).await.expect("a connection");
        tokio::spawn(connection);
        // Others are at work meanwhile, between two statements perhaps: what is open now must end, not be
        // ended already.
        let query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                     AND state LIKE 'idle in transaction%' AND xact_start <= $1";
        let now: std::time::SystemTime =
            client.query_one("SELECT now()", &[]).await.expect("an answer").get(0);
        let all_ended = async {
            while client.query_one(query, &[&now]).await.expect("an answer").get::<_, i64>(0) > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), all_ended).await.expect("a transaction stays open");
    }
}

/// Sends a request to make a key, but for the end of its body; answers what takes the rest and reads the
/// status.
async fn hold_back(app: &TestApp, key: &str) -> impl AsyncFnOnce() -> String {
    hold_back_at(app, key, "/api/v1/api-keys", r#"{"name":"Too late","scopes":["*"]}"#).await
}

async fn hold_back_at(
    app: &TestApp,
    key: &str,
    path: &str,
    body: &'static str,
) -> impl AsyncFnOnce() -> String {
    let mut stream = TcpStream::connect(app.address).await.expect("a connection");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("the head");
    // The server asks for the body only after it has let the key in.
    let mut answer = vec![0u8; 25];
    stream.read_exact(&mut answer).await.expect("100 Continue");
    assert!(answer.starts_with(b"HTTP/1.1 100"));
    stream.write_all(&body.as_bytes()[..10]).await.expect("some of the body");
    async move || {
        stream.write_all(&body.as_bytes()[10..]).await.expect("the rest of the body");
        let mut status = [0u8; 12];
        stream.read_exact(&mut status).await.expect("a status line");
        String::from_utf8_lossy(&status[9..]).into_owned()
    }
}

async fn a_key_that_is_revoked_while_its_body_arrives(app: TestApp) {
    let (id, key) = app.create_key(&app.root_key, 0, json!({ "scopes": ["*"] })).await;
    let rest = hold_back(&app, &key).await;
    app.delete(&app.root_key, &format!("/api-keys/{id}")).await.expect(204);
    assert_eq!(rest().await, "401");
    assert_eq!(app.get(&app.root_key, "/api-keys").await.expect(200)["meta"]["total"], 1);
    // Where there is no transaction to look again in, the same holds.
    let (id, key) = app.create_key(&app.root_key, 0, json!({ "scopes": ["*"] })).await;
    let rest =
        hold_back_at(&app, &key, "/api/v1/api-keys/verify", r#"{"key":"sk_live_x","scopes":[]}"#).await;
    app.delete(&app.root_key, &format!("/api-keys/{id}")).await.expect(204);
    assert_eq!(rest().await, "401");
}

async fn a_key_that_is_narrowed_while_its_body_arrives(app: TestApp) {
    for narrower in [json!(["posts:read"]), json!(["api-keys:write"])] {
        let (id, key) = app.create_key(&app.root_key, 0, json!({ "scopes": ["*"] })).await;
        let rest = hold_back(&app, &key).await;
        app.patch(&app.root_key, &format!("/api-keys/{id}"), &json!({ "scopes": narrower }))
            .await
            .expect(200);
        assert_eq!(rest().await, "403", "neither the scope of the operation nor the scopes that it gives");
    }
    let (id, key) = app.create_key(&app.root_key, 0, json!({ "scopes": ["*"] })).await;
    let rest = hold_back(&app, &key).await;
    app.patch(&app.root_key, &format!("/api-keys/{id}"), &json!({ "allowed_ips": ["192.0.2.1"] }))
        .await
        .expect(200);
    assert_eq!(rest().await, "403");
}

/// A body of a megabyte must cost neither much time nor a much larger answer.
async fn a_body_that_stalls_keeps_the_largest_from_nobody(app: TestApp) {
    const LARGEST: usize = 16 << 20;
    let (_, _, stalling) = app.create_tenant("Stalling").await;
    let mut stream = TcpStream::connect(app.address).await.expect("a connection");
    let head = format!(
        "POST /api/v1/events/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {stalling}\r\n\
         Content-Type: application/json\r\nContent-Length: {LARGEST}\r\nExpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("the head");
    let mut answer = [0; 25];
    stream.read_exact(&mut answer).await.expect("100 Continue");
    stream.write_all(&[b' '; 64 << 10]).await.expect("some of the body");
    let (_, _, key) = app.create_tenant("Large").await;
    let request = app.request(Method::POST, "/api/v1/events/batch").bearer_auth(key);
    let request = request.header("Content-Type", "application/json").body(vec![b'x'; LARGEST]);
    let reply = app.send(request).await;
    assert_eq!(reply.status.as_u16(), 400, "it was read to its end: {}", reply.text);
    drop(stream);
}

async fn lists_without_end(app: TestApp) {
    let scopes: Vec<String> = (0..90_000).map(|n| format!("r{n}:x")).collect();
    let ips: Vec<String> =
        (0..60_000).map(|n| format!("10.{}.{}.{}", n >> 16, (n >> 8) & 255, n & 255)).collect();
    let unknown: serde_json::Map<_, _> = (0..60_000).map(|n| (format!("unknown{n}"), json!(1))).collect();
    for body in [
        json!({ "name": "x", "scopes": scopes }),
        json!({ "name": "x", "allowed_ips": ips }),
        json!({ "name": "x", "scopes": vec![0; 400_000] }),
        json!(unknown),
    ] {
        let reply = app.post(&app.root_key, "/api-keys", &body).await;
        assert!(reply.text.len() < 65_536, "{} bytes", reply.text.len());
        reply.expect_error(422, "validation_failed");
    }
    let query = "a=1&".repeat(10_000);
    let reply = app.get(&app.root_key, &format!("/api-keys?{query}")).await;
    assert!(reply.status.is_client_error() && reply.text.len() < 65_536);
}

async fn fifty_writers(app: TestApp) {
    let body = json!({ "name": "Many", "scopes": ["posts:read"] });
    let writers = (0..50).map(async |_| {
        for _ in 0..3 {
            app.post(&app.root_key, "/api-keys", &body).await.expect(201);
        }
    });
    futures_util::future::join_all(writers).await;
    assert_eq!(app.get(&app.root_key, "/api-keys").await.expect(200)["meta"]["total"], 151);
    assert_eq!(app.get(&app.root_key, "/audit-log").await.expect(200)["meta"]["total"], 152);
    assert_no_open_transaction(&app).await;
}
