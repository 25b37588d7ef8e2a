//! `/analytics`

use std::time::Duration;

use gatepost_test_support::{Engine, TestApp, both_engines};
use reqwest::Method;
use serde_json::{Value, json};

both_engines! { TestApp:
    pixel_events_by_time_and_kind,
    requests_by_key_and_status,
    periods_follow_the_time_zone,
    what_is_wrong_is_said,
    counts_equal_rows,
    counts_outlive_events,
}

async fn start_pixel(app: &TestApp) {
    let body = json!({ "settings": { "pixel": { "domains": ["example.com"] } } });
    app.patch(&app.root_key, "/workspaces/1", &body).await.expect(200);
}

async fn visit(app: &TestApp, event: &str, page: &str, referrer: Option<&str>) {
    let body = json!({ "event": event, "url": format!("https://example.com{page}"), "referrer": referrer });
    let request = app.request(Method::POST, "/api/v1/pixel/track").header("Origin", "https://example.com");
    assert_eq!(app.send(request.json(&body)).await.expect(200)["tracked"], true);
}

async fn get(app: &TestApp, path: &str) -> Value {
    app.get(&app.root_key, path).await.expect(200)["data"].take()
}

/// Groups with their counts.
fn groups(data: &Value) -> Vec<(Value, u64)> {
    let series = data["series"].as_array().expect("series").iter();
    series.map(|one| (one["group"].clone(), one["total"].as_u64().expect("a count"))).collect()
}

async fn pixel_events_by_time_and_kind(app: TestApp) {
    start_pixel(&app).await;
    visit(&app, "pageview", "/a?utm=1", Some("https://google.com/search")).await;
    visit(&app, "pageview", "/a?utm=2#x", Some("https://example.com/b")).await;
    app.clock.advance(Duration::from_secs(3_600));
    visit(&app, "pageview", "/b", None).await;
    visit(&app, "signup", "/b", None).await;

    let hours = get(&app, "/analytics/pixel?interval=hour&from=2026-01-15T10:00:00Z").await;
    assert_eq!(
        hours,
        json!({
            "interval": "hour", "timezone": "UTC", "group_by": null, "total": 4,
            "periods": ["2026-01-15T10:00:00Z", "2026-01-15T11:00:00Z"],
            "series": [{ "group": null, "total": 4, "counts": [2, 2] }],
        })
    );
    let days = get(&app, "/analytics/pixel").await;
    assert_eq!(days["periods"].as_array().map(Vec::len), Some(30));
    assert_eq!(
        (&days["periods"][29], &days["series"][0]["counts"][29]),
        (&json!("2026-01-15T00:00:00Z"), &json!(4))
    );
    let by = async |query: &str| groups(&get(&app, &format!("/analytics/pixel?{query}")).await);
    assert_eq!(by("group_by=event").await, [(json!("pageview"), 3), (json!("signup"), 1)]);
    let pages = [(json!("https://example.com/a"), 2), (json!("https://example.com/b"), 2)];
    assert_eq!(by("group_by=url").await, pages);
    // Its own site is no referrer.
    assert_eq!(by("group_by=referrer").await, [(Value::Null, 3), (json!("google.com"), 1)]);
    assert_eq!(by("group_by=url&event=signup").await, [(json!("https://example.com/b"), 1)]);
    assert_eq!(
        by("group_by=event&url=https://example.com/b?x=y").await,
        [(json!("pageview"), 1), (json!("signup"), 1)]
    );
    assert_eq!(by("referrer=Google.com").await, [(Value::Null, 1)]);
    let largest = get(&app, "/analytics/pixel?group_by=url&limit=1").await;
    assert_eq!((groups(&largest).len(), &largest["total"]), (1, &json!(4)), "the total is of all");
    assert_eq!(by("event=nothing").await, [(Value::Null, 0)]);
    assert_eq!(by("event=nothing&group_by=url").await, []);
    // The other environment, and other tenants, see nothing of it.
    let (_, test) = app.create_key(&app.root_key, 0, json!({ "environment": "test", "scopes": ["*"] })).await;
    assert_eq!(app.get(&test, "/analytics/pixel").await.expect(200)["data"]["total"], 0);
    let (_, _, tenant) = app.create_tenant("Other").await;
    assert_eq!(
        app.get(&tenant, "/analytics/pixel?group_by=url").await.expect(200)["data"]["series"],
        json!([])
    );
}

async fn requests_by_key_and_status(app: TestApp) {
    let (_, _, tenant) = app.create_tenant("Busy").await;
    let (id, narrow) = app.create_key(&tenant, 0, json!({ "scopes": ["events:read"] })).await;
    for _ in 0..3 {
        app.get(&narrow, "/events").await.expect(200);
    }
    app.get(&narrow, "/events/evt_nobody").await.expect_error(404, "not_found");
    app.get(&narrow, "/workspaces").await.expect_error(403, "access_denied");
    app.clock.advance(Duration::from_secs(1_800));
    app.get(&narrow, "/events").await.expect(200);
    let data = async |query: &str| {
        app.get(&tenant, &format!("/analytics/api?{query}")).await.expect(200)["data"].take()
    };
    let narrow_only = format!("api_key_id={id}");
    let by_status = data(&format!("{narrow_only}&group_by=status_class")).await;
    assert_eq!(groups(&by_status), [(json!("2xx"), 4), (json!("4xx"), 2)]);
    let hours = data(&format!("{narrow_only}&interval=hour&from=2026-01-15T10:00:00Z")).await;
    assert_eq!(hours["series"][0]["counts"], json!([5, 1]));
    let refused = data(&format!("{narrow_only}&status_class=4xx")).await;
    assert_eq!(refused["total"], 2);
    let by_key = data("group_by=api_key_id").await;
    assert!(groups(&by_key).contains(&(json!(id.to_string()), 6)));
    // The tenant's own key counts too, these very questions included once they are answered.
    let all = data("").await["total"].as_u64().expect("a count");
    assert!(all > 6 && data("").await["total"].as_u64() == Some(all + 1));
    // What the day's usage says, and what the counts say, is the same.
    let usage = app.get(&tenant, &format!("/api-keys/{id}/usage")).await.expect(200);
    assert_eq!(usage["data"]["days"][0]["total"], 6);
    let (_, _, other) = app.create_tenant("Idle").await;
    assert_eq!(
        app.get(&other, &format!("/analytics/api?{narrow_only}")).await.expect(200)["data"]["total"],
        0
    );
}

async fn periods_follow_the_time_zone(app: TestApp) {
    start_pixel(&app).await;
    let zone = async |zone: &str| {
        let body = json!({ "settings": { "timezone": zone } });
        app.patch(&app.root_key, "/workspaces/1", &body).await.expect(200);
    };
    // 10:30 and 16:15 UTC.
    visit(&app, "pageview", "/", None).await;
    app.clock.advance(Duration::from_secs(20_700));
    visit(&app, "pageview", "/", None).await;
    zone("Asia/Kathmandu").await;
    let days = get(&app, "/analytics/pixel?from=2026-01-15&to=2026-01-16").await;
    assert_eq!(days["timezone"], "Asia/Kathmandu");
    assert_eq!(days["periods"], json!(["2026-01-14T18:15:00Z", "2026-01-15T18:15:00Z"]));
    assert_eq!(days["series"][0]["counts"], json!([2, 0]));
    let hours =
        get(&app, "/analytics/pixel?interval=hour&from=2026-01-15T10:30:00Z&to=2026-01-15T16:15:00Z").await;
    assert_eq!(
        (&hours["periods"][0], hours["periods"].as_array().map(Vec::len)),
        (&json!("2026-01-15T10:15:00Z"), Some(7))
    );
    assert_eq!(hours["series"][0]["counts"], json!([1, 0, 0, 0, 0, 0, 1]));
    let weeks = get(&app, "/analytics/pixel?interval=week&from=2026-01-11&to=2026-01-12").await;
    assert_eq!(weeks["periods"], json!(["2026-01-04T18:15:00Z", "2026-01-11T18:15:00Z"]));
    assert_eq!(weeks["series"][0]["counts"], json!([0, 2]), "from Monday the 12th on");
    let months = get(&app, "/analytics/pixel?interval=month").await;
    let begins = months["periods"].as_array().expect("periods");
    assert_eq!((begins.len(), &begins[11]), (12, &json!("2025-12-31T18:15:00Z")));
    assert_eq!(months["series"][0]["counts"][11], 2);
    zone("Pacific/Auckland").await;
    let days = get(&app, "/analytics/pixel?from=2026-01-15&to=2026-01-16").await;
    assert_eq!(days["series"][0]["counts"], json!([1, 1]), "the second is on the 16th there");
}

async fn what_is_wrong_is_said(app: TestApp) {
    for (query, field) in [
        ("interval=year", "interval"),
        ("from=yesterday", "from"),
        ("from=2026-01-02&to=2026-01-01", "to"),
        ("interval=hour&from=2025-01-01", "from"),
        ("from=2024-01-01", "from"),
        ("interval=month&from=2024-01-01", "from"),
        ("group_by=country", "group_by"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("url=/page", "url"),
        ("referrer=%00", "referrer"),
        ("referrer=https://google.com/", "referrer"),
        ("group_by=url&referrer=google.com", "referrer"),
        ("group_by=referrer&url=https://example.com/", "url"),
        ("country=de", "country"),
    ] {
        let path = format!("/analytics/pixel?{query}");
        let error = app.get(&app.root_key, &path).await.expect_error(422, "validation_failed");
        assert!(error["errors"][field].is_array(), "{query}: {error}");
    }
    for (query, field) in
        [("api_key_id=x", "api_key_id"), ("status_class=1xx", "status_class"), ("group_by=url", "group_by")]
    {
        let path = format!("/analytics/api?{query}");
        let error = app.get(&app.root_key, &path).await.expect_error(422, "validation_failed");
        assert!(error["errors"][field].is_array(), "{query}: {error}");
    }
}

/// The sum of every dimension is the number of rows, whoever writes at the same time.
async fn counts_equal_rows(app: TestApp) {
    start_pixel(&app).await;
    let visits = (0..200).map(async |number: u64| {
        let referrer = number.is_multiple_of(3).then(|| format!("https://site{}.test/", number % 5));
        visit(
            &app,
            ["pageview", "signup", "order"][number as usize % 3],
            &format!("/{}", number % 7),
            referrer.as_deref(),
        )
        .await;
    });
    futures_util::future::join_all(visits).await;
    for query in ["", "?group_by=event", "?group_by=url", "?group_by=referrer"] {
        let data = get(&app, &format!("/analytics/pixel{query}")).await;
        let sum: u64 = groups(&data).iter().map(|(_, count)| count).sum();
        assert_eq!((sum, &data["total"]), (200, &json!(200)), "{query}");
        for series in data["series"].as_array().expect("series") {
            let counts = series["counts"].as_array().expect("counts").iter().filter_map(Value::as_u64);
            assert_eq!(Some(counts.sum::<u64>()), series["total"].as_u64());
        }
    }
    if app.storage.engine() == Engine::Postgres {
        let (client, connection) =
            tokio_postgres::connect(app.database_url(), tokio_postgres::NoTls).await.expect("a connection");
        tokio::spawn(connection);
        let rows = client
            .query("SELECT event, count(*) FROM pixel_events GROUP BY event ORDER BY event", &[])
            .await
            .expect("rows");
        let rows: Vec<(Value, u64)> = rows
            .iter()
            .map(|row| (json!(row.get::<_, String>(0)), row.get::<_, i64>(1).unsigned_abs()))
            .collect();
        let mut counted = groups(&get(&app, "/analytics/pixel?group_by=event").await);
        counted.sort_by_key(|(name, _)| name.to_string());
        assert_eq!(counted, rows);
    }
}

async fn counts_outlive_events(app: TestApp) {
    start_pixel(&app).await;
    visit(&app, "pageview", "/", None).await;
    let total = async |query: &str| get(&app, &format!("/analytics/pixel?{query}")).await["total"].clone();
    app.clock.advance(Duration::from_secs(31 * 86_400));
    assert!(app.app.clean_up().await.expect("cleaned up") > 0);
    assert_eq!(total("from=2026-01-15").await, 1, "the event is gone, its count is not");
    app.clock.advance(Duration::from_secs(370 * 86_400));
    app.app.clean_up().await.expect("cleaned up");
    assert_eq!(total("from=2026-01-15&to=2026-01-15").await, 0);
}
