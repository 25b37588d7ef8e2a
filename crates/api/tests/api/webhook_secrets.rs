//! What is secret of a webhook endpoint: its secrets, the values of its headers, and what becomes of
//! deliveries when the server cannot read them.

use std::time::Duration;

use gatepost_kernel::{Clock, WebhookEndpointId, WorkspaceId, random};
use gatepost_sealing::{SealedColumn, Vault};
use gatepost_storage::{StorageError, Tx, WebhookEndpointChanges};
use gatepost_test_support::{Receiver, TestApp, every_face};
use gatepost_webhooks::WebhookEndpoint;
use reqwest::Method;
use serde_json::{Value, json};

every_face! { TestApp:
    values_of_headers_are_never_shown,
    headers_do_not_follow_a_url_to_another_place,
    a_given_secret_is_what_receivers_take_it_for,
    what_still_signs_is_said_and_can_be_ended,
    a_secret_that_cannot_be_read_costs_no_attempt,
    a_deleted_endpoint_keeps_no_secret,
}

const VALUE: &str = "Bearer value-of-a-header";

async fn make(app: &TestApp, members: Value) -> i64 {
    let mut body = json!({ "url": "http://127.0.0.1:1/a", "events": ["*"] });
    body.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
    let made = app.post(&app.root_key, "/webhooks", &body).await.expect(201);
    made["data"]["id"].as_i64().expect("an id")
}

async fn stored(app: &TestApp, id: i64) -> WebhookEndpoint {
    let read = async move |mut tx: Tx<'_>| tx.webhook_endpoint_targets(&[WebhookEndpointId(id)]).await;
    app.storage.read::<_, StorageError, _>(read).await.expect("the row").remove(0)
}

async fn change(app: &TestApp, id: i64, changes: WebhookEndpointChanges) {
    let now = app.clock.now();
    let write =
        async move |mut tx: Tx<'_>| tx.webhook_endpoint_update(WebhookEndpointId(id), changes, now).await;
    app.storage.transaction::<_, StorageError, _>(write).await.expect("the change");
}

async fn values_of_headers_are_never_shown(app: TestApp) {
    let body = json!({
        "url": "http://127.0.0.1:1/", "events": ["*"], "headers": { "Authorization": VALUE, "X-Team": "a-team-of-ours" },
    });
    let path = "/api/v1/webhooks";
    let request = app.request(Method::POST, path).bearer_auth(&app.root_key).json(&body);
    let made = app.send(request.try_clone().expect("a copy").header("Idempotency-Key", "once")).await;
    let again = app.send(request.header("Idempotency-Key", "once")).await;
    let (id, names) = (made.json["data"]["id"].clone(), made.json["data"]["header_names"].clone());
    assert_eq!(names, json!(["Authorization", "X-Team"]));
    let one = format!("/webhooks/{id}");
    let mut answers = vec![made, again];
    for path in
        [one.as_str(), "/webhooks", "/webhooks?include=deliveries", "/audit-log", "/webhooks?search=bearer"]
    {
        answers.push(app.get(&app.root_key, path).await);
    }
    let headers = json!({ "headers": { "Authorization": VALUE } });
    answers.push(app.patch(&app.root_key, &one, &headers).await);
    assert_eq!(answers.last().expect("an answer").json["data"]["header_names"], json!(["Authorization"]));
    let wrong = json!({ "headers": { "Authorization": format!("{VALUE}\n") } });
    answers.push(app.patch(&app.root_key, &one, &wrong).await);
    answers.push(app.post(&app.root_key, &format!("{one}/test"), &json!(null)).await);
    answers.push(app.post(&app.root_key, &format!("{one}/rotate-secret"), &json!(null)).await);
    for answer in &answers {
        let shown = answer.text.contains("value-of-a-header") || answer.text.contains("a-team-of-ours");
        assert!(!shown, "the value of a header is in an answer");
        assert!(answer.json["data"].get("headers").is_none());
    }
    let fields = app.get(&app.root_key, "/webhooks?fields=id,header_names").await.expect(200);
    assert_eq!(fields["data"][0], json!({ "id": id, "header_names": ["Authorization"] }));
    app.get(&app.root_key, "/webhooks?fields=headers").await.expect_error(422, "validation_failed");
}

async fn headers_do_not_follow_a_url_to_another_place(app: TestApp) {
    let with = make(&app, json!({ "headers": { "Authorization": VALUE } })).await;
    let without = make(&app, json!({})).await;
    let (path, bare) = (format!("/webhooks/{with}"), format!("/webhooks/{without}"));
    for url in ["https://127.0.0.1:1/a", "http://127.0.0.1:2/a", "http://127.0.0.2:1/a", "http://127.0.0.1/a"]
    {
        let body = json!({ "url": url });
        let refused = app.patch(&app.root_key, &path, &body).await.expect_error(422, "validation_failed");
        assert!(refused["errors"].get("headers").is_some(), "{url}: {}", refused["errors"]);
        app.patch(&app.root_key, &bare, &body).await.expect(200);
    }
    assert_eq!(app.get(&app.root_key, &path).await.expect(200)["data"]["url"], "http://127.0.0.1:1/a");
    // The same place in another spelling, and another path there.
    for url in ["http://127.1:1/b?c=d", "HTTP://127.0.0.1:00001/a"] {
        app.patch(&app.root_key, &path, &json!({ "url": url })).await.expect(200);
    }
    let moved = json!({ "url": "http://127.0.0.1:80/", "headers": { "X-Team": "b" } });
    let moved = app.patch(&app.root_key, &path, &moved).await.expect(200);
    assert_eq!(moved["data"]["header_names"], json!(["X-Team"]));
    // The port that goes without saying.
    app.patch(&app.root_key, &path, &json!({ "url": "http://127.0.0.1/" })).await.expect(200);
    let moved = json!({ "url": "http://127.0.0.2/", "headers": {} });
    let moved = app.patch(&app.root_key, &path, &moved).await.expect(200);
    assert_eq!(moved["data"]["header_names"], json!([]));
    // Headers that nobody can read are headers.
    let sealed_headers = Some(Vault::new(&[[9; 32]]).seal(
        &mut random::rng(),
        "{}",
        SealedColumn::headers(WorkspaceId::ROOT, WebhookEndpointId(with)),
    ));
    change(&app, with, WebhookEndpointChanges { sealed_headers, ..Default::default() }).await;
    let read = app.get(&app.root_key, &path).await.expect(200)["data"].take();
    assert_eq!(read["header_names"], Value::Null);
    app.patch(&app.root_key, &path, &json!({ "url": "http://127.0.0.3/" }))
        .await
        .expect_error(422, "validation_failed");
}

async fn a_given_secret_is_what_receivers_take_it_for(app: TestApp) {
    let (encoded, short) = ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "c2hvcnQgc2VjcmV0");
    for (secret, taken) in [
        (format!("whsec_{encoded}"), true),
        (encoded.to_owned(), true),
        (format!("whsec_{encoded}AAA"), true),
        ("whsec_abc123def456...".to_owned(), true),
        (short.to_owned(), true),
        (format!("whsec_{short}"), false),
        (format!("whsec_{}-_", &encoded[2..]), false),
        (format!("whsk_{encoded}"), false),
        (format!("hwsec_{encoded}"), false),
    ] {
        let receiver = Receiver::start().await;
        let body = json!({ "url": receiver.url("/"), "events": ["*"], "secret": secret });
        let made = app.post(&app.root_key, "/webhooks", &body).await;
        if !taken {
            let refused = made.expect_error(422, "validation_failed");
            assert!(refused["errors"].get("secret").is_some() && !refused.to_string().contains(&secret[6..]));
            continue;
        }
        let made = made.expect(201);
        assert_eq!(made["data"]["secret"], secret);
        let test = format!("/webhooks/{}/test", made["data"]["id"]);
        assert_eq!(app.post(&app.root_key, &test, &json!(null)).await.expect(200)["success"], true);
        let received = receiver.wait_for(1).await.remove(0);
        received.verify(&secret, app.clock.now()).expect("a signature that fits");
        if secret.ends_with(encoded) {
            // With the prefix and without it, they are the same bytes.
            let other = if secret == encoded { format!("whsec_{encoded}") } else { encoded.to_owned() };
            received.verify(&other, app.clock.now()).expect("the same key");
        }
    }
}

async fn what_still_signs_is_said_and_can_be_ended(app: TestApp) {
    let receiver = Receiver::start().await;
    let id = make(&app, json!({ "url": receiver.url("/") })).await;
    let (one, rotate) = (format!("/webhooks/{id}"), format!("/webhooks/{id}/rotate-secret"));
    let read = app.get(&app.root_key, &one).await.expect(200)["data"].take();
    assert_eq!(read["signing_secrets"], json!([{ "replaced_at": null, "expires_at": null }]));
    let rotated = app.post(&app.root_key, &rotate, &json!({ "grace_period_hours": 2 })).await.expect(200);
    let expected = json!([
        { "replaced_at": null, "expires_at": null },
        { "replaced_at": "2026-01-15T10:30:00.000000Z", "expires_at": "2026-01-15T12:30:00.000000Z" },
    ]);
    assert_eq!(rotated["data"]["signing_secrets"], expected);
    assert_eq!(app.get(&app.root_key, &one).await.expect(200)["data"]["signing_secrets"], expected);
    app.clock.advance(Duration::from_secs(3_600));
    let rotated = app.post(&app.root_key, &rotate, &json!({})).await.expect(200);
    let until: Vec<_> =
        (0..3).map(|place| &rotated["data"]["signing_secrets"][place]["expires_at"]).collect();
    let expected =
        [&json!(null), &json!("2026-01-16T11:30:00.000000Z"), &json!("2026-01-15T12:30:00.000000Z")];
    assert_eq!(until, expected);
    app.clock.advance(Duration::from_secs(3_600));
    let signing = app.get(&app.root_key, &one).await.expect(200)["data"]["signing_secrets"].take();
    assert_eq!(signing.as_array().map(Vec::len), Some(2), "the first has ended by itself");

    let both = json!({ "expire_previous": true, "grace_period_hours": 1 });
    let refused = app.post(&app.root_key, &rotate, &both).await.expect_error(422, "validation_failed");
    assert!(refused["errors"].get("expire_previous").is_some());
    let rotated = app.post(&app.root_key, &rotate, &json!({ "expire_previous": true })).await.expect(200);
    assert_eq!(rotated["data"]["signing_secrets"].as_array().map(Vec::len), Some(1));
    app.post(&app.root_key, &format!("{one}/test"), &json!(null)).await.expect(200);
    let received = receiver.wait_for(1).await.remove(0);
    assert_eq!(received.header("webhook-signature").split(' ').count(), 1);
    let secret = rotated["data"]["secret"].as_str().expect("a secret");
    received.verify(secret, app.clock.now()).expect("a signature that fits");
    // And makes room where too many sign.
    for _ in 0..9 {
        app.post(&app.root_key, &rotate, &json!({ "expire_previous": false })).await.expect(200);
    }
    app.post(&app.root_key, &rotate, &json!({})).await.expect_error(409, "conflict");
    app.post(&app.root_key, &rotate, &json!({ "expire_previous": true })).await.expect(200);
    assert!(stored(&app, id).await.previous_secrets.is_empty());
}

async fn a_secret_that_cannot_be_read_costs_no_attempt(app: TestApp) {
    let receiver = Receiver::start().await;
    let id = make(&app, json!({ "url": receiver.url("/") })).await;
    let before = stored(&app, id).await;
    let place = SealedColumn::secret(before.workspace_id, before.id);
    let sealed = Vault::new(&[[9; 32]]).seal(&mut random::rng(), "whsec_somebody's", place);
    let secrets = Some((sealed, Vec::new()));
    change(&app, id, WebhookEndpointChanges { secrets, ..Default::default() }).await;
    let event = json!({ "type": "post.created", "data": 1 });
    app.post(&app.root_key, "/events", &event).await.expect(202);
    let list = format!("/webhooks/{id}/deliveries");
    // It is written down in a batch a moment later; nothing signals it to the outside.
    let not_sent = async |until: &str| loop {
        let newest = app.get(&app.root_key, &list).await.expect(200)["data"][0].take();
        // What is behind the seconds is how long it took.
        if newest["next_retry_at"].as_str().is_some_and(|at| at.starts_with(&until[..19])) {
            return newest;
        }
        app.app.wake_deliveries();
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    // Longer than all attempts of the schedule together.
    let mut delivery = not_sent("2026-01-15T10:35:00.000000Z").await;
    for _ in 0..3 {
        app.clock.advance(Duration::from_secs(86_400 - 300));
        let until = app.clock.now().plus(Duration::from_secs(300)).to_string();
        delivery = not_sent(&until).await;
        app.clock.advance(Duration::from_secs(300));
    }
    assert_eq!((&delivery["status"], &delivery["attempt"]), (&json!("pending"), &json!(1)));
    assert!(
        delivery["error"].as_str().is_some_and(|text| text.contains("cannot be decrypted")),
        "{delivery}"
    );
    let tested = app.post(&app.root_key, &format!("/webhooks/{id}/test"), &json!(null)).await.expect(200);
    assert_eq!((&tested["success"], &tested["status_code"]), (&json!(false), &json!(null)));
    assert!(tested["error"].as_str().is_some_and(|text| text.contains("cannot be decrypted")), "{tested}");
    let endpoint = app.get(&app.root_key, &format!("/webhooks/{id}")).await.expect(200)["data"].take();
    let counted = (&endpoint["failure_count"], &endpoint["consecutive_failures"]);
    assert_eq!(counted, (&json!(0), &json!(0)), "the endpoint has no part in it");
    assert!(receiver.received().is_empty());

    let secrets = Some((before.sealed_secret, Vec::new()));
    change(&app, id, WebhookEndpointChanges { secrets, ..Default::default() }).await;
    app.clock.advance(Duration::from_secs(301));
    app.app.wake_deliveries();
    assert_eq!(receiver.wait_for(1).await[0].json()["type"], "post.created");
    let path = format!("{list}/{}", delivery["id"]);
    let history = loop {
        let history = app.get(&app.root_key, &path).await.expect(200)["data"].take();
        if history["status"] == "success" {
            break history;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((&history["attempt"], &history["error"]), (&json!(1), &json!(null)));
    assert_eq!(history["attempts"].as_array().map(Vec::len), Some(1), "the one that was sent");
}

async fn a_deleted_endpoint_keeps_no_secret(app: TestApp) {
    let id = make(&app, json!({ "headers": { "Authorization": VALUE } })).await;
    app.post(&app.root_key, &format!("/webhooks/{id}/rotate-secret"), &json!({})).await.expect(200);
    assert!(!stored(&app, id).await.sealed_secret.expose().is_empty());
    app.delete(&app.root_key, &format!("/webhooks/{id}")).await.expect(204);
    let row = stored(&app, id).await;
    assert!(row.sealed_secret.expose().is_empty() && row.sealed_headers.expose().is_empty());
    assert!(row.previous_secrets.is_empty());
}
