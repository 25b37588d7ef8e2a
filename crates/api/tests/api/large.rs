//! Large bodies and large answers: what is too much at once is cut or refused, and nothing is lost.

use gatepost_test_support::{TestApp, both_engines};
use serde_json::{Value, json};

both_engines! { TestApp:
    pages_hold_so_many_bytes,
    lists_without_a_cursor_say_what_fits,
    what_is_included_is_bounded_too,
    large_bodies_are_read_as_small_ones_are,
}

const MEGABYTE: usize = 1_000_000;

/// The part of a link behind the base path.
fn behind_base(link: &Value) -> String {
    let link = link.as_str().expect("a link");
    link.split_once("/api/v1").expect("a link of the API").1.to_owned()
}

async fn pages_hold_so_many_bytes(app: TestApp) {
    let (_, key) = app.create_key(&app.root_key, 0, json!({ "scopes": ["*"] })).await;
    for nth in 0..6 {
        let event =
            json!({ "id": format!("evt_{nth}"), "type": "large", "data": { "text": "x".repeat(MEGABYTE) } });
        app.post(&key, "/events", &event).await.expect(202);
    }
    let ids = |page: &Value| -> Vec<String> {
        let rows = page["data"].as_array().expect("rows").iter();
        rows.map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
    };
    let first = app.get(&key, "/events?type=large&per_page=100").await;
    let next = behind_base(&first.json["links"]["next"]);
    assert!(next.contains("cursor=") && !next.contains("page=2"), "{next}");
    assert!(first.header("link").contains(&next), "{}", first.header("link"));
    let page = first.expect(200);
    assert_eq!(ids(&page), ["evt_5", "evt_4", "evt_3", "evt_2"]);
    assert_eq!((page["meta"]["total"].as_u64(), page["meta"]["to"].as_u64()), (Some(6), Some(4)));
    let rest = app.get(&key, &next).await.expect(200);
    assert_eq!(ids(&rest), ["evt_1", "evt_0"]);
    assert_eq!((&rest["links"]["next"], &rest["meta"]["next_cursor"]), (&Value::Null, &Value::Null));
    // One more row is looked at than is shown, to know whether there is more.
    let exactly = app.get(&key, "/events?type=large&per_page=4").await.expect(200);
    let exactly = behind_base(&exactly["links"]["next"]).replace("per_page=4", "per_page=1");
    assert_eq!(app.get(&key, &exactly).await.expect(200)["data"].as_array().map(Vec::len), Some(1));

    let by_number = app.get(&key, "/events?type=large&per_page=100&page=1").await;
    let error = by_number.expect_error(422, "validation_failed")["errors"]["per_page"][0].clone();
    let error = error.as_str().expect("a sentence");
    for word in ["per_page=4", "cursor", "fields without data"] {
        assert!(error.contains(word), "{word}: {error}");
    }
    assert_eq!(
        ids(&app.get(&key, "/events?type=large&per_page=4&page=2").await.expect(200)),
        ["evt_1", "evt_0"]
    );
    let light = app.get(&key, "/events?type=large&per_page=100&page=1&fields=type").await.expect(200);
    assert_eq!(light["data"].as_array().map(Vec::len), Some(6));
    assert_eq!(light["data"][0], json!({ "id": "evt_5", "type": "large" }));
}

async fn lists_without_a_cursor_say_what_fits(app: TestApp) {
    let key = app.root_key.clone();
    for nth in 0..6 {
        let issue = json!({ "type": "large", "severity": "info", "text": "x".repeat(9 * MEGABYTE / 10) });
        let report = json!({ "url": format!("https://example.com/{nth}"), "scores": {}, "issues": [issue] });
        app.post(&key, "/seo/report", &report).await.expect(201);
    }
    let refused = app.get(&key, "/seo/issues/1?per_page=100").await.expect_error(422, "validation_failed");
    let error = refused["errors"]["per_page"][0].as_str().expect("a sentence").to_owned();
    assert!(error.contains("per_page=4") && error.contains("fields without details"), "{error}");
    assert!(!error.contains("cursor"), "there is none");
    let page = app.get(&key, "/seo/issues/1?per_page=4&page=2").await.expect(200);
    assert_eq!(page["data"].as_array().map(Vec::len), Some(2));
    let light = app.get(&key, "/seo/issues/1?per_page=100&fields=severity").await.expect(200);
    assert_eq!(light["data"].as_array().map(Vec::len), Some(6));
}

async fn what_is_included_is_bounded_too(app: TestApp) {
    let key = app.root_key.clone();
    let settings = json!({ "settings": { "text": "x".repeat(60_000) } });
    app.patch(&key, "/workspaces/1", &settings).await.expect(200);
    for _ in 0..99 {
        app.create_key(&key, 0, json!({ "scopes": ["posts:read"] })).await;
    }
    let list = async |query: &str| app.get(&key, &format!("/api-keys?include=workspace&{query}")).await;
    let refused = list("per_page=100").await.expect_error(422, "validation_failed");
    let error = refused["errors"]["per_page"][0].as_str().expect("a sentence").to_owned();
    let fits = error.split_once("per_page=").expect("a number").1.trim_end_matches('.').to_owned();
    let page = list(&format!("per_page={fits}")).await.expect(200);
    assert_eq!(page["data"].as_array().map(Vec::len).map(|rows| rows.to_string()), Some(fits));
    assert_eq!(page["data"][0]["workspace"]["id"], 1);
    app.get(&key, "/api-keys?per_page=100").await.expect(200);
}

async fn large_bodies_are_read_as_small_ones_are(app: TestApp) {
    let (_, key) = app.create_key(&app.root_key, 0, json!({ "scopes": ["*"] })).await;
    let events: Vec<Value> = (0..5)
        .map(|nth| json!({ "id": format!("evt_batch-{nth}"), "type": "large", "data": "x".repeat(MEGABYTE) }))
        .collect();
    let batch = json!({ "events": events });
    let accepted = app.post(&key, "/events/batch", &batch).await.expect(202);
    assert_eq!(accepted["data"].as_array().map(Vec::len), Some(5));
    let mut faulty = batch.clone();
    faulty["events"][4]["type"] = json!("Not A Type");
    let refused = app.post(&key, "/events/batch", &faulty).await.expect_error(422, "validation_failed");
    assert!(refused["errors"]["events.4.type"].is_array(), "{refused}");
    let too_large = json!({ "type": "large", "data": "x".repeat((1 << 20) + 1) });
    let refused = app.post(&key, "/events", &too_large).await.expect_error(422, "validation_failed");
    assert!(refused["errors"]["data"].is_array(), "{refused}");
}
