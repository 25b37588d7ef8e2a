//! What a customer sends is what arrives: byte for byte in events, with its digits and its order everywhere
//! else.

use gatepost_kernel::{Environment, Json, Owner, WorkspaceId};
use gatepost_storage::{StorageError, Tx};
use gatepost_test_support::{Receiver, Reply, TestApp, both_engines};
use reqwest::Method;
use serde_json::{Value, json};

both_engines! { TestApp:
    the_data_of_an_event_keeps_its_bytes,
    the_same_id_means_the_same_bytes,
    what_is_too_deep_is_refused,
    settings_details_and_metadata_keep_their_digits,
    members_have_one_order,
    a_member_given_twice_is_refused,
    half_a_character_in_a_text_is_named,
    instants_have_six_digits,
    names_are_found_in_either_spelling,
    compressed_bodies_are_415,
}

async fn post_text(app: &TestApp, path: &str, body: &str) -> Reply {
    let request = app.request(Method::POST, &format!("/api/v1{path}")).bearer_auth(&app.root_key);
    app.send(request.header("Content-Type", "application/json").body(body.to_owned())).await
}

/// What readers of JSON that go by floats, maps or texts would change.
const DATA: [&str; 8] = [
    "{\"wei\":184467440737095516150,\"price\":123456789012345.123456}",
    "{\"price\":19.90,\"rate\":1E400,\"zero\":-0.0,\"tiny\":1e-400}",
    "{\"b\":1,\"a\":{\"z\":1,\"y\":2},\"b\":2}",
    "\"cut \\ud83d\"",
    "{ \"spaced\" : [ 1 ,\n\t2 ] }",
    "\"\\u00e9\\/\\u0000 é \\\"data\\\":1}\"",
    "null",
    "[[[[]]],{\"data\":{\"data\":\",\\\"data\\\":\"}}]",
];

async fn the_data_of_an_event_keeps_its_bytes(app: TestApp) {
    let receiver = Receiver::start().await;
    let endpoint = json!({ "url": receiver.url("/hook"), "events": ["*"] });
    app.post(&app.root_key, "/webhooks", &endpoint).await.expect(201);
    for (count, data) in DATA.into_iter().enumerate() {
        let id = format!("evt_{count}");
        let accepted =
            post_text(&app, "/events", &format!("{{\"id\":\"{id}\",\"data\":{data} ,\"type\":\"t.big\"}}"))
                .await;
        accepted.expect(202);
        let shown = format!("\"type\":\"t.big\",\"data\":{data},\"created_at\":");
        for path in [
            format!("/events/{id}"),
            "/events?per_page=1".to_owned(),
            "/events?fields=type,data,created_at".to_owned(),
        ] {
            let reply = app.get(&app.root_key, &path).await;
            assert!(reply.text.contains(&shown), "{path}: {}", reply.text);
        }
        let received = receiver.wait_for(count + 1).await;
        let sent = received.iter().find(|one| one.header("webhook-id") == id).expect("the delivery");
        let body = std::str::from_utf8(&sent.body).expect("a text");
        assert!(body.ends_with(&format!(",\"data\":{data}}}")), "{body}");
    }
    // In a batch, and with an idempotency key, they go by other ways.
    let items: Vec<String> =
        DATA.iter().map(|data| format!("{{\"type\":\"t.batch\",\"data\":{data}}}")).collect();
    post_text(&app, "/events/batch", &format!("{{\"events\":[{}]}}", items.join(","))).await.expect(202);
    let listed = app.get(&app.root_key, "/events?type=t.batch").await;
    for data in DATA {
        assert!(listed.text.contains(&format!("\"data\":{data},")), "{data}");
    }
    let request = app.request(Method::POST, "/api/v1/events").bearer_auth(&app.root_key);
    let request = request.header("Content-Type", "application/json").header("Idempotency-Key", "once");
    app.send(request.body(format!("{{\"id\":\"evt_key\",\"type\":\"t.key\",\"data\":{}}}", DATA[0])))
        .await
        .expect(202);
    assert!(app.get(&app.root_key, "/events/evt_key").await.text.contains(DATA[0]));
}

async fn the_same_id_means_the_same_bytes(app: TestApp) {
    let event = |data: &str| format!("{{\"id\":\"evt_same\",\"type\":\"t.same\",\"data\":{data}}}");
    post_text(&app, "/events", &event("19.90")).await.expect(202);
    post_text(&app, "/events", &event("19.90")).await.expect(202);
    for other in ["19.9", "1.990e1", "\"19.90\""] {
        post_text(&app, "/events", &event(other)).await.expect_error(409, "conflict");
    }
    assert_eq!(app.get(&app.root_key, "/events?type=t.same").await.expect(200)["meta"]["total"], 1);
}

async fn what_is_too_deep_is_refused(app: TestApp) {
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let event = |levels| format!("{{\"type\":\"t.deep\",\"data\":{}}}", nested(levels));
    post_text(&app, "/events", &event(128)).await.expect(202);
    let error = post_text(&app, "/events", &event(129)).await.expect_error(422, "validation_failed");
    assert_eq!(error["errors"]["data"][0], "The data may not be nested more than 128 levels deep.");
    post_text(&app, "/events", &event(100_000)).await.expect_error(422, "validation_failed");
    let settings = format!("{{\"name\":\"Deep\",\"settings\":{{\"a\":{}}}}}", nested(100_000));
    post_text(&app, "/workspaces", &settings).await.expect_error(422, "validation_failed");
    post_text(&app, "/events", &nested(100_000)).await.expect_error(422, "validation_failed");
    post_text(&app, "/events", &"[".repeat(100_000)).await.expect_error(400, "bad_request");
}

async fn settings_details_and_metadata_keep_their_digits(app: TestApp) {
    let others =
        "{\"wei\":184467440737095516150,\"a\":{\"price\":19.90,\"_\":1E400},\"cut\":\"\\ud83d\\u0000\"}";
    let made = post_text(&app, "/workspaces", &format!("{{\"name\":\"W\",\"settings\":{others}}}")).await;
    assert!(made.text.contains(&format!("\"settings\":{others}")), "{}", made.text);
    let path = "/workspaces/2";
    let patched =
        app.patch(&app.root_key, path, &json!({ "settings": { "timezone": "Europe/Paris" } })).await;
    assert!(
        patched.text.contains("184467440737095516150") && patched.text.contains("19.90"),
        "{}",
        patched.text
    );
    assert!(app.get(&app.root_key, path).await.text.contains("\"price\":19.90"));

    let details = "\"element\":\"a\",\"score\":19.90,\"z\":1,\"a\":184467440737095516150,\"cut\":\"\\ud83d\"";
    let scores = "{\"seo\":95}";
    let issue = format!("{{\"type\":\"x\",\"severity\":\"info\",{details}}}");
    let report = format!("{{\"url\":\"https://example.com/\",\"scores\":{scores},\"issues\":[{issue}]}}");
    post_text(&app, "/seo/report", &report).await.expect(201);
    let issues = app.get(&app.root_key, "/seo/issues/1").await;
    assert!(issues.text.contains(&format!("\"details\":{{{details}}}")), "{}", issues.text);

    // Not shown by the API, but kept.
    let metadata = "{\"z\":19.90,\"a\":[1E400,\"\\ud83d\",\"\\u0000\"]}";
    let body = format!("{{\"feature\":\"api_calls\",\"idempotency_key\":\"k\",\"metadata\":{metadata}}}");
    post_text(&app, "/entitlements/usage", &body).await.expect(200);
    let kept = async |mut tx: Tx<'_>| {
        tx.entitlement_use_kept(Owner::new(WorkspaceId(1), Environment::Live), &["k".to_owned()]).await
    };
    let kept = app.storage.read::<_, StorageError, _>(kept).await.expect("the use");
    let kept = kept.get("k").and_then(|one| one.metadata.as_ref());
    assert_eq!(kept.map(Json::as_str), Some(metadata));
}

async fn members_have_one_order(app: TestApp) {
    let one = app.get(&app.root_key, "/workspaces/1").await.text;
    let list = app.get(&app.root_key, "/workspaces").await.text;
    let data = one.strip_prefix("{\"data\":").and_then(|rest| rest.strip_suffix('}')).expect("an item");
    assert!(list.starts_with(&format!("{{\"data\":[{data}]")), "{list}");
    // Asking for fewer does not change the order, whatever the order of asking.
    let few = app.get(&app.root_key, "/workspaces/1?fields=tier,name").await.text;
    assert!(few.starts_with("{\"data\":{\"id\":1,\"name\":"), "{few}");
}

async fn a_member_given_twice_is_refused(app: TestApp) {
    let body = "{\"name\":\"A\",\"scopes\":[\"posts:read\"],\"scopes\":[\"*\"]}";
    let error = post_text(&app, "/api-keys", body).await.expect_error(422, "validation_failed");
    assert_eq!(error["errors"], json!({ "scopes": ["The scopes may be given only once."] }));
    let error = post_text(&app, "/events", "{\"type\":\"a\",\"type\":\"a\",\"data\":1}").await;
    assert_eq!(
        error.expect_error(422, "validation_failed")["errors"]["type"][0],
        "The type may be given only once."
    );
}

async fn half_a_character_in_a_text_is_named(app: TestApp) {
    let error = post_text(&app, "/workspaces", "{\"name\":\"cut \\ud83d\"}")
        .await
        .expect_error(422, "validation_failed");
    assert_eq!(error["errors"]["name"][0], "The name contains an escape that is not a Unicode character.");
    let error =
        post_text(&app, "/workspaces", "{\"name\":\"A\",\"settings\":{\"timezone\":\"\\ud83d\"}}").await;
    assert!(error.expect_error(422, "validation_failed")["errors"]["settings.timezone"].is_array());
    post_text(&app, "/workspaces", "{\"name\":\"whole \\ud83d\\ude80\"}").await.expect(201);
}

async fn instants_have_six_digits(app: TestApp) {
    let body = json!({ "name": "A", "expires_at": "2027-01-01T00:00:00Z" });
    let made = app.post(&app.root_key, "/api-keys", &body).await.expect(201)["data"].take();
    assert_eq!(made["created_at"], "2026-01-15T10:30:00.000000Z");
    assert_eq!(made["expires_at"], "2027-01-01T00:00:00Z");
    app.clock.advance(std::time::Duration::from_micros(500_000));
    let made = app.post(&app.root_key, "/workspaces", &json!({ "name": "A" })).await.expect(201);
    assert_eq!(made["data"]["created_at"], "2026-01-15T10:30:00.500000Z");
}

async fn names_are_found_in_either_spelling(app: TestApp) {
    let (composed, decomposed) = ("Zimowa łąka école", "Zimowa ła\u{328}ka e\u{301}cole");
    for name in [composed, decomposed] {
        let made = app.post(&app.root_key, "/workspaces", &json!({ "name": name })).await.expect(201);
        assert_eq!(made["data"]["name"], composed);
        app.post(&app.root_key, "/api-keys", &json!({ "name": name })).await.expect(201);
    }
    let found = async |path: &str, words: &str| {
        let words: String = words.bytes().map(|byte| format!("%{byte:02x}")).collect();
        app.get(&app.root_key, &format!("{path}?search={words}")).await.expect(200)["meta"]["total"].clone()
    };
    for path in ["/workspaces", "/api-keys"] {
        for words in ["łąka", "ła\u{328}ka", "école", "e\u{301}cole", "ŁĄKA"] {
            assert_eq!(found(path, words).await, 2, "{path} {words:?}");
        }
        assert_eq!(found(path, "cole").await, 0, "an accent ends no word");
    }
}

async fn compressed_bodies_are_415(app: TestApp) {
    let send = |coding: &str| {
        let request = app.request(Method::POST, "/api/v1/workspaces").bearer_auth(&app.root_key);
        let request = request.header("Content-Type", "application/json").header("Content-Encoding", coding);
        app.send(request.body("{\"name\":\"A\"}"))
    };
    for coding in ["gzip", "br", "deflate", "identity, gzip"] {
        let reply = send(coding).await;
        assert_eq!(reply.header("accept-encoding"), "identity");
        let error = reply.expect_error(415, "unsupported_media_type");
        assert!(error["message"].as_str().is_some_and(|text| text.contains("compressed")), "{error}");
    }
    send("identity").await.expect(201);
    let _: Value = app.get(&app.root_key, "/workspaces").await.expect(200);
}
