//! The figures of the post: events stored, deliveries made.

use std::{
    collections::HashMap,
    process::Stdio,
    rc::Rc,
    time::{Duration, Instant},
};

use gatepost_kernel::{Clock, Environment, EventId, SystemClock, WebhookEndpointId, WorkspaceId, random};
use gatepost_storage::{NewEvent, NewWebhookDelivery, Storage, StorageError, Tx};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use serde_json::{Value, json};
use tokio::task::LocalSet;

use crate::{
    Failure, Options,
    database::Database,
    http::Client,
    load::{self, Kind, Requests},
    receiver::Receiver,
    report::{Ratios, Row},
    say,
    server::Server,
};

const CONNECTIONS: usize = 64;
/// What an event carries, about 1 KiB.
const DATA_BYTES: usize = 1000;

/// Measures those of rows 6 to 12 that are wanted.
pub async fn run(options: &Options, wanted: impl Fn(u32) -> bool) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    if !(6..=12).any(&wanted) {
        return Ok(rows);
    }
    unpin()?;
    if wanted(6) {
        rows.push(events_postgres(options).await?);
    }
    if wanted(7) {
        rows.push(events_sqlite(options).await?);
    }
    for (number, endpoints) in [(8, 1), (9, 10)] {
        if wanted(number) {
            rows.push(cpu_of_deliveries(options, number, endpoints).await?);
        }
    }
    if wanted(10) {
        rows.push(latency(options).await?);
    }
    if wanted(11) {
        rows.push(silent_endpoint(options).await?);
    }
    if wanted(12) {
        rows.push(drain(options).await?);
    }
    Ok(rows)
}

/// Lets this process, and what it starts, use every core: where three programs work together, none can be set
/// apart.
pub fn unpin() -> Result<(), Failure> {
    let mut all = CpuSet::new();
    for core in 0..CpuSet::count() {
        // A core that is not there is left out by the system.
        let _ = all.set(core);
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &all)?)
}

/// A running Gatepost with its first key.
pub struct Gatepost {
    /// The process.
    pub server: Server,
    /// A key that may do everything.
    pub key: String,
    /// Calls it with that key.
    pub client: Client,
}

impl Gatepost {
    /// Makes a key and starts a server.
    pub async fn start(options: &Options, database: &Database, roles: &str) -> Result<Self, Failure> {
        let key = Server::first_key(&options.gatepost, &database.dir(), &database.url).await?;
        let server = Server::on(&options.gatepost, &database.dir(), &database.url, roles).await?;
        let client = Client::new(&server.address, &key);
        Ok(Self { server, key, client })
    }

    /// Makes an endpoint that wants every event of ours.
    async fn endpoint(&self, receiver: &Receiver) -> Result<i64, Failure> {
        let body = json!({ "url": receiver.url(), "events": ["post.created"] });
        let made = self.client.send("POST", "/api/v1/webhooks", &body).await?;
        made["data"]["id"].as_i64().ok_or_else(|| format!("no endpoint: {made}").into())
    }

    /// Waits until the server has written down so many deliveries as received.
    async fn recorded(&self, endpoint: i64, count: usize) -> Result<(), Failure> {
        let path = format!("/api/v1/webhooks/{endpoint}");
        while self.client.send("GET", &path, &Value::Null).await?["data"]["success_count"] != count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

/// Posts events, each with 1 KiB of its own.
struct Post {
    key: Rc<str>,
    filler: String,
}

impl Post {
    fn new(key: &str) -> Self {
        Self { key: key.into(), filler: "x".repeat(DATA_BYTES) }
    }
}

impl Requests for Post {
    fn next(&mut self, buffer: &mut Vec<u8>) -> Kind {
        let body = format!("{{\"type\":\"post.created\",\"data\":{{\"filler\":\"{}\"}}}}", self.filler);
        let head = format!(
            "POST /api/v1/events HTTP/1.1\r\nHost: gatepost\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.key,
            body.len()
        );
        buffer.extend_from_slice(head.as_bytes());
        buffer.extend_from_slice(body.as_bytes());
        Kind::Valid
    }
}

async fn events_postgres(options: &Options) -> Result<Row, Failure> {
    let database = Database::postgres()?;
    let gatepost = Gatepost::start(options, &database, "api").await?;
    let length = Duration::from_secs(options.seconds);
    let mut ratios = Vec::new();
    for round in 0..options.rounds {
        let alone = pgbench(&database, options, &insert_event()).await?;
        let outcome = load::run(&gatepost.server, CONNECTIONS, length, |_| Post::new(&gatepost.key)).await?;
        let events = outcome.requests as f64 / length.as_secs_f64();
        ratios.push(events / alone);
        say(&format!("row 6, round {}: {alone:.0} transactions/s, {events:.0} events/s", round + 1));
    }
    let ratios = Ratios::new(ratios);
    Ok(Row {
        number: 6,
        what: "`POST /events` (durable, `--roles api`, 64 connections), PostgreSQL",
        against: "one INSERT per transaction of the same row by `pgbench -c 64`",
        reach: "≥ 2× its transactions/s",
        measured: format!("{:.2}×", ratios.median()),
        spread: ratios.spread(),
        reached: ratios.median() >= 2.0,
    })
}

/// One event, as a script for `pgbench`.
fn insert_event() -> String {
    let payload = json!({
        "id": "evt_000000000000000000000000", "type": "post.created", "created_at": "2026-01-15T10:30:00.000000Z",
        "workspace_id": 1, "environment": "live", "data": { "filler": "x".repeat(DATA_BYTES) },
    });
    format!(
        "\\set a random(0, 1000000000000000000)\n\\set b random(0, 1000000000000000000)\n\
             INSERT INTO events (workspace_id, environment, id, event_type, payload, created_at) VALUES \
             (1, 'live', 'evt_' || :a || '_' || :b, 'post.created', '{payload}', now());\n"
    )
}

/// Transactions per second of `pgbench` with 64 clients, each of which is `script`.
pub async fn pgbench(database: &Database, options: &Options, script: &str) -> Result<f64, Failure> {
    let file = database.dir().join("pgbench.sql");
    std::fs::write(&file, script)?;
    let seconds = options.seconds.to_string();
    let output = tokio::process::Command::new(gatepost_test_support::postgres_program("pgbench"))
        .args(["-n", "-M", "prepared", "-c", "64", "-j", "2", "-T", &seconds, "-f"])
        .arg(file)
        .arg(&database.url)
        .stdin(Stdio::null())
        .output()
        .await?;
    let text = String::from_utf8(output.stdout)?;
    let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    tps.ok_or_else(|| format!("pgbench: {text}{}", String::from_utf8_lossy(&output.stderr)).into())
}

async fn events_sqlite(options: &Options) -> Result<Row, Failure> {
    let length = Duration::from_secs(options.seconds);
    let mut ratios = Vec::new();
    for round in 0..options.rounds {
        let database = Database::sqlite()?;
        let gatepost = Gatepost::start(options, &database, "api").await?;
        // An endpoint, so that each event has a delivery; nothing is sent by this server.
        let body = json!({ "url": "http://127.0.0.1:9/", "events": ["post.created"] });
        let made = gatepost.client.send("POST", "/api/v1/webhooks", &body).await?;
        let endpoint = made["data"]["id"].as_i64().ok_or_else(|| format!("no endpoint: {made}"))?;
        let outcome = load::run(&gatepost.server, CONNECTIONS, length, |_| Post::new(&gatepost.key)).await?;
        let events = outcome.requests as f64 / length.as_secs_f64();
        drop(gatepost);
        let storage = Storage::open(&database.url.parse()?).await?;
        let (began, mut count) = (Instant::now(), 0u32);
        while began.elapsed() < length {
            queue(&storage, WebhookEndpointId(endpoint), 1).await?;
            count += 1;
        }
        let alone = f64::from(count) / began.elapsed().as_secs_f64();
        ratios.push(events / alone);
        say(&format!("row 7, round {}: {alone:.0} transactions/s, {events:.0} events/s", round + 1));
    }
    let ratios = Ratios::new(ratios);
    Ok(Row {
        number: 7,
        what: "the same on SQLite with `synchronous=FULL`, event + delivery rows",
        against: "the same rows, one transaction each, in a loop",
        reach: "≥ 4×",
        measured: format!("{:.2}×", ratios.median()),
        spread: ratios.spread(),
        reached: ratios.median() >= 4.0,
    })
}

/// Stores events with a delivery each in one transaction, due now.
async fn queue(storage: &Storage, endpoint: WebhookEndpointId, count: usize) -> Result<(), Failure> {
    let now = SystemClock.now();
    let event = || {
        let (id, data) = (EventId::generate(&mut random::rng()), json!({ "filler": "x".repeat(DATA_BYTES) }));
        let (workspace_id, environment) = (WorkspaceId::ROOT, Environment::Live);
        let payload = json!({ "id": id, "type": "post.created", "workspace_id": 1, "environment": "live", "data": data });
        let (payload, event_type) = (payload.to_string(), "post.created".to_owned());
        let (payload, request_id) = (payload.into(), None);
        NewEvent { id, workspace_id, environment, event_type, payload, created_at: now, request_id }
    };
    let events: Vec<NewEvent> = (0..count).map(|_| event()).collect();
    let store = async move |mut tx: Tx<'_>| {
        let places = tx.event_insert(&events).await?;
        let deliveries: Vec<NewWebhookDelivery<'_>> = events
            .iter()
            .zip(places)
            .filter_map(|(event, place)| {
                let event_sequence = place?;
                Some(NewWebhookDelivery {
                    event,
                    event_sequence,
                    endpoint_id: endpoint,
                    claim_id: None,
                    due_at: now,
                })
            })
            .collect();
        tx.webhook_delivery_insert(&deliveries).await?;
        Ok::<_, StorageError>(())
    };
    Ok(storage.transaction(store).await?)
}

async fn cpu_of_deliveries(options: &Options, number: u32, endpoints: usize) -> Result<Row, Failure> {
    let posts = if endpoints == 1 { 20_000 } else { 5_000 };
    let mut seconds = Vec::new();
    LocalSet::new()
        .run_until(async {
            for round in 0..options.rounds {
                let database = Database::postgres()?;
                let gatepost = Gatepost::start(options, &database, "api,delivery,jobs").await?;
                let receiver = Receiver::start(true, false).await?;
                let mut ids = Vec::new();
                for _ in 0..endpoints {
                    ids.push(gatepost.endpoint(&receiver).await?);
                }
                // Connections are made and statements prepared before it counts.
                let share = 10;
                let post = |_| Post::new(&gatepost.key);
                load::once(&gatepost.server, CONNECTIONS, share, post).await?;
                let warm = CONNECTIONS * share;
                gatepost.recorded(ids[0], warm).await?;
                let used = || Ok::<_, Failure>(gatepost.server.used()?.cpu_micros + database.cpu_micros()?);
                let (before, began) = (used()?, Instant::now());
                let share = posts / CONNECTIONS;
                load::once(&gatepost.server, CONNECTIONS, share, post).await?;
                let all = warm + share * CONNECTIONS;
                for id in ids {
                    gatepost.recorded(id, all).await?;
                }
                let deliveries = (share * CONNECTIONS * endpoints) as f64;
                let per_thousand = (used()? - before) / 1e6 / deliveries * 1000.0;
                say(&format!(
                    "row {number}, round {}: {per_thousand:.3} s of CPU per 1,000 deliveries, {:.0} deliveries/s",
                    round + 1,
                    deliveries / began.elapsed().as_secs_f64()
                ));
                seconds.push(per_thousand);
            }
            Ok::<_, Failure>(())
        })
        .await?;
    let (limit, seconds) = (if endpoints == 1 { 0.33 } else { 0.12 }, Ratios::new(seconds));
    Ok(Row {
        number,
        what: if endpoints == 1 {
            "CPU seconds (server + PostgreSQL) per 1,000 deliveries, events posted one by one on 64 connections, 1 KiB, 1 endpoint"
        } else {
            "the same, 10 endpoints per event"
        },
        against: if endpoints == 1 { "the best-known peer: 1.66" } else { "the peer: 0.48" },
        reach: if endpoints == 1 { "≤ 0.33" } else { "≤ 0.12" },
        measured: format!("{:.2}", seconds.median()),
        spread: seconds.spread(),
        reached: seconds.median() <= limit,
    })
}

/// The times from each answer to the arrivals of its event, the shortest first.
async fn paced(
    gatepost: &Gatepost,
    receiver: &Receiver,
    endpoints: usize,
    per_second: u32,
    length: Duration,
) -> Result<Vec<Duration>, Failure> {
    let body = json!({ "type": "post.created", "data": { "filler": "x".repeat(DATA_BYTES) } });
    receiver.take_arrivals();
    let (before, mut answered) = (receiver.count(), HashMap::new());
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let began = Instant::now();
    while began.elapsed() < length {
        ticks.tick().await;
        let accepted = gatepost.client.send("POST", "/api/v1/events", &body).await?;
        let now = Instant::now();
        answered.insert(accepted["data"]["id"].as_str().ok_or("no id")?.to_owned(), now);
    }
    let all = before + answered.len() * endpoints;
    tokio::time::timeout(Duration::from_secs(60), receiver.wait_for(all)).await?;
    let arrivals = receiver.take_arrivals();
    let mut times = Vec::with_capacity(answered.len());
    for (id, answered) in answered {
        let came = arrivals.get(&id).ok_or("an event did not arrive")?;
        // It may be there before its answer is.
        times.extend(came.iter().map(|came| came.saturating_duration_since(answered)));
    }
    times.sort_unstable();
    Ok(times)
}

fn percentile(times: &[Duration], percent: usize) -> f64 {
    times.get(times.len() * percent / 100).copied().unwrap_or_default().as_secs_f64() * 1e3
}

async fn latency(options: &Options) -> Result<Row, Failure> {
    let length = Duration::from_secs(options.seconds.max(10));
    let (mut worst, mut texts, mut spreads) = ((0.0f64, 0.0f64), Vec::new(), Vec::new());
    LocalSet::new()
        .run_until(async {
            for database in [Database::sqlite()?, Database::postgres()?] {
                let gatepost = Gatepost::start(options, &database, "api,delivery,jobs").await?;
                let receiver = Receiver::start(true, true).await?;
                gatepost.endpoint(&receiver).await?;
                let (mut p50, mut p99) = (Vec::new(), Vec::new());
                paced(&gatepost, &receiver, 1, 100, Duration::from_secs(2)).await?;
                for round in 0..options.rounds {
                    let times = paced(&gatepost, &receiver, 1, 100, length).await?;
                    p50.push(percentile(&times, 50));
                    p99.push(percentile(&times, 99));
                    say(&format!(
                        "row 10, {}, round {}: p50 {:.2} ms, p99 {:.2} ms",
                        database.name(),
                        round + 1,
                        percentile(&times, 50),
                        percentile(&times, 99)
                    ));
                }
                let (p50, p99) = (Ratios::new(p50), Ratios::new(p99));
                worst = (worst.0.max(p50.median()), worst.1.max(p99.median()));
                texts.push(format!("{}: {:.2}, {:.2} ms", database.name(), p50.median(), p99.median()));
                spreads.push(format!("{}, {}", p50.spread(), p99.spread()));
            }
            Ok::<_, Failure>(())
        })
        .await?;
    Ok(Row {
        number: 10,
        what: "answer 202 → request arrives, 100 events/s, otherwise idle",
        against: "the peer: p50 0.5 ms, p99 1.0 ms quiet",
        reach: "p50 ≤ 0.5 ms, p99 ≤ 1.0 ms, both engines",
        measured: texts.join("; "),
        spread: spreads.join("; "),
        reached: worst.0 <= 0.5 && worst.1 <= 1.0,
    })
}

async fn silent_endpoint(options: &Options) -> Result<Row, Failure> {
    const FAST: usize = 9;
    let length = Duration::from_secs(40);
    let mut ratios = Vec::new();
    LocalSet::new()
        .run_until(async {
            for round in 0..options.rounds {
                let mut p99 = Vec::new();
                for with_silent in [false, true] {
                    let database = Database::postgres()?;
                    let gatepost = Gatepost::start(options, &database, "api,delivery,jobs").await?;
                    let (fast, silent) =
                        (Receiver::start(true, true).await?, Receiver::start(false, false).await?);
                    for _ in 0..FAST {
                        gatepost.endpoint(&fast).await?;
                    }
                    let tenth = if with_silent { &silent } else { &fast };
                    gatepost.endpoint(tenth).await?;
                    let counted = if with_silent { FAST } else { FAST + 1 };
                    paced(&gatepost, &fast, counted, 50, Duration::from_secs(2)).await?;
                    let times = paced(&gatepost, &fast, counted, 50, length).await?;
                    p99.push(percentile(&times, 99));
                }
                say(&format!(
                    "row 11, round {}: p99 {:.2} ms without, {:.2} ms with",
                    round + 1,
                    p99[0],
                    p99[1]
                ));
                ratios.push(p99[1] / p99[0]);
            }
            Ok::<_, Failure>(())
        })
        .await?;
    let ratios = Ratios::new(ratios);
    Ok(Row {
        number: 11,
        what: "one endpoint that never answers beside 9 fast ones, 50 events/s for 40 s: p99 of the fast",
        against: "the same without it (the peer: 4.6 ms becomes 59,600 ms)",
        reach: "≤ 1.5×",
        measured: format!("{:.2}×", ratios.median()),
        spread: ratios.spread(),
        reached: ratios.median() <= 1.5,
    })
}

async fn drain(options: &Options) -> Result<Row, Failure> {
    const FEW: usize = 10_000;
    const MANY: usize = 1_000_000;
    /// The stretch that is timed: after so many, so many.
    const SKIPPED: usize = 1_000;
    const TIMED: usize = 8_000;
    let (mut texts, mut spreads, mut worst) = (Vec::new(), Vec::new(), f64::INFINITY);
    LocalSet::new()
        .run_until(async {
            for postgres in [false, true] {
                let mut ratios = Vec::new();
                for round in 0..options.rounds {
                    let mut rates = Vec::new();
                    for count in [FEW, MANY] {
                        let database = if postgres { Database::postgres()? } else { Database::sqlite()? };
                        let receiver = Receiver::start(true, false).await?;
                        fill(options, &database, &receiver, count).await?;
                        let _gatepost = Gatepost::start(options, &database, "delivery").await?;
                        // In the middle of the many, where what was taken before lies behind.
                        receiver.wait_for(if count == MANY { 50_000 } else { SKIPPED }).await;
                        let (began, before) = (Instant::now(), receiver.count());
                        receiver.wait_for(before + TIMED).await;
                        rates.push((receiver.count() - before) as f64 / began.elapsed().as_secs_f64());
                    }
                    let name = if postgres { "PostgreSQL" } else { "SQLite" };
                    say(&format!(
                        "row 12, {name}, round {}: {:.0}/s of few, {:.0}/s of many",
                        round + 1,
                        rates[0],
                        rates[1]
                    ));
                    ratios.push(rates[1] / rates[0]);
                }
                let ratios = Ratios::new(ratios);
                worst = worst.min(ratios.median());
                let name = if postgres { "PostgreSQL" } else { "SQLite" };
                texts.push(format!("{name}: {:.2}", ratios.median()));
                spreads.push(ratios.spread());
            }
            Ok::<_, Failure>(())
        })
        .await?;
    Ok(Row {
        number: 12,
        what: "drain rate with 1,000,000 due deliveries queued",
        against: "with 10,000",
        reach: "≥ 0.9",
        measured: texts.join("; "),
        spread: spreads.join("; "),
        reached: worst >= 0.9,
    })
}

/// Makes an endpoint and queues deliveries to it.
async fn fill(
    options: &Options,
    database: &Database,
    receiver: &Receiver,
    count: usize,
) -> Result<(), Failure> {
    let gatepost = Gatepost::start(options, database, "api").await?;
    let endpoint = gatepost.endpoint(receiver).await?;
    if database.name() == "SQLite" {
        drop(gatepost);
        let storage = Storage::open(&database.url.parse()?).await?;
        for _ in 0..count / 1_000 {
            queue(&storage, WebhookEndpointId(endpoint), 1_000).await?;
        }
        return Ok(());
    }
    let (client, connection) = tokio_postgres::connect(&database.url, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let payload = "'{\"id\":\"evt_q' || n || '\",\"data\":{\"filler\":\"' || repeat('x', 1000) || '\"}}'";
    client
        .batch_execute(&format!(
            "INSERT INTO events (workspace_id, environment, id, event_type, payload, created_at) \
             SELECT 1, 'live', 'evt_q' || n, 'post.created', {payload}, now() FROM generate_series(1, {count}) n; \
             INSERT INTO webhook_deliveries (workspace_id, environment, endpoint_id, event_sequence, event_id, \
             event_type, status, attempts, manual_retries, due_at, created_at, updated_at) \
             SELECT 1, 'live', {endpoint}, sequence, id, event_type, 'pending', 0, 0, now(), now(), now() FROM events \
             WHERE id LIKE 'evt_q%'; ANALYZE"
        ))
        .await?;
    drop(client);
    Ok(connection.await??)
}
