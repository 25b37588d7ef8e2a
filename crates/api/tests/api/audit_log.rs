//! `/audit-log`

use gatepost_test_support::{TestApp, every_face};
use reqwest::Method;
use serde_json::{Value, json};

every_face! { TestApp:
    every_change_is_logged,
    each_environment_and_tenant_has_its_own,
    a_tenant_reads_of_the_platform_only_that_it_acted,
}

async fn every_change_is_logged(app: TestApp) {
    let root = &app.root_key;
    app.post(root, "/workspaces", &json!({ "name": "A" })).await.expect(201);
    app.patch(root, "/workspaces/1", &json!({ "name": "B" })).await.expect(200);
    app.delete(root, "/workspaces/2").await.expect(204);
    let (id, _) = app.create_key(root, 0, json!({ "scopes": ["*"] })).await;
    app.patch(root, &format!("/api-keys/{id}"), &json!({ "name": "B", "allowed_ips": ["10.0.0.1"] }))
        .await
        .expect(200);
    app.post(root, &format!("/api-keys/{id}/rotate"), &json!({})).await.expect(200);
    let request = app.request(Method::DELETE, &format!("/api/v1/api-keys/{id}")).bearer_auth(root);
    app.send(request.header("X-Request-ID", "my-request")).await.expect(204);
    // What is refused or only read leaves no row.
    app.post(root, "/workspaces", &json!({ "name": "" })).await.expect(422);
    app.get(root, "/workspaces").await.expect(200);

    let log = app.get(root, "/audit-log").await.expect(200);
    let rows = log["data"].as_array().expect("rows");
    let actions: Vec<_> = rows.iter().map(|row| row["action"].as_str().expect("an action")).collect();
    let expected = [
        "api_key.revoked",
        "api_key.rotated",
        "api_key.updated",
        "api_key.created",
        "workspace.deleted",
        "workspace.updated",
        "workspace.created",
        "api_key.created",
        "workspace.created",
    ];
    assert_eq!(actions, expected);
    let revoked = &rows[0];
    assert_eq!(revoked["actor"], json!({ "type": "api_key", "id": 1, "workspace_id": 1 }));
    assert_eq!(revoked["target"], json!({ "type": "api_key", "id": id }));
    assert_eq!((&revoked["request_id"], &revoked["ip_address"]), (&json!("my-request"), &json!("127.0.0.1")));
    assert_eq!(rows[2]["details"]["fields"], json!(["name", "allowed_ips"]));
    assert_eq!(rows[7]["actor"]["type"], "command_line");
    let of_request = async |id: &str| {
        let log = app.get(root, &format!("/audit-log?request_id={id}")).await.expect(200);
        log["data"].as_array().expect("rows").iter().map(|row| row["action"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(of_request("my-request").await, ["api_key.revoked"]);
    assert!(of_request("another").await.is_empty());
    app.get(root, "/audit-log?request_id=a%20b").await.expect(422);
    assert_eq!(app.get(root, "/audit-log?per_page=3&page=3").await.expect(200)["meta"]["to"], 9);
}

async fn each_environment_and_tenant_has_its_own(app: TestApp) {
    let (tenant, _, key) = app.create_tenant("Tenant").await;
    let (_, test) = app.create_key(&key, 0, json!({ "scopes": ["*"], "environment": "test" })).await;
    app.post(&test, "/api-keys", &json!({ "name": "in the test environment" })).await.expect(201);
    let count = |log: Value| log["meta"]["total"].as_u64();
    // The root made the first key, the tenant the second; its test key made the third.
    assert_eq!(count(app.get(&key, "/audit-log").await.expect(200)), Some(2));
    assert_eq!(count(app.get(&test, "/audit-log").await.expect(200)), Some(1));
    let acting = app.request(Method::GET, "/api/v1/audit-log").bearer_auth(&app.root_key);
    assert_eq!(count(app.send(acting.header("X-Workspace-ID", tenant)).await.expect(200)), Some(2));
}

async fn a_tenant_reads_of_the_platform_only_that_it_acted(app: TestApp) {
    let (tenant, _, key) = app.create_tenant("Tenant").await;
    app.create_key(&key, 0, json!({ "name": "own" })).await;
    let log = app.get(&key, "/audit-log").await.expect(200)["data"].take();
    let platform = json!({ "type": "platform", "id": null, "workspace_id": null });
    assert_eq!((&log[1]["action"], &log[1]["actor"]), (&json!("api_key.created"), &platform));
    assert_eq!((&log[1]["request_id"], &log[1]["ip_address"]), (&Value::Null, &Value::Null));
    assert_eq!((&log[0]["actor"]["type"], &log[0]["ip_address"]), (&json!("api_key"), &json!("127.0.0.1")));
    assert!(log[0]["request_id"].is_string());
    // Nor by asking for what it may not see.
    let found = async |key: &str, id: &Value| {
        let id = id.as_str().expect("an id");
        let request =
            app.request(Method::GET, &format!("/api/v1/audit-log?request_id={id}")).bearer_auth(key);
        let log = app.send(request.header("X-Workspace-ID", tenant)).await.expect(200);
        log["data"].as_array().map(Vec::len)
    };
    assert_eq!(found(&key, &log[0]["request_id"]).await, Some(1));
    // The platform reads all of it.
    let acting = app.request(Method::GET, "/api/v1/audit-log").bearer_auth(&app.root_key);
    let log = app.send(acting.header("X-Workspace-ID", tenant)).await.expect(200)["data"].take();
    assert_eq!(log[1]["actor"], json!({ "type": "api_key", "id": 1, "workspace_id": 1 }));
    assert_eq!(log[1]["ip_address"], "127.0.0.1");
    let of_platform = &log[1]["request_id"];
    assert_eq!((found(&app.root_key, of_platform).await, found(&key, of_platform).await), (Some(1), Some(0)));
}
