//! Keys, events and deliveries, by a client that progenitor makes from `/openapi-3.0.json` while this is
//! compiled.
//!
//! `GATEPOST_URL` is the server, `GATEPOST_KEY` a key of the root workspace, `WEBHOOK_URL` where events are
//! to go.

use std::{collections::HashSet, env, time::Duration};

use gatepost::{Client, Error, types};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};

mod gatepost {
    progenitor::generate_api!(spec = "../../../openapi/openapi-3.0.json", interface = Builder);
}

type Failure = Box<dyn std::error::Error>;

fn client(url: &str, key: &str) -> Result<Client, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {key}"))?);
    let http = reqwest::Client::builder().default_headers(headers).build()?;
    Ok(Client::new_with_client(url, http))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (url, key) = (env::var("GATEPOST_URL")?, env::var("GATEPOST_KEY")?);
    let webhook_url = env::var("WEBHOOK_URL")?;
    let root = client(&url, &key)?;

    // A workspace, and a key of its own.
    let body = types::CreateWorkspaceBody::builder().name("Rust").tier("enterprise".to_owned());
    let workspace = root.create_workspace().body(body).send().await?.into_inner().data;
    let body = types::CreateApiKeyBody::builder().name("First").scopes(vec!["*".parse()?]);
    let first = root.create_api_key().x_workspace_id(workspace.id as u64).body(body).send().await?;
    let client = client(&url, &first.into_inner().data.key)?;

    // Sixty keys, made safely and read page by page.
    for number in 1..60 {
        let body = types::CreateApiKeyBody::builder()
            .name(format!("Key {number}"))
            .scopes(vec!["posts:read".parse()?]);
        client.create_api_key().idempotency_key(format!("key-{number}")).body(body).send().await?;
    }
    let mut keys = Vec::new();
    for page in 1.. {
        let listed = client.list_api_keys().page(page).per_page(25).sort("-id").send().await?.into_inner();
        keys.extend(listed.data);
        if listed.links.next.is_none() {
            break;
        }
    }
    assert_eq!(keys.iter().map(|key| key.id).collect::<HashSet<_>>().len(), 60);

    // The newest one is rotated; its successor is revoked.
    let body = types::RotateApiKeyBody::builder();
    let rotated = client.rotate_api_key().id(keys[0].id).body(body).send().await?.into_inner().data;
    assert!(rotated.key.starts_with("sk_live_"));
    client.revoke_api_key().id(rotated.id).send().await?;

    // Errors have types too.
    match client.get_api_key().id(rotated.id).send().await {
        Err(Error::ErrorResponse(response)) => assert_eq!(response.into_inner().error, "not_found"),
        other => panic!("what is revoked is not found: {other:?}"),
    }

    // Deciding about a key, and a seat that is taken and given back, each with the fewest members.
    let body = types::VerifyApiKeyBody::builder().key(key);
    let verified = root.verify_api_key().body(body).send().await?.into_inner();
    assert_eq!(verified.code, types::VerificationCode::Valid);
    let body = types::UseEntitlementBody::builder().feature("posts".parse::<types::UseEntitlementBodyFeature>()?);
    let taken = client.consume_entitlement().body(body).send().await?.into_inner();
    let body = types::UseEntitlementBody::builder().feature("posts".parse::<types::UseEntitlementBodyFeature>()?);
    let returned = client.release_entitlement().body(body).send().await?.into_inner();
    assert_eq!(returned.current_usage, taken.current_usage - 1);

    // An event, and what became of it.
    let body = types::CreateWebhookBody::builder().url(webhook_url).events(vec!["post.*".parse()?]);
    let webhook = client.create_webhook().body(body).send().await?.into_inner().data;
    let body = types::CreateEventBody::builder().type_("post.created").data(serde_json::json!({ "id": 7 }));
    let event = client.create_event().body(body).send().await?.into_inner().data;
    loop {
        let deliveries = client.list_webhook_deliveries().id(webhook.id).event_id(event.id.as_str()).send().await?;
        let delivery = deliveries.into_inner().data.remove(0);
        if delivery.status == types::WebhookDeliveryStatus::Success {
            break;
        }
        assert_eq!(delivery.status, types::WebhookDeliveryStatus::Pending);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("Rust: a workspace, 60 keys, an event and its delivery");
    Ok(())
}
