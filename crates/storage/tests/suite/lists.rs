//! Pages are read from an index, however far into the list they are: the engine's own plan of the very
//! statements says so.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, sql_types::Text};
use gatepost_kernel::{Environment, Owner, PageRequest, Timestamp, Window, WorkspaceId};
use gatepost_storage::{
    API_KEY_SORTS, ApiKeyFilter, Direction, Engine, ListRequest, StorageError, Tx, WorkspaceFilter,
};

use super::{Db, at};

const PER_PAGE: u32 = 100;

/// The statements of this process.
static STATEMENTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps what is logged, line by line.
struct Keep;

impl io::Write for Keep {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line).into_owned();
        if text.contains("OFFSET") || text.contains("search_words") {
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
    let filter = ApiKeyFilter::of(WorkspaceId::ROOT, at(0));
    let created_at = API_KEY_SORTS.iter().find(|key| key.name == "created_at").expect("a sort key");
    let request = ListRequest {
        order: vec![(*created_at, Direction::Ascending)],
        ..ListRequest::of(Window::Page(PageRequest::of_page(page, PER_PAGE)))
    };
    let list = async move |mut tx: Tx<'_>| tx.api_key_list(&filter, &request).await;
    let page = db.storage.read_snapshot::<_, StorageError, _>(list).await.expect("a page");
    (page.items.iter().map(|key| key.id.0).collect(), page.total.expect("a count"))
}

/// Keeps the statements of all tests of this process.
fn keep_statements() {
    let filter = tracing_subscriber::EnvFilter::new("gatepost::sql=trace");
    // Another test of this process may have been first; both keep the same.
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(|| Keep).try_init();
}

/// A statement that was kept.
fn kept(is_meant: impl Fn(&str) -> bool) -> String {
    let all = STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let line = all.iter().find(|line| is_meant(line)).expect("the statement was logged").clone();
    line.split_once("statement=").expect("its text").1.trim().to_owned()
}

/// Lists the first page and page 400, and answers the statement that does it.
async fn statement(db: &Db) -> String {
    keep_statements();
    let (first, total) = list(db, 1).await;
    assert_eq!((first.len(), first[0], total), (100, 1, u64::from(rows())));
    let far = (rows() / PER_PAGE).min(400);
    let (last, _) = list(db, far).await;
    assert_eq!(last[0], i64::from((far - 1) * PER_PAGE) + 1, "in the order of their making");
    let marker = if db.storage.engine() == Engine::Sqlite { '`' } else { '"' };
    // Other tests of this process list keys at the same time, but not in this order.
    kept(|line| {
        line.contains(&format!("{marker}api_keys{marker}")) && line.contains("ORDER BY api_keys.created_at")
    })
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

fn plan(conn: &mut SqliteConnection, statement: &str) -> String {
    let steps: Vec<Step> =
        diesel::sql_query(format!("EXPLAIN QUERY PLAN {statement}")).load(conn).expect("a plan");
    let steps: Vec<String> = steps.into_iter().map(|step| step.detail).collect();
    steps.join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_of_sqlite_reads_the_words_of_its_owner_alone() {
    keep_statements();
    let db = Db::start(Engine::Sqlite).await.with_root().await;
    let request = |word: &str| ListRequest {
        search: Some(vec![word.to_owned()]),
        ..ListRequest::of(Window::Page(PageRequest::of_page(1, 10)))
    };
    let (of_keys, of_endpoints, of_workspaces) = (request("key"), request("endpoint"), request("root"));
    let search = async move |mut tx: Tx<'_>| {
        let root = WorkspaceId::ROOT;
        let keys = ApiKeyFilter::of(root, at(0));
        tx.api_key_list(&keys, &of_keys).await?;
        tx.webhook_endpoint_list(Owner::new(root, Environment::Live), None, &of_endpoints).await?;
        let own = WorkspaceFilter { only: Some(root), ..Default::default() };
        tx.workspace_list(&own, &of_workspaces).await
    };
    let found = db.storage.read_snapshot::<_, StorageError, _>(search).await.expect("a page");
    assert_eq!(found.items.len(), 1, "by a word of its name");
    let path = db.storage.path().and_then(|path| path.to_str()).expect("a path").to_owned();
    let mut conn = SqliteConnection::establish(&path).expect("the file");
    for table in ["api_keys", "webhook_endpoints", "workspaces"] {
        let words = format!("{table}_search_words");
        // Other tests of this process may look through all workspaces.
        let plan = plan(&mut conn, &kept(|line| line.contains(&words) && line.contains("owner = ?")));
        let expected = format!("SEARCH {words} USING PRIMARY KEY (owner=? AND word>? AND word<?)");
        assert!(plan.contains(&expected) && !plan.contains(&format!("SCAN {words}")), "{plan}");
    }
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
    let plan = plan(&mut conn, &statement);
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
