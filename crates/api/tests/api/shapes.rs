//! What answers look like, member by member. A change of one shows as a change of its snapshot, to be looked at
//! and kept: `INSTA_UPDATE=always cargo test -p gatepost-api --test api shapes`.

use gatepost_test_support::{TestApp, both_engines};
use insta::assert_snapshot;
use serde_json::{Value, json};

both_engines! { TestApp:
    answers_look_as_before,
}

/// An answer as text, in which what is another each time (`path`, with `*` for each element) is replaced, once it
/// was seen to begin as it must.
fn shown(mut answer: Value, random: &[(&str, &str)]) -> String {
    for (path, begins) in random {
        let names: Vec<_> = path.split('.').collect();
        assert!(replace(&mut answer, &names, begins) > 0, "no {path}");
    }
    serde_json::to_string_pretty(&answer).expect("JSON")
}

fn replace(value: &mut Value, names: &[&str], begins: &str) -> usize {
    let Some((name, rest)) = names.split_first() else {
        let text = value.as_str().unwrap_or_default();
        assert!(text.starts_with(begins), "{value} does not begin with {begins}");
        *value = format!("[{begins}…]").into();
        return 1;
    };
    match value {
        Value::Array(elements) if *name == "*" => {
            elements.iter_mut().map(|element| replace(element, rest, begins)).sum()
        }
        Value::Object(members) => members.get_mut(*name).map_or(0, |member| replace(member, rest, begins)),
        _ => 0,
    }
}

async fn answers_look_as_before(app: TestApp) {
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    let _bound = settings.bind_to_scope();
    let (workspace, _, key) = app.create_tenant("Tenant").await;
    let get = async |path: &str| -> Value { app.get(&key, path).await.expect(200) };
    let shown = |answer: Value, random: &[(&str, &str)]| {
        shown(answer, random).replace(&format!("http://{}/", app.address), "http://[address]/")
    };

    let made = app.post(&key, "/api-keys", &json!({ "name": "Reader", "scopes": ["posts:read"] })).await;
    let made = made.expect(201);
    let reader = made["data"]["key"].as_str().expect("a key").to_owned();
    let id = made["data"]["id"].as_i64().expect("an id");
    let random = [("data.key", "sk_live_"), ("data.prefix", "sk_live_")];
    assert_snapshot!("api_key_created", shown(made, &random));
    let list = get("/api-keys?per_page=1&sort=id&page=2").await;
    assert_snapshot!("api_keys", shown(list, &[("data.*.prefix", "sk_live_")]));
    let verified = json!({ "key": reader, "scopes": ["posts:read"] });
    let verified = app.post(&key, "/api-keys/verify", &verified).await.expect(200);
    assert_snapshot!("api_key_verified", shown(verified, &[]));

    assert_snapshot!(
        "workspace",
        shown(app.get(&app.root_key, &format!("/workspaces/{workspace}")).await.expect(200), &[])
    );

    let endpoint =
        json!({ "url": "https://hooks.example.com/", "events": ["order.*"], "headers": { "X-A": "b" } });
    let endpoint = app.post(&key, "/webhooks", &endpoint).await.expect(201);
    assert_snapshot!(
        "webhook_created",
        shown(endpoint, &[("data.secret", "whsec_"), ("message", "Webhook endpoint created successfully.")])
    );
    let event = json!({ "id": "evt_1", "type": "invoice.paid", "data": { "total": 5.0 } });
    let event = app.post(&key, "/events", &event).await.expect(202);
    assert_snapshot!("event_created", shown(event, &[]));
    let events = get("/events?type=invoice.paid").await;
    assert_snapshot!("events", shown(events, &[("data.*.request_id", "req_")]));

    let log = get(&format!("/audit-log?target_type=api_key&target_id={id}")).await;
    assert_snapshot!("audit_log", shown(log, &[("data.*.request_id", "req_")]));
    let refused = app.post(&key, "/api-keys", &json!({ "name": "", "scopes": ["posts"] })).await.expect(422);
    assert_snapshot!("validation_failed", shown(refused, &[]));
}
