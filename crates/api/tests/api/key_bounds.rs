//! What a key may hand on: in its own workspace nothing that lasts longer, comes from further or may more
//! often than itself; and that the platform cannot lock itself out.

use std::time::Duration;

use gatepost_test_support::{TestApp, both_engines};
use serde_json::{Value, json};

both_engines! { TestApp:
    a_new_key_takes_its_makers_bounds,
    a_wider_bound_is_refused,
    a_key_may_rotate_and_revoke_itself_and_not_widen_itself,
    keys_that_reach_further_are_not_rotated_by_those_that_do_not,
    the_roots_bounds_stay_in_the_root,
    the_last_key_of_the_platform_stays,
}

const END: &str = "2026-06-01T00:00:00Z";
const LATER: &str = "2026-06-01T00:00:01Z";

/// A tenant, its widest key, and a key of it with all three bounds.
async fn bounded(app: &TestApp) -> (i64, String, i64, String) {
    let (workspace, _, wide) = app.create_tenant_on("enterprise", "Bounded").await;
    let bounds = json!({
        "scopes": ["*"], "expires_at": END, "allowed_ips": ["127.0.0.0/8"], "rate_limit_tier": "pro",
    });
    let (id, key) = app.create_key(&wide, 0, bounds).await;
    (workspace, wide, id, key)
}

fn bounds_of(key: &Value) -> [&Value; 3] {
    ["expires_at", "allowed_ips", "rate_limit_tier"].map(|member| &key[member])
}

async fn a_new_key_takes_its_makers_bounds(app: TestApp) {
    let (_, wide, _, key) = bounded(&app).await;
    let made = app.post(&key, "/api-keys", &json!({ "name": "Heir" })).await.expect(201);
    assert_eq!(bounds_of(&made["data"]), [&json!(END), &json!(["127.0.0.0/8"]), &json!("pro")]);
    let narrower = json!({
        "name": "Narrower", "expires_at": "2026-05-31T00:00:00Z", "allowed_ips": ["127.0.0.1", "127.1.0.0/16"],
        "rate_limit_tier": "free",
    });
    let made = app.post(&key, "/api-keys", &narrower).await.expect(201);
    assert_eq!(bounds_of(&made["data"])[0], "2026-05-31T00:00:00Z");
    let made = app.post(&wide, "/api-keys", &json!({ "name": "Free" })).await.expect(201);
    assert_eq!(bounds_of(&made["data"]), [&Value::Null, &json!([]), &Value::Null]);
}

async fn a_wider_bound_is_refused(app: TestApp) {
    let (_, wide, _, key) = bounded(&app).await;
    let (other, _) = app.create_key(&wide, 0, json!({ "scopes": ["posts:read"], "expires_at": END })).await;
    let path = format!("/api-keys/{other}");
    for wider in [
        json!({ "expires_at": LATER }),
        json!({ "allowed_ips": ["10.0.0.1"] }),
        json!({ "allowed_ips": ["127.0.0.1", "126.0.0.0/7"] }),
        json!({ "allowed_ips": [] }),
        json!({ "rate_limit_tier": "business" }),
    ] {
        let mut body = wider.clone();
        body["name"] = json!("Wider");
        app.post(&key, "/api-keys", &body).await.expect_error(403, "access_denied");
        if wider.get("rate_limit_tier").is_none() {
            app.patch(&key, &path, &wider).await.expect_error(403, "access_denied");
        }
    }
    for wider in [json!({ "expires_at": null }), json!({ "allowed_ips": null })] {
        app.patch(&key, &path, &wider).await.expect_error(403, "access_denied");
    }
    // What bounds nobody is anybody's to change.
    app.patch(&key, &path, &json!({ "name": "Renamed" })).await.expect(200);
    app.patch(&key, &path, &json!({ "expires_at": END, "allowed_ips": ["127.0.0.1"] })).await.expect(200);
    app.patch(&wide, &path, &json!({ "expires_at": null, "allowed_ips": null })).await.expect(200);
}

async fn a_key_may_rotate_and_revoke_itself_and_not_widen_itself(app: TestApp) {
    let (_, _, id, key) = bounded(&app).await;
    let path = format!("/api-keys/{id}");
    for wider in [
        json!({ "expires_at": LATER }),
        json!({ "expires_at": null }),
        json!({ "allowed_ips": [] }),
        json!({ "allowed_ips": ["0.0.0.0/0"] }),
    ] {
        app.patch(&key, &path, &wider).await.expect_error(403, "access_denied");
    }
    let rotated = app.post(&key, &format!("{path}/rotate"), &json!({})).await.expect(200);
    assert_eq!(bounds_of(&rotated["data"]), [&json!(END), &json!(["127.0.0.0/8"]), &json!("pro")]);
    // In its grace it ends with that.
    let late = json!({ "name": "Late", "expires_at": "2026-01-17T00:00:00Z" });
    app.post(&key, "/api-keys", &late).await.expect_error(403, "access_denied");
    let made = app.post(&key, "/api-keys", &json!({ "name": "Heir" })).await.expect(201);
    assert_eq!(made["data"]["expires_at"], "2026-01-16T10:30:00Z");
    assert_eq!(rotated["data"]["grace_period_ends_at"], "2026-01-16T10:30:00.000000Z");
    app.delete(&key, &path).await.expect(204);
}

async fn keys_that_reach_further_are_not_rotated_by_those_that_do_not(app: TestApp) {
    let (_, wide, _, key) = bounded(&app).await;
    let within = json!({ "expires_at": END, "allowed_ips": ["127.0.0.1"], "rate_limit_tier": "pro" });
    for (member, value) in
        [("expires_at", Value::Null), ("allowed_ips", json!([])), ("rate_limit_tier", Value::Null)]
    {
        let mut members = within.clone();
        members[member] = value;
        let (id, _) = app.create_key(&wide, 0, members).await;
        let refused = app.post(&key, &format!("/api-keys/{id}/rotate"), &json!({})).await;
        refused.expect_error(403, "access_denied");
    }
    let (id, _) = app.create_key(&wide, 0, within).await;
    app.post(&key, &format!("/api-keys/{id}/rotate"), &json!({})).await.expect(200);
}

async fn the_roots_bounds_stay_in_the_root(app: TestApp) {
    let bounds = json!({ "scopes": ["*"], "expires_at": END, "allowed_ips": ["127.0.0.0/8"] });
    let (_, key) = app.create_key(&app.root_key, 0, bounds).await;
    let (workspace, ..) = app.create_tenant_on("enterprise", "Tenant").await;
    let (id, _) = app.create_key(&key, workspace, json!({ "scopes": ["*"] })).await;
    let path = format!("/api/v1/api-keys/{id}");
    let request = app.request(reqwest::Method::GET, &path).bearer_auth(&app.root_key);
    let made = app.send(request.header("X-Workspace-ID", workspace)).await.expect(200);
    assert_eq!(bounds_of(&made["data"])[..2], [&Value::Null, &json!([])]);
    let own = app.post(&key, "/api-keys", &json!({ "name": "Own" })).await.expect(201);
    assert_eq!(bounds_of(&own["data"])[0], END);
}

async fn the_last_key_of_the_platform_stays(app: TestApp) {
    // None of these could manage keys in its place.
    let (_, reader) =
        app.create_key(&app.root_key, 0, json!({ "scopes": ["read", "api-keys:delete"] })).await;
    app.create_key(&app.root_key, 0, json!({ "scopes": ["*"], "environment": "test" })).await;
    app.create_key(&app.root_key, 0, json!({ "scopes": ["*"], "expires_at": "2026-01-16T00:00:00Z" })).await;
    app.clock.advance(Duration::from_secs(86_400));
    let (tenant, _, _) = app.create_tenant("Tenant").await;
    app.create_key(&app.root_key, tenant, json!({ "scopes": ["*"] })).await;
    for key in [&app.root_key, &reader] {
        let refused = app.delete(key, "/api-keys/1").await.expect_error(409, "conflict");
        assert!(refused["message"].as_str().is_some_and(|text| text.contains("gatepost keys")), "{refused}");
    }
    app.patch(&app.root_key, "/api-keys/1", &json!({ "scopes": ["read"] }))
        .await
        .expect_error(409, "conflict");
    app.patch(&app.root_key, "/api-keys/1", &json!({ "scopes": ["api-keys:*", "read"] })).await.expect(200);

    // One in its grace does not stand in for the one that replaced it.
    let rotated = app.post(&app.root_key, "/api-keys/1/rotate", &json!({})).await.expect(200);
    let newer = rotated["data"]["key"].as_str().expect("the secret").to_owned();
    let path = format!("/api-keys/{}", rotated["data"]["id"]);
    app.delete(&app.root_key, &path).await.expect_error(409, "conflict");
    app.delete(&newer, "/api-keys/1").await.expect(204);
    let (second, _) = app.create_key(&newer, 0, json!({ "scopes": ["api-keys:*"] })).await;
    app.delete(&newer, &format!("/api-keys/{second}")).await.expect(204);
    app.delete(&newer, &path).await.expect_error(409, "conflict");
}
