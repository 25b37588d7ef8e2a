//! The figure of entitlements: one counter that everybody wants.

use std::{rc::Rc, time::Duration};

use serde_json::Value;

use crate::{
    Failure, Options,
    database::Database,
    load::{self, Posts},
    post::{Gatepost, pgbench, unpin},
    report::{Ratios, Row},
    say,
};

const CONNECTIONS: usize = 64;

/// One of a feature without a limit that is ever reached.
const USE: &str = "{\"feature\":\"api_calls\",\"quantity\":1}";

/// `consume` by 64 callers against one UPDATE of one row per transaction.
pub async fn hot_counter(options: &Options) -> Result<Row, Failure> {
    unpin()?;
    let database = Database::postgres()?;
    let gatepost = Gatepost::start(options, &database, "api").await?;
    let (client, connection) = tokio_postgres::connect(&database.url, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    client
        .batch_execute(
            "CREATE TABLE hot (id int PRIMARY KEY, used bigint NOT NULL); INSERT INTO hot VALUES (1, 0)",
        )
        .await?;
    let length = Duration::from_secs(options.seconds);
    let mut ratios = Vec::new();
    for round in 0..options.rounds {
        let alone = pgbench(&database, options, "UPDATE hot SET used = used + 1 WHERE id = 1;\n").await?;
        let key: Rc<str> = gatepost.key.as_str().into();
        let requests = |_| Posts { key: key.clone(), path: "/api/v1/entitlements/consume", body: USE };
        let outcome = load::run(&gatepost.server, CONNECTIONS, length, requests).await?;
        let uses = outcome.requests as f64 / length.as_secs_f64();
        ratios.push(uses / alone);
        say(&format!("row 14, round {}: {alone:.0} transactions/s, {uses:.0} uses/s", round + 1));
    }
    // What the last connections had asked for when the load ended is still being counted: until two looks
    // agree.
    let path = "/api/v1/entitlements/check?feature=api_calls";
    let mut seen = gatepost.client.send("GET", path, &Value::Null).await?["current_usage"].take();
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = gatepost.client.send("GET", path, &Value::Null).await?["current_usage"].take();
        if now == seen {
            break;
        }
        seen = now;
    }
    // The same final sum: every use that was answered is a row and a part of the counter.
    let sums = client
        .query_one(
            "SELECT (SELECT sum(used)::bigint FROM entitlement_counters), \
             (SELECT sum(quantity)::bigint FROM entitlement_usage WHERE reason IS NULL)",
            &[],
        )
        .await?;
    let (counter, uses): (i64, i64) = (sums.get(0), sums.get(1));
    if counter != uses || seen != counter {
        return Err(format!("the counter is {counter}, its uses are {uses}, the check says {seen}").into());
    }
    drop(client);
    connection.await??;
    let ratios = Ratios::new(ratios);
    Ok(Row {
        number: 14,
        what: "`consume` on one hot counter, PostgreSQL, 64 connections",
        against: "one UPDATE per transaction on one row by `pgbench -c 64`",
        reach: "≥ 10×, the same final sum",
        measured: format!("{:.1}×; the sums agree", ratios.median()),
        spread: ratios.spread(),
        reached: ratios.median() >= 10.0,
    })
}
