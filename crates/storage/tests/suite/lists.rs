//! Pages are read from an index, however far into the list they are: the engine's own plan of the very statements says so.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, sql_types::Text};
use gatepost_kernel::{PageRequest, Timestamp, Window, WorkspaceId};
use gatepost_storage::{API_KEY_SORTS, ApiKeyFilter, Direction, Engine, ListRequest, StorageError, Tx};

use super::{Db, at};

const PER_PAGE: u32 = 100;

/// The statements of this process.
static STATEMENTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps what is logged, line by line.
struct Keep;

impl io::Write for Keep {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line).into_owned();
        if text.contains("OFFSET") {
            STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn rows() -> u32 {
    if std::env::var_os("GATEPOST_TEST_FULL").is_some() { 1_000_000 } else { 60_000 }
}

async fn list(db: &Db, page: u32) -> (Vec<i64>, u64) {
    let filter =
        ApiKeyFilter { workspace_id: WorkspaceId::ROOT, environment: None, status: None, now: at(0) };
    let created_at = API_KEY_SORTS.iter().find(|key| key.name == "created_at").expect("a sort key");
    let request = ListRequest {
        order: vec![(*created_at, Direction::Ascending)],
        ..ListRequest::of(Window::Page(PageRequest { page, per_page: PER_PAGE }))
    };
    let list = async move |mut tx: Tx<'_>| tx.api_key_list(filter, &request).await;
    let page = db.storage.read_snapshot::<_, StorageError, _>(list).await.expect("a page");
    (page.items.iter().map(|key| key.id.0).collect(), page.total.expect("a count"))
}

/// Lists the first page and page 400, and answers the statement that does it.
async fn statement(db: &Db) -> String {
    let filter = tracing_subscriber::EnvFilter::new("gatepost::sql=trace");
    // Another test of this process may have been first; both keep the same.
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(|| Keep).try_init();
    let (first, total) = list(db, 1).await;
    assert_eq!((first.len(), first[0], total), (100, 1, u64::from(rows())));
    let far = (rows() / PER_PAGE).min(400);
    let (last, _) = list(db, far).await;
    assert_eq!(last[0], i64::from((far - 1) * PER_PAGE) + 1, "in the order of their making");
    let all = STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let marker = if db.storage.engine() == Engine::Sqlite { '`' } else { '"' };
    // Other tests of this process list keys at the same time, but not in this order.
    let is_own = |line: &&String| {
        line.contains(&format!("{marker}api_keys{marker}")) && line.contains("ORDER BY api_keys.created_at")
    };
    let own = all.iter().find(is_own);
    let line = own.expect("the statement was logged").clone();
    line.split_once("statement=").expect("its text").1.trim().to_owned()
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_far_page_comes_from_an_index_of_sqlite() {
    let db = Db::start(Engine::Sqlite).await.with_root().await;
    let path = db.storage.path().and_then(|path| path.to_str()).expect("a path").to_owned();
    let mut conn = SqliteConnection::establish(&path).expect("the file");
    let fill = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) \
         INSERT INTO api_keys (workspace_id, environment, name, prefix, digest, scopes, allowed_ips, created_at, updated_at) \
         SELECT 1, 'live', 'Key ' || i, 'sk_live_abc', randomblob(32), '[]', '[]', {start} + i, {start} + i FROM n",
        rows(),
        start = at(0).as_micros()
    );
    diesel::sql_query(fill).execute(&mut conn).expect("the rows");
    let statement = statement(&db).await;
    let steps: Vec<Step> =
        diesel::sql_query(format!("EXPLAIN QUERY PLAN {statement}")).load(&mut conn).expect("a plan");
    let steps: Vec<String> = steps.into_iter().map(|step| step.detail).collect();
    let plan = steps.join("\n");
    assert!(plan.contains("USING COVERING INDEX api_keys_created"), "{plan}");
    assert!(plan.contains("USING INTEGER PRIMARY KEY"), "{plan}");
    assert!(!plan.contains("SCAN api_keys"), "{plan}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_far_page_comes_from_an_index_of_postgres() {
    let db = Db::start(Engine::Postgres).await.with_root().await;
    let (client, connection) =
        tokio_postgres::connect(&db._database.url, tokio_postgres::NoTls).await.expect("a connection");
    tokio::spawn(connection);
    let start: Timestamp = at(0);
    let fill = format!(
        "INSERT INTO api_keys (workspace_id, environment, name, prefix, digest, scopes, allowed_ips, created_at, updated_at) \
         SELECT 1, 'live', 'Key ' || i, 'sk_live_abc', sha256(i::text::bytea), '[]', '[]', t, t \
         FROM generate_series(1, {}) i, LATERAL (SELECT '{start}'::timestamptz + i * interval '1 microsecond' AS t) made",
        rows()
    );
    client.batch_execute(&fill).await.expect("the rows");
    client.batch_execute("VACUUM ANALYZE api_keys").await.expect("statistics");
    let statement = statement(&db).await;
    client.batch_execute(&format!("PREPARE page AS {statement}")).await.expect("the statement");
    for offset in [0, 39_900] {
        let rows = client
            .simple_query(&format!("EXPLAIN EXECUTE page (1, {PER_PAGE}, {offset})"))
            .await
            .expect("a plan");
        let steps = rows.iter().filter_map(|row| match row {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        let plan = steps.collect::<Vec<_>>().join("\n");
        assert!(plan.contains("Index Only Scan using api_keys_created"), "{plan}");
        assert!(plan.contains("Index Scan using api_keys_pkey"), "{plan}");
        assert!(!plan.contains("Seq Scan"), "{plan}");
    }
}
