//! HTTPS by a certificate of the server's own, and what becomes of requests that come without.

use std::net::{SocketAddr, TcpListener};

use gatepost_api::{ApiSettings, Listeners, PlainHttp, ServerSettings, State, TlsIdentity, serve};
use gatepost_test_support::{Engine, TestApp, certificate, http_client};
use reqwest::{StatusCode, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    (listener, address)
}

/// Serves the application once more, with a certificate and without, and answers both addresses and the
/// certificate.
fn serve_both(app: &TestApp, plain_http: PlainHttp) -> (SocketAddr, SocketAddr, String) {
    let (cert, key) = certificate();
    let identity = TlsIdentity::from_pem(cert.as_bytes(), key.as_bytes()).expect("an identity");
    let ((plain, plain_address), (tls, tls_address)) = (listen(), listen());
    let settings = ApiSettings {
        server: ServerSettings { plain_http, ..ServerSettings::default() },
        strict_transport: true,
        ..ApiSettings::default()
    };
    let listeners = Listeners { plain: Some(plain), tls: Some((tls, identity.into())), admin: None };
    let (server, _) = serve(listeners, State::new(app.app.clone(), settings), 1).expect("a server");
    tokio::spawn(server);
    (plain_address, tls_address, cert)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn https_with_http_1_and_links_that_keep_it() {
    let app = TestApp::start(Engine::Sqlite).await;
    let (_, address, cert) = serve_both(&app, PlainHttp::Allow);
    let url = format!("https://localhost:{}/api/v1", address.port());
    let client = http_client(Some(&cert));
    let list =
        client.get(format!("{url}/api-keys")).bearer_auth(&app.root_key).send().await.expect("an answer");
    // The client offers h2 too.
    assert_eq!((list.status(), list.version()), (StatusCode::OK, Version::HTTP_11));
    assert_eq!(list.headers()["strict-transport-security"], "max-age=31536000");
    let link = list.headers()["link"].to_str().expect("a header").to_owned();
    assert!(link.contains(&format!("<{url}/api-keys")), "{link}");

    let auth = client.get(format!("{url}/auth")).bearer_auth(&app.root_key).send().await.expect("an answer");
    assert_eq!(auth.status(), StatusCode::NO_CONTENT);
    assert_eq!(auth.headers()["strict-transport-security"], "max-age=31536000");

    let stranger = http_client(Some(&certificate().0));
    stranger.get(format!("{url}/auth")).send().await.expect_err("a certificate that nobody vouches for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_tls_requests_are_refused_and_their_keys_not_looked_at() {
    let app = TestApp::start(Engine::Sqlite).await;
    let (address, ..) = serve_both(&app, PlainHttp::Reject);
    let client = http_client(None);
    for path in ["/auth", "/api-keys", "/nothing"] {
        let url = format!("http://{address}/api/v1{path}");
        let refused = client.get(url).bearer_auth(&app.root_key).send().await.expect("an answer");
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert!(
            !refused.headers().contains_key("x-ratelimit-limit")
                && !refused.headers().contains_key("strict-transport-security")
        );
        let body: serde_json::Value = refused.json().await.expect("JSON");
        assert_eq!(
            (&body["error"], &body["message"]),
            (&"access_denied".into(), &"Requests must be made over HTTPS.".into())
        );
    }
    let probe = client.get(format!("http://{address}/healthz")).send().await.expect("an answer");
    assert_eq!(probe.status(), StatusCode::OK, "load balancers ask without TLS");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_tls_requests_are_sent_to_where_it_is() {
    let app = TestApp::start(Engine::Sqlite).await;
    let (address, ..) = serve_both(&app, PlainHttp::Redirect);
    let client = http_client(None);
    let request = client.get(format!("http://{address}/api/v1/api-keys?page=2")).bearer_auth(&app.root_key);
    let moved = request.header("Host", "api.example.com").send().await.expect("an answer");
    assert_eq!(moved.status(), StatusCode::MOVED_PERMANENTLY);
    assert_eq!(moved.headers()["location"], "https://api.example.com/api/v1/api-keys?page=2");
}

/// Behind a proxy that ends TLS, its word counts; nobody else's does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_proxy_says_how_the_client_came() {
    for (trusted, expected) in [("127.0.0.1/32", 204), ("10.0.0.0/8", 403)] {
        let settings = ApiSettings {
            server: ServerSettings {
                plain_http: PlainHttp::Reject,
                trusted_proxies: vec![trusted.parse().expect("a network")],
                ..ServerSettings::default()
            },
            ..ApiSettings::default()
        };
        let app = TestApp::start_with(Engine::Sqlite, settings, gatepost_app::AppSettings::default()).await;
        let request = app.request(reqwest::Method::GET, "/api/v1/auth").bearer_auth(&app.root_key);
        app.send(request.header("X-Forwarded-Proto", "https")).await.expect(expected);
        let request = app.request(reqwest::Method::GET, "/api/v1/auth").bearer_auth(&app.root_key);
        app.send(request.header("X-Forwarded-Proto", "http")).await.expect(403);
    }
}

/// Whoever speaks plain HTTP to the port with the certificate is dropped, and the port goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrong_language_harms_nobody() {
    let app = TestApp::start(Engine::Sqlite).await;
    let (_, address, cert) = serve_both(&app, PlainHttp::Allow);
    for noise in [&b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0x16, 3, 1, 255, 255, 0], &[0; 64]] {
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
        stream.write_all(noise).await.expect("some bytes");
        stream.shutdown().await.expect("no more");
        let mut answer = Vec::new();
        // A reset is as good an end as a farewell.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP"));
    }
    let url = format!("https://localhost:{}/healthz", address.port());
    let probe = http_client(Some(&cert)).get(url).send().await.expect("an answer");
    assert_eq!(probe.status(), StatusCode::OK);
}
