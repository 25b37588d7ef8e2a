//! The resources of the faces that presets give the platform: what their references say, line by line, and
//! what becomes of records when a server starts with other declarations.

use std::fs;

use gatepost_test_support::both_engines;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    faces::Face,
    running::{Installation, Running},
};

both_engines! { Installation:
    anvil_has_leads_collections_and_conversations,
    anthyx_has_posts_and_brands,
    workspace_api_has_projects_and_tasks,
    records_stay_what_they_were_when_a_declaration_changes,
}

fn id(made: &Value) -> String {
    made["data"]["id"].as_str().expect("an id").to_owned()
}

async fn anvil_has_leads_collections_and_conversations(installation: Installation) {
    let face = Face::start(&installation, "anvil", "/v1").await;
    let (workspace, tenant) = face.tenant("enterprise").await;
    let made =
        face.post("/leads", &tenant, json!({ "name": "Ada Lovelace", "email": "ada@example.com" })).await;
    assert_eq!(made.header("x-anvil-tenant"), workspace.to_string());
    let made = made.expect(201);
    assert_eq!(
        made.as_object().map(|made| made.keys().cloned().collect::<Vec<_>>()),
        Some(vec!["success".into(), "data".into()])
    );
    let lead = id(&made);
    let list = face.get("/leads", &tenant).await.expect(200);
    assert_eq!((&list["success"], &list["data"][0]["id"]), (&json!(true), &json!(lead)));
    assert_eq!(list["meta"], json!({ "page": 1, "per_page": 20, "total": 1 }));
    // Dates are in ISO 8601, parameters filter, page and sort.
    let list = face.get("/leads?status=new&sort=-created_at&page=2&per_page=5", &tenant).await.expect(200);
    assert_eq!(list["meta"], json!({ "page": 2, "per_page": 5, "total": 1 }));
    let error = face.get("/leads?status=old", &tenant).await.expect(400);
    assert_eq!(error["error"]["code"], "VALIDATION_ERROR");
    let error = face.post("/leads", &tenant, json!({})).await.expect(400);
    assert_eq!(error["error"]["details"]["errors"]["name"][0], "The name field is required.");

    // `read:leads` lists and fetches; `write:leads` creates, updates and tags.
    let key = async |scopes: Value| {
        let made =
            face.post("/api-keys", &tenant, json!({ "name": "Narrow", "scopes": scopes })).await.expect(201);
        made["data"]["key"].as_str().expect("a key").to_owned()
    };
    let path = format!("/leads/{lead}");
    let reader = key(json!(["read:leads"])).await;
    face.get("/leads", &reader).await.expect(200);
    face.get(&path, &reader).await.expect(200);
    let refused = face.post("/leads", &reader, json!({ "name": "x" })).await.expect(403);
    assert_eq!(refused["error"]["message"], "Insufficient permissions. Required scope: write:leads");
    let writer = key(json!(["write:leads"])).await;
    face.post("/leads", &writer, json!({ "name": "By Zapier" })).await.expect(201);
    let tagged = face.post(&format!("{path}/tag"), &writer, json!({ "tags": ["vip"] })).await.expect(200);
    assert_eq!(tagged["data"]["tags"], json!(["vip"]));
    for method in [Method::PATCH, Method::PUT] {
        face.ask(method, &path, &writer, Some(json!({ "score": 7 }))).await.expect(200);
    }
    face.get(&path, &writer).await.expect(403);
    let refused = face.ask(Method::DELETE, &path, &writer, None).await.expect(403);
    assert_eq!(refused["error"]["message"], "Insufficient permissions. Required scope: delete:leads");

    // `read:conversations` fetches sessions and messages; `write:conversations` sends messages and takes
    // over.
    let conversation = face.post("/conversations", &tenant, json!({ "lead_id": lead })).await.expect(201);
    let conversation = format!("/conversations/{}", id(&conversation));
    let (reader, writer) =
        (key(json!(["read:conversations"])).await, key(json!(["write:conversations"])).await);
    let message = json!({ "author": "customer", "body": "Is anybody there?" });
    face.post(&format!("{conversation}/messages"), &reader, message.clone()).await.expect(403);
    face.post(&format!("{conversation}/messages"), &writer, message).await.expect(201);
    let messages = face.get(&format!("{conversation}/messages"), &reader).await.expect(200);
    assert_eq!(messages["data"][0]["body"], "Is anybody there?");
    face.get(&conversation, &reader).await.expect(200);
    let take_over = format!("{conversation}/take_over");
    let taken = face.post(&take_over, &writer, json!({ "agent": "Grace" })).await.expect(200);
    assert_eq!((&taken["success"], &taken["data"]["handler"]), (&json!(true), &json!("human")));
    let again = face.post(&take_over, &writer, json!({ "agent": "Grace" })).await.expect(400);
    assert_eq!(again["error"]["code"], "INVALID_STATE");

    let collection = face.post("/collections", &tenant, json!({ "name": "Trade fair" })).await.expect(201);
    let collection = id(&collection);
    assert!(collection.starts_with("coll_"));
    let into = Some(json!({ "collection_id": collection }));
    face.ask(Method::PATCH, &path, &tenant, into).await.expect(200);
    let gone =
        face.ask(Method::DELETE, &format!("/collections/{collection}"), &tenant, None).await.expect(200);
    assert_eq!(gone, json!({ "success": true, "data": { "id": collection, "deleted": true } }));
    assert_eq!(face.get(&path, &tenant).await.expect(200)["data"]["collection_id"], Value::Null);

    // Starter plans only read.
    let (_, starter) = face.tenant("starter").await;
    face.get("/leads", &starter).await.expect(200);
    face.post("/leads", &starter, json!({ "name": "x" })).await.expect(403);
    let summary = face.get("/entitlements/check?feature=leads", &tenant).await.expect(200);
    assert_eq!((&summary["data"]["allowed"], &summary["data"]["current_usage"]), (&json!(true), &json!(2)));
    face.server.stop().await;
}

async fn anthyx_has_posts_and_brands(installation: Installation) {
    let face = Face::start(&installation, "anthyx", "/v1").await;
    let (_, tenant) = face.tenant("growth").await;
    let brand =
        face.post("/brands", &tenant, json!({ "name": "Acme", "website": "https://acme.example/" })).await;
    let brand = brand.expect(201);
    assert_eq!(brand["message"], "Brand created successfully.");
    let brand = id(&brand);
    let refused = face.post("/brands", &tenant, json!({ "name": "Acme" })).await.expect(422);
    assert_eq!(refused["errors"]["name"][0], "The name has already been taken.");
    let refused = face.post("/posts", &tenant, json!({ "title": "Hello" })).await.expect(422);
    assert_eq!(refused["errors"]["brand_id"][0], "The brand id field is required.");
    let post = face.post("/posts", &tenant, json!({ "brand_id": brand, "title": "Hello" })).await.expect(201);
    assert_eq!(post["data"]["status"], "draft");
    let post = format!("/posts/{}", id(&post));
    let at = json!({ "publish_at": "2099-01-15T10:30:00Z" });
    let scheduled = face.post(&format!("{post}/schedule"), &tenant, at.clone()).await.expect(200);
    assert_eq!(
        (&scheduled["data"]["status"], &scheduled["data"]["publish_at"]),
        (&json!("scheduled"), &at["publish_at"])
    );
    let again = face.post(&format!("{post}/schedule"), &tenant, at).await.expect(409);
    assert_eq!(again["error"], "conflict");
    face.ask(Method::POST, &format!("{post}/publish"), &tenant, None).await.expect(200);
    let archived = face.ask(Method::POST, &format!("{post}/archive"), &tenant, None).await.expect(200);
    assert_eq!(archived["data"]["status"], "archived");
    assert!(archived["data"]["published_at"].is_string());
    let kept = face.ask(Method::DELETE, &format!("/brands/{brand}"), &tenant, None).await.expect(409);
    assert_eq!(kept["message"], "The brand cannot be deleted while 1 post refers to it.");
    let list = face.get(&format!("/posts?brand_id={brand}&include=brand"), &tenant).await.expect(200);
    assert_eq!((&list["meta"]["total"], &list["data"][0]["brand"]["name"]), (&json!(1), &json!("Acme")));
    face.server.stop().await;
}

async fn workspace_api_has_projects_and_tasks(installation: Installation) {
    let face = Face::start(&installation, "workspace-api", "/v1").await;
    let (_, tenant) = face.tenant("enterprise").await;
    let project = json!({ "name": "My Project", "description": "A new project" });
    let project = face.post("/projects", &tenant, project).await.expect(201);
    assert_eq!((&project["success"], &project["data"]["name"]), (&json!(true), &json!("My Project")));
    let project = id(&project);
    assert!(project.starts_with("proj_"));
    let error = face.post("/projects", &tenant, json!({ "description": "A new project" })).await.expect(400);
    assert_eq!(
        (&error["error"]["code"], &error["error"]["message"], &error["error"]["details"]["field"]),
        (&json!("VALIDATION_ERROR"), &json!("Name is required"), &json!("name"))
    );
    face.post("/projects", &tenant, json!({ "name": "Another" })).await.expect(201);
    let list = face.get("/projects?limit=1&offset=0", &tenant).await.expect(200);
    assert_eq!(list["pagination"], json!({ "total": 2, "limit": 1, "offset": 0, "has_more": true }));
    let list = face.get("/projects", &tenant).await.expect(200);
    assert_eq!(list["pagination"], json!({ "total": 2, "limit": 20, "offset": 0, "has_more": false }));

    let task =
        face.post("/tasks", &tenant, json!({ "title": "My Task", "project_id": project })).await.expect(201);
    let task = format!("/tasks/{}", id(&task));
    assert!(task.starts_with("/tasks/task_"));
    let error = face.post("/tasks", &tenant, json!({ "title": "My Task", "project_id": "proj_123" })).await;
    assert_eq!(error.expect(400)["error"]["details"]["field"], "project_id");
    let done =
        face.ask(Method::PUT, &task, &tenant, Some(json!({ "status": "completed" }))).await.expect(200);
    assert_eq!((&done["data"]["status"], &done["data"]["title"]), (&json!("completed"), &json!("My Task")));
    assert!(done["data"]["completed_at"].is_string());
    let moved =
        face.ask(Method::PUT, &task, &tenant, Some(json!({ "status": "in_progress" }))).await.expect(400);
    assert_eq!(moved["error"]["code"], "INVALID_STATE");
    let again = face.ask(Method::PATCH, &task, &tenant, Some(json!({ "status": "todo" }))).await.expect(200);
    assert_eq!(again["data"]["completed_at"], Value::Null);

    // read views, write creates and updates, delete removes, admin does all.
    for (scope, allowed) in [
        ("read", [200, 403, 403]),
        ("write", [403, 201, 403]),
        ("delete", [403, 403, 200]),
        ("admin", [200, 201, 200]),
    ] {
        let made =
            face.post("/api-keys", &tenant, json!({ "name": scope, "scopes": [scope] })).await.expect(201);
        let key = made["data"]["key"].as_str().expect("a key");
        let other = id(&face.post("/projects", &tenant, json!({ "name": "Other" })).await.expect(201));
        let answers = [
            face.get("/projects", key).await,
            face.post("/projects", key, json!({ "name": "Its own" })).await,
            face.ask(Method::DELETE, &format!("/projects/{other}"), key, None).await,
        ];
        assert_eq!(answers.map(|answer| answer.status.as_u16()), allowed, "{scope}");
    }
    face.ask(Method::DELETE, &format!("/projects/{project}"), &tenant, None).await.expect(200);
    face.get(&task, &tenant).await.expect(404);
    face.server.stop().await;
}

/// Starts a server with these resources.
async fn start(installation: &Installation, resources: &str) -> Running {
    fs::write(installation.dir.path().join("gatepost.toml"), resources).expect("the file");
    Running::start(installation.command(&["serve", "--config", "gatepost.toml", "--bind", "127.0.0.1:0"]))
        .await
}

async fn records_stay_what_they_were_when_a_declaration_changes(installation: Installation) {
    const NARROW: &str =
        "[resources.note]\nids = \"note_\"\nfields.text = { type = \"text\", max = 20, required = true }\n";
    const WIDE: &str = "[resources.note]\nids = \"note_\"\nsearch = [\"text\"]\n\
        fields.text = { type = \"text\", max = 200, required = true, filter = true, sort = true }\n\
        fields.done = { type = \"boolean\", filter = true }\n";
    let client = gatepost_test_support::http_client(None);
    let server = start(&installation, NARROW).await;
    let key = server.first_key().await;
    let ask = async |server: &Running, method: Method, path: &str, body: Option<Value>| {
        let request = client.request(method, server.url(&format!("/api/v1{path}"))).bearer_auth(&key);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap_or_default())
    };
    for text in ["buy milk", "call Ada"] {
        let (status, _) = ask(&server, Method::POST, "/notes", Some(json!({ "text": text }))).await;
        assert_eq!(status, 201);
    }
    let (status, _) = ask(&server, Method::GET, "/notes?search=milk", None).await;
    assert_eq!(status, 422, "it is not searched yet");
    server.stop().await;

    let server = start(&installation, WIDE).await;
    for (query, total) in [("search=milk", 1), ("text=call Ada", 1), ("sort=-text", 2), ("done=true", 0)] {
        let (status, found) = ask(&server, Method::GET, &format!("/notes?{query}"), None).await;
        assert_eq!((status, &found["meta"]["total"]), (200, &json!(total)), "{query}");
    }
    server.stop().await;

    fs::write(installation.dir.path().join("gatepost.toml"), WIDE.replace("max = 200", "max = 7"))
        .expect("the file");
    let refused = installation
        .refused(installation.command(&["serve", "--config", "gatepost.toml", "--bind", "127.0.0.1:0"]))
        .await;
    assert!(refused.contains("resources.note: 2 of 2 records break this declaration: note_"), "{refused}");
    assert!(refused.contains("may not be greater than 7 characters"), "{refused}");

    // Without the declaration they are not seen, and not lost.
    let server = start(&installation, "").await;
    assert_eq!(ask(&server, Method::GET, "/notes", None).await.0, 404);
    server.stop().await;
    let server = start(&installation, WIDE).await;
    assert_eq!(ask(&server, Method::GET, "/notes", None).await.1["meta"]["total"], 2);
    server.stop().await;

    for (text, place_of, error) in [
        (
            "[resources.deleted_record]\nids = \"dr_\"\n",
            "line 1",
            "there is a schema DeletedRecordItem already",
        ),
        ("[resources.webhook]\nids = \"wh_\"\n", "line 1", "/webhooks is a path of the platform"),
        ("[resources.note]\nids = \"note_\"\ncount = \"notes\"\n", "line 3", "no plan lists this"),
        ("[resources.note]\nids = \"note_\"\ncolour = \"red\"\n", "line 3", "unknown field"),
        (
            "[resources.note]\nids = \"note_\"\nfields.a = { type = \"ref\", to = \"b\", on_delete = \"unset\" }\n",
            "line 3",
            "known are: note",
        ),
        ("[resources.note]\nids = \"note_\"\nparent = \"note\"\n", "line 3", "its own parent"),
    ] {
        fs::write(installation.dir.path().join("gatepost.toml"), text).expect("the file");
        let refused = installation
            .refused(installation.command(&["serve", "--config", "gatepost.toml", "--bind", "127.0.0.1:0"]))
            .await;
        assert!(
            refused.contains("gatepost.toml: ") && refused.contains(place_of) && refused.contains(error),
            "{refused}"
        );
    }
}
