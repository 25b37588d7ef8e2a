//! Keys to draw from.

use std::path::Path;

use gatepost_app::{App, AppSettings, tenants::first_start};
use gatepost_entitlements::{Access, Catalog, Plan};
use gatepost_kernel::{Clock, Environment, SystemClock, WorkspaceId, random};
use gatepost_keys::{IpAllowlist, Metadata, ScopeSet, Token, TokenFormat};
use gatepost_storage::{NewApiKey, Storage, StorageError, Tx};

use crate::Failure;

/// A limit on the minute and one on the day, neither of which is ever reached.
pub const CONFIG: &str = "[plans.measured]\nrequests_per_minute = 1000000000\nburst_percent = 10\n\
                          requests_per_day = 1000000000000\naccess = \"admin\"\n\
                          [plans.enterprise]\nrequests_per_minute = 2000000000\naccess = \"admin\"\n\
                          features = { webhooks = \"unlimited\" }\n";

/// What the measured route needs.
pub const SCOPE: &str = "posts:read";

/// Opens the database in `dir` as the server will.
pub async fn open(dir: &Path) -> Result<(Storage, App), Failure> {
    std::fs::write(dir.join("gatepost.toml"), CONFIG)?;
    let storage = Storage::open(&format!("sqlite://{}", dir.join("gatepost.db").display()).parse()?).await?;
    storage.migrate().await?;
    let plan = Plan {
        requests_per_minute: Some(1_000_000_000),
        burst_percent: 10,
        requests_per_day: Some(1_000_000_000_000),
        access: Access::Admin,
        ..Plan::unlimited("measured")
    };
    let catalog = Catalog::new([plan], []).map_err(|e| e.to_string())?;
    let settings = AppSettings { catalog, ..AppSettings::default() };
    let app = App::new(storage.clone(), settings, std::sync::Arc::new(SystemClock));
    first_start::without_key(&app).await.map_err(|e| e.to_string())?;
    Ok((storage, app))
}

/// Makes `count` keys with scopes, an allowlist and both limits; answers their tokens.
pub async fn make_keys(storage: &Storage, count: usize) -> Result<Vec<String>, Failure> {
    const BATCH: usize = 1_000;
    let mut tokens = Vec::with_capacity(count);
    while tokens.len() < count {
        let fresh: Vec<Token> = (0..BATCH.min(count - tokens.len()))
            .map(|_| Token::generate(&TokenFormat::default(), Environment::Live, &mut random::rng()))
            .collect();
        tokens.extend(fresh.iter().map(|token| token.secret().expose().to_owned()));
        let now = SystemClock.now();
        let scopes = ScopeSet::parse(&["posts:read", "posts:write"]).map_err(|_| "scopes")?;
        let allowed_ips = IpAllowlist::parse(&["127.0.0.0/8"]).map_err(|_| "addresses")?;
        let insert = async move |mut tx: Tx<'_>| {
            for token in &fresh {
                tx.api_key_insert(&NewApiKey {
                    workspace_id: WorkspaceId::ROOT,
                    environment: Environment::Live,
                    name: "measured".to_owned(),
                    prefix: token.prefix().to_owned(),
                    digest: token.digest(),
                    scopes: scopes.clone(),
                    rate_limit_tier: Some("measured".to_owned()),
                    allowed_ips: allowed_ips.clone(),
                    expires_at: None,
                    rotated_from_id: None,
                    external_id: None,
                    metadata: Metadata::default(),
                    disabled_at: None,
                    created_at: now,
                })
                .await?;
            }
            Ok::<_, StorageError>(())
        };
        storage.transaction(insert).await?;
    }
    Ok(tokens)
}
