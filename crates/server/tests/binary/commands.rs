//! The command line, alone and beside a running server.

use gatepost_test_support::{Engine, both_engines};
use serde_json::json;

use crate::running::Installation;

both_engines! { Installation:
    keys_are_made_listed_and_revoked,
    workspaces_are_made_and_listed,
    the_doctor_looks,
    bad_arguments_are_explained,
    looking_first_costs_no_first_key,
    roles_are_kept_to,
}

async fn keys_are_made_listed_and_revoked(installation: Installation) {
    installation.migrated().await;
    // On an empty database: the root workspace is made along the way, and the server then makes no first key.
    let made = installation
        .json(&[
            "keys",
            "create",
            "--name",
            "CI",
            "--scope",
            "workspaces:read",
            "--scope",
            "api-keys:*",
            "--json",
        ])
        .await;
    assert_eq!((&made["id"], &made["scopes"]), (&json!(1), &json!(["workspaces:read", "api-keys:*"])));
    assert_eq!((&made["environment"], &made["expires_at"]), (&json!("live"), &json!(null)));
    let key = made["key"].as_str().expect("a key").to_owned();

    let server = installation.serve().await;
    assert!(server.stdout().is_empty() && !installation.dir.path().join("gatepost.first-key").exists());
    assert_eq!(server.get("/api/v1/workspaces", &key).await.status(), 200);
    let test = installation
        .json(&[
            "keys",
            "create",
            "--name",
            "T",
            "--environment",
            "test",
            "--expires-in",
            "90d",
            "--tier",
            "pro",
            "--json",
        ])
        .await;
    assert!(
        test["key"].as_str().is_some_and(|key| key.starts_with("sk_test_")) && test["expires_at"].is_string()
    );
    assert_eq!((&test["rate_limit_tier"], &test["scopes"]), (&json!("pro"), &json!(["read", "write"])));
    let list = installation.json(&["keys", "list", "--json"]).await;
    assert_eq!(list["data"].as_array().map(Vec::len), Some(2));
    assert!(!list.to_string().contains(&key), "the secret is shown once");

    // Revoked beside the running server, which hears of it within five seconds.
    assert_eq!(
        installation.json(&["keys", "revoke", "1", "--json"]).await,
        json!({ "id": 1, "revoked": true })
    );
    let revoked = std::time::Instant::now();
    let refused = loop {
        let begun = revoked.elapsed();
        let answer = server.get("/api/v1/workspaces", &key).await;
        if answer.status() != 200 {
            break answer;
        }
        assert!(begun < std::time::Duration::from_secs(5), "still let in after {begun:?}");
    };
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.json::<serde_json::Value>().await.expect("JSON")["error"], "key_revoked");
    let again = installation.run(&["keys", "revoke", "1"]).await;
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("no API key 1"));
    server.stop().await;
}

async fn workspaces_are_made_and_listed(installation: Installation) {
    installation.migrated().await;
    let made =
        installation.json(&["workspaces", "create", "--name", "Acme Corp", "--tier", "pro", "--json"]).await;
    assert_eq!((&made["id"], &made["slug"], &made["tier"]), (&json!(2), &json!("acme-corp"), &json!("pro")));
    let list = installation.json(&["workspaces", "list", "--json"]).await;
    assert_eq!(list["data"].as_array().map(Vec::len), Some(2));
    let key = installation.json(&["keys", "create", "--name", "K", "--workspace", "2", "--json"]).await;
    assert_eq!(key["workspace_id"], 2);
    let plain = installation.run(&["workspaces", "list"]).await;
    assert_eq!(
        String::from_utf8_lossy(&plain.stdout),
        "1\troot\tenterprise\tRoot\n2\tacme-corp\tpro\tAcme Corp\n"
    );
}

async fn the_doctor_looks(installation: Installation) {
    let before = installation.json(&["doctor", "--json"]).await;
    assert_eq!(before["healthy"], true);
    assert_eq!(installation.run(&["migrate"]).await.status.code(), Some(0));
    let report = installation.run(&["doctor"]).await;
    let text = String::from_utf8_lossy(&report.stdout).into_owned();
    assert!(report.status.success(), "{text}");
    assert!(text.contains("ok    database") && text.contains("warn  secret key"), "{text}");
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let output =
        installation.command(&["doctor"]).env("GATEPOST_SECRET_KEY", key).output().await.expect("the doctor");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("ok    secret key") && !text.contains(key), "{text}");
    let away = installation
        .command(&["doctor", "--json"])
        .env("DATABASE_URL", "postgres://x@127.0.0.1:1/x")
        .output()
        .await;
    let away = away.expect("the doctor");
    assert_eq!(away.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&away.stdout).expect("JSON");
    assert_eq!(report["healthy"], false);
}

async fn bad_arguments_are_explained(installation: Installation) {
    installation.migrated().await;
    for (args, expected) in [
        (&["keys", "create", "--name", " "][..], "name field is required"),
        (&["keys", "create", "--name", "x", "--scope", "bad scope"], "--scope \"bad scope\""),
        (&["keys", "create", "--name", "x", "--workspace", "99"], "no workspace 99"),
        (&["keys", "create", "--name", "x", "--tier", "gold"], "free, starter, pro"),
        (&["keys", "create", "--name", "x", "--environment", "prod"], "live or test"),
        (&["keys", "create", "--name", "x", "--expires-in", "soon"], "--expires-in"),
        (&["workspaces", "create", "--name", "x", "--tier", "gold"], "free, starter, pro"),
        (&["keys", "revoke", "x"], "invalid"),
        (&["serve", "--bind", "nowhere"], "--bind"),
        (&["serve", "--roles", "cook"], "api, delivery, jobs"),
        (&["serve", "--database-url", "mysql://x"], "sqlite://PATH"),
        (&["--bind", "127.0.0.1:0", "keys", "list"], "belongs behind"),
        (&["dance"], "dance"),
    ] {
        let output = installation.run(args).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(expected), "{args:?}: {error}");
        assert!(!error.contains("panicked"), "{args:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_printed_without_a_database() {
    let installation = Installation::start(Engine::Sqlite).await;
    let output = installation.run(&["openapi", "--format", "3.1"]).await;
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    let version = installation.run(&["--version"]).await;
    assert!(String::from_utf8_lossy(&version.stdout).starts_with("gatepost "));
}

async fn looking_first_costs_no_first_key(installation: Installation) {
    installation.migrated().await;
    assert_eq!(installation.json(&["workspaces", "list", "--json"]).await, json!({ "data": [] }));
    assert_eq!(installation.json(&["keys", "list", "--json"]).await, json!({ "data": [] }));
    installation.json(&["workspaces", "create", "--name", "Early", "--json"]).await;
    let server = installation.serve().await;
    assert_eq!(server.get("/api/v1/workspaces/2", &server.first_key().await).await.status(), 200);
    server.stop().await;
}

async fn roles_are_kept_to(installation: Installation) {
    let worker = installation.command(&["serve", "--bind", "127.0.0.1:0", "--roles", "jobs,delivery"]);
    let worker = crate::running::Running::start(worker).await;
    assert_eq!(worker.get("/healthz", "").await.status(), 200);
    for path in ["/api/v1/workspaces", "/docs/", "/openapi.json"] {
        assert_eq!(worker.get(path, "").await.status(), 404, "{path}");
    }
    worker.stop().await;
    // The first key is for a process that can answer it.
    let server = installation.serve().await;
    server.first_key().await;
    server.stop().await;
}
