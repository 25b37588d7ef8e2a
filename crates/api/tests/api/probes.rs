//! What is beside the contract: probes, metrics, documentation.

use gatepost_test_support::{TestApp, both_engines};
use reqwest::Method;

both_engines! { TestApp: probes_metrics_and_docs_need_no_key }

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
    assert!(docs.text.contains("Swagger UI") && !docs.text.contains("://cdn"), "served from embedded files");
    assert_eq!(get("/docs/swagger-ui-bundle.js").await.status, 200);
    assert_eq!(get("/openapi.json").await.json["openapi"], "3.1.0");
}
