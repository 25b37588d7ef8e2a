//! What is beside the contract: probes, metrics, documentation.

use std::net::TcpListener;

use gatepost_api::{ApiSettings, ServerSettings, State, serve};
use gatepost_app::resources::Resources;
use gatepost_test_support::{Engine, TestApp, both_engines};
use reqwest::Method;

both_engines! { TestApp: probes_metrics_and_docs_need_no_key }

/// Sends a request as it is: the usual client would unpack what comes back.
async fn raw(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> (u16, String, String, Vec<u8>) {
    let mut request = app.request(Method::GET, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let reply = app.client.execute(request.build().expect("a request")).await.expect("an answer");
    let header = |name: &str| {
        reply.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let (status, coding, tag) = (reply.status().as_u16(), header("content-encoding"), header("etag"));
    (status, coding, tag, reply.bytes().await.expect("a body").to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fixed_documents_are_bytes_with_a_tag() {
    let app = TestApp::start(Engine::Sqlite).await;
    let files = ["/docs/", "/docs/index.html", "/docs/swagger-ui-bundle.js", "/docs/icon.svg"];
    for path in ["/openapi.json", "/openapi-3.0.json", "/pixel.js"].into_iter().chain(files) {
        let plain = raw(&app, path, &[]).await;
        assert_eq!((plain.0, plain.1.as_str()), (200, ""), "{path}");
        let gzipped = raw(&app, path, &[("accept-encoding", "gzip, br")]).await;
        if !path.ends_with(".png") {
            assert_eq!(gzipped.1, "gzip", "{path}");
            assert!(gzipped.3.len() < plain.3.len() && gzipped.3.starts_with(&[0x1f, 0x8b]), "{path}");
            assert_ne!(plain.2, gzipped.2, "{path}: each form has a tag of its own");
        }
        for (known, coding, status) in
            [(&plain.2, "", 304), (&gzipped.2, "gzip", 304), (&"\"other\"".to_owned(), "", 200)]
        {
            let headers = [("if-none-match", known.as_str()), ("accept-encoding", coding)];
            let again = raw(&app, path, &headers).await;
            assert_eq!((again.0, again.3.is_empty()), (status, status == 304), "{path}: {known}");
        }
        let reply = app.send(app.request(Method::GET, path)).await;
        assert!(reply.header("cache-control").starts_with("public, max-age="), "{path}");
    }
    assert_eq!(
        app.send(app.request(Method::GET, "/openapi.json")).await.json,
        gatepost_api::document(&gatepost_api::Contract::core(), &Resources::default())
    );
}

/// A meter of their own: reading them spends nothing else, and nothing else keeps anybody from the probes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fixed_documents_have_a_limit_of_their_own() {
    let app = TestApp::start(Engine::Sqlite).await;
    let status = async |path: &str| app.send(app.request(Method::GET, path)).await.status.as_u16();
    for nth in 0..300 {
        assert_eq!(status("/pixel.js").await, 200, "{nth}");
    }
    let refused = app.send(app.request(Method::GET, "/openapi.json")).await;
    assert!(!refused.header("retry-after").is_empty());
    refused.expect_error(429, "rate_limit_exceeded");
    for path in ["/healthz", "/readyz", "/metrics", "/healthz"] {
        assert_eq!(status(path).await, 200, "{path}");
    }
    app.get("sk_live_nonsense", "/workspaces").await.expect_error(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_can_be_left_out() {
    let app = TestApp::start(Engine::Sqlite).await;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let settings = ApiSettings {
        server: ServerSettings { docs: false, ..ServerSettings::default() },
        ..ApiSettings::default()
    };
    let (server, _) = serve(listener, State::new(app.app.clone(), settings), 1).expect("a server");
    tokio::spawn(server);
    for (path, status) in [("/docs", 404), ("/docs/", 404), ("/docs/index.html", 404), ("/openapi.json", 200)]
    {
        let reply = app.client.get(format!("http://{address}{path}")).send().await.expect("an answer");
        assert_eq!(reply.status().as_u16(), status, "{path}");
    }
}

async fn probes_metrics_and_docs_need_no_key(app: TestApp) {
    let get = async |path: &str| app.send(app.request(Method::GET, path)).await;
    assert_eq!(get("/healthz").await.text, "ok\n");
    assert_eq!(get("/readyz").await.text, "ready\n");
    assert_eq!(app.send(app.request(Method::HEAD, "/healthz")).await.status, 200);
    assert_eq!(app.send(app.request(Method::HEAD, "/readyz")).await.status, 200);
    app.get(&app.root_key, "/workspaces/1").await.expect(200);
    app.get(&app.root_key, "/workspaces/77").await.expect(404);
    get(&format!("/{}", app.root_key)).await.expect(404);
    let metrics = get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    for line in [
        "gatepost_http_requests_total{method=\"GET\",route=\"/api/v1/workspaces/{id}\",status=\"200\"} 1",
        "gatepost_http_requests_total{method=\"GET\",route=\"/api/v1/workspaces/{id}\",status=\"404\"} 1",
        "gatepost_http_requests_total{method=\"GET\",route=\"unmatched\",status=\"404\"} 1",
        "gatepost_database_up 1",
    ] {
        assert!(metrics.text.lines().any(|l| l == line), "{line}");
    }
    assert!(!metrics.text.contains(&app.root_key), "a pasted key is no label");
    assert_eq!(get("/docs").await.header("location"), "/docs/");
    let docs = get("/docs/").await;
    assert!(docs.text.contains("<title>Gatepost API reference</title>"));
    assert!(!docs.text.contains("://"), "served from embedded files");
    let begin = get("/").await;
    assert_eq!((begin.status.as_u16(), begin.header("location")), (307, "/dashboard"));
    assert_eq!(get("/docs/swagger-ui-bundle.js").await.status, 200);
    assert_eq!(get("/openapi.json").await.json["openapi"], "3.1.0");
}
