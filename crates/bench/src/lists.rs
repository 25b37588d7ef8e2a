//! The figure of lists: pages near and far of a million keys, their number included.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::Command;

use crate::{
    Failure, Options,
    database::Database,
    http::Client,
    post::{Gatepost, unpin},
    report::{Ratios, Row},
    say,
};

const KEYS: u32 = 1_000_000;
/// How often each page is read in a round; the time of a round is the one in the middle.
pub const READS: usize = 15;
const PAGES: [u32; 2] = [1, 400];
const PER_PAGE: u32 = 100;

/// Counts and lists; the arguments are the file, the two statements, and how often. Prints the seconds in the
/// middle.
const SQLITE_BY_HAND: &str = "
import sqlite3, statistics, sys, time
conn, times = sqlite3.connect(sys.argv[1]), []
for _ in range(int(sys.argv[4])):
    began = time.perf_counter()
    conn.execute('BEGIN')
    conn.execute(sys.argv[2]).fetchall()
    conn.execute(sys.argv[3]).fetchall()
    conn.execute('ROLLBACK')
    times.append(time.perf_counter() - began)
print(statistics.median(times))
";

const SQLITE_FILL: &str = "
import sqlite3, sys
conn = sqlite3.connect(sys.argv[1], timeout=60)
conn.execute('''WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
    INSERT INTO api_keys (workspace_id, environment, name, prefix, digest, scopes, allowed_ips, created_at, updated_at)
    SELECT 1, 'live', 'Key ' || i, 'sk_live_abc', randomblob(32), '[\"posts:read\"]', '[]', 1700000000000000 + i,
        1700000000000000 + i FROM n''', (int(sys.argv[2]),))
conn.commit()
";

const OF: &str = "FROM api_keys WHERE workspace_id = 1 AND revoked_at IS NULL";
/// What a list shows, in types that every client reads.
const SHOWN_BY_POSTGRES: &str = "id, workspace_id, environment, name, prefix, scopes::text, rate_limit_tier, allowed_ips::text, \
    expires_at::text, last_used_at::text, created_at::text, updated_at::text";

/// Page 1 and page 400 of a million keys against the same SQL by hand, on both engines.
pub async fn far_pages(options: &Options) -> Result<Row, Failure> {
    unpin()?;
    let (mut worst, mut measured, mut spread) = (0.0, Vec::new(), Vec::new());
    for database in [Database::sqlite()?, Database::postgres()?] {
        let gatepost = Gatepost::start(options, &database, "api").await?;
        fill(&database).await?;
        let mut ratios = PAGES.map(|_| Vec::new());
        for round in 0..options.rounds {
            for (page, ratios) in PAGES.iter().zip(&mut ratios) {
                let alone = by_hand(&database, (page - 1) * PER_PAGE).await?;
                let ours = by_request(&gatepost, *page).await?;
                ratios.push(ours / alone);
                let (alone, ours) = (alone * 1_000.0, ours * 1_000.0);
                say(&format!(
                    "row 13, {}, round {}: page {page} in {ours:.1} ms, {alone:.1} ms by hand",
                    database.name(),
                    round + 1
                ));
            }
        }
        let ratios = ratios.map(Ratios::new);
        measured.push(format!("{}: {:.2}×, {:.2}×", database.name(), ratios[0].median(), ratios[1].median()));
        spread.push(format!("{}, {}", ratios[0].spread(), ratios[1].spread()));
        worst = ratios.iter().map(Ratios::median).fold(worst, f64::max);
    }
    Ok(Row {
        number: 13,
        what: "list page 1 and page 400, `per_page=100`, of 1,000,000 rows, total included",
        against: "the same SQL by hand",
        reach: "≤ 1.3× its time",
        measured: measured.join("; "),
        spread: spread.join("; "),
        reached: worst <= 1.3,
    })
}

async fn fill(database: &Database) -> Result<(), Failure> {
    if database.name() == "SQLite" {
        python(SQLITE_FILL, &[&path(database), &KEYS.to_string()]).await?;
        return Ok(());
    }
    let (client, connection) = tokio_postgres::connect(&database.url, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let fill = format!(
        "INSERT INTO api_keys (workspace_id, environment, name, prefix, digest, scopes, allowed_ips, created_at, updated_at) \
         SELECT 1, 'live', 'Key ' || i, 'sk_live_abc', sha256(i::text::bytea), '[\"posts:read\"]', '[]', t, t \
         FROM generate_series(1, {KEYS}) i, LATERAL (SELECT timestamptz '2024-01-01' + i * interval '1 microsecond' AS t) made"
    );
    client.batch_execute(&fill).await?;
    client.batch_execute("VACUUM ANALYZE api_keys").await?;
    drop(client);
    Ok(connection.await??)
}

/// Seconds for a count and a page.
async fn by_hand(database: &Database, offset: u32) -> Result<f64, Failure> {
    let shown = if database.name() == "SQLite" { "*" } else { SHOWN_BY_POSTGRES };
    let page = format!("SELECT {shown} {OF} ORDER BY created_at, id LIMIT 100 OFFSET {offset}");
    seconds_by_hand(database, &format!("SELECT count(*) {OF}"), &page).await
}

/// Seconds for two statements in one transaction that only reads, the time in the middle of several.
pub async fn seconds_by_hand(database: &Database, count: &str, page: &str) -> Result<f64, Failure> {
    if database.name() == "SQLite" {
        let printed = python(SQLITE_BY_HAND, &[&path(database), count, page, &READS.to_string()]).await?;
        return Ok(printed.trim().parse()?);
    }
    let (client, connection) = tokio_postgres::connect(&database.url, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let (count, page) = (client.prepare(count).await?, client.prepare(page).await?);
    let mut times = Vec::new();
    for _ in 0..READS {
        let began = Instant::now();
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        client.query_one(&count, &[]).await?;
        client.query(&page, &[]).await?;
        client.batch_execute("COMMIT").await?;
        times.push(began.elapsed());
    }
    drop(client);
    connection.await??;
    Ok(median(times))
}

/// Seconds for a request.
async fn by_request(gatepost: &Gatepost, page: u32) -> Result<f64, Failure> {
    let path = format!("/api/v1/api-keys?sort=created_at&per_page={PER_PAGE}&page={page}");
    // A connection that was idle for long is closed by the server.
    let client = Client::new(&gatepost.server.address, &gatepost.key);
    let mut times = Vec::new();
    for _ in 0..READS {
        let began = Instant::now();
        let answer = client.send("GET", &path, &Value::Null).await?;
        times.push(began.elapsed());
        // The first key of the database is one of them.
        let shown = answer["data"].as_array().map(Vec::len);
        if answer["meta"]["total"] != KEYS + 1 || shown != Some(PER_PAGE as usize) {
            return Err(format!("page {page} shows {shown:?} of {}", answer["meta"]["total"]).into());
        }
    }
    Ok(median(times))
}

/// The time in the middle, in seconds.
pub fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, Duration::as_secs_f64)
}

/// The file of a database.
pub fn path(database: &Database) -> String {
    database.url.trim_start_matches("sqlite://").to_owned()
}

/// Runs a program, and answers what it prints.
pub async fn python(program: &str, args: &[&str]) -> Result<String, Failure> {
    let output = Command::new("python3").args(["-c", program]).args(args).output().await?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
