//! What can be done to records, and what is said of it.

use std::time::Duration;

use gatepost_test_support::{
    TestApp, both_engines,
    receiver::{Receiver, Reply as Answered},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{WithResources, create, id};

both_engines! { WithResources:
    records_are_made_found_changed_and_deleted,
    what_is_wrong_with_a_body_is_named,
    lists_are_filtered_sorted_and_searched,
    actions_take_records_from_one_state_to_the_next,
    what_happens_to_records_is_sent_and_noted,
    other_paths_stay_what_they_were,
    records_are_counted_by_time,
    declarations_are_shown,
}

async fn records_are_made_found_changed_and_deleted(app: TestApp) {
    let key = &app.root_key;
    let body = json!({ "name": "Ada Lovelace", "email": "Ada@example.com", "custom": { "a": [1.50] } });
    let made = app.post(key, "/leads", &body).await.expect(201);
    assert_eq!(made["message"], "Lead created successfully.");
    let lead = &made["data"];
    let id = id(lead);
    assert!(id.starts_with("lead_") && id.len() == 21, "{id}");
    let expected = json!({
        "id": id, "name": "Ada Lovelace", "email": "Ada@example.com", "company": null, "status": "new", "score": null, "tags": null,
        "vip": null, "seen_at": null, "collection_id": null, "custom": { "a": [1.50] },
        "created_at": "2026-01-15T10:30:00.000000Z", "updated_at": "2026-01-15T10:30:00.000000Z",
    });
    assert_eq!(lead, &expected);
    let path = format!("/leads/{id}");
    let got = app.get(key, &path).await;
    let tag = got.header("etag").to_owned();
    assert_eq!(got.expect(200)["data"], expected);
    let some = app.get(key, &format!("{path}?fields=name,status")).await.expect(200);
    assert_eq!(some["data"], json!({ "id": id, "name": "Ada Lovelace", "status": "new" }));

    let changed = app.patch(key, &path, &json!({ "score": 7, "email": null })).await.expect(200);
    assert_eq!(changed["message"], "Lead updated successfully.");
    assert_eq!((&changed["data"]["score"], &changed["data"]["email"]), (&json!(7), &Value::Null));
    let request =
        app.request(Method::PATCH, &format!("/api/v1{path}")).bearer_auth(key).header("if-match", tag);
    app.send(request.json(&json!({ "score": 8 }))).await.expect_error(412, "precondition_failed");
    let put =
        app.request(Method::PUT, &format!("/api/v1{path}")).bearer_auth(key).json(&json!({ "score": 9 }));
    let put = app.send(put).await.expect(200);
    assert_eq!(
        (&put["data"]["score"], &put["data"]["name"]),
        (&json!(9), &json!("Ada Lovelace")),
        "it merges"
    );
    app.patch(key, &path, &json!({})).await.expect(200);
    // JSON of the caller's own is kept as it came, whatever the database thinks of it.
    let odd = r#"{"custom":{"nul":"a\u0000b","number":1.50e2,"twice":1,"twice":2}}"#;
    let request = app.request(Method::PATCH, &format!("/api/v1{path}")).bearer_auth(key);
    let odd = app.send(request.header("content-type", "application/json").body(odd)).await;
    assert!(
        odd.text.contains(r#""custom":{"nul":"a\u0000b","number":1.50e2,"twice":1,"twice":2}"#),
        "{}",
        odd.text
    );
    let listed = app.get(key, "/leads").await;
    assert!(listed.text.contains(r#""nul":"a\u0000b""#), "{}", listed.text);

    app.delete(key, &path).await.expect(204);
    app.get(key, &path).await.expect_error(404, "not_found");
    app.delete(key, &path).await.expect_error(404, "not_found");
    for nobody in [
        "/leads/1",
        "/leads/lead_",
        "/leads/lead_0123456789ABCDEF",
        "/leads/lead_%00",
        "/leads/conv_0123456789abcdef",
    ] {
        app.get(key, nobody).await.expect_error(404, "not_found");
        app.patch(key, nobody, &json!({ "score": 1 })).await.expect_error(404, "not_found");
    }
}

async fn what_is_wrong_with_a_body_is_named(app: TestApp) {
    let key = &app.root_key;
    let refused = async |body: Value, field: &str, error: &str| {
        let refused = app.post(key, "/leads", &body).await.expect_error(422, "validation_failed");
        let errors = refused["errors"][field].to_string();
        assert!(errors.contains(error), "{field}: {refused}");
    };
    refused(json!({}), "name", "The name field is required.").await;
    refused(json!({ "name": " " }), "name", "The name field is required.").await;
    refused(json!({ "name": null }), "name", "The name field is required.").await;
    refused(json!({ "name": 1 }), "name", "must be a string").await;
    refused(json!({ "name": "x".repeat(201) }), "name", "may not be greater than 200 characters").await;
    refused(json!({ "name": "a\u{0}b" }), "name", "NUL").await;
    refused(json!({ "name": "a", "nickname": "b" }), "nickname", "is not known. Known fields: name, email")
        .await;
    refused(json!({ "name": "a", "id": "lead_0123456789abcdef" }), "id", "is not known").await;
    refused(json!({ "name": "a", "email": "nobody" }), "email", "valid email address").await;
    refused(json!({ "name": "a", "status": "old" }), "status", "must be one of: new, contacted").await;
    refused(json!({ "name": "a", "score": 101 }), "score", "between 0 and 100").await;
    refused(json!({ "name": "a", "score": "7" }), "score", "must be an integer").await;
    refused(json!({ "name": "a", "vip": 1 }), "vip", "must be true or false").await;
    refused(json!({ "name": "a", "seen_at": "yesterday" }), "seen_at", "ISO 8601").await;
    refused(json!({ "name": "a", "tags": ["a", "b", "c", "d"] }), "tags", "more than 3 items").await;
    refused(json!({ "name": "a", "tags": ["a", 1] }), "tags.1", "must be a string").await;
    refused(json!({ "name": "a", "custom": { "a": "x".repeat(200) } }), "custom", "larger than 100 bytes")
        .await;
    refused(
        json!({ "name": "a", "collection_id": "coll_0123456789abcdef" }),
        "collection_id",
        "there is no such",
    )
    .await;
    refused(
        json!({ "name": "a", "collection_id": "lead_0123456789abcdef" }),
        "collection_id",
        "id of a collection",
    )
    .await;
    let deep = format!("{{\"name\":\"a\",\"custom\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    let request = app
        .request(Method::POST, "/api/v1/leads")
        .bearer_auth(key)
        .header("content-type", "application/json");
    let refused = app.send(request.body(deep)).await;
    assert!(matches!(refused.status.as_u16(), 400 | 422), "{refused:?}");
    let blocked = app.post(key, "/conversations", &json!({ "handler": "human" })).await;
    let blocked = blocked.expect_error(422, "validation_failed");
    assert_eq!(blocked["errors"]["handler"][0], "The handler is set by take_over or release alone.");
    let conversation = id(&create(&app, "/conversations", json!({})).await);
    let blocked =
        app.patch(key, &format!("/conversations/{conversation}"), &json!({ "handler": null })).await;
    let blocked = blocked.expect_error(422, "validation_failed");
    assert_eq!(blocked["errors"]["handler"][0], "The handler is set by take_over or release alone.");
    assert_eq!(app.get(key, "/leads").await.expect(200)["meta"]["total"], 0, "nothing was written");
}

async fn lists_are_filtered_sorted_and_searched(app: TestApp) {
    let key = &app.root_key;
    let collection = id(&create(&app, "/collections", json!({ "name": "Trade fair" })).await);
    let all = [
        json!({ "name": "Ada", "email": "ada@example.com", "score": 10, "tags": ["vip", "eu"], "vip": true }),
        json!({ "name": "Bob", "company": "Anvil Works", "score": 30, "status": "won", "tags": ["eu"] }),
        json!({ "name": "Cid", "score": 20, "status": "lost", "seen_at": "2026-02-01T00:00:00Z" }),
        json!({ "name": "Dot", "collection_id": collection, "vip": false }),
    ];
    for lead in all {
        create(&app, "/leads", lead).await;
    }
    let names = async |query: &str| {
        let list = app.get(key, &format!("/leads?{query}")).await.expect(200);
        let rows = list["data"].as_array().expect("rows").clone();
        assert_eq!(list["meta"]["total"], rows.len(), "{query}");
        rows.iter().map(|row| row["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>().concat()
    };
    for (query, expected) in [
        ("", "AdaBobCidDot"),
        ("sort=-created_at", "DotCidBobAda"),
        ("sort=-score", "DotBobCidAda"),
        ("sort=score,name", "AdaCidBobDot"),
        ("status=new", "AdaDot"),
        ("status=won&status=lost", "BobCid"),
        ("score=20", "Cid"),
        ("score_min=20", "BobCid"),
        ("score=20&score_min=21", ""),
        ("score_min=11&score_max=20", "Cid"),
        ("tags=eu", "AdaBob"),
        ("tags=vip&tags=none", "Ada"),
        ("vip=true", "Ada"),
        ("vip=false", "Dot"),
        ("email=ADA@example.com", "Ada"),
        ("seen_at_after=2026-02-01", "Cid"),
        ("seen_at_before=2026-01-31", ""),
        ("search=works", "Bob"),
        ("search=ANV", "Bob"),
        ("search=ada example", "Ada"),
        (&format!("collection_id={collection}"), "Dot"),
        ("created_after=2026-01-16", ""),
    ] {
        assert_eq!(names(query).await, expected, "{query}");
    }
    let list = app.get(key, "/leads?per_page=1&page=2&include=collection").await.expect(200);
    assert_eq!((&list["meta"]["total"], &list["data"][0]["name"]), (&json!(4), &json!("Bob")));
    assert_eq!(list["data"][0]["collection"], Value::Null);
    let list = app.get(key, "/leads?include=collection&fields=name&sort=-created_at").await.expect(200);
    assert_eq!(list["data"][0]["collection"]["name"], "Trade fair");
    assert_eq!(list["data"][0].as_object().expect("a row").len(), 3);
    let (_, leads_only) = app.create_key(key, 0, json!({ "scopes": ["leads:read"] })).await;
    app.get(&leads_only, "/leads").await.expect(200);
    app.get(&leads_only, "/leads?include=collection").await.expect_error(403, "access_denied");
    for (query, field) in [
        ("status=old", "status"),
        ("score=x", "score"),
        ("vip=maybe", "vip"),
        ("company=Anvil", "company"),
        ("sort=company", "sort"),
        ("collection_id=1", "collection_id"),
        ("seen_at_after=soon", "seen_at_after"),
        ("cursor=x", "cursor"),
        ("search=", "search"),
    ] {
        let refused = app.get(key, &format!("/leads?{query}")).await.expect_error(422, "validation_failed");
        assert!(refused["errors"][field].is_array(), "{query}: {refused}");
    }
}

async fn actions_take_records_from_one_state_to_the_next(app: TestApp) {
    let key = &app.root_key;
    let lead = id(&create(&app, "/leads", json!({ "name": "Ada", "tags": ["a"] })).await);
    let act = async |path: &str, body: Value| app.post(key, path, &body).await;
    let tagged = act(&format!("/leads/{lead}/tag"), json!({ "tags": ["b", "a"] })).await.expect(200);
    assert_eq!(tagged["message"], "Lead tagged successfully.");
    assert_eq!(tagged["data"]["tags"], json!(["a", "b"]));
    act(&format!("/leads/{lead}/tag"), json!({})).await.expect_error(422, "validation_failed");
    let full = act(&format!("/leads/{lead}/tag"), json!({ "tags": ["c", "d"] })).await;
    assert!(full.expect_error(422, "validation_failed")["errors"]["tags"].is_array());
    let untagged = act(&format!("/leads/{lead}/untag"), json!({ "tags": ["a"] })).await.expect(200);
    assert_eq!(untagged["data"]["tags"], json!(["b"]));
    act(&format!("/leads/{lead}/nothing"), json!({})).await.expect_error(404, "not_found");

    let conversation = id(&create(&app, "/conversations", json!({ "lead_id": lead })).await);
    let take_over = format!("/conversations/{conversation}/take_over");
    let taken = act(&take_over, json!({ "agent": "Grace" })).await.expect(200);
    assert_eq!(taken["message"], "Conversation taken over successfully.");
    assert_eq!((&taken["data"]["handler"], &taken["data"]["agent"]), (&json!("human"), &json!("Grace")));
    let again = act(&take_over, json!({ "agent": "Grace" })).await.expect_error(409, "conflict");
    let text = "The conversation cannot take over while its handler is human; it must be bot.";
    assert_eq!(again["message"], text);
    let released =
        app.request(Method::POST, &format!("/api/v1/conversations/{conversation}/release")).bearer_auth(key);
    let released = app.send(released).await.expect(200);
    assert_eq!((&released["data"]["handler"], &released["data"]["agent"]), (&json!("bot"), &Value::Null));

    let project = id(&create(&app, "/projects", json!({ "name": "Moon" })).await);
    let task =
        create(&app, "/tasks", json!({ "project_id": project, "title": "Land", "status": "in_progress" }))
            .await;
    let task = format!("/tasks/{}", id(&task));
    let done = app.patch(key, &task, &json!({ "status": "completed" })).await.expect(200);
    assert_eq!(done["data"]["completed_at"], "2026-01-15T10:30:00Z");
    let back = app.patch(key, &task, &json!({ "status": "in_progress" })).await.expect_error(409, "conflict");
    assert_eq!(
        back["message"],
        "The status of the task cannot become in_progress: from completed it can become todo."
    );
    let none = app.patch(key, &task, &json!({ "status": null })).await.expect_error(422, "validation_failed");
    assert_eq!(none["errors"]["status"][0], "The status field is required.");
    // The same once more, by a key that was used before, changes nothing.
    let untag = format!("/leads/{lead}/untag");
    let once = async || {
        let request = app
            .request(Method::POST, &format!("/api/v1{untag}"))
            .bearer_auth(key)
            .header("idempotency-key", "once");
        app.send(request.json(&json!({ "tags": ["b"] }))).await
    };
    let first = once().await.expect(200);
    act(&format!("/leads/{lead}/tag"), json!({ "tags": ["b"] })).await.expect(200);
    let second = once().await;
    assert_eq!(second.header("idempotent-replayed"), "true");
    assert_eq!(second.expect(200), first);
    let now = app.get(key, &format!("/leads/{lead}")).await.expect(200);
    assert_eq!(now["data"]["tags"], json!(["b"]));
}

async fn what_happens_to_records_is_sent_and_noted(app: TestApp) {
    let key = &app.root_key;
    let receiver = Receiver::start().await;
    receiver.always(Answered::status(200, "", ""));
    let endpoint = json!({ "url": receiver.url("/hook"), "events": ["lead.*", "task.completed"] });
    app.post(key, "/webhooks", &endpoint).await.expect(201);
    let lead = create(&app, "/leads", json!({ "name": "Ada" })).await;
    let path = format!("/leads/{}", id(&lead));
    app.post(key, &format!("{path}/tag"), &json!({ "tags": ["vip"] })).await.expect(200);
    app.delete(key, &path).await.expect(204);
    let events = app.get(key, "/events?sort=created_at").await.expect(200);
    let types: Vec<&str> =
        events["data"].as_array().expect("rows").iter().filter_map(|row| row["type"].as_str()).collect();
    let of_leads: Vec<&&str> = types.iter().filter(|name| name.starts_with("lead.")).collect();
    assert_eq!(of_leads, [&"lead.created", &"lead.tagged", &"lead.deleted"]);
    let created = events["data"].as_array().expect("rows").iter().find(|row| row["type"] == "lead.created");
    assert_eq!(created.expect("the event")["data"], lead);
    let received = receiver.wait_for(3).await;
    let sent: Vec<Value> = received.iter().map(|received| received.json()["type"].take()).collect();
    for event_type in ["lead.created", "lead.tagged", "lead.deleted"] {
        assert!(sent.contains(&json!(event_type)), "{sent:?}");
    }
    let log = app.get(key, "/audit-log?target_type=lead&sort=created_at").await.expect(200);
    let noted: Vec<(&str, &str)> = log["data"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| {
            (row["action"].as_str().expect("an action"), row["details"]["id"].as_str().expect("an id"))
        })
        .collect();
    let lead = id(&lead);
    let lead = lead.as_str();
    assert_eq!(noted, [("lead.created", lead), ("lead.tagged", lead), ("lead.deleted", lead)]);

    for event_type in ["lead.created", "lead.tagged", "task.completed", "message.created"] {
        let forged = json!({ "type": event_type, "data": {} });
        let refused = app.post(key, "/events", &forged).await.expect_error(422, "validation_failed");
        assert!(refused["errors"]["type"].is_array(), "{refused}");
        let batch = json!({ "events": [{ "type": "lead.noticed", "data": {} }, forged] });
        let refused = app.post(key, "/events/batch", &batch).await.expect_error(422, "validation_failed");
        assert!(refused["errors"]["events.1.type"].is_array(), "{refused}");
    }
    app.post(key, "/events", &json!({ "type": "lead.noticed", "data": {} })).await.expect(202);
}

async fn other_paths_stay_what_they_were(app: TestApp) {
    let key = &app.root_key;
    app.get(key, "/nothing").await.expect_error(404, "not_found");
    app.get(key, "/nothing/at/all").await.expect_error(404, "not_found");
    let wrong = app.request(Method::PUT, "/api/v1/leads").bearer_auth(key);
    let wrong = app.send(wrong).await;
    assert_eq!(wrong.header("allow"), "GET, POST, HEAD, OPTIONS");
    wrong.expect_error(405, "method_not_allowed");
    let options = app.send(app.request(Method::OPTIONS, "/api/v1/leads/lead_0123456789abcdef")).await;
    assert_eq!(options.header("allow"), "GET, PUT, PATCH, DELETE, HEAD, OPTIONS");
    let wrong = app.send(app.request(Method::PUT, "/api/v1/webhooks/1").bearer_auth(key)).await;
    wrong.expect_error(405, "method_not_allowed");
    app.get("", "/leads").await.expect_error(401, "unauthorized");
}

async fn records_are_counted_by_time(app: TestApp) {
    let key = &app.root_key;
    for status in ["new", "new", "won"] {
        create(&app, "/leads", json!({ "name": "Ada", "status": status })).await;
    }
    app.clock.advance(Duration::from_secs(86_400));
    create(&app, "/leads", json!({ "name": "Bob" })).await;
    let span = "from=2026-01-15&to=2026-01-16";
    let counted = app.get(key, &format!("/analytics/leads?{span}")).await.expect(200)["data"].take();
    assert_eq!((&counted["total"], &counted["group_by"]), (&json!(4), &Value::Null));
    assert_eq!(counted["periods"], json!(["2026-01-15T00:00:00Z", "2026-01-16T00:00:00Z"]));
    assert_eq!(counted["series"], json!([{ "group": null, "total": 4, "counts": [3, 1] }]));
    let grouped = app.get(key, &format!("/analytics/leads?{span}&group_by=status")).await.expect(200);
    let series = json!([
        { "group": "new", "total": 3, "counts": [2, 1] },
        { "group": "won", "total": 1, "counts": [1, 0] },
    ]);
    assert_eq!(grouped["data"]["series"], series);
    let by_hour = "/analytics/leads?interval=hour&from=2026-01-15T10:00:00Z&to=2026-01-15T10:59:00Z";
    assert_eq!(app.get(key, by_hour).await.expect(200)["data"]["total"], 3);
    app.get(key, "/analytics/leads?group_by=name").await.expect_error(422, "validation_failed");
    app.get(key, "/analytics/posts?group_by=status").await.expect_error(422, "validation_failed");
    app.get(key, "/analytics/messages").await.expect_error(404, "not_found");
    let (_, reader) = app.create_key(key, 0, json!({ "scopes": ["leads:read"] })).await;
    let refused = app.get(&reader, "/analytics/leads").await.expect_error(403, "access_denied");
    assert_eq!(refused["message"], "Insufficient permissions. Required scope: analytics:read");
    let (_, _, other) = app.create_tenant("Other").await;
    assert_eq!(app.get(&other, &format!("/analytics/leads?{span}")).await.expect(200)["data"]["total"], 0);
}

async fn declarations_are_shown(app: TestApp) {
    let shown = app.get(&app.root_key, "/resource-types").await.expect(200);
    assert_eq!(shown["meta"]["total"], 8);
    let message = shown["data"].as_array().expect("rows").iter().find(|row| row["name"] == "message");
    let message = message.expect("messages");
    assert_eq!(message["path"], "/api/v1/conversations/{id}/messages");
    assert_eq!((&message["parent"], &message["is_log"]), (&json!("conversation"), &json!(true)));
    let author = json!({
        "name": "author", "type": "enum", "required": true, "unique": false, "filter": true, "sort": false, "set_by_actions": false,
        "values": ["customer", "bot", "agent"], "to": null,
    });
    assert_eq!(message["fields"][1], author);
    let (_, key) = app.create_key(&app.root_key, 0, json!({ "scopes": ["leads:read"] })).await;
    app.get(&key, "/resource-types").await.expect_error(403, "access_denied");
}
