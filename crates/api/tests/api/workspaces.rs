//! `/workspaces`

use std::time::Duration;

use gatepost_test_support::{TestApp, every_face};
use reqwest::Method;
use serde_json::{Value, json};

every_face! { TestApp:
    made_read_changed_deleted,
    slugs_come_from_names,
    settings_are_merged,
    tenants_manage_their_own_and_nothing_else,
    the_root_acts_on_any_workspace,
    test_keys_change_no_workspace,
    pages,
}

async fn made_read_changed_deleted(app: TestApp) {
    let root = &app.root_key;
    let body = json!({ "name": "New Workspace", "slug": "new-workspace", "tier": "pro" });
    let made = app.post(root, "/workspaces", &body).await.expect(201);
    let expected = json!({
        "data": {
            "id": 2, "name": "New Workspace", "slug": "new-workspace", "tier": "pro", "settings": {}, "external_id": null,
            "created_at": "2026-01-15T10:30:00.000000Z", "updated_at": "2026-01-15T10:30:00.000000Z"
        }
    });
    app.says(&made, "Workspace created successfully.");
    assert_eq!(made["data"], expected["data"]);
    assert_eq!(app.get(root, "/workspaces/2").await.expect(200), json!({ "data": expected["data"] }));
    let list = app.get(root, "/workspaces").await.expect(200);
    assert_eq!((&list["data"][1], &list["meta"]["total"]), (&expected["data"], &json!(2)));

    app.clock.advance(Duration::from_secs(60));
    let changed =
        app.patch(root, "/workspaces/2", &json!({ "name": "B", "tier": "agency" })).await.expect(200);
    app.says(&changed, "Workspace updated successfully.");
    assert_eq!((&changed["data"]["name"], &changed["data"]["tier"]), (&json!("B"), &json!("agency")));
    assert_eq!(changed["data"]["updated_at"], "2026-01-15T10:31:00.000000Z");
    // A change is always later than the one before, even when the clock stands still.
    let again = app.patch(root, "/workspaces/2", &json!({})).await.expect(200)["data"].take();
    assert_eq!((&again["name"], &again["updated_at"]), (&json!("B"), &json!("2026-01-15T10:31:00.000001Z")));

    let reply = app.delete(root, "/workspaces/2").await;
    assert_eq!((reply.status.as_u16(), reply.text.as_str()), (204, ""));
    app.get(root, "/workspaces/2").await.expect_error(404, "not_found");
    app.patch(root, "/workspaces/2", &json!({ "name": "C" })).await.expect_error(404, "not_found");
    app.delete(root, "/workspaces/2").await.expect_error(404, "not_found");
    assert_eq!(app.get(root, "/workspaces").await.expect(200)["meta"]["total"], 1);
    app.delete(root, "/workspaces/1").await.expect_error(409, "conflict");
}

async fn slugs_come_from_names(app: TestApp) {
    let root = &app.root_key;
    let slug =
        async |body: Value| app.post(root, "/workspaces", &body).await.expect(201)["data"]["slug"].take();
    assert_eq!(slug(json!({ "name": "Acme Corp" })).await, "acme-corp");
    assert_eq!(slug(json!({ "name": "Acme  Corp!" })).await, "acme-corp-2");
    assert_eq!(slug(json!({ "name": "acme corp", "slug": null })).await, "acme-corp-3");
    assert_eq!(slug(json!({ "name": "🔑" })).await.as_str().map(|s| !s.is_empty()), Some(true));
    let taken = app.post(root, "/workspaces", &json!({ "name": "x", "slug": "acme-corp" })).await.expect(422);
    assert_eq!(taken["errors"]["slug"], json!(["The slug has already been taken."]));
    let taken = app.patch(root, "/workspaces/3", &json!({ "slug": "acme-corp" })).await.expect(422);
    assert!(taken["errors"]["slug"].is_array());
    app.patch(root, "/workspaces/3", &json!({ "slug": "acme-corp-2" })).await.expect(200);

    // Twenty at once with one name: twenty slugs, no error.
    let body = json!({ "name": "Rush" });
    let requests = (0..20).map(|_| app.post(root, "/workspaces", &body));
    let mut slugs: Vec<_> = futures_util::future::join_all(requests)
        .await
        .into_iter()
        .map(|r| r.expect(201)["data"]["slug"].take())
        .collect();
    slugs.sort_by_key(ToString::to_string);
    slugs.dedup();
    assert_eq!(slugs.len(), 20);
}

async fn settings_are_merged(app: TestApp) {
    let root = &app.root_key;
    let settings = json!({ "timezone": "UTC", "locale": "en_GB", "deep": { "a": 1 } });
    app.post(root, "/workspaces", &json!({ "name": "A", "settings": settings })).await.expect(201);
    let change = json!({ "settings": { "timezone": "Europe/London", "locale": null, "deep": { "b": 2 } } });
    let changed = app.patch(root, "/workspaces/2", &change).await.expect(200);
    assert_eq!(changed["data"]["settings"], json!({ "timezone": "Europe/London", "deep": { "b": 2 } }));
    let wrong = json!({ "settings": { "timezone": 5 } });
    app.patch(root, "/workspaces/2", &wrong).await.expect_error(422, "validation_failed");
    // Each part fits, the whole does not.
    for part in 0..2 {
        let member = format!("part{part}");
        let reply =
            app.patch(root, "/workspaces/2", &json!({ "settings": { member: "x".repeat(40_000) } })).await;
        assert_eq!(reply.status, if part == 0 { 200 } else { 422 });
    }
}

async fn tenants_manage_their_own_and_nothing_else(app: TestApp) {
    let (own, _, key) = app.create_tenant("Own").await;
    let (other, _, _) = app.create_tenant("Other").await;
    let list = app.get(&key, "/workspaces").await.expect(200);
    assert_eq!((&list["data"][0]["id"], &list["meta"]["total"]), (&json!(own), &json!(1)));
    let path = format!("/workspaces/{own}");
    app.patch(&key, &path, &json!({ "name": "Mine", "settings": { "locale": "en" } })).await.expect(200);
    // A slug that is taken would tell a tenant who else is here.
    app.patch(&key, &path, &json!({ "slug": "other" })).await.expect_error(403, "access_denied");
    app.patch(&key, &path, &json!({ "tier": "enterprise" })).await.expect_error(403, "access_denied");
    app.delete(&key, &path).await.expect_error(409, "conflict");
    app.post(&key, "/workspaces", &json!({ "name": "More" })).await.expect_error(403, "access_denied");
    for foreign in [1, other, 999] {
        let path = format!("/workspaces/{foreign}");
        app.get(&key, &path).await.expect_error(404, "not_found");
        app.patch(&key, &path, &json!({ "name": "x" })).await.expect_error(404, "not_found");
        app.delete(&key, &path).await.expect_error(404, "not_found");
    }
}

async fn the_root_acts_on_any_workspace(app: TestApp) {
    let (tenant, tenant_key_id, key) = app.create_tenant("Tenant").await;
    let acting = async |key: &str, workspace: &str| {
        let request = app.request(Method::GET, "/api/v1/api-keys").bearer_auth(key);
        app.send(request.header("X-Workspace-ID", workspace)).await
    };
    let seen = acting(&app.root_key, &tenant.to_string()).await.expect(200);
    assert_eq!((&seen["data"][0]["id"], &seen["meta"]["total"]), (&json!(tenant_key_id), &json!(1)));
    acting(&app.root_key, "999").await.expect_error(404, "not_found");
    for malformed in ["", "0", "abc", "-1", "+1", "1.0", "99999999999999999999"] {
        let error = acting(&app.root_key, malformed).await.expect_error(422, "validation_failed");
        let message = "The X-Workspace-ID must be the numeric id of one workspace.";
        assert_eq!(error["errors"]["X-Workspace-ID"][0], message, "{malformed:?}");
        assert_eq!(acting(&key, malformed).await.expect_error(403, "access_denied")["message"], message);
    }
    acting(&key, &tenant.to_string()).await.expect(200);
    for foreign in ["1", "999", "x"] {
        acting(&key, foreign).await.expect_error(403, "access_denied");
    }
    let twice = app.request(Method::GET, "/api/v1/api-keys").bearer_auth(&app.root_key);
    let twice = twice.header("X-Workspace-ID", tenant).header("X-Workspace-ID", 1);
    app.send(twice).await.expect_error(422, "validation_failed");
    let (_, made) = app.create_key(&app.root_key, tenant, json!({ "scopes": ["*"] })).await;
    assert_eq!(app.get(&made, "/workspaces").await.header("x-gatepost-workspace"), tenant.to_string());
}

async fn test_keys_change_no_workspace(app: TestApp) {
    let test = json!({ "scopes": ["*"], "environment": "test" });
    let (_, key) = app.create_key(&app.root_key, 0, test).await;
    app.get(&key, "/workspaces/1").await.expect(200);
    app.post(&key, "/workspaces", &json!({ "name": "x" })).await.expect_error(403, "access_denied");
    app.patch(&key, "/workspaces/1", &json!({ "name": "x" })).await.expect_error(403, "access_denied");
    let (tenant, _, _) = app.create_tenant("Tenant").await;
    app.delete(&key, &format!("/workspaces/{tenant}")).await.expect_error(403, "access_denied");
}

async fn pages(app: TestApp) {
    for number in 0..6 {
        app.post(&app.root_key, "/workspaces", &json!({ "name": format!("W{number}") })).await.expect(201);
    }
    let reply = app.get(&app.root_key, "/workspaces?per_page=3&page=2").await;
    let url = |page: u32| format!("http://{}/api/v1/workspaces?per_page=3&page={page}", app.address);
    let meta = json!({ "current_page": 2, "from": 4, "last_page": 3, "per_page": 3, "to": 6, "total": 7 });
    assert_eq!(reply.json["meta"], meta);
    let links = json!({ "first": url(1), "last": url(3), "prev": url(1), "next": url(3) });
    assert_eq!(reply.json["links"], links);
    assert!(reply.header("link").contains(&format!("<{}>; rel=\"next\"", url(3))));
    let ids: Vec<_> = reply.json["data"].as_array().expect("rows").iter().map(|w| w["id"].as_i64()).collect();
    assert_eq!(ids, [Some(4), Some(5), Some(6)]);
    let beyond = app.get(&app.root_key, "/workspaces?page=9").await.expect(200);
    assert_eq!((&beyond["data"], &beyond["meta"]["from"]), (&json!([]), &Value::Null));
}
