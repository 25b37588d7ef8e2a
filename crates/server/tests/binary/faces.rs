//! The faces that presets give the platform: what their references say, line by line, of authentication,
//! envelopes, errors, limits, keys and webhooks.

use std::fs;

use gatepost_test_support::{Engine, Receiver, both_engines, http_client};
use reqwest::{Client, Method, Response, StatusCode, header::HeaderMap};
use serde_json::{Value, json};

use crate::running::{Installation, Running};

both_engines! { Installation:
    anvil_answers_as_its_reference_says,
    anvil_bounds_keys_by_their_plans,
    anthyx_answers_as_its_reference_says,
    anthyx_bounds_keys_by_their_plans,
    workspace_api_answers_as_its_reference_says,
    workspace_api_bounds_keys_by_their_plans,
    a_plan_without_a_definition_stops_the_start_and_can_be_replaced,
    records_that_a_preset_would_refuse_or_hide_are_told_of,
    keys_of_another_prefix_are_told_of_and_can_be_accepted,
}

/// A proxy on this machine has taken TLS off, as in production.
const BEHIND_TLS: &str = "[server]\ntrusted_proxies = [\"127.0.0.1/32\"]\n\
                          [webhooks]\nallow_http = true\n[egress]\nallow = [\"127.0.0.1/32\"]\n";

/// A server with a preset, behind a proxy that has taken TLS off.
pub struct Face {
    pub server: Running,
    pub root: String,
    client: Client,
    base: &'static str,
}

/// An answer.
pub struct Answer {
    pub status: StatusCode,
    headers: HeaderMap,
    json: Value,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("a body");
        Self { status, headers, json: serde_json::from_str(&text).unwrap_or(Value::Null) }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The body of an answer with this status.
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.json);
        self.json
    }
}

impl Face {
    pub async fn start(installation: &Installation, preset: &str, base: &'static str) -> Self {
        fs::write(installation.dir.path().join("gatepost.toml"), BEHIND_TLS).expect("the file");
        let args = ["serve", "--preset", preset, "--config", "gatepost.toml", "--bind", "127.0.0.1:0"];
        let server = Running::start(installation.command(&args)).await;
        let root = server.first_key().await;
        Self { server, root, client: http_client(None), base }
    }

    pub async fn ask(&self, method: Method, path: &str, key: &str, body: Option<Value>) -> Answer {
        let request = self.client.request(method, self.server.url(&format!("{}{path}", self.base)));
        let request = request.bearer_auth(key).header("X-Forwarded-Proto", "https");
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        Answer::of(request.send().await.expect("an answer")).await
    }

    pub async fn get(&self, path: &str, key: &str) -> Answer {
        self.ask(Method::GET, path, key, None).await
    }

    pub async fn post(&self, path: &str, key: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, key, Some(body)).await
    }

    /// A tenant on a plan, and a key of it.
    pub async fn tenant(&self, tier: &str) -> (i64, String) {
        let body = json!({ "name": format!("Tenant on {tier}"), "tier": tier });
        let made = self.post("/workspaces", &self.root, body).await.expect(201);
        let id = made["data"]["id"].as_i64().expect("an id");
        let request = self.client.post(self.server.url(&format!("{}/api-keys", self.base)));
        let request = request.bearer_auth(&self.root).header("X-Forwarded-Proto", "https");
        let request = request.header("X-Workspace-ID", id).json(&json!({ "name": "Key", "scopes": ["*"] }));
        let made = Answer::of(request.send().await.expect("an answer")).await.expect(201);
        (id, made["data"]["key"].as_str().expect("a key").to_owned())
    }

    /// Sends requests until one is refused: how many were let in, and the refusal. The first one's headers
    /// are as the plan says.
    async fn until_refused(&self, key: &str, minute: &str, policy: &str) -> (u32, Answer) {
        let first = self.get("/workspaces", key).await;
        assert_eq!((first.status.as_u16(), first.header("x-ratelimit-limit")), (200, minute));
        assert_eq!(first.header("ratelimit-policy"), policy);
        assert!(first.header("x-ratelimit-reset").parse::<u64>().is_ok_and(|reset| reset > 1_700_000_000));
        let mut passed = 1;
        loop {
            let answer = self.get("/workspaces", key).await;
            if answer.status == 429 {
                return (passed, answer);
            }
            assert_eq!(answer.status, 200);
            passed += 1;
        }
    }

    /// That a plan allows so many requests a minute and a day, and no more. The day's counter is set in the
    /// database, to two below what is allowed.
    async fn allows(&self, installation: &Installation, tier: &str, minute: u32, day: Option<u32>) {
        let policy = match day {
            Some(day) => format!("\"minute\";q={minute};w=60, \"day\";q={day};w=86400"),
            None => format!("\"minute\";q={minute};w=60"),
        };
        let (_, key) = self.tenant(tier).await;
        let (passed, refused) = self.until_refused(&key, &minute.to_string(), &policy).await;
        assert_eq!(passed, minute, "{tier}");
        assert!(refused.header("retry-after").parse::<u32>().is_ok_and(|wait| (1..=60).contains(&wait)));
        let Some(day) = day else { return };
        let (workspace, key) = self.tenant(tier).await;
        let spent = day - 2;
        installation
            .sql(&format!(
                "DELETE FROM api_key_day_leases WHERE api_key_id IN (SELECT id FROM api_keys WHERE workspace_id = {workspace}); \
                 INSERT INTO api_key_day_leases (api_key_id, day, leased) \
                 SELECT id, {}, {spent} FROM api_keys WHERE workspace_id = {workspace}",
                now_in_days()
            ))
            .await;
        for expected in [200, 200, 429] {
            let answer = self.get("/workspaces", &key).await;
            assert_eq!(answer.status, expected, "{tier}: {}", answer.json);
        }
    }

    /// How many keys a tenant can make beside its first, up to `most`; the refusal beyond.
    async fn keys_until_refused(&self, key: &str, most: usize) -> (usize, Option<Value>) {
        for made in 0..most {
            let answer = self.post("/api-keys", key, json!({ "name": format!("Key {made}") })).await;
            match answer.status.as_u16() {
                201 => {}
                403 => return (made, Some(answer.json)),
                other => panic!("{other}: {}", answer.json),
            }
        }
        (most, None)
    }
}

fn now_in_days() -> i64 {
    use gatepost_kernel::Clock;
    gatepost_kernel::SystemClock.now().as_seconds() / 86_400
}

async fn anvil_answers_as_its_reference_says(installation: Installation) {
    let face = Face::start(&installation, "anvil", "/v1").await;
    let (workspace, tenant) = face.tenant("enterprise").await;
    // Keys: `anv_live_sk_…` in production, `anv_test_sk_…` in the sandbox.
    assert!(tenant.starts_with("anv_live_sk_"));
    let body = json!({ "name": "staging-cron", "environment": "test", "scopes": ["read:leads", "write:leads", "admin"],
        "expires_at": "2099-01-15T08:30:00Z" });
    let made = face.post("/api-keys", &tenant, body).await;
    // The tenant is in every authenticated answer.
    assert_eq!(made.header("x-anvil-tenant"), workspace.to_string());
    let made = made.expect(201);
    assert_eq!(made["success"], true);
    assert!(made["data"]["key"].as_str().is_some_and(|key| key.starts_with("anv_test_sk_")));
    assert_eq!(made["data"]["scopes"], json!(["read:leads", "write:leads", "admin"]));
    let leads = made["data"]["id"].as_i64().expect("an id");
    // A list.
    let list = face.get("/api-keys", &tenant).await.expect(200);
    assert_eq!((&list["success"], list["data"].as_array().map(Vec::len)), (&json!(true), Some(2)));
    assert_eq!(list["meta"], json!({ "page": 1, "per_page": 20, "total": 2 }));
    // Errors: 400, 401, 403, 404.
    let error = face.post("/api-keys", &tenant, json!({ "scopes": ["leads:read"] })).await.expect(400);
    assert_eq!((&error["success"], &error["error"]["code"]), (&json!(false), &json!("VALIDATION_ERROR")));
    let error = face.get("/api-keys/999999", &tenant).await.expect(404);
    assert_eq!(error["error"]["code"], "NOT_FOUND");
    let missing = face.get("/api-keys", "nonsense").await;
    assert_eq!(missing.header("www-authenticate"), "Bearer realm=\"anvil\"");
    assert_eq!(missing.expect(401)["error"]["code"], "UNAUTHORIZED");
    let body = json!({ "name": "Reader", "scopes": ["read:leads"] });
    let reader = face.post("/api-keys", &tenant, body).await.expect(201);
    let reader = reader["data"]["key"].as_str().expect("a key").to_owned();
    let error = face.get("/webhooks", &reader).await.expect(403);
    assert_eq!(error["error"]["message"], "Insufficient permissions. Required scope: read:webhooks");
    let passed = face.get("/auth?scope=read:leads", &reader).await;
    assert_eq!((passed.status.as_u16(), passed.header("x-anvil-scopes")), (204, "read:leads"));
    face.get("/auth?scope=write:leads", &reader).await.expect(403);
    // Tools of MCP refuse in the same words.
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "list_webhook_deliveries", "arguments": { "webhook_id": 1 } } });
    let request = face.client.post(face.server.url("/mcp")).bearer_auth(&reader).json(&call);
    let request =
        request.header("X-Forwarded-Proto", "https").header("Accept", "application/json, text/event-stream");
    let refused = Answer::of(request.send().await.expect("an answer")).await.json;
    assert_eq!(refused["error"]["data"]["error"], "ACCESS_DENIED", "{refused}");
    assert_eq!(refused["error"]["message"], "Insufficient permissions. Required scope: read:webhooks");
    // No tenant says to others who it is by a header of a delivery.
    for name in ["X-Anvil-Tenant", "x_anvil_tenant", "X-Workspace-ID"] {
        let body = json!({ "url": "https://example.com/", "events": ["*"], "headers": { name: "1" } });
        let error = face.post("/webhooks", &tenant, body).await.expect(400);
        assert!(error["error"]["details"]["errors"][format!("headers.{name}")].is_array(), "{error}");
    }
    // Conflicts and deletions have plain statuses.
    let gone = face.ask(Method::DELETE, &format!("/api-keys/{leads}"), &tenant, None).await.expect(200);
    assert_eq!(gone, json!({ "success": true, "data": { "id": leads, "deleted": true } }));
    let error = face.post(&format!("/api-keys/{leads}/rotate"), &tenant, json!({})).await.expect(400);
    assert_eq!(error["error"]["code"], "CONFLICT");
    // A revoked key.
    let (_, revoked) = face.tenant("pro").await;
    let id = face.get("/api-keys", &revoked).await.expect(200)["data"][0]["id"].clone();
    face.ask(Method::DELETE, &format!("/api-keys/{id}"), &revoked, None).await.expect(200);
    assert_eq!(face.get("/api-keys", &revoked).await.expect(401)["error"]["code"], "KEY_REVOKED");
    // Requests without TLS are rejected.
    let plain = face.client.get(face.server.url("/v1/api-keys")).bearer_auth(&tenant).send().await;
    assert_eq!(plain.expect("an answer").status(), 403);
    // The command line writes scopes as the face does.
    let args = [
        "--preset",
        "anvil",
        "--config",
        "gatepost.toml",
        "keys",
        "create",
        "--name",
        "x",
        "--json",
        "--scope",
        "read:leads",
    ];
    let made = installation.json(&args).await;
    assert_eq!(made["scopes"], json!(["read:leads"]));
    assert!(made["key"].as_str().is_some_and(|key| key.starts_with("anv_live_sk_")));
    let refused = installation.refused(installation.command(&[&args[..10], &["leads:read"]].concat())).await;
    assert!(refused.contains("action:resource"), "{refused}");
    // The page's script speaks the face too.
    let script =
        face.client.get(face.server.url("/pixel.js")).header("X-Forwarded-Proto", "https").send().await;
    let script = script.expect("an answer").text().await.expect("a script");
    assert!(script.contains("v1/pixel/") && !script.contains("api/v1"));
    face.server.stop().await;
}

async fn anvil_bounds_keys_by_their_plans(installation: Installation) {
    let face = Face::start(&installation, "anvil", "/v1").await;
    face.allows(&installation, "starter", 60, Some(10_000)).await;
    face.allows(&installation, "pro", 300, Some(100_000)).await;
    face.allows(&installation, "enterprise", 1_000, None).await;
    let (_, key) = face.tenant("starter").await;
    let (_, refused) = face.until_refused(&key, "60", "\"minute\";q=60;w=60, \"day\";q=10000;w=86400").await;
    let wait = refused.header("retry-after").to_owned();
    let error = refused.expect(429);
    assert_eq!(error["error"]["code"], "RATE_LIMIT_EXCEEDED");
    let text = format!("You have exceeded the rate limit. Please retry after {wait} seconds.");
    assert_eq!(error["error"]["message"], json!(text));
    // Starter reads, Pro reads and writes, Enterprise administers.
    let (_, starter) = face.tenant("starter").await;
    face.get("/webhooks", &starter).await.expect(200);
    face.post("/api-keys", &starter, json!({ "name": "x", "scopes": ["read"] })).await.expect(403);
    face.get("/auth?scope=write:leads", &starter).await.expect(403);
    let (_, pro) = face.tenant("pro").await;
    face.post("/api-keys", &pro, json!({ "name": "x", "scopes": ["read"] })).await.expect(201);
    face.get("/auth?scope=admin", &pro).await.expect(403);
    let (_, enterprise) = face.tenant("enterprise").await;
    assert_eq!(face.get("/auth?scope=admin", &enterprise).await.status, 204);
    // A workspace that names no plan has the first.
    let made = face.post("/workspaces", &face.root, json!({ "name": "New" })).await.expect(201);
    assert_eq!(made["data"]["tier"], "starter");
    let root = face.get("/workspaces/1", &face.root).await.expect(200);
    assert_eq!(root["data"]["tier"], "enterprise");
    face.server.stop().await;
}

async fn anthyx_answers_as_its_reference_says(installation: Installation) {
    let face = Face::start(&installation, "anthyx", "/v1").await;
    let (_, tenant) = face.tenant("growth").await;
    assert!(tenant.starts_with("anthyx_live_"));
    // A descriptive name, and an allowlist of addresses.
    let body = json!({ "name": "Zapier integration", "allowed_ips": ["203.0.113.7"] });
    let made = face.post("/api-keys", &tenant, body).await.expect(201);
    let (id, elsewhere) =
        (made["data"]["id"].clone(), made["data"]["key"].as_str().expect("a key").to_owned());
    assert_eq!(face.get("/api-keys", &elsewhere).await.expect(403)["error"], "ip_not_allowed");
    // Deletion is immediate.
    let gone = face.ask(Method::DELETE, &format!("/api-keys/{id}"), &tenant, None).await;
    assert_eq!((gone.status.as_u16(), gone.json), (204, Value::Null));
    assert_eq!(face.get("/api-keys", &elsewhere).await.expect(401)["error"], "key_revoked");
    // Requests without TLS are redirected.
    let plain = face.client.get(face.server.url("/v1/api-keys?page=1")).send().await.expect("an answer");
    assert_eq!(plain.status(), 301);
    let location = plain.headers()["location"].to_str().expect("text");
    assert!(location.starts_with("https://") && location.ends_with("/v1/api-keys?page=1"), "{location}");
    // Deliveries are signed in a header of their own, with the endpoint's secret.
    let receiver = Receiver::start().await;
    let body = json!({ "url": receiver.url("/hook"), "events": ["post.published"] });
    let endpoint = face.post("/webhooks", &tenant, body).await.expect(201);
    let brand = face.post("/brands", &tenant, json!({ "name": "Acme" })).await.expect(201);
    let post = json!({ "brand_id": brand["data"]["id"], "title": "Hello" });
    let post = face.post("/posts", &tenant, post).await.expect(201);
    let publish = format!("/posts/{}/publish", post["data"]["id"].as_str().expect("an id"));
    face.ask(Method::POST, &publish, &tenant, None).await.expect(200);
    let received = receiver.wait_for(1).await.remove(0);
    let secret = endpoint["data"]["secret"].as_str().expect("a secret");
    assert_eq!(received.header("x-anthyx-signature"), signature(secret, &received.body));
    let agent = format!("Anthyx/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!((received.header("x-webhook-signature"), received.header("user-agent")), ("", agent.as_str()));
    face.server.stop().await;
}

async fn anthyx_bounds_keys_by_their_plans(installation: Installation) {
    let face = Face::start(&installation, "anthyx", "/v1").await;
    face.allows(&installation, "free", 60, Some(5_000)).await;
    face.allows(&installation, "starter", 60, Some(5_000)).await;
    face.allows(&installation, "growth", 300, Some(50_000)).await;
    face.allows(&installation, "agency", 1_000, None).await;
    for (tier, most) in [("free", 5), ("starter", 5), ("growth", 20)] {
        let (_, key) = face.tenant(tier).await;
        let (made, refused) = face.keys_until_refused(&key, most).await;
        assert_eq!(made + 1, most, "{tier}: the first key counts too");
        assert_eq!(refused.expect("a refusal")["error"], "feature_limit_reached");
    }
    let (_, key) = face.tenant("agency").await;
    assert_eq!(face.keys_until_refused(&key, 25).await.0, 25);
    face.server.stop().await;
}

async fn workspace_api_answers_as_its_reference_says(installation: Installation) {
    let face = Face::start(&installation, "workspace-api", "/v1").await;
    let (_, tenant) = face.tenant("pro").await;
    assert!(tenant.starts_with("wsp_live_"));
    // The error names the first field.
    let error = face.post("/api-keys", &tenant, json!({ "description": 1 })).await.expect(400);
    assert_eq!(error["success"], false);
    assert_eq!(error["error"]["code"], "VALIDATION_ERROR");
    assert_eq!(error["error"]["message"], "Name is required");
    assert_eq!(error["error"]["details"]["field"], "name");
    // A thing, and a list by offset.
    let made =
        face.post("/api-keys", &tenant, json!({ "name": "My Key", "scopes": ["read"] })).await.expect(201);
    assert_eq!((&made["success"], &made["data"]["name"]), (&json!(true), &json!("My Key")));
    let list = face.get("/api-keys?limit=1&offset=0", &tenant).await.expect(200);
    assert_eq!(list["pagination"], json!({ "total": 2, "limit": 1, "offset": 0, "has_more": true }));
    let list = face.get("/api-keys", &tenant).await.expect(200);
    assert_eq!(list["pagination"], json!({ "total": 2, "limit": 20, "offset": 0, "has_more": false }));
    assert_eq!(list["success"], true);
    let error = face.get("/api-keys?limit=101", &tenant).await.expect(400);
    assert_eq!(error["error"]["details"]["field"], "limit");
    // Scopes: read, write, delete, admin.
    for (scope, passes) in [("read", 204), ("write", 403), ("delete", 403), ("admin", 403)] {
        let body = json!({ "name": scope, "scopes": [scope] });
        let made = face.post("/api-keys", &tenant, body).await.expect(201);
        let key = made["data"]["key"].as_str().expect("a key").to_owned();
        assert_eq!(
            face.get("/auth?scope=projects:read", &key).await.status,
            match scope {
                "read" | "admin" => 204,
                _ => passes,
            }
        );
        assert_eq!(face.get(&format!("/auth?scope={scope}"), &key).await.status, 204, "{scope}");
    }
    // Plain requests are taken.
    let plain = face.client.get(face.server.url("/v1/api-keys")).bearer_auth(&tenant).send().await;
    assert_eq!(plain.expect("an answer").status(), 200);
    face.server.stop().await;
}

async fn workspace_api_bounds_keys_by_their_plans(installation: Installation) {
    let face = Face::start(&installation, "workspace-api", "/v1").await;
    face.allows(&installation, "free", 60, Some(1_000)).await;
    face.allows(&installation, "pro", 300, Some(50_000)).await;
    face.allows(&installation, "enterprise", 1_000, None).await;
    face.server.stop().await;
}

async fn a_plan_without_a_definition_stops_the_start_and_can_be_replaced(installation: Installation) {
    let server = installation.serve().await;
    let root = server.first_key().await;
    let body = json!({ "name": "Acme", "tier": "business" });
    let made: Value = server.post("/api/v1/workspaces", &root, body).await.json().await.expect("JSON");
    let id = made["data"]["id"].as_i64().expect("an id");
    server.stop().await;
    let refused = installation
        .refused(installation.command(&["serve", "--preset", "anthyx", "--bind", "127.0.0.1:0"]))
        .await;
    assert!(refused.contains("1 workspaces and 0 keys have the plan \"business\""), "{refused}");
    let mend = "gatepost workspaces replace-tier business PLAN";
    assert!(refused.contains(mend), "{refused}");
    let tier_of_root = async |preset: &[&str]| {
        let list = installation.json(&[preset, &["workspaces", "list", "--json"]].concat()).await;
        list["data"][0]["tier"].clone()
    };
    assert_eq!(tier_of_root(&[]).await, "enterprise", "what is refused has changed nothing");
    let report = installation.json(&["presets", "check", "anthyx", "--json"]).await;
    assert!(report["tiers"][0].as_str().is_some_and(|text| text.contains(mend)), "{report}");
    assert!(report["keys"][0].as_str().is_some_and(|text| text.starts_with("1 of 1 API keys")), "{report}");
    assert!(report["clients"].to_string().contains("base path: /api/v1 becomes /v1"), "{report}");
    let replace = ["--preset", "anthyx", "workspaces", "replace-tier", "business", "growth", "--json"];
    assert_eq!(installation.json(&replace).await, json!({ "workspaces": 1, "keys": 0 }));
    let root_stays = ["workspaces", "replace-tier", "enterprise", "pro", "--json"];
    assert_eq!(installation.json(&root_stays).await, json!({ "workspaces": 0, "keys": 0 }));
    fs::write(installation.dir.path().join("gatepost.toml"), BEHIND_TLS).expect("the file");
    let args = ["serve", "--preset", "anthyx", "--config", "gatepost.toml", "--bind", "127.0.0.1:0"];
    Running::start(installation.command(&args)).await.stop().await;
    let list = installation.json(&["--preset", "anthyx", "workspaces", "list", "--json"]).await;
    let tier = |wanted: i64| {
        let all = list["data"].as_array().expect("a list");
        all.iter().find(|one| one["id"] == wanted).map(|one| one["tier"].clone())
    };
    assert_eq!(
        (tier(id), tier(1)),
        (Some(json!("growth")), Some(json!("agency"))),
        "the root follows the preset"
    );
    // A command with another configuration moves nothing that a server has set.
    installation.json(&["keys", "create", "--name", "x", "--json"]).await;
    assert_eq!(tier_of_root(&["--preset", "anthyx"]).await, "agency");
}

async fn records_that_a_preset_would_refuse_or_hide_are_told_of(installation: Installation) {
    let declared = "[resources.brand]\nids = \"brand_\"\nfields.score = { type = \"integer\", required = true }\n\
                    [resources.robot]\nids = \"robot_\"\nfields.name = { type = \"text\" }\n";
    fs::write(installation.dir.path().join("gatepost.toml"), declared).expect("the file");
    let args = ["serve", "--config", "gatepost.toml", "--bind", "127.0.0.1:0"];
    let server = Running::start(installation.command(&args)).await;
    let root = server.first_key().await;
    for (path, body) in [("brands", json!({ "score": 1 })), ("robots", json!({})), ("robots", json!({}))] {
        assert_eq!(server.post(&format!("/api/v1/{path}"), &root, body).await.status(), 201, "{path}");
    }
    server.stop().await;
    let report = installation.json(&["presets", "check", "anthyx", "--json"]).await;
    let told: Vec<&str> =
        report["records"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(told[0].starts_with("resources.brand: 1 of 1 records break this declaration"), "{told:?}");
    assert!(told[0].ends_with("`serve` would not start."), "{told:?}");
    assert_eq!(told[1..], ["resources.robot: not declared any more; its 2 records are kept, unseen."]);
}

async fn keys_of_another_prefix_are_told_of_and_can_be_accepted(installation: Installation) {
    let server = installation.serve().await;
    let old = server.first_key().await;
    server.stop().await;
    let args = ["serve", "--preset", "workspace-api", "--bind", "127.0.0.1:0"];
    let server = Running::start(installation.command(&args)).await;
    assert!(server.log().contains("1 of 1 API keys begin with what is not accepted any more"));
    assert_eq!(server.get("/v1/api-keys", &old).await.status(), 401);
    server.stop().await;
    let accepted = "[contract]\naccepted_key_prefixes = [\"sk_{environment}_\"]\n";
    fs::write(installation.dir.path().join("gatepost.toml"), accepted).expect("the file");
    let mut command = installation.command(&["serve", "--config", "gatepost.toml", "--bind", "127.0.0.1:0"]);
    command.env("GATEPOST_PRESET", "workspace-api");
    let server = Running::start(command).await;
    assert!(!server.log().contains("not accepted any more"));
    assert_eq!(server.get("/v1/api-keys", &old).await.status(), 200);
    let body = json!({ "name": "New" });
    let made: Value = server.post("/v1/api-keys", &old, body).await.json().await.expect("JSON");
    assert!(
        made["data"]["key"].as_str().is_some_and(|key| key.starts_with("wsp_live_")),
        "new keys begin anew"
    );
    server.stop().await;
}

/// A preset that refuses plain HTTP starts by itself on this machine, with a certificate that it makes and
/// keeps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preset_alone_starts_with_a_certificate_of_its_own() {
    let installation = Installation::start(Engine::Sqlite).await;
    let serve = || {
        let mut command = installation.command(&["serve", "--preset", "anvil", "--bind", "127.0.0.1:0"]);
        command.env("DATABASE_URL", "sqlite://gatepost.db");
        Running::start(command)
    };
    let server = serve().await;
    let file = installation.dir.path().join("gatepost-localhost.pem");
    assert!(server.stdout().contains("try it: curl --cacert "), "{}", server.stdout());
    let pem = fs::read_to_string(&file).expect("the certificate");
    let url = format!("https://localhost:{}/v1/api-keys", server.address.rsplit(':').next().expect("a port"));
    let client = http_client(Some(&pem));
    let answer = client.get(&url).bearer_auth(server.first_key().await).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    // The README's line, pasted as it stands.
    let section = include_str!("../../../../README.md").split("## Another face").nth(1).expect("a section");
    let line = section.split("```sh\n").nth(2).and_then(|rest| rest.split("```").next()).expect("a block");
    let port = format!("localhost:{}", server.address.rsplit(':').next().expect("a port"));
    let mut bash = tokio::process::Command::new("bash");
    bash.args(["-c", &line.replace("localhost:8080", &port)]).current_dir(installation.dir.path());
    let output = bash.env("GATEPOST_KEY", server.first_key().await).output().await.expect("bash");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.contains("\"meta\":{\"page\":1,\"per_page\":20,\"total\":1}}"), "{printed}");
    assert!(
        !answer.headers().contains_key("strict-transport-security"),
        "browsers would ask for it of everything on localhost"
    );
    server.stop().await;
    serve().await.stop().await;
    assert_eq!(fs::read_to_string(&file).expect("the certificate"), pem, "it is kept");
    let refused = installation
        .refused(installation.command(&["serve", "--preset", "anvil", "--bind", "0.0.0.0:0"]))
        .await;
    assert!(refused.contains("preset anvil: line") && refused.contains("needs TLS"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presets_are_listed_and_shown() {
    let installation = Installation::start(Engine::Sqlite).await;
    let list = installation.run(&["presets", "list"]).await;
    let list = String::from_utf8(list.stdout).expect("text");
    let names: Vec<&str> = list.lines().filter_map(|line| line.split('\t').next()).collect();
    assert_eq!(names, ["anthyx", "anvil", "core", "workspace-api"]);
    for name in names {
        let shown = installation.run(&["presets", "show", name]).await;
        let text = String::from_utf8(shown.stdout).expect("text");
        // It is a file to start one's own from.
        fs::write(installation.dir.path().join("own.toml"), text).expect("the file");
        let own = installation.run(&["--config", "own.toml", "openapi"]).await;
        assert!(own.status.success(), "{name}: {}", String::from_utf8_lossy(&own.stderr));
        let preset = installation.run(&["--preset", name, "openapi"]).await;
        assert!(own.stdout == preset.stdout, "{name}: the same face");
    }
    let refused = installation.refused(installation.command(&["presets", "show", "acme"])).await;
    assert!(refused.contains("known are: anthyx, anvil, core, workspace-api"), "{refused}");
}

/// The signature of a body, by the secret's own bytes.
fn signature(secret: &str, body: &[u8]) -> String {
    let secret = gatepost_webhooks::EndpointSecret::parse(secret).expect("a secret");
    let now = gatepost_kernel::Timestamp::from_micros(0);
    gatepost_webhooks::sign(&[secret], "evt_1", now, body).contract
}
