//! Bad input gets a clear error in the contract's shape, the framework's own refusals included.

use gatepost_test_support::{TestApp, every_face};
use reqwest::{
    Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde_json::{Value, json};

every_face! { TestApp:
    bodies_that_cannot_be_read,
    what_is_told_back_is_short,
    types_of_gatepost_are_its_own,
    every_error_is_named_at_once,
    queries_are_checked,
    ids_that_are_none,
    routes_and_methods_that_are_none,
    problems_for_those_who_ask,
}

async fn bodies_that_cannot_be_read(app: TestApp) {
    let post = |body: &str, content_type: Option<&str>| {
        let request =
            app.request(Method::POST, "/api/v1/workspaces").bearer_auth(&app.root_key).body(body.to_owned());
        match content_type {
            Some(content_type) => request.header(CONTENT_TYPE, content_type),
            None => request,
        }
    };
    let json_type = Some("application/json");
    for body in ["", "{", "{\"name\":}", "\u{feff}{}", "{\"name\":\"a\"} x", &"[".repeat(10_000)] {
        app.send(post(body, json_type)).await.expect_error(400, "bad_request");
    }
    for body in ["[]", "\"x\"", "null", "1"] {
        let error = app.send(post(body, json_type)).await.expect_error(422, "validation_failed");
        assert!(error["errors"]["body"].is_array());
    }
    let sound = "{\"name\":\"Sound\"}";
    for content_type in
        [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonx")]
    {
        app.send(post(sound, content_type)).await.expect_error(415, "unsupported_media_type");
    }
    app.send(post(sound, Some("Application/JSON; charset=utf-8"))).await.expect(201);
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(1 << 20));
    app.send(post(&large, json_type)).await.expect_error(413, "payload_too_large");
    // Not announced, only sent.
    let chunks = large.into_bytes().chunks(65_536).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let status = send_chunked(&app, &chunks).await;
    assert_eq!(status, 413);
}

/// Sends a body in chunks and answers the status.
async fn send_chunked(app: &TestApp, chunks: &[Vec<u8>]) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(app.address).await.expect("a connection");
    let head = format!(
        "POST {}/workspaces HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        app.face.contract().base_path,
        app.root_key
    );
    stream.write_all(head.as_bytes()).await.expect("the head");
    for chunk in chunks {
        let mut framed = format!("{:x}\r\n", chunk.len()).into_bytes();
        framed.extend_from_slice(chunk);
        framed.extend_from_slice(b"\r\n");
        // The server may answer and close before it has read everything.
        if stream.write_all(&framed).await.is_err() {
            break;
        }
    }
    let mut answer = [0u8; 12];
    stream.read_exact(&mut answer).await.expect("a status line");
    String::from_utf8_lossy(&answer[9..]).parse().expect("a status")
}

async fn every_error_is_named_at_once(app: TestApp) {
    let body = json!({
        "name": "   ", "scopes": ["posts:read", "bad scope", 7], "environment": "prod", "rate_limit_tier": 7,
        "allowed_ips": "10.0.0.1", "expires_at": "tomorrow", "alowed_ips": [], "x": null
    });
    let error = app.post(&app.root_key, "/api-keys", &body).await.expect_error(422, "validation_failed");
    assert_eq!(error["message"], "The given data was invalid.");
    let mut fields: Vec<&str> =
        error["errors"].as_object().expect("errors").keys().map(String::as_str).collect();
    fields.sort_unstable();
    let expected = [
        "allowed_ips",
        "alowed_ips",
        "environment",
        "expires_at",
        "name",
        "rate_limit_tier",
        "scopes.2",
        "x",
    ];
    assert_eq!(fields, expected);
    assert_eq!(error["errors"]["name"], json!(["The name field is required."]));
    for (name, messages) in error["errors"].as_object().expect("errors") {
        let messages = messages.as_array().expect("a list");
        assert!(!messages.is_empty() && messages.iter().all(Value::is_string), "{name}");
    }

    // What hangs on the plans and on the time is found out of a body that could be read.
    let body = json!({ "name": "x", "rate_limit_tier": "gold", "expires_at": "2020-01-01T00:00:00Z" });
    let error = app.post(&app.root_key, "/api-keys", &body).await.expect_error(422, "validation_failed");
    let about_tier = error["errors"]["rate_limit_tier"][0].as_str().expect("an error");
    assert!(
        about_tier.starts_with("The selected rate limit tier is invalid. It must be one of: "),
        "{about_tier}"
    );
    assert_eq!(error["errors"]["expires_at"], json!(["The expires at must be a date in the future."]));

    let invalid = async |path: &str, body: Value, field: &str| {
        let error = app.post(&app.root_key, path, &body).await.expect_error(422, "validation_failed");
        assert!(error["errors"][field].is_array(), "{body} {error}");
    };
    for name in [
        json!(""),
        json!("\t \n"),
        json!("x".repeat(256)),
        json!("a\u{0}b"),
        json!("a\nb"),
        json!(7),
        Value::Null,
    ] {
        invalid("/workspaces", json!({ "name": name }), "name").await;
        invalid("/api-keys", json!({ "name": name }), "name").await;
    }
    for (member, value, field) in [
        ("scopes", json!(["posts"]), "scopes.0"),
        ("scopes", json!(["a:b", "a:b:c"]), "scopes.1"),
        ("scopes", json!("posts:read"), "scopes"),
        ("allowed_ips", json!(["10.0.0.0/33"]), "allowed_ips.0"),
        ("expires_at", json!("tomorrow"), "expires_at"),
        ("expires_at", json!("2026-01-15T10:30:00Z"), "expires_at"),
        ("expires_at", json!(1_900_000_000), "expires_at"),
    ] {
        invalid("/api-keys", json!({ "name": "x", member: value }), field).await;
    }
    for (member, value) in [
        ("slug", json!("Not A Slug")),
        ("slug", json!("")),
        ("tier", json!("gold")),
        ("settings", json!([])),
        ("settings", json!({ "big": "x".repeat(70_000) })),
    ] {
        invalid("/workspaces", json!({ "name": "x", member: value }), member).await;
    }
    invalid(
        "/workspaces",
        json!({ "name": "x", "settings": { "timezone": "Mars/Base" } }),
        "settings.timezone",
    )
    .await;
    for hours in [json!(-1), json!(169), json!(1.5), json!("24"), json!(1e300)] {
        invalid("/api-keys/1/rotate", json!({ "grace_period_hours": hours }), "grace_period_hours").await;
    }
    app.get(&app.root_key, "/api-keys").await.expect(200)["meta"]["total"]
        .as_u64()
        .filter(|total| *total == 1)
        .expect("nothing was made");
}

async fn queries_are_checked(app: TestApp) {
    for (query, field) in [
        ("page=0", "page"),
        ("page=x", "page"),
        ("page=-1", "page"),
        ("page=4294967296", "page"),
        ("per_page=0", "per_page"),
        ("per_page=101", "per_page"),
        ("page=1&page=2", "page"),
        ("status=gone", "status"),
        ("environment=prod", "environment"),
        ("stauts=active", "stauts"),
    ] {
        let error = app
            .get(&app.root_key, &format!("/api-keys?{query}"))
            .await
            .expect_error(422, "validation_failed");
        assert!(error["errors"][field].is_array(), "{query} {error}");
    }
    let error = app.get(&app.root_key, "/api-keys?nope=1").await.expect(422);
    let message = error["errors"]["nope"][0].as_str().expect("a message");
    assert!(message.contains("page, per_page, sort, status, environment"), "{message}");
    app.get(&app.root_key, "/workspaces/1?x=1").await.expect_error(422, "validation_failed");
    app.get(&app.root_key, "/api-keys?page=2147483647&per_page=100").await.expect(200);
}

async fn ids_that_are_none(app: TestApp) {
    for id in
        ["0", "-1", "+1", "x", "1.0", "9223372036854775807", "9223372036854775808", "%31%00", "1e3", " "]
    {
        for resource in ["workspaces", "api-keys"] {
            app.get(&app.root_key, &format!("/{resource}/{id}")).await.expect_error(404, "not_found");
            app.delete(&app.root_key, &format!("/{resource}/{id}")).await.expect_error(404, "not_found");
            app.patch(&app.root_key, &format!("/{resource}/{id}"), &json!({}))
                .await
                .expect_error(404, "not_found");
        }
        app.post(&app.root_key, &format!("/api-keys/{id}/rotate"), &json!({}))
            .await
            .expect_error(404, "not_found");
    }
    let error = app.get(&app.root_key, "/workspaces/999").await.expect(404);
    assert_eq!(error, json!({ "error": "not_found", "message": "Resource not found." }));
}

async fn routes_and_methods_that_are_none(app: TestApp) {
    for path in [
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v1/nope",
        "/api/v1/workspaces/1/x",
        "/api/v1/workspaces/",
        "/docs/nope.js",
    ] {
        let reply = app.send(app.request(Method::GET, path).bearer_auth(&app.root_key)).await;
        assert_eq!(reply.json, json!({ "error": "not_found", "message": "Resource not found." }), "{path}");
    }
    for (method, path, allow) in [
        (Method::DELETE, "/api/v1/workspaces", "GET, POST, HEAD, OPTIONS"),
        (Method::PUT, "/api/v1/workspaces/1", "GET, PATCH, DELETE, HEAD, OPTIONS"),
        (Method::GET, "/api/v1/api-keys/verify", "POST, OPTIONS"),
        (Method::TRACE, "/api/v1/auth", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
        (Method::GET, "/api/v1/api-keys/1/rotate", "POST, OPTIONS"),
        (Method::from_bytes(b"BREW").expect("a method"), "/api/v1/audit-log", "GET, HEAD, OPTIONS"),
        (Method::POST, "/healthz", "GET, HEAD, OPTIONS"),
        (Method::DELETE, "/metrics", "GET, HEAD, OPTIONS"),
        (Method::POST, "/docs/", "GET, HEAD, OPTIONS"),
        (Method::POST, "/", "GET, HEAD, OPTIONS"),
        (Method::PUT, "/openapi.json", "GET, HEAD, OPTIONS"),
    ] {
        let reply = app.send(app.request(method, path).bearer_auth(&app.root_key)).await;
        assert_eq!(reply.header("allow"), allow);
        reply.expect_error(405, "method_not_allowed");
    }
}

async fn problems_for_those_who_ask(app: TestApp) {
    let request = app.request(Method::POST, "/api/v1/workspaces").bearer_auth(&app.root_key);
    let request =
        request.header(ACCEPT, "application/json, application/problem+json").json(&json!({ "slug": "A" }));
    let reply = app.send(request).await;
    assert_eq!(reply.header("content-type"), "application/problem+json");
    let problem = &reply.json;
    assert_eq!(
        (problem["status"].as_u64(), problem["code"].as_str()),
        (Some(422), Some("validation_failed"))
    );
    assert_eq!(
        (&problem["type"], &problem["title"]),
        (&json!("about:blank"), &json!("Unprocessable Entity"))
    );
    assert_eq!(problem["errors"]["name"], json!(["The name field is required."]));
    assert_eq!(problem["request_id"].as_str(), Some(reply.header("x-request-id")));
    let request = app.request(Method::GET, "/nope").header(ACCEPT, "application/problem+json");
    let reply = app.send(request).await;
    assert_eq!((reply.status.as_u16(), reply.json["code"].as_str()), (404, Some("not_found")));
}

/// What a caller made up is told back by its beginning: an answer does not grow with it.
async fn what_is_told_back_is_short(app: TestApp) {
    let long = "x".repeat(20_000);
    let cut = format!("{}…", "x".repeat(64));
    let headers = json!({ long.as_str(): "a" });
    let webhook = json!({ "url": "https://example.com/", "events": ["*"], "headers": headers });
    let settings = json!({ "settings": { "pixel": { long.as_str(): true } } });
    for (path, body, field) in [
        ("/workspaces", json!({ long.as_str(): 1 }), cut.clone()),
        ("/webhooks", webhook, format!("headers.{cut}")),
        (
            "/workspaces",
            json!({ "name": "A", "settings": settings["settings"] }),
            format!("settings.pixel.{cut}"),
        ),
    ] {
        let reply = app.post(&app.root_key, path, &body).await;
        assert!(reply.text.len() < 1_000, "{path}: {}", reply.text.len());
        let errors = reply.expect_error(422, "validation_failed");
        assert!(errors["errors"][&field].is_array(), "{errors}");
    }
    let query = app.get(&app.root_key, &format!("/workspaces?{long}=1")).await;
    assert!(query.text.len() < 1_000);
    assert!(query.expect_error(422, "validation_failed")["errors"][&cut].is_array());
    let feature = app.post(&app.root_key, "/entitlements/check", &json!({ "feature": long })).await;
    assert!(feature.text.len() < 1_000, "{}", feature.text);
    let method = Method::from_bytes("B".repeat(5_000).as_bytes()).expect("a method");
    let method = app.send(app.request(method, "/api/v1/workspaces").bearer_auth(&app.root_key)).await;
    assert!(method.text.len() < 1_000, "{}", method.text.len());
}

/// Who receives `api_key.revoked` must be able to rely on who said it.
async fn types_of_gatepost_are_its_own(app: TestApp) {
    for first in ["api_key", "workspace", "webhook", "entitlement", "seo", "mcp", "oauth", "member"] {
        let event = json!({ "type": format!("{first}.revoked"), "data": {} });
        let refused = app.post(&app.root_key, "/events", &event).await.expect_error(422, "validation_failed");
        assert!(
            refused["errors"]["type"][0].as_str().is_some_and(|error| error.contains("the platform's own"))
        );
        let batch = json!({ "events": [event] });
        let refused = app.post(&app.root_key, "/events/batch", &batch).await;
        assert!(refused.expect_error(422, "validation_failed")["errors"]["events.0.type"].is_array());
    }
    for allowed in ["webhooks.sent", "post.webhook", "member"] {
        app.post(&app.root_key, "/events", &json!({ "type": allowed, "data": {} })).await.expect(202);
    }
}
