//! The figures of declared resources: lists and creations beside a million records.

use std::{
    fs,
    rc::Rc,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    Failure, Options,
    database::Database,
    http::Client,
    lists::{READS, median, path, python, seconds_by_hand},
    load::{self, Posts},
    post::{Gatepost, pgbench, unpin},
    report::{Ratios, Row},
    say,
};

const RECORDS: u32 = 1_000_000;
const CONNECTIONS: usize = 64;
/// One in so many has the rare value.
const RARE: u32 = 1_000;

const DECLARED: &str = "\n[resources.lead]\nids = \"lead_\"\n\
    fields.name = { type = \"text\", required = true, sort = true }\n\
    fields.status = { type = \"enum\", values = [\"new\", \"lost\"], default = \"new\", filter = true }\n\
    fields.score = { type = \"integer\", min = 0, max = 1000000, sort = true }\n";

/// What is asked of the API, and the same in SQL: which records are counted, and which page of them is read.
/// A rare value is found first and sorted then, as whoever knows the data would write it.
const LISTS: [(&str, &str, &str, &str); 4] = [
    ("all, by creation", "", "", "SELECT {shown} FROM records WHERE {of} ORDER BY id LIMIT 100"),
    (
        "a frequent value",
        "&status=new",
        " AND t2 = 'new'",
        "SELECT {shown} FROM records WHERE {of} AND t2 = 'new' ORDER BY id LIMIT 100",
    ),
    (
        "a frequent value by another field",
        "&status=new&sort=score",
        " AND t2 = 'new'",
        "SELECT {shown} FROM records WHERE {of} AND t2 = 'new' AND n1 IS NOT NULL ORDER BY n1, id LIMIT 100",
    ),
    (
        "a rare value by another field",
        "&status=lost&sort=name",
        " AND t2 = 'lost'",
        "WITH m AS MATERIALIZED (SELECT * FROM records WHERE {of} AND t2 = 'lost') SELECT {shown} FROM m ORDER BY t1, id LIMIT 100",
    ),
];
const OF: &str = "type_id = 1 AND workspace_id = 1 AND environment = 'live'";

const SQLITE_FILL: &str = "
import sqlite3, sys
conn = sqlite3.connect(sys.argv[1], timeout=60)
conn.execute('''WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
    INSERT INTO records (type_id, workspace_id, environment, public_id, created_at, updated_at, t1, t2, n1, data)
    SELECT 1, 1, 'live', printf('lead_%016d', i), 1700000000000000 + i, 1700000000000000 + i, 'Lead ' || (i * 7919 % 1000003),
        iif(i % ? = 0, 'lost', 'new'), i * 7919 % 1000003,
        json_object('name', 'Lead ' || (i * 7919 % 1000003), 'status', iif(i % ? = 0, 'lost', 'new'), 'score', i * 7919 % 1000003)
    FROM n''', (int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[3])))
conn.commit()
";

/// Creates by hand, one transaction after the other; the arguments are the file and the seconds. Prints
/// creations per second.
const SQLITE_CREATE: &str = "
import sqlite3, sys, time, uuid
conn = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
conn.execute('PRAGMA synchronous = FULL')
length, made, began = float(sys.argv[2]), 0, time.perf_counter()
while time.perf_counter() - began < length:
    id, now = 'hand_' + uuid.uuid4().hex[:16], int(time.time() * 1e6)
    conn.execute('BEGIN IMMEDIATE')
    made_id = conn.execute('''INSERT INTO records (type_id, workspace_id, environment, public_id, created_at, updated_at, t1, t2, n1, data)
        VALUES (1, 1, 'live', ?, ?, ?, 'By hand', 'new', 7, ?) RETURNING id''',
        (id, now, now, '{\"name\":\"By hand\",\"status\":\"new\",\"score\":7}')).fetchall()[0][0]
    conn.execute('''INSERT INTO events (workspace_id, environment, id, event_type, payload, created_at)
        VALUES (1, 'live', ?, 'lead.created', ?, ?)''', ('evt_' + id, '{\"data\":{\"id\":\"' + id + '\",\"name\":\"By hand\"}}', now))
    conn.execute('''INSERT INTO audit_log (workspace_id, environment, action, actor_type, actor_id, actor_workspace_id, target_type,
        target_id, details, created_at) VALUES (1, 'live', 'lead.created', 'api_key', 1, 1, 'lead', ?, ?, ?)''',
        (made_id, '{\"id\":\"' + id + '\"}', now))
    conn.execute('COMMIT')
    made += 1
print(made / (time.perf_counter() - began))
";

/// The same as a script for `pgbench`.
const POSTGRES_CREATE: &str = "BEGIN;\n\
    INSERT INTO records (type_id, workspace_id, environment, public_id, created_at, updated_at, t1, t2, n1, data) \
    VALUES (1, 1, 'live', 'hand_' || gen_random_uuid(), now(), now(), 'By hand', 'new', 7, \
    '{\"name\":\"By hand\",\"status\":\"new\",\"score\":7}') RETURNING id AS made_id \\gset\n\
    INSERT INTO events (workspace_id, environment, id, event_type, payload, created_at) \
    VALUES (1, 'live', 'evt_' || gen_random_uuid(), 'lead.created', '{\"data\":{\"name\":\"By hand\"}}', now());\n\
    INSERT INTO audit_log (workspace_id, environment, action, actor_type, actor_id, actor_workspace_id, target_type, target_id, details, \
    created_at) VALUES (1, 'live', 'lead.created', 'api_key', 1, 1, 'lead', :made_id, '{}', now());\n\
    COMMIT;\n";

/// What is created over HTTP.
const LEAD: &str = "{\"name\":\"Over HTTP\",\"score\":7}";

/// Lists of a million records, and creations beside them, against the same SQL by hand, on both engines.
pub async fn beside_a_million(options: &Options) -> Result<Row, Failure> {
    unpin()?;
    let (mut slowest, mut least, mut measured, mut spread) = (0.0, f64::MAX, Vec::new(), Vec::new());
    for database in [Database::sqlite()?, Database::postgres()?] {
        let config = database.dir().join("gatepost.toml");
        fs::write(&config, fs::read_to_string(&config)? + DECLARED)?;
        let gatepost = Gatepost::start(options, &database, "api").await?;
        fill(&database).await?;
        let mut times = LISTS.map(|_| Vec::new());
        let mut made = Vec::new();
        for round in 0..options.rounds {
            for (list, times) in LISTS.iter().zip(&mut times) {
                let (what, query, counted, page) = *list;
                let alone = by_hand(&database, counted, page).await?;
                let ours = by_request(&gatepost, query).await?;
                times.push(ours / alone);
                let (name, alone, ours) = (database.name(), alone * 1_000.0, ours * 1_000.0);
                say(&format!(
                    "row 20, {name}, round {}: {what} in {ours:.1} ms, {alone:.1} ms by hand",
                    round + 1
                ));
            }
        }
        // After all lists: what is created changes how many there are.
        for round in 0..options.rounds {
            let alone = created_by_hand(options, &database).await?;
            let key: Rc<str> = gatepost.key.as_str().into();
            let requests = |_| Posts { key: key.clone(), path: "/api/v1/leads", body: LEAD };
            let length = Duration::from_secs(options.seconds);
            let outcome = load::run(&gatepost.server, CONNECTIONS, length, requests).await?;
            let ours = outcome.requests as f64 / length.as_secs_f64();
            made.push(ours / alone);
            let name = database.name();
            say(&format!("row 20, {name}, round {}: {ours:.0} creations/s, {alone:.0} by hand", round + 1));
        }
        let (times, made) = (times.map(Ratios::new), Ratios::new(made));
        let lists: Vec<String> = times.iter().map(|ratios| format!("{:.2}×", ratios.median())).collect();
        measured.push(format!("{}: {}; create {:.2}×", database.name(), lists.join(", "), made.median()));
        let spreads: Vec<String> = times.iter().chain([&made]).map(Ratios::spread).collect();
        spread.push(spreads.join(", "));
        slowest = times.iter().map(Ratios::median).fold(slowest, f64::max);
        least = made.median().min(least);
    }
    Ok(Row {
        number: 20,
        what: "list 100 of 1,000,000 records, total included: all, a frequent value, the same by another field, a rare value by another \
               field; create beside them",
        against: "the same SQL by hand",
        reach: "list ≤ 1.3× its time; create ≥ 0.7× its rate",
        measured: measured.join("; "),
        spread: spread.join("; "),
        reached: slowest <= 1.3 && least >= 0.7,
    })
}

async fn fill(database: &Database) -> Result<(), Failure> {
    if database.name() == "SQLite" {
        python(SQLITE_FILL, &[&path(database), &RECORDS.to_string(), &RARE.to_string()]).await?;
        return Ok(());
    }
    let (client, connection) = tokio_postgres::connect(&database.url, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let fill = format!(
        "INSERT INTO records (type_id, workspace_id, environment, public_id, created_at, updated_at, t1, t2, n1, data) \
         SELECT 1, 1, 'live', 'lead_' || lpad(i::text, 16, '0'), at, at, 'Lead ' || n, s, n, \
         json_build_object('name', 'Lead ' || n, 'status', s, 'score', n) FROM generate_series(1, {RECORDS}) i, \
         LATERAL (SELECT timestamptz '2024-01-01' + i * interval '1 microsecond' AS at, i::bigint * 7919 % 1000003 AS n, \
         CASE WHEN i % {RARE} = 0 THEN 'lost' ELSE 'new' END AS s) made"
    );
    client.batch_execute(&fill).await?;
    client.batch_execute("VACUUM ANALYZE records").await?;
    drop(client);
    Ok(connection.await??)
}

/// Seconds for a count and a page.
async fn by_hand(database: &Database, counted: &str, page: &str) -> Result<f64, Failure> {
    let count = format!("SELECT count(*) FROM records WHERE {OF}{counted}");
    // What a list shows, in types that every client reads.
    let shown = match database.name() {
        "SQLite" => "*",
        _ => "id, public_id, created_at::text, updated_at::text, data::text",
    };
    seconds_by_hand(database, &count, &page.replace("{of}", OF).replace("{shown}", shown)).await
}

/// Seconds for a request.
async fn by_request(gatepost: &Gatepost, query: &str) -> Result<f64, Failure> {
    let path = format!("/api/v1/leads?per_page=100{query}");
    // A connection that was idle for long is closed by the server.
    let client = Client::new(&gatepost.server.address, &gatepost.key);
    let mut times = Vec::new();
    for _ in 0..READS {
        let began = Instant::now();
        let answer = client.send("GET", &path, &Value::Null).await?;
        times.push(began.elapsed());
        if answer["data"].as_array().map(Vec::len) != Some(100) {
            return Err(format!("{path} shows {}", answer["meta"]).into());
        }
    }
    Ok(median(times))
}

/// Creations per second.
async fn created_by_hand(options: &Options, database: &Database) -> Result<f64, Failure> {
    if database.name() == "SQLite" {
        let printed = python(SQLITE_CREATE, &[&path(database), &options.seconds.to_string()]).await?;
        return Ok(printed.trim().parse()?);
    }
    pgbench(database, options, POSTGRES_CREATE).await
}
