//! Records beside others: those that they belong to or refer to, and those of other owners.

use gatepost_test_support::{TestApp, both_engines};
use serde_json::{Value, json};

use super::{WithResources, create, id};

both_engines! { WithResources:
    messages_belong_to_their_conversation,
    what_refers_to_a_record_goes_with_it_or_keeps_it,
    a_thousand_go_at_once_and_no_more,
    what_is_found_by_too_many_words_does_not_go_at_once,
    records_of_others_are_not_there,
    a_value_that_must_be_unique_is_had_once,
}

async fn messages_belong_to_their_conversation(app: TestApp) {
    let key = &app.root_key;
    let conversation = id(&create(&app, "/conversations", json!({})).await);
    let other = id(&create(&app, "/conversations", json!({})).await);
    let messages = format!("/conversations/{conversation}/messages");
    let mut made = Vec::new();
    for number in 0..3 {
        let body = json!({ "author": "customer", "body": format!("message {number}") });
        made.push(create(&app, &messages, body).await);
    }
    assert_eq!(made[0]["conversation_id"], conversation);
    let own = format!("{messages}/{}", id(&made[0]));
    assert_eq!(app.get(key, &own).await.expect(200)["data"], made[0]);
    app.get(key, &format!("/conversations/{other}/messages/{}", id(&made[0])))
        .await
        .expect_error(404, "not_found");
    app.get(key, "/conversations/conv_0123456789abcdef/messages").await.expect_error(404, "not_found");
    app.post(key, "/conversations/conv_0123456789abcdef/messages", &json!({ "author": "bot", "body": "x" }))
        .await
        .expect_error(404, "not_found");
    let refused = json!({ "author": "bot", "body": "x", "conversation_id": other });
    app.post(key, &messages, &refused).await.expect_error(422, "validation_failed");
    app.patch(key, &own, &json!({ "body": "y" })).await.expect_error(405, "method_not_allowed");
    app.get(key, "/messages").await.expect_error(404, "not_found");

    let mut seen = Vec::new();
    let mut query = "?per_page=2".to_owned();
    loop {
        let page = app.get(key, &format!("{messages}{query}")).await.expect(200);
        seen.extend(page["data"].as_array().expect("rows").clone());
        match page["meta"]["next_cursor"].as_str() {
            Some(cursor) => query = format!("?per_page=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, made, "in the order in which they were added");
    assert_eq!(
        app.get(key, &format!("/conversations/{other}/messages")).await.expect(200)["meta"]["total"],
        0
    );

    app.patch(key, &format!("/conversations/{conversation}"), &json!({ "status": "closed" }))
        .await
        .expect(200);
    let closed = app.post(key, &messages, &json!({ "author": "bot", "body": "x" })).await;
    let closed = closed.expect_error(409, "conflict");
    assert_eq!(
        closed["message"],
        "A message can only be added while the status of the conversation is open."
    );
    app.delete(key, &format!("/conversations/{conversation}")).await.expect(204);
    app.get(key, &own).await.expect_error(404, "not_found");
    app.get(key, &messages).await.expect_error(404, "not_found");
    app.app.clean_up().await.expect("cleaned up");
    let left = app.storage.transaction::<_, gatepost_storage::StorageError, _>(
        async |mut tx: gatepost_storage::Tx<'_>| {
            let known = tx.resource_type_all().await?;
            let message = known.iter().find(|known| known.name == "message").expect("the type").id;
            Ok(tx.record_each(message, gatepost_kernel::RecordId(0), 10).await?.len())
        },
    );
    assert_eq!(left.await.expect("the rows"), 0, "the messages are gone with it");
}

async fn what_refers_to_a_record_goes_with_it_or_keeps_it(app: TestApp) {
    let key = &app.root_key;
    let brand = id(&create(&app, "/brands", json!({ "name": "Anvil" })).await);
    let post = id(&create(&app, "/posts", json!({ "brand_id": brand, "title": "Hello" })).await);
    let kept = app.delete(key, &format!("/brands/{brand}")).await.expect_error(409, "conflict");
    assert_eq!(kept["message"], "The brand cannot be deleted while 1 post refers to it.");
    app.delete(key, &format!("/posts/{post}")).await.expect(204);
    app.delete(key, &format!("/brands/{brand}")).await.expect(204);

    let project = id(&create(&app, "/projects", json!({ "name": "Moon" })).await);
    let mut tasks = Vec::new();
    for number in 0..120 {
        let task = json!({ "project_id": project, "title": format!("Step {number}") });
        tasks.push(id(&create(&app, "/tasks", task).await));
    }
    app.delete(key, &format!("/projects/{project}")).await.expect(204);
    for task in [&tasks[0], &tasks[119]] {
        app.get(key, &format!("/tasks/{task}")).await.expect_error(404, "not_found");
    }
    assert_eq!(app.get(key, "/tasks").await.expect(200)["meta"]["total"], 0);

    let lead = id(&create(&app, "/leads", json!({ "name": "Ada" })).await);
    let conversation = id(&create(&app, "/conversations", json!({ "lead_id": lead })).await);
    app.delete(key, &format!("/leads/{lead}")).await.expect(204);
    let conversation = app.get(key, &format!("/conversations/{conversation}")).await.expect(200);
    assert_eq!(conversation["data"]["lead_id"], Value::Null);
    let refused = json!({ "lead_id": lead });
    app.post(key, "/conversations", &refused).await.expect_error(422, "validation_failed");
}

async fn a_thousand_go_at_once_and_no_more(app: TestApp) {
    let key = &app.root_key;
    let project = id(&create(&app, "/projects", json!({ "name": "Moon" })).await);
    let (app, project) = (&app, &project);
    let all = (0..10).map(async |part: usize| {
        for number in 0..100 {
            let task = json!({ "project_id": project, "title": format!("{part} {number}") });
            create(app, "/tasks", task).await;
        }
    });
    futures_util::future::join_all(all).await;
    create(app, "/tasks", json!({ "project_id": project, "title": "One more" })).await;
    let path = format!("/projects/{project}");
    let refused = app.delete(key, &path).await.expect_error(409, "conflict");
    let text = "The project cannot be deleted while more than 1000 records refer to it. Delete those first.";
    assert_eq!(refused["message"], text);
    let one = app.get(key, "/tasks?per_page=1").await.expect(200);
    app.delete(key, &format!("/tasks/{}", id(&one["data"][0]))).await.expect(204);
    app.delete(key, &path).await.expect(204);
    assert_eq!(app.get(key, "/tasks").await.expect(200)["meta"]["total"], 0);
}

async fn records_of_others_are_not_there(app: TestApp) {
    let (_, _, victim) = app.create_tenant("Victim").await;
    let (_, _, attacker) = app.create_tenant("Attacker").await;
    let (_, test) = app.create_key(&victim, 0, json!({ "scopes": ["*"], "environment": "test" })).await;
    let made =
        async |key: &str, path: &str, body: Value| id(&app.post(key, path, &body).await.expect(201)["data"]);
    let collection = made(&victim, "/collections", json!({ "name": "Victim" })).await;
    let lead = made(&victim, "/leads", json!({ "name": "Victim", "email": "victim@example.com" })).await;
    for stranger in [&attacker, &test] {
        let forged = json!({ "name": "Forged", "collection_id": collection });
        let refused = app.post(stranger, "/leads", &forged).await.expect_error(422, "validation_failed");
        let nobody = json!({ "name": "Forged", "collection_id": "coll_0123456789abcdef" });
        assert_eq!(
            refused,
            app.post(stranger, "/leads", &nobody).await.expect_error(422, "validation_failed")
        );
        assert_eq!(app.get(stranger, "/leads?search=victim").await.expect(200)["meta"]["total"], 0);
        let filtered = app.get(stranger, "/leads?email=victim@example.com").await.expect(200);
        assert_eq!(filtered["meta"]["total"], 0);
        // What is unique is so for each owner.
        let own = json!({ "name": "Own", "email": "victim@example.com" });
        let own = made(stranger, "/leads", own).await;
        let refused =
            app.patch(stranger, &format!("/leads/{own}"), &json!({ "collection_id": collection })).await;
        refused.expect_error(422, "validation_failed");
        app.post(stranger, &format!("/leads/{lead}/tag"), &json!({ "tags": ["x"] }))
            .await
            .expect_error(404, "not_found");
    }
    let victims = app.get(&victim, &format!("/leads/{lead}")).await.expect(200);
    assert_eq!(victims["data"]["tags"], Value::Null);
    // A key without the scope is told which it needs, whatever the record.
    let (_, reader) = app.create_key(&victim, 0, json!({ "scopes": ["leads:read"] })).await;
    let refused = app.delete(&reader, &format!("/leads/{lead}")).await.expect_error(403, "access_denied");
    assert_eq!(refused["message"], "Insufficient permissions. Required scope: leads:delete");
    let refused = app.post(&reader, &format!("/leads/{lead}/tag"), &json!({})).await;
    let refused = refused.expect_error(403, "access_denied");
    assert_eq!(refused["message"], "Insufficient permissions. Required scope: leads:write");
    let (_, messages) = app.create_key(&victim, 0, json!({ "scopes": ["messages:read"] })).await;
    let refused = app.get(&messages, "/conversations/conv_0123456789abcdef/messages").await;
    assert_eq!(
        refused.expect_error(403, "access_denied")["message"],
        "Insufficient permissions. Required scope: conversations:read"
    );
}

async fn a_value_that_must_be_unique_is_had_once(app: TestApp) {
    let app = &app;
    let body = |number: usize| json!({ "name": format!("Lead {number}"), "email": "one@example.com" });
    let all = (0..8).map(async |number| app.post(&app.root_key, "/leads", &body(number)).await);
    let replies = futures_util::future::join_all(all).await;
    let (made, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 201);
    assert_eq!(made.len(), 1);
    for reply in refused {
        let refused = reply.expect_error(422, "validation_failed");
        assert_eq!(refused["errors"]["email"][0], "The email has already been taken.");
    }
    let lead = id(&made[0].json["data"]);
    let other = id(&create(app, "/leads", json!({ "name": "Other" })).await);
    let path = format!("/leads/{other}");
    let taken = json!({ "email": "ONE@example.com", "score": 5 });
    app.patch(&app.root_key, &path, &taken).await.expect_error(422, "validation_failed");
    let unchanged = app.get(&app.root_key, &path).await.expect(200);
    assert_eq!(unchanged["data"]["score"], Value::Null, "nothing of it was written");
    app.delete(&app.root_key, &format!("/leads/{lead}")).await.expect(204);
    app.patch(&app.root_key, &path, &taken).await.expect(200);
}

async fn what_is_found_by_too_many_words_does_not_go_at_once(app: TestApp) {
    let project = id(&create(&app, "/projects", json!({ "name": "Moon" })).await);
    for number in 0..101 {
        let notes: Vec<String> = (0..1_000).map(|word| format!("w{number}x{word}")).collect();
        let task = json!({ "project_id": project, "title": "Long", "notes": notes.join(" ") });
        create(&app, "/tasks", task).await;
    }
    let path = format!("/projects/{project}");
    let refused = app.delete(&app.root_key, &path).await.expect_error(409, "conflict");
    let text = "The project cannot be deleted while tasks refer to it that are too large to go with it at once. Delete those first.";
    assert_eq!(refused["message"], text);
    let found = app.get(&app.root_key, "/tasks?search=w100x999").await.expect(200);
    assert_eq!(found["meta"]["total"], 1, "nothing was deleted");
}
