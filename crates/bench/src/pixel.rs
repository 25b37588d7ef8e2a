//! The figure of the pixel: events of visitors, each its own request, against rows that are inserted 500 at a time.

use std::{rc::Rc, time::Duration};

use serde_json::json;
use tokio::process::Command;

use crate::{
    Failure, Options,
    database::Database,
    load::{self, Kind, Requests},
    post::{Gatepost, unpin},
    report::{Ratios, Row},
    say,
};

const CONNECTIONS: usize = 256;
const BATCH: usize = 500;

/// Inserts batches into the same table; the arguments are the file and the seconds. Prints rows per second.
const SQLITE_BY_HAND: &str = "
import sqlite3, sys, time
conn, seconds, rows = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None), float(sys.argv[2]), 0
conn.execute('PRAGMA synchronous = FULL')
insert = '''INSERT INTO pixel_events (workspace_id, environment, event, url, referrer, user_agent, network, properties, created_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)'''
one = (1, 'live', 'pageview', 'https://example.com/page', 'https://google.com/', 'Mozilla/5.0', '192.0.2.0/24',
    '{\"title\":\"Page Title\"}')
began = time.perf_counter()
while time.perf_counter() - began < seconds:
    conn.execute('BEGIN IMMEDIATE')
    conn.executemany(insert, [one + (1700000000000000 + rows + i,) for i in range(500)])
    conn.execute('COMMIT')
    rows += 500
print(rows / (time.perf_counter() - began))
";

/// Sends one event of a page after the other, of a few pages and sites.
struct Visits {
    number: usize,
    head: Rc<str>,
}

impl Requests for Visits {
    fn next(&mut self, buffer: &mut Vec<u8>) -> Kind {
        self.number += 1;
        let body = format!(
            "{{\"event\":\"pageview\",\"url\":\"https://example.com/page/{}?visit={}\",\"referrer\":\"https://site{}.test/\",\
             \"user_agent\":\"Mozilla/5.0\",\"properties\":{{\"title\":\"Page Title\"}}}}",
            self.number % 50,
            self.number,
            self.number % 7
        );
        buffer.extend_from_slice(self.head.as_bytes());
        buffer.extend_from_slice(format!("{}\r\n\r\n{body}", body.len()).as_bytes());
        Kind::Valid
    }
}

/// `POST /pixel/track` on both engines.
pub async fn events(options: &Options) -> Result<Row, Failure> {
    unpin()?;
    let length = Duration::from_secs(options.seconds);
    let (mut worst, mut measured, mut spread) = (f64::MAX, Vec::new(), Vec::new());
    for database in [Database::sqlite()?, Database::postgres()?] {
        let gatepost = Gatepost::start(options, &database, "api").await?;
        let body = json!({ "settings": { "pixel": { "domains": ["example.com"] } } });
        gatepost.client.send("PATCH", "/api/v1/workspaces/1", &body).await?;
        let head: Rc<str> =
            "POST /api/v1/pixel/track HTTP/1.1\r\nHost: gatepost\r\nOrigin: https://example.com\r\n\
                             Content-Type: application/json\r\nContent-Length: "
                .into();
        let mut ratios = Vec::new();
        for round in 0..options.rounds {
            let alone = by_hand(&database, options).await?;
            let requests = |number| Visits { number, head: head.clone() };
            let outcome = load::run(&gatepost.server, CONNECTIONS, length, requests).await?;
            let events = outcome.requests as f64 / length.as_secs_f64();
            ratios.push(events / alone);
            say(&format!(
                "row 17, {}, round {}: {alone:.0} rows/s by hand, {events:.0} events/s, {:.0} µs of the server's CPU each",
                database.name(),
                round + 1,
                outcome.cpu_micros_per_request
            ));
        }
        let ratios = Ratios::new(ratios);
        measured.push(format!("{}: {:.2}", database.name(), ratios.median()));
        spread.push(ratios.spread());
        worst = ratios.median().min(worst);
    }
    Ok(Row {
        number: 17,
        what: "`POST /pixel/track`, one event per request, stored and counted, 256 connections",
        against: "the same rows without counts, inserted by hand in transactions of 500",
        reach: "≥ 0.5 of its rows/s, both engines",
        measured: measured.join("; "),
        spread: spread.join("; "),
        reached: worst >= 0.5,
    })
}

async fn by_hand(database: &Database, options: &Options) -> Result<f64, Failure> {
    let seconds = options.seconds.to_string();
    if database.name() == "SQLite" {
        let file = database.url.trim_start_matches("sqlite://");
        let output = Command::new("python3").args(["-c", SQLITE_BY_HAND, file, &seconds]).output().await?;
        let text = String::from_utf8(output.stdout)?;
        return text
            .trim()
            .parse()
            .map_err(|_| format!("python3: {text}{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let (client, connection) = tokio_postgres::connect(&database.url, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let values: Vec<String> = (0..BATCH)
        .map(|number| {
            format!(
                "(1, 'live', 'pageview', 'https://example.com/page', 'https://google.com/', 'Mozilla/5.0', '192.0.2.0/24', \
                 '{{\"title\":\"Page Title\"}}', now() + interval '{number} microseconds')"
            )
        })
        .collect();
    let insert = client
        .prepare(&format!(
            "INSERT INTO pixel_events (workspace_id, environment, event, url, referrer, user_agent, network, properties, created_at) \
             VALUES {}",
            values.join(", ")
        ))
        .await?;
    let (began, mut rows) = (std::time::Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(options.seconds) {
        rows += client.execute(&insert, &[]).await?;
    }
    let per_second = rows as f64 / began.elapsed().as_secs_f64();
    drop(client);
    connection.await??;
    Ok(per_second)
}
