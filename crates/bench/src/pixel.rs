//! The figure of the pixel: events of visitors, each its own request, against rows that are inserted 500 at a
//! time.

use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use gatepost_app::{
    App, AppSettings,
    visits::pixel::{self, TrackEvent},
};
use gatepost_kernel::{Json, SystemClock};
use gatepost_storage::{DatabaseUrl, Storage};
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
const CALLERS: usize = 2_000;

/// Inserts batches into the same table; the arguments are the file and the seconds. Prints rows per second.
const SQLITE_BY_HAND: &str = "
import sqlite3, sys, time
conn, seconds, rows = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None), float(sys.argv[2]), 0
conn.execute('PRAGMA synchronous = FULL')
insert = '''INSERT INTO pixel_events (workspace_id, environment, event, url, referrer, user_agent, network, properties, created_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)'''
def row(n):
    return (1, 'live', 'pageview', f'https://example.com/page/{n % 50}?visit={n}', f'https://site{n % 7}.test/', 'Mozilla/5.0',
        '192.0.2.0/24', '{\"title\":\"Page Title\"}', 1700000000000000 + n)
began = time.perf_counter()
while time.perf_counter() - began < seconds:
    conn.execute('BEGIN IMMEDIATE')
    conn.executemany(insert, [row(rows + i) for i in range(500)])
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
        let (mut ratios, mut over_http) = (Vec::new(), Vec::new());
        for round in 0..options.rounds {
            let alone = by_hand(&database, options).await?;
            let stored = in_process(&database, length)?;
            ratios.push(stored / alone);
            let requests = |number| Visits { number, head: head.clone() };
            let outcome = load::run(&gatepost.server, CONNECTIONS, length, requests).await?;
            let events = outcome.requests as f64 / length.as_secs_f64();
            over_http.push(events / alone);
            say(&format!(
                "row 17, {}, round {}: {alone:.0} rows/s by hand, {stored:.0} events/s in process, {events:.0} over HTTP, {:.0} µs of \
                 the server's CPU each",
                database.name(),
                round + 1,
                outcome.cpu_micros_per_request
            ));
        }
        let (ratios, over_http) = (Ratios::new(ratios), Ratios::new(over_http));
        measured.push(format!(
            "{}: {:.2}; as requests over HTTP, 256 connections: {:.2}",
            database.name(),
            ratios.median(),
            over_http.median()
        ));
        spread.push(ratios.spread());
        worst = ratios.median().min(worst);
    }
    Ok(Row {
        number: 17,
        what: "pixel events that are tracked one by one, by 2,000 callers in process, each answered once it is stored and counted",
        against: "the same rows without counts, inserted by hand in transactions of 500",
        reach: "≥ 0.5 of its rows/s, both engines",
        measured: measured.join("; "),
        spread: spread.join("; "),
        reached: worst >= 0.5,
    })
}

/// Events per second that 2,000 tasks of this process track, each its next one when the last is stored.
fn in_process(database: &Database, length: Duration) -> Result<f64, Failure> {
    let url: DatabaseUrl = database.url.parse()?;
    // The storage wants threads of its own, which this program's runtime has not.
    let measure = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            let storage = Storage::open(&url).await?;
            let app = App::new(storage, AppSettings::default(), Arc::new(SystemClock));
            let (began, count) = (Instant::now(), Arc::new(AtomicU64::new(0)));
            let tasks = (0..CALLERS).map(|number| {
                let (app, count) = (app.clone(), count.clone());
                tokio::spawn(async move {
                    for visit in 0.. {
                        if began.elapsed() > length {
                            break;
                        }
                        let input = TrackEvent {
                            event: "pageview".to_owned(),
                            url: format!("https://example.com/page/{}?visit={visit}", number % 50)
                                .parse()
                                .ok()?,
                            referrer: format!("https://site{}.test/", number % 7).parse().ok(),
                            user_agent: Some("Mozilla/5.0".to_owned()),
                            properties: Json::from(&json!({ "title": "Page Title" })),
                        };
                        let address = Some([192, 0, 2, 7].into());
                        match pixel::track(&app, Some("example.com".to_owned()), address, input).await {
                            Ok(true) => count.fetch_add(1, Ordering::Relaxed),
                            _ => return None,
                        };
                    }
                    Some(())
                })
            });
            for task in tasks.collect::<Vec<_>>() {
                task.await?.ok_or("an event was not stored")?;
            }
            Ok::<_, Failure>(count.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
        })
    };
    std::thread::spawn(measure).join().map_err(|_| "the measurement panicked")?
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
    let insert = client
        .prepare(
            "INSERT INTO pixel_events (workspace_id, environment, event, url, referrer, user_agent, network, properties, created_at) \
             SELECT w, e, n, u, r, a, k, p::jsonb, to_timestamp(t) FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], \
             $5::text[], $6::text[], $7::text[], $8::text[], $9::double precision[]) x (w, e, n, u, r, a, k, p, t)",
        )
        .await?;
    let texts = |text: &str| vec![text.to_owned(); BATCH];
    let urls: Vec<String> =
        (0..BATCH).map(|n| format!("https://example.com/page/{}?visit={n}", n % 50)).collect();
    let referrers: Vec<String> = (0..BATCH).map(|n| format!("https://site{}.test/", n % 7)).collect();
    let (workspaces, environments, events) = (vec![1i64; BATCH], texts("live"), texts("pageview"));
    let (agents, networks) = (texts("Mozilla/5.0"), texts("192.0.2.0/24"));
    let properties = texts("{\"title\":\"Page Title\"}");
    let times: Vec<f64> = (0..BATCH).map(|n| 1_700_000_000.0 + n as f64).collect();
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 9] =
        [&workspaces, &environments, &events, &urls, &referrers, &agents, &networks, &properties, &times];
    let (began, mut rows) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(options.seconds) {
        rows += client.execute(&insert, &values).await?;
    }
    let per_second = rows as f64 / began.elapsed().as_secs_f64();
    drop(client);
    connection.await??;
    Ok(per_second)
}
