//! Webhook endpoints, events and deliveries, with a real receiver at the other end.

use std::time::Duration;

use gatepost_kernel::{ClaimId, Clock, WebhookEndpointId};
use gatepost_storage::{StorageError, Tx};
use gatepost_test_support::{
    Receiver, TestApp, both_engines, every_face,
    receiver::{Received, Reply},
};
use reqwest::Method;
use serde_json::{Value, json};

both_engines! { TestApp: a_host_that_cannot_be_resolved_is_said_to_be_so, an_event_names_its_request }

every_face! { TestApp:
    made_read_changed_and_deleted,
    what_is_wrong_is_named,
    events_arrive_signed,
    own_events_arrive,
    own_ids_are_the_same_event,
    a_batch_is_all_or_nothing,
    a_failed_delivery_is_tried_again,
    patience_is_given_and_gone_is_gone,
    a_delivery_is_retried_by_hand,
    an_inactive_endpoint_waits,
    what_a_dead_process_had_waits_too,
    a_secret_is_rotated,
    a_test_is_sent,
    hostile_answers_cost_little,
    worlds_and_tenants_are_apart,
    old_rows_are_deleted_and_what_waits_is_kept,
}

async fn a_host_that_cannot_be_resolved_is_said_to_be_so(app: TestApp) {
    let is_unresolved = |body: &Value| {
        let message = body["message"].as_str().expect("a sentence").to_owned();
        assert!(message.starts_with("Webhook endpoint "), "{message}");
        message.contains("could not be resolved")
    };
    let body = |host: &str| json!({ "url": format!("http://{host}:8000/"), "events": ["*"] });
    for (host, expected) in [("nowhere.example", true), ("localhost", false), ("127.0.0.1", false)] {
        let made = app.post(&app.root_key, "/webhooks", &body(host)).await.expect(201);
        assert_eq!(is_unresolved(&made), expected, "{host}");
        let path = format!("/webhooks/{}", made["data"]["id"]);
        let renamed = app.patch(&app.root_key, &path, &json!({ "description": "a" })).await.expect(200);
        assert!(!is_unresolved(&renamed), "the url was not asked about");
        let moved = app.patch(&app.root_key, &path, &body(host)).await.expect(200);
        assert_eq!(is_unresolved(&moved), expected, "{host}");
    }
}

/// Makes an endpoint that wants `events`; its number and its secret.
async fn endpoint(app: &TestApp, receiver: &Receiver, events: &[&str]) -> (i64, String) {
    let body = json!({ "url": receiver.url("/hook"), "events": events });
    let made = app.post(&app.root_key, "/webhooks", &body).await.expect(201)["data"].take();
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    (made["id"].as_i64().expect("an id"), secret)
}

async fn publish(app: &TestApp, event_type: &str, data: Value) -> String {
    let body = json!({ "type": event_type, "data": data });
    let accepted = app.post(&app.root_key, "/events", &body).await.expect(202);
    accepted["data"]["id"].as_str().expect("an id").to_owned()
}

/// The newest delivery of an endpoint once it has the status.
async fn delivery(app: &TestApp, endpoint: i64, status: &str) -> Value {
    loop {
        let list = app.get(&app.root_key, &format!("/webhooks/{endpoint}/deliveries")).await.expect(200);
        if list["data"][0]["status"] == status {
            return list["data"][0].clone();
        }
        // It is written down in a batch a moment after the answer; nothing signals it to the outside.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn made_read_changed_and_deleted(app: TestApp) {
    let receiver = Receiver::start().await;
    let body = json!({
        "url": receiver.url("/a"), "events": ["post.created", "post.*", "post.created"], "secret": "a-secret-of-my-own",
        "description": "Orders", "headers": { "X-Team": "orders", "Authorization": "Bearer abc" },
    });
    let made = app.post(&app.root_key, "/webhooks", &body).await.expect(201);
    app.says(&made, "Webhook endpoint created successfully.");
    assert_eq!(
        (&made["data"]["secret"], &made["data"]["is_active"]),
        (&json!("a-secret-of-my-own"), &json!(true))
    );
    assert_eq!(made["data"]["events"], json!(["post.created", "post.*"]));
    let id = made["data"]["id"].as_i64().expect("an id");

    let read = app.get(&app.root_key, &format!("/webhooks/{id}")).await.expect(200)["data"].take();
    assert_eq!(read["secret"], Value::Null, "shown once");
    assert_eq!((&read["success_count"], &read["consecutive_failures"]), (&json!(0), &json!(0)));
    assert_eq!(read["header_names"], json!(["X-Team", "Authorization"]));
    let list = app.get(&app.root_key, "/webhooks").await.expect(200);
    assert_eq!((&list["data"][0], &list["meta"]["total"]), (&read, &json!(1)));

    let changes = json!({ "events": ["*"], "is_active": false, "description": null });
    let changed =
        app.patch(&app.root_key, &format!("/webhooks/{id}"), &changes).await.expect(200)["data"].take();
    assert_eq!((&changed["events"], &changed["is_active"]), (&json!(["*"]), &json!(false)));
    assert_eq!((&changed["description"], &changed["url"]), (&Value::Null, &json!(receiver.url("/a"))));

    app.delete(&app.root_key, &format!("/webhooks/{id}")).await.expect(204);
    app.get(&app.root_key, &format!("/webhooks/{id}")).await.expect_error(404, "not_found");
    app.delete(&app.root_key, &format!("/webhooks/{id}")).await.expect_error(404, "not_found");
}

async fn what_is_wrong_is_named(app: TestApp) {
    let good = "http://127.0.0.1:1/";
    for (body, field) in [
        (json!({ "events": ["a"] }), "url"),
        (json!({ "url": "nonsense", "events": ["a"] }), "url"),
        (json!({ "url": "ftp://example.com/", "events": ["a"] }), "url"),
        (json!({ "url": "http://10.0.0.1/", "events": ["a"] }), "url"),
        (json!({ "url": "http://[::ffff:10.0.0.1]/", "events": ["a"] }), "url"),
        (json!({ "url": "http://167772161/", "events": ["a"] }), "url"),
        (json!({ "url": "http://user@127.0.0.1/", "events": ["a"] }), "url"),
        (json!({ "url": "http://127.0.0.1/#a", "events": ["a"] }), "url"),
        (json!({ "url": good }), "events"),
        (json!({ "url": good, "events": [] }), "events"),
        (json!({ "url": good, "events": ["A"] }), "events.0"),
        (json!({ "url": good, "events": ["a.*", "a.**"] }), "events.1"),
        (json!({ "url": good, "events": ["a"], "secret": "short" }), "secret"),
        (json!({ "url": good, "events": ["a"], "headers": { "Host": "x" } }), "headers.Host"),
        (json!({ "url": good, "events": ["a"], "headers": { "webhook-id": "x" } }), "headers.webhook-id"),
        (json!({ "url": good, "events": ["a"], "headers": { "X": "a\r\nb" } }), "headers.X"),
        (json!({ "url": good, "events": ["a"], "headers": { "X": 1 } }), "headers.X"),
        (json!({ "url": good, "events": ["a"], "evnts": [] }), "evnts"),
    ] {
        let error = app.post(&app.root_key, "/webhooks", &body).await.expect_error(422, "validation_failed");
        assert!(error["errors"].get(field).is_some(), "{body}: {}", error["errors"]);
    }
    assert_eq!(app.get(&app.root_key, "/webhooks").await.expect(200)["meta"]["total"], 0);
    for (body, field) in [
        (json!({ "data": {} }), "type"),
        (json!({ "type": "Post", "data": {} }), "type"),
        (json!({ "type": "post" }), "data"),
        (json!({ "id": "abc", "type": "post", "data": {} }), "id"),
    ] {
        let error = app.post(&app.root_key, "/events", &body).await.expect_error(422, "validation_failed");
        assert!(error["errors"].get(field).is_some(), "{body}: {}", error["errors"]);
    }
    let large = json!({ "type": "post", "data": "x".repeat(1 << 20) });
    app.post(&app.root_key, "/events", &large).await.expect_error(422, "validation_failed");
    let fits = json!({ "type": "post", "data": "x".repeat((1 << 20) - 2) });
    app.post(&app.root_key, "/events", &fits).await.expect(202);
}

async fn events_arrive_signed(app: TestApp) {
    let receiver = Receiver::start().await;
    let body =
        json!({ "url": receiver.url("/hook?x=1"), "events": ["post.*"], "headers": { "X-Team": "orders" } });
    let made = app.post(&app.root_key, "/webhooks", &body).await.expect(201)["data"].take();
    let secret = made["secret"].as_str().expect("a secret");
    assert!(secret.starts_with("whsec_") && secret.len() == 50);
    publish(&app, "user.created", json!({})).await;
    let id = publish(&app, "post.comment.added", json!({ "z": 1, "a": "ü" })).await;
    let received = receiver.wait_for(1).await;
    let [one] = received.as_slice() else { panic!("one delivery: {received:?}") };
    assert_eq!((one.path.as_str(), one.header("x-team")), ("/hook?x=1", "orders"));
    assert_eq!((one.header("webhook-id"), one.header("x-webhook-id")), (id.as_str(), id.as_str()));
    assert_eq!(one.header("webhook-timestamp"), one.header("x-webhook-timestamp"));
    assert_eq!(one.header("content-type"), "application/json");
    assert!(one.header("x-webhook-signature").starts_with("sha256="));
    one.verify(secret, app.clock.now()).expect("a signature that fits");
    let event = one.json();
    assert_eq!((&event["id"], &event["type"]), (&json!(id), &json!("post.comment.added")));
    assert_eq!((&event["workspace_id"], &event["environment"]), (&json!(1), &json!("live")));
    assert_eq!(
        (&event["data"], &event["created_at"]),
        (&json!({ "z": 1, "a": "ü" }), &json!("2026-01-15T10:30:00.000000Z"))
    );

    let endpoint = made["id"].as_i64().expect("an id");
    let done = delivery(&app, endpoint, "success").await;
    assert_eq!((&done["event_id"], &done["response_code"]), (&json!(id), &json!(200)));
    assert_eq!((&done["attempt"], &done["next_retry_at"]), (&json!(1), &Value::Null));
    let path = format!("/webhooks/{endpoint}/deliveries/{}", done["id"]);
    let history = app.get(&app.root_key, &path).await.expect(200)["data"].take();
    assert_eq!(history["attempts"][0]["response_body"], "ok");
    let counts = app.get(&app.root_key, &format!("/webhooks/{endpoint}")).await.expect(200)["data"].take();
    assert_eq!((&counts["success_count"], &counts["last_delivery_at"]), (&json!(1), &done["delivered_at"]));

    let read = app.get(&app.root_key, &format!("/events/{id}")).await.expect(200)["data"].take();
    assert_eq!((&read["type"], &read["data"]), (&json!("post.comment.added"), &json!({ "z": 1, "a": "ü" })));
    let listed = app.get(&app.root_key, "/events?type=post.comment.added").await.expect(200);
    assert_eq!((&listed["data"][0], &listed["meta"]["total"]), (&read, &json!(1)));
    app.get(&app.root_key, "/events/evt_nobody").await.expect_error(404, "not_found");
}

async fn own_events_arrive(app: TestApp) {
    let receiver = Receiver::start().await;
    endpoint(&app, &receiver, &["api_key.*"]).await;
    let (id, _) = app.create_key(&app.root_key, 0, json!({ "scopes": ["posts:read"] })).await;
    app.delete(&app.root_key, &format!("/api-keys/{id}")).await.expect(204);
    let mut types: Vec<_> = receiver.wait_for(2).await.iter().map(|r| r.json()["type"].clone()).collect();
    types.sort_by_key(Value::to_string);
    assert_eq!(types, [json!("api_key.created"), json!("api_key.revoked")]);
    let leaked = receiver
        .received()
        .iter()
        .any(|r| String::from_utf8_lossy(&r.body).contains("sk_live_") && r.body.len() > 400);
    assert!(!leaked, "no secret is in an event");
}

async fn own_ids_are_the_same_event(app: TestApp) {
    let receiver = Receiver::start().await;
    endpoint(&app, &receiver, &["*"]).await;
    let body = json!({ "id": "evt_order-1", "type": "order.paid", "data": { "a": 1, "b": 2 } });
    for _ in 0..3 {
        let accepted = app.post(&app.root_key, "/events", &body).await.expect(202);
        assert_eq!(accepted["data"]["id"], "evt_order-1");
    }
    for other in [json!({ "a": 1 }), json!(null)] {
        let body = json!({ "id": "evt_order-1", "type": "order.paid", "data": other });
        app.post(&app.root_key, "/events", &body).await.expect_error(409, "conflict");
    }
    publish(&app, "order.last", json!({})).await;
    let ids: Vec<_> = receiver.wait_for(2).await.iter().map(|r| r.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.iter().filter(|id| *id == "evt_order-1").count(), 1);
}

async fn a_batch_is_all_or_nothing(app: TestApp) {
    let receiver = Receiver::start().await;
    endpoint(&app, &receiver, &["*"]).await;
    let event = |n: usize| json!({ "type": "tick", "data": n });
    let bad = json!({ "events": [event(1), { "type": "Tick", "data": 2 }, event(3)] });
    let error = app.post(&app.root_key, "/events/batch", &bad).await.expect_error(422, "validation_failed");
    assert!(error["errors"].get("events.1.type").is_some(), "{error}");
    for events in [json!([]), json!([1]), json!(vec![event(0); 1_001])] {
        let body = json!({ "events": events });
        app.post(&app.root_key, "/events/batch", &body).await.expect_error(422, "validation_failed");
    }
    app.post(&app.root_key, "/events", &json!({ "id": "evt_taken", "type": "x", "data": 1 }))
        .await
        .expect(202);
    let clash = json!({ "events": [event(1), { "id": "evt_taken", "type": "x", "data": 2 }] });
    app.post(&app.root_key, "/events/batch", &clash).await.expect_error(409, "conflict");
    assert_eq!(app.get(&app.root_key, "/events?type=tick").await.expect(200)["meta"]["total"], 0);

    let body = json!({ "events": (0..200).map(event).collect::<Vec<_>>() });
    let accepted = app.post(&app.root_key, "/events/batch", &body).await.expect(202);
    assert_eq!(accepted["data"].as_array().map(Vec::len), Some(200));
    let received = receiver.wait_for(201).await;
    let mut numbers: Vec<_> =
        received.iter().filter(|r| r.json()["type"] == "tick").map(|r| r.json()["data"].as_u64()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..200).map(Some).collect::<Vec<_>>(), "each once");
}

async fn a_failed_delivery_is_tried_again(app: TestApp) {
    let receiver = Receiver::start().await;
    let (id, secret) = endpoint(&app, &receiver, &["*"]).await;
    receiver.next(Reply::status(500, "", "broken"));
    receiver.next(Reply::status(302, "Location: /elsewhere\r\n", ""));
    publish(&app, "post.created", json!({})).await;
    let first = delivery(&app, id, "retrying").await;
    assert_eq!((&first["response_code"], &first["attempt"]), (&json!(500), &json!(1)));
    let next = first["next_retry_at"].as_str().and_then(gatepost_kernel::Timestamp::parse).expect("a time");
    let wait = next.since(app.clock.now());
    assert!((Duration::from_secs(5)..Duration::from_secs(6)).contains(&wait), "{wait:?}");

    for (wait, attempts) in [(6, 2), (67, 3)] {
        app.clock.advance(Duration::from_secs(wait));
        receiver.wait_for(attempts).await;
        let status = if attempts == 3 { "success" } else { "retrying" };
        let now = loop {
            let now = delivery(&app, id, status).await;
            if now["attempt"] == attempts {
                break now;
            }
        };
        assert_eq!(now["attempt"], attempts);
    }
    let received = receiver.received();
    assert!(received.iter().all(|r| r.path == "/hook"), "redirects are not followed");
    assert!(received.iter().all(|r| r.body == received[0].body && r.header("webhook-id") == received[0].header("webhook-id")));
    assert_ne!(
        received[0].header("webhook-timestamp"),
        received[2].header("webhook-timestamp"),
        "signed anew"
    );
    received[2].verify(&secret, app.clock.now()).expect("a signature that fits");
    let path = format!("/webhooks/{id}/deliveries/{}", first["id"]);
    let history = app.get(&app.root_key, &path).await.expect(200)["data"].take();
    let codes: Vec<_> = history["attempts"]
        .as_array()
        .expect("attempts")
        .iter()
        .map(|a| a["response_code"].clone())
        .collect();
    assert_eq!(codes, [500, 302, 200].map(Value::from));
    assert_eq!(
        (&history["attempts"][0]["response_body"], &history["attempts"][0]["error"]),
        (&json!("broken"), &json!("The endpoint answered 500 Internal Server Error."))
    );
    let counts = app.get(&app.root_key, &format!("/webhooks/{id}")).await.expect(200)["data"].take();
    assert_eq!(
        (&counts["success_count"], &counts["failure_count"], &counts["consecutive_failures"]),
        (&json!(1), &json!(2), &json!(0))
    );
}

async fn patience_is_given_and_gone_is_gone(app: TestApp) {
    let receiver = Receiver::start().await;
    let (id, _) = endpoint(&app, &receiver, &["post.*"]).await;
    receiver.next(Reply::status(503, "Retry-After: 120\r\n", ""));
    publish(&app, "post.created", json!({})).await;
    let first = delivery(&app, id, "retrying").await;
    let at = first["next_retry_at"].as_str().expect("a time");
    assert!(at.starts_with("2026-01-15T10:32:0"), "{at}: two minutes after the answer");

    let others = Receiver::start().await;
    endpoint(&app, &others, &["webhook.disabled"]).await;
    receiver.next(Reply::status(410, "", ""));
    publish(&app, "post.updated", json!({})).await;
    let told = others.wait_for(1).await[0].json();
    assert_eq!((&told["type"], &told["data"]["id"]), (&json!("webhook.disabled"), &json!(id)));
    let gone = app.get(&app.root_key, &format!("/webhooks/{id}")).await.expect(200)["data"].take();
    assert_eq!(
        (&gone["is_active"], &gone["disabled_reason"]),
        (&json!(false), &json!("The endpoint answered 410 Gone."))
    );
    delivery(&app, id, "failed").await;
    publish(&app, "post.deleted", json!({})).await;
    let list = app.get(&app.root_key, &format!("/webhooks/{id}/deliveries")).await.expect(200);
    assert_eq!(list["meta"]["total"], 2, "nothing more is meant for it");
}

async fn a_delivery_is_retried_by_hand(app: TestApp) {
    let receiver = Receiver::start().await;
    let (id, _) = endpoint(&app, &receiver, &["*"]).await;
    receiver.always(Reply::status(500, "", ""));
    publish(&app, "post.created", json!({})).await;
    let first = delivery(&app, id, "retrying").await;
    let path = format!("/webhooks/{id}/deliveries/{}/retry", first["id"]);
    for tries in 2..=11 {
        let retried = app.post(&app.root_key, &path, &json!(null)).await.expect(200);
        app.says(&retried, "Delivery queued for retry.");
        assert_eq!(
            (&retried["data"]["status"], &retried["data"]["attempt"]),
            (&json!("pending"), &json!(tries))
        );
        receiver.wait_for(tries).await;
        loop {
            let status = if tries < 9 { "retrying" } else { "failed" };
            if delivery(&app, id, status).await["attempt"] == tries {
                break;
            }
        }
    }
    app.post(&app.root_key, &path, &json!(null)).await.expect_error(400, "cannot_retry");
    receiver.always(Reply::status(200, "", ""));
    publish(&app, "post.updated", json!({})).await;
    let done = delivery(&app, id, "success").await;
    let path = format!("/webhooks/{id}/deliveries/{}/retry", done["id"]);
    let refused = app.post(&app.root_key, &path, &json!(null)).await.expect_error(400, "cannot_retry");
    assert_eq!(refused["message"], "This delivery was already received.");
    app.post(&app.root_key, &format!("/webhooks/{id}/deliveries/999/retry"), &json!(null))
        .await
        .expect_error(404, "not_found");
}

async fn an_inactive_endpoint_waits(app: TestApp) {
    let receiver = Receiver::start().await;
    let (id, _) = endpoint(&app, &receiver, &["*"]).await;
    receiver.next(Reply::status(500, "", ""));
    publish(&app, "post.created", json!({})).await;
    delivery(&app, id, "retrying").await;
    let path = format!("/webhooks/{id}");
    app.patch(&app.root_key, &path, &json!({ "is_active": false })).await.expect(200);
    app.clock.advance(Duration::from_secs(3_600));
    publish(&app, "post.updated", json!({})).await;
    app.patch(&app.root_key, &path, &json!({ "is_active": true })).await.expect(200);
    let received = receiver.wait_for(2).await;
    assert_eq!(
        received[1].json()["type"],
        "post.created",
        "what waited goes on; what came meanwhile was not meant for it"
    );
    delivery(&app, id, "success").await;
    assert_eq!(receiver.received().len(), 2);

    receiver.next(Reply::status(500, "", ""));
    publish(&app, "post.deleted", json!({})).await;
    delivery(&app, id, "retrying").await;
    app.delete(&app.root_key, &path).await.expect(204);
    app.clock.advance(Duration::from_secs(3_600));
    app.get(&app.root_key, &format!("{path}/deliveries")).await.expect_error(404, "not_found");
}

async fn a_secret_is_rotated(app: TestApp) {
    let receiver = Receiver::start().await;
    let (id, old) = endpoint(&app, &receiver, &["*"]).await;
    let path = format!("/webhooks/{id}/rotate-secret");
    let rotated = app.post(&app.root_key, &path, &json!({ "grace_period_hours": 1 })).await.expect(200);
    let new = rotated["data"]["secret"].as_str().expect("a secret").to_owned();
    publish(&app, "post.created", json!({})).await;
    let both = receiver.wait_for(1).await.remove(0);
    let now = app.clock.now();
    assert_eq!((both.verify(&new, now), both.verify(&old, now)), (Ok(()), Ok(())));
    assert_eq!(both.header("webhook-signature").split(' ').count(), 2);
    app.clock.advance(Duration::from_secs(3_601));
    publish(&app, "post.updated", json!({})).await;
    let one: Received = receiver.wait_for(2).await.remove(1);
    let now = app.clock.now();
    assert!(one.verify(&new, now).is_ok() && one.verify(&old, now).is_err());
    for _ in 0..9 {
        app.post(&app.root_key, &path, &json!({})).await.expect(200);
    }
    app.post(&app.root_key, &path, &json!({})).await.expect_error(409, "conflict");
    app.post(&app.root_key, &path, &json!({ "grace_period_hours": 169 }))
        .await
        .expect_error(422, "validation_failed");
}

async fn a_test_is_sent(app: TestApp) {
    let receiver = Receiver::start().await;
    let (id, secret) = endpoint(&app, &receiver, &["post.*"]).await;
    let path = format!("/webhooks/{id}/test");
    receiver.next(Reply::status(200, "", "{\"received\": true}"));
    let tested = app.post(&app.root_key, &path, &json!(null)).await.expect(200);
    assert_eq!((&tested["success"], &tested["status_code"]), (&json!(true), &json!(200)));
    assert_eq!(tested["response_body"], "{\"received\": true}");
    assert!(tested["response_time_ms"].is_u64() && tested.get("error").is_none());
    let received = receiver.wait_for(1).await.remove(0);
    received.verify(&secret, app.clock.now()).expect("a signature that fits");
    assert_eq!(received.json()["type"], "webhook.test");
    receiver.next(Reply::status(500, "", "no"));
    let failed = app.post(&app.root_key, &path, &json!(null)).await.expect(200);
    assert_eq!((&failed["success"], &failed["status_code"]), (&json!(false), &json!(500)));
    assert!(failed["error"].is_string());
    let counts = app.get(&app.root_key, &format!("/webhooks/{id}")).await.expect(200)["data"].take();
    assert_eq!(
        (&counts["success_count"], &counts["failure_count"]),
        (&json!(0), &json!(0)),
        "it is not counted"
    );
    assert_eq!(
        app.get(&app.root_key, &format!("/webhooks/{id}/deliveries")).await.expect(200)["meta"]["total"],
        0
    );
}

async fn hostile_answers_cost_little(app: TestApp) {
    let receiver = Receiver::start().await;
    let (id, _) = endpoint(&app, &receiver, &["*"]).await;
    let endless = format!("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n{}", "x".repeat(1 << 20));
    receiver.next(Reply::Raw(endless.into_bytes()));
    publish(&app, "post.created", json!({})).await;
    let done = delivery(&app, id, "success").await;
    let path = format!("/webhooks/{id}/deliveries/{}", done["id"]);
    let history = app.get(&app.root_key, &path).await.expect(200)["data"].take();
    assert_eq!(history["attempts"][0]["response_body"].as_str().map(str::len), Some(16_384));
    for nonsense in ["", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\0\u{1}ab"] {
        receiver.next(Reply::Raw(nonsense.as_bytes().to_vec()));
    }
    receiver.always(Reply::Silence);
    publish(&app, "post.updated", json!({})).await;
    receiver.wait_for(2).await;
    // Nothing else waits for one that never answers.
    let fast = Receiver::start().await;
    endpoint(&app, &fast, &["post.deleted"]).await;
    for _ in 0..30 {
        publish(&app, "post.deleted", json!({})).await;
    }
    fast.wait_for(30).await;
    assert!(receiver.received().len() <= 2 + 16, "it has no more than its slots");
}

async fn worlds_and_tenants_are_apart(app: TestApp) {
    let receiver = Receiver::start().await;
    let (id, _) = endpoint(&app, &receiver, &["*"]).await;
    let (_, _, other) = app.create_tenant("Other").await;
    let (_, test_key) =
        app.create_key(&app.root_key, 0, json!({ "scopes": ["*"], "environment": "test" })).await;
    for key in [&other, &test_key] {
        app.get(key, &format!("/webhooks/{id}")).await.expect_error(404, "not_found");
        app.get(key, &format!("/webhooks/{id}/deliveries")).await.expect_error(404, "not_found");
        app.post(key, &format!("/webhooks/{id}/test"), &json!(null)).await.expect_error(404, "not_found");
        app.post(key, "/events", &json!({ "type": "not.for.you", "data": 1 })).await.expect(202);
    }
    publish(&app, "for.you", json!({})).await;
    let types = |all: Vec<Received>| all.iter().map(|r| r.json()["type"].clone()).collect::<Vec<_>>();
    let all = loop {
        let all = types(receiver.wait_for(1).await);
        if all.contains(&json!("for.you")) {
            break all;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(!all.contains(&json!("not.for.you")), "{all:?}");
}

async fn old_rows_are_deleted_and_what_waits_is_kept(app: TestApp) {
    let receiver = Receiver::start().await;
    let (id, _) = endpoint(&app, &receiver, &["post.*"]).await;
    publish(&app, "post.created", json!({})).await;
    delivery(&app, id, "success").await;
    receiver.next(Reply::status(500, "", ""));
    publish(&app, "post.updated", json!({})).await;
    delivery(&app, id, "retrying").await;
    // Waits for as long as its endpoint is not active.
    app.patch(&app.root_key, &format!("/webhooks/{id}"), &json!({ "is_active": false })).await.expect(200);
    app.app.clean_up().await.expect("nothing is old");
    let total = async |path: &str| app.get(&app.root_key, path).await.expect(200)["meta"]["total"].as_u64();
    let deliveries = format!("/webhooks/{id}/deliveries");
    assert_eq!((total("/events?type=post.created").await, total(&deliveries).await), (Some(1), Some(2)));
    app.clock.advance(Duration::from_secs(31 * 86_400));
    app.app.clean_up().await.expect("the old rows go");
    assert_eq!((total("/events?type=post.created").await, total(&deliveries).await), (Some(0), Some(1)));
    app.patch(&app.root_key, &format!("/webhooks/{id}"), &json!({ "is_active": true })).await.expect(200);
    assert_eq!(receiver.wait_for(3).await[2].json()["type"], "post.updated");
}

/// Another process has a delivery and dies; meanwhile its endpoint is made inactive.
async fn what_a_dead_process_had_waits_too(app: TestApp) {
    let receiver = Receiver::start().await;
    let (id, _) = endpoint(&app, &receiver, &["*"]).await;
    receiver.next(Reply::status(500, "", ""));
    publish(&app, "post.created", json!({})).await;
    delivery(&app, id, "retrying").await;
    let now = app.clock.now();
    let (due, lease_end) = (now.plus(Duration::from_secs(10)), now.plus(Duration::from_secs(30)));
    let claim = async move |mut tx: Tx<'_>| {
        let locked = tx.webhook_delivery_lock_due(WebhookEndpointId(id), due, None, 10).await?;
        let ids: Vec<_> = locked.into_iter().map(|(id, _)| id).collect();
        tx.webhook_delivery_claim(ClaimId(7), &ids, lease_end).await
    };
    let claimed = app.storage.transaction::<_, StorageError, _>(claim).await.expect("a claim");
    assert_eq!(claimed.len(), 1);
    let path = format!("/webhooks/{id}");
    app.patch(&app.root_key, &path, &json!({ "is_active": false })).await.expect(200);
    let retry = format!("{path}/deliveries/{}/retry", claimed[0].id);
    let refused = app.post(&app.root_key, &retry, &json!(null)).await.expect_error(400, "cannot_retry");
    assert_eq!(refused["message"], "This delivery is being sent.");
    app.clock.advance(Duration::from_secs(60));
    app.app.wake_deliveries();
    // Once it may be retried by hand, the dispatcher has taken it and put it aside.
    loop {
        let retried = app.post(&app.root_key, &retry, &json!(null)).await;
        if retried.status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(receiver.received().len(), 1, "nothing was sent to an inactive endpoint");
    app.patch(&app.root_key, &path, &json!({ "is_active": true })).await.expect(200);
    receiver.wait_for(2).await;
    delivery(&app, id, "success").await;
}

/// What one has caused, whoever publishes it: a tenant, or Gatepost itself.
async fn an_event_names_its_request(app: TestApp) {
    let post = |path: &str, id: &str, body: Value| {
        let request = app.request(Method::POST, &format!("/api/v1{path}")).bearer_auth(&app.root_key);
        app.send(request.header("x-request-id", id).json(&body))
    };
    let event = json!({ "id": "evt_mine", "type": "order.paid", "data": 1 });
    post("/events", "req_alone", event.clone()).await.expect(202);
    // The same again is the first one.
    post("/events", "req_again", event).await.expect(202);
    let batch = json!({ "events": [{ "id": "evt_1", "type": "a", "data": 1 }, { "id": "evt_2", "type": "a", "data": 2 }] });
    post("/events/batch", "req_batch", batch).await.expect(202);
    post("/api-keys", "req_key", json!({ "name": "K", "scopes": ["posts:read"] })).await.expect(201);
    for (id, request) in [("evt_mine", "req_alone"), ("evt_1", "req_batch"), ("evt_2", "req_batch")] {
        let event = app.get(&app.root_key, &format!("/events/{id}")).await.expect(200);
        assert_eq!(event["data"]["request_id"], request, "{id}");
    }
    let own = app.get(&app.root_key, "/events?type=api_key.created").await.expect(200);
    assert_eq!(own["data"][0]["request_id"], "req_key");
}
