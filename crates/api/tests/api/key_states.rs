//! Rule 1: what is remembered about keys never outlives a change.

use std::time::{Duration, Instant};

use gatepost_app::{App, Caller, UnitOfWork, keys::api_keys};
use gatepost_kernel::{ApiKeyId, Environment, Error, WorkspaceId};
use gatepost_keys::{ScopeSet, Token, TokenFormat};
use gatepost_test_support::{Engine, TestApp, both_engines};
use reqwest::Method;
use serde_json::json;

both_engines! { TestApp:
    the_hot_path_asks_no_database,
    another_process_revokes,
    without_the_feed_nothing_is_believed,
    revoking_races_with_remembering,
    a_flood_of_unknown_tokens_costs_few_queries,
}

/// How long another process may take to hear of a revocation.
const PROMISE: Duration = Duration::from_secs(5);

/// Another process on the same database.
fn other_node(app: &TestApp) -> App {
    App::new(app.storage.clone(), gatepost_app::AppSettings::default(), app.clock.clone())
}

async fn make(app: &App, name: &str) -> (ApiKeyId, Token) {
    let input = api_keys::CreateApiKey {
        name: name.to_owned(),
        scopes: Some(ScopeSet::everything()),
        environment: Some(Environment::Live),
        ..api_keys::CreateApiKey::default()
    };
    let create = async move |unit: &mut UnitOfWork<'_>| api_keys::create(unit, input).await;
    let new = app.transact(&Caller::command_line(WorkspaceId::ROOT), create).await.expect("a key");
    (new.key.id, Token::parse(&TokenFormat::default(), new.secret.expose()).expect("a token"))
}

async fn revoke(app: &App, id: ApiKeyId) {
    let revoke = async move |unit: &mut UnitOfWork<'_>| api_keys::revoke(unit, id).await;
    app.transact(&Caller::command_line(WorkspaceId::ROOT), revoke).await.expect("revoked");
}

async fn the_hot_path_asks_no_database(app: TestApp) {
    let ask = async || {
        let request = app.request(Method::GET, "/api/v1/auth?scope=posts:read").bearer_auth(&app.root_key);
        app.send(request).await.expect(204);
    };
    app.app.gate().catch_up().await.expect("the feed");
    ask().await;
    // Looking at the feed is not the request's doing; one look may be under way at either count.
    let asked = || app.storage.times_asked() as i64 - app.app.gate().feed_looks() as i64;
    let before = asked();
    for round in 0..300 {
        if round % 50 == 0 {
            // What the follower does, were it ever late on a busy machine.
            app.app.gate().catch_up().await.expect("the feed");
        }
        ask().await;
    }
    // Whatever looks for due deliveries asks now and then, more often in all the slower the machine is; requests
    // that asked would be as many as they are.
    assert!(asked() < before + 100, "{} questions", asked() - before);
}

async fn another_process_revokes(app: TestApp) {
    let (id, key) = app.create_key(&app.root_key, 0, json!({ "scopes": ["*"] })).await;
    let (tenant, _, orphan) = app.create_tenant("Tenant").await;
    for key in [&key, &orphan] {
        app.get(key, "/workspaces").await.expect(200);
    }
    let other = other_node(&app);
    revoke(&other, ApiKeyId(id)).await;
    let delete = async move |unit: &mut UnitOfWork<'_>| {
        gatepost_app::tenants::workspaces::delete(unit, WorkspaceId(tenant)).await
    };
    other.transact(&Caller::command_line(WorkspaceId::ROOT), delete).await.expect("deleted");
    // However slow an answer is: none that was asked for after the five seconds lets the key in.
    let revoked = Instant::now();
    for key in [&key, &orphan] {
        loop {
            let begun = revoked.elapsed();
            if app.get(key, "/workspaces").await.status == 401 {
                break;
            }
            assert!(begun < PROMISE, "still let in after {begun:?}");
        }
    }
}

async fn without_the_feed_nothing_is_believed(app: TestApp) {
    // A process that does not follow the feed, as when it is out of reach.
    let (deaf, other) = (other_node(&app), other_node(&app));
    let (first, token) = make(&other, "first").await;
    deaf.gate().authenticate(&token, None).await.expect("the key");
    revoke(&other, first).await;
    let refused = deaf.gate().authenticate(&token, None).await;
    assert!(matches!(refused, Err(Error::KeyRevoked)), "it never looked, so it asks each time");

    let (second, token) = make(&other, "second").await;
    deaf.gate().catch_up().await.expect("the feed");
    deaf.gate().authenticate(&token, None).await.expect("the key");
    revoke(&other, second).await;
    // It looked a moment ago, so it may still believe; four seconds later it may not.
    app.clock.advance(Duration::from_secs(4));
    assert!(matches!(deaf.gate().authenticate(&token, None).await, Err(Error::KeyRevoked)));
}

async fn revoking_races_with_remembering(app: TestApp) {
    const LANES: usize = 16;
    // The race is this process's own; PostgreSQL is there to see that its slower commits change nothing.
    let rounds = if app.storage.engine() == Engine::Sqlite { 10_000 } else { 2_000 } / LANES;
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| {
            let app = app.app.clone();
            tokio::spawn(async move {
                for round in 0..rounds {
                    let (id, token) = make(&app, "racer").await;
                    let (reader, read_token) = (app.clone(), token.clone());
                    // Reads and puts down what it read, just while the key is being revoked.
                    let reading = tokio::spawn(async move {
                        for _ in 0..3 {
                            let _ = reader.gate().authenticate(&read_token, None).await;
                        }
                    });
                    if round % 2 == lane % 2 {
                        tokio::task::yield_now().await;
                    }
                    revoke(&app, id).await;
                    let refused = app.gate().authenticate(&token, None).await;
                    assert!(matches!(refused, Err(Error::KeyRevoked)), "lane {lane}, round {round}");
                    reading.await.expect("a reader");
                    let refused = app.gate().authenticate(&token, None).await;
                    assert!(matches!(refused, Err(Error::KeyRevoked)), "lane {lane}, round {round}, later");
                }
            })
        })
        .collect();
    for lane in lanes {
        lane.await.expect("a lane");
    }
}

async fn a_flood_of_unknown_tokens_costs_few_queries(app: TestApp) {
    let other = other_node(&app);
    let mut known = Vec::new();
    for index in 0..50 {
        known.push(make(&other, &format!("known {index}")).await.1);
    }
    app.app.gate().catch_up().await.expect("the feed");
    let before = app.storage.times_asked();
    let mut rng = gatepost_kernel::random::rng();
    let unknown: Vec<Token> =
        (0..5_000).map(|_| Token::generate(&TokenFormat::default(), Environment::Live, &mut rng)).collect();
    let ask = |token: &Token| {
        let (app, token) = (app.app.clone(), token.clone());
        tokio::spawn(async move { app.gate().authenticate(&token, None).await.map(|_| ()) })
    };
    // Keys that nobody has asked for yet, in the midst of the flood.
    let mut answers = Vec::new();
    for (index, token) in unknown.iter().enumerate() {
        answers.push((false, ask(token)));
        if index % 100 == 50 {
            answers.push((true, ask(&known[index / 100])));
        }
    }
    for (is_known, answer) in answers {
        match answer.await.expect("an answer") {
            Ok(()) => assert!(is_known),
            Err(Error::Unauthorized) => assert!(!is_known),
            Err(error) => panic!("{error}"),
        }
    }
    let asked = app.storage.times_asked() - before;
    assert!(asked < 1_000, "{asked} questions for 5,050 tokens");
}
