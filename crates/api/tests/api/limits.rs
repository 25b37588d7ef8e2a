//! Limits: per key by minute and day, per address without a key, and what a plan allows its keys.

use std::time::Duration;

use gatepost_app::{App, EntitlementSettings};
use gatepost_entitlements::{Access, Catalog, Plan};
use gatepost_gate::{GateSettings, LimitSettings};
use gatepost_keys::{Token, TokenFormat};
use gatepost_test_support::{Engine, Reply, TestApp, both_engines};
use reqwest::Method;
use serde_json::json;

/// An application with small plans.
struct Small(TestApp);

fn settings() -> gatepost_app::AppSettings {
    let plans = [
        Plan { requests_per_minute: Some(3), burst_percent: 100, ..Plan::unlimited("minute") },
        Plan { requests_per_day: Some(25), ..Plan::unlimited("day") },
        Plan { max_keys: Some(5), ..Plan::unlimited("five") },
        Plan {
            requests_per_minute: Some(20),
            requests_per_day: Some(100),
            max_keys: Some(2),
            ..Plan::unlimited("single")
        },
        Plan {
            requests_per_minute: Some(4),
            requests_per_minute_workspace: Some(10),
            requests_per_day_workspace: Some(30),
            ..Plan::unlimited("bounded")
        },
        Plan { access: Access::Read, ..Plan::unlimited("reader") },
        Plan::unlimited("boundless"),
    ];
    let catalog = Catalog::new(plans, []).expect("plans");
    gatepost_app::AppSettings {
        catalog,
        gate: GateSettings {
            limits: LimitSettings { anonymous_per_minute: 5, ..LimitSettings::default() },
            ..GateSettings::default()
        },
        entitlements: EntitlementSettings {
            upgrade_url: Some("https://example.com/upgrade".to_owned()),
            ..EntitlementSettings::default()
        },
        ..gatepost_app::AppSettings::default()
    }
}

impl Small {
    async fn start(engine: Engine) -> Self {
        Self(TestApp::start_with(engine, gatepost_api::ApiSettings::default(), settings()).await)
    }

    /// Makes a workspace on a plan and a key of it.
    async fn tenant(&self, tier: &str) -> (i64, String) {
        let (workspace, _, key) = self.0.create_tenant_on(tier, tier).await;
        (workspace, key)
    }

    async fn get(&self, key: &str) -> Reply {
        self.0.get(key, "/workspaces").await
    }
}

both_engines! { Small:
    the_minute_and_its_burst,
    the_day_ends_at_midnight_and_survives_a_crash,
    a_day_is_shared_by_nodes,
    addresses_without_a_key,
    five_keys_are_five_keys,
    access_narrows_use,
    no_limit_no_headers,
    rotating_wins_no_requests,
    revoking_and_making_anew_wins_no_requests,
    a_grace_hides_no_key_from_the_cap,
    all_keys_of_a_tenant_together,
    what_is_spent_together_survives_a_restart,
}

fn token(key: &str) -> Token {
    Token::parse(&TokenFormat::default(), key).expect("a key")
}

fn headers(reply: &Reply) -> [&str; 5] {
    ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit", "ratelimit-policy"]
        .map(|name| reply.header(name))
}

async fn the_minute_and_its_burst(small: Small) {
    let (_, key) = small.tenant("minute").await;
    // 2026-01-15T10:30:00Z and 60 seconds, when the last of the requests has left every window.
    let reset = "1768473060";
    for remaining in ["2", "1", "0", "0", "0", "0"] {
        let reply = small.get(&key).await;
        assert_eq!(reply.status, 200);
        let standing = format!("\"minute\";r={remaining};t=60");
        assert_eq!(headers(&reply), ["3", remaining, reset, &standing, "\"minute\";q=3;w=60"]);
    }
    for _ in 0..3 {
        let reply = small.get(&key).await;
        assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (429, "60"));
        assert_eq!(headers(&reply)[..3], ["3", "0", reset]);
        let expected = json!({
            "error": "rate_limit_exceeded", "message": "Too many requests. Please retry after 60 seconds.",
            "retry_after": 60, "limit": 3, "remaining": 0, "reset_at": "2026-01-15T10:31:00Z"
        });
        assert_eq!(reply.json, expected);
    }
    small.0.clock.advance(Duration::from_micros(59_999_999));
    small.get(&key).await.expect(429);
    small.0.clock.advance(Duration::from_micros(1));
    assert_eq!(headers(&small.get(&key).await)[1], "2", "refused requests have spent nothing");
    // A request that is refused for its scope spends nothing, and says how the key stands.
    let (_, weak) = small.0.create_key(&key, 0, json!({ "scopes": ["posts:read"] })).await;
    for _ in 0..10 {
        let reply = small.get(&weak).await;
        assert_eq!((reply.status.as_u16(), headers(&reply)[1]), (403, "3"));
    }
}

/// How many of `tries` requests are let in.
async fn let_in(small: &Small, key: &str, tries: usize) -> usize {
    let mut count = 0;
    for _ in 0..tries {
        let reply = small.get(key).await;
        match reply.status.as_u16() {
            200 => count += 1,
            status => {
                assert_eq!(status, 429);
                assert_eq!(reply.json["reset_at"], "2026-01-16T00:00:00Z");
                assert_eq!(reply.header("x-ratelimit-limit"), "25");
            }
        }
    }
    count
}

async fn the_day_ends_at_midnight_and_survives_a_crash(small: Small) {
    let (_, key) = small.tenant("day").await;
    let reply = small.get(&key).await;
    assert_eq!((reply.status.as_u16(), headers(&reply)[4]), (200, "\"day\";q=25;w=86400"));
    assert_eq!(headers(&reply)[..2], ["25", "24"]);
    assert_eq!(let_in(&small, &key, 40).await, 24);
    small.0.clock.advance(Duration::from_secs(13 * 3_600 + 1_799));
    small.get(&key).await.expect(429);
    small.0.clock.advance(Duration::from_secs(1));
    assert_eq!(small.get(&key).await.status, 200, "a new day");

    // Another process on the same database that knows nothing of the first, as after a kill -9.
    let again = |small: &Small| App::new(small.0.storage.clone(), settings(), small.0.clock.clone());
    let mut admitted = 1;
    for _ in 0..4 {
        let app = again(&small);
        let principal = app.gate().authenticate(&token(&key), None).await.expect("the key");
        for _ in 0..7 {
            let verdict = app.gate().take(&principal, 1).await.expect("a verdict");
            admitted += usize::from(verdict.refusal.is_none());
        }
    }
    assert!(admitted <= 25, "{admitted}");
    // One that stops in good order gives back what it did not use, so the rest can still be had.
    let app = again(&small);
    app.gate().release_leases().await.expect("nothing to give back");
}

async fn a_day_is_shared_by_nodes(small: Small) {
    let (_, key) = small.tenant("day").await;
    let nodes: Vec<App> =
        (0..3).map(|_| App::new(small.0.storage.clone(), settings(), small.0.clock.clone())).collect();
    let spend = async |app: &App, tries: usize| {
        let principal = app.gate().authenticate(&token(&key), None).await.expect("the key");
        let mut count = 0;
        for _ in 0..tries {
            count += usize::from(app.gate().take(&principal, 1).await.expect("a verdict").refusal.is_none());
        }
        count
    };
    let all = futures_util::future::join_all(nodes.iter().map(|app| spend(app, 6))).await;
    let spent: usize = all.iter().sum();
    assert!(spent <= 25);
    for app in &nodes {
        app.gate().release_leases().await.expect("given back");
    }
    // What was given back can be spent by another, to the last request and no further.
    let late = App::new(small.0.storage.clone(), settings(), small.0.clock.clone());
    assert_eq!(spent + spend(&late, 40).await, 25);
}

async fn addresses_without_a_key(small: Small) {
    let (app, root) = (&small.0, &small.0.root_key);
    let anonymous = async || app.send(app.request(Method::GET, "/api/v1/workspaces")).await;
    for remaining in ["4", "3", "2"] {
        let reply = anonymous().await;
        assert_eq!((reply.status.as_u16(), headers(&reply)[..2].to_vec()), (401, vec!["5", remaining]));
    }
    app.send(app.request(Method::GET, "/api/v1/nope").bearer_auth("sk_live_x")).await.expect(404);
    app.send(app.request(Method::GET, "/api/v1/workspaces").bearer_auth("sk_live_x")).await.expect(401);
    anonymous().await.expect_error(429, "rate_limit_exceeded");
    app.send(app.request(Method::GET, "/api/v1/nope")).await.expect_error(429, "rate_limit_exceeded");
    // A valid key from the same address does not suffer, and the probes are outside.
    small.get(root).await.expect(200);
    assert_eq!(app.send(app.request(Method::GET, "/healthz")).await.status, 200);
    app.clock.advance(Duration::from_secs(61));
    assert_eq!(anonymous().await.status, 401);
}

async fn five_keys_are_five_keys(small: Small) {
    let (workspace, key) = small.tenant("five").await;
    let body = json!({ "name": "Rush", "scopes": ["*"] });
    let replies =
        futures_util::future::join_all((0..20).map(|_| small.0.post(&key, "/api-keys", &body))).await;
    let made = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(made, 4, "the first key counts");
    let refused = replies.iter().find(|reply| reply.status == 403).expect("a refusal");
    let expected = json!({
        "error": "feature_limit_reached", "message": "You have reached your limit for this feature.",
        "feature": "api_keys", "upgrade_url": "https://example.com/upgrade"
    });
    assert_eq!(refused.json, expected);
    // Rotating is no new key, and one that is revoked makes room.
    let list = small.0.get(&key, "/api-keys").await.expect(200);
    let last = list["data"][4]["id"].as_i64().expect("a key");
    small.0.post(&key, &format!("/api-keys/{last}/rotate"), &json!({})).await.expect(200);
    small.0.post(&key, "/api-keys", &body).await.expect(403);
    let third = list["data"][3]["id"].as_i64().expect("a key");
    small.0.delete(&key, &format!("/api-keys/{third}")).await.expect(204);
    small.0.post(&key, "/api-keys", &body).await.expect(201);
    small.0.post(&key, "/api-keys", &body).await.expect(403);
    // A key that has expired makes room as well, but cannot be brought back into a room that is taken.
    let fourth = list["data"][2]["id"].as_i64().expect("a key");
    let (path, soon) = (format!("/api-keys/{fourth}"), json!({ "expires_at": "2026-01-15T10:31:00Z" }));
    small.0.patch(&key, &path, &soon).await.expect(200);
    small.0.clock.advance(Duration::from_secs(60));
    small.0.post(&key, "/api-keys", &body).await.expect(201);
    small
        .0
        .patch(&key, &path, &json!({ "expires_at": null }))
        .await
        .expect_error(403, "feature_limit_reached");
    small.0.patch(&key, &path, &json!({ "name": "still there" })).await.expect(200);
    assert!(workspace > 1);
}

async fn access_narrows_use(small: Small) {
    let (workspace, key) = small.tenant("reader").await;
    // It may be given, but not used.
    small.get(&key).await.expect(200);
    let path = format!("/workspaces/{workspace}");
    let error = small.0.patch(&key, &path, &json!({ "name": "x" })).await.expect_error(403, "access_denied");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("Required access: write")), "{error}");
    // A better plan counts at once.
    small.0.patch(&small.0.root_key, &path, &json!({ "tier": "boundless" })).await.expect(200);
    small.0.patch(&key, &path, &json!({ "name": "x" })).await.expect(200);
}

async fn no_limit_no_headers(small: Small) {
    let (_, key) = small.tenant("boundless").await;
    let reply = small.get(&key).await;
    assert_eq!((reply.status.as_u16(), headers(&reply)), (200, [""; 5]));
}

/// How many of `tries` requests by forward auth are let in.
async fn passes(small: &Small, key: &str, tries: usize) -> usize {
    let mut count = 0;
    for _ in 0..tries {
        let reply = small.0.get(key, "/auth").await;
        match reply.status.as_u16() {
            204 => count += 1,
            status => {
                assert_eq!(status, 429);
                assert!(reply.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1));
            }
        }
    }
    count
}

/// Makes a key that is managed by a key of the root, so that managing it counts on no key of the tenant.
async fn managed(small: &Small, workspace: i64) -> (i64, String) {
    small.0.create_key(&small.0.root_key, workspace, json!({ "scopes": ["*"] })).await
}

async fn rotate(small: &Small, workspace: i64, id: i64, hours: u32) -> (i64, String) {
    let app = &small.0;
    let request = app.request(Method::POST, &format!("/api/v1/api-keys/{id}/rotate"));
    let request = request.bearer_auth(&app.root_key).header("X-Workspace-ID", workspace);
    let data =
        app.send(request.json(&json!({ "grace_period_hours": hours }))).await.expect(200)["data"].take();
    (data["id"].as_i64().expect("an id"), data["key"].as_str().expect("a secret").to_owned())
}

async fn revoke(small: &Small, workspace: i64, id: i64) {
    let app = &small.0;
    let request = app.request(Method::DELETE, &format!("/api/v1/api-keys/{id}"));
    app.send(request.bearer_auth(&app.root_key).header("X-Workspace-ID", workspace)).await.expect(204);
}

async fn rotating_wins_no_requests(small: Small) {
    let (workspace, _) = small.tenant("single").await;
    let (mut id, first) = managed(&small, workspace).await;
    let mut keys = vec![first];
    let mut admitted = passes(&small, &keys[0], 5).await;
    for hours in [24, 0, 24, 24, 0, 24, 24] {
        let (successor, key) = rotate(&small, workspace, id, hours).await;
        id = successor;
        admitted += passes(&small, &key, 5).await;
        keys.push(key);
    }
    assert_eq!(admitted, 20);
    // Those that are in their grace have nothing of their own either.
    for key in keys.iter().skip(5) {
        assert_eq!(passes(&small, key, 2).await, 0);
    }
    // Nor has the day.
    for _ in 0..6 {
        small.0.clock.advance(Duration::from_secs(61));
        let (successor, key) = rotate(&small, workspace, id, 24).await;
        id = successor;
        admitted += passes(&small, &key, 25).await;
        admitted += passes(&small, &keys[7], 3).await;
    }
    assert_eq!(admitted, 100);
    // A process that knows nothing of it shares the day with this one.
    let app = App::new(small.0.storage.clone(), settings(), small.0.clock.clone());
    small.0.clock.advance(Duration::from_secs(61));
    let principal = app.gate().authenticate(&token(&keys[7]), None).await.expect("the key");
    assert!(app.gate().take(&principal, 1).await.expect("a verdict").refusal.is_some());
}

async fn revoking_and_making_anew_wins_no_requests(small: Small) {
    let (workspace, _) = small.tenant("single").await;
    let (mut id, mut key) = managed(&small, workspace).await;
    let mut admitted = passes(&small, &key, 7).await;
    for _ in 0..6 {
        revoke(&small, workspace, id).await;
        (id, key) = managed(&small, workspace).await;
        admitted += passes(&small, &key, 7).await;
    }
    assert_eq!(admitted, 20);
    // What is left of the day goes from key to key, to the last request.
    for _ in 0..6 {
        small.0.clock.advance(Duration::from_secs(61));
        admitted += passes(&small, &key, 25).await;
        revoke(&small, workspace, id).await;
        (id, key) = managed(&small, workspace).await;
    }
    small.0.clock.advance(Duration::from_secs(61));
    admitted += passes(&small, &key, 25).await;
    assert_eq!(admitted, 100);
    // One that ends by itself is no way around either.
    let soon = json!({ "expires_at": "2026-01-16T10:31:00Z" });
    small.0.clock.advance(Duration::from_secs(86_400 - 7 * 61));
    admitted = passes(&small, &key, 25).await;
    let request = small.0.request(Method::PATCH, &format!("/api/v1/api-keys/{id}"));
    let request = request.bearer_auth(&small.0.root_key).header("X-Workspace-ID", workspace);
    small.0.send(request.json(&soon)).await.expect(200);
    small.0.clock.advance(Duration::from_secs(60));
    let (_, key) = managed(&small, workspace).await;
    admitted += passes(&small, &key, 100).await;
    assert_eq!(admitted, 40, "the minute was over, but not the day");
    small.0.clock.advance(Duration::from_secs(61));
    for _ in 0..5 {
        admitted += passes(&small, &key, 25).await;
        small.0.clock.advance(Duration::from_secs(61));
    }
    assert_eq!(admitted, 100);
}

async fn a_grace_hides_no_key_from_the_cap(small: Small) {
    let (workspace, _) = small.tenant("single").await;
    let (first, _) = managed(&small, workspace).await;
    let (second, _) = rotate(&small, workspace, first, 24).await;
    let (third, _) = rotate(&small, workspace, second, 0).await;
    let make = async || {
        let request = small.0.request(Method::POST, "/api/v1/api-keys").bearer_auth(&small.0.root_key);
        let request = request.header("X-Workspace-ID", workspace).json(&json!({ "name": "Another" }));
        small.0.send(request).await
    };
    make().await.expect_error(403, "feature_limit_reached");
    // The first still works, and now stands for the one that replaced it.
    revoke(&small, workspace, third).await;
    make().await.expect_error(403, "feature_limit_reached");
    revoke(&small, workspace, first).await;
    make().await.expect(201);
}

async fn all_keys_of_a_tenant_together(small: Small) {
    let (workspace, own) = small.tenant("bounded").await;
    let mut keys = vec![own];
    for _ in 0..4 {
        keys.push(managed(&small, workspace).await.1);
    }
    let reply = small.get(&keys[0]).await;
    assert_eq!(reply.status, 200);
    let policies = "\"minute\";q=4;w=60, \"workspace-minute\";q=10;w=60, \"workspace-day\";q=30;w=86400";
    let standings = "\"minute\";r=3;t=60, \"workspace-minute\";r=9;t=60, \"workspace-day\";r=29;t=48600";
    assert_eq!(headers(&reply), ["4", "3", "1768473060", standings, policies]);
    // A key spends its own, and none more than all may.
    assert_eq!(passes(&small, &keys[0], 10).await, 3);
    assert_eq!(passes(&small, &keys[1], 10).await, 4);
    // Of two, the one that has less left is shown.
    let reply = small.get(&keys[2]).await;
    assert_eq!(headers(&reply)[..2], ["10", "1"]);
    assert_eq!(passes(&small, &keys[2], 10).await, 1);
    for key in &keys[3..] {
        let reply = small.get(key).await;
        assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (429, "60"));
        assert_eq!(headers(&reply)[..3], ["10", "0", "1768473060"]);
        assert!(headers(&reply)[3].starts_with("\"minute\";r=4;"), "nothing of its own is spent");
        assert_eq!(
            (&reply.json["limit"], &reply.json["reset_at"]),
            (&json!(10), &json!("2026-01-15T10:31:00Z"))
        );
    }
    let verified =
        small.0.post(&small.0.root_key, "/api-keys/verify", &json!({ "key": keys[3] })).await.expect(200);
    assert_eq!(verified["code"], "RATE_LIMITED");
    let shown = json!({ "limit": 10, "remaining": 0, "reset_at": "2026-01-15T10:31:00Z" });
    assert_eq!(verified["rate_limit"]["workspace_minute"], shown);
    assert_eq!(verified["rate_limit"]["retry_after"], 60);
    // Another tenant of the same plan has its own.
    let (_, other) = small.tenant("bounded").await;
    assert_eq!(passes(&small, &other, 1).await, 1);

    // The day too: thirty, however many keys.
    let mut admitted = 10;
    for _ in 0..4 {
        small.0.clock.advance(Duration::from_secs(61));
        for key in &keys {
            admitted += passes(&small, key, 4).await;
        }
    }
    assert_eq!(admitted, 30);
    let reply = small.get(&keys[0]).await;
    assert_eq!((reply.status.as_u16(), headers(&reply)[0]), (429, "30"));
    assert_eq!(reply.json["reset_at"], "2026-01-16T00:00:00Z");
}

async fn what_is_spent_together_survives_a_restart(small: Small) {
    let (workspace, own) = small.tenant("bounded").await;
    let keys = [own, managed(&small, workspace).await.1];
    let again = |small: &Small| App::new(small.0.storage.clone(), settings(), small.0.clock.clone());
    let spend = async |app: &App, tries: usize| {
        let mut admitted = 0;
        for key in &keys {
            let principal = app.gate().authenticate(&token(key), None).await.expect("the key");
            for _ in 0..tries {
                let verdict = app.gate().take(&principal, 1).await.expect("a verdict");
                admitted += usize::from(verdict.refusal.is_none());
            }
        }
        admitted
    };
    // Killed three times, each time with what it held.
    let mut admitted = 0;
    for _ in 0..3 {
        admitted += spend(&again(&small), 2).await;
    }
    assert!(admitted <= 30);
    let mut left = 0;
    for _ in 0..8 {
        let app = again(&small);
        left += spend(&app, 3).await;
        app.gate().release_leases().await.expect("given back");
    }
    assert!(admitted + left <= 30, "{admitted} {left}");
    let late = again(&small);
    assert_eq!(spend(&late, 1).await, 0);
}
